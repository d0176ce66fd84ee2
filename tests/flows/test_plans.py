"""A team plans anew between periods: fixed before the next survey's day, proven by the chain, and never for what was read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from apps.cli import main
from apps.demo.survey_files import DemoFiles
from flows import work
from flows.settings import Workspace
from flows.work import chainroom, plans, successor
from flows.work.plans import PlanChangeRefused
from mrv.project import MonitoringPlan
from registry.claimstruct import digest_of, project_key
from registry.plan_anchor import anchored_plans
from registry.verify_chain import check_chain
from tests.flows.conftest import PROJECT

LATER_DAY, WARNED = "2031-10-20", {"field_height_bias_um": 60_000}
CHANGE = """
[declared]
field_height_bias_um = 60000

[declared.shared_factor_cv_ppm]
karamatsu = 90000
"""
OnDay = Callable[[Workspace, str], None]


@pytest.fixture
def ws(demo_files: DemoFiles, tmp_path: Path) -> Workspace:
    """The first survey accepted, its plan on the chain."""
    made = work.init_workspace(tmp_path / "ws", demo_files.project_toml)
    assert work.submit_survey(made, demo_files.survey_zips[0]).accepted
    work.set_up_chain(made)
    assert work.anchor_plan(made, PROJECT) is None
    return made


@pytest.fixture
def change_file(tmp_path: Path) -> Path:
    file = tmp_path / "next-plan.toml"
    file.write_text(CHANGE)
    return file


@pytest.fixture
def later_survey(demo_files: DemoFiles, tmp_path: Path) -> Path:
    """The second survey as if it were flown years from now."""
    folder = tmp_path / "survey_later"
    shutil.copytree(demo_files.survey_folders[1], folder)
    manifest = folder / "survey.toml"
    text = manifest.read_text(encoding="utf-8")
    day = next(line for line in text.splitlines() if line.startswith("date ="))
    manifest.write_text(text.replace(day, f"date = {LATER_DAY}"), encoding="utf-8")
    return folder


@pytest.fixture
def in_2032(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    plain = chainroom.chain_config

    def go() -> None:
        monkeypatch.setattr(chainroom, "chain_config", lambda w: replace(plain(w), now=1_956_528_000))

    return go


def run(ws: Workspace, *arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(main, ["-w", str(ws.root), *arguments])
    assert result.exit_code == status, result.output
    return result


def doc(ws: Workspace, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(ws, "--json", *arguments).stdout)
    return found


def on_chain(ws: Workspace) -> list[bytes]:
    return [plan.digest for plan in anchored_plans(work.open_port(ws), project_key(PROJECT))]


def chain_lines(ws: Workspace, claim_id: str) -> dict[str, tuple[str, str]]:
    port = work.open_port(ws)
    event = port.issued(digest_of(work.claim_record(ws, claim_id).claim.batch_id))
    assert event is not None
    checks = check_chain(port, port.issue_call(event.tx_hash).claim)
    return {check.name: (check.status, check.detail_en) for check in checks}


def test_a_new_plan_holds_for_the_next_survey_and_the_chain_proves_it_came_first(
    ws: Workspace, change_file: Path, later_survey: Path, in_2032: Callable[[], None]
) -> None:
    first, _ = work.plan_of(ws, PROJECT)
    shown = run(ws, "plan", "change", str(change_file), "--show").output
    assert "shared_factor_cv_ppm.karamatsu: - -> 90000" in shown and "Nothing was stored" in shown
    assert on_chain(ws) == [digest_of(first.digest)]
    done = doc(ws, "plan", "change", str(change_file))
    assert done["stored_now"] and done["after_survey"] == first.first_survey_id
    again = doc(ws, "plan", "change", str(change_file))
    assert (
        again["digest"] == done["digest"]
        and not again["stored_now"]
        and again["from_day"] == done["from_day"]
    )
    assert on_chain(ws) == [digest_of(first.digest), digest_of(done["digest"])]

    assert work.submit_survey(ws, later_survey).accepted
    measured = work.measure(ws, PROJECT)
    assert measured.plan_digest == done["digest"]
    claim = work.make_claim(ws, PROJECT, measurement=measured)
    assert claim.claim.plan_digest == done["digest"]
    in_2032()
    work.give_test_yen(ws, "buyer", 1)  # a block, so that the chain's clock moves
    work.approve(ws, claim.claim_id)
    work.issue(ws, claim.claim_id)
    status, text = chain_lines(ws, claim.claim_id)["chain.plan"]
    assert (
        status == "passed" and "change 1 of the plan" in text and f"before the survey of {LATER_DAY}" in text
    )
    assert {status for status, _ in chain_lines(ws, claim.claim_id).values()} == {"passed"}
    (old, new) = doc(ws, "plan", "show")["plans"]
    assert old["surveys"] == [] and new["surveys"] == ["owase-demo-2025"] and new["anchored"]


def test_a_survey_of_a_day_before_the_plan_was_changed_stays_with_the_first(
    ws: Workspace, demo_files: DemoFiles
) -> None:
    first, _ = work.plan_of(ws, PROJECT)
    plans.change_plan(ws, PROJECT, WARNED)
    assert work.submit_survey(ws, demo_files.survey_zips[1]).accepted
    assert work.measure(ws, PROJECT).plan_digest == first.digest
    claim = work.make_claim(ws, PROJECT)
    work.approve(ws, claim.claim_id)
    work.issue(ws, claim.claim_id)
    assert chain_lines(ws, claim.claim_id)["chain.plan"][0] == "passed"


def test_a_survey_that_was_read_stays_with_its_plan_whatever_is_planned_after(approved_ws: Workspace) -> None:
    work.register_on_chain(approved_ws, PROJECT)
    before = work.measure(approved_ws, PROJECT)
    done = plans.change_plan(approved_ws, PROJECT, WARNED)
    assert done.stored_now and done.after_survey == "owase-demo-2025"
    after = work.measure(approved_ws, PROJECT)
    assert after.plan_digest == before.plan_digest and all(stage.reused for stage in after.stages)


def test_a_plan_not_used_yet_may_be_changed_again_and_the_newest_counts(
    ws: Workspace, later_survey: Path
) -> None:
    plans.change_plan(ws, PROJECT, WARNED)
    second = plans.change_plan(ws, PROJECT, {"field_height_bias_um": 70_000})
    assert len(on_chain(ws)) == 3 and second.anchored is not None and second.anchored.number == 2
    assert work.submit_survey(ws, later_survey).accepted
    assert work.plan_of(ws, PROJECT)[0] == second.plan


def test_killed_between_chain_and_catalogue_the_next_run_stores_what_the_chain_has(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> object:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(ws.catalogue), "put_once", die)
        with pytest.raises(KeyboardInterrupt):
            plans.change_plan(ws, PROJECT, WARNED)
    assert len(on_chain(ws)) == 2 and len(ws.catalogue.plans_of(PROJECT)) == 1
    done = plans.change_plan(ws, PROJECT, WARNED)
    assert done.stored_now and len(on_chain(ws)) == 2 and done.anchored is not None
    assert int(ws.catalogue.plans_of(PROJECT)[-1].stored_at.timestamp()) == done.anchored.block_time


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[plan]\nconfidence_ppm = 500001", "fixed for the life of a project"),
        ("[sample_plots]\nS1 = 'P1'", "fixed for the life of a project"),
        ("[declared]\nfield_weight = 1", "declared.field_weight"),
        ("", "nothing to change"),
        ("declared = 3", "nothing to change"),
        ("[declared", "cannot be read as TOML"),
        ("[declared]\nfield_height_bias_um = 1", "raised, not lowered"),
        ("[declared.shared_factor_cv_ppm]\nhinoki = 1", "raised, not lowered"),
        ("[declared.shared_factor_cv_ppm]\ntriffid = 90000", "No species triffid"),
        ("[declared]\nshared_factor_cv_ppm = 5", "whole number above zero"),
        ("[declared]\nfield_dbh_bias_um = 2.5", "whole number above zero"),
        ("[plan]\ninterval_ppm = 1000000", "whole number above zero"),
    ],
)
def test_what_may_not_change_is_refused_in_both_languages_and_nothing_is_stored(
    ws: Workspace, tmp_path: Path, text: str, word: str
) -> None:
    file = tmp_path / "next.toml"
    file.write_text(text)
    said = run(ws, "plan", "change", str(file), status=1).output
    assert word in said and any("぀" < letter < "鿿" for letter in said)
    assert len(ws.catalogue.plans_of(PROJECT)) == 1 and len(on_chain(ws)) == 1


def test_a_plan_that_was_left_is_not_gone_back_to(ws: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    plans.change_plan(ws, PROJECT, {"interval_ppm": 950_000})
    with pytest.raises(PlanChangeRefused, match="not gone back to"):
        plans.change_plan(ws, PROJECT, {"interval_ppm": 900_000})


def test_without_a_chain_a_plan_is_fixed_and_it_is_said_that_nothing_proves_it(
    demo_files: DemoFiles, tmp_path: Path, change_file: Path
) -> None:
    made = work.init_workspace(tmp_path / "bare", demo_files.project_toml)
    assert "no monitoring plan yet" in run(made, "plan", "change", str(change_file), status=1).output
    assert work.submit_survey(made, demo_files.survey_zips[0]).accepted
    assert "not on the chain" in run(made, "plan", "change", str(change_file)).output
    rows = made.catalogue.plans_of(PROJECT)
    assert len(rows) == 2 and MonitoringPlan.from_doc(rows[1].doc).declared.field_height_bias_um == 60_000
    stored = rows[1].stored_at
    # The chain that comes later proves it from its own day on.
    work.set_up_chain(made)
    done = plans.change_plan(made, PROJECT, plans.read_change(change_file))
    assert not done.stored_now and done.anchored is not None and done.anchored.number == 1
    assert made.catalogue.plans_of(PROJECT)[-1].stored_at >= stored - timedelta(seconds=1)


def test_a_changed_plan_goes_along_to_a_successor(
    ws: Workspace, monkeypatch: pytest.MonkeyPatch, change_file: Path
) -> None:
    done = doc(ws, "plan", "change", str(change_file))
    successor.prepare_successor(ws)
    successor.announce_move(ws)
    plain = chainroom.chain_config
    now = work.open_port(ws).head()[1] + 31 * 86_400
    monkeypatch.setattr(chainroom, "chain_config", lambda w: replace(plain(w), now=now))
    work.give_test_yen(ws, "buyer", 1)
    successor.adopt(ws)
    assert on_chain(ws)[-1] == digest_of(done["digest"]) and len(on_chain(ws)) == 2
