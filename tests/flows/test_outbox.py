"""The outbox and the event index keep their word on both databases, and across processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from flows.catalogue import Catalogue
from flows.outbox import CatalogueEvents, CatalogueOutbox

BATCH = "0x" + "ab" * 32
ADDRESS = "0x" + "11" * 20


def event(block: int, log_index: int = 0, name: str = "BatchIssued") -> dict[str, object]:
    return {
        "event": name,
        "block": block,
        "tx_hash": f"0x{block:064x}",
        "log_index": log_index,
        "block_time": 1_700_000_000 + block,
        "amount": str(2**200),
    }


def test_a_batch_is_planned_once_and_the_first_plan_stands(catalogue: Catalogue) -> None:
    outbox = CatalogueOutbox(catalogue)
    assert outbox.get(BATCH) is None
    assert outbox.put_plan(BATCH, {"kg": 1}).plan == {"kg": 1}
    assert outbox.put_plan(BATCH, {"kg": 2}).plan == {"kg": 1}
    assert [e.batch_id for e in outbox.pending()] == [BATCH]


def test_an_entry_goes_from_planned_to_sent_to_mined(catalogue: Catalogue) -> None:
    outbox = CatalogueOutbox(catalogue)
    outbox.put_plan(BATCH, {})
    outbox.mark_sent(BATCH, "0x01", "0x02f8")
    entry = outbox.get(BATCH)
    assert entry is not None and (entry.state, entry.tx_hash, entry.raw_tx) == ("sent", "0x01", "0x02f8")
    outbox.mark_mined(BATCH, {"block": 7})
    entry = outbox.get(BATCH)
    assert entry is not None and (entry.state, entry.receipt) == ("mined", {"block": 7})
    assert outbox.pending() == []


def test_nothing_is_sent_that_was_not_planned(catalogue: Catalogue) -> None:
    with pytest.raises(KeyError):
        CatalogueOutbox(catalogue).mark_sent(BATCH, "0x01", "0x02")


def test_what_was_committed_survives_a_kill(catalogue: Catalogue, catalogue_url: str) -> None:
    code = (
        "import os, signal, sys\n"
        "from flows.catalogue import Catalogue\n"
        "from flows.outbox import CatalogueOutbox\n"
        f"outbox = CatalogueOutbox(Catalogue.open(sys.argv[1])); outbox.put_plan({BATCH!r}, {{}})\n"
        f"outbox.mark_sent({BATCH!r}, '0x01', '0x02')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, catalogue_url], timeout=60, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    entry = CatalogueOutbox(catalogue).get(BATCH)
    assert entry is not None and entry.state == "sent"


def test_events_are_indexed_once_in_chain_order_and_the_block_is_remembered(catalogue: Catalogue) -> None:
    index = CatalogueEvents(catalogue)
    assert index.last_block(1337, ADDRESS) is None
    index.append(1337, ADDRESS, [event(4, 1, "Retired"), event(4, 0), event(2)], 5)
    index.append(1337, ADDRESS, [event(4, 0), event(6)], 6)
    assert index.last_block(1337, ADDRESS) == 6
    assert [(e.block, e.log_index) for e in index.events(1337, ADDRESS)] == [(2, 0), (4, 0), (4, 1), (6, 0)]
    assert [e.doc["amount"] for e in index.events(1337, ADDRESS, "Retired")] == [str(2**200)]
    assert index.events(1, ADDRESS) == []


def test_a_failed_reading_leaves_the_cursor_where_it_was(catalogue: Catalogue) -> None:
    index = CatalogueEvents(catalogue)
    index.append(1337, ADDRESS, [event(2)], 2)
    broken = {"event": "Sold", "block": 3}
    with pytest.raises(KeyError):
        index.append(1337, ADDRESS, [event(3), broken], 9)
    assert index.last_block(1337, ADDRESS) == 2
    assert len(index.events(1337, ADDRESS)) == 1


def test_what_a_reorganised_chain_dropped_leaves_the_index_and_what_it_brought_is_counted(
    catalogue: Catalogue,
) -> None:
    index = CatalogueEvents(catalogue)
    assert index.put(1337, ADDRESS, [event(2), event(5), event(6)], 0, 6) == 3
    assert index.put(1337, ADDRESS, [event(5), event(7)], 4, 7) == 1
    assert [e.block for e in index.events(1337, ADDRESS)] == [2, 5, 7]
    assert index.put(1337, ADDRESS, [event(5), event(7)], 4, 7) == 0
    assert index.last_block(1337, ADDRESS) == 7
    index.forget(1337, ADDRESS)
    assert index.last_block(1337, ADDRESS) is None and index.events(1337, ADDRESS) == []


def test_a_batch_that_the_chain_has_dropped_is_pending_again(catalogue: Catalogue) -> None:
    outbox = CatalogueOutbox(catalogue)
    outbox.put_plan(BATCH, {})
    outbox.mark_mined(BATCH, {"block": 7})
    assert [e.batch_id for e in outbox.mined_since(7)] == [BATCH] and outbox.mined_since(8) == []
    assert outbox.reopen(BATCH).state == "planned"
    outbox.mark_sent(BATCH, "0x01", "0x02")
    outbox.mark_mined(BATCH, {"block": 9})
    entry = outbox.reopen(BATCH)
    assert (entry.state, entry.raw_tx, entry.receipt) == ("sent", "0x02", None)
    assert outbox.pending() == [entry] and outbox.mined_since(0) == []
