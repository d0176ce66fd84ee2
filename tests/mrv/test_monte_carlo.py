"""The drawn check of a change: it confirms the credited error, shows what the plan leaves out, and changes no claim."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from apps.demo.definition import read_project
from apps.demo.site import simulate_site, survey_values
from benchmarks.demo_seeds import visits_of
from mrv.canopy import _create, quantise_heights
from mrv.canopy_slopes import canopy_slopes
from mrv.change import estimate_change
from mrv.errors import Refusal
from mrv.geometry import Grid
from mrv.monte_carlo import ASSUMED_ERRORS, DrawnErrors, can_check, check_change, check_from_doc
from mrv.results import digest_result, to_doc
from mrv.tables import load_tables
from tests.mrv.stand_of_squares import PROJECT, visits
from tests.mrv.stand_of_squares import plan as plan_of_squares

NONE = DrawnErrors(0, 0, 0, 0, 0, 0, assumed=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Two visits of one simulated site with its plan, change, and the slopes of its canopies."""
    tables = load_tables()
    site = simulate_site(1, 2.0, "gain", tables)
    project, _ = read_project()
    values = [survey_values(site, day) for day in site.definition.days]
    *pair, plan = visits_of(site, tables)
    first = pair[0].survey
    slopes = []
    for visit, value in zip(pair, values, strict=True):
        path = tmp_path_factory.mktemp("canopy") / "canopy.tif"
        with _create(path, Grid(**visit.canopy.grid)) as target:
            target.write(quantise_heights(value.chm_m), 1)
        rings = {p.plot_id: p.rings_mm for p in first.plots}
        rings |= {s.sample_plot_id: s.rings_mm for s in first.sample_plots}
        slopes.append(canopy_slopes(visit.canopy, path, rings))
    return (*pair, plan, estimate_change(*pair, plan), project, tables), tuple(slopes)


def test_with_the_plans_own_errors_the_draws_confirm_the_credited_error(demo):
    inputs, _ = demo
    check = check_change(*inputs, errors=NONE)
    assert check.drawn_se_g["change"] == pytest.approx(check.closed_form_se_g["change"], rel=0.05)
    assert check.drawn_se_g["change"] == pytest.approx(check.credited_se_g, rel=0.08)
    assert check.flags == ("check.canopy_shift_left_out",)


def test_a_sample_of_the_whole_project_is_drawn_as_one_stratum(demo):
    (first, last, plan, _, project, tables), _ = demo
    plan = replace(plan, design="srs")
    visits = [replace(v, survey=replace(v.survey, design="srs")) for v in (first, last)]
    change = estimate_change(*visits, plan)
    assert change.method == "paired_regression"
    check = check_change(*visits, plan, change, project, tables, errors=NONE)
    assert check.closed_form_se_g["change"] == pytest.approx(check.credited_se_g, rel=0.03)
    assert check.drawn_se_g["change"] == pytest.approx(check.credited_se_g, rel=0.08)


def test_a_change_by_unequal_probabilities_is_not_drawn(demo):
    change = demo[0][3]
    assert can_check(change)
    assert not can_check(replace(change, method="paired_pps_regression"))


def test_declared_errors_are_those_of_the_credited_change_by_source(demo):
    inputs, _ = demo
    mine, credited = check_change(*inputs, errors=NONE).variance_parts_g2, inputs[3].variance_parts_g2
    for name, theirs in (
        ("factor/shared", "shared_factors"),
        ("height_bias", "field_height_bias"),
        ("dbh_bias", "field_dbh_bias"),
    ):
        # derivatives there are steps of 0.1 m and 1 mm, here they are exact
        assert int(mine[name]) == pytest.approx(int(credited[theirs]), rel=0.01)


def test_errors_of_single_trees_are_taken_out_of_the_residual_not_added_to_it(demo):
    inputs, _ = demo
    without, with_trees = (
        check_change(*inputs, errors=e) for e in (NONE, replace(ASSUMED_ERRORS, tree_residual_ppm=0))
    )
    parts = with_trees.variance_parts_g2
    assert int(parts["tree_measurement"]) > 0
    assert int(parts["sampling"]) < int(without.variance_parts_g2["sampling"])
    assert with_trees.closed_form_se_g["change"] == pytest.approx(
        without.closed_form_se_g["change"], rel=0.06
    )


def test_shifts_of_raster_and_sample_plots_enter_where_the_canopies_slopes_are_known(demo):
    inputs, slopes = demo
    check = check_change(*inputs, slopes=slopes, threads=2)
    assert int(check.variance_parts_g2["gnss"]) > 0
    assert int(check.variance_parts_g2["coregistration"]) > 0
    assert check.flags == ("check.errors_assumed",)
    assert check.drawn_se_g["change"] == pytest.approx(check.closed_form_se_g["change"], rel=0.08)
    far = replace(ASSUMED_ERRORS, coregistration_um=30_000_000)
    assert "check.larger_than_credited" in check_change(*inputs, errors=far, slopes=slopes).flags


def test_the_check_is_the_same_every_time_and_the_change_is_left_alone(demo):
    inputs, slopes = demo
    before = digest_result(inputs[3])
    one = check_change(*inputs, slopes=slopes, iterations=500)
    assert one == check_change(*inputs, slopes=slopes, iterations=500, threads=3)
    assert digest_result(inputs[3]) == before


def test_stocks_of_both_dates_share_most_of_their_error(demo):
    inputs, _ = demo
    check = check_change(*inputs)
    assert check.correlation_ppm > 800_000
    assert check.drawn_se_g["change"] < 0.5 * check.drawn_se_g["last"]
    assert check.low_g < inputs[3].change.total_g < check.high_g


def test_a_check_is_stored_in_digits_that_last_bits_do_not_reach_and_read_back_whole(demo):
    inputs, _ = demo
    check = check_change(*inputs, iterations=200)
    assert all(v % 1000 == 0 for v in (*check.drawn_se_g.values(), *check.closed_form_se_g.values()))
    assert all(len(v.rstrip("0")) <= 6 for v in check.variance_parts_g2.values())
    assert check_from_doc(to_doc(check)) == check


def test_the_slope_of_a_tilted_canopy_is_its_tilt(tmp_path):
    grid = Grid(6674, 0, 100_000_000, 1_000_000, 100, 100)
    east = grid.centres_x_mm()[None, :] * 100 // 1000
    north = grid.centres_y_mm()[:, None] * 30 // 1000
    with _create(tmp_path / "c.tif", grid) as target:
        target.write((10_000 + east + north).astype(np.int32), 1)
    canopy = replace(visits()[0].canopy, grid=grid.to_doc())
    ring = ((30_000, 30_000), (50_000, 30_000), (50_000, 50_000), (30_000, 50_000))
    outside = tuple((x + 500_000, y) for x, y in ring)
    slopes = canopy_slopes(canopy, tmp_path / "c.tif", {"in": (ring,), "out": (outside,)})
    assert slopes["in"] == pytest.approx((0.1, 0.03), abs=1e-3)
    assert slopes["out"] == (0.0, 0.0)


def test_surveys_without_tree_lists_are_refused_in_both_languages():
    first, last = visits()
    plan = plan_of_squares(2, 3)
    with pytest.raises(Refusal, match="毎木調査票") as caught:
        check_change(first, last, plan, estimate_change(first, last, plan), PROJECT, load_tables())
    assert caught.value.codes == ("check.no_trees",)
