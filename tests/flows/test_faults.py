"""The fault run sees what it counts: a lost batch, missing units, units not paid; and a step kills where it should."""

from __future__ import annotations

import sys
from pathlib import Path

from flows import work
from flows.settings import Workspace
from tests.conftest import ROOT
from tests.flows.conftest import PROJECT

sys.path.insert(0, str(ROOT / "benchmarks"))

import faults
import faults_world


def books(ws: Workspace) -> dict[str, int | str]:
    return faults_world.books(ws, ws.catalogue.claims_of(PROJECT)[-1].claim_id)


def sold(ws: Workspace) -> None:
    faults_world._issue_and_sell(ws, ws.catalogue.claims_of(PROJECT)[-1].claim_id)


def test_a_batch_that_is_not_there_is_seen(approved_ws: Workspace) -> None:
    seen = books(approved_ws)
    assert (seen["mints"], seen["state"]) == (0, "nothing")


def test_whole_books_have_nothing_short(approved_ws: Workspace) -> None:
    sold(approved_ws)
    due = books(approved_ws)
    assert due["units_due"] != 0 and due["units_short"] == 0 and due["payees_paid"] == 0
    work.settle(approved_ws, PROJECT)
    seen = books(approved_ws)
    assert (seen["mints"], seen["state"], seen["kg_short"]) == (1, "mined", 0)
    assert (seen["units_due"], seen["units_short"]) == (0, 0) and seen["payees_paid"] != 0


def test_one_base_unit_that_is_gone_and_one_kilogram_that_is_gone_are_seen(approved_ws: Workspace) -> None:
    sold(approved_ws)
    work.settle(approved_ws, PROJECT)
    port, keys = work.open_port(approved_ws), work.accounts(approved_ws)
    payees = work.payee_names(approved_ws, PROJECT)
    account = next(keys.load(role) for role, address in keys.addresses().items() if address in payees)
    port.send_gas(keys.load("admin"), account.address, 10**18)
    port.transfer_yen(account, keys.load("admin").address, 1)
    assert books(approved_ws)["units_short"] == 2, "once missing, once other than claimed"
    token = work.token_id(port, approved_ws.catalogue.claims_of(PROJECT)[-1].batch_id)
    port.transfer(keys.load("buyer"), keys.load("admin").address, token, 1)
    assert books(approved_ws)["kg_short"] == 1


def test_a_fork_dies_at_the_step_that_is_asked_for(approved_ws: Workspace, tmp_path: Path) -> None:
    claim_id = approved_ws.catalogue.claims_of(PROJECT)[-1].claim_id
    approved_ws.catalogue.close()
    first = faults_world.copied(approved_ws.root, tmp_path / "first")
    whole = faults_world.Child(faults.stepping(faults.act_of(first, "issue", claim_id, prefect=False))).end()
    assert not whole.killed and whole.value > 20
    second = faults_world.copied(approved_ws.root, tmp_path / "second")
    act = faults.act_of(second, "issue", claim_id, prefect=False)
    assert faults_world.Child(faults.stepping(act, whole.value // 2)).end().killed
    assert books(second)["mints"] == 0
    assert not faults_world.Child(act).end().killed
    assert books(second)["mints"] == 1
