"""Verbs of the contracts' roles after deployment: who holds which, give one, take one, suspend one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from apps.cli.say import Session

if TYPE_CHECKING:
    from flows.work.roles import RoleChange
    from registry.roles import RoleVerb

_ROLE = click.Choice(["issuer", "verifier", "guardian", "seller", "share-guardian"])
_show = click.option("--show", is_flag=True, help="Only show what would be sent.")


@click.command("roles")
@click.pass_obj
def roles(session: Session) -> None:
    """Who holds which role, as the chain says, and what is weak about the court. 役割の一覧

    \b
    Example: satoyama chain roles
    """
    from flows.work import roles as work

    found = work.roles_now(session.open())
    for holder, name in found.holders:
        kind, day = holder.role, f"{datetime.fromtimestamp(holder.since, UTC):%Y-%m-%d}"
        line = f"{kind.word:15s} {holder.account}  {name or '-':15s} {day}"
        session.tell(f"{line}  {kind.en}", f"{line}  {kind.ja}")
    warn(session, found.warning)
    session.result(
        {
            "roles": [
                {
                    "role": holder.role.word,
                    "contract": holder.role.contract,
                    "account": holder.account,
                    "key": name or None,
                    "since": holder.since,
                }
                for holder, name in found.holders
            ],
            "warning": warning_doc(found.warning),
        }
    )


@click.command("grant")
@click.argument("role", type=_ROLE)
@click.argument("who")
@click.option(
    "--gas",
    type=click.IntRange(min=1),
    help="Thousandths of the chain's coin that the admin gives it, to pay gas with.",
)
@_show
@click.pass_obj
def grant(session: Session, role: str, who: str, gas: int | None, show: bool) -> None:
    """Administrator: give a role to an address, or to a key of the keystore, made if it is not there. 役割の付与

    \b
    Example: satoyama chain grant guardian guardian_2
    Example: satoyama chain grant verifier 0x1111111111111111111111111111111111111111 --show
    """
    _change(session, "grant", role, who, show, (gas or 0) * 10**15)


@click.command("revoke")
@click.argument("role", type=_ROLE)
@click.argument("who")
@_show
@click.pass_obj
def revoke(session: Session, role: str, who: str, show: bool) -> None:
    """Administrator: take a role. 役割の取消し

    \b
    Example: satoyama chain revoke guardian guardian_2
    """
    _change(session, "revoke", role, who, show)


@click.command("suspend")
@click.argument("role", type=click.Choice(["issuer", "verifier"]))
@click.argument("who")
@click.option("--role", "by", default="guardian", show_default=True, help="Which guardian's key.")
@_show
@click.pass_obj
def suspend(session: Session, role: str, who: str, by: str, show: bool) -> None:
    """Guardian: take an issuer's or verifier's role at once, where its key is feared lost. 緊急の権限停止

    \b
    Example: satoyama chain suspend issuer issuer
    """
    _change(session, "suspend", role, who, show, by=by)


_WORDS: dict[str, tuple[str, str]] = {
    "grant": ("give {role} to {account}", "{account} に {role} を付与"),
    "revoke": ("take {role} from {account}", "{account} の {role} を取消し"),
    "suspend": ("suspend {account} as {role}", "{account} の {role} を停止"),
}


def _change(
    session: Session, verb: RoleVerb, role: str, who: str, show: bool, gas_wei: int = 0, by: str = ""
) -> None:
    from flows.work import roles as work

    ws = session.open()
    done = work.set_role(ws, verb, role, who, show=show, by=by, gas_wei=gas_wei)
    _tell(session, done, show)
    warning = work.roles_now(ws).warning
    warn(session, warning)
    session.result({**done.plan.to_doc(), "tx_hash": done.tx_hash, "warning": warning_doc(warning)})


def _tell(session: Session, done: RoleChange, show: bool) -> None:
    plan = done.plan
    en, ja = (text.format(role=plan.role.word, account=plan.account) for text in _WORDS[plan.verb])
    session.tell(
        f"Plan: {en} at {plan.role.contract}, signed by {plan.by}",
        f"計画: {plan.role.contract} で {ja}（署名 {plan.by}）",
    )
    if not plan.needed:
        session.tell("It is so already: nothing is sent", "すでにそうなっています。何も送りません")
    elif show:
        session.tell(
            "The chain would take it; nothing was sent", "チェーンは受け付けます。まだ何も送っていません"
        )
    else:
        session.tell(f"Done: transaction {done.tx_hash}", f"完了: 取引 {done.tx_hash}")


def warn(session: Session, warning: tuple[str, str] | None) -> None:
    """Say what is weak about the court, where anything is."""
    if warning is not None:
        session.tell(f"WARNING: {warning[0]}", f"警告: {warning[1]}")


def warning_doc(warning: tuple[str, str] | None) -> dict[str, str] | None:
    """The same for scripts."""
    return None if warning is None else {"en": warning[0], "ja": warning[1]}
