"""Verbs of a forestry team: make a workspace, check a survey, hand it in."""

from __future__ import annotations

from pathlib import Path

import click

from apps.cli.roles import warn, warning_doc
from apps.cli.say import REFUSED, Plain, Session


@click.command()
@click.argument("path", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--project", type=click.Path(path_type=Path, dir_okay=False), help="Project definition (project.toml)."
)
@click.option(
    "--chain", "with_chain", is_flag=True, help="Also make keys and put the contracts on the chain."
)
@click.option(
    "--chain-url", help="JSON-RPC address of a chain; without it, an embedded chain in the workspace."
)
@click.option(
    "--yen", help="Address of an existing yen stablecoin; without it a development token of no value."
)
@click.option(
    "--gas",
    type=click.IntRange(min=1),
    help="With --chain-url: thousandths of the chain's coin that the admin's account gives each other role.",
)
@click.option("--bond", default=50_000, show_default=True, help="Whole yen that a challenger puts in.")
@click.option("--decide-days", default=14, show_default=True, help="Days in which a challenge is decided.")
@click.option(
    "--panel", default=2, show_default=True, help="Verifiers who decide a challenge where they agree."
)
@click.pass_obj
def init(
    session: Session,
    path: Path,
    project: Path | None,
    with_chain: bool,
    chain_url: str | None,
    yen: str | None,
    gas: int | None,
    bond: int,
    decide_days: int,
    panel: int,
) -> None:
    """Make a workspace: one folder that holds everything. 作業フォルダを作る

    Keys of the accounts are kept encrypted with the password in SATOYAMA_KEYSTORE_PASSWORD.

    \b
    Example: satoyama init my-coop --project project.toml --chain
    """
    from flows import work

    values = {"chain_kind": "rpc", "chain_url": chain_url} if chain_url else {}
    ws = work.init_workspace(path, project, **values)
    doc: dict[str, object] = {"workspace": str(ws.root)}
    if with_chain:
        from registry.bench import court_warning
        from registry.deploy import CourtTerms

        terms = CourtTerms(bond, decide_days, panel)
        deployed = work.set_up_chain(ws, yen=yen, terms=terms, gas_wei=(gas or 0) * 10**15)
        doc["deployment"] = deployed.to_doc()
        session.tell(f"Contracts: registry {deployed.registry}", f"契約: レジストリ {deployed.registry}")
        warning = court_warning(work.open_port(ws))
        warn(session, warning)
        doc["warning"] = warning_doc(warning)
    session.tell(f"Workspace ready: {ws.root}", f"作業フォルダを用意しました: {ws.root}")
    session.result(doc)


@click.group(cls=Plain)
def survey() -> None:
    """Check a survey, or hand it in. 調査データの確認と提出"""


@survey.command()
@click.argument("upload", type=click.Path(path_type=Path))
@click.option("--project", "project_id", help="Project id, where the workspace has several.")
@click.pass_obj
def check(session: Session, upload: Path, project_id: str | None) -> None:
    """Show what would be accepted and what is wrong; nothing is stored. 保存せずに確認

    \b
    Example: satoyama survey check survey-2025.zip
    """
    from flows import work

    _show(session, work.check_survey(session.open(), upload, project_id))


@survey.command()
@click.argument("upload", type=click.Path(path_type=Path))
@click.option("--project", "project_id", help="Project id, where the workspace has several.")
@click.pass_obj
def submit(session: Session, upload: Path, project_id: str | None) -> None:
    """Hand in a survey: stored if accepted, kept in quarantine if not. 提出

    \b
    Example: satoyama survey submit survey-2025.zip
    """
    from flows import work

    ws = session.open()
    _show(session, work.submit_survey(ws, upload, project_id))
    project = project_id or work.only_project_id(ws)
    if work.is_set_up(ws) and project not in work.projects_on_chain(ws):
        why = work.anchor_plan(ws, project)
        if why is None:
            session.tell(
                "The monitoring plan is on the chain: its date can be proven.",
                "モニタリング計画をチェーンに記録しました（日付を証明できます）。",
            )
        else:
            session.tell(
                f"The monitoring plan is stored but not yet on the chain: {why.en}",
                f"モニタリング計画は保存済みですが、チェーンには未記録です: {why.ja}",
            )


def _show(session: Session, plan: object) -> None:
    from mrv.intake import IntakePlan, render

    assert isinstance(plan, IntakePlan)
    if session.as_json:
        session.result(plan.to_doc())
    else:
        click.echo(render(plan, "ja" if session.lang == "ja" else "en"))
    if not plan.accepted:
        if not session.as_json:
            other = "en" if session.lang == "ja" else "ja"
            for problem in plan.problems:
                click.echo(getattr(problem, other), err=True)
        click.get_current_context().exit(REFUSED)
