"""How Prefect is set up here: pinned settings, its home in the workspace, and a server that starts while other work is done.

Importing this module does not import Prefect. A process that runs flows pays for one start (13-22 s cold): begin it with
`start_early`, do other work, and run the flows.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
import time
import urllib.request
from typing import TYPE_CHECKING, Any

from flows.settings import Workspace
from models.errors import SatoyamaError

if TYPE_CHECKING:
    from prefect.client.schemas.objects import State, TaskRun
    from prefect.tasks import Task

START_TIMEOUT_S = 120
# Without these Prefect 3.8.8 reports home, or gives up on a slow machine.
PINNED = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": str(START_TIMEOUT_S),
}
_QUIET = {"PREFECT_LOGGING_LEVEL": "WARNING", "PREFECT_LOGGING_TO_API_ENABLED": "false"}
# What Prefect's own ephemeral mode sets: no page, no background services.
_SERVER_ONLY_API = {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
RETRIES = 3
RETRY_DELAYS_S = [1.0, 5.0, 30.0]


class PrefectNotStarted(SatoyamaError):
    """Prefect's server does not answer."""


def pin_settings() -> None:
    """Set the pinned settings, where the environment does not say otherwise; before Prefect is imported."""
    for name, value in PINNED.items():
        os.environ.setdefault(name, value)


def prepare(ws: Workspace, *, quiet: bool = True) -> None:
    """Settings for flows run in this process: pinned, Prefect's home in the workspace, and little said.

    Raises
    ------
    RuntimeError
        If Prefect was imported already with another home; its settings are read once.
    """
    home = os.environ.get("PREFECT_HOME", str(ws.root / "prefect"))
    if "prefect" in sys.modules and "PREFECT_HOME" not in os.environ:
        raise RuntimeError("expected flows.runtime.prepare before the first import of prefect")
    pin_settings()
    os.environ["PREFECT_HOME"] = home
    if quiet:
        for name, value in _QUIET.items():
            os.environ.setdefault(name, value)


class EarlyStart:
    """Prefect's server, starting in a process of its own on this computer; stopped when this program ends."""

    def __init__(self, process: subprocess.Popen[bytes] | None, url: str) -> None:
        self._process = process
        self.url = url
        if process is not None:
            atexit.register(self.stop)

    def wait(self) -> None:
        """Block until the server answers.

        Raises
        ------
        PrefectNotStarted
            If it ended, or did not answer in `START_TIMEOUT_S`.
        """
        if self._process is not None:
            wait_for(self._process, self.url)

    def stop(self) -> None:
        """End the server."""
        if self._process is not None:
            end(self._process)
            if os.environ.get("PREFECT_API_URL") == self.url:
                del os.environ["PREFECT_API_URL"]
            self._process = None


def start_early(ws: Workspace) -> EarlyStart:
    """Start Prefect's in-process server while other work is done; `wait` for it before running a flow.

    Its start is most of what Prefect costs. Where ``PREFECT_API_URL`` names a server already, nothing is started.
    """
    prepare(ws)
    if url := os.environ.get("PREFECT_API_URL"):
        return EarlyStart(None, url)
    port = free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "uvicorn", "--factory", "prefect.server.api.server:create_app"]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port), "--log-level", "error", "--lifespan", "on"],
        env={**os.environ, **_SERVER_ONLY_API},
        stdin=subprocess.DEVNULL,
    )
    os.environ["PREFECT_API_URL"] = url
    return EarlyStart(process, url)


def ready(ws: Workspace) -> None:
    """Everything a flow needs in this process, waited for; call it before importing a flow module."""
    start_early(ws).wait()


def wait_for(process: subprocess.Popen[bytes], url: str) -> None:
    """Block until the server of this process answers at its API address.

    Raises
    ------
    PrefectNotStarted
        If it ended, or did not answer in `START_TIMEOUT_S`.
    """
    until = time.monotonic() + START_TIMEOUT_S
    while not _healthy(url):
        if process.poll() is not None or time.monotonic() > until:
            raise PrefectNotStarted(
                en=f"Prefect's server did not answer at {url} (exit status {process.poll()}). "
                "Run again; if it stays so, remove the workspace's folder prefect/.",
                ja=f"Prefectのサーバーが {url} で応答しません（終了コード {process.poll()}）。"
                "もう一度実行し、続くようなら作業場所の prefect/ フォルダーを消してください。",
            )
        time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a server that was started here."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port of the loopback address that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def artifact_key(kind: str, project_id: str) -> str:
    """Key of an artifact: Prefect takes small letters, digits and dashes only."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in project_id.lower())
    return f"{kind}-{plain}"


def may_pass(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Whether a failed task is worth another try: the world may mend, a refusal stays one (`retry_condition_fn`)."""
    from sqlalchemy.exc import OperationalError

    from flows.catalogue import CatalogueError
    from registry.chain import ChainUnavailable
    from registry.sender import ChainBusy

    error = state.result(raise_on_failure=False)
    if isinstance(error, (ChainUnavailable, ChainBusy, CatalogueError, OperationalError)):
        return True
    return isinstance(error, OSError) and not isinstance(error, SatoyamaError)
