"""Wall-to-wall maps on cells as large as a sample plot: stock, its error, and change. For reading; no kilogram rests on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from mrv.blob import Sink
from mrv.canopy import NODATA_MM, read_canopy_mm
from mrv.geometry import Grid, zone_mask
from mrv.results import Canopy, Change
from mrv.survey import Plot

NODATA_MAP = -(2**31)
MM2_PER_HA = 10**10
G_PER_KG = 1000
MAPS = ("co2_first", "co2_last", "co2_last_se", "co2_change", "co2_change_se")


@dataclass(frozen=True)
class CellHeights:
    """Mean canopy height of cells, mm, NaN where a cell holds no plot, and how many pixels it is of; shape (rows, cols)."""

    grid: Grid
    mean_mm: NDArray[np.float64]
    pixels: NDArray[np.int64]


def cell_heights(
    canopy: Canopy, raster: Path, plots: tuple[Plot, ...], cell_mm: int, cells: Grid
) -> CellHeights:
    """Mean canopy height per cell over the pixels that lie in a plot."""
    grid = Grid(**canopy.grid)
    heights = read_canopy_mm(raster)
    inside = np.zeros(heights.shape, dtype=bool)
    for plot in plots:
        mask = zone_mask(grid, plot.rings_mm)
        rows, cols = mask.inside.shape
        inside[mask.row : mask.row + rows, mask.col : mask.col + cols] |= mask.inside
    inside &= heights != NODATA_MM
    row, col = np.nonzero(inside)
    cell_col = (grid.centres_x_mm()[col] - cells.left_um // 1000) // cell_mm
    cell_row = (cells.top_um // 1000 - grid.centres_y_mm()[row]) // cell_mm
    flat = cell_row * cells.cols + cell_col
    size = cells.rows * cells.cols
    count = np.bincount(flat, minlength=size)
    total = np.bincount(flat, weights=heights[row, col], minlength=size)
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    shape = cells.rows, cells.cols
    return CellHeights(cells, mean.reshape(shape), count.astype(np.int64).reshape(shape))


def cell_grid(canopy: Canopy, cell_mm: int) -> Grid:
    """Cells on whole multiples of their side that cover a canopy raster."""
    grid = Grid(**canopy.grid)
    left, top = grid.left_um // 1000 // cell_mm, -(-grid.top_um // 1000 // cell_mm)
    right = -(-(grid.left_um + grid.cols * grid.pixel_um) // 1000 // cell_mm)
    bottom = (grid.top_um - grid.rows * grid.pixel_um) // 1000 // cell_mm
    return Grid(
        grid.epsg, left * cell_mm * 1000, top * cell_mm * 1000, cell_mm * 1000, top - bottom, right - left
    )


def write_maps(
    change: Change,
    canopies: tuple[Canopy, Canopy],
    rasters: tuple[Path, Path],
    plots: tuple[Plot, ...],
    cell_mm: int,
    sink: Sink,
) -> dict[str, str]:
    """Write the maps as int32 GeoTIFF, kg CO2e per hectare, by the change's own working models.

    Returns
    -------
    dict of map name to output name
        ``maps/co2_first.tif``, ``co2_last``, ``co2_last_se``, ``co2_change``, ``co2_change_se``.
    """
    cells = cell_grid(canopies[0], cell_mm)
    first, last = (
        cell_heights(c, r, plots, cell_mm, cells).mean_mm for c, r in zip(canopies, rasters, strict=True)
    )
    model = change.coefficients
    stock0, _ = _predict(model, "first", first)
    stock1, stock1_se = _predict(model, "last", last)
    delta, delta_se = _predict(model, "change", last - first)
    out = {}
    for name, values in zip(MAPS, (stock0, stock1, stock1_se, delta, delta_se), strict=True):
        output = f"maps/{name}.tif"
        with sink.path_for(output) as path:
            _write(path, values, cells)
        out[name] = output
    return out


def _predict(
    model: Mapping[str, str], key: str, x: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Prediction and its standard error for one more cell, kg CO2e per hectare."""
    b0, b1, s2, sxx, x_bar = (
        float(Fraction(model[f"{key}_{n}"])) for n in ("b0", "b1", "s2", "sxx", "x_bar")
    )
    n = int(model[f"{key}_n"])
    scale = MM2_PER_HA / G_PER_KG
    leverage = 1 + 1 / n + (x - x_bar) ** 2 / (sxx or np.inf)
    return (b0 + b1 * x) * scale, np.sqrt(s2 * leverage) * scale


def _write(path: Path, values: NDArray[np.float64], cells: Grid) -> None:
    data = np.full(values.shape, NODATA_MAP, dtype=np.int32)
    valid = np.isfinite(values)
    data[valid] = np.rint(values[valid]).astype(np.int32)
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=cells.cols,
        height=cells.rows,
        count=1,
        dtype="int32",
        crs=f"EPSG:{cells.epsg}",
        transform=cells.transform,
        nodata=NODATA_MAP,
        compress="deflate",
        predictor=2,
    ) as target:
        target.write(data, 1)
        target.update_tags(unit="kg CO2e per hectare")
