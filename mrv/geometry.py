"""Grids and polygons in whole millimetres: which pixel centres lie in a polygon, decided in integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from mrv.errors import Problem, Refusal

Ring = Sequence[tuple[int, int]]
MICROMETRES = 1_000_000


@dataclass(frozen=True)
class Grid:
    """A north-up raster grid.

    Attributes
    ----------
    left_um, top_um : int
        Outer corner of the first pixel, micrometres in the plane CRS.
    pixel_um : int
        Side of a square pixel, micrometres.
    """

    epsg: int
    left_um: int
    top_um: int
    pixel_um: int
    rows: int
    cols: int

    def centres_x_mm(self) -> NDArray[np.int64]:
        """East coordinate of every column's pixel centres, rounded half-even to mm, shape (cols,)."""
        doubled = 2 * np.arange(self.cols, dtype=np.int64) + 1
        return _half_even_mm(2 * self.left_um + doubled * self.pixel_um)

    def centres_y_mm(self) -> NDArray[np.int64]:
        """North coordinate of every row's pixel centres, rounded half-even to mm, shape (rows,)."""
        doubled = 2 * np.arange(self.rows, dtype=np.int64) + 1
        return _half_even_mm(2 * self.top_um - doubled * self.pixel_um)

    @property
    def transform(self) -> Affine:
        side = self.pixel_um / MICROMETRES
        return Affine(side, 0.0, self.left_um / MICROMETRES, 0.0, -side, self.top_um / MICROMETRES)

    def to_doc(self) -> dict[str, Any]:
        return {
            "epsg": self.epsg,
            "left_um": self.left_um,
            "top_um": self.top_um,
            "pixel_um": self.pixel_um,
            "rows": self.rows,
            "cols": self.cols,
        }


def _half_even_mm(twice_um: NDArray[np.int64]) -> NDArray[np.int64]:
    quotient, rest = np.divmod(twice_um, 2000)
    up = (rest > 1000) | ((rest == 1000) & (quotient % 2 == 1))
    return np.asarray(quotient + up, dtype=np.int64)


def grid_of(transform: Affine, rows: int, cols: int, epsg: int, name: str) -> Grid:
    """Grid of a raster from its affine transform.

    Raises
    ------
    Refusal
        If the raster is rotated, not north-up, or its pixels are not square.
    """
    square = abs(transform.a + transform.e) <= 1e-9 * abs(transform.a)
    if transform.b != 0 or transform.d != 0 or transform.a <= 0 or not square:
        raise Refusal(
            [
                Problem(
                    code="raster.not_north_up",
                    where=name,
                    expected_en="a north-up raster with square pixels",
                    expected_ja="北が上で正方形画素のラスタ",
                    got_en=f"transform {tuple(transform)[:6]}",
                    got_ja=f"変換係数 {tuple(transform)[:6]}",
                    todo_en="Export it again without rotation.",
                    todo_ja="回転なしで書き出し直してください。",
                )
            ]
        )
    return Grid(
        epsg=epsg,
        left_um=round(transform.c * MICROMETRES),
        top_um=round(transform.f * MICROMETRES),
        pixel_um=round(transform.a * MICROMETRES),
        rows=rows,
        cols=cols,
    )


@dataclass(frozen=True)
class ZoneMask:
    """Pixels of one polygon: a window of the grid and a mask in it."""

    row: int
    col: int
    inside: NDArray[np.bool_]


def rows_of(grid: Grid, rings: Sequence[Ring]) -> tuple[int, int]:
    """Rows of a grid, from and until, outside of which a polygon covers no pixel and holds no centre."""
    north = [y for ring in rings for _, y in ring]
    if not north:
        return 0, 0
    first = (grid.top_um - max(north) * 1000) // grid.pixel_um - 1
    until = (grid.top_um - min(north) * 1000) // grid.pixel_um + 2
    return min(max(first, 0), grid.rows), min(max(until, 0), grid.rows)


def zone_mask(grid: Grid, rings: Sequence[Ring]) -> ZoneMask:
    """Pixels whose centres lie inside a polygon, by the even-odd rule in exact integers.

    A centre on a left or lower edge counts as inside, on a right or upper edge as outside, so that polygons that share an edge
    never share a pixel. Polygons that reach beyond the grid are cut there.

    Parameters
    ----------
    rings : sequence of rings of (x, y) in mm
        Outer and inner rings alike.

    Returns
    -------
    ZoneMask
        ``inside`` has shape (rows, cols) of the window; empty where the polygon misses the grid.
    """
    xs, ys = grid.centres_x_mm(), grid.centres_y_mm()
    points = np.array([p for ring in rings for p in ring], dtype=np.int64)
    low, high = points.min(axis=0), points.max(axis=0)
    col0, col1 = np.searchsorted(xs, low[0], "left"), np.searchsorted(xs, high[0], "right")
    row0, row1 = np.searchsorted(-ys, -high[1], "left"), np.searchsorted(-ys, -low[1], "right")
    xs, ys = xs[col0:col1] - low[0], ys[row0:row1] - low[1]
    flips = np.zeros((ys.size, xs.size + 1), dtype=np.uint8)
    for ring in rings:
        _flip_edges(flips, xs, ys, np.array(ring, dtype=np.int64) - low)
    inside = np.bitwise_xor.accumulate(flips, axis=1)[:, : xs.size].astype(bool)
    return ZoneMask(int(row0), int(col0), inside)


def _flip_edges(
    flips: NDArray[np.uint8], xs: NDArray[np.int64], ys: NDArray[np.int64], ring: NDArray[np.int64]
) -> None:
    """Toggle, in every row an edge crosses, the first pixel at or right of the crossing."""
    for (x1, y1), (x2, y2) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        if y1 > y2:
            x1, y1, x2, y2 = x2, y2, x1, y1
        rows = np.flatnonzero((ys >= y1) & (ys < y2))
        crossing = x1 - (-(ys[rows] - y1) * (x2 - x1)) // (y2 - y1)  # the crossing, rounded up
        np.bitwise_xor.at(flips, (rows, np.searchsorted(xs, crossing, "left")), 1)
