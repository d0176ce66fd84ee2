"""What the chain room needs from a store, as protocols; `flows.store` implements them and `apps` injects them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

OutboxState = Literal["planned", "sent", "mined"]


@dataclass(frozen=True)
class OutboxEntry:
    """One planned batch and how far it got.

    Parameters
    ----------
    batch_id : str
        ``0x`` and 64 hex digits; the key, so a batch can be planned once only.
    plan : dict
        The issuance plan's document.
    state : {"planned", "sent", "mined"}
        ``sent`` means a signed transaction is on record and may or may not have left; ``mined`` is final.
    tx_hash, raw_tx : str, optional
        Hash and bytes (hex) of the last transaction signed for it.
    receipt : dict, optional
        Block number, transaction hash and gas of the mined transaction.
    """

    batch_id: str
    plan: dict[str, Any]
    state: OutboxState
    tx_hash: str | None = None
    raw_tx: str | None = None
    receipt: dict[str, Any] | None = None


class Outbox(Protocol):
    """Durable record of what is to be issued; each method has committed when it returns."""

    def put_plan(self, batch_id: str, plan: dict[str, Any]) -> OutboxEntry:
        """Record the plan, or give back the entry already there for this batch id, unchanged."""
        ...

    def get(self, batch_id: str) -> OutboxEntry | None:
        """The entry of a batch."""
        ...

    def mark_sent(self, batch_id: str, tx_hash: str, raw_tx: str) -> None:
        """Record the signed transaction; called before it is sent."""
        ...

    def mark_mined(self, batch_id: str, receipt: dict[str, Any]) -> None:
        """Record that the batch is on the chain."""
        ...

    def reopen(self, batch_id: str) -> OutboxEntry:
        """Take back that a batch is mined, for one that the chain has dropped."""
        ...

    def withdraw(self, batch_id: str) -> None:
        """Forget a plan that was never sent or whose transaction can no longer be mined; KeyError if it is mined."""
        ...

    def pending(self) -> Sequence[OutboxEntry]:
        """Entries not mined yet, oldest first."""
        ...

    def mined_since(self, block: int) -> Sequence[OutboxEntry]:
        """Entries whose receipt states this block or a later one."""
        ...


class EventIndex(Protocol):
    """Chain events kept beside the catalogue, with the block up to which they were read."""

    def last_block(self, chain_id: int, registry: str) -> int | None:
        """Last block whose events are in the index; None before the first read."""
        ...

    def put(
        self,
        chain_id: int,
        registry: str,
        events: Iterable[dict[str, Any]],
        from_block: int,
        through_block: int,
    ) -> int:
        """Let the events from `from_block` on be these, in one transaction; how many were not there before."""
        ...


class ObjectSource(Protocol):
    """Stored bytes by digest."""

    def open(self, digest: str) -> AbstractContextManager[Path]:
        """A local path that holds the bytes named by ``sha256:<hex>``; KeyError if they are not stored."""
        ...
