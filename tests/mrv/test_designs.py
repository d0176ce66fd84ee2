"""The plan's sampling design decides the estimator; plots get small-area figures; what contradicts the plan is refused."""

from __future__ import annotations

import random
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from mrv.change import estimate_change
from mrv.credits import make_claim, method_digest
from mrv.errors import ClaimRefused, Refusal
from mrv.estimate_checks import with_design
from mrv.project import DESIGN_TEXTS, MonitoringPlan, knows_method, planned_design
from mrv.results import History, change_from_doc, digest_result, to_doc
from tests.mrv.stand_of_squares import PROJECT, plan, visits, with_trees

WHOLE = ("srs", "systematic", "two_phase")


def of_design(visit, design, manifest=None):
    return replace(visit, survey=replace(visit.survey, design=design, manifest=manifest or {}))


def pair(design, plots=2, samples=4, seed=1, **more):
    """Two visits and the plan that the first one's design makes."""
    first, last = (of_design(v, design) for v in visits(plots=plots, samples=samples, seed=seed, **more))
    made = replace(plan(plots, samples), design=DESIGN_TEXTS[design])
    return first, last, made


def pps_pair(probability, plots=2, samples=4):
    first, last, made = pair("pps", plots, samples)
    return first, last, replace(made, draw_probabilities=probability(sorted(made.sample_plots)))


def without_samples_in(visit, plot_id):
    """The visit as if no sample plot had been drawn in a plot."""
    keep = tuple(s for s in visit.survey.sample_plots if s.plot_id != plot_id)
    ids = {s.sample_plot_id for s in keep}
    trees = tuple(t for t in visit.inventory.trees if t.sample_plot_id in ids)
    zones = tuple(z for z in visit.canopy.sample_plots if z.zone_id in ids)
    return with_trees(
        replace(
            visit,
            survey=replace(visit.survey, sample_plots=keep),
            canopy=replace(visit.canopy, sample_plots=zones),
        ),
        trees,
    )


def with_empty_plot(design, plots=3, samples=4):
    first, last, made = pair(design, plots, samples)
    hold = {s: p for s, p in made.sample_plots.items() if p != "P1"}
    return without_samples_in(first, "P1"), without_samples_in(last, "P1"), replace(made, sample_plots=hold)


@pytest.mark.parametrize("design", WHOLE)
def test_one_sample_over_the_project_is_a_regression_estimator_that_says_so(design):
    change = estimate_change(*pair(design))
    assert change.design == design and change.method == "paired_regression"
    assert change.estimator == ("two_phase_exhaustive" if design == "two_phase" else "greg")
    assert change.interval_valid and change.creditable and change.parameters == 2
    assert "GREG" in change.reason_en and "GREG" in change.reason_ja
    assert change.change.df >= 6


def test_a_stratified_change_says_so_and_gives_each_plot_its_direct_figure():
    change = estimate_change(*pair("stratified"))
    assert (change.design, change.estimator) == ("stratified", "stratified_regression")
    for p in change.plots:
        assert (p.small_area.greg_g, p.small_area.greg_se_g) == (p.change.total_g, p.change.se_g)


@pytest.mark.parametrize("design", ["stratified", *WHOLE])
def test_the_project_is_the_sum_of_its_plots_components_and_adjusted_small_areas_to_the_gram(design):
    change = estimate_change(*pair(design, plots=3))
    total = change.change.total_g
    assert total == sum(p.change.total_g for p in change.plots) == sum(change.components_g.values())
    assert total == sum(p.small_area.adjusted_g for p in change.plots)
    for p in change.plots:
        assert p.change.total_g == sum(p.components_g.values())


def test_a_plot_without_sample_plots_gets_the_models_figure_under_a_random_design():
    change = estimate_change(*with_empty_plot("srs"))
    empty = change.plots[1]
    assert empty.sample_plots == empty.small_area.sample_plots == 0
    assert empty.small_area.greg_g is None and empty.small_area.own_weight_ppm == 0
    assert empty.small_area.eblup_g == empty.small_area.synthetic_g
    assert abs(empty.change.total_g - empty.small_area.adjusted_g) <= 2  # grams: rounded one by one
    assert empty.change.se_g > 0 and sum(empty.components_g.values()) == empty.change.total_g
    assert change.change.total_g == sum(p.change.total_g for p in change.plots)


def test_a_plot_without_sample_plots_is_named_under_a_stratified_plan_and_the_way_out_is_told():
    with pytest.raises(Refusal, match="plot P1") as caught:
        estimate_change(*with_empty_plot("stratified"))
    assert caught.value.codes == ("plan.plot_without_sample_plot",)
    assert '"srs"' in caught.value.en and "srs" in caught.value.ja


def test_the_project_total_of_a_random_sample_is_area_times_the_regression_at_the_mean_canopy():
    first, last, made = pair("srs")
    change = estimate_change(first, last, made)
    xs, ys = [], []
    for s in sorted(made.sample_plots):
        height = [next(z for z in v.canopy.sample_plots if z.zone_id == s) for v in (first, last)]
        xs.append((height[1].sum_mm - height[0].sum_mm) / 1600)
        stock = [sum(t.co2_g for t in v.inventory.trees if t.sample_plot_id == s) for v in (first, last)]
        ys.append((stock[1] - stock[0]) / 400.0)
    n, mx, my = len(xs), sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - mx) * (y - my) for x, y in zip(xs, ys, strict=True)) / sum((x - mx) ** 2 for x in xs)
    assert change.change.total_g == pytest.approx(20_000 * (my + slope * (1000 - mx)), abs=2)
    assert n == 8


def test_equal_draw_probabilities_are_a_simple_random_sample():
    # every one of the 50 cells of 400 m² equally likely
    change = estimate_change(*pps_pair(lambda ids: dict.fromkeys(ids, "1/50")))
    plain = estimate_change(*pair("srs"))
    assert (change.method, change.estimator) == ("paired_pps_regression", "pps")
    assert change.change.total_g == plain.change.total_g
    assert [p.change.total_g for p in change.plots] == [p.change.total_g for p in plain.plots]


def test_unequal_probabilities_move_the_figure():
    uneven = estimate_change(*pps_pair(lambda ids: {s: f"1/{40 + 5 * k}" for k, s in enumerate(ids)}))
    assert uneven.change.total_g != estimate_change(*pair("srs")).change.total_g
    assert uneven.interval_valid and "Hansen-Hurwitz" in uneven.reason_en


@pytest.mark.parametrize(
    "spoil",
    [
        lambda ids: {},
        lambda ids: dict.fromkeys(ids[1:], "1/50"),
        lambda ids: dict.fromkeys([*ids, "P9-S9"], "1/50"),
        lambda ids: {**dict.fromkeys(ids, "1/50"), ids[0]: "0"},
        lambda ids: {**dict.fromkeys(ids, "1/50"), ids[0]: "often"},
        lambda ids: dict.fromkeys(ids, "8/50"),
    ],
    ids=["none", "one missing", "one too many", "zero", "a word", "inclusion for draw probabilities"],
)
def test_probabilities_that_are_missing_or_cannot_be_are_refused(spoil):
    with pytest.raises(Refusal) as caught:
        estimate_change(*pps_pair(spoil))
    assert set(caught.value.codes) == {"plan.draw_probability"}


def test_a_last_survey_may_not_change_the_probabilities():
    first, last, made = pps_pair(lambda ids: dict.fromkeys(ids, "1/50"))
    same = {"design": {"draw_probability": dict.fromkeys(made.sample_plots, "0.02")}}
    assert estimate_change(first, of_design(last, "pps", same), made).creditable
    other = {"design": {"draw_probability": {**same["design"]["draw_probability"], "P0-S0": "0.03"}}}
    with pytest.raises(Refusal, match="P0-S0"):
        estimate_change(first, of_design(last, "pps", other), made)


@pytest.mark.parametrize(("which", "says"), [(0, "srs"), (1, "srs"), (1, "purposive"), (1, "pps")])
def test_a_survey_that_contradicts_the_plan_is_refused(which, says):
    first, last, made = pair("stratified")
    both = [first, last]
    both[which] = of_design(both[which], says)
    with pytest.raises(Refusal) as caught:
        estimate_change(*both, made)
    assert caught.value.codes == ("change.design_contradicts_plan",)


def test_a_last_survey_that_says_nothing_of_its_design_is_held_to_the_plan():
    first, last, made = pair("srs")
    assert estimate_change(first, of_design(last, "none"), made).creditable


@pytest.mark.parametrize("says", ["purposive", "none"])
def test_a_first_survey_without_a_probability_sample_is_never_creditable_whatever_the_plan_says(says):
    for design in DESIGN_TEXTS:
        first, last, made = pair(design)
        if design == "pps":
            made = replace(made, draw_probabilities=dict.fromkeys(made.sample_plots, "1/50"))
        change = estimate_change(of_design(first, says), of_design(last, "none"), made)
        assert not change.creditable and not change.interval_valid and change.design == "purposive"
        assert "NOT VALID" in change.reason_en and "無効" in change.reason_ja
        with pytest.raises(ClaimRefused) as caught:
            make_claim(PROJECT, made, change, History(), ("24209-001-0",))
        assert "claim.design_not_creditable" in [r.code for r in caught.value.reasons]


def test_a_creditable_change_without_a_valid_interval_cannot_be_made():
    with pytest.raises(ValueError, match="valid interval"):
        replace(estimate_change(*pair("srs")), interval_valid=False)


def test_an_unknown_design_is_refused_and_the_known_ones_are_told():
    first, last, made = pair("stratified")
    with pytest.raises(Refusal, match="srs") as caught:
        estimate_change(first, last, replace(made, design="where we liked it"))
    assert "plan.design_unknown" in caught.value.codes


def test_three_sample_plots_are_too_few_for_a_regression_over_the_project():
    with pytest.raises(Refusal) as caught:
        estimate_change(*pair("srs", plots=1, samples=3))
    assert caught.value.codes == ("plan.too_few_sample_plots",)
    with pytest.raises(OutOfRange):
        estimate_change(*pair("stratified", plots=2, samples=1))


@pytest.mark.parametrize("design", ["stratified", "srs"])
def test_the_order_of_trees_sample_plots_and_zones_leaves_the_digest(design):
    first, last, made = pair(design, plots=3)
    rng = random.Random(4)

    def shuffled(values):
        return tuple(rng.sample(list(values), len(values)))

    def mixed(visit):
        survey = replace(visit.survey, sample_plots=shuffled(visit.survey.sample_plots))
        canopy = replace(
            visit.canopy,
            plots=shuffled(visit.canopy.plots),
            sample_plots=shuffled(visit.canopy.sample_plots),
        )
        return with_trees(replace(visit, survey=survey, canopy=canopy), shuffled(visit.inventory.trees))

    assert digest_result(estimate_change(first, last, made)) == digest_result(
        estimate_change(mixed(first), mixed(last), made)
    )


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 500), st.sampled_from(["stratified", "srs"]), st.integers(2, 5))
def test_trees_with_twice_the_carbon_change_twice_as_much(seed, design, factor):
    first, last, made = pair(design, seed=seed)

    def scaled(visit):
        names = ("co2_g", "co2_per_m_height_g", "co2_per_cm_dbh_g")
        return with_trees(
            visit,
            tuple(replace(t, **{n: factor * getattr(t, n) for n in names}) for t in visit.inventory.trees),
        )

    before = estimate_change(first, last, made)
    after = estimate_change(scaled(first), scaled(last), made)
    plots = len(before.plots)
    assert abs(after.change.total_g - factor * before.change.total_g) <= factor * plots
    assert abs(after.change.se_g - factor * before.change.se_g) <= factor
    assert after.change.df == before.change.df


def test_a_plot_more_without_sample_plots_adds_its_model_figure_to_a_random_sample():
    small = estimate_change(*pair("srs", plots=2))
    more = with_empty_plot("srs", plots=3)
    found = estimate_change(*more)
    # same heights everywhere: the plot that was added holds half as much again
    assert found.change.total_g == pytest.approx(1.5 * small.change.total_g, rel=0.05)


def test_a_change_survives_its_document_and_an_older_one_gets_what_it_can():
    change = estimate_change(*with_empty_plot("srs"))
    assert change_from_doc(to_doc(change)) == change
    new = (
        "design",
        "estimator",
        "interval_valid",
        "reason_en",
        "reason_ja",
        "parameters",
        "small_area_model",
    )
    for design, valid in (("stratified", True), ("purposive", False)):
        doc = to_doc(estimate_change(*pair(design)))
        old = {k: v for k, v in doc.items() if k not in new}
        old["plots"] = [{k: v for k, v in p.items() if k != "small_area"} for p in old["plots"]]
        found = change_from_doc(old)
        assert found.interval_valid is valid and found.design == "" and found.plots[0].small_area is None


def test_every_design_is_a_method_of_its_own_and_a_plan_of_the_first_version_keeps_its_digest():
    plans = [replace(plan(2, 3), design=text) for text in DESIGN_TEXTS.values()]
    assert len({method_digest(p) for p in plans}) == len(plans)
    assert all(knows_method(p) for p in plans) and not knows_method(replace(plan(2, 3), design="other"))
    assert "draw_probabilities" not in plan(2, 3).to_doc()
    assert [planned_design(p) for p in plans] == list(DESIGN_TEXTS)
    assert planned_design(replace(plan(2, 3), design="random")) == "srs"


def test_a_plan_is_made_with_the_design_of_its_first_survey_and_survives_its_document():
    stated = {
        "design": {"kind": "pps", "inclusion_probability": dict.fromkeys(plan(2, 4).sample_plots, 0.16)}
    }
    first = of_design(visits(plots=2, samples=4)[0], "pps", stated)
    made = with_design(plan(2, 4), first.survey)
    assert planned_design(made) == "pps"
    assert set(made.draw_probabilities.values()) == {str(Fraction(16, 100) / 8)}
    assert MonitoringPlan.from_doc(made.to_doc()) == made
    for design in ("stratified", "srs", "purposive", "none"):
        assert planned_design(with_design(plan(2, 3), of_design(first, design).survey)) == design
    with pytest.raises(Refusal, match=r"draw_probability"):
        with_design(plan(2, 4), of_design(first, "pps").survey)
