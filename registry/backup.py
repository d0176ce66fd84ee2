"""A copy of the embedded chain while it is in use, and the way back: both checked whole before they count."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from registry.embedded import EmbeddedChain
from registry.embeddeddamage import telling_damage
from registry.embeddedwhole import fault
from registry.evmdb import ChainFileError, damaged, exclusive, lock_path


@dataclass(frozen=True)
class ChainSummary:
    """What a chain file holds. `head_time` in unix seconds."""

    path: Path
    chain_id: int
    genesis_hash: str
    head: int
    head_hash: str
    head_time: int


def summary(path: Path, named: Path | None = None) -> ChainSummary:
    """Read a chain file from end to end (`registry.embeddedwhole`).

    Parameters
    ----------
    named : Path, optional
        The file that errors name, where `path` is only a copy of it.

    Raises
    ------
    ChainFileError
        If it is missing, damaged, of another format, or its blocks, index, receipts and states do not fit together.
    """
    try:
        with telling_damage(path):
            chain = EmbeddedChain(path)
            try:
                broken = fault(chain)
                first, last = (chain.header(0), chain.head()) if broken is None else (None, None)
            finally:
                chain.close()
        if first is None or last is None:
            raise damaged(path, str(broken))
    except ChainFileError as error:
        if named is None:
            raise
        raise ChainFileError(
            en=error.en.replace(str(path), str(named)), ja=error.ja.replace(str(path), str(named))
        ) from error
    head, when = last.block_number, last.timestamp
    return ChainSummary(path, chain.chain_id, _hex(first.hash), head, _hex(last.hash), when)


def backup(path: Path, target: Path) -> ChainSummary:
    """Copy the chain to a single file, at a whole block, while others may be using it.

    Raises
    ------
    ChainFileError
        If there is no chain at `path`, or `target` exists.
    """
    if not path.is_file():
        raise ChainFileError(
            en=f"There is no chain at {path} to back up.",
            ja=f"バックアップするチェーンのファイルがありません: {path}",
        )
    if target.exists():
        raise ChainFileError(
            en=f"{target} exists. Choose another name; a backup is never overwritten.",
            ja=f"{target} はすでにあります。別の名前を指定してください。バックアップは上書きしません。",
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".backup-") as folder:
        copy = Path(folder) / "chain.sqlite"
        with (
            telling_damage(path),
            closing(sqlite3.connect(path)) as source,
            closing(sqlite3.connect(copy)) as made,
        ):
            source.backup(made)
        found = summary(copy, path)
        with closing(sqlite3.connect(copy)) as made:
            # One file, with nothing left beside it.
            made.execute("PRAGMA journal_mode = DELETE")
        with copy.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(copy, target)
    return ChainSummary(**{**found.__dict__, "path": target})


def restore(source: Path, path: Path, *, replace: bool = False) -> ChainSummary:
    """Put a backup in the chain's place, in one SQLite transaction; programs that have the chain open go on with it.

    Parameters
    ----------
    replace : bool
        Allow that blocks are forgotten, or that another chain is put in place.

    Raises
    ------
    ChainFileError
        If the backup is not whole, or blocks would be forgotten and `replace` is not set.
    """
    if not source.is_file():
        raise ChainFileError(
            en=f"There is no backup at {source}.", ja=f"バックアップのファイルがありません: {source}"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".restore-") as folder:
        copy = Path(folder) / "chain.sqlite"
        # The backup itself may lie on a medium that cannot be written, which SQLite's log would need.
        shutil.copyfile(source, copy)
        found = summary(copy, source)
        with exclusive(lock_path(path)):
            if path.is_file() and not replace:
                _refuse_to_forget(path, copy, found, source)
            with (
                telling_damage(path),
                closing(sqlite3.connect(copy)) as whole,
                closing(sqlite3.connect(path)) as here,
            ):
                whole.backup(here)
    return ChainSummary(**{**found.__dict__, "path": path})


def _refuse_to_forget(path: Path, copy: Path, found: ChainSummary, source: Path) -> None:
    here = summary(path)
    with closing(sqlite3.connect(copy)) as whole:
        row = whole.execute("SELECT hash FROM block WHERE number = ?", (here.head,)).fetchone()
    if row is not None and row[0] == here.head_hash:
        return
    if here.genesis_hash != found.genesis_hash:
        raise ChainFileError(
            en=f"{source} is a backup of another chain than the one at {path}. Restore it elsewhere, or say that it is to replace this one: --replace",
            ja=f"{source} は {path} とは別のチェーンのバックアップです。別の場所に復元するか、置き換える場合は --replace を付けてください。",
        )
    raise ChainFileError(
        en=f"The chain at {path} stands at block {here.head}, the backup {source} at {found.head}: what came since would be "
        "forgotten, sales and payouts included. If that is meant, say so: --replace",
        ja=f"{path} のチェーンはブロック {here.head}、バックアップ {source} は {found.head} です。復元すると、販売や支払を含む"
        "その後の記録が失われます。意図したものであれば --replace を付けてください。",
    )


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
