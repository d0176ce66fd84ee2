"""Deduction policies at and beside the edges their rules name."""

from __future__ import annotations

from fractions import Fraction

import pytest

from mrv.methodology.deduction import (
    ar_tool14,
    art_trees,
    half_width_g,
    probability_of_exceedance,
    t_quantile_ppm,
)
from mrv.results import Estimate

DF = 1_000_000
SE = 10**9


def at_half_width(percent: int, off_g: int = 0) -> Estimate:
    """An estimate whose 90 % half-width is exactly this share of it, or of a total so many grams off."""
    half = half_width_g(Estimate(0, SE, DF))
    total, rest = divmod(half * 100, percent)
    # a total that is no whole gram is cut, which lies the half-width a hair above the edge: then step to the other side
    return Estimate(total + (1 if rest else 0) + off_g, SE, DF)


@pytest.mark.parametrize(("edge", "below", "above"), [(10, 0, 25), (15, 25, 50), (20, 50, 75), (30, 75, 100)])
def test_ar_tool14_changes_its_share_just_beyond_each_edge(edge, below, above):
    """AR-TOOL14: a half-width of exactly 10, 15, 20 or 30 % still has the lower share of itself deducted."""
    half = half_width_g(Estimate(0, SE, DF))
    for estimate, share in (
        (at_half_width(edge), below),
        (at_half_width(edge, 1), below),
        (at_half_width(edge, -1), above),
    ):
        exact = Fraction(half, estimate.total_g) * Fraction(share, 100) * estimate.total_g
        assert 0 <= ar_tool14(estimate, 0) - exact < 1


def test_ar_tool14_never_takes_more_than_all():
    assert ar_tool14(at_half_width(150), 0) == at_half_width(150).total_g


@pytest.mark.parametrize(
    ("percent", "deducted"), [(11, 3.507), (15, 4.782), (20, 6.376), (30, 9.564), (50, 15.940)]
)
def test_art_trees_takes_its_printed_share(percent, deducted):
    """ART-TREES 2.0: 0.524417 · HW / 1.645006; 20 % → 6.376 % is printed, the others follow from the line."""
    estimate = at_half_width(percent)
    assert 100 * art_trees(estimate, 0) / estimate.total_g == pytest.approx(deducted, abs=5e-4)


def test_art_trees_begins_just_beyond_10_percent():
    assert art_trees(at_half_width(10), 0) == 0 < art_trees(at_half_width(10, -1), 0)


@pytest.mark.parametrize("policy", [ar_tool14, art_trees, probability_of_exceedance])
@pytest.mark.parametrize("total", [0, -1, -(10**12)])
def test_nothing_is_deducted_from_nothing_or_from_a_loss(policy, total):
    assert policy(Estimate(total, SE, 5), 666_667) == 0


@pytest.mark.parametrize(
    ("df", "p_ppm", "printed"),
    [
        (1, 750_000, 1.000),
        (5, 900_000, 1.476),
        (22, 900_000, 1.321),
        (10, 950_000, 1.812),
        (30, 975_000, 2.042),
        (120, 995_000, 2.617),
    ],
)
def test_quantiles_are_those_of_the_printed_table(df, p_ppm, printed):
    # Student's table as printed in Cochran (1977) and elsewhere, three decimals; ours never below
    assert t_quantile_ppm(df, p_ppm) / 1e6 == pytest.approx(printed, abs=6e-4)


def test_exceedance_takes_t_times_the_standard_error_rounded_up():
    change = Estimate(10**12, 123_456_789, 22)
    expected = Fraction(t_quantile_ppm(22, 666_667), 10**6) * change.se_g
    assert 0 <= probability_of_exceedance(change, 666_667) - expected < 1
