"""The field crew: which cells become sample plots, and what tape and hypsometer read there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.simulator.draws import Draws, FloatArray
from models.simulator.stand import Trees

SMALLEST_DBH_CM = 1.0


def draw_cells(areas_m2: FloatArray, n: int, draws: Draws, stage: str) -> list[int]:
    """`n` distinct cells: random points one after another, a point in a cell already drawn is drawn again.

    Parameters
    ----------
    areas_m2 : ndarray, shape (cells,)
        Area of each cell inside the plot.

    Raises
    ------
    ValueError
        If there are fewer cells than asked for.
    """
    if n > areas_m2.size:
        raise ValueError(f"expected at most {areas_m2.size} sample plots, got {n}")
    ends = np.cumsum(areas_m2)
    drawn: dict[int, None] = {}
    turn = 0
    while len(drawn) < n:
        points = draws.uniform(stage if turn == 0 else f"{stage}/{turn}", 50 * n) * ends[-1]
        drawn |= dict.fromkeys(np.searchsorted(ends, points, "right").tolist())
        turn += 1
    return list(drawn)[:n]


@dataclass(frozen=True)
class Crew:
    """Errors of one field campaign.

    Attributes
    ----------
    height_bias_m, dbh_bias_cm : float
        Shared by all trees of the campaign.
    height_cv : float
        Standard deviation of a single height over the height.
    dbh_factor : float
        Times Chave's sd of a diameter, 0.0062 D + 0.0904 cm (Chave et al. 2004, tropical trees); cleaner stems read better.
    """

    height_bias_m: float
    dbh_bias_cm: float
    height_cv: float = 0.03
    dbh_factor: float = 0.5


@dataclass(frozen=True)
class Readings:
    """What was written down for the trees asked for.

    Attributes
    ----------
    dbh_mm, height_mm : ndarray of int32
        To 1 mm of diameter and 0.1 m of height; 0 where the tree does not stand.
    """

    dbh_mm: NDArray[np.int32]
    height_mm: NDArray[np.int32]


def measure(trees: Trees, crew: Crew, draws: Draws, stage: str) -> Readings:
    """Read diameter and height of trees, in their order."""
    n = len(trees)
    sd = crew.dbh_factor * (0.0062 * trees.dbh_cm + 0.0904)
    dbh = trees.dbh_cm + crew.dbh_bias_cm + sd * draws.normal(f"{stage}/dbh", n)
    height = trees.height_m * (1 + crew.height_cv * draws.normal(f"{stage}/height", n)) + crew.height_bias_m
    dbh_mm = np.maximum(np.rint(dbh * 10), 1).astype(np.int32)
    height_mm = np.maximum(np.rint(height * 10), 13).astype(np.int32) * 100
    gone = ~trees.standing
    dbh_mm[gone] = 0
    height_mm[gone] = 0
    return Readings(dbh_mm, height_mm)
