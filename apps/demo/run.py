"""The main job, step by step, with each step's outcome told in plain words."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from apps.demo.definition import Scenario
from apps.demo.survey_files import DemoFiles, write_demo
from apps.demo.telling import Teller, change_table, secretary_summary
from apps.pdf import render_certificate, render_statement
from apps.report.stored import report_of_claim, report_of_refusal
from apps.web.reads import Reader
from flows import runtime, work
from flows.definition import read_definition
from flows.settings import Workspace
from flows.work.measuring import change_of
from mrv.errors import ClaimRefused
from mrv.results import Change, Claim

PRICE_YEN_PER_TONNE = 14_987
SOLD_SHARE = (3, 4)
RETIRED_KG = 120_345
BENEFICIARY = "模擬購入者株式会社 / Simulated Buyer Inc."


@dataclass(frozen=True)
class Traded:
    """What the market steps came to, kg and token base units."""

    sold_kg: int
    revenue: int
    treasury: int
    paid_out: int
    carried: int


def run_demo(out: Path, seed: int, scenario: Scenario, chain_url: str) -> int:
    """Run the main job; returns the exit status.

    0 where it ended as the scenario must: credits that the buyer recomputed, or, for the loss scenario, a refusal.
    """
    started = time.monotonic()
    say = Teller(started)
    _fresh(out)
    say.title("Satoyama MRV — the main job on SIMULATED survey data / 模擬データによる実演")
    ws = _workspace(out, chain_url)
    prefect = runtime.start_early(ws)
    say.step("Simulating a forest near Owase: 8 plots, two drone surveys four years apart, 24 sample plots")
    files = write_demo(out / "input", seed, scenario)
    _project(ws, out, files)
    for upload in files.survey_zips:
        say.step(f"Forestry team submits {upload.name}")
        plan = work.submit_survey(ws, upload)
        if not plan.accepted:
            say.fail(*[p.en for p in plan.problems])
            return 1
        say.note(f"accepted: {len(plan.files)} files, every one hashed and checked")
        project_id = work.only_project_id(ws)
        if project_id not in work.projects_on_chain(ws):
            work.register_on_chain(ws, project_id)
            digest = work.plan_of(ws, project_id)[0].digest
            say.note(f"monitoring plan {digest[:23]}… is on the chain before the second date is read")

    say.step("Prefect flow measures canopy, trees, biomass and change")
    prefect.wait()
    from flows.measure import measure_flow

    measured = measure_flow(str(ws.root), project_id)
    change = change_of(ws, next(s for s in measured.stages if s.stage == "change"))
    truth = {p["plot_id"]: p["change_g"] for p in json.loads(files.truth_json.read_text())["plots"]}
    for line in change_table(change, truth):
        say.plain(line)
    _watch(ws, project_id, say)

    say.step("Claim: change since the start, less its uncertainty, less the buffer")
    try:
        made = work.make_claim(ws, project_id, measurement=measured)
    except ClaimRefused as refused:
        report_of_refusal(ws, measured, refused, out / "report.html", truth_g=truth)
        return _refused(out, say, change, truth, refused, scenario)
    claim = made.claim
    say.note(
        f"{claim.estimate_kg:,} kg − uncertainty {claim.deduction_kg:,} kg = {claim.gross_kg:,} kg; "
        f"buffer {claim.buffer_kg:,} kg, credited {claim.credited_kg:,} kg CO2e"
    )
    evidence = work.evidence_to(ws, made.claim_id, out / "evidence.zip")
    say.step("Verifier recomputes the claim from the evidence and signs with a key of its own")
    approval = work.approve(ws, made.claim_id)
    say.note(f"{approval.recomputed_kg:,} kg recomputed, signed by {approval.verifier}")
    say.step("Prefect flow issues the batch on the chain")
    from flows.issue import issue_flow

    issued = issue_flow(str(ws.root), made.claim_id)
    say.note(f"batch {claim.batch_id[:23]}… in transaction {issued.event.tx_hash[:18]}…")
    traded = _trade(ws, project_id, claim, say)
    _papers(ws, out, project_id, claim, say)
    say.step("Buyer verifies in a separate process, from the pixels")
    verified = _verify(ws, evidence)
    for check in verified["checks"]:
        say.plain(f"    {'ok ' if check['status'] == 'passed' else '!! '} {check['detail_en']}")
    report_of_claim(ws, made.claim_id, out / "report.html", truth_g=truth)
    summary = _summary(change, claim, truth, traded, verified, made.evidence_root)
    summary["wall_s"] = round(time.monotonic() - started, 1)
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    for line in secretary_summary(summary, out):
        say.plain(line)
    return 0 if summary["verify_ok"] and summary["recomputed_kg"] == claim.gross_kg else 1


def _fresh(out: Path) -> None:
    """Empty what an earlier demo wrote; a folder that holds anything else is left alone."""
    ours = {
        "input",
        "workspace",
        "summary.json",
        "report.html",
        "evidence.zip",
        "statement.csv",
        "statement.pdf",
        "certificate.pdf",
        "deployment.json",
    }
    out.mkdir(parents=True, exist_ok=True)
    foreign = sorted(p.name for p in out.iterdir() if p.name not in ours)
    if foreign:
        raise SystemExit(
            f"{out} holds files that are not the demo's ({', '.join(foreign[:3])}); choose another --out"
        )
    for entry in out.iterdir():
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _workspace(out: Path, chain_url: str) -> Workspace:
    # The demo's keys are worth nothing; their password lives as long as this process.
    os.environ.setdefault("SATOYAMA_KEYSTORE_PASSWORD", secrets.token_urlsafe(24))
    values = {"stac": str((out / "input" / "stac").resolve())}
    if chain_url:
        values |= {"chain_kind": "rpc", "chain_url": chain_url}
    return work.init_workspace(out / "workspace", **values)


def _project(ws: Workspace, out: Path, files: DemoFiles) -> None:
    work.register_project(ws, read_definition(files.project_toml))
    deployed = work.set_up_chain(ws)
    (out / "deployment.json").write_text(json.dumps(deployed.to_doc(), indent=1) + "\n")


def _watch(ws: Workspace, project_id: str, say: Teller) -> None:
    say.step("Prefect flow looks at the satellite series")
    from flows.watch import watch_flow

    seen = watch_flow(str(ws.root), project_id)
    say.note(f"{seen.scenes_new} scenes, {len(seen.alerts)} alerts")
    for alert in seen.alerts:
        say.note(
            f"{alert.plot_id}: {alert.index_name.upper()} fell from {alert.break_day}; register: {alert.explained_by or 'NOTHING'}"
        )


def _refused(
    out: Path,
    say: Teller,
    change: Change,
    truth: dict[str, int],
    refused: ClaimRefused,
    scenario: Scenario,
) -> int:
    say.fail(*[text for r in refused.reasons for text in (r.en, r.ja)])
    summary = {
        **_figures(change, truth),
        "refused": [r.code for r in refused.reasons],
        "credited_kg": 0,
        "simulated": True,
    }
    (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    say.plain(f"  No credit was made. Read why in {out / 'report.html'}")
    return 0 if scenario == "loss" else 1


def _trade(ws: Workspace, project_id: str, claim: Claim, say: Teller) -> Traded:
    port = work.open_port(ws)
    unit = 10 ** port.yen_decimals()
    sold_kg = claim.credited_kg * SOLD_SHARE[0] // SOLD_SHARE[1]
    say.step(
        f"Seller lists {claim.credited_kg:,} kg; a buyer pays for {sold_kg:,} kg in development yen (no value)"
    )
    listed = work.list_for_sale(ws, claim.batch_id, claim.credited_kg, PRICE_YEN_PER_TONNE * unit)
    work.give_test_yen(ws, "buyer", claim.credited_kg * PRICE_YEN_PER_TONNE * unit)
    sold = work.buy(ws, listed.listing_id, sold_kg)
    say.note(f"{sold.cost / unit:,.6f} yen went to the revenue split in the same transaction")
    say.step("Prefect flow settles: every payee is paid what is due")
    from flows.settle import settle_flow

    done = settle_flow(str(ws.root), project_id)
    names = work.payee_names(ws, project_id)
    for line in done.statement.payees:
        say.note(f"{names.get(line.payee, (line.payee,))[0]}: {line.paid_total / unit:,.6f} yen")
    say.step(f"Buyer retires {min(RETIRED_KG, sold_kg):,} kg")
    work.retire(
        ws,
        claim.batch_id,
        min(RETIRED_KG, sold_kg),
        beneficiary=BENEFICIARY,
        purpose="voluntary offset (demonstration) / 自主的なオフセット（実演）",
        consumption=(date(2025, 4, 1), date(2026, 4, 1)),
    )
    s = done.statement
    treasury_key = next(
        p for p in work.definition_of_project(ws, project_id).payees if p.payee_id == "treasury"
    )
    treasury = work.payee_address(ws, treasury_key)
    paid = next(line.paid_total for line in s.payees if line.payee == treasury)
    return Traded(sold_kg, s.revenue_total, paid, s.paid_total, s.carried)


def _papers(ws: Workspace, out: Path, project_id: str, claim: Claim, say: Teller) -> None:
    from apps.cli.market import write_csv

    work.index_events(ws)
    reader = Reader(ws)
    page = reader.batch(claim.batch_id)
    render_certificate(page.retirements[-1], out / "certificate.pdf")
    write_csv(out / "statement.csv", work.statement_rows(ws, project_id, work.statement_of(ws, project_id)))
    assert page.statement is not None, "the batch was sold on the chain that was read"
    render_statement(page.statement, out / "statement.pdf")
    say.note(f"certificate {page.retirements[-1].certificate_id} and statement written")


def _verify(ws: Workspace, evidence: Path) -> dict[str, Any]:
    """``satoyama verify`` in a process of its own that has neither keys nor this process's memory."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SATOYAMA_CHAIN_URL")
    clean = {k: v for k, v in os.environ.items() if k in kept}
    command = [sys.executable, "-c", "from apps.cli import main; main()"]
    done = subprocess.run(
        [*command, "--workspace", str(ws.root), "--json", "verify", str(evidence)],
        env=clean,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        raise RuntimeError(f"verify printed nothing (exit {done.returncode}): {done.stderr[-2000:]}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def _figures(change: Change, truth: dict[str, int]) -> dict[str, Any]:
    return {
        "plots": len(change.plots),
        "area_ha": round(sum(p.area_mm2 for p in change.plots) / 1e10, 4),
        "stock_change_kg_co2e": change.change.total_g // 1000,
        "stock_change_se_kg_co2e": -(-change.change.se_g // 1000),
        "true_stock_change_kg_co2e": round(sum(truth.values()) / 1000),
    }


def _summary(
    change: Change,
    claim: Claim,
    truth: dict[str, int],
    traded: Traded,
    verified: dict[str, Any],
    evidence_root: str,
) -> dict[str, Any]:
    return {
        **_figures(change, truth),
        "deduction_kg": claim.deduction_kg,
        "gross_kg": claim.gross_kg,
        "credited_kg": claim.credited_kg,
        "buffer_kg": claim.buffer_kg,
        "batch_id": claim.batch_id,
        "evidence_root": evidence_root,
        "recomputed_kg": verified["recomputed_kg"],
        "verify_ok": verified["verify_ok"],
        "sold_kg": traded.sold_kg,
        "revenue_base_units": traded.revenue,
        "treasury_base_units": traded.treasury,
        "paid_out_base_units": traded.paid_out,
        "carried_base_units": traded.carried,
        "simulated": True,
    }
