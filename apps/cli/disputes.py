"""Verbs of a dispute: challenge a batch with a bond, decide, vote, and take the bond back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from apps.cli.again import again_option, tell_before
from apps.cli.roles import warn, warning_doc
from apps.cli.runs import newest_claim
from apps.cli.say import Plain, Session

if TYPE_CHECKING:
    from registry.court import ChallengeInfo
    from registry.court_events import Resolved

_RULING = {
    "upheld": ("upheld: the batch is annulled", "認容：バッチは取り消されました"),
    "dismissed": ("dismissed: the batch lives", "却下：バッチは存続します"),
    "expired": ("not decided in time: the batch is annulled", "期限内に決定なし：バッチは取り消されました"),
}
_batch_option = click.option("--batch", help="Batch id; the newest of the workspace by default.")
_uphold_option = click.option(
    "--uphold/--dismiss", "uphold", required=True, default=None, help="Annul the batch, or let it live."
)


@click.group(cls=Plain)
def challenge() -> None:
    """Challenge a batch whose kilograms you cannot reproduce, and decide challenges. 異議申立て"""


@challenge.command("open")
@_batch_option
@click.option(
    "--bundle",
    type=click.Path(path_type=Path),
    help="Your own evidence bundle of the same inputs; its content root is posted.",
)
@click.option("--root", help="Or the content root itself (0x and 64 hex digits).")
@click.option("--uri", default="", help="Where others find your bundle.")
@click.option("--role", default="buyer", show_default=True, help="Whose key challenges, and pays the bond.")
@click.pass_obj
def open_one(
    session: Session, batch: str | None, bundle: Path | None, root: str | None, uri: str, role: str
) -> None:
    """Say, with a bond, that the same inputs give another result; the batch is frozen until that is decided.

    Approves and pays the bond. Run again, it pays nothing twice.

    \b
    Example: satoyama challenge open --bundle mine.zip --uri https://example.org/mine.zip
    """
    from flows.work import disputes
    from registry.claimstruct import digest_of

    if (bundle is None) == (root is None):
        raise click.UsageError("Give --bundle or --root, one of them.")
    other = disputes.content_root_of(bundle) if bundle is not None else digest_of(root or "")
    opened = disputes.open_challenge(session.open(), batch or newest_claim(session), other, uri, role)
    session.tell(
        f"Challenge {opened.challenge_id}: bond {session.money(opened.bond)} yen, to be decided before {_when(opened.deadline)}",
        f"異議 {opened.challenge_id}: 保証金 {session.money(opened.bond)} 円、審査期限 {_when(opened.deadline)}",
    )
    session.result(opened.to_doc())


@challenge.command()
@click.argument("number", type=click.IntRange(min=1))
@_uphold_option
@click.option("--role", default="guardian", show_default=True, help="Which guardian's key decides.")
@click.pass_obj
def resolve(session: Session, number: int, uphold: bool, role: str) -> None:
    """Guardian: decide a challenge alone. 監視役の決定

    \b
    Example: satoyama challenge resolve 1 --uphold
    """
    from flows.work import disputes

    _ruled(session, disputes.resolve_challenge(session.open(), number, uphold, role))


@challenge.command()
@click.argument("number", type=click.IntRange(min=1))
@_uphold_option
@click.option("--role", default="verifier", show_default=True, help="Which verifier's key votes.")
@click.pass_obj
def vote(session: Session, number: int, uphold: bool, role: str) -> None:
    """Verifier: vote on a challenge; not on a batch you signed. 検証者の投票

    \b
    Example: satoyama challenge vote 1 --dismiss --role verifier_2
    """
    from flows.work import disputes

    voted, ruled = disputes.vote_challenge(session.open(), number, uphold, role)
    session.tell(f"Voted on challenge {number}", f"異議 {number} に投票しました")
    if ruled is not None:
        _ruled(session, ruled)
    else:
        session.result(voted.to_doc())


@challenge.command()
@click.argument("number", type=click.IntRange(min=1))
@click.option("--role", default="buyer", show_default=True, help="Whose key says so; anybody may.")
@click.pass_obj
def expire(session: Session, number: int, role: str) -> None:
    """End a challenge that nobody decided in time: the batch is annulled, the bond comes back. 期限切れ

    \b
    Example: satoyama challenge expire 1
    """
    from flows.work import disputes

    _ruled(session, disputes.expire_challenge(session.open(), number, role))


@challenge.command()
@click.option("--role", default="buyer", show_default=True, help="Whose money.")
@click.option("--to", help="Address to pay to; the role's own by default.")
@click.pass_obj
def withdraw(session: Session, role: str, to: str | None) -> None:
    """Take out a bond that came back, with its reward. 保証金の引出し

    \b
    Example: satoyama challenge withdraw --role seller
    """
    from flows.work import disputes

    amount = disputes.withdraw_bond(session.open(), role, to)
    session.tell(
        f"{session.money(amount)} yen paid to {to or role}",
        f"{to or role} へ {session.money(amount)} 円を支払いました",
    )
    session.result({"role": role, "to": to, "base_units": amount})


@challenge.command()
@click.pass_obj
def court(session: Session) -> None:
    """The court: its terms, the reward fund, who can judge there, and what is weak about that. 審査の体制

    \b
    Example: satoyama challenge court
    """
    from flows.work import disputes

    found = disputes.court_state(session.open())
    terms, judges = found.terms, found.bench
    days = terms.resolution_s // 86_400
    session.tell(
        f"First bond {session.money(terms.bond)} yen; decided within {days} days by a guardian or {terms.panel} verifiers",
        f"最初の保証金 {session.money(terms.bond)} 円、{days} 日以内に監視役1人または検証者 {terms.panel} 人が決定",
    )
    session.tell(
        f"Reward fund {session.money(terms.reward_fund)} yen (satoyama challenge fund)",
        f"報奨基金 {session.money(terms.reward_fund)} 円（satoyama challenge fund）",
    )
    for account in judges.guardians:
        session.tell(f"  guardian  {account}", f"  監視役  {account}")
    for account in judges.verifiers:
        session.tell(f"  verifier  {account}", f"  検証者  {account}")
    warn(session, found.warning)
    session.result({**vars(terms), **vars(judges), "warning": warning_doc(found.warning)})


@challenge.command()
@click.argument("yen", type=click.IntRange(min=1))
@click.option("--role", default="seller", show_default=True, help="Whose yen.")
@again_option
@click.pass_obj
def fund(session: Session, yen: int, role: str, reference: str) -> None:
    """Give whole yen to the fund that rewards challengers who were right, once. 報奨基金への拠出

    \b
    Example: satoyama challenge fund 50000 --role seller
    """
    from flows import work
    from flows.work import disputes, once

    ws = session.open()
    units = yen * 10 ** work.open_port(ws).yen_decimals()
    done = once.fund_rewards_once(ws, units, role, reference)
    tell_before(session, done.sent_now, done.result.block_time, done.result.tx_hash)
    left = disputes.court_state(ws).terms.reward_fund
    session.tell(
        f"{session.money(done.result.amount)} yen given; the fund holds {session.money(left)}",
        f"{session.money(done.result.amount)} 円を拠出しました。基金の残高は {session.money(left)} 円です",
    )
    session.result({**done.result.to_doc(), "sent_now": done.sent_now, "reward_fund": left})


@challenge.command()
@_batch_option
@click.pass_obj
def status(session: Session, batch: str | None) -> None:
    """How a batch stands: until when it may be challenged, at what bond, and every challenge so far. 状況

    \b
    Example: satoyama challenge status
    """
    from flows.work import disputes

    found = disputes.standing(session.open(), batch or newest_claim(session))
    until = "–" if found.state.frozen else _when(found.batch.locked_until)
    words = {
        "annulled": ("annulled: its credits no longer exist", "取消済み：クレジットはもう存在しません"),
        "under challenge": ("under challenge: nothing moves", "審査中：動かせません"),
        "may be challenged": (
            f"may be challenged until {until}, bond {session.money(found.bond)} yen",
            f"{until} まで申立て可能、保証金 {session.money(found.bond)} 円",
        ),
        "stands": ("stands: the time to challenge is over", "存続：申立て期間は終わりました"),
    }
    session.tell(*(f"0x{found.batch_id.hex()[:12]}… {text}" for text in words[found.word]))
    for number, info in found.challenges:
        line = f"  {number}  {info.status:9s}  {info.challenger}  0x{info.other_root.hex()}"
        session.tell(line, line)
    session.tell(
        f"  reward fund {session.money(found.reward_fund)} yen",
        f"  報奨基金 {session.money(found.reward_fund)} 円",
    )
    if found.word in ("may be challenged", "under challenge"):
        warn(session, found.warning)
    session.result(
        {
            "batch_id": "0x" + found.batch_id.hex(),
            "standing": found.word,
            "locked_until": None if found.state.frozen else found.batch.locked_until,
            "bond": found.bond,
            "reward_fund": found.reward_fund,
            "warning": warning_doc(found.warning),
            "serial_next": found.state.serial_next,
            "serial_end": found.state.serial_end,
            "challenges": [_challenge_doc(number, info) for number, info in found.challenges],
        }
    )


def _challenge_doc(number: int, info: ChallengeInfo) -> dict[str, object]:
    return {
        "challenge_id": number,
        "status": info.status,
        "challenger": info.challenger,
        "other_root": "0x" + info.other_root.hex(),
        "bond": info.bond,
        "deadline": info.deadline,
        "votes": [info.votes_to_uphold, info.votes_to_dismiss],
    }


def _ruled(session: Session, ruled: Resolved) -> None:
    from registry.court import STATUSES

    en, ja = _RULING[STATUSES[ruled.status]]
    session.tell(
        f"Challenge {ruled.challenge_id} {en}. {session.money(ruled.amount)} yen are due to {ruled.paid_to} (satoyama challenge withdraw)",
        f"異議 {ruled.challenge_id} {ja}。{ruled.paid_to} が {session.money(ruled.amount)} 円を引き出せます（satoyama challenge withdraw）",
    )
    session.result({**ruled.to_doc(), "ruling": STATUSES[ruled.status]})


def _when(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
