"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
        pytest.skip("the shared survey data is not beside this clone (../shared/data)")
    return folder
