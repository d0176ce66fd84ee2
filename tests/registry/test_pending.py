"""An announced change of shares, as payees are told of it: from the chain's events, the same on both chains."""

from __future__ import annotations

import pytest

from registry.events import SharesCancelled, SharesScheduled, event_from_doc
from registry.pending import PendingShares, pending_shares
from tests.registry.conftest import World

DAY = 86_400


def now(world: World) -> int:
    return world.port.head()[1]


def told(world: World, at: int | None = None) -> PendingShares | None:
    return pending_shares(world.port.events(), world.project, now(world) if at is None else at)


@pytest.fixture
def shared(world: World) -> World:
    """A project whose shares stand, and change with two weeks' notice."""
    admin = world["admin"]
    world.port.set_share_delay(admin, world.project, 14 * DAY)
    world.port.set_shares(
        admin, world.project, {world["seller"].address: 700_000, world["buyer"].address: 300_000}
    )
    return world


def change(world: World) -> None:
    shares = {world["seller"].address: 600_000, world["stranger"].address: 400_000}
    world.port.set_shares(world["admin"], world.project, shares)


def test_a_first_table_is_no_announcement(shared: World) -> None:
    assert told(shared) is None


def test_a_change_is_told_with_its_hour_and_everybodys_share_now_and_then(shared: World) -> None:
    change(shared)
    found = told(shared)
    assert found is not None and (found.epoch_now, found.epoch) == (1, 2)
    assert shared.port.pending_shares(shared.project) == (found.epoch, found.effective_from)
    assert found.effective_from - found.announced_at == 14 * DAY
    seller, buyer, stranger = (shared[r].address for r in ("seller", "buyer", "stranger"))
    assert sorted(found.rows()) == sorted(
        [(seller, 700_000, 600_000), (buyer, 300_000, 0), (stranger, 0, 400_000)]
    )
    assert told(shared, found.effective_from - 1) is not None
    assert told(shared, found.effective_from) is None, "it is in force"


def test_a_change_that_was_taken_back_is_told_no_more_and_the_next_one_is(shared: World) -> None:
    change(shared)
    shared.port.cancel_shares(shared["admin"], shared.project)
    assert told(shared) is None
    change(shared)
    found = told(shared)
    assert found is not None and (found.epoch_now, found.epoch) == (1, 3)


def test_announcements_are_among_the_indexed_events_and_read_back_as_they_were(shared: World) -> None:
    change(shared)
    shared.port.cancel_shares(shared["admin"], shared.project)
    ours = [
        e
        for e in shared.port.events()
        if isinstance(e, SharesScheduled | SharesCancelled) and e.project_id == shared.project
    ]
    assert [type(e).__name__ for e in ours] == ["SharesScheduled", "SharesScheduled", "SharesCancelled"]
    assert [event_from_doc(e.to_doc()) for e in ours] == ours
    assert isinstance(ours[-1], SharesCancelled) and ours[-1].by == shared["admin"].address
