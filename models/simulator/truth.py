"""What the simulator knows and no measurement is told: true CO2e of every plot, and what changed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.biomass import YOUNG_TO_AGE, SpeciesFactors, co2_g
from models.simulator.draws import FloatArray
from models.simulator.stand import CUT, THINNED, Trees
from models.volume import EquationSet, select_class, stem_volume_cm3

COMPONENTS = ("growth", "recruited", "replanted", "thinned", "cut", "died")


@dataclass(frozen=True)
class PlotTruth:
    """True stock of one plot, g CO2e, at both dates, and the parts of its change (they sum to it)."""

    plot_id: str
    stock_first_g: int
    stock_last_g: int
    components_g: Mapping[str, int]

    @property
    def change_g(self) -> int:
        return self.stock_last_g - self.stock_first_g


@dataclass(frozen=True)
class Science:
    """Equations and factors of the site's species, in the site's order, and the shared error that nature drew.

    Attributes
    ----------
    shared : tuple of float
        True over tabulated CO2e, the same for all trees of a species at both dates.
    """

    equations: tuple[EquationSet, ...]
    factors: tuple[SpeciesFactors, ...]
    shared: tuple[float, ...]


def true_co2_g(trees: Trees, first: Trees, year: int, science: Science) -> FloatArray:
    """True CO2e of every tree, g; 0 where it does not stand.

    Parameters
    ----------
    first : Trees
        The same site at the first date: a tree keeps that date's volume equation.
    """
    out = np.zeros(len(trees))
    start = np.full(len(trees), -1, dtype=np.int64)
    start[: len(first)] = np.rint(first.dbh_cm * 10).astype(np.int64)
    for s, (equations, factors) in enumerate(zip(science.equations, science.factors, strict=True)):
        mine = np.flatnonzero(trees.standing & (trees.species == s))
        if not mine.size:
            continue
        dbh_mm = np.rint(trees.dbh_cm[mine] * 10).astype(np.int64)
        height_mm = np.rint(trees.height_m[mine] * 1000).astype(np.int64)
        kept = np.where(start[mine] >= 0, start[mine], dbh_mm)
        volume = stem_volume_cm3(equations, dbh_mm, height_mm, select_class(equations, kept))
        young = year - trees.planted_year[mine] <= YOUNG_TO_AGE
        out[mine] = co2_g(volume, factors, young) * trees.residual[mine] * science.shared[s]
    return out


def plot_truth(
    first: Trees, last: Trees, years: tuple[int, int], plot_ids: Sequence[str], science: Science
) -> tuple[PlotTruth, ...]:
    """True stocks and change of every plot."""
    before = np.zeros(len(last))
    before[: len(first)] = true_co2_g(first, first, years[0], science)
    after = true_co2_g(last, first, years[1], science)
    new = np.arange(len(last)) >= len(first)
    planted = last.planted_year > years[0]
    groups: dict[str, NDArray[np.bool_]] = {
        "growth": last.standing & ~new,
        "recruited": new & ~planted,
        "replanted": new & planted,
        "thinned": ~new & (last.status == THINNED),
        "cut": ~new & (last.status == CUT),
    }
    groups["died"] = ~np.logical_or.reduce(list(groups.values()))
    change = after - before
    out = []
    for i, plot_id in enumerate(plot_ids):
        mine = last.plot == i
        parts = {name: round(float(change[mine & groups[name]].sum())) for name in COMPONENTS}
        stock = round(float(before[mine].sum()))
        out.append(PlotTruth(plot_id, stock, stock + sum(parts.values()), parts))
    return tuple(out)
