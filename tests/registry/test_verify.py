"""Verification: the honest bundle holds, every forgery fails with the right name, and nothing in a bundle makes it crash."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from mrv.blob import blob_of_file, canonical_json, digest_file
from mrv.bundle import withhold
from mrv.evidence import EVIDENCE_NAME, build_evidence
from mrv.tables import load_tables
from registry.claimstruct import ClaimStruct, digest_of, project_key
from registry.plan_anchor import project_uri
from registry.verify import verify
from registry.verify_report import VerifyReport, render_check
from tests.conftest import ROOT
from tests.registry.small_project import PLAN, SECRET, SURVEYS, Measured, files_of, measure

STAGES = (*(f"{kind}_{s}" for kind in ("canopy", "inventory") for s in SURVEYS), "change", "claim")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Measured:
    return measure(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def honest(small: Measured, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("bundle") / "evidence"
    small.bundle(target)
    return target


@pytest.fixture
def copy(honest: Path, tmp_path: Path) -> Path:
    shutil.copytree(honest, tmp_path / "copy")
    return tmp_path / "copy"


def reroot(folder: Path) -> None:
    """What a forger does after changing a file: new leaves and roots over everything."""
    (folder / EVIDENCE_NAME).unlink()
    digests = {name: blob.digest for name, blob in files_of(folder).items()}
    (folder / EVIDENCE_NAME).write_bytes(canonical_json(build_evidence(digests, SECRET).to_doc()))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    doc = json.loads(path.read_bytes())
    change(doc)
    path.write_bytes(canonical_json(doc))


def names(report: VerifyReport, status: str) -> list[str]:
    return [c.name for c in report.checks if c.status == status]


def detail(report: VerifyReport, name: str) -> str:
    return next(c.detail_en for c in report.checks if c.name == name)


def test_an_honest_bundle_holds_and_gives_the_claimed_kilograms(small, honest):
    report = verify(honest, None)
    assert report.ok, report.render()
    assert report.recomputed_kg == small.result.claim.gross_kg > 0
    assert report.batch_id == small.result.claim.batch_id
    assert names(report, "failed") == []
    assert names(report, "not_made") == ["chain.left_out"]
    assert {f"stage.{s}" for s in STAGES} <= set(names(report, "passed"))
    assert report.to_doc()["verify_ok"] is True


def test_every_check_is_one_line_in_either_language_and_told_as_it_is_made(honest):
    told = []
    report = verify(honest, None, tell=told.append)
    assert tuple(told) == report.checks
    for lang, verdict in (("en", "VERIFIED: every check holds"), ("ja", "検証結果: すべての検査に合格")):
        lines = report.render(lang).splitlines()
        assert len(lines) == len(report.checks) + 1
        assert lines[-1].startswith(verdict)
        assert lines[0] == render_check(report.checks[0], lang)


@pytest.mark.parametrize("survey", SURVEYS)
@pytest.mark.parametrize(
    "file", ["survey.toml", "plots.geojson", "sample_plots.geojson", "毎木調査.csv", "chm.tif"]
)
def test_one_changed_byte_of_any_input_is_named_and_fails(copy, survey, file):
    name = f"content/inputs/{survey}/{file}"
    data = bytearray((copy / name).read_bytes())
    data[-2] ^= 1
    (copy / name).write_bytes(data)
    report = verify(copy, None)
    assert not report.ok
    assert "bundle.files" in names(report, "failed")
    assert f"first {name}" in detail(report, "bundle.files")
    assert report.recomputed_kg is None
    assert "recomputed.kilograms" in names(report, "not_made")
    assert report.render("en").splitlines()[-1].startswith("NOT VERIFIED")
    assert "検証できません" in report.render("ja").splitlines()[-1]


def _inflate(name: str) -> Callable[[Any], None]:
    def change(doc: Any) -> None:
        if name.startswith("canopy"):
            doc["plots"][0]["sum_mm"] += 1
        elif name.startswith("inventory"):
            doc["trees"][0]["co2_g"] += 1
        elif name == "change":
            doc["change"]["total_g"] += 1_000_000
        else:
            doc["estimate_kg"] += 1000
            doc["gross_kg"] += 1000
            doc["credited_kg"] += 1000

    return change


@pytest.mark.parametrize("stage", STAGES)
def test_a_doctored_stage_under_new_roots_is_named_as_the_first_that_differs(copy, stage, small):
    path = copy / ("content/claim.json" if stage == "claim" else f"content/outputs/{stage}.json")
    edit(path, _inflate(stage))
    reroot(copy)
    report = verify(copy, None)
    assert not report.ok
    assert f"is {stage}." in detail(report, "stage.first_differing")
    assert report.recomputed_kg == small.result.claim.gross_kg
    earlier = [f"stage.{s}" for s in STAGES[: STAGES.index(stage)]]
    assert set(earlier) <= set(names(report, "passed"))
    assert ("recomputed.kilograms" in names(report, "failed")) is (stage == "claim")


def test_a_claim_whose_kilograms_do_not_add_up_fails_even_without_recomputation(copy):
    edit(copy / "content/claim.json", lambda d: d.update(credited_kg=d["credited_kg"] + 1))
    reroot(copy)
    assert "claim.arithmetic" in names(verify(copy, None), "failed")


@pytest.mark.parametrize("figure", [1.5, True, "1", None])
def test_kilograms_that_are_not_whole_numbers_are_no_claim(copy, figure):
    edit(copy / "content/claim.json", lambda d: d.update(gross_kg=figure))
    reroot(copy)
    report = verify(copy, None)
    assert "claim.read" in names(report, "failed")
    assert not report.ok


def test_stated_roots_that_do_not_follow_from_the_leaves_fail(copy):
    for root in ("content_root", "run_root", "evidence_root"):
        edit(copy / EVIDENCE_NAME, lambda d, root=root: d.update({root: "0x" + "00" * 32}))
        assert "bundle.roots" in names(verify(copy, None), "failed")


def test_a_consistent_forgery_is_caught_by_a_root_known_from_elsewhere(small, honest, copy, tmp_path):
    root = json.loads((honest / EVIDENCE_NAME).read_bytes())["evidence_root"]
    assert verify(honest, None, evidence_root=root).ok
    (copy / "README.txt").write_text("harmless")
    reroot(copy)
    report = verify(copy, None, evidence_root=root)
    assert names(report, "failed") == ["bundle.expected_root"]
    assert not report.ok


def test_tables_that_make_wood_denser_are_not_those_of_this_program(tmp_path):
    files = load_tables().files()
    files["species_factors.csv"] = files["species_factors.csv"].replace(b"0.407", b"0.507")
    assert files != load_tables().files()
    forged = measure(tmp_path / "forged", load_tables(files))
    forged.bundle(tmp_path / "evidence.zip")
    report = verify(tmp_path / "evidence.zip", None)
    assert names(report, "failed") == ["claim.tables"]
    assert not report.ok


def test_a_plan_that_is_not_the_claimed_one_fails(copy):
    edit(copy / "content/plan.json", lambda d: d.update(confidence_ppm=500_001))
    reroot(copy)
    report = verify(copy, None)
    assert {"claim.plan", "claim.method"} <= set(names(report, "failed"))


def test_a_bundle_of_another_program_version_is_not_made_and_never_passed(copy):
    edit(
        copy / "run/environment.json",
        lambda d: d.update(measuring_digest="sha256:" + "00" * 32, version="9.9"),
    )
    reroot(copy)
    report = verify(copy, None)
    assert {"program.version", "recomputed.kilograms"} <= set(names(report, "not_made"))
    assert "version 9.9" in detail(report, "program.version")
    assert (report.ok, report.recomputed_kg, report.failed) == (False, None, ())


def test_withheld_polygons_leave_the_hashes_true_and_the_recomputation_not_made(honest, tmp_path):
    withheld = [f"content/inputs/{s}/plots.geojson" for s in SURVEYS]
    withhold(honest, withheld, tmp_path / "public.zip")
    report = verify(tmp_path / "public.zip", None)
    assert report.failed == ()
    assert {"bundle.withheld", "recomputed.kilograms"} <= set(names(report, "not_made"))
    assert not report.ok


def test_a_doctored_canopy_raster_fails(copy):
    path = copy / f"run/outputs/canopy_{SURVEYS[1]}.tif"
    with rasterio.open(path, "r+") as raster:
        raster.write(raster.read(1) + np.int32(1), 1)
    reroot(copy)
    assert "stage.rasters" in names(verify(copy, None), "failed")


def test_a_checksum_in_the_catalogue_that_is_not_the_files_fails(copy):
    def spoil(doc: Any) -> None:
        doc["assets"]["chm.tif"]["file:checksum"] = "1220" + "00" * 32

    edit(copy / f"run/stac/{SURVEYS[0]}.json", spoil)
    reroot(copy)
    report = verify(copy, None)
    assert names(report, "failed") == ["bundle.provenance"]
    assert "chm.tif" in detail(report, "bundle.provenance")


def test_a_zip_altered_between_its_files_fails(small, tmp_path):
    small.bundle(tmp_path / "evidence.zip")
    assert verify(tmp_path / "evidence.zip", None).ok
    data = bytearray((tmp_path / "evidence.zip").read_bytes())
    data[10] ^= 1
    (tmp_path / "evidence.zip").write_bytes(data)
    report = verify(tmp_path / "evidence.zip", None)
    assert names(report, "failed") == ["bundle.container"]
    assert not report.ok


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"no zip at all"])
def test_something_that_is_no_bundle_gives_one_clear_failure_in_both_languages(tmp_path, content):
    (tmp_path / "evidence.zip").write_bytes(content)
    report = verify(tmp_path / "evidence.zip", None)
    assert names(report, "failed") == ["bundle.opened"]
    assert not report.ok
    assert "証拠一式を読めません" in report.render("ja")


def test_a_path_that_does_not_exist_is_one_clear_failure(tmp_path):
    assert names(verify(tmp_path / "nowhere.zip", None), "failed") == ["bundle.opened"]


def _spoil_at_random(doc: Any, choose: random.Random) -> Any:
    junk = [None, [], {}, "", "x", -1, 2**60, 1.5, True]
    if isinstance(doc, dict) and doc and choose.random() < 0.8:
        key = choose.choice(sorted(doc))
        return {**doc, key: _spoil_at_random(doc[key], choose)}
    if isinstance(doc, list) and doc and choose.random() < 0.8:
        place = choose.randrange(len(doc))
        return [*doc[:place], _spoil_at_random(doc[place], choose), *doc[place + 1 :]]
    return choose.choice([j for j in junk if j != doc or type(j) is not type(doc)])


@pytest.mark.parametrize("seed", range(30))
def test_spoilt_documents_under_new_roots_never_crash_and_never_pass(copy, seed):
    choose = random.Random(seed)
    paths = sorted(p for p in copy.rglob("*.json") if p.name not in (EVIDENCE_NAME, "ro-crate-metadata.json"))
    # What the run says of itself is hashed, but no figure rests on most of it.
    judged = [p for p in paths if p.is_relative_to(copy / "content")]
    path = choose.choice(judged)
    path.write_text(json.dumps(_spoil_at_random(json.loads(path.read_bytes()), choose)))
    reroot(copy)
    report = verify(copy, None)
    assert not report.ok, (path, report.render())


@pytest.mark.parametrize("seed", range(20))
def test_spoilt_inputs_under_new_roots_never_crash(copy, seed):
    choose = random.Random(seed)
    path = choose.choice(sorted(p for p in (copy / "content" / "inputs").rglob("*") if p.is_file()))
    data = bytearray(path.read_bytes())
    for _ in range(choose.choice([1, 3, 30])):
        data[choose.randrange(len(data))] = choose.randrange(256)
    path.write_bytes(data[: choose.randrange(len(data))] if seed % 4 == 0 else data)
    reroot(copy)
    report = verify(copy, None)
    # A changed blank or margin pixel may change no figure; whatever is changed, the catalogue or the figures must tell, or nothing has.
    assert report.failed or report.recomputed_kg is not None


def test_verification_needs_neither_chain_machine_nor_prefect_nor_database(honest):
    program = (
        "import sys; from pathlib import Path; from registry.verify import verify\n"
        "report = verify(Path(sys.argv[1]), None)\n"
        "unwanted = {'prefect', 'sqlalchemy', 'fastapi', 'eth', 'eth_tester', 'pystac', 'web3'} & set(sys.modules)\n"
        "print(report.recomputed_kg, report.ok, sorted(unwanted))"
    )
    command = [sys.executable, "-c", program, str(honest)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.split(" ", 1)[1].strip() == "True []"


# With the chain


def _issue(world: Any, small: Measured, evidence_doc: dict[str, Any]) -> None:
    claim = small.result.claim
    port = world.port
    uri = project_uri(claim.project_id, digest_of(claim.plan_digest))
    key, method = project_key(claim.project_id), digest_of(claim.method_digest)
    port.register_project(world["admin"], key, method, 100, 0, uri)
    struct = ClaimStruct.from_claim(
        claim,
        content_root=evidence_doc["content_root"],
        evidence_root=evidence_doc["evidence_root"],
        recipient=world["seller"].address,
        nonce=7,
        deadline=4_000_000_000,
    )
    signature = port.sign_claim(world["verifier"], struct)
    port.issue(world["issuer"], struct, world["verifier"].address, signature)


@pytest.fixture(scope="module")
def issued(embedded_chain: Any, small: Measured, honest: Path) -> Any:
    from tests.registry.conftest import World

    world = World(embedded_chain, "small")
    _issue(world, small, json.loads((honest / EVIDENCE_NAME).read_bytes()))
    return world.port


def test_an_issued_bundle_holds_against_the_chain(issued, honest):
    report = verify(honest, issued)
    assert report.ok, report.render()
    assert {"chain.content_root", "chain.evidence_root", "chain.signature", "chain.kg"} <= set(
        names(report, "passed")
    )


def test_a_forgery_with_new_roots_fails_against_the_chain(issued, copy):
    (copy / "README.txt").write_text("harmless")
    reroot(copy)
    report = verify(copy, issued)
    assert "chain.evidence_root" in names(report, "failed")
    assert "chain.content_root" in names(report, "passed")
    assert report.recomputed_kg is not None
    assert not report.ok


def test_an_honest_bundle_that_was_never_issued_fails_against_the_chain(issued, tmp_path):
    other = measure(tmp_path / "other", plan=replace(PLAN, confidence_ppm=700_000))
    other.bundle(tmp_path / "evidence.zip")
    assert verify(tmp_path / "evidence.zip", None).ok
    report = verify(tmp_path / "evidence.zip", issued)
    assert names(report, "failed") == ["chain.batch"]
    assert not report.ok


def test_a_chain_that_cannot_be_reached_is_a_finding_and_no_crash(honest, issued):
    from web3 import HTTPProvider, Web3

    lost = object.__new__(type(issued))
    lost.__dict__ = {**issued.__dict__, "w3": Web3(HTTPProvider("http://127.0.0.1:9"))}
    report = verify(honest, lost)
    assert "chain.reached" in names(report, "failed")
    assert not report.ok


def test_verifying_changes_nothing_in_the_bundle(honest):
    before = {n: b.digest for n, b in files_of(honest).items()}
    verify(honest, None)
    assert (
        {n: digest_file(honest / n) for n in before}
        == before
        == {n: b.digest for n, b in files_of(honest).items()}
    )


def test_a_forged_output_given_to_the_bundler_is_not_mended_by_it(small, tmp_path):
    doctored = tmp_path / "change.json"
    doc = json.loads(small.outputs["change.json"].read_bytes())
    doc["change"]["se_g"] = 1
    doctored.write_bytes(canonical_json(doc))
    small.bundle(tmp_path / "evidence.zip", {**small.outputs, "change.json": blob_of_file(doctored)})
    assert "is change." in detail(verify(tmp_path / "evidence.zip", None), "stage.first_differing")
