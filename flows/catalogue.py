"""The catalogue: a database of what a workspace holds, on SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, OperationalError
from sqlalchemy.orm import Session

from flows.tables import Base, ClaimRow, PlanRow, ProjectRow, StageRow, SurveyRow
from models.errors import SatoyamaError

HEAD = "0004"
BUSY_TIMEOUT_MS = 30_000
_MIGRATION_LOCK = 7_261_846
_READ_ONLY = "satoyama_read_only"
Row = TypeVar("Row")


class CatalogueError(SatoyamaError):
    """The catalogue cannot be opened, or has nothing of this name."""


class Catalogue:
    """Sessions on one database.

    `write` sessions are whole or not at all and, on SQLite, take the write lock at once, so that two processes
    never read the same state and then both change it. `read` sessions see one consistent state.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._reader = engine.execution_options(**{_READ_ONLY: True})

    @classmethod
    def open(cls, url: str) -> Self:
        """Open a database and bring its tables up to date.

        Parameters
        ----------
        url : str
            SQLAlchemy address (``sqlite:///file`` or ``postgresql+psycopg://…``).

        Raises
        ------
        CatalogueError
            If nobody answers at the address, or the tables are of a later version of this program.
        """
        try:
            engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
            if engine.dialect.name == "sqlite":
                _prepare_sqlite(engine)
            _bring_up_to_date(engine)
        except (OperationalError, ArgumentError, ModuleNotFoundError) as error:
            shown = _without_password(url)
            raise CatalogueError(
                en=f"The catalogue {shown} does not open ({type(error).__name__}). Start the database, or correct "
                "catalogue_url in satoyama.toml or SATOYAMA_CATALOGUE_URL.",
                ja=f"台帳データベース {shown} を開けません（{type(error).__name__}）。データベースを起動するか、"
                "satoyama.toml の catalogue_url または SATOYAMA_CATALOGUE_URL を直してください。",
            ) from error
        return cls(engine)

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits when the context ends well, and else leaves nothing behind."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session for reading only."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    def close(self) -> None:
        self.engine.dispose()

    def project_row(self, project_id: str) -> ProjectRow:
        """The project of this id; CatalogueError if there is none."""
        with self.read() as session:
            row = session.get(ProjectRow, project_id)
            known = [] if row else list(session.scalars(select(ProjectRow.project_id)))
        return _found(row, "project", "プロジェクト", project_id, known)

    def survey_row(self, survey_id: str) -> SurveyRow:
        """The accepted survey of this id; CatalogueError if there is none."""
        with self.read() as session:
            row = session.get(SurveyRow, survey_id)
            known = [] if row else list(session.scalars(select(SurveyRow.survey_id)))
        return _found(row, "survey", "調査", survey_id, known)

    def claim_row(self, claim_or_batch_id: str) -> ClaimRow:
        """The claim of this id, or the latest of this batch id; CatalogueError if there is none."""
        wanted = claim_or_batch_id.lower()
        bare = wanted.removeprefix("sha256:").removeprefix("0x")
        with self.read() as session:
            rows = list(session.scalars(select(ClaimRow).order_by(ClaimRow.made_at.desc())))
        for row in rows:
            ids = {i.removeprefix("sha256:").removeprefix("0x") for i in (row.claim_id, row.batch_id)}
            if bare in ids or wanted in (row.claim_id, row.batch_id):
                return row
        return _found(None, "claim or batch", "申請・バッチ", claim_or_batch_id, [r.batch_id for r in rows])

    def surveys_of(self, project_id: str) -> list[SurveyRow]:
        """Accepted surveys of a project, by day."""
        query = select(SurveyRow).where(SurveyRow.project_id == project_id)
        with self.read() as session:
            return list(session.scalars(query.order_by(SurveyRow.day, SurveyRow.survey_id)))

    def claims_of(self, project_id: str | None = None) -> list[ClaimRow]:
        """Claims of a project (or of all), in the order they were made."""
        query = select(ClaimRow).order_by(ClaimRow.made_at)
        if project_id is not None:
            query = query.where(ClaimRow.project_id == project_id)
        with self.read() as session:
            return list(session.scalars(query))

    def plans_of(self, project_id: str) -> list[PlanRow]:
        """Monitoring plans of a project, in the order they were stored."""
        query = select(PlanRow).where(PlanRow.project_id == project_id).order_by(PlanRow.stored_at)
        with self.read() as session:
            return list(session.scalars(query))

    def stage_row(self, inputs_digest: str) -> StageRow | None:
        """Stored result of a stage on these inputs, if any."""
        with self.read() as session:
            return session.get(StageRow, inputs_digest)

    def put_once(self, row: Base, key: Any) -> bool:
        """Store a row unless its key is there already; whether it was stored."""
        with self.write() as session:
            if session.get(type(row), key) is not None:
                return False
            session.add(row)
            return True


def _found(row: Row | None, kind_en: str, kind_ja: str, wanted: str, known: list[str]) -> Row:
    if row is not None:
        return row
    names = ", ".join(known) or "-"
    raise CatalogueError(
        en=f"No {kind_en} {wanted!r} in this workspace. Known: {names}.",
        ja=f"この作業場所に{kind_ja} {wanted!r} はありません。登録済み: {names}",
    )


def _without_password(url: str) -> str:
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(not a database address)"


def _prepare_sqlite(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: Any) -> None:
        # The driver's own transaction handling begins too late; SQLAlchemy's begin event below does it.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        read_only = connection.get_execution_options().get(_READ_ONLY, False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _bring_up_to_date(engine: Engine) -> None:
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        have = _version(connection)
        if have == HEAD:
            return
        if have is not None and have > HEAD:
            raise CatalogueError(
                en=f"The catalogue is of version {have}, this program knows {HEAD}. Use the newer program.",
                ja=f"台帳データベースの版は {have} ですが、このプログラムは {HEAD} までです。新しい版を使ってください。",
            )
        _migrate(connection)


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
