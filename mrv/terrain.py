"""Terrain handed in as a raster, in place of the ground points of a cloud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrv.geometry import MICROMETRES, Grid


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


def _between(
    near: NDArray[np.float64], far: NDArray[np.float64], share: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear between two values; what carries no weight may be unknown."""
    mixed = near + (far - near) * share
    return np.asarray(np.where(share == 0, near, np.where(share == 1, far, mixed)), dtype=np.float64)
