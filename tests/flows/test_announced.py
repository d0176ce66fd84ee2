"""Payees see an announced change of shares and its day: in the statements, on the project's page, and on paper."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from apps.cli import main
from apps.cli.payouts import JST
from apps.web.reads import Reader
from flows import work
from flows.definition import Payee
from flows.settings import Workspace
from flows.tables import ProjectRow
from flows.work import sharing
from tests.conftest import need
from tests.flows.conftest import PROJECT

DELAY_S = 14 * 86_400
PAYEES = (
    Payee("treasury", "Co-op treasury", "組合会計", 650_000),
    Payee("owner", "Owner", "所有者", 200_000, plots=tuple(f"P{n}" for n in range(1, 8))),
    Payee("neighbour", "Neighbour", "隣の所有者", 150_000, plots=("P8",)),
)


@pytest.fixture
def ws(approved_ws: Workspace) -> Workspace:
    """The fixed table in force, and shares by what grew announced for in two weeks."""
    before = work.definition_of_project(approved_ws, PROJECT)
    definition = replace(before, payees=PAYEES, sharing="net_change", share_delay_s=DELAY_S)
    with approved_ws.catalogue.write() as session:
        session.execute(update(ProjectRow).values(settings=definition.settings_doc()))
    work.register_on_chain(approved_ws, PROJECT)
    sharing.share_out(approved_ws, PROJECT)
    return approved_ws


def test_every_household_sees_what_it_has_now_and_will_have(ws: Workspace) -> None:
    found = sharing.announced_change(ws, PROJECT)
    coming = sharing.announced(ws, PROJECT)
    assert found is not None and coming is not None and (found.epoch, found.effective_from) == coming
    table = sharing.share_table(ws, PROJECT).by_payee()
    assert {who: (now, then) for who, now, then in found.rows} == {
        p.payee_id: (p.share_ppm, table[p.payee_id]) for p in PAYEES
    }
    assert found.row("nobody") is None


def test_the_statements_tell_of_it_in_words_and_to_scripts(ws: Workspace) -> None:
    run = CliRunner()
    for verb in (["statement"], ["payout", "statement"]):
        said = run.invoke(main, ["-w", str(ws.root), *verb])
        assert said.exit_code == 0 and "Announced: from" in said.output and "treasury" in said.output
        doc = json.loads(run.invoke(main, ["-w", str(ws.root), "--json", *verb]).stdout)
        assert doc["announced"]["epoch"] == 2 and len(doc["announced"]["rows"]) == 3
    japanese = run.invoke(main, ["-w", str(ws.root), "--lang", "ja", "payout", "statement"])
    assert "予告" in japanese.output


def test_the_projects_page_and_the_papers_tell_of_it_until_it_is_cancelled(
    ws: Workspace, tmp_path: Path
) -> None:
    work.index_events(ws)
    sheet = Reader(ws).project(PROJECT).statement
    coming = sharing.announced(ws, PROJECT)
    assert sheet is not None and sheet.announced is not None and coming is not None
    assert sheet.announced.effective_from == coming[1]
    names = {line.name.en for line in sheet.announced.lines}
    assert names == {p.name_en for p in PAYEES}
    assert sum(line.then_ppm for line in sheet.announced.lines) == 1_000_000
    paper = tmp_path / "papers"
    said = CliRunner().invoke(
        main, ["-w", str(ws.root), "statement", "--pdf", str(tmp_path / "s.pdf")], catch_exceptions=False
    )
    assert said.exit_code == 0 and (tmp_path / "s.pdf").stat().st_size > 1_000
    said = CliRunner().invoke(main, ["-w", str(ws.root), "payout", "statement", "--pdf", str(paper)])
    assert said.exit_code == 0 and len(list(paper.glob("*.pdf"))) == 3

    port = work.open_port(ws)
    port.cancel_shares(work.accounts(ws).load("admin"), port.events()[0].project_id)  # type: ignore[attr-defined]
    work.index_events(ws)
    sheet = Reader(ws).project(PROJECT).statement
    assert sheet is not None and sheet.announced is None
    assert sharing.announced_change(ws, PROJECT) is None


def test_the_page_shows_the_table_in_both_languages(ws: Workspace) -> None:
    from fastapi.testclient import TestClient

    from apps.web import create_app

    client = TestClient(create_app(ws))
    assert "Announced change of shares" in client.get(f"/projects/{PROJECT}").text
    assert "予告された配分の変更" in client.get(f"/projects/{PROJECT}?lang=ja").text


def test_the_papers_name_the_day_and_both_shares(ws: Workspace, tmp_path: Path) -> None:
    program, run = need("pdftotext"), CliRunner()
    found = sharing.announced_change(ws, PROJECT)
    assert found is not None
    day = f"{found.effective_from.astimezone(JST):%Y}年"
    for arguments, name in (
        (["statement", "--pdf", str(tmp_path / "s.pdf")], "s.pdf"),
        (["payout", "statement", "--pdf", str(tmp_path)], "owner.pdf"),
    ):
        assert run.invoke(main, ["-w", str(ws.root), *arguments]).exit_code == 0
        text = subprocess.run(
            [program, "-layout", str(tmp_path / name), "-"], check=True, capture_output=True, text=True
        ).stdout
        assert "予告" in text and day in text and "20 %" in text
