"""What every event of a contract carries: where it stands on the chain, and how it is written down."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Event:
    """Where and when an event happened. `block_time` in unix seconds."""

    block: int
    log_index: int
    tx_hash: str
    block_time: int

    contract: ClassVar[str]
    # Names of arguments that Python or the fields above have taken.
    renamed: ClassVar[dict[str, str]] = {}

    def to_doc(self) -> dict[str, Any]:
        """Plain document with the event's name under ``event``; bytes and token ids as 0x-hex text."""
        values = {field.name: _plain(field.name, getattr(self, field.name)) for field in fields(self)}
        return {"event": type(self).__name__, **values}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple):
        return [_plain(name, one) for one in value]
    # A token id has 256 bits; JSON readers elsewhere keep 53.
    return f"0x{value:064x}" if name == "id" else value
