"""Metrics of a survey's points on cells and polygons: how dense they are, and how their heights are spread.

Points of a file stand in any order, so they are first sorted onto disk by bands of the canopy's rows; then each band is read on
its own. Memory grows with a band, not with the survey.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.canopy_metrics import HEIGHTS, MISSING, groups_of_pairs, height_metrics
from mrv.canopy import TALLEST_M, open_terrain
from mrv.cell_strips import OUTSIDE, CellStrip
from mrv.geometry import Grid
from mrv.points import cells_of, heights_of_points
from mrv.results import Canopy
from mrv.survey import Survey

POINT_METRICS = ("pt_density", "pt_ground_density", *(f"pt_{name}" for name in HEIGHTS))
"""Points and ground points a square metre (thousandths), then the heights of all points, as lidR's ``stdmetrics_z`` takes them:
``pt_cover_2m`` is the share of *all* points above 2 m."""
BAND_ROWS = 64
_RECORD = np.dtype([("row", "<i4"), ("col", "<i4"), ("mm", "<i4"), ("ground", "u1")])
_Long = NDArray[np.int64]


class PointStore:
    """Normalised points on disk, by bands of a canopy's rows.

    Parameters
    ----------
    folder : Path
        Must exist; its files are ours.
    grid : Grid
        Of the canopy: points beyond it are left out.
    """

    def __init__(self, folder: Path, grid: Grid, band_rows: int = BAND_ROWS) -> None:
        self._folder, self.grid, self._band = folder, grid, band_rows
        self._last: tuple[tuple[int, int], NDArray[np.void]] | None = None

    def add(self, x_um: _Long, y_um: _Long, height_mm: _Long, ground: NDArray[np.bool_]) -> None:
        """Take points in any order; heights that no tree can have are left out."""
        cell, inside = cells_of(self.grid, x_um, y_um)
        points = np.zeros(cell.size, dtype=_RECORD)
        points["row"], points["col"] = np.divmod(cell, self.grid.cols)
        points["mm"] = np.clip(height_mm[inside], -(2**31) + 1, 2**31 - 1)
        points["ground"] = ground[inside]
        points = points[np.abs(points["mm"]) <= TALLEST_M * 1000]
        band = points["row"] // self._band
        order = np.argsort(band, kind="stable")
        for some in np.split(order, np.flatnonzero(np.diff(band[order])) + 1) if order.size else []:
            with self._path(int(band[some[0]])).open("ab") as file:
                file.write(points[some].tobytes())

    def _path(self, band: int) -> Path:
        return self._folder / f"{band}.points"

    def rows(self, first: int, until: int) -> NDArray[np.void]:
        """Points of the canopy's rows from `first` until `until`, one record a point."""
        if self._last is not None and self._last[0] == (first, until):
            return self._last[1]
        found = [np.zeros(0, dtype=_RECORD)]
        for band in range(first // self._band, -(-until // self._band)):
            if self._path(band).exists():
                points = np.fromfile(self._path(band), dtype=_RECORD)
                found.append(points[(points["row"] >= first) & (points["row"] < until)])
        self._last = (first, until), np.concatenate(found)
        return self._last[1]

    def _of(self, strip: CellStrip) -> tuple[NDArray[np.void], _Long]:
        """A strip's points, and the row of each within it."""
        first = (self.grid.top_um - strip.grid.top_um) // self.grid.pixel_um
        points = self.rows(first, first + strip.grid.rows)
        return points, points["row"].astype(np.int64) - first

    def cells(self, strip: CellStrip, inside: NDArray[np.bool_]) -> dict[str, _Long]:
        """Metrics of every cell of a strip, over points on the pixels chosen; ndarray of int64, shape (cells,)."""
        points, row = self._of(strip)
        cell = np.where(inside, strip.cell, OUTSIDE)
        which = cell[row, points["col"]]
        found = {
            f"pt_{n}": v for n, v in height_metrics(groups_of_pairs(which, points["mm"], strip.size)).items()
        }
        pixels = np.bincount(cell[cell != OUTSIDE], minlength=strip.size)
        kept = which != OUTSIDE
        for name, chosen in (("pt_density", kept), ("pt_ground_density", kept & (points["ground"] > 0))):
            count = np.bincount(which[chosen], minlength=strip.size)
            per_m2 = count * _thousandths_per_m2(1, self.grid.pixel_um) / np.maximum(pixels, 1)
            found[name] = np.where(pixels > 0, np.rint(per_m2), MISSING).astype(np.int64)
        return found

    def zones(
        self, strip: CellStrip, labels: NDArray[np.int32], count: int
    ) -> dict[int, tuple[NDArray[np.int32], int]]:
        """Heights of the points on each numbered polygon's pixels, and how many of them are ground."""
        points, row = self._of(strip)
        label = labels[row, points["col"]]
        order = np.argsort(label, kind="stable")
        ends = np.searchsorted(label[order], np.arange(count + 1))
        return {
            int(n): (points["mm"][some], int(points["ground"][some].sum()))
            for n in np.flatnonzero(np.diff(ends))
            for some in [order[ends[n] : ends[n + 1]]]
        }


def density(points: int, pixels: int, pixel_um: int) -> int:
    """Points a square metre, thousandths; `MISSING` where there is no pixel."""
    return round(points * _thousandths_per_m2(pixels, pixel_um)) if pixels else MISSING


def _thousandths_per_m2(pixels: int, pixel_um: int) -> float:
    return 1000 * 10**12 / (pixels * pixel_um**2)


@contextmanager
def stored_points(survey: Survey, canopy: Canopy) -> Iterator[PointStore | None]:
    """The points of a survey above its ground (its own, or the terrain handed in); None where it has no points."""
    if survey.points is None:
        yield None
        return
    with ExitStack() as stack:
        path = stack.enter_context(survey.points.opener())
        terrain = open_terrain(survey, stack)
        store = PointStore(Path(stack.enter_context(tempfile.TemporaryDirectory())), Grid(**canopy.grid))
        for chunk in heights_of_points(path, epsg=survey.epsg, terrain=terrain):
            store.add(*chunk)
        yield store
