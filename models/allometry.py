"""Direct allometry: above-ground biomass of a tree straight from its diameter, height and wood density.

For species or countries whose inventory uses no stem volume. Equations come from a user's table; none is built in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

GRAMS_PER_KG = 1000.0
_F = NDArray[np.float64]
_NAMES_JA: Mapping[str, str] = {
    "dbh_cm": "胸高直径",
    "height_m": "樹高",
    "wood_density_g_cm3": "容積密度",
}


@dataclass(frozen=True)
class Allometry:
    """``B = scale · D^d · H^h · ρ^r · exp(q (ln D)² + c (ln D)³)``, B kg dry matter, D cm, H m, ρ g/cm³.

    Attributes
    ----------
    log_residual_sd : float
        Residual standard deviation of ln B of one tree.
    correction_included : bool
        Whether `scale` holds the log-normal correction ``exp(sd²/2)`` already; else it is applied.
    dbh_range_cm : (float, float)
        Diameters the equation was made from.
    verified : bool
        Whether the row was read in its source.
    """

    name: str
    scale_kg: float
    dbh_power: float
    height_power: float
    density_power: float
    ln_dbh_squared: float
    ln_dbh_cubed: float
    log_residual_sd: float
    correction_included: bool
    dbh_range_cm: tuple[float, float]
    source: str
    licence: str
    verified: bool


@dataclass(frozen=True)
class TreeBiomass:
    """Biomass of trees, whole grams half-even, with a flag per tree beyond the diameters of the equation."""

    biomass_g: NDArray[np.int64]
    outside: NDArray[np.bool_]

    @property
    def outside_count(self) -> int:
        return int(self.outside.sum())


def tree_biomass(
    allometry: Allometry,
    dbh_cm: _F,
    height_m: _F | None = None,
    wood_density_g_cm3: _F | float | None = None,
) -> TreeBiomass:
    """Biomass of each tree.

    Parameters
    ----------
    dbh_cm : ndarray of float, shape (n,)
    height_m : ndarray of float, shape (n,), optional
        Measured, or of a height-diameter curve (:mod:`models.height_diameter`).
    wood_density_g_cm3 : ndarray of float, shape (n,), or float, optional

    Raises
    ------
    OutOfRange
        If the equation needs a height or density that is not given, or a value is missing or not above zero (the row
        is named).
    """
    d = _positive(dbh_cm, "dbh_cm", (np.size(dbh_cm),))
    log_d = np.log(d)
    line = (
        allometry.dbh_power * log_d + allometry.ln_dbh_squared * log_d**2 + allometry.ln_dbh_cubed * log_d**3
    )
    given = (
        ("height_m", height_m, allometry.height_power),
        ("wood_density_g_cm3", wood_density_g_cm3, allometry.density_power),
    )
    for name, values, power in given:
        if power == 0.0:
            continue
        if values is None:
            raise OutOfRange(
                en=f"expected {name}, which {allometry.name} needs, got none; give it or choose another equation",
                ja=f"{allometry.name}には{_NAMES_JA[name]}({name})が必要ですが、ありませんでした。与えるか別の式を選んでください",
            )
        line = line + power * np.log(_positive(values, name, d.shape))
    correction = 0.0 if allometry.correction_included else allometry.log_residual_sd**2 / 2.0
    kilograms = allometry.scale_kg * np.exp(line + correction)
    low, high = allometry.dbh_range_cm
    return TreeBiomass(np.rint(kilograms * GRAMS_PER_KG).astype(np.int64), (d < low) | (d > high))


def _positive(values: _F | float, name: str, shape: tuple[int, ...]) -> _F:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim and given.shape != shape:
        raise OutOfRange(
            en=f"expected {shape[0]} values of {name}, got {given.shape}",
            ja=f"{_NAMES_JA[name]}({name})は{shape[0]}個必要ですが、{given.shape}でした",
        )
    wide = np.broadcast_to(given, shape)
    bad = np.flatnonzero(~(np.isfinite(wide) & (wide > 0.0)))
    if bad.size:
        raise OutOfRange(
            en=f"expected {name} above zero, got {wide[bad[0]]} in row {bad[0] + 1}; measure it or leave the tree out",
            ja=f"{_NAMES_JA[name]}({name})は0より大きい必要がありますが、{bad[0] + 1}行目が{wide[bad[0]]}でした。測るか、その木を除いてください",
        )
    return wide
