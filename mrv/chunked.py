"""Canopies as xarray on dask, for those who work with rasters larger than memory on a cluster or beside other lazy data.

The program itself goes through rasters in strips (`mrv.maps`, `mrv.metrics`): one process, nothing more to install, the very same
figures. This is for a notebook or many workers, where the canopy should be one lazy array among others. Needs the extra ``dask``.

::

    canopy = open_canopy(Path("canopy_s1.tif"), epsg=6674, cell_mm=20_000)
    metrics = cell_metrics(canopy, plots)                                   # band, y, x: metres, shares, ratios
    stock = stock_map(cell_means(canopy, plots), change.coefficients, "first")  # band, y, x: kg CO2e per hectare
    stock.to_zarr("stock.zarr")                                             # computed chunk by chunk
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import rasterio
import xarray as xr
from dask.delayed import delayed as dask_delayed
from numpy.typing import NDArray
from rasterio.windows import Window

from models.canopy_metrics import MISSING, per_unit, surface_ratio
from mrv.canopy import NODATA_MM
from mrv.cell_strips import OUTSIDE, CellEdges, CellStrip, cells_over
from mrv.geometry import Grid, grid_of
from mrv.maps import predict
from mrv.metrics import CANOPY_METRICS
from mrv.metrics import cell_metrics as metrics_of_strip
from mrv.survey import Plot

CHUNK_CELLS = 64
# dask's own functions carry no types
da: Any = dask.array
delayed: Any = dask_delayed


@dataclass(frozen=True)
class _Run:
    """Cells and pixels of one row (or column) of chunks, from and until."""

    cells: tuple[int, int]
    pixels: tuple[int, int]

    @property
    def size(self) -> int:
        return self.pixels[1] - self.pixels[0]


@dataclass(frozen=True)
class _Chunks:
    """How a grid is cut, so that no cell lies in two chunks."""

    grid: Grid
    cells: Grid
    rows: tuple[_Run, ...]
    cols: tuple[_Run, ...]

    @classmethod
    def of(cls, grid: Grid, cell_mm: int, chunk_cells: int) -> _Chunks:
        cells = cells_over(grid, cell_mm)
        edges = CellEdges.of(grid, cells)
        return cls(grid, cells, _runs(edges.row_start, chunk_cells), _runs(edges.col_start, chunk_cells))

    @property
    def pixel_sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        return tuple(r.size for r in self.rows), tuple(c.size for c in self.cols)

    @property
    def cell_sizes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        rows, cols = ([r.cells[1] - r.cells[0] for r in runs] for runs in (self.rows, self.cols))
        return tuple(rows), tuple(cols)

    def strip(self, halo: NDArray[np.int32], place: tuple[int, int]) -> CellStrip:
        """One chunk, with a pixel more on every side, as the strips of the program are."""
        row, col = self.rows[place[0]], self.cols[place[1]]
        grid, cells = _part(self.grid, row.pixels, col.pixels), _part(self.cells, row.cells, col.cells)
        edges = CellEdges.of(grid, cells)
        rows, cols = (
            np.repeat(np.arange(n), np.diff(start))
            for n, start in ((cells.rows, edges.row_start), (cells.cols, edges.col_start))
        )
        cell = rows[:, None] * cells.cols + cols
        return CellStrip(cells, 0, cells.rows, grid, halo[1:-1, 1:-1], cell, halo)


def _runs(start: NDArray[np.int64], chunk_cells: int) -> tuple[_Run, ...]:
    """Runs of at most so many cells; a run without a pixel (a sliver at the edge) joins the next."""
    ends = [*range(chunk_cells, start.size - 1, chunk_cells), start.size - 1]
    runs: list[_Run] = []
    first = 0
    for end in ends:
        if start[end] > start[first]:
            runs.append(_Run((first, end), (int(start[first]), int(start[end]))))
            first = end
    last = runs[-1]
    runs[-1] = _Run((last.cells[0], start.size - 1), (last.pixels[0], int(start[-1])))
    return tuple(runs)


def _part(grid: Grid, rows: tuple[int, int], cols: tuple[int, int]) -> Grid:
    return replace(
        grid,
        left_um=grid.left_um + cols[0] * grid.pixel_um,
        top_um=grid.top_um - rows[0] * grid.pixel_um,
        rows=rows[1] - rows[0],
        cols=cols[1] - cols[0],
    )


def open_canopy(raster: Path, epsg: int, cell_mm: int, chunk_cells: int = CHUNK_CELLS) -> xr.DataArray:
    """A quantised canopy raster (int32 mm) as a lazy array, whose chunks end where cells end.

    Parameters
    ----------
    raster : Path
        As the canopy stage wrote it; each chunk is read by whichever worker needs it.
    cell_mm : int
        Side of the cells, which lie on whole multiples of it.
    chunk_cells : int
        Cells along each side of a chunk. No result depends on it.

    Returns
    -------
    DataArray
        Dimensions y, x (pixel centres, m); the attributes hold the grid and how it is cut.
    """
    with rasterio.open(raster, driver="GTiff") as source:
        grid = grid_of(source.transform, source.height, source.width, epsg, raster.name)
    chunks = _Chunks.of(grid, cell_mm, chunk_cells)
    blocks = [
        [
            da.from_delayed(
                delayed(_read)(str(raster), row.pixels, col.pixels), (row.size, col.size), np.int32
            )
            for col in chunks.cols
        ]
        for row in chunks.rows
    ]
    return xr.DataArray(
        da.block(blocks),
        dims=("y", "x"),
        coords={"y": grid.centres_y_mm() / 1000, "x": grid.centres_x_mm() / 1000},
        name="canopy_mm",
        attrs={
            **grid.to_doc(),
            "cell_mm": cell_mm,
            "chunk_cells": chunk_cells,
            "nodata": NODATA_MM,
            "units": "mm",
        },
    )


def _read(raster: str, rows: tuple[int, int], cols: tuple[int, int]) -> NDArray[np.int32]:
    with rasterio.open(raster, driver="GTiff") as source:
        window = Window(cols[0], rows[0], cols[1] - cols[0], rows[1] - rows[0])
        return np.asarray(source.read(1, window=window))


def cell_metrics(canopy: xr.DataArray, plots: Sequence[Plot]) -> xr.DataArray:
    """Canopy metrics of every cell over its pixels in a plot, equal to the bands of `mrv.metrics.write_metrics`.

    Returns
    -------
    DataArray
        Lazy; dimensions band, y, x (cell centres, m); metres, shares and ratios, NaN where there is none.
    """
    scale = np.array([per_unit(n) for n in CANOPY_METRICS], dtype=np.float64)[:, None, None]

    def figures(strip: CellStrip) -> NDArray[np.float64]:
        inside = strip.labels(plots) != OUTSIDE
        found = metrics_of_strip(strip, surface_ratio(strip.halo, strip.grid.pixel_um / 1000), inside)
        whole = np.stack([found[n].reshape(strip.shape) for n in CANOPY_METRICS])
        return np.where(whole == MISSING, np.nan, whole / scale)

    return _on_cells(canopy, figures, CANOPY_METRICS, "canopy metrics")


def cell_means(canopy: xr.DataArray, plots: Sequence[Plot]) -> xr.DataArray:
    """Mean canopy height of every cell over its pixels in a plot, mm, not rounded: what the working models are put to.

    Returns
    -------
    DataArray
        Lazy; dimensions y, x (cell centres, m); NaN where a cell has no height.
    """

    def figures(strip: CellStrip) -> NDArray[np.float64]:
        count, total = strip.sums(strip.labels(plots) != OUTSIDE)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)[None]

    return _on_cells(canopy, figures, ("mean_mm",), "mm").isel(band=0, drop=True)


def stock_map(mean_mm: xr.DataArray, coefficients: Mapping[str, str], key: str) -> xr.DataArray:
    """Stock (or its change) of every cell by a change's working model, equal to the layers of `mrv.maps.write_maps`.

    Parameters
    ----------
    mean_mm : DataArray
        Of :func:`cell_means`; for ``key="change"`` the last date's less the first's.
    coefficients : mapping of str to str
        `mrv.results.Change.coefficients`.
    key : {"first", "last", "change"}

    Returns
    -------
    DataArray
        Lazy; dimensions band (``value``, ``standard_error``), y, x; kg CO2e per hectare.
    """

    def figures(mean: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.rint(np.stack(predict(coefficients, key, mean)))

    lazy = da.map_blocks(
        figures, mean_mm.data, new_axis=0, chunks=((2,), *mean_mm.data.chunks), dtype=np.float64
    )
    coords = {"band": ["value", "standard_error"], "y": mean_mm.y, "x": mean_mm.x}
    return xr.DataArray(lazy, dims=("band", "y", "x"), coords=coords, attrs={"units": "kg CO2e per hectare"})


def _on_cells(
    canopy: xr.DataArray,
    figures: Callable[[CellStrip], NDArray[np.float64]],
    bands: Sequence[str],
    units: str,
) -> xr.DataArray:
    """Apply a function of one chunk's strip to all chunks, each with a halo of one pixel."""
    grid = Grid(**{n: canopy.attrs[n] for n in Grid.__dataclass_fields__})
    chunks = _Chunks.of(grid, canopy.attrs["cell_mm"], canopy.attrs["chunk_cells"])
    if canopy.shape != (grid.rows, grid.cols):
        raise ValueError(
            f"expected the whole canopy of {grid.rows} × {grid.cols} pixels, got {canopy.shape}; choose cells after, not before"
        )
    lazy = canopy.data.rechunk(chunks.pixel_sizes)
    haloed = da.overlap.overlap(lazy, depth=1, boundary=NODATA_MM, allow_rechunk=False)
    found = da.map_blocks(
        partial(_of_block, chunks=chunks, figures=figures),
        haloed,
        new_axis=0,
        chunks=((len(bands),), *chunks.cell_sizes),
        dtype=np.float64,
    )
    centres = chunks.cells.centres_y_mm() / 1000, chunks.cells.centres_x_mm() / 1000
    return xr.DataArray(
        found,
        dims=("band", "y", "x"),
        coords={"band": list(bands), "y": centres[0], "x": centres[1]},
        name="cells",
        attrs={"units": units, "epsg": grid.epsg},
    )


def _of_block(
    halo: NDArray[np.int32],
    chunks: _Chunks,
    figures: Callable[[CellStrip], NDArray[np.float64]],
    block_info: Any = None,
) -> NDArray[np.float64]:
    row, col = block_info[0]["chunk-location"]
    return figures(chunks.strip(halo, (row, col)))
