"""The two methods of the IPCC for changes of biomass carbon: difference of stocks, and gains less losses.

For comparison with an inventory and for checks; nothing is credited by them. Tonnes of carbon (t-C); times 44/12 for CO2.

References
----------
IPCC 2006 Guidelines, volume 4, chapter 2, equations 2.7 to 2.14, and the 2019 Refinement, table 4.4 (equations recalled, ratios read).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import column, positive, quantity
from models.errors import OutOfRange

_F = NDArray[np.float64]
CO2_PER_CARBON = 44.0 / 12.0
Origin = Literal["planted", "natural"]
Kind = Literal["conifer", "broadleaf"]
AGB_STEP_T_HA = 125.0
ROOT_SHOOT_ASIA: dict[tuple[Origin, Kind], tuple[float, float]] = {
    ("planted", "conifer"): (0.224, 0.232),
    ("planted", "broadleaf"): (0.307, 0.248),
    ("natural", "conifer"): (0.243, 0.262),
    ("natural", "broadleaf"): (0.225, 0.229),
}
"""Below- over above-ground biomass of temperate forest in Asia, up to and over 125 t/ha of above-ground biomass."""


def root_shoot_ratio(origin: Origin, kind: Kind, above_ground_t_ha: float) -> float:
    """Below- over above-ground biomass, temperate Asia.

    Parameters
    ----------
    above_ground_t_ha : float
        Dry matter, t/ha, zero or more.

    Raises
    ------
    OutOfRange
        If the forest type is not listed, or the biomass negative or no number.
    """
    if (origin, kind) not in ROOT_SHOOT_ASIA:
        raise OutOfRange(
            en=f"expected one of {sorted(ROOT_SHOOT_ASIA)}, got {(origin, kind)}",
            ja=f"{sorted(ROOT_SHOOT_ASIA)} のいずれかが必要ですが、{(origin, kind)} でした",
        )
    small, large = ROOT_SHOOT_ASIA[origin, kind]
    return small if quantity("above_ground_t_ha", above_ground_t_ha, above=False) <= AGB_STEP_T_HA else large


def stock_t_c(
    area_ha: ArrayLike,
    volume_m3_ha: ArrayLike,
    bcef_t_m3: ArrayLike,
    root_ratio: ArrayLike,
    carbon_fraction: ArrayLike,
) -> float:
    """Carbon in living biomass of several strata: ``C = sum A · V · BCEF_S · (1 + R) · CF``, t-C (equation 2.8b).

    Parameters
    ----------
    area_ha, volume_m3_ha, bcef_t_m3, root_ratio, carbon_fraction : array_like, shape (strata,)
        BCEF = BEF · density where a table gives those apart.

    Raises
    ------
    OutOfRange
        Naming the row that is missing or negative.
    """
    area = _not_negative("area_ha", area_ha)
    return float((area * _per_area(area.size, volume_m3_ha, bcef_t_m3, root_ratio, carbon_fraction)).sum())


def stock_difference_t_c(first_t_c: float, last_t_c: float, years: float) -> float:
    """Yearly change of stock: ``(C_t2 - C_t1) / (t2 - t1)``, t-C per year (equation 2.8a).

    Raises
    ------
    OutOfRange
        If a stock is negative, or the years not above zero.
    """
    quantity("first_t_c", first_t_c, above=False)
    quantity("last_t_c", last_t_c, above=False)
    return (last_t_c - first_t_c) / quantity("years", years)


def gain_t_c(
    area_ha: ArrayLike,
    increment_m3_ha_year: ArrayLike,
    bcef_t_m3: ArrayLike,
    root_ratio: ArrayLike,
    carbon_fraction: ArrayLike,
) -> float:
    """Yearly growth of biomass: ``sum A · I_V · BCEF_I · (1 + R) · CF``, t-C per year (equations 2.9 and 2.10).

    Parameters and refusals as of `stock_t_c`, with the yearly increment of stem volume, m3/ha.
    """
    return stock_t_c(area_ha, increment_m3_ha_year, bcef_t_m3, root_ratio, carbon_fraction)


def removal_t_c(
    volume_m3: ArrayLike, bcef_t_m3: ArrayLike, root_ratio: ArrayLike, carbon_fraction: ArrayLike
) -> float:
    """Carbon of wood removed in a year: ``sum H · BCEF_R · (1 + R) · CF``, t-C (equation 2.12).

    Parameters
    ----------
    volume_m3 : array_like, shape (k,)
        Merchantable volume, m3; with `bcef_t_m3` of removals, t/m3.

    Raises
    ------
    OutOfRange
        Naming the row that is missing or negative.
    """
    volume = _not_negative("volume_m3", volume_m3)
    factors = _per_area(volume.size, np.ones(volume.size), bcef_t_m3, root_ratio, carbon_fraction)
    return float((volume * factors).sum())


def disturbance_t_c(
    area_ha: ArrayLike,
    above_ground_t_ha: ArrayLike,
    root_ratio: ArrayLike,
    carbon_fraction: ArrayLike,
    share_lost: ArrayLike,
) -> float:
    """Carbon lost by fire, storm or insects: ``sum A · B_W · (1 + R) · CF · fd``, t-C (equation 2.14).

    Parameters
    ----------
    share_lost : array_like, shape (k,)
        fd, 0 to 1.

    Raises
    ------
    OutOfRange
        Naming the row that is missing, negative, or a share above 1.
    """
    area = _not_negative("area_ha", area_ha)
    lost = _not_negative("share_lost", share_lost, area.size)
    positive("share_lost", np.where(lost > 1, 0.0, 1.0), "shares up to 1, marked 1,", "1以下の割合")
    factors = _per_area(area.size, above_ground_t_ha, np.ones(area.size), root_ratio, carbon_fraction)
    return float((area * factors * lost).sum())


def gain_loss_t_c(gain: float, *losses: float) -> float:
    """Yearly change of biomass carbon: gains less losses, t-C per year (equation 2.7).

    Raises
    ------
    OutOfRange
        If a gain or loss is negative: each enters as its own amount.
    """
    quantity("gain", gain, above=False)
    return gain - sum(quantity(f"loss {k}", loss, above=False) for k, loss in enumerate(losses, 1))


def _not_negative(name: str, values: ArrayLike, n: int | None = None) -> _F:
    found = column(name, values, n)
    positive(name, np.where(found < 0, found, 1.0), "no values below zero, but values", "0以上の値")
    return found


def _per_area(n: int, volume: ArrayLike, bcef: ArrayLike, root: ArrayLike, carbon: ArrayLike) -> _F:
    """``V · BCEF · (1 + R) · CF``, one value a stratum."""
    parts = (("volume", volume), ("bcef_t_m3", bcef), ("root_ratio", root), ("carbon_fraction", carbon))
    v, b, r, c = (_not_negative(name, values, n) for name, values in parts)
    return v * b * (1.0 + r) * c
