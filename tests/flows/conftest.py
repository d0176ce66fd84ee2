"""Fixtures of the store's tests: a workspace, and the catalogue on both databases."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.demo import survey_files
from apps.demo.definition import Scenario
from apps.demo.survey_files import DemoFiles
from flows import work
from flows.catalogue import Catalogue
from flows.settings import Workspace
from tests.conftest import need

POSTGRES_BINARIES = tuple(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "ws")


def _as_postgres(command: list[str]) -> list[str]:
    # PostgreSQL refuses to run as root.
    return (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
        if os.geteuid() == 0
        else command
    )


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL cluster of our own in a temporary folder, reached by a socket there."""
    initdb = Path(need("initdb", also=tuple(b / "initdb" for b in POSTGRES_BINARIES))).resolve()
    folder = Path(tempfile.mkdtemp(prefix="satoyama-pg-", dir="/tmp"))
    if os.geteuid() == 0:
        shutil.chown(folder, pwd.getpwnam("postgres").pw_uid)
    data = folder / "data"
    run = {"check": True, "capture_output": True, "cwd": folder}
    try:
        subprocess.run(
            _as_postgres([str(initdb), "-D", str(data), "-U", "satoyama", "-A", "trust", "-N"]), **run
        )
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        control = [str(initdb.parent / "pg_ctl"), "-D", str(data), "-w", "-l", str(folder / "log")]
        subprocess.run(_as_postgres([*control, "-o", options, "start"]), **run)
        try:
            yield f"postgresql+psycopg://satoyama@/postgres?host={folder}"
        finally:
            subprocess.run(_as_postgres([*control, "-m", "immediate", "stop"]), **run)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def catalogue_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Address of an empty database, once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'catalogue.sqlite'}"
        return
    from sqlalchemy import create_engine, text

    url: str = request.getfixturevalue("postgres_url")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    name = f"t{abs(hash(request.node.name)) % 10**9}"
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield url.replace("/postgres?", f"/{name}?")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    opened = Catalogue.open(catalogue_url)
    yield opened
    opened.close()


PASSWORD = "for tests only"
PROJECT = "owase-demo"


@pytest.fixture(autouse=True)
def keystore_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SATOYAMA_KEYSTORE_PASSWORD", PASSWORD)


def _demo(folder: Path, scenario: Scenario) -> DemoFiles:
    """The demo's files at a coarser grid, which is all that these tests need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(survey_files, "PIXEL_M", 1.0)
        return survey_files.write_demo(folder, 1, scenario)


@pytest.fixture(scope="session")
def demo_files(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return _demo(tmp_path_factory.mktemp("gain"), "gain")


@pytest.fixture(scope="session")
def loss_files(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return _demo(tmp_path_factory.mktemp("loss"), "loss")


@pytest.fixture(scope="session")
def _approved_template(demo_files: DemoFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SATOYAMA_KEYSTORE_PASSWORD", PASSWORD)
        made = work.init_workspace(tmp_path_factory.mktemp("template") / "ws", demo_files.project_toml)
        for archive in demo_files.survey_zips:
            assert work.submit_survey(made, archive).accepted
        work.set_up_chain(made)
        work.approve(made, work.make_claim(made, PROJECT).claim_id)
        made.catalogue.close()
    return made.root


@pytest.fixture
def new_ws(demo_files: DemoFiles, tmp_path: Path) -> Workspace:
    """A workspace with the demo project and no survey."""
    return work.init_workspace(tmp_path / "new", demo_files.project_toml)


@pytest.fixture
def approved_ws(_approved_template: Path, tmp_path: Path) -> Workspace:
    """A workspace with both surveys measured, a claim made and signed, and nothing issued."""
    shutil.copytree(_approved_template, tmp_path / "approved")
    return Workspace.open(tmp_path / "approved")


@pytest.fixture
def approved_ws_claim(_approved_template: Path) -> str:
    """Id of the claim that comes out on the default parts."""
    opened = Catalogue.open(f"sqlite:///{_approved_template / 'catalogue.sqlite'}")
    claim_id = opened.claims_of(PROJECT)[-1].claim_id
    opened.close()
    return claim_id
