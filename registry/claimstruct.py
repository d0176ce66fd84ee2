"""The claim as the verifier signs it and the chain checks it: EIP-712 typed data, field for field.

The field order is final; changing it breaks every signature ever made.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from itertools import pairwise
from typing import Any, Self

from eth_account import Account
from eth_account.messages import SignableMessage, encode_typed_data
from eth_utils.address import is_address, to_checksum_address
from eth_utils.crypto import keccak

from models.errors import SatoyamaError
from mrv.results import Claim
from registry.signer import Signer

DOMAIN_NAME = "SatoyamaCreditRegistry"
DOMAIN_VERSION = "1"
MAX_PLOT_KEYS = 256
_EPOCH = date(1970, 1, 1)

# Python name, Solidity name, Solidity type.
_LAYOUT = (
    ("project_id", "projectId", "bytes32"),
    ("batch_id", "batchId", "bytes32"),
    ("method_digest", "methodDigest", "bytes32"),
    ("plan_digest", "planDigest", "bytes32"),
    ("content_root", "contentRoot", "bytes32"),
    ("evidence_root", "evidenceRoot", "bytes32"),
    ("period_start", "periodStart", "uint32"),
    ("period_end", "periodEnd", "uint32"),
    ("vintage", "vintage", "uint16"),
    ("challenge_window", "challengeWindow", "uint32"),
    ("estimate_kg", "estimateKg", "uint64"),
    ("standard_error_kg", "standardErrorKg", "uint64"),
    ("deduction_kg", "deductionKg", "uint64"),
    ("prior_gross_kg", "priorGrossKg", "uint64"),
    ("compensated_kg", "compensatedKg", "uint64"),
    ("gross_kg", "grossKg", "uint64"),
    ("buffer_kg", "bufferKg", "uint64"),
    ("recipient", "recipient", "address"),
    ("plot_keys", "plotKeys", "bytes32[]"),
    ("nonce", "nonce", "uint256"),
    ("deadline", "deadline", "uint64"),
)


PLOT_KEY_PREFIX = "satoyama-plot-v1|"


class ClaimStructError(SatoyamaError):
    """A value does not fit the signed claim."""


@dataclass(frozen=True)
class ClaimStruct:
    """The claim that is signed. Kilograms CO2e; days since 1970-01-01 (half-open period); seconds.

    Raises
    ------
    ClaimStructError
        If a value does not fit its Solidity type, or the plot keys are not strictly ascending, 1 to 256.
    """

    project_id: bytes
    batch_id: bytes
    method_digest: bytes
    plan_digest: bytes
    content_root: bytes
    evidence_root: bytes
    period_start: int
    period_end: int
    vintage: int
    challenge_window: int
    estimate_kg: int
    standard_error_kg: int
    deduction_kg: int
    prior_gross_kg: int
    compensated_kg: int
    gross_kg: int
    buffer_kg: int
    recipient: str
    plot_keys: tuple[bytes, ...]
    nonce: int
    deadline: int

    def __post_init__(self) -> None:
        for name, _, kind in _LAYOUT:
            _check_fits(name, kind, getattr(self, name))
        keys = self.plot_keys
        if not 1 <= len(keys) <= MAX_PLOT_KEYS or any(a >= b for a, b in pairwise(keys)):
            raise ClaimStructError(
                en=f"Expected 1 to {MAX_PLOT_KEYS} plot keys in strictly ascending order, got {len(keys)}; "
                "a repeated or unsorted key is refused by the registry.",
                ja=f"区画キーは昇順・重複なしで 1〜{MAX_PLOT_KEYS} 件が必要です(受け取った数: {len(keys)})。",
            )

    @property
    def credited_kg(self) -> int:
        """What the recipient gets: gross less buffer."""
        return self.gross_kg - self.buffer_kg

    def to_tuple(self) -> tuple[Any, ...]:
        """The struct as web3 encodes it."""
        return tuple(
            list(value) if isinstance(value, tuple) else value
            for value in (getattr(self, name) for name, _, _ in _LAYOUT)
        )

    @classmethod
    def from_tuple(cls, values: tuple[Any, ...]) -> Self:
        """The struct as web3 decodes it."""
        named = dict(zip((name for name, _, _ in _LAYOUT), values, strict=True))
        return cls(**{**named, "plot_keys": tuple(bytes(key) for key in named["plot_keys"])})

    def to_doc(self) -> dict[str, Any]:
        """Plain document; whole numbers as text, since JSON has none beyond 2**53."""
        return {name: _to_plain(getattr(self, name)) for name, _, _ in _LAYOUT}

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        """Inverse of `to_doc`."""
        return cls(**{name: _from_plain(kind, doc[name]) for name, _, kind in _LAYOUT})

    def eip712(self, chain_id: int, registry: str) -> dict[str, Any]:
        """Typed data as wallets show and sign it."""
        return {
            "types": {
                "EIP712Domain": [
                    {"name": "name", "type": "string"},
                    {"name": "version", "type": "string"},
                    {"name": "chainId", "type": "uint256"},
                    {"name": "verifyingContract", "type": "address"},
                ],
                "Claim": [{"name": solidity, "type": kind} for _, solidity, kind in _LAYOUT],
            },
            "primaryType": "Claim",
            "domain": {
                "name": DOMAIN_NAME,
                "version": DOMAIN_VERSION,
                "chainId": chain_id,
                "verifyingContract": registry,
            },
            "message": {solidity: self._message(name) for name, solidity, _ in _LAYOUT},
        }

    def _message(self, name: str) -> Any:
        value = getattr(self, name)
        return list(value) if isinstance(value, tuple) else value

    def _signable(self, chain_id: int, registry: str) -> SignableMessage:
        return encode_typed_data(full_message=self.eip712(chain_id, registry))

    def digest(self, chain_id: int, registry: str) -> bytes:
        """The 32 bytes that are signed on this chain for this registry."""
        message = self._signable(chain_id, registry)
        return keccak(b"\x19" + message.version + message.header + message.body)

    def sign(self, verifier: Signer, chain_id: int, registry: str) -> bytes:
        """The verifier's 65-byte signature."""
        return bytes(verifier.sign_typed_data(full_message=self.eip712(chain_id, registry)).signature)

    def signer(self, signature: bytes, chain_id: int, registry: str) -> str:
        """Checksum address of the key that made `signature`."""
        return str(Account.recover_message(self._signable(chain_id, registry), signature=signature))

    @classmethod
    def from_claim(
        cls,
        claim: Claim,
        *,
        content_root: bytes | str,
        evidence_root: bytes | str,
        recipient: str,
        nonce: int,
        deadline: int,
        challenge_window: int = 0,
    ) -> Self:
        """The measured claim with what only the chain needs: roots, recipient, nonce, deadline (unix seconds)."""
        return cls(
            project_id=project_key(claim.project_id),
            batch_id=digest_of(claim.batch_id),
            method_digest=digest_of(claim.method_digest),
            plan_digest=digest_of(claim.plan_digest),
            content_root=digest_of(content_root),
            evidence_root=digest_of(evidence_root),
            period_start=day_number(claim.period_start),
            period_end=day_number(claim.period_end),
            vintage=claim.vintage,
            challenge_window=challenge_window,
            estimate_kg=claim.estimate_kg,
            standard_error_kg=claim.standard_error_kg,
            deduction_kg=claim.deduction_kg,
            prior_gross_kg=claim.prior_gross_kg,
            compensated_kg=claim.compensated_kg,
            gross_kg=claim.gross_kg,
            buffer_kg=claim.buffer_kg,
            recipient=to_checksum_address(recipient),
            plot_keys=tuple(sorted(plot_key(one) for one in claim.register_ids)),
            nonce=nonce,
            deadline=deadline,
        )


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - _EPOCH).days


def project_key(project_id: str) -> bytes:
    """Project id on chain: sha2-256 of the id's UTF-8 text."""
    return hashlib.sha256(project_id.encode()).digest()


def plot_key(identity: str) -> bytes:
    """Plot key on chain: sha2-256 of ``satoyama-plot-v1|<municipality code>|<forest register key>`` (ADR 0002).

    The boundary is no part of it: redrawing a plot must not make a new key.

    Parameters
    ----------
    identity : str
        Municipality code and register key as a claim holds them (林小班), joined by ``|``.
    """
    return hashlib.sha256(f"{PLOT_KEY_PREFIX}{identity}".encode()).digest()


def digest_of(value: bytes | str) -> bytes:
    """32 bytes from bytes, ``sha256:<hex>``, ``0x<hex>`` or plain hex.

    Raises
    ------
    ClaimStructError
        If it is anything else.
    """
    if isinstance(value, str):
        text = value.removeprefix("sha256:").removeprefix("0x")
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
    else:
        data = bytes(value)
    if len(data) != 32:
        raise ClaimStructError(
            en=f"Expected a 32-byte digest such as 'sha256:<64 hex digits>', got {value!r}.",
            ja=f"32バイトのダイジェスト(例 'sha256:<16進64桁>')が必要ですが、{value!r} でした。",
        )
    return data


def _check_fits(name: str, kind: str, value: Any) -> None:
    if kind.startswith("uint"):
        fits = type(value) is int and 0 <= value < 1 << int(kind[4:])
    elif kind == "address":
        fits = isinstance(value, str) and is_address(value)
    elif kind == "bytes32[]":
        fits = isinstance(value, tuple) and all(isinstance(v, bytes) and len(v) == 32 for v in value)
    else:
        fits = isinstance(value, bytes) and len(value) == 32
    if not fits:
        raise ClaimStructError(
            en=f"The claim's {name} must fit {kind} on chain, got {value!r}.",
            ja=f"クレームの {name} はチェーン上で {kind} に収まる必要がありますが、{value!r} でした。",
        )


def _to_plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, tuple):
        return [_to_plain(one) for one in value]
    return str(value)


def _from_plain(kind: str, value: Any) -> Any:
    if kind == "bytes32[]":
        return tuple(digest_of(one) for one in value)
    if kind == "bytes32":
        return digest_of(value)
    return int(value) if kind.startswith("uint") else str(value)


assert tuple(field.name for field in fields(ClaimStruct)) == tuple(name for name, _, _ in _LAYOUT)
