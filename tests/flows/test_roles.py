"""Roles, the court and its fund at the command line of a co-op."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from apps.cli import main
from flows import work
from flows.settings import Workspace
from flows.work import disputes, roles

YEN = 10**6


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    """Contracts on an embedded chain, and no project."""
    made = Workspace.create(tmp_path / "ws")
    work.set_up_chain(made)
    return made


def run(ws: Workspace, *arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["-w", str(ws.root), *arguments])
    assert result.exit_code == status, result.output
    return result


def doc(ws: Workspace, *arguments: str) -> dict[str, object]:
    found: dict[str, object] = json.loads(run(ws, "--json", *arguments).output)
    return found


def test_a_second_guardian_is_made_named_and_can_act_at_once(ws: Workspace) -> None:
    assert "WARNING: ONLY ONE guardian" in run(ws, "chain", "roles").output
    shown = run(ws, "chain", "grant", "guardian", "guardian", "--show").output
    assert "so already" in shown
    said = run(ws, "chain", "grant", "guardian", "guardian_2").output
    assert "Plan: give guardian" in said and "Done: transaction" in said and "WARNING" not in said
    assert "so already" in run(ws, "chain", "grant", "guardian", "guardian_2").output
    listed = run(ws, "chain", "roles").output
    assert "guardian_2" in listed and "WARNING" not in listed
    issuer = work.accounts(ws).load("issuer").address
    suspended = run(ws, "chain", "suspend", "issuer", issuer, "--role", "guardian_2").output
    assert (
        "Plan: suspend" in suspended and f"issuer          {issuer}" not in run(ws, "chain", "roles").output
    )
    assert doc(ws, "chain", "grant", "issuer", "issuer")["tx_hash"]


def test_showing_a_plan_sends_nothing_and_says_what_the_chain_would(ws: Workspace) -> None:
    height = work.open_port(ws).head()
    stranger = "0x" + "11" * 20
    assert "The chain would take it" in run(ws, "chain", "grant", "verifier", stranger, "--show").output
    refused = run(ws, "chain", "grant", "verifier", "issuer", "--show", status=1).output
    assert "cannot be both issuer and verifier" in refused and "兼ねられません" in refused
    assert work.open_port(ws).head() == height


def test_a_name_without_a_key_gets_none_by_a_look_or_a_revocation(ws: Workspace) -> None:
    for arguments in (("grant", "guardian", "guardian_9", "--show"), ("revoke", "guardian", "guardian_9")):
        assert "no key for 'guardian_9'" in run(ws, "chain", *arguments, status=1).output
    assert not work.accounts(ws).has("guardian_9")


def test_the_last_guardian_is_taken_and_the_warning_says_nobody_judges(ws: Workspace) -> None:
    said = run(ws, "--lang", "ja", "chain", "revoke", "guardian", "guardian").output
    assert "警告: 異議を裁ける人がいません" in said
    with pytest.raises(roles.NotSuspendable):
        roles.set_role(ws, "suspend", "seller", "seller")


def test_initialising_a_chain_says_that_one_guardian_is_too_few(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["init", str(tmp_path / "fresh"), "--chain"])
    assert result.exit_code == 0 and "WARNING: ONLY ONE guardian" in result.output


def test_the_reward_fund_is_given_to_once_unless_a_second_gift_is_meant(ws: Workspace) -> None:
    work.give_test_yen(ws, "seller", 1_000 * YEN)
    run(ws, "challenge", "fund", "300")
    again = run(ws, "challenge", "fund", "300").output
    assert "done before" in again and "--again" in again
    assert disputes.court_state(ws).terms.reward_fund == 300 * YEN
    second = doc(ws, "challenge", "fund", "300", "--again", "2027")
    assert second["sent_now"] and second["reward_fund"] == 600 * YEN
    assert not doc(ws, "challenge", "fund", "300", "--again", "2027")["sent_now"]
    court = run(ws, "challenge", "court").output
    assert "Reward fund 600 yen" in court and "guardian  0x" in court and "WARNING" in court


def test_a_fund_that_cannot_be_paid_says_what_is_missing(ws: Workspace) -> None:
    assert "ERC20InsufficientBalance" in run(ws, "challenge", "fund", "5", status=1).output


def test_a_role_is_neither_given_to_nor_taken_from_a_mistyped_address(ws: Workspace) -> None:
    right = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
    assert right in run(ws, "chain", "grant", "guardian", right.lower(), "--show").output
    for verb in ("grant", "revoke"):
        for wrong, says in ((right.replace("6053", "6058"), "checksum"), (right[:-1], "40 hex digits")):
            said = run(ws, "chain", verb, "guardian", wrong, "--show", status=1).output
            assert says in said and "コピーしてください" in said
