"""A chain is copied while it is used, checked to the last node, and put back without forgetting anything unasked."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

pytest.importorskip("eth", reason="the extra satoyama-mrv[chain] is not installed")

from eth_utils.crypto import keccak

from registry import evmdb
from registry.backup import backup, restore, summary
from registry.chain import ChainConfig, connect
from registry.embedded import EmbeddedChain
from registry.evmdb import ChainFileError
from tests.registry.evmkit import RUNTIME, assert_whole, deploy_counter, new_chain, signed


@pytest.fixture
def chain(tmp_path: Path) -> EmbeddedChain:
    return new_chain(tmp_path / "chain.sqlite")


def test_a_backup_taken_while_another_process_mines_is_whole(chain: EmbeddedChain, tmp_path: Path) -> None:
    counter = deploy_counter(chain)
    pid = os.fork()
    if pid == 0:
        mine = EmbeddedChain(chain.path)
        while True:
            mine.send_raw(signed(mine, to=counter))
    heads = []
    for number in range(4):
        time.sleep(0.1)
        heads.append(backup(chain.path, tmp_path / f"b{number}" / "chain.sqlite").head)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert heads == sorted(heads) and heads[-1] > heads[0] >= 1
    for number, head in enumerate(heads):
        assert os.listdir(tmp_path / f"b{number}") == ["chain.sqlite"]
        assert assert_whole(EmbeddedChain(tmp_path / f"b{number}" / "chain.sqlite"), counter) == head


def test_a_lost_chain_is_restored_and_goes_on(chain: EmbeddedChain, tmp_path: Path) -> None:
    counter = deploy_counter(chain)
    made = backup(chain.path, tmp_path / "backup.sqlite")
    chain.close()
    for beside in tmp_path.glob("chain.sqlite*"):
        beside.unlink()
    restored = restore(tmp_path / "backup.sqlite", chain.path)
    assert (restored.head, restored.head_hash, restored.chain_id) == (1, made.head_hash, chain.chain_id)
    again = EmbeddedChain(chain.path)
    again.send_raw(signed(again, to=counter))
    assert assert_whole(again, counter) == 2


def test_blocks_are_forgotten_only_when_that_is_said(chain: EmbeddedChain, tmp_path: Path) -> None:
    counter = deploy_counter(chain)
    backup(chain.path, tmp_path / "early.sqlite")
    chain.send_raw(signed(chain, to=counter))
    backup(chain.path, tmp_path / "late.sqlite")
    with pytest.raises(ChainFileError, match=r"stands at block 2, the backup .* at 1"):
        restore(tmp_path / "early.sqlite", chain.path)
    with pytest.raises(ChainFileError, match="--replace") as caught:
        restore(tmp_path / "early.sqlite", chain.path)
    assert "--replace" in caught.value.ja
    assert assert_whole(chain, counter) == 2
    restore(tmp_path / "early.sqlite", chain.path, replace=True)
    # The object that was open all along sees the restored chain, and what is mined on it.
    assert assert_whole(chain, counter) == 1
    restore(tmp_path / "late.sqlite", chain.path)
    assert assert_whole(chain, counter) == 2


def test_another_chain_is_not_put_in_place_by_mistake(chain: EmbeddedChain, tmp_path: Path) -> None:
    other = EmbeddedChain.create(tmp_path / "other.sqlite", {"0x" + "11" * 20: 1})
    backup(other.path, tmp_path / "backup.sqlite")
    with pytest.raises(ChainFileError, match="another chain"):
        restore(tmp_path / "backup.sqlite", chain.path)


def test_a_backup_is_never_overwritten(chain: EmbeddedChain, tmp_path: Path) -> None:
    backup(chain.path, tmp_path / "backup.sqlite")
    with pytest.raises(ChainFileError, match="never overwritten"):
        backup(chain.path, tmp_path / "backup.sqlite")


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE kv SET value = x'00' WHERE key = (SELECT min(key) FROM kv WHERE length(key) = 32)", "hash"),
        ("DELETE FROM block WHERE number = 1", "damaged|never finished"),
        ("UPDATE block SET hash = '0xab' WHERE number = 1", "is indexed as 0xab"),
        ("UPDATE block SET doc = replace(doc, '\"gasUsed\"', '\"gasUsee\"')", "differs from its header"),
        ("DELETE FROM tx WHERE block_number = 2", "block 2: the transaction 0x.* is absent"),
        (
            "UPDATE tx SET receipt = replace(receipt, '\"0x1\"', '\"0x0\"') WHERE block_number = 2",
            "the receipt of 0x",
        ),
        ("UPDATE tx SET doc = replace(doc, '\"value\"', '\"valve\"')", "is absent or differs"),
        ("DELETE FROM log", "block 2: its logs differ"),
        ("UPDATE log SET topic0 = '0x12'", "block 2: its logs differ"),
        ("INSERT INTO log VALUES (9, 0, '0x', NULL, NULL, NULL, NULL, '{}')", "blocks that are not there"),
        ("INSERT INTO tx VALUES ('0x12', 2, '{}', '{}')", "3 transactions are indexed, the blocks hold 2"),
        ("DROP TABLE log", "no such table: log"),
        ("DELETE FROM meta WHERE name = 'chain_id'", "damaged"),
        ("DELETE FROM kv WHERE length(key) = 32", "damaged|no header"),
    ],
)
def test_a_damaged_backup_is_refused_and_leaves_the_chain_alone(
    chain: EmbeddedChain, tmp_path: Path, statement: str, fault: str
) -> None:
    counter = deploy_counter(chain)
    chain.send_raw(signed(chain, to=counter))
    backup(chain.path, tmp_path / "backup.sqlite")
    with sqlite3.connect(tmp_path / "backup.sqlite") as made:
        made.execute(statement)
    with pytest.raises(ChainFileError, match=fault) as caught:
        restore(tmp_path / "backup.sqlite", chain.path, replace=True)
    for text in (caught.value.en, caught.value.ja):
        assert str(tmp_path / "backup.sqlite") in text and ".restore-" not in text, (
            "the file given, not a copy of it"
        )
    assert assert_whole(chain, counter) == 2


def test_bytes_that_are_no_chain_are_named_in_both_languages(chain: EmbeddedChain, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"\x01noise" * 1000)
    with pytest.raises(ChainFileError) as caught:
        restore(tmp_path / "noise", chain.path)
    assert "no chain file" in caught.value.en and "バックアップから復元" in caught.value.ja


def test_killed_while_restoring_the_chain_is_the_old_or_the_new_one(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    counter = deploy_counter(chain)
    backup(chain.path, tmp_path / "early.sqlite")
    for _ in range(3):
        chain.send_raw(signed(chain, to=counter))
    chain.close()
    found = set()
    for number in range(12):
        folder = tmp_path / f"try{number}"
        folder.mkdir()
        for file in tmp_path.glob("chain.sqlite*"):
            shutil.copyfile(file, folder / file.name)
        pid = os.fork()
        if pid == 0:
            restore(tmp_path / "early.sqlite", folder / "chain.sqlite", replace=True)
            os._exit(0)
        time.sleep(0.004 * number)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        found.add(assert_whole(EmbeddedChain(folder / "chain.sqlite"), counter))
        assert summary(folder / "chain.sqlite").head in (1, 4)
    assert found <= {1, 4} and 4 in found


@pytest.mark.parametrize(("offset", "advice"), [(1, "or a newer one"), (-1, "the version that wrote it")])
def test_a_file_of_another_version_says_which_program_reads_it(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch, offset: int, advice: str
) -> None:
    made_by = chain.store.meta()["made_by"]
    monkeypatch.setattr(evmdb, "FORMAT_VERSION", evmdb.FORMAT_VERSION - offset)
    with pytest.raises(ChainFileError) as caught:
        EmbeddedChain(chain.path)
    assert advice in caught.value.en and made_by in caught.value.en and made_by in caught.value.ja


def test_whichever_node_is_spoilt_the_file_is_refused_by_name(chain: EmbeddedChain, tmp_path: Path) -> None:
    deploy_counter(chain)
    backup(chain.path, tmp_path / "backup.sqlite")
    with sqlite3.connect(tmp_path / "backup.sqlite") as made:
        keys = [row[0] for row in made.execute("SELECT key FROM kv WHERE length(key) = 32")]
    assert len(keys) > 5
    for number, key in enumerate(keys):
        spoilt = tmp_path / f"spoilt{number}.sqlite"
        shutil.copyfile(tmp_path / "backup.sqlite", spoilt)
        with sqlite3.connect(spoilt) as file:
            file.execute("UPDATE kv SET value = x'00' WHERE key = ?", (key,))
        with pytest.raises(ChainFileError, match="hash"):
            summary(spoilt)


def _nodes(path: Path) -> list[bytes]:
    with sqlite3.connect(path) as made:
        return [row[0] for row in made.execute("SELECT key FROM kv WHERE length(key) = 32")]


def test_whichever_node_is_gone_the_backup_is_refused(chain: EmbeddedChain, tmp_path: Path) -> None:
    counter = deploy_counter(chain)
    chain.send_raw(signed(chain, to=counter))
    backup(chain.path, tmp_path / "backup.sqlite")
    keys = _nodes(tmp_path / "backup.sqlite")
    code = keccak(RUNTIME)
    assert code in keys and len(keys) > 10, (
        "accounts, slots, receipts, transactions, headers and a contract's code"
    )
    # Of the code of accounts that have none, which nobody ever reads.
    keys.remove(keccak(b""))
    for number, key in enumerate(keys):
        less = tmp_path / f"less{number}.sqlite"
        shutil.copyfile(tmp_path / "backup.sqlite", less)
        with sqlite3.connect(less) as file:
            file.execute("DELETE FROM kv WHERE key = ?", (key,))
        with pytest.raises(ChainFileError, match=str(less)):
            summary(less)


def _ask_everything(path: Path, counter: bytes) -> None:
    w3 = connect(ChainConfig("embedded", path=path))
    to = w3.to_checksum_address(counter)
    w3.eth.call({"to": to, "data": "0x"})
    w3.eth.get_logs({"fromBlock": 0})
    w3.eth.get_transaction_count(to)
    w3.provider.make_request("eth_getTransactionReceipt", ["0x" + "12" * 32])  # type: ignore[arg-type]


@pytest.mark.parametrize("how", ["DELETE FROM kv WHERE key = ?", "UPDATE kv SET value = x'c0' WHERE key = ?"])
def test_a_chain_that_lost_a_node_says_so_in_words_whatever_is_asked(
    chain: EmbeddedChain, tmp_path: Path, how: str
) -> None:
    counter = deploy_counter(chain)
    path = chain.path
    head, code = chain.head(), keccak(RUNTIME)
    chain.close()
    for number, key in enumerate((head.hash, head.state_root, code)):
        spoilt = tmp_path / f"spoilt{number}.sqlite"
        with sqlite3.connect(path) as whole, sqlite3.connect(spoilt) as copy:
            whole.backup(copy)
        with sqlite3.connect(spoilt) as file:
            file.execute(how, (key,))
        with pytest.raises(ChainFileError, match="damaged") as caught:
            _ask_everything(spoilt, counter)
        assert str(spoilt) in caught.value.en and "chain restore" in caught.value.ja


@pytest.mark.parametrize("table", ["log", "block", "tx", "kv"])
def test_a_chain_without_one_of_its_tables_says_so_in_words(chain: EmbeddedChain, table: str) -> None:
    counter = deploy_counter(chain)
    path = chain.path
    chain.close()
    with sqlite3.connect(path) as file:
        file.execute(f"DROP TABLE {table}")
    with pytest.raises(ChainFileError, match=rf"damaged \(no such table: {table}\)"):
        _ask_everything(path, counter)


def test_a_chain_that_another_program_holds_is_not_called_damaged(
    chain: EmbeddedChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> object:
        raise sqlite3.OperationalError("database is locked")

    w3 = connect(ChainConfig("embedded", path=chain.path))
    monkeypatch.setattr(evmdb.ChainStore, "run", locked)
    with pytest.raises(ChainFileError, match=r"cannot be used now \(database is locked") as caught:
        w3.eth.get_block("latest")
    assert "damaged" not in caught.value.en
