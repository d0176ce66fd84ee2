"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


NO_SHARED_DATA = "the shared survey data is not beside this clone (../shared/data)"


def _no_skip_where_all_is_required(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Where every part must be installed, a skip is a failure; only absent survey data is ever a reason."""
    if os.environ.get("SATOYAMA_REQUIRE_ALL") != "1" or report.outcome != "skipped":
        return
    why = report.longrepr[-1] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if NO_SHARED_DATA not in why and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"SATOYAMA_REQUIRE_ALL=1, but this was skipped: {why}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    _no_skip_where_all_is_required(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    report = yield
    _no_skip_where_all_is_required(report)
    return report


def require_or_skip(present: bool, reason: str) -> None:
    """Skip with a reason when a part is missing; fail instead where every part must be installed."""
    if present:
        return
    if os.environ.get("SATOYAMA_REQUIRE_ALL") == "1":
        pytest.fail(f"SATOYAMA_REQUIRE_ALL=1, but {reason}")
    pytest.skip(reason)


def need(program: str, *, env: str | None = None, also: tuple[Path, ...] = ()) -> str:
    """Path of an outside program, from `env`, PATH or the places in `also`; skips where it is missing."""
    candidates = [os.environ.get(env) if env else None, shutil.which(program), *map(str, also)]
    found = next((c for c in candidates if c and Path(c).exists()), None)
    require_or_skip(found is not None, f"{program} is not installed")
    assert found is not None
    return found


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of outside survey data beside the clone; only its absence is ever a reason to skip."""
    folder = Path(os.environ.get("SATOYAMA_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(NO_SHARED_DATA)
    return folder
