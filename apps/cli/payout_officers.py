"""Verbs about who may sign for the co-op's money: officers of payouts, and a treasury held by officers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from apps.cli.runs import project_option
from apps.cli.say import REFUSED, Session

if TYPE_CHECKING:
    from flows.settings import Workspace
    from flows.work.payout_officers import ChangeRecord
    from registry.officers import Officer

_SIGNATURE = "A signature made with a key held elsewhere over the text that --text prints (EIP-191)."


def opened(session: Session, project_id: str | None) -> tuple[Workspace, str]:
    """The workspace, and the project meant."""
    from flows import work

    ws = session.open()
    return ws, project_id or work.only_project_id(ws)


def warned(session: Session, ws: Workspace, project_id: str) -> dict[str, Any]:
    """Warn in both languages where one person could sign for both officers; for scripts, the warning as a document."""
    from flows.work import payout_officers

    both = payout_officers.in_one_keystore(ws, project_id)
    if not both:
        return {}
    names = ", ".join(f"{o.name} ({o.duty})" for o in both)
    en = (
        f"WARNING: this workspace can use the keys of {names}: whoever sits here can sign for both, and two signatures prove nothing. "
        "Keep each key with its officer: payout officer --address, payout sign --text and --signature."
    )
    ja = (
        f"警告: この環境で {names} の鍵を使えます。一人で両方の署名ができるため、二者承認になりません。"
        "鍵は各役員が別々に保管してください（payout officer --address、payout sign --text / --signature）。"
    )
    if not session.as_json:
        click.secho(f"{en}\n{ja}", err=True, fg="yellow")
    return {"warning": {"en": en, "ja": ja}}


@click.command()
@click.argument("name")
@click.option(
    "--duty",
    type=click.Choice(["treasurer", "auditor"]),
    help="treasurer 会計 | auditor 監事; by default what --role is called.",
)
@click.option("--address", default="", help="Address of the key that the officer holds elsewhere.")
@click.option("--role", default="", help="For trying things out: a key of this keystore, e.g. treasurer.")
@project_option
@click.pass_obj
def officer(
    session: Session, name: str, duty: str | None, address: str, role: str, project_id: str | None
) -> None:
    """Record an officer whose signature counts. After the first treasurer and auditor, two must sign it. 役員の登録

    \b
    Example: satoyama payout officer "会計 田中" --duty treasurer --address 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
    """
    from flows.work import payout_officers
    from registry.officers import DUTIES

    if bool(role) == bool(address):
        raise click.UsageError(
            "Give --address, or --role. --address か --role のどちらかを指定してください。"
        )
    held = next((d for d in DUTIES if d == (duty or role)), None)
    if held is None:
        raise click.UsageError(
            "Give --duty treasurer or auditor. --duty に treasurer（会計）か auditor（監事）を指定してください。"
        )
    ws, project = opened(session, project_id)
    record = payout_officers.add_officer(ws, project, name, held, role=role, address=address)
    _say(session, ws, project, record)


@click.command()
@click.argument("name")
@project_option
@click.pass_obj
def dismiss(session: Session, name: str, project_id: str | None) -> None:
    """Take an officer off the record; two must sign it. 役員の登録解除

    \b
    Example: satoyama payout dismiss "会計 田中"
    """
    from flows.work import payout_officers

    ws, project = opened(session, project_id)
    _say(session, ws, project, payout_officers.remove_officer(ws, project, name))


@click.command()
@click.option("--text", "only_text", is_flag=True, help="Only print the text to sign (EIP-191).")
@click.option("--signature", default="", help=_SIGNATURE)
@click.option("--role", default="", help="For trying things out: the officer's key in this keystore.")
@project_option
@click.pass_obj
def endorse(session: Session, only_text: bool, signature: str, role: str, project_id: str | None) -> None:
    """Sign the change of officers that waits; a treasurer's and an auditor's signature make it hold. 役員変更への署名

    \b
    Example: satoyama payout endorse --text
             satoyama payout endorse --signature 0x…
    """
    from flows.work import payout_officers

    ws, project = opened(session, project_id)
    if only_text:
        text = payout_officers.waiting_change(ws, project).text
        session.tell(text, text)
        session.result({"text": text})
        return
    if bool(role) == bool(signature):
        raise click.UsageError(
            "Give --signature, or --role. --signature か --role のどちらかを指定してください。"
        )
    _say(session, ws, project, payout_officers.sign_change(ws, project, role=role, signature=signature))


@click.command()
@project_option
@click.pass_obj
def officers(session: Session, project_id: str | None) -> None:
    """Who may sign, what waits for signatures, and the digest for the minutes. 役員の一覧

    \b
    Example: satoyama payout officers
    """
    from flows.work import payout_officers

    ws, project = opened(session, project_id)
    register, waiting = payout_officers.register_of(ws, project)
    for one in register.officers:
        session.tell(*[f"  {one.duty:10s} {one.address}  {one.name}"] * 2)
    session.tell(
        f"Register after {len(register.history)} changes: {register.digest or '-'} (write it into the minutes)",
        f"変更 {len(register.history)} 件後の登録簿: {register.digest or '-'}（議事録に控えてください）",
    )
    if waiting is not None:
        signed = ", ".join(o.name for o in waiting.signed) or "-"
        who = waiting.change.officer
        session.tell(
            f"Waiting for signatures: {waiting.change.kind} {who.name} ({who.duty}) {who.address}; signed by {signed}",
            f"署名待ち: {waiting.change.kind} {who.name}（{who.duty}）{who.address}、署名済み {signed}",
        )
    session.result(
        {
            "officers": [_doc(o) for o in register.officers],
            "digest": register.digest,
            "waiting": None
            if waiting is None
            else {**waiting.change.to_doc(), "signed": [o.name for o in waiting.signed]},
            **warned(session, ws, project),
        }
    )


def _doc(one: Officer) -> dict[str, str]:
    return {"name": one.name, "duty": one.duty, "address": one.address}


def _say(session: Session, ws: Workspace, project_id: str, record: ChangeRecord) -> None:
    who, change = record.change.officer, record.change
    if record.replaced is not None:
        old = record.replaced.officer
        session.tell(
            f"Replaces the change that waited: {record.replaced.kind} {old.name} ({old.duty})",
            f"署名待ちだった変更（{record.replaced.kind} {old.name}、{old.duty}）を置き換えました",
        )
    if record.done:
        en, ja = ("recorded", "登録しました") if change.kind == "add" else ("removed", "登録を外しました")
        session.tell(
            f"Officer {who.name} ({who.duty}) {en}: {who.address}",
            f"役員 {who.name}（{who.duty}）を{ja}: {who.address}",
        )
    else:
        signed = ", ".join(record.signed) or "-"
        session.tell(
            f"Proposed: {change.kind} {who.name} ({who.duty}) {who.address}. It holds when a treasurer and an auditor have signed "
            f"(satoyama payout endorse --text, --signature); signed by {signed}",
            f"提案しました: {change.kind} {who.name}（{who.duty}）{who.address}。会計と監事の署名で有効になります"
            f"（satoyama payout endorse --text、--signature）。署名済み: {signed}",
        )
    session.result({**record.to_doc(), **warned(session, ws, project_id)})


@click.command()
@click.option(
    "--schedule", "proposers", multiple=True, required=True, help="Address of an officer who schedules."
)
@click.option(
    "--execute", "executors", multiple=True, required=True, help="Address of an officer who executes."
)
@click.option("--delay-days", type=click.IntRange(1, 30), default=2, show_default=True)
@click.pass_obj
def treasury(
    session: Session, proposers: tuple[str, ...], executors: tuple[str, ...], delay_days: int
) -> None:
    """Deploy a treasury that no one person can spend from (OpenZeppelin's timelock). 組合会計口座の配備

    \b
    Example: satoyama payout treasury --schedule 0xA1... --execute 0xB2... --delay-days 2
    """
    from flows.work import treasuries
    from registry.checks import all_passed
    from registry.deploy_treasury import DAY_S, Officers

    ws = session.open()
    deployed = treasuries.set_up_treasury(ws, Officers(proposers, executors, delay_days * DAY_S))
    checks = treasuries.check(ws, deployed)
    session.tell(
        f"Treasury {deployed.address}: write it into the project as the payee's address",
        f"会計口座 {deployed.address}: プロジェクト定義の支払先 address に記入してください",
    )
    for one in checks:
        session.tell(f"  {one.status}  {one.detail_en}", f"  {one.status}  {one.detail_ja}")
    session.result({**deployed.to_doc(), "checks": [one.to_doc() for one in checks]})
    if not all_passed(checks):
        raise SystemExit(REFUSED)
