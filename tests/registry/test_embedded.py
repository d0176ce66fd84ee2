"""The embedded chain: durable, whole after a kill, shared by processes, strict with what it mines."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry.embedded import EmbeddedChain, TransactionRejected
from registry.embeddedrun import Call, ExecutionFailed
from registry.evmdb import ChainFileError, ChainStore
from tests.registry.evmkit import RUNTIME, assert_whole, deploy_counter, funder, new_chain, signed


@pytest.fixture
def chain(tmp_path: Path) -> EmbeddedChain:
    return new_chain(tmp_path / "chain.sqlite")


def start_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked process; gives its process id. An error ends it with status 1."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    return pid


def in_child(work: Callable[[], None]) -> int:
    """Runs `work` in a forked process; gives its wait status."""
    return os.waitpid(start_child(work), 0)[1]


def test_a_mined_transaction_is_there_for_whoever_opens_the_file_next(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    chain.send_raw(signed(chain, to=counter))
    path = chain.path
    chain.close()
    again = EmbeddedChain(path)
    assert again.code(counter) == RUNTIME
    assert assert_whole(again, counter) == 2


def test_only_the_address_given_at_creation_holds_money(chain: EmbeddedChain) -> None:
    assert chain.balance(bytes.fromhex(funder().address[2:])) == 10**24
    assert chain.store.run("SELECT count(*) FROM tx").fetchone() == (0,)


def test_creating_twice_opens_the_same_chain(chain: EmbeddedChain) -> None:
    genesis = chain.head().hash
    assert new_chain(chain.path).head().hash == genesis


def test_a_missing_chain_file_is_named_in_both_languages(tmp_path: Path) -> None:
    with pytest.raises(ChainFileError) as caught:
        EmbeddedChain(tmp_path / "none.sqlite")
    assert "none.sqlite" in caught.value.en and "none.sqlite" in caught.value.ja


def test_a_chain_of_another_format_is_refused(chain: EmbeddedChain) -> None:
    chain.store.run("UPDATE meta SET value = '99' WHERE name = 'format'")
    with pytest.raises(ChainFileError, match="format 99"):
        EmbeddedChain(chain.path)


@pytest.mark.parametrize(("offset", "word"), [(-1, "nonce too low"), (1, "nonce too high")])
def test_a_transaction_out_of_turn_is_refused_and_leaves_no_trace(
    chain: EmbeddedChain, offset: int, word: str
) -> None:
    counter = deploy_counter(chain)
    with pytest.raises(TransactionRejected, match=word):
        chain.send_raw(signed(chain, nonce=1 + offset, to=counter, value=0))
    assert assert_whole(chain, counter) == 1


def test_the_same_bytes_are_mined_once(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    raw = signed(chain, to=counter)
    chain.send_raw(raw)
    with pytest.raises(TransactionRejected, match="already known"):
        chain.send_raw(raw)
    assert assert_whole(chain, counter) == 2


def test_a_transaction_for_another_chain_is_refused(chain: EmbeddedChain) -> None:
    with pytest.raises(TransactionRejected, match="wrong chain id"):
        chain.send_raw(signed(chain, chainId=1, to=b"\x11" * 20))


def test_money_that_is_not_there_cannot_be_sent(chain: EmbeddedChain) -> None:
    with pytest.raises(TransactionRejected, match="insufficient funds"):
        chain.send_raw(signed(chain, to=b"\x11" * 20, value=10**25))


def test_garbage_is_refused_as_such(chain: EmbeddedChain) -> None:
    with pytest.raises(TransactionRejected, match="cannot decode"):
        chain.send_raw(b"\x02\x01\x02")


def test_a_revert_is_mined_with_status_0_and_a_call_returns_its_data(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    tx_hash = chain.send_raw(signed(chain, to=counter, data=b"\xde\xad\xbe\xef"))
    receipt = chain.store.receipt("0x" + tx_hash.hex())
    assert receipt is not None and receipt["status"] == "0x0" and receipt["logs"] == []
    for simulate in (chain.call, chain.estimate_gas):
        with pytest.raises(ExecutionFailed) as caught:
            simulate(Call(to=counter, data=b"\xde\xad\xbe\xef"))
        assert caught.value.data == b"\xde\xad\xbe\xef"


def test_a_call_changes_nothing_and_the_past_can_be_asked(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    for _ in range(3):
        chain.send_raw(signed(chain, to=counter))
    for _ in range(2):
        assert int.from_bytes(chain.call(Call(to=counter)), "big") == 4
    assert [chain.storage(counter, 0, block) for block in range(1, 5)] == [0, 1, 2, 3]
    with pytest.raises(KeyError):
        chain.storage(counter, 0, 99)


def test_the_estimated_gas_suffices(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    sender = bytes.fromhex(funder().address[2:])
    gas = chain.estimate_gas(Call(to=counter, sender=sender))
    tx_hash = chain.send_raw(signed(chain, to=counter, gas=gas))
    receipt = chain.store.receipt("0x" + tx_hash.hex())
    assert receipt is not None and receipt["status"] == "0x1"
    assert int(receipt["gasUsed"], 16) <= gas < 2 * int(receipt["gasUsed"], 16)


def test_time_stands_still_with_a_fixed_clock_but_blocks_still_follow_each_other(tmp_path: Path) -> None:
    chain = EmbeddedChain.create(
        tmp_path / "c.sqlite", {funder().address: 10**24}, clock=lambda: 1_800_000_000
    )
    for _ in range(3):
        chain.send_raw(signed(chain, to=b"\x11" * 20))
    times = [chain.header(number).timestamp for number in range(4)]
    assert times == [1_800_000_000, 1_800_000_001, 1_800_000_002, 1_800_000_003]


def test_logs_are_found_by_address_and_topic(chain: EmbeddedChain) -> None:
    first, second = deploy_counter(chain), deploy_counter(chain)
    for to in (first, second, first):
        chain.send_raw(signed(chain, to=to))
    store, two = chain.store, "0x" + "2".rjust(64, "0")
    assert len(store.logs(0, 99, ["0x" + first.hex()], [])) == 2
    assert [log["blockNumber"] for log in store.logs(0, 99, [], [[two]])] == ["0x5"]
    assert store.logs(0, 99, ["0x" + second.hex()], [[two]]) == []
    assert len(store.logs(4, 4, [], [[]])) == 1


class StatementKiller:
    """Kills the process, as SIGKILL does, right before its n-th statement."""

    def __init__(self, at: int) -> None:
        self.left = at

    def arm(self, monkeypatch: pytest.MonkeyPatch) -> None:
        plain = ChainStore.run

        def run(store: ChainStore, sql: str, arguments: Any = ()) -> Any:
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.left -= 1
            return plain(store, sql, arguments)

        monkeypatch.setattr(ChainStore, "run", run)


def test_killed_before_any_statement_the_chain_is_whole(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = deploy_counter(chain)
    killed, survived = 0, 0
    for at in range(200):
        raw = signed(chain, to=counter)

        def work(at: int = at, raw: bytes = raw) -> None:
            StatementKiller(at).arm(monkeypatch)
            EmbeddedChain(chain.path).send_raw(raw)

        before = assert_whole(chain, counter)
        status = in_child(work)
        after = assert_whole(EmbeddedChain(chain.path), counter)
        if os.WIFSIGNALED(status):
            killed += 1
            # Killed before its COMMIT: nothing of it is there; the commit itself is the last statement.
            assert after == before
        else:
            assert os.waitstatus_to_exitcode(status) == 0
            assert after == before + 1
            survived += 1
            break
    assert killed > 20 and survived == 1


def test_killed_during_creation_the_chain_can_be_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(100):
        path = tmp_path / f"chain{at}.sqlite"

        def work(at: int = at, path: Path = path) -> None:
            StatementKiller(at).arm(monkeypatch)
            new_chain(path)

        status = in_child(work)
        chain = new_chain(path)
        assert_whole(chain, deploy_counter(chain))
        if not os.WIFSIGNALED(status):
            break
    assert at > 10


def test_killed_at_random_moments_the_chain_is_whole(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)

    def work() -> None:
        mine = EmbeddedChain(chain.path)
        while True:
            mine.send_raw(signed(mine, to=counter))

    reached = 1
    for round_number in range(6):
        pid = start_child(work)
        time.sleep(0.15 + 0.013 * round_number)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        head = assert_whole(EmbeddedChain(chain.path), counter)
        assert head >= reached
        reached = head
    assert reached > 6


def test_two_processes_share_one_chain(chain: EmbeddedChain) -> None:
    counter = deploy_counter(chain)
    per_process = 12

    def work() -> None:
        mine, sent, refused = EmbeddedChain(chain.path), 0, 0
        while sent < per_process:
            try:
                mine.send_raw(signed(mine, to=counter))
            except TransactionRejected:
                # The other process took this nonce in between. Any other refusal would repeat.
                refused += 1
                if refused > 1000:
                    raise
                continue
            sent += 1

    children = [start_child(work) for _ in range(2)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0]
    # The object that was open all along sees what the others mined, not the head it knew.
    assert assert_whole(chain, counter) == 1 + 2 * per_process
