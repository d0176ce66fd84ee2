"""The pages as a team, a buyer and a verifier meet them."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from fastapi.testclient import TestClient

from apps.look.wording import SIMULATED, Text, whole
from apps.report.stored import report_of_refusal
from apps.web import create_app
from apps.web import reads as reads_module
from apps.web.reads import Reader
from apps.web.uploads import UploadRefused, Waiting, safe_name
from flows.definition import ProjectDefinition
from flows.settings import Settings, Workspace
from flows.work.claiming import make_claim
from flows.work.measuring import measure
from flows.work.projects import register_project
from flows.work.surveys import submit_survey
from mrv.errors import ClaimRefused
from mrv.project import DeclaredErrors
from tests.apps.samples import PROJECT
from tests.apps.workspaces import (
    COST,
    PAYEES,
    RETIRED_KG,
    SOLD_KG,
    claimed_workspace,
    issued_workspace,
    made_claim,
)
from tests.mrv import bad_inputs

BATCH = made_claim().batch_id.removeprefix("sha256:")


def words(html: str) -> str:
    """What a reader sees of a page."""
    body = re.sub(r"<(style|script).*?</\1>", " ", html, flags=re.S)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", body)))


@pytest.fixture(scope="module")
def issued(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return issued_workspace(tmp_path_factory.mktemp("issued") / "ws")


@pytest.fixture(scope="module")
def client(issued: Workspace) -> TestClient:
    return TestClient(create_app(issued))


@pytest.fixture
def team(tmp_path: Path) -> tuple[TestClient, Workspace]:
    """A workspace with one project and nothing handed in yet."""
    ws = Workspace.create(tmp_path / "ws")
    plan = {
        "first_survey_id": "test-2021",
        "deduction_policy": "probability_of_exceedance",
        "confidence_ppm": 666_667,
        "interval_ppm": 900_000,
        "cell_mm": 20_000,
    }
    declared = DeclaredErrors({"sugi": 50_000, "hinoki": 50_000}, 40_000, 100)
    register_project(ws, ProjectDefinition(bad_inputs.PROJECT, plan, declared, ()))
    return TestClient(create_app(ws)), ws


def good_zip(tmp_path: Path) -> Path:
    return bad_inputs.zip_of(bad_inputs.good_survey(tmp_path / "survey"), tmp_path / "survey.zip")


def send(client: TestClient, path: Path, name: str | None = None, lang: str = "en") -> object:
    with path.open("rb") as file:
        return client.post(
            f"/upload?lang={lang}", files={"survey": (name or path.name, file, "application/zip")}
        )


# A buyer


def test_a_batch_page_tells_a_buyer_all_that_matters(client: TestClient) -> None:
    claim, text = made_claim(), words(client.get(f"/batches/{BATCH}?lang=en").text)
    for expected in (
        "Owase, Mie", "20 Oct 2021", "20 Oct 2025", "40.13 ha",
        f"{whole(claim.credited_kg)} kg of CO2", f"{whole(claim.buffer_kg)} kg more are kept as a buffer",
        f"{whole(-claim.deduction_kg)} kg", "standard error 71.0 t", "probability 2/3",
        f"recomputed {whole(claim.gross_kg)} kg from the evidence", "0x" + "7E" * 20,
        "0x" + "e0" * 32, "satoyama verify evidence.zip --no-chain", f"It must answer {whole(claim.gross_kg)} kg",
        whole(RETIRED_KG), whole(SOLD_KG - RETIRED_KG), "10,000 dJPY per tonne",
        "block 12", "21 Nov 2025, 03:04 UTC", SIMULATED.en,
    ):  # fmt: skip
        assert expected in text, expected


def test_the_money_on_a_batch_page_reconciles_to_the_base_unit(client: TestClient) -> None:
    text = words(client.get(f"/batches/{BATCH}?lang=en").text)
    for expected in (
        "3,000,000.000001 dJPY",
        "1,800,000 dJPY",
        "1,200,000 dJPY",
        "0.000001",
        PAYEES[0].name_en,
        "60 %",
    ):
        assert expected in text, expected
    assert COST == 3_000_000_000_001


def test_the_same_page_reads_wholly_in_japanese(client: TestClient) -> None:
    text = words(client.get(f"/batches/{BATCH}?lang=ja").text)
    for expected in (
        "三重県尾鷲市",
        "2021年10月20日",
        "不確かさ",
        "検証者",
        "お金の行き先",
        PAYEES[0].name_ja,
        SIMULATED.ja,
    ):
        assert expected in text, expected
    assert not re.search(r"\b(the|which|measured|credits)\b", text)


@pytest.mark.parametrize("written", [BATCH, "0x" + BATCH, "sha256:" + BATCH, BATCH.upper()])
def test_a_batch_is_found_however_its_id_is_written(client: TestClient, written: str) -> None:
    assert client.get(f"/batches/{written}").status_code == 200


def test_the_figures_come_as_json_too(client: TestClient) -> None:
    doc = client.get(f"/batches/{BATCH}.json").json()
    assert doc["claim"]["gross_kg"] == made_claim().gross_kg
    assert (doc["retired_kg"], doc["sold_kg"], doc["state"]) == (RETIRED_KG, SOLD_KG, "issued")
    assert doc["simulated"] is True and doc["read_at_block"] == 12


def test_the_evidence_is_downloaded_byte_for_byte(client: TestClient) -> None:
    reply = client.get(f"/batches/{BATCH}/evidence.zip")
    assert reply.content == b"PK the bundle of a test"
    assert reply.headers["content-length"] == str(len(reply.content))
    assert "evidence.zip" in reply.headers["content-disposition"]


def test_a_claim_that_nobody_checked_says_so(tmp_path: Path) -> None:
    page = TestClient(create_app(claimed_workspace(tmp_path / "ws"))).get(f"/batches/{BATCH}?lang=en")
    text = words(page.text)
    for expected in ("claimed, not yet checked", "Nobody yet", "Nothing was sold yet", "None yet"):
        assert expected in text
    assert "Transaction" not in text


def test_a_certificate_is_shown_and_printed(client: TestClient) -> None:
    page = client.get("/certificates/1?lang=en")
    assert "120,000 kg CO2e" in words(page.text)
    assert "1 Apr 2025 to 31 Mar 2026" in words(page.text)
    assert "&lt;b&gt;Mie&lt;/b&gt; &amp; Co." in page.text, "a beneficiary's name is text, never markup"
    paper = client.get("/certificates/1.pdf")
    assert paper.headers["content-type"] == "application/pdf" and paper.content.startswith(b"%PDF")


def test_credits_are_somewhere_exactly_once(issued: Workspace) -> None:
    page = Reader(issued).batch(BATCH)
    h = page.holdings
    assert h.retired_kg + h.held_kg + h.unsold_kg == page.claim.credited_kg
    assert h.for_sale_kg == 400_000 - SOLD_KG


# A co-op's secretary


def test_the_first_page_lists_projects_and_batches(client: TestClient) -> None:
    page = client.get("/?lang=ja")
    assert "尾鷲 実演林" in page.text and f"/batches/{BATCH}" in page.text
    assert whole(made_claim().credited_kg) in page.text


def test_a_project_page_shows_refusals_alerts_and_money(client: TestClient) -> None:
    text = words(client.get(f"/projects/{PROJECT.project_id}?lang=en").text)
    for expected in ("The stock fell.", "11 Feb 2023", "NDMI", "−0.312", "none on record", "Workers' fund"):
        assert expected in text, expected
    paper = client.get(f"/projects/{PROJECT.project_id}/statement.pdf")
    assert paper.content.startswith(b"%PDF")


def test_an_empty_workspace_tells_how_to_begin(tmp_path: Path) -> None:
    page = TestClient(create_app(Workspace.create(tmp_path / "ws"))).get("/?lang=en")
    assert "satoyama init --project project.toml" in page.text


def test_a_good_survey_is_shown_first_and_stored_only_when_confirmed(
    team: tuple[TestClient, Workspace], tmp_path: Path
) -> None:
    client, ws = team
    page = send(client, good_zip(tmp_path))
    assert page.status_code == 200 and "This survey can be accepted" in page.text
    assert "chm.tif" in page.text and "Nothing is stored yet" in page.text
    assert ws.catalogue.surveys_of("test-forest") == []
    token = re.search(r'name="token" value="([^"]+)"', page.text)
    assert token
    done = client.post("/upload/confirm?lang=en", data={"token": token[1], "project_id": ""})
    assert "Survey accepted and stored" in done.text and done.url.path == "/surveys/test-2021"
    assert [s.survey_id for s in ws.catalogue.surveys_of("test-forest")] == ["test-2021"]
    again = client.post("/upload/confirm?lang=en", data={"token": token[1]})
    assert again.status_code == 400 and "no longer waiting" in again.text


def test_a_bad_survey_gets_every_problem_in_both_languages_and_is_kept(
    team: tuple[TestClient, Workspace], tmp_path: Path
) -> None:
    client, ws = team
    folder = bad_inputs.good_survey(tmp_path / "survey")
    bad_inputs.truncate(folder)
    bad_inputs.cell(3, "species", "baobab")(folder)
    path = bad_inputs.zip_of(folder, tmp_path / "bad.zip")
    page = send(client, path)
    assert page.status_code == 422
    for code in ("species.unknown", "raster.truncated"):
        assert code in page.text
    assert "Expected" in page.text and "が必要ですが" in page.text
    kept = list(ws.quarantine_folder.rglob("bad.zip"))
    assert [k.read_bytes() for k in kept] == [path.read_bytes()], "nothing that came is lost"
    assert ws.catalogue.surveys_of("test-forest") == []


def test_a_file_that_is_no_zip_gets_a_reason(team: tuple[TestClient, Workspace], tmp_path: Path) -> None:
    (tmp_path / "letter.zip").write_bytes(b"Dear co-op, the survey is attached.")
    assert send(team[0], tmp_path / "letter.zip").status_code == 422


def test_an_upload_beyond_the_limit_is_cut_off_and_leaves_nothing(tmp_path: Path) -> None:
    ws = Workspace(Workspace.create(tmp_path).root, Settings(max_upload_bytes=50_000))
    limited = TestClient(create_app(ws))
    big = {"survey": ("big.zip", b"x" * 80_000, "application/zip")}
    assert limited.post("/upload?lang=en", files=big).status_code == 400

    def pieces() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="survey"; filename="big.zip"\r\n\r\n'
        for _ in range(10):
            yield b"x" * 10_000
        yield b"\r\n--b--\r\n"

    # No content-length here: only counting what comes can stop it.
    headers = {"content-type": "multipart/form-data; boundary=b"}
    reply = limited.post("/upload?lang=en", content=pieces(), headers=headers)
    assert reply.status_code == 400 and "larger than" in reply.text
    assert list((ws.scratch_folder / "uploads").rglob("*.zip")) == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", "text/plain"),
        (b"--b--\r\n", "multipart/form-data; boundary=b"),
        (b"nonsense", "multipart/form-data; boundary=b"),
    ],
)
def test_a_form_without_a_file_is_refused_kindly(
    team: tuple[TestClient, Workspace], body: bytes, content_type: str
) -> None:
    reply = team[0].post("/upload?lang=ja", content=body, headers={"content-type": content_type})
    assert reply.status_code == 400 and "zipファイル" in reply.text


def test_a_form_of_another_site_cannot_hand_in_a_survey(
    team: tuple[TestClient, Workspace], tmp_path: Path
) -> None:
    client, ws = team
    with good_zip(tmp_path).open("rb") as file:
        reply = client.post("/upload", files={"survey": file}, headers={"sec-fetch-site": "cross-site"})
    assert reply.status_code == 403
    assert not (ws.scratch_folder / "uploads").exists()


@pytest.mark.parametrize("token", ["../../keys", "..", "", "x" * 32, "%2e%2e"])
def test_only_a_token_that_was_given_out_finds_an_upload(tmp_path: Path, token: str) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "secret").write_text("k")
    with pytest.raises(UploadRefused):
        Waiting(tmp_path / "scratch" / "uploads").find(token)


def test_uploads_that_wait_too_long_are_cleared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = Waiting(tmp_path)
    token, place = waiting.place()
    (place / "a.zip").write_bytes(b"x")
    assert waiting.find(token).name == "a.zip"
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    waiting.place()
    with pytest.raises(UploadRefused):
        waiting.find(token)


@pytest.mark.parametrize(
    ("name", "safe"),
    [("../../etc/passwd", "passwd"), ("C:\\調査\\2025.zip", "2025.zip"), ("", "survey.zip"), ("..", "survey.zip"), ("a\x00b\n.zip", "ab.zip"), ("尾鷲.zip", "尾鷲.zip")],
)  # fmt: skip
def test_a_file_name_cannot_leave_its_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


def test_what_was_handed_in_and_measured_becomes_a_report(
    team: tuple[TestClient, Workspace], tmp_path: Path
) -> None:
    client, ws = team
    submit_survey(ws, good_zip(tmp_path))
    folder, heights = bad_inputs.second_survey(tmp_path / "second"), bad_inputs.heights()
    slope = np.linspace(0.5, 1.5, heights.shape[-1], dtype=np.float32)
    bad_inputs.write_tif(folder / "chm.tif", heights + slope)
    submit_survey(ws, bad_inputs.zip_of(folder, tmp_path / "second.zip"))
    measured = measure(ws, "test-forest")
    # This forest's constants are not all verified and it is no demonstration, so the claim is refused.
    with pytest.raises(ClaimRefused) as refused:
        make_claim(ws, "test-forest", measurement=measured)
    text = words(
        report_of_refusal(ws, measured, refused.value, tmp_path / "report.html", tongue="en").read_text()
    )
    assert "No credits can be made of this change" in text and refused.value.reasons[0].en in text
    html = (tmp_path / "report.html").read_text()
    assert html.count("data:image/png") == 9, (
        "canopy at both dates and its change; stock, change and their errors; cells beyond the sample plots"
    )
    assert refused.value.reasons[0].en in words(client.get("/projects/test-forest?lang=en").text)


# Everybody


def test_the_readers_language_is_taken_from_the_address_then_the_browser(client: TestClient) -> None:
    assert "調査を提出" in client.get("/", headers={"accept-language": "ja-JP,ja;q=0.9,en;q=0.5"}).text
    assert "Hand in a survey" in client.get("/", headers={"accept-language": "fr,en;q=0.5"}).text
    assert "調査を提出" in client.get("/?lang=ja", headers={"accept-language": "en"}).text


@pytest.mark.parametrize(
    "path", ["/batches/" + "0" * 64, "/certificates/99", "/projects/none", "/surveys/none", "/nowhere"]
)
def test_what_is_not_there_is_said_to_be_missing(client: TestClient, path: str) -> None:
    reply = client.get(path + "?lang=ja")
    assert reply.status_code == 404 and ("見つかりません" in reply.text or "ありません" in reply.text)


def test_pages_run_no_script_and_load_nothing_from_elsewhere(client: TestClient) -> None:
    for path in ("/", f"/batches/{BATCH}", "/certificates/1", "/upload"):
        reply = client.get(path)
        assert "default-src 'none'" in reply.headers["content-security-policy"]
        assert "<script" not in reply.text and not re.search(r'(src|href)="(https?:)?//', reply.text)


def test_a_chain_that_cannot_be_reached_leaves_the_pages_standing(client: TestClient) -> None:
    # This workspace has a deployment on record and events read before, but no chain behind it.
    text = words(client.get(f"/batches/{BATCH}?lang=en").text)
    assert "The chain could not be reached just now" in text and "at block 12" in text


def test_new_events_are_read_at_most_every_few_seconds(
    issued: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Workspace] = []
    monkeypatch.setattr(reads_module.chainroom, "index_events", lambda ws: calls.append(ws))
    reader = Reader(issued)
    reader.refresh()
    reader.refresh()
    assert len(calls) == 1
    monkeypatch.setattr(reads_module, "REFRESH_S", 0.0)
    reader.refresh()
    assert len(calls) == 2


def test_pages_are_served_to_several_readers_at_once(client: TestClient) -> None:
    results: list[int] = []
    readers = [
        threading.Thread(target=lambda: results.append(client.get(f"/batches/{BATCH}").status_code))
        for _ in range(6)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert results == [200] * 6


def test_state_words_exist_in_both_languages() -> None:
    assert all(isinstance(t, Text) and t.en != t.ja for t in reads_module.STATES.values())
