"""One SQLite file that holds an embedded chain: state nodes, blocks, transactions, logs.

Everything one block writes is committed in one SQLite transaction, so that a process killed between any two
statements leaves the chain at a whole block. Trie nodes are content-addressed and never removed, hence a
reader that fixed a state root keeps a consistent view while another process mines.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eth.db.backends.base import BaseDB
from eth_utils.crypto import keccak

from models.errors import SatoyamaError

FORMAT_VERSION = 1
_BUSY_TIMEOUT_S = 60.0
_NODE_CACHE_ENTRIES = 50_000

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS kv (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS block (number INTEGER PRIMARY KEY, hash TEXT UNIQUE NOT NULL, doc TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tx (hash TEXT PRIMARY KEY, block_number INTEGER NOT NULL, doc TEXT NOT NULL,"
    " receipt TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS log (block_number INTEGER NOT NULL, log_index INTEGER NOT NULL,"
    " address TEXT NOT NULL, topic0 TEXT, topic1 TEXT, topic2 TEXT, topic3 TEXT, doc TEXT NOT NULL,"
    " PRIMARY KEY (block_number, log_index)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS log_by_address ON log (address, block_number)",
)

Doc = dict[str, Any]


class ChainFileError(SatoyamaError):
    """The chain file is missing, unfinished, or of another format."""


def damaged(path: Path, why: str) -> ChainFileError:
    """The error for a file that does not hold what it should."""
    return ChainFileError(
        en=f"The chain file {path} is damaged ({why}). Restore a backup: satoyama chain restore FOLDER --replace",
        ja=f"チェーンのファイル {path} が壊れています（{why}）。バックアップから復元してください: "
        "satoyama chain restore フォルダー --replace",
    )


class NodeDB(BaseDB):
    """py-evm key-value view of the store; writes wait in memory until the store commits them."""

    def __init__(self, store: ChainStore) -> None:
        self._store = store
        self._cache: dict[bytes, bytes] = {}
        self.pending: dict[bytes, bytes | None] = {}

    def __getitem__(self, key: bytes) -> bytes:
        if key in self.pending:
            value = self.pending[key]
            if value is None:
                raise KeyError(key)
            return value
        cached = self._cache.get(key)
        if cached is not None:
            return cached
        row = self._store.run("SELECT value FROM kv WHERE key = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        value = bytes(row[0])
        if len(key) == 32 and keccak(value) != key:
            raise damaged(self._store.path, f"the node 0x{key.hex()} is not what its hash says")
        self._remember(key, value)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        if not self._store.in_transaction:
            raise RuntimeError("chain nodes may only be written inside ChainStore.transaction()")
        self.pending[key] = bytes(value)

    def __delitem__(self, key: bytes) -> None:
        if key not in self:
            raise KeyError(key)
        if not self._store.in_transaction:
            raise RuntimeError("chain nodes may only be removed inside ChainStore.transaction()")
        self.pending[key] = None

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def _remember(self, key: bytes, value: bytes) -> None:
        # A 32-byte key is the hash of its value and can never go stale; other keys (the head) can.
        if len(key) != 32:
            return
        if len(self._cache) >= _NODE_CACHE_ENTRIES:
            self._cache.clear()
        self._cache[key] = value

    def committed(self) -> None:
        """Move what was committed from the pending writes to the cache."""
        for key, value in self.pending.items():
            if value is None:
                self._cache.pop(key, None)
            else:
                self._remember(key, value)
        self.pending = {}

    def rolled_back(self) -> None:
        """Forget the pending writes."""
        self.pending = {}


class ChainStore:
    """Connection to one chain file; threads of a process take turns by `lock`, processes by a file lock.

    Parameters
    ----------
    path
        The SQLite file. Beside it lie SQLite's own `-wal` and `-shm` and a `.lock` file.
    create
        Whether a missing file may be made.

    Raises
    ------
    ChainFileError
        If the file is missing (and not `create`) or is of another format.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        if not create and not path.is_file():
            raise ChainFileError(
                en=f"There is no chain at {path}. Create the workspace's chain first.",
                ja=f"チェーンのファイルがありません: {path}。先にワークスペースのチェーンを作成してください。",
            )
        self.path = path
        self.lock = threading.RLock()
        self.in_transaction = False
        self.nodes = NodeDB(self)
        self._pid = os.getpid()
        if create:
            with exclusive(lock_path(self.path)):
                self._db = self._connect()
                for statement in _SCHEMA:
                    self.run(statement)
        else:
            self._db = self._connect()
        self._check_format()

    def _check_format(self) -> None:
        meta = self.meta() if self.is_laid_out() else {}
        found = meta.get("format", str(FORMAT_VERSION))
        if found == str(FORMAT_VERSION):
            return
        newer = not found.isdecimal() or int(found) > FORMAT_VERSION
        raise ChainFileError(
            en=f"The chain file {self.path} has format {found} (written by version {meta.get('made_by', '?')} of this program); "
            f"this version reads format {FORMAT_VERSION}. "
            + ("Use that version or a newer one." if newer else "Use the version that wrote it."),
            ja=f"チェーンのファイル {self.path} の形式は {found} です(版 {meta.get('made_by', '?')} が作成)。この版が読める形式は "
            f"{FORMAT_VERSION} です。"
            + ("その版か、より新しい版を使ってください。" if newer else "作成した版を使ってください。"),
        )

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = FULL")
        except sqlite3.OperationalError:
            # Locked, full or not writable: not a matter of what the file holds.
            raise
        except sqlite3.DatabaseError as error:
            raise ChainFileError(
                en=f"{self.path} is no chain file, or is damaged ({error}). Restore a backup.",
                ja=f"{self.path} はチェーンのファイルではないか、壊れています({error})。バックアップから復元してください。",
            ) from error
        return db

    def is_laid_out(self) -> bool:
        """Whether the tables exist (they do not if creation was killed at once)."""
        row = self.run("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'meta'").fetchone()
        return row is not None

    def run(self, sql: str, arguments: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Execute one statement; every statement of the chain passes here."""
        if self._pid != os.getpid():
            # SQLite connections must not cross a fork: the child opens its own.
            self._pid = os.getpid()
            self._db = self._connect()
        return self._db.execute(sql, arguments)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, one process at a time; the head must be read again inside."""
        with self.lock, exclusive(lock_path(self.path)):
            self.run("BEGIN IMMEDIATE")
            self.in_transaction = True
            try:
                yield
                self._flush_nodes()
                self.run("COMMIT")
                self.nodes.committed()
            except BaseException:
                # Whatever went wrong is raised on; only the half-written block is dropped here.
                self.nodes.rolled_back()
                if self._db.in_transaction:
                    self.run("ROLLBACK")
                raise
            finally:
                self.in_transaction = False

    def _flush_nodes(self) -> None:
        for key, value in self.nodes.pending.items():
            if value is None:
                self.run("DELETE FROM kv WHERE key = ?", (key,))
            else:
                self.run("INSERT OR REPLACE INTO kv VALUES (?, ?)", (key, value))

    def meta(self) -> dict[str, str]:
        """What was fixed at creation: format, chain id."""
        return dict(self.run("SELECT name, value FROM meta").fetchall())

    def put_meta(self, values: Mapping[str, str]) -> None:
        """Record what is fixed at creation."""
        for name, value in values.items():
            self.run("INSERT INTO meta VALUES (?, ?)", (name, value))

    def put_block(self, block: Doc, transactions: Iterable[tuple[Doc, Doc]]) -> None:
        """Index a mined block, its transactions with their receipts, and their logs (JSON-RPC documents)."""
        number = int(block["number"], 16)
        self.run("INSERT INTO block VALUES (?, ?, ?)", (number, block["hash"], json.dumps(block)))
        for transaction, receipt in transactions:
            self.run(
                "INSERT INTO tx VALUES (?, ?, ?, ?)",
                (transaction["hash"], number, json.dumps(transaction), json.dumps(receipt)),
            )
            for log in receipt["logs"]:
                topics = [*log["topics"], None, None, None, None][:4]
                self.run(
                    "INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (number, int(log["logIndex"], 16), log["address"], *topics, json.dumps(log)),
                )

    def head_hash(self) -> str | None:
        """Hash of the newest block; None before genesis."""
        row = self.run("SELECT hash FROM block ORDER BY number DESC LIMIT 1").fetchone()
        return None if row is None else str(row[0])

    def head_number(self) -> int | None:
        """Number of the newest block; None before genesis."""
        number: int | None = self.run("SELECT max(number) FROM block").fetchone()[0]
        return number

    def block_by_number(self, number: int) -> Doc | None:
        """JSON-RPC block document with transaction hashes."""
        return _doc(self.run("SELECT doc FROM block WHERE number = ?", (number,)).fetchone())

    def block_by_hash(self, block_hash: str) -> Doc | None:
        """JSON-RPC block document with transaction hashes."""
        return _doc(self.run("SELECT doc FROM block WHERE hash = ?", (block_hash,)).fetchone())

    def transaction_by_hash(self, tx_hash: str) -> Doc | None:
        """JSON-RPC transaction document."""
        return _doc(self.run("SELECT doc FROM tx WHERE hash = ?", (tx_hash,)).fetchone())

    def receipt(self, tx_hash: str) -> Doc | None:
        """JSON-RPC receipt document."""
        return _doc(self.run("SELECT receipt FROM tx WHERE hash = ?", (tx_hash,)).fetchone())

    def logs(
        self,
        first_block: int,
        last_block: int,
        addresses: Sequence[str],
        topics: Sequence[Sequence[str]],
    ) -> list[Doc]:
        """Logs of a block range; empty `addresses` matches anything, an empty topic position any topic that is there."""
        where = ["block_number BETWEEN ? AND ?"]
        arguments: list[Any] = [first_block, last_block]
        for column, allowed in [("address", addresses), *((f"topic{i}", t) for i, t in enumerate(topics))]:
            if allowed:
                where.append(f"{column} IN ({','.join('?' * len(allowed))})")
                arguments.extend(allowed)
            elif column != "address":
                where.append(f"{column} IS NOT NULL")
        sql = f"SELECT doc FROM log WHERE {' AND '.join(where)} ORDER BY block_number, log_index"
        return [json.loads(row[0]) for row in self.run(sql, arguments).fetchall()]

    def close(self) -> None:
        """Close the connection."""
        self._db.close()


def _doc(row: tuple[str] | None) -> Doc | None:
    return None if row is None else json.loads(row[0])


def lock_path(chain_file: Path) -> Path:
    """The file whose lock every writer of a chain file holds."""
    return chain_file.with_name(chain_file.name + ".lock")


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold a lock file; waits for it."""
    # The kernel drops this lock when its holder dies, however it dies.
    with path.open("ab") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
