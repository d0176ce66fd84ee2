"""Offers, purchases and retirements at the command line: what they cost, what is refused and why, and that each is done once."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apps.cli import main
from flows import work
from flows.settings import Workspace
from flows.tables import ActionRow
from flows.work import buffers
from registry.claimstruct import project_key
from registry.sender import Sender
from tests.conftest import ROOT
from tests.flows.conftest import PASSWORD, PROJECT

YEN = 10**6
PRICE = 15_000


@pytest.fixture(scope="module")
def _sold_template(_approved_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("market") / "ws"
    shutil.copytree(_approved_template, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SATOYAMA_KEYSTORE_PASSWORD", PASSWORD)
        made = Workspace.open(folder)
        work.issue(made, made.catalogue.claims_of()[-1].claim_id)
        work.give_test_yen(made, "buyer", 1_000_000 * YEN)
        made.catalogue.close()
    return folder


@pytest.fixture
def ws(_sold_template: Path, tmp_path: Path) -> Workspace:
    """An issued batch, and a buyer with a million yen; nothing offered yet."""
    shutil.copytree(_sold_template, tmp_path / "ws")
    return Workspace.open(tmp_path / "ws")


@pytest.fixture
def offered(ws: Workspace) -> Workspace:
    run(ws, "sell", "--kg", "20000", "--price", str(PRICE))
    return ws


def run(ws: Workspace, *arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["-w", str(ws.root), *arguments])
    assert result.exit_code == status, (arguments, result.output, result.exception)
    return result


def doc(ws: Workspace, *arguments: str, status: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(ws, "--json", *arguments, status=status).stdout)
    return found


def held(ws: Workspace, role: str = "buyer") -> int:
    port = work.open_port(ws)
    batch = work.token_id(port, str(ws.catalogue.claims_of()[-1].batch_id))
    return port.balance(work.accounts(ws).load(role).address, batch)


def yen_of(ws: Workspace, role: str = "buyer") -> int:
    return work.open_port(ws).yen_balance(work.accounts(ws).load(role).address)


# What it costs


def test_a_quote_says_the_price_to_the_base_unit_and_buys_nothing(offered: Workspace) -> None:
    before, height = yen_of(offered), work.open_port(offered).head()
    said = doc(offered, "buy", "--kg", "3", "--quote")
    assert said == {"listing_id": 1, "kg": 3, "cost": 3 * PRICE * YEN // 1_000}
    assert "Offer 1: 3 kg cost 45 yen" in run(offered, "buy", "--kg", "3", "--quote").output
    assert "出品 1" in run(offered, "--lang", "ja", "buy", "--kg", "3", "--quote", "--listing", "1").output
    assert yen_of(offered) == before and work.open_port(offered).head() == height


def test_a_quote_is_what_is_paid(offered: Workspace) -> None:
    before = yen_of(offered)
    cost = doc(offered, "buy", "--kg", "777", "--quote")["cost"]
    assert doc(offered, "buy", "--kg", "777")["cost"] == cost == before - yen_of(offered)


# What is refused


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--kg", "5", "--listing", "99", "--quote"), "Listing_Unknown"),
        (("--kg", "5", "--listing", "99"), "Listing_Unknown"),
        (("--kg", "5", "--listing", "99", "--retire-for", "A"), "Listing_Unknown"),
        (("--kg", "20001"), "No open offer holds 20,001 kg"),
        (("--kg", "20001", "--listing", "1"), "Purchase_KgTooMany"),
        (("--kg", "1000", "--max-cost", "14999999999"), "Purchase_CostAboveMaximum"),
        (
            ("--kg", "1000", "--max-cost", "14999999999", "--retire-for", "A"),
            "Purchase_CostAboveMaximum",
        ),
        (("--kg", "5", "--retire-for", ""), "Retirement_BeneficiaryEmpty"),
        (("--kg", "5", "--retire-for", "A", "--country", "Japan"), "two-letter code"),
        (("--kg", "5", "--retire-for", "A", "--country", "jp"), "Retirement_CountryInvalid"),
        (
            ("--kg", "5", "--retire-for", "A", "--from", "2026-03-31", "--to", "2026-03-01"),
            "Retirement_PeriodEmpty",
        ),
    ],
)
def test_a_purchase_that_cannot_be_is_refused_with_the_reason_and_takes_no_money(
    offered: Workspace, arguments: tuple[str, ...], word: str
) -> None:
    before = yen_of(offered)
    said = run(offered, "buy", *arguments, status=1)
    assert word in said.output and any("぀" < letter < "鿿" for letter in said.output)
    assert yen_of(offered) == before and held(offered) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--kg", "0"),
        ("--kg", "many"),
        ("--kg", "5", "--purpose", "events"),
        ("--kg", "5", "--country", "JP"),
        ("--kg", "5", "--retire-for", "A", "--from", "2026-03-31"),
        ("--kg", "5", "--retire-for", "A", "--from", "31.3.2026", "--to", "2026-03-31"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_opened(ws: Workspace, arguments: tuple[str, ...]) -> None:
    assert "Usage" in run(ws, "buy", *arguments, status=2).output


def test_without_an_offer_the_buyer_is_told_whom_to_ask(ws: Workspace) -> None:
    assert "satoyama sell" in run(ws, "buy", "--kg", "5", "--quote", status=1).output


def test_a_refused_purchase_may_be_asked_for_again_when_it_is_possible(offered: Workspace) -> None:
    guardian, port = work.accounts(offered).load("guardian"), work.open_port(offered)
    port.pause(guardian, project_key(PROJECT))
    assert "Project_Paused" in run(offered, "buy", "--kg", "9", status=1).output
    port.unpause(guardian, project_key(PROJECT))
    assert doc(offered, "buy", "--kg", "9")["sent_now"] and held(offered) == 9


# Bought and used up at once


def test_bought_for_somebody_is_used_up_at_once_with_a_certificate_and_once(offered: Workspace) -> None:
    asked = ("buy", "--kg", "500", "--retire-for", "Example Co.", "--purpose", "Events of 2026")
    period = ("--from", "2025-04-01", "--to", "2026-03-31")
    before = yen_of(offered)
    said = run(offered, *asked, *period).output
    assert "Bought 500 kg" in said and "Retired for Example Co." in said and "certificate 1" in said
    paid = before - yen_of(offered)
    again = run(offered, *asked, *period).output
    assert "done before" in again and "certificate 1" in again
    retired = doc(offered, *asked, *period)["retired"]
    assert retired["beneficiary"] == "Example Co." and retired["purpose"] == "Events of 2026"
    assert retired["account"] == work.accounts(offered).load("buyer").address
    assert before - yen_of(offered) == paid and held(offered) == 0
    assert doc(offered, *asked, *period, "--again", "second hall")["retired"]["certificate_id"] == 2


# Once


def die(*_: object, **__: object) -> object:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", ["prepare", "send", "wait"])
def test_killed_anywhere_a_purchase_a_retirement_and_an_offer_happen_once(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def killed_then_twice(*arguments: str) -> dict[str, Any]:
        with monkeypatch.context() as patch:
            patch.setattr(Sender, step, die)
            CliRunner().invoke(main, ["-w", str(ws.root), *arguments])
        first = doc(ws, *arguments)
        assert not doc(ws, *arguments)["sent_now"]
        return first

    offered = held(ws, "seller")
    killed_then_twice("sell", "--kg", "1000", "--price", str(PRICE))
    assert offered - held(ws, "seller") == 1_000
    # The whole offer is bought: that it is sold out when asked again must not matter.
    before = yen_of(ws)
    cost = killed_then_twice("buy", "--kg", "1000")["cost"]
    assert before - yen_of(ws) == cost == 1_000 * PRICE * YEN // 1_000 and held(ws) == 1_000
    killed_then_twice("retire", "--kg", "1000", "--beneficiary", "Example Co.")
    assert held(ws) == 0
    with ws.catalogue.read() as session:
        assert {row.state for row in session.query(ActionRow)} == {"mined"}


def test_two_who_buy_the_same_at_once_buy_it_once(offered: Workspace) -> None:
    code = "import sys; from apps.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "-w", str(offered.root), "--json", "buy", "--kg", "7"]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in both]
    assert held(offered) == 7
    # One may be told to wait for the other's turn; then it is told the rest when it asks again.
    done = [json.loads(text) for text, process in zip(said, both, strict=True) if process.returncode == 0]
    assert done and len({one["tx_hash"] for one in done}) == 1
    assert not doc(offered, "buy", "--kg", "7")["sent_now"] and held(offered) == 7


@pytest.mark.parametrize("after_s", [1.0, 1.6, 2.2])
def test_a_purchase_killed_by_the_system_is_finished_by_the_next_run(
    offered: Workspace, after_s: float
) -> None:
    code = "import sys; from apps.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "-w", str(offered.root), "buy", "--kg", "7"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    time.sleep(after_s)
    process.kill()
    process.wait(30)
    for _ in range(2):
        run(offered, "buy", "--kg", "7")
    assert held(offered) == 7


def test_a_second_purchase_is_made_when_it_is_meant(offered: Workspace) -> None:
    run(offered, "buy", "--kg", "5")
    told = run(offered, "buy", "--kg", "5").output
    assert "nothing is sent twice" in told and "--again WORD" in told and held(offered) == 5
    assert "二重には送りません" in run(offered, "--lang", "ja", "buy", "--kg", "5").output
    for _ in range(2):
        run(offered, "buy", "--kg", "5", "--again", "November")
    assert held(offered) == 10


def test_a_stated_refill_is_given_once_and_the_rest_by_a_second_word(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = work.claim_record(ws, ws.catalogue.claims_of()[-1].claim_id).claim
    work.reverse(ws, PROJECT, claim.buffer_kg + 500, "storm")
    with monkeypatch.context() as patch:
        patch.setattr(Sender, "wait", die)
        CliRunner().invoke(main, ["-w", str(ws.root), "buffer", "refill", "--kg", "200"])
    for _ in range(2):
        run(ws, "buffer", "refill", "--kg", "200")
    assert buffers.buffer_status(ws, PROJECT).deficit_kg == 300
    run(ws, "buffer", "refill", "--kg", "200", "--again", "2")
    assert buffers.buffer_status(ws, PROJECT).deficit_kg == 100
    assert "100 kg given" in run(ws, "buffer", "refill").output
    assert "There is no deficit" in run(ws, "buffer", "refill").output


def test_what_a_restored_chain_has_forgotten_is_done_again_when_asked(
    offered: Workspace, tmp_path: Path
) -> None:
    run(offered, "buy", "--kg", "5")
    run(offered, "chain", "backup", str(tmp_path / "backup"))
    run(offered, "buy", "--kg", "6")
    assert held(offered) == 11
    run(offered, "chain", "restore", str(tmp_path / "backup"), "--replace")
    assert held(offered) == 5
    assert not doc(offered, "buy", "--kg", "5")["sent_now"] and doc(offered, "buy", "--kg", "6")["sent_now"]
    assert held(offered) == 11
