"""When a monitoring plan was fixed is read from the block that registered the project, not believed."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from registry.claimstruct import day_number
from registry.plan_anchor import check_plan, plan_in, project_uri
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
