"""A fitted model on maps of its metrics: value, standard error, and a flag on every cell that it was not made for.

For reading: no kilogram rests on such a map (see :mod:`mrv.change`). Memory grows with the strip, but for one byte a cell.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.windows import Window

from models.area_based import predict_cells
from models.cells import CellPrediction
from models.forest import Forest, predict_forest
from models.model_card import Finding, ModelCard, Purpose, Use, check_cells, check_use, refuse
from mrv.blob import Sink
from mrv.errors import Problem, Refusal
from mrv.geometry import Grid, grid_of
from mrv.model_file import Model

NODATA_MAP = -(2**31)
LARGEST = 2**31 - 1
PER_UNIT = 1000
STRIP_CELLS = 1 << 18
BandOf = tuple[Path, int]
FINE, OUTSIDE, MISSING = 0, 1, 2
"""Values of the third band."""


@dataclass(frozen=True)
class ModelMap:
    """What was written, and how many cells the model was not made for.

    Attributes
    ----------
    output : str
        Cloud-optimised GeoTIFF of three int32 bands: value and standard error of one cell, in thousandths of the model's unit, and flag
        (0 fine, 1 beyond the model's range, 2 no metrics).
    findings : tuple of Finding
        Flags to print beside every figure of the map.
    """

    output: str
    cells: int
    outside: int
    outside_by_metric: Mapping[str, int]
    beyond_leverage: int
    missing: int
    findings: tuple[Finding, ...]


def map_model(
    model: Model,
    card: ModelCard,
    metrics: Mapping[str, Path | BandOf],
    epsg: int,
    sensor: str,
    sink: Sink,
    purpose: Purpose = "map",
    project: str = "",
) -> ModelMap:
    """Predict every cell of a grid whose metrics are given as bands of rasters.

    Parameters
    ----------
    metrics : mapping of metric to Path or (Path, band number)
        On one grid, with cells about as large as the model's sample plots (標準地); the first band where none is named. A band's own
        scale is applied. :func:`mrv.metrics.metric_bands` gives those of a survey's metric raster.
    sensor : str
        What the rasters come from; must be the model's own.

    Raises
    ------
    Refusal
        If the rasters do not share one north-up grid.
    ModelRefused
        If the card forbids this use, or too many cells lie beyond the model's range; nothing is stored then.
    """
    wanted = {name: metrics[name] for name in card.metrics if name in metrics}
    with ExitStack() as stack:
        sources = {
            name: (stack.enter_context(rasterio.open(path)), band)
            for name, (path, band) in ((n, _band_of(m)) for n, m in wanted.items())
        }
        grid = _one_grid(sources, epsg)
        side_m = 0.0 if grid is None else grid.pixel_um / 1e6
        before = check_use(card, Use(card.response, side_m**2, sensor, tuple(metrics), purpose, project))
        refuse(before)
        assert grid is not None  # a card names at least one metric, and all are here
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        total = _write_strips(model, sources, grid, folder / "strips.tif", card)
        after = check_cells(card, total)
        refuse(after)
        output = f"maps/{card.response}.tif"
        with sink.path_for(output) as path:
            rasterio.shutil.copy(
                folder / "strips.tif",
                path,
                driver="COG",
                compress="DEFLATE",
                predictor="YES",
                resampling="NEAREST",
            )
    return ModelMap(
        output=output,
        cells=total.value.size,
        outside=total.outside_count,
        outside_by_metric=total.outside_by_metric,
        beyond_leverage=total.beyond_leverage,
        missing=total.missing,
        findings=(*before, *after),
    )


def _write_strips(
    model: Model, sources: Mapping[str, tuple[Any, int]], grid: Grid, path: Path, card: ModelCard
) -> CellPrediction:
    """Write the map strip by strip; return the whole prediction's flags and counts (its values are not kept)."""
    rows = max(1, STRIP_CELLS // grid.cols)
    outside = np.zeros(grid.rows * grid.cols, dtype=np.bool_)
    by_metric: Counter[str] = Counter(dict.fromkeys(card.metrics, 0))
    leverage = missing = 0
    shape = {"width": grid.cols, "height": grid.rows, "count": 3, "dtype": "int32", "nodata": NODATA_MAP}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        crs=f"EPSG:{grid.epsg}",
        transform=grid.transform,
        compress="deflate",
        **shape,
    ) as target:
        target.update_tags(unit=f"1/{PER_UNIT} {card.unit}", model=card.data.digest)
        for band, text in enumerate((card.response, "standard error of one cell", "flag"), start=1):
            target.set_band_description(band, text)
        for row in range(0, grid.rows, rows):
            window = Window(0, row, grid.cols, min(rows, grid.rows - row))
            cells = _predict(model, {n: _floats(*s, window) for n, s in sources.items()})
            out = np.full((3, cells.value.size), NODATA_MAP, dtype=np.int32)
            out[0], out[1] = _thousandths(cells.value), _thousandths(cells.standard_error)
            out[2] = np.where(np.isnan(cells.value), MISSING, np.where(cells.outside, OUTSIDE, FINE))
            target.write(out.reshape(3, window.height, window.width), window=window)
            outside[row * grid.cols : row * grid.cols + cells.outside.size] = cells.outside
            by_metric.update(cells.outside_by_metric)
            leverage, missing = leverage + cells.beyond_leverage, missing + cells.missing
    none = np.broadcast_to(np.float64(np.nan), outside.shape)
    return CellPrediction(none, none, none, none, 0.0, outside, dict(by_metric), leverage, missing)


def _predict(model: Model, metrics: Mapping[str, NDArray[np.float64]]) -> CellPrediction:
    return predict_forest(model, metrics) if isinstance(model, Forest) else predict_cells(model, metrics)


def _band_of(metric: Path | BandOf) -> BandOf:
    return metric if isinstance(metric, tuple) else (metric, 1)


def _floats(source: Any, band: int, window: Window) -> NDArray[np.float64]:
    """One strip of a metric in its unit, NaN where it has no value."""
    strip = source.read(band, window=window, masked=True).astype(np.float64)
    strip = strip * source.scales[band - 1] + source.offsets[band - 1]
    return np.asarray(np.ma.filled(strip, np.nan).ravel(), dtype=np.float64)


def _thousandths(values: NDArray[np.float64]) -> NDArray[np.int32]:
    """Whole thousandths, half-even; what the type cannot hold becomes its largest value."""
    scaled = np.clip(np.rint(values * PER_UNIT), -LARGEST, LARGEST)
    return np.where(np.isnan(scaled), NODATA_MAP, scaled).astype(np.int32)


def _one_grid(sources: Mapping[str, tuple[Any, int]], epsg: int) -> Grid | None:
    grids = {n: grid_of(s.transform, s.height, s.width, epsg, n) for n, (s, _) in sources.items()}
    if len(set(grids.values())) > 1:
        got = "; ".join(f"{n} {g.cols} × {g.rows} of {g.pixel_um / 1e6:g} m" for n, g in grids.items())
        raise Refusal(
            [
                Problem(
                    code="model_map.grids_differ",
                    where=", ".join(grids),
                    expected_en="rasters of all metrics on one grid",
                    expected_ja="すべての説明変数が同じ格子のラスタ",
                    got_en=got,
                    got_ja=got,
                    todo_en="Compute the metrics on the same cells.",
                    todo_ja="同じセルで説明変数を計算してください。",
                )
            ]
        )
    return next(iter(grids.values()), None)
