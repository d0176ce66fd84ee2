"""Flow `watch`: new satellite scenes of every project, and the alerts they raise."""

from __future__ import annotations

from flows import runtime

runtime.pin_settings()

from prefect import flow, task  # noqa: E402  the settings above must stand before Prefect is imported
from prefect.artifacts import create_table_artifact  # noqa: E402

from flows import work  # noqa: E402
from flows.settings import Workspace  # noqa: E402
from flows.work.watching import WatchResult  # noqa: E402


@task(
    retries=runtime.RETRIES, retry_delay_seconds=runtime.RETRY_DELAYS_S, retry_condition_fn=runtime.may_pass
)
def read_scenes(workspace: str, project_id: str, stac: str | None) -> WatchResult:
    """Read what is new and look for breaks."""
    return work.watch(Workspace.open(workspace), project_id, stac)


@task
def publish(workspace: str, project_id: str, seen: WatchResult) -> None:
    """Leave all alerts of the project in Prefect's pages."""
    rows = [
        {
            "plot / 区画": a.plot_id,
            "index / 指数": a.index_name,
            "break / 変化日": a.break_day.isoformat(),
            "drop / 低下": f"{a.magnitude_e4 / 1e4:+.3f}",
            "register / 施業履歴": a.explained_by or "NOT IN THE REGISTER / 記載なし",
        }
        for a in work.alerts_of(Workspace.open(workspace), project_id)
    ]
    create_table_artifact(
        rows or [{"alerts": "none / なし"}],
        key=runtime.artifact_key("alerts", project_id),
        description=f"{seen.scenes_new} new scenes, {len(seen.alerts)} new alerts, {len(seen.problems)} scenes not readable "
        f"/ 新規{seen.scenes_new}シーン、新規警報{len(seen.alerts)}件、読取不可{len(seen.problems)}件",
    )


@flow(name="watch")
def watch_flow(workspace: str, project_id: str | None = None, stac: str | None = None) -> WatchResult:
    """Watch one project; the workspace's only one by default."""
    project = project_id or work.only_project_id(Workspace.open(workspace))
    seen = read_scenes(workspace, project, stac)
    publish(workspace, project, seen)
    return seen


@flow(name="watch-all")
def watch_all_flow(workspace: str) -> dict[str, WatchResult]:
    """Watch every project that has a survey."""
    ws = Workspace.open(workspace)
    return {p: watch_flow(workspace, p) for p in work.project_ids(ws) if ws.catalogue.surveys_of(p)}
