"""What the chain says when it refuses, in words: custom errors decoded and explained in both languages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from models.errors import SatoyamaError
from registry import artifacts
from registry.abi import Signature, signatures, with_checksums
from registry.refusal_words import WORDS


class ChainRefused(SatoyamaError):
    """The chain refused a call or a transaction.

    Attributes
    ----------
    action : str
        What was asked, e.g. ``issue``.
    name : str
        Name of the contract's error (``Plot_AlreadySpent``), ``Error`` for a text, ``Panic``, or empty.
    arguments : dict
        The error's arguments by name.
    tx_hash : str or None
        The transaction, if it was mined; None if it was refused before it was sent.
    """

    def __init__(
        self,
        action: str,
        name: str,
        arguments: Mapping[str, Any],
        *,
        note: str = "",
        tx_hash: str | None = None,
    ) -> None:
        self.action = action
        self.name = name
        self.arguments = dict(arguments)
        self.note = note
        self.tx_hash = tx_hash
        en, ja = WORDS.get(name, ("", ""))
        shown = ", ".join(f"{key}={_shown(value)}" for key, value in self.arguments.items())
        code = f"[{name}({shown})]" if name else f"[{note or 'no reason given'}]"
        words = {key: _shown(value) for key, value in self.arguments.items()}
        super().__init__(
            en=f"The chain refused '{action}'. {en.format(**words)} {code}".replace("  ", " "),
            ja=f"チェーンが '{action}' を拒否しました。{ja.format(**words)} {code}",
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (_again, (type(self), self.action, self.name, self.arguments, self.note, self.tx_hash))


def _again(
    kind: type[ChainRefused],
    action: str,
    name: str,
    arguments: dict[str, Any],
    note: str,
    tx_hash: str | None,
) -> ChainRefused:
    return kind(action, name, arguments, note=note, tx_hash=tx_hash)


def refusal(action: str, data: bytes, *, note: str = "", tx_hash: str | None = None) -> ChainRefused:
    """The error for revert data of any of this project's contracts."""
    name, arguments = decode_error(data)
    return ChainRefused(action, name, arguments, note=note, tx_hash=tx_hash)


def decode_error(data: bytes) -> tuple[str, dict[str, Any]]:
    """Name and arguments of an error from its revert data; an empty name if it is none of ours."""
    known = _errors().get(bytes(data[:4]))
    if known is None:
        return "", ({"data": bytes(data)} if data else {})
    name, names, types = known
    try:
        values = decode(types, bytes(data[4:]))
    except DecodingError:
        return name, {"data": bytes(data)}
    return name, dict(zip(names, with_checksums(types, values), strict=True))


@cache
def _errors() -> dict[bytes, tuple[str, tuple[str, ...], tuple[str, ...]]]:
    builtin = (
        Signature("", "Error", ("message",), ("string",), (False,), ()),
        Signature("", "Panic", ("code",), ("uint256",), (False,), ()),
    )
    contracts = (*artifacts.CONTRACTS, "TimelockController")
    ours = (one for name in contracts for one in signatures(name, "error").values())
    return {one.digest[:4]: (one.name, one.names, one.types) for one in (*builtin, *ours)}


def _shown(value: Any) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
