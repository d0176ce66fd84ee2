"""New options of the simulator move nothing of the demonstration."""

from __future__ import annotations

import numpy as np
import pytest

from apps.demo.site import simulate_site


@pytest.mark.parametrize(
    ("scenario", "true_change_kg", "mean_canopy_m"),
    [("gain", 969_754, (9.5672, 10.3530)), ("loss", -3_038_419, (9.5672, 9.2952))],
)
def test_the_demonstration_of_seed_1_is_the_site_it_was(scenario, true_change_kg, mean_canopy_m):
    # recorded on 2026-11-21, before natural stands, lines, blur and satellite shifts were added
    site = simulate_site(1, 2.0, scenario)
    assert round(site.true_change_g / 1000) == pytest.approx(true_change_kg, abs=1)
    found = [float(np.mean(v.chm_m, dtype=np.float64)) for v in site.views]
    assert found == pytest.approx(mean_canopy_m, abs=1e-3)
