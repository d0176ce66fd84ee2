"""An outbox in one JSON file: for a single user without a catalogue, and for tests."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from registry.ports import OutboxEntry, OutboxState


class JsonFileOutbox:
    """`registry.ports.Outbox` in one file, replaced as a whole at each change and synced to the disk.

    One process at a time: two that write at once would lose each other's entries.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def _read(self) -> dict[str, OutboxEntry]:
        if not self._path.exists():
            return {}
        docs = json.loads(self._path.read_text())
        return {doc["batch_id"]: OutboxEntry(**doc) for doc in docs}

    def _write(self, entry: OutboxEntry) -> OutboxEntry:
        self._replace({**self._read(), entry.batch_id: entry})
        return entry

    def _replace(self, entries: dict[str, OutboxEntry]) -> None:
        handle, name = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        with os.fdopen(handle, "w") as file:
            json.dump([asdict(one) for one in entries.values()], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, self._path)

    def put_plan(self, batch_id: str, plan: dict[str, Any]) -> OutboxEntry:
        """Record the plan, or give back the entry already there, unchanged."""
        known = self.get(batch_id)
        return known if known is not None else self._write(OutboxEntry(batch_id, plan, "planned"))

    def get(self, batch_id: str) -> OutboxEntry | None:
        """The entry of a batch."""
        return self._read().get(batch_id)

    def mark_sent(self, batch_id: str, tx_hash: str, raw_tx: str) -> None:
        """Record the signed transaction."""
        self._write(replace(self._read()[batch_id], state="sent", tx_hash=tx_hash, raw_tx=raw_tx))

    def take(self, batch_id: str, before: str | None, tx_hash: str, raw_tx: str) -> OutboxEntry:
        """Record signed bytes, if those on record are still `before`; what is on record then."""
        entry = self._read()[batch_id]
        if entry.raw_tx != before:
            return entry
        return self._write(replace(entry, state="sent", tx_hash=tx_hash, raw_tx=raw_tx))

    def mark_mined(self, batch_id: str, receipt: dict[str, Any]) -> None:
        """Record that the batch is on the chain."""
        self._write(replace(self._read()[batch_id], state="mined", receipt=receipt))

    def reopen(self, batch_id: str) -> OutboxEntry:
        """Take back that a batch is mined."""
        entry = self._read()[batch_id]
        state: OutboxState = "planned" if entry.raw_tx is None else "sent"
        return self._write(replace(entry, state=state, receipt=None))

    def withdraw(self, batch_id: str) -> None:
        """Forget a plan that is not mined."""
        entries = self._read()
        if entries[batch_id].state == "mined":
            raise KeyError(f"batch {batch_id} is mined and cannot be withdrawn")
        del entries[batch_id]
        self._replace(entries)

    def pending(self) -> Sequence[OutboxEntry]:
        """Entries not mined yet, oldest first."""
        return [entry for entry in self._read().values() if entry.state != "mined"]

    def mined_since(self, block: int) -> Sequence[OutboxEntry]:
        """Entries whose receipt states this block or a later one."""
        return [one for one in self._read().values() if one.receipt and one.receipt["block"] >= block]
