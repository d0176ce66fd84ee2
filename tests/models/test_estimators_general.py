"""Estimators with any number of plots, covariates and domains, in any unit; what is missing is refused by row."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.domains import class_areas, domain_covariates, domain_means, greg_domains, post_stratified
from models.errors import OutOfRange
from models.model_based import Correlation, hybrid_mean, model_based_mean, variance_of_mean
from models.sampling import greg, horvitz_thompson, pps, ratio, srs, stratified
from models.small_area import eblup_area, eblup_unit
from models.two_phase import two_phase, two_phase_domain, two_phase_exhaustive

Y = [3.0, 8.0, 4.0, 9.0, 5.0, 7.0, 6.0, 11.0]
X = [1.0, 4.0, 2.0, 5.0, 2.5, 4.5, 3.0, 6.5]
NAMES = ["a", "b"] * 4
XY = [[float(k), float(k % 3)] for k in range(8)]
CELLS = [[float(k), float(k % 5)] for k in range(20)]
X_CELLS = [[float(k % 7)] for k in range(20)]

# every estimator that takes y, x and names, as a function of y and x
WITH_Y_AND_X = {
    "greg": lambda y, x: greg(y, x, [3.0]),
    "greg_weighted": lambda y, x: greg(y, x, [3.0], weights=[1, 2, 1, 2, 1, 2, 1, 2], variance="g_weight"),
    "ratio": lambda y, x: ratio(y, x, 3.0),
    "greg_domains": lambda y, x: greg_domains(y, x, NAMES, {"a": [3.0], "b": [4.0]})["a"],
    "greg_domains_expanded": lambda y, x: greg_domains(
        y, x, NAMES, {"a": [3.0], "b": [4.0]}, size={"a": 90, "b": 110}
    )["a"],
    "two_phase_exhaustive": lambda y, x: two_phase_exhaustive(y, x, [3.0]),
    "two_phase": lambda y, x: two_phase(y, x, [[v] for v in range(20)]),
    "two_phase_domain": lambda y, x: two_phase_domain(y, x, [n == "a" for n in NAMES], z_mean=[3.0]),
    "eblup_unit": lambda y, x: eblup_unit(y, x, NAMES, {"a": [3.0], "b": [4.0]}).areas["a"],
    "eblup_area": lambda y, x: eblup_area(y, [1.0] * 8, x, list("abcdefgh")).areas["a"],
    "model_based": lambda y, x: model_based_mean(y, x, XY, X_CELLS, CELLS, Correlation(2.0)),
}  # fmt: skip
WITH_Y = {
    "srs": lambda y: srs(y, 100),
    "stratified": lambda y: stratified(y, NAMES, {"a": 1, "b": 2}),
    "pps": lambda y: pps(y, [0.1] * 8),
    "horvitz_thompson": lambda y: horvitz_thompson(y, [0.1] * 8),
    "domain_means": lambda y: domain_means(y, NAMES)["a"],
    "post_stratified": lambda y: post_stratified(y, NAMES, {"a": 1, "b": 2}),
    "hybrid": lambda y: hybrid_mean(y, [1.0] * 8, [1.0], [[0.1]]),
} | {name: partial(lambda f, y: f(y, X), f) for name, f in WITH_Y_AND_X.items()}


@pytest.mark.parametrize("name", WITH_Y)
@pytest.mark.parametrize(
    "bad", [None, float("nan"), float("inf"), float("-inf"), "12.5", "", "NA", 1j, [1.0], b"12.5"], ids=repr
)
def test_a_value_that_is_no_number_is_refused_with_its_row_in_both_languages(name, bad):
    y = [*Y[:4], bad, *Y[5:]]
    with pytest.raises(OutOfRange, match=r"row 5\b") as refusal:
        WITH_Y[name](y)
    assert "5 行目" in refusal.value.ja


@pytest.mark.parametrize("name", WITH_Y_AND_X)
@pytest.mark.parametrize("bad", [None, float("nan"), "text"], ids=str)
def test_a_covariate_that_is_no_number_is_refused_with_its_row(name, bad):
    with pytest.raises(OutOfRange, match=r"row 3\b"):
        WITH_Y_AND_X[name](Y, [*X[:2], bad, *X[3:]])


@pytest.mark.parametrize("name", WITH_Y)
def test_a_length_that_does_not_fit_is_refused_by_both_lengths(name):
    if name == "srs":
        return
    with pytest.raises(OutOfRange):
        WITH_Y[name](Y[:5])


@pytest.mark.parametrize("name", WITH_Y_AND_X)
def test_a_constant_covariate_is_refused_by_its_column(name):
    if name == "ratio":
        assert ratio(Y, [2.0] * 8, 2.0).value == pytest.approx(np.mean(Y))
        return
    with pytest.raises(OutOfRange, match="column 1"):
        WITH_Y_AND_X[name](Y, [0.1] * 8)


def test_collinear_covariates_are_refused_by_a_column_that_is_a_combination():
    x = np.column_stack([X, np.square(X), 2 * np.array(X) + 3 * np.square(X)])
    with pytest.raises(OutOfRange, match=r"column [123] .* combination"):
        greg(Y, x, [3.0, 9.0, 33.0])


@pytest.mark.parametrize("name", WITH_Y)
@pytest.mark.parametrize(
    "kind",
    [list, tuple, np.array, lambda v: np.array(v, dtype=np.int32), lambda v: np.array(v, dtype=np.float32),
     lambda v: [int(a) for a in v], lambda v: [Fraction(a) for a in v], lambda v: [Decimal(str(a)) for a in v],
     lambda v: np.array(v, dtype=object), pd.Series, lambda v: pd.Series(v, dtype="Int64")],
)  # fmt: skip
def test_lists_arrays_integers_and_series_all_give_the_same(name, kind):
    def first(found):
        for key in ("value", "eblup", "estimate"):
            if hasattr(found, key):
                value = getattr(found, key)
                return first(value) if not isinstance(value, float) else value
        raise AssertionError(found)

    assert first(WITH_Y[name](kind(Y))) == pytest.approx(first(WITH_Y[name](Y)), rel=1e-6)


def test_a_masked_entry_is_missing_not_what_lies_under_the_mask():
    with pytest.raises(OutOfRange, match="row 2"):
        srs(np.ma.masked_equal([1.0, -9999.0, 3.0], -9999.0))


def test_a_table_of_uneven_rows_is_refused():
    with pytest.raises(OutOfRange, match="row 3"):
        greg(Y, [[1.0, 2.0], [2.0, 3.0], [3.0]] + [[1.0, 1.0]] * 5, [1.0, 1.0])


def test_inputs_are_not_changed():
    y, x = np.array(Y), np.array(X)[:, None]
    joint = np.full((8, 8), 0.2)
    kept = y.copy(), x.copy(), joint.copy()
    greg(y, x, [3.0])
    eblup_unit(y, x, NAMES, {"a": [3.0], "b": [4.0]})
    horvitz_thompson(y, [0.5] * 8, joint)
    assert all(np.array_equal(a, b) for a, b in zip((y, x, joint), kept, strict=True))


@pytest.mark.parametrize("nothing", [None, np.empty((8, 0)), [[]] * 8])
def test_no_covariate_leaves_the_mean(nothing):
    found, mean = greg(Y, nothing, []), srs(Y)
    assert (found.value, found.variance) == pytest.approx((mean.value, mean.variance))
    assert greg(Y, nothing, None).parameters == 1
    assert two_phase_exhaustive(Y, nothing, []).value == pytest.approx(mean.value)
    parts = greg_domains(Y, nothing, NAMES, {"a": [], "b": []})
    assert parts["a"].value == pytest.approx(domain_means(Y, NAMES)["a"].value)
    areas = eblup_unit(Y, nothing, NAMES, {"a": [], "b": []}).areas
    assert min(Y) < areas["a"].eblup < max(Y)
    assert eblup_area(Y, [1.0] * 8, nothing, list("abcdefgh")).coefficients[0] == pytest.approx(
        mean.value, abs=0.5
    )
    spatial = model_based_mean(Y, nothing, XY, np.empty((20, 0)), CELLS, Correlation(0.0), borrow=False)
    assert spatial.estimate.value == pytest.approx(mean.value)


def test_one_more_plot_than_parameters_is_enough_and_as_many_are_not():
    x = np.random.default_rng(1).normal(size=(5, 3))
    found = greg(Y[:5], x, np.zeros(3))
    assert found.degrees_of_freedom == 1 and found.variance >= 0
    with pytest.raises(OutOfRange, match="4 sample plots and 4 parameters"):
        greg(Y[:4], x[:4], np.zeros(3))


@pytest.mark.parametrize("name", WITH_Y)
def test_values_that_are_all_alike_have_no_variance_and_break_nothing(name):
    found = WITH_Y[name]([-7.0] * 8)
    if name in ("pps", "horvitz_thompson", "hybrid", "ratio"):
        return
    value = next(getattr(found, k) for k in ("value", "eblup", "estimate") if hasattr(found, k))
    assert getattr(value, "value", value) == pytest.approx(-7.0)
    spread = [getattr(found, k) for k in ("variance", "g_weight_variance") if hasattr(found, k)]
    assert spread == pytest.approx([0.0] * len(spread), abs=1e-25)


def test_totals_may_be_negative():
    assert srs([-v for v in Y]).times(50).value == pytest.approx(-srs(Y).times(50).value)
    assert greg([-v for v in Y], X, [3.0]).value == pytest.approx(-greg(Y, X, [3.0]).value)
    assert horvitz_thompson([-v for v in Y], [0.5] * 8).value < 0


def test_an_unknown_population_has_no_correction_and_one_measured_whole_no_variance():
    assert srs(Y).variance == srs(Y, float("inf")).variance > srs(Y, 100).variance
    assert srs(Y, 8).variance == 0.0
    whole = stratified(Y, ["a"] + ["b"] * 7, {"a": 1, "b": 90}, {"a": 1, "b": 90})
    assert whole.degrees_of_freedom == pytest.approx(6)
    for bad in (float("nan"), 3, "100"):
        with pytest.raises(OutOfRange):
            srs(Y, bad)


def test_one_domain_and_a_thousand():
    one = greg_domains(Y, X, ["all"] * 8, {"all": [3.0]})["all"]
    assert one.value == pytest.approx(greg(Y, X, [3.0]).value)
    rng = np.random.default_rng(4)
    domain = [f"d{k}" for k in range(1000) for _ in range(3)]
    x = rng.uniform(0, 10, 3000)
    effect = np.repeat(rng.normal(0, 3, 1000), 3)
    y = 4 + 2 * x + effect + rng.normal(0, 4, 3000)
    means, sizes = domain_covariates(x, domain)
    means |= {f"empty {k}": np.array([5.0]) for k in range(5)}
    fit = eblup_unit(y, x, domain, means)
    assert len(fit.areas) == 1005 and fit.areas["empty 3"].greg is None
    assert fit.between_variance == pytest.approx(9, rel=0.2) and fit.within_variance == pytest.approx(
        16, rel=0.1
    )
    assert len(domain_means(y, domain)) == len(greg_domains(y, x, domain, means)) == 1000
    assert len(greg_domains(y, x, domain, dict(list(means.items())[:1000]), size=sizes)) == 1000


@pytest.mark.parametrize("call", [
    lambda names: domain_means(Y, names),
    lambda names: greg_domains(Y, X, names, {"a": [3.0], "b": [4.0]}),
    lambda names: stratified(Y, names, {"a": 1, "b": 2}),
    lambda names: post_stratified(Y, names, {"a": 1, "b": 2}),
    lambda names: eblup_unit(Y, X, names, {"a": [3.0], "b": [4.0]}),
])  # fmt: skip
@pytest.mark.parametrize("bad", [None, float("nan"), ["a"]], ids=str)
def test_a_missing_label_is_refused_with_its_row(call, bad):
    with pytest.raises(OutOfRange, match="row 6"):
        call([*NAMES[:5], bad, *NAMES[6:]])


def test_a_size_that_is_missing_or_no_number_is_refused_by_its_name():
    for size in ({"a": 1.0, "b": 0.0}, {"a": 1.0, "b": float("nan")}, {"a": 1.0, "b": "much"}):
        with pytest.raises(OutOfRange, match="b"):
            stratified(Y, NAMES, size)
    with pytest.raises(OutOfRange, match="'b'"):
        stratified(Y, NAMES, {"a": 1.0, "b": 1.0}, {"a": 40.0})
    with pytest.raises(OutOfRange, match="'b'"):
        eblup_unit(Y, X, NAMES, {"a": [3.0], "b": [4.0]}, {"a": 40.0})
    with pytest.raises(OutOfRange, match="at least the 4"):
        eblup_unit(Y, X, NAMES, {"a": [3.0], "b": [4.0]}, {"a": 40.0, "b": 2.0})


def test_means_of_the_wrong_number_are_refused_and_units_are_averaged():
    with pytest.raises(OutOfRange, match="x_mean"):
        greg(Y, X, [3.0, 4.0])
    with pytest.raises(OutOfRange, match="x_mean of b"):
        greg_domains(Y, X, NAMES, {"a": [3.0], "b": []})
    units = np.array([[1.0], [5.0], [3.0]])
    assert greg(Y, X, units).value == pytest.approx(greg(Y, X, [3.0]).value)
    assert greg(Y, X, 3.0).value == pytest.approx(greg(Y, X, [3.0]).value)
    assert two_phase_exhaustive(Y, X, units).value == pytest.approx(two_phase_exhaustive(Y, X, [3.0]).value)
    with pytest.raises(OutOfRange, match="row 2"):
        greg(Y, X, [[1.0], [np.nan]])


def test_a_joint_table_that_no_design_has_is_refused_where_it_breaks():
    pi = [0.5] * 8
    for table, where in [
        (np.full((8, 8), 0.6), "row 1, column 2"),
        (np.full((8, 7), 0.2), "8 rows"),
        (np.zeros((8, 8)), "column 2"),
    ]:
        with pytest.raises(OutOfRange, match=where):
            horvitz_thompson(Y, pi, table)
    with pytest.raises(OutOfRange, match="not below zero"):
        horvitz_thompson([1.0, 9.0], [0.3, 0.3], [[0.3, 0.2], [0.2, 0.3]])


def test_options_that_are_not_known_are_refused():
    for call in (lambda: greg(Y, X, 3.0, variance="best"), lambda: ratio(Y, X, 3.0, variance="best"),
                 lambda: eblup_unit(Y, X, NAMES, {"a": 3.0, "b": 4.0}, method="best"),
                 lambda: two_phase_exhaustive(Y, X, 3.0).estimate("best")):  # fmt: skip
        with pytest.raises(OutOfRange, match="best"):
            call()


def test_spatial_inputs_that_do_not_fit_are_refused():
    for call, words in [
        (lambda: Correlation(-1.0), "0 m or more"),
        (lambda: Correlation(float("nan")), "0 m or more"),
        (lambda: Correlation(5.0, nugget=1.5), "nugget"),
        (lambda: model_based_mean(Y, X, X, X_CELLS, CELLS, Correlation(2.0)), "two columns"),
        (lambda: model_based_mean(Y, X, XY, [[1.0, 2.0]] * 20, CELLS, Correlation(2.0)), "x_population"),
        (lambda: variance_of_mean(X_CELLS, [[1.0, 0.0], [0.0, 1.0]], [1.0] * 20, CELLS, Correlation(2.0)), "covariance"),
        (lambda: hybrid_mean(Y, [1.0] * 7 + [0.0], [1.0], [[1.0]]), "row 8"),
        (lambda: class_areas([[5, 1], [1, 5]], [1.0, 0.0]), "row 2"),
    ]:  # fmt: skip
        with pytest.raises(OutOfRange, match=words):
            call()


def scaled(rng, scale, shift, n=40):
    z = rng.normal(size=(n, 3))
    return z, z * scale + shift


@given(
    seed=st.integers(0, 10**6),
    scale=st.tuples(*[st.sampled_from([1e-6, 1.0, 25.0, 1e5])] * 3),
    shift=st.tuples(*[st.sampled_from([0.0, 1e3, 1e6])] * 3),
)
@settings(max_examples=40, deadline=None)
def test_units_and_origins_of_covariates_change_nothing(seed, scale, shift):
    """Elevation in mm, coordinates of a million metres: same estimate, same variance."""
    rng = np.random.default_rng(seed)
    scale = tuple(max(s, abs(o) * 1e-5) for s, o in zip(scale, shift, strict=True))
    z, x = scaled(rng, scale, shift)
    y = 3 + z @ [2.0, -1.0, 0.5] + rng.normal(size=40)
    at = np.array([0.1, -0.2, 0.3])
    names = [f"d{k % 8}" for k in range(40)]
    plain, other = greg(y, z, at), greg(y, x, at * scale + shift)
    assert (other.value, other.variance) == pytest.approx((plain.value, plain.variance), rel=1e-7)
    one = eblup_unit(y, z, names, dict.fromkeys(set(names), at))
    two = eblup_unit(y, x, names, dict.fromkeys(set(names), at * scale + shift))
    assert two.areas["d1"].eblup == pytest.approx(one.areas["d1"].eblup, rel=1e-5)
    assert two.areas["d1"].mse == pytest.approx(one.areas["d1"].mse, rel=1e-4)


@given(factor=st.sampled_from([1e-9, 1e-3, 1e6, 1e12]), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_unit_of_y_changes_nothing_but_the_unit(factor, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(10, 3, 24)
    names = [f"d{k % 6}" for k in range(24)]
    y = 50 + 4 * x + rng.normal(0, 6, 24)
    means = {n: [10.0] for n in set(names)}
    one, two = eblup_unit(y, x, names, means), eblup_unit(factor * y, x, names, means)
    assert two.areas["d2"].eblup == pytest.approx(factor * one.areas["d2"].eblup, rel=1e-6)
    assert two.between_is_zero == one.between_is_zero
    for call in (lambda v: greg(v, x, [10.0]), lambda v: stratified(v, names, dict.fromkeys(names, 1.0))):
        assert call(factor * y).variance == pytest.approx(factor**2 * call(y).variance, rel=1e-9)
        assert call(factor * y).degrees_of_freedom == pytest.approx(call(y).degrees_of_freedom)


def test_the_same_call_gives_the_same_bits():
    rng = np.random.default_rng(9)
    x, names = rng.normal(size=(60, 3)), [f"d{k % 9}" for k in range(60)]
    y = x.sum(axis=1) + rng.normal(size=60)
    means = {n: [0.0, 0.0, 0.0] for n in set(names)}
    assert eblup_unit(y, x, names, means) == eblup_unit(y, x, names, means)
    assert greg(y, x, [0.0] * 3) == greg(y, x, [0.0] * 3)
