"""The fallback's errors, drawn: they confirm what the stage states, and a shifted raster adds to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mrv.canopy import _create, zone_heights
from mrv.change import estimate_change
from mrv.change_model import CanopyVisit, estimate_change_by_model
from mrv.errors import Refusal
from mrv.geometry import Grid
from mrv.monte_carlo_model import check_change_by_model
from mrv.project import CanopyModel
from tests.mrv.stand_of_squares import plan as plan_of_squares
from tests.mrv.stand_of_squares import visits

GRID = Grid(6674, 0, 100_000_000, 2_000_000, 50, 150)
# a correlation range as wide as a plot, so that patches are whole
MODEL = CanopyModel("400", "1.5", 100_000, 50_000, 3_000, 100, 300_000, "made up", verified=False)
PLAN = replace(plan_of_squares(2, 3), canopy_model=MODEL)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    rng = np.random.default_rng(5)
    before = rng.integers(9_000, 19_000, (GRID.rows // 10, GRID.cols // 10)).repeat(10, 0).repeat(10, 1)
    out = []
    for visit, heights in zip(visits(), (before, before + 1_200), strict=True):
        path = tmp_path_factory.mktemp("canopy") / "canopy.tif"
        with _create(path, GRID) as target:
            target.write(heights.astype(np.int32), 1)
        zones = zone_heights(
            GRID, heights.astype(np.int32), {p.plot_id: p.rings_mm for p in visit.survey.plots}
        )
        canopy = replace(visit.canopy, grid=GRID.to_doc(), plots=zones)
        out.append(CanopyVisit(visit.survey, canopy, path))
    return out


def test_the_draws_confirm_the_error_that_the_fallback_states(pair):
    change = estimate_change_by_model(*pair, PLAN)
    check = check_change_by_model(*pair, PLAN, change, coregistration_um=0)
    assert check.drawn_se_g["change"] == pytest.approx(change.change.se_g, rel=0.06)
    assert check.closed_form_se_g["change"] == pytest.approx(change.change.se_g, rel=0.03)
    for name, value in change.variance_parts_g2.items():
        assert int(check.variance_parts_g2[name]) == pytest.approx(int(value), rel=0.05)
    assert check.low_g < change.change.total_g < check.high_g


def test_one_model_at_both_dates_leaves_the_difference_a_smaller_error_than_either_stock(pair):
    change = estimate_change_by_model(*pair, PLAN)
    check = check_change_by_model(*pair, PLAN, change)
    assert check.correlation_ppm > 500_000
    assert check.drawn_se_g["change"] < check.drawn_se_g["last"]
    assert "check.errors_assumed" in check.flags


def test_a_raster_shifted_by_metres_adds_to_the_error(pair):
    change = estimate_change_by_model(*pair, PLAN)
    near, far = (check_change_by_model(*pair, PLAN, change, coregistration_um=um) for um in (0, 20_000_000))
    assert int(near.variance_parts_g2["coregistration"]) == 0 < int(far.variance_parts_g2["coregistration"])
    assert far.closed_form_se_g["change"] > near.closed_form_se_g["change"]


def test_the_check_is_the_same_for_any_number_of_threads(pair):
    change = estimate_change_by_model(*pair, PLAN)
    one = check_change_by_model(*pair, PLAN, change, iterations=300)
    assert one == check_change_by_model(*pair, PLAN, change, iterations=300, threads=3)


def test_a_change_made_from_sample_plots_is_refused(pair):
    first, last = visits()
    with pytest.raises(Refusal, match="樹冠モデル"):
        check_change_by_model(*pair, PLAN, estimate_change(first, last, PLAN))
