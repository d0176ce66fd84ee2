"""Zonal statistics of rasters: exact pixel shares of plots on a grid, held once and used for every date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, chain, pairwise

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from models.zonal import Coverage, ZonalSums, polygon_coverage, zonal_sums
from mrv.geometry import MICROMETRES, Grid, Ring, rows_of, zone_mask

STRIP_PIXELS = 2_000_000
CACHE_MB = 256
UM_PER_MM = 1000


@dataclass(frozen=True)
class Zones:
    """Shares of a grid's pixels in named zones.

    Attributes
    ----------
    ids : tuple of str
        In the order of the shares.
    """

    ids: tuple[str, ...]
    grid: Grid
    coverage: Coverage

    def covered_m2(self) -> NDArray[np.float64]:
        """Area of each zone within the grid, m², shape (zones,)."""
        return np.asarray(self.coverage.covered * (self.grid.pixel_um / MICROMETRES) ** 2)


def exact_zones(grid: Grid, rings_of: Mapping[str, Sequence[Ring]]) -> Zones:
    """Exact share of every pixel in each polygon.

    Parameters
    ----------
    rings_of : mapping of id to rings of (x, y) in mm
        Outer and inner rings alike, in the grid's CRS.

    Raises
    ------
    OutOfRange
        If a polygon crosses itself.
    """
    polygons = _in_pixels(grid, rings_of)
    return Zones(tuple(rings_of), grid, polygon_coverage(polygons, (grid.rows, grid.cols)))


def centre_zones(grid: Grid, rings_of: Mapping[str, Sequence[Ring]]) -> Zones:
    """Whole pixels whose centres lie in each polygon, by the rule of the credited path (`mrv.geometry.zone_mask`)."""
    cells = []
    for rings in rings_of.values():
        mask = zone_mask(grid, rings)
        rows, cols = np.nonzero(mask.inside)
        cells.append((rows + mask.row) * grid.cols + cols + mask.col)
    start = np.concatenate([[0], np.cumsum([c.size for c in cells])]).astype(np.int64)
    cell = np.concatenate([*cells, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    return Zones(tuple(rings_of), grid, Coverage((grid.rows, grid.cols), start, cell, np.ones(cell.size)))


def sums_in_strips(
    source: rasterio.DatasetReader,
    grid: Grid,
    rings_of: Mapping[str, Sequence[Ring]],
    strip_pixels: int = STRIP_PIXELS,
) -> ZonalSums:
    """Exact sums over one raster too large for memory: shares and pixels of one strip at a time.

    Parameters
    ----------
    source : rasterio dataset
        Its first band; its nodata, NaN and infinite values count as missing.
    grid : Grid
        Of the dataset.
    strip_pixels : int
        Pixels held at a time, at least one row.
    """
    weight, total = np.zeros(len(rings_of)), np.zeros(len(rings_of))
    ids = np.array(list(rings_of), dtype=object)
    spans = np.array([rows_of(grid, rings) for rings in rings_of.values()]).reshape(-1, 2)
    step = min(max(strip_pixels // grid.cols, 1), grid.rows)
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB):
        for row in range(0, grid.rows, step):
            rows = min(step, grid.rows - row)
            which = np.flatnonzero((spans[:, 0] < row + rows) & (spans[:, 1] > row))
            strip = replace(grid, top_um=grid.top_um - row * grid.pixel_um, rows=rows)
            band = source.read(1, window=Window(0, row, grid.cols, rows))
            zones = exact_zones(strip, {name: rings_of[name] for name in ids[which]})
            sums = zonal_sums(zones.coverage, band, source.nodata)
            weight[which] += sums.weight
            total[which] += sums.total
    return ZonalSums(weight, total)


def _in_pixels(grid: Grid, rings_of: Mapping[str, Sequence[Ring]]) -> list[list[NDArray[np.float64]]]:
    """Columns and rows of all corners; differences in whole micrometres, so that they are exact."""
    corners = chain.from_iterable(chain.from_iterable(rings_of.values()))
    x, y = np.fromiter(chain.from_iterable(corners), dtype=np.int64).reshape(-1, 2).T * UM_PER_MM
    places = np.column_stack([x - grid.left_um, grid.top_um - y]) / grid.pixel_um
    ends = accumulate(len(ring) for rings in rings_of.values() for ring in rings)
    starts = pairwise(chain([0], ends))
    return [[places[slice(*next(starts))] for _ in rings] for rings in rings_of.values()]
