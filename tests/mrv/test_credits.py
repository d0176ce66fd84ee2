"""From change to kilograms: the cumulative rule and every refusal."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.change import estimate_change
from mrv.credits import make_claim, plot_identity
from mrv.errors import ClaimRefused
from mrv.results import Claim, Estimate, History
from tests.mrv.stand_of_squares import PROJECT, plan, visits

PLAN = plan(2, 3)
CHANGE = estimate_change(*visits(), PLAN)
REGISTER = ("24209-001-0", "24209-001-1")


def claim(change=CHANGE, history=History(), project=PROJECT) -> Claim:  # noqa: B008 - frozen value
    return make_claim(project, PLAN, change, history, REGISTER)


def refused(**kwargs) -> tuple[str, ...]:
    with pytest.raises(ClaimRefused) as caught:
        claim(**kwargs)
    assert "区" in caught.value.ja or "。" in caught.value.ja
    return tuple(r.code for r in caught.value.reasons)


@given(st.integers(10**6, 10**12), st.integers(1, 10**9), st.integers(1, 40), st.integers(0, 500_000))
def test_kilograms_add_up_for_any_change(total, se, df, buffer_ppm):
    change = replace(CHANGE, change=Estimate(total, se, df))
    project = replace(PROJECT, buffer_ppm=buffer_ppm)
    try:
        made = make_claim(project, PLAN, change, History(), REGISTER)
    except ClaimRefused:
        return
    assert made.estimate_kg - made.deduction_kg == made.gross_kg == made.credited_kg + made.buffer_kg
    assert made.gross_kg * 1000 <= total
    assert made.buffer_kg * 1_000_000 >= made.gross_kg * buffer_ppm
    assert made.deduction_kg > 0


def test_only_what_exceeds_earlier_issues_is_claimed():
    whole = claim()
    later = claim(history=History(gross_issued_kg=100, compensated_kg=30, last_end=date(2023, 10, 20)))
    assert later.gross_kg == whole.gross_kg - 100 + 30
    assert later.period_start == date(2023, 10, 20)


def test_after_an_annulment_the_next_claim_counts_from_the_start_though_its_period_goes_on():
    # The chain then has nothing issued, and the annulled batch's period still spent.
    whole = claim()
    later = claim(history=History(0, 0, date(2023, 10, 20)))
    assert (later.gross_kg, later.prior_gross_kg) == (whole.gross_kg, 0)
    assert later.period_start == date(2023, 10, 20) and later.batch_id != whole.batch_id


def test_splitting_a_time_into_two_claims_mints_no_more_than_one_claim():
    # the ratchet that a floor at zero per period would open
    up, down = (
        claim().gross_kg,
        replace(CHANGE, change=Estimate(CHANGE.change.total_g // 2, CHANGE.change.se_g, 10)),
    )
    assert "claim.nothing_new" in refused(change=down, history=History(up, 0, date(2023, 1, 1)))


def test_a_loss_gives_no_credit():
    loss = replace(CHANGE, change=Estimate(-5_000_000, 1_000, 10))
    assert refused(change=loss) == ("claim.no_gain",)


def test_a_refused_loss_shows_no_interval_where_none_is_valid():
    loss = replace(
        CHANGE,
        change=Estimate(-5_000_000, 1_000, 10),
        creditable=False,
        interval_valid=False,
        design="purposive",
    )
    with pytest.raises(ClaimRefused) as caught:
        claim(change=loss)
    said = caught.value.reasons[-1]
    assert "NOT VALID" in said.en and "区間は無効" in said.ja and "90" not in said.en + said.ja


def test_a_loss_after_an_issue_is_a_reversal_of_what_is_no_longer_stored():
    fallen = replace(CHANGE, change=Estimate(30_000_000, 1_000, 10))
    with pytest.raises(ClaimRefused) as caught:
        claim(change=fallen, history=History(100_000, 20_000, date(2023, 10, 20)))
    (reversal,) = [r for r in caught.value.reasons if r.code == "claim.reversal"]
    assert reversal.figures["reversal_kg"] == 100_000 - 20_000 - 30_000


def test_a_change_as_wide_as_its_interval_is_refused():
    wide = replace(CHANGE, change=Estimate(5_000_000, 4_000_000, 10))
    assert refused(change=wide) == ("claim.too_uncertain",)


def test_a_period_that_was_credited_is_refused():
    assert "claim.period_already_credited" in refused(history=History(1, 0, date(2025, 10, 20)))


def test_an_unverified_constant_is_issuable_in_demo_mode_only():
    change = replace(CHANGE, unverified=("hinoki: root_ratio",))
    assert claim(change=change).unverified == ("hinoki: root_ratio",)
    assert refused(change=change, project=replace(PROJECT, demo=False)) == ("claim.unverified_constants",)


def test_a_design_without_probability_sample_is_refused():
    assert refused(change=replace(CHANGE, creditable=False, flags=("x",))) == ("claim.design_not_creditable",)


def test_the_batch_is_named_by_project_method_and_period_alone():
    other = replace(CHANGE, change=Estimate(CHANGE.change.total_g * 2, CHANGE.change.se_g, 9))
    assert claim().batch_id == claim(change=other).batch_id
    assert claim().batch_id != claim(history=History(1, 0, date(2022, 1, 1))).batch_id


def test_the_vintage_is_the_year_of_the_last_day():
    new_year = replace(CHANGE, end=date(2025, 1, 1))
    assert claim(change=new_year).vintage == 2024


def test_a_claim_survives_its_document():
    assert Claim.from_doc(claim().to_doc()) == claim()


@pytest.mark.parametrize(
    "history",
    [
        History(10, 0, None),
        History(10, 20, date(2023, 10, 20)),
        History(-10, 0, None),
        History(10, 0, CHANGE.start),
    ],
)
def test_a_history_that_no_chain_can_hold_is_refused(history):
    assert "claim.history_impossible" in refused(history=history)


def test_growth_from_before_the_project_is_not_credited():
    assert "claim.before_project" in refused(project=replace(PROJECT, start=date(2022, 1, 1)))


def test_spellings_of_one_register_key_are_one_plot():
    base = visits()[0].survey.plots[0]
    spellings = ["012-い-1", "０１２－い－１", "12-い-1", "012‐い‐1", "012−い−01", " 012 - い - 1"]
    assert {plot_identity(PROJECT, replace(base, register_id=s)) for s in spellings} == {"24209|12-い-1"}
    assert plot_identity(PROJECT, replace(base, register_id="012-ろ-1")) != "24209|12-い-1"
