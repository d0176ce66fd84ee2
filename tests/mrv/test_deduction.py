"""Deduction policies against outside figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mrv.methodology.deduction import (
    POLICIES,
    ar_tool14,
    art_trees,
    half_width_g,
    probability_of_exceedance,
    t_quantile_ppm,
)
from mrv.results import Estimate

LARGE_DF = 1_000_000


def estimate_with_half_width(percent: float, total_g: int = 10**12) -> Estimate:
    """An estimate whose 90 % half-width is this share of it (z = 1.644854)."""
    return Estimate(total_g, round(total_g * percent / 100 / 1.644855), LARGE_DF)


def test_art_trees_takes_6_376_percent_at_a_half_width_of_20_percent():
    # ART-TREES 2.0, reference/methodology.md section 4
    estimate = estimate_with_half_width(20.0)
    assert art_trees(estimate, 0) / estimate.total_g == pytest.approx(0.06376, abs=5e-6)


def test_art_trees_takes_nothing_up_to_10_percent():
    assert art_trees(estimate_with_half_width(9.99), 0) == 0
    assert art_trees(estimate_with_half_width(10.1), 0) > 0


@pytest.mark.parametrize(("percent", "share"), [(8, 0.0), (12, 0.03), (18, 0.09), (25, 0.1875), (40, 0.40)])
def test_ar_tool14_steps(percent, share):
    estimate = estimate_with_half_width(percent)
    assert ar_tool14(estimate, 0) / estimate.total_g == pytest.approx(share, abs=1e-5)


def test_two_thirds_exceedance_takes_0_4307_standard_errors_when_many_plots():
    # z_2/3 = 0.4307, reference/methodology.md section 4
    deduction = probability_of_exceedance(Estimate(10**9, 10**8, LARGE_DF), 666_667)
    assert deduction / 10**8 == pytest.approx(0.4307, abs=5e-5)


@pytest.mark.parametrize(("df", "quantile"), [(1, 6.313752), (10, 1.812461), (22, 1.717144)])
def test_t_quantiles_match_the_printed_table_and_are_rounded_up(df, quantile):
    # Abramowitz & Stegun (1964), table 26.10, one-sided 95 %
    assert t_quantile_ppm(df, 950_000) == pytest.approx(quantile * 1e6, abs=1.5)
    assert t_quantile_ppm(df, 950_000) >= quantile * 1e6 - 0.5


@given(
    st.integers(-(10**12), 10**12),
    st.integers(1, 10**11),
    st.integers(1, 200),
    st.sampled_from(sorted(POLICIES)),
)
def test_a_deduction_is_never_negative_and_never_more_than_the_change(total, se, df, policy):
    estimate = Estimate(total, se, df)
    assert 0 <= POLICIES[policy](estimate, 666_667) <= max(0, total)


@given(st.integers(1, 10**11), st.integers(1, 60))
def test_fewer_sample_plots_widen_the_interval(se, df):
    assert half_width_g(Estimate(0, se, df)) >= half_width_g(Estimate(0, se, df + 1))
