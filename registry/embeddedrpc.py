"""The JSON-RPC methods of the embedded chain, in process (a web3 provider) and for `registry.rpcserver`."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth_utils.crypto import keccak
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from models.errors import SatoyamaError
from registry.embedded import EmbeddedChain, TransactionRejected
from registry.embeddeddamage import telling_damage
from registry.embeddedfilters import Filters
from registry.embeddedparams import (
    LogQuery,
    RpcError,
    address,
    byte_string,
    call_of,
    check_count,
    flag,
    hash_text,
    invalid,
    log_query,
    quantity,
)
from registry.embeddedrun import ExecutionFailed
from registry.evmdb import Doc
from registry.evmdocs import hex_bytes, hex_int

__all__ = ["CLIENT_VERSION", "EmbeddedProvider", "EmbeddedRpc", "RpcError"]

CLIENT_VERSION = "satoyama-embedded/1"
_PRIORITY_FEE_WEI = 1_000_000_000
_MAX_FEE_HISTORY = 1024
_NEWEST = (None, "latest", "safe", "finalized", "pending")
_log = logging.getLogger(__name__)


class EmbeddedRpc:
    """Answers JSON-RPC requests from an embedded chain; parameters and results are JSON values."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self._store = chain.store
        self._filters = Filters(self._head_number, self._logs, self._hashes)
        self._methods: Mapping[str, Callable[..., Any]] = {
            **self._of_the_node(),
            **self._of_accounts(),
            **self._of_blocks(),
            **self._of_logs(),
        }

    def _of_the_node(self) -> dict[str, Callable[..., Any]]:
        chain = self.chain
        return {
            "web3_clientVersion": lambda: CLIENT_VERSION,
            "web3_sha3": lambda data: hex_bytes(keccak(byte_string(data))),
            "net_version": lambda: str(chain.chain_id),
            "net_listening": lambda: True,
            "net_peerCount": lambda: "0x0",
            "eth_chainId": lambda: hex_int(chain.chain_id),
            "eth_syncing": lambda: False,
            "eth_mining": lambda: False,
            "eth_accounts": lambda: [],
            "eth_blockNumber": lambda: hex_int(self._head_number()),
            "eth_gasPrice": lambda: hex_int(chain.pending_header().base_fee_per_gas + _PRIORITY_FEE_WEI),
            "eth_maxPriorityFeePerGas": lambda: hex_int(_PRIORITY_FEE_WEI),
            "eth_feeHistory": self._fee_history,
        }

    def _of_accounts(self) -> dict[str, Callable[..., Any]]:
        chain, number = self.chain, self._number
        return {
            "eth_getBalance": lambda a, b="latest": hex_int(chain.balance(address(a), number(b))),
            "eth_getTransactionCount": lambda a, b="latest": hex_int(chain.nonce(address(a), number(b))),
            "eth_getCode": lambda a, b="latest": hex_bytes(chain.code(address(a), number(b))),
            "eth_getStorageAt": lambda a, slot, b="latest": (
                f"0x{chain.storage(address(a), quantity(slot), number(b)):064x}"
            ),
            "eth_call": self._call,
            "eth_estimateGas": lambda tx, b="latest": hex_int(chain.estimate_gas(call_of(tx))),
            "eth_sendRawTransaction": lambda raw: hex_bytes(
                chain.send_raw(byte_string(raw, what="a signed transaction"))
            ),
        }

    def _of_blocks(self) -> dict[str, Callable[..., Any]]:
        store = self._store
        at, by_hash = self._block_at, self._block_of
        return {
            "eth_getTransactionReceipt": lambda h: store.receipt(hash_text(h)),
            "eth_getTransactionByHash": lambda h: store.transaction_by_hash(hash_text(h)),
            "eth_getBlockByNumber": lambda b, full=False: self._filled(at(b), full),
            "eth_getBlockByHash": lambda h, full=False: self._filled(by_hash(h), full),
            "eth_getBlockReceipts": lambda b: self._receipts(
                by_hash(b) if isinstance(b, str) and len(b) == 66 else at(b)
            ),
            "eth_getBlockTransactionCountByNumber": lambda b: _count(at(b)),
            "eth_getBlockTransactionCountByHash": lambda h: _count(by_hash(h)),
            "eth_getTransactionByBlockNumberAndIndex": lambda b, n: self._transaction(at(b), n),
            "eth_getTransactionByBlockHashAndIndex": lambda h, n: self._transaction(by_hash(h), n),
            "eth_getUncleCountByBlockNumber": lambda b: None if at(b) is None else "0x0",
            "eth_getUncleCountByBlockHash": lambda h: None if by_hash(h) is None else "0x0",
        }

    def _of_logs(self) -> dict[str, Callable[..., Any]]:
        return {
            "eth_getLogs": lambda query: self._logs(log_query(query)),
            "eth_newFilter": lambda query: self._filters.new(log_query(query)),
            "eth_newBlockFilter": lambda: self._filters.new(None),
            "eth_getFilterChanges": self._filters.changes,
            "eth_getFilterLogs": self._filters.all_logs,
            "eth_uninstallFilter": self._filters.drop,
        }

    def handle(self, method: str, params: Sequence[Any]) -> Any:
        """Result of one request; raises `RpcError`, or `ChainFileError` where the chain's file is the reason."""
        function = self._methods.get(method)
        if function is None:
            raise RpcError(-32601, f"the embedded chain has no method {method}")
        check_count(method, function, params)
        try:
            with telling_damage(self.chain.path), self._store.lock:
                return function(*params)
        except (RpcError, SatoyamaError):
            # The file itself, damaged or locked for too long, is told in words by whoever asked: command line or server.
            raise
        except ExecutionFailed as error:
            raise RpcError(3, str(error), hex_bytes(error.data)) from error
        except TransactionRejected as error:
            raise RpcError(-32000, str(error)) from error
        except Exception as error:
            # Whatever py-evm raises beside its own errors must not end the connection: raised on, as JSON-RPC, and logged whole.
            _log.exception("%s failed", method)
            raise RpcError(-32603, f"internal error in {method}: {type(error).__name__}: {error}") from error

    def _head_number(self) -> int:
        return int(self.chain.head().block_number)

    def _number(self, tag: Any) -> int | None:
        if isinstance(tag, Mapping):
            if "blockNumber" not in tag:
                block_hash = hash_text(tag.get("blockHash"))
                block = self._store.block_by_hash(block_hash)
                if block is None:
                    raise RpcError(-32001, f"no block {block_hash}")
                return int(block["number"], 16)
            tag = tag["blockNumber"]
        if tag is None or (isinstance(tag, str) and tag in _NEWEST):
            return None
        number = 0 if tag == "earliest" else quantity(tag)
        if number > self._head_number():
            raise RpcError(-32001, f"no block {number}: the head is {self._head_number()}")
        return number

    def _block_at(self, tag: Any) -> Doc | None:
        if tag is None or (isinstance(tag, str) and tag in _NEWEST):
            number = self._head_number()
        else:
            number = 0 if tag == "earliest" else quantity(tag)
        return self._store.block_by_number(number) if number <= self._head_number() else None

    def _block_of(self, block_hash: Any) -> Doc | None:
        return self._store.block_by_hash(hash_text(block_hash))

    def _call(self, transaction: Any, block: Any = "latest", overrides: Any = None) -> str:
        if overrides:
            raise RpcError(-32602, "the embedded chain takes no state overrides")
        call, number = call_of(transaction), self._number(block)
        return hex_bytes(self.chain.call(call, number, pending_time=block == "pending"))

    def _filled(self, block: Doc | None, full: Any) -> Doc | None:
        if not flag(full) or block is None:
            return block
        return {**block, "transactions": [self._store.transaction_by_hash(h) for h in block["transactions"]]}

    def _receipts(self, block: Doc | None) -> list[Doc | None] | None:
        return None if block is None else [self._store.receipt(h) for h in block["transactions"]]

    def _transaction(self, block: Doc | None, index: Any) -> Doc | None:
        place, hashes = quantity(index), [] if block is None else block["transactions"]
        return self._store.transaction_by_hash(hashes[place]) if place < len(hashes) else None

    def _fee_history(self, count: Any, newest: Any, percentiles: Any = None) -> Doc:
        if percentiles is not None and not isinstance(percentiles, list | tuple):
            raise invalid("percentiles as a list", percentiles)
        number = self._number(newest)
        last = self._head_number() if number is None else number
        first = max(0, last - min(quantity(count), _MAX_FEE_HISTORY) + 1)
        headers = [self.chain.header(n) for n in range(first, last + 1)]
        following = (
            self.chain.pending_header() if last == self._head_number() else self.chain.header(last + 1)
        )
        doc: Doc = {
            "oldestBlock": hex_int(first),
            "baseFeePerGas": [hex_int(h.base_fee_per_gas) for h in [*headers, following]],
            "gasUsedRatio": [h.gas_used / h.gas_limit for h in headers],
        }
        if percentiles:
            doc["reward"] = [[hex_int(_PRIORITY_FEE_WEI)] * len(percentiles) for _ in headers]
        return doc

    def _logs(self, query: LogQuery, blocks: tuple[int, int] | None = None) -> list[Doc]:
        """Logs of a query, in its own range or, for what is new, in `blocks`."""
        if blocks is not None:
            first, last = blocks
        elif query.block_hash is not None:
            block = self._store.block_by_hash(query.block_hash)
            if block is None:
                raise RpcError(-32001, f"no block {query.block_hash}")
            first = last = int(block["number"], 16)
        else:
            head = self._head_number()
            bounds = [self._number(tag) for tag in (query.first, query.last)]
            first, last = (head if number is None else number for number in bounds)
        return self._store.logs(first, last, query.addresses, query.topics)

    def _hashes(self, first: int, last: int) -> list[str]:
        blocks = (self._store.block_by_number(number) for number in range(first, last + 1))
        return [str(block["hash"]) for block in blocks if block is not None]


def _count(block: Doc | None) -> str | None:
    return None if block is None else hex_int(len(block["transactions"]))


class EmbeddedProvider(JSONBaseProvider):
    """web3 provider that answers from an embedded chain in this process."""

    def __init__(self, chain: EmbeddedChain) -> None:
        super().__init__()
        self.rpc = EmbeddedRpc(chain)
        self._ids = itertools.count(1)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request; errors come back as JSON-RPC error documents, but for a damaged file, which is raised."""
        response: Any = {"jsonrpc": "2.0", "id": next(self._ids)}
        try:
            response["result"] = self.rpc.handle(method, [_plain(p) for p in params or []])
        except RpcError as error:
            response["error"] = error.to_doc()
        return response  # type: ignore[no-any-return]  # a plain dict, as web3 reads it

    def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse]:
        """Several requests in order."""
        return [self.make_request(method, params) for method, params in requests]


def _plain(value: Any) -> Any:
    """web3's own parameter types as JSON values."""
    if isinstance(value, bytes):
        return hex_bytes(value)
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
