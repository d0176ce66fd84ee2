"""What happens to trees from one season to the next: growth, death by crowding, thinning, cut and replanting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.growth import stand_state
from models.simulator.draws import Draws, FloatArray
from models.simulator.stand import (
    CUT,
    DEAD,
    THINNED,
    Stand,
    Treatment,
    Trees,
    join,
    planting_rows,
    site_quality,
    volume_residual,
)

NEIGHBOURS = 8
BREAST_HEIGHT_M = 1.3
YOUNG_YEARS = 8
"""Seasons in which seedlings and sprouts grow by their own pace; after them, by the site's height-age curve."""
# Ground-based trials put the mean yearly growth of a season within some 8 % of the long run.
SEASON_SD = 0.08


@dataclass(frozen=True)
class Crowding:
    """How each standing tree fares among its nearest neighbours.

    Attributes
    ----------
    relative_size : ndarray
        Diameter over the mean of the eight nearest neighbours.
    relative_density : ndarray
        Stems per area around the tree over the mean of its plot.
    """

    relative_size: FloatArray
    relative_density: FloatArray


def crowding(trees: Trees) -> Crowding:
    """Crowding of trees that all stand; one that stands alone is neither large nor crowded."""
    if len(trees) < 2:
        return Crowding(np.ones(len(trees)), np.ones(len(trees)))
    xy = np.stack([trees.x_m, trees.y_m], axis=1)
    distance, index = cKDTree(xy).query(xy, k=min(NEIGHBOURS + 1, len(trees)))
    size = trees.dbh_cm / np.maximum(trees.dbh_cm[index[:, 1:]].mean(axis=1), 0.5)
    density = 1.0 / np.maximum(distance[:, -1], 0.5) ** 2
    mean = plot_mean(density, trees.plot)
    return Crowding(size, density / mean)


def plot_mean(values: FloatArray, plot: NDArray[np.int16]) -> FloatArray:
    """Mean of each tree's plot, by tree."""
    total = np.bincount(plot, weights=values)
    count = np.bincount(plot)
    return np.asarray((total / np.maximum(count, 1))[plot])


def grow_season(
    trees: Trees, stands: Sequence[Stand], areas_ha: Sequence[float], year: int, draws: Draws
) -> Trees:
    """Trees after the growing season of `year`; some have died of crowding.

    The stand as a whole follows its height-age curve and density diagram; within it a tree grows by its size among its
    neighbours, by its room, by the ground and by its own vigour.
    """
    season = 1 + SEASON_SD * draws.one_normal(f"season/{year}")
    up = np.flatnonzero(trees.standing)
    if not up.size:
        return trees
    now = trees.take(up)
    mature = np.array([stands[p].planted_year for p in now.plot]) == now.planted_year
    near = crowding(now)
    quality = site_quality(draws, now.x_m, now.y_m)
    height, dbh, yield_index = _stand_growth(now, stands, areas_ha, year)
    ground = 1 + 0.12 * quality
    height_step = season * height * ground * np.clip(near.relative_size, 0.5, 1.3) ** 0.4 * now.vigour
    share = np.clip(near.relative_size, 0.4, 1.8) ** 0.9 * np.clip(near.relative_density, 0.3, 2.5) ** -0.35
    share = share * ground * now.vigour
    dbh_step = season * dbh * share / np.maximum(plot_mean(share, now.plot), 1e-9)
    young = _young_growth(now, stands, draws, year, season)
    dbh_cm, height_m = trees.dbh_cm.copy(), trees.height_m.copy()
    height_m[up] = np.where(mature, now.height_m + height_step, young[0])
    dbh_cm[up] = np.where(mature, now.dbh_cm + dbh_step, young[1])
    status = trees.status.copy()
    status[up[_die(near, yield_index, mature, draws, year)]] = DEAD
    return replace(trees, dbh_cm=dbh_cm, height_m=height_m, status=status)


def _stand_growth(
    now: Trees, stands: Sequence[Stand], areas_ha: Sequence[float], year: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """By tree: yearly growth of mean height (m) and diameter (cm) of its stand, and its yield index Ry."""
    rows = np.zeros((3, len(stands)))
    count = np.bincount(now.plot, minlength=len(stands))
    for i, stand in enumerate(stands):
        stems = max(count[i] / areas_ha[i], 50.0)
        rows[0, i] = 0.93 * (stand.dominant_height_m(year) - stand.dominant_height_m(year - 1))
        rows[1, i] = stand.mean_dbh_cm(year, stems) - stand.mean_dbh_cm(year - 1, stems)
        if stand.diagram is not None:
            rows[2, i] = stand_state(stand.diagram, stand.dominant_height_m(year), stems).yield_index
    return rows[0][now.plot], rows[1][now.plot], rows[2][now.plot]


def _die(
    near: Crowding, yield_index: FloatArray, mature: NDArray[np.bool_], draws: Draws, year: int
) -> NDArray[np.bool_]:
    """Suppressed trees of crowded stands die first; a stand at Ry 1 loses about 2 % of stems a year."""
    suppressed = np.clip((0.85 - near.relative_size) / 0.35, 0, 1)
    crowded = np.clip((yield_index - 0.6) / 0.4, 0, 1)
    chance = 0.0015 + 0.10 * suppressed * crowded * np.clip(near.relative_density, 0.3, 2.0)
    return np.asarray(mature & (draws.uniform(f"die/{year}", near.relative_size.size) < chance))


def _young_growth(
    now: Trees, stands: Sequence[Stand], draws: Draws, year: int, season: float
) -> tuple[FloatArray, FloatArray]:
    """Height and diameter of seedlings and sprouts after a season; sprouts keep their lead."""
    noise = np.exp(0.15 * draws.normal(f"young/{year}", len(now)))
    pace = np.where(now.height_m > 0.75, 0.85, 0.38)
    age = year - now.planted_year
    for index, planted in {(int(p), int(a)) for p, a in zip(now.plot, age, strict=True) if a > YOUNG_YEARS}:
        curve = stands[index].curve
        risen = 0.93 * (curve.height_m(planted) - curve.height_m(planted - 1))
        pace[(now.plot == index) & (age == planted)] = risen
    step = season * noise * now.vigour * pace
    height = now.height_m + step
    return height, np.maximum(0.85 * (height - BREAST_HEIGHT_M), 0.0)


def treat(trees: Trees, treatment: Treatment, index: int, draws: Draws) -> Trees:
    """Trees after a thinning or cut; a cut takes all, replanting is `replant`."""
    mine = np.flatnonzero(trees.standing & (trees.plot == index))
    status = trees.status.copy()
    if treatment.kind == "cut":
        status[mine] = CUT
        return replace(trees, status=status)
    name = f"thin/{treatment.plot_id}"
    now = trees.take(mine)
    if treatment.line_m > 0.0:
        status[mine[_in_lines(now, treatment, draws)]] = THINNED
        return replace(trees, status=status)
    rank = np.argsort(np.argsort(now.dbh_cm)) / max(mine.size - 1, 1)
    uneven = 0.12 * draws.smooth_field(name, now.x_m, now.y_m, 40.0)
    score = 2.0 * treatment.from_below * (1 - rank) + uneven + 1.1 * draws.uniform(name, mine.size)
    taken = round(treatment.stems_ratio * mine.size)
    status[mine[np.argsort(-score, kind="stable")[:taken]]] = THINNED
    return replace(trees, status=status)


def _in_lines(trees: Trees, treatment: Treatment, draws: Draws) -> NDArray[np.bool_]:
    """Trees that stand in felled lines: of all lines across the plot, the share that was ordered, evenly spread."""
    angle = float(draws.uniform(f"thin/{treatment.plot_id}/line", 1)[0]) * np.pi
    across = trees.x_m * np.cos(angle) + trees.y_m * np.sin(angle)
    line = np.floor((across - across.min(initial=np.inf)) / treatment.line_m)
    return np.asarray(
        np.floor((line + 1) * treatment.stems_ratio) > np.floor(line * treatment.stems_ratio), dtype=np.bool_
    )


def replant(
    trees: Trees,
    stand: Stand,
    index: int,
    treatment: Treatment,
    year: int,
    species: Mapping[str, int],
    draws: Draws,
) -> Trees:
    """Seedlings set in spring of `year`, and two sprouts on every other stump of the cut (再造林・萌芽).

    Sprouts are of the felled species, seedlings of the one the treatment names.
    """
    name = f"replant/{stand.plot_id}"
    stumps = np.flatnonzero((trees.status == CUT) & (trees.plot == index))[::2].repeat(2)
    sprout_xy = draws.normal(f"{name}/sprout", 2 * stumps.size).reshape(2, -1) * 0.25
    seedlings = replace(
        stand, origin="plantation", planted_year=year, stems_per_ha=treatment.seedlings_per_ha
    )
    set_out = species[stand.species if treatment.replant_species is None else treatment.replant_species]
    new = planting_rows(seedlings, draws, name)
    x = np.concatenate([trees.x_m[stumps] + sprout_xy[0], new[0]])
    y = np.concatenate([trees.y_m[stumps] + sprout_xy[1], new[1]])
    n, sprouts = x.size, stumps.size
    size = np.exp(0.2 * draws.normal(f"{name}/size", n))
    recruits = Trees(
        x_m=x,
        y_m=y,
        plot=np.full(n, index, dtype=np.int16),
        species=np.where(np.arange(n) < sprouts, species[stand.species], set_out).astype(np.int8),
        planted_year=np.full(n, year, dtype=np.int16),
        dbh_cm=np.zeros(n),
        height_m=np.where(np.arange(n) < sprouts, 0.8, 0.45) * size,
        vigour=np.exp(0.2 * draws.normal(f"{name}/vigour", n) - 0.02),
        residual=volume_residual(draws, f"{name}/residual", n),
        status=np.zeros(n, dtype=np.int8),
    )
    return join([trees, recruits])
