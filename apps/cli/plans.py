"""Verbs of the monitoring plan: which one holds for which survey, and another for surveys to come."""

from __future__ import annotations

from pathlib import Path

import click

from apps.cli.runs import project_option
from apps.cli.say import Plain, Session


@click.group(cls=Plain)
def plan() -> None:
    """The monitoring plan: what was fixed before which survey. モニタリング計画"""


@plan.command("show")
@project_option
@click.pass_obj
def show_plans(session: Session, project_id: str | None) -> None:
    """Every plan of the project, when it was fixed, and the surveys measured by it. 計画の一覧

    \b
    Example: satoyama plan show
    """
    from flows import work
    from flows.work import plans

    ws = session.open()
    lines = plans.plan_lines(ws, project_id or work.only_project_id(ws))
    for one in lines:
        after = one.after_survey or "-"
        chain = session.pick("not on chain", "チェーン未記録") if one.anchored is None else str(one.anchored)
        session.tell(
            f"{one.digest[:23]}…  stored {one.stored_at:%Y-%m-%d}, on chain {chain}, after {after}, measured: {', '.join(one.surveys) or '-'}",
            f"{one.digest[:23]}…  保存 {one.stored_at:%Y-%m-%d}、チェーン {chain}、{after} より後、対象調査: {'、'.join(one.surveys) or '-'}",
        )
    session.result({"plans": [vars(one) for one in lines]})


@plan.command("change")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--show", is_flag=True, help="Only show what would change; store and send nothing.")
@project_option
@click.pass_obj
def change(session: Session, file: Path, show: bool, project_id: str | None) -> None:
    """Fix another plan for surveys to come: a new species, or larger errors. 次期の計画

    FILE has [declared] as in project.toml. It is put on the chain, and holds for surveys of later days.

    \b
    Example: satoyama plan change next-plan.toml --show
    """
    from flows import work
    from flows.work import plans

    ws = session.open()
    done = plans.change_plan(ws, project_id or work.only_project_id(ws), plans.read_change(file), show=show)
    for name, before, after in done.differences:
        session.tell(f"  {name}: {before} -> {after}", f"  {name}: {before} → {after}")
    if not done.differences:
        session.tell("It is the plan already", "すでにこの計画です")
    elif show:
        session.tell("Nothing was stored or sent", "まだ保存も送信もしていません")
    day = done.from_day
    session.tell(
        f"Plan {done.plan.digest} holds for surveys from {day} on; {done.after_survey} and those before stay with theirs",
        f"計画 {done.plan.digest} は {day} 以降の調査に適用されます（{done.after_survey} 以前は従来の計画のまま）",
    )
    if done.anchored is None and not show:
        session.tell(
            "It is not on the chain: nothing will prove when it was fixed",
            "チェーンに記録されていないため、計画を定めた時期は証明されません",
        )
    session.result(
        {
            "digest": done.plan.digest,
            "differences": [list(one) for one in done.differences],
            "after_survey": done.after_survey,
            "from_day": done.from_day,
            "stored_now": done.stored_now,
            "on_chain": None if done.anchored is None else done.anchored.day,
        }
    )
