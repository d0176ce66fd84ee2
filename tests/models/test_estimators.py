"""The exact stratified regression estimator against outside implementations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.errors import OutOfRange
from models.estimators import Stratum, stratified_regression


def fractions(values):
    return [Fraction(v) for v in values]


X = fractions([3, 8, 1, 9, 4, 7, 2])
Y = fractions([10, 31, 6, 29, 17, 22, 9])
PLOTS = ["a", "a", "a", "b", "b", "b", "b"]
STRATA = {"a": Stratum(100, Fraction(5), "g"), "b": Stratum(300, Fraction(6), "g")}


def test_working_model_is_ordinary_least_squares():
    fit = stats.linregress([float(v) for v in X], [float(v) for v in Y])
    estimator = stratified_regression(STRATA, PLOTS, X)
    assert float(estimator.slope(Y)) == pytest.approx(fit.slope, rel=1e-12)
    assert float(estimator.intercept(Y)) == pytest.approx(fit.intercept, rel=1e-12)


def test_two_strata_without_slope_have_the_variance_and_freedom_of_welchs_test():
    # scipy's Welch test is the outside implementation: difference of two means, unequal variances
    a, b = [1, 4, 7, 9, 12], [3, 3, 8, 30]
    strata = {"a": Stratum(1, Fraction(0), "a"), "b": Stratum(1, Fraction(0), "b")}
    estimator = stratified_regression(strata, ["a"] * 5 + ["b"] * 4, fractions([0] * 9))
    variance = estimator.sampling_variance(fractions(a + b))
    welch = stats.ttest_ind(a, b, equal_var=False)
    standard_error = (np.mean(a) - np.mean(b)) / welch.statistic
    assert float(variance.total) == pytest.approx(standard_error**2, rel=1e-12)
    assert variance.degrees_of_freedom() == int(welch.df)


def test_residual_variance_is_unbiased_when_the_slope_costs_part_of_a_degree_of_freedom():
    # mean of s2 over repeated draws of errors of variance 1, x fixed: outside value is 1 itself
    rng = np.random.default_rng(11)
    estimator = stratified_regression(STRATA, PLOTS, X)
    found = []
    for _ in range(1500):
        y = [2 * x + Fraction(round(e * 10**6), 10**6) for x, e in zip(X, rng.normal(0, 1, 7), strict=True)]
        found.append(float(estimator.residual_variance(y)["g"][0]))
    assert np.mean(found) == pytest.approx(1.0, abs=4 * np.std(found) / 1500**0.5)
    assert 4 * np.std(found) / 1500**0.5 < 0.08, (
        "precise enough to tell it from dividing by one degree more or less"
    )


def test_a_stratum_is_estimated_from_its_own_mean_of_x():
    total = stratified_regression(STRATA, PLOTS, X).totals(Y)
    fit = stats.linregress([float(v) for v in X], [float(v) for v in Y])
    residual_a = np.mean(
        [float(y) - fit.intercept - fit.slope * float(x) for x, y in zip(X[:3], Y[:3], strict=True)]
    )
    assert float(total["a"]) == pytest.approx(100 * (fit.intercept + fit.slope * 5 + residual_a), rel=1e-12)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=7, max_size=7), st.integers(-5, 5))
def test_totals_are_linear_so_that_components_sum_to_the_whole(other, factor):
    estimator = stratified_regression(STRATA, PLOTS, X)
    combined = [a + factor * b for a, b in zip(Y, fractions(other), strict=True)]
    first, second = estimator.totals(Y), estimator.totals(fractions(other))
    assert estimator.totals(combined) == {k: first[k] + factor * second[k] for k in first}


def test_a_perfect_relation_with_the_canopy_leaves_no_error():
    estimator = stratified_regression(STRATA, PLOTS, X)
    assert estimator.sampling_variance([3 + 2 * x for x in X]).total == 0


def test_a_declared_variance_adds_degrees_of_freedom():
    variance = stratified_regression(STRATA, PLOTS, X).sampling_variance(Y)
    assert variance.degrees_of_freedom(10 * variance.total) > variance.degrees_of_freedom()


def test_interval_covers_the_realised_total_of_random_populations():
    # 90 % nominal; 400 populations of two plots, 12 cells drawn in each: the binomial 99 % band is 86 to 94 %
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(400):
        x = rng.uniform(5, 20, (2, 200))
        y = 30 + np.array([[4.0], [6.0]]) * x + rng.normal(0, 12, x.shape)
        picked = np.stack([rng.choice(200, 12, replace=False) for _ in range(2)])
        strata = {str(h): Stratum(200, Fraction(int(x[h].sum() * 1000), 200_000), "g") for h in range(2)}
        xs = [Fraction(int(x[h, i] * 1000), 1000) for h in range(2) for i in picked[h]]
        ys = [Fraction(int(y[h, i] * 1000), 1000) for h in range(2) for i in picked[h]]
        estimator = stratified_regression(strata, ["0"] * 12 + ["1"] * 12, xs)
        total = float(sum(estimator.totals(ys).values()))
        variance = estimator.sampling_variance(ys)
        half = stats.t.ppf(0.95, variance.degrees_of_freedom()) * float(variance.total) ** 0.5
        hits += abs(total - y.sum()) <= half
    assert 0.86 <= hits / 400 <= 0.945


def test_a_plot_without_a_sample_plot_is_refused_by_name():
    with pytest.raises(OutOfRange, match="'b'"):
        stratified_regression(STRATA, ["a", "a"], fractions([1, 2]))


def test_a_single_sample_plot_gives_no_variance():
    strata = {"a": Stratum(1, Fraction(0), "g")}
    with pytest.raises(OutOfRange, match="g"):
        stratified_regression(strata, ["a"], fractions([1])).sampling_variance(fractions([1]))
