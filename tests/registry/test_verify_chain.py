"""What a buyer checks on the chain: passes for the true claim, and each falsehood is named by its own line."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from registry.abi import encode_call
from registry.checks import Check, all_passed, compared
from registry.claimstruct import ClaimStruct, plot_key
from registry.deploy import role_hash
from registry.port import ChainPort, Retirement
from registry.verify_chain import check_chain
from tests.registry.conftest import DEADLINE, World, sha
from tests.registry.evmkit import YES_WALLET, creation, forwarder


@pytest.fixture
def issued(world: World) -> ClaimStruct:
    """A batch that was issued, partly sold, retired and reversed, with money paid out."""
    port = world.port
    port.set_shares(world["admin"], world.project, {world["guardian"].address: 1_000_000})
    claim = world.claim()
    signature = port.sign_claim(world["verifier"], claim)
    port.issue(world["issuer"], claim, world["verifier"].address, signature)
    batch = port.batch(claim.batch_id)
    assert batch is not None
    listed = port.list_batch(world["seller"], batch.id, 100, 10**9)
    port.mint_yen(world["admin"], world["buyer"].address, 10**9)
    port.buy_with_permit(world["buyer"], listed.listing_id, 100, deadline=DEADLINE)
    port.retire(world["buyer"], batch.id, 40, Retirement("Hanako", "event"))
    port.reverse(world["guardian"], world.project, [batch.id], 10, sha("wind"))
    port.claim_for(world["buyer"], world.project, world["guardian"].address)
    return claim


def failed(checks: list[Check]) -> set[str]:
    return {check.name for check in checks if check.status != "passed"}


def test_a_true_claim_passes_every_check_and_says_what_was_found(world: World, issued: ClaimStruct) -> None:
    checks = check_chain(world.port, issued)
    assert failed(checks) == set() and all_passed(checks)
    assert len({check.name for check in checks}) == len(checks) == 22
    text = {check.name: check.detail_en for check in checks}
    assert "40 kg retired in 1 certificates" in text["chain.supply"]
    assert "1790 kg: 1800 put in, 10 used" in text["chain.buffer"]
    assert all(check.detail_ja for check in checks)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"content_root": b"\x01" * 32}, {"chain.content_root"}),
        ({"evidence_root": b"\x01" * 32}, {"chain.evidence_root"}),
        ({"estimate_kg": 10_001}, {"chain.kg"}),
        ({"standard_error_kg": 2_499}, {"chain.kg"}),
        ({"gross_kg": 8_999}, {"chain.kg", "chain.buffer"}),
        ({"period_end": 20_000}, {"chain.period", "chain.plots"}),
        ({"vintage": 2017}, {"chain.period"}),
        ({"plot_keys": (b"\x01" * 32,)}, {"chain.plots"}),
        ({"recipient": "0x" + "11" * 20}, set()),
        ({"plan_digest": b"\x01" * 32}, {"chain.plan"}),
    ],
)
def test_a_claim_that_differs_fails_where_it_differs(
    world: World, issued: ClaimStruct, changes: dict[str, Any], names: set[str]
) -> None:
    # Whatever differs, the digest and the signature over it cannot hold either.
    found = failed(check_chain(world.port, replace(issued, **changes)))
    assert found == names | {"chain.claim_digest", "chain.signature"}


def test_a_batch_that_was_never_issued_fails_and_nothing_more_is_claimed(world: World) -> None:
    checks = check_chain(world.port, world.claim())
    statuses = {check.name: check.status for check in checks}
    assert statuses["chain.batch"] == "failed"
    assert {status for name, status in statuses.items() if "code" not in name and name != "chain.batch"} == {
        "passed",
        "not_made",
    }
    assert not all_passed(checks)
    assert sum(status == "not_made" for status in statuses.values()) == 14


def test_a_contract_that_is_not_the_published_one_fails(world: World, issued: ClaimStruct) -> None:
    port = ChainPort(world.port.w3, replace(world.port.deployment, sale=world.port.deployment.yen))
    assert "chain.code.CreditSale" in failed(check_chain(port, issued))


def test_a_verifier_who_lost_the_role_later_still_had_it_then(world: World, issued: ClaimStruct) -> None:
    arguments = (role_hash("VERIFIER_ROLE"), world["verifier"].address)
    world.port._send(world["admin"], "CreditRegistry", "revokeRole", *arguments)
    try:
        assert failed(check_chain(world.port, issued)) == set()
    finally:
        world.port._send(world["admin"], "CreditRegistry", "grantRole", *arguments)


def deployed(world: World, runtime: bytes) -> str:
    mined = world.port.sender.transact(world["admin"], "deploy", None, creation(runtime))
    return str(mined.contract_address)


def granted(world: World, role: str, account: str) -> None:
    world.port._send(world["admin"], "CreditRegistry", "grantRole", role_hash(role), account)


def test_a_wallet_contract_can_be_the_verifier(world: World) -> None:
    wallet = deployed(world, YES_WALLET)
    granted(world, "VERIFIER_ROLE", wallet)
    claim = world.claim()
    world.port.issue(world["issuer"], claim, wallet, b"whatever the wallet accepts")
    assert failed(check_chain(world.port, claim)) == set()


def test_an_issue_through_another_contract_leaves_the_signature_unchecked_and_says_so(world: World) -> None:
    port = world.port
    multisig = deployed(world, forwarder(port.deployment.registry))
    granted(world, "ISSUER_ROLE", multisig)
    claim = world.claim()
    signature = port.sign_claim(world["verifier"], claim)
    data = encode_call("CreditRegistry", "issue", claim.to_tuple(), world["verifier"].address, signature)
    port.sender.transact(world["stranger"], "issue by multisig", multisig, data)
    checks = check_chain(port, claim)
    unmade = {check.name for check in checks if check.status == "not_made"}
    assert unmade == failed(checks) == {"chain.signature", "chain.duties"}
    assert not all_passed(checks)


def test_no_check_at_all_is_not_a_pass() -> None:
    assert not all_passed([])
    assert not all_passed([Check("a", "passed", "", ""), Check("b", "not_made", "", "")])


def test_a_comparison_names_both_values() -> None:
    check = compared("x", "root", "ルート", b"\x01", b"\x02")
    assert check.status == "failed" and "0x01" in check.detail_en and "0x02" in check.detail_ja


@pytest.mark.parametrize(
    ("changes", "skip_a_year", "status"),
    [
        ({}, False, "passed"),
        ({"plan_digest": sha("another plan")}, False, "failed"),
        ({"plot_keys": (plot_key("another plot"),)}, False, "failed"),
        ({}, True, "failed"),
    ],
    ids=["as before", "another plan", "other plots", "a gap"],
)
def test_a_batch_goes_on_where_the_last_one_ended_on_the_same_plots_by_the_same_plan(
    world: World, issued: ClaimStruct, changes: dict[str, Any], skip_a_year: bool, status: str
) -> None:
    if skip_a_year:
        next(world.years)
    second = world.claim(**changes)
    signature = world.port.sign_claim(world["verifier"], second)
    world.port.issue(world["issuer"], second, world["verifier"].address, signature)
    found = {c.name: c.status for c in check_chain(world.port, second)}
    assert found["chain.continues"] == status
    first = {c.name: c.status for c in check_chain(world.port, issued)}
    assert first["chain.continues"] == "passed"


@pytest.mark.parametrize("at", ["0x" + "12" * 20, "yen"])
def test_a_registry_address_without_its_code_fails_and_nothing_else_is_asked_there(
    world: World, issued: ClaimStruct, at: str
) -> None:
    here = world.port.deployment
    elsewhere = replace(here, registry=here.yen if at == "yen" else at)
    checks = check_chain(ChainPort(world.port.w3, elsewhere), issued)
    statuses = {check.name: check.status for check in checks}
    assert statuses["chain.code.CreditRegistry"] == "failed" and not all_passed(checks)
    assert statuses["chain.signature"] == statuses["chain.supply"] == "not_made"
    assert "not the published ones" in next(c.detail_en for c in checks if c.name == "chain.signature")
