"""Stem volume of a tree from its diameter and height (立木幹材積式)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

Form = Literal["log10_v", "v"]
DiameterUnit = Literal["cm", "m"]
LOG_TERMS = frozenset({"const", "log10_d", "log10_h", "log10_d2h"})
PLAIN_TERMS = frozenset({"const", "h", "d2", "d2h"})
CM3_PER_M3 = 1_000_000.0
MM_PER = {"cm": 10.0, "m": 1000.0}


@dataclass(frozen=True)
class VolumeEquation:
    """One equation for one diameter class ``[d_from_mm, d_below_mm)``.

    Attributes
    ----------
    id : str
        ``region/species/lowest diameter``, as in the table.
    d_from_mm : int
    d_below_mm : int or None
        None where the class is open.
    form : {"log10_v", "v"}
        What the sum of the terms is: log10 of the volume, or the volume itself (m³).
    terms : mapping of term to coefficient
        ``const``, and ``log10_d, log10_h, log10_d2h`` or ``h, d2, d2h``.
    d_unit : {"cm", "m"}
        Unit of D inside the terms; H is always in m.
    """

    id: str
    d_from_mm: int
    d_below_mm: int | None
    form: Form
    terms: Mapping[str, float]
    d_unit: DiameterUnit
    verified: bool

    def __post_init__(self) -> None:
        allowed = LOG_TERMS if self.form == "log10_v" else PLAIN_TERMS
        if unknown := set(self.terms) - allowed:
            raise ValueError(f"{self.id}: expected terms among {sorted(allowed)}, got {sorted(unknown)}")

    def volume_m3(self, dbh_mm: NDArray[np.integer], height_mm: NDArray[np.integer]) -> NDArray[np.float64]:
        """Volume in m³ of trees whose diameter and height are above zero; no class check."""
        d = dbh_mm / MM_PER[self.d_unit]
        h = height_mm / 1000.0
        total = np.full(d.shape, self.terms["const"])
        for name, coefficient in self.terms.items():
            if name != "const":
                total = total + coefficient * _TERM[name](d, h)
        return np.power(10.0, total) if self.form == "log10_v" else total

    def powers(
        self, dbh_mm: NDArray[np.integer], height_mm: NDArray[np.integer]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Relative change of volume per relative change of diameter, and of height; the same for all trees of a ``log10_v`` form.

        Carries relative errors of D and H to the volume. Trees above zero only; 0 where a plain equation gives no volume.
        """
        d2h = self.terms.get("log10_d2h", 0.0)
        if self.form == "log10_v":
            by_d = self.terms.get("log10_d", 0.0) + 2.0 * d2h
            by_h = self.terms.get("log10_h", 0.0) + d2h
            return np.full(dbh_mm.shape, by_d), np.full(dbh_mm.shape, by_h)
        square, h = (dbh_mm / MM_PER[self.d_unit]) ** 2, height_mm / 1000.0
        volume = self.volume_m3(dbh_mm, height_mm)
        slope_d = 2.0 * square * (self.terms.get("d2", 0.0) + self.terms.get("d2h", 0.0) * h)
        slope_h = h * (self.terms.get("h", 0.0) + self.terms.get("d2h", 0.0) * square)
        none = np.zeros(dbh_mm.shape)
        return (
            np.divide(slope_d, volume, out=none.copy(), where=volume > 0),
            np.divide(slope_h, volume, out=none.copy(), where=volume > 0),
        )


_TERM = {
    "log10_d": lambda d, h: np.log10(d),
    "log10_h": lambda d, h: np.log10(h),
    "log10_d2h": lambda d, h: np.log10(d * d * h),
    "h": lambda d, h: h,
    "d2": lambda d, h: d * d,
    "d2h": lambda d, h: d * d * h,
}


@dataclass(frozen=True)
class EquationSet:
    """The equations of one region and species, ordered by diameter class, without a gap."""

    region: str
    species: str
    classes: tuple[VolumeEquation, ...]

    def __post_init__(self) -> None:
        edges = [c.d_from_mm for c in self.classes]
        closes = [c.d_below_mm for c in self.classes]
        if not edges or edges[0] != 0 or closes[-1] is not None or closes[:-1] != edges[1:]:
            raise ValueError(
                f"{self.region}/{self.species}: expected diameter classes from 0 without a gap, got {edges} to {closes}"
            )

    @property
    def verified(self) -> bool:
        """Whether every equation was read in its source."""
        return all(c.verified for c in self.classes)


def select_class(equations: EquationSet, dbh_mm: NDArray[np.integer]) -> NDArray[np.int64]:
    """Index of the equation for each tree; a class holds its lower limit and not its upper.

    Parameters
    ----------
    dbh_mm : ndarray of int, shape (n,)

    Returns
    -------
    ndarray of int64, shape (n,)
    """
    edges = np.array([c.d_from_mm for c in equations.classes[1:]], dtype=np.int64)
    return np.searchsorted(edges, dbh_mm, side="right").astype(np.int64)


def stem_volume_cm3(
    equations: EquationSet,
    dbh_mm: NDArray[np.integer],
    height_mm: NDArray[np.integer],
    class_index: NDArray[np.integer] | None = None,
) -> NDArray[np.int64]:
    """Stem volume with bark, whole cm³, half to even.

    The equations jump where diameter classes meet: a tree that grows past a limit may lose up to 3 % of its volume
    without having lost anything. For a change, pass the class of the first date as `class_index` at both dates.

    Parameters
    ----------
    dbh_mm, height_mm : ndarray of int, shape (n,)
        Diameter at breast height and height, mm; 0 where the tree no longer stands (volume 0).
    class_index : ndarray of int, shape (n,), optional
        Equation of each tree, from `select_class` at the first date; by default chosen by `dbh_mm`.

    Returns
    -------
    ndarray of int64, shape (n,)
        Never below zero: small trees at the edge of a plain-volume equation are 0.

    Raises
    ------
    OutOfRange
        If a diameter or height is negative.

    References
    ----------
    Forestry Agency 1970, 立木幹材積表; Hosoda et al. 2010, doi:10.20659/jjfp.44.2_23.
    """
    dbh, height = np.asarray(dbh_mm), np.asarray(height_mm)
    if dbh.size and (int(dbh.min()) < 0 or int(height.min()) < 0):
        raise OutOfRange(
            en=f"expected diameters and heights of zero or more, got {dbh.min()} mm and {height.min()} mm; correct the tree list",
            ja=f"胸高直径と樹高は0以上が必要ですが、{dbh.min()} mm、{height.min()} mmがありました。毎木調査票を直してください",
        )
    index = select_class(equations, dbh) if class_index is None else np.asarray(class_index)
    standing = (dbh > 0) & (height > 0)
    out = np.zeros(dbh.shape, dtype=np.int64)
    for i, equation in enumerate(equations.classes):
        mine = standing & (index == i)
        if mine.any():
            volume = equation.volume_m3(dbh[mine], height[mine]) * CM3_PER_M3
            out[mine] = np.maximum(np.rint(volume), 0.0).astype(np.int64)
    return out
