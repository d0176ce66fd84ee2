"""Flow `issue`: what a verifier has signed goes on the chain, exactly once."""

from __future__ import annotations

from flows import runtime

runtime.pin_settings()

from prefect import flow, task  # noqa: E402  the settings above must stand before Prefect is imported
from prefect.artifacts import create_link_artifact, create_markdown_artifact  # noqa: E402

from flows import work  # noqa: E402
from flows.settings import Workspace  # noqa: E402
from registry.issuance import Issued  # noqa: E402


@task(
    retries=runtime.RETRIES, retry_delay_seconds=runtime.RETRY_DELAYS_S, retry_condition_fn=runtime.may_pass
)
def issue_claim(workspace: str, claim_id: str) -> Issued:
    """Issue one claim, or find that it is issued."""
    return work.issue(Workspace.open(workspace), claim_id)


@task
def publish(workspace: str, claim_id: str, issued: Issued, public_url: str | None) -> None:
    """Leave the batch in Prefect's pages, with a link to its public page where there is one."""
    record, event = work.claim_record(Workspace.open(workspace), claim_id), issued.event
    claim = record.claim
    banner = "**SIMULATED DATA / 模擬データ**\n\n" if claim.simulated else ""
    create_markdown_artifact(
        f"{banner}## Batch / バッチ `{claim.batch_id}`\n\n"
        f"- {claim.period_start} – {claim.period_end}, vintage {claim.vintage}\n"
        f"- gross / 総量 **{claim.gross_kg:,} kg CO2e** = credited / 発行 {claim.credited_kg:,} + buffer / バッファ {claim.buffer_kg:,}\n"
        f"- change / 変化量 {claim.estimate_kg:,} kg, standard error / 標準誤差 {claim.standard_error_kg:,} kg, "
        f"deduction / 控除 {claim.deduction_kg:,} kg\n"
        f"- evidence root `{record.evidence_root}`\n- block {event.block}, transaction `{event.tx_hash}`\n",
        key=runtime.artifact_key("batch", claim.project_id),
    )
    if public_url:
        create_link_artifact(
            f"{public_url.rstrip('/')}/batches/{claim.batch_id}",
            link_text="Public page / 公開ページ",
            key=runtime.artifact_key("page", claim.project_id),
        )


@flow(name="issue")
def issue_flow(workspace: str, claim_id: str, public_url: str | None = None) -> Issued:
    """Issue one approved claim.

    Parameters
    ----------
    claim_id : str
        Claim id or batch id.
    public_url : str, optional
        Address of the web pages, for a link.
    """
    issued = issue_claim(workspace, claim_id)
    publish(workspace, claim_id, issued, public_url)
    return issued


@flow(name="issue-all")
def issue_all_flow(workspace: str, public_url: str | None = None) -> dict[str, Issued]:
    """Issue every approved claim that is not issued yet."""
    claims = work.approved_not_issued(Workspace.open(workspace))
    return {claim: issue_flow(workspace, claim, public_url) for claim in claims}
