"""The words of ``[design]`` in survey.toml: what is understood, and what is refused with the way out."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mrv.readers.design import check_probabilities, draw_probabilities, read_design
from mrv.readers.findings import Findings


def read(table):
    findings = Findings()
    return read_design({"design": table} if table is not None else {}, findings), findings


@pytest.mark.parametrize(
    ("word", "design"),
    [
        ("stratified", "stratified"),
        ("srs", "srs"),
        ("random", "srs"),
        ("Systematic", "systematic"),
        ("two-phase", "two_phase"),
        ("purposive", "purposive"),
        ("none", "none"),
        ("単純無作為", "srs"),
        ("有意", "purposive"),
    ],
)
def test_designs_are_read_in_english_and_japanese(word, design):
    found, findings = read({"kind": word})
    assert found == design and not findings.problems


def test_a_manifest_without_a_design_states_none():
    assert read(None)[0] == "none"


@pytest.mark.parametrize(("word", "says"), [("cluster", "one sample plot"), ("lucky dip", "srs")])
def test_what_cannot_be_stated_is_refused_with_what_can(word, says):
    found, findings = read({"kind": word})
    assert found == "none" and findings.refused
    (problem,) = findings.problems
    assert problem.code == "manifest.kind" and says in problem.en and "pps" in problem.ja


@pytest.mark.parametrize(
    ("value", "p"),
    [
        ("3/800", Fraction(3, 800)),
        (0.0125, Fraction(1, 80)),
        ("1.25e-2", Fraction(1, 80)),
        ("0.5", Fraction(1, 2)),
    ],
)
def test_probabilities_are_taken_exactly_as_written(value, p):
    assert draw_probabilities({"draw_probability": {"S1": value}}) == ({"S1": p}, [])


def test_inclusion_probabilities_are_those_of_one_draw_times_the_draws():
    found, _ = draw_probabilities({"inclusion_probability": {"S1": "0.1", "S2": "0.3"}})
    assert found == {"S1": Fraction(1, 20), "S2": Fraction(3, 20)}


@pytest.mark.parametrize(
    "table",
    [
        {"kind": "pps"},
        {"kind": "pps", "draw_probability": {"S1": "0.1"}, "inclusion_probability": {"S1": "0.1"}},
        {"kind": "srs", "draw_probability": {"S1": "0.1"}},
        {"kind": "pps", "draw_probability": 0.1},
        *(
            {"kind": "pps", "draw_probability": {"S1": v}}
            for v in ("0", "1", -0.1, "x", "1/0", "1e-999", True, [1])
        ),
    ],
    ids=str,
)
def test_wrong_probabilities_are_refused(table):
    _, findings = read(table)
    assert [p.code for p in findings.problems] == ["design.probability"]


def test_probabilities_and_sample_plots_must_name_each_other():
    doc = {"design": {"kind": "pps", "draw_probability": {"S1": "0.1", "S3": "0.1"}}}
    findings = Findings()
    check_probabilities(doc, ["S1", "S2"], findings)
    text = " ".join(p.en for p in findings.problems)
    assert len(findings.problems) == 2 and "S2" in text and "S3" in text
    check_probabilities({"design": {"kind": "srs"}}, ["S1"], fine := Findings())
    assert not fine.problems
