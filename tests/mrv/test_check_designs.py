"""The drawn check under designs other than stratified: one sample over the project is one stratum; unequal chances are refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.demo.definition import read_project
from apps.demo.site import simulate_site
from benchmarks.demo_seeds import visits_of
from mrv.change import estimate_change
from mrv.errors import Refusal
from mrv.monte_carlo import DrawnErrors, can_check, check_change
from mrv.project import DESIGN_TEXTS
from mrv.tables import load_tables

NONE = DrawnErrors(0, 0, 0, 0, 0, 0, assumed=False)


@pytest.fixture(scope="module")
def site():
    """Two visits of one simulated site, its plan and project."""
    tables = load_tables()
    *pair, plan = visits_of(simulate_site(1, 4.0, "gain", tables), tables)
    return pair, plan, read_project()[0], tables


def of_design(site, design, probabilities=None):
    pair, plan, project, tables = site
    visits = [replace(v, survey=replace(v.survey, design=design)) for v in pair]
    made = replace(plan, design=DESIGN_TEXTS[design], draw_probabilities=probabilities or {})
    return (*visits, made, estimate_change(*visits, made), project, tables)


def test_draws_of_one_sample_over_the_project_confirm_the_credited_error(site):
    check = check_change(*of_design(site, "srs"), errors=NONE)
    assert check.drawn_se_g["change"] == pytest.approx(check.closed_form_se_g["change"], rel=0.05)
    # the credited variance is the larger of two, the drawn one is one of them
    assert 0.8 < check.drawn_se_g["change"] / check.credited_se_g < 1.08


def test_a_sample_with_unequal_chances_is_not_drawn_and_that_can_be_asked_before(site):
    _, plan, _, _ = site
    area = 400_000_000 / sum(p.area_mm2 for p in site[0][0].survey.plots)
    inputs = of_design(site, "pps", dict.fromkeys(plan.sample_plots, f"{area:.6f}"))
    assert not can_check(inputs[3]) and can_check(of_design(site, "srs")[3])
    with pytest.raises(Refusal):
        check_change(*inputs, errors=NONE)
