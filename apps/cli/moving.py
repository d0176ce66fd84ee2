"""Verbs of a registry's end and of the buffer: move to a successor, release what is due, refill a deficit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from apps.cli.again import again_option, tell_before
from apps.cli.roles import warn, warning_doc
from apps.cli.runs import newest_claim, project_option
from apps.cli.say import Plain, Session

_batch_option = click.option("--batch", help="Batch id; the newest of the workspace by default.")


@click.group(cls=Plain)
def migrate() -> None:
    """Move the co-op's projects, and one's credits, to a successor registry. 後継の登録簿への移行"""


@migrate.command()
@click.option("--bond", default=50_000, show_default=True, help="Whole yen a challenger puts in there.")
@click.option("--days", default=14, show_default=True, help="Days in which a challenge is decided there.")
@click.option("--panel", default=2, show_default=True, help="Verifiers who decide where they agree.")
@click.pass_obj
def prepare(session: Session, bond: int, days: int, panel: int) -> None:
    """Put the successor's contracts on the chain; nothing moves yet. 後継の用意

    \b
    Example: satoyama migrate prepare
    """
    from flows.work import successor
    from flows.work.chainroom import open_port
    from registry.bench import court_warning
    from registry.deploy import CourtTerms

    ws = session.open()
    made = successor.prepare_successor(ws, CourtTerms(bond, days, panel))
    session.tell(f"Successor: registry {made.registry}", f"後継の登録簿: {made.registry}")
    warning = court_warning(open_port(ws, made))
    warn(session, warning)
    session.result({**made.to_doc(), "warning": warning_doc(warning)})


@migrate.command()
@click.option("--take-back", is_flag=True, help="Take back an announcement that is not in effect yet.")
@click.pass_obj
def announce(session: Session, take_back: bool) -> None:
    """Administrator: announce that the projects go over; in effect, and final, 30 days later. 移行の予告

    \b
    Example: satoyama migrate announce
    """
    from flows.work import successor

    ws = session.open()
    done = successor.take_back_move(ws) if take_back else successor.announce_move(ws)
    for event in done:
        day = _when(event.closes_at) if event.closes_at else "–"
        line = f"0x{event.project_id.hex()[:12]}…  {day}"
        session.tell(f"Closes here: {line}", f"締切: {line}")
    if not done:
        session.tell("Nothing to do: it is so already", "変更はありません（予告済み、または予告なし）")
    session.result({"announced": [event.to_doc() for event in done]})


@migrate.command()
@click.pass_obj
def status(session: Session) -> None:
    """How far the move is. 移行の状況

    \b
    Example: satoyama migrate status
    """
    from flows.work import successor

    found = successor.move_status(session.open())
    since = _when(found.since) if found.since else "–"
    session.tell(
        f"Registry {found.registry}; successor {found.successor or 'none'}, from {since}",
        f"登録簿 {found.registry}、後継 {found.successor or 'なし'}、発効 {since}",
    )
    for project, closing in found.projects.items():
        day = _when(closing.closes_at) if closing.closes_at else "–"
        session.tell(
            f"  {project}: closes {day}, {closing.frozen} under challenge, {'may go over' if closing.settled else 'stays for now'}",
            f"  {project}: 締切 {day}、審査中 {closing.frozen} 件、{'引継ぎ可能' if closing.settled else '引継ぎ待ち'}",
        )
    session.result(
        {
            "registry": found.registry,
            "successor": found.successor,
            "since": found.since,
            "projects": {project: vars(closing) for project, closing in found.projects.items()},
        }
    )


@migrate.command()
@click.pass_obj
def adopt(session: Session) -> None:
    """Take the settled projects over; from then on the workspace works with the successor. 引継ぎ

    \b
    Example: satoyama migrate adopt
    """
    from flows.work import successor

    made = successor.adopt(session.open())
    session.tell(
        f"The workspace's registry is now {made.registry}", f"作業場所の登録簿は {made.registry} になりました"
    )
    session.result(made.to_doc())


@migrate.command()
@_batch_option
@click.option("--kg", type=click.IntRange(min=1), help="How many kilograms; all by default.")
@click.option("--role", default="buyer", show_default=True, help="Whose credits.")
@again_option
@click.pass_obj
def credits(session: Session, batch: str | None, kg: int | None, role: str, reference: str) -> None:
    """Holder: move one's credits to the successor; or stay, and retire them in the old registry. 保有分の移行

    \b
    Example: satoyama migrate credits --role seller
    """
    from flows.work import once, successor

    ws, name = session.open(), batch or newest_claim(session)
    if kg is None:
        moved, sent_now = successor.move_credits(ws, name, None, role), True
    else:
        done = once.move_once(ws, name, kg, role, reference)
        moved, sent_now = done.result, done.sent_now
        tell_before(session, sent_now, moved.block_time, moved.tx_hash)
    amount = 0 if moved is None else moved.kg
    session.tell(f"{amount:,} kg moved", f"{amount:,} kg を移しました")
    doc = None if moved is None else moved.to_doc()
    session.result({"kg": amount, "moved": doc, "sent_now": sent_now})


@click.group(cls=Plain)
def buffer() -> None:
    """The reserve against losses: what it holds, release when its time is over, refill of a deficit. バッファー"""


@buffer.command("status")
@project_option
@click.pass_obj
def buffer_status(session: Session, project_id: str | None) -> None:
    """What each batch keeps, what may be released, and the project's deficit. 状況

    \b
    Example: satoyama buffer status
    """
    from flows import work
    from flows.work import buffers

    ws = session.open()
    found = buffers.buffer_status(ws, project_id or work.only_project_id(ws))
    session.tell(f"Deficit {found.deficit_kg:,} kg", f"不足 {found.deficit_kg:,} kg")
    for one in found.batches:
        session.tell(
            f"  0x{one.id:064x}  held {one.held_kg:,} kg, used {one.burned_kg:,} kg, may be released now {one.releasable_kg:,} kg",
            f"  0x{one.id:064x}  残高 {one.held_kg:,} kg、使用 {one.burned_kg:,} kg、解放可能 {one.releasable_kg:,} kg",
        )
    rows = [{**vars(one), "id": f"0x{one.id:064x}"} for one in found.batches]
    session.result({"deficit_kg": found.deficit_kg, "batches": rows})


@buffer.command()
@_batch_option
@project_option
@click.option("--kg", type=click.IntRange(min=1), help="How many kilograms; the whole deficit by default.")
@click.option("--role", default="seller", show_default=True, help="Whose credits are given.")
@again_option
@click.pass_obj
def refill(
    session: Session, batch: str | None, project_id: str | None, kg: int | None, role: str, reference: str
) -> None:
    """Give credits, of any project, to make the project's deficit smaller. 不足の補填

    \b
    Example: satoyama buffer refill --role seller
    """
    from flows import work
    from flows.work import buffers, once

    ws, sent_now = session.open(), True
    project, name = project_id or work.only_project_id(ws), batch or newest_claim(session)
    if kg is None:
        done = buffers.refill_deficit(ws, project, name, None, role)
    else:
        given = once.refill_once(ws, project, name, kg, role, reference)
        done, sent_now = given.result, given.sent_now
        tell_before(session, sent_now, given.result.block_time, given.result.tx_hash)
    if done is None:
        session.tell("There is no deficit", "不足はありません")
    else:
        session.tell(
            f"{done.kg:,} kg given; the deficit is now {done.deficit_kg:,} kg",
            f"{done.kg:,} kg を補填しました。不足は {done.deficit_kg:,} kg です",
        )
    session.result({"refilled": None if done is None else done.to_doc(), "sent_now": sent_now})


@buffer.command()
@_batch_option
@click.option("--kg", type=click.IntRange(min=1), required=True, help="How many kilograms.")
@click.option("--to", required=True, help="Address that gets them, such as the co-op's treasury.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Write the signed order here.")
@click.option("--role", default="verifier", show_default=True, help="Which verifier signs.")
@click.pass_obj
def sign(session: Session, batch: str | None, kg: int, to: str, out: Path, role: str) -> None:
    """Verifier: sign that buffer whose time is over may be given out. 解放の署名

    \b
    Example: satoyama buffer sign --kg 100 --to 0x1111111111111111111111111111111111111111 --out order.json
    """
    from flows.work import buffers

    signed = buffers.sign_release(session.open(), batch or newest_claim(session), kg, to, role)
    out.write_text(json.dumps(signed.to_doc(), indent=1))
    session.tell(
        f"Signed order in {out}: for the guardian", f"署名済みの指図書 {out} を監視役へ渡してください"
    )
    session.result(signed.to_doc())


@buffer.command()
@click.argument("order", type=click.Path(path_type=Path, exists=True))
@click.option("--role", default="guardian", show_default=True, help="Which guardian carries it out.")
@click.pass_obj
def release(session: Session, order: Path, role: str) -> None:
    """Guardian: carry out a signed release, once. 解放

    \b
    Example: satoyama buffer release order.json
    """
    from flows.work import buffers

    signed = buffers.SignedRelease.from_doc(json.loads(order.read_text()))
    done = buffers.release_buffer(session.open(), signed, role)
    session.tell(f"{done.kg:,} kg released to {done.to}", f"{done.kg:,} kg を {done.to} へ解放しました")
    session.result(done.to_doc())


def _when(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
