"""Monte Carlo from tree to project: it agrees with the closed form, and no split of the work changes a bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.monte_carlo import KEYS, simulate, square_root
from models.monte_carlo_twin import analytic_variance, independent_variance
from tests.models.made_stand import made_errors, made_stand, only

TREES, SAMPLING = made_stand()
ERRORS = made_errors(TREES)
NO_SAMPLING = replace(SAMPLING, residual_cov=np.zeros_like(SAMPLING.residual_cov))
WHOLE = simulate(TREES, SAMPLING, ERRORS, "sha256:00", 60).totals_g
ITERATIONS = 8_000
# The variance of a variance of 8,000 normal draws is 1.6 %; four of those, and 3 % for what is not linear.
AGREE = 0.03 + 4 * (2 / ITERATIONS) ** 0.5


def variance_ratio(sampling, errors, key):
    drawn = simulate(TREES, sampling, errors, "sha256:01", ITERATIONS).sd_g(key) ** 2
    return drawn / sum(analytic_variance(TREES, sampling, errors)[key].values())


@pytest.mark.parametrize("key", KEYS)
def test_all_errors_together_agree_with_the_closed_form(key):
    assert variance_ratio(SAMPLING, ERRORS, key) == pytest.approx(1.0, abs=AGREE)


@pytest.mark.parametrize(
    "names",
    [
        ("factor_cv",),
        ("height_bias_m",),
        ("dbh_bias_cm",),
        ("tree_dbh_cv", "tree_height_cv"),
        ("tree_residual_cv",),
        ("gnss_m",),
        ("coregistration_m",),
    ],
)
def test_each_source_alone_agrees_with_its_own_closed_form(names):
    # small errors, so that what is not linear stays below a percent
    scaled = {k: v * 0.3 for k, v in vars(ERRORS).items() if k in names and k != "factor_cv"}
    errors = replace(only(TREES, *names), **scaled)
    parts = analytic_variance(TREES, NO_SAMPLING, errors)["change"]
    assert sum(v > 0 for v in parts.values()) == (2 if names == ("factor_cv",) else 1)
    assert variance_ratio(NO_SAMPLING, errors, "change") == pytest.approx(1.0, abs=AGREE)


def test_sampling_alone_agrees_with_the_weights_of_the_estimator():
    assert variance_ratio(SAMPLING, only(TREES), "change") == pytest.approx(1.0, abs=AGREE)
    assert variance_ratio(SAMPLING, only(TREES), "last") == pytest.approx(1.0, abs=AGREE)


def test_without_errors_every_draw_is_the_point_estimate_of_the_exact_estimator():
    from fractions import Fraction

    from models.estimators import Stratum, stratified_regression

    drawn = simulate(TREES, NO_SAMPLING, only(TREES), "sha256:02", 2).totals_g
    strata = {
        str(h): Stratum(int(a), Fraction(float(x)), "all")
        for h, (a, x) in enumerate(zip(SAMPLING.stratum_area_m2, SAMPLING.stratum_canopy_m[1], strict=True))
    }
    of = [str(h) for h in SAMPLING.stratum]
    exact = stratified_regression(strata, of, [Fraction(float(x)) for x in SAMPLING.canopy_m[1]])
    density = np.bincount(TREES.sample_plot, TREES.last.stock_g) / SAMPLING.sample_area_m2
    total = float(sum(exact.totals([Fraction(float(y)) for y in density]).values()))
    assert drawn[1] == pytest.approx([total, total], rel=1e-12)
    # the change is regressed on the change of canopy, so it is not the difference of the stocks
    assert drawn[2, 0] != pytest.approx(drawn[1, 0] - drawn[0, 0], rel=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.sampled_from([1, 100, 241, 999, 5_000, 100_000]), st.integers(2, 60))
def test_no_number_of_threads_or_size_of_block_changes_a_bit(threads, block, iterations):
    split = simulate(TREES, SAMPLING, ERRORS, "sha256:00", iterations, threads=threads, block_numbers=block)
    assert np.array_equal(split.totals_g, WHOLE[:, :iterations])


def test_another_key_draws_other_errors():
    assert not np.array_equal(simulate(TREES, SAMPLING, ERRORS, "sha256:03", 60).totals_g, WHOLE)


def test_a_shared_error_drawn_per_tree_would_understate_the_variance():
    shared = analytic_variance(TREES, NO_SAMPLING, only(TREES, "factor_cv"))["first"]
    per_tree = replace(only(TREES), tree_residual_cv=(0.05**2 + 0.08**2) ** 0.5)
    assert sum(shared.values()) > 20 * sum(analytic_variance(TREES, NO_SAMPLING, per_tree)["first"].values())


def test_dates_covary_through_what_they_share_and_not_through_biases_of_their_own():
    def correlation(*names):
        return simulate(TREES, NO_SAMPLING, only(TREES, *names), "sha256:04", 4000).correlation()

    # two species with errors of their own: felling shifts their shares a little
    assert correlation("factor_cv") > 0.97
    assert correlation("tree_residual_cv") > 0.8
    assert abs(correlation("height_bias_m")) < 0.06


def test_taking_dates_as_independent_is_wrong():
    errors = only(TREES, "factor_cv")
    drawn = simulate(TREES, NO_SAMPLING, errors, "sha256:05", 4000)
    independent = (drawn.sd_g("first") ** 2 + drawn.sd_g("last") ** 2) ** 0.5
    assert independent > 3 * drawn.sd_g("change")


def test_draws_are_centred_on_the_point_estimate():
    point = simulate(TREES, NO_SAMPLING, only(TREES), "sha256:06", 2)
    drawn = simulate(TREES, SAMPLING, ERRORS, "sha256:06", 4000)
    for k, key in enumerate(KEYS):
        bias = drawn.mean_g(key) - point.totals_g[k, 0]
        assert abs(bias) < 0.1 * drawn.sd_g(key)
        low, high = drawn.quantiles_g(key)
        assert low < point.totals_g[k, 0] < high


def test_measurement_and_location_errors_are_given_back_as_part_of_the_residual():
    per_plot = independent_variance(TREES, SAMPLING, ERRORS)
    alone = only(TREES, "tree_dbh_cv", "tree_height_cv")
    flat = replace(SAMPLING, canopy_slope=np.zeros_like(SAMPLING.canopy_slope))
    parts = analytic_variance(TREES, flat, alone)["first"]
    netted = replace(
        flat,
        residual_cov=np.einsum(
            "pi,ij->pij", independent_variance(TREES, flat, alone)[:, :1].repeat(3, 1), np.eye(3)
        ),
    )
    as_residual = analytic_variance(TREES, netted, only(TREES))["first"]["sampling"]
    assert as_residual == pytest.approx(parts["tree_measurement"], rel=1e-12)
    assert (per_plot > independent_variance(TREES, flat, alone)).all()


def test_the_root_of_a_singular_covariance_is_its_root():
    half = np.random.default_rng(3).normal(size=(50, 3, 2))
    covariance = half @ half.transpose(0, 2, 1)
    root = square_root(covariance)
    assert np.allclose(root @ root.transpose(0, 2, 1), covariance, atol=1e-7)
    assert not square_root(np.zeros((2, 3, 3))).any()


def test_trees_out_of_order_and_a_single_iteration_are_refused():
    with pytest.raises(OutOfRange, match="並べ替え"):
        simulate(replace(TREES, sample_plot=TREES.sample_plot[::-1]), SAMPLING, ERRORS, "k", 10)
    with pytest.raises(OutOfRange, match="two or more"):
        simulate(TREES, SAMPLING, ERRORS, "k", 1)


def test_inputs_are_left_alone():
    trees, sampling = made_stand()
    simulate(trees, sampling, made_errors(trees), "k", 10)
    again, sampling_again = made_stand()
    assert np.array_equal(trees.last.stock_g, again.last.stock_g)
    assert np.array_equal(sampling.canopy_m, sampling_again.canopy_m)
