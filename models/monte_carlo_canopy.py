"""Monte Carlo of a change told from canopy height by one model at both dates: the flagged fallback, and how far its dates covary.

The model's coefficients are drawn once per iteration and used at both dates, so most of their error leaves the difference. What stays
is each date's own height bias and shift, and the residuals of cells, correlated in space and between dates.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.canopy_stock import PowerModel
from models.errors import OutOfRange
from models.monte_carlo import KEYS, Draws
from models.rng import Stream

_F = NDArray[np.float64]
BLOCK_NUMBERS = 65_536
LOWEST_M = 1e-3
_SHARED = 2 + 2 + 4  # coefficients; height bias of each date; shift of each date, east and north


@dataclass(frozen=True)
class Cells:
    """Prediction cells of one project at two dates.

    Attributes
    ----------
    height_m : ndarray, shape (2, cells)
        Mean canopy height.
    area_m2 : ndarray, shape (cells,)
    patch : ndarray of int, shape (cells,)
        Cells of one patch share their residual: blocks as wide as the declared correlation range.
    slope : ndarray, shape (2, cells, 2)
        Change of a cell's mean height per metre of shift of the raster, east and north; zeros where not known.
    """

    height_m: _F
    area_m2: _F
    patch: NDArray[np.int64]
    slope: _F


def simulate_canopy(
    model: PowerModel,
    cells: Cells,
    run_key: str,
    iterations: int,
    *,
    date_correlation: float = 0.0,
    coregistration_m: float = 0.0,
    threads: int = 1,
    block_numbers: int = BLOCK_NUMBERS,
) -> Draws:
    """Draw coefficients, biases, shifts and residuals, and total the stock of both dates each time.

    Parameters
    ----------
    date_correlation : float
        Correlation of a patch's residual between the dates; 0 is the larger variance of the change.
    coregistration_m : float
        Standard deviation of each date's shift, per axis.
    threads, block_numbers : int
        How the work is split; the result is the same to the bit for any split.

    Raises
    ------
    OutOfRange
        If the correlation is not in [-1, 1] or there are fewer than two iterations.
    """
    if not -1.0 <= date_correlation <= 1.0 or iterations < 2:
        raise OutOfRange(
            en=f"expected a correlation from -1 to 1 and two or more iterations, got {date_correlation} and {iterations}",
            ja=f"相関は-1～1、反復は2回以上が必要ですが、{date_correlation}と{iterations}回でした",
        )
    out = np.empty((len(KEYS), iterations))
    rows = max(1, block_numbers // max(1, cells.area_m2.size))
    patch_g = np.bincount(cells.patch, cells.area_m2) * model.residual_sd
    width = _SHARED + 2 * patch_g.size
    stream = Stream(run_key, "monte_carlo/canopy_model")
    own = float(np.sqrt(1.0 - date_correlation**2))

    def work(start: int) -> None:
        stop = min(start + rows, iterations)
        z = np.empty((stop - start, width))
        stream.fill_normal(z, start * width)
        scale = model.scale * (1.0 + model.scale_cv * z[:, :1])
        power = model.power + model.power_sd * z[:, 1:2]
        e0, e1 = z[:, _SHARED : _SHARED + patch_g.size], z[:, _SHARED + patch_g.size :]
        for date, residual in enumerate((e0, date_correlation * e0 + own * e1)):
            shift = z[:, 4 + 2 * date : 6 + 2 * date] * coregistration_m
            height = cells.height_m[date] + model.height_bias_m * z[:, 2 + date : 3 + date]
            if coregistration_m:
                height = (
                    height + shift[:, :1] * cells.slope[date, :, 0] + shift[:, 1:] * cells.slope[date, :, 1]
                )
            height = np.maximum(height, LOWEST_M, out=height)
            stock = np.exp(power * np.log(height, out=height)) * cells.area_m2
            out[date, start:stop] = scale[:, 0] * stock.sum(axis=1) + (residual * patch_g).sum(axis=1)
        out[2, start:stop] = out[1, start:stop] - out[0, start:stop]

    starts = range(0, iterations, rows)
    if threads <= 1:
        for start in starts:
            work(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, starts))
    return Draws(out)


def analytic_canopy_variance(
    model: PowerModel, cells: Cells, *, date_correlation: float = 0.0, coregistration_m: float = 0.0
) -> dict[str, float]:
    """First-order variance of the change by source, g²: the closed form of what `simulate_canopy` draws.

    References
    ----------
    ``V = δ'Cov(β̂)δ + ΣΣ[C11 + C22 − 2 C12] + (∂Δ/∂b)² Var``, δ the difference of the mean gradients of both dates.
    """
    stock, by_power, by_height = [], [], []
    for height in np.maximum(cells.height_m, LOWEST_M):
        of_cell = model.scale * height**model.power * cells.area_m2
        stock.append(float(of_cell.sum()))
        by_power.append(float((of_cell * np.log(height)).sum()))
        by_height.append(of_cell * model.power / height)
    scale = (stock[1] - stock[0]) * model.scale_cv
    power = (by_power[1] - by_power[0]) * model.power_sd
    patch_g = np.bincount(cells.patch, cells.area_m2) * model.residual_sd
    shift = sum(
        (float((by_height[date] * cells.slope[date, :, axis]).sum()) * coregistration_m) ** 2
        for date in range(2)
        for axis in range(2)
    )
    return {
        "coefficients": scale**2 + power**2,
        "canopy_height_bias": sum((float(v.sum()) * model.height_bias_m) ** 2 for v in by_height),
        "residual": 2.0 * (1.0 - date_correlation) * float((patch_g**2).sum()),
        "coregistration": shift,
    }
