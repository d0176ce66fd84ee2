"""The statement comes out to the base unit, or is not given out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.events import Claimed, Deposited, Event, SharesSet
from registry.port import ChainPort
from registry.treasury import (
    CONTEXT,
    NotDeepYet,
    PeriodRefused,
    Statement,
    StatementMismatch,
    make_statement,
    statement,
)
from registry.views import SHARES
from tests.registry.conftest import DEADLINE, World

PROJECT, OTHER = b"\x01" * 32, b"\x02" * 32
YEN = "0x" + "Ee" * 20
PAYEES = tuple("0x" + f"{n}{n}" * 20 for n in range(1, 6))
SALE = "0x" + "55" * 20


def at(n: int) -> tuple[int, int, str, int]:
    return n, 0, f"0x{n:064x}", 1_000 + n


@st.composite
def shares(draw: st.DrawFn) -> dict[str, int]:
    payees = draw(st.lists(st.sampled_from(PAYEES), min_size=1, unique=True))
    cuts = sorted(
        draw(st.sets(st.integers(1, SHARES - 1), min_size=len(payees) - 1, max_size=len(payees) - 1))
    )
    bounds = [0, *cuts, SHARES]
    return {payee: b - a for payee, a, b in zip(payees, bounds, bounds[1:], strict=False)}


class Ledger:
    """An oracle in fractions: what each payee is owed, kept apart from the program's integers."""

    def __init__(self) -> None:
        self.owed = dict.fromkeys(PAYEES, Fraction(0))
        self.paid = dict.fromkeys(PAYEES, 0)

    def due(self, payee: str) -> int:
        return floor(self.owed[payee]) - self.paid[payee]


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Event], Ledger]:
    events: list[Event] = []
    ledger, current, epoch = Ledger(), draw(shares()), 1
    events.append(SharesSet(*at(0), PROJECT, 1, tuple(current), tuple(current.values())))
    for n in range(1, draw(st.integers(1, 15))):
        what = draw(st.sampled_from(["deposit", "deposit", "claim", "shares", "foreign"]))
        if what == "deposit":
            amount = draw(st.integers(1, 10**13))
            events.append(Deposited(*at(n), PROJECT, YEN, SALE, epoch, amount))
            for payee, share in current.items():
                ledger.owed[payee] += Fraction(amount * share, SHARES)
        elif what == "claim":
            payee = draw(st.sampled_from(PAYEES))
            if ledger.due(payee):
                events.append(Claimed(*at(n), PROJECT, YEN, payee, ledger.due(payee)))
                ledger.paid[payee] += ledger.due(payee)
        elif what == "shares":
            current, epoch = draw(shares()), epoch + 1
            events.append(SharesSet(*at(n), PROJECT, epoch, tuple(current), tuple(current.values())))
        else:
            events.append(Deposited(*at(n), OTHER, YEN, SALE, 1, 77))
    return events, ledger


def made(events: Sequence[Event], start: int = 0, end: int = 10_000) -> Statement:
    return make_statement(events, PROJECT, YEN, start=start, end=end, read_at_block=99, read_at_time=1_099)


@given(histories())
@settings(max_examples=150, deadline=None)
def test_every_base_unit_is_paid_due_or_carried(history: tuple[list[Event], Ledger]) -> None:
    events, ledger = history
    books = made(events)
    assert books.paid_total + books.claimable + books.carried == books.revenue_total
    assert 0 <= books.carried < max(1, len(books.payees))
    assert {line.payee: line.claimable for line in books.payees} == {
        line.payee: ledger.due(line.payee) for line in books.payees
    }
    assert {payee for payee in PAYEES if ledger.owed[payee]} <= {line.payee for line in books.payees}


@given(histories(), st.integers(1_000, 1_016))
@settings(max_examples=80, deadline=None)
def test_two_periods_that_meet_add_up_to_the_whole(history: tuple[list[Event], Ledger], cut: int) -> None:
    events, _ = history
    first, second, whole = made(events, 0, cut), made(events, cut), made(events)
    assert first.revenue + second.revenue == whole.revenue == whole.revenue_total
    assert first.paid + second.paid == whole.paid
    assert first.deposits + second.deposits == whole.deposits
    for one, two, both in zip(first.payees, second.payees, whole.payees, strict=True):
        assert one.earned + two.earned == both.earned
        assert two.opening == one.claimable and two.claimable == both.claimable


def test_a_statement_with_an_event_missing_is_not_given_out() -> None:
    split = SharesSet(*at(0), PROJECT, 1, PAYEES[:2], (500_000, 500_000))
    deposit = Deposited(*at(1), PROJECT, YEN, SALE, 1, 101)
    paid = Claimed(*at(2), PROJECT, YEN, PAYEES[0], 50)
    assert made([split, deposit, paid]).carried == 1
    with pytest.raises(StatementMismatch):
        made([split, paid])
    with pytest.raises(StatementMismatch):
        made([split, deposit, replace(paid, amount=51)])


def test_the_csv_holds_whole_numbers_and_its_columns_add_up() -> None:
    events = [
        SharesSet(*at(0), PROJECT, 1, PAYEES[:3], (333_333, 333_333, 333_334)),
        Deposited(*at(1), PROJECT, YEN, SALE, 1, 1_000),
        Claimed(*at(2), PROJECT, YEN, PAYEES[0], 333),
    ]
    header, *lines, carried, total = made(events).to_csv_rows()
    assert header[0] == "payee" and [line[0] for line in lines] == list(PAYEES[:3])
    assert carried[4] == "1" and total[4] == "667" and total[6] == "333" and total[5] == "1000"
    for column in (1, 2, 3, 6):
        assert sum(int(line[column]) for line in lines) == int(total[column])
    assert sum(int(line[4]) for line in [*lines, carried]) == int(total[4])


def test_every_row_of_a_csv_names_its_token_decimals_period_and_block() -> None:
    events = [
        SharesSet(*at(0), PROJECT, 1, PAYEES[:1], (1_000_000,)),
        Deposited(*at(1), PROJECT, YEN, SALE, 1, 7),
    ]
    books = replace(made(events, 1_000, 1_500), confirmations=12)
    header, *lines = books.with_context(books.to_csv_rows(), "dJPY", 6)
    assert tuple(header[-len(CONTEXT) :]) == CONTEXT and len({len(row) for row in (header, *lines)}) == 1
    for line in lines:
        said = dict(zip(header, line, strict=True))
        assert (said["token"], said["token_address"], said["decimals"]) == ("dJPY", YEN, "6")
        assert (said["read_at_block"], said["confirmations"]) == ("99", "12")
        assert datetime.fromisoformat(said["period_from"]).timestamp() == 1_000
        assert said["period_until"] == "1970-01-01T09:25:00+09:00"
    assert made(events).with_context([["a"], ["b"]], "dJPY", 6)[1][4] == "", "from the beginning"


@pytest.mark.parametrize(("start", "end"), [(1_500, 1_500), (86_400, 0)])
def test_a_period_that_ends_before_it_begins_is_refused_with_both_its_ends(start: int, end: int) -> None:
    with pytest.raises(PeriodRefused) as refused:
        made([], start, end)
    for text in (refused.value.en, refused.value.ja):
        assert "--from" in text and "1970-01-0" in text
    assert "before 1970-01-01T09:" in refused.value.en


def sold(world: World, kg: int) -> None:
    port = world.port
    batch = world.issue()
    price = 7_777_777_777  # base units a tonne: indivisible on purpose
    listed = port.list_batch(world["seller"], batch.id, kg, price)
    port.mint_yen(world["admin"], world["buyer"].address, 10**12)
    port.buy_with_permit(world["buyer"], listed.listing_id, kg, deadline=DEADLINE)


def test_events_and_contract_agree_over_a_change_of_shares(world: World) -> None:
    port, project = world.port, world.project
    a, b, c = (world[role].address for role in ("admin", "guardian", "stranger"))
    port.set_shares(world["admin"], project, {a: 333_333, b: 333_333, c: 333_334})
    sold(world, 1_003)
    port.claim_for(world["buyer"], project, a)
    cut = port.head()[1] + 1
    port.set_shares(world["admin"], project, {a: 1, b: 999_999})
    sold(world, 7)
    port.claim_for(world["buyer"], project, b)

    books = statement(port, project)
    assert books.revenue_total == port.deposited(project)
    assert books.carried == port.remainder(project, [a, b, c])
    assert books.paid_total + books.claimable + books.carried == books.revenue_total
    assert {line.payee: line.claimable for line in books.payees} == {
        payee: port.claimable(project, payee) for payee in (a, b, c)
    }
    assert books.read_at_block == port.head()[0]
    if world.chain.kind == "embedded":  # anvil may put several blocks into one second
        early = statement(port, project, end=cut)
        assert len(early.deposits) == 1 and early.paid == port.claimed(project, a)


def test_a_project_without_money_has_an_empty_statement(world: World) -> None:
    books = statement(world.port, world.project)
    assert (books.revenue_total, books.payees, books.carried) == (0, (), 0)


def test_with_12_confirmations_a_statement_tells_only_what_lies_12_blocks_deep(world: World) -> None:
    port, project = world.port, world.project
    deep = ChainPort(port.w3, port.deployment, confirmations=12)
    port.set_shares(world["admin"], project, {world["guardian"].address: 1_000_000})
    sold(world, 1_000)
    seen = statement(port, project)
    assert (seen.revenue_total, seen.confirmations, seen.read_at_block) == (7_777_777_777, 1, port.head()[0])
    early = statement(deep, project)
    assert (early.revenue_total, early.confirmations) == (0, 12)
    assert early.read_at_block == port.head()[0] - 11 == deep.final_block()
    assert early.read_at_time == port.block_time(early.read_at_block)
    for _ in range(10):
        port.mint_yen(world["admin"], world["stranger"].address, 1)
    assert statement(deep, project).revenue_total == 0, "11 blocks deep"
    port.mint_yen(world["admin"], world["stranger"].address, 1)
    last = statement(deep, project)
    assert last.revenue_total == 7_777_777_777 and last.read_at_block == seen.read_at_block


def test_a_deployment_that_is_not_deep_enough_yet_gives_no_statement(world: World) -> None:
    port = world.port
    with pytest.raises(NotDeepYet, match="more blocks") as refused:
        statement(ChainPort(port.w3, port.deployment, confirmations=10**6), world.project)
    assert "1000000" in refused.value.en and "お待ちください" in refused.value.ja
