"""Issued once however often it is tried or killed; bought, retired, and paid out to the base unit."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
from datetime import date

import pytest

from flows import work
from flows.settings import Workspace
from flows.work.chainroom import NoDeployment, OtherContracts
from flows.work.trading import NotIssued
from mrv.errors import ClaimRefused
from registry import artifacts
from registry.claimstruct import project_key
from registry.events import BatchIssued
from registry.port import PortError
from registry.refusals import ChainRefused
from tests.flows.conftest import PROJECT

YEN = 10**6
PRICE = 12_345 * YEN

KILLED = """
import os, signal, sys
from flows.outbox import CatalogueOutbox
from flows import work
from flows.settings import Workspace
from registry.sender import Sender

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

ws = Workspace.open(sys.argv[1])
claim = ws.catalogue.claims_of()[-1].claim_id
place = sys.argv[2]
if place == "before anything is signed":
    CatalogueOutbox.mark_sent = die
elif place == "between signing and sending":
    Sender.send = die
elif place == "between mint and receipt":
    Sender.wait = die
elif place == "before the receipt is recorded":
    CatalogueOutbox.mark_mined = die
work.issue(ws, claim)
"""
PLACES = (
    "before anything is signed",
    "between signing and sending",
    "between mint and receipt",
    "before the receipt is recorded",
)


def minted(ws: Workspace) -> list[BatchIssued]:
    return [e for e in work.open_port(ws).events() if isinstance(e, BatchIssued)]


@pytest.mark.parametrize("place", PLACES)
def test_killed_anywhere_a_rerun_mints_exactly_once(approved_ws: Workspace, place: str) -> None:
    work.register_on_chain(approved_ws, PROJECT)
    command = [sys.executable, "-c", KILLED, str(approved_ws.root), place]
    done = subprocess.run(command, timeout=120, env=dict(os.environ), check=False)
    assert done.returncode == -signal.SIGKILL
    claim_id = approved_ws.catalogue.claims_of()[-1].claim_id
    for _ in range(2):
        issued = work.issue(approved_ws, claim_id)
    (event,) = minted(approved_ws)
    assert issued.event == event
    entry = work.outbox(approved_ws).get("0x" + event.batch_id.hex())
    assert entry is not None and entry.state == "mined" and entry.receipt is not None
    assert work.approved_not_issued(approved_ws) == []


def test_settle_finishes_an_issue_that_was_killed(approved_ws: Workspace) -> None:
    work.register_on_chain(approved_ws, PROJECT)
    command = [sys.executable, "-c", KILLED, str(approved_ws.root), "between mint and receipt"]
    subprocess.run(command, timeout=120, env=dict(os.environ), check=False)
    assert len(work.outbox(approved_ws).pending()) == 1
    assert len(work.settle(approved_ws, PROJECT).finished) == 1
    assert work.outbox(approved_ws).pending() == []
    assert len(minted(approved_ws)) == 1


@pytest.fixture
def issued_ws(approved_ws: Workspace) -> Workspace:
    work.issue(approved_ws, approved_ws.catalogue.claims_of()[-1].claim_id)
    return approved_ws


def test_a_period_that_is_credited_cannot_be_claimed_again(issued_ws: Workspace) -> None:
    with pytest.raises(ClaimRefused) as caught:
        work.make_claim(issued_ws, PROJECT)
    assert "claim.period_already_credited" in [r.code for r in caught.value.reasons]
    assert work.history(issued_ws, PROJECT).last_end == date(2025, 10, 20)


def test_money_from_a_sale_reaches_every_payee_to_the_base_unit(issued_ws: Workspace) -> None:
    ws = issued_ws
    claim = work.claim_record(ws, ws.catalogue.claims_of()[-1].claim_id).claim
    listed = work.list_for_sale(ws, claim.batch_id, claim.credited_kg, PRICE)
    work.give_test_yen(ws, "buyer", 10**9 * YEN)
    sold = work.buy(ws, listed.listing_id, 77_777)
    assert sold.cost == -(-77_777 * PRICE // 1000)
    settled = work.settle(ws, PROJECT)
    made = settled.statement
    assert made.revenue_total == sold.cost
    assert made.paid_total + made.carried == made.revenue_total and made.claimable == 0
    assert 0 <= made.carried < len(settled.payouts) == 5
    port, keys = work.open_port(ws), work.accounts(ws).addresses()
    for payout in settled.payouts:
        assert port.yen_balance(keys[payout.payee.replace("-", "_")]) == payout.amount > 0
    again = work.settle(ws, PROJECT)
    assert again.payouts == () and again.statement.paid_total == made.paid_total
    rows = work.statement_rows(ws, PROJECT, made)
    names = [row[1] for row in rows]
    assert "組合会計" in names and len({len(row) for row in rows}) == 1
    said = dict(zip(rows[0], rows[-1], strict=True))
    assert (said["token"], said["decimals"], said["confirmations"]) == ("dJPY", "6", "1")
    assert int(said["read_at_block"]) == made.read_at_block


def test_what_is_bought_can_be_retired_at_once_in_the_buyers_name(issued_ws: Workspace) -> None:
    ws = issued_ws
    claim = work.claim_record(ws, ws.catalogue.claims_of()[-1].claim_id).claim
    listed = work.list_for_sale(ws, claim.batch_id, 5_000, PRICE)
    work.give_test_yen(ws, "buyer", 10**9 * YEN)
    sold, retired = work.buy_and_retire(
        ws,
        listed.listing_id,
        1_234,
        beneficiary="例示株式会社",
        purpose="催事",
        consumption=(date(2026, 1, 1), date(2026, 2, 1)),
    )
    assert sold.cost == -(-1_234 * PRICE // 1000) and sold.tx_hash == retired.tx_hash
    buyer = work.accounts(ws).load("buyer").address
    assert (retired.kg, retired.account, retired.purpose) == (1_234, buyer, "催事")
    port = work.open_port(ws)
    assert port.balance(buyer, retired.id) == 0
    assert port.total_supply(retired.id) == claim.gross_kg - 1_234
    assert work.settle(ws, PROJECT).statement.revenue_total == sold.cost


def test_credits_are_retired_with_a_certificate_and_are_gone(issued_ws: Workspace) -> None:
    ws = issued_ws
    claim = work.claim_record(ws, ws.catalogue.claims_of()[-1].claim_id).claim
    listed = work.list_for_sale(ws, claim.batch_id, 5_000, PRICE)
    work.give_test_yen(ws, "buyer", 10**9 * YEN)
    work.buy(ws, listed.listing_id, 5_000)
    year = date(2025, 4, 1), date(2026, 4, 1)
    retired = work.retire(
        ws, claim.batch_id, 2_000, beneficiary="例示株式会社", purpose="2025年度の排出", consumption=year
    )
    port = work.open_port(ws)
    assert (retired.kg, retired.beneficiary) == (2_000, "例示株式会社")
    assert port.balance(work.accounts(ws).load("buyer").address, retired.id) == 3_000
    assert port.total_supply(retired.id) == claim.gross_kg - 2_000
    with pytest.raises(ChainRefused):
        work.retire(ws, claim.batch_id, 3_001, beneficiary="x", purpose="y")
    with pytest.raises(PortError):
        work.retire(ws, claim.batch_id, 1, beneficiary="x", purpose="y", country="JPN")


def test_events_are_read_into_the_catalogue_once(issued_ws: Workspace) -> None:
    first = work.index_events(issued_ws)
    assert first > 0 and work.index_events(issued_ws) == 0
    assert work.indexed_events(issued_ws) == work.open_port(issued_ws).events()
    assert work.indexed_events(issued_ws, "BatchIssued") == minted(issued_ws)
    read = work.read_at(issued_ws)
    assert read is not None and read[0] == work.open_port(issued_ws).head()[0]


def test_selling_before_issue_names_the_command_that_issues(approved_ws: Workspace) -> None:
    batch = approved_ws.catalogue.claims_of()[-1].batch_id
    with pytest.raises(NotIssued, match="satoyama issue"):
        work.list_for_sale(approved_ws, batch, 1, 1)


def test_without_contracts_nothing_was_issued_and_the_missing_step_is_named(new_ws: Workspace) -> None:
    assert work.history(new_ws, PROJECT).gross_issued_kg == 0
    assert work.projects_on_chain(new_ws) == []
    with pytest.raises(NoDeployment, match="satoyama init --chain"):
        work.open_port(new_ws)


def test_contracts_of_another_version_are_not_misread(
    approved_ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = artifacts.load("RevenueSplit")
    code = other.deployed_bytecode[:-1] + bytes([other.deployed_bytecode[-1] ^ 1])
    changed = dataclasses.replace(other, deployed_bytecode=code, digest="sha256:other")
    load = artifacts.load
    monkeypatch.setattr(artifacts, "load", lambda name: changed if name == "RevenueSplit" else load(name))
    with pytest.raises(OtherContracts, match="RevenueSplit"):
        work.open_port(approved_ws)


def test_setting_up_twice_keeps_the_first_contracts(approved_ws: Workspace) -> None:
    assert work.set_up_chain(approved_ws) == work.deployment(approved_ws)
    work.register_on_chain(approved_ws, PROJECT)
    work.register_on_chain(approved_ws, PROJECT)
    assert work.open_port(approved_ws).current_epoch(project_key(PROJECT)) == 1
