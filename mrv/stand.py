"""What one survey shows by itself: canopy and treetops per plot, and a model's stock beside an inventory. For reading, never a claim."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from models.field_model import FieldModel
from mrv.canopy import NODATA_MM, read_canopy_mm
from mrv.errors import Problem, Refusal
from mrv.geometry import Grid, Ring
from mrv.model_stock import StockComparison, basal_area_m2_ha, compare_stock, point_metrics
from mrv.points import PointHeights
from mrv.results import Canopy
from mrv.survey import Survey
from mrv.trees import find_treetops

MM2_PER_M2 = 10**6


@dataclass(frozen=True)
class FieldTrees:
    """Stems of a field inventory: plane coordinates mm, diameter mm; arrays of shape (n,)."""

    x_mm: NDArray[np.int64]
    y_mm: NDArray[np.int64]
    dbh_mm: NDArray[np.int64]


@dataclass(frozen=True)
class PlotStand:
    """One plot of one survey.

    Attributes
    ----------
    canopy_mean_mm : int or None
        None where no pixel holds a height.
    treetops : int
        Crowns seen from above; trees beneath them are not counted.
    stock : StockComparison or None
        Basal area (m²/ha) by a model of other stands, beside the inventory.
    """

    plot_id: str
    area_mm2: int
    canopy_mean_mm: int | None
    treetops: int
    treetops_mean_mm: int | None
    tallest_mm: int | None
    stock: StockComparison | None


def look_at_stand(
    survey: Survey,
    canopy: Canopy,
    raster: Path,
    model: FieldModel | None = None,
    points: PointHeights | None = None,
    inventory: FieldTrees | None = None,
) -> tuple[PlotStand, ...]:
    """Canopy, treetops and, given a field model and laser points, stock of every plot.

    Parameters
    ----------
    raster : Path
        Quantised canopy raster of the survey.
    model : FieldModel, optional
        Basal area (m²/ha) on point metrics, fitted elsewhere.
    inventory : FieldTrees, optional
        What was measured on the ground, for comparison.
    """
    grid = Grid(**canopy.grid)
    tops = find_treetops(read_canopy_mm(raster), grid, NODATA_MM)
    heights = {z.zone_id: z for z in canopy.plots}
    out = []
    for plot in survey.plots:
        inside = _inside(plot.rings_mm, tops.x_mm, tops.y_mm)
        found = tops.height_mm[inside]
        zone = heights[plot.plot_id]
        stock = None
        if model is not None and points is not None:
            stock = _stock(plot.rings_mm, plot.area_mm2, model, points, inventory)
        out.append(
            PlotStand(
                plot_id=plot.plot_id,
                area_mm2=plot.area_mm2,
                canopy_mean_mm=round(zone.sum_mm / zone.valid) if zone.valid else None,
                treetops=int(found.size),
                treetops_mean_mm=round(float(found.mean())) if found.size else None,
                tallest_mm=int(found.max()) if found.size else None,
                stock=stock,
            )
        )
    return tuple(out)


def _stock(
    rings: Sequence[Ring],
    area_mm2: int,
    model: FieldModel,
    points: PointHeights,
    inventory: FieldTrees | None,
) -> StockComparison:
    near = _inside(rings, points.x_um // 1000, points.y_um // 1000)
    measured = None
    if inventory is not None:
        stems = inventory.dbh_mm[_inside(rings, inventory.x_mm, inventory.y_mm)]
        measured = basal_area_m2_ha(stems, area_mm2 / MM2_PER_M2)
    return compare_stock(model, point_metrics(points.height_mm[near]), measured)


def _inside(rings: Sequence[Ring], x_mm: NDArray[np.int64], y_mm: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Points inside a polygon given by its rings, holes left out (even-odd)."""
    inside = np.zeros(x_mm.shape, dtype=np.bool_)
    for ring in rings:
        inside ^= np.asarray(shapely.contains_xy(shapely.Polygon(ring), x_mm, y_mm), dtype=np.bool_)
    return inside


def read_field_trees(table: bytes, name: str) -> FieldTrees:
    """Stems from a CSV with columns ``x, y`` (m, plane CRS of the survey) and ``d`` (cm).

    Raises
    ------
    Refusal
        If a column is missing or a cell holds no number (names the row).
    """
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    columns = {"x": 1000.0, "y": 1000.0, "d": 10.0}
    values = {}
    for column, scale in columns.items():
        numbers = np.empty(len(rows))
        for i, row in enumerate(rows):
            try:
                numbers[i] = float(row[column])
            except (KeyError, TypeError, ValueError):
                raise Refusal([_bad_row(name, i + 2, column, row.get(column))]) from None
        values[column] = np.rint(numbers * scale).astype(np.int64)
    return FieldTrees(values["x"], values["y"], values["d"])


def _bad_row(name: str, row: int, column: str, got: str | None) -> Problem:
    return Problem(
        code="inventory.bad_row",
        where=f"{name} row {row}",
        expected_en=f"a number in column {column} (x and y in m, d in cm)",
        expected_ja=f"{column} 列の数値（x・y は m、d は cm）",
        got_en="nothing" if got is None else repr(got),
        got_ja="空欄" if got is None else repr(got),
        todo_en="Correct the row, or name the columns x, y and d.",
        todo_ja="該当行を直すか、列名を x・y・d にしてください。",
    )
