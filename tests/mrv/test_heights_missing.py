"""Tree lists with blank heights: taken where the survey's own heights give a curve, refused by species and row where they do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import openpyxl
import pytest

from mrv.intake import KnownSurveys, plan_intake, read_survey, render
from mrv.tables import Tables, load_tables
from tests.mrv.bad_inputs import PROJECT, codes, csv_text, edit, good_survey, refused, tree_rows

Rows = list[list[str]]
HEIGHT, STATUS, SPECIES, DBH = 4, 5, 2, 3


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables()


@pytest.fixture
def survey_folder(tmp_path: Path) -> Path:
    return good_survey(tmp_path / "survey")


def hinoki_rows() -> Rows:
    """Forty hinoki on four sample plots, their heights scattered about a curve."""
    rows = tree_rows()
    rng = np.random.default_rng(2)
    for row in rows[1:]:
        row[SPECIES] = "hinoki"
        row[HEIGHT] = f"{4.0 * float(row[DBH]) ** 0.43 + rng.normal(0, 0.5):.1f}"
    return rows


def put(folder: Path, rows: Rows) -> Path:
    (folder / "trees.csv").write_text(csv_text(rows), encoding="utf-8")
    return folder


def blank(rows: Rows, numbers: range | list[int]) -> Rows:
    for number in numbers:
        rows[number - 1][HEIGHT] = ""
    return rows


def test_blank_heights_are_accepted_and_the_plan_says_how_many_come_from_which_curve(survey_folder, tables):
    put(survey_folder, blank(hinoki_rows(), range(3, 42, 2)))
    plan = plan_intake(survey_folder, PROJECT, KnownSurveys(), tables)
    assert plan.accepted, render(plan)
    assert plan.problems == ()
    trees = plan.survey.trees
    assert (trees.height_mm == 0).sum() == 20 and set(trees.status.tolist()) == {"alive"}
    english, japanese = render(plan, "en"), render(plan, "ja")
    assert "hinoki: heights of 20 of 40 trees come from a curve" in english
    assert "20 measured trees of 18.7 to 25.3 cm on 4 sample plots" in english
    assert "hinoki: 40本中20本の樹高は樹高曲線から" in japanese
    again = read_survey(plan.survey.files, PROJECT, tables)
    assert np.array_equal(again.trees.height_mm, trees.height_mm)


def test_an_excel_list_with_empty_cells_reads_the_same(survey_folder, tables):
    rows = blank(hinoki_rows(), range(3, 42, 2))
    expected = plan_intake(put(survey_folder, rows), PROJECT, KnownSurveys(), tables).survey.trees
    book = openpyxl.Workbook()
    for number, row in enumerate(rows):
        book.active.append(
            [(float(v) if v else None) if number and i in (DBH, HEIGHT) else v for i, v in enumerate(row)]
        )
    book.save(survey_folder / "trees.xlsx")
    edit(survey_folder, "survey.toml", "trees.csv", "trees.xlsx")
    trees = plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey.trees
    assert np.array_equal(trees.height_mm, expected.height_mm)


def test_full_width_digits_are_heights_and_a_full_width_blank_is_none(survey_folder, tables):
    rows = blank(hinoki_rows(), range(3, 42, 2))
    plain = plan_intake(put(survey_folder, rows), PROJECT, KnownSurveys(), tables).survey.trees
    wide = str.maketrans("0123456789.", "０１２３４５６７８９．")
    for row in rows[1:]:
        row[HEIGHT] = row[HEIGHT].translate(wide) or "　"
    trees = plan_intake(put(survey_folder, rows), PROJECT, KnownSurveys(), tables).survey.trees
    assert np.array_equal(trees.height_mm, plain.height_mm)


def test_a_felled_tree_needs_no_height_and_no_curve(survey_folder, tables):
    rows = hinoki_rows()
    for row in rows[1:32]:
        row[DBH:] = ["", "", "伐採", ""]
    plan = plan_intake(put(survey_folder, rows), PROJECT, KnownSurveys(), tables)
    assert plan.accepted, render(plan)
    assert "come from a curve" not in render(plan)


def test_ten_heights_on_each_of_two_sample_plots_are_enough(survey_folder, tables):
    plan = plan_intake(
        put(survey_folder, blank(hinoki_rows(), range(2, 22))), PROJECT, KnownSurveys(), tables
    )
    assert plan.accepted, render(plan)


def other_species(rows: Rows) -> Rows:
    for row in rows[1:6]:
        row[SPECIES] = "sugi"
    return rows


TOO_FEW: list[tuple[str, Callable[[], Rows], str, list[str]]] = [
    (
        "nine measured heights",
        lambda: blank(hinoki_rows(), range(2, 33)),
        "trees.csv row 2, height_m",
        [
            "every hinoki, or 10 measured ones on 3 sample plots (or on each of two)",
            "9 measured on 1 sample plots",
            "(31 in all)",
        ],
    ),
    (
        "nineteen measured heights on two sample plots",
        lambda: blank(hinoki_rows(), [*range(2, 22), 30]),
        "trees.csv row 2, height_m",
        ["19 measured on 2 sample plots"],
    ),
    (
        "all heights of one species",
        lambda: blank(other_species(hinoki_rows()), range(2, 7)),
        "trees.csv row 2, height_m",
        ["every sugi", "0 measured on 0 sample plots", "blank in rows 2, 3, 4, 5, 6"],
    ),
    (
        "no height at all",
        lambda: blank(hinoki_rows(), range(2, 42)),
        "trees.csv row 2, height_m",
        ["0 measured on 0 sample plots", "(40 in all)"],
    ),
]


@pytest.mark.parametrize(("rows", "where", "said"), [t[1:] for t in TOO_FEW], ids=[t[0] for t in TOO_FEW])
def test_too_few_heights_are_refused_with_species_pairs_and_rows(rows, where, said, survey_folder, tables):
    plan = refused(put(survey_folder, rows()), tables)
    assert codes(plan) == ["trees.heights_too_few"], render(plan)
    (problem,) = plan.refusals
    assert problem.where == where
    for text in said:
        assert text in problem.en
    assert (
        "樹高曲線のための実測（3標準地以上で10本以上、2標準地なら各10本）" in problem.ja
        and "追加で測って" in problem.ja
    )


@pytest.mark.parametrize("text", ["高い", "n/a", "0", "-", "18m", "#N/A", "−3"])
def test_a_height_that_is_no_number_is_refused_and_not_taken_for_a_blank(text, survey_folder, tables):
    rows = blank(hinoki_rows(), range(3, 42, 2))
    rows[3][HEIGHT] = text
    (problem,) = refused(put(survey_folder, rows), tables).refusals
    assert problem.code in ("trees.not_a_number", "trees.negative")
    assert problem.where == "trees.csv row 4, height_m"
    assert "leave the cell blank" in problem.todo_en and "空欄" in problem.todo_ja


def test_a_list_without_a_height_column_is_refused_as_ever(survey_folder, tables):
    rows = [row[:HEIGHT] + row[HEIGHT + 1 :] for row in hinoki_rows()]
    plan = refused(put(survey_folder, rows), tables)
    assert codes(plan) == ["table.columns"] and "height_m" in plan.refusals[0].en


def test_a_tag_twice_is_refused_before_any_curve_is_judged(survey_folder, tables):
    rows = blank(hinoki_rows(), range(2, 40))
    rows[5][1] = rows[4][1]
    assert codes(refused(put(survey_folder, rows), tables)) == ["trees.duplicate"]


def test_a_blank_diameter_of_a_standing_tree_is_still_refused(survey_folder, tables):
    rows = blank(hinoki_rows(), range(3, 42, 2))
    rows[6][DBH] = ""
    (problem,) = refused(put(survey_folder, rows), tables).refusals
    assert (problem.code, problem.where) == ("trees.not_a_number", "trees.csv row 7, dbh_cm")


def test_no_height_is_invented_far_beyond_the_thickest_measured_tree(survey_folder, tables):
    rows = blank(hinoki_rows(), [5, 9, 14])
    rows[13][DBH] = "34.5"
    (problem,) = refused(put(survey_folder, rows), tables).refusals
    assert (problem.code, problem.where) == ("trees.height_beyond_curve", "trees.csv row 14, height_m")
    assert "thicker than 1.3 times the thickest measured (26.0 cm)" in problem.en
    rows[13][DBH] = "30"
    plan = plan_intake(put(survey_folder, rows), PROJECT, KnownSurveys(), tables)
    assert plan.accepted and "1 of them are outside those diameters" in render(plan)


def test_a_mistyped_height_is_pointed_at_and_used_as_it_is(survey_folder, tables):
    rows = hinoki_rows()
    rows[26][HEIGHT] = "51.0"
    plan = plan_intake(put(survey_folder, rows), PROJECT, KnownSurveys(), tables)
    assert plan.accepted
    (warning,) = plan.warnings
    assert (warning.code, warning.where) == ("trees.height_odd", "trees.csv row 27, height_m")
    assert "51 m in rows 27" in warning.en and "51 m（行 27）" in warning.ja
    assert plan.survey.trees.height_mm[25] == 51_000
