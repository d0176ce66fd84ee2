"""A small project on disk: two square plots, ten sample plots, two dates; files as a team hands them in, made by plain formulas."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from mrv.blob import Blob, FolderSink, blob_of_file
from mrv.bundle import write_bundle
from mrv.evidence import Evidence
from mrv.pipeline import PipelineInputs, PipelineResult, run
from mrv.project import DeclaredErrors, MonitoringPlan, Project
from mrv.provenance import record_run
from mrv.results import History
from mrv.tables import Tables, load_tables

SECRET = b"secret of the small project"
LEFT, BOTTOM, SIDE, CELL = 17_300.0, -214_000.0, 100.0, 20.0
PLOTS = ("P1", "P2")
DAYS = (date(2021, 10, 20), date(2025, 10, 20))
SURVEYS = tuple(f"small-{day.year}" for day in DAYS)
# Column and row of the sampled cells of a plot, five of its twenty-five.
CELLS = ((0, 0), (3, 1), (1, 2), (4, 3), (2, 4))

PROJECT = Project(
    project_id="small",
    name_en="Small wood",
    name_ja="小さな森",
    epsg=6674,
    prefecture="mie",
    municipality_code="24209",
    municipality_en="Owase",
    municipality_ja="尾鷲市",
    start=DAYS[0],
    buffer_ppm=200_000,
    demo=True,
    simulated=True,
)
PLAN = MonitoringPlan(
    project_id="small",
    first_survey_id=SURVEYS[0],
    treatments=dict.fromkeys(PLOTS, "growing"),
    sample_plots={f"{plot}-S{n}": plot for plot in PLOTS for n in range(len(CELLS))},
    deduction_policy="probability_of_exceedance",
    confidence_ppm=666_667,
    interval_ppm=900_000,
    cell_mm=20_000,
    declared=DeclaredErrors({"hinoki": 20_000}, 10_000, 50),
)


def _height_m(plot: int, column: int, row: int, which: int) -> float:
    """Height of the stand in one cell: uneven at first, and growing unevenly."""
    return 14.0 + plot + 0.25 * ((3 * column + row) % 5) + which * (1.5 + 0.1 * ((column + 2 * row) % 4))


def _square(left: float, bottom: float, side: float) -> list[list[list[float]]]:
    right, top = left + side, bottom + side
    return [[[left, bottom], [right, bottom], [right, top], [left, top], [left, bottom]]]


def _geojson(features: list[tuple[dict[str, object], list[list[list[float]]]]]) -> str:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::6674"}}
    listed = [
        {"type": "Feature", "properties": p, "geometry": {"type": "Polygon", "coordinates": c}}
        for p, c in features
    ]
    return json.dumps({"type": "FeatureCollection", "crs": crs, "features": listed}, ensure_ascii=False)


def _left(plot: int) -> float:
    return LEFT + plot * 1.5 * SIDE


def _plots() -> str:
    rows = []
    for k, plot in enumerate(PLOTS):
        properties = {"plot_id": plot, "register_id": f"24209-012-い-{k + 1}", "name": f"plot {k + 1}"}
        properties |= {"species": "ヒノキ", "register_area_ha": "1.0", "treatment": "growing"}
        rows.append(({**properties, "planted_year": 1985}, _square(_left(k), BOTTOM, SIDE)))
    return _geojson(rows)


def _samples() -> str:
    rows = []
    for k, plot in enumerate(PLOTS):
        for n, (column, row) in enumerate(CELLS):
            properties = {"sample_plot_id": f"{plot}-S{n}", "plot_id": plot, "tagged": True}
            rows.append((properties, _square(_left(k) + column * CELL, BOTTOM + row * CELL, CELL)))
    return _geojson(rows)


def _trees(which: int) -> str:
    lines = ["標準地,立木番号,樹種,胸高直径,樹高,状態"]
    for k, plot in enumerate(PLOTS):
        for n, (column, row) in enumerate(CELLS):
            for tree in range(30):
                height = _height_m(k, column, row, which) + 0.1 * (tree % 7 - 3)
                lines.append(
                    f"{plot}-S{n},{tree + 1},ヒノキ,{1.25 * height + 0.5 * (tree % 5):.1f},{height:.1f},生"
                )
    return "\n".join(lines) + "\n"


def _chm(path: Path, which: int) -> None:
    heights = np.full((120, 270), 10.0, dtype=np.float32)
    for k in range(len(PLOTS)):
        for column in range(5):
            for row in range(5):
                # Ten metres of margin around the plots; rows count from the north.
                top, left = 110 - 20 * (row + 1), 10 + k * 150 + 20 * column
                heights[top : top + 20, left : left + 20] = _height_m(k, column, row, which)
    transform = Affine(1, 0, LEFT - 10, 0, -1, BOTTOM + SIDE + 10)
    profile = {
        "driver": "GTiff",
        "width": 270,
        "height": 120,
        "count": 1,
        "dtype": "float32",
        "nodata": -9999.0,
    }
    with rasterio.open(path, "w", crs="EPSG:6674", transform=transform, **profile) as target:
        target.write(heights, 1)


def write_survey(folder: Path, which: int) -> dict[str, Blob]:
    """One survey as files; gives them as blobs by name."""
    place = folder / SURVEYS[which]
    place.mkdir(parents=True)
    manifest = f"""[survey]
id = "{SURVEYS[which]}"
project = "small"
date = {DAYS[which].isoformat()}
crs = "EPSG:6674"
vertical_datum = "height_above_ground"
simulated = true

[files]
plots = "plots.geojson"
sample_plots = "sample_plots.geojson"
trees = "毎木調査.csv"
chm = {{ path = "chm.tif", unit = "m" }}

[design]
kind = "stratified"
"""
    (place / "survey.toml").write_text(manifest, encoding="utf-8")
    (place / "plots.geojson").write_text(_plots(), encoding="utf-8")
    (place / "sample_plots.geojson").write_text(_samples(), encoding="utf-8")
    (place / "毎木調査.csv").write_text(_trees(which), encoding="utf-8")
    _chm(place / "chm.tif", which)
    return files_of(place)


def files_of(folder: Path) -> dict[str, Blob]:
    """Blobs of all files under a folder by their relative names."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): blob_of_file(p) for p in paths}


@dataclass(frozen=True)
class Measured:
    """The project measured once: inputs, outputs as files, results."""

    inputs: PipelineInputs
    outputs: dict[str, Blob]
    result: PipelineResult

    def bundle(self, target: Path, outputs: dict[str, Blob] | None = None) -> Evidence:
        """Write the evidence, or a forgery with other outputs."""
        moment = datetime(2025, 11, 1, 9, 0, tzinfo=UTC)
        return write_bundle(target, self.inputs, outputs or self.outputs, record_run(moment, moment), SECRET)


def measure(folder: Path, tables: Tables | None = None, plan: MonitoringPlan = PLAN) -> Measured:
    """Write both surveys and run the pipeline on them."""
    surveys = write_survey(folder, 0), write_survey(folder, 1)
    inputs = PipelineInputs(PROJECT, plan, surveys, tables or load_tables(), History())
    result = run(inputs, FolderSink(folder / "outputs"))
    return Measured(inputs, files_of(folder / "outputs"), result)
