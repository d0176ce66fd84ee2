"""Flow `settle`: finish what was begun, pay every payee what is due, and leave the statement."""

from __future__ import annotations

from flows import runtime

runtime.pin_settings()

from prefect import flow, task  # noqa: E402  the settings above must stand before Prefect is imported
from prefect.artifacts import create_table_artifact  # noqa: E402

from flows import work  # noqa: E402
from flows.settings import Workspace  # noqa: E402
from flows.work.trading import Settlement  # noqa: E402
from models.errors import SatoyamaError  # noqa: E402


@task(
    retries=runtime.RETRIES, retry_delay_seconds=runtime.RETRY_DELAYS_S, retry_condition_fn=runtime.may_pass
)
def settle_project(workspace: str, project_id: str) -> Settlement:
    """Pay out one project; paying twice is impossible, the split contract pays what is due and no more."""
    return work.settle(Workspace.open(workspace), project_id)


@task
def publish(workspace: str, project_id: str, settled: Settlement) -> None:
    """Leave the statement in Prefect's pages."""
    header, *rows = work.statement_rows(Workspace.open(workspace), project_id, settled.statement)
    made = settled.statement
    create_table_artifact(
        [dict(zip(header, row, strict=True)) for row in rows],
        key=runtime.artifact_key("statement", project_id),
        description=f"Revenue {made.revenue_total:,} = paid {made.paid_total:,} + due {made.claimable:,} + carried {made.carried:,} "
        f"(base units, block {made.read_at_block}) / 収入 = 支払済 + 未払 + 繰越",
    )


@flow(name="settle")
def settle_flow(workspace: str, project_id: str | None = None) -> Settlement:
    """Settle one project; the workspace's only one by default."""
    project = project_id or work.only_project_id(Workspace.open(workspace))
    settled = settle_project(workspace, project)
    publish(workspace, project, settled)
    if settled.unfinished:
        waiting = "; ".join(settled.unfinished)
        raise SatoyamaError(
            en=f"Payees are paid, but an issuance that was begun is refused: {waiting}. Approve it anew.",
            ja=f"支払いは完了しましたが、開始済みの発行が拒否されました: {waiting}。承認をやり直してください。",
        )
    return settled


@flow(name="settle-all")
def settle_all_flow(workspace: str) -> dict[str, Settlement]:
    """Settle every project that is on the chain."""
    return {p: settle_flow(workspace, p) for p in work.projects_on_chain(Workspace.open(workspace))}
