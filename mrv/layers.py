"""Everything that is drawn of a pair of surveys, for reading: no kilogram rests on any of it.

::

    maps/co2_first.tif, co2_last.tif, co2_change.tif, each with _se   stock and change on cells, kg CO2e per hectare (`mrv.maps`)
    maps/out_of_range.tif, maps/coverage.json                         where these extrapolate, counted (`mrv.coverage`)
    maps/coregistration.json                                          how far one canopy lies beside the other (`mrv.pair_shift`)
    maps/canopy_metrics_<survey>.tif and .csv                         metrics of cells, plots and sample plots (`mrv.metrics`)
    maps/point_density_<survey>.tif, maps/points_<survey>.json        of a survey with points (`mrv.point_layers`)
    maps/layers.json                                                  what there is
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from mrv.blob import Sink, canonical_json
from mrv.maps import COVERAGE_NAME, write_maps
from mrv.metrics import write_metrics
from mrv.pair_shift import COREGISTRATION_NAME, pair_shift
from mrv.point_layers import write_point_layers
from mrv.point_metrics import stored_points
from mrv.project import MonitoringPlan
from mrv.results import Canopy, Change
from mrv.survey import Survey

LAYERS_NAME = "maps/layers.json"


@dataclass(frozen=True)
class Layers:
    """What was drawn of a pair of surveys (`maps/layers.json`).

    Attributes
    ----------
    maps : mapping of map name to output name
        Empty where there are no sample plots to make a map of stock from; `coverage` is then "".
    metrics, metric_tables, point_density, points : mapping of survey id to output name
        The last two of surveys with points only.
    """

    survey_ids: tuple[str, str]
    maps: Mapping[str, str]
    coverage: str
    coregistration: str
    metrics: Mapping[str, str]
    metric_tables: Mapping[str, str]
    point_density: Mapping[str, str]
    points: Mapping[str, str]

    def to_doc(self) -> dict[str, Any]:
        return {**asdict(self), "survey_ids": list(self.survey_ids)}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        first, last = doc["survey_ids"]
        return cls(**{**doc, "survey_ids": (first, last)})


def draw_layers(
    surveys: tuple[Survey, Survey],
    canopies: tuple[Canopy, Canopy],
    rasters: tuple[Path, Path],
    change: Change,
    plan: MonitoringPlan,
    sink: Sink,
) -> Layers:
    """Draw all layers of a pair, block by block.

    Parameters
    ----------
    rasters : pair of Path
        Of the canopy stage.
    """
    plots = surveys[0].plots
    shift = pair_shift(canopies, rasters, plots)
    sink.put(COREGISTRATION_NAME, canonical_json(shift.to_doc()))
    maps: Mapping[str, str] = {}
    if change.coefficients:
        moved = shift.moved_rows, shift.moved_cols
        samples = set(plan.sample_plots)
        maps = write_maps(change, canopies, rasters, plots, plan.cell_mm, sink, samples, moved).layers
    metrics, tables, density, points = {}, {}, {}, {}
    for survey, canopy, raster in zip(surveys, canopies, rasters, strict=True):
        with stored_points(survey, canopy) as store:
            written = write_metrics(survey, canopy, raster, plan.cell_mm, sink, store)
            metrics[survey.survey_id], tables[survey.survey_id] = written.raster, written.table
            if store is not None:
                names = write_point_layers(survey, canopy, raster, store, sink)
                density[survey.survey_id], points[survey.survey_id] = names
    layers = Layers(
        survey_ids=(surveys[0].survey_id, surveys[1].survey_id),
        maps=dict(maps),
        coverage=COVERAGE_NAME if maps else "",
        coregistration=COREGISTRATION_NAME,
        metrics=metrics,
        metric_tables=tables,
        point_density=density,
        points=points,
    )
    sink.put(LAYERS_NAME, canonical_json(layers.to_doc()))
    return layers
