"""The exact regression over a whole project against its floating-point twin, outside values, and what must not change it."""

from __future__ import annotations

import csv
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from models.domains import greg_domains
from models.errors import OutOfRange
from models.exact_regression import domain_totals, project_regression
from models.sampling import greg, pps


def fractions(values):
    return [Fraction(str(v)) for v in values]


X = fractions([3, 8, 1, 9, 4, 7, 2])
Y = fractions([10, 31, 6, 29, 17, 22, 9])
WEIGHTS = fractions([1, 2, 5, 1, 3, 2, 4])
DOMAINS = ["a", "a", "b", "b", "b", "c", "c"]
AREA = {"a": 100, "b": 300, "c": 50, "empty": 70}
X_MEAN = {name: Fraction(v) for name, v in (("a", 5), ("b", 6), ("c", 4), ("empty", 8))}


def fit(weights=None, x=X, area=520, x_mean=Fraction(11, 2)):
    return project_regression(area, x_mean, x, weights)


def floats(values):
    return [float(v) for v in values]


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["equal", "unequal"])
def test_total_and_variances_are_those_of_the_floating_point_greg(weights):
    exact = fit(weights)
    w = None if weights is None else floats(weights)
    names = ("n_minus_p", "g_weight") if weights is None else ("g_weight",)
    for name in names:
        twin = greg(floats(Y), floats(X), [5.5], weights=w, variance=name).times(520)
        assert float(exact.total(Y)) == pytest.approx(twin.value, rel=1e-12)
        assert float(exact.variances(Y)[name]) == pytest.approx(twin.variance, rel=1e-10)
        assert exact.degrees_of_freedom == twin.degrees_of_freedom == 5


def test_leverage_variance_is_that_of_the_prediction_by_the_sandwich_matrix():
    # MacKinnon and White's HC2, written as a sandwich of matrices
    design = np.column_stack([np.ones(7), floats(X)])
    bread = np.linalg.inv(design.T @ design)
    e = np.array(floats(Y)) - design @ (bread @ design.T @ floats(Y))
    hat = np.einsum("ij,jk,ik->i", design, bread, design)
    at = np.array([1.0, 5.5])
    sandwich = bread @ (design.T * (e**2 / (1 - hat))) @ design @ bread
    assert float(fit().variances(Y)["leverage"]) == pytest.approx(520**2 * at @ sandwich @ at, rel=1e-10)


def test_conditional_variance_is_that_of_a_regression_line_in_a_textbook():
    line = stats.linregress(floats(X), floats(Y))
    at_mean = float(np.mean(floats(X)))
    s2 = np.sum((np.array(floats(Y)) - line.intercept - line.slope * np.array(floats(X))) ** 2) / 5
    expected = s2 / 7 + (line.stderr * (5.5 - at_mean)) ** 2
    assert float(fit().variances(Y)["conditional"]) == pytest.approx(520**2 * expected, rel=1e-12)


def test_the_larger_of_two_variances_is_used():
    found = fit().variances(Y)
    assert fit().sampling_variance(Y).total == max(found["leverage"], found["conditional"])


def test_without_the_canopy_a_county_of_idaho_has_the_mean_and_variance_of_the_r_package_mase(shared_data):
    with (shared_data / "idaho_fia" / "IdahoSamp.csv").open() as file:
        y = fractions(r["BA_TPA_ADJ"] for r in csv.DictReader(file) if r["COUNTYFIPS"] == "16055")
    exact = project_regression(1, Fraction(0), [Fraction(0)] * len(y))
    assert float(exact.total(y)) == pytest.approx(107.2231, abs=5e-5)
    finite = 1 - 100 / 418_623
    assert finite * float(exact.sampling_variance(y).total) == pytest.approx(46.63093, abs=5e-6)
    assert exact.parameters == 1 and exact.degrees_of_freedom == 99


def test_a_county_of_idaho_on_canopy_cover_is_that_of_the_twin(shared_data):
    with (shared_data / "idaho_fia" / "IdahoSamp.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["COUNTYFIPS"] == "16055"]
    y, x = fractions(r["BA_TPA_ADJ"] for r in rows), fractions(r["tcc"] for r in rows)
    exact = project_regression(1, Fraction(30), x)
    twin = greg(floats(y), floats(x), [30.0])
    assert float(exact.total(y)) == pytest.approx(twin.value, rel=1e-10)
    assert float(exact.variances(y)["n_minus_p"]) == pytest.approx(twin.variance, rel=1e-10)


def test_draws_by_size_without_a_canopy_are_hansen_and_hurwitz_where_the_size_is_known():
    # y proportional to p: Hansen-Hurwitz has no error; so has the weighted mean of a constant density
    p = [0.1, 0.2, 0.05, 0.15]
    assert pps([10.0, 20.0, 5.0, 15.0], p).variance == pytest.approx(0.0, abs=1e-20)
    exact = project_regression(700, Fraction(0), [Fraction(0)] * 4, [1 / Fraction(str(v)) for v in p])
    assert exact.total([Fraction(3)] * 4) == 2100
    assert exact.sampling_variance([Fraction(3)] * 4).total == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(-50, 50), st.integers(1, 9), st.integers(-20, 20), st.permutations(range(7)))
def test_shift_scale_and_order_change_nothing_but_the_unit(shift, scale, shift_x, order):
    plain = fit(WEIGHTS)
    moved = fit(WEIGHTS, x=[x + shift_x for x in X], x_mean=Fraction(11, 2) + shift_x)
    y = [scale * v + shift for v in Y]
    assert moved.total(y) == scale * plain.total(Y) + 520 * shift
    assert moved.sampling_variance(y).total == scale**2 * plain.sampling_variance(Y).total
    shuffled = project_regression(520, Fraction(11, 2), [X[i] for i in order], [WEIGHTS[i] for i in order])
    assert shuffled.total([Y[i] for i in order]) == plain.total(Y)
    shuffled_variance = shuffled.sampling_variance([Y[i] for i in order]).total
    assert shuffled_variance == plain.sampling_variance(Y).total


def test_domains_are_those_of_the_floating_point_twin_and_their_weights_are_linear():
    found = domain_totals(fit(WEIGHTS), DOMAINS, AREA, X_MEAN, Y)
    means = {name: [float(v)] for name, v in X_MEAN.items() if name != "empty"}
    twin = greg_domains(floats(Y), floats(X), DOMAINS, means, floats(WEIGHTS))
    assert set(found) == set(twin) == {"a", "b", "c"}
    for name, estimate in found.items():
        assert float(estimate.total) == pytest.approx(AREA[name] * twin[name].value, rel=1e-12)
        assert estimate.total == sum(w * v for w, v in zip(estimate.weights, Y, strict=True))


def test_domains_with_one_plot_each_have_no_variance_of_their_own():
    found = domain_totals(
        fit(), list("abcdefg"), dict.fromkeys("abcdefg", 10), dict.fromkeys("abcdefg", Fraction(5)), Y
    )
    assert all(e.variance is None for e in found.values())


def test_three_plots_are_too_few_for_a_line_and_its_variance():
    with pytest.raises(OutOfRange, match="4 or more sample plots"):
        fit(x=X[:3]).sampling_variance(Y[:3])
    with pytest.raises(OutOfRange):
        project_regression(1, Fraction(0), [])


def test_a_weight_that_is_not_above_zero_is_refused_by_row():
    with pytest.raises(OutOfRange, match="row 2"):
        fit([Fraction(1), Fraction(0), *WEIGHTS[2:]])


def test_interval_covers_the_realised_total_where_some_of_the_forest_was_cut():
    # 90 % nominal, 24 of 1,000 cells at random, one fifth of them cut and twice as varied; 99 % binomial band of 500 projects is 86 to 94 %
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(500):
        cut = np.arange(1000) < 200
        x = np.where(cut, rng.normal(-15, 2, 1000), rng.normal(2.5, 0.4, 1000))
        y = 12 * x + rng.normal(0, 8, 1000) * np.where(cut, 2, 1)
        picked = rng.choice(1000, 24, replace=False)
        xs, ys = (fractions(np.round(v[picked], 6).tolist()) for v in (x, y))
        exact = project_regression(1000, Fraction(str(round(float(x.mean()), 9))), xs)
        variance = exact.sampling_variance(ys)
        half = stats.t.ppf(0.95, variance.degrees_of_freedom()) * float(variance.total) ** 0.5
        hits += abs(float(exact.total(ys)) - y.sum()) <= half
    assert 0.86 <= hits / 500 <= 0.945
