"""Every figure of the gas table is within its budget, as the program really sends it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("eth", reason="the extra satoyama-mrv[chain] is not installed")

from benchmarks import gas

WANTED = {"issue", "issue_per_extra_key", "retire", "deposit_4", "deposit_500", "claim_cold", "claim_warm"}


def test_no_act_costs_more_than_its_budget_and_a_deposit_costs_the_same_for_any_number_of_payees(
    tmp_path: Path,
) -> None:
    found = gas.measure(tmp_path)
    assert found.keys() >= WANTED
    assert gas.over_budget(found) == []
    assert found["deposit_4"] == found["deposit_10"] == found["deposit_500"]


def test_the_committed_table_is_whole_and_within_the_budgets() -> None:
    committed = json.loads(gas.SNAPSHOT.read_text())
    assert committed.keys() == gas.BESIDE.keys()
    assert gas.over_budget(committed) == []


def test_a_figure_over_its_budget_is_named(tmp_path: Path) -> None:
    assert gas.over_budget({"issue": 190_001, "retire": 100_000, "buy": 10**9}) == ["issue"]
    snapshot = tmp_path / "gas.json"
    snapshot.write_text('{"issue": 180000, "retire": 5}')
    assert gas.moved({"issue": 180_100, "retire": 5}, snapshot) == ["issue: 180,000 -> 180,100 (+100)"]
