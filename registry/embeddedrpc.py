"""The JSON-RPC methods of the embedded chain, in process (a web3 provider) and for `registry.rpcserver`."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from eth_utils.crypto import keccak
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from registry.embedded import Call, EmbeddedChain, ExecutionFailed, TransactionRejected
from registry.evmdb import Doc
from registry.evmdocs import hex_bytes, hex_int

CLIENT_VERSION = "satoyama-embedded/1"
_PRIORITY_FEE_WEI = 1_000_000_000
_MAX_FEE_HISTORY = 1024


class RpcError(ValueError):
    """A JSON-RPC error: code, message, and revert data where there is any."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data

    def to_doc(self) -> Doc:
        """The `error` member of a response."""
        doc: Doc = {"code": self.code, "message": str(self)}
        return doc if self.data is None else {**doc, "data": self.data}


class EmbeddedRpc:
    """Answers JSON-RPC requests from an embedded chain; parameters and results are JSON values."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self._methods: Mapping[str, Callable[..., Any]] = {
            "web3_clientVersion": lambda: CLIENT_VERSION,
            "web3_sha3": lambda data: hex_bytes(keccak(_bytes(data))),
            "net_version": lambda: str(chain.chain_id),
            "net_listening": lambda: True,
            "eth_chainId": lambda: hex_int(chain.chain_id),
            "eth_syncing": lambda: False,
            "eth_mining": lambda: False,
            "eth_accounts": lambda: [],
            "eth_blockNumber": lambda: hex_int(self._head_number()),
            "eth_gasPrice": lambda: hex_int(chain.pending_header().base_fee_per_gas + _PRIORITY_FEE_WEI),
            "eth_maxPriorityFeePerGas": lambda: hex_int(_PRIORITY_FEE_WEI),
            "eth_feeHistory": self._fee_history,
            "eth_getBalance": lambda a, b="latest": hex_int(chain.balance(_address(a), self._number(b))),
            "eth_getTransactionCount": lambda a, b="latest": hex_int(
                chain.nonce(_address(a), self._number(b))
            ),
            "eth_getCode": lambda a, b="latest": hex_bytes(chain.code(_address(a), self._number(b))),
            "eth_getStorageAt": lambda a, slot, b="latest": (
                f"0x{chain.storage(_address(a), _int(slot), self._number(b)):064x}"
            ),
            "eth_call": self._call,
            "eth_estimateGas": lambda tx, b="latest": hex_int(chain.estimate_gas(_to_call(tx))),
            "eth_sendRawTransaction": lambda raw: hex_bytes(chain.send_raw(_bytes(raw))),
            "eth_getTransactionReceipt": lambda h: self._store.receipt(_hash(h)),
            "eth_getTransactionByHash": lambda h: self._store.transaction_by_hash(_hash(h)),
            "eth_getBlockByNumber": self._block_by_number,
            "eth_getBlockByHash": lambda h, full=False: self._filled(
                self._store.block_by_hash(_hash(h)), full
            ),
            "eth_getLogs": self._logs,
        }
        self._store = chain.store

    def handle(self, method: str, params: Sequence[Any]) -> Any:
        """Result of one request; raises `RpcError`."""
        function = self._methods.get(method)
        if function is None:
            raise RpcError(-32601, f"the embedded chain has no method {method}")
        try:
            with self._store.lock:
                return function(*params)
        except RpcError:
            raise
        except ExecutionFailed as error:
            raise RpcError(3, str(error), hex_bytes(error.data)) from error
        except TransactionRejected as error:
            raise RpcError(-32000, str(error)) from error
        except (KeyError, TypeError, ValueError) as error:
            raise RpcError(-32602, f"invalid parameters for {method}: {error}") from error

    def _head_number(self) -> int:
        return int(self.chain.head().block_number)

    def _number(self, tag: Any) -> int | None:
        if tag in (None, "latest", "safe", "finalized", "pending"):
            return None
        if tag == "earliest":
            return 0
        if isinstance(tag, Mapping):
            if "blockNumber" in tag:
                return _int(tag["blockNumber"])
            block = self._store.block_by_hash(_hash(tag["blockHash"]))
            if block is None:
                raise RpcError(-32001, f"no block {tag['blockHash']}")
            return int(block["number"], 16)
        number = _int(tag)
        if number > self._head_number():
            raise RpcError(-32001, f"no block {number}: the head is {self._head_number()}")
        return number

    def _call(self, transaction: Mapping[str, Any], block: Any = "latest", overrides: Any = None) -> str:
        if overrides:
            raise RpcError(-32602, "the embedded chain takes no state overrides")
        call, number = _to_call(transaction), self._number(block)
        return hex_bytes(self.chain.call(call, number, pending_time=block == "pending"))

    def _filled(self, block: Doc | None, full: bool) -> Doc | None:
        if block is None or not full:
            return block
        return {**block, "transactions": [self._store.transaction_by_hash(h) for h in block["transactions"]]}

    def _block_by_number(self, tag: Any, full: bool = False) -> Doc | None:
        if tag in ("latest", "safe", "finalized", "pending"):
            number = self._head_number()
        else:
            number = 0 if tag == "earliest" else _int(tag)
        return self._filled(self._store.block_by_number(number), full)

    def _fee_history(self, count: Any, newest: Any, percentiles: Sequence[float] | None = None) -> Doc:
        number = self._number(newest)
        last = self._head_number() if number is None else number
        first = max(0, last - min(_int(count), _MAX_FEE_HISTORY) + 1)
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

    def _logs(self, query: Mapping[str, Any]) -> list[Doc]:
        if "blockHash" in query:
            block = self._store.block_by_hash(_hash(query["blockHash"]))
            if block is None:
                raise RpcError(-32001, f"no block {query['blockHash']}")
            first = last = int(block["number"], 16)
        else:
            head = self._head_number()
            bounds = [self._number(query.get(name, "latest")) for name in ("fromBlock", "toBlock")]
            first, last = (head if number is None else number for number in bounds)
        address = query.get("address") or []
        addresses = [address] if isinstance(address, str) else list(address)
        topics = [
            [t.lower()] if isinstance(t, str) else [one.lower() for one in t or []]
            for t in query.get("topics") or []
        ]
        if len(topics) > 4:
            raise RpcError(-32602, f"a log has at most 4 topics, the filter has {len(topics)}")
        return self._store.logs(first, last, [a.lower() for a in addresses], topics)


class EmbeddedProvider(JSONBaseProvider):
    """web3 provider that answers from an embedded chain in this process."""

    def __init__(self, chain: EmbeddedChain) -> None:
        super().__init__()
        self.rpc = EmbeddedRpc(chain)
        self._ids = itertools.count(1)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request; errors come back as JSON-RPC error documents."""
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


def _int(value: Any) -> int:
    return int(value, 16) if isinstance(value, str) else int(value)


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str) or not value.startswith("0x"):
        raise ValueError(f"expected 0x-prefixed hex, got {type(value).__name__}")
    return bytes.fromhex(value[2:])


def _address(value: Any) -> bytes:
    data = _bytes(value)
    if len(data) != 20:
        raise ValueError(f"expected an address of 20 bytes, got {len(data)}")
    return data


def _hash(value: Any) -> str:
    data = _bytes(value)
    if len(data) != 32:
        raise ValueError(f"expected a hash of 32 bytes, got {len(data)}")
    return hex_bytes(data)


def _to_call(transaction: Mapping[str, Any]) -> Call:
    data = transaction.get("data") or transaction.get("input") or "0x"
    to = transaction.get("to")
    sender = transaction.get("from")
    gas = transaction.get("gas")
    return Call(
        to=_address(to) if to else None,
        data=_bytes(data),
        sender=_address(sender) if sender else b"\x00" * 20,
        value=_int(transaction.get("value") or 0),
        gas=_int(gas) if gas else None,
    )
