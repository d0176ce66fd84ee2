"""Issuing exactly once, wherever the program is killed and however often it is run."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.chain import ChainConfig, connect
from registry.events import BatchIssued
from registry.evmdb import ChainStore
from registry.issuance import (
    IssuanceConflict,
    IssuancePlan,
    Issued,
    execute,
    make_plan,
    next_nonce,
    reconcile,
)
from registry.outbox import JsonFileOutbox
from registry.port import ChainPort
from registry.refusals import ChainRefused
from registry.sender import Mined, SignedTx
from tests.registry.conftest import World, new_world, sha


class Killed(BaseException):
    """Stands for the end of the process in tests that stay in one."""


def plan_of(world: World, **changes: Any) -> IssuancePlan:
    claim = world.claim(**changes)
    signature = world.port.sign_claim(world["verifier"], claim)
    verifier, issuer = world["verifier"].address, world["issuer"].address
    return make_plan(world.port, claim, verifier=verifier, signature=signature, issuer=issuer)


def mints(port: ChainPort, plan: IssuancePlan) -> int:
    issued = [event for event in port.events() if isinstance(event, BatchIssued)]
    return sum(event.batch_id == plan.claim.batch_id for event in issued)


def assert_issued_once(world: World, plan: IssuancePlan, issued: Issued) -> None:
    assert mints(world.port, plan) == 1
    assert issued.event.content_root == plan.claim.content_root
    held = world.port.balance(plan.claim.recipient, issued.event.id)
    assert held == plan.claim.credited_kg


@pytest.fixture
def outbox(tmp_path: Path) -> JsonFileOutbox:
    return JsonFileOutbox(tmp_path / "outbox.json")


def test_a_plan_is_carried_out_and_recorded(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    issued = execute(plan, world.port, outbox, world["issuer"])
    assert issued.sent_now
    assert_issued_once(world, plan, issued)
    entry = outbox.get(plan.batch_id)
    assert entry is not None and entry.state == "mined" and entry.receipt == issued.to_doc()
    assert outbox.pending() == []


def test_running_it_again_sends_nothing(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    first = execute(plan, world.port, outbox, world["issuer"])
    height = world.port.head()[0]
    again = execute(plan, world.port, outbox, world["issuer"])
    assert not again.sent_now and again.event == first.event and world.port.head()[0] == height


def test_with_the_outbox_lost_the_chain_itself_tells_that_it_is_done(world: World, tmp_path: Path) -> None:
    plan = plan_of(world)
    execute(plan, world.port, JsonFileOutbox(tmp_path / "a.json"), world["issuer"])
    again = execute(plan, world.port, JsonFileOutbox(tmp_path / "b.json"), world["issuer"])
    assert not again.sent_now
    assert_issued_once(world, plan, again)


def test_a_plan_survives_its_document_and_is_the_same_each_time(world: World) -> None:
    plan = plan_of(world)
    assert IssuancePlan.from_doc(plan.to_doc()) == plan
    signature = world.port.sign_claim(world["verifier"], plan.claim)
    assert signature == plan.signature


def kill_after(name: str, outbox: JsonFileOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
    target: Any = ChainPort if name == "send_signed" else JsonFileOutbox
    plain = getattr(target, name)

    def killed(*arguments: Any) -> None:
        plain(*arguments)
        raise Killed(name)

    monkeypatch.setattr(target, name, killed)


@pytest.mark.parametrize(
    ("last_step", "resends"),
    [("put_plan", True), ("mark_sent", True), ("send_signed", False), ("mark_mined", False)],
)
def test_killed_after_any_step_a_rerun_issues_exactly_once(
    world: World, outbox: JsonFileOutbox, last_step: str, resends: bool
) -> None:
    plan = plan_of(world)
    with pytest.MonkeyPatch.context() as patch:
        kill_after(last_step, outbox, patch)
        with pytest.raises(Killed):
            execute(plan, world.port, outbox, world["issuer"])
    sent_before = outbox.get(plan.batch_id)
    issued = execute(plan, world.port, outbox, world["issuer"])
    assert issued.sent_now is resends
    assert_issued_once(world, plan, issued)
    after = outbox.get(plan.batch_id)
    assert sent_before is not None and after is not None
    if last_step == "mark_sent":
        assert after.raw_tx == sent_before.raw_tx, "the recorded bytes are sent, not new ones"


def test_bytes_whose_turn_has_passed_are_signed_anew(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    with pytest.MonkeyPatch.context() as patch:
        kill_after("mark_sent", outbox, patch)
        with pytest.raises(Killed):
            execute(plan, world.port, outbox, world["issuer"])
    world.port.approve_operator(
        world["issuer"], world["buyer"].address
    )  # takes the nonce of the recorded bytes
    before = outbox.get(plan.batch_id)
    issued = execute(plan, world.port, outbox, world["issuer"])
    after = outbox.get(plan.batch_id)
    assert before is not None and after is not None and after.raw_tx != before.raw_tx
    assert_issued_once(world, plan, issued)


def test_a_start_finishes_what_was_left_pending(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    outbox.put_plan(plan.batch_id, plan.to_doc())
    (issued,) = reconcile(world.port, outbox, world["issuer"])
    assert_issued_once(world, plan, issued)
    assert reconcile(world.port, outbox, world["issuer"]) == []


def test_a_refused_claim_stays_pending_with_its_reason_raised(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world, buffer_kg=1)
    with pytest.raises(ChainRefused, match="Claim_BufferTooSmall"):
        execute(plan, world.port, outbox, world["issuer"])
    entry = outbox.get(plan.batch_id)
    assert entry is not None and entry.state == "planned" and mints(world.port, plan) == 0


def signed_anew(world: World, plan: IssuancePlan, **changes: Any) -> IssuancePlan:
    claim = replace(plan.claim, **changes)
    return replace(plan, claim=claim, signature=world.port.sign_claim(world["verifier"], claim))


def test_other_content_under_an_issued_batch_id_is_a_conflict(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    execute(plan, world.port, outbox, world["issuer"])
    other = signed_anew(world, plan, content_root=sha("other"))
    with pytest.raises(IssuanceConflict, match="on the chain with content root"):
        execute(other, world.port, outbox, world["issuer"])


def test_other_content_while_a_transaction_may_be_under_way_is_a_conflict(
    world: World, outbox: JsonFileOutbox
) -> None:
    plan = plan_of(world)
    with pytest.MonkeyPatch.context() as patch:
        kill_after("mark_sent", outbox, patch)
        with pytest.raises(Killed):
            execute(plan, world.port, outbox, world["issuer"])
    other = signed_anew(world, plan, content_root=sha("other " + world.name))
    with pytest.raises(IssuanceConflict, match="on its way with content root"):
        execute(other, world.port, outbox, world["issuer"])
    # Same content, signed again with another deadline: the recorded transaction is the one that is finished.
    later = signed_anew(world, plan, deadline=plan.claim.deadline + 1)
    issued = execute(later, world.port, outbox, world["issuer"])
    assert_issued_once(world, plan, issued)
    assert world.port.issue_call(issued.event.tx_hash).claim == plan.claim


def test_a_refused_plan_gives_way_to_a_corrected_one(world: World, outbox: JsonFileOutbox) -> None:
    refused = plan_of(world, buffer_kg=1)
    with pytest.raises(ChainRefused):
        execute(refused, world.port, outbox, world["issuer"])
    corrected = signed_anew(world, refused, buffer_kg=1_800, content_root=sha("corrected " + world.name))
    issued = execute(corrected, world.port, outbox, world["issuer"])
    assert_issued_once(world, corrected, issued)


def test_a_plan_whose_transaction_lost_its_turn_gives_way_too(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    with pytest.MonkeyPatch.context() as patch:
        kill_after("mark_sent", outbox, patch)
        with pytest.raises(Killed):
            execute(plan, world.port, outbox, world["issuer"])
    world.port.approve_operator(world["issuer"], world["buyer"].address)
    corrected = signed_anew(world, plan, content_root=sha("corrected " + world.name))
    assert_issued_once(world, corrected, execute(corrected, world.port, outbox, world["issuer"]))


def test_a_mined_batch_cannot_be_withdrawn(world: World, outbox: JsonFileOutbox) -> None:
    plan = plan_of(world)
    execute(plan, world.port, outbox, world["issuer"])
    with pytest.raises(KeyError, match="is mined"):
        outbox.withdraw(plan.batch_id)


def test_a_plan_for_another_chain_registry_or_issuer_is_not_carried_out(world: World, tmp_path: Path) -> None:
    plan = plan_of(world)
    stranger = world["stranger"].address
    for n, wrong in enumerate(({"chain_id": 1}, {"registry": stranger}, {"issuer": stranger})):
        with pytest.raises(IssuanceConflict, match="The plan is for"):
            execute(replace(plan, **wrong), world.port, JsonFileOutbox(tmp_path / str(n)), world["issuer"])  # type: ignore[arg-type]


def test_a_verifier_cannot_be_planned_as_issuer(world: World) -> None:
    plan = plan_of(world)
    with pytest.raises(IssuanceConflict, match="same account"):
        make_plan(world.port, plan.claim, verifier=plan.issuer, signature=b"", issuer=plan.issuer)


# The verifier's nonce


class NonceBits:
    """The chain's answer to `nonce_used` for a given set."""

    def __init__(self, used: set[int]) -> None:
        self.used = used
        self.asked = 0

    def nonce_used(self, verifier: str, nonce: int) -> bool:
        self.asked += 1
        return nonce in self.used


@given(used=st.sets(st.integers(0, 40)), reserved=st.sets(st.integers(0, 40)))
def test_the_next_nonce_is_neither_used_nor_reserved_and_close_to_used_ones(
    used: set[int], reserved: set[int]
) -> None:
    bits = NonceBits(used)
    nonce = next_nonce(cast(ChainPort, bits), "0x", reserved=reserved)
    assert nonce not in used | reserved
    assert nonce == 0 or nonce - 1 in used | reserved


def test_a_long_row_of_nonces_is_searched_in_few_reads() -> None:
    bits = NonceBits(set(range(1000)))
    assert next_nonce(cast(ChainPort, bits), "0x") == 1000 and bits.asked < 30


def test_a_claim_signed_again_keeps_its_nonce_until_the_chain_has_seen_it(world: World) -> None:
    verifier = world["verifier"].address
    free = next_nonce(world.port, verifier)
    assert next_nonce(world.port, verifier, kept=free + 7) == free + 7
    world.issue(nonce=free)
    assert next_nonce(world.port, verifier, kept=free) == next_nonce(world.port, verifier) != free


# With real kills, on the embedded chain


class Killer:
    """Ends this process by SIGKILL before its n-th write to the outbox or to the chain file, or after a send."""

    def __init__(self, at: int, patch: pytest.MonkeyPatch) -> None:
        self.left = at
        run, write, send = ChainStore.run, JsonFileOutbox._write, ChainPort.send_signed

        def run_or_die(store: ChainStore, sql: str, arguments: Any = ()) -> Any:
            if not sql.startswith(("SELECT", "INSERT OR REPLACE INTO kv")):
                self.step()
            return run(store, sql, arguments)

        def write_or_die(outbox: JsonFileOutbox, entry: Any) -> Any:
            self.step()
            written = write(outbox, entry)
            self.step()
            return written

        def send_or_die(port: ChainPort, signed: SignedTx) -> Mined:
            mined = send(port, signed)
            self.step()
            return mined

        patch.setattr(ChainStore, "run", run_or_die)
        patch.setattr(JsonFileOutbox, "_write", write_or_die)
        patch.setattr(ChainPort, "send_signed", send_or_die)

    def step(self) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def forked(work: Callable[[], None]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def reopened(world: World) -> ChainPort:
    return ChainPort(connect(ChainConfig("embedded", path=world.chain.path)), world.port.deployment)


def test_killed_before_any_write_a_rerun_mints_exactly_once(embedded_copy: World, tmp_path: Path) -> None:
    found = Counter[str]()
    for at in range(100):
        world = new_world(embedded_copy.chain)
        outbox = JsonFileOutbox(tmp_path / f"outbox{at}.json")
        plan = plan_of(world)

        def work(at: int = at, world: World = world, plan: IssuancePlan = plan) -> None:
            Killer(at, pytest.MonkeyPatch())
            execute(plan, reopened(world), JsonFileOutbox(tmp_path / f"outbox{at}.json"), world["issuer"])

        status = os.waitpid(forked(work), 0)[1]
        entry = outbox.get(plan.batch_id)
        found[f"{entry.state if entry else 'nothing'}, minted {mints(world.port, plan)}"] += 1
        issued = execute(plan, world.port, outbox, world["issuer"])
        assert_issued_once(world, plan, issued)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            break
    assert set(found) == {
        "nothing, minted 0",
        "planned, minted 0",
        "sent, minted 0",
        "sent, minted 1",
        "mined, minted 1",
    }


def test_two_processes_that_race_mint_once(embedded_copy: World, tmp_path: Path) -> None:
    world = embedded_copy
    for round_number in range(3):
        plan = plan_of(world)

        def work(plan: IssuancePlan = plan, name: str = f"outbox{round_number}") -> None:
            execute(
                plan, reopened(world), JsonFileOutbox(tmp_path / f"{name}-{os.getpid()}"), world["issuer"]
            )

        children = [forked(work) for _ in range(2)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
        assert codes == [0, 0]
        assert mints(world.port, plan) == 1
