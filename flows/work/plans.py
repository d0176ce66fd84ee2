"""Planning anew: a monitoring plan for later surveys, fixed and put on the chain before they are flown."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from flows.settings import Workspace
from flows.tables import PlanRow
from flows.work import chainroom
from flows.work.measuring import tables
from flows.work.projects import plan_of, plan_row_for
from models.errors import SatoyamaError
from mrv.blob import canonical_json
from mrv.project import DeclaredErrors, MonitoringPlan
from registry.claimstruct import digest_of, project_key
from registry.plan_anchor import AnchoredPlan, anchor_change, anchored_plans

PPM = 1_000_000
_BIASES = ("field_height_bias_um", "field_dbh_bias_um")
_SPECIES = "shared_factor_cv_ppm"


class PlanChangeRefused(SatoyamaError):
    """A plan may not be changed so."""


@dataclass(frozen=True)
class ChangedPlan:
    """A plan for later surveys.

    Attributes
    ----------
    differences : tuple of (str, str, str)
        What changes, from what to what.
    after_survey : str
        The newest accepted survey: that one and those before stay with the plans they were measured by.
    from_day : date
        First day of a survey that is measured by it.
    stored_now : bool
        False where it was stored before, or is only shown.
    anchored : AnchoredPlan or None
        On the chain; None where no chain is set up, or it is only shown.
    """

    plan: MonitoringPlan
    differences: tuple[tuple[str, str, str], ...]
    after_survey: str
    from_day: date
    stored_now: bool
    anchored: AnchoredPlan | None


@dataclass(frozen=True)
class PlanLine:
    """A stored plan, the surveys that are measured by it, and the day it was put on the chain."""

    digest: str
    stored_at: datetime
    after_survey: str | None
    surveys: tuple[str, ...]
    anchored: date | None


def read_change(file: Path) -> dict[str, Any]:
    """A change of a plan from a TOML file with ``[declared]`` and ``[plan] interval_ppm``.

    Raises
    ------
    PlanChangeRefused
        If it cannot be read, or names what is fixed for the life of a project.
    """
    try:
        doc = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PlanChangeRefused(
            en=f"{file.name} cannot be read as TOML: {error}.",
            ja=f"{file.name} を TOML として読めません: {error}",
        ) from error
    declared, plan = doc.pop("declared", {}), doc.pop("plan", {})
    known = isinstance(declared, dict) and isinstance(plan, dict)
    fixed = sorted(doc)
    if known:
        fixed += [f"declared.{name}" for name in sorted(set(declared) - {*_BIASES, _SPECIES})]
        fixed += [f"plan.{name}" for name in sorted(set(plan) - {"interval_ppm"})]
    if fixed or not known or not (declared or plan):
        raise PlanChangeRefused(
            en=f"{file.name}: expected [declared] with {', '.join((_SPECIES, *_BIASES))}, and [plan] interval_ppm; got "
            f"{', '.join(fixed) or 'nothing to change'}. Plots, sample plots, design and deduction are fixed for the life of a "
            "project, since its change is counted from the first survey; another design is another project.",
            ja=f"{file.name}: [declared] の {'、'.join((_SPECIES, *_BIASES))} と [plan] interval_ppm だけを変更できますが、"
            f"{'、'.join(fixed) or '変更なし'} でした。区画・標準地・抽出設計・控除の方法は、最初の調査から通して数えるため、"
            "プロジェクトの間は変えられません。",
        )
    return {**declared, **plan}


def changed_plan(plan: MonitoringPlan, change: Mapping[str, Any]) -> MonitoringPlan:
    """The plan with other declared errors or printed intervals; nothing is stored.

    Raises
    ------
    PlanChangeRefused
        If a value is no whole number above zero, or a declared error would be made smaller: what was credited before was
        already seen, and a smaller error would credit more of it.
    """
    before = plan.declared
    species = change.get(_SPECIES, {})
    if not isinstance(species, dict):
        raise _not_whole(_SPECIES, species)
    unknown = sorted(set(species) - set(tables().species))
    if unknown:
        raise PlanChangeRefused(
            en=f"No species {', '.join(unknown)} in the tables. Known: {', '.join(sorted(tables().species))}.",
            ja=f"表にない樹種です: {'、'.join(unknown)}。登録済み: {'、'.join(sorted(tables().species))}",
        )
    asked = {f"{_SPECIES}.{name}": value for name, value in species.items()}
    asked |= {name: change[name] for name in (*_BIASES, "interval_ppm") if name in change}
    for name, value in asked.items():
        if type(value) is not int or value <= 0:
            raise _not_whole(name, value)
    if asked.get("interval_ppm", 1) >= PPM:
        raise _not_whole("interval_ppm", asked["interval_ppm"])
    had = {f"{_SPECIES}.{name}": value for name, value in before.shared_factor_cv_ppm.items()}
    had |= {name: getattr(before, name) for name in _BIASES}
    smaller = [f"{n} {had[n]} -> {v}" for n, v in asked.items() if n in had and v < had[n]]
    if smaller:
        raise PlanChangeRefused(
            en=f"A declared error may be raised, not lowered: {', '.join(smaller)}. Change is counted from the first survey, so a "
            "smaller error would credit more of what has been seen already.",
            ja=f"申告した誤差は大きくできますが、小さくはできません: {'、'.join(smaller)}。変化量は最初の調査から通して数えるため、"
            "すでに見た結果を有利に変えることになります。",
        )
    declared = DeclaredErrors(
        {**before.shared_factor_cv_ppm, **species},
        *(change.get(name, getattr(before, name)) for name in _BIASES),
    )
    return replace(plan, declared=declared, interval_ppm=change.get("interval_ppm", plan.interval_ppm))


def _not_whole(name: str, value: object) -> PlanChangeRefused:
    return PlanChangeRefused(
        en=f"{name} must be a whole number above zero (parts per million below {PPM:,}, micrometres), got {value!r}.",
        ja=f"{name} は正の整数（ppm は {PPM:,} 未満、または µm）でなければなりません: {value!r}",
    )


def change_plan(
    ws: Workspace, project_id: str, change: Mapping[str, Any], *, show: bool = False
) -> ChangedPlan:
    """Fix another plan for surveys to come: put on the chain first, so that its day is proven, then stored.

    Surveys that are accepted, or of a day before it was fixed, stay with the plan before. Run again, nothing changes.

    Raises
    ------
    PlanChangeRefused
        If it may not be changed so, or an earlier period used that very plan.
    """
    rows = ws.catalogue.plans_of(project_id)
    plan_of(ws, project_id)  # refuses where there is none
    newest = ws.catalogue.surveys_of(project_id)[-1]
    present = MonitoringPlan.from_doc(rows[-1].doc)
    plan = changed_plan(present, change)
    if plan != present and plan.digest in {row.digest for row in rows}:
        raise PlanChangeRefused(
            en=f"The plan {plan.digest} was in force before; a plan that was left is not gone back to.",
            ja=f"計画 {plan.digest} は以前に使われたものです。変更前の計画には戻せません。",
        )
    stored_now = plan != present and not show
    anchored = None if show else _anchor(ws, project_id, plan)
    fixed = _moment(ws, anchored)
    if stored_now:
        row = PlanRow(
            digest=plan.digest,
            project_id=project_id,
            doc=plan.to_doc(),
            stored_at=fixed,
            after_survey=newest.survey_id,
        )
        ws.catalogue.put_once(row, plan.digest)
        ws.objects.put_bytes(canonical_json(plan.to_doc()))
    if anchored is not None and plan == present:
        _proven_later(ws, rows[-1], fixed)
    since = fixed.date() if plan != present else rows[-1].stored_at.date()
    after = newest.survey_id if plan != present else rows[-1].after_survey or present.first_survey_id
    day_after = max(since, next(s.day for s in ws.catalogue.surveys_of(project_id) if s.survey_id == after))
    return ChangedPlan(
        plan,
        differences(present, plan),
        after,
        date.fromordinal(day_after.toordinal() + 1),
        stored_now,
        anchored,
    )


def _anchor(ws: Workspace, project_id: str, plan: MonitoringPlan) -> AnchoredPlan | None:
    if not chainroom.is_set_up(ws):
        return None
    chainroom.register_on_chain(ws, project_id)
    port, admin = chainroom.open_port(ws), chainroom.accounts(ws).load("admin")
    known = anchored_plans(port, project_key(project_id))
    if not known:
        return None  # registered without a plan, which no later one can mend
    return anchor_change(port, admin, project_id, project_key(project_id), digest_of(plan.digest))


def _proven_later(ws: Workspace, row: PlanRow, put: datetime) -> None:
    """A plan that came to the chain after it was stored holds from there on, as long as no survey was measured by it."""
    newest = ws.catalogue.surveys_of(row.project_id)[-1].survey_id
    if row.after_survey == newest and row.stored_at < put:
        with ws.catalogue.write() as session:
            row.stored_at = put
            session.merge(row)


def _moment(ws: Workspace, anchored: AnchoredPlan | None) -> datetime:
    return ws.clock() if anchored is None else datetime.fromtimestamp(anchored.block_time, UTC)


def anchor_again(ws: Workspace, project_id: str) -> AnchoredPlan | None:
    """Put the newest plan on the chain's present registry, as after a move to a successor; None where it is the first one."""
    rows = ws.catalogue.plans_of(project_id)
    if not rows or rows[-1].after_survey is None:
        return None
    return _anchor(ws, project_id, MonitoringPlan.from_doc(rows[-1].doc))


def differences(before: MonitoringPlan, after: MonitoringPlan) -> tuple[tuple[str, str, str], ...]:
    """What changes from one plan to another."""
    old, new = _flat(before), _flat(after)
    return tuple((name, old.get(name, "-"), new[name]) for name in new if old.get(name) != new[name])


def _flat(plan: MonitoringPlan) -> dict[str, str]:
    found = {f"{_SPECIES}.{name}": str(v) for name, v in sorted(plan.declared.shared_factor_cv_ppm.items())}
    found |= {name: str(getattr(plan.declared, name)) for name in _BIASES}
    return {**found, "interval_ppm": str(plan.interval_ppm)}


def plan_lines(ws: Workspace, project_id: str) -> list[PlanLine]:
    """Every plan of a project, in the order they were stored."""
    plan_of(ws, project_id)  # refuses where there is none
    rows, surveys = ws.catalogue.plans_of(project_id), ws.catalogue.surveys_of(project_id)
    day_of = {survey.survey_id: survey.day for survey in surveys}
    on_chain = {}
    if chainroom.is_set_up(ws):
        on_chain = {p.digest: p.day for p in anchored_plans(chainroom.open_port(ws), project_key(project_id))}
    by = {survey.survey_id: plan_row_for(rows, day_of, survey.day).digest for survey in surveys[1:]}
    return [
        PlanLine(
            row.digest,
            row.stored_at,
            row.after_survey,
            tuple(name for name, digest in by.items() if digest == row.digest),
            on_chain.get(digest_of(row.digest)),
        )
        for row in rows
    ]
