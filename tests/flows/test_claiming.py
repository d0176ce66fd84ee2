"""A claim is made once, recomputed by another before it is signed, and refused where nothing may be claimed."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest
from sqlalchemy import select

from apps.demo.survey_files import DemoFiles
from flows import work
from flows.settings import Workspace
from flows.tables import ClaimRefusalRow, ClaimRow
from flows.work import chainroom, claiming
from flows.work.trading import NotApproved
from mrv.bundle import Bundle
from mrv.errors import ClaimRefused
from registry.claimstruct import ClaimStruct
from tests.flows.conftest import PROJECT


def test_the_kilograms_of_a_claim_add_up(approved_ws: Workspace) -> None:
    claim = work.make_claim(approved_ws, PROJECT).claim
    assert claim.estimate_kg - claim.deduction_kg == claim.gross_kg == claim.credited_kg + claim.buffer_kg
    assert claim.gross_kg > 0 and claim.simulated


def test_making_the_same_claim_again_gives_the_stored_one(approved_ws: Workspace) -> None:
    first = work.make_claim(approved_ws, PROJECT)
    assert work.make_claim(approved_ws, PROJECT) == first
    assert len(approved_ws.catalogue.claims_of(PROJECT)) == 1
    assert work.claim_record(approved_ws, first.claim.batch_id) == first


def test_the_evidence_holds_every_input_and_output_of_the_claim(
    approved_ws: Workspace, tmp_path: Path
) -> None:
    record = work.make_claim(approved_ws, PROJECT)
    target = work.evidence_to(approved_ws, record.claim_id, tmp_path / "out" / "evidence.zip")
    with Bundle(target) as bundle:
        found = bundle.compare_files()
        assert (found.differing, found.missing, found.unexpected) == ((), (), ())
        assert bundle.evidence.evidence_root == record.evidence_root
        assert bundle.claim() == record.claim
        for survey in approved_ws.catalogue.surveys_of(PROJECT):
            inside = bundle.below(f"content/inputs/{survey.survey_id}/")
            assert set(inside) == set(survey.files)


def test_an_approval_is_a_signature_over_the_recomputed_claim(approved_ws: Workspace) -> None:
    record = work.make_claim(approved_ws, PROJECT)
    approval = work.approval_of(approved_ws, record.claim_id)
    assert approval is not None and approval.recomputed_kg == record.claim.gross_kg
    port = work.open_port(approved_ws)
    struct = ClaimStruct.from_doc(approval.struct)
    signature = bytes.fromhex(approval.signature[2:])
    assert struct.signer(signature, port.chain_id, port.deployment.registry) == approval.verifier
    assert approval.verifier == work.accounts(approved_ws).addresses()["verifier"]


def _copy_of_claim(ws: Workspace, claim_id: str, number: int) -> str:
    """Another claim's row, so that there are two to be signed; what it says does not matter here."""
    with ws.catalogue.write() as session:
        row = session.get(ClaimRow, claim_id)
        assert row is not None
        values = {c.key: getattr(row, c.key) for c in ClaimRow.__table__.columns}
        session.add(ClaimRow(**{**values, "claim_id": f"sha256:{number:064x}"}))
    return f"sha256:{number:064x}"


def test_approvals_count_their_nonces_and_a_claim_signed_again_keeps_its_own(
    approved_ws: Workspace,
) -> None:
    record = work.make_claim(approved_ws, PROJECT)
    first = work.approval_of(approved_ws, record.claim_id)
    assert first is not None and first.struct["nonce"] == "0"
    nonces = [work.approve(approved_ws, _copy_of_claim(approved_ws, record.claim_id, n)) for n in (1, 2)]
    assert [row.struct["nonce"] for row in nonces] == ["1", "2"]
    again = work.approve(approved_ws, record.claim_id)
    assert again.struct["nonce"] == "0" and again.signed_at > first.signed_at
    work.issue(approved_ws, record.claim_id)
    port = work.open_port(approved_ws)
    assert port.nonce_used(first.verifier, 0) and not port.nonce_used(first.verifier, 1)


def test_a_verifier_with_the_issuers_key_is_refused(
    approved_ws: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = work.make_claim(approved_ws, PROJECT)
    key = "0x" + work.accounts(approved_ws).load("issuer").key.hex().removeprefix("0x")
    monkeypatch.setenv("SATOYAMA_KEY_VERIFIER", key)
    for act in (lambda: work.approve(approved_ws, record.claim_id), lambda: work.set_up_chain(approved_ws)):
        with pytest.raises(chainroom.SameAccount) as caught:
            act()
        assert key[2:] not in str(caught.value)


def _change_one_byte(stored: Path, name_end: str) -> None:
    """Flip a byte of a file inside a stored zip, where it lies."""
    with zipfile.ZipFile(stored) as archive:
        info = next(i for i in archive.infolist() if i.filename.endswith(name_end))
    data = bytearray(stored.read_bytes())
    start = info.header_offset + 30 + len(info.filename.encode())
    data[start + info.compress_size // 2] ^= 1
    os.chmod(stored, 0o644)
    stored.write_bytes(bytes(data))


@pytest.mark.parametrize(
    "name", ["owase-demo-2025/trees.csv", "owase-demo-2021/chm.tif", "content/plan.json"]
)
def test_nothing_is_signed_on_evidence_with_one_byte_changed(approved_ws: Workspace, name: str) -> None:
    record = work.make_claim(approved_ws, PROJECT)
    with approved_ws.objects.open(record.bundle_digest) as stored:
        _change_one_byte(stored, name)
    with pytest.raises(claiming.NotReproduced, match=name):
        work.approve(approved_ws, record.claim_id)


def test_another_result_in_the_record_is_not_signed(approved_ws: Workspace) -> None:
    record = work.make_claim(approved_ws, PROJECT)
    with approved_ws.catalogue.write() as session:
        row = session.get(ClaimRow, record.claim_id)
        assert row is not None
        row.doc = {**row.doc, "gross_kg": row.doc["gross_kg"] + 1}
    with pytest.raises(claiming.NotReproduced, match="Nothing was signed"):
        work.approve(approved_ws, record.claim_id)


def test_an_unsigned_claim_is_not_issued(approved_ws: Workspace) -> None:
    record = work.make_claim(approved_ws, PROJECT)
    with approved_ws.catalogue.write() as session:
        session.delete(work.approval_of(approved_ws, record.claim_id))
    with pytest.raises(NotApproved, match="satoyama approve"):
        work.issue(approved_ws, record.claim_id)


def test_a_loss_ends_in_a_recorded_refusal_and_no_claim(loss_files: DemoFiles, tmp_path: Path) -> None:
    ws = work.init_workspace(tmp_path / "loss", loss_files.project_toml)
    for archive in loss_files.survey_zips:
        assert work.submit_survey(ws, archive).accepted
    with pytest.raises(ClaimRefused) as caught:
        work.make_claim(ws, PROJECT)
    assert [r.code for r in caught.value.reasons] == ["claim.no_gain"]
    assert ws.catalogue.claims_of(PROJECT) == []
    with ws.catalogue.read() as session:
        refusal = session.scalars(select(ClaimRefusalRow)).one()
    assert refusal.reasons[0]["code"] == "claim.no_gain" and refusal.reasons[0]["ja"]
