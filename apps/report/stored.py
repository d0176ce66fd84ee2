"""Reports of what a workspace has stored: of a claim, or of a measurement whose claim was refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from apps.look.pages import Tongue
from apps.report.page import ReportInputs, render_report
from flows.settings import Workspace
from flows.work.claiming import claim_record
from flows.work.measuring import Measurement, stage_document, stored_survey
from flows.work.projects import definition_of_project
from mrv.coverage import ModelCoverage
from mrv.errors import ClaimRefused
from mrv.maps import COVERAGE_NAME, MAPS, RANGE_MAP
from mrv.monte_carlo import check_from_doc
from mrv.pair_shift import COREGISTRATION_NAME, PairShift
from mrv.project import MonitoringPlan
from mrv.results import Claim, HeightCurve, change_from_doc, inventory_from_doc

T = TypeVar("T")


@contextmanager
def _opened(
    ws: Workspace,
    project_id: str,
    survey_ids: tuple[str, str],
    outputs: Mapping[str, str],
    claim: Claim | ClaimRefused,
    truth_g: Mapping[str, int] | None,
) -> Iterator[ReportInputs]:
    change = change_from_doc(stage_document(ws, outputs["change.json"]))
    plans = {row.digest: row.doc for row in ws.catalogue.plans_of(project_id)}
    rasters = {"canopy_first": f"canopy_{survey_ids[0]}.tif", "canopy_last": f"canopy_{survey_ids[1]}.tif"}
    rasters |= {name: f"maps/{name}.tif" for name in (*MAPS, RANGE_MAP)}

    def found(name: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        return read(stage_document(ws, outputs[name])) if name in outputs else None

    with ExitStack() as stack:
        maps = {
            key: stack.enter_context(ws.objects.open(outputs[name]))
            for key, name in rasters.items()
            if name in outputs
        }
        yield ReportInputs(
            project=definition_of_project(ws, project_id).project,
            plan=MonitoringPlan.from_doc(plans[change.plan_digest]),
            change=change,
            claim=claim,
            outlines={p.plot_id: p.rings_mm for p in stored_survey(ws, survey_ids[0]).plots},
            maps=maps,
            truth_g=truth_g,
            check=found("maps/check.json", check_from_doc),
            ranges=found(COVERAGE_NAME, ModelCoverage.from_doc),
            shift=found(COREGISTRATION_NAME, PairShift.from_doc),
            curves=_curves(ws, survey_ids, outputs),
        )


def _curves(
    ws: Workspace, survey_ids: tuple[str, str], outputs: Mapping[str, str]
) -> tuple[HeightCurve, ...]:
    names = [f"inventory_{i}.json" for i in survey_ids]
    inventories = [inventory_from_doc(stage_document(ws, outputs[n])) for n in names if n in outputs]
    return tuple(curve for inventory in inventories for curve in inventory.curves)


def report_of_claim(
    ws: Workspace,
    claim_or_batch_id: str,
    path: Path,
    *,
    tongue: Tongue = "both",
    truth_g: Mapping[str, int] | None = None,
) -> Path:
    """Write the report of a stored claim.

    Parameters
    ----------
    truth_g : mapping of plot id to int, optional
        True change of a simulated site, g CO2e, to print beside the estimate.
    """
    row, record = ws.catalogue.claim_row(claim_or_batch_id), claim_record(ws, claim_or_batch_id)
    ids = (row.surveys[0], row.surveys[1])
    with _opened(ws, row.project_id, ids, row.outputs, record.claim, truth_g) as inputs:
        issued = replace(inputs, batch_id=record.claim.batch_id, evidence_root=record.evidence_root)
        return render_report(issued, path, tongue)


def report_of_refusal(
    ws: Workspace,
    measurement: Measurement,
    refused: ClaimRefused,
    path: Path,
    *,
    tongue: Tongue = "both",
    truth_g: Mapping[str, int] | None = None,
) -> Path:
    """Write the report of a measurement of which no credit may be made."""
    with _opened(
        ws, measurement.project_id, measurement.survey_ids, measurement.outputs, refused, truth_g
    ) as inputs:
        return render_report(inputs, path, tongue)
