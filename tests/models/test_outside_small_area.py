"""Small areas and two phases against published figures and against plain matrix algebra."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import OutOfRange
from models.model_based import Correlation, model_based_mean
from models.small_area import eblup_area, eblup_unit
from models.two_phase import two_phase, two_phase_domain, two_phase_exhaustive
from tests.models.test_small_area import corn, milk

# Battese, Harter, Fuller (1988) table 1: soybean hectares of the same 37 segments as corn
SOYBEANS = [
    8.09, 106.03, 103.60, 6.47, 63.82, 43.50, 71.43, 42.49, 105.26, 76.49, 174.34, 95.67, 76.57, 93.48, 37.84, 131.12,
    124.44, 144.15, 103.60, 88.59, 115.58, 99.15, 124.56, 110.88, 109.14, 143.66, 91.05, 132.33, 143.14, 104.13, 118.57,
    102.59, 29.46, 69.28, 99.15, 143.66, 94.49,
]  # fmt: skip
OUTLIER = 32


def soybeans():
    _, x, county, means, sizes = corn()
    return [v for k, v in enumerate(SOYBEANS) if k != OUTLIER], x, county, means, sizes


def test_corn_coefficients_and_errors_are_those_the_authors_printed():
    # BHF (1988) section 3: 51 (25), 0.329 (0.050), -0.134 (0.056), by fitting of constants
    y, x, county, means, _ = corn()
    fit = eblup_unit(y, x, county, means, method="constants")
    assert round(fit.coefficients[0]) == 51 and round(fit.coefficient_errors[0]) == 25
    assert [round(b, 3) for b in fit.coefficients[1:]] == [0.329, -0.134]
    assert [round(b, 3) for b in fit.coefficient_errors[1:]] == [0.050, 0.056]
    # between counties 140, printed
    assert round(fit.between_variance) == 140


def test_soybean_coefficients_are_those_the_authors_printed():
    # BHF (1988) section 3: -16 (29), 0.028 (0.058), 0.494 (0.065)
    y, x, county, means, _ = soybeans()
    for method in ("constants", "reml"):
        fit = eblup_unit(y, x, county, means, method=method)
        assert fit.coefficients == pytest.approx((-16, 0.028, 0.494), abs=0.5)
        assert fit.coefficients[1:] == pytest.approx((0.028, 0.494), abs=0.002)
        assert fit.coefficient_errors[1:] == pytest.approx((0.058, 0.065), abs=0.002)


@pytest.mark.parametrize("data", [corn, soybeans])
@pytest.mark.parametrize("method", ["reml", "ml"])
def test_the_likelihood_is_highest_where_the_fit_says_by_plain_matrices(data, method):
    y, x, county, means, _ = data()
    fit = eblup_unit(y, x, county, means, method=method)
    design = np.column_stack([np.ones(len(y)), x])
    same = np.equal.outer(county, county).astype(float)

    def log_likelihood(between, within):
        v = between * same + within * np.eye(len(y))
        inverse = np.linalg.inv(v)
        gram = design.T @ inverse @ design
        beta = np.linalg.solve(gram, design.T @ inverse @ np.array(y))
        residual = y - design @ beta
        value = np.linalg.slogdet(v)[1] + residual @ inverse @ residual
        return -0.5 * (value + (np.linalg.slogdet(gram)[1] if method == "reml" else 0.0))

    best = log_likelihood(fit.between_variance, fit.within_variance)
    for up, wide in [(1.02, 1), (0.98, 1), (1, 1.02), (1, 0.98), (1.01, 0.99), (0.99, 1.01)]:
        assert log_likelihood(fit.between_variance * up, fit.within_variance * wide) < best


def test_the_first_two_parts_of_the_error_are_those_of_plain_matrices():
    y, x, county, means, _ = corn()
    fit = eblup_unit(y, x, county, means)
    design = np.column_stack([np.ones(len(y)), x])
    same = np.equal.outer(county, county).astype(float)
    inverse = np.linalg.inv(fit.between_variance * same + fit.within_variance * np.eye(len(y)))
    covariance = np.linalg.inv(design.T @ inverse @ design)
    for name, area in fit.areas.items():
        member = np.array([c == name for c in county], dtype=float)
        at = np.array([1.0, *means[name]])
        weights = fit.between_variance * member @ inverse
        gap = at - weights @ design
        assert area.g1 == pytest.approx(
            fit.between_variance - fit.between_variance * weights @ member, rel=1e-9
        )
        assert area.g2 == pytest.approx(gap @ covariance @ gap, rel=1e-9)


def test_fitting_of_constants_is_unbiased_and_its_error_is_that_it_says():
    rng = np.random.default_rng(3)
    domain = [str(k) for k in range(30) for _ in range(3 + k % 4)]
    x = rng.uniform(0, 10, len(domain))
    index = np.array([int(d) for d in domain])
    between, within, mse, error = [], [], [], []
    means = {str(k): [5.0] for k in range(30)}
    for _ in range(400):
        u = rng.normal(0, 3, 30)
        y = 4 + 2 * x + u[index] + rng.normal(0, 4, x.size)
        fit = eblup_unit(y, x, domain, means, method="constants")
        between.append(fit.between_variance)
        within.append(fit.within_variance)
        mse.append([a.mse for a in fit.areas.values()])
        error.append([(a.eblup - (14 + u[k])) ** 2 for k, a in enumerate(fit.areas.values())])
    assert np.mean(within) == pytest.approx(16, rel=0.03)
    assert np.mean(between) == pytest.approx(9, rel=0.07)
    assert np.mean(mse) == pytest.approx(np.mean(error), rel=0.06)


def test_a_domain_measured_whole_has_its_own_mean_and_no_error():
    y, x, county, means, sizes = corn()
    found = eblup_unit(y, x, county, {**means, "12": np.mean([v for v, c in zip(x, county, strict=True) if c == "12"], axis=0)},
                       {**sizes, "12": 5.0}).areas["12"]  # fmt: skip
    own = [v for v, c in zip(y, county, strict=True) if c == "12"]
    assert found.eblup == pytest.approx(np.mean(own)) and found.mse == pytest.approx(0.0, abs=1e-9)


def test_area_level_domains_without_a_direct_estimate_get_the_synthetic_one():
    direct, variance, x, names = milk()
    fit = eblup_area(direct, variance, x, names, unsampled={"new": [1.0, 0.0, 0.0]})
    new = fit.areas["new"]
    assert new.eblup == pytest.approx(fit.coefficients[0] + fit.coefficients[1])
    assert new.mse > fit.between_variance and new.greg is None
    with pytest.raises(OutOfRange, match="rows 1 and 3"):
        eblup_area([1.0, 2.0, 3.0, 4.0], [1.0] * 4, [1.0, 5.0, 2.0, 8.0], ["a", "b", "a", "c"])


def forest(seed=5, n1=306, n2=67):
    rng = np.random.default_rng(seed)
    first = np.column_stack([rng.uniform(5, 30, n1), rng.gamma(2, 2, n1)])
    y = 60 + 14 * first[:n2, 0] - 5 * first[:n2, 1] + rng.normal(0, 60, n2)
    return y, first


def test_two_phase_is_the_g_weight_form_of_the_r_package_forestinventory():
    """Its formulas for the global, non-exhaustive case: g = Zbar A^-1 Z', var(g R) and var(Yhat)/n1; external by s2_R/n2."""
    y, first = forest()
    n1, n2 = len(first), len(y)
    found = two_phase(y, first[:n2], first)
    z, z1 = np.column_stack([np.ones(n2), first[:n2]]), np.column_stack([np.ones(n1), first])
    g = z1.mean(axis=0) @ np.linalg.inv(z.T @ z / n2) @ z.T
    beta = np.linalg.lstsq(z, y, rcond=None)[0]
    residual, predicted = y - z @ beta, z1 @ beta
    assert found.value == pytest.approx((g * y).mean(), rel=1e-10)
    assert found.g_weight_variance == pytest.approx(
        ((g * residual) ** 2).sum() / n2**2 + predicted.var(ddof=1) / n1, rel=1e-10
    )
    assert found.external_variance == pytest.approx(
        predicted.var(ddof=1) / n1 + residual.var(ddof=1) / n2, rel=1e-10
    )


@pytest.mark.parametrize("extended", [True, False])
def test_a_small_area_is_the_form_of_the_r_package_forestinventory(extended):
    """Its small-area, non-exhaustive case: external by s2_Y/n1G + (1 - n2G/n1G) s2_R/n2G, g-weight by both covariances."""
    y, first = forest()
    n2 = len(y)
    inside = np.arange(len(first)) % 4 == 0
    found = two_phase_domain(y, first[:n2], inside[:n2], z_first=first[inside], extended=extended)
    columns = [np.ones(len(first)), first] + ([inside.astype(float)] if extended else [])
    z1 = np.column_stack(columns)
    z = z1[:n2]
    beta = np.linalg.lstsq(z, y, rcond=None)[0]
    residual = y - z @ beta
    inverse = np.linalg.inv(z.T @ z / n2)
    spread = inverse @ ((z * residual[:, None]).T @ (z * residual[:, None]) / n2**2) @ inverse
    at = z1[inside].mean(axis=0)
    centred = z1[inside] - at
    n1g, n2g = inside.sum(), inside[:n2].sum()
    z_spread = centred.T @ centred / (n1g * (n1g - 1))
    own = residual[inside[:n2]]
    assert found.value == pytest.approx(at @ beta, rel=1e-10)
    assert found.g_weight_variance == pytest.approx(at @ spread @ at + beta @ z_spread @ beta, rel=1e-9)
    expected = y[inside[:n2]].var(ddof=1) / n1g + (1 - n2g / n1g) * own.var(ddof=1) / n2g
    assert found.external_variance == pytest.approx(expected, rel=1e-9)


def test_a_small_area_without_field_points_gets_the_synthetic_estimate():
    y, first = forest()
    found = two_phase_domain(
        y, first[: len(y)], np.zeros(len(y), dtype=bool), z_mean=[20.0, 3.0], extended=False
    )
    assert found.value == pytest.approx(two_phase_exhaustive(y, first[: len(y)], [20.0, 3.0]).value)
    assert np.isnan(found.external_variance) and found.g_weight_variance > 0


def test_model_based_variance_covers_at_the_declared_range():
    """Realised means of 200 redrawn fields, exponential residuals of 60 m range: nominal 90 % intervals hold 84 to 96 %."""
    rng = np.random.default_rng(2)
    axis = np.arange(10) * 30.0
    xy = np.stack([v.ravel() for v in np.meshgrid(axis, axis)], axis=1)
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    root = np.linalg.cholesky(np.exp(-distance / 60) + 1e-10 * np.eye(100))
    held = 0
    for _ in range(200):
        x = rng.uniform(5, 25, 100)
        y = 10 + 3 * x + 8 * root @ rng.normal(size=100)
        s = rng.choice(100, 20, replace=False)
        low, high = model_based_mean(y[s], x[s], xy[s], x, xy, Correlation(60.0)).estimate.interval(0.9)
        held += low <= y.mean() <= high
    assert 168 <= held <= 192


def test_maximum_likelihood_of_corn_is_that_of_the_r_package_rsae():
    # its vignette: 50.96756, 0.32858, -0.13371; standard deviations 11.00282 and 11.71825 (figures recalled)
    y, x, county, means, _ = corn()
    fit = eblup_unit(y, x, county, means, method="ml")
    assert fit.coefficients == pytest.approx((50.96756, 0.32858, -0.13371), abs=5e-5)
    assert fit.between_variance**0.5 == pytest.approx(11.00282, abs=2e-4)
    assert fit.within_variance**0.5 == pytest.approx(11.71825, abs=2e-4)


@pytest.mark.parametrize("method", ["reml", "ml", "constants"])
def test_domains_whose_plots_are_all_alike_are_known_without_error(method):
    # the likelihood has no maximum there; n* = 9 of 12, sum of squares 68.25: 68.25 / 9
    y, x = np.repeat([1.0, 2.0, 5.0, 7.0], 3), np.tile([1.0, 2.0, 3.0], 4)
    names = [c for c in "abcd" for _ in range(3)]
    fit = eblup_unit(y, x, names, {c: [2.0] for c in "abcd"}, method=method)
    assert fit.within_variance == 0.0 and fit.between_variance == pytest.approx(68.25 / 9)
    assert [a.eblup for a in fit.areas.values()] == pytest.approx([1.0, 2.0, 5.0, 7.0])
    assert [a.mse for a in fit.areas.values()] == pytest.approx([0.0] * 4, abs=1e-12)
