"""A small made-up claim with its inputs and outputs: what the bundle needs, and nothing that was measured."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from mrv.blob import Blob, blob_of_file, canonical_json, digest_array
from mrv.canopy import _create
from mrv.geometry import Grid
from mrv.project import DeclaredErrors, MonitoringPlan, Project
from mrv.provenance import RunRecord, environment
from mrv.results import Canopy, Change, Claim, Estimate, History, Inventory, ZoneHeight, digest_result, to_doc
from mrv.tables import load_tables

SECRET = b"a secret of the made-up project"
SURVEYS = ("made-2021", "made-2025")
GRID = Grid(epsg=6674, left_um=17_300_000_000, top_um=-214_000_000_000, pixel_um=500_000, rows=6, cols=8)


def project() -> Project:
    return Project(
        project_id="made",
        name_en="Made-up wood",
        name_ja="架空の森",
        epsg=6674,
        prefecture="mie",
        municipality_code="24209",
        municipality_en="Owase",
        municipality_ja="尾鷲市",
        start=date(2021, 10, 20),
        buffer_ppm=200_000,
        demo=True,
        simulated=True,
    )


def plan() -> MonitoringPlan:
    return MonitoringPlan(
        project_id="made",
        first_survey_id=SURVEYS[0],
        treatments={"P1": "growing"},
        sample_plots={"S1": "P1"},
        deduction_policy="probability_of_exceedance",
        confidence_ppm=666_667,
        interval_ppm=900_000,
        cell_mm=20_000,
        declared=DeclaredErrors({"hinoki": 50_000}, 40_000, 100),
    )


def change() -> Change:
    zero = Estimate(0, 0, 0)
    return Change(
        project_id="made",
        plan_digest=plan().digest,
        first_survey_id=SURVEYS[0],
        last_survey_id=SURVEYS[1],
        start=date(2021, 10, 20),
        end=date(2025, 10, 20),
        method="paired_stratified_regression",
        plots=(),
        stock_first=zero,
        stock_last=zero,
        change=Estimate(1_000_000_000, 100_000_000, 10),
        components_g={"growth": 1_000_000_000},
        variance_parts_g2={},
        species_change_g={},
        jcredit_g={},
        coefficients={},
        creditable=True,
        flags=(),
        unverified=(),
        simulated=True,
    )


def claim() -> Claim:
    return Claim(
        project_id="made",
        batch_id="sha256:" + "ab" * 32,
        method_id="satoyama-stock-change",
        method_version="1.0",
        method_digest="sha256:" + "cd" * 32,
        plan_digest=plan().digest,
        change_digest=digest_result(change()),
        period_start=date(2021, 10, 20),
        period_end=date(2025, 10, 20),
        vintage=2025,
        confidence_ppm=666_667,
        deduction_policy="probability_of_exceedance",
        estimate_kg=1_000_000,
        standard_error_kg=100_000,
        df=10,
        deduction_kg=45_000,
        prior_gross_kg=0,
        compensated_kg=0,
        gross_kg=955_000,
        buffer_kg=191_000,
        credited_kg=764_000,
        area_mm2=10**12,
        register_ids=("24209-012-い-3",),
        unverified=(),
        simulated=True,
    )


def _outputs(folder: Path) -> dict[str, Blob]:
    folder.mkdir(parents=True, exist_ok=True)
    docs: dict[str, Any] = {"change.json": to_doc(change()), "claim.json": claim().to_doc()}
    heights = np.arange(48, dtype=np.int32).reshape(6, 8)
    for survey_id in SURVEYS:
        raster = folder / f"canopy_{survey_id}.tif"
        with _create(raster, GRID) as target:
            target.write(heights, 1)
        zones = (ZoneHeight("P1", 48, 48, int(heights.sum())),)
        digest = digest_array(heights, GRID.to_doc())
        canopy = Canopy(survey_id, raster.name, digest, GRID.to_doc(), "chm", zones, (), ())
        docs[f"canopy_{survey_id}.json"] = to_doc(canopy)
        docs[f"inventory_{survey_id}.json"] = to_doc(Inventory(survey_id, (), ()))
    for name, doc in docs.items():
        (folder / name).write_bytes(canonical_json(doc))
    return {path.name: blob_of_file(path) for path in sorted(folder.iterdir())}


def _survey(folder: Path, survey_id: str) -> dict[str, Blob]:
    place = folder / survey_id
    place.mkdir(parents=True)
    (place / "survey.toml").write_text(f'[survey]\nid = "{survey_id}"\n', encoding="utf-8")
    (place / "plots.geojson").write_text(f'{{"owner": "山田太郎", "in": "{survey_id}"}}', encoding="utf-8")
    (place / "毎木調査.csv").write_text("番号,胸高直径\n1,20.5\n", encoding="utf-8")
    return {path.name: blob_of_file(path) for path in sorted(place.iterdir())}


def run_record() -> RunRecord:
    started = datetime(2025, 11, 1, 9, 0, tzinfo=UTC)
    finished = datetime(2025, 11, 1, 9, 1, tzinfo=UTC)
    return RunRecord(started, finished, environment(), b"# the pipeline\n")


def made_inputs(folder: Path) -> Any:
    """Inputs with the attributes of `mrv.pipeline.PipelineInputs`."""
    surveys = tuple(_survey(folder / "surveys", survey_id) for survey_id in SURVEYS)
    return SimpleNamespace(
        project=project(), plan=plan(), surveys=surveys, tables=load_tables(), history=History()
    )


def made_outputs(folder: Path) -> dict[str, Blob]:
    """Outputs as the stages' sink holds them."""
    return _outputs(folder / "outputs")
