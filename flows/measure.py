"""Flow `measure`: the stages of a project's first and last survey, a task each, and a page a person can read."""

from __future__ import annotations

from typing import Any

from flows import runtime

runtime.pin_settings()

from prefect import flow, task  # noqa: E402  the settings above must stand before Prefect is imported
from prefect.artifacts import create_markdown_artifact, create_table_artifact  # noqa: E402

from flows import work  # noqa: E402
from flows.settings import Workspace  # noqa: E402
from flows.work import measuring  # noqa: E402
from flows.work.measuring import Measurement, StageResult  # noqa: E402
from mrv.monte_carlo import can_check  # noqa: E402
from mrv.results import Change  # noqa: E402

G_PER_TONNE = 1_000_000
_patient = task(
    retries=runtime.RETRIES, retry_delay_seconds=runtime.RETRY_DELAYS_S, retry_condition_fn=runtime.may_pass
)


@_patient
def canopy(workspace: str, survey_id: str) -> StageResult:
    """Stage 1 of one survey."""
    return measuring.measure_canopy(Workspace.open(workspace), survey_id)


@_patient
def inventory(workspace: str, survey_id: str, earlier: StageResult | None) -> StageResult:
    """Stage 2 of one survey."""
    return measuring.measure_inventory(Workspace.open(workspace), survey_id, earlier)


@_patient
def change(
    workspace: str,
    survey_ids: tuple[str, str],
    canopies: tuple[StageResult, StageResult],
    inventories: tuple[StageResult, StageResult] | None,
) -> StageResult:
    """Stage 3."""
    return measuring.estimate_change(Workspace.open(workspace), survey_ids, canopies, inventories)


@_patient
def maps(
    workspace: str,
    survey_ids: tuple[str, str],
    canopies: tuple[StageResult, StageResult],
    changed: StageResult,
) -> StageResult:
    """Maps for the report."""
    return measuring.draw_maps(Workspace.open(workspace), survey_ids, canopies, changed)


@_patient
def check(
    workspace: str,
    survey_ids: tuple[str, str],
    canopies: tuple[StageResult, StageResult],
    inventories: tuple[StageResult, StageResult],
    changed: StageResult,
) -> StageResult:
    """All errors drawn, for the report."""
    return measuring.draw_check(Workspace.open(workspace), survey_ids, canopies, inventories, changed)


@task
def publish(workspace: str, measured: Measurement) -> None:
    """Leave a table per plot and a summary in Prefect's pages."""
    ws = Workspace.open(workspace)
    found = measuring.change_of(ws, next(s for s in measured.stages if s.stage == "change"))
    key = runtime.artifact_key("plots", measured.project_id)
    create_table_artifact(
        plot_rows(found), key=key, description="Change of stock per plot / 区画別の蓄積変化 (t CO2e)"
    )
    create_markdown_artifact(
        summary(found, measured), key=runtime.artifact_key("change", measured.project_id)
    )


def plot_rows(found: Change) -> list[dict[str, Any]]:
    """One row a plot, tonnes CO2e."""
    return [
        {
            "plot / 区画": p.plot_id,
            "name / 名称": p.name,
            "area ha": f"{p.area_mm2 / 1e10:.2f}",
            "treatment / 施業": p.treatment,
            "first t": f"{p.stock_first.total_g / G_PER_TONNE:,.1f}",
            "last t": f"{p.stock_last.total_g / G_PER_TONNE:,.1f}",
            "change t": f"{p.change.total_g / G_PER_TONNE:+,.1f}",
            "standard error t": f"{p.change.se_g / G_PER_TONNE:,.1f}",
        }
        for p in found.plots
    ]


def summary(found: Change, measured: Measurement) -> str:
    """The change in a few lines of Markdown."""
    banner = "**SIMULATED DATA / 模擬データ**\n\n" if found.simulated else ""
    reused = sum(s.reused for s in measured.stages)
    return (
        f"{banner}## {found.project_id}: {found.start} – {found.end}\n\n"
        f"Change of stock / 蓄積変化: **{found.change.total_g / G_PER_TONNE:+,.1f} t CO2e** "
        f"(standard error / 標準誤差 {found.change.se_g / G_PER_TONNE:,.1f} t, {found.change.df} d.f.)\n\n"
        f"- method / 方法: `{found.method}`\n- plan / 計画: `{found.plan_digest}`\n"
        f"- creditable by design / 申請可能な設計: {'yes / 可' if found.creditable else 'no / 不可'}\n"
        f"- flags / 注意: {', '.join(found.flags) or '-'}\n"
        f"- stages computed / 計算した段階: {len(measured.stages) - reused}, reused / 再利用: {reused}\n"
    )


@flow(name="measure")
def measure_flow(
    workspace: str, project_id: str | None = None, last_survey_id: str | None = None
) -> Measurement:
    """Measure a project's first and last survey; stored results are reused.

    Parameters
    ----------
    workspace : str
        Folder of the workspace.
    project_id : str, optional
        The workspace's only project by default.
    """
    ws = Workspace.open(workspace)
    project = project_id or work.only_project_id(ws)
    ids = measuring.survey_pair(ws, project, last_survey_id)
    # Both dates at once: they share nothing.
    first, last = (canopy.submit(workspace, i) for i in ids)
    canopies = first.result(), last.result()
    inventories = None
    if measuring.has_trees(ws, ids):
        before = inventory(workspace, ids[0], None)
        inventories = before, inventory(workspace, ids[1], before)
    changed = change(workspace, ids, canopies, inventories)
    stages = (*canopies, *(inventories or ()), changed, maps(workspace, ids, canopies, changed))
    if inventories is not None and can_check(measuring.change_of(ws, changed)):
        stages = (*stages, check(workspace, ids, canopies, inventories, changed))
    measured = Measurement(project, ids, work.plan_of(ws, project, ids[1])[0].digest, stages)
    publish(workspace, measured)
    return measured
