"""A canopy raster read in strips of whole cells: which pixels lie in which cell and plot, however large the area."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from mrv.canopy import NODATA_MM
from mrv.geometry import Grid, rows_of, zone_mask
from mrv.results import Canopy
from mrv.survey import Plot, SamplePlot

STRIP_PIXELS = 2_000_000
CACHE_MB = 256
OUTSIDE = -1
_Long = NDArray[np.int64]


def cells_over(grid: Grid, cell_mm: int) -> Grid:
    """Cells on whole multiples of their side that cover a grid."""
    left, top = grid.left_um // 1000 // cell_mm, -(-grid.top_um // 1000 // cell_mm)
    right = -(-(grid.left_um + grid.cols * grid.pixel_um) // 1000 // cell_mm)
    bottom = (grid.top_um - grid.rows * grid.pixel_um) // 1000 // cell_mm
    return Grid(
        grid.epsg, left * cell_mm * 1000, top * cell_mm * 1000, cell_mm * 1000, top - bottom, right - left
    )


def cell_grid(canopy: Canopy, cell_mm: int) -> Grid:
    """Cells on whole multiples of their side that cover a canopy raster."""
    return cells_over(Grid(**canopy.grid), cell_mm)


@dataclass(frozen=True)
class CellEdges:
    """Where cells begin and end on a finer grid, by pixel centres.

    Attributes
    ----------
    row_start : ndarray of int64, shape (cells.rows + 1,)
        Pixel rows ``row_start[i]`` until ``row_start[i + 1]`` have their centres in cell row i; columns alike.
    """

    grid: Grid
    cells: Grid
    row_start: _Long
    col_start: _Long

    @classmethod
    def of(cls, grid: Grid, cells: Grid) -> CellEdges:
        side = cells.pixel_um // 1000
        col = (grid.centres_x_mm() - cells.left_um // 1000) // side
        row = (cells.top_um // 1000 - grid.centres_y_mm()) // side
        return cls(
            grid,
            cells,
            np.searchsorted(row, np.arange(cells.rows + 1)).astype(np.int64),
            np.searchsorted(col, np.arange(cells.cols + 1)).astype(np.int64),
        )

    def batches(self, strip_pixels: int = STRIP_PIXELS) -> Iterator[tuple[int, int]]:
        """Runs of cell rows, from and until, of at most so many pixels, at least one row of cells each."""
        start = 0
        while start < self.cells.rows:
            until = start + 1
            rows = max(strip_pixels // max(self.grid.cols, 1), 1)
            while until < self.cells.rows and self.row_start[until + 1] - self.row_start[start] <= rows:
                until += 1
            yield start, until
            start = until


@dataclass(frozen=True)
class CellStrip:
    """Pixels of some rows of cells.

    Attributes
    ----------
    cell_row, cell_rows : int
        First row of cells, and how many.
    grid : Grid
        Of the strip's pixels.
    heights : ndarray of int32, shape (rows, cols)
        mm, `NODATA_MM` where there is none.
    cell : ndarray of int64, shape (rows, cols)
        Number of the cell within the strip, row by row; `OUTSIDE` beyond the cells.
    halo : ndarray of int32, shape (rows + 2, cols + 2)
        The same heights with one pixel more on every side.
    """

    cells: Grid
    cell_row: int
    cell_rows: int
    grid: Grid
    heights: NDArray[np.int32]
    cell: _Long
    halo: NDArray[np.int32]

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.cell_rows * self.cells.cols

    @property
    def shape(self) -> tuple[int, int]:
        return self.cell_rows, self.cells.cols

    def labels(self, zones: Sequence[Plot | SamplePlot]) -> NDArray[np.int32]:
        """Number of the polygon that each pixel's centre lies in, the last where they overlap; `OUTSIDE` elsewhere."""
        found = np.full(self.heights.shape, OUTSIDE, dtype=np.int32)
        for number, zone in enumerate(zones):
            first, until = rows_of(self.grid, zone.rings_mm)
            if first >= until:
                continue
            mask = zone_mask(self.grid, zone.rings_mm)
            rows, cols = mask.inside.shape
            found[mask.row : mask.row + rows, mask.col : mask.col + cols][mask.inside] = number
        return found

    def sums(self, inside: NDArray[np.bool_]) -> tuple[_Long, _Long]:
        """Pixels with a height and their sum per cell, over the pixels chosen; shape of both (cell_rows, cells.cols)."""
        chosen = inside & (self.heights != NODATA_MM) & (self.cell != OUTSIDE)
        cell = self.cell[chosen]
        count = np.bincount(cell, minlength=self.size)
        # whole numbers well below 2**53: exact
        total = np.bincount(cell, weights=self.heights[chosen], minlength=self.size)
        return (
            count.astype(np.int64).reshape(self.shape),
            total.astype(np.int64).reshape(self.shape),
        )

    def by_cell(self, inside: NDArray[np.bool_]) -> NDArray[np.int32]:
        """Heights of each cell's chosen pixels, shape (cells, most pixels of one), filled with `NODATA_MM`."""
        edges = CellEdges.of(self.grid, self._own_cells())
        rows, cols = _places(edges.row_start), _places(edges.col_start)
        padded = np.full((self.heights.shape[0] + 1, self.heights.shape[1] + 1), NODATA_MM, dtype=np.int32)
        padded[:-1, :-1] = np.where(inside, self.heights, NODATA_MM)
        table = padded[rows[:, None, :, None], cols[None, :, None, :]]
        return np.asarray(table.reshape(self.size, -1))

    def _own_cells(self) -> Grid:
        top = self.cells.top_um - self.cell_row * self.cells.pixel_um
        return replace(self.cells, top_um=top, rows=self.cell_rows)


def _places(start: _Long) -> _Long:
    """Pixels of each cell along one axis, shape (cells, most pixels), −1 (the padding) where a cell has fewer."""
    count = np.diff(start)
    most = max(int(count.max(initial=0)), 1)
    offset = np.arange(most)
    return np.where(offset < count[:, None], start[:-1, None] + offset, -1)


class CanopyStrips:
    """A quantised canopy raster as strips of whole cells.

    Parameters
    ----------
    source : rasterio dataset
        int32 mm.
    grid : Grid
        Where its pixels are taken to lie; not the file's own where a canopy is moved.
    """

    def __init__(self, source: Any, grid: Grid, cells: Grid) -> None:
        self._source, self.grid, self.cells = source, grid, cells
        self.edges = CellEdges.of(grid, cells)
        cols = np.repeat(np.arange(cells.cols), np.diff(self.edges.col_start))
        self._col = np.full(grid.cols, OUTSIDE, dtype=np.int64)
        self._col[self.edges.col_start[0] : self.edges.col_start[-1]] = cols

    def strip(self, first: int, until: int) -> CellStrip:
        """Rows of cells from `first` until `until`."""
        top, bottom = (int(self.edges.row_start[i]) for i in (first, until))
        halo = np.full((bottom - top + 2, self.grid.cols + 2), NODATA_MM, dtype=np.int32)
        above, below = max(top - 1, 0), min(bottom + 1, self.grid.rows)
        if bottom > top:
            read = self._source.read(1, window=Window(0, above, self.grid.cols, below - above))
            halo[above - top + 1 : below - top + 1, 1:-1] = read
        row = np.repeat(np.arange(until - first), np.diff(self.edges.row_start[first : until + 1]))
        cell = np.where(self._col == OUTSIDE, OUTSIDE, row[:, None] * self.cells.cols + self._col)
        top_um = self.grid.top_um - top * self.grid.pixel_um
        return CellStrip(
            cells=self.cells,
            cell_row=first,
            cell_rows=until - first,
            grid=replace(self.grid, top_um=top_um, rows=bottom - top),
            heights=halo[1:-1, 1:-1],
            cell=cell,
            halo=halo,
        )


@contextmanager
def open_strips(
    canopy: Canopy, raster: Path, cells: Grid, moved: tuple[int, int] = (0, 0)
) -> Iterator[CanopyStrips]:
    """A survey's canopy as strips of cells; `moved` by whole pixels, rows and columns, down and to the right."""
    grid = Grid(**canopy.grid)
    rows, cols = moved
    grid = replace(
        grid, left_um=grid.left_um + cols * grid.pixel_um, top_um=grid.top_um - rows * grid.pixel_um
    )
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(raster, driver="GTiff") as source:
        yield CanopyStrips(source, grid, cells)
