"""One canopy model at two dates: draws, closed form and `models.canopy_stock` agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.canopy_stock import PowerModel, change_variance
from models.errors import OutOfRange
from models.monte_carlo_canopy import Cells, analytic_canopy_variance, simulate_canopy

MODEL = PowerModel(400.0, 1.5, 0.1, 0.05, 3_000.0, 40.0, 0.3)
ITERATIONS = 8_000
AGREE = 0.03 + 4 * (2 / ITERATIONS) ** 0.5


def made_cells(side: int = 12, gain_m: float = 1.2) -> Cells:
    """Cells of 20 m in patches of 40 m, all cells alike in area."""
    rng = np.random.default_rng(4)
    row, col = np.divmod(np.arange(side * side), side)
    before = rng.uniform(9, 19, side * side)
    return Cells(
        height_m=np.stack([before, before + gain_m + rng.normal(0, 0.3, before.size)]),
        area_m2=np.full(before.size, 400.0),
        patch=(row // 2) * (side // 2) + col // 2,
        slope=rng.normal(0, 0.2, (2, before.size, 2)),
    )


CELLS = made_cells()
WHOLE = simulate_canopy(MODEL, CELLS, "k", 40, coregistration_m=1.0).totals_g


@pytest.mark.parametrize(("correlation", "shift_m"), [(0.0, 0.0), (0.6, 0.0), (0.6, 2.0)])
def test_the_drawn_variance_of_change_is_the_closed_form(correlation, shift_m):
    how = {"date_correlation": correlation, "coregistration_m": shift_m}
    drawn = simulate_canopy(MODEL, CELLS, "sha256:0", ITERATIONS, **how).sd_g("change") ** 2
    assert drawn / sum(analytic_canopy_variance(MODEL, CELLS, **how).values()) == pytest.approx(1, abs=AGREE)


@pytest.mark.parametrize(
    ("kept", "part"),
    [
        ({"scale_cv": 0.1, "power_sd": 0.05}, "coefficients"),
        ({"height_bias_m": 0.3}, "canopy_height_bias"),
        ({"residual_sd": 3_000.0}, "residual"),
    ],
)
def test_each_source_alone_is_drawn_as_the_closed_form_says(kept, part):
    none = {"scale_cv": 0.0, "power_sd": 0.0, "height_bias_m": 0.0, "residual_sd": 0.0}
    model = replace(MODEL, **{**none, **kept})
    parts = analytic_canopy_variance(model, CELLS)
    assert [k for k, v in parts.items() if v] == [part]
    drawn = simulate_canopy(model, CELLS, "sha256:1", ITERATIONS).sd_g("change") ** 2
    assert drawn / parts[part] == pytest.approx(1, abs=AGREE)


def test_the_closed_form_is_that_of_the_fallback_stage():
    mine = analytic_canopy_variance(MODEL, CELLS)
    theirs = change_variance(MODEL, CELLS.height_m[0], CELLS.height_m[1], CELLS.area_m2)
    for name, value in theirs.items():
        assert mine[name] == pytest.approx(value, rel=1e-9)


def test_one_model_at_both_dates_covaries_and_taking_dates_as_independent_is_wrong():
    model = replace(MODEL, residual_sd=0.0, height_bias_m=0.0)
    drawn = simulate_canopy(model, CELLS, "sha256:2", 4000)
    assert drawn.correlation() > 0.99
    assert (drawn.sd_g("first") ** 2 + drawn.sd_g("last") ** 2) ** 0.5 > 5 * drawn.sd_g("change")


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 145, 500, 100_000]), st.integers(2, 40))
def test_no_split_of_the_work_changes_a_bit(threads, block, iterations):
    split = simulate_canopy(
        MODEL, CELLS, "k", iterations, coregistration_m=1.0, threads=threads, block_numbers=block
    )
    assert np.array_equal(split.totals_g, WHOLE[:, :iterations])


def test_an_impossible_correlation_is_refused():
    with pytest.raises(OutOfRange, match="相関"):
        simulate_canopy(MODEL, CELLS, "k", 10, date_correlation=1.1)
