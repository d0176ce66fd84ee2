"""Certificates and statements on paper: both languages, exact amounts, the same bytes for the same values."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

pytest.importorskip("fpdf")

from apps.look.wording import Text
from apps.papers import Certificate, ChainPlace, PayeeLine, SaleLine, StatementSheet, certificate_of
from apps.pdf import MISSING, render_certificate, render_statement
from registry.events import BatchIssued, Retired
from tests.apps.samples import PROJECT, sample_claim
from tests.conftest import need

CHAIN = ChainPlace("embedded", 61_337, "0x" + "Ab" * 20, 41, datetime(2025, 11, 21, 3, 4, tzinfo=UTC))
DAY = 86_400
TOKEN = 0xC0FFEE << 160


def retired_event(**changes: object) -> Retired:
    event = Retired(
        block=40,
        log_index=1,
        tx_hash="0x" + "7e" * 32,
        block_time=20_413 * DAY + 11_045,
        certificate_id=1,
        id=TOKEN,
        account="0x" + "Cd" * 20,
        kg=120_000,
        beneficiary="株式会社みえ食品 Mie Foods K.K.",
        purpose="2025年度の事業活動に伴う排出のオフセット",
        country=b"JP",
        consumption_start=20_179,
        consumption_end=20_544,
    )
    return replace(event, **changes)


def issued_event() -> BatchIssued:
    claim = sample_claim()
    return BatchIssued(
        block=31,
        log_index=0,
        tx_hash="0x" + "1a" * 32,
        block_time=20_412 * DAY,
        batch_id=b"\xb7" * 32,
        project_id=b"\x01" * 32,
        id=TOKEN,
        content_root=b"\x02" * 32,
        evidence_root=b"\xe0" * 32,
        period_start=18_920,
        period_end=20_381,
        vintage=2025,
        estimate_kg=claim.estimate_kg,
        standard_error_kg=claim.standard_error_kg,
        deduction_kg=claim.deduction_kg,
        gross_kg=claim.gross_kg,
        buffer_kg=claim.buffer_kg,
        recipient="0x" + "11" * 20,
        verifier="0x" + "22" * 20,
        plot_keys=(b"\x03" * 32,),
        claim_digest=b"\x04" * 32,
    )


def certificate(**changes: object) -> Certificate:
    return replace(certificate_of(retired_event(), issued_event(), sample_claim(), PROJECT, CHAIN), **changes)


def sheet() -> StatementSheet:
    payees = (
        PayeeLine(
            Text("Owase co-op treasury", "尾鷲森林組合"),
            "0x" + "31" * 20,
            600_000,
            2_437_392_000_000,
            2_437_392_000_000,
            0,
        ),
        PayeeLine(
            Text("Plot owners", "山林所有者"),
            "0x" + "32" * 20,
            300_000,
            1_218_696_000_000,
            1_000_000_000_000,
            218_696_000_000,
        ),
        PayeeLine(
            Text("Workers' fund", "作業員基金"),
            "0x" + "33" * 20,
            100_000,
            406_232_000_000,
            406_232_000_000,
            0,
        ),
    )
    when = datetime(2025, 11, 20, 2, tzinfo=UTC)
    sales = (SaleLine(when, "0x" + "Cd" * 20, 406_232, 4_062_320_000_001, "0x" + "5f" * 32),)
    paid = sum(p.paid for p in payees)
    return StatementSheet(
        Text(PROJECT.name_en, PROJECT.name_ja), "dJPY", 6, payees, sales, 4_062_320_000_001, paid, 218_696_000_000, 1, CHAIN, True
    )  # fmt: skip


def _text(pdf: Path) -> str:
    program = need("pdftotext")
    return subprocess.run(
        [program, "-layout", str(pdf), "-"], check=True, capture_output=True, text=True
    ).stdout


def test_a_certificate_is_one_page_with_everything_a_buyer_cites(tmp_path: Path) -> None:
    text = _text(render_certificate(certificate(), tmp_path / "c.pdf"))
    assert text.count("\f") == 1
    for words in (
        "120,000 kg CO2e", "無効化証明書", "株式会社みえ食品", "オフセット", "JP", "尾鷲 実演林", "Owase demonstration forest",
        "2025年4月1日", "31 Mar 2026", "0x" + "e0" * 32, "0x" + "b7" * 32, "0x" + "7e" * 32, "satoyama verify",
    ):  # fmt: skip
        assert words in text, words


def test_simulated_certificates_say_so_and_real_ones_do_not(tmp_path: Path) -> None:
    assert "SIMULATED" in _text(render_certificate(certificate(), tmp_path / "c.pdf"))
    real = _text(render_certificate(certificate(simulated=False), tmp_path / "r.pdf"))
    assert "SIMULATED" not in real and "模擬" not in real


def test_the_same_certificate_is_the_same_bytes(tmp_path: Path) -> None:
    first = render_certificate(certificate(), tmp_path / "a.pdf").read_bytes()
    assert first == render_certificate(certificate(), tmp_path / "b.pdf").read_bytes()
    assert len(first) < 400_000, "fonts are subset"


def test_fonts_are_embedded(tmp_path: Path) -> None:
    program = need("pdffonts")
    path = render_certificate(certificate(), tmp_path / "c.pdf")
    out = subprocess.run([program, str(path)], check=True, capture_output=True, text=True).stdout
    fonts = out.splitlines()[2:]
    assert fonts and all(" yes yes yes " in line for line in fonts), out


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Société Générale Žižkov", "Société Générale Žižkov"),
        ("한빛 🌲", MISSING * 2 + " " + MISSING),
        ("長" * 70, "長" * 30),
    ],
)
def test_names_of_any_script_are_printed_or_marked(name: str, printed: str, tmp_path: Path) -> None:
    text = _text(render_certificate(certificate(beneficiary=name), tmp_path / "c.pdf"))
    assert printed in text and text.count("\f") == 1


def test_the_consumption_period_ends_on_its_last_day() -> None:
    assert certificate().consumption_first.isoformat() == "2025-04-01"
    assert certificate().consumption_last.isoformat() == "2026-03-31"


def test_a_retirement_of_another_batch_makes_no_certificate() -> None:
    with pytest.raises(ValueError, match="expected a retirement of token"):
        certificate_of(retired_event(id=5), issued_event(), sample_claim(), PROJECT, CHAIN)


def test_a_statement_prints_exact_amounts_and_reconciles(tmp_path: Path) -> None:
    text = _text(render_statement(sheet(), tmp_path / "s.pdf"))
    for words in (
        "4,062,320.000001 dJPY", "0.000001 dJPY", "2,437,392", "218,696", "60 %", "尾鷲森林組合", "作業員基金",
        "3,843,624,000,000 + 218,696,000,000 + 1 = 4,062,320,000,001", "SIMULATED", "0x" + "31" * 20,
    ):  # fmt: skip
        assert words in text, words


def test_a_statement_of_many_payees_runs_over_pages_with_headings(tmp_path: Path) -> None:
    base = sheet()
    payees = tuple(
        replace(base.payees[0], name=Text(f"Owner {i}", f"所有者{i}"), paid=2, entitled=2) for i in range(60)
    )
    many = replace(base, payees=payees, revenue=121, paid_out=120, claimable=0, carried=1)
    text = _text(render_statement(many, tmp_path / "s.pdf"))
    assert all(f"所有者{i}" in text for i in range(60))
    assert text.count("受取人") >= text.count("\f"), "every page repeats the headings"


@pytest.mark.parametrize("decimals", [6, 18])
def test_an_amount_of_billions_with_all_its_decimals_stands_on_one_line(
    decimals: int, tmp_path: Path
) -> None:
    unit, base = 10**decimals, sheet()
    fraction = 123_456_789_012_345_678 // 10 ** (18 - decimals)
    payees = tuple(
        replace(p, entitled=12 * 10**9 * unit + 2 * fraction, paid=9 * 10**9 * unit + fraction, claimable=3 * 10**9 * unit + fraction)
        for p in base.payees
    )  # fmt: skip
    sums = [sum(getattr(p, name) for p in payees) for name in ("paid", "claimable")]
    sales = tuple(replace(s, amount=36 * 10**9 * unit + fraction) for s in base.sales)
    big = replace(base, decimals=decimals, payees=payees, sales=sales, paid_out=sums[0], claimable=sums[1], carried=1, revenue=sum(sums) + 1)  # fmt: skip
    text = _text(render_statement(big, tmp_path / "s.pdf"))
    line = next(line for line in text.splitlines() if "12,000,000,000." in line)
    amounts = [big.amount(v) for v in (payees[0].entitled, payees[0].paid, payees[0].claimable)]
    assert line.split()[-3:] == amounts, "three numbers, whole and apart"
    assert big.amount(sales[0].amount) in text


def test_a_statement_tells_days_and_times_by_japans_clock_and_its_depth(tmp_path: Path) -> None:
    base = sheet()
    sold = replace(base.sales[0], sold_at=datetime(2025, 11, 20, 15, 0, tzinfo=UTC))
    deep = replace(base.chain, confirmations=12)
    text = _text(render_statement(replace(base, sales=(sold,), chain=deep), tmp_path / "s.pdf"))
    for words in ("2025年11月21日 ", "21 Nov 2025, 12:04 JST", "確認 12 ブロック", "confirmations: 12"):
        assert words in text, words
    assert "UTC" not in text


def test_a_statement_that_does_not_add_up_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="to equal the revenue"):
        replace(sheet(), carried=2)
    with pytest.raises(ValueError, match="payees' paid amounts"):
        replace(sheet(), paid_out=sheet().paid_out - 1, carried=2)
