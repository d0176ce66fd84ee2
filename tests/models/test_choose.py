"""The estimator follows from the stated design."""

from __future__ import annotations

import pytest

from models.choose import choose_estimator


def test_purposive_plots_have_no_valid_interval_and_earn_nothing():
    choice = choose_estimator("purposive", 40)
    assert not choice.interval_valid and not choice.creditable
    assert "NOT VALID" in choice.reason_en and "無効" in choice.reason_ja


def test_no_plots_leave_a_canopy_model_that_earns_nothing():
    choice = choose_estimator("none", 0)
    assert choice.estimator == "canopy_model" and not choice.creditable


@pytest.mark.parametrize(
    ("arguments", "estimator"),
    [
        ({"design": "random", "n": 24}, "greg"),
        ({"design": "random", "n": 24, "covariates_known": "nowhere"}, "srs"),
        ({"design": "stratified", "n": 24, "strata": 6}, "stratified_regression"),
        ({"design": "stratified", "n": 24, "strata": 6, "covariates_known": "nowhere"}, "stratified"),
        ({"design": "pps", "n": 24}, "pps"),
        ({"design": "two_phase", "n": 60, "covariates_known": "first_phase"}, "two_phase"),
        ({"design": "two_phase", "n": 60}, "two_phase_exhaustive"),
        ({"design": "cluster", "n": 12}, "hybrid"),
        ({"design": "random", "n": 60, "smallest_domain": 2}, "eblup_unit"),
    ],
)
def test_every_probability_design_has_its_estimator_and_may_be_credited(arguments, estimator):
    choice = choose_estimator(**arguments)
    assert choice.estimator == estimator
    assert choice.interval_valid and choice.creditable


def test_few_plots_allow_two_parameters():
    assert choose_estimator("random", 12).parameters_allowed == 2
    assert choose_estimator("random", 60).parameters_allowed == 6


def test_untagged_plots_tell_stock_but_not_a_creditable_change():
    choice = choose_estimator("random", 24, permanent=False)
    assert choice.interval_valid and not choice.creditable and "tagged" in choice.reason_en


def test_one_plot_a_stratum_gives_no_variance():
    assert not choose_estimator("stratified", 6, strata=6).interval_valid
