"""The floating-point twin of the exact estimator, with the exact one as oracle."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.estimators import DF_UNLIMITED, Stratum, stratified_regression
from models.stratified import StratifiedBatch, effective_freedom

LAYOUTS = st.lists(st.integers(2, 5), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(LAYOUTS, st.integers(0, 2**32 - 1), st.booleans(), st.integers(0, 1000))
def test_totals_variances_and_freedom_are_those_of_the_exact_estimator(counts, seed, flat, declared):
    rng = np.random.default_rng(seed)
    stratum = np.repeat(np.arange(len(counts)), counts)
    if stratum.size - len(counts) < 2:
        return
    area = rng.integers(1, 500, len(counts)).astype(float)
    group = np.arange(len(counts)) % 2
    x = np.full((3, stratum.size), 7.0) if flat else rng.integers(-30, 30, (3, stratum.size)).astype(float)
    y = rng.integers(-400, 400, (3, stratum.size)).astype(float)
    x_mean = rng.integers(-30, 30, (3, len(counts))).astype(float)
    batch = StratifiedBatch(stratum, area, group, x, x_mean)
    total = batch.total(y)
    terms, freedom = batch.sampling_variance(y)
    df = effective_freedom(terms, freedom, np.full(3, float(declared)))
    for k in range(3):
        strata = {
            str(h): Stratum(int(area[h]), Fraction(int(x_mean[k, h])), str(group[h]))
            for h in range(len(counts))
        }
        exact = stratified_regression(strata, [str(h) for h in stratum], [Fraction(int(v)) for v in x[k]])
        values = [Fraction(int(v)) for v in y[k]]
        variance = exact.sampling_variance(values)
        assert total[k] == pytest.approx(float(sum(exact.totals(values).values())), rel=1e-9, abs=1e-6)
        assert terms[k].sum() == pytest.approx(float(variance.total), rel=1e-9, abs=1e-6)
        assert abs(df[k] - variance.degrees_of_freedom(Fraction(declared))) <= 1


def test_a_sample_without_spread_has_unlimited_freedom():
    batch = StratifiedBatch(
        np.array([0, 0, 0]), np.array([4.0]), np.array([0]), np.ones((1, 3)), np.ones((1, 1))
    )
    terms, freedom = batch.sampling_variance(np.ones((1, 3)))
    assert terms.sum() == 0
    assert effective_freedom(terms, freedom, np.zeros(1))[0] == DF_UNLIMITED


def test_one_plot_a_stratum_is_refused():
    batch = StratifiedBatch(np.array([0, 1]), np.ones(2), np.zeros(2, int), np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(OutOfRange, match="degrees of freedom"):
        batch.sampling_variance(np.ones((1, 2)))
