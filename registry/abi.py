"""Encoding of calls, results and logs of this project's contracts, from the committed ABIs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from registry import artifacts


@dataclass(frozen=True)
class Signature:
    """A function, event or error of a contract."""

    contract: str
    name: str
    names: tuple[str, ...]
    types: tuple[str, ...]
    indexed: tuple[bool, ...]
    outputs: tuple[str, ...]

    @property
    def digest(self) -> bytes:
        """Keccak-256 of the canonical signature: topic of an event, its first 4 bytes the selector otherwise."""
        return keccak(text=f"{self.name}({','.join(self.types)})")


@cache
def signatures(contract: str, kind: str) -> Mapping[str, Signature]:
    """Signatures of `kind` (``function``, ``event``, ``error``) of a contract, by name."""
    found: dict[str, Signature] = {}
    for entry in artifacts.load(contract).abi:
        if entry["type"] == kind:
            inputs, outputs = entry["inputs"], entry.get("outputs", [])
            found[entry["name"]] = Signature(
                contract,
                entry["name"],
                tuple(one["name"] for one in inputs),
                tuple(_type_of(one) for one in inputs),
                tuple(bool(one.get("indexed")) for one in inputs),
                tuple(_type_of(one) for one in outputs),
            )
    return found


def _type_of(entry: Mapping[str, Any]) -> str:
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(_type_of(one) for one in entry['components'])}){kind.removeprefix('tuple')}"


def encode_call(contract: str, function: str, *arguments: Any) -> bytes:
    """Call data of a function."""
    signature = signatures(contract, "function")[function]
    return signature.digest[:4] + encode(signature.types, arguments)


def decode_call(contract: str, data: bytes) -> tuple[str, tuple[Any, ...]] | None:
    """Function name and arguments of call data; None if it is no function of the contract."""
    for name, signature in signatures(contract, "function").items():
        if signature.digest[:4] == data[:4]:
            return name, with_checksums(signature.types, decode(signature.types, data[4:]))
    return None


def encode_constructor(contract: str, *arguments: Any) -> bytes:
    """Creation code with its arguments."""
    artifact = artifacts.load(contract)
    inputs: list[dict[str, Any]] = next((e["inputs"] for e in artifact.abi if e["type"] == "constructor"), [])
    return artifact.bytecode + encode([_type_of(one) for one in inputs], arguments)


def decode_result(contract: str, function: str, data: bytes) -> Any:
    """Result of a function: the value itself, or a tuple of several or of a struct's fields."""
    types = signatures(contract, "function")[function].outputs
    values = with_checksums(types, decode(types, data))
    return values[0] if len(values) == 1 else values


@cache
def event_of_topic(contract: str, topic: bytes) -> Signature | None:
    """The event whose logs carry this first topic."""
    return next((s for s in signatures(contract, "event").values() if s.digest == topic), None)


def decode_log(signature: Signature, topics: list[bytes], data: bytes) -> dict[str, Any]:
    """Arguments of an event by their Solidity names; indexed ones must be of fixed size."""
    plain = [t for t, indexed in zip(signature.types, signature.indexed, strict=True) if not indexed]
    plain_values = iter(decode(plain, data))
    topic_values = iter(topics[1:])
    values = tuple(
        decode([kind], next(topic_values))[0] if indexed else next(plain_values)
        for kind, indexed in zip(signature.types, signature.indexed, strict=True)
    )
    return dict(zip(signature.names, with_checksums(signature.types, values), strict=True))


def with_checksums(types: tuple[str, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The decoded values with addresses in checksum form."""
    return tuple(_checksummed(kind, value) for kind, value in zip(types, values, strict=True))


def _checksummed(kind: str, value: Any) -> Any:
    if kind == "address":
        return to_checksum_address(value)
    if kind == "address[]":
        return tuple(to_checksum_address(one) for one in value)
    if kind.startswith("(") and kind.endswith(")"):
        return with_checksums(_parts(kind), value)
    return value


@cache
def _parts(kind: str) -> tuple[str, ...]:
    # No struct of these contracts holds another struct.
    return tuple(kind[1:-1].split(","))
