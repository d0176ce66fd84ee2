"""How a zone's mean canopy height would change were the zone somewhere else: what a location error costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import rasterio
from rasterio.windows import Window

from mrv.canopy import CACHE_MB, zone_heights
from mrv.geometry import Grid, Ring
from mrv.results import Canopy, ZoneHeight

Slopes = Mapping[str, tuple[float, float]]


def canopy_slopes(canopy: Canopy, raster: Path, rings_of: Mapping[str, Sequence[Ring]]) -> Slopes:
    """Change of each zone's mean canopy height per metre that the zone lies too far east, and north (m per m).

    Central difference over one pixel to either side; 0 where a shifted zone holds no height. Pixels around one zone are held at a
    time, so that memory grows with the largest zone and not with the raster.

    Parameters
    ----------
    raster : path
        The quantised canopy raster (int32 mm) of `canopy`.
    rings_of : mapping of zone id to rings of (x, y) in mm
    """
    grid = Grid(**canopy.grid)
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), rasterio.open(raster, driver="GTiff") as source:
        return {zone: _slope(source, grid, rings) for zone, rings in rings_of.items()}


def _slope(source: rasterio.DatasetReader, grid: Grid, rings: Sequence[Ring]) -> tuple[float, float]:
    step_mm = max(1, round(grid.pixel_um / 1000))
    window = _window(grid, rings, step_mm)
    if window.width == 0 or window.height == 0:
        return 0.0, 0.0
    part = replace(
        grid,
        left_um=grid.left_um + window.col_off * grid.pixel_um,
        top_um=grid.top_um - window.row_off * grid.pixel_um,
        rows=window.height,
        cols=window.width,
    )
    heights = source.read(1, window=window)
    slopes = []
    for east, north in ((step_mm, 0), (0, step_mm)):
        moved = {"ahead": _shifted(rings, east, north), "behind": _shifted(rings, -east, -north)}
        ahead, behind = zone_heights(part, heights, moved)
        rise_mm = _mean_mm(ahead) - _mean_mm(behind) if ahead.valid and behind.valid else 0.0
        slopes.append(rise_mm / (2 * step_mm))
    return slopes[0], slopes[1]


def _window(grid: Grid, rings: Sequence[Ring], margin_mm: int) -> Window:
    """Pixels of a polygon and of a margin around it, cut to the grid."""
    corners = [point for ring in rings for point in ring]
    east, north = [x for x, _ in corners], [y for _, y in corners]
    low_um, high_um = (min(east) - margin_mm) * 1000, (max(east) + margin_mm) * 1000
    col0 = min(max((low_um - grid.left_um) // grid.pixel_um - 1, 0), grid.cols)
    col1 = min(max((high_um - grid.left_um) // grid.pixel_um + 2, 0), grid.cols)
    row0 = min(max((grid.top_um - (max(north) + margin_mm) * 1000) // grid.pixel_um - 1, 0), grid.rows)
    row1 = min(max((grid.top_um - (min(north) - margin_mm) * 1000) // grid.pixel_um + 2, 0), grid.rows)
    return Window(col0, row0, col1 - col0, row1 - row0)


def _shifted(rings: Sequence[Ring], east_mm: int, north_mm: int) -> tuple[Ring, ...]:
    return tuple(tuple((x + east_mm, y + north_mm) for x, y in ring) for ring in rings)


def _mean_mm(zone: ZoneHeight) -> float:
    return zone.sum_mm / zone.valid
