"""Stage 2, biomass: stem volume and CO2e of every tree of the sample plots, whole cm³ and grams.

Heights that nobody measured come from the survey's own curves (`mrv.height_curves`), whole mm.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.biomass import YOUNG_TO_AGE, SpeciesFactors, co2_g
from models.volume import EquationSet, select_class, stem_volume_cm3
from mrv.project import Project
from mrv.results import HeightCurve, Inventory, TreeStock
from mrv.survey import Survey, TreeList
from mrv.tables import Tables
from mrv.tree_heights import TreeHeights, species_heights

# Steps of the derivatives: small against a tree, large against a gram.
HEIGHT_STEP_MM = 100
DBH_STEP_MM = 1


def measure_inventory(
    survey: Survey, project: Project, tables: Tables, earlier: Inventory | None = None
) -> Inventory:
    """Volume and CO2e of every tree of a survey.

    A tree that was there at the earlier date keeps its volume equation and its expansion factor: both step (at a diameter limit,
    at age 20), and across a step a growing tree would show a loss that never happened.

    Parameters
    ----------
    earlier : Inventory, optional
        The same project's inventory at the first date.

    Raises
    ------
    UnknownSpecies
        If a species has no equation or no factors in the project's prefecture.
    OutOfRange
        If heights of a species are missing and too few were measured.
    Refusal
        If the heights measured at the last date are those of trees that were taller than others at the first.
    """
    if survey.trees is None:
        return Inventory(survey.survey_id, (), ())
    trees = survey.trees
    known = {(t.sample_plot_id, t.tag): t for t in earlier.trees} if earlier else {}
    out: list[TreeStock | None] = [None] * len(trees)
    unverified: set[str] = set()
    curves: list[HeightCurve] = []
    for species in sorted(set(trees.species.tolist())):
        equations = tables.equation_set(project.prefecture, species)
        factors = tables.factors(project.prefecture, species)
        if not tables.equations_verified(project.prefecture, species):
            unverified.add(f"{species}: stem volume equation")
        unverified.update(f"{species}: {name}" for name in factors.unverified_constants)
        index = np.flatnonzero(trees.species == species)
        before = [known.get((str(trees.sample_plot_id[i]), str(trees.tag[i]))) for i in index]
        same = [b if b is not None and b.species == species else None for b in before]
        heights = species_heights(trees, index, same, survey.survey_id, earlier)
        curves += heights.curves
        stocks = _stocks(survey, trees, index, before, heights, equations, factors)
        for i, stock in zip(index, stocks, strict=True):
            out[i] = stock
    found = tuple(t for t in out if t is not None)
    return Inventory(survey.survey_id, found, tuple(sorted(unverified)), tuple(curves))


def _stocks(
    survey: Survey,
    trees: TreeList,
    index: NDArray[np.intp],
    before: Sequence[TreeStock | None],
    heights: TreeHeights,
    equations: EquationSet,
    factors: SpeciesFactors,
) -> list[TreeStock]:
    standing = trees.status[index] == "alive"
    dbh = np.where(standing, trees.dbh_mm[index], 0)
    height = heights.height_mm
    classes = _classes(equations, dbh, before)
    young = _young(survey, trees, index, before)

    def co2(d: NDArray[np.int32], h: NDArray[np.int32]) -> NDArray[np.int64]:
        return co2_g(stem_volume_cm3(equations, d, h, classes), factors, young)

    volume = stem_volume_cm3(equations, dbh, height, classes)
    stock = co2_g(volume, factors, young)
    taller = (co2(dbh, height + np.where(standing, HEIGHT_STEP_MM, 0)) - stock) * (1000 // HEIGHT_STEP_MM)
    thicker = (co2(dbh + np.where(standing, DBH_STEP_MM, 0), height) - stock) * (10 // DBH_STEP_MM)
    return [
        TreeStock(
            sample_plot_id=str(trees.sample_plot_id[i]),
            tag=str(trees.tag[i]),
            species=str(trees.species[i]),
            status=str(trees.status[i]),
            equation=equations.classes[classes[k]].id,
            young_bef=bool(young[k]),
            volume_cm3=int(volume[k]),
            co2_g=int(stock[k]),
            co2_per_m_height_g=int(taller[k]),
            co2_per_cm_dbh_g=int(thicker[k]),
            dbh_mm=int(dbh[k]),
            height_mm=int(height[k]),
            height_source=heights.source[k],
            curve_slopes_g=_grams(int(taller[k]), heights.slopes.get(k)),
            first_curve_slopes_g=_grams(int(taller[k]), heights.first_slopes.get(k)),
        )
        for k, i in enumerate(index)
    ]


def _grams(per_metre_g: int, slopes: NDArray[np.float64] | None) -> tuple[int, ...]:
    return () if slopes is None else tuple(round(per_metre_g * float(s)) for s in slopes)


def _classes(
    equations: EquationSet, dbh: NDArray[np.int32], before: Sequence[TreeStock | None]
) -> NDArray[np.int64]:
    position = {equation.id: k for k, equation in enumerate(equations.classes)}
    classes = select_class(equations, dbh)
    for k, stock in enumerate(before):
        if stock is not None and stock.equation in position:
            classes[k] = position[stock.equation]
    return classes


def _young(
    survey: Survey, trees: TreeList, index: NDArray[np.intp], before: Sequence[TreeStock | None]
) -> NDArray[np.bool_]:
    planted = trees.planted_year[index]
    # Of unknown age, or said to be younger than a plot that nobody replanted: the smaller factor of old trees.
    young = (planted > 0) & (survey.day.year - planted <= YOUNG_TO_AGE)
    plots = _young_plots(survey)
    of_sample = {s.sample_plot_id: s.plot_id in plots for s in survey.sample_plots}
    young &= np.array([of_sample.get(str(i), False) for i in trees.sample_plot_id[index]], dtype=np.bool_)
    for k, stock in enumerate(before):
        if stock is not None:
            young[k] = stock.young_bef
    return np.asarray(young, dtype=np.bool_)


def _young_plots(survey: Survey) -> set[str]:
    """Plots whose register age, or a replanting on record, allows trees of at most `YOUNG_TO_AGE` years."""
    replanted = {a.plot_id for a in survey.actions if a.kind == "replant" and a.day <= survey.day}
    return replanted | {
        p.plot_id
        for p in survey.plots
        if p.planted_year is not None and survey.day.year - p.planted_year <= YOUNG_TO_AGE
    }
