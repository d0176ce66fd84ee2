"""The report tells which estimator was used and why, where a model reaches its limits, and never shows an interval that is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from apps.cli.runs import _show_change
from apps.cli.say import Session
from apps.look import wording
from apps.report import render_report
from apps.report.maps import read_flags
from apps.report.page import BEYOND
from models.choose import choose_estimator
from mrv.coverage import NODATA_FLAG, Cells, ModelCoverage, Range, RangeCount
from mrv.monte_carlo import ASSUMED_ERRORS, ChangeCheck
from mrv.pair_shift import PairShift
from mrv.results import SmallArea
from tests.apps.samples import T, sample_change, write_raster
from tests.apps.test_report import _inputs, _read

CHECK = ChangeCheck(
    4000,
    {"first": 700 * T, "last": 710 * T, "change": 78 * T},
    {"first": 690 * T, "last": 700 * T, "change": 77 * T},
    71 * T,
    650 * T,
    900 * T,
    958_000,
    {"sampling": str((60 * T) ** 2), "gnss": str((20 * T) ** 2), "coregistration": "0"},
    ASSUMED_ERRORS,
    ("check.errors_assumed",),
)
COUNT = RangeCount(Cells(40, 4000), Cells(1, 100), Cells(2, 200), Cells(3, 300), Cells(5, 500), Cells(0, 0))
RANGES = ModelCoverage(
    20_000, 100, {k: Range(9_000, 21_000, 24) for k in ("first", "last", "change")}, COUNT, {"P1": COUNT}
)
SHIFT = PairShift(True, 320, -410, 20, 20, 900, 700_000, 800_000, 90_000, 500, 500, True, 1, -1)


def designed(design: str, **changes: object):
    choice = choose_estimator(design, 24, strata=8)
    return replace(
        sample_change(), design=design, estimator=choice.estimator, interval_valid=choice.interval_valid,
        creditable=choice.creditable, reason_en=choice.reason_en, reason_ja=choice.reason_ja, parameters=2, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("tongue", ["en", "ja"])
def test_which_estimator_and_why_is_said(tmp_path: Path, tongue) -> None:
    change = designed("stratified")
    text, _ = _read(render_report(_inputs(change=change), tmp_path / "r.html", tongue))
    assert change.estimator in text
    assert (change.reason_en if tongue == "en" else change.reason_ja) in text


@pytest.mark.parametrize("design", ["stratified", "srs", "systematic", "two_phase", "pps", "purposive"])
def test_every_estimator_is_named_in_words(design) -> None:
    named = wording.ESTIMATORS[designed(design).estimator]
    assert "_" not in named.en + named.ja and named.en != named.ja


def test_the_command_line_says_the_design_why_and_that_an_interval_is_not_valid(capsys) -> None:
    for design, valid in (("srs", True), ("purposive", False)):
        change = designed(design)
        _show_change(Session(None, False, "en"), change)
        said = capsys.readouterr().out
        assert wording.DESIGNS[design].en in said and change.reason_en in said
        title = said.splitlines()[0]
        assert ("90 % interval" in title, "NOT VALID" in title) == (valid, not valid)


def test_an_interval_of_plots_chosen_by_judgement_is_labelled_and_never_shown_as_one(tmp_path: Path) -> None:
    text, _ = _read(render_report(_inputs(change=designed("purposive")), tmp_path / "r.html", "en"))
    assert text.count("NOT VALID") >= 4
    assert "confidence" not in text.split("Check it yourself")[0].split("Measured change")[0]
    text, _ = _read(
        render_report(_inputs(change=designed("purposive"), check=CHECK), tmp_path / "c.html", "en")
    )
    assert "no valid interval. Nine in ten" in text
    text, _ = _read(render_report(_inputs(change=designed("stratified")), tmp_path / "v.html", "en"))
    assert "NOT VALID" not in text


def test_the_drawn_check_stands_beside_the_error_that_was_deducted(tmp_path: Path) -> None:
    text, _ = _read(render_report(_inputs(check=CHECK), tmp_path / "r.html", "en"))
    assert "every error drawn 4,000 times" in text
    assert "1.10" in text, "78 of 71 t"
    assert "sample plots beside where they are mapped" in text
    assert "a canopy raster shifted" not in text, "nothing was drawn of it"
    assert "check.errors_assumed" in text


def test_cells_beyond_the_sample_plots_and_a_shift_beyond_the_limit_are_counted_and_told(
    tmp_path: Path,
) -> None:
    text, _ = _read(render_report(_inputs(ranges=RANGES, shift=SHIFT), tmp_path / "r.html", "en"))
    assert "Of 40 cells, 5 ( 12.5 % of the area)" in text or "Of 40 cells, 5 (12.5 % of the area)" in text
    assert "0.52 m beside the earlier one (+0.32 m east, -0.41 m north" in text
    assert "beyond the limit of 0.50 m" in text
    apart = replace(SHIFT, found=False, reason_en="too few trees", reason_ja="樹木が不足")
    assert "樹木が不足" in _read(render_report(_inputs(shift=apart), tmp_path / "j.html", "ja"))[0]


def test_plots_without_sample_plots_show_what_the_model_says_of_them(tmp_path: Path) -> None:
    change = designed("srs")
    alone = SmallArea(0, 0, 50 * T, 30 * T, 51 * T, 31 * T, None, None, 50 * T, 30 * T)
    change = replace(change, plots=tuple(replace(p, small_area=alone) for p in change.plots))
    text, _ = _read(render_report(_inputs(change=change), tmp_path / "r.html", "en"))
    assert "Model alone (synthetic)" in text
    assert "+50.0 ± 30.0" in text
    assert "–" in text


def test_a_layer_of_flags_is_drawn_as_yes_no_or_nothing(tmp_path: Path) -> None:
    flags = np.array([[0, 1, 6], [8, NODATA_FLAG, 9]], dtype=np.uint8)
    path = write_raster(tmp_path / "flags.tif", flags, NODATA_FLAG)
    layer = read_flags(path, BEYOND, NODATA_FLAG)
    np.testing.assert_array_equal(layer.values, [[0, 1, 1], [0, np.nan, 1]])
