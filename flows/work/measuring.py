"""Measuring: each stage of `mrv.pipeline` on stored surveys, digests in and digests out, and nothing computed twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from flows.objects import StoreSink
from flows.settings import Workspace
from flows.tables import StageRow
from flows.work.projects import definition_of_project, plan_of
from models.errors import SatoyamaError
from mrv import pipeline
from mrv.blob import Blob, canonical_json, digest_doc
from mrv.canopy_slopes import canopy_slopes
from mrv.change_model import CanopyVisit
from mrv.intake import read_survey
from mrv.layers import LAYERS_NAME, draw_layers
from mrv.monte_carlo import can_check, check_change
from mrv.pairing import Visit
from mrv.provenance import measuring_digest
from mrv.results import (
    Canopy,
    Change,
    Inventory,
    canopy_from_doc,
    change_from_doc,
    inventory_from_doc,
    to_doc,
)
from mrv.survey import Survey
from mrv.tables import Tables, load_tables


@dataclass(frozen=True)
class StageResult:
    """A stage's stored result.

    Attributes
    ----------
    result_digest : str
        Object that holds the stage's document.
    outputs : mapping of output name to digest
        Everything the stage put into its sink.
    reused : bool
        Whether it was stored already and nothing was computed.
    """

    stage: str
    inputs_digest: str
    result_digest: str
    outputs: Mapping[str, str]
    seconds: float
    reused: bool


@dataclass(frozen=True)
class Measurement:
    """Stored results of all stages for a pair of surveys, in the order of the data."""

    project_id: str
    survey_ids: tuple[str, str]
    plan_digest: str
    stages: tuple[StageResult, ...]

    @property
    def outputs(self) -> dict[str, str]:
        """Digest of every output of every stage by its name."""
        return {name: digest for stage in self.stages for name, digest in stage.outputs.items()}


@cache
def tables() -> Tables:
    """The reference tables, read once."""
    return load_tables()


@cache
def _program() -> str:
    return measuring_digest()


def survey_files(ws: Workspace, survey_id: str) -> dict[str, Blob]:
    """Files of an accepted survey by name, from the object store."""
    row = ws.catalogue.survey_row(survey_id)
    return {name: ws.objects.blob(digest, name) for name, digest in row.files.items()}


def stored_survey(ws: Workspace, survey_id: str) -> Survey:
    """An accepted survey, reread from its stored files.

    Raises
    ------
    ObjectDamaged
        If a stored file no longer has its hash.
    """
    return _read_stored(ws, survey_id, ws.catalogue.survey_row(survey_id).content_digest)


@lru_cache(maxsize=4)
def _read_stored(ws: Workspace, survey_id: str, content_digest: str) -> Survey:
    # Content that has this digest never changes, so the last few surveys are kept.
    files = survey_files(ws, survey_id)
    for blob in files.values():
        ws.objects.check(blob.digest)
    project = definition_of_project(ws, ws.catalogue.survey_row(survey_id).project_id).project
    return read_survey(files, project, tables())


def stage_document(ws: Workspace, result_digest: str) -> dict[str, Any]:
    """A stage's stored document."""
    doc: dict[str, Any] = json.loads(ws.objects.read(result_digest))
    return doc


def canopy_of(ws: Workspace, result: StageResult) -> Canopy:
    return canopy_from_doc(stage_document(ws, result.result_digest))


def inventory_of(ws: Workspace, result: StageResult) -> Inventory:
    return inventory_from_doc(stage_document(ws, result.result_digest))


def change_of(ws: Workspace, result: StageResult) -> Change:
    return change_from_doc(stage_document(ws, result.result_digest))


def _stage(
    ws: Workspace,
    project_id: str,
    stage: str,
    result_name: str,
    inputs: Mapping[str, Any],
    compute: Callable[[StoreSink], object],
) -> StageResult:
    """Run a stage unless its result on these very inputs, tables and program text is stored whole."""
    key = digest_doc(
        {"stage": stage, "program": _program(), "tables": tables().digest, "inputs": dict(inputs)}
    )
    row = ws.catalogue.stage_row(key)
    if row is not None and all(map(ws.objects.has, row.outputs.values())):
        return StageResult(stage, key, row.result_digest, row.outputs, row.seconds, reused=True)
    started = time.perf_counter()
    sink = StoreSink(ws.objects, ws.scratch_folder)
    compute(sink)
    seconds = time.perf_counter() - started
    digest = sink.digests[result_name]
    row = StageRow(
        inputs_digest=key,
        stage=stage,
        project_id=project_id,
        result_digest=digest,
        outputs=sink.digests,
        seconds=seconds,
        made_at=ws.clock(),
    )
    with ws.catalogue.write() as session:
        session.merge(row)
    return StageResult(stage, key, digest, sink.digests, seconds, reused=False)


def measure_canopy(ws: Workspace, survey_id: str) -> StageResult:
    """Stage 1: canopy height of one survey."""
    row = ws.catalogue.survey_row(survey_id)
    return _stage(
        ws,
        row.project_id,
        f"canopy_{survey_id}",
        f"canopy_{survey_id}.json",
        {"survey": row.content_digest},
        lambda sink: pipeline.canopy_stage(stored_survey(ws, survey_id), sink),
    )


def measure_inventory(ws: Workspace, survey_id: str, earlier: StageResult | None) -> StageResult:
    """Stage 2: trees of one survey's sample plots; `earlier` is the first survey's inventory, None for the first itself."""
    row = ws.catalogue.survey_row(survey_id)
    project = definition_of_project(ws, row.project_id).project

    def compute(sink: StoreSink) -> object:
        before = None if earlier is None else inventory_of(ws, earlier)
        return pipeline.inventory_stage(stored_survey(ws, survey_id), project, tables(), before, sink)

    inputs = {
        "survey": row.content_digest,
        "project": digest_doc(project.to_doc()),
        "earlier": None if earlier is None else earlier.result_digest,
    }
    return _stage(
        ws, row.project_id, f"inventory_{survey_id}", f"inventory_{survey_id}.json", inputs, compute
    )


def estimate_change(
    ws: Workspace,
    survey_ids: tuple[str, str],
    canopies: tuple[StageResult, StageResult],
    inventories: tuple[StageResult, StageResult] | None,
) -> StageResult:
    """Stage 3: change of stock between two surveys; from canopy height alone, flagged, where there are no sample plots."""
    rows = [ws.catalogue.survey_row(i) for i in survey_ids]
    plan, _ = plan_of(ws, rows[0].project_id, survey_ids[1])
    inputs = {
        "surveys": [row.content_digest for row in rows],
        "plan": plan.digest,
        "canopies": [c.result_digest for c in canopies],
        "inventories": None if inventories is None else [i.result_digest for i in inventories],
    }

    def compute(sink: StoreSink) -> object:
        surveys = [stored_survey(ws, i) for i in survey_ids]
        heights = [canopy_of(ws, c) for c in canopies]
        if inventories is not None:
            trees = [inventory_of(ws, i) for i in inventories]
            first, last = (Visit(*visit) for visit in zip(surveys, heights, trees, strict=True))
            return pipeline.change_stage(first, last, plan, sink)
        with ExitStack() as stack:
            rasters = _rasters(ws, canopies, stack)
            early, late = (CanopyVisit(*visit) for visit in zip(surveys, heights, rasters, strict=True))
            return pipeline.change_by_model_stage(early, late, plan, sink)

    return _stage(ws, rows[0].project_id, "change", "change.json", inputs, compute)


def draw_maps(
    ws: Workspace, survey_ids: tuple[str, str], canopies: tuple[StageResult, StageResult], change: StageResult
) -> StageResult:
    """Maps, metrics and the fit of both canopies on each other; for reading, no kilogram rests on them.

    What is written where is told in :mod:`mrv.layers`. Of a pair without sample plots there is no map of stock.
    """
    rows = [ws.catalogue.survey_row(i) for i in survey_ids]
    plan, _ = plan_of(ws, rows[0].project_id, survey_ids[1])

    def compute(sink: StoreSink) -> object:
        surveys = stored_survey(ws, survey_ids[0]), stored_survey(ws, survey_ids[1])
        heights = canopy_of(ws, canopies[0]), canopy_of(ws, canopies[1])
        with ExitStack() as stack:
            first, last = _rasters(ws, canopies, stack)
            return draw_layers(surveys, heights, (first, last), change_of(ws, change), plan, sink)

    inputs = {
        "surveys": [row.content_digest for row in rows],
        "plan": plan.digest,
        "change": change.result_digest,
        "canopies": [c.result_digest for c in canopies],
    }
    return _stage(ws, rows[0].project_id, "maps", LAYERS_NAME, inputs, compute)


def draw_check(
    ws: Workspace,
    survey_ids: tuple[str, str],
    canopies: tuple[StageResult, StageResult],
    inventories: tuple[StageResult, StageResult],
    change: StageResult,
) -> StageResult:
    """Every error drawn from tree to project, beside the standard error credited; for reading, no kilogram rests on it."""
    row = ws.catalogue.survey_row(survey_ids[0])
    plan, _ = plan_of(ws, row.project_id, survey_ids[1])
    project = definition_of_project(ws, row.project_id).project

    def compute(sink: StoreSink) -> object:
        surveys = [stored_survey(ws, i) for i in survey_ids]
        heights = [canopy_of(ws, c) for c in canopies]
        trees = [inventory_of(ws, i) for i in inventories]
        first, last = (Visit(*visit) for visit in zip(surveys, heights, trees, strict=True))
        rings = {p.plot_id: p.rings_mm for p in surveys[0].plots}
        rings |= {s.sample_plot_id: s.rings_mm for s in surveys[0].sample_plots}
        with ExitStack() as stack:
            rasters = _rasters(ws, canopies, stack)
            early, late = (canopy_slopes(*date, rings) for date in zip(heights, rasters, strict=True))
        check = check_change(
            first, last, plan, change_of(ws, change), project, tables(), slopes=(early, late)
        )
        return sink.put("maps/check.json", canonical_json(to_doc(check)))

    inputs = {
        "change": change.result_digest,
        "project": digest_doc(project.to_doc()),
        "canopies": [c.result_digest for c in canopies],
        "inventories": [i.result_digest for i in inventories],
    }
    return _stage(ws, row.project_id, "check", "maps/check.json", inputs, compute)


def _rasters(ws: Workspace, canopies: tuple[StageResult, StageResult], stack: ExitStack) -> list[Any]:
    found = []
    for result in canopies:
        name = next(n for n in result.outputs if n.endswith(".tif"))
        found.append(stack.enter_context(ws.objects.open(result.outputs[name])))
    return found


def survey_pair(ws: Workspace, project_id: str, last_survey_id: str | None = None) -> tuple[str, str]:
    """The first survey of the plan and the last one (or the one named).

    Raises
    ------
    SatoyamaError
        If there are not two surveys yet.
    """
    plan, _ = plan_of(ws, project_id)
    later = [s.survey_id for s in ws.catalogue.surveys_of(project_id) if s.survey_id != plan.first_survey_id]
    if last_survey_id is not None and last_survey_id in later:
        later = [last_survey_id]
    elif last_survey_id is not None or not later:
        raise SatoyamaError(
            en=f"Expected a survey after {plan.first_survey_id}{f' named {last_survey_id}' if last_survey_id else ''}; "
            f"accepted are: {', '.join(later) or 'none'}. Submit the second survey first.",
            ja=f"{plan.first_survey_id} より後の調査{f'（{last_survey_id}）' if last_survey_id else ''}が必要です。"
            f"受理済み: {'、'.join(later) or 'なし'}。先に2回目の調査を提出してください。",
        )
    return plan.first_survey_id, later[-1]


def has_trees(ws: Workspace, survey_ids: tuple[str, str]) -> bool:
    """Whether both surveys carry a tree list of sample plots."""
    return all(stored_survey(ws, i).trees is not None for i in survey_ids)


def measure(ws: Workspace, project_id: str, last_survey_id: str | None = None) -> Measurement:
    """All stages for a project's first and last survey, without Prefect; stored results are reused."""
    ids = survey_pair(ws, project_id, last_survey_id)
    canopies = measure_canopy(ws, ids[0]), measure_canopy(ws, ids[1])
    inventories = None
    if has_trees(ws, ids):
        before = measure_inventory(ws, ids[0], None)
        inventories = before, measure_inventory(ws, ids[1], before)
    change = estimate_change(ws, ids, canopies, inventories)
    stages = (*canopies, *(inventories or ()), change, draw_maps(ws, ids, canopies, change))
    if inventories is not None and can_check(change_of(ws, change)):
        stages = (*stages, draw_check(ws, ids, canopies, inventories, change))
    plan, _ = plan_of(ws, project_id, ids[1])
    return Measurement(project_id, ids, plan.digest, stages)
