"""What happened on the chain, as frozen values: each event with its block, time and transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

from registry.abi import decode_log, event_of_topic
from registry.court_events import COURT_EVENTS, BatchAnnulled, BatchFrozen, BatchThawed, SerialsEnded
from registry.eventbase import Event as Event


@dataclass(frozen=True)
class ProjectRegistered(Event):
    """A project was opened. `min_buffer_bps` in 1/10000; `challenge_window` in seconds."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    method_digest: bytes
    min_buffer_bps: int
    challenge_window: int
    uri: str


@dataclass(frozen=True)
class ProjectPaused(Event):
    """Issues and transfers of a project were stopped."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    by: str


@dataclass(frozen=True)
class ProjectUnpaused(Event):
    """Issues and transfers of a project go on."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    by: str


@dataclass(frozen=True)
class BatchIssued(Event):
    """A batch was minted. Kilograms CO2e; periods in days since 1970-01-01, half-open."""

    contract: ClassVar[str] = "CreditRegistry"
    batch_id: bytes
    project_id: bytes
    id: int
    content_root: bytes
    evidence_root: bytes
    period_start: int
    period_end: int
    vintage: int
    estimate_kg: int
    standard_error_kg: int
    deduction_kg: int
    gross_kg: int
    buffer_kg: int
    recipient: str
    verifier: str
    plot_keys: tuple[bytes, ...]
    claim_digest: bytes


@dataclass(frozen=True)
class Retired(Event):
    """Credits were retired; this event is the certificate."""

    contract: ClassVar[str] = "CreditRegistry"
    certificate_id: int
    id: int
    account: str
    kg: int
    beneficiary: str
    purpose: str
    country: bytes
    consumption_start: int
    consumption_end: int


@dataclass(frozen=True)
class Reversed(Event):
    """A loss of stored carbon was recorded: what the buffer covered, and what is owed."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    reason_digest: bytes
    by: str
    kg: int
    buffer_burned_kg: int
    deficit_added_kg: int
    deficit_kg: int


@dataclass(frozen=True)
class DeficitMadeGood(Event):
    """An issue showed that the stand stores again all that was ever credited."""

    contract: ClassVar[str] = "CreditRegistry"
    project_id: bytes
    kg: int


@dataclass(frozen=True)
class Listed(Event):
    """Credits were put up for sale. `price_per_tonne` in base units of the token per 1000 kg."""

    contract: ClassVar[str] = "CreditSale"
    listing_id: int
    id: int
    seller: str
    kg: int
    token: str
    price_per_tonne: int
    project_id: bytes


@dataclass(frozen=True)
class Sold(Event):
    """Credits were bought. `cost` in base units of the token."""

    contract: ClassVar[str] = "CreditSale"
    listing_id: int
    id: int
    buyer: str
    kg: int
    token: str
    cost: int
    project_id: bytes


@dataclass(frozen=True)
class RetiredForBuyer(Event):
    """Bought credits were retired at once. The certificate's account is the sale; this says for which buyer."""

    contract: ClassVar[str] = "CreditSale"
    listing_id: int
    certificate_id: int
    buyer: str
    id: int
    kg: int


@dataclass(frozen=True)
class Cancelled(Event):
    """What was unsold went back to the seller."""

    contract: ClassVar[str] = "CreditSale"
    listing_id: int
    kg: int


@dataclass(frozen=True)
class SharesSet(Event):
    """From here on deposits of the project are split so; shares of 1,000,000."""

    contract: ClassVar[str] = "RevenueSplit"
    project_id: bytes
    epoch: int
    payees: tuple[str, ...]
    shares: tuple[int, ...]


@dataclass(frozen=True)
class SharesScheduled(Event):
    """A share table's time was set: in force from `effective_from` (unix seconds) on, at once for a project's first."""

    contract: ClassVar[str] = "RevenueSplit"
    project_id: bytes
    epoch: int
    effective_from: int


@dataclass(frozen=True)
class SharesCancelled(Event):
    """An announced share table was taken back before it was in force."""

    contract: ClassVar[str] = "RevenueSplit"
    project_id: bytes
    epoch: int
    by: str


@dataclass(frozen=True)
class Deposited(Event):
    """Revenue came in, in base units of the token. ``payer`` is the contract's ``from``."""

    contract: ClassVar[str] = "RevenueSplit"
    renamed: ClassVar[dict[str, str]] = {"from": "payer"}
    project_id: bytes
    token: str
    payer: str
    epoch: int
    amount: int


@dataclass(frozen=True)
class Claimed(Event):
    """A payee was paid, in base units of the token."""

    contract: ClassVar[str] = "RevenueSplit"
    project_id: bytes
    token: str
    payee: str
    amount: int


EVENTS: Mapping[str, type[Event]] = {
    kind.__name__: kind
    for kind in (
        ProjectRegistered,
        ProjectPaused,
        ProjectUnpaused,
        BatchIssued,
        Retired,
        Reversed,
        DeficitMadeGood,
        Listed,
        Sold,
        RetiredForBuyer,
        Cancelled,
        SharesSet,
        SharesScheduled,
        SharesCancelled,
        Deposited,
        Claimed,
        *COURT_EVENTS,
    )
}


def decode_event(contract: str, log: Mapping[str, Any], block_time: int) -> Event | None:
    """The event of a JSON-RPC log of `contract`; None for logs that are not of interest (transfers, roles)."""
    topics = [bytes(topic) for topic in log["topics"]]
    signature = event_of_topic(contract, topics[0]) if topics else None
    kind = EVENTS.get(signature.name) if signature else None
    if signature is None or kind is None or kind.contract != contract:
        return None
    arguments = decode_log(signature, topics, bytes(log["data"]))
    return kind(
        block=int(log["blockNumber"]),
        log_index=int(log["logIndex"]),
        tx_hash="0x" + bytes(log["transactionHash"]).hex(),
        block_time=block_time,
        **{kind.renamed.get(name, _snake(name)): value for name, value in arguments.items()},
    )


def retirements(events: Iterable[Event]) -> list[Retired]:
    """Certificates in chain order; the account of one that was bought and retired at once is the buyer's."""
    known = list(events)
    buyers = {e.certificate_id: e.buyer for e in known if isinstance(e, RetiredForBuyer)}
    return [
        replace(e, account=buyers.get(e.certificate_id, e.account)) for e in known if isinstance(e, Retired)
    ]


def serials_of(events: Iterable[Event], certificate_id: int) -> tuple[int, int] | None:
    """Serial numbers ``[first, end)`` of their batch that a certificate has used up; None where none were told."""
    for event in events:
        if isinstance(event, SerialsEnded) and certificate_id and event.certificate_id == certificate_id:
            return event.first, event.end
    return None


def standing_of(events: Iterable[Event], token_id: int) -> str:
    """``"challenged"`` or ``"annulled"`` where the last word on a batch says so, else ``""``."""
    said: dict[type[Event], str] = {BatchFrozen: "challenged", BatchThawed: "", BatchAnnulled: "annulled"}
    last = ""
    for event in events:
        if type(event) in said and getattr(event, "id", None) == token_id:
            last = said[type(event)]
    return last


def event_from_doc(doc: Mapping[str, Any]) -> Event:
    """Inverse of `Event.to_doc`."""
    kind = EVENTS[doc["event"]]
    types = {field.name: str(field.type) for field in fields(kind)}
    return kind(**{name: _unplain(kind_text, name, doc[name]) for name, kind_text in types.items()})


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match[1].lower(), name)


def _unplain(kind: str, name: str, value: Any) -> Any:
    if kind.startswith("tuple"):
        inner = kind.removeprefix("tuple[").removesuffix(", ...]")
        return tuple(_unplain(inner, name, one) for one in value)
    if kind == "bytes":
        return bytes.fromhex(value[2:])
    return int(value, 16) if name == "id" else value
