"""The flows are thin: under Prefect the same results come out, with pages for people; and a cron fires."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.demo.survey_files import DemoFiles
from flows import runtime, work
from flows.settings import Workspace
from tests.flows.conftest import PROJECT

RUN_FLOWS = """
import json, sys
from flows import runtime
from flows.settings import Workspace
ws = Workspace.open(sys.argv[1])
early = runtime.start_early(ws)
from flows import work
assert "prefect" not in sys.modules, "flows.work must not import Prefect"
early.wait()
from flows.issue import issue_flow, issue_all_flow
from flows.measure import measure_flow
from flows.settle import settle_all_flow
from flows.watch import watch_flow
measured = measure_flow(str(ws.root))
seen = watch_flow(str(ws.root), None, sys.argv[2])
issued = issue_flow(str(ws.root), ws.catalogue.claims_of()[-1].claim_id, "http://example.org")
settled = settle_all_flow(str(ws.root))
from prefect.client.orchestration import get_client
with get_client(sync_client=True) as client:
    artifacts = sorted({a.key for a in client.read_artifacts()})

from prefect import flow, task
from models.errors import SatoyamaError
tries = {"outage": 0, "refusal": 0}

@task(retries=2, retry_delay_seconds=0, retry_condition_fn=runtime.may_pass)
def fails(kind):
    tries[kind] += 1
    raise ConnectionResetError if kind == "outage" else SatoyamaError(en="refused", ja="拒否")

@flow
def failing():
    for kind in tries:
        fails(kind, return_state=True)

failing(return_state=True)
print(json.dumps({
    "stages": {s.stage: s.result_digest for s in measured.stages},
    "reused": [s.reused for s in measure_flow(str(ws.root)).stages],
    "scenes": seen.scenes_new,
    "block": issued.event.block,
    "settled": sorted(settled),
    "again": sorted(issue_all_flow(str(ws.root))),
    "artifacts": artifacts,
    "tries": tries,
}))
"""


def free_of_prefect() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}


@pytest.mark.slow
def test_flows_give_what_the_plain_actions_give_and_leave_pages(
    approved_ws: Workspace, demo_files: DemoFiles
) -> None:
    plain = work.measure(approved_ws, PROJECT)
    command = [sys.executable, "-c", RUN_FLOWS, str(approved_ws.root), str(demo_files.stac)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=free_of_prefect(), check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["stages"] == {s.stage: s.result_digest for s in plain.stages}
    assert all(said["reused"]) and said["scenes"] > 0 and said["settled"] == [PROJECT] and said["again"] == []
    kinds = ("alerts", "batch", "change", "page", "plots", "statement")
    assert said["artifacts"] == [f"{kind}-{PROJECT}" for kind in kinds]
    assert said["tries"] == {"outage": 3, "refusal": 1}
    assert (approved_ws.root / "prefect").is_dir(), "Prefect's own files stay in the workspace"


def test_the_plain_actions_do_not_import_prefect() -> None:
    code = "import sys; import flows.work, flows.runtime, flows.serve; assert 'prefect' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_refusal_is_not_tried_again_and_an_outage_is() -> None:
    from models.errors import SatoyamaError
    from registry.chain import ChainUnavailable

    class Failed:
        def __init__(self, error: Exception) -> None:
            self.error = error

        def result(self, raise_on_failure: bool) -> Exception:
            return self.error

    def tried_again(error: Exception) -> bool:
        return runtime.may_pass(None, None, Failed(error))  # type: ignore[arg-type]

    assert not tried_again(SatoyamaError(en="no", ja="不可"))
    assert not tried_again(AssertionError())
    assert tried_again(ChainUnavailable(en="down", ja="停止"))
    assert tried_again(ConnectionResetError())


@pytest.mark.parametrize(("project", "key"), [("Owase_2", "plots-owase-2"), ("尾鷲", "plots---")])
def test_artifact_keys_are_what_prefect_takes(project: str, key: str) -> None:
    assert runtime.artifact_key("plots", project) == key


def test_settings_of_prefect_must_come_before_its_import(ws: Workspace) -> None:
    code = (
        "import sys, types; sys.modules['prefect'] = types.ModuleType('prefect')\n"
        "from flows import runtime; from flows.settings import Workspace\n"
        "runtime.prepare(Workspace.open(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(ws.root)]
    done = subprocess.run(
        command, env=free_of_prefect(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and "before the first import" in done.stderr


@pytest.fixture
def serving(new_ws: Workspace) -> Iterator[tuple[Workspace, str]]:
    """`flows serve` on a workspace with the settlement every minute; gives the API's address."""
    env = {
        **free_of_prefect(),
        "PREFECT_RUNNER_POLL_FREQUENCY": "2",
        "PREFECT_HOME": str(new_ws.root / "prefect"),
    }
    command = [sys.executable, "-m", "flows.serve", str(new_ws.root), "--settle-cron", "* * * * *"]
    log = (new_ws.root / "serve.log").open("w+")
    process = subprocess.Popen(command, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        url = ""
        until = time.monotonic() + runtime.START_TIMEOUT_S
        while not url:
            assert process.poll() is None and time.monotonic() < until, Path(log.name).read_text()
            time.sleep(0.5)
            shown = [line for line in Path(log.name).read_text().splitlines() if "Prefectの画面" in line]
            url = shown[0].split("http://")[1].split()[0] if shown else ""
        yield new_ws, f"http://{url}/api"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def ask(url: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=20) as answer:
        found: list[dict[str, Any]] = json.load(answer)
    return found


@pytest.mark.slow
def test_a_cron_fires(serving: tuple[Workspace, str]) -> None:
    ws, url = serving
    until = time.monotonic() + 200
    runs: list[dict[str, Any]] = []
    while time.monotonic() < until:
        runs = ask(f"{url}/flow_runs/filter", {"limit": 200})
        if any(r["state_type"] == "COMPLETED" and r["auto_scheduled"] for r in runs):
            break
        time.sleep(2)
    else:
        log = (ws.root / "serve.log").read_text()
        pytest.fail(f"no scheduled run was completed: {[r['state_type'] for r in runs]}\n{log[-3000:]}")
    crons = {
        d["name"]: [s["schedule"]["cron"] for s in d["schedules"]]
        for d in ask(f"{url}/deployments/filter", {"limit": 20})
    }
    assert crons == {
        "watch-monthly": ["0 6 1 * *"],
        "settle-daily": ["* * * * *"],
        "measure": [],
        "issue": [],
    }
