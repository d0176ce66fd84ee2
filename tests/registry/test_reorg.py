"""Chains drop, replace and reorganise transactions, nodes restart and networks fail: still exactly one batch."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from registry import issuance, sender
from registry.chain import ChainConfig, ChainUnavailable, connect
from registry.events import BatchIssued
from registry.issuance import IssuancePlan, Issued, execute, reconcile, to_finish
from registry.outbox import JsonFileOutbox
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.sender import ChainBusy
from tests.registry.conftest import Anvil, World, contracts_on, new_world, sha, start_anvil
from tests.registry.test_issuance import assert_issued_once, mints, plan_of

DEEP = 4


@pytest.fixture
def anvil() -> Iterator[Anvil]:
    node = start_anvil()
    yield node
    if node.process.poll() is None:
        node.end()


@pytest.fixture
def world(anvil: Anvil, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(sender, "RESEND_S", 0.5)
    monkeypatch.setattr(issuance, "_FINAL_POLL_S", 0.05)
    return new_world(contracts_on(anvil.url))


@pytest.fixture
def outbox(tmp_path: Path) -> JsonFileOutbox:
    return JsonFileOutbox(tmp_path / "outbox.json")


def rpc(world: World, method: str, *params: Any) -> Any:
    answer = world.port.w3.provider.make_request(method, list(params))  # type: ignore[arg-type]
    assert "error" not in answer, answer
    return answer["result"]


def reorganise(world: World, depth: int) -> None:
    """Replace the last blocks by empty ones."""
    rpc(world, "anvil_reorg", depth, [])


class Running:
    """`execute` in a thread, over a connection of its own."""

    def __init__(self, world: World, plan: IssuancePlan, outbox: JsonFileOutbox, confirmations: int = 1):
        w3 = connect(ChainConfig("rpc", url=world.port.w3.provider.endpoint_uri))  # type: ignore[attr-defined]
        port = ChainPort(w3, world.port.deployment, confirmations=confirmations)
        pool = ThreadPoolExecutor(1)
        self.outcome = pool.submit(execute, plan, port, outbox, world["issuer"])
        pool.shutdown(wait=False)

    def issued(self) -> Issued:
        return self.outcome.result(60)


def until(holds: Callable[[], Any]) -> Any:
    for _ in range(600):
        if found := holds():
            return found
        time.sleep(0.05)
    raise AssertionError("waited in vain")


def waiting(world: World) -> list[str]:
    """Hashes of the transactions that wait to be mined."""
    pool = rpc(world, "txpool_content")["pending"]
    return [tx["hash"] for by_nonce in pool.values() for tx in by_nonce.values()]


def test_a_transaction_that_nodes_dropped_is_offered_again(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    rpc(world, "evm_setAutomine", False)
    running = Running(world, plan, outbox)
    (dropped,) = until(lambda: waiting(world))
    rpc(world, "anvil_dropTransaction", dropped)
    assert until(lambda: waiting(world)) == [dropped], "the same bytes"
    rpc(world, "evm_mine")
    assert_issued_once(world, plan, running.issued())


def test_a_transaction_replaced_by_another_of_the_account_is_signed_anew(
    world: World, outbox: JsonFileOutbox
) -> None:
    plan, issuer = plan_of(world), world["issuer"]
    rpc(world, "evm_setAutomine", False)
    running = Running(world, plan, outbox)
    (replaced,) = until(lambda: waiting(world))
    w3 = world.port.w3
    nonce = w3.eth.get_transaction_count(issuer.address, "latest")
    price = 10 * w3.eth.gas_price
    instead = {"to": issuer.address, "value": 0, "nonce": nonce, "gas": 21_000, "chainId": w3.eth.chain_id}
    signed = issuer.sign_transaction({**instead, "maxFeePerGas": price, "maxPriorityFeePerGas": price})
    w3.eth.send_raw_transaction(signed.raw_transaction)
    rpc(world, "evm_setAutomine", True)
    rpc(world, "evm_mine")
    issued = running.issued()
    assert issued.event.tx_hash != replaced
    assert_issued_once(world, plan, issued)


def test_what_an_earlier_transaction_of_the_same_block_made_impossible_is_refused_by_name(
    world: World,
) -> None:
    rpc(world, "evm_setAutomine", False)
    port, admin, key = world.port, world["admin"], sha("twice")
    first, second = [], []
    with ThreadPoolExecutor(2) as pool:
        for outcome in (first, second):
            outcome.append(pool.submit(port.register_project, admin, key, sha("method"), 2_000))
            until(lambda: len(waiting(world)) == len(first + second))
        rpc(world, "evm_mine")
        first[0].result(30)
        with pytest.raises(ChainRefused, match="Project_Known"):
            second[0].result(30)


def test_a_batch_is_recorded_only_when_it_is_deep_enough(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    running = Running(world, plan, outbox, confirmations=DEEP)
    until(lambda: mints(world.port, plan))
    for _ in range(DEEP - 1):
        entry = outbox.get(plan.batch_id)
        assert not running.outcome.done() and entry is not None and entry.state == "sent"
        rpc(world, "evm_mine")
    issued = running.issued()
    assert world.port.head()[0] - issued.event.block == DEEP - 1
    entry = outbox.get(plan.batch_id)
    assert entry is not None and entry.state == "mined"


@pytest.mark.parametrize("depth", [1, 3])
def test_a_reorganisation_before_a_batch_is_final_sends_the_same_bytes_again(
    world: World, outbox: JsonFileOutbox, depth: int
) -> None:
    plan = plan_of(world)
    running = Running(world, plan, outbox, confirmations=DEEP)
    first = until(lambda: world.port.issued(plan.claim.batch_id))
    for _ in range(depth - 1):
        rpc(world, "evm_mine")
    reorganise(world, depth)
    again = until(
        lambda: (e := world.port.issued(plan.claim.batch_id)) and e.block > first.block + depth - 1 and e
    )
    assert again.tx_hash == first.tx_hash
    for _ in range(DEEP):
        rpc(world, "evm_mine")
    issued = running.issued()
    assert issued.event == again
    assert_issued_once(world, plan, issued)


def test_a_batch_lost_to_a_reorganisation_after_it_was_recorded_is_found_missing_and_sent_again(
    world: World, outbox: JsonFileOutbox
) -> None:
    plan = plan_of(world)
    execute(plan, world.port, outbox, world["issuer"])
    for _ in range(2):
        rpc(world, "evm_mine")
    reorganise(world, 3)
    assert mints(world.port, plan) == 0
    assert to_finish(world.port, outbox, world["issuer"]) == [plan]
    (issued,) = reconcile(world.port, outbox, world["issuer"])
    assert_issued_once(world, plan, issued)
    entry = outbox.get(plan.batch_id)
    assert entry is not None and entry.state == "mined" and entry.receipt == issued.to_doc()
    assert to_finish(world.port, outbox, world["issuer"]) == []


def test_the_times_of_events_follow_the_blocks_that_stand(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    execute(plan, world.port, outbox, world["issuer"])
    first = next(e for e in world.port.events() if isinstance(e, BatchIssued))
    reorganise(world, 1)
    rpc(world, "evm_increaseTime", 1000)
    (again,) = reconcile(world.port, outbox, world["issuer"])
    assert again.event.block_time >= first.block_time + 1000
    assert again.event.block_time == world.port.block_time(again.event.block)


def test_a_batch_that_never_gets_deep_says_so_and_is_finished_by_the_next_run(
    world: World, outbox: JsonFileOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(world)
    monkeypatch.setattr(issuance, "FINAL_TIMEOUT_S", 0.2)
    deep = ChainPort(world.port.w3, world.port.deployment, confirmations=DEEP)
    with pytest.raises(ChainBusy, match="1 of 4 blocks deep"):
        execute(plan, deep, outbox, world["issuer"])
    for _ in range(DEEP):
        rpc(world, "evm_mine")
    (issued,) = reconcile(deep, outbox, world["issuer"])
    assert not issued.sent_now
    assert_issued_once(world, plan, issued)


def test_a_restarted_node_that_forgot_what_waited_gets_it_again(
    tmp_path: Path, outbox: JsonFileOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = ("--state", str(tmp_path / "state.json"))
    node = start_anvil(*state)
    world = new_world(contracts_on(node.url))
    plan = plan_of(world)
    monkeypatch.setattr(sender, "RECEIPT_TIMEOUT_S", 0.3)
    rpc(world, "evm_setAutomine", False)
    with pytest.raises(ChainBusy, match="will not be sent twice"):
        execute(plan, world.port, outbox, world["issuer"])
    assert len(waiting(world)) == 1
    node.end(signal.SIGINT)
    with pytest.raises(ChainUnavailable) as caught:
        reconcile(world.port, outbox, world["issuer"])
    assert "Start the node" in caught.value.en and "応答がありません" in caught.value.ja
    again = start_anvil(*state, port=int(node.url.rpartition(":")[2]))
    try:
        assert waiting(world) == []
        monkeypatch.undo()
        (issued,) = reconcile(world.port, outbox, world["issuer"])
        assert_issued_once(world, plan, issued)
    finally:
        again.end()


def test_a_transaction_that_fees_have_outrun_takes_its_own_place_at_todays_fees(
    world: World, outbox: JsonFileOutbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = plan_of(world)
    monkeypatch.setattr(sender, "RECEIPT_TIMEOUT_S", 0.5)
    rpc(world, "evm_setAutomine", False)
    with pytest.raises(ChainBusy):
        execute(plan, world.port, outbox, world["issuer"])
    (cheap,) = waiting(world)
    # After that block anvil no longer lists it as pending; other nodes may keep it.
    rpc(world, "anvil_setNextBlockBaseFeePerGas", hex(10**12))
    rpc(world, "evm_mine")
    assert mints(world.port, plan) == 0, "the block was too dear for it"
    monkeypatch.setattr(sender, "RECEIPT_TIMEOUT_S", 60)
    running = Running(world, plan, outbox)
    (dear,) = until(lambda: [tx for tx in waiting(world) if tx != cheap])
    rpc(world, "evm_mine")
    issued = running.issued()
    assert issued.event.tx_hash == dear
    assert_issued_once(world, plan, issued)
