"""How far the canopy of one survey lies beside that of another, in millimetres, reported with its error. Nothing is moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.coregister import estimate_shift
from mrv.errors import Problem, Refusal
from mrv.geometry import Grid

WINDOW_PX = 2048
REACH_MM = 3000


@dataclass(frozen=True)
class Coregistration:
    """Where the later canopy stands relative to the earlier one.

    Attributes
    ----------
    east_mm, north_mm : float
        Shift of the later survey.
    east_se_mm, north_se_mm : float
    offset_mm : float
        Later less earlier height where nothing was felled: growth and height bias together.
    correlation_before, correlation : float
        Of both canopies, as they lie and after the shift.
    pixels : int
        Pixels used.
    """

    east_mm: float
    north_mm: float
    east_se_mm: float
    north_se_mm: float
    offset_mm: float
    correlation_before: float
    correlation: float
    pixels: int

    @property
    def distance_mm(self) -> float:
        return float(np.hypot(self.east_mm, self.north_mm))


def coregistration(
    first_mm: NDArray[np.int32],
    first_grid: Grid,
    last_mm: NDArray[np.int32],
    last_grid: Grid,
    nodata_mm: int,
    reach_mm: int = REACH_MM,
) -> Coregistration:
    """Shift between the canopies of two dates, on grids of one pixel size that need not be aligned.

    Of a large common area the middle 2048 × 2048 pixels are used.

    Parameters
    ----------
    first_mm, last_mm : ndarray of int32, shape (rows, cols) of each grid
    reach_mm : int
        Largest shift that is sought.

    Raises
    ------
    Refusal
        If CRS or pixel size differ, or the grids have no area in common.
    OutOfRange
        If no shift within reach makes the two agree.
    """
    if (first_grid.epsg, first_grid.pixel_um) != (last_grid.epsg, last_grid.pixel_um):
        raise Refusal([_grids_differ(first_grid, last_grid)])
    pixel = first_grid.pixel_um
    col = round((last_grid.left_um - first_grid.left_um) / pixel)
    row = round((first_grid.top_um - last_grid.top_um) / pixel)
    rows = _common(first_grid.rows, last_grid.rows, row)
    cols = _common(first_grid.cols, last_grid.cols, col)
    if rows[0] >= rows[1] or cols[0] >= cols[1]:
        raise Refusal([_grids_differ(first_grid, last_grid)])
    first = first_mm[rows[0] : rows[1], cols[0] : cols[1]]
    last = last_mm[rows[0] - row : rows[1] - row, cols[0] - col : cols[1] - col]
    reach = max(-(-reach_mm * 1000 // pixel), 1)
    found = estimate_shift(first, last, first != nodata_mm, last != nodata_mm, int(reach))
    off_east = (last_grid.left_um - first_grid.left_um) - col * pixel
    off_north = (last_grid.top_um - first_grid.top_um) + row * pixel
    side = pixel / 1000.0
    return Coregistration(
        east_mm=found.cols * side + off_east / 1000.0,
        north_mm=-found.rows * side + off_north / 1000.0,
        east_se_mm=found.cols_se * side,
        north_se_mm=found.rows_se * side,
        offset_mm=found.offset,
        correlation_before=found.correlation_before,
        correlation=found.correlation,
        pixels=found.used,
    )


def _common(first: int, last: int, shift: int) -> tuple[int, int]:
    """Common rows (or columns), counted on the first grid, no more than the window holds."""
    start, until = max(shift, 0), min(last + shift, first)
    spare = max(until - start - WINDOW_PX, 0)
    return start + spare // 2, until - (spare - spare // 2)


def _grids_differ(first: Grid, last: Grid) -> Problem:
    return Problem(
        code="raster.grids_differ",
        where="canopy",
        expected_en="two canopies of one CRS and pixel size that cover common ground",
        expected_ja="座標系と画素サイズが同じで、重なる範囲のある2時期の樹冠高",
        got_en=f"{first.to_doc()} and {last.to_doc()}",
        got_ja=f"{first.to_doc()} と {last.to_doc()}",
        todo_en="Export both with the same pixel size in the same CRS.",
        todo_ja="同じ座標系・同じ画素サイズで書き出してください。",
    )
