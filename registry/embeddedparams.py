"""The parameters of JSON-RPC requests, read strictly: what has another shape is refused by name with code -32602."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from registry.embeddedrun import Call
from registry.evmdb import Doc
from registry.evmdocs import hex_bytes

INVALID_PARAMS = -32602
_WORD_LIMIT = 1 << 256
_MAX_TOPICS = 4
_MAX_SHOWN = 60


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


def invalid(expected: str, value: Any) -> RpcError:
    """The refusal of a parameter that has another shape."""
    shown = repr(value)
    if len(shown) > _MAX_SHOWN:
        shown = shown[:_MAX_SHOWN] + "…"
    return RpcError(INVALID_PARAMS, f"invalid parameter: expected {expected}, got {shown}")


def check_count(method: str, function: Callable[..., Any], params: Sequence[Any]) -> None:
    """Refuse a wrong number of parameters."""
    try:
        inspect.signature(function).bind(*params)
    except TypeError as error:
        raise RpcError(INVALID_PARAMS, f"invalid parameters for {method}: {error}") from error


def quantity(value: Any) -> int:
    """An unsigned number of 256 bits: 0x-prefixed hex, or a JSON number."""
    number = -1
    if isinstance(value, int) and not isinstance(value, bool):
        number = value
    elif isinstance(value, str) and value[:2] in ("0x", "0X") and value[2:].isalnum():
        try:
            number = int(value[2:], 16)
        except ValueError:
            raise invalid("a quantity as 0x-prefixed hex", value) from None
    if not 0 <= number < _WORD_LIMIT:
        raise invalid("a quantity of 0 or more and below 2^256, as 0x-prefixed hex", value)
    return number


def byte_string(value: Any, length: int | None = None, what: str = "bytes") -> bytes:
    """0x-prefixed hex of the wanted length."""
    expected = f"{what} as 0x-prefixed hex" + ("" if length is None else f" of {length} bytes")
    if not isinstance(value, str) or value[:2] not in ("0x", "0X"):
        raise invalid(expected, value)
    try:
        data = bytes.fromhex(value[2:])
    except ValueError:
        raise invalid(expected, value) from None
    if length is not None and len(data) != length:
        raise invalid(expected, value)
    return data


def address(value: Any) -> bytes:
    """An address of 20 bytes."""
    return byte_string(value, 20, "an address")


def hash_text(value: Any) -> str:
    """A hash of 32 bytes, in lower case."""
    return hex_bytes(byte_string(value, 32, "a hash"))


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, Mapping):
        raise invalid(f"{what} as an object", value)
    return value


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise invalid("true or false", value)
    return value


def call_of(value: Any) -> Call:
    """The message that eth_call and eth_estimateGas describe."""
    fields = mapping(value, "a call")

    def given(*names: str) -> Any:
        return next((fields[name] for name in names if fields.get(name) is not None), None)

    data, to, sender = given("data", "input"), given("to"), given("from")
    gas, wei = given("gas"), given("value")
    return Call(
        to=None if to in (None, "", "0x") else address(to),
        data=b"" if data is None else byte_string(data, what="call data"),
        sender=b"\x00" * 20 if sender is None else address(sender),
        value=0 if wei is None else quantity(wei),
        gas=None if gas is None else quantity(gas) or None,
    )


@dataclass(frozen=True)
class LogQuery:
    """Which logs are asked for; empty `addresses`, or an empty topic position, takes any.

    Parameters
    ----------
    first, last : object
        Block tags as they came.
    block_hash : str or None
        One block instead of a range.
    """

    first: Any
    last: Any
    block_hash: str | None
    addresses: tuple[str, ...]
    topics: tuple[tuple[str, ...], ...]


def log_query(value: Any) -> LogQuery:
    """The object that eth_getLogs and eth_newFilter take."""
    fields = mapping(value, "a log filter")
    block_hash = fields.get("blockHash")
    if block_hash is not None and (fields.get("fromBlock") or fields.get("toBlock")):
        raise RpcError(INVALID_PARAMS, "a log filter has blockHash, or fromBlock and toBlock, not both")
    topics = fields.get("topics") or []
    if not isinstance(topics, list | tuple):
        raise invalid("topics as a list", topics)
    if len(topics) > _MAX_TOPICS:
        raise RpcError(INVALID_PARAMS, f"a log has at most 4 topics, the filter has {len(topics)}")
    return LogQuery(
        first=fields.get("fromBlock"),
        last=fields.get("toBlock"),
        block_hash=None if block_hash is None else hash_text(block_hash),
        addresses=tuple(hex_bytes(address(one)) for one in _several(fields.get("address"), "addresses")),
        topics=tuple(tuple(hash_text(one) for one in _several(t, "topics")) for t in topics),
    )


def _several(value: Any, what: str) -> Sequence[Any]:
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        raise invalid(f"one or a list of {what}", value)
    return value
