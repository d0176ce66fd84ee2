"""The catalogue's side of the chain: the outbox of issuances and the index of events (`registry.ports`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, select

from flows.catalogue import Catalogue
from flows.settings import utc_now
from flows.tables import ActionRow, ChainCursorRow, ChainEventRow, OutboxRow
from registry.ports import OutboxEntry


class CatalogueOutbox:
    """Durable record of what is to be issued (`registry.ports.Outbox`); each method has committed when it returns."""

    def __init__(self, catalogue: Catalogue, clock: Callable[[], datetime] = utc_now) -> None:
        self._catalogue = catalogue
        self._clock = clock

    def put_plan(self, batch_id: str, plan: dict[str, Any]) -> OutboxEntry:
        """Record the plan, or give back the entry already there for this batch id, unchanged."""
        with self._catalogue.write() as session:
            row = session.get(OutboxRow, batch_id)
            if row is None:
                row = OutboxRow(batch_id=batch_id, plan=plan, state="planned", changed_at=self._clock())
                session.add(row)
            return _entry(row)

    def get(self, batch_id: str) -> OutboxEntry | None:
        """The entry of a batch."""
        with self._catalogue.read() as session:
            row = session.get(OutboxRow, batch_id)
            return None if row is None else _entry(row)

    def mark_sent(self, batch_id: str, tx_hash: str, raw_tx: str) -> None:
        """Record the signed transaction; called before it is sent."""
        self._change(batch_id, state="sent", tx_hash=tx_hash, raw_tx=raw_tx)

    def mark_mined(self, batch_id: str, receipt: dict[str, Any]) -> None:
        """Record that the batch is on the chain."""
        self._change(batch_id, state="mined", receipt=receipt)

    def reopen(self, batch_id: str) -> OutboxEntry:
        """Take back that a batch is mined, for one that the chain has dropped."""
        with self._catalogue.write() as session:
            row = session.get(OutboxRow, batch_id, with_for_update=True)
            if row is None:
                raise KeyError(f"no plan of batch {batch_id} is recorded")
            row.state, row.receipt = ("planned" if row.raw_tx is None else "sent"), None
            row.changed_at = self._clock()
            return _entry(row)

    def withdraw(self, batch_id: str) -> None:
        """Forget a plan that was never sent or whose transaction can no longer be mined; KeyError if it is mined."""
        with self._catalogue.write() as session:
            row = session.get(OutboxRow, batch_id, with_for_update=True)
            if row is None or row.state == "mined":
                raise KeyError(f"batch {batch_id} is mined or was never planned, and cannot be withdrawn")
            session.delete(row)

    def pending(self) -> Sequence[OutboxEntry]:
        """Entries not mined yet, oldest first."""
        query = select(OutboxRow).where(OutboxRow.state != "mined").order_by(OutboxRow.changed_at)
        with self._catalogue.read() as session:
            return [_entry(row) for row in session.scalars(query)]

    def mined_since(self, block: int) -> Sequence[OutboxEntry]:
        """Entries whose receipt states this block or a later one."""
        with self._catalogue.read() as session:
            rows = session.scalars(select(OutboxRow).where(OutboxRow.state == "mined"))
            return [_entry(row) for row in rows if row.receipt and row.receipt["block"] >= block]

    def mined(self) -> list[str]:
        """Batch ids that are on the chain."""
        with self._catalogue.read() as session:
            return list(session.scalars(select(OutboxRow.batch_id).where(OutboxRow.state == "mined")))

    def _change(self, batch_id: str, **values: Any) -> None:
        with self._catalogue.write() as session:
            row = session.get(OutboxRow, batch_id, with_for_update=True)
            if row is None:
                raise KeyError(f"no plan of batch {batch_id} was recorded before it was sent")
            for name, value in values.items():
                setattr(row, name, value)
            row.changed_at = self._clock()


class CatalogueActions:
    """Durable record of what is to be done once (`registry.actions.ActionLog`); each method has committed when it returns."""

    def __init__(self, catalogue: Catalogue, clock: Callable[[], datetime] = utc_now) -> None:
        self._catalogue = catalogue
        self._clock = clock

    def put_plan(self, batch_id: str, plan: dict[str, Any]) -> OutboxEntry:
        """Record the plan, or give back the entry already there under this key, unchanged."""
        with self._catalogue.write() as session:
            row = session.get(ActionRow, batch_id)
            if row is None:
                row = ActionRow(batch_id=batch_id, plan=plan, state="planned", changed_at=self._clock())
                session.add(row)
            return _entry(row)

    def take(self, batch_id: str, before: str | None, tx_hash: str, raw_tx: str) -> OutboxEntry:
        """Record signed bytes, if those on record are still `before`; what is on record then."""
        with self._catalogue.write() as session:
            row = session.get(ActionRow, batch_id, with_for_update=True)
            if row is None:
                raise KeyError(f"no plan of action {batch_id} was recorded before it was signed")
            if row.raw_tx == before:
                row.state, row.tx_hash, row.raw_tx, row.receipt = "sent", tx_hash, raw_tx, None
                row.changed_at = self._clock()
            return _entry(row)

    def mark_mined(self, batch_id: str, receipt: dict[str, Any]) -> None:
        """Record that it is done, and by which transaction."""
        with self._catalogue.write() as session:
            row = session.get(ActionRow, batch_id, with_for_update=True)
            if row is None:
                raise KeyError(f"no plan of action {batch_id} is recorded")
            if (row.state, row.receipt) != ("mined", receipt):
                row.state, row.receipt, row.changed_at = "mined", receipt, self._clock()

    def forget_unless(self, chain_id: int, kept: Callable[[OutboxEntry], bool]) -> None:
        """Forget the actions of a chain that are not to be kept; for one that was restored and has no pending transactions."""
        with self._catalogue.write() as session:
            for row in session.scalars(select(ActionRow)):
                if row.plan["chain_id"] == chain_id and not kept(_entry(row)):
                    session.delete(row)


def _entry(row: OutboxRow | ActionRow) -> OutboxEntry:
    state: Any = row.state
    return OutboxEntry(row.batch_id, dict(row.plan), state, row.tx_hash, row.raw_tx, row.receipt)


class CatalogueEvents:
    """Chain events kept in the catalogue, with the block up to which they were read (`registry.ports.EventIndex`)."""

    def __init__(self, catalogue: Catalogue, clock: Callable[[], datetime] = utc_now) -> None:
        self._catalogue = catalogue
        self._clock = clock

    def last_block(self, chain_id: int, registry: str) -> int | None:
        """Last block whose events are in the index; None before the first read."""
        with self._catalogue.read() as session:
            row = session.get(ChainCursorRow, (chain_id, registry))
            return None if row is None else row.last_block

    def read_at(self, chain_id: int, registry: str) -> tuple[int, datetime] | None:
        """Block and time at which the index was last read, for pages to state."""
        with self._catalogue.read() as session:
            row = session.get(ChainCursorRow, (chain_id, registry))
            return None if row is None else (row.last_block, row.read_at)

    def put(
        self,
        chain_id: int,
        registry: str,
        events: Iterable[dict[str, Any]],
        from_block: int,
        through_block: int,
    ) -> int:
        """Let the events from `from_block` on be these, in one transaction: what a reorganised chain dropped goes.

        Parameters
        ----------
        events : iterable of dict
            Each with ``event``, ``block``, ``tx_hash``, ``log_index``, ``block_time`` (unix seconds) and its own fields.

        Returns
        -------
        int
            How many were not there before.
        """
        here = (ChainEventRow.chain_id == chain_id, ChainEventRow.registry_address == registry)
        with self._catalogue.write() as session:
            cursor = session.get(ChainCursorRow, (chain_id, registry), with_for_update=True)
            query = select(ChainEventRow).where(*here, ChainEventRow.block >= from_block)
            before = {(row.tx_hash, row.log_index, row.block) for row in session.scalars(query)}
            session.execute(delete(ChainEventRow).where(*here, ChainEventRow.block >= from_block))
            rows = [_event_row(chain_id, registry, e) for e in events if e["block"] >= from_block]
            session.add_all(rows)
            if cursor is None:
                cursor = ChainCursorRow(chain_id=chain_id, registry_address=registry)
                session.add(cursor)
            cursor.last_block = through_block
            cursor.read_at = self._clock()
            return sum((row.tx_hash, row.log_index, row.block) not in before for row in rows)

    def append(
        self, chain_id: int, registry: str, events: Iterable[dict[str, Any]], through_block: int
    ) -> None:
        """Add the events of the blocks after the last up to `through_block`; earlier ones stay as they are."""
        last = self.last_block(chain_id, registry)
        start = 0 if last is None else last + 1
        self.put(chain_id, registry, events, start, max(through_block, start - 1))

    def forget(self, chain_id: int, registry: str) -> None:
        """Drop the index, so that it is read anew from the chain's first block."""
        with self._catalogue.write() as session:
            for table in (ChainEventRow, ChainCursorRow):
                session.execute(
                    delete(table).where(table.chain_id == chain_id, table.registry_address == registry)
                )

    def events(self, chain_id: int, registry: str, *names: str) -> list[ChainEventRow]:
        """Indexed events, of the given names or all, in chain order."""
        query = select(ChainEventRow).where(
            ChainEventRow.chain_id == chain_id, ChainEventRow.registry_address == registry
        )
        if names:
            query = query.where(ChainEventRow.name.in_(names))
        with self._catalogue.read() as session:
            return list(session.scalars(query.order_by(ChainEventRow.block, ChainEventRow.log_index)))


def _event_row(chain_id: int, registry: str, event: dict[str, Any]) -> ChainEventRow:
    return ChainEventRow(
        chain_id=chain_id,
        registry_address=registry,
        tx_hash=event["tx_hash"],
        log_index=event["log_index"],
        name=event["event"],
        block=event["block"],
        block_time=datetime.fromtimestamp(event["block_time"], UTC),
        doc=event,
    )
