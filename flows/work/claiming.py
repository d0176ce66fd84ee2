"""From a measured change to a signed claim: claim, evidence bundle, and the verifier's approval after recomputing it."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from flows.objects import StoreSink
from flows.settings import Workspace
from flows.tables import ApprovalRow, ClaimRefusalRow, ClaimRow
from flows.work import chainroom
from flows.work.measuring import (
    Measurement,
    change_of,
    measure,
    stage_document,
    stored_survey,
    survey_files,
    tables,
)
from flows.work.projects import definition_of_project, plan_of, project_secret
from models.errors import SatoyamaError
from mrv import pipeline
from mrv.blob import NullSink, digest_doc
from mrv.bundle import Bundle, write_bundle
from mrv.errors import ClaimRefused
from mrv.pipeline import PipelineInputs
from mrv.provenance import record_run
from mrv.results import Claim, History
from registry.claimstruct import ClaimStruct
from registry.issuance import next_nonce
from registry.port import ChainPort

SIGNATURE_LIFE_S = 30 * 86_400


class NotReproduced(SatoyamaError):
    """Recomputing a claim from its evidence gave something else; it is not signed."""


class ClaimOutdated(SatoyamaError):
    """The chain has moved on since the claim was made."""


@dataclass(frozen=True)
class ClaimRecord:
    """A stored claim.

    Attributes
    ----------
    claim_id : str
        Digest of the claim's document.
    content_root, evidence_root : str
        ``sha256:<hex>``; the second goes on chain.
    bundle_digest : str
        Object that holds ``evidence.zip``.
    """

    claim_id: str
    claim: Claim
    content_root: str
    evidence_root: str
    bundle_digest: str


def make_claim(
    ws: Workspace, project_id: str, last_survey_id: str | None = None, measurement: Measurement | None = None
) -> ClaimRecord:
    """Make the claim of a project's change and store it with its evidence; an equal claim made before is given back.

    Parameters
    ----------
    measurement : Measurement, optional
        Stored stage results; measured now (or reused) by default.

    Raises
    ------
    ClaimRefused
        If nothing may be claimed; the reasons are recorded.
    """
    started = datetime.now(UTC)
    measured = measurement or measure(ws, project_id, last_survey_id)
    project = definition_of_project(ws, project_id).project
    plan, _ = plan_of(ws, project_id, measured.survey_ids[1])
    change_stage = next(s for s in measured.stages if s.stage == "change")
    history = chainroom.history(ws, project_id)
    first = stored_survey(ws, measured.survey_ids[0])
    sink = StoreSink(ws.objects, ws.scratch_folder)
    try:
        claim = pipeline.claim_stage(project, plan, change_of(ws, change_stage), history, first, sink)
    except ClaimRefused as refused:
        _record_refusal(ws, project_id, change_stage.result_digest, refused)
        raise
    claim_id = digest_doc(claim.to_doc())
    with ws.catalogue.read() as session:
        row = session.get(ClaimRow, claim_id)
    if row is not None and row.bundle_digest is not None and ws.objects.has(row.bundle_digest):
        return record_of(row)
    outputs = {**measured.outputs, **sink.digests}
    inputs = PipelineInputs(
        project,
        plan,
        (survey_files(ws, measured.survey_ids[0]), survey_files(ws, measured.survey_ids[1])),
        tables(),
        history,
    )
    row = ClaimRow(
        claim_id=claim_id,
        project_id=project_id,
        batch_id=claim.batch_id,
        doc=claim.to_doc(),
        surveys=list(measured.survey_ids),
        outputs=outputs,
        made_at=ws.clock(),
    )
    _build_evidence(ws, row, inputs, started)
    with ws.catalogue.write() as session:
        session.merge(row)
    return record_of(row)


def _record_refusal(ws: Workspace, project_id: str, change_digest: str, refused: ClaimRefused) -> None:
    reasons = [{"code": r.code, "en": r.en, "ja": r.ja, "figures": r.figures} for r in refused.reasons]
    with ws.catalogue.write() as session:
        session.add(
            ClaimRefusalRow(
                project_id=project_id, change_digest=change_digest, reasons=reasons, refused_at=ws.clock()
            )
        )


def _build_evidence(ws: Workspace, row: ClaimRow, inputs: PipelineInputs, started: datetime) -> None:
    blobs = {name: ws.objects.blob(digest, name) for name, digest in row.outputs.items()}
    with tempfile.TemporaryDirectory(dir=ws.scratch_folder) as folder:
        target = Path(folder) / "evidence.zip"
        run = record_run(started, datetime.now(UTC))
        evidence = write_bundle(target, inputs, blobs, run, project_secret(ws, row.project_id))
        row.content_root, row.evidence_root = evidence.content_root, evidence.evidence_root
        row.bundle_digest = ws.objects.put_file(target, move=True)


def record_of(row: ClaimRow) -> ClaimRecord:
    """A claim's row as a value."""
    assert row.content_root and row.evidence_root and row.bundle_digest
    return ClaimRecord(
        row.claim_id, Claim.from_doc(row.doc), row.content_root, row.evidence_root, row.bundle_digest
    )


def claim_record(ws: Workspace, claim_or_batch_id: str) -> ClaimRecord:
    """The stored claim of this id or batch id."""
    return record_of(ws.catalogue.claim_row(claim_or_batch_id))


def evidence_to(ws: Workspace, claim_or_batch_id: str, target: Path) -> Path:
    """Write a claim's evidence bundle to a file."""
    record = claim_record(ws, claim_or_batch_id)
    with ws.objects.open(record.bundle_digest) as path:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return target


def change_document(ws: Workspace, row: ClaimRow) -> dict[str, object]:
    """The change a claim rests on, as stored."""
    return stage_document(ws, row.outputs["change.json"])


def approve(ws: Workspace, claim_or_batch_id: str, verifier_role: str = "verifier") -> ApprovalRow:
    """A verifier's approval: recompute the claim from its evidence bundle, and only then sign it.

    Raises
    ------
    SameAccount
        If the verifier's key is the issuer's.
    NotReproduced
        If a file of the bundle differs from its hash, or the recomputed claim from the recorded one.
    ClaimOutdated
        If credits were issued since the claim was made.
    """
    keys = chainroom.accounts(ws)
    verifier = keys.load(verifier_role)
    issuer = keys.addresses().get("issuer")
    if verifier.address == issuer:
        raise chainroom.same_account(verifier.address)
    record = claim_record(ws, claim_or_batch_id)
    recomputed = recompute(ws, record)
    _check_history(record.claim, chainroom.history(ws, record.claim.project_id))
    port = chainroom.open_port(ws)
    unsigned = claim_struct(ws, record, int(max(port.head()[1], time.time())) + SIGNATURE_LIFE_S)
    with ws.catalogue.write() as session:
        nonce = _take_nonce(session, port, record.claim_id, verifier.address)
        struct = replace(unsigned, nonce=nonce)
        approval = ApprovalRow(
            claim_id=record.claim_id,
            verifier=verifier.address,
            struct=struct.to_doc(),
            signature="0x" + port.sign_claim(verifier, struct).hex(),
            recomputed_kg=recomputed.gross_kg,
            signed_at=ws.clock(),
        )
        return session.merge(approval)


def _take_nonce(session: Session, port: ChainPort, claim_id: str, verifier: str) -> int:
    """A nonce no other approval of the verifier holds; the one this claim was signed with before, while it is unused."""
    if session.get_bind().dialect.name == "postgresql":
        # SQLite lets one writer in at a time; here two verifiers' programs must not choose the same.
        session.execute(text("LOCK TABLE approvals IN SHARE ROW EXCLUSIVE MODE"))
    rows = session.scalars(select(ApprovalRow).where(ApprovalRow.verifier == verifier))
    nonces = {row.claim_id: int(row.struct["nonce"]) for row in rows}
    kept = nonces.pop(claim_id, None)
    return next_nonce(port, verifier, reserved=set(nonces.values()), kept=kept)


def recompute(ws: Workspace, record: ClaimRecord) -> Claim:
    """Run the whole pipeline again on nothing but the evidence bundle.

    Raises
    ------
    NotReproduced
        If a file differs from its hash, or the claim comes out differently.
    """
    with ws.objects.open(record.bundle_digest) as path, Bundle(path) as bundle:
        found = bundle.compare_files()
        wrong = (*found.differing, *found.missing, *found.unexpected)
        if wrong or bundle.evidence.evidence_root != record.evidence_root:
            raise NotReproduced(
                en=f"The evidence bundle is not the one that was stored: {', '.join(wrong) or 'another evidence root'}. Nothing was signed.",
                ja=f"証拠一式が保存時と異なります: {'、'.join(wrong) or 'evidence_root が不一致'}。署名していません。",
            )
        claim = pipeline.run(bundle.inputs(), NullSink()).claim
    if claim != record.claim:
        raise NotReproduced(
            en=f"Recomputing the claim gave {claim.gross_kg:,} kg (recorded: {record.claim.gross_kg:,} kg) or another detail. Nothing was signed.",
            ja=f"再計算の結果は {claim.gross_kg:,} kg で、記録（{record.claim.gross_kg:,} kg）または他の項目と一致しません。署名していません。",
        )
    return claim


def _check_history(claim: Claim, now: History) -> None:
    goes_on = now.last_end is None or claim.period_start == now.last_end
    if not goes_on or (claim.prior_gross_kg, claim.compensated_kg) != (
        now.gross_issued_kg,
        now.compensated_kg,
    ):
        raise ClaimOutdated(
            en=f"The claim counts on {claim.prior_gross_kg:,} kg issued before; the chain has {now.gross_issued_kg:,} kg. Make the claim anew.",
            ja=f"申請時の発行済み量は {claim.prior_gross_kg:,} kg ですが、現在は {now.gross_issued_kg:,} kg です。申請を作り直してください。",
        )


def claim_struct(ws: Workspace, record: ClaimRecord, deadline: int) -> ClaimStruct:
    """The claim to be signed, without its nonce: credits go to the seller's account."""
    window = definition_of_project(ws, record.claim.project_id).challenge_window_s
    return ClaimStruct.from_claim(
        record.claim,
        content_root=record.content_root,
        evidence_root=record.evidence_root,
        recipient=chainroom.accounts(ws).load("seller").address,
        nonce=0,
        deadline=deadline,
        challenge_window=window,
    )


def approval_of(ws: Workspace, claim_id: str) -> ApprovalRow | None:
    """The approval of a claim, if it has one."""
    with ws.catalogue.read() as session:
        return session.get(ApprovalRow, claim_id)
