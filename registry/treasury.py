"""The statement of a project's money, from chain events: what came in, who is owed what, what was paid.

Per share epoch deposits are split by shares of a million; a payee's entitlement is the floor of the sum over epochs,
so fractions survive a change of shares, and what is left over (less than one base unit per payee) is carried.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from models.errors import SatoyamaError
from registry.events import Claimed, Deposited, Event, SharesSet
from registry.port import ChainPort
from registry.views import SHARES

JST = timezone(timedelta(hours=9), "JST")
CONTEXT = (
    "token",
    "token_address",
    "decimals",
    "period_from",
    "period_until",
    "read_at_block",
    "read_at",
    "confirmations",
)


class StatementMismatch(SatoyamaError):
    """The statement does not come out to the base unit; it is not given out."""


class PeriodRefused(SatoyamaError):
    """A period that ends before it begins."""


class NotDeepYet(SatoyamaError):
    """No block with the project's contracts lies as deep as the confirmations ask."""


@dataclass(frozen=True)
class PayeeLine:
    """One payee; all in base units of the token.

    Parameters
    ----------
    opening : int
        Due and unpaid at the start of the period.
    earned : int
        What the period added to the entitlement.
    paid : int
        Paid out in the period.
    claimable : int
        Due and unpaid at its end: opening + earned - paid.
    entitled_total, paid_total : int
        Since the project's first deposit, up to the period's end.
    """

    payee: str
    opening: int
    earned: int
    paid: int
    claimable: int
    entitled_total: int
    paid_total: int


@dataclass(frozen=True)
class DepositLine:
    """One deposit of the period. `amount` in base units; `payer` is the sale contract for sales."""

    block_time: int
    tx_hash: str
    payer: str
    amount: int


@dataclass(frozen=True)
class Statement:
    """Statement of one project in one token over `[start, end)` (unix seconds of block time).

    Read at `read_at_block`, the newest block on which `confirmations` - 1 others lie, so that a reorganisation does not change it.
    All amounts in base units. ``paid_total + claimable + carried == revenue_total`` holds to the unit, or the
    statement is not made.
    """

    project_id: bytes
    token: str
    start: int
    end: int
    read_at_block: int
    read_at_time: int
    revenue: int
    revenue_total: int
    paid: int
    paid_total: int
    claimable: int
    carried: int
    deposits: tuple[DepositLine, ...]
    payees: tuple[PayeeLine, ...]
    confirmations: int = 1

    def with_context(self, rows: Sequence[Sequence[str]], symbol: str, decimals: int) -> list[list[str]]:
        """Rows of a CSV with columns that say of what token and period they are and when it was read (`CONTEXT`).

        Times are ISO 8601 in Japan time; ``period_from`` is empty for "from the beginning", and ``period_until`` is not in the period.
        """
        header, *lines = rows
        here = [
            symbol,
            self.token,
            str(decimals),
            _iso(self.start) if self.start else "",
            _iso(self.end),
            str(self.read_at_block),
            _iso(self.read_at_time),
            str(self.confirmations),
        ]
        return [[*header, *CONTEXT], *([*line, *here] for line in lines)]

    def to_csv_rows(self) -> list[list[str]]:
        """Rows of a CSV: header, one line per payee, the carried remainder, the totals. Amounts as whole numbers."""
        header = ["payee", "opening", "earned", "paid", "claimable", "entitled_total", "paid_total"]
        lines = [[line.payee, *(str(getattr(line, name)) for name in header[1:])] for line in self.payees]
        entitled = sum(line.entitled_total for line in self.payees)
        opening, earned = sum(p.opening for p in self.payees), sum(p.earned for p in self.payees)
        carried = ["carried", "", "", "", str(self.carried), str(self.carried), ""]
        total = ["total", str(opening), str(earned), str(self.paid), str(self.claimable + self.carried)]
        return [header, *lines, carried, [*total, str(entitled + self.carried), str(self.paid_total)]]


def _iso(unix_s: int) -> str:
    return datetime.fromtimestamp(unix_s, JST).isoformat()


@dataclass(frozen=True)
class _Books:
    revenue: int
    numerators: dict[str, int]
    paid: dict[str, int]

    def entitled(self, payee: str) -> int:
        return self.numerators.get(payee, 0) // SHARES


def _books(events: Iterable[Event], until: int) -> _Books:
    shares: dict[int, dict[str, int]] = {}
    revenue, numerators, paid = 0, dict[str, int](), dict[str, int]()
    for event in events:
        if isinstance(event, SharesSet):
            shares[event.epoch] = dict(zip(event.payees, event.shares, strict=True))
        if event.block_time >= until:
            continue
        if isinstance(event, Deposited):
            revenue += event.amount
            for payee, share in shares[event.epoch].items():
                numerators[payee] = numerators.get(payee, 0) + event.amount * share
        elif isinstance(event, Claimed):
            paid[event.payee] = paid.get(event.payee, 0) + event.amount
    return _Books(revenue, numerators, paid)


def make_statement(
    events: Sequence[Event],
    project_id: bytes,
    token: str,
    *,
    start: int,
    end: int,
    read_at_block: int,
    read_at_time: int,
    confirmations: int = 1,
) -> Statement:
    """Statement from all events of the chain since the deployment, in chain order.

    Raises
    ------
    PeriodRefused
        If the period is empty.
    StatementMismatch
        If it does not come out.
    """
    _check_period(start, end, read_at_block, read_at_time)
    ours = [event for event in events if getattr(event, "project_id", None) == project_id]
    ours = [event for event in ours if getattr(event, "token", token) == token]
    before, after = _books(ours, start), _books(ours, end)
    known = {payee for event in ours if isinstance(event, SharesSet) for payee in event.payees}
    payees = tuple(_line(payee, before, after) for payee in sorted(known, key=lambda a: int(a, 16)))
    deposits = tuple(
        DepositLine(event.block_time, event.tx_hash, event.payer, event.amount)
        for event in ours
        if isinstance(event, Deposited) and start <= event.block_time < end
    )
    statement = Statement(
        project_id=project_id,
        token=token,
        start=start,
        end=end,
        read_at_block=read_at_block,
        read_at_time=read_at_time,
        revenue=after.revenue - before.revenue,
        revenue_total=after.revenue,
        paid=sum(line.paid for line in payees),
        paid_total=sum(after.paid.values()),
        claimable=sum(line.claimable for line in payees),
        carried=after.revenue - sum(line.entitled_total for line in payees),
        deposits=deposits,
        payees=payees,
        confirmations=confirmations,
    )
    _check_comes_out(statement)
    return statement


def _check_period(start: int, end: int, block: int, time: int) -> None:
    if start < end:
        return
    first, last = _iso(start), _iso(end)
    raise PeriodRefused(
        en=f"A statement's period begins before it ends; got one from {first} on that ends before {last}. Give --from a day that is not "
        f"after --to; without --to it ends at block {block:,} ({_iso(time)}), the newest that is read.",
        ja=f"計算書の期間は開始が終了より前でなければなりません。開始 {first}、終了 {last}（この時刻を含まない）でした。--from には --to 以前の日を"
        f"指定してください。--to を省くと、読み取り済みの最新ブロック {block:,}（{_iso(time)}）までになります。",
    )


def _line(payee: str, before: _Books, after: _Books) -> PayeeLine:
    entitled, paid = after.entitled(payee), after.paid.get(payee, 0)
    entitled_before, paid_before = before.entitled(payee), before.paid.get(payee, 0)
    return PayeeLine(
        payee=payee,
        opening=entitled_before - paid_before,
        earned=entitled - entitled_before,
        paid=paid - paid_before,
        claimable=entitled - paid,
        entitled_total=entitled,
        paid_total=paid,
    )


def _check_comes_out(statement: Statement) -> None:
    total = statement.paid_total + statement.claimable + statement.carried
    negative = [line.payee for line in statement.payees if line.claimable < 0 or line.opening < 0]
    carried_fits = 0 <= statement.carried < max(1, len(statement.payees))
    if total != statement.revenue_total or negative or not carried_fits:
        raise _mismatch(
            f"paid {statement.paid_total} + due {statement.claimable} + carried {statement.carried}",
            f"revenue {statement.revenue_total}",
        )
    if sum(line.amount for line in statement.deposits) != statement.revenue:
        raise _mismatch("the deposits listed", f"revenue of the period {statement.revenue}")


def _mismatch(found: str, expected: str) -> StatementMismatch:
    return StatementMismatch(
        en=f"The statement does not come out: {found} against {expected}. Read the chain's events again from the start.",
        ja=f"計算書が合いません: {found} / {expected}。チェーンの記録を最初から読み直してください。",
    )


def statement(port: ChainPort, project_id: bytes, *, start: int = 0, end: int | None = None) -> Statement:
    """Statement read from the chain at its newest final block, reconciled with the split contract's own figures to the base unit.

    Parameters
    ----------
    start, end
        Half-open period in unix seconds of block time; all up to the final block by default.

    Raises
    ------
    NotDeepYet
        If the deployment itself is not final yet.
    PeriodRefused
        If the period is empty.
    StatementMismatch
        If events and contract do not agree.
    """
    block = port.final_block()
    if block < port.deployment.block:
        raise _not_deep(port, block)
    time, depth = port.block_time(block), port.confirmations
    events = port.events(to_block=block)
    token = port.deployment.yen
    last = time + 1
    at = {"read_at_block": block, "read_at_time": time, "confirmations": depth}
    whole = make_statement(events, project_id, token, start=0, end=last, **at)
    _check_against_contract(port, whole)
    if start == 0 and (end is None or end == last):
        return whole
    until = last if end is None else end
    return make_statement(events, project_id, token, start=start, end=until, **at)


def _not_deep(port: ChainPort, final: int) -> NotDeepYet:
    head, deployed, depth = port.head()[0], port.deployment.block, port.confirmations
    return NotDeepYet(
        en=f"No statement yet: the contracts were deployed in block {deployed:,}, and with {depth} confirmations the chain is read up to "
        f"block {max(final, 0):,} (newest {head:,}). Wait for {deployed - final:,} more blocks.",
        ja=f"計算書はまだ作れません。契約の配備はブロック {deployed:,} で、確認ブロック数 {depth} では {max(final, 0):,} まで"
        f"（最新 {head:,}）しか読めません。あと {deployed - final:,} ブロックお待ちください。",
    )


def _check_against_contract(port: ChainPort, whole: Statement) -> None:
    block = whole.read_at_block
    revenue = port.deposited(whole.project_id, block=block)
    if revenue != whole.revenue_total:
        raise _mismatch(f"events {whole.revenue_total}", f"contract {revenue}")
    for line in whole.payees:
        due = port.claimable(whole.project_id, line.payee, block=block)
        paid = port.claimed(whole.project_id, line.payee, block=block)
        if (due, paid) != (line.claimable, line.paid_total):
            raise _mismatch(
                f"{line.payee}: due {line.claimable}, paid {line.paid_total}",
                f"contract: due {due}, paid {paid}",
            )
