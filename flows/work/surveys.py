"""Handing in a survey: planned, then stored whole, or refused and kept whole in quarantine."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flows.definition import ProjectDefinition
from flows.settings import Workspace
from flows.tables import ProjectRow, QuarantineRow, SurveyRow
from flows.work import chainroom
from flows.work.measuring import tables
from flows.work.projects import definition_of_project, only_project_id, store_plan
from mrv.errors import Problem, Refusal
from mrv.estimate_checks import foreseen
from mrv.intake import IntakePlan, KnownPlot, KnownSurveys, plan_intake, read_survey
from mrv.survey import Survey


def known_surveys(ws: Workspace) -> KnownSurveys:
    """What was accepted before, of all projects, with the days until which the chain has credited them."""
    with ws.catalogue.read() as session:
        rows = list(session.scalars(select(SurveyRow).order_by(SurveyRow.day, SurveyRow.survey_id)))
        projects = list(session.scalars(select(ProjectRow.project_id)))
    ends = (
        {p: end for p in projects if (end := chainroom.history(ws, p).last_end) is not None} if rows else {}
    )
    digests = {d: r.survey_id for r in rows for d in (r.upload_digest, r.content_digest)}
    measured = {d: r.survey_id for r in rows for d in r.known["measured_files"]}
    plots = tuple(_known_plot(doc, ends) for r in rows for doc in r.known["plots"])
    return KnownSurveys(digests, frozenset(r.survey_id for r in rows), measured, plots, ends)


def _known_plot(doc: Mapping[str, Any], ends: Mapping[str, date]) -> KnownPlot:
    rings = tuple(tuple((x, y) for x, y in ring) for ring in doc["rings_mm"])
    return KnownPlot(**{**doc, "rings_mm": rings, "credited_until": ends.get(doc["project_id"])})


def check_survey(ws: Workspace, upload: Path, project_id: str | None = None) -> IntakePlan:
    """The intake plan of an upload; nothing is stored."""
    definition = definition_of_project(ws, project_id or only_project_id(ws))
    plan = plan_intake(upload, definition.project, known_surveys(ws), tables())
    return _in_order(ws, plan, definition)


def _in_order(ws: Workspace, plan: IntakePlan, definition: ProjectDefinition) -> IntakePlan:
    """Refuse a later survey that comes before the first one, with which the monitoring plan is stored."""
    if plan.survey is None:
        return plan
    accepted = ws.catalogue.surveys_of(definition.project.project_id)
    newest = max(accepted, key=lambda s: s.day, default=None)
    if newest is not None and plan.survey.day <= newest.day:
        return replace(plan, problems=(*plan.problems, _not_later(plan.survey, newest)), survey=None)
    first = definition.plan["first_survey_id"]
    if not first or plan.survey.survey_id == first:
        return _with_plan(ws, plan, plan.survey, definition)
    if ws.catalogue.plans_of(definition.project.project_id):
        return plan
    problem = Problem(
        code="survey.before_first",
        where=plan.survey.survey_id,
        expected_en=f"the first survey {first}, with which the monitoring plan is stored",
        expected_ja=f"モニタリング計画とともに保存される最初の調査 {first} ",
        got_en="a later survey before it",
        got_ja="それより後の調査",
        todo_en=f"Submit {first} first; the plan must stand before the second date is read.",
        todo_ja=f"先に {first} を提出してください。計画は2回目の調査より前に確定する必要があります。",
    )
    return replace(plan, problems=(*plan.problems, problem), survey=None)


def _with_plan(ws: Workspace, plan: IntakePlan, survey: Survey, definition: ProjectDefinition) -> IntakePlan:
    """Refuse a first survey of which no monitoring plan can be made, before anything of it is stored."""
    if ws.catalogue.plans_of(definition.project.project_id):
        return plan
    try:
        monitoring = definition.monitoring_plan(survey)
    except Refusal as refused:
        return replace(plan, problems=(*plan.problems, *refused.problems), survey=None)
    return replace(plan, problems=(*plan.problems, *foreseen(monitoring, survey)))


def _not_later(survey: Survey, newest: SurveyRow) -> Problem:
    return Problem(
        code="survey.not_later",
        where=survey.survey_id,
        expected_en=f"a survey after {newest.day}, the day of {newest.survey_id}",
        expected_ja=f"{newest.survey_id}（{newest.day}）より後の調査",
        got_en=f"one of {survey.day}",
        got_ja=f"{survey.day} の調査",
        todo_en="A day is measured once; nobody chooses between two measurements of it.",
        todo_ja="同じ日の測り直しから選ぶことはできません。",
    )


def submit_survey(ws: Workspace, upload: Path, project_id: str | None = None) -> IntakePlan:
    """Hand in a survey: stored where accepted, kept in quarantine where refused. Nothing that came is lost.

    With the first survey of a project its monitoring plan is stored, before any later date is read.

    Returns
    -------
    IntakePlan
        ``accepted`` tells which of the two it was; ``problems`` why.
    """
    definition = definition_of_project(ws, project_id or only_project_id(ws))
    _mend_plan(ws, definition)
    plan = check_survey(ws, upload, definition.project.project_id)
    if plan.survey is not None:
        try:
            _store(ws, plan, plan.survey)
        except IntegrityError:
            # The same survey was accepted through another process between our look and our writing.
            plan = check_survey(ws, upload, definition.project.project_id)
            if plan.survey is not None:
                raise
    if plan.survey is None:
        _quarantine(ws, upload, plan)
    elif not ws.catalogue.plans_of(definition.project.project_id):
        store_plan(ws, definition.monitoring_plan(plan.survey))
    return plan


def _mend_plan(ws: Workspace, definition: ProjectDefinition) -> None:
    """Store the plan of a first survey that was accepted just before a crash."""
    project_id = definition.project.project_id
    accepted = ws.catalogue.surveys_of(project_id)
    if len(accepted) == 1 and not ws.catalogue.plans_of(project_id):
        files = {n: ws.objects.blob(digest, n) for n, digest in accepted[0].files.items()}
        store_plan(ws, definition.monitoring_plan(read_survey(files, definition.project, tables())))


def _store(ws: Workspace, plan: IntakePlan, survey: Survey) -> None:
    files = {}
    for name, blob in survey.files.items():
        with blob.opener() as path:
            files[name] = ws.objects.put_file(path)
    known = KnownSurveys.of([survey])
    plots = [asdict(p) for p in known.plots]
    for plot in plots:
        del plot["credited_until"]
    row = SurveyRow(
        survey_id=survey.survey_id,
        project_id=survey.project_id,
        day=survey.day,
        upload_name=plan.upload_name,
        upload_digest=plan.upload_digest,
        content_digest=plan.content_digest,
        files=files,
        known={"plots": plots, "measured_files": sorted(known.measured_files)},
        plan_doc=plan.to_doc(),
        simulated=survey.simulated,
        accepted_at=ws.clock(),
    )
    with ws.catalogue.write() as session:
        session.add(row)


def _quarantine(ws: Workspace, upload: Path, plan: IntakePlan) -> None:
    if not upload.exists():
        return
    name = (plan.upload_digest or plan.content_digest).removeprefix("sha256:")[:32]
    place = ws.quarantine_folder / name
    if not place.exists():
        with tempfile.TemporaryDirectory(dir=ws.quarantine_folder, prefix=".part-") as folder:
            kept = Path(folder) / "kept"
            kept.mkdir()
            target = kept / upload.name
            if upload.is_dir():
                # Links are kept as links: what they point to was never part of the upload.
                shutil.copytree(upload, target, symlinks=True)
            else:
                shutil.copyfile(upload, target)
            problems = json.dumps([p.to_doc() for p in plan.problems], ensure_ascii=False, indent=1)
            (kept / "problems.json").write_text(problems, encoding="utf-8")
            os.replace(kept, place)
    with ws.catalogue.write() as session:
        session.add(
            QuarantineRow(
                upload_name=plan.upload_name,
                upload_digest=plan.upload_digest,
                place=place.name,
                problems=[p.to_doc() for p in plan.problems],
                received_at=ws.clock(),
            )
        )


def quarantined(ws: Workspace) -> list[QuarantineRow]:
    """Refused uploads, newest first."""
    with ws.catalogue.read() as session:
        return list(session.scalars(select(QuarantineRow).order_by(QuarantineRow.number.desc())))
