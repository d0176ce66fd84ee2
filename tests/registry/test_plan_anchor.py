"""When a monitoring plan was fixed is read from the block that registered the project, not believed."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from registry.claimstruct import day_number
from registry.events import ProjectRegistered
from registry.plan_anchor import anchor_change, anchored_plans, check_plan, plan_in, project_uri
from registry.refusals import ChainRefused
from registry.verify_chain import check_chain
from tests.registry.conftest import METHOD, World, sha


def test_a_projects_address_carries_its_plan_and_nothing_else_passes_for_one():
    assert plan_in(project_uri("owase", sha("plan"))) == sha("plan")
    for uri in ("satoyama:owase", "satoyama:owase?plan=0x12", f"x?plan=0x{'g' * 64}", f"x?plan=0x{'a' * 65}"):
        assert plan_in(uri) is None


def test_a_project_registered_without_a_plan_leaves_the_check_not_made(world: World) -> None:
    other = World(world.chain, "no-plan")
    world.port.register_project(world["admin"], other.project, METHOD, 2_000, 0, "https://example.org")
    (check,) = check_plan(world.port, other.claim())
    assert check.status == "not_made"
    assert "計画" in check.detail_ja


@pytest.mark.parametrize(
    ("registered_on", "proven"),
    [(date(2021, 1, 1), True), (date(2030, 1, 1), False)],
)
def test_the_day_it_was_put_there_is_told_beside_the_second_survey(
    world: World, monkeypatch: pytest.MonkeyPatch, registered_on: date, proven: bool
) -> None:
    moment = datetime(registered_on.year, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(type(world.port), "block_time", lambda self, block: int(moment.timestamp()))
    claim = world.claim(period_end=day_number(date(2025, 1, 1)))
    (check,) = check_plan(world.port, claim)
    assert check.status == "passed"
    assert ("not before the survey" in check.detail_en) is not proven
    assert str(registered_on) in check.detail_en


def put(world: World, name: str) -> int:
    """Put a plan for later periods on the chain; its number."""
    return anchor_change(world.port, world["admin"], "p", world.project, sha(name)).number


def test_a_later_plan_is_put_beside_the_first_once_and_in_order(world: World) -> None:
    assert [plan.digest for plan in anchored_plans(world.port, world.project)] == [sha("plan")]
    assert put(world, "second") == 1
    height = world.port.head()[0]
    assert put(world, "second") == 1 and world.port.head()[0] == height
    assert put(world, "third") == 2
    found = anchored_plans(world.port, world.project)
    assert [(plan.number, plan.digest) for plan in found] == [
        (0, sha("plan")),
        (1, sha("second")),
        (2, sha("third")),
    ]
    assert anchored_plans(world.port, sha("nobody")) == []


def test_nobody_but_the_administrator_puts_a_plan_there(world: World) -> None:
    with pytest.raises(ChainRefused, match="AccessControlUnauthorizedAccount"):
        anchor_change(world.port, world["issuer"], "p", world.project, sha("second"))


def test_a_survey_is_measured_by_the_newest_plan_of_a_day_before_it_and_by_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(world, "second")
    put(world, "third")
    blocks = [e.block for e in world.port.events() if isinstance(e, ProjectRegistered)][-3:]
    days = dict(zip(blocks, (date(2015, 1, 1), date(2016, 6, 1), date(2018, 6, 1)), strict=True))
    monkeypatch.setattr(type(world.port), "block_time", lambda self, block: _noon(days[block]))

    def told(name: str, end: date) -> str:
        claim = world.claim(period_end=day_number(end), plan_digest=sha(name))
        (check,) = check_plan(world.port, claim)
        return check.status

    assert told("plan", date(2016, 6, 1)) == "passed", "the second plan came on that very day"
    assert told("second", date(2016, 6, 1)) == "failed"
    assert told("second", date(2017, 6, 1)) == "passed" and told("plan", date(2017, 6, 1)) == "failed"
    assert told("third", date(2019, 6, 1)) == "passed" and told("second", date(2019, 6, 1)) == "failed"


def _noon(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())


def test_a_batch_may_go_on_by_a_plan_changed_since_but_not_by_one_left_behind(world: World) -> None:
    put(world, "second")

    def continues(plan: str) -> tuple[str, str]:
        claim = world.claim(plan_digest=sha(plan))
        signature = world.port.sign_claim(world["verifier"], claim)
        world.port.issue(world["issuer"], claim, world["verifier"].address, signature)
        (check,) = [c for c in check_chain(world.port, claim) if c.name == "chain.continues"]
        return check.status, check.detail_en

    assert continues("plan")[0] == "passed"
    status, text = continues("second")
    assert status == "passed" and "changed since" in text
    assert continues("plan")[0] == "failed"
    assert continues("a plan of nobody's")[0] == "failed"
