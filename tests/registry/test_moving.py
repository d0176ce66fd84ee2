"""Refill, release on schedule, serial numbers, and the move of a project to a successor, on both chains."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from registry.court_events import MigrationAnnounced, SerialsEnded
from registry.deploy import Deployment, check_deployment, deploy_successor
from registry.events import event_from_doc, serials_of
from registry.moving import ReleaseOrder
from registry.port import ChainPort, Retirement
from registry.refusals import ChainRefused
from registry.verify_chain import check_chain
from tests.registry.clockwork import DAY, another, chains, court_world, roles_of, wait
from tests.registry.conftest import DEADLINE, Chain, World, sha

EVENT = Retirement("Hanako", "event")


@pytest.fixture(scope="module", params=["embedded", "anvil"])
def clock_chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    yield from chains(request.param, tmp_path_factory.mktemp("moving"))


@pytest.fixture
def world(clock_chain: Chain) -> World:
    return court_world(clock_chain, 0)


def statuses(port: ChainPort, world: World, claim: object) -> dict[str, str]:
    return {c.name: c.status for c in check_chain(port, claim)}  # type: ignore[arg-type]


def test_a_certificate_names_the_serials_it_used_up_and_none_is_named_twice(world: World) -> None:
    port, seller = world.port, world["seller"]
    start = port.head()[0] + 1
    batch = world.issue()
    first = port.retire(seller, batch.id, 100, EVENT)
    second = port.retire(seller, batch.id, 11, EVENT)
    events = port.events(start)
    assert serials_of(events, first.certificate_id) == (0, 100)
    assert serials_of(events, second.certificate_id) == (100, 111)
    assert serials_of(events, 10**9) is None
    state = port.batch_state(batch.id)
    assert (state.serial_next, state.serial_end) == (111, 9_000)
    assert sum(isinstance(e, SerialsEnded) for e in events) == 2


def test_a_deficit_is_refilled_with_anybodys_credits_and_no_more_than_it_is(world: World) -> None:
    port = world.port
    claim = world.claim()
    port.issue(world["issuer"], claim, world["verifier"].address, port.sign_claim(world["verifier"], claim))
    batch = port.batch(claim.batch_id)
    assert batch is not None
    assert port.reverse(world["guardian"], world.project, [batch.id], 2_000, sha("storm")).deficit_kg == 200
    with pytest.raises(ChainRefused, match="Refill_KgInvalid"):
        port.refill(world["seller"], world.project, batch.id, 201)
    done = port.refill(world["seller"], world.project, batch.id, 150)
    assert (done.kg, done.deficit_kg) == (150, 50)
    info = port.project(world.project)
    assert info is not None and info.deficit_kg == 50
    assert port.batch_state(batch.id).gone_kg == 150
    assert set(statuses(port, world, claim).values()) == {"passed"}


def order_of(world: World, token_id: int, kg: int, nonce: int) -> ReleaseOrder:
    return ReleaseOrder(
        token_id, kg, world["seller"].address, world["verifier"].address, nonce=nonce, deadline=DEADLINE
    )


def test_buffer_stays_whole_for_its_time_and_is_then_released_once_per_signature(clock_chain: Chain) -> None:
    world = court_world(clock_chain, 0)
    port = world.port
    batch = world.issue()
    order = order_of(world, batch.id, 100, 77_001)
    signature = port.sign_release(world["verifier"], order)
    if port.releasable(batch.id) == 0:
        with pytest.raises(ChainRefused, match="Release_KgInvalid"):
            port.release(world["guardian"], order, signature)
    wait(clock_chain, (3_653 + 1_826) * DAY)
    assert port.releasable(batch.id) == 1_800
    with pytest.raises(ChainRefused, match="Claim_SignatureInvalid"):
        port.release(world["guardian"], replace(order, kg=101), signature)
    with pytest.raises(ChainRefused, match="AccessControlUnauthorizedAccount"):
        port.release(world["seller"], order, signature)
    released = port.release(world["guardian"], order, signature)
    assert (released.kg, released.to) == (100, world["seller"].address)
    with pytest.raises(ChainRefused, match="Claim_NonceUsed"):
        port.release(world["guardian"], order, signature)
    assert port.balance(world["seller"].address, batch.id) == 7_300
    assert port.releasable(batch.id) == 1_700


@pytest.fixture
def own_world(clock_chain: Chain) -> World:
    """A project in contracts of the test's own, since a registry has one successor."""
    return court_world(another(clock_chain), 0)


def test_a_project_moves_to_a_successor_with_its_account_and_its_holders_follow(own_world: World) -> None:
    world, port = own_world, own_world.port
    admin, seller = world["admin"], world["seller"]
    claim = world.claim()
    port.issue(world["issuer"], claim, world["verifier"].address, port.sign_claim(world["verifier"], claim))
    batch = port.batch(claim.batch_id)
    assert batch is not None
    port.retire(seller, batch.id, 200, EVENT)

    next_one = deploy_successor(port.w3, admin, roles_of(world.chain.accounts), port.deployment)
    after = ChainPort(port.w3, next_one)
    assert {c.status for c in check_deployment(port.w3, next_one)} == {"passed"}
    assert Deployment.from_doc(next_one.to_doc()) == next_one

    (told,) = port.announce_migration(admin, [world.project], next_one.registry)
    assert isinstance(told, MigrationAnnounced) and event_from_doc(told.to_doc()) == told
    assert port.announce_migration(admin, [world.project], next_one.registry) == [], (
        "asked again, no new delay"
    )
    assert told.closes_at == port.closing(world.project).closes_at == told.block_time + 30 * DAY
    with pytest.raises(ChainRefused, match="Migration_NotInEffect"):
        port.migrate(seller, batch.id, 1)
    with pytest.raises(ChainRefused, match="Migration_Unsettled"):
        after.import_project(admin, world.project)
    (line,) = [c for c in check_chain(port, claim) if c.name == "chain.challenge"]
    assert line.status == "passed" and "closes here on" in line.detail_en

    wait(world.chain, 30 * DAY)
    imported = after.import_project(admin, world.project)
    assert imported is not None and (imported.gross_kg, imported.last_period_end) == (9_000, claim.period_end)
    assert after.import_project(admin, world.project) is None, "done before"
    moved = port.migrate(seller, batch.id, 5_000)
    assert moved.successor == next_one.registry
    assert after.import_batch(admin, batch.id) is None, "the first holder who moved took the buffer along"
    assert after.balance(seller.address, batch.id) == 5_000
    assert after.balance(next_one.registry, batch.id) == 1_800
    assert port.total_supply(batch.id) == 9_000 - 200 - 5_000 - 1_800
    (line,) = [c for c in check_chain(port, claim) if c.name == "chain.challenge"]
    assert line.status == "passed" and "5000 kg of this batch went there" in line.detail_en
    assert set(statuses(port, world, claim).values()) == {"passed"}
    port.retire(seller, batch.id, 1, EVENT)
    after.retire(seller, batch.id, 1, EVENT)

    with pytest.raises(ChainRefused, match="Project_Closed"):
        world.issue()
    there = replace(world, chain=replace(world.chain, port=after))
    following = there.claim()
    assert following.prior_gross_kg == 9_000
    signature = after.sign_claim(world["verifier"], following)
    after.issue(world["issuer"], following, world["verifier"].address, signature)
    assert after.spent_until(following.plot_keys[0]) == following.period_end


def test_what_is_announced_can_be_taken_back_until_it_is_in_effect(own_world: World) -> None:
    world, port = own_world, own_world.port
    next_one = deploy_successor(port.w3, world["admin"], roles_of(world.chain.accounts), port.deployment)
    port.announce_migration(world["admin"], [world.project], next_one.registry)
    assert port.migration().announced
    port.announce_migration(world["admin"], [world.project], None)
    assert not port.migration().announced and port.closing(world.project).closes_at == 0
    port.announce_migration(world["admin"], [world.project], next_one.registry)
    wait(world.chain, 30 * DAY)
    with pytest.raises(ChainRefused, match="Migration_Final"):
        port.announce_migration(world["admin"], [world.project], None)


def test_an_unknown_batch_in_a_successor_names_the_registry_before_it(own_world: World) -> None:
    world, port = own_world, own_world.port
    claim = world.claim()
    next_one = deploy_successor(port.w3, world["admin"], roles_of(world.chain.accounts), port.deployment)
    (line,) = [c for c in check_chain(ChainPort(port.w3, next_one), claim) if c.name == "chain.batch"]
    assert line.status == "failed" and port.deployment.registry in line.detail_en
