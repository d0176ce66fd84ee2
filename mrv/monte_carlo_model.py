"""The drawn check of the flagged fallback, a change told by one canopy model at both dates; it changes no claim (there is none)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.monte_carlo import KEYS
from models.monte_carlo_canopy import Cells, analytic_canopy_variance, simulate_canopy
from mrv.change_model import CanopyVisit, power_model
from mrv.errors import Problem, Refusal
from mrv.maps import CellHeights, cell_grid, cell_heights
from mrv.monte_carlo import PPM, ChangeCheck, DrawnErrors, check_flags, six_digits, whole_kg
from mrv.project import MonitoringPlan
from mrv.results import Change, digest_result

_F = NDArray[np.float64]


def check_change_by_model(
    first: CanopyVisit,
    last: CanopyVisit,
    plan: MonitoringPlan,
    change: Change,
    *,
    coregistration_um: int = 500_000,
    date_correlation: float = 0.0,
    iterations: int = 4_000,
    threads: int = 1,
) -> ChangeCheck:
    """Draw the errors of a change that `mrv.change_model.estimate_change_by_model` made, keyed on its digest.

    Parameters
    ----------
    coregistration_um : int
        Shift of each date's raster, per axis, standard deviation; assumed.
    date_correlation : float
        Correlation of residuals between the dates; 0 is the larger variance.

    Raises
    ------
    Refusal
        If the plan declares no canopy model, or the change was not made by one.
    """
    if plan.canopy_model is None or change.method != "canopy_model":
        raise Refusal([_not_by_model(change)])
    model = power_model(plan.canopy_model)
    cells = _cells(first, last, plan, model.correlation_range_m)
    shift_m = coregistration_um / PPM
    draws = simulate_canopy(
        model,
        cells,
        digest_result(change),
        iterations,
        date_correlation=date_correlation,
        coregistration_m=shift_m,
        threads=threads,
    )
    parts = analytic_canopy_variance(
        model, cells, date_correlation=date_correlation, coregistration_m=shift_m
    )
    closed = sum(parts.values()) ** 0.5
    errors = DrawnErrors(0, 0, 0, 0, 0, coregistration_um, assumed=True)
    low, high = draws.quantiles_g("change")
    return ChangeCheck(
        iterations=iterations,
        drawn_se_g={key: whole_kg(draws.sd_g(key)) for key in KEYS},
        closed_form_se_g={"change": whole_kg(closed)},
        credited_se_g=change.change.se_g,
        low_g=whole_kg(low),
        high_g=whole_kg(high),
        correlation_ppm=round(draws.correlation() * PPM),
        variance_parts_g2={name: six_digits(value) for name, value in parts.items()},
        errors=errors,
        flags=check_flags(draws, closed, change, errors, shifted=True),
    )


def _cells(first: CanopyVisit, last: CanopyVisit, plan: MonitoringPlan, range_m: float) -> Cells:
    """Cells of all plots that hold a height at both dates; a plot's area is shared out by pixels, as the estimate does.

    Patches are square blocks of whole cells, cut off where a plot ends: a cut block is a patch of its own, so that the residual part is
    somewhat below the stage's, which counts in whole patches.
    """
    grid = cell_grid(first.canopy, plan.cell_mm)
    side_m = plan.cell_mm / 1000.0
    step = max(1, round(range_m / side_m))
    heights: list[_F] = []
    areas: list[_F] = []
    patches: list[NDArray[np.int64]] = []
    slopes: list[_F] = []
    for k, plot in enumerate(first.survey.plots):
        found = [
            cell_heights(v.canopy, v.raster, (v.survey.plots[k],), plan.cell_mm, grid) for v in (first, last)
        ]
        both = (found[0].pixels > 0) & (found[1].pixels > 0)
        row, col = np.nonzero(both)
        pixels = found[0].pixels[both].astype(np.float64)
        heights.append(np.stack([f.mean_mm[both] / 1000.0 for f in found]))
        areas.append(pixels * (plot.area_mm2 / 1e6 / max(1.0, float(pixels.sum()))))
        patches.append((row // step) * (grid.cols // step + 1) + col // step)
        slopes.append(np.stack([_slopes(f, side_m)[both] for f in found]))
    _, patch = np.unique(np.concatenate(patches), return_inverse=True)
    return Cells(
        height_m=np.concatenate(heights, axis=1),
        area_m2=np.concatenate(areas),
        patch=patch.astype(np.int64),
        slope=np.concatenate(slopes, axis=1),
    )


def _slopes(heights: CellHeights, side_m: float) -> _F:
    """Rise of cell means towards east and north, m per m, shape (rows, cols, 2); 0 beside cells without heights."""
    metres = heights.mean_mm / 1000.0
    out = np.zeros((*metres.shape, 2))
    out[:, 1:-1, 0] = (metres[:, 2:] - metres[:, :-2]) / (2.0 * side_m)
    out[1:-1, :, 1] = (metres[:-2] - metres[2:]) / (2.0 * side_m)
    return np.nan_to_num(out, nan=0.0)


def _not_by_model(change: Change) -> Problem:
    return Problem(
        code="check.not_by_canopy_model",
        where=change.project_id,
        expected_en="a change made by the plan's canopy model",
        expected_ja="計画の樹冠モデルによる変化量",
        got_en=change.method,
        got_ja=change.method,
        todo_en="Use check_change for a change made from sample plots.",
        todo_ja="標準地による変化量には check_change を使ってください。",
    )
