"""The compiled contracts: ABI and bytecode as committed, so that running needs neither Node nor a compiler."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

CONTRACTS = (
    "CreditRegistry",
    "RegistryDesk",
    "SuccessorRegistry",
    "SuccessorDesk",
    "CreditSale",
    "RevenueSplit",
    "ChallengeWindow",
    "DevYen",
)


@dataclass(frozen=True)
class Artifact:
    """One compiled contract.

    Parameters
    ----------
    name : str
    abi : list
    bytecode, deployed_bytecode : bytes
        Creation code and runtime code; immutables are zero in the latter.
    immutables : tuple of (start, length)
        Byte ranges of the runtime code that deployment fills in.
    digest : str
        ``sha256:<hex>`` of the artifact file.
    """

    name: str
    abi: list[dict[str, Any]]
    bytecode: bytes
    deployed_bytecode: bytes
    immutables: tuple[tuple[int, int], ...]
    digest: str


@cache
def load(name: str) -> Artifact:
    """The artifact of contract `name`."""
    data = files(__name__).joinpath(f"{name}.json").read_bytes()
    doc = json.loads(data)
    return Artifact(
        name=name,
        abi=doc["abi"],
        bytecode=_code(doc["bytecode"]),
        deployed_bytecode=_code(doc["deployedBytecode"]),
        immutables=_ranges(doc),
        digest="sha256:" + hashlib.sha256(data).hexdigest(),
    )


def _code(value: Any) -> bytes:
    text = value["object"] if isinstance(value, dict) else value
    return bytes.fromhex(text.removeprefix("0x"))


def _ranges(doc: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    deployed = doc["deployedBytecode"]
    references = doc.get("immutableReferences")
    if references is None and isinstance(deployed, dict):
        references = deployed.get("immutableReferences")
    return tuple(
        sorted((one["start"], one["length"]) for places in (references or {}).values() for one in places)
    )
