"""On a team's parts (PostgreSQL, an object store that is no folder) the very same claim comes out and is issued."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import create_engine, text

from apps.demo.survey_files import DemoFiles
from flows import work
from flows.settings import Workspace
from tests.flows.conftest import PROJECT


@pytest.fixture
def team_ws(
    postgres_url: str, demo_files: DemoFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Workspace:
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE DATABASE team"))
    engine.dispose()
    monkeypatch.setenv("SATOYAMA_CATALOGUE_URL", postgres_url.replace("/postgres?", "/team?"))
    monkeypatch.setenv("SATOYAMA_OBJECTS_URL", f"memory://{uuid4().hex}")
    return work.init_workspace(tmp_path / "team", demo_files.project_toml)


def test_the_line_from_upload_to_issue_is_the_same_on_team_parts(
    approved_ws_claim: str, team_ws: Workspace, demo_files: DemoFiles
) -> None:
    for archive in demo_files.survey_zips:
        assert work.submit_survey(team_ws, archive).accepted
    assert not work.submit_survey(team_ws, demo_files.survey_zips[1]).accepted
    work.set_up_chain(team_ws)
    record = work.make_claim(team_ws, PROJECT)
    assert record.claim_id == approved_ws_claim
    work.approve(team_ws, record.claim_id)
    issued = work.issue(team_ws, record.claim_id)
    assert issued.event.gross_kg == record.claim.gross_kg
    assert work.watch(team_ws, PROJECT, demo_files.stac).alerts
    assert work.settle(team_ws, PROJECT).statement.revenue_total == 0
    assert work.indexed_events(team_ws) == work.open_port(team_ws).events()
    team_ws.catalogue.close()
    assert not (team_ws.root / "catalogue.sqlite").exists()
    assert not any((team_ws.root / "objects").iterdir())
