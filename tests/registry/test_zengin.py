"""The transfer file is what banks publish as 全銀協規定フォーマット 総合振込, byte for byte."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.zengin import (
    BankAccount,
    Requester,
    Transfer,
    ZenginRefused,
    check_account,
    check_day,
    check_requester,
    kana,
    next_weekday,
    transfer_file,
)

COOP = Requester(
    "1234567890",
    BankAccount("0155", "123", "checking", "7654321", "オワセシンリンクミアイ", "ヒャクゴ", "オワセ"),
)
HANAKO = BankAccount("9900", "058", "ordinary", "12345", "ヤマダ　ハナコ", "ユウチヨ")
FUND = BankAccount("2048", "001", "savings", "0000001", "（カ）ショーワリンギョウ")
DAY = date(2026, 12, 5)

# Written by hand, field by field, from the layout published by 群馬銀行 (全銀協制定ファイルフォーマット【総合振込】, JIS, 120 bytes).
GOLDEN = (
    "1" "21" "0" "1234567890" "ｵﾜｾｼﾝﾘﾝｸﾐｱｲ                             " "1205"
    "0155" "ﾋﾔｸｺﾞ          " "123" "ｵﾜｾ            " "2" "7654321" "                 ",
    "2" "9900" "ﾕｳﾁﾖ           " "058" "               " "0000" "1" "0012345"
    "ﾔﾏﾀﾞ ﾊﾅｺ                      " "0000123456" "0" "0000000007" "0000000000" "7" " " "       ",
    "2" "2048" "               " "001" "               " "0000" "4" "0000001"
    "(ｶ)ｼﾖ-ﾜﾘﾝｷﾞﾖｳ                 " "9999999999" "0" "0000000000" "0000000000" "7" " " "       ",
    "8" "000002" "010000123455" + " " * 101,
    "9" + " " * 119,
)  # fmt: skip
TRANSFERS = (Transfer(HANAKO, 123_456, 7), Transfer(FUND, 9_999_999_999))


def test_the_file_is_the_published_layout_byte_for_byte() -> None:
    assert all(len(line) == 120 for line in GOLDEN)
    expected = b"".join(line.encode("cp932") + b"\r\n" for line in GOLDEN)
    assert transfer_file(COOP, TRANSFERS, DAY) == expected
    assert transfer_file(COOP, TRANSFERS, DAY, line_end="none") == expected.replace(b"\r\n", b"")


def test_fields_stand_at_the_columns_that_another_publisher_counts() -> None:
    """Columns (1-based) as a payroll vendor's manual lists them (FBデータの仕様, 全銀協フォーマット)."""
    header, data, *_ = transfer_file(COOP, TRANSFERS, DAY).split(b"\r\n")
    at = {c: header[c - 1 :] for c in (2, 4, 5, 15, 55, 59, 63, 78, 81, 96, 97, 104)}
    assert at[2].startswith(b"21") and at[4].startswith(b"0") and at[5].startswith(b"1234567890")
    assert at[55].startswith(b"1205") and at[59].startswith(b"0155") and at[78].startswith(b"123")
    assert at[96].startswith(b"2") and at[97].startswith(b"7654321") and at[104] == b" " * 17
    to = {c: data[c - 1 :] for c in (2, 21, 39, 43, 44, 51, 81, 91, 92)}
    assert to[2].startswith(b"9900") and to[21].startswith(b"058") and to[39].startswith(b"0000")
    assert to[43].startswith(b"1") and to[44].startswith(b"0012345") and to[81].startswith(b"0000123456")
    assert to[51][:30].decode("cp932").rstrip() == "ﾔﾏﾀﾞ ﾊﾅｺ" and to[91].startswith(b"0")


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=30))
def test_every_record_is_120_bytes_and_the_trailer_adds_up(amounts: list[int]) -> None:
    data = transfer_file(COOP, [Transfer(HANAKO, yen) for yen in amounts], DAY, line_end="none")
    records = [data[i : i + 120] for i in range(0, len(data), 120)]
    assert {len(r) for r in records} == {120} and [r[:1] for r in records][-2:] == [b"8", b"9"]
    assert int(records[-2][1:7]) == len(amounts) and int(records[-2][7:19]) == sum(amounts)
    assert [int(r[80:90]) for r in records[1:-2]] == amounts


@pytest.mark.parametrize(
    ("written", "in_file"),
    [
        ("ヤマダ　ハナコ", "ﾔﾏﾀﾞ ﾊﾅｺ"),
        ("やまだ　はなこ", "ﾔﾏﾀﾞ ﾊﾅｺ"),
        ("ﾔﾏﾀﾞ ﾊﾅｺ", "ﾔﾏﾀﾞ ﾊﾅｺ"),
        ("キャット・ヲ・ー", "ｷﾔﾂﾄ.ｵ.-"),
        ("ガ゛パ", "ｶﾞﾞﾊﾟ"),
        ("Owase co-op (No. 1)", "OWASE CO-OP (NO. 1)"),
        ("＃１"[1:], "1"),
    ],
)
def test_names_are_rewritten_as_banks_write_them(written: str, in_file: str) -> None:
    assert kana(written) == in_file
    assert kana(in_file) == in_file


def test_a_name_in_kanji_is_refused_in_both_languages() -> None:
    with pytest.raises(ZenginRefused) as caught:
        kana("山田 ハナコ")
    assert "katakana" in caught.value.en and "通帳" in caught.value.ja


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bank": "155"}, "bank is 4 digits"),
        ({"bank": "０１５"}, "bank is 4 digits"),
        ({"bank": "百五銀行"}, "bank is 4 digits"),
        ({"branch": "1234"}, "branch is 3 digits"),
        ({"number": "12345678"}, "number is up to 7 digits"),
        ({"kind": "gold"}, "kind is ordinary"),
        ({"holder": "　"}, "name in kana is missing"),
    ],
)
def test_an_account_that_no_bank_has_is_refused(change: dict[str, str], says: str) -> None:
    with pytest.raises(ZenginRefused) as caught:
        check_account(replace(HANAKO, **change), "owner-a")
    assert says in caught.value.en and "owner-a" in caught.value.en


@pytest.mark.parametrize("yen", [0, -1, 10**10])
def test_an_amount_that_no_transfer_can_carry_is_refused(yen: int) -> None:
    with pytest.raises(ZenginRefused, match="whole yen"):
        transfer_file(COOP, [Transfer(HANAKO, yen)], DAY)


def test_sums_and_codes_that_do_not_fit_are_refused_rather_than_cut() -> None:
    with pytest.raises(ZenginRefused, match="12 digits"):
        transfer_file(COOP, [Transfer(HANAKO, 10**10 - 1)] * 101, DAY)
    with pytest.raises(ZenginRefused, match="code"):
        transfer_file(replace(COOP, code="12345678901"), TRANSFERS, DAY)
    with pytest.raises(ZenginRefused, match="transfers"):
        transfer_file(COOP, [], DAY)


def test_digits_typed_in_full_width_are_taken_as_plain_ones() -> None:
    wide = replace(HANAKO, bank="９９００", branch="０５８", number="１２３４５ ")
    assert check_account(wide, "owner-a") == check_account(HANAKO, "owner-a")
    assert check_requester(replace(COOP, code="１２３４５６７８９０")).code == "1234567890"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"bank": "1"}, "口座の銀行コードは数字4桁"),
        ({"branch": "1"}, "口座の支店コードは数字3桁"),
        ({"number": "x"}, "口座の口座番号は数字7桁以内"),
        ({"kind": "普通"}, "口座の預金種目はordinary（普通）"),
    ],
)
def test_the_japanese_text_names_fields_in_japanese(change: dict[str, str], says: str) -> None:
    with pytest.raises(ZenginRefused) as caught:
        check_account(replace(HANAKO, **change), "owner-a")
    assert says in caught.value.ja and repr(next(iter(change.values()))) in caught.value.ja


@pytest.mark.parametrize("code", ["abc", "", "12345678901", "1-2"])
def test_a_requesters_code_that_no_bank_gives_is_refused(code: str) -> None:
    with pytest.raises(ZenginRefused, match="1 to 10 digits") as caught:
        check_requester(replace(COOP, code=code))
    assert "委託者コード" in caught.value.ja


FRIDAY = date(2026, 11, 20)


def test_weekdays_from_today_for_half_a_year_are_taken() -> None:
    for days in (0, 3, 175):
        assert check_day(FRIDAY + timedelta(days=days), FRIDAY) == FRIDAY + timedelta(days=days)


@pytest.mark.parametrize("days", [-1, -400, 181, 365, 366])
def test_a_day_that_passed_or_could_be_taken_for_another_year_is_refused(days: int) -> None:
    with pytest.raises(ZenginRefused, match="month and day only") as caught:
        check_day(FRIDAY + timedelta(days=days), FRIDAY)
    named = date.fromisoformat(caught.value.ja.rpartition("--day ")[2])
    assert check_day(named, FRIDAY) == named, "the day it names is a good one"


@pytest.mark.parametrize(("day", "name"), [(21, "Saturday"), (22, "Sunday")])
def test_a_weekend_is_refused_and_the_next_weekday_named(day: int, name: str) -> None:
    with pytest.raises(ZenginRefused, match=f"{name}.* 2026-11-23 .*holidays are not known") as caught:
        check_day(date(2026, 11, day), FRIDAY)
    assert "祝日は判定していません" in caught.value.ja and next_weekday(date(2026, 11, day)) == date(
        2026, 11, 23
    )
