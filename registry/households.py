"""What every household and fund earned, was paid and is due, for which plot: the project's statement broken down exactly.

Several households may share one address on chain (the account of the treasurer who pays them by bank). Each one's entitlement
is floored by the contract's own rule, on its own numerators, so that together they never exceed what the address is due.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from models.errors import SatoyamaError
from registry.events import Deposited, Event, SharesSet
from registry.shares import Basis, Part, ShareTable
from registry.treasury import Statement
from registry.views import SHARES


class BreakdownMismatch(SatoyamaError):
    """The breakdown does not agree with the chain; it is not given out."""


@dataclass(frozen=True)
class BankPayment:
    """Money that went to a household by bank (or came back, below zero), base units; `time` in unix seconds."""

    payee_id: str
    time: int
    amount: int


@dataclass(frozen=True)
class PartLine:
    """What one plot (or a fixed share) earned its household in the period, base units."""

    epoch: int
    basis: Basis
    part: Part
    earned: int


@dataclass(frozen=True)
class HouseholdLine:
    """One household or fund; all in base units.

    ``due == opening + earned - paid``, and `parts` add up to `earned`.

    Parameters
    ----------
    by_bank : bool
        Whether it is paid by bank out of an account on chain that it shares.
    paid : int
        Paid in the period, on chain or by bank.
    """

    payee_id: str
    address: str
    by_bank: bool
    opening: int
    earned: int
    paid: int
    due: int
    entitled_total: int
    paid_total: int
    parts: tuple[PartLine, ...]


@dataclass(frozen=True)
class BankBook:
    """The account on chain out of which households are paid by bank; base units, since the project's first deposit.

    ``received == paid + held``, and ``held + claimable == due + carried``.

    Parameters
    ----------
    received : int
        Paid to the account by the split.
    paid : int
        Paid out of it by bank.
    held : int
        In the account for households.
    claimable : int
        Still in the split for the account.
    due : int
        Due to its households.
    carried : int
        Fractions of base units, less than one per household.
    """

    address: str
    received: int
    paid: int
    held: int
    claimable: int
    due: int
    carried: int


@dataclass(frozen=True)
class Breakdown:
    """A project's statement with its households."""

    statement: Statement
    lines: tuple[HouseholdLine, ...]
    banks: tuple[BankBook, ...]

    def line(self, payee_id: str) -> HouseholdLine:
        """The line of one payee.

        Raises
        ------
        BreakdownMismatch
            If there is none.
        """
        for line in self.lines:
            if line.payee_id == payee_id:
                return line
        known = ", ".join(line.payee_id for line in self.lines) or "-"
        raise BreakdownMismatch(
            en=f"No payee {payee_id!r} ever had a share in this project. Known: {known}.",
            ja=f"このプロジェクトに支払先 {payee_id!r} はありません。登録済み: {known}",
        )

    def to_csv_rows(self) -> list[list[str]]:
        """Rows of a CSV: one per household and plot, then its total; whole base units."""
        header = ["payee", "plot", "basis", "measured_kg", "of_kg", "share_ppm", "earned"]
        rows = [[*header, "opening", "paid", "due"]]
        for line in self.lines:
            for one in line.parts:
                p = one.part
                grams = [str(p.measured_g // 1000), str(p.of_g // 1000)] if p.of_g else ["", ""]
                rows.append(
                    [
                        line.payee_id,
                        p.plot_name or p.plot_id,
                        one.basis,
                        *grams,
                        str(p.share_ppm),
                        str(one.earned),
                    ]
                    + [""] * 3
                )
            sums = [str(v) for v in (line.earned, line.opening, line.paid, line.due)]
            rows.append([line.payee_id, "total", "", "", "", "", *sums])
        return rows


def break_down(
    statement: Statement,
    events: Sequence[Event],
    tables: Mapping[int, ShareTable],
    bank: Iterable[BankPayment] = (),
) -> Breakdown:
    """Break a project's statement down to households and plots.

    Parameters
    ----------
    statement : Statement
        From the same events.
    tables : mapping of epoch to ShareTable
        The table behind every epoch on chain.
    bank : iterable of BankPayment
        What was paid by bank, in any order.

    Raises
    ------
    BreakdownMismatch
        If a table is missing or differs from the chain's shares, or the figures do not come out.
    """
    ours = [e for e in events if getattr(e, "project_id", None) == statement.project_id]
    _check_tables([e for e in ours if isinstance(e, SharesSet)], tables)
    deposits = [e for e in ours if isinstance(e, Deposited) and e.token == statement.token]
    before = _by_epoch(e for e in deposits if e.block_time < statement.start)
    until = _by_epoch(e for e in deposits if e.block_time < statement.end)
    payments = list(bank)
    banked = {payee for table in tables.values() for payee in table.by_bank}
    chain = {line.payee: (line.opening, line.paid, line.paid_total) for line in statement.payees}
    lines = []
    for payee, address in sorted(_addresses(tables).items()):
        entitled, entitled_before = (_numerator(tables, d, payee) // SHARES for d in (until, before))
        by_bank = payee in banked
        if by_bank:
            mine = [p for p in payments if p.payee_id == payee]
            paid_total = sum(p.amount for p in mine if p.time < statement.end)
            paid = paid_total - sum(p.amount for p in mine if p.time < statement.start)
        else:
            _, paid, paid_total = chain.get(address, (0, 0, 0))
        earned = entitled - entitled_before
        lines.append(
            HouseholdLine(
                payee_id=payee,
                address=address,
                by_bank=by_bank,
                opening=entitled_before - (paid_total - paid),
                earned=earned,
                paid=paid,
                due=entitled - paid_total,
                entitled_total=entitled,
                paid_total=paid_total,
                parts=_parts(payee, tables, _less(until, before), earned),
            )
        )
    made = Breakdown(statement, tuple(lines), _banks(statement, lines))
    _check(made)
    return made


def _check_tables(set_on_chain: Sequence[SharesSet], tables: Mapping[int, ShareTable]) -> None:
    for event in set_on_chain:
        there = {a.lower(): s for a, s in zip(event.payees, event.shares, strict=True)}
        table = tables.get(event.epoch)
        ours = None if table is None else {a.lower(): s for a, s in table.by_address().items()}
        if ours != there:
            what = "there is none" if ours is None else "it says otherwise"
            raise BreakdownMismatch(
                en=f"The share table behind epoch {event.epoch} must add up to the chain's shares; {what}. "
                "Set shares with 'satoyama payout shares', not by hand.",
                ja=f"エポック {event.epoch} の配分表がチェーン上の配分と一致しません。"
                "配分は satoyama payout shares で設定してください。",
            )


def _by_epoch(deposits: Iterable[Deposited]) -> dict[int, int]:
    out: dict[int, int] = {}
    for one in deposits:
        out[one.epoch] = out.get(one.epoch, 0) + one.amount
    return out


def _less(until: Mapping[int, int], before: Mapping[int, int]) -> dict[int, int]:
    return {epoch: amount - before.get(epoch, 0) for epoch, amount in sorted(until.items())}


def _numerator(tables: Mapping[int, ShareTable], deposits: Mapping[int, int], payee: str) -> int:
    return sum(
        amount * part.share_ppm
        for epoch, amount in deposits.items()
        for part in tables[epoch].parts
        if part.payee_id == payee
    )


def _addresses(tables: Mapping[int, ShareTable]) -> dict[str, str]:
    found: dict[str, str] = {}
    for _, table in sorted(tables.items()):
        for payee, address in table.addresses.items():
            if found.setdefault(payee, address) != address:
                raise BreakdownMismatch(
                    en=f"The payee {payee!r} has two addresses over time ({found[payee]}, {address}); give the second one a new id.",
                    ja=f"支払先 {payee!r} のアドレスが途中で変わっています。新しい方には別の id を付けてください。",
                )
    return found


def _parts(
    payee: str, tables: Mapping[int, ShareTable], deposits: Mapping[int, int], earned: int
) -> tuple[PartLine, ...]:
    found = [
        (epoch, tables[epoch].basis, part, amount * part.share_ppm)
        for epoch, amount in deposits.items()
        for part in tables[epoch].parts
        if part.payee_id == payee and amount
    ]
    floors = [numerator // SHARES for *_, numerator in found]
    rest = earned - sum(floors)
    ranked = sorted(range(len(found)), key=lambda i: (-(found[i][3] % SHARES), i))
    for i in ranked[:rest]:
        floors[i] += 1
    return tuple(
        PartLine(epoch, basis, part, amount)
        for (epoch, basis, part, _), amount in zip(found, floors, strict=True)
    )


def _banks(statement: Statement, lines: Sequence[HouseholdLine]) -> tuple[BankBook, ...]:
    chain = {line.payee: line for line in statement.payees}
    books = []
    for address in sorted({line.address for line in lines if line.by_bank}):
        households = [line for line in lines if line.address == address]
        there = chain.get(address)
        received = 0 if there is None else there.paid_total
        entitled = 0 if there is None else there.entitled_total
        paid, due = sum(line.paid_total for line in households), sum(line.due for line in households)
        books.append(
            BankBook(
                address=address,
                received=received,
                paid=paid,
                held=received - paid,
                claimable=entitled - received,
                due=due,
                carried=entitled - sum(line.entitled_total for line in households),
            )
        )
    return tuple(books)


def _check(made: Breakdown) -> None:
    wrong = [
        line.payee_id
        for line in made.lines
        if line.opening + line.earned - line.paid != line.due
        or sum(one.earned for one in line.parts) != line.earned
        or line.due < 0
    ]
    households = {
        book.address: sum(line.address == book.address for line in made.lines) for book in made.banks
    }
    wrong += [
        book.address
        for book in made.banks
        if not 0 <= book.carried < households[book.address]
        or book.held < 0
        or book.held + book.claimable != book.due + book.carried
    ]
    by_chain = {line.address: line for line in made.lines if not line.by_bank}
    wrong += [
        line.payee
        for line in made.statement.payees
        if line.payee in by_chain
        and (line.earned, line.claimable) != (by_chain[line.payee].earned, by_chain[line.payee].due)
    ]
    if wrong:
        raise BreakdownMismatch(
            en=f"The statement by household does not come out for {', '.join(wrong)}. More was paid by bank than was received, "
            "or a record is missing; compare the payout runs with the bank's books.",
            ja=f"世帯別の計算書が {'、'.join(wrong)} で合いません。受取額を超える振込、または記録漏れがあります。"
            "支払記録と銀行の記録を照合してください。",
        )


def exact_shares(deposits: Mapping[int, int], tables: Mapping[int, ShareTable]) -> dict[str, Fraction]:
    """Every payee's exact rational share of deposits by epoch, base units; what whole-unit statements are compared with."""
    return {p: Fraction(_numerator(tables, deposits, p), SHARES) for p in _addresses(tables)}
