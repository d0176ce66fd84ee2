"""Thinning (間伐) at a given ratio: which trees fall, and what is left of a stand."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi, sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import column, positive, quantity
from models.errors import OutOfRange
from models.growth import (
    DensityDiagram,
    StandState,
    full_stems_ha,
    stand_state,
    surviving_stems_ha,
    volume_m3_ha,
)

How = Literal["below", "above", "line"]
"""From below (下層間伐): the smallest; from above (上層間伐): the largest; in lines (列状間伐): every so-many-th, of any size."""


def felled_trees(
    dbh_mm: ArrayLike,
    ratio: float,
    how: How,
    weight: ArrayLike | None = None,
) -> NDArray[np.bool_]:
    """Trees that fall when a stand is thinned.

    Parameters
    ----------
    dbh_mm : array_like, shape (n,)
        Diameters, mm, not below zero; equal ones fall in the order of the list.
    ratio : float
        Share that falls, 0 to 1: of the stems (本数間伐率), half to even, or of `weight` (材積間伐率 where it is volume), as near as
        whole trees allow.
    how : {"below", "above", "line"}
    weight : array_like, shape (n,), optional
        Volume or basal area of each tree, not below zero.

    Returns
    -------
    ndarray of bool, shape (n,)

    Raises
    ------
    OutOfRange
        If the ratio is not in [0, 1]; naming the row of a diameter or weight that is missing or negative.
    """
    quantity("thinning ratio 間伐率", ratio, above=False, high=1.0)
    if how not in get_args(How):
        raise OutOfRange(
            en=f"how: expected one of {', '.join(get_args(How))}, got {how!r}; correct the treatment",
            ja=f"how: {', '.join(get_args(How))} のいずれかが必要ですが、{how!r}でした。施業の指定を直してください",
        )
    size = _not_negative("dbh_mm", dbh_mm)
    weight = None if weight is None else _not_negative("weight", weight, size.size)
    n = size.size
    order = _order(size, ratio, how)
    if weight is None:
        count = round(ratio * n)
    else:
        felled = np.concatenate([[0.0], np.cumsum(weight[order], dtype=np.float64)])
        count = int(np.argmin(np.abs(felled - ratio * felled[-1])))
    out = np.zeros(n, dtype=np.bool_)
    out[order[:count]] = True
    return out


def _not_negative(name: str, values: ArrayLike, n: int | None = None) -> NDArray[np.float64]:
    given = np.asarray(values)
    if given.size == 0 and n in (None, 0):
        return np.empty(0)
    found = column(name, values, n)
    positive(name, np.where(found < 0, found, 1.0), "no values below zero, but values", "0以上の値")
    return found


def _order(size: NDArray[np.float64], ratio: float, how: How) -> NDArray[np.intp]:
    if how != "line":
        return np.argsort(size if how == "below" else -size, kind="stable")
    # trees at which the running share of felled ones passes a whole number, then the others
    passed = np.floor(np.arange(1, size.size + 1) * ratio) > np.floor(np.arange(size.size) * ratio)
    return np.argsort(~passed, kind="stable")


@dataclass(frozen=True)
class FelledShare:
    """What share of a stand falls: of its stems, its volume, its basal area."""

    stems: float
    volume: float
    basal_area: float


def felled_share(felled: ArrayLike, dbh_mm: ArrayLike, volume_cm3: ArrayLike) -> FelledShare:
    """Shares of stems, volume and basal area that fall, from a list of trees.

    Parameters
    ----------
    felled : array_like of bool, shape (n,)
    dbh_mm, volume_cm3 : array_like, shape (n,)
        Diameter, mm, and stem volume, cm³, of every tree.

    Raises
    ------
    OutOfRange
        If no tree has volume or lengths differ; naming the row of a value that is missing or negative.
    """
    falls = np.asarray(felled, dtype=np.bool_)
    dbh = _not_negative("dbh_mm", dbh_mm, falls.size)
    volume = _not_negative("volume_cm3", volume_cm3, falls.size)
    if not falls.size or volume.sum() <= 0:
        raise OutOfRange(
            en=f"expected trees with volume to thin, got {falls.size} trees; list the stand's trees",
            ja=f"間伐には材積のある立木が必要ですが、{falls.size}本でした。立木を記入してください",
        )
    area = dbh**2
    if area.sum() <= 0:
        raise OutOfRange(
            en="dbh_mm: expected trees with a diameter to thin, got none; measure them",
            ja="dbh_mm: 間伐には直径のある立木が必要です。測定してください",
        )
    return FelledShare(
        stems=float(falls.mean()),
        volume=float(volume[falls].sum() / volume.sum()),
        basal_area=float(area[falls].sum() / area.sum()),
    )


def thinned(diagram: DensityDiagram, stand: StandState, felled: FelledShare) -> StandState:
    """A stand after known shares of it fell. Dominant height stays, so it is too high where the tallest fell.

    Parameters
    ----------
    stand : StandState
        Before; per ha.
    felled : FelledShare
        0 to below 1 each, from `felled_share`.

    Raises
    ------
    OutOfRange
        If nothing would be left, or a share is negative or no number.
    """
    shares = (felled.stems, felled.volume, felled.basal_area)
    if not all(0.0 <= share < 1.0 for share in shares):
        raise OutOfRange(
            en=f"expected a thinning that leaves trees, got {felled}; a stand that falls as a whole is a main cut",
            ja=f"間伐後に立木が残る必要がありますが、{felled}でした。全木の伐採は主伐です",
        )
    stems = stand.stems_ha * (1.0 - felled.stems)
    basal_area = stand.basal_area_m2_ha * (1.0 - felled.basal_area)
    volume = stand.volume_m3_ha * (1.0 - felled.volume)
    full = volume_m3_ha(diagram, stand.height_m, full_stems_ha(diagram, stand.height_m))
    return StandState(
        height_m=stand.height_m,
        stems_ha=stems,
        volume_m3_ha=volume,
        basal_area_m2_ha=basal_area,
        mean_dbh_cm=200.0 * sqrt(basal_area / (pi * stems)),
        yield_index=volume / full,
    )


def thinned_from_below(diagram: DensityDiagram, stand: StandState, stem_ratio: float) -> StandState:
    """A stand after thinning from below by the diagram itself: same dominant height, fewer stems, volume read off the diagram.

    The rule of the diagrams' own handbooks (下層間伐); mean diameter rises, since the small trees fall.

    Parameters
    ----------
    stand : StandState
        Before; per ha.
    stem_ratio : float
        Share of stems that falls (本数間伐率), 0 to below 1.

    Raises
    ------
    OutOfRange
        If the ratio of stems is not from 0 to below 1.
    """
    if not 0.0 <= quantity("stem_ratio", stem_ratio, low=float("-inf")) < 1.0:
        raise OutOfRange(
            en=f"expected a stem ratio from 0 to below 1, got {stem_ratio}; correct the treatment",
            ja=f"本数間伐率は0以上1未満が必要ですが、{stem_ratio}でした。施業の指定を直してください",
        )
    return stand_state(diagram, stand.height_m, stand.stems_ha * (1.0 - stem_ratio))


def grown(diagram: DensityDiagram, stand: StandState, height_m: float) -> StandState:
    """A thinned stand when it has reached a greater dominant height.

    A stand on the diagram stays on it. One that holds less than the diagram says for its stems and height (thinned from above, in
    lines) grows by that much less, and never catches up; one that holds more grows as the diagram does. Crowding kills beyond Ry 1.

    Parameters
    ----------
    height_m : float
        Dominant height then, m, not below the stand's.

    Raises
    ------
    OutOfRange
        If it is below, or no number.
    """
    if quantity("height_m", height_m) < stand.height_m:
        raise OutOfRange(
            en=f"expected a height of {stand.height_m} m or more, got {height_m} m; name the heights in order of time",
            ja=f"樹高は{stand.height_m} m以上が必要ですが、{height_m} mでした。時系列順に指定してください",
        )
    stems = surviving_stems_ha(diagram, height_m, stand.stems_ha)
    before = volume_m3_ha(diagram, stand.height_m, stand.stems_ha)
    then = stand_state(diagram, height_m, stems)
    gain = then.volume_m3_ha - before
    volume = stand.volume_m3_ha + gain * min(1.0, stand.volume_m3_ha / before)
    basal_area = then.basal_area_m2_ha * volume / then.volume_m3_ha
    return StandState(
        height_m=height_m,
        stems_ha=stems,
        volume_m3_ha=volume,
        basal_area_m2_ha=basal_area,
        mean_dbh_cm=200.0 * sqrt(basal_area / (pi * stems)),
        yield_index=then.yield_index * volume / then.volume_m3_ha,
    )
