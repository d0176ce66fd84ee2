"""Canopy metrics of one survey on cells, plots and sample plots: a raster of bands, and a table to fit models on.

Cells are as large as a sample plot, so that a model fitted on the table may be drawn from the bands (`mrv.model_map`).
Heights are those of the canopy raster; where a survey has points, those of its points come beside them with a ``pt_``.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from models.canopy_metrics import (
    HEIGHTS,
    MISSING,
    CountedHeights,
    groups_of_rows,
    height_metrics,
    in_units,
    mean_ratio,
    per_unit,
    surface_ratio,
)
from mrv.blob import Sink
from mrv.canopy import NODATA_MM
from mrv.cell_strips import OUTSIDE, CellStrip, cell_grid, open_strips
from mrv.cog import Band, Layer, cog_writer
from mrv.geometry import Grid
from mrv.point_metrics import POINT_METRICS, PointStore, density
from mrv.results import Canopy, Inventory
from mrv.survey import Plot, SamplePlot, Survey

CANOPY_METRICS = (*HEIGHTS, "rumple", "pixels")
MM2_PER_HA = 10**10
G_PER_TONNE = 10**6
_Long = NDArray[np.int64]


@dataclass(frozen=True)
class ZoneMetrics:
    """Metrics of one polygon, whole numbers as `models.canopy_metrics` has them (mm, millionths; `MISSING` where there is none)."""

    kind: str
    zone_id: str
    plot_id: str
    metrics: Mapping[str, int]


@dataclass(frozen=True)
class SurveyMetrics:
    """What was written for one survey.

    Attributes
    ----------
    raster, table : str
        Output names.
    bands : tuple of str
    zones : tuple of ZoneMetrics
        Plots, then sample plots, in the survey's order.
    """

    survey_id: str
    raster: str
    table: str
    bands: tuple[str, ...]
    zones: tuple[ZoneMetrics, ...]


def names_of(survey_id: str) -> tuple[str, str]:
    """Output names of a survey's metric raster and table."""
    return f"maps/canopy_metrics_{survey_id}.tif", f"maps/canopy_metrics_{survey_id}.csv"


def write_metrics(
    survey: Survey,
    canopy: Canopy,
    raster: Path,
    cell_mm: int,
    sink: Sink,
    points: PointStore | None = None,
    cells: Grid | None = None,
) -> SurveyMetrics:
    """Metrics of every cell over its pixels in a plot, and of every plot and sample plot, strip by strip.

    Parameters
    ----------
    raster : Path
        The canopy stage's own, int32 mm.
    points : PointStore, optional
        Normalised points of the survey on the canopy's grid.
    cells : Grid, optional
        By default whole multiples of `cell_mm` over the canopy.
    """
    cells = cells or cell_grid(canopy, cell_mm)
    names = (*CANOPY_METRICS, *(POINT_METRICS if points is not None else ()))
    output, table = names_of(survey.survey_id)
    zones = _Zones(survey.plots, survey.sample_plots, names)
    with ExitStack() as stack:
        strips = stack.enter_context(open_strips(canopy, raster, cells))
        path = stack.enter_context(sink.path_for(output))
        writer = stack.enter_context(cog_writer(path, _layer(survey, cells, names)))
        for start, until in strips.edges.batches():
            strip = strips.strip(start, until)
            ratio = surface_ratio(strip.halo, strips.grid.pixel_um / 1000)
            labels = strip.labels(survey.plots)
            inside = labels != OUTSIDE
            found = cell_metrics(strip, ratio, inside)
            if points is not None:
                found |= points.cells(strip, inside)
            shaped = [found[n].reshape(strip.shape) for n in names]
            writer.write(start, np.stack(shaped).astype(np.int32))
            zones.add(strip, ratio, points, (labels, strip.labels(survey.sample_plots)))
    rows = zones.metrics()
    sink.put(table, table_bytes(rows, names))
    return SurveyMetrics(survey.survey_id, output, table, names, rows)


def cell_metrics(strip: CellStrip, ratio: NDArray[np.int32], inside: NDArray[np.bool_]) -> dict[str, _Long]:
    """Metrics of every cell of a strip over the pixels chosen; ndarray of int64, shape (cells,)."""
    groups = groups_of_rows(strip.by_cell(inside))
    found = height_metrics(groups)
    cell = np.where(inside, strip.cell, OUTSIDE)
    found["rumple"] = mean_ratio(ratio.ravel(), cell.ravel(), strip.size)
    count = np.diff(groups.start)
    found["pixels"] = np.where(count > 0, count, MISSING)
    return found


class _Zones:
    """Running metrics of polygons. A polygon's heights are held as counts, and only until its last row has passed."""

    def __init__(self, plots: Sequence[Plot], samples: Sequence[SamplePlot], names: Sequence[str]) -> None:
        self._zones = [("plot", p.plot_id, p.plot_id) for p in plots]
        self._zones += [("sample_plot", s.sample_plot_id, s.plot_id) for s in samples]
        self._groups = (len(plots), 0), (len(samples), len(plots))
        self._names = names
        self._open: dict[int, _Running] = {}
        self._done: dict[int, dict[str, int]] = {}

    def add(
        self,
        strip: CellStrip,
        ratio: NDArray[np.int32],
        points: PointStore | None,
        labelled: tuple[NDArray[np.int32], NDArray[np.int32]],
    ) -> None:
        """Take a strip, of which each pixel's plot and sample plot are known by number."""
        met: set[int] = set()
        for (count, offset), labels in zip(self._groups, labelled, strict=True):
            chosen = np.flatnonzero(labels.ravel() != OUTSIDE)
            order = chosen[np.argsort(labels.ravel()[chosen], kind="stable")]
            ends = np.searchsorted(labels.ravel()[order], np.arange(count + 1))
            heights, ratios = strip.heights.ravel(), ratio.ravel()
            own = points.zones(strip, labels, count) if points is not None else {}
            for number in map(int, np.flatnonzero(np.diff(ends))):
                pixels = order[ends[number] : ends[number + 1]]
                running = self._open.setdefault(offset + number, _Running())
                running.add(heights[pixels], ratios[pixels], strip.grid.pixel_um)
                if points is not None:
                    running.add_points(*own.get(number, (np.zeros(0, dtype=np.int32), 0)))
                met.add(offset + number)
        for passed in set(self._open) - met:
            self._done[passed] = self._open.pop(passed).metrics()

    def metrics(self) -> tuple[ZoneMetrics, ...]:
        self._done |= {n: running.metrics() for n, running in self._open.items()}
        none = dict.fromkeys(self._names, MISSING)
        return tuple(
            ZoneMetrics(kind, zone, plot, {n: (none | self._done.get(i, {}))[n] for n in self._names})
            for i, (kind, zone, plot) in enumerate(self._zones)
        )


class _Running:
    """Heights of one polygon so far, of its pixels and of its points."""

    def __init__(self) -> None:
        self._pixels, self._points = CountedHeights(), CountedHeights()
        self._valid = self._area = self._pixel_um = 0
        self._ratio = self._ratios = self._ground = 0
        self._pointed = False

    def add(self, heights: NDArray[np.int32], ratios: NDArray[np.int32], pixel_um: int) -> None:
        valid = heights[heights != NODATA_MM]
        known = ratios[ratios != MISSING]
        self._pixels.add(valid)
        self._valid += valid.size
        self._area, self._pixel_um = self._area + heights.size, pixel_um
        self._ratio += int(known.sum(dtype=np.int64))
        self._ratios += known.size

    def add_points(self, heights: NDArray[np.int32], ground: int) -> None:
        self._pointed = True
        self._points.add(heights)
        self._ground += ground

    def metrics(self) -> dict[str, int]:
        out = self._pixels.metrics()
        out["rumple"] = round(self._ratio / self._ratios) if self._ratios else MISSING
        out["pixels"] = self._valid or MISSING
        if self._pointed:
            out |= {f"pt_{n}": v for n, v in self._points.metrics().items()}
            for name, count in (("pt_density", self._points.count), ("pt_ground_density", self._ground)):
                out[name] = density(count, self._area, self._pixel_um)
        return out


def _layer(survey: Survey, cells: Grid, names: Sequence[str]) -> Layer:
    tags = {
        "simulated": "yes" if survey.simulated else "no",
        "survey": survey.survey_id,
        "unit": "see bands; heights in thousandths of a metre, shares and ratios in millionths",
        "use": "for reading and for fitting models; no credit rests on this map",
    }
    bands = tuple(Band(n, _unit(n), 1 / per_unit(n)) for n in names)
    return Layer(cells, "int32", MISSING, bands, "average", tags)


def _unit(metric: str) -> str:
    if metric == "pixels":
        return "pixels"
    if metric.endswith("density"):
        return "points per m2"
    return "1" if per_unit(metric) != 1000 else "m"


def table_bytes(zones: Sequence[ZoneMetrics], names: Sequence[str]) -> bytes:
    """CSV (UTF-8) of metrics in metres, shares and ratios, one row a polygon; a cell is empty where there is none."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["kind", "id", "plot_id", *names])
    for zone in zones:
        writer.writerow([zone.kind, zone.zone_id, zone.plot_id, *_cells(zone, names)])
    return text.getvalue().encode()


def _cells(zone: ZoneMetrics, names: Sequence[str]) -> list[str]:
    values = in_units(zone.metrics)
    return ["" if np.isnan(values[n]) else f"{values[n]:.6f}".rstrip("0").rstrip(".") for n in names]


def training_table(metrics: SurveyMetrics, survey: Survey, inventory: Inventory) -> bytes:
    """A table that `mrv.training.read_plot_table` reads: stock of each sample plot beside its metrics.

    One row a sample plot: ``sample_plot_id, plot_id`` (the block to leave out), ``co2_t_ha`` (living trees and what the inventory
    counts besides, t CO2e per hectare), and every metric that all sample plots have.
    """
    stock = dict.fromkeys((s.sample_plot_id for s in survey.sample_plots), 0)
    for tree in inventory.trees:
        if tree.sample_plot_id in stock:
            stock[tree.sample_plot_id] += tree.co2_g
    area = {s.sample_plot_id: s.area_mm2 for s in survey.sample_plots}
    zones = [z for z in metrics.zones if z.kind == "sample_plot"]
    names = [n for n in metrics.bands if n != "pixels" and all(z.metrics[n] != MISSING for z in zones)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["sample_plot_id", "plot_id", "co2_t_ha", *names])
    for zone in zones:
        density = stock[zone.zone_id] * MM2_PER_HA / area[zone.zone_id] / G_PER_TONNE
        writer.writerow([zone.zone_id, zone.plot_id, f"{density:.3f}", *_cells(zone, names)])
    return text.getvalue().encode()


def metric_bands(raster: Path) -> dict[str, tuple[Path, int]]:
    """File and band of every metric of a raster written here, as `mrv.model_map.map_model` takes them."""
    with rasterio.open(raster, driver="GTiff") as source:
        return {name: (raster, number) for number, name in enumerate(source.descriptions, start=1)}
