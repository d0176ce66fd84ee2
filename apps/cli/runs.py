"""Verbs that the scheduled runs do too: measure, claim, approve, issue, settle, watch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from apps.cli.say import REFUSED, Plain, Session, tonnes

project_option = click.option("--project", "project_id", help="Project id, where the workspace has several.")


@click.command()
@project_option
@click.option("--survey", "survey_id", help="The later survey; the newest by default.")
@click.option(
    "--flow", "as_flow", is_flag=True, help="Run as a Prefect flow, with its report in Prefect's page."
)
@click.pass_obj
def measure(session: Session, project_id: str | None, survey_id: str | None, as_flow: bool) -> None:
    """Measure stock and change from the surveys handed in. 蓄積と変化量の計測

    \b
    Example: satoyama measure
    """
    from flows import work
    from flows.work.measuring import change_of

    ws = session.open()
    project = project_id or work.only_project_id(ws)
    if as_flow:
        from flows import runtime

        runtime.ready(ws)
        from flows.measure import measure_flow

        measured = measure_flow(str(ws.root), project, survey_id)
    else:
        measured = work.measure(ws, project, survey_id)
    change = change_of(ws, next(s for s in measured.stages if s.stage == "change"))
    _show_change(session, change)


def _show_change(session: Session, change: object) -> None:
    from apps.look.wording import DESIGNS, FLAGS, word
    from mrv.methodology.deduction import half_width_g
    from mrv.results import Change, to_doc

    assert isinstance(change, Change)
    session.result(to_doc(change))
    valid = change.interval_valid
    spread = ("± 90 % interval", "±90%区間") if valid else ("±: interval NOT VALID", "±は区間として無効")
    session.tell(
        f"Change {change.start} to {change.end}, t CO2e ({spread[0]})",
        f"{change.start} から {change.end} の変化量 t CO2e（{spread[1]}）",
    )
    for row in (*change.plots, None):
        name = f"{row.plot_id} {row.name}" if row else session.pick("Project", "合計")
        estimate = row.change if row else change.change
        session.tell(
            *[f"  {name:28s} {tonnes(estimate.total_g):>10s} ± {tonnes(half_width_g(estimate)):>8s}"] * 2
        )
    if change.design:
        kind = word(DESIGNS, change.design)
        session.tell(f"Sample plots: {kind.en}. {change.reason_en}", f"標準地: {kind.ja}。{change.reason_ja}")
    if change.simulated:
        session.tell("SIMULATED survey data", "模擬データによる計測です")
    for flag in change.flags:
        said = word(FLAGS, flag)
        session.tell(f"  note: {said.en} [{flag}]", f"  注意: {said.ja} [{flag}]")


@click.command()
@project_option
@click.option("--survey", "survey_id", help="The later survey; the newest by default.")
@click.option("--evidence", type=click.Path(path_type=Path), help="Also write the evidence bundle here.")
@click.pass_obj
def claim(session: Session, project_id: str | None, survey_id: str | None, evidence: Path | None) -> None:
    """Make the claim: change less its uncertainty, then the buffer. クレジットの申請

    \b
    Example: satoyama claim --evidence evidence.zip
    """
    from flows import work

    ws = session.open()
    made = work.make_claim(ws, project_id or work.only_project_id(ws), survey_id)
    if evidence is not None:
        work.evidence_to(ws, made.claim_id, evidence)
    c = made.claim
    session.tell(
        f"Change {c.estimate_kg:,} kg − uncertainty {c.deduction_kg:,} kg = {c.gross_kg:,} kg; "
        f"buffer {c.buffer_kg:,} kg; credited {c.credited_kg:,} kg CO2e",
        f"変化量 {c.estimate_kg:,} kg − 不確実性控除 {c.deduction_kg:,} kg = {c.gross_kg:,} kg、"
        f"バッファ {c.buffer_kg:,} kg、クレジット {c.credited_kg:,} kg CO2e",
    )
    session.tell(f"Batch {c.batch_id}", f"バッチ {c.batch_id}")
    session.result({"claim_id": made.claim_id, "evidence_root": made.evidence_root, "claim": c.to_doc()})


@click.command()
@click.argument("batch", required=False)
@click.pass_obj
def approve(session: Session, batch: str | None) -> None:
    """Verifier: recompute a claim from its evidence, and sign it. 検証者による再計算と署名

    The verifier's key must not be the issuer's.

    \b
    Example: satoyama approve
    """
    from flows import work

    ws = session.open()
    signed = work.approve(ws, batch or newest_claim(session))
    session.tell(
        f"Recomputed {signed.recomputed_kg:,} kg and signed by {signed.verifier}",
        f"{signed.recomputed_kg:,} kg を再計算し、{signed.verifier} が署名しました",
    )
    session.result(
        {"claim_id": signed.claim_id, "verifier": signed.verifier, "recomputed_kg": signed.recomputed_kg}
    )


@click.command()
@click.argument("batch", required=False)
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.pass_obj
def issue(session: Session, batch: str | None, as_flow: bool) -> None:
    """Mint an approved claim on the chain, exactly once. チェーンへの発行

    \b
    Example: satoyama issue
    """
    from flows import work

    ws = session.open()
    name = batch or newest_claim(session)
    if as_flow:
        from flows import runtime

        runtime.ready(ws)
        from flows.issue import issue_flow

        issued = issue_flow(str(ws.root), name)
    else:
        issued = work.issue(ws, name)
    session.tell(
        f"On chain: transaction {issued.event.tx_hash} in block {issued.event.block}",
        f"チェーンに記録: 取引 {issued.event.tx_hash}（ブロック {issued.event.block}）",
    )
    session.result(issued.to_doc())


def newest_claim(session: Session) -> str:
    """Id of the newest claim of the workspace."""
    from models.errors import SatoyamaError

    rows = session.open().catalogue.claims_of()
    if not rows:
        raise SatoyamaError(
            en="No claim has been made in this workspace. Run: satoyama claim",
            ja="この作業フォルダに申請がありません。実行してください: satoyama claim",
        )
    return str(rows[-1].claim_id)


@click.command()
@project_option
@click.option("--flow", "as_flow", is_flag=True, help="Run as a Prefect flow.")
@click.pass_obj
def settle(session: Session, project_id: str | None, as_flow: bool) -> None:
    """Finish what was begun, pay every payee what is due. 精算と支払い

    \b
    Example: satoyama settle
    """
    from flows import work

    ws = session.open()
    project = project_id or work.only_project_id(ws)
    if as_flow:
        from flows import runtime

        runtime.ready(ws)
        from flows.settle import settle_flow

        done = settle_flow(str(ws.root), project)
    else:
        done = work.settle(ws, project)
    s = done.statement
    session.tell(
        f"Paid {len(done.payouts)} payees; revenue {s.revenue_total:,} = paid {s.paid_total:,} + due {s.claimable:,} + carried {s.carried:,}",
        f"{len(done.payouts)} 者へ支払い。収入 {s.revenue_total:,} = 支払済 {s.paid_total:,} + 未払 {s.claimable:,} + 端数繰越 {s.carried:,}",
    )
    for issued in done.finished:
        session.tell(
            f"Finished: transaction {issued.event.tx_hash}", f"発行完了: 取引 {issued.event.tx_hash}"
        )
    for text in done.unfinished:
        click.echo(session.pick(f"NOT issued: {text}", f"未発行: {text}"), err=True)
    session.result(
        {
            "payouts": [{"payee": p.payee, "amount": p.amount, "tx_hash": p.tx_hash} for p in done.payouts],
            "finished": [issued.to_doc() for issued in done.finished],
            "unfinished": list(done.unfinished),
            "revenue": s.revenue_total,
            "paid": s.paid_total,
            "claimable": s.claimable,
            "carried": s.carried,
        }
    )
    if done.unfinished:
        click.get_current_context().exit(REFUSED)


@click.command()
@project_option
@click.option("--stac", help="Folder of a STAC catalogue; else the workspace's setting.")
@click.pass_obj
def watch(session: Session, project_id: str | None, stac: str | None) -> None:
    """Look at new satellite scenes for cuts and losses. 衛星画像の見張り

    Satellite indices trigger and corroborate; they are never the quantity.

    \b
    Example: satoyama watch --stac stac/
    """
    from flows import work

    ws = session.open()
    seen = work.watch(ws, project_id or work.only_project_id(ws), stac)
    session.tell(
        f"{seen.scenes_new} new scenes; {len(seen.alerts)} new alerts",
        f"新しい画像 {seen.scenes_new} 枚、新しい警報 {len(seen.alerts)} 件",
    )
    for a in seen.alerts:
        why = a.explained_by or session.pick("NOT in the action register", "施業履歴に記載なし")
        session.tell(
            *[f"  {a.plot_id} {a.index_name.upper()} {a.break_day}: {a.magnitude_e4 / 1e4:+.3f} ({why})"] * 2
        )
    for problem in seen.problems:
        click.echo(session.pick(problem.en, problem.ja), err=True)
    session.result({"scenes_new": seen.scenes_new, "alerts": [asdict(a) for a in seen.alerts]})


@click.group(cls=Plain)
def flows() -> None:
    """Scheduled runs under Prefect. 定期実行"""


@flows.command("serve")
@click.pass_obj
def serve_flows(session: Session) -> None:
    """Register the schedules (watch monthly, settle daily) and run them until stopped.

    \b
    Example: satoyama flows serve
    """
    from flows.serve import serve

    serve(session.open())
