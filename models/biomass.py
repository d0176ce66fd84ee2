"""From stem volume to carbon dioxide: expansion, roots, density, carbon; exact to the gram."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import column
from models.errors import OutOfRange

YOUNG_TO_AGE = 20
"""Last age, in years, at which the young expansion factor holds."""
CO2_PER_CARBON = Fraction(44, 12)
_INT64_ROOM = 2**62


@dataclass(frozen=True)
class SpeciesFactors:
    """Constants of one species in one prefecture, as exact fractions.

    Attributes
    ----------
    bef_young, bef_old : Fraction
        Biomass expansion factor (拡大係数) up to and over 20 years, above-ground biomass over stem.
    root_ratio : Fraction
        Below-ground over above-ground biomass (地下部率).
    density_t_m3 : Fraction
        Dry matter per stem volume (容積密度), t/m³ = g/cm³.
    carbon_fraction : Fraction
        Carbon in dry matter (炭素含有率).
    verified : bool
        Whether every constant was read in its source.
    verified_constants : tuple of str
        The constants that were.
    """

    species: str
    prefectures: str
    bef_young: Fraction
    bef_old: Fraction
    root_ratio: Fraction
    density_t_m3: Fraction
    carbon_fraction: Fraction
    verified: bool
    verified_constants: tuple[str, ...]
    source: str

    def co2_g_per_cm3(self, young: bool) -> Fraction:
        """g CO2 per cm³ of stem (= t per m³): BEF · (1 + R) · density · CF · 44/12."""
        bef = self.bef_young if young else self.bef_old
        return bef * (1 + self.root_ratio) * self.density_t_m3 * self.carbon_fraction * CO2_PER_CARBON

    @property
    def unverified_constants(self) -> tuple[str, ...]:
        """Names of the constants nobody has read in their source."""
        names = ("bef_young", "bef_old", "root_ratio", "density_t_m3", "carbon_fraction")
        return tuple(n for n in names if n not in self.verified_constants)


def co2_g(volume_cm3: ArrayLike, factors: SpeciesFactors, young: ArrayLike) -> NDArray[np.int64]:
    """Carbon dioxide bound in trees, or in the change of their volume, whole grams, half to even.

    The expansion factor steps down at age 20. A difference of two stocks across that step shows a loss that never
    happened; pass the same `young` at both dates (or the change of volume itself, which may be negative).

    Parameters
    ----------
    volume_cm3 : array_like of int, any shape
        Stem volume or its change, whole cm³.
    young : array_like of bool, of that shape or one for all
        Whether the tree is at most 20 years old.

    Returns
    -------
    ndarray of int64, of that shape

    Raises
    ------
    OutOfRange
        If a volume is missing or no whole number of cm³ (the row is named): nothing is rounded here unseen; or if shapes differ.

    References
    ----------
    J-Credit FO-001: ``CO2 = V · BEF · (1 + R) · D_w · CF · 44/12``.
    """
    volume = _whole(volume_cm3)
    flags = np.asarray(young, dtype=np.bool_)
    if flags.shape not in ((), (1,), volume.shape):
        raise OutOfRange(
            en=f"young: expected one flag for each of {volume.shape} volumes, got shape {flags.shape}.",
            ja=f"young: 材積 {volume.shape} と同じ数が必要ですが、形が {flags.shape} でした。",
        )
    is_young = np.broadcast_to(flags, volume.shape)
    out = np.empty(volume.shape, dtype=np.int64)
    for flag in (False, True):
        mine = is_young == flag
        if mine.any():
            out[mine] = _times(volume[mine], factors.co2_g_per_cm3(flag))
    return out


def _whole(values: ArrayLike) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.dtype.kind in "iu" or array.size == 0:
        return array.astype(np.int64)
    flat = column("volume_cm3", values if array.ndim == 1 else array.ravel())
    bad = np.flatnonzero((flat != np.rint(flat)) | (np.abs(flat) >= 2.0**53)) + 1
    if bad.size:
        raise OutOfRange(
            en=f"volume_cm3: expected whole cubic centimetres, got {flat[bad[0] - 1]} in row {bad[0]} (counted from 1). Round it first.",
            ja=f"volume_cm3: 整数の cm³ が必要ですが、{bad[0]} 行目（1起算）は {flat[bad[0] - 1]} でした。先に丸めてください。",
        )
    return flat.astype(np.int64).reshape(array.shape)


def _times(values: NDArray[np.int64], factor: Fraction) -> NDArray[np.int64]:
    largest = max(abs(int(values.max())), abs(int(values.min())))
    if largest * factor.numerator >= _INT64_ROOM:
        return np.array([round(int(v) * factor) for v in values.ravel()], dtype=np.int64).reshape(
            values.shape
        )
    product = values * np.int64(factor.numerator)
    quotient, rest = np.divmod(product, np.int64(factor.denominator))
    twice = 2 * rest
    up = (twice > factor.denominator) | ((twice == factor.denominator) & (quotient % 2 == 1))
    return np.asarray(quotient + up, dtype=np.int64)
