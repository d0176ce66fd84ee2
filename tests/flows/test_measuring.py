"""Stages run on stored surveys, once; and what is stored is what the pipeline gives."""

from __future__ import annotations

import os

import pytest

from apps.demo.survey_files import DemoFiles
from flows import work
from flows.objects import ObjectDamaged
from flows.settings import Workspace
from flows.work import measuring
from models.errors import SatoyamaError
from mrv import pipeline
from mrv.blob import NullSink
from mrv.pipeline import PipelineInputs
from mrv.results import History, digest_result
from tests.flows.conftest import PROJECT


def test_stored_stages_are_what_the_pipeline_gives(approved_ws: Workspace) -> None:
    measured = work.measure(approved_ws, PROJECT)
    first, last = (measuring.survey_files(approved_ws, i) for i in measured.survey_ids)
    inputs = PipelineInputs(
        work.definition_of_project(approved_ws, PROJECT).project,
        work.plan_of(approved_ws, PROJECT)[0],
        (first, last),
        measuring.tables(),
        History(),
    )
    result = pipeline.run(inputs, NullSink())
    by_stage = {s.stage: s.result_digest for s in measured.stages}
    for canopy in result.canopies:
        assert by_stage[f"canopy_{canopy.survey_id}"] == digest_result(canopy)
    for inventory in result.inventories:
        assert by_stage[f"inventory_{inventory.survey_id}"] == digest_result(inventory)
    assert by_stage["change"] == digest_result(result.change)
    assert work.claim_record(approved_ws, result.claim.batch_id).claim == result.claim


def test_a_second_measurement_computes_nothing(
    approved_ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def must_not_run(*_: object) -> None:
        raise AssertionError("a stored stage was computed again")

    for stage in ("canopy_stage", "inventory_stage", "change_stage"):
        monkeypatch.setattr(pipeline, stage, must_not_run)
    assert all(s.reused for s in work.measure(approved_ws, PROJECT).stages)


def test_a_lost_output_is_computed_again_to_the_same_bytes(approved_ws: Workspace) -> None:
    before = work.measure(approved_ws, PROJECT)
    stage = before.stages[0]
    lost = approved_ws.objects.root / "sha256"
    for digest in stage.outputs.values():
        name = digest.removeprefix("sha256:")
        (lost / name[:2] / name).unlink()
    again = work.measure(approved_ws, PROJECT)
    assert [s.reused for s in again.stages] == [False, *[True] * (len(again.stages) - 1)]
    assert again.stages[0].result_digest == stage.result_digest


def test_a_damaged_survey_file_is_never_measured(new_ws: Workspace, demo_files: DemoFiles) -> None:
    work.submit_survey(new_ws, demo_files.survey_zips[0])
    digest = new_ws.catalogue.survey_row("owase-demo-2021").files["trees.csv"]
    with new_ws.objects.open(digest) as path:
        os.chmod(path, 0o644)
        path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    with pytest.raises(ObjectDamaged, match=digest):
        measuring.measure_canopy(new_ws, "owase-demo-2021")


def test_one_survey_alone_says_that_a_second_is_needed(new_ws: Workspace, demo_files: DemoFiles) -> None:
    work.submit_survey(new_ws, demo_files.survey_zips[0])
    with pytest.raises(SatoyamaError, match="second survey"):
        work.measure(new_ws, PROJECT)


def test_an_unknown_survey_is_refused_by_name(approved_ws: Workspace) -> None:
    with pytest.raises(SatoyamaError, match="nowhere-2030"):
        work.measure(approved_ws, PROJECT, "nowhere-2030")
