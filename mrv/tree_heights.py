"""Heights of every tree of an inventory: as measured, or from the survey's own curves (rules: `mrv.height_curves`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange
from models.height_diameter import Form
from models.small_least_squares import line
from mrv.errors import Problem, Refusal
from mrv.height_curves import FEWEST_PAIRS, CurvePair, FilledHeights, Pairs, SpeciesCurve, species_curve
from mrv.results import HeightCurve, Inventory, TreeStock
from mrv.survey import TreeList

_I = NDArray[np.int32]
FROM_CURVE = ("curve", "calibrated", "kept")
# Trees measured again that were taller for their diameter than the rest of their date: beyond chance, and by more than this, the
# later curve stands too high and its growth was never grown.
TALLER_SHARE = 0.02
TALLER_T = 3.5


@dataclass(frozen=True)
class TreeHeights:
    """Heights of the trees of one species, in their order.

    Attributes
    ----------
    height_mm : ndarray of int32, shape (n,)
    source : list of str
        As `TreeStock.height_source`.
    slopes, first_slopes : mapping of position to ndarray, shape (p,)
        Of the height by the coefficients of this date's and the first date's curve, m per unit, where it rests on them.
    curves : tuple of HeightCurve
    """

    height_mm: _I
    source: list[str]
    slopes: Mapping[int, NDArray[np.float64]]
    first_slopes: Mapping[int, NDArray[np.float64]]
    curves: tuple[HeightCurve, ...]


def species_heights(
    trees: TreeList,
    index: NDArray[np.intp],
    before: Sequence[TreeStock | None],
    survey_id: str,
    earlier: Inventory | None,
) -> TreeHeights:
    """Heights of the trees of one species.

    Parameters
    ----------
    index : ndarray of int, shape (n,)
        Their rows in the tree list.
    before : sequence of TreeStock or None, length n
        The same trees at the first date.

    Raises
    ------
    OutOfRange
        If heights are missing and too few were measured; intake refuses such a tree list.
    Refusal
        If the heights measured again are those of trees that were taller for their diameter than others.
    """
    standing = trees.status[index] == "alive"
    dbh = np.where(standing, trees.dbh_mm[index], 0).astype(np.int32)
    height = np.where(standing, trees.height_mm[index], 0).astype(np.int32)
    source = [_source(bool(s), int(h), b) for s, h, b in zip(standing, height, before, strict=True)]
    if not set(source) & set(FROM_CURVE):
        return TreeHeights(height, source, {}, {}, ())
    species, plots = str(trees.species[index[0]]), trees.sample_plot_id[index]
    first = _first_curve(species, earlier)
    form = first.curve.form if first else None
    standing_tags = {(str(trees.sample_plot_id[i]), str(trees.tag[i])) for i in index[standing]}
    stayed = _first_curve(species, earlier, standing_tags, form)
    if stayed is not None:
        _check_not_taller(stayed, plots, standing, height > 0, before, f"{survey_id} {species}")
    now = species_curve(Pairs(plots, dbh, height), form)
    slopes: dict[int, NDArray[np.float64]] = {}
    first_slopes: dict[int, NDArray[np.float64]] = {}

    def take(chosen: list[int], filled: FilledHeights) -> None:
        height[chosen] = filled.height_mm
        for kind, values in ((slopes, filled.slopes), (first_slopes, filled.first_slopes)):
            kind.update({i: v for i, v in zip(chosen, values, strict=True) if v.any()})

    on_curve = [k for k, kind in enumerate(source) if kind == "curve"]
    take(on_curve, CurvePair(now, first).fill(plots[on_curve], dbh[on_curve]))
    grown = [k for k, kind in enumerate(source) if kind == "calibrated"]
    earliest = np.array([(b.dbh_mm, b.height_mm) for k in grown if (b := before[k])], dtype=np.int32)
    earliest = earliest.reshape(len(grown), 2)
    take(grown, CurvePair(now, stayed).grow(plots[grown], dbh[grown], earliest[:, 0], earliest[:, 1]))
    if stayed is None:
        source = ["kept" if kind == "calibrated" else kind for kind in source]
    curves = [now.record(survey_id, species, "standing", len(slopes))]
    if first_slopes and stayed is not None and earlier is not None:
        curves.append(stayed.record(earlier.survey_id, species, "survivors", len(first_slopes)))
    return TreeHeights(height, source, slopes, first_slopes, tuple(curves))


def _check_not_taller(
    first: SpeciesCurve,
    plots: NDArray[np.str_],
    standing: NDArray[np.bool_],
    measured: NDArray[np.bool_],
    before: Sequence[TreeStock | None],
    where: str,
) -> None:
    """Compare the trees measured at both dates with those of the first date that still stand: on average they must be alike.

    What is compared is the height of the first date over its curve, freed of a trend with diameter: measuring the thick ones is fair.
    """
    then = [
        (k, b.dbh_mm, b.height_mm)
        for k, b in enumerate(before)
        if b is not None and _was_measured(b, standing[k])
    ]
    rows, dbh, height = np.array(then, dtype=np.int32).reshape(len(then), 3).T
    again = measured[rows]
    if int(again.sum()) < FEWEST_PAIRS:
        return
    ratio = height / CurvePair(first, None).fill(plots[rows], dbh).height_mm
    level, trend = line(dbh.astype(np.float64), ratio)
    excess = (ratio - level - trend * dbh)[again]
    mean, error = float(excess.mean()), float(excess.std(ddof=1)) / sqrt(excess.size)
    if mean <= TALLER_SHARE or mean <= TALLER_T * error:
        return
    raise Refusal(
        [
            Problem(
                code="change.heights_of_taller_trees",
                where=where,
                expected_en="heights measured again of trees that were neither taller nor shorter for their diameter than others",
                expected_ja="同じ直径の他の木と比べて高くも低くもない木の再測",
                got_en=f"{excess.size} trees that stood {mean:.1%} above the others at the first date",
                got_ja=f"初回に同径木より平均 {mean:.1%} 高かった {excess.size} 本",
                todo_en="Measure the heights that were measured at the first date, or others drawn by chance; a curve through tall trees shows growth that was not.",
                todo_ja="初回に樹高を測った木か、無作為に選んだ木の樹高を測ってください。高い木だけの曲線は存在しない成長を示します。",
            )
        ]
    )


def _was_measured(before: TreeStock, stands: np.bool_) -> bool:
    return bool(stands) and before.height_source == "measured" and before.height_mm > 0


def _source(standing: bool, height_mm: int, before: TreeStock | None) -> str:
    if not standing:
        return "none"
    if before is None or before.height_source == "none":
        return "measured" if height_mm > 0 else "curve"
    if before.height_source == "measured":
        return "measured" if height_mm > 0 else "calibrated"
    return "curve"


def _first_curve(
    species: str,
    earlier: Inventory | None,
    of: Collection[tuple[str, str]] | None = None,
    form: Form | None = None,
) -> SpeciesCurve | None:
    """The first date's curve from the heights measured then, of all trees or of some; None where they were too few."""
    if earlier is None:
        return None
    mine = [
        t
        for t in earlier.trees
        if t.species == species
        and t.height_source == "measured"
        and t.height_mm > 0
        and (of is None or (t.sample_plot_id, t.tag) in of)
    ]
    pairs = Pairs(
        np.array([t.sample_plot_id for t in mine], dtype=np.str_),
        np.array([t.dbh_mm for t in mine], dtype=np.int32),
        np.array([t.height_mm for t in mine], dtype=np.int32),
    )
    try:
        return species_curve(pairs, form)
    except OutOfRange:
        return None  # said by "kept" in the evidence of every tree that would have needed it
