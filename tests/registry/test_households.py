"""Every household's statement comes out to the base unit, whatever the basis and however it is paid."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrv.results import Estimate, PlotChange
from registry.events import Claimed, Deposited, Event, SharesSet
from registry.households import BankPayment, Breakdown, BreakdownMismatch, break_down, exact_shares
from registry.shares import (
    Member,
    SharesRefused,
    ShareTable,
    apportion,
    fixed_table,
    measured_table,
)
from registry.treasury import make_statement
from registry.views import SHARES

PROJECT, YEN, SALE = b"\x01" * 32, "0x" + "Ee" * 20, "0x" + "55" * 20
BANK, FUND, WALLET = "0x" + "11" * 20, "0x" + "22" * 20, "0x" + "33" * 20
END = 100_000


def plot(name: str, net_g: int, growth_g: int | None = None) -> PlotChange:
    grown = max(0, net_g) if growth_g is None else growth_g
    parts = {"growth": grown, "recruited": 0, "replanted": 0, "thinned": net_g - grown, "cut": 0, "died": 0}
    none = Estimate(0, 0, 1)
    return PlotChange(
        name, f"{name}-い", 10**10, "sugi", "growing", 3, 0, 0, none, none, Estimate(net_g, 1, 1), parts
    )


MEMBERS = (
    Member("fund", FUND, 500_000),
    Member("a", BANK, 100_000, ("P1", "P2"), by_bank=True),
    Member("b", BANK, 300_000, ("P3",), by_bank=True),
    Member("c", WALLET, 100_000, ("P4",)),
)
PLOTS = (plot("P1", 100), plot("P2", -40, 60), plot("P3", 200), plot("P4", 33))


def test_the_owners_pool_is_split_by_what_each_plot_gained_and_a_loss_is_no_debt() -> None:
    table = measured_table(MEMBERS, PLOTS, "net_change", "sha256:x")
    assert {p.plot_id: p.share_ppm for p in table.parts if p.plot_id} == {
        "P1": 150_150,  # 500,000 x 100 / 333
        "P2": 0,
        "P3": 300_300,
        "P4": 49_550,  # 49,549.5…, the largest remainder
    }
    assert table.by_payee()["fund"] == 500_000
    assert table.by_address() == {FUND: 500_000, BANK: 450_450, WALLET: 49_550}
    assert ShareTable.from_doc(table.to_doc()) == table


def test_by_growth_a_thinned_plot_still_counts() -> None:
    table = measured_table(MEMBERS, PLOTS, "growth", "sha256:x")
    assert {p.plot_id: p.measured_g for p in table.parts if p.plot_id}["P2"] == 60


@given(st.integers(0, 10**6), st.dictionaries(st.text(min_size=1), st.integers(0, 10**15), min_size=1))
def test_apportioning_gives_out_every_unit_and_nobody_more_than_one_off(
    whole: int, weights: dict[str, int]
) -> None:
    if not (total := sum(weights.values())):
        weights, total = dict.fromkeys(weights, 1), len(weights)
    got = apportion(whole, weights)
    assert sum(got.values()) == whole
    assert all(abs(got[n] - Fraction(whole * w, total)) < 1 for n, w in weights.items())


@pytest.mark.parametrize(
    ("members", "plots", "says"),
    [
        (MEMBERS, PLOTS[:3], "not measured: ['P4']"),
        (MEMBERS, (*PLOTS, plot("P5", 1)), "without an owner: ['P5']"),
        ((*MEMBERS[:3], replace(MEMBERS[3], plots=("P3", "P4"))), PLOTS, "with several: ['P3']"),
        (MEMBERS, tuple(replace(p, change=Estimate(-1, 1, 1)) for p in PLOTS), "Nothing grew"),
        (MEMBERS[:3], PLOTS[:3], "add up to"),
    ],
)
def test_a_table_that_cannot_be_fair_is_refused(
    members: Sequence[Member], plots: Sequence[PlotChange], says: str
) -> None:
    with pytest.raises(SharesRefused) as caught:
        measured_table(members, plots, "net_change", "")
    assert says in caught.value.en


def shares_set(n: int, epoch: int, table: ShareTable) -> SharesSet:
    at = table.by_address()
    return SharesSet(n, 0, f"0x{n:064x}", n, PROJECT, epoch, tuple(at), tuple(at.values()))


def deposited(n: int, epoch: int, amount: int) -> Deposited:
    return Deposited(n, 0, f"0x{n:064x}", n, PROJECT, YEN, SALE, epoch, amount)


def claimed(n: int, payee: str, amount: int) -> Claimed:
    return Claimed(n, 0, f"0x{n:064x}", n, PROJECT, YEN, payee, amount)


def made(
    events: Sequence[Event],
    tables: dict[int, ShareTable],
    bank: Sequence[BankPayment] = (),
    start: int = 0,
    end: int = END,
) -> Breakdown:
    books = make_statement(events, PROJECT, YEN, start=start, end=end, read_at_block=1, read_at_time=END)
    return break_down(books, events, tables, bank)


FIXED, MEASURED = fixed_table(MEMBERS), measured_table(MEMBERS, PLOTS, "net_change", "sha256:x")
TABLES = {1: FIXED, 2: MEASURED}
EVENTS = [
    shares_set(1, 1, FIXED),
    deposited(10, 1, 1_000_003),
    shares_set(20, 2, MEASURED),
    deposited(30, 2, 777_777),
    claimed(40, BANK, 400_001 + 350_349),
]


def test_households_that_share_an_account_get_what_is_theirs_and_the_account_balances() -> None:
    got = made(EVENTS, TABLES)
    a, b = got.line("a"), got.line("b")
    assert a.entitled_total == floor(Fraction(1_000_003 * 100_000 + 777_777 * 150_150, SHARES))
    assert b.entitled_total == floor(Fraction(1_000_003 * 300_000 + 777_777 * 300_300, SHARES))
    (book,) = got.banks
    assert book.address == BANK and book.paid == 0 and book.held == book.received
    assert book.held + book.claimable == book.due + book.carried == a.due + b.due + book.carried
    assert [(p.part.plot_id, p.basis) for p in a.parts] == [
        ("", "fixed"),
        ("P1", "net_change"),
        ("P2", "net_change"),
    ]
    assert sum(p.earned for p in a.parts) == a.earned


def test_a_bank_payment_lowers_what_is_due_and_one_that_came_back_raises_it() -> None:
    paid = [BankPayment("a", 50, 200_000), BankPayment("b", 50, 1_000), BankPayment("b", 60, -1_000)]
    got = made(EVENTS, TABLES, paid)
    assert got.line("a").due == made(EVENTS, TABLES).line("a").due - 200_000
    assert got.line("b").due == made(EVENTS, TABLES).line("b").due
    late = made(EVENTS, TABLES, paid, start=55)
    assert (late.line("a").paid, late.line("b").paid) == (0, -1_000)
    assert late.line("a").opening == late.line("a").due


def test_more_paid_by_bank_than_received_is_not_given_out() -> None:
    with pytest.raises(BreakdownMismatch):
        made(EVENTS, TABLES, [BankPayment("a", 50, 300_000)])


def test_a_table_that_is_not_the_chains_is_not_believed() -> None:
    for wrong in ({1: FIXED}, {1: FIXED, 2: FIXED}):
        with pytest.raises(BreakdownMismatch, match="epoch 2"):
            made(EVENTS, wrong)


def test_a_household_needs_a_new_id_for_a_new_address() -> None:
    moved = fixed_table((*MEMBERS[:3], replace(MEMBERS[3], address="0x" + "44" * 20)))
    with pytest.raises(BreakdownMismatch, match="two addresses"):
        made([*EVENTS[:2], shares_set(20, 2, moved)], {1: FIXED, 2: moved})


@given(
    st.lists(st.tuples(st.integers(1, 2), st.integers(1, 10**13)), min_size=1, max_size=20),
    st.integers(1, 30),
)
@settings(max_examples=80, deadline=None)
def test_periods_that_meet_add_up_for_every_household(given_: list[tuple[int, int]], cut: int) -> None:
    events: list[Event] = [shares_set(1, 1, FIXED), shares_set(1, 2, MEASURED)]
    events += [deposited(n, epoch, amount) for n, (epoch, amount) in enumerate(sorted(given_), 2)]
    whole, first, second = (
        made(events, TABLES),
        made(events, TABLES, end=cut),
        made(events, TABLES, start=cut),
    )
    for one, two, both in zip(first.lines, second.lines, whole.lines, strict=True):
        assert one.earned + two.earned == both.earned and two.opening == one.due
        assert all(p.earned >= 0 for p in (*one.parts, *two.parts))


def test_the_csv_of_households_adds_up_per_plot() -> None:
    header, *rows = made(EVENTS, TABLES).to_csv_rows()
    assert {len(row) for row in rows} == {len(header)}
    for payee in ("a", "b", "c", "fund"):
        mine = [row for row in rows if row[0] == payee]
        assert sum(int(r[6]) for r in mine if r[1] != "total") == int(
            next(r for r in mine if r[1] == "total")[6]
        )


def test_ten_thousand_deposits_and_two_hundred_payees_come_out_within_one_base_unit() -> None:
    """The statement's books against exact fractions, kept apart, over five share tables of uneven primes and tiny shares."""
    source = random.Random(20_261_121)
    payees = [f"payee-{n:03d}" for n in range(200)]
    address = {p: f"0x{n + 1:040x}" for n, p in enumerate(payees)}
    tables: dict[int, ShareTable] = {}
    events: list[Event] = []
    owed = dict.fromkeys(payees, Fraction(0))
    total = 0
    for n in range(10_000):
        if n % 2_000 == 0:
            weights = {p: source.choice((1, 7, 9_973, 10**6)) for p in payees}
            shares = apportion(SHARES - 200, weights)
            epoch = len(tables) + 1
            tables[epoch] = fixed_table([Member(p, address[p], shares[p] + 1) for p in payees])
            events.append(shares_set(n, epoch, tables[epoch]))
        amount = source.choice((1, 3, source.randrange(1, 10**4), source.randrange(1, 10**13)))
        events.append(deposited(n, epoch, amount))
        total += amount
    by_epoch = {e: sum(d.amount for d in events if isinstance(d, Deposited) and d.epoch == e) for e in tables}
    for epoch, amount in by_epoch.items():
        for payee, ppm in tables[epoch].by_payee().items():
            owed[payee] += Fraction(amount * ppm, SHARES)
    got = made(events, tables)
    assert exact_shares(by_epoch, tables) == owed and sum(owed.values()) == total
    assert len(got.lines) == 200
    assert all(0 <= owed[line.payee_id] - line.entitled_total < 1 for line in got.lines)
    books = got.statement
    assert books.paid_total + books.claimable + books.carried == books.revenue_total == total
    assert 0 <= books.carried < 200
