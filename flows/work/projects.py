"""Projects and their monitoring plans in a workspace."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

from sqlalchemy import select

from flows.definition import ProjectDefinition, read_definition
from flows.settings import Workspace
from flows.tables import PlanRow, ProjectRow
from models.errors import SatoyamaError
from mrv.blob import canonical_json
from mrv.evidence import DEMO_SECRET
from mrv.project import MonitoringPlan

SECRET_VARIABLE = "SATOYAMA_PROJECT_SECRET"


class PlanTooLate(SatoyamaError):
    """A monitoring plan must be stored before the second date is read."""


class ProjectDiffers(SatoyamaError):
    """A project of this id is registered with another definition."""


def init_workspace(path: Path | str, project_file: Path | None = None, **settings: str) -> Workspace:
    """Make (or open) a workspace, and register a project in it where a definition is given."""
    ws = Workspace.create(path, **settings)
    if project_file is not None:
        register_project(ws, read_definition(project_file))
    return ws


def register_project(ws: Workspace, definition: ProjectDefinition) -> None:
    """Store a project definition; storing the same one again changes nothing.

    Raises
    ------
    ProjectDiffers
        If the id is taken by another definition.
    """
    project = definition.project
    row = ProjectRow(
        project_id=project.project_id,
        doc=project.to_doc(),
        settings=definition.settings_doc(),
        registered_at=ws.clock(),
    )
    if not ws.catalogue.put_once(row, project.project_id):
        have = definition_of_project(ws, project.project_id)
        if have != definition:
            raise ProjectDiffers(
                en=f"The project {project.project_id!r} is registered with another definition. Choose another id; "
                "a definition never changes after the fact.",
                ja=f"プロジェクト {project.project_id!r} は別の内容で登録済みです。別のIDを使ってください（登録後の変更はできません）。",
            )


def definition_of_project(ws: Workspace, project_id: str) -> ProjectDefinition:
    """The definition a project was registered with."""
    row = ws.catalogue.project_row(project_id)
    return ProjectDefinition.from_docs(row.doc, row.settings)


def project_ids(ws: Workspace) -> list[str]:
    """Ids of all projects of a workspace."""
    with ws.catalogue.read() as session:
        return list(session.scalars(select(ProjectRow.project_id).order_by(ProjectRow.project_id)))


def only_project_id(ws: Workspace) -> str:
    """Id of the workspace's project where there is exactly one.

    Raises
    ------
    SatoyamaError
        If there is none, or several to choose from.
    """
    ids = project_ids(ws)
    if len(ids) == 1:
        return ids[0]
    raise SatoyamaError(
        en=f"Say which project is meant; this workspace has: {', '.join(ids) or 'none (satoyama init --project project.toml)'}.",
        ja=f"プロジェクトを指定してください。登録済み: {'、'.join(ids) or 'なし（satoyama init --project project.toml）'}",
    )


def store_plan(ws: Workspace, plan: MonitoringPlan) -> str:
    """Store a monitoring plan by its digest; refused once a later survey than its first has been read.

    Returns
    -------
    str
        The plan's digest.

    Raises
    ------
    PlanTooLate
        If the plan is new and a survey after the first was accepted already.
    """
    later = [s for s in ws.catalogue.surveys_of(plan.project_id) if s.survey_id != plan.first_survey_id]
    known = {row.digest for row in ws.catalogue.plans_of(plan.project_id)}
    if plan.digest not in known and later:
        raise PlanTooLate(
            en=f"The survey {later[0].survey_id} was read on {later[0].accepted_at:%Y-%m-%d}; a monitoring plan must be stored "
            "before the second date is read. Go on with the plan that is stored.",
            ja=f"調査 {later[0].survey_id} は {later[0].accepted_at:%Y-%m-%d} に読み込み済みです。モニタリング計画は2回目の調査より"
            "前に保存する必要があります。保存済みの計画で続けてください。",
        )
    row = PlanRow(digest=plan.digest, project_id=plan.project_id, doc=plan.to_doc(), stored_at=ws.clock())
    ws.catalogue.put_once(row, plan.digest)
    ws.objects.put_bytes(canonical_json(plan.to_doc()))
    return plan.digest


def first_plan(ws: Workspace, project_id: str) -> MonitoringPlan:
    """The plan that the project started with; raises as `plan_of`."""
    plan, _ = plan_of(ws, project_id)
    first = [row for row in ws.catalogue.plans_of(project_id) if row.after_survey is None]
    return MonitoringPlan.from_doc(first[-1].doc) if first else plan


def plan_of(ws: Workspace, project_id: str, survey_id: str | None = None) -> tuple[MonitoringPlan, datetime]:
    """The plan in force and when it was stored.

    Parameters
    ----------
    survey_id : str, optional
        The survey that it is to be measured by; the newest accepted one by default.

    Raises
    ------
    SatoyamaError
        If none is stored yet.
    """
    rows = ws.catalogue.plans_of(project_id)
    if not rows:
        raise SatoyamaError(
            en=f"The project {project_id!r} has no monitoring plan yet. Submit its first survey; the plan is stored with it.",
            ja=f"プロジェクト {project_id!r} にモニタリング計画がありません。最初の調査を提出すると保存されます。",
        )
    day_of = {survey.survey_id: survey.day for survey in ws.catalogue.surveys_of(project_id)}
    day = max(day_of.values(), default=None) if survey_id is None else day_of.get(survey_id)
    row = plan_row_for(rows, day_of, day)
    return MonitoringPlan.from_doc(row.doc), row.stored_at


def plan_row_for(rows: Sequence[PlanRow], day_of: Mapping[str, date], day: date | None) -> PlanRow:
    """The plan that a survey of that day is measured by: the newest of those that had been fixed before it.

    Parameters
    ----------
    rows : sequence of PlanRow
        Of the project, in the order they were stored.
    day_of : mapping of survey id to date
        Days of the project's accepted surveys.
    """
    first = [row for row in rows if row.after_survey is None]
    if day is None:
        return first[-1]
    later = [
        row
        for row in rows
        if row.after_survey is not None and row.stored_at.date() < day and day_of[row.after_survey] < day
    ]
    return later[-1] if later else first[-1]


def project_secret(ws: Workspace, project_id: str) -> bytes:
    """Secret that the salts of a project's evidence are derived from: fixed for the demo, else from the environment
    or a private file of the keystore folder, made at first use."""
    if definition_of_project(ws, project_id).project.demo:
        return DEMO_SECRET
    if given := os.environ.get(SECRET_VARIABLE):
        return given.encode()
    file = ws.keys_folder / "project_secret"
    if not file.exists():
        handle, name = tempfile.mkstemp(dir=ws.keys_folder, prefix=".new-")  # readable by the owner only
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(secrets.token_hex(32).encode())
                out.flush()
                os.fsync(out.fileno())
            # A link fails where another process was first; a rename would replace its secret.
            with contextlib.suppress(FileExistsError):
                os.link(name, file)
        finally:
            os.unlink(name)
    return file.read_bytes()
