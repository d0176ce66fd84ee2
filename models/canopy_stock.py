"""Stock and its change from canopy height alone: the fallback where nobody measured trees on the ground.

One power model serves both dates, so its own error is shared by both; what is left to each date is a height bias and the model's
residual, correlated over a declared range. Pooled models fail where credits arise, so that nothing is credited from one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class PowerModel:
    """``stock = scale * h ** power``, g per m², h in m; with errors as standard deviations.

    Attributes
    ----------
    scale_cv, power_sd : float
        Errors of the coefficients, shared by both dates.
    residual_sd : float
        Residual of a cell, g per m², per date.
    correlation_range_m : float
        Cells nearer than this share their residual.
    height_bias_m : float
        Shared by all cells of one date, independent between dates.
    """

    scale: float
    power: float
    scale_cv: float
    power_sd: float
    residual_sd: float
    correlation_range_m: float
    height_bias_m: float


def stock_g(
    model: PowerModel, height_m: NDArray[np.float64], area_m2: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Stock of each cell, whole grams, half-even; heights below zero count as bare ground.

    Parameters
    ----------
    height_m, area_m2 : ndarray of float, shape (n,)
    """
    height = np.maximum(height_m, 0.0)
    return np.rint(model.scale * height**model.power * area_m2).astype(np.int64)


def stock_variance(model: PowerModel, height_m: NDArray[np.float64], area_m2: NDArray[np.float64]) -> float:
    """Variance of the total stock at one date, g²."""
    zero = np.zeros_like(height_m)
    shared = _coefficient_variance(model, zero, height_m, area_m2)
    return shared + _date_variance(model, height_m, area_m2)


def change_variance(
    model: PowerModel,
    height_first_m: NDArray[np.float64],
    height_last_m: NDArray[np.float64],
    area_m2: NDArray[np.float64],
) -> dict[str, float]:
    """Variance of the change of the total, g², by source.

    Returns
    -------
    dict
        ``coefficients`` (shared by both dates), ``canopy_height_bias`` and ``residual`` (each date its own).
    """
    heights = (height_first_m, height_last_m)
    return {
        "coefficients": _coefficient_variance(model, height_first_m, height_last_m, area_m2),
        "canopy_height_bias": sum(_bias_variance(model, h, area_m2) for h in heights),
        "residual": 2 * _residual_variance(model, area_m2),
    }


def _coefficient_variance(
    model: PowerModel, first: NDArray[np.float64], last: NDArray[np.float64], area: NDArray[np.float64]
) -> float:
    def stock(h: NDArray[np.float64]) -> NDArray[np.float64]:
        return model.scale * np.maximum(h, 0.0) ** model.power

    def by_power(h: NDArray[np.float64]) -> NDArray[np.float64]:
        return stock(h) * np.log(np.maximum(h, 1e-3))

    scale = float(np.sum((stock(last) - stock(first)) * area)) * model.scale_cv
    power = float(np.sum((by_power(last) - by_power(first)) * area)) * model.power_sd
    return scale**2 + power**2


def _date_variance(model: PowerModel, height: NDArray[np.float64], area: NDArray[np.float64]) -> float:
    return _bias_variance(model, height, area) + _residual_variance(model, area)


def _bias_variance(model: PowerModel, height: NDArray[np.float64], area: NDArray[np.float64]) -> float:
    slope = model.scale * model.power * np.maximum(height, 0.0) ** (model.power - 1)
    return (float(np.sum(slope * area)) * model.height_bias_m) ** 2


def _residual_variance(model: PowerModel, area: NDArray[np.float64]) -> float:
    """``(sd A)^2 / m`` with m the number of independent patches, at least one."""
    total = float(np.sum(area))
    patches = max(1.0, total / model.correlation_range_m**2)
    return (model.residual_sd * total) ** 2 / patches
