"""The one line from survey to claim, a plain function for each stage.

Flows wrap these functions as tasks; a buyer's ``verify`` calls the same ones. Every stage takes blobs and small frozen values and returns
small frozen values; large outputs go to the sink it is given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mrv.biomass import measure_inventory
from mrv.blob import Blob, Sink, canonical_json
from mrv.canopy import measure_canopy
from mrv.change import estimate_change
from mrv.change_model import CanopyVisit, estimate_change_by_model
from mrv.credits import make_claim, plot_identity
from mrv.intake import read_survey
from mrv.pairing import Visit
from mrv.project import MonitoringPlan, Project
from mrv.results import (
    Canopy,
    Change,
    Claim,
    History,
    Inventory,
    canopy_from_doc,
    change_from_doc,
    inventory_from_doc,
    to_doc,
)
from mrv.survey import Survey
from mrv.tables import Tables


@dataclass(frozen=True)
class PipelineInputs:
    """All that decides a claim.

    Attributes
    ----------
    surveys : pair of mappings of file name to Blob
        Files of the first and of the last survey.
    history : History
        What was issued before, as read from the chain.
    """

    project: Project
    plan: MonitoringPlan
    surveys: tuple[Mapping[str, Blob], Mapping[str, Blob]]
    tables: Tables
    history: History


@dataclass(frozen=True)
class PipelineResult:
    """What the stages returned, in order."""

    canopies: tuple[Canopy, Canopy]
    inventories: tuple[Inventory, Inventory]
    change: Change
    claim: Claim


def canopy_stage(survey: Survey, sink: Sink) -> Canopy:
    """Stage 1 for one survey; writes ``canopy_<survey>.tif`` and ``.json``."""
    canopy = measure_canopy(survey, sink)
    sink.put(f"canopy_{survey.survey_id}.json", canonical_json(to_doc(canopy)))
    return canopy


def inventory_stage(
    survey: Survey, project: Project, tables: Tables, earlier: Inventory | None, sink: Sink
) -> Inventory:
    """Stage 2 for one survey; writes ``inventory_<survey>.json``."""
    inventory = measure_inventory(survey, project, tables, earlier)
    sink.put(f"inventory_{survey.survey_id}.json", canonical_json(to_doc(inventory)))
    return inventory


def change_stage(first: Visit, last: Visit, plan: MonitoringPlan, sink: Sink) -> Change:
    """Stage 3; writes ``change.json``."""
    change = estimate_change(first, last, plan)
    sink.put("change.json", canonical_json(to_doc(change)))
    return change


def change_by_model_stage(first: CanopyVisit, last: CanopyVisit, plan: MonitoringPlan, sink: Sink) -> Change:
    """Stage 3 for surveys without sample plots: flagged, never creditable; writes ``change.json``."""
    change = estimate_change_by_model(first, last, plan)
    sink.put("change.json", canonical_json(to_doc(change)))
    return change


def claim_stage(
    project: Project, plan: MonitoringPlan, change: Change, history: History, first: Survey, sink: Sink
) -> Claim:
    """Stage 4; writes ``claim.json``. Raises ClaimRefused where nothing may be claimed."""
    claim = make_claim(project, plan, change, history, tuple(plot_identity(project, p) for p in first.plots))
    sink.put("claim.json", canonical_json(claim.to_doc()))
    return claim


def run(inputs: PipelineInputs, sink: Sink) -> PipelineResult:
    """All stages from the files to the claim.

    Raises
    ------
    Refusal
        If a survey is not what it should be.
    ClaimRefused
        If the change permits no claim.
    """
    first, last = (read_survey(files, inputs.project, inputs.tables) for files in inputs.surveys)
    canopies = canopy_stage(first, sink), canopy_stage(last, sink)
    before = inventory_stage(first, inputs.project, inputs.tables, None, sink)
    after = inventory_stage(last, inputs.project, inputs.tables, before, sink)
    change = change_stage(
        Visit(first, canopies[0], before), Visit(last, canopies[1], after), inputs.plan, sink
    )
    claim = claim_stage(inputs.project, inputs.plan, change, inputs.history, first, sink)
    return PipelineResult(canopies, (before, after), change, claim)


# Stages in the order of the data, by the name of the output that records them.
def stage_names(survey_ids: tuple[str, str]) -> tuple[str, ...]:
    """Names of the recorded stage outputs, in the order of the data."""
    first, last = survey_ids
    return (
        f"canopy_{first}",
        f"canopy_{last}",
        f"inventory_{first}",
        f"inventory_{last}",
        "change",
        "claim",
    )


def rerun_stage(
    name: str, inputs: PipelineInputs, recorded: Mapping[str, Mapping[str, Any]], sink: Sink
) -> dict[str, Any]:
    """Recompute one stage from the recorded outputs of the stages before it.

    Parameters
    ----------
    name : str
        One of `stage_names`.
    recorded : mapping of stage name to document
        Stage outputs as a bundle holds them.

    Returns
    -------
    dict
        The stage's document; equal to the recorded one where the stage was computed truly.
    """
    first, last = (read_survey(files, inputs.project, inputs.tables) for files in inputs.surveys)
    ids = first.survey_id, last.survey_id
    if name == f"canopy_{ids[0]}":
        return to_doc(canopy_stage(first, sink))
    if name == f"canopy_{ids[1]}":
        return to_doc(canopy_stage(last, sink))
    if name == f"inventory_{ids[0]}":
        return to_doc(inventory_stage(first, inputs.project, inputs.tables, None, sink))
    before = inventory_from_doc(recorded[f"inventory_{ids[0]}"])
    if name == f"inventory_{ids[1]}":
        return to_doc(inventory_stage(last, inputs.project, inputs.tables, before, sink))
    if name == "change":
        visits = [
            Visit(
                survey,
                canopy_from_doc(recorded[f"canopy_{i}"]),
                inventory_from_doc(recorded[f"inventory_{i}"]),
            )
            for survey, i in ((first, ids[0]), (last, ids[1]))
        ]
        return to_doc(change_stage(visits[0], visits[1], inputs.plan, sink))
    if name == "claim":
        change = change_from_doc(recorded["change"])
        return to_doc(claim_stage(inputs.project, inputs.plan, change, inputs.history, first, sink))
    raise ValueError(f"expected one of {stage_names(ids)}, got {name!r}")
