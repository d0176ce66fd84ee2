"""Canopy heights from a laser point cloud: highest point of each pixel above the ground surface under it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import laspy
import lazrs
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay

from mrv.errors import Problem, Refusal
from mrv.geometry import MICROMETRES, Grid
from mrv.quantise import half_even
from mrv.terrain import FileTerrain, RasterTerrain, Terrain

GROUND = 2
NOISE = (7, 18)
PIXEL_UM = 500_000
CHUNK_POINTS = 1_000_000
STRIP_ROWS = 512
LARGEST_GRID = 400_000_000
_EMPTY = np.iinfo(np.int64).min
_Long = NDArray[np.int64]
GroundRaster = tuple[Grid, Any]
"""A terrain's grid, and its metres: an array (NaN where unknown), or an open rasterio dataset, read as far as is needed."""


@dataclass
class _Surface:
    """Running highest point per pixel, and every ground point met."""

    grid: Grid
    keep_ground: bool
    keep_top: bool
    top_um: _Long = field(init=False)
    ground: list[_Long] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.top_um = np.full(self.grid.rows * self.grid.cols if self.keep_top else 0, _EMPTY)

    def add(self, x_um: _Long, y_um: _Long, z_um: _Long, ground: NDArray[np.bool_]) -> None:
        if self.keep_top:
            cell, inside = cells_of(self.grid, x_um, y_um)
            np.maximum.at(self.top_um, cell, z_um[inside])
        if self.keep_ground and ground.any():
            self.ground.append(np.stack([x_um[ground], y_um[ground], z_um[ground]]))


def cells_of(grid: Grid, x_um: _Long, y_um: _Long) -> tuple[_Long, NDArray[np.bool_]]:
    """Flat cells of the points that lie on the grid, and which those are."""
    col = (x_um - grid.left_um) // grid.pixel_um
    row = (grid.top_um - y_um) // grid.pixel_um
    inside = (col >= 0) & (col < grid.cols) & (row >= 0) & (row < grid.rows)
    return row[inside] * grid.cols + col[inside], inside


def chm_from_points(
    path: Path,
    *,
    epsg: int,
    nodata_mm: int,
    grid: Grid | None = None,
    pixel_um: int = PIXEL_UM,
    terrain: GroundRaster | None = None,
    chunk_points: int = CHUNK_POINTS,
) -> tuple[Grid, NDArray[np.int32]]:
    """Canopy height raster of a LAS or LAZ file, whole millimetres.

    Height is the highest point of a pixel less the triangulated surface of the ground points (class 2) at the pixel's
    centre. Noise (classes 7 and 18) and withheld points are left out. Pixels without a point, and pixels outside the
    hull of the ground points, have no data. The file is read in chunks; only pixels and ground points stay in memory.
    Nothing is filled here: see `mrv.pits`.

    Parameters
    ----------
    path : Path
        Heights absolute or above ground alike: the ground surface is taken off either way.
    epsg : int
        Plane CRS of the points, m.
    nodata_mm : int
        Written where there is no height.
    grid : Grid, optional
        By default the extent of the points, snapped outward to whole pixels.
    pixel_um : int
        Side of a pixel of the default grid, micrometres.
    terrain : (Grid, ndarray of float64 or rasterio dataset), optional
        Ground in metres, on a grid of the points' CRS and in their datum, in place of the file's ground points; bilinear.

    Returns
    -------
    grid : Grid
    heights_mm : ndarray of int32, shape (rows, cols)

    Raises
    ------
    Refusal
        If the file cannot be read to its end, spans too large a grid, or holds no ground (where no terrain is given).
    """
    surface = _read(path, epsg, grid, pixel_um, chunk_points, keep_ground=terrain is None)
    grid = surface.grid
    ground_at = _ground(path, grid, surface.ground, terrain)
    heights = np.full((grid.rows, grid.cols), nodata_mm, dtype=np.int32)
    top = surface.top_um.reshape(heights.shape)
    x = ((2 * np.arange(grid.cols) + 1) * grid.pixel_um) / 2.0
    y = -((2 * np.arange(grid.rows) + 1) * grid.pixel_um) / 2.0
    for first in range(0, grid.rows, STRIP_ROWS):
        rows, cols = np.nonzero(top[first : first + STRIP_ROWS] != _EMPTY)
        ground = ground_at.at(x[cols], y[first + rows])
        height = (top[first + rows, cols] - ground_at.base_um - ground) / 1000.0
        heights[first + rows, cols] = half_even(height, nodata_mm, np.isfinite(ground))
    return grid, heights


def _ground(path: Path, grid: Grid, ground: list[_Long], terrain: GroundRaster | None) -> Terrain:
    """The terrain handed in, or that of the ground points."""
    if terrain is None:
        return _terrain(path, grid, ground)
    own, values = terrain
    if isinstance(values, np.ndarray):
        return RasterTerrain(values, own, grid.left_um, grid.top_um)
    return FileTerrain(values, own, grid.left_um, grid.top_um)


@dataclass(frozen=True)
class PointHeights:
    """Points with their height above the triangulated ground, one entry a point.

    Attributes
    ----------
    x_um, y_um : ndarray of int64, shape (n,)
    height_mm : ndarray of int64, shape (n,)
    """

    x_um: _Long
    y_um: _Long
    height_mm: _Long


def points_above_ground(
    path: Path, *, epsg: int, terrain: GroundRaster | None = None, chunk_points: int = CHUNK_POINTS
) -> PointHeights:
    """All points of a file above known ground, in memory; for plots, not for whole surveys.

    Parameters and refusals as of `chm_from_points`.
    """
    found = [
        np.stack([x, y, height])
        for x, y, height, _ in heights_of_points(path, epsg=epsg, terrain=terrain, chunk_points=chunk_points)
    ]
    return PointHeights(*np.concatenate([np.zeros((3, 0), dtype=np.int64), *found], axis=1))


def heights_of_points(
    path: Path, *, epsg: int, terrain: GroundRaster | None = None, chunk_points: int = CHUNK_POINTS
) -> Iterator[tuple[_Long, _Long, _Long, NDArray[np.bool_]]]:
    """Chunk by chunk: place (µm), height above ground (mm), and whether it is a ground point; noise left out.

    Points where the ground is not known are left out. Parameters and refusals as of `chm_from_points`.
    """
    surface = _read(path, epsg, None, PIXEL_UM, chunk_points, keep_ground=terrain is None, keep_top=False)
    ground_at = _ground(path, surface.grid, surface.ground, terrain)
    with reading(path) as reader:
        for x, y, z, soil in points_of(path, reader, chunk_points):
            ground = ground_at.at(x - surface.grid.left_um, y - surface.grid.top_um)
            known = np.isfinite(ground)
            height = np.rint((z[known] - ground_at.base_um - ground[known]) / 1000.0).astype(np.int64)
            yield x[known], y[known], height, soil[known]


@dataclass(frozen=True)
class _Terrain:
    """Triangulated ground, heights in µm above `base_um`; places relative to the grid's corner."""

    base_um: int
    interpolate: LinearNDInterpolator

    def at(self, x_um: NDArray[Any], y_um: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(self.interpolate(np.column_stack([x_um, y_um])), dtype=np.float64)


def _terrain(path: Path, grid: Grid, ground: list[_Long]) -> _Terrain:
    x, y, z = np.concatenate(ground, axis=1) if ground else np.zeros((3, 0), dtype=np.int64)
    order = np.lexsort((z, y, x))
    x, y, z = x[order], y[order], z[order]
    first = np.ones(x.size, dtype=np.bool_)  # of several ground points at one place the lowest stays
    first[1:] = (np.diff(x) != 0) | (np.diff(y) != 0)
    x, y, z = x[first], y[first], z[first]
    if x.size < 3 or _width_um(x, y) < grid.pixel_um:
        raise Refusal([_no_ground(path, x.size)])
    base = int(z.min())
    mesh = Delaunay(np.column_stack(_nudged(x - grid.left_um, y - grid.top_um)))
    return _Terrain(base, LinearNDInterpolator(mesh, (z - base).astype(np.float64)))


def _width_um(x_um: _Long, y_um: _Long) -> float:
    """How far points lie off the line from the first to the one farthest from it."""
    x, y = (x_um - x_um[0]).astype(np.float64), (y_um - y_um[0]).astype(np.float64)
    far = int(np.argmax(x * x + y * y))
    length = float(np.hypot(x[far], y[far]))
    return float(np.abs(x * y[far] - y * x[far]).max()) / length


def _nudged(x_um: _Long, y_um: _Long) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Move points by up to half a millimetre, by their own coordinates.

    Coordinates in whole centimetres put many points on common circles, where the triangulation would hang on the last
    bit of the library's arithmetic.
    """
    mixed = (x_um * 73_856_093) ^ (y_um * 19_349_663)
    return x_um + (mixed % 1009 - 504.0), y_um + ((mixed // 1009) % 1013 - 506.0)


def _read(
    path: Path,
    epsg: int,
    grid: Grid | None,
    pixel_um: int,
    chunk_points: int,
    keep_ground: bool,
    keep_top: bool = True,
) -> _Surface:
    with reading(path) as reader:
        surface = _Surface(grid or snapped_grid(path, reader.header, epsg, pixel_um), keep_ground, keep_top)
        if keep_ground or keep_top:
            for part in points_of(path, reader, chunk_points):
                surface.add(*part)
    return surface


@contextmanager
def reading(path: Path) -> Iterator[Any]:
    """An open point file; what cannot be read, at opening or later, is a refusal."""
    try:
        with laspy.open(path) as reader:
            yield reader
    except (laspy.errors.LaspyException, lazrs.LazrsError, EOFError, OSError, ValueError) as error:
        if isinstance(error, Refusal):
            raise
        raise Refusal([_unreadable(path, str(error))]) from error


def points_of(
    path: Path, reader: Any, chunk_points: int
) -> Iterator[tuple[_Long, _Long, _Long, NDArray[np.bool_]]]:
    """Points without noise, chunk by chunk to the last of the file."""
    met = 0
    for points in reader.chunk_iterator(chunk_points):
        met += len(points)
        yield from _kept(points, reader.header)
    if met != reader.header.point_count:
        raise Refusal([_unreadable(path, f"{met} of {reader.header.point_count} points")])


def _kept(points: Any, header: Any) -> Iterator[tuple[_Long, _Long, _Long, NDArray[np.bool_]]]:
    classes = np.asarray(points.classification)
    keep = ~np.isin(classes, NOISE) & ~np.asarray(points.withheld).astype(np.bool_)
    x, y, z = (
        _micrometres(np.asarray(raw)[keep], scale, offset)
        for raw, scale, offset in zip(
            (points.X, points.Y, points.Z), header.scales, header.offsets, strict=True
        )
    )
    if x.size:
        yield x, y, z, classes[keep] == GROUND


def _micrometres(raw: NDArray[np.int32], scale: float, offset: float) -> _Long:
    step = scale * MICROMETRES
    whole = round(step)
    if whole and abs(step - whole) < 1e-6 * whole:
        scaled = raw.astype(np.int64) * whole
    else:
        scaled = np.rint(raw * step).astype(np.int64)
    return scaled + round(offset * MICROMETRES)


def snapped_grid(path: Path, header: Any, epsg: int, pixel_um: int) -> Grid:
    low = [round(float(v) * MICROMETRES) for v in header.mins[:2]]
    high = [round(float(v) * MICROMETRES) for v in header.maxs[:2]]
    left, top = low[0] // pixel_um, -(-high[1] // pixel_um)
    rows = (top * pixel_um - low[1]) // pixel_um + 1
    cols = high[0] // pixel_um - left + 1
    if not 0 < rows * cols <= LARGEST_GRID or rows <= 0 or cols <= 0:
        raise Refusal([_too_large(path, rows, cols)])
    return Grid(epsg, left * pixel_um, top * pixel_um, pixel_um, rows, cols)


def _no_ground(path: Path, found: int) -> Problem:
    return Problem(
        code="points.no_ground",
        where=path.name,
        expected_en="at least three ground points (class 2) that are not in one line or strip of a pixel's width",
        expected_ja="一直線（1画素幅の帯）上にない3点以上の地面点（クラス2）",
        got_en=f"{found}",
        got_ja=f"{found}点",
        todo_en="Classify the ground first, or hand in a terrain raster.",
        todo_ja="地面分類を行うか、地形モデル（DTM）を提出してください。",
    )


def _unreadable(path: Path, got: str) -> Problem:
    return Problem(
        code="points.unreadable",
        where=path.name,
        expected_en="a LAS or LAZ file that is readable to its last point",
        expected_ja="最後の点まで読めるLASまたはLAZファイル",
        got_en=got,
        got_ja=got,
        todo_en="Export or copy it again.",
        todo_ja="書き出しまたはコピーをやり直してください。",
    )


def _too_large(path: Path, rows: int, cols: int) -> Problem:
    return Problem(
        code="points.extent",
        where=path.name,
        expected_en=f"an extent of up to {LARGEST_GRID} pixels",
        expected_ja=f"{LARGEST_GRID}画素以内の範囲",
        got_en=f"{rows} × {cols} pixels by its header",
        got_ja=f"ヘッダによれば{rows} × {cols}画素",
        todo_en="Check the unit and the CRS, and remove stray points.",
        todo_ja="単位と座標系を確かめ、外れた点を除いてください。",
    )
