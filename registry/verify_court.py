"""Whether a batch stands: not annulled, not under challenge, and in which registry it goes on."""

from __future__ import annotations

from datetime import UTC, datetime

from registry.bench import bench_of
from registry.checks import Check
from registry.court_events import BatchAnnulled, Migrated, Resolved
from registry.events import BatchIssued, Event
from registry.port import ChainPort
from registry.views import BatchInfo

NAME = "chain.challenge"


def check_standing(port: ChainPort, event: BatchIssued, batch: BatchInfo) -> list[Check]:
    """Failed where the batch is annulled, not made (wait) while it is under challenge, else passed and what is to be known."""
    state = port.batch_state(event.id)
    events = port.events(from_block=event.block)
    if state.annulled:
        return [_annulled(events, event)]
    if state.frozen:
        return [_open(port, event)]
    now = port.head()[1]
    texts = [_calm(port, events, event, batch, now), _moved(port, events, event, now)]
    if now < batch.locked_until:
        texts.append(_judges(port, event, ()))
    return [
        Check(
            NAME,
            "passed",
            "; ".join(en for en, _ in texts if en),
            "。".join(ja for _, ja in texts if ja),
        )
    ]


def _annulled(events: list[Event], event: BatchIssued) -> Check:
    done = next((e for e in events if isinstance(e, BatchAnnulled) and e.id == event.id), None)
    ruled = next((e for e in reversed(events) if isinstance(e, Resolved) and e.id == event.id), None)
    when = "" if done is None else f" on {when_utc(done.block_time)}, block {done.block}"
    when_ja = "" if done is None else f"（{when_utc(done.block_time)}、ブロック {done.block}）"
    why = "" if ruled is None else f" by challenge {ruled.challenge_id}"
    return Check(
        NAME,
        "failed",
        f"the batch was ANNULLED{why}{when}: its credits no longer exist",
        f"このバッチは異議申立てにより取り消されました{when_ja}。クレジットはもう存在しません",
    )


def _open(port: ChainPort, event: BatchIssued) -> Check:
    number = port.open_challenge_of(event.id)
    info = None if number is None else port.challenge_info(number)
    if info is None:
        return Check(
            NAME,
            "not_made",
            "the batch is under challenge, at a court this deployment does not name: wait until that is decided",
            "このバッチは（この配備に記載のない契約で）異議の審査中です。決定をお待ちください",
        )
    en, ja = _judges(port, event, (info.challenger,))
    return Check(
        NAME,
        "not_made",
        f"the batch is under challenge {number}, to be decided before {when_utc(info.deadline)}: wait. "
        f"{info.challenger} gets content root 0x{info.other_root.hex()}" + (f"; {en}" if en else ""),
        f"このバッチは異議 {number} の審査中です（期限 {when_utc(info.deadline)}）。決定をお待ちください。"
        f"申立人 {info.challenger} の内容ルートは 0x{info.other_root.hex()}" + (f"。{ja}" if ja else ""),
    )


def _judges(port: ChainPort, event: BatchIssued, parties: tuple[str, ...]) -> tuple[str, str]:
    """What is weak about the court that would judge this batch; empty where nothing is."""
    found = bench_of(port)
    if found is None:
        return "", ""
    return found.without((event.verifier, event.recipient, *parties)).warning() or ("", "")


def _calm(
    port: ChainPort, events: list[Event], event: BatchIssued, batch: BatchInfo, now: int
) -> tuple[str, str]:
    dismissed = sum(1 for e in events if isinstance(e, Resolved) and e.id == event.id)
    if dismissed:
        en = f"{dismissed} challenge(s) were heard and dismissed, none is open"
        ja = f"異議 {dismissed} 件は却下され、審査中のものはありません"
    else:
        en, ja = "nobody challenged the batch", "異議は申し立てられていません"
    if now < batch.locked_until:
        until = when_utc(batch.locked_until)
        where = "" if port.deployment.court else ", but this deployment names no court"
        return f"{en}; it may be challenged until {until}{where}", f"{ja}。{until} まで申し立てられます"
    if batch.locked_until <= batch.issued_at:
        return (
            f"{en}; the project has no challenge window",
            f"{ja}。このプロジェクトに申立て期間はありません",
        )
    until = when_utc(batch.locked_until)
    return f"{en}; the time to do so ended on {until}", f"{ja}。申立て期間は {until} に終わりました"


def _moved(port: ChainPort, events: list[Event], event: BatchIssued, now: int) -> tuple[str, str]:
    closing, migration = port.closing(event.project_id), port.migration()
    if not (closing.closes_at and migration.announced):
        return "", ""
    day = when_utc(closing.closes_at)
    if now < closing.closes_at:
        return (
            f"the project closes here on {day} and goes on in the successor {migration.successor}",
            f"プロジェクトは {day} にこの登録簿で締め切られ、後継 {migration.successor} で続きます",
        )
    moved = sum(e.kg for e in events if isinstance(e, Migrated) and e.id == event.id)
    return (
        f"the project moved to the successor {migration.successor} on {day}; {moved} kg of this batch went there, the rest can be retired here",
        f"プロジェクトは {day} に後継 {migration.successor} へ移りました。このバッチの {moved} kg が移り、残りはここで無効化できます",
    )


def when_utc(seconds: int) -> str:
    """A time of the chain as people read it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
