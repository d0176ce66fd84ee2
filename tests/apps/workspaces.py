"""A workspace with one issued, sold and partly retired batch, written straight into the store: no chain, no measuring."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

from flows.definition import Payee, ProjectDefinition
from flows.outbox import CatalogueEvents
from flows.settings import Workspace
from flows.tables import AlertRow, ApprovalRow, ClaimRefusalRow, ClaimRow
from flows.work.projects import register_project, store_plan
from mrv.blob import canonical_json, digest_doc
from mrv.results import to_doc
from registry.claimstruct import project_key
from registry.deploy import Deployment
from registry.events import BatchIssued, Claimed, Deposited, Event, Listed, Retired, SharesSet, Sold
from tests.apps.samples import PLAN, PROJECT, sample_change, sample_claim

NOW = datetime(2025, 11, 21, 3, 4, tzinfo=UTC)
CHAIN_ID = 7_074_231
TOKEN_ID = 0xABCDEF << 160
YEN, REGISTRY, BUYER = ("0x" + c * 40 for c in "123")
PAYEES = (
    Payee("treasury", "Owase co-op treasury", "尾鷲森林組合 会計", 600_000, "0x" + "F1" * 20),
    Payee("workers", "Workers' fund", "作業員基金", 400_000, "0x" + "A2" * 20),
)
SOLD_KG, RETIRED_KG, COST = 300_000, 120_000, 3_000_000_000_001
SECONDS = 1_763_600_000


def definition() -> ProjectDefinition:
    plan = {
        "first_survey_id": PLAN.first_survey_id,
        "deduction_policy": PLAN.deduction_policy,
        "confidence_ppm": PLAN.confidence_ppm,
        "interval_ppm": PLAN.interval_ppm,
        "cell_mm": PLAN.cell_mm,
    }
    return ProjectDefinition(PROJECT, plan, PLAN.declared, PAYEES)


def made_claim():
    """The sample claim on the stored plan."""
    return replace(sample_claim(), plan_digest=PLAN.digest)


def chain_events() -> list[Event]:
    """Shares set, batch issued, listed, part sold, part of that retired, one payee paid."""
    claim, key = made_claim(), project_key(PROJECT.project_id)
    at = [(block, 0, f"0x{block:064x}", SECONDS + 60 * block) for block in range(1, 9)]
    payees = tuple(sorted((p.address for p in PAYEES), key=lambda a: int(a, 16)))
    shares = tuple({p.address: p.share_ppm for p in PAYEES}[a] for a in payees)
    return [
        SharesSet(*at[0], project_id=key, epoch=1, payees=payees, shares=shares),
        BatchIssued(
            *at[1],
            batch_id=bytes.fromhex(claim.batch_id.removeprefix("sha256:")),
            project_id=key,
            id=TOKEN_ID,
            content_root=b"\x0c" * 32,
            evidence_root=b"\xe0" * 32,
            period_start=18_920,
            period_end=20_381,
            vintage=claim.vintage,
            estimate_kg=claim.estimate_kg,
            standard_error_kg=claim.standard_error_kg,
            deduction_kg=claim.deduction_kg,
            gross_kg=claim.gross_kg,
            buffer_kg=claim.buffer_kg,
            recipient=BUYER,
            verifier="0x" + "7E" * 20,
            plot_keys=(b"\x01" * 32,),
            claim_digest=b"\x02" * 32,
        ),
        Listed(
            *at[2],
            listing_id=1,
            id=TOKEN_ID,
            seller=BUYER,
            kg=400_000,
            token=YEN,
            price_per_tonne=10_000_000_000,
            project_id=key,
        ),
        Sold(
            *at[3], listing_id=1, id=TOKEN_ID, buyer=BUYER, kg=SOLD_KG, token=YEN, cost=COST, project_id=key
        ),
        Deposited(*at[4], project_id=key, token=YEN, payer=BUYER, epoch=1, amount=COST),
        Claimed(*at[5], project_id=key, token=YEN, payee=PAYEES[0].address, amount=COST * 6 // 10),
        Retired(
            *at[6],
            certificate_id=1,
            id=TOKEN_ID,
            account=BUYER,
            kg=RETIRED_KG,
            beneficiary="みえ食品 <b>Mie</b> & Co.",
            purpose="2025年度のオフセット",
            country=b"JP",
            consumption_start=20_179,
            consumption_end=20_544,
        ),
    ]


def claimed_workspace(folder: Path) -> Workspace:
    """A workspace with a claim and its evidence, not yet approved; no chain."""
    ws = replace(Workspace.create(folder), clock=lambda: NOW)
    register_project(ws, definition())
    store_plan(ws, PLAN)
    claim = made_claim()
    row = ClaimRow(
        claim_id=digest_doc(claim.to_doc()),
        project_id=PROJECT.project_id,
        batch_id=claim.batch_id,
        doc=claim.to_doc(),
        surveys=["owase-demo-2021", "owase-demo-2025"],
        outputs={"change.json": ws.objects.put_bytes(canonical_json(to_doc(sample_change())))},
        content_root="sha256:" + "0c" * 32,
        evidence_root="sha256:" + "e0" * 32,
        bundle_digest=ws.objects.put_bytes(b"PK the bundle of a test"),
        made_at=NOW,
    )
    with ws.catalogue.write() as session:
        session.add(row)
    return ws


def issued_workspace(folder: Path) -> Workspace:
    """The same with approval, chain events, a refusal of an earlier claim and an alert."""
    ws = claimed_workspace(folder)
    claim = made_claim()
    deployment = Deployment(CHAIN_ID, 0, REGISTRY, "0x" + "4" * 40, "0x" + "5" * 40, YEN, True, {})
    (ws.chain_folder / "deployment.json").write_text(json.dumps(deployment.to_doc()))
    index = CatalogueEvents(ws.catalogue, ws.clock)
    index.append(CHAIN_ID, REGISTRY, [e.to_doc() for e in chain_events()], through_block=12)
    approval = ApprovalRow(
        claim_id=digest_doc(claim.to_doc()),
        verifier="0x" + "7E" * 20,
        struct={},
        signature="0x00",
        recomputed_kg=claim.gross_kg,
        signed_at=NOW,
    )
    refusal = ClaimRefusalRow(
        project_id=PROJECT.project_id,
        change_digest="sha256:" + "00" * 32,
        reasons=[
            {"code": "claim.no_gain", "en": "The stock fell.", "ja": "蓄積が減少しました。", "figures": {}}
        ],
        refused_at=NOW,
    )
    alert = AlertRow(
        project_id=PROJECT.project_id,
        plot_id="P8",
        index_name="ndmi",
        break_day=date(2023, 2, 11),
        magnitude_e4=-3120,
        explained_by="",
        raised_at=NOW,
    )
    with ws.catalogue.write() as session:
        session.add_all([approval, refusal, alert])
    return ws
