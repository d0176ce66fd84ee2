"""The way of a batch through the contracts, the same on the embedded chain and on anvil."""

from __future__ import annotations

import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from eth_account import Account

from registry.chain import ChainConfig, connect
from registry.court_events import SerialsEnded
from registry.deploy import Deployment, Roles, check_deployment, deploy
from registry.events import (
    BatchIssued,
    Claimed,
    Deposited,
    Listed,
    Retired,
    RetiredForBuyer,
    SharesScheduled,
    SharesSet,
    Sold,
    event_from_doc,
    retirements,
)
from registry.port import ChainPort, PortError, Retirement
from registry.refusals import ChainRefused
from registry.sender import NonceTaken
from tests.registry.conftest import DEADLINE, Chain, World, new_world, sha

FOR_TARO = Retirement("Taro 太郎", "commuting in 2024", "JP", 19_800, 20_100)
YEN = 10**6


def shares_of(world: World) -> dict[str, int]:
    return {
        world["admin"].address: 333_333,
        world["guardian"].address: 333_333,
        world["stranger"].address: 333_334,
    }


def test_a_batch_is_issued_sold_retired_and_its_money_reaches_the_payees(world: World) -> None:
    port, project = world.port, world.project
    port.set_shares(world["admin"], project, shares_of(world))
    batch = world.issue()
    assert (batch.gross_kg, batch.buffer_kg, batch.retired_kg) == (9_000, 1_800, 0)
    assert port.balance(world["seller"].address, batch.id) == 7_200
    assert port.balance(port.deployment.registry, batch.id) == 1_800

    listed = port.list_batch(world["seller"], batch.id, 7_200, 15_000 * YEN)
    port.mint_yen(world["admin"], world["buyer"].address, 10**6 * YEN)
    money = port.yen_balance(world["buyer"].address)
    by_allowance = port.buy(world["buyer"], listed.listing_id, 1_001, deadline=DEADLINE)
    by_permit = port.buy_with_permit(world["buyer"], listed.listing_id, 2_000, deadline=DEADLINE)
    assert by_allowance.cost == 15_015 * YEN and by_permit.cost == 30_000 * YEN
    assert money - port.yen_balance(world["buyer"].address) == 45_015 * YEN
    assert port.listing(listed.listing_id).kg == 7_200 - 3_001
    assert port.deposited(project) == 45_015 * YEN

    certificate = port.retire(world["buyer"], batch.id, 3_000, FOR_TARO)
    assert (certificate.kg, certificate.beneficiary, certificate.country) == (3_000, "Taro 太郎", b"JP")
    assert port.balance(world["buyer"].address, batch.id) == 1
    assert port.total_supply(batch.id) == 6_000

    payee = world["stranger"].address
    due = port.claimable(project, payee)
    before = port.yen_balance(payee)
    port.claim_for(world["buyer"], project, payee)
    assert due == 45_015 * YEN * 333_334 // 10**6
    assert port.yen_balance(payee) - before == due == port.claimed(project, payee)
    assert port.remainder(project, list(shares_of(world))) < 3


def test_events_tell_the_same_story_with_block_and_time(world: World) -> None:
    port = world.port
    start = port.head()[0] + 1
    port.set_shares(world["admin"], world.project, shares_of(world))
    batch = world.issue()
    listed = port.list_batch(world["seller"], batch.id, 100, 10 * YEN)
    port.mint_yen(world["admin"], world["buyer"].address, 100 * YEN)
    port.buy_with_permit(world["buyer"], listed.listing_id, 100, deadline=DEADLINE)
    port.retire(world["buyer"], batch.id, 100, FOR_TARO)
    port.claim_for(world["admin"], world.project, world["admin"].address)
    events = port.events(start)
    issued_to_paid = [BatchIssued, Listed, Sold, Deposited, SerialsEnded, Retired, Claimed]
    kinds = [SharesSet, SharesScheduled, *issued_to_paid]
    assert [type(event) for event in events] == kinds
    for event in events:
        assert event.block_time == port.block_time(event.block)
        assert event_from_doc(event.to_doc()) == event
    assert port.issued(sha(f"{world.name} 2015")) == events[2]


def test_credits_are_bought_and_retired_in_one_transaction_and_the_certificate_is_the_buyers(
    world: World,
) -> None:
    port, buyer = world.port, world["buyer"]
    port.set_shares(world["admin"], world.project, shares_of(world))
    batch = world.issue()
    listed = port.list_batch(world["seller"], batch.id, 7_200, 15_001 * YEN)
    port.mint_yen(world["admin"], buyer.address, 10**6 * YEN)
    quoted = port.quote(listed.listing_id, 777)
    assert quoted == -(-777 * 15_001 * YEN // 1_000)
    with pytest.raises(ChainRefused, match="Purchase_CostAboveMaximum"):
        port.buy_and_retire(buyer, listed.listing_id, 777, FOR_TARO, max_cost=quoted - 1, deadline=DEADLINE)
    sold, retired = port.buy_and_retire(buyer, listed.listing_id, 777, FOR_TARO, deadline=DEADLINE)
    assert sold.cost == quoted == port.deposited(world.project)
    assert (retired.kg, retired.beneficiary, retired.account) == (777, "Taro 太郎", buyer.address)
    assert sold.tx_hash == retired.tx_hash
    assert port.balance(buyer.address, batch.id) == 0
    assert port.total_supply(batch.id) == 9_000 - 777
    tx = [e for e in port.events() if e.tx_hash == sold.tx_hash]
    assert [type(e) for e in tx] == [Sold, Deposited, SerialsEnded, Retired, RetiredForBuyer]
    assert tx[3].account == port.deployment.sale, "as the registry has it"  # type: ignore[attr-defined]  # a Retired
    assert retirements(tx) == [retired]
    assert all(event_from_doc(event.to_doc()) == event for event in tx)


def test_a_change_of_shares_is_announced_and_takes_effect_when_its_delay_is_over(world: World) -> None:
    port, admin, project = world.port, world["admin"], world.project
    port.set_share_delay(admin, project, 3)
    assert port.share_delay(project) == 3
    with pytest.raises(ChainRefused, match="Delay_Lowered"):
        port.set_share_delay(admin, project, 2)
    port.set_shares(admin, project, shares_of(world))
    assert (port.current_epoch(project), port.pending_shares(project)) == (1, None)
    port.mint_yen(admin, admin.address, 3_000)
    mined = port.set_shares(admin, project, {world["buyer"].address: 1_000_000})
    effective = port.block_time(mined.block) + 3
    port.deposit(admin, project, 1_000)
    early = port.block_time(port.head()[0]) < effective
    assert port.last_epoch(project) == 2
    limit = time.monotonic() + 30
    while port.block_time(port.head()[0]) < effective:
        assert time.monotonic() < limit
        time.sleep(0.3)
        port.mint_yen(admin, admin.address, 1)  # a block, so that the chain's clock moves
    assert (port.current_epoch(project), port.pending_shares(project)) == (2, None)
    port.deposit(admin, project, 1_000)
    assert port.claimable(project, world["buyer"].address) == (1_000 if early else 2_000)
    assert port.remainder(project, [*shares_of(world), world["buyer"].address]) < 4


def test_an_announced_change_can_be_stopped_and_is_the_only_one(world: World) -> None:
    port, admin, project = world.port, world["admin"], world.project
    port.set_share_delay(admin, project, 86_400)
    port.set_shares(admin, project, shares_of(world))
    mined = port.set_shares(admin, project, {world["buyer"].address: 1_000_000})
    assert port.pending_shares(project) == (2, port.block_time(mined.block) + 86_400)
    with pytest.raises(ChainRefused, match="Shares_ChangePending"):
        port.set_shares(admin, project, {world["seller"].address: 1_000_000})
    with pytest.raises(ChainRefused, match="AccessControlUnauthorizedAccount"):
        port.cancel_shares(world["stranger"], project)
    port.cancel_shares(admin, project)
    with pytest.raises(ChainRefused, match="Shares_NonePending"):
        port.cancel_shares(admin, project)
    assert (port.current_epoch(project), port.last_epoch(project), port.pending_shares(project)) == (
        1,
        2,
        None,
    )


@pytest.mark.parametrize("contract", ["registry", "sale", "split", "yen"])
def test_a_contract_that_could_never_pass_money_on_is_no_payee(world: World, contract: str) -> None:
    address = getattr(world.port.deployment, contract)
    with pytest.raises(ChainRefused, match="Shares_Payee"):
        world.port.set_shares(world["admin"], world.project, {address: 1_000_000})


def test_the_contract_and_this_program_compute_the_same_digest_to_sign(world: World) -> None:
    claim = world.claim()
    port = world.port
    assert port.claim_digest(claim) == claim.digest(port.chain_id, port.deployment.registry)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"standard_error_kg": 0}, "Claim_UncertaintyAbsent"),
        ({"deduction_kg": 0}, "Claim_UncertaintyAbsent"),
        ({"estimate_kg": 10_001}, "Claim_IdentityBroken"),
        ({"prior_gross_kg": 1}, "Claim_PriorGrossDiffers"),
        ({"compensated_kg": 1}, "Claim_CompensatedDiffers"),
        ({"buffer_kg": 1_799}, "Claim_BufferTooSmall"),
        ({"buffer_kg": 9_000}, "Claim_BufferTooLarge"),
        ({"method_digest": sha("another")}, "Claim_MethodDiffers"),
        ({"project_id": sha("nobody's")}, "Project_Unknown"),
        ({"challenge_window": 60}, "Claim_WindowDiffers"),
        ({"period_end": 60_000, "vintage": 2134}, "Claim_PeriodInFuture"),
        ({"vintage": 2015}, "Claim_VintageDiffers"),
        ({"deadline": 1_000_000_000}, "Claim_Expired"),
    ],
)
def test_a_wrong_claim_is_refused_before_it_is_sent_with_the_contracts_reason(
    world: World, changes: dict[str, object], name: str
) -> None:
    claim = world.claim(**changes)
    signature = world.port.sign_claim(world["verifier"], claim)
    height = world.port.head()[0]
    with pytest.raises(ChainRefused) as caught:
        world.port.issue(world["issuer"], claim, world["verifier"].address, signature)
    assert caught.value.name == name and name in caught.value.en and name in caught.value.ja
    assert caught.value.tx_hash is None and world.port.head()[0] == height
    assert not world.port.content_root_used(claim.content_root)


def test_a_plot_that_is_spent_cannot_be_credited_again_by_another_project(world: World) -> None:
    first = world.claim()
    signature = world.port.sign_claim(world["verifier"], first)
    world.port.issue(world["issuer"], first, world["verifier"].address, signature)
    assert world.port.spent_until(first.plot_keys[0]) == first.period_end
    other = new_world(world.chain)
    with pytest.raises(ChainRefused) as caught:
        other.issue(plot_keys=first.plot_keys[:1])
    assert caught.value.name == "Plot_AlreadySpent"
    assert caught.value.arguments["plotKey"] == first.plot_keys[0]


def test_the_same_evidence_is_not_issued_twice(world: World) -> None:
    first = world.claim()
    signature = world.port.sign_claim(world["verifier"], first)
    world.port.issue(world["issuer"], first, world["verifier"].address, signature)
    with pytest.raises(ChainRefused) as caught:
        world.issue(content_root=first.content_root)
    assert caught.value.name == "Claim_ContentRootUsed"


def test_only_a_verifiers_own_signature_over_this_very_claim_counts(world: World) -> None:
    claim, port = world.claim(), world.port
    signature = port.sign_claim(world["verifier"], claim)
    tampered = replace(claim, recipient=world["stranger"].address)
    for struct, verifier, name in [
        (tampered, world["verifier"].address, "Claim_SignatureInvalid"),
        (claim, world["stranger"].address, "Claim_VerifierUnknown"),
        (claim, world["issuer"].address, "Claim_VerifierIsIssuer"),
    ]:
        with pytest.raises(ChainRefused) as caught:
            port.issue(world["issuer"], struct, verifier, signature)
        assert caught.value.name == name
    with pytest.raises(ChainRefused) as caught:
        port.issue(world["stranger"], claim, world["verifier"].address, signature)
    assert caught.value.name == "AccessControlUnauthorizedAccount"


def test_a_reversal_burns_the_buffer_first_and_publishes_what_it_does_not_cover(world: World) -> None:
    batch = world.issue()
    covered = world.port.reverse(world["guardian"], world.project, [batch.id], 1_000, sha("fire 1"))
    assert (covered.buffer_burned_kg, covered.deficit_kg) == (1_000, 0)
    beyond = world.port.reverse(world["guardian"], world.project, [batch.id], 1_000, sha("fire 2"))
    assert (beyond.buffer_burned_kg, beyond.deficit_kg) == (800, 200)
    after = world.port.batch(sha(f"{world.name} 2015"))
    assert after is not None and after.buffer_kg == 0 and after.supply_kg == 7_200
    info = world.port.project(world.project)
    assert info is not None and (info.compensated_kg, info.deficit_kg) == (1_800, 200)


def test_a_paused_project_cannot_issue_or_move_but_its_credits_can_be_retired(world: World) -> None:
    batch = world.issue()
    world.port.pause(world["guardian"], world.project)
    with pytest.raises(ChainRefused, match="Project_Paused"):
        world.issue()
    with pytest.raises(ChainRefused, match="Project_Paused"):
        world.port.transfer(world["seller"], world["buyer"].address, batch.id, 1)
    assert world.port.retire(world["seller"], batch.id, 1, FOR_TARO).kg == 1
    world.port.unpause(world["guardian"], world.project)
    world.port.transfer(world["seller"], world["buyer"].address, batch.id, 1)


def test_a_transaction_that_reverts_in_its_block_still_tells_why(world: World) -> None:
    batch = world.issue()
    port = world.port
    first = port._prepare(world["seller"], "CreditRegistry", "retire", batch.id, 7_200, FOR_TARO.to_tuple())
    # Signed while it would have passed; by the time it is mined another one has taken the credits.
    port.approve_operator(world["seller"], world["stranger"].address)
    second = port._prepare(world["seller"], "CreditRegistry", "retire", batch.id, 7_200, FOR_TARO.to_tuple())
    assert second.nonce == first.nonce + 1
    port.retire_for(world["stranger"], world["seller"].address, batch.id, 1, FOR_TARO)
    with pytest.raises(ChainRefused) as caught:
        port.send_signed(second)
    assert caught.value.name == "ERC1155InsufficientBalance"
    assert caught.value.tx_hash == second.tx_hash


def test_sending_the_same_signed_bytes_again_changes_nothing(world: World) -> None:
    batch = world.issue()
    arguments = (batch.id, 10, FOR_TARO.to_tuple())
    signed = world.port._prepare(world["seller"], "CreditRegistry", "retire", *arguments)
    first, again = world.port.send_signed(signed), world.port.send_signed(signed)
    assert first == again
    assert world.port.balance(world["seller"].address, batch.id) == 7_190


def test_gas_stays_within_the_budget(world: World) -> None:
    port = world.port
    claim = world.claim(plot_keys=(sha("single " + world.name),))
    signature = port.sign_claim(world["verifier"], claim)
    mined = port.issue(world["issuer"], claim, world["verifier"].address, signature)
    assert mined.gas_used <= 190_000
    batch = port.batch(claim.batch_id)
    assert batch is not None
    arguments = (batch.id, 10, FOR_TARO.to_tuple())
    assert port._send(world["seller"], "CreditRegistry", "retire", *arguments).gas_used <= 100_000


def test_what_is_not_there_is_none_and_not_an_error(world: World) -> None:
    assert world.port.project(sha("nobody's")) is None
    assert world.port.batch(sha("never")) is None
    assert world.port.batch_of(12345) is None
    assert world.port.issued(sha("never")) is None
    assert world.port.spent_until(sha("never")) == 0


def test_shares_that_do_not_add_up_are_refused_with_their_sum(world: World) -> None:
    with pytest.raises(PortError, match="999999"):
        world.port.set_shares(world["admin"], world.project, {world["buyer"].address: 999_999})


def test_a_country_of_three_letters_is_refused() -> None:
    with pytest.raises(PortError, match="JPN"):
        Retirement("a", "b", "JPN").to_tuple()


def test_a_refusal_survives_being_sent_to_another_process() -> None:
    refused = ChainRefused("issue", "Claim_GrossZero", {"x": 1}, note="n", tx_hash="0x12")
    again = pickle.loads(pickle.dumps(refused))
    assert (again.en, again.ja, again.tx_hash, again.name) == (refused.en, refused.ja, "0x12", refused.name)


def test_the_deployed_code_is_the_published_one_and_a_swapped_address_shows(chain: Chain) -> None:
    port = chain.port
    assert [check.status for check in check_deployment(port.w3, port.deployment)] == ["passed"] * 7
    swapped = replace(port.deployment, split=port.deployment.sale)
    statuses = {check.name: check.status for check in check_deployment(port.w3, swapped)}
    assert statuses["chain.code.RevenueSplit"] == "failed" and statuses["chain.code.CreditSale"] == "passed"
    elsewhere = replace(port.deployment, chain_id=1)
    assert [check.status for check in check_deployment(port.w3, elsewhere)] == ["failed"]
    with pytest.raises(PortError, match="chain 1"):
        ChainPort(port.w3, elsewhere)


def test_a_sale_linked_to_another_registry_shows(chain: Chain) -> None:
    other = deploy(chain.port.w3, chain.accounts["admin"], Roles())
    mixed = replace(chain.port.deployment, sale=other.sale)
    assert {c.name: c.status for c in check_deployment(chain.port.w3, mixed)}["chain.links"] == "failed"


def test_a_deployment_survives_its_document(chain: Chain) -> None:
    assert Deployment.from_doc(chain.port.deployment.to_doc()) == chain.port.deployment


def test_nobody_can_be_issuer_and_verifier(chain: Chain) -> None:
    one = chain.accounts["stranger"].address
    with pytest.raises(ChainRefused, match="Role_DutiesNotSeparated"):
        deploy(chain.port.w3, chain.accounts["admin"], Roles(issuers=(one,), verifiers=(one,)))


def test_threads_that_share_one_account_all_get_through(embedded_chain: Chain) -> None:
    port, admin = embedded_chain.port, embedded_chain.accounts["admin"]
    payee = Account.create().address

    def pay(_: int) -> None:
        own = ChainPort(connect(ChainConfig("embedded", path=embedded_chain.path)), port.deployment)
        for _ in range(3):
            own.mint_yen(admin, payee, 1)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(pay, range(3)))
    assert port.yen_balance(payee) == 9


def test_bytes_that_lost_their_turn_are_refused_as_such(world: World) -> None:
    batch = world.issue()
    arguments = (batch.id, 10, FOR_TARO.to_tuple())
    signed = world.port._prepare(world["seller"], "CreditRegistry", "retire", *arguments)
    world.port.approve_operator(world["seller"], world["stranger"].address)
    with pytest.raises(NonceTaken, match="nonce"):
        world.port.send_signed(signed)
    assert world.port.balance(world["seller"].address, batch.id) == 7_200


def test_a_new_account_can_act_once_it_has_gas(world: World) -> None:
    newcomer = Account.create()
    world.port.mint_yen(world["admin"], newcomer.address, 5)
    with pytest.raises(ChainRefused):
        world.port.transfer_yen(newcomer, world["buyer"].address, 5)
    world.port.send_gas(world["admin"], newcomer.address, 10**18)
    world.port.transfer_yen(newcomer, world["buyer"].address, 5)
    assert world.port.yen_balance(newcomer.address) == 0
