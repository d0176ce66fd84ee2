"""A user's yield table: what its documented schema admits, what it says between ages, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.yield_table import YieldRow, YieldTable, site_class_of
from mrv.blob import blob_of_file
from mrv.errors import Refusal
from mrv.tables import load_tables
from mrv.yield_tables import read_yield_tables

TABLES = load_tables()
DOCS = Path(__file__).resolve().parents[2] / "docs" / "yield-tables.md"
HEAD = "species,region,site_class,treatment,age_years,volume_m3_ha,thinned_m3_ha,height_m,source,verified\n"
GOOD = HEAD + "".join(
    f"hinoki,here,{site},,{age},{volume:.1f},{thinned:.1f},{height:.1f},made up,false\n"
    for site, scale in ((1, 1.2), (2, 1.0), (3, 0.8))
    for age, volume, thinned, height in (
        (20, 90 * scale, 0, 9 * scale),
        (30, 150 * scale, 40 * scale, 13 * scale),
        (40, 230 * scale, 50 * scale, 16 * scale),
    )
)


@pytest.fixture
def read(tmp_path):
    def read(text, encoding="utf-8", name="yield.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return read_yield_tables(blob_of_file(path, name), TABLES)

    return read


def documented_example() -> str:
    return "".join(f"{line.strip()}\n" for line in re.findall(r"^    (\S.*)$", DOCS.read_text("utf-8"), re.M))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_the_documented_example_reads_as_the_page_says(read, encoding):
    table = read(documented_example(), encoding).one("hinoki", "例", 2, "間伐")
    assert table.growth_m3_ha(25, 40) == pytest.approx(180.0)
    assert table.thinned_between_m3_ha(25, 40) == 90.0
    assert table.standing_m3_ha(40) - table.standing_m3_ha(25) == pytest.approx(90.0)
    assert not table.verified


def test_a_workbook_with_full_width_digits_reads_like_the_csv(read, tmp_path):
    book = openpyxl.Workbook()
    for line in documented_example().splitlines():
        book.active.append([cell.replace("20", "２０") for cell in line.split(",")])
    book.save(tmp_path / "yield.xlsx")
    found = read_yield_tables(blob_of_file(tmp_path / "yield.xlsx", "yield.xlsx"), TABLES)
    assert found == read(documented_example())


def test_volume_drops_at_a_thinning_and_not_before(read):
    table = read(GOOD).one("hinoki", "here", 2)
    assert table.standing_m3_ha(30) == 150.0
    assert table.standing_m3_ha(29.999) == pytest.approx(190.0, abs=0.02)
    assert table.height_m(25) == pytest.approx(11.0)


TABLE = YieldTable(
    "hinoki",
    "here",
    2,
    "",
    (YieldRow(20, 90), YieldRow(30, 150, 40), YieldRow(40, 230, 50), YieldRow(55, 300)),
    "made up",
    False,
)


@settings(deadline=None)
@given(st.floats(20, 55), st.floats(20, 55))
def test_growth_less_thinning_is_the_change_of_standing_volume_and_growth_is_never_a_loss(a, b):
    start, end = min(a, b), max(a, b)
    growth = TABLE.growth_m3_ha(start, end)
    change = TABLE.standing_m3_ha(end) - TABLE.standing_m3_ha(start)
    assert growth - TABLE.thinned_between_m3_ha(start, end) == pytest.approx(change, abs=1e-9)
    assert growth >= -1e-9


@settings(deadline=None)
@given(st.floats(20, 55), st.floats(20, 55), st.floats(20, 55))
def test_growth_adds_up_over_periods(a, b, c):
    first, middle, last = sorted((a, b, c))
    parts = TABLE.growth_m3_ha(first, middle) + TABLE.growth_m3_ha(middle, last)
    assert parts == pytest.approx(TABLE.growth_m3_ha(first, last), abs=1e-9)


def test_nothing_is_extrapolated_and_ages_come_in_order():
    for age in (19.9, 55.1):
        with pytest.raises(OutOfRange, match="外挿"):
            TABLE.standing_m3_ha(age)
    with pytest.raises(OutOfRange):
        TABLE.growth_m3_ha(40, 30)
    with pytest.raises(OutOfRange, match="樹高"):
        TABLE.height_m(25)


def test_the_site_class_is_the_best_that_the_stand_reaches(read):
    classes = read(GOOD).classes("hinoki", "here")
    assert [c.site_class for c in classes] == [1, 2, 3]
    assert site_class_of(classes, 30, 13.0).site_class == 2
    assert site_class_of(classes, 30, 15.5).site_class == 2, "just below class 1"
    assert site_class_of(classes, 30, 40.0).site_class == 1
    with pytest.raises(OutOfRange, match="地位"):
        site_class_of(classes, 30, 10.0)


def test_the_site_class_comes_from_height_curves_as_well():
    curves = [TABLES.height_curves["sugi", c] for c in (3, 1, 2)]
    height = TABLES.height_curves["sugi", 2].height_m(40)
    assert site_class_of(curves, 40, height + 0.1).site_class == 2
    assert site_class_of(curves, 40, height - 0.1).site_class == 3


@pytest.mark.parametrize(
    ("wrong", "right", "code"),
    [
        ("hinoki,here,1,,20,108.0", "banana,here,1,,20,108.0", "yield_table.species"),
        ("hinoki,here,1,,20,108.0", "hinoki,here,1.5,,20,108.0", "yield_table.site_class"),
        ("hinoki,here,1,,20,108.0", "hinoki,here,1,,20,-108.0", "yield_table.volume_m3_ha"),
        ("hinoki,here,1,,20,108.0", "hinoki,here,1,,20,", "yield_table.volume_m3_ha"),
        ("hinoki,here,1,,20,108.0", "hinoki,here,1,,30,108.0", "yield_table.age_years"),
        ("hinoki,here,1,,20,108.0", "hinoki,,1,,20,108.0", "yield_table.region"),
        ("10.8,made up,false", "10.8,made up,perhaps", "yield_table.verified"),
        ("10.8,made up,false", "10.8,,false", "yield_table.source"),
        ("10.8,made up,false", "10.8,another,false", "yield_table.source"),
        ("species,", "name,", "table.columns"),
    ],
)
def test_what_the_schema_does_not_admit_is_refused_with_its_row(read, wrong, right, code):
    assert wrong in GOOD
    with pytest.raises(Refusal) as caught:
        read(GOOD.replace(wrong, right, 1))
    assert code in caught.value.codes
    if code.startswith("yield_table"):
        assert "row" in caught.value.problems[0].where and "行" in caught.value.ja


def test_a_single_age_is_no_table(read):
    with pytest.raises(Refusal, match="two or more ages"):
        read(HEAD + "hinoki,here,1,,20,100,,,made up,false\n")


def test_a_stand_type_that_is_not_listed_is_refused_and_no_other_taken(read):
    with pytest.raises(Refusal) as caught:
        read(GOOD).one("hinoki", "here", 4)
    assert caught.value.codes == ("yield_table.not_listed",)
