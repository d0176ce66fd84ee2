"""The probability sample: cells of a fixed 20 m grid, and the trees in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, box, intersection, union

from apps.demo.definition import Definition, PlotRow
from models.simulator import Draws, Trees, draw_cells
from models.simulator.crew import SMALLEST_DBH_CM
from models.simulator.stand import inside

CELL_M = 20
SMALLEST_M2 = 150.0
MILLIMETRE = 0.001


@dataclass(frozen=True)
class DemoSample:
    """One permanent sample plot: a cell of the 20 m grid cut at its plot's boundary.

    Attributes
    ----------
    ring_mm : tuple of (x, y)
        In the plane CRS.
    trees : ndarray of int
        Trees measured at the second date, in order of tag: those of the first date, then recruits.
    tagged_first : int
        How many of them were tagged at the first date.
    """

    sample_plot_id: str
    plot_id: str
    ring_mm: tuple[tuple[int, int], ...]
    trees: NDArray[np.intp]
    tagged_first: int


def sample_plots(definition: Definition, first: Trees, last: Trees, draws: Draws) -> tuple[DemoSample, ...]:
    """Draw the permanent sample plots of every plot, and find the trees that stand or stood in them."""
    out = []
    for index, plot in enumerate(definition.plots):
        pieces = cells(plot)
        areas = np.array([c.area for c in pieces])
        drawn = draw_cells(areas, plot.sample_plots, draws, f"sample/{plot.plot_id}")
        for number, cell in enumerate(sorted(drawn), start=1):
            out.append(
                _sample(definition, plot, index, f"{plot.plot_id}-S{number}", pieces[cell], first, last)
            )
    return tuple(out)


@cache
def cells(plot: PlotRow) -> tuple[Polygon, ...]:
    """Cells of the site's 20 m grid cut at the plot's boundary; together they are the plot.

    A cell cut in two is two, and a piece too small to measure belongs to the neighbour it shares the longest border with.
    """
    polygon = Polygon(plot.ring_m)
    low_x, low_y, high_x, high_y = (int(v // CELL_M) for v in polygon.bounds)
    pieces: list[Polygon] = []
    for row in range(low_y, high_y + 1):
        for col in range(low_x, high_x + 1):
            x, y = col * CELL_M, row * CELL_M
            cut = intersection(polygon, box(x, y, x + CELL_M, y + CELL_M), grid_size=MILLIMETRE)
            pieces += [p for p in getattr(cut, "geoms", [cut]) if isinstance(p, Polygon) and not p.is_empty]
    while (small := min(pieces, key=lambda p: float(p.area))).area < SMALLEST_M2:
        pieces.remove(small)
        best = max(pieces, key=lambda p: float(small.intersection(p).length))
        pieces[pieces.index(best)] = union(small, best, grid_size=MILLIMETRE)
    return tuple(pieces)


def _sample(
    definition: Definition, plot: PlotRow, index: int, name: str, cell: Polygon, first: Trees, last: Trees
) -> DemoSample:
    ring = list(cell.exterior.coords)[:-1]
    here = (last.plot == index) & inside(ring, last.x_m, last.y_m)
    old = np.arange(len(last)) < len(first)
    old_size = np.zeros(len(last))
    old_size[: len(first)] = first.dbh_cm
    tagged = np.flatnonzero(here & old & (old_size >= SMALLEST_DBH_CM))
    recruits = np.flatnonzero(here & ~old & last.standing & (last.dbh_cm >= SMALLEST_DBH_CM))
    walk = [idx[np.lexsort((last.x_m[idx], np.floor(last.y_m[idx] / 2.5)))] for idx in (tagged, recruits)]
    return DemoSample(name, plot.plot_id, to_plane_mm(definition, ring), np.concatenate(walk), tagged.size)


def to_plane_mm(definition: Definition, ring_m: Sequence[tuple[float, float]]) -> tuple[tuple[int, int], ...]:
    """A ring of the site's frame in whole millimetres of the plane CRS."""
    east, north = definition.origin_mm
    return tuple((east + round(x * 1000), north + round(y * 1000)) for x, y in ring_m)
