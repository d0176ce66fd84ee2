"""`satoyama flows serve`: register the schedules and run what they fire, until stopped.

Where ``PREFECT_API_URL`` names a team's server that one is used; else a server with its pages starts on this computer, its database in
the workspace.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from typing import Any

from flows import runtime
from flows.settings import Workspace

WATCH_CRON = "0 6 1 * *"
SETTLE_CRON = "0 7 * * *"
TIMEZONE = "Asia/Tokyo"


def serve(ws: Workspace, *, watch_cron: str = WATCH_CRON, settle_cron: str = SETTLE_CRON) -> None:
    """Register `watch` (monthly) and `settle` (daily) with their schedules, `measure` and `issue` on demand; runs until interrupted.

    Parameters
    ----------
    watch_cron, settle_cron : str
        Cron texts, in Japan's time.
    """
    runtime.prepare(ws, quiet=False)
    # A plain SIGTERM would end this process at once and leave the server behind.
    signal.signal(signal.SIGTERM, _leave)
    with ExitStack() as stack:
        if not os.environ.get("PREFECT_API_URL"):
            stack.callback(runtime.end, _start_server(ws))
        _serve(ws, watch_cron, settle_cron)


def _leave(*_: object) -> None:
    sys.exit(128 + signal.SIGTERM)


def _start_server(ws: Workspace) -> subprocess.Popen[bytes]:
    port = runtime.free_port()
    url = f"http://127.0.0.1:{port}/api"
    command = [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    os.environ["PREFECT_API_URL"] = url
    try:
        runtime.wait_for(process, url)
    except BaseException:
        runtime.end(process)
        raise
    print(f"Prefect's pages / Prefectの画面: http://127.0.0.1:{port}  ({ws.root})", flush=True)
    return process


def _serve(ws: Workspace, watch_cron: str, settle_cron: str) -> None:
    from prefect import serve as serve_deployments
    from prefect.deployments.runner import RunnerDeployment
    from prefect.flows import Flow
    from prefect.schedules import Cron
    from prefect.types.entrypoint import EntrypointType

    from flows.issue import issue_all_flow
    from flows.measure import measure_flow
    from flows.settle import settle_all_flow
    from flows.watch import watch_all_flow

    def deployment(flow: Flow[..., Any], name: str, cron: str | None) -> RunnerDeployment:
        made = flow.to_deployment(
            name=name,
            parameters={"workspace": str(ws.root)},
            schedule=None if cron is None else Cron(cron, timezone=TIMEZONE),
            # By module, not by file: the runs find the installed package wherever they start.
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        assert isinstance(made, RunnerDeployment), "to_deployment is awaited only inside a running event loop"
        return made

    serve_deployments(
        deployment(watch_all_flow, "watch-monthly", watch_cron),
        deployment(settle_all_flow, "settle-daily", settle_cron),
        deployment(measure_flow, "measure", None),
        deployment(issue_all_flow, "issue", None),
    )


def main(arguments: list[str] | None = None) -> None:
    """Command line of ``python -m flows.serve``, for containers and tests."""
    parser = argparse.ArgumentParser(description="Run Satoyama's schedules under Prefect.")
    parser.add_argument("workspace")
    parser.add_argument("--watch-cron", default=WATCH_CRON)
    parser.add_argument("--settle-cron", default=SETTLE_CRON)
    given = parser.parse_args(arguments)
    serve(Workspace.open(given.workspace), watch_cron=given.watch_cron, settle_cron=given.settle_cron)


if __name__ == "__main__":
    main()
