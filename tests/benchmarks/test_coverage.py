"""The coverage study analyses as the credited path does, and its intervals cover."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import stdtrit

from mrv.tables import load_tables

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def study():
    """World and exact path of the study; the folder leaves the path again, since a file in it is called coverage."""
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import coverage_exact
        import coverage_world
    finally:
        sys.path.remove(str(BENCHMARKS))
    return coverage_world, coverage_exact, coverage_world.carbon_of(load_tables())


@pytest.mark.parametrize("layout", ["six growing", "six treated", "four treated"])
def test_change_error_freedom_and_gross_credit_are_those_of_the_credited_path(study, layout):
    world, exact, carbon = study
    scenario = world.Scenario("test", layout, 4)
    sample, _ = world.draw_block(scenario, carbon, "test", 0)
    found = world.analyse(sample, scenario.declared)
    for k in range(4):
        credited = exact.credit(sample, k, scenario.declared)
        assert found.value[k] == pytest.approx(credited.change_t, rel=1e-6)
        assert found.standard_error[k] == pytest.approx(credited.standard_error_t, rel=1e-5)
        assert abs(found.df[k] - credited.df) <= 1
        lower = found.value[k] - stdtrit(found.df[k], 2 / 3) * found.standard_error[k]
        if credited.gross_t:
            assert lower == pytest.approx(credited.gross_t, abs=0.002 + 1e-5 * found.value[k])


def test_blocks_are_the_same_whenever_they_are_drawn(study):
    world, _, carbon = study
    scenario = world.Scenario("test", "four growing", 3, range_m=60.0)
    one, other = (world.draw_block(scenario, carbon, "test", 7)[1].change for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.array_equal(one, world.draw_block(scenario, carbon, "test", 8)[1].change)


@pytest.mark.parametrize("layout", ["six growing", "four treated"])
def test_nine_of_ten_intervals_cover_the_realised_change(study, layout):
    # 1,000 projects: the 99.9 % binomial band around 90 % is 86.7 to 92.9 %
    world, _, carbon = study
    scenario = world.Scenario("test", layout, 24 // 6 if layout.startswith("six") else 3)
    hits = []
    for block in range(4):
        sample, truth = world.draw_block(scenario, carbon, "test", block)
        found = world.analyse(sample, scenario.declared)
        hits.append(np.abs(found.value - truth.change) <= stdtrit(found.df, 0.95) * found.standard_error)
    assert 0.867 <= np.mean(hits) <= 0.929


def test_a_fixed_bias_nobody_declared_is_not_covered(study):
    world, _, carbon = study
    scenario = world.Scenario("test", "six growing", 4, height_fault_m=0.5)
    sample, truth = world.draw_block(scenario, carbon, "test", 0)
    found = world.analyse(sample, scenario.declared)
    covered = np.abs(found.value - truth.change) <= stdtrit(found.df, 0.95) * found.standard_error
    assert covered.mean() < 0.7


def test_a_bias_of_the_canopy_that_plots_and_map_share_changes_nothing(study):
    world, _, carbon = study
    scenario = world.Scenario("test", "six growing", 4)
    plain, _ = world.draw_block(scenario, carbon, "test", 0)
    shifted, _ = world.draw_block(replace(scenario, canopy_fault_m=0.5), carbon, "test", 0)
    one, other = (world.analyse(s, scenario.declared).value for s in (plain, shifted))
    assert one == pytest.approx(other, rel=1e-9)


@pytest.fixture(scope="module")
def bounds(study):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        import coverage_bounds
    finally:
        sys.path.remove(str(BENCHMARKS))
    return coverage_bounds


@pytest.mark.parametrize("layout", ["six growing", "four treated"])
def test_of_the_bounds_compared_the_present_one_is_the_credited_one(study, bounds, layout):
    world, _, carbon = study
    scenario = world.Scenario("test", layout, 4)
    sample, _ = world.draw_block(scenario, carbon, "test", 0)
    found, parts = world.analyse(sample, scenario.declared), bounds.parts_of(sample, scenario)
    for p in (0.5, 2 / 3, 0.9):
        credited = found.value - stdtrit(found.df, p) * found.standard_error
        assert bounds.lower_bound(parts, p, "present") == pytest.approx(credited, rel=1e-12)
    for variant in bounds.VARIANTS[:4]:
        assert bounds.lower_bound(parts, 0.5, variant) == pytest.approx(found.value, rel=1e-12)
    closer = bounds.lower_bound(parts, 0.9, "and sampled share") - bounds.lower_bound(parts, 0.9, "present")
    assert 0 < np.median(closer) < 0.1 * np.median(found.standard_error)


def test_terms_that_add_up_to_the_change_move_with_it_as_the_change_does(study, bounds):
    world, _, carbon = study
    scenario = world.Scenario("test", "six treated", 4)
    sample, _ = world.draw_block(scenario, carbon, "test", 1)
    parts, batch = bounds.parts_of(sample, scenario), sample.batch(None)
    own = bounds._residuals(batch, sample.y[1] - sample.y[0])
    together = parts.moved[:, :2].sum(axis=1) / np.sqrt(scenario.declared.shared_variance)
    assert together == pytest.approx(bounds._covariance(batch, own, own), rel=1e-9)
    assert parts.sampled == pytest.approx([0.0226, 0.0226, 0.125, 0.0234], abs=0.02)


def test_gates_are_judged_by_what_was_measured(capsys):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        from turns import judge
    finally:
        sys.path.remove(str(BENCHMARKS))
    figures = {"apart": 1e-12, "f": 0.7, "ratio": 3.0}
    gates = {"at_most": {"apart": 1e-9, "not there": 0}, "at_least": {"f": 0.67}}
    judge(figures, **gates, ratios={"ratio": 2.5}, quick=False)
    judge(figures, **gates, ratios={"ratio": 5.0}, quick=True)
    for bad in ({"apart": 1e-3}, {"f": 0.6}, {"ratio": 2.0}):
        with pytest.raises(SystemExit, match="1"):
            judge(figures | bad, **gates, ratios={"ratio": 2.5}, quick=False)
        assert next(iter(bad)) in capsys.readouterr().out.splitlines()[-1]
