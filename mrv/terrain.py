"""Terrain handed in as a raster, in place of the ground points of a cloud."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from rasterio.windows import Window

from mrv.geometry import MICROMETRES, Grid

BLOCK_ROWS = 256
HIGHEST_M = 1e5


class Terrain(Protocol):
    """Ground heights in µm above `base_um`, at places in µm east and north of the outer corner of a grid's first pixel."""

    @property
    def base_um(self) -> int: ...

    def at(self, x_um: NDArray[Any], y_um: NDArray[Any]) -> NDArray[np.float64]:
        """NaN where the ground is not known."""
        ...


@dataclass(frozen=True)
class RasterTerrain:
    """Bilinear between the pixel centres of a terrain raster; unknown where one of the four is.

    Attributes
    ----------
    metres : ndarray of float64, shape (rows, cols) of `grid`
        NaN where it has no data. Heights and datum as those of the points.
    grid : Grid
        Of the raster, of any pixel size and origin in the points' CRS.
    left_um, top_um : int
        Corner of the grid on which the canopy is made.
    """

    metres: NDArray[np.float64]
    grid: Grid
    left_um: int
    top_um: int
    base_um: int = 0

    def at(self, x_um: NDArray[Any], y_um: NDArray[Any]) -> NDArray[np.float64]:
        col = (x_um + (self.left_um - self.grid.left_um)) / self.grid.pixel_um - 0.5
        row = ((self.grid.top_um - self.top_um) - y_um) / self.grid.pixel_um - 0.5
        inside = (col >= 0) & (row >= 0) & (col <= self.grid.cols - 1) & (row <= self.grid.rows - 1)
        col, row = np.where(inside, col, 0.0), np.where(inside, row, 0.0)
        c, r = np.floor(col).astype(np.int64), np.floor(row).astype(np.int64)
        right, below = np.minimum(c + 1, self.grid.cols - 1), np.minimum(r + 1, self.grid.rows - 1)
        u, v = col - c, row - r
        upper = _between(self.metres[r, c], self.metres[r, right], u)
        lower = _between(self.metres[below, c], self.metres[below, right], u)
        return np.where(inside, _between(upper, lower, v) * MICROMETRES, np.nan)


@dataclass(frozen=True)
class FileTerrain:
    """The same from a file, of which no more rows are held than the places asked for need.

    Attributes
    ----------
    source : rasterio dataset
        First band, metres; its nodata, and what no terrain can be, is unknown ground.
    """

    source: Any
    grid: Grid
    left_um: int
    top_um: int
    base_um: int = 0

    def at(self, x_um: NDArray[Any], y_um: NDArray[Any]) -> NDArray[np.float64]:
        found = np.full(np.shape(y_um), np.nan)
        row = np.floor(((self.grid.top_um - self.top_um) - y_um) / self.grid.pixel_um - 0.5)
        block = row // BLOCK_ROWS
        # once per block of the raster's rows, whatever the order of the places
        order = np.argsort(block, kind="stable")
        ends = np.flatnonzero(np.diff(block[order])) + 1
        for some in np.split(order, ends) if order.size else []:
            # whole blocks, so that a place's height does not hang on which others were asked for
            first = max(int(block[some[0]]) * BLOCK_ROWS, 0)
            until = min((int(block[some[0]]) + 1) * BLOCK_ROWS + 1, self.grid.rows)
            if first < until:
                found[some] = self._part(first, until).at(x_um[some], y_um[some])
        return found

    def _part(self, first: int, until: int) -> RasterTerrain:
        window = Window(0, first, self.grid.cols, until - first)
        metres = read_ground(self.source, window)
        grid = replace(self.grid, top_um=self.grid.top_um - first * self.grid.pixel_um, rows=until - first)
        return RasterTerrain(metres, grid, self.left_um, self.top_um, self.base_um)


def read_ground(source: Any, window: Window | None = None) -> NDArray[np.float64]:
    """Metres of a terrain raster, NaN where it says nodata or holds what is no height on Earth."""
    band = source.read(1, window=window, masked=True)
    metres = np.asarray(np.ma.filled(band.astype(np.float64), np.nan))
    with np.errstate(invalid="ignore"):
        metres[~(np.abs(metres) < HIGHEST_M)] = np.nan
    return metres


def _between(
    near: NDArray[np.float64], far: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear between two values; what carries no weight may be unknown."""
    mixed = near + (far - near) * share
    return np.asarray(np.where(share == 0, near, np.where(share == 1, far, mixed)), dtype=np.float64)
