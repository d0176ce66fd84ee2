"""The treasurer's verbs from the first account to the money that came back, and the paper each household gets."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from eth_account import Account
from eth_account.messages import encode_defunct

from apps.cli import main
from apps.households import HouseholdSheet, household_sheet, render_household
from apps.look.wording import Text
from apps.papers import ChainPlace
from flows import work
from flows.definition import Payee
from flows.settings import Workspace
from registry.claimstruct import project_key
from registry.events import Deposited, SharesSet
from registry.households import break_down
from registry.shares import Member, measured_table
from registry.treasury import JST, make_statement
from registry.zengin import next_weekday
from tests.apps.samples import PLAN, PROJECT, sample_change
from tests.apps.workspaces import definition
from tests.conftest import need

YEN = 10**6
DAY = next_weekday(datetime.now(JST).date() + timedelta(days=14)).isoformat()
PAYEES = (
    Payee("treasury", "Owase co-op treasury", "尾鷲森林組合 会計", 500_000),
    Payee("owner-a", "Owner A", "所有者A 山田花子", 333_333, plots=("P1", "P2"), pay_by="bank"),
    Payee("owner-b", "Owner B", "所有者B 鈴木一郎", 166_667, plots=("P3",), pay_by="bank"),
)


@pytest.fixture
def ws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    pytest.importorskip("eth", reason="the extra satoyama-mrv[chain] is not installed")
    monkeypatch.setenv("SATOYAMA_KEYSTORE_PASSWORD", "for tests only")
    opened = Workspace.create(tmp_path / "ws")
    work.register_project(opened, replace(definition(), payees=PAYEES))
    work.store_plan(opened, PLAN)
    work.set_up_chain(opened)
    work.register_on_chain(opened, PROJECT.project_id)
    port, keys = work.open_port(opened), work.accounts(opened)
    port.mint_yen(keys.load("admin"), keys.load("buyer").address, 900_001 * YEN)
    port.deposit(keys.load("buyer"), project_key(PROJECT.project_id), 900_001 * YEN)
    work.settle(opened, PROJECT.project_id)
    return opened


def run(ws: Workspace, *arguments: object, status: int = 0) -> dict:
    result = CliRunner().invoke(main, ["-w", str(ws.root), "--json", "payout", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return json.loads(result.output)


OWN = ("--bank", "0155", "--branch", "123", "--number", "1", "--holder", "オワセシンリン")


def test_officers_with_keys_elsewhere_are_added_and_dismissed_by_texts_they_sign(ws: Workspace) -> None:
    people = {n: Account.create() for n in ("会計 田中", "監事 佐藤", "監事 鈴木")}

    def sign(name: str) -> dict:
        text = run(ws, "endorse", "--text")["text"]
        signature = "0x" + people[name].sign_message(encode_defunct(text=text)).signature.hex()
        return run(ws, "endorse", "--signature", signature)

    for name, duty in zip(people, ("treasurer", "auditor", "auditor"), strict=True):
        made = run(ws, "officer", name, "--duty", duty, "--address", people[name].address)
        assert made["done"] == (name != "監事 鈴木") and "warning" not in made
    assert run(ws, "officers")["waiting"]["officer"]["name"] == "監事 鈴木"
    assert not sign("会計 田中")["done"] and sign("監事 佐藤")["done"]
    assert not run(ws, "dismiss", "監事 佐藤")["done"]
    assert sign("監事 鈴木")["signed"] == ["監事 鈴木"] and sign("会計 田中")["done"]
    doc = run(ws, "officers")
    assert [o["name"] for o in doc["officers"]] == ["会計 田中", "監事 鈴木"] and doc["digest"].startswith(
        "sha256:"
    )
    wrong = people["監事 佐藤"].address.swapcase().replace("X", "x")
    assert (
        "checksum"
        in run(ws, "officer", "誰か", "--duty", "auditor", "--address", wrong, status=1)["error"]["en"]
    )


def test_both_officers_keys_in_one_keystore_are_warned_of_in_both_languages(ws: Workspace) -> None:
    assert "warning" not in run(ws, "officer", "会計 田中", "--role", "treasurer")
    warning = run(ws, "officer", "監事 佐藤", "--role", "auditor")["warning"]
    assert "two signatures prove nothing" in warning["en"] and "二者承認になりません" in warning["ja"]
    people = CliRunner().invoke(main, ["-w", str(ws.root), "payout", "officers"])
    assert (
        "WARNING" in people.output
        and "警告" in people.output
        and "write it into the minutes" in people.output
    )


def test_wrong_codes_days_and_periods_are_refused_where_they_are_given(ws: Workspace) -> None:
    assert "'abc'" in run(ws, "bank", "--own", "--code", "abc", *OWN, status=1)["error"]["en"]
    run(ws, "bank", "--own", "--code", "１２", *OWN)
    assert "month and day only" in run(ws, "plan", "--day", "2020-01-06", status=1)["error"]["en"]
    period = ("--from", "2026-04-02", "--to", "2026-04-01")
    error = run(ws, "statement", *period, status=1)["error"]
    assert "--from" in error["en"] and "2026-04-02T00:00:00+09:00" in error["ja"]


def test_a_treasurer_pays_two_households_by_bank_from_the_command_line(ws: Workspace, tmp_path: Path) -> None:
    run(
        ws,
        "bank",
        "--own",
        "--code",
        "77",
        "--bank",
        "0155",
        "--branch",
        "123",
        "--number",
        "1",
        "--holder",
        "オワセシンリン",
    )
    a = ("--bank", "0155", "--branch", "101", "--number", "1234567", "--holder", "ヤマダ ハナコ")
    run(ws, "bank", "owner-a", *a)
    assert "owner-b" in run(ws, "plan", "--day", DAY, status=1)["error"]["en"]
    run(ws, "bank", "owner-b", "--bank", "9900", "--branch", "058", "--number", "55", "--holder", "ｽｽﾞｷ ｲﾁﾛｰ")
    for name, role in (("会計 田中", "treasurer"), ("監事 佐藤", "auditor")):
        run(ws, "officer", name, "--role", role)
    planned = run(ws, "plan", "--day", DAY)
    assert [(p["payee_id"], p["yen"]) for p in planned["lines"]] == [
        ("owner-a", 900_001 * 333_333 // 10**6),
        ("owner-b", 900_001 * 166_667 // 10**6),
    ]
    assert planned["digest"] in run(ws, "sign", 1, "pay", "--text")["text"]
    target = tmp_path / "furikomi.txt"
    run(ws, "sign", 1, "pay", "--role", "treasurer")
    assert "two officers" in run(ws, "file", 1, target, status=1)["error"]["en"]
    assert run(ws, "sign", 1, "pay", "--role", "auditor")["state"] == "approved"
    assert run(ws, "file", 1, target)["bytes"] == 5 * 122 == target.stat().st_size
    target.unlink()
    assert "--again" in run(ws, "file", 1, target, status=1)["error"]["ja"] and not target.exists()
    assert run(ws, "file", 1, target, "--again")["bytes"] == target.stat().st_size
    for role in ("treasurer", "auditor"):
        run(ws, "sign", 1, "paid 20261225-1", "--role", role)
    (record,) = run(ws, "list")["runs"]
    assert record["state"] == "paid" and len(record["signed"]) == 4 and len(record["files"]) == 2


def test_statements_come_as_csv_and_one_paper_per_household(ws: Workspace, tmp_path: Path) -> None:
    assert run(ws, "shares")["epoch"] == 1, "the fixed table is in force already"
    doc = run(ws, "statement", "--csv", tmp_path / "h.csv", "--pdf", tmp_path / "papers")
    (book,) = doc["banks"]
    assert book["received"] == book["held"] and book["due"] + book["carried"] == book["held"]
    with (tmp_path / "h.csv").open(encoding="utf-8-sig", newline="") as file:
        assert list(csv.reader(file)) == doc["rows"]
    header, *rows = doc["rows"]
    mine = [dict(zip(header, row, strict=True)) for row in rows if row[2] == "owner-a"]
    assert mine and all(
        (r["name_en"], r["name_ja"], r["token"], r["decimals"], r["period_from"], r["confirmations"])
        == ("Owner A", "所有者A 山田花子", "dJPY", "6", "", "1")
        and r["read_at_block"] == str(doc["read_at_block"])
        for r in mine
    ), "every row says whose it is, of what token and up to where"
    papers = {p.stem for p in (tmp_path / "papers").iterdir()}
    assert papers == {"treasury", "owner-a", "owner-b"}
    text = _text(tmp_path / "papers" / "owner-a.pdf")
    for words in (
        "配分明細書",
        "所有者A 山田花子 様",
        "P1, P2",
        "固定の配分表",
        "33.3333 %",
        "300,000.033333 dJPY",
        "税務",
    ):
        assert words in text, words


def test_people_read_the_run_in_their_language(ws: Workspace) -> None:
    result = CliRunner().invoke(main, ["-w", str(ws.root), "--lang", "ja", "payout", "shares", "--show"])
    assert result.exit_code == 0 and "owner-a" in result.output
    result = CliRunner().invoke(main, ["-w", str(ws.root), "payout", "file", "9", "x"])
    assert result.exit_code == 1 and "payout list" in result.output and "支払 9" in result.output


def test_a_treasury_is_deployed_once_and_its_officers_are_checked(ws: Workspace) -> None:
    keys = work.accounts(ws)
    a, b = (keys.load_or_create(role).address for role in ("president", "auditor"))
    deployed = run(ws, "treasury", "--schedule", a, "--execute", b)
    assert [c["status"] for c in deployed["checks"]] == ["passed"] * 3 and deployed["delay_s"] == 2 * 86_400
    assert run(ws, "treasury", "--schedule", a.lower(), "--execute", b)["address"] == deployed["address"]
    assert "other officers" in run(ws, "treasury", "--schedule", b, "--execute", a, status=1)["error"]["en"]


def _text(pdf: Path) -> str:
    program = need("pdftotext")
    return subprocess.run(
        [program, "-layout", str(pdf), "-"], check=True, capture_output=True, text=True
    ).stdout


def sheet() -> HouseholdSheet:
    owner = Member("owner-a", "0x" + "11" * 20, 500_000, tuple(f"P{n}" for n in range(1, 9)), by_bank=True)
    fund = Member("fund", "0x" + "22" * 20, 500_000)
    table = measured_table((owner, fund), sample_change().plots, "growth", "sha256:x")
    key, at = b"\x01" * 32, table.by_address()
    events = [
        SharesSet(1, 0, "0x1", 1, key, 1, tuple(at), tuple(at.values())),
        Deposited(2, 0, "0x2", 2, key, "0xT", "0xS", 1, 12_345_678_901),
    ]
    books = make_statement(events, key, "0xT", start=0, end=9, read_at_block=3, read_at_time=8)
    chain = ChainPlace("embedded", 7, "0xR", 1_234, datetime(2026, 4, 1, tzinfo=UTC))
    account = {"bank": "0155", "branch": "101", "number": "1234567", "holder": "ﾔﾏﾀﾞ ﾊﾅｺ"}
    return household_sheet(
        break_down(books, events, {1: table}), "owner-a", project=Text("Owase", "尾鷲"), name=Text("Hanako", "山田花子"),
        token="dJPY", decimals=6, chain=chain, simulated=True, first=date(2025, 4, 1), end=date(2026, 4, 1), account=account,
    )  # fmt: skip


def test_the_paper_names_plots_basis_period_and_leaves_room_for_the_tax_note(tmp_path: Path) -> None:
    text = _text(render_household(sheet(), tmp_path / "s.pdf"))
    for words in (
        "山田花子 様", "2025年4月1日 ～ 2026年3月31日", "P1-い", "区画の成長量（実測）", "kg CO2e", "6,172.83945 dJPY",
        "0 + 6,172,839,450 − 0 = 6,172,839,450", "税務：本書は", "1,234", "ﾔﾏﾀﾞ ﾊﾅｺ", "SIMULATED",
    ):  # fmt: skip
        assert words in text, words
    assert "1234567" not in text and "****567" in text, "an account number is not printed whole"


def test_a_household_with_one_plot_or_two_gets_one_page(tmp_path: Path) -> None:
    whole = sheet()
    for plots in (1, 2):
        line = replace(whole.line, parts=whole.line.parts[:plots])
        text = _text(render_household(replace(whole, line=line), tmp_path / f"{plots}.pdf"))
        assert text.count("\f") == 1 and "税務：本書は" in text


def test_an_amount_of_billions_with_18_decimals_stands_whole_on_the_paper(tmp_path: Path) -> None:
    big = 12_345_678_901 * 10**18 + 123_456_789_012_345_678
    made = replace(sheet(), decimals=18)
    text = _text(render_household(replace(made, line=replace(made.line, earned=big)), tmp_path / "s.pdf"))
    assert "合計 Total" in next(
        t for t in text.splitlines() if "12,345,678,901.123456789012345678 dJPY" in t and "合計" in t
    )


def test_the_paper_names_its_issuer_and_tells_times_by_japans_clock(tmp_path: Path) -> None:
    issued = replace(sheet(), place=Text("Owase, Mie", "三重県尾鷲市"), last=None)
    text = _text(render_household(issued, tmp_path / "s.pdf"))
    for words in (
        "発行者（プロジェクト実施組合）", "尾鷲（三重県尾鷲市）", "Owase, Owase, Mie",
        "2026年4月1日 09:00 JST", "1 Apr 2026, 09:00 JST", "確認 1 ブロック",
    ):  # fmt: skip
        assert words in text, words
    assert "UTC" not in text
    late = replace(issued.chain, read_at=datetime(2026, 4, 1, 15, 30, tzinfo=UTC))
    assert replace(issued, chain=late).period.en.endswith("2 Apr 2026"), "the day by Japan's clock"


def test_the_same_paper_is_the_same_bytes(tmp_path: Path) -> None:
    first = render_household(sheet(), tmp_path / "a.pdf").read_bytes()
    assert first == render_household(sheet(), tmp_path / "b.pdf").read_bytes()
