"""Whether an embedded chain's file is whole: every block, transaction, receipt, log, account, storage slot and code, by its hashes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import rlp
from eth.constants import BLANK_ROOT_HASH, EMPTY_SHA3
from eth.rlp.accounts import Account
from eth_utils.crypto import keccak

from registry.embedded import EmbeddedChain
from registry.embeddeddamage import ABSENT
from registry.evmdb import Doc, NodeDB
from registry.evmdocs import Header, block_doc, receipt_doc, transaction_doc

_NIBBLE_LEAF = 2
_BRANCH = 17


def fault(chain: EmbeddedChain) -> str | None:
    """What is wrong with a chain file; None if nothing is."""
    found = [row[0] for row in chain.store.run("PRAGMA integrity_check").fetchall()]
    if found != ["ok"]:
        return f"SQLite: {found[0]}"
    # First of all: what is not what its hash says cannot be decoded either.
    for key, value in chain.store.run("SELECT key, value FROM kv WHERE length(key) = 32"):
        if keccak(value) != key:
            return f"the node 0x{bytes(key).hex()} is not what its hash says"
    parent, seen = None, set[bytes]()
    rows = chain.store.run("SELECT number, hash, doc FROM block ORDER BY number").fetchall()
    for expected, (number, block_hash, doc) in enumerate(rows):
        if number != expected:
            return f"block {expected} is absent"
        try:
            header = chain.header(number)
        except ABSENT:
            return f"block {number} has no header"
        if _hex(header.hash) != block_hash:
            return f"block {number} is indexed as {block_hash}"
        if parent is not None and header.parent_hash != parent:
            return f"block {number} does not follow the one before it"
        parent = header.hash
        broken = _block_fault(chain, header, json.loads(doc)) or _state_fault(chain, header, seen)
        if broken:
            return f"block {number}: {broken}"
    if chain.head().hash != parent:
        return "the head is not the last block"
    return _strays(chain, len(rows))


def _block_fault(chain: EmbeddedChain, header: Header, doc: Doc) -> str | None:
    """Whether the tables say of a block what its tries say, which its hash covers."""
    number = header.block_number
    try:
        transactions = chain.transactions(number)
        receipts = chain.receipts(header)
    except ABSENT as error:
        return f"its transactions or receipts are absent ({type(error).__name__})"
    # Files written by earlier versions count a block's size otherwise; nothing depends on it.
    wanted = block_doc(header, [t.hash for t in transactions], 0)
    if {**doc, "size": "0x0"} != wanted:
        return "its document differs from its header"
    if len(receipts) != len(transactions):
        return f"{len(transactions)} transactions have {len(receipts)} receipts"
    bloom, logs = 0, []
    for transaction, receipt in zip(transactions, receipts, strict=True):
        shown = receipt_doc(header, transaction, receipt)
        row = chain.store.run(
            "SELECT block_number, doc, receipt FROM tx WHERE hash = ?", (_hex(transaction.hash),)
        ).fetchone()
        if row is None or row[0] != number or json.loads(row[1]) != transaction_doc(header, transaction):
            return f"the transaction {_hex(transaction.hash)} is absent or differs"
        if json.loads(row[2]) != shown:
            return f"the receipt of {_hex(transaction.hash)} differs from what the block commits to"
        bloom |= receipt.bloom
        logs += shown["logs"]
    if bloom != header.bloom:
        return "its logs bloom is not that of its receipts"
    return None if _log_rows(chain, number) == [_log_row(log) for log in logs] else "its logs differ"


def _log_rows(chain: EmbeddedChain, number: int) -> list[tuple[Any, ...]]:
    columns = "log_index, address, topic0, topic1, topic2, topic3, doc"
    sql = f"SELECT {columns} FROM log WHERE block_number = ? ORDER BY log_index"
    return [(*row[:-1], json.loads(row[-1])) for row in chain.store.run(sql, (number,)).fetchall()]


def _log_row(log: Mapping[str, Any]) -> tuple[Any, ...]:
    topics = [*log["topics"], None, None, None, None][:4]
    return (int(log["logIndex"], 16), log["address"], *topics, log)


def _state_fault(chain: EmbeddedChain, header: Header, seen: set[bytes]) -> str | None:
    """Whether every account, slot and code of the state after a block is there; nodes in `seen` were walked before."""
    nodes = chain.store.nodes
    try:
        for leaf in _leaves(nodes, header.state_root, seen):
            account = rlp.decode(leaf, sedes=Account)
            if account.code_hash != EMPTY_SHA3 and account.code_hash not in seen:
                nodes[account.code_hash]
                seen.add(account.code_hash)
            for _ in _leaves(nodes, account.storage_root, seen):
                pass
    except ABSENT as error:
        return f"its state is not all there ({type(error).__name__})"
    return None


def _leaves(nodes: NodeDB, root: bytes, seen: set[bytes]) -> Iterator[bytes]:
    """Values of a trie, but for the parts that were walked before."""
    waiting: list[Any] = [] if root == BLANK_ROOT_HASH else [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, bytes):
            if node in seen:
                continue
            seen.add(node)
            node = rlp.decode(nodes[node])
        if len(node) == _BRANCH:
            # A child is a hash, or the node itself where that is shorter. No key of these tries ends in a branch.
            waiting.extend(child for child in node[:16] if child)
        elif node[0][0] >> 4 & _NIBBLE_LEAF:
            yield node[1]
        else:
            waiting.append(node[1])


def _strays(chain: EmbeddedChain, blocks: int) -> str | None:
    for table in ("tx", "log"):
        sql = f"SELECT count(*) FROM {table} WHERE block_number NOT BETWEEN 0 AND ?"
        if chain.store.run(sql, (blocks - 1,)).fetchone()[0]:
            return f"table {table} has rows of blocks that are not there"
    told = chain.store.run("SELECT count(*) FROM tx").fetchone()[0]
    held = sum(len(chain.transactions(number)) for number in range(blocks))
    return None if told == held else f"{told} transactions are indexed, the blocks hold {held}"


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
