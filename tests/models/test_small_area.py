"""Small area, two-phase, model-based and hybrid estimators against outside values."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import OutOfRange
from models.model_based import Correlation, hybrid_mean, model_based_mean, variance_of_mean
from models.sampling import greg
from models.small_area import eblup_area, eblup_unit
from models.two_phase import two_phase, two_phase_domain, two_phase_exhaustive

# Battese, Harter, Fuller (1988) JASA 83, table 1: county, corn ha, pixels of corn, of soybeans per segment
CORN = (
    "1 165.76 374 55;2 96.32 209 218;3 76.08 253 250;4 185.35 432 96;4 116.43 367 178;"
    "5 162.08 361 137;5 152.04 288 206;5 161.75 369 165;6 92.88 206 218;6 149.94 316 221;"
    "6 64.75 145 338;7 127.07 355 128;7 133.55 295 147;7 77.7 223 204;8 206.39 459 77;"
    "8 108.33 290 217;8 118.17 307 258;9 99.96 252 303;9 140.43 293 221;9 98.95 206 222;"
    "9 131.04 302 274;10 114.12 313 190;10 100.6 246 270;10 127.88 353 172;10 116.9 271 228;"
    "10 87.41 237 297;11 93.48 221 167;11 121 369 191;11 109.91 343 249;11 122.66 342 182;"
    "11 104.21 294 179;12 88.59 220 262;12 88.59 340 87;12 165.35 355 160;12 104 261 221;"
    "12 88.63 187 345;12 153.7 350 190"
)
# county, segments, mean pixels of corn, of soybeans
COUNTIES = (
    "1 545 295.29 189.7;2 566 300.4 196.65;3 394 289.6 205.28;4 424 290.74 220.22;"
    "5 564 318.21 188.06;6 570 257.17 247.13;7 402 291.77 185.37;8 567 301.26 221.36;"
    "9 687 262.17 247.09;10 569 314.28 198.66;11 965 298.65 204.61;12 556 325.99 177.05"
)
# Arora and Lahiri (1997); You and Chambers: major area, direct estimate of milk expenditure, its standard deviation
MILK = (
    "1 1.099 0.163;1 1.075 0.08;1 1.105 0.083;1 0.628 0.109;1 0.753 0.119;1 0.981 0.141;"
    "1 1.257 0.202;2 1.095 0.127;2 1.405 0.168;2 1.356 0.178;2 0.615 0.1;2 1.46 0.201;2 1.338 0.148;"
    "2 0.854 0.143;3 1.176 0.149;3 1.111 0.145;3 1.257 0.135;3 1.43 0.172;3 1.278 0.137;"
    "3 1.292 0.163;3 1.002 0.125;3 1.183 0.247;3 1.044 0.14;3 1.267 0.171;3 1.193 0.106;"
    "4 0.791 0.121;4 0.795 0.121;4 0.759 0.259;4 0.796 0.106;4 0.565 0.089;4 0.886 0.225;"
    "4 0.952 0.205;4 0.807 0.119;4 0.582 0.067;4 0.684 0.106;4 0.787 0.126;4 0.44 0.092;"
    "4 0.759 0.132;4 0.77 0.1;4 0.8 0.113;4 0.756 0.083;4 0.865 0.121;4 0.64 0.129"
)
OUTLIER = 32  # Hardin county's second segment, left out by the authors


def parse(text):
    return [[float(v) for v in row.split()] for row in text.split(";")]


def corn(drop=(OUTLIER,)):
    rows = [r for k, r in enumerate(parse(CORN)) if k not in drop]
    counties = parse(COUNTIES)
    return (
        [r[1] for r in rows],
        [r[2:] for r in rows],
        [str(int(r[0])) for r in rows],
        {str(int(c[0])): c[2:] for c in counties},
        {str(int(c[0])): c[1] for c in counties},
    )


def milk():
    rows = parse(MILK)
    x = [[float(r[0] == major) for major in (2, 3, 4)] for r in rows]
    return [r[1] for r in rows], [r[2] ** 2 for r in rows], x, [str(k) for k in range(len(rows))]


def test_unit_level_fit_is_that_of_statsmodels_mixedlm():
    # statsmodels 0.14 MixedLM, REML and ML, same 36 segments
    y, x, county, means, _ = corn()
    fit = eblup_unit(y, x, county, means)
    assert fit.coefficients == pytest.approx((51.07039789, 0.32872173, -0.13456845), rel=1e-6)
    assert (fit.between_variance, fit.within_variance) == pytest.approx((140.023874, 147.268634), rel=1e-5)
    ml = eblup_unit(y, x, county, means, method="ml")
    assert (ml.between_variance, ml.within_variance) == pytest.approx((121.061690, 137.314114), rel=1e-5)
    assert not fit.between_is_zero


def test_unit_level_predictions_are_those_of_the_r_package_sae():
    # Molina and Marhuenda (2015) R Journal 7(1), example of eblupBHF, printed to four decimals
    y, x, county, means, sizes = corn()
    fit = eblup_unit(y, x, county, means, sizes)
    expected = [122.1954, 126.2280, 106.6638, 108.4222, 144.3072, 112.1586,
                112.7801, 122.0020, 115.3438, 124.4144, 106.8883, 143.0312]  # fmt: skip
    assert [a.eblup for a in fit.areas.values()] == pytest.approx(expected, abs=1e-4)


def test_unit_level_errors_are_near_those_the_authors_printed():
    # BHF (1988) table 3, other variance estimator (fitting of constants): within 5 %
    y, x, county, means, _ = corn()
    printed = [9.6, 9.5, 9.3, 8.1, 6.5, 6.6, 6.6, 6.7, 5.8, 5.3, 5.2, 5.7]
    found = [a.mse**0.5 for a in eblup_unit(y, x, county, means).areas.values()]
    assert found == pytest.approx(printed, rel=0.05)


def test_the_outlying_segment_changes_the_variances_as_statsmodels_says():
    y, x, county, means, _ = corn(drop=())
    fit = eblup_unit(y, x, county, means)
    assert (fit.between_variance, fit.within_variance) == pytest.approx((63.3149, 297.7128), rel=1e-5)


def test_greg_and_synthetic_stand_beside_and_single_plots_have_no_greg():
    y, x, county, means, _ = corn()
    areas = eblup_unit(y, x, county, means).areas
    assert areas["1"].greg is None and areas["12"].greg is not None
    hardin = areas["12"]
    assert abs(hardin.eblup - hardin.greg.value) < 2 * hardin.greg.standard_error
    assert hardin.mse < hardin.synthetic_mse


def test_a_domain_without_sample_plots_gets_the_synthetic_prediction_and_its_error():
    y, x, county, means, _ = corn()
    found = eblup_unit(y, x, county, {**means, "new": [300.0, 200.0]}).areas["new"]
    assert found.n == 0 and found.shrinkage == 0 and found.eblup == found.synthetic
    assert found.mse > 140


def test_no_difference_between_domains_is_reported_as_zero():
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 10, 24)
    noise = np.tile([1.0, -1.0, 0.5, -0.5], 6)  # every domain has the same mean residual
    domains = [str(k) for k in range(6) for _ in range(4)]
    fit = eblup_unit(2 + x + noise, x, domains, {str(k): [5.0] for k in range(6)})
    assert fit.between_is_zero and fit.between_variance == 0.0
    assert all(a.eblup == pytest.approx(a.synthetic) for a in fit.areas.values())


@pytest.mark.parametrize(
    ("method", "beta", "eblups", "mses"),
    [
        ("reml", (0.9681890, 0.1327801, 0.2269462, -0.2413011),
         (1.0219703, 1.0476018, 1.0679513, 0.7608170), (0.013460220, 0.005372876, 0.005701990, 0.008541740)),
        ("ml", (0.9677986, 0.1278756, 0.2266909, -0.2425804),
         (1.0161733, 1.0436968, 1.0628168, 0.7753489), (0.013579953, 0.005512868, 0.005850584, 0.008735454)),
        ("moment", (0.967901, 0.129450, 0.226791, -0.242152),
         (1.017975, 1.044963, 1.064480, 0.770692), (0.012757016, 0.005314467, 0.005632201, 0.008323471)),
    ],
)  # fmt: skip
def test_area_level_milk_expenditure_is_that_of_the_r_package_sae(method, beta, eblups, mses):
    # mseFH of sae on its data set milk, first four of 43 areas; its iteration stops at 1e-4
    fit = eblup_area(*milk(), method)
    assert fit.coefficients == pytest.approx(beta, abs=2e-6)
    first = list(fit.areas.values())[:4]
    assert [a.eblup for a in first] == pytest.approx(eblups, abs=2e-6)
    assert [a.mse for a in first] == pytest.approx(mses, abs=1e-7)


def test_area_level_between_variance_and_errors_are_those_of_sae():
    fit = eblup_area(*milk())
    assert fit.between_variance == pytest.approx(0.01855022, abs=2e-7)
    assert fit.coefficient_errors == pytest.approx((0.06936208, 0.10300072, 0.09232981, 0.08161707), abs=1e-6)


def test_two_phase_of_a_known_mean_is_greg_with_robust_variance():
    rng = np.random.default_rng(2)
    z = rng.uniform(5, 30, (30, 2))
    y = 20 + z @ [5.0, 2.0] + rng.normal(0, 15, 30)
    found = two_phase_exhaustive(y, z, [17.0, 18.0])
    other = greg(y, z, [17.0, 18.0], variance="g_weight")
    assert found.value == pytest.approx(other.value, rel=1e-12)
    # Σ g²R² is n2^-2 there; the other centres the scores and divides by n (n - p)
    assert found.g_weight_variance == pytest.approx(other.variance * 27 / 30, rel=0.02)
    assert found.external_variance == pytest.approx(greg(y, z, [17.0, 18.0], variance="n_minus_1").variance)


def test_the_g_weight_variance_is_the_quadratic_form_of_the_reference():
    rng = np.random.default_rng(4)
    z = rng.uniform(5, 30, 25)
    y = 20 + 5 * z + rng.normal(0, z)
    found = two_phase_exhaustive(y, z, [12.0])
    design = np.column_stack([np.ones(25), z])
    residual = y - design @ np.array(found.coefficients)
    a_inverse = np.linalg.inv(design.T @ design / 25)
    middle = (design * (residual**2)[:, None]).T @ design / 25**2
    at = np.array([1.0, 12.0])
    assert found.g_weight_variance == pytest.approx(at @ a_inverse @ middle @ a_inverse @ at, rel=1e-10)


def test_a_first_phase_sample_adds_the_variance_of_its_predictions():
    rng = np.random.default_rng(6)
    first = rng.uniform(5, 30, (300, 1))
    y = 20 + 5 * first[:40, 0] + rng.normal(0, 15, 40)
    found = two_phase(y, first[:40], first)
    known = two_phase_exhaustive(y, first[:40], first.mean(axis=0))
    predicted = found.coefficients[0] + found.coefficients[1] * first[:, 0]
    assert found.value == pytest.approx(known.value)
    for kind in ("g_weight_variance", "external_variance"):
        added = getattr(found, kind) - getattr(known, kind)
        assert added == pytest.approx(predicted.var(ddof=1) / 300, rel=1e-9)
    assert found.estimate("external").degrees_of_freedom == 38


def test_a_domain_by_the_extended_estimator_leaves_no_residual_inside():
    rng = np.random.default_rng(13)
    z = rng.uniform(5, 30, 50)
    inside = np.arange(50) < 12
    y = 20 + 5 * z + 8 * inside + rng.normal(0, 9, 50)
    found = two_phase_domain(y, z, inside, z_mean=[18.0])
    line = found.coefficients[0] + found.coefficients[1] * z[inside] + found.coefficients[2]
    assert (y[inside] - line).mean() == pytest.approx(0.0, abs=1e-9)
    assert found.value == pytest.approx(y[inside].mean() + found.coefficients[1] * (18.0 - z[inside].mean()))
    assert found.external_variance == pytest.approx((y[inside] - line).var(ddof=1) / 12)
    sampled = two_phase_domain(y, z, inside, z_first=rng.uniform(5, 30, (80, 1)))
    assert sampled.n1 == 80 and sampled.g_weight_variance > found.g_weight_variance / 2
    with pytest.raises(OutOfRange, match="inside"):
        two_phase_domain(y, z, np.arange(50) < 1, z_mean=[18.0])


def test_two_phase_variance_meets_the_spread_of_repeated_samples():
    rng = np.random.default_rng(8)
    z = rng.gamma(4, 4, 20_000)
    y = 20 + 5 * z + rng.normal(0, 20, z.size)
    found = []
    for _ in range(600):
        s = rng.choice(z.size, 200)
        found.append(two_phase(y[s[:50]], z[s[:50]], z[s][:, None]))
    spread = np.var([f.value for f in found])
    assert np.mean([f.g_weight_variance for f in found]) == pytest.approx(spread, rel=0.15)
    assert np.mean([f.external_variance for f in found]) == pytest.approx(spread, rel=0.15)


def cells(side=12, width=20.0):
    axis = np.arange(side) * width
    return np.stack([v.ravel() for v in np.meshgrid(axis, axis)], axis=1)


def test_uncorrelated_residuals_give_the_variance_of_a_regression_estimator():
    rng = np.random.default_rng(9)
    xy = cells(60)
    x = rng.uniform(5, 25, xy.shape[0])
    s = rng.choice(x.size, 30, replace=False)
    y = 10 + 3 * x[s] + rng.normal(0, 5, 30)
    found = model_based_mean(y, x[s], xy[s], x[:, None], xy, Correlation(0.0))
    other = greg(y, x[s], [x.mean()], population=x.size)
    assert found.estimate.value == pytest.approx(other.value, abs=0.05)
    assert found.estimate.variance == pytest.approx(other.variance, rel=0.03)


def test_correlated_residuals_widen_the_interval_and_borrowing_narrows_it_again():
    rng = np.random.default_rng(10)
    xy = cells()
    x = rng.uniform(5, 25, xy.shape[0])
    s = rng.choice(x.size, 20, replace=False)
    y = 10 + 3 * x[s] + rng.normal(0, 5, 20)
    arguments = (y, x[s], xy[s], x[:, None], xy)
    apart = model_based_mean(*arguments, Correlation(0.0), borrow=False)
    alike = model_based_mean(*arguments, Correlation(60.0), borrow=False)
    borrowed = model_based_mean(*arguments, Correlation(60.0))
    assert alike.residual_variance > 5 * apart.residual_variance
    assert borrowed.estimate.variance < alike.estimate.variance


def test_borrowing_is_the_prediction_that_was_made_by_solving_the_kriging_system():
    xy = cells(5)
    rng = np.random.default_rng(11)
    y, s = rng.normal(100, 20, 6), rng.choice(25, 6, replace=False)
    x = rng.uniform(0, 9, 25)
    correlation = Correlation(50.0, nugget=0.2)
    found = model_based_mean(y, x[s], xy[s], x[:, None], xy, correlation)
    distance = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    full = np.where(distance == 0, 1.0, 0.8 * np.exp(-distance / 50.0))
    design = np.column_stack([np.ones(25), x])
    system = np.block([[full[np.ix_(s, s)], design[s]], [design[s].T, np.zeros((2, 2))]])
    right = np.concatenate([full[s].mean(axis=1), design.mean(axis=0)])
    weights = np.linalg.solve(system, right)
    assert found.estimate.value == pytest.approx(weights[:6] @ y, rel=1e-9)
    error = full.mean() - weights @ right
    assert found.estimate.variance == pytest.approx(found.residual_sd**2 * error, rel=1e-8)


def test_variance_of_a_mean_adds_the_coefficients_and_the_residuals():
    xy = cells(4)
    parts = variance_of_mean(
        np.column_stack([np.ones(16), np.arange(16.0)]),
        [[4.0, 0.0], [0.0, 0.0]],
        np.full(16, 3.0),
        xy,
        Correlation(0.0),
    )
    assert parts == pytest.approx((4.0, 9.0 / 16))


def test_hybrid_adds_the_spread_of_strips_and_the_error_of_the_model():
    means, sizes = np.array([10.0, 14.0, 12.0, 8.0]), np.array([1.0, 3.0, 2.0, 2.0])
    found = hybrid_mean(means, sizes, [1.0, 12.0], [[0.5, 0.01], [0.01, 0.002]])
    value = (10 + 42 + 24 + 16) / 8
    sampling = (
        1 * (10 - value) ** 2 + 9 * (14 - value) ** 2 + 4 * (12 - value) ** 2 + 4 * (8 - value) ** 2
    ) / (12 * 4)
    assert found.value == pytest.approx(value)
    assert found.variance == pytest.approx(sampling + 0.5 + 2 * 0.12 + 0.002 * 144)


def test_what_small_areas_cannot_be_made_of_is_refused():
    with pytest.raises(OutOfRange, match="domains"):
        eblup_unit([1.0, 2.0, 4.0], [1.0, 2.0, 3.5], ["a", "a", "a"], {"a": [2.0]})
    with pytest.raises(OutOfRange, match="row 2"):
        eblup_area([1.0, 2.0, 3.0], [1.0, 0.0, 1.0], [1.0, 2.0, 4.0], ["a", "b", "c"])
    with pytest.raises(OutOfRange, match="same one"):
        model_based_mean(
            [1.0, 2.0, 3.0],
            [1.0, 2.0, 4.0],
            [[0, 0], [0, 0], [9, 9]],
            [[1.0]],
            [[0.0, 0.0]],
            Correlation(9.0),
        )
