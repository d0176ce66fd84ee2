"""The catalogue holds on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, inspect, text
from sqlalchemy.exc import IntegrityError

from flows.catalogue import Catalogue, CatalogueError
from flows.tables import Base, ClaimRow, PlanRow, ProjectRow

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone(timedelta(hours=9)))


def project(project_id: str = "owase") -> ProjectRow:
    return ProjectRow(project_id=project_id, doc={"名": "尾鷲"}, settings={}, registered_at=NOW)


def test_the_migration_makes_exactly_the_tables_of_the_models(catalogue: Catalogue) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with catalogue.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert set(Base.metadata.tables) <= set(inspect(connection).get_table_names())


def test_documents_and_times_come_back_as_they_went_in(catalogue: Catalogue) -> None:
    assert catalogue.put_once(project(), "owase")
    row = catalogue.project_row("owase")
    assert row.doc == {"名": "尾鷲"}
    assert row.registered_at == NOW and row.registered_at.tzinfo == UTC


def test_storing_twice_keeps_the_first(catalogue: Catalogue) -> None:
    catalogue.put_once(project(), "owase")
    again = project()
    again.doc = {}
    assert not catalogue.put_once(again, "owase")
    assert catalogue.project_row("owase").doc == {"名": "尾鷲"}


def test_a_time_without_a_zone_is_refused(catalogue: Catalogue) -> None:
    row = project()
    row.registered_at = datetime(2026, 11, 21)
    with pytest.raises(Exception, match="aware"):
        catalogue.put_once(row, "owase")


def test_a_failed_session_leaves_nothing(catalogue: Catalogue) -> None:
    twice = [project(), project()]
    with pytest.raises(IntegrityError), catalogue.write() as session:
        session.execute(
            insert(ProjectRow), [{c.key: getattr(p, c.key) for c in ProjectRow.__table__.c} for p in twice]
        )
    with pytest.raises(CatalogueError, match="owase"):
        catalogue.project_row("owase")


def test_a_plan_of_an_unknown_project_is_refused(catalogue: Catalogue) -> None:
    with pytest.raises(IntegrityError), catalogue.write() as session:
        session.add(PlanRow(digest="sha256:1", project_id="nobody", doc={}, stored_at=NOW))


def test_a_claim_is_found_by_claim_id_and_by_batch_id_however_written(catalogue: Catalogue) -> None:
    catalogue.put_once(project(), "owase")
    row = ClaimRow(
        claim_id="sha256:aa",
        project_id="owase",
        batch_id="sha256:bb",
        doc={},
        surveys=[],
        outputs={},
        made_at=NOW,
    )
    catalogue.put_once(row, "sha256:aa")
    for written in ("sha256:aa", "sha256:bb", "0xBB", "bb"):
        assert catalogue.claim_row(written).claim_id == "sha256:aa"
    with pytest.raises(CatalogueError, match="No claim or batch"):
        catalogue.claim_row("b")


def test_several_processes_may_open_a_new_catalogue_at_once(catalogue_url: str) -> None:
    code = "import sys; from flows.catalogue import Catalogue; Catalogue.open(sys.argv[1]).claims_of()"
    started = [subprocess.Popen([sys.executable, "-c", code, catalogue_url]) for _ in range(3)]
    assert [p.wait(60) for p in started] == [0, 0, 0]


def test_a_catalogue_of_a_later_version_is_refused(catalogue_url: str) -> None:
    first = Catalogue.open(catalogue_url)
    with first.engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    first.close()
    with pytest.raises(CatalogueError, match="9999"):
        Catalogue.open(catalogue_url)


def test_an_unreachable_database_is_named_without_its_password() -> None:
    with pytest.raises(CatalogueError) as caught:
        Catalogue.open("postgresql+psycopg://u:hush@127.0.0.1:1/none?connect_timeout=2")
    assert "127.0.0.1" in caught.value.en and "hush" not in str(caught.value)
