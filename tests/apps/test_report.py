"""The report says what was measured, what is credited or why nothing is, in both languages and in one file."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from apps.look import wording
from apps.report import ReportInputs, render_report
from apps.report.figures import (
    axis_over,
    component_rows,
    interval_g,
    interval_rows,
    steps_of_claim,
    variance_bars,
)
from apps.report.maps import difference, read_layer
from mrv.blob import canonical_json
from mrv.credits import make_claim
from mrv.errors import ClaimRefused
from mrv.results import Estimate, History, change_from_doc, to_doc
from tests.apps.samples import OUTLINES, PLAN, PROJECT, T, sample_canopies, sample_change, sample_claim


class _Words(HTMLParser):
    """Visible text and the addresses a page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []
        self.asked: list[str] = []
        self.quiet = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.quiet = tag in ("style", "script")
        self.asked += [v for k, v in attrs if k in ("src", "href") and v]

    def handle_endtag(self, tag: str) -> None:
        self.quiet = False

    def handle_data(self, data: str) -> None:
        if not self.quiet:
            self.text.append(data)


def _read(path: Path) -> tuple[str, list[str]]:
    words = _Words()
    words.feed(path.read_text(encoding="utf-8"))
    return re.sub(r"\s+", " ", " ".join(words.text)), words.asked


def _inputs(**changes: object) -> ReportInputs:
    return replace(ReportInputs(PROJECT, PLAN, sample_change(), sample_claim(), OUTLINES), **changes)


def test_it_is_one_file_that_asks_for_nothing_else(tmp_path: Path) -> None:
    first, last = sample_canopies(tmp_path)
    path = render_report(_inputs(maps={"canopy_first": first, "canopy_last": last}), tmp_path / "report.html")
    _, asked = _read(path)
    assert sum(a.startswith("data:image/png") for a in asked) == 3, (
        "first date, last date and their difference"
    )
    assert all(a.startswith("data:") for a in asked)
    assert "url(" not in path.read_text(encoding="utf-8")


def test_simulated_data_is_labelled_in_both_languages(tmp_path: Path) -> None:
    text, _ = _read(render_report(_inputs(), tmp_path / "r.html"))
    assert wording.SIMULATED.en in text and wording.SIMULATED.ja in text
    real = _inputs(
        project=replace(PROJECT, simulated=False), change=replace(sample_change(), simulated=False)
    )
    text, _ = _read(render_report(real, tmp_path / "real.html"))
    assert "SIMULATED" not in text and "模擬" not in text


def test_the_kilograms_of_the_claim_stand_there_exactly(tmp_path: Path) -> None:
    claim = sample_claim()
    text, _ = _read(render_report(_inputs(), tmp_path / "r.html", "en"))
    for kg in (claim.estimate_kg, -claim.deduction_kg, -claim.buffer_kg, claim.credited_kg):
        assert f"{wording.whole(kg)} kg" in text
    assert "probability 2/3" in text


def test_a_refused_claim_gives_its_reasons_and_no_credit(tmp_path: Path) -> None:
    with pytest.raises(ClaimRefused) as refused:
        make_claim(PROJECT, PLAN, sample_change(-1), History(), ("a",))
    inputs = _inputs(change=sample_change(-1), claim=refused.value)
    text, _ = _read(render_report(inputs, tmp_path / "r.html"))
    for reason in refused.value.reasons:
        assert reason.en in text and reason.ja in text and reason.code in text
    assert "From what was measured to what is credited" not in text


def test_truth_and_z_stand_beside_the_estimate_only_when_given(tmp_path: Path) -> None:
    truth = {p.plot_id: p.change.total_g - 2 * p.change.se_g for p in sample_change().plots}
    text, _ = _read(render_report(_inputs(truth_g=truth), tmp_path / "r.html", "en"))
    assert text.count("z +2.00") == len(truth)
    text, _ = _read(render_report(_inputs(), tmp_path / "without.html", "en"))
    assert "Truth" not in text and " z " not in text


def test_both_ledgers_flags_and_unverified_constants_are_printed(tmp_path: Path) -> None:
    change = replace(sample_change(), flags=("canopy.terrain_not_from_laser", "some.new_flag"))
    text, _ = _read(render_report(_inputs(change=change), tmp_path / "r.html", "en"))
    for words in (
        "Physical stock change",
        "J-Credit view",
        "not from laser",
        "some.new_flag",
        *change.unverified,
    ):
        assert words in text
    for value in change.jcredit_g.values():
        assert f"{wording.tonnes(value)} t CO2e" in text


def test_japanese_page_has_no_english_sentences_left(tmp_path: Path) -> None:
    text, _ = _read(render_report(_inputs(), tmp_path / "r.html", "ja"))
    assert "小班ごとの結果" in text
    assert not re.search(r"\b(the|which|measured|credits)\b", text)


def test_names_with_markup_are_shown_not_run(tmp_path: Path) -> None:
    inputs = _inputs(project=replace(PROJECT, name_en="<b>Bob's {forest}</b>", name_ja="<script>x</script>"))
    html = render_report(inputs, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<script>" not in html and "&lt;b&gt;Bob" in html and "{forest}" in html


def test_interval_is_student_t_of_the_estimate() -> None:
    # t(0.95, 18) = 1.7341 (any printed table of Student's t)
    low, high = interval_g(Estimate(0, 1_000_000, 18), 900_000)
    assert high == -low == pytest.approx(1_734_064, abs=2)


def test_bars_of_a_claim_lead_from_estimate_to_credits() -> None:
    claim = sample_claim()
    estimate, deduction, buffer, credited = steps_of_claim(claim)
    assert estimate.left == credited.left == 0 and estimate.width == 100
    assert deduction.left + deduction.width == pytest.approx(100, abs=0.01)
    assert buffer.left + buffer.width == pytest.approx(deduction.left, abs=0.01)
    assert credited.width == pytest.approx(buffer.left, abs=0.01)


def test_a_later_claim_shows_what_was_credited_before() -> None:
    claim = replace(
        sample_claim(), prior_gross_kg=200_000, gross_kg=218_796, buffer_kg=6_564, credited_kg=212_232
    )
    prior = next(b for b in steps_of_claim(claim) if b.key == "prior")
    assert prior.value == 200_000
    assert prior.left == pytest.approx(100 * 218_796 / 450_000, abs=0.01)


def test_every_interval_lies_within_the_axis() -> None:
    rows, axis = interval_rows(sample_change().plots, 900_000, None)
    assert all(r.left >= 0 and r.left + r.width <= 100 for r in rows)
    assert 0 in axis.ticks and axis.at(0) == axis.zero


def test_components_lie_on_their_side_of_zero_and_add_up() -> None:
    plots = sample_change().plots
    rows, axis = component_rows(plots)
    for plot, bars in zip(plots, rows, strict=True):
        assert sum(b.value for b in bars) == plot.change.total_g
        assert all((b.left >= axis.zero) == (b.value > 0) for b in bars)


def test_components_keep_their_order_after_a_stored_document_sorted_them(tmp_path: Path) -> None:
    stored = change_from_doc(json.loads(canonical_json(to_doc(sample_change()))))
    text, _ = _read(render_report(_inputs(change=stored), tmp_path / "r.html", "en"))
    legend = text.index("replanting did") + len("replanting did")
    places = [
        text.index(wording.COMPONENTS[k].en, legend)
        for k in ("growth", "replanted", "thinned", "cut", "died")
    ]
    assert places == sorted(places)


def test_axis_holds_zero_even_if_no_value_does() -> None:
    axis = axis_over([310.0, 420.0])
    assert axis.low == 0 and axis.high >= 420


def test_variance_shares_are_ordered_and_add_to_all() -> None:
    bars = variance_bars(sample_change())
    assert sum(b.width for b in bars) == pytest.approx(100, abs=0.01)
    assert [b.key for b in bars] == ["sampling", "shared_factors", "field_height_bias"]
    assert bars[0].value == 60 * T


def test_reduced_maps_skip_missing_pixels(tmp_path: Path) -> None:
    first, last = sample_canopies(tmp_path)
    layer = read_layer(first, 1000, max_side=100)
    assert max(layer.values.shape) == 100
    assert np.nanmin(layer.values) > 0 and np.nanmax(layer.values) < 30, "nodata must not leak into averages"
    grown = difference(read_layer(last, 1000), read_layer(first, 1000))
    assert grown is not None and np.nanmedian(grown.values) == pytest.approx(1.0)


def test_maps_on_different_grids_are_never_subtracted(tmp_path: Path) -> None:
    first, last = sample_canopies(tmp_path)
    assert difference(read_layer(last, 1000, max_side=50), read_layer(first, 1000, max_side=60)) is None


@pytest.mark.parametrize(
    ("grams", "text"), [(450_000_000, "450.0"), (-49_999, "0.0"), (-1_250_000_000, "−1,250.0")]
)
def test_tonnes_read_well(grams: int, text: str) -> None:
    assert wording.tonnes(grams) == text


@pytest.mark.parametrize(
    ("units", "decimals", "text"),
    [(1_234_500_000, 6, "1,234.5"), (7, 6, "0.000007"), (12, 0, "12"), (-1_500_000, 6, "−1.5")],
)
def test_money_is_written_exactly(units: int, decimals: int, text: str) -> None:
    assert wording.money(units, decimals) == text
