"""Change between two visits: sums, components, errors and refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrv.change import estimate_change
from mrv.errors import Refusal
from mrv.results import change_from_doc, to_doc
from mrv.survey import Action, TreeList
from tests.mrv.stand_of_squares import plan, tree, visits, with_trees

CUT = Action("P0", date(2023, 1, 10), "cut", "1.0", "")
THIN = Action("P0", date(2023, 1, 10), "thin", "1.0", "")
REPLANT = Action("P0", date(2023, 3, 10), "replant", "1.0", "")


def felled(visit, sample_plot_id):
    return with_trees(
        visit,
        tuple(
            tree(t.sample_plot_id, t.tag, 0, "cut") if t.sample_plot_id == sample_plot_id else t
            for t in visit.inventory.trees
        ),
    )


def test_project_is_the_sum_of_its_plots_and_of_its_components_to_the_gram():
    change = estimate_change(*visits(), plan(2, 3))
    assert change.change.total_g == sum(p.change.total_g for p in change.plots)
    assert change.change.total_g == sum(change.components_g.values())
    for p in change.plots:
        assert p.change.total_g == sum(p.components_g.values())


def test_stock_is_density_times_area_where_sample_plots_hold_the_same():
    # ten trees of 2,000 kg on 400 m² are 500 t per ha; two plots of one hectare
    first, last = visits()
    change = estimate_change(first, last, plan(2, 3))
    assert change.stock_first.total_g == 2 * 500_000_000
    assert change.stock_first.se_g > 0, "declared errors remain where the sample shows none"


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(-300, 600))
def test_change_is_found_within_three_standard_errors_of_the_mean_gain(seed, gain):
    change = estimate_change(*visits(gain, seed=seed), plan(2, 3))
    # two plots of 25 sample plots' area each, ten trees a sample plot, `gain` kg a tree
    expected_g = 2 * 25 * 10 * gain * 1000
    assert abs(change.change.total_g - expected_g) <= 4 * change.change.se_g


def test_felled_trees_are_thinned_or_cut_as_the_action_register_says():
    first, last = visits(actions=(THIN,))
    thinned = estimate_change(first, felled(last, "P0-S0"), plan(2, 3))
    assert thinned.components_g["thinned"] < 0 == thinned.components_g["cut"]
    first, last = visits(actions=(CUT,))
    cut = estimate_change(first, felled(last, "P0-S0"), plan(2, 3))
    assert cut.components_g["cut"] < 0 == cut.components_g["thinned"]


def test_a_new_tree_is_replanted_where_replanting_is_registered_and_recruited_elsewhere():
    for actions, kind in (((REPLANT,), "replanted"), ((), "recruited")):
        first, last = visits(actions=actions)
        more = with_trees(last, (*last.inventory.trees, tree("P0-S1", "new", 5)))
        assert estimate_change(first, more, plan(2, 3)).components_g[kind] > 0


def test_jcredit_ledger_books_no_thinning_and_the_whole_main_cut():
    first, last = visits(actions=(THIN,))
    change = estimate_change(first, felled(last, "P0-S0"), plan(2, 3))
    assert (
        change.jcredit_g["net_g"]
        == change.change.total_g - change.components_g["thinned"] - change.components_g["died"]
    )
    first, last = visits(actions=(CUT,))
    change = estimate_change(first, felled(last, "P0-S0"), plan(2, 3))
    assert change.jcredit_g["main_cut_emission_g"] == -change.components_g["cut"] > 0


def test_shared_factor_error_is_that_of_the_net_change_and_not_of_two_stocks():
    change = estimate_change(*visits(), plan(2, 3))
    expected = (Fraction(5, 100) * change.species_change_g["hinoki"]) ** 2
    assert int(change.variance_parts_g2["shared_factors"]) == pytest.approx(float(expected), rel=1e-6)


def test_height_bias_of_each_date_counts_for_itself():
    change = estimate_change(*visits(), plan(2, 3))
    per_metre_first = 2 * 25 * 10 * 2_000 * 50  # trees hold 50 g per m for each kg
    assert int(change.variance_parts_g2["field_height_bias"]) > (0.04 * per_metre_first) ** 2


def test_twice_the_declared_error_never_narrows_the_interval():
    p = plan(2, 3)
    wide = replace(p, declared=replace(p.declared, field_height_bias_um=80_000))
    assert estimate_change(*visits(), wide).change.se_g > estimate_change(*visits(), p).change.se_g


def test_a_change_survives_its_document():
    change = estimate_change(*visits(), plan(2, 3))
    assert change_from_doc(to_doc(change)) == change


@pytest.mark.parametrize(
    ("code", "spoil"),
    [
        ("change.tree_not_accounted_for", lambda f, z: (f, with_trees(z, z.inventory.trees[1:]))),
        (
            "change.sample_plot_untagged",
            lambda f, z: (
                f,
                replace(
                    z,
                    survey=replace(
                        z.survey, sample_plots=tuple(replace(s, tagged=False) for s in z.survey.sample_plots)
                    ),
                ),
            ),
        ),
        (
            "change.plots_differ_from_plan",
            lambda f, z: (f, replace(z, survey=replace(z.survey, plots=z.survey.plots[:1]))),
        ),
        ("change.dates", lambda f, z: (z, f)),
    ],
)
def test_a_pair_that_cannot_be_compared_is_refused_by_name(code, spoil):
    with pytest.raises(Refusal) as caught:
        estimate_change(*spoil(*visits()), plan(2, 3))
    assert code in caught.value.codes


def test_a_purposive_sample_gives_a_figure_but_no_claim():
    first, last = visits()
    purposive = replace(plan(2, 3), design="purposive")
    change = estimate_change(first, last, purposive)
    assert not change.creditable
    assert "change.purposive_sample_interval_not_valid" in change.flags


def tree_list(rows):
    columns = list(zip(*rows, strict=True))
    texts = [np.array(c) for c in columns[:4]]
    numbers = [np.array(c, dtype=np.int32) for c in columns[4:]]
    return TreeList(*texts, *numbers, np.zeros(len(rows), dtype=np.int32))


def measured(first_row, last_row):
    """Two visits whose tree lists hold one tree each beside the stocks of the square stand."""
    first, last = visits()
    pair = []
    for visit, row in ((first, first_row), (last, last_row)):
        rows = [("P0-S0", *row)] if row else [("P0-S0", "0", "hinoki", "alive", 200, 15_000)]
        pair.append(replace(visit, survey=replace(visit.survey, trees=tree_list(rows))))
    return pair


@pytest.mark.parametrize(
    ("code", "before", "after"),
    [
        ("change.dbh_jump", ("1", "hinoki", "alive", 171, 12_000), ("1", "hinoki", "alive", 711, 13_000)),
        ("change.dbh_jump", ("1", "hinoki", "alive", 271, 12_000), ("1", "hinoki", "alive", 191, 13_000)),
        ("change.height_jump", ("1", "hinoki", "alive", 171, 12_000), ("1", "hinoki", "alive", 190, 32_000)),
        (
            "change.species_changed",
            ("1", "hinoki", "alive", 171, 12_000),
            ("1", "sugi", "alive", 180, 13_000),
        ),
        (
            "change.tree_stands_again",
            ("1", "hinoki", "dead", 171, 12_000),
            ("1", "hinoki", "alive", 180, 13_000),
        ),
        ("change.new_tag_on_old_tree", None, ("9", "hinoki", "alive", 180, 13_000)),
    ],
)
def test_a_tree_that_cannot_have_grown_so_is_refused_and_named(code, before, after):
    with pytest.raises(Refusal) as caught:
        estimate_change(*measured(before, after), plan(2, 3))
    (problem,) = caught.value.problems
    assert problem.code == code
    assert "P0-S0" in problem.where and f"tag {after[0]}" in problem.where


def test_a_fast_grower_a_thin_recruit_and_a_broken_top_are_trees_like_any_other():
    for before, after in (
        (("1", "hinoki", "alive", 171, 12_000), ("1", "hinoki", "alive", 250, 17_000)),
        (("1", "hinoki", "alive", 171, 12_000), ("1", "hinoki", "alive", 171, 4_000)),
        (None, ("9", "hinoki", "alive", 90, 7_000)),
        # its height was left blank at the first date
        (("1", "hinoki", "alive", 250, 0), ("1", "hinoki", "alive", 260, 19_000)),
    ):
        assert estimate_change(*measured(before, after), plan(2, 3)).change.total_g > 0


def spoil_plan(**values):
    return replace(plan(2, 3), **values)


@pytest.mark.parametrize(
    "other",
    [
        spoil_plan(first_survey_id="another"),
        spoil_plan(project_id="another"),
        spoil_plan(sample_plots={k: v for k, v in plan(2, 3).sample_plots.items() if not k.endswith("S2")}),
        spoil_plan(sample_plots=dict.fromkeys(plan(2, 3).sample_plots, "P0")),
        spoil_plan(treatments={"P0": "growing"}),
        spoil_plan(declared=replace(plan(2, 3).declared, field_height_bias_um=0)),
        spoil_plan(declared=replace(plan(2, 3).declared, shared_factor_cv_ppm={"hinoki": 0})),
    ],
    ids=[
        "first survey",
        "project",
        "fewer sample plots",
        "moved sample plots",
        "fewer plots",
        "no bias",
        "no factor error",
    ],
)
def test_a_plan_that_is_not_that_of_the_first_survey_is_refused(other):
    with pytest.raises(Refusal) as caught:
        estimate_change(*visits(), other)
    assert "plan.not_of_this_survey" in caught.value.codes


def test_plots_that_swap_their_ids_between_dates_are_refused():
    first, last = visits()
    a, b = last.survey.plots
    swapped = (replace(a, plot_id=b.plot_id), replace(b, plot_id=a.plot_id))
    with pytest.raises(Refusal) as caught:
        estimate_change(first, replace(last, survey=replace(last.survey, plots=swapped)), plan(2, 3))
    assert caught.value.codes.count("change.plot_is_another") == 2


def test_a_plot_of_which_little_was_flown_is_refused():
    first, last = visits()
    zones = tuple(replace(z, valid=z.pixels // 2) for z in last.canopy.plots)
    with pytest.raises(Refusal) as caught:
        estimate_change(first, replace(last, canopy=replace(last.canopy, plots=zones)), plan(2, 3))
    assert "change.no_canopy_in_zone" in caught.value.codes
