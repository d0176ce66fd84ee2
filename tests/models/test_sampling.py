"""Design-based estimators against outside values and against all samples that could have been drawn."""

from __future__ import annotations

import csv
import itertools

import numpy as np
import pytest

from models.domains import class_areas, domain_means, greg_domains, post_stratified
from models.errors import OutOfRange
from models.sampling import greg, horvitz_thompson, pps, ratio, satterthwaite, srs, stratified

COVARIATES = ("tcc", "elev", "ppt", "tmean")


@pytest.fixture(scope="module")
def idaho(shared_data):
    with (shared_data / "idaho_fia" / "IdahoSamp.csv").open() as file:
        rows = list(csv.DictReader(file))
    with (shared_data / "idaho_fia" / "IdahoPop.csv").open() as file:
        counties = {r["COUNTYFIPS"]: r for r in csv.DictReader(file)}
    return rows, counties


def county(idaho, code):
    rows, counties = idaho
    own = [r for r in rows if r["COUNTYFIPS"] == code]
    y = [float(r["BA_TPA_ADJ"]) for r in own]
    x = [[float(r[c]) for c in COVARIATES] for r in own]
    return y, x, [float(counties[code][c]) for c in COVARIATES], float(counties[code]["npixels"])


def test_idaho_horvitz_thompson_mean_and_variance_are_those_of_the_r_package_mase(idaho):
    # printed to seven digits in the reference; population 418,623 pixels, 100 plots
    y, _, _, pixels = county(idaho, "16055")
    found = srs(y, pixels)
    assert found.n == 100
    assert found.value == pytest.approx(107.2231, abs=5e-5)
    assert found.variance == pytest.approx(46.63093, abs=5e-6)


def test_idaho_greg_mean_and_named_variance_are_those_of_mase(idaho):
    y, x, x_mean, pixels = county(idaho, "16055")
    found = greg(y, x, x_mean, pixels, variance="n_minus_1")
    assert found.value == pytest.approx(93.41733, abs=5e-6)
    assert found.variance == pytest.approx(36.11314, abs=5e-6)


def test_the_default_variance_divides_by_n_minus_p_and_has_as_many_degrees_of_freedom(idaho):
    y, x, x_mean, pixels = county(idaho, "16055")
    named, default = (greg(y, x, x_mean, pixels, variance=v) for v in ("n_minus_1", "n_minus_p"))
    assert default.variance == pytest.approx(named.variance * 99 / 95, rel=1e-12)
    assert default.degrees_of_freedom == 95 and default.parameters == 5


def test_every_county_with_enough_plots_gets_a_greg(idaho):
    rows, counties = idaho
    for code in counties:
        if sum(r["COUNTYFIPS"] == code for r in rows) < 20:
            continue
        y, x, x_mean, pixels = county(idaho, code)
        found = greg(y, x, x_mean, pixels)
        assert found.variance > 0
        low, high = found.interval()
        assert low < found.value < high


def test_equal_weights_change_nothing(idaho):
    y, x, x_mean, _ = county(idaho, "16055")
    plain, weighted = greg(y, x, x_mean), greg(y, x, x_mean, weights=np.full(len(y), 4186.23))
    assert weighted.value == pytest.approx(plain.value, rel=1e-12)
    assert weighted.variance == pytest.approx(plain.variance, rel=1e-10)


def test_greg_is_calibrated_a_covariate_is_estimated_without_error():
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 30, (15, 2))
    for kind in ("n_minus_p", "g_weight"):
        found = greg(4 + x @ [2.0, -1.0], x, [12.0, 9.0], weights=rng.uniform(1, 9, 15), variance=kind)
        assert found.value == pytest.approx(4 + 24 - 9, rel=1e-12)
        assert found.variance == pytest.approx(0, abs=1e-20)


POPULATION = np.array([3.0, 8.0, 1.0, 9.0, 4.0, 7.0])


def test_srs_variance_is_right_on_average_over_all_samples():
    found = [srs(POPULATION[list(s)], 6) for s in itertools.combinations(range(6), 3)]
    assert np.mean([f.value for f in found]) == pytest.approx(POPULATION.mean())
    assert np.mean([f.variance for f in found]) == pytest.approx(np.var([f.value for f in found]))


def test_stratified_variance_is_right_on_average_over_all_samples():
    first = list(itertools.combinations(range(3), 2))
    second = list(itertools.combinations(range(3, 6), 2))
    sizes = {"a": 3.0, "b": 3.0}
    found = [
        stratified(POPULATION[[*s, *t]], ["a", "a", "b", "b"], sizes, sizes) for s in first for t in second
    ]
    assert np.mean([f.value for f in found]) == pytest.approx(POPULATION.mean())
    assert np.mean([f.variance for f in found]) == pytest.approx(np.var([f.value for f in found]))


def test_pps_variance_is_right_on_average_over_all_draws():
    p = np.array([0.1, 0.3, 0.05, 0.25, 0.1, 0.2])
    draws = list(itertools.product(range(6), repeat=3))
    chance = np.array([p[list(d)].prod() for d in draws])
    found = [pps(POPULATION[list(d)], p[list(d)]) for d in draws]
    values = np.array([f.value for f in found])
    assert chance @ values == pytest.approx(POPULATION.sum())
    spread = chance @ (values - POPULATION.sum()) ** 2
    assert chance @ np.array([f.variance for f in found]) == pytest.approx(spread)


def test_horvitz_thompson_with_joint_probabilities_is_right_on_average_over_all_samples():
    samples = list(itertools.combinations(range(6), 3))
    chance = np.array([1.0 + 0.5 * POPULATION[list(s)].sum() for s in samples])
    chance /= chance.sum()
    joint = np.zeros((6, 6))
    for s, c in zip(samples, chance, strict=True):
        joint[np.ix_(s, s)] += c
    inclusion = np.diag(joint).copy()
    found = [horvitz_thompson(POPULATION[list(s)], inclusion[list(s)], joint[np.ix_(s, s)]) for s in samples]
    values = np.array([f.value for f in found])
    assert chance @ values == pytest.approx(POPULATION.sum())
    spread = chance @ (values - POPULATION.sum()) ** 2
    assert chance @ np.array([f.variance for f in found]) == pytest.approx(spread)


def test_a_ratio_of_proportional_values_has_no_error():
    found = ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], 10.0)
    assert found.value == pytest.approx(20.0) and found.variance == pytest.approx(0.0)


def test_satterthwaite_of_equal_parts_adds_degrees_of_freedom():
    assert satterthwaite([(1.0, 4), (1.0, 4)]) == pytest.approx(8.0)


def test_times_turns_a_mean_into_a_total():
    mean = srs([1.0, 2.0, 3.0])
    assert mean.times(10).value == 20.0 and mean.times(10).standard_error == pytest.approx(
        10 * mean.standard_error
    )


def test_two_domains_by_greg_are_the_whole_when_put_together():
    rng = np.random.default_rng(5)
    x, names = rng.uniform(5, 25, 40), ["n", "s"] * 20
    y = 10 + 3 * x + rng.normal(0, 4, 40)
    means = {"n": [14.0], "s": [16.0]}
    parts = greg_domains(y, x, names, means)
    whole = greg(y, x, [15.0])
    assert (parts["n"].value + parts["s"].value) / 2 == pytest.approx(whole.value, rel=1e-12)


def test_a_domain_that_is_the_population_has_its_mean_and_variance():
    y = [1.0, 5.0, 2.0, 8.0]
    found = domain_means(y, ["a"] * 4, population=40)["a"]
    whole = srs(y, 40)
    assert (found.value, found.variance) == pytest.approx((whole.value, whole.variance))


def test_post_stratified_mean_is_greg_on_the_stratum(idaho):
    rows, counties = idaho
    own = [r for r in rows if r["COUNTYFIPS"] == "16055"]
    y, forest = [float(r["BA_TPA_ADJ"]) for r in own], [r["tnt"] for r in own]
    size = {"1": float(counties["16055"]["tnt.1"]), "2": float(counties["16055"]["tnt.2"])}
    found = post_stratified(y, forest, size, 418_623)
    other = greg(y, [float(t == "2") for t in forest], [size["2"]], 418_623)
    assert found.value == pytest.approx(other.value, abs=0.02)  # shares sum to one to four digits only


def test_post_stratified_variance_meets_the_spread_of_samples():
    rng = np.random.default_rng(12)
    names = np.repeat(["a", "b"], [300, 100])
    y = np.where(names == "a", 10.0, 30.0) + rng.normal(0, 4, 400)
    found = []
    for _ in range(3000):
        s = rng.choice(400, 40, replace=False)
        found.append(post_stratified(y[s], names[s], {"a": 300, "b": 100}, 400))
    assert np.mean([f.value for f in found]) == pytest.approx(y.mean(), abs=0.06)
    assert np.mean([f.variance for f in found]) == pytest.approx(np.var([f.value for f in found]), rel=0.1)


def test_areas_of_olofsson_2014_with_their_intervals():
    # Good practices paper, tables 8 and 9; intervals are 1.959964 standard errors, printed to the hectare
    counts = [[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]]
    pixels = [200_000, 150_000, 3_200_000, 6_450_000]
    found = class_areas(counts, [p * 900 / 10_000 for p in pixels])
    assert [round(a) for a in found.area] == [21158, 11686, 285770, 581386]
    assert [round(1.959964 * e) for e in found.standard_error] == [6158, 3756, 15510, 16281]
    assert found.overall[0] == pytest.approx(0.947, abs=5e-4)
    assert [round(u, 2) for u, _ in found.users] == [0.88, 0.73, 0.93, 0.96]
    assert [round(p, 2) for p, _ in found.producers] == [0.75, 0.85, 0.93, 0.96]


def test_areas_of_olofsson_2013_are_twice_what_counting_pixels_says():
    counts = [[97, 0, 3], [3, 279, 18], [2, 1, 97]]
    found = class_areas(counts, [22353, 1122543, 610228])  # ha
    assert round(found.area[0]) == 45112
    assert round(1.959964 * found.standard_error[0]) == 21072
    assert found.area[0] > 2 * found.mapped[0]


def test_a_missing_value_is_refused_with_its_row_named():
    with pytest.raises(OutOfRange, match="row 3"):
        srs([1.0, 2.0, float("nan"), 4.0])
    with pytest.raises(OutOfRange, match=r"x: .* row 2") as refusal:
        greg([1.0, 2.0, 3.0, 4.0], [1.0, np.nan, 3.0, 5.0], [2.0])
    assert "2 行目" in refusal.value.ja


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: srs([1.0]), "more sample plots"),
        (lambda: srs([1.0, 2.0, 3.0], 2), "population"),
        (lambda: stratified([1.0, 2.0, 3.0], ["a", "a", "b"], {"a": 1, "b": 1}), "stratum b"),
        (lambda: stratified([1.0, 2.0, 3.0], ["a", "a", "z"], {"a": 1}), "row 3"),
        (lambda: pps([1.0, 2.0], [0.5, 0.0]), "row 2"),
        (lambda: greg([1.0, 2.0, 3.0, 4.0], [[1, 2], [2, 4], [3, 6], [4, 8]], [2.0, 4.0]), "collinear"),
        (lambda: greg([1.0, 2.0, 3.0], [1.0, 2.0, 4.0], [2.0], weights=[1.0, -1.0, 1.0]), "row 2"),
        (lambda: greg([1.0, 2.0, 3.0], [1.0, 2.0], [2.0]), "3 rows"),
        (lambda: class_areas([[1, 0], [3, 9]], [1.0, 2.0]), "row 1"),
        (lambda: class_areas([[4, 0]], [1.0]), "square"),
    ],
)
def test_what_cannot_be_estimated_is_refused_by_name(call, words):
    with pytest.raises(OutOfRange, match=words):
        call()
