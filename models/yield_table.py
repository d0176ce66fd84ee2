"""Yield tables (収穫予想表): standing volume and growth of a treated stand by age, as the user's table says."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

from models.checks import quantity
from models.errors import OutOfRange


@dataclass(frozen=True)
class YieldRow:
    """One age of a yield table.

    Attributes
    ----------
    age_years : float
    volume_m3_ha : float
        Standing stem volume (主林木材積) after any thinning at this age.
    thinned_m3_ha : float
        Stem volume felled at this age (間伐材積).
    height_m, stems_ha, mean_dbh_cm : float or None
        After thinning; None where the table is silent.
    """

    age_years: float
    volume_m3_ha: float
    thinned_m3_ha: float = 0.0
    height_m: float | None = None
    stems_ha: float | None = None
    mean_dbh_cm: float | None = None


@dataclass(frozen=True)
class YieldTable:
    """One stand type of a yield table: species, region, site class (地位) and treatment (施業).

    Raises
    ------
    OutOfRange
        If there are fewer than two ages, they do not rise, or a figure is negative or no number (its row is named).

    Notes
    -----
    Between two ages volume rises along a straight line to what stands before the thinning of the later age, and drops there.
    """

    species: str
    region: str
    site_class: int
    treatment: str
    rows: tuple[YieldRow, ...]
    source: str
    verified: bool

    def __post_init__(self) -> None:
        for index, row in enumerate(self.rows, 1):
            for name, value in vars(row).items():
                if value is not None or name in ("age_years", "volume_m3_ha", "thinned_m3_ha"):
                    quantity(f"{self.label}: row {index} (counted from 1), {name}", value, above=False)
        ages = [r.age_years for r in self.rows]
        if len(ages) < 2 or any(b <= a for a, b in pairwise(ages)):
            raise OutOfRange(
                en=f"{self.label}: expected two or more ages in rising order, got {ages}; sort the table",
                ja=f"{self.label}: 林齢は昇順で2つ以上必要ですが、{ages}でした。表を並べ替えてください",
            )

    @property
    def label(self) -> str:
        """How messages name the table."""
        return f"{self.species}/{self.region}/{self.site_class}/{self.treatment}"

    def standing_m3_ha(self, age_years: float) -> float:
        """Standing stem volume, m³/ha; at an age of thinning, what is left after it.

        Raises
        ------
        OutOfRange
            If the age lies outside the table; nothing is extrapolated.
        """
        k, share = self._place(age_years)
        row = self.rows[k]
        if share == 0.0:
            return row.volume_m3_ha
        later = self.rows[k + 1]
        return row.volume_m3_ha + share * (later.volume_m3_ha + later.thinned_m3_ha - row.volume_m3_ha)

    def thinned_between_m3_ha(self, from_years: float, to_years: float) -> float:
        """Stem volume felled after `from_years`, up to and at `to_years`, m³/ha; ages outside the table hold none."""
        quantity("from_years", from_years, above=False)
        quantity("to_years", to_years, above=False)
        return sum(r.thinned_m3_ha for r in self.rows if from_years < r.age_years <= to_years)

    def growth_m3_ha(self, from_years: float, to_years: float) -> float:
        """Volume grown between two ages, whether it stands or was thinned, m³/ha: ΔTrunk of the J-Credit form.

        Growth less `thinned_between_m3_ha` is the change of standing volume.

        Raises
        ------
        OutOfRange
            If the second age is the lower one, or one lies outside the table.
        """
        if to_years < from_years:
            raise OutOfRange(
                en=f"{self.label}: expected a later age second, got {from_years} and {to_years}",
                ja=f"{self.label}: 後の林齢を2番目に指定してください（{from_years}、{to_years}）",
            )
        change = self.standing_m3_ha(to_years) - self.standing_m3_ha(from_years)
        return change + self.thinned_between_m3_ha(from_years, to_years)

    def height_m(self, age_years: float) -> float:
        """Height, m, along straight lines between ages.

        Raises
        ------
        OutOfRange
            If the age lies outside the table or the table gives no height there.
        """
        k, share = self._place(age_years)
        near = [row.height_m for row in (self.rows[k : k + 2] if share else self.rows[k : k + 1])]
        if near[0] is None or near[-1] is None:
            raise OutOfRange(
                en=f"{self.label}: expected a height at age {age_years}, got none; fill in height_m",
                ja=f"{self.label}: 林齢{age_years}の樹高がありません。樹高を記入してください",
            )
        return near[0] + share * (near[-1] - near[0])

    def _place(self, age_years: float) -> tuple[int, float]:
        quantity("age_years", age_years, above=False)
        ages = [r.age_years for r in self.rows]
        if not ages[0] <= age_years <= ages[-1]:
            raise OutOfRange(
                en=f"{self.label}: expected an age from {ages[0]} to {ages[-1]} years, got {age_years}; the table is not extrapolated",
                ja=f"{self.label}: 林齢は{ages[0]}～{ages[-1]}年が必要ですが、{age_years}年でした。表の外挿はしません",
            )
        k = bisect_right(ages, age_years) - 1
        share = 0.0 if k == len(ages) - 1 else (age_years - ages[k]) / (ages[k + 1] - ages[k])
        return k, share


class HasSiteHeight(Protocol):
    """A height curve or yield table of one site class."""

    @property
    def site_class(self) -> int: ...

    def height_m(self, age_years: float) -> float: ...


Curve = TypeVar("Curve", bound=HasSiteHeight)


def site_class_of(curves: Sequence[Curve], age_years: float, dominant_height_m: float) -> Curve:
    """The site class (地位) of a stand from its dominant height at a known age, rounded to the poorer class.

    Parameters
    ----------
    curves : sequence of HeightCurve or YieldTable
        One species' classes.
    age_years, dominant_height_m : float

    Returns
    -------
    The tallest curve that the stand reaches.

    Raises
    ------
    OutOfRange
        If the stand is below the poorest class: nothing is credited to a class it does not reach.

    References
    ----------
    J-Credit FO-001 lets site class come from laser or photo heights since 2021-08-31; the conservative rounding is recalled.
    """
    quantity("dominant_height_m", dominant_height_m)
    reached = [c for c in curves if c.height_m(age_years) <= dominant_height_m]
    if not reached:
        classes = {c.site_class: round(c.height_m(age_years), 2) for c in curves}
        raise OutOfRange(
            en=f"expected a dominant height of at least one site class at age {age_years} (m by class: {classes}), got "
            f"{dominant_height_m} m; check the age, or give a table for poorer sites",
            ja=f"林齢{age_years}の上層樹高はいずれかの地位以上が必要ですが（地位別 m: {classes}）、{dominant_height_m} mでした。"
            "林齢を確かめるか、より低い地位の表を用意してください",
        )
    return max(reached, key=lambda c: c.height_m(age_years))
