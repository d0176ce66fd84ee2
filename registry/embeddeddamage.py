"""What py-evm, its trie and SQLite raise on a chain file that is not whole, told as what it is: a damaged file, by its name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eth.exceptions import (
    BlockNotFound,
    CanonicalHeadNotFound,
    GapTrackingCorrupted,
    HeaderNotFound,
    ReceiptNotFound,
    StateRootNotFound,
    TransactionNotFound,
    VMNotFound,
)
from eth.vm.interrupt import EVMMissingData
from rlp.exceptions import RLPException
from trie.exceptions import MissingTraversalNode, MissingTrieNode

from registry.evmdb import ChainFileError, damaged

# A node that is not there is a KeyError of the store, or what the layers above make of it.
ABSENT = (
    KeyError,
    BlockNotFound,
    CanonicalHeadNotFound,
    EVMMissingData,
    GapTrackingCorrupted,
    HeaderNotFound,
    MissingTraversalNode,
    MissingTrieNode,
    ReceiptNotFound,
    RLPException,
    StateRootNotFound,
    TransactionNotFound,
    VMNotFound,
)
_LAYOUT = ("no such table", "no such column", "malformed", "has no column")


@contextmanager
def telling_damage(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged file, or one that cannot be used now, into `ChainFileError`; others pass."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if any(word in str(error) for word in _LAYOUT):
            raise damaged(path, str(error)) from error
        raise _unusable(path, error) from error
    except sqlite3.DatabaseError as error:
        raise damaged(path, str(error)) from error
    except ABSENT as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise damaged(path, why[:200]) from error


def _unusable(path: Path, error: sqlite3.Error) -> ChainFileError:
    return ChainFileError(
        en=f"The chain file {path} cannot be used now ({error}). Close what else uses it, see that the disk is not full and the file may "
        "be written, then run the same again.",
        ja=f"チェーンのファイル {path} を今は使えません（{error}）。使用中の他のプログラム、ディスクの空き、書込み権限を確認してから、"
        "もう一度実行してください。",
    )
