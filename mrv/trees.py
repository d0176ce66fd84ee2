"""Treetops of a canopy raster, with coordinates and heights in whole millimetres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.treetops import CrownWindow, raster_treetops, smooth
from mrv.geometry import Grid

DEFAULT_WINDOW = CrownWindow(base=600.0, slope=0.04)


@dataclass(frozen=True)
class TreetopSettings:
    """How treetops are sought. The defaults suit closed stands on pixels of half a metre.

    Chosen on one plot of 110 trees (Chablais); they find what shows from above, not what stands beneath it.

    Attributes
    ----------
    window : CrownWindow
        In millimetres.
    minimum_mm : int
        Lowest treetop.
    smoothed : bool
        Whether the surface is smoothed (1-2-1) before maxima are sought, so that one crown gives one top.
    """

    window: CrownWindow = DEFAULT_WINDOW
    minimum_mm: int = 2000
    smoothed: bool = True


DEFAULT = TreetopSettings()


@dataclass(frozen=True)
class Treetops:
    """Treetops in reading order, one entry a top.

    Attributes
    ----------
    x_mm, y_mm : ndarray of int64, shape (n,)
        Centre of the pixel, plane CRS of the grid.
    height_mm : ndarray of int64, shape (n,)
        Highest of the nine cells around.
    """

    x_mm: NDArray[np.int64]
    y_mm: NDArray[np.int64]
    height_mm: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.x_mm.size)

    def in_metres(self) -> NDArray[np.float64]:
        """East, north, height, m, shape (n, 3)."""
        return np.column_stack([self.x_mm, self.y_mm, self.height_mm]) / 1000.0


def find_treetops(
    heights_mm: NDArray[np.int32], grid: Grid, nodata_mm: int, settings: TreetopSettings = DEFAULT
) -> Treetops:
    """Treetops of a quantised canopy raster.

    All in integers but the window's radius (one product and one sum): the same on every machine.

    Parameters
    ----------
    heights_mm : ndarray of int32, shape (rows, cols)
    nodata_mm : int
        Value of cells without data; they neither are nor beat a treetop.
    """
    valid = heights_mm != nodata_mm
    highest = _highest_of_nine(heights_mm, valid)
    surface = smooth(heights_mm, valid) if settings.smoothed else heights_mm.astype(np.int64)
    height = highest if settings.smoothed else surface
    rows, cols = raster_treetops(
        surface, valid, height, grid.pixel_um / 1000.0, settings.window, settings.minimum_mm
    )
    return Treetops(grid.centres_x_mm()[cols], grid.centres_y_mm()[rows], highest[rows, cols])


def _highest_of_nine(heights_mm: NDArray[np.int32], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    low = int(heights_mm[valid].min()) if valid.any() else 0
    filled = np.where(valid, heights_mm, low).astype(np.int64)
    for axis in (0, 1):
        before = np.moveaxis(filled, axis, 0)
        filled = filled.copy()
        after = np.moveaxis(filled, axis, 0)
        np.maximum(after[1:], before[:-1], out=after[1:])
        np.maximum(after[:-1], before[1:], out=after[:-1])
    return filled
