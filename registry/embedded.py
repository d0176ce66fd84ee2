"""The embedded chain: an EVM (py-evm, Cancun rules) over one SQLite file, one block per transaction.

Durable per transaction and usable by several processes: each transaction takes the file lock, begins an
immediate SQLite transaction, reads the head again, mines one block and commits. No account exists but
those funded at creation. Needs the extra `satoyama-mrv[chain]`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rlp
from eth.abc import StateAPI
from eth.chains.base import Chain
from eth.constants import POST_MERGE_DIFFICULTY, POST_MERGE_NONCE
from eth.db.atomic import AtomicDB
from eth.exceptions import HeaderNotFound, PyEVMError, VMError
from eth.vm.chain_context import ChainContext
from eth.vm.forks.cancun import CancunVM
from eth_keys.exceptions import BadSignature
from eth_typing import Address, BlockNumber
from eth_utils.address import to_canonical_address
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException

from registry.embeddeddamage import telling_damage
from registry.embeddedrun import (
    BLOCK_GAS_LIMIT,
    Call,
    ExecutionFailed,
    depth,
    raise_if_failed,
    run_message,
    run_spoofed,
)
from registry.evmdb import FORMAT_VERSION, ChainFileError, ChainStore
from registry.evmdocs import Header, Receipt, Transaction, block_doc, receipt_doc, transaction_doc

EMBEDDED_CHAIN_ID = 7_074_231
_ESTIMATE_MARGIN_PERCENT = 15
_DEPTH_WITHIN_MARGIN = 8
_ZERO_ADDRESS = b"\x00" * 20
# What py-evm's decoder raises on bytes that are no transaction, a type it does not know and an empty payload among them.
_UNDECODABLE = (
    PyEVMError,
    ValidationError,
    BadSignature,
    RLPException,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    OverflowError,
)


def wall_clock() -> int:
    """Seconds since 1970-01-01 UTC."""
    return int(time.time())


class TransactionRejected(ValueError):
    """The transaction cannot enter a block (nonce, funds, chain id, encoding)."""


class _CancunChain(Chain):
    """Cancun rules from genesis on, with the gas limit held constant."""

    vm_configuration = ((BlockNumber(0), CancunVM),)
    chain_id = EMBEDDED_CHAIN_ID


class EmbeddedChain:
    """An opened chain file.

    Parameters
    ----------
    path
        The chain file, made by `EmbeddedChain.create`.
    clock
        Gives the present in seconds; a block's time is the later of it and one second after its parent.
    """

    def __init__(self, path: Path, *, clock: Callable[[], int] = wall_clock) -> None:
        self._store = ChainStore(path)
        with telling_damage(path):
            finished = self._store.is_laid_out() and self._store.head_number() is not None
        if not finished:
            raise ChainFileError(
                en=f"The chain file {path} was never finished. Create the chain again.",
                ja=f"チェーンのファイル {path} は作成が完了していません。もう一度作成してください。",
            )
        with telling_damage(path):
            self._bind(clock)

    def _bind(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.chain_id = int(self._store.meta()["chain_id"])
        self._chain = _CancunChain.configure(chain_id=self.chain_id)(AtomicDB(self._store.nodes))
        self._head: tuple[str | None, Header] | None = None
        self._views: dict[tuple[bytes, bool], StateAPI] = {}

    @property
    def path(self) -> Path:
        """The chain file."""
        return self._store.path

    @property
    def store(self) -> ChainStore:
        """Blocks, transactions, receipts and logs as documents."""
        return self._store

    @classmethod
    def create(
        cls,
        path: Path,
        funded_wei: Mapping[str, int],
        *,
        chain_id: int = EMBEDDED_CHAIN_ID,
        clock: Callable[[], int] = wall_clock,
    ) -> EmbeddedChain:
        """Make a chain whose genesis block funds the given addresses, or open it where it is already made."""
        path.parent.mkdir(parents=True, exist_ok=True)
        store = ChainStore(path, create=True)
        with store.transaction():
            if store.head_number() is None:
                _write_genesis(store, funded_wei, chain_id, clock())
        store.close()
        return cls(path, clock=clock)

    # Heads and states

    def head(self) -> Header:
        """Header of the newest block, whoever mined it."""
        with self._store.lock:
            newest = self._store.head_hash()
            if self._head is None or self._head[0] != newest:
                self._head = (newest, self._chain.get_canonical_head())
                self._views.clear()
            return self._head[1]

    def header(self, number: int) -> Header:
        """Header of block `number`; KeyError if there is none."""
        try:
            return self._chain.get_canonical_block_header_by_number(BlockNumber(number))
        except HeaderNotFound as error:
            raise KeyError(f"no block {number}") from error

    def transactions(self, number: int) -> tuple[Transaction, ...]:
        """Transactions that the header of block `number` commits to."""
        return tuple(self._chain.get_canonical_block_by_number(BlockNumber(number)).transactions)

    def receipts(self, header: Header) -> tuple[Receipt, ...]:
        """Receipts that a header commits to."""
        return tuple(self._chain.chaindb.get_receipts(header, CancunVM.get_receipt_builder()))

    def pending_header(self) -> Header:
        """Header the next block would have if it were mined now."""
        return self._next_header(self.head())

    def _next_header(self, parent: Header) -> Header:
        timestamp = max(self.clock(), parent.timestamp + 1)
        return self._chain.create_header_from_parent(
            parent, timestamp=timestamp, gas_limit=parent.gas_limit, coinbase=Address(_ZERO_ADDRESS)
        )

    def state(self, header: Header, *, free: bool = False) -> StateAPI:
        """State after `header`; `free` gives one in which gas costs nothing. Kept while the head stands."""
        key = (header.hash, free)
        if key not in self._views:
            at = header.copy(base_fee_per_gas=0) if free else header
            vm = self._chain.get_vm(at)
            self._views[key] = vm.build_state(
                self._chain.chaindb.db, at, ChainContext(self.chain_id), vm.previous_hashes or ()
            )
        return self._views[key]

    def _view(self, block: int | None, *, pending_time: bool) -> StateAPI:
        if block is not None and block != self.head().block_number:
            return self.state(self.header(block), free=True)
        if not pending_time:
            return self.state(self.head(), free=True)
        # The clock moves, so a pending state is not kept; its nodes are in the cache anyway.
        pending = self.pending_header().copy(base_fee_per_gas=0)
        vm = self._chain.get_vm(pending)
        return vm.build_state(
            self._chain.chaindb.db, pending, ChainContext(self.chain_id), vm.previous_hashes or ()
        )

    # Reading

    def balance(self, address: bytes, block: int | None = None) -> int:
        """Balance in wei."""
        with self._store.lock:
            return int(self._view(block, pending_time=False).get_balance(Address(address)))

    def nonce(self, address: bytes, block: int | None = None) -> int:
        """Number of transactions sent from the address."""
        with self._store.lock:
            return int(self._view(block, pending_time=False).get_nonce(Address(address)))

    def code(self, address: bytes, block: int | None = None) -> bytes:
        """Deployed bytecode; empty for a plain account."""
        with self._store.lock:
            return bytes(self._view(block, pending_time=False).get_code(Address(address)))

    def storage(self, address: bytes, slot: int, block: int | None = None) -> int:
        """One storage word."""
        with self._store.lock:
            return int(self._view(block, pending_time=False).get_storage(Address(address), slot))

    def call(self, call: Call, block: int | None = None, *, pending_time: bool = False) -> bytes:
        """Result of a message without effect; `ExecutionFailed` carries the revert data."""
        with self._store.lock:
            state = self._view(block, pending_time=pending_time)
            snapshot = state.snapshot()
            try:
                computation = run_message(state, call)
            except VMError as error:
                # What ends a message before any code runs, e.g. a value its sender does not have.
                raise ExecutionFailed(f"{type(error).__name__}: {error}", b"") from error
            finally:
                state.revert(snapshot)
        raise_if_failed(computation)
        return bytes(computation.output)

    def estimate_gas(self, call: Call) -> int:
        """Gas limit under which the call succeeds in the next block, with a margin.

        One run at the block's limit tells the gas spent before refunds. A call passes on 63/64 of its gas, so 15 % more is
        enough for eight calls inside each other (1.15 * (63/64)**8 > 1); deeper ones are tried, and the limit
        raised by halves of what is left.
        """
        with self._store.lock:
            state = self._view(None, pending_time=True)
            full = run_spoofed(state, call, BLOCK_GAS_LIMIT)
            raise_if_failed(full)
            spent = BLOCK_GAS_LIMIT - int(full.get_gas_remaining())
            limit = min(BLOCK_GAS_LIMIT, spent * (100 + _ESTIMATE_MARGIN_PERCENT) // 100 + 5_000)
            deep = depth(full) > _DEPTH_WITHIN_MARGIN
            while deep and limit < BLOCK_GAS_LIMIT and run_spoofed(state, call, limit).is_error:
                limit = limit + (BLOCK_GAS_LIMIT - limit + 1) // 2
            return limit

    # Writing

    def send_raw(self, raw: bytes) -> bytes:
        """Mine one block holding this signed transaction; returns its hash. Committed when this returns.

        Raises
        ------
        TransactionRejected
            If it cannot enter a block. A transaction that reverts does enter one, with status 0.
        """
        transaction = self._decode(raw)
        with self._store.transaction():
            if self._store.transaction_by_hash("0x" + transaction.hash.hex()) is not None:
                raise TransactionRejected("already known")
            parent = self._chain.get_canonical_head()
            try:
                self._mine(transaction, raw, self._next_header(parent))
            except (ValidationError, VMError) as error:
                raise TransactionRejected(self._why_rejected(transaction, parent, error)) from error
        return bytes(transaction.hash)

    def _decode(self, raw: bytes) -> Transaction:
        try:
            transaction = CancunVM.get_transaction_builder().decode(raw)
            transaction.validate()
            sender = transaction.sender
        except _UNDECODABLE as error:
            raise TransactionRejected(
                f"cannot decode the transaction of {len(raw)} bytes: {error or type(error).__name__}"
            ) from error
        if (getattr(transaction, "type_id", None) or 0) > 2:
            raise TransactionRejected("the embedded chain takes transactions of type 0, 1 and 2 only")
        if transaction.chain_id not in (None, self.chain_id):
            raise TransactionRejected(f"wrong chain id: expected {self.chain_id}, got {transaction.chain_id}")
        assert len(sender) == 20
        return transaction

    def _mine(self, transaction: Transaction, raw: bytes, header: Header) -> None:
        vm = self._chain.get_vm(header)
        vm.state.validate_transaction(transaction)
        filled_header, receipts, _ = vm.apply_all_transactions([transaction], header)
        filled = vm.set_block_transactions_and_withdrawals(
            vm.get_block(), filled_header, [transaction], receipts
        )
        block = vm.mine_block(filled).block
        self._chain.chaindb.persist_block(block)
        entry = (
            transaction_doc(block.header, transaction),
            receipt_doc(block.header, transaction, receipts[0]),
        )
        self._store.put_block(block_doc(block.header, [transaction.hash], len(rlp.encode(block))), [entry])

    def _why_rejected(self, transaction: Transaction, parent: Header, error: Exception) -> str:
        expected = int(self.state(parent).get_nonce(transaction.sender))
        if transaction.nonce < expected:
            return f"nonce too low: next nonce {expected}, tx nonce {transaction.nonce}"
        if transaction.nonce > expected:
            return f"nonce too high: next nonce {expected}, tx nonce {transaction.nonce}"
        price = getattr(transaction, "max_fee_per_gas", None) or transaction.gas_price
        have, want = self.balance(transaction.sender), transaction.gas * price + transaction.value
        if have < want:
            return f"insufficient funds for gas * price + value: have {have}, want {want} wei"
        return str(error)

    def close(self) -> None:
        """Close the file."""
        self._store.close()


def _write_genesis(store: ChainStore, funded_wei: Mapping[str, int], chain_id: int, timestamp: int) -> None:
    params: dict[str, Any] = {
        "coinbase": _ZERO_ADDRESS,
        "difficulty": POST_MERGE_DIFFICULTY,
        "nonce": POST_MERGE_NONCE,
        "extra_data": b"satoyama",
        "gas_limit": BLOCK_GAS_LIMIT,
        "timestamp": timestamp,
    }
    accounts: Any = {
        to_canonical_address(address): {"balance": wei, "nonce": 0, "code": b"", "storage": {}}
        for address, wei in funded_wei.items()
    }
    chain_class = _CancunChain.configure(chain_id=chain_id)
    chain = chain_class.from_genesis(AtomicDB(store.nodes), params, accounts)
    genesis = chain.get_canonical_block_by_number(BlockNumber(0))
    fixed = {"format": str(FORMAT_VERSION), "chain_id": str(chain_id), "made_by": _program_version()}
    store.put_meta(fixed)
    store.put_block(block_doc(genesis.header, [], len(rlp.encode(genesis))), [])


def _program_version() -> str:
    try:
        return version("satoyama-mrv")
    except PackageNotFoundError:
        # Run from a folder of sources that was never installed.
        return "?"
