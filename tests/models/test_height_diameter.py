"""Height-diameter curves against the R package BIOMASS on Nouragues, and on curves whose truth is known."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.height_diameter import (
    FORMS,
    HeightDiameterCurve,
    choose_height_curve,
    displacements,
    fit_height_curve,
    height_gradient,
    height_of,
    predict_height,
)

NOURAGUES_RSE_M = {"log1": 4.305060, "log2": 4.222718, "weibull": 4.220562, "michaelis": 4.235974}


def nouragues_pairs(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    with (folder / "nouragues" / "NouraguesHD.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if r["H"] not in ("", "NA") and r["D"] not in ("", "NA")]
    return np.array([float(r["D"]) for r in rows]), np.array([float(r["H"]) for r in rows])


def made_up(n: int = 200, noise_m: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    d = rng.uniform(6.0, 60.0, n)
    return d, 32.0 * (1.0 - np.exp(-((d / 22.0) ** 1.1))) + rng.normal(0.0, noise_m, n)


@pytest.mark.parametrize("form", FORMS)
def test_nouragues_residual_standard_errors_are_those_of_the_r_package(shared_data, form):
    d, h = nouragues_pairs(shared_data)
    assert d.size == 888
    assert fit_height_curve(form, d, h).residual_sd_m == pytest.approx(NOURAGUES_RSE_M[form], abs=1e-6)


def test_nouragues_choice_is_a_form_that_bends(shared_data):
    d, h = nouragues_pairs(shared_data)
    choice = choose_height_curve(d, h)
    assert set(choice.cross_validated_rmse_m) == set(FORMS)
    assert choice.curve.form != "log1"
    assert choice.curve.cross_validated_rmse_m == min(choice.cross_validated_rmse_m.values())
    inside = predict_height(choice.curve, d, 0.9)
    assert 0.87 < np.mean((h >= inside.low_m) & (h <= inside.high_m)) < 0.93


@pytest.mark.parametrize("form", FORMS)
def test_a_curve_without_noise_is_found_again(form):
    d = np.linspace(5.0, 70.0, 60)
    truth = {
        "log1": np.exp(0.8 + 0.6 * np.log(d)),
        "log2": np.exp(0.2 + 1.1 * np.log(d) - 0.08 * np.log(d) ** 2),
        "weibull": 30.0 * (1 - np.exp(-((d / 25.0) ** 1.2))),
        "michaelis": 45.0 * d / (30.0 + d),
    }[form]
    curve = fit_height_curve(form, d, truth)
    assert predict_height(curve, d).height_m == pytest.approx(truth, rel=1e-7)
    assert curve.residual_sd_m < 1e-6


@settings(max_examples=40, deadline=None)
@given(st.floats(15, 40), st.floats(8, 40), st.floats(0.7, 1.6), st.integers(0, 2**31))
def test_any_weibull_stand_is_fitted_at_least_as_well_as_its_own_truth(a, b, c, seed):
    rng = np.random.default_rng(seed)
    d = rng.uniform(5.0, 80.0, 120)
    h = np.maximum(a * (1.0 - np.exp(-((d / b) ** c))) + rng.normal(0.0, 0.5, d.size), 0.5)
    truth = a * (1.0 - np.exp(-((d / b) ** c)))
    fitted = predict_height(fit_height_curve("weibull", d, h), d).height_m
    assert np.sum((h - fitted) ** 2) <= np.sum((h - truth) ** 2) * (1 + 1e-9)


def test_whole_sample_plots_are_left_out_and_the_right_form_wins():
    d, h = made_up()
    by_plot = choose_height_curve(d, h, groups=np.arange(d.size) % 8)
    assert by_plot.curve.form == "weibull"
    assert by_plot.curve.residual_sd_m == pytest.approx(1.0, abs=0.12)


def test_few_pairs_leave_two_parameters_and_very_few_are_refused():
    d, h = made_up(12)
    choice = choose_height_curve(d, h)
    assert set(choice.left_out) >= {"log2", "weibull"}
    assert choice.curve.form in ("log1", "michaelis")
    with pytest.raises(OutOfRange, match="5 height-diameter pairs"):
        fit_height_curve("log1", d[:4], h[:4])
    with pytest.raises(OutOfRange, match="no height-diameter form"):
        choose_height_curve(d[:4], h[:4])


def test_a_missing_height_is_refused_with_its_row():
    d, h = made_up(30)
    h[16] = np.nan
    with pytest.raises(OutOfRange, match="row 17"):
        fit_height_curve("log1", d, h)


def test_a_curve_that_falls_within_the_diameters_measured_is_left_out():
    d = np.linspace(5.0, 60.0, 80)
    h = np.exp(-3.0 + 3.6 * np.log(d) - 0.52 * np.log(d) ** 2)
    assert fit_height_curve("log2", d, h).peak_dbh_cm == pytest.approx(np.exp(3.6 / 1.04), rel=1e-6)
    assert "falls beyond" in choose_height_curve(d, h).left_out["log2"]


def test_trees_beyond_the_diameters_fitted_on_are_flagged_and_counted():
    d, h = made_up()
    curve = fit_height_curve("michaelis", d, h)
    out = predict_height(curve, np.array([3.0, 20.0, 90.0]))
    assert out.outside.tolist() == [True, False, True]
    assert out.outside_count == 2


def test_intervals_cover_trees_that_were_not_fitted_on():
    d, h = made_up(4000)
    curve = fit_height_curve("weibull", d[:300], h[:300])
    out = predict_height(curve, d[300:], 0.9)
    assert np.mean((h[300:] >= out.low_m) & (h[300:] <= out.high_m)) == pytest.approx(0.9, abs=0.025)


def test_inputs_are_left_as_they_were():
    d, h = made_up()
    before = d.copy(), h.copy()
    assert isinstance(choose_height_curve(d, h).curve, HeightDiameterCurve)
    assert np.array_equal(d, before[0]) and np.array_equal(h, before[1])


@pytest.mark.parametrize("noise", [1e-15, 1e-13])
def test_noise_of_the_last_bits_changes_neither_form_nor_a_millimetre(noise):
    """A thousand times what processors differ by: coefficients are cut above it, sums are exactly rounded."""
    rng = np.random.default_rng(11)
    d, h = made_up(240)
    plots = np.arange(d.size) % 9
    asked = rng.uniform(4.0, 70.0, 3000)
    truth = choose_height_curve(d, h, plots).curve
    for _ in range(12):
        shaken = choose_height_curve(
            d * (1 + noise * rng.uniform(-1, 1, d.size)), h * (1 + noise * rng.uniform(-1, 1, d.size)), plots
        ).curve
        assert (shaken.form, shaken.coefficients, shaken.log_residual_sd) == (
            truth.form,
            truth.coefficients,
            truth.log_residual_sd,
        )
        assert np.array_equal(
            np.rint(height_of(shaken, asked) * 1000), np.rint(height_of(truth, asked) * 1000)
        )


def test_the_order_of_pairs_does_not_matter_to_the_last_digit():
    d, h = made_up(240)
    turn = np.random.default_rng(3).permutation(d.size)
    for form in FORMS:
        assert (
            fit_height_curve(form, d, h).coefficients == fit_height_curve(form, d[turn], h[turn]).coefficients
        )


def test_of_equally_good_forms_the_simplest_is_taken():
    d = np.linspace(5.0, 70.0, 60)
    straight = np.exp(0.8 + 0.6 * np.log(d))
    choice = choose_height_curve(d, straight)
    assert choice.cross_validated_rmse_m["log2"] < 1e-3, "log2 holds log1: it fits as well"
    assert choice.curve.form == "log1"


@pytest.mark.parametrize("form", FORMS)
def test_own_least_squares_agree_with_scipy_and_lapack(form):
    from scipy.optimize import curve_fit

    d, h = made_up(150)
    ours = fit_height_curve(form, d, h)
    if form in ("log1", "log2"):
        theirs = np.polyfit(np.log(d), np.log(h), len(ours.coefficients) - 1)[::-1]
    else:
        model = {
            "weibull": lambda x, a, b, c: a * (1 - np.exp(-((x / b) ** c))),
            "michaelis": lambda x, a, b: a * x / (b + x),
        }[form]
        theirs, covariance = curve_fit(model, d, h, p0=ours.coefficients, ftol=1e-15, xtol=1e-15)
        assert np.array(ours.covariance) == pytest.approx(covariance, rel=1e-3)
    assert ours.coefficients == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_displacements_are_those_of_leaving_each_plot_out(form):
    d, h = made_up(400, 0.5)
    plots = np.array([f"S{k % 8}" for k in range(d.size)])
    whole = fit_height_curve(form, d, h)
    at = np.array([15.0, 30.0, 50.0])
    for name, moved in displacements(whole, d, h, plots).items():
        rest = fit_height_curve(form, d[plots != name], h[plots != name])
        shift = (height_of(rest, at) - height_of(whole, at)) * np.sqrt(7 / 8)
        linear = height_gradient(whole, at) @ np.array(moved)
        if form in ("log1", "log2"):  # the correction of the logarithm moves as well, by a tenth as much
            assert linear == pytest.approx(shift, abs=0.02)
        else:
            assert linear == pytest.approx(shift, abs=0.01)


def test_displacements_need_two_plots_and_no_plot_that_decides_alone():
    d, h = made_up(30)
    curve = fit_height_curve("log1", d, h)
    with pytest.raises(OutOfRange, match="2 sample plots"):
        displacements(curve, d, h, np.zeros(30))
    d[2:] = 20.0
    plots = np.array(["A", "A", *("B" for _ in range(14)), *("C" for _ in range(14))])
    with pytest.raises(OutOfRange, match="all of them on A"):
        displacements(curve, d, h, plots)


@settings(max_examples=60, deadline=None)
@given(st.integers(5, 60), st.integers(0, 2**31), st.floats(0.0, 6.0))
def test_any_pairs_give_a_finite_curve_or_are_refused(n, seed, noise_m):
    rng = np.random.default_rng(seed)
    d = np.round(rng.uniform(1.0, 90.0, n), 1)
    h = np.maximum(np.round(1.3 + 0.4 * d * rng.uniform(0.2, 1.0) + rng.normal(0, noise_m, n), 1), 0.5)
    try:
        curve = choose_height_curve(d, h).curve
    except OutOfRange:
        return
    assert np.all(np.isfinite(height_of(curve, np.array([1.0, 20.0, 120.0]))))
