"""Figures that other programs printed for Idaho's counties, and textbook figures of unequal probabilities and map areas."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from models.domains import class_areas, domain_covariates, domain_means, greg_domains, post_stratified
from models.sampling import fit_regression, greg, horvitz_thompson, pps, ratio, srs, stratified

# R package mase (McConville et al.), README: county 16055, greg() with tcc, elev, ppt, tmean. Printed to seven digits.
MASE_COEFFICIENTS = (-3.355552e01, 6.515276e-01, 4.215046e-02, 6.647252e-02, 2.984714e-04)
# Same, first ten of the 100 calibrated weights.
MASE_WEIGHTS = (8110.6960, 8127.9599, 7941.2651, 3921.2834, 7408.5365, 4513.9805, 5072.4347, 3113.4665, 2668.6353, 1624.0109)  # fmt: skip
# R package mase, its own test snapshot of modifiedGreg(): every county of Idaho, one working model tcc + elev for the state, domain
# mean and its variance (Hájek-Berger, for the number of plots that fell into the county). Counties with one plot have none.
MASE_COUNTIES = """
16001 32.87072 -;16003 82.47278 130.3668;16005 51.35783 24.4181;16007 51.12648 63.70438;16009 114.7641 446.3699;
16011 35.17343 3.618965;16013 45.22001 14.2157;16015 56.46888 61.46962;16017 101.6486 104.188;16019 48.79002 27.75469;
16021 124.4345 113.6674;16023 46.67638 10.05729;16025 59.08154 42.60949;16029 59.19718 29.78511;16031 43.79824 9.866853;
16033 43.54681 24.13882;16035 123.7993 92.11022;16037 51.62275 12.04974;16039 33.09816 9.994084;16041 48.04139 43.04198;
16043 61.26856 20.48922;16045 50.18465 68.90169;16049 82.12561 19.92004;16051 32.98647 -;16055 89.64791 108.4103;
16057 58.03731 155.7979;16059 51.61837 16.12703;16061 34.13093 63.63082;16065 38.11831 27.82825;16069 36.02483 10.60733;
16071 38.35439 6.611827;16073 33.46803 0.9713034;16077 41.31095 18.02023;16079 150.7328 98.38233;16081 59.01828 93.86486;
16083 33.8516 1.351638;16085 36.77054 19.94863;16087 42.06583 13.29387
"""
MASE_STATE_TOTAL = 1.494800e9
COVARIATES = ("tcc", "elev", "ppt", "tmean")


@pytest.fixture(scope="module")
def idaho(shared_data):
    with (shared_data / "idaho_fia" / "IdahoSamp.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (shared_data / "idaho_fia" / "IdahoPop.csv").open() as file:
        counties = {r["COUNTYFIPS"]: r for r in csv.DictReader(file)}
    return rows, counties


@pytest.fixture(scope="module")
def by_county(idaho):
    rows, counties = idaho
    y = [float(r["BA_TPA_ADJ"]) for r in rows]
    x = [[float(r["tcc"]), float(r["elev"])] for r in rows]
    means = {code: [float(c["tcc"]), float(c["elev"])] for code, c in counties.items()}
    sizes = {code: float(c["npixels"]) for code, c in counties.items()}
    return y, x, [r["COUNTYFIPS"] for r in rows], means, sizes


def published():
    for row in MASE_COUNTIES.replace("\n", "").strip(";").split(";"):
        code, mean, variance = row.split()
        yield code, float(mean), None if variance == "-" else float(variance)


def test_all_38_county_means_are_those_of_mase(by_county):
    found = greg_domains(*by_county[:4], size=by_county[4])
    assert len(list(published())) == len(found) == 38
    for code, mean, _ in published():
        assert found[code].value == pytest.approx(mean, rel=2e-6), code


def test_the_counties_sum_to_the_state_total_of_mase_and_to_greg_of_the_state(by_county):
    y, x, _, means, sizes = by_county
    found = greg_domains(*by_county[:4], size=sizes)
    total = sum(found[code].value * size for code, size in sizes.items())
    assert total == pytest.approx(MASE_STATE_TOTAL, rel=5e-7)
    state = sum(sizes.values())
    x_mean = sum(np.array(means[c]) * s for c, s in sizes.items()) / state
    assert greg(y, x, x_mean, state).value * state == pytest.approx(total, rel=1e-10)


def test_county_variances_are_those_of_mase_up_to_the_weight_of_a_county(by_county):
    """mase expands residuals by N/n and divides by N_d; the mean residual has n_d there: the ratio is squared in between."""
    _, _, domain, _, sizes = by_county
    n, state = len(domain), sum(sizes.values())
    found = greg_domains(*by_county[:4])
    for code, _, variance in published():
        if variance is None:
            assert code not in found
            continue
        inside = domain.count(code)
        expected = found[code].variance * (state / n * inside / sizes[code]) ** 2 * (1 - n / state)
        assert expected == pytest.approx(variance, rel=2e-6), code


def test_the_variance_of_expanded_residuals_meets_the_spread_of_samples():
    """The number of plots that fall into a domain is chance and counts; without covariates that fit, it weighs most."""
    rng = np.random.default_rng(7)
    x = rng.gamma(4, 4, 4000)
    names = np.where(rng.random(4000) < 0.2, "small", "rest")
    y = 20 + 3 * x + np.where(names == "small", 25.0, 0.0) + rng.normal(0, 10, 4000)
    means, sizes = domain_covariates(x, names.tolist())
    found, plain = [], []
    for _ in range(800):
        s = rng.choice(4000, 100, replace=False)
        arguments = (y[s], x[s], names[s].tolist(), means)
        found.append(greg_domains(*arguments, size=sizes)["small"])
        plain.append(greg_domains(*arguments)["small"])
    truth = y[names == "small"].mean()
    for estimates in (found, plain):
        spread = np.var([f.value for f in estimates])
        assert np.mean([f.value for f in estimates]) == pytest.approx(truth, abs=4 * np.sqrt(spread / 800))
        assert np.mean([f.variance for f in estimates]) == pytest.approx(spread, rel=0.15)


def test_coefficients_and_calibrated_weights_of_county_16055_are_those_of_mase(idaho):
    rows, counties = idaho
    own = [r for r in rows if r["COUNTYFIPS"] == "16055"]
    x = np.array([[float(r[c]) for c in COVARIATES] for r in own])
    y = np.array([float(r["BA_TPA_ADJ"]) for r in own])
    fit = fit_regression(y, x)
    # the last coefficient is small beside the others: seven digits of it
    assert fit.coefficients == pytest.approx(MASE_COEFFICIENTS, rel=2e-6)
    at = fit.at(np.array([float(counties["16055"][c]) for c in COVARIATES]))
    weights = (1 / 100 + fit.basis @ fit.bread @ (at - fit.basis.mean(axis=0))) * float(
        counties["16055"]["npixels"]
    )
    assert weights[:10] == pytest.approx(MASE_WEIGHTS, rel=1e-6)
    assert weights @ y / float(counties["16055"]["npixels"]) == pytest.approx(93.41733, abs=5e-6)


def test_totals_of_county_16055_are_those_of_mase(idaho):
    rows, _ = idaho
    y = [float(r["BA_TPA_ADJ"]) for r in rows if r["COUNTYFIPS"] == "16055"]
    total = srs(y, 418_623).times(418_623)
    assert total.value == pytest.approx(44_886_038, abs=1)
    assert total.variance == pytest.approx(8.171847e12, rel=1e-6)


def test_every_county_is_consistent_between_estimators(idaho, by_county):
    """Post-stratified = GREG on the stratum; domain mean = mean of the county's plots; all 38 counties."""
    rows, counties = idaho
    y, _, domain, _, _ = by_county
    means = domain_means(y, domain)
    for code, county in counties.items():
        own = [k for k, d in enumerate(domain) if d == code]
        values = np.array(y)[own]
        if len(own) < 2:
            assert code not in means
            continue
        plain = srs(values)
        assert (means[code].value, means[code].variance) == pytest.approx((plain.value, plain.variance))
        forest = [rows[k]["tnt"] for k in own]
        share = float(county["tnt.1"]) / (float(county["tnt.1"]) + float(county["tnt.2"]))
        if min(forest.count("1"), forest.count("2")) < 2:
            continue
        split = post_stratified(values, forest, {"1": share, "2": 1 - share})
        line = greg(values, [float(f == "1") for f in forest], [share])
        assert split.value == pytest.approx(line.value, rel=1e-9)


def test_means_and_sizes_of_all_units_serve_as_those_given(by_county):
    x, names = [[1.0, 4.0], [3.0, 8.0], [5.0, 0.0]], ["a", "a", "b"]
    means, sizes = domain_covariates(x, names)
    assert means["a"].tolist() == [2.0, 6.0] and sizes == {"a": 2.0, "b": 1.0}
    y = [4.0, 9.0, 2.0, 7.0, 5.0]
    sample = [[1.0, 2.0], [2.0, 5.0], [4.0, 1.0], [3.0, 3.0], [5.0, 4.0]]
    domain = ["a", "a", "b", "a", "b"]
    units = {"a": x[:2], "b": x[2:]}
    given, counted = greg_domains(y, sample, domain, means), greg_domains(y, sample, domain, units)
    assert [g.value for g in given.values()] == pytest.approx([c.value for c in counted.values()])


# Thompson, Sampling (3rd ed.), chapter 6, exercises 1 and 2 and their printed answers: three draws with replacement of ten units.
THOMPSON_Y, THOMPSON_P = [3.0, 10.0, 7.0], [0.06, 0.20, 0.10]


def test_hansen_hurwitz_of_thompson_s_exercise():
    found = pps(THOMPSON_Y, THOMPSON_P)
    # 56.67 exactly; the answer sheet prints 56.57
    assert found.value == pytest.approx(170 / 3) and round(found.variance, 2) == 44.44


def test_horvitz_thompson_of_thompson_s_exercise():
    p = np.array(THOMPSON_P)
    inclusion = 1 - (1 - p) ** 3
    both = inclusion[:, None] + inclusion - (1 - (1 - p[:, None] - p) ** 3)
    assert both[[0, 0, 1], [1, 2, 2]] == pytest.approx([0.0626, 0.0331, 0.1020], abs=5e-5)
    found = horvitz_thompson(THOMPSON_Y, inclusion, both, "horvitz_thompson")
    assert round(found.value, 2) == 64.03
    # printed 62.46 from probabilities rounded to four digits
    assert found.variance == pytest.approx(62.46, abs=0.05)


def test_both_variances_are_unbiased_for_lohr_s_four_units():
    """Lohr, Sampling: Design and Analysis, exercise of chapter 6: joint probabilities of all pairs of four units are given."""
    joint = np.array(
        [[0, 0.31, 0.20, 0.14], [0.31, 0, 0.03, 0.01], [0.20, 0.03, 0, 0.31], [0.14, 0.01, 0.31, 0]]
    )
    y = np.array([2.5, 2.0, 1.1, 0.5])
    inclusion = joint.sum(axis=1)
    assert inclusion == pytest.approx([0.65, 0.35, 0.54, 0.46])
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    chance = np.array([joint[p] for p in pairs])
    values = np.array([(y / inclusion)[list(p)].sum() for p in pairs])
    spread = chance @ (values - y.sum()) ** 2
    for kind in ("sen_yates_grundy", "horvitz_thompson"):
        found = []
        for i, j in pairs:
            two = joint[np.ix_([i, j], [i, j])]
            try:
                found.append(horvitz_thompson(y[[i, j]], inclusion[[i, j]], two, kind).variance)
            except ValueError as refusal:  # below zero, as the book shows: read it off the message
                found.append(float(str(refusal).split("got ")[1].split(" ")[0]))
        assert chance @ np.array(found) == pytest.approx(spread, rel=2e-5), kind


def test_freese_s_simple_random_sample_of_twenty():
    """Freese (1962) Elementary Forest Sampling, USDA Agr. Handbook 232: n 20 of N 100, mean 10.7, s2 13.4842, errors 0.734 and 73.4."""
    y = [10, 9, 10, 9, 11, 16, 11, 7, 12, 12, 11, 3, 5, 11, 14, 8, 13, 12, 20, 10]
    found = srs(y, 100)
    assert found.value == pytest.approx(10.7)
    assert round(found.standard_error, 3) == 0.734
    assert found.times(100).value == pytest.approx(1070) and round(found.times(100).standard_error, 1) == 73.4
    # 95 % limits of the total, t(19) = 2.093: 1,070 ± 153.6
    assert found.times(100).half_width(0.95) == pytest.approx(2.093 * 73.4, abs=0.15)


def test_adjusted_ratio_variance_is_that_of_the_printed_factor():
    y, x = [12.0, 18.0, 25.0, 31.0], [5.0, 8.0, 10.0, 13.0]
    plain, adjusted = ratio(y, x, 11.0, 40), ratio(y, x, 11.0, 40, variance="adjusted")
    assert adjusted.variance / plain.variance == pytest.approx((11.0 / 9.0) ** 2)


def test_user_s_and_overall_errors_of_olofsson_2014():
    """Good practices paper, section 5: user's ± 95 % 0.88 ± 0.07, 0.73 ± 0.10, 0.93 ± 0.04, 0.96 ± 0.02; overall 0.95 ± 0.02."""
    found = class_areas(OLOFSSON_2014, OLOFSSON_2014_PIXELS)
    assert [round(1.96 * e, 2) for _, e in found.users] == [0.07, 0.10, 0.04, 0.02]
    assert round(1.96 * found.overall[1], 2) == 0.02


OLOFSSON_2014 = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
OLOFSSON_2014_PIXELS = [200_000, 150_000, 3_200_000, 6_450_000]


def test_producer_s_errors_are_those_of_the_delta_method():
    """Equation 7 against derivatives taken by differences, with the multinomial covariance of every map class."""
    counts, pixels = np.array(OLOFSSON_2014, dtype=float), np.array(OLOFSSON_2014_PIXELS, dtype=float)
    n = counts.sum(axis=1)
    q = counts / n[:, None]

    def producers(rows):
        found = pixels[:, None] * rows
        return np.diag(found) / found.sum(axis=0)

    variance = np.zeros(4)
    for i in range(4):
        slope = np.empty((4, 4))
        for j in range(4):
            step = np.zeros((4, 4))
            step[i, j] = 1e-6
            slope[:, j] = (producers(q + step) - producers(q - step)) / 2e-6
        covariance = (np.diag(q[i]) - np.outer(q[i], q[i])) / (n[i] - 1)
        variance += np.einsum("ij,jk,ik->i", slope, covariance, slope)
    found = class_areas(counts, pixels)
    assert [e for _, e in found.producers] == pytest.approx(np.sqrt(variance), rel=1e-6)


def test_the_small_stratified_example_of_the_survey_programs():
    """Data set fpc of Stata and of R's survey: mean 5.4481, error 0.7413, with the finite correction 0.616 (figures recalled)."""
    x = [2.8, 4.1, 6.8, 6.8, 9.2, 3.7, 6.6, 4.2]
    names, units = ["1"] * 5 + ["2"] * 3, {"1": 15, "2": 12}
    plain, corrected = stratified(x, names, units), stratified(x, names, units, units)
    assert (round(plain.value, 4), round(plain.standard_error, 4)) == (5.4481, 0.7413)
    assert round(corrected.standard_error, 3) == 0.616


# Lohr, Sampling: Design and Analysis, exercise of chapter 4: diameters (inches) and ages of 20 of 1,132 trees, mean diameter 10.3
TREE_DIAMETER = [
    12.0,
    11.4,
    7.9,
    9.0,
    10.5,
    7.9,
    7.3,
    10.2,
    11.7,
    11.3,
    5.7,
    8.0,
    10.3,
    12.0,
    9.2,
    8.5,
    7.0,
    10.7,
    9.3,
    8.2,
]
TREE_AGE = [125, 119, 83, 85, 99, 117, 69, 133, 154, 168, 61, 80, 114, 147, 122, 106, 82, 88, 97, 99]


def test_the_age_of_lohr_s_trees_by_ratio_and_regression():
    # ratio 117.6 (4.35, with the factor of the sample at hand), regression 118.36 (4.07, over n - 2); figures recalled
    by_ratio = ratio(TREE_AGE, TREE_DIAMETER, 10.3, 1132, variance="adjusted")
    assert (round(by_ratio.value, 1), round(by_ratio.standard_error, 2)) == (117.6, 4.35)
    line = greg(TREE_AGE, TREE_DIAMETER, 10.3, 1132)
    assert (round(line.value, 2), round(line.standard_error, 2)) == (118.36, 4.07)


def test_one_draw_of_lohr_s_supermarkets_has_the_variance_the_book_prints():
    """Four stores of 100, 200, 300 and 1,000 m² that sell 11, 20, 24 and 245: total 300, variance 14,248 for one draw, half for two."""
    chance, sales = np.array([1, 2, 3, 10]) / 16, np.array([11.0, 20.0, 24.0, 245.0])
    pairs = [(i, j) for i in range(4) for j in range(4)]
    weight = np.array([chance[i] * chance[j] for i, j in pairs])
    found = [pps(sales[[i, j]], chance[[i, j]]) for i, j in pairs]
    assert weight @ [f.value for f in found] == pytest.approx(300)
    assert weight @ [f.variance for f in found] == pytest.approx(14_248 / 2)
