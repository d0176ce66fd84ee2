"""Wall-to-wall maps on cells as large as a sample plot: stock, its error, change, and where that is extrapolation.

For reading; no kilogram rests on them. Cells are worked through in strips, so that memory does not grow with the area.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrv.blob import Sink, canonical_json
from mrv.cell_strips import OUTSIDE, CanopyStrips, CellStrip, cell_grid, open_strips
from mrv.cog import Band, Layer, cog_writer
from mrv.coverage import (
    MARGIN_MM,
    NODATA_FLAG,
    ModelCoverage,
    RangeCount,
    count_flags,
    range_flags,
    sample_ranges,
)
from mrv.geometry import Grid, rows_of
from mrv.results import Canopy, Change
from mrv.survey import Plot

__all__ = ["MAPS", "NODATA_MAP", "CellHeights", "Maps", "cell_grid", "cell_heights", "write_maps"]

NODATA_MAP = -(2**31)
MM2_PER_HA = 10**10
G_PER_KG = 1000
MAPS = ("co2_first", "co2_first_se", "co2_last", "co2_last_se", "co2_change", "co2_change_se")
RANGE_MAP = "out_of_range"
COVERAGE_NAME = "maps/coverage.json"
UNIT = "kg CO2e per hectare"
_Float = NDArray[np.float64]


@dataclass(frozen=True)
class CellHeights:
    """Mean canopy height of cells, mm, NaN where a cell holds no plot, and how many pixels it is of; shape (rows, cols)."""

    grid: Grid
    mean_mm: _Float
    pixels: NDArray[np.int64]


@dataclass(frozen=True)
class Maps:
    """What was written: output name by map name, and where the maps extrapolate."""

    layers: Mapping[str, str]
    coverage: ModelCoverage


def cell_heights(
    canopy: Canopy, raster: Path, plots: tuple[Plot, ...], cell_mm: int, cells: Grid
) -> CellHeights:
    """Mean canopy height per cell over the pixels that lie in a plot.

    Parameters
    ----------
    cells : Grid
        Of side `cell_mm`; pixels beyond it are left out.
    """
    assert cells.pixel_um == cell_mm * 1000
    count = np.zeros((cells.rows, cells.cols), dtype=np.int64)
    total = np.zeros_like(count)
    rings = [ring for plot in plots for ring in plot.rings_mm]
    first, until = rows_of(cells, rings)
    with open_strips(canopy, raster, cells) as strips:
        for a, b in strips.edges.batches():
            if a < until and b > first:
                strip = strips.strip(a, b)
                count[a:b], total[a:b] = strip.sums(strip.labels(plots) != OUTSIDE)
    return CellHeights(cells, _mean(count, total), count)


def write_maps(
    change: Change,
    canopies: tuple[Canopy, Canopy],
    rasters: tuple[Path, Path],
    plots: tuple[Plot, ...],
    cell_mm: int,
    sink: Sink,
    sample_plots: Collection[str] | None = None,
    moved: tuple[int, int] = (0, 0),
) -> Maps:
    """Write the maps as cloud-optimised GeoTIFF, by the change's own working models.

    `maps/co2_first.tif`, `co2_last`, `co2_change` and their `_se`: int32, kg CO2e per hectare.
    `maps/out_of_range.tif`: uint8 flags (`mrv.coverage.range_flags`), counted in `maps/coverage.json`.

    Parameters
    ----------
    sample_plots : collection of str, optional
        Those that the models were fitted on; by default all that both canopies hold.
    moved : (rows, cols)
        Whole pixels by which the later canopy is moved, down and to the right, in the maps of change alone.
    """
    cells = cell_grid(canopies[0], cell_mm)
    if sample_plots is None:
        sample_plots = {z.zone_id for c in canopies for z in c.sample_plots}
    ranges = sample_ranges(canopies, sample_plots)
    counted = {p.plot_id: RangeCount() for p in plots}
    whole = RangeCount()
    with ExitStack() as stack:
        strips = [
            stack.enter_context(open_strips(c, r, cells)) for c, r in zip(canopies, rasters, strict=True)
        ]
        if moved != (0, 0):
            strips.append(stack.enter_context(open_strips(canopies[1], rasters[1], cells, moved)))
        writers = {
            name: stack.enter_context(cog_writer(stack.enter_context(sink.path_for(_name(name))), layer))
            for name, layer in _layers(change, cells, moved).items()
        }
        for row, heights, by_plot in _cell_rows(strips, plots):
            used = sum(by_plot.values(), np.zeros(heights["first"].shape, dtype=np.int64))
            flags = range_flags(ranges, heights, used > 0)
            for name, values in _predicted(change.coefficients, heights).items():
                writers[name].write(row, _whole(values))
            writers[RANGE_MAP].write(row, flags)
            whole += count_flags(flags, used)
            for plot_id, pixels in by_plot.items():
                counted[plot_id] += count_flags(flags, pixels)
    coverage = ModelCoverage(cell_mm, MARGIN_MM, ranges, whole, counted)
    sink.put(COVERAGE_NAME, canonical_json(coverage.to_doc()))
    return Maps({name: _name(name) for name in (*MAPS, RANGE_MAP)}, coverage)


def _name(name: str) -> str:
    return f"maps/{name}.tif"


def _layers(change: Change, cells: Grid, moved: tuple[int, int]) -> dict[str, Layer]:
    tags = {
        "simulated": "yes" if change.simulated else "no",
        "surveys": f"{change.first_survey_id}, {change.last_survey_id}",
        "period": f"{change.start} to {change.end}",
        "use": "for reading; no credit rests on this map",
    }
    layers = {}
    for name in MAPS:
        own = {**tags, "unit": UNIT}
        if name.startswith("co2_change") and moved != (0, 0):
            own["later_canopy_moved_px"] = f"{moved[0]} rows down, {moved[1]} columns right"
        layers[name] = Layer(cells, "int32", NODATA_MAP, (Band(name, UNIT),), "average", own)
    bits = "1 first, 2 last, 4 change outside the sample plots' range; 8 no canopy at a date; 0 none of them"
    layers[RANGE_MAP] = Layer(
        cells,
        "uint8",
        NODATA_FLAG,
        (Band(RANGE_MAP, "flags"),),
        "mode",
        {**tags, "unit": "flags", "bits": bits},
    )
    return layers


def _cell_rows(
    strips: Sequence[CanopyStrips], plots: Sequence[Plot]
) -> Iterator[tuple[int, dict[str, _Float], dict[str, NDArray[np.int64]]]]:
    """Strip by strip: its first row, mean heights of ``first``, ``last`` and ``change``, and the pixels of each plot."""
    widest = max(strips, key=lambda s: s.grid.cols)
    for start, until in widest.edges.batches():
        means: list[_Float] = []
        parts = [s.strip(start, until) for s in strips]
        labels = parts[0].labels(plots)
        by_plot = _pixels_by_plot(parts[0], labels, plots)
        for part in parts:
            own = labels if part.grid == parts[0].grid else part.labels(plots)
            means.append(_mean(*part.sums(own != OUTSIDE)))
        heights = {"first": means[0], "last": means[1], "change": means[-1] - means[0]}
        yield start, heights, by_plot


def _pixels_by_plot(
    strip: CellStrip, labels: NDArray[np.int32], plots: Sequence[Plot]
) -> dict[str, NDArray[np.int64]]:
    """Pixels of each plot that the strip meets in every cell, shape of the strip's cells."""
    chosen = (labels != OUTSIDE) & (strip.cell != OUTSIDE)
    label = labels[chosen]
    present = np.flatnonzero(np.bincount(label, minlength=len(plots)))
    place = np.zeros(len(plots) + 1, dtype=np.int64)
    place[present] = np.arange(present.size)
    pixels = np.bincount(place[label] * strip.size + strip.cell[chosen], minlength=present.size * strip.size)
    table = pixels.reshape(present.size, *strip.shape)
    return {plots[int(number)].plot_id: table[i] for i, number in enumerate(present)}


def _predicted(model: Mapping[str, str], heights: Mapping[str, _Float]) -> dict[str, _Float]:
    out = {}
    for key, mean_mm in heights.items():
        out[f"co2_{key}"], out[f"co2_{key}_se"] = predict(model, key, mean_mm)
    return out


def predict(model: Mapping[str, str], key: str, mean_mm: _Float) -> tuple[_Float, _Float]:
    """Prediction of a working model and its standard error for one more cell, kg CO2e per hectare.

    Parameters
    ----------
    model : mapping of str to str
        `mrv.results.Change.coefficients`.
    key : {"first", "last", "change"}
    mean_mm : ndarray of float
        Mean canopy height of the cells, or its change.
    """
    b0, b1, s2, sxx, x_bar = (
        float(Fraction(model[f"{key}_{n}"])) for n in ("b0", "b1", "s2", "sxx", "x_bar")
    )
    n = int(model[f"{key}_n"])
    scale = MM2_PER_HA / G_PER_KG
    leverage = 1 + 1 / n + (mean_mm - x_bar) ** 2 / (sxx or np.inf)
    return (b0 + b1 * mean_mm) * scale, np.sqrt(s2 * leverage) * scale


def _mean(count: NDArray[np.int64], total: NDArray[np.int64]) -> _Float:
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _whole(values: _Float) -> NDArray[np.int32]:
    """Nearest whole numbers, half-even; `NODATA_MAP` where there is none."""
    data = np.full(values.shape, NODATA_MAP, dtype=np.int32)
    valid = np.isfinite(values)
    data[valid] = np.rint(values[valid]).astype(np.int32)
    return data
