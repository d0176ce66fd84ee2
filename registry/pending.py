"""A change of shares that is announced on chain and not in force yet, from the split's events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from registry.events import Event, SharesCancelled, SharesScheduled, SharesSet


@dataclass(frozen=True)
class PendingShares:
    """An announced change. Shares of 1,000,000 by address; times in unix seconds.

    Parameters
    ----------
    epoch_now, epoch : int
        The table in force, and the one that follows.
    effective_from : int
        From when on it holds, by itself.
    """

    epoch_now: int
    epoch: int
    announced_at: int
    effective_from: int
    tx_hash: str
    now: Mapping[str, int]
    then: Mapping[str, int]

    def rows(self) -> list[tuple[str, int, int]]:
        """Address, share now and share then, of everybody in either table; whose share changes stands first."""
        everybody = [*self.now, *(a for a in self.then if a not in self.now)]
        found = [(a, self.now.get(a, 0), self.then.get(a, 0)) for a in everybody]
        return sorted(found, key=lambda row: row[1] == row[2])


def pending_shares(events: Iterable[Event], project_id: bytes, now: int) -> PendingShares | None:
    """The change that is announced at `now` (unix seconds); None where none is.

    Parameters
    ----------
    events : iterable of Event
        Of the split since the deployment, in chain order.
    """
    tables: dict[int, SharesSet] = {}
    scheduled: dict[int, SharesScheduled] = {}
    for event in events:
        if getattr(event, "project_id", None) != project_id:
            continue
        if isinstance(event, SharesSet):
            tables[event.epoch] = event
        elif isinstance(event, SharesScheduled):
            scheduled[event.epoch] = event
        elif isinstance(event, SharesCancelled):
            scheduled.pop(event.epoch, None)
    coming = [e for e in scheduled.values() if e.effective_from > now and e.epoch in tables]
    in_force = [e.epoch for e in scheduled.values() if e.effective_from <= now and e.epoch in tables]
    if not coming:
        return None
    told, current = coming[-1], max(in_force, default=0)
    return PendingShares(
        epoch_now=current,
        epoch=told.epoch,
        announced_at=told.block_time,
        effective_from=told.effective_from,
        tx_hash=told.tx_hash,
        now=_shares(tables[current]) if current else {},
        then=_shares(tables[told.epoch]),
    )


def _shares(table: SharesSet) -> dict[str, int]:
    return dict(zip(table.payees, table.shares, strict=True))
