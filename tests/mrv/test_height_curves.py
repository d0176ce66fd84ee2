"""A survey's own height-diameter curves fill what nobody measured, one way at both dates, and point at what looks mistyped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from mrv.biomass import measure_inventory
from mrv.errors import Refusal
from mrv.height_curves import CurvePair, Pairs, odd_heights, species_curve
from mrv.results import inventory_from_doc, to_doc
from tests.mrv.measured_stand import PROJECT, TABLES, change_of, make_stand, visits_of


def pairs(n: int = 160, seed: int = 4) -> Pairs:
    rng = np.random.default_rng(seed)
    dbh_mm = rng.integers(90, 450, n).astype(np.int32)
    height_m = 30.0 * (1 - np.exp(-((dbh_mm / 220.0) ** 1.1))) + rng.normal(0, 0.8, n)
    plots = np.array([f"P{i % 8}" for i in range(n)])
    return Pairs(plots, dbh_mm, np.rint(height_m * 1000).astype(np.int32))


def without(of: Pairs, blank: np.ndarray) -> Pairs:
    return replace(of, height_mm=np.where(blank, 0, of.height_mm).astype(np.int32))


def test_heights_nobody_measured_come_from_the_curve():
    known = pairs()
    blank = np.arange(160) % 3 == 0
    curve = species_curve(without(known, blank))
    filled = CurvePair(curve, None).fill(known.sample_plot_id[blank], known.dbh_mm[blank])
    error_mm = filled.height_mm - known.height_mm[blank]
    assert np.sqrt(np.mean(error_mm**2)) < 1000 and abs(error_mm.mean()) < 300
    assert curve.curve.pairs == 106 and len(curve.displacements) == 8


def test_a_species_with_few_heights_or_few_sample_plots_has_no_curve():
    known = pairs()
    with pytest.raises(OutOfRange, match=r"10 measured heights on 3 sample plots or more .*, got 9 on 8"):
        species_curve(without(known, np.arange(160) >= 9))
    assert species_curve(without(known, np.arange(160) % 8 > 1)).curve.pairs == 40, "20 on each of two"
    with pytest.raises(OutOfRange, match="got 19 on 2"):
        species_curve(without(known, (np.arange(160) % 8 > 1) | (np.arange(160) >= 73)))
    with pytest.raises(OutOfRange, match="got 20 on 1"):
        species_curve(without(known, np.arange(160) % 8 > 0))


def test_a_better_site_stays_a_better_site():
    known = pairs()
    site = np.where(known.sample_plot_id == "P3", 1.15, 1.0)
    known = replace(known, height_mm=np.rint(known.height_mm * site).astype(np.int32))
    blank = np.arange(160) // 8 % 2 == 0
    curve = species_curve(without(known, blank))
    assert curve.factors_ppm["P3"] > 1_080_000
    filled = CurvePair(curve, None).fill(known.sample_plot_id[blank], known.dbh_mm[blank])
    error = filled.height_mm - known.height_mm[blank]
    assert abs(error[known.sample_plot_id[blank] == "P3"].mean()) < 600


def test_three_heights_on_a_sample_plot_give_it_no_factor_and_four_do():
    known = pairs()
    few = (known.sample_plot_id == "P0") & (np.cumsum(known.sample_plot_id == "P0") > 3)
    assert "P0" not in species_curve(without(known, few)).factors_ppm
    few &= np.cumsum(known.sample_plot_id == "P0") > 4
    assert "P0" in species_curve(without(known, few)).factors_ppm


def test_whether_a_sample_plot_has_a_factor_is_settled_at_the_first_date():
    known = pairs()
    plots, dbh = np.array(["P0", "P1"]), np.array([250, 250], dtype=np.int32)
    of_p0 = known.sample_plot_id == "P0"
    few = of_p0 & (np.cumsum(of_p0) > 3)
    whole, gapped = species_curve(known), species_curve(without(known, few))
    bare = CurvePair(replace(whole, factors_ppm={}), None).fill(plots, dbh).height_mm
    gained = CurvePair(whole, gapped).fill(plots, dbh).height_mm
    assert gained[0] == bare[0], "a factor gained at the last date alone would show as growth"
    lost = CurvePair(gapped, whole).fill(plots, dbh)
    grown = CurvePair(gapped, whole).grow(plots, dbh, dbh - 10, bare)
    curve_mm = CurvePair(replace(gapped, factors_ppm={}), None).fill(plots, dbh).height_mm
    assert lost.height_mm[0] == round(int(curve_mm[0]) * whole.factors_ppm["P0"] / 1e6)
    assert grown.height_mm[0] == pytest.approx(bare[0] * curve_mm[0] / curve_mm[0], rel=0.05)


@pytest.mark.parametrize("form", ["log1", "log2", "weibull", "michaelis"])
def test_slopes_are_those_of_a_curve_with_a_coefficient_moved(form):
    known = pairs()
    gaps = [np.random.default_rng(k).random(160) < 0.4 for k in (1, 2)]
    first = species_curve(without(known, gaps[0]), form)
    later = replace(known, height_mm=known.height_mm + 900)
    now = species_curve(without(later, gaps[1]), form)
    plots, dbh = known.sample_plot_id[:40], known.dbh_mm[:40]
    whole = CurvePair(now, first).grow(plots, dbh, dbh - 12, known.height_mm[:40])

    def moved(of, pairs_of, k):
        """The curve with a coefficient moved, its sample plots' factors made anew."""
        step = 1e-3 * of.curve.coefficients[k]
        coefficients = tuple(c + step * (i == k) for i, c in enumerate(of.curve.coefficients))
        curve = replace(of.curve, coefficients=coefficients)
        bare = CurvePair(replace(of, curve=curve, factors_ppm={}), None)
        mine = pairs_of.of(pairs_of.measured)
        factors = {}
        for plot in of.factors_ppm:
            here = mine.of(mine.sample_plot_id == plot)
            fitted = bare.fill(here.sample_plot_id, here.dbh_mm).height_mm
            square = here.dbh_mm.astype(float) ** 2
            factors[plot] = round(1e6 * (square * here.height_mm).sum() / (square * fitted).sum())
        return replace(of, curve=curve, factors_ppm=factors), step

    for k in range(len(now.curve.coefficients)):
        other, step = moved(now, without(later, gaps[1]), k)
        rise = CurvePair(other, first).grow(plots, dbh, dbh - 12, known.height_mm[:40]).height_mm
        assert (rise - whole.height_mm) / 1000 == pytest.approx(whole.slopes[:, k] * step, abs=0.004)
        other, step = moved(first, without(known, gaps[0]), k)
        rise = CurvePair(now, other).grow(plots, dbh, dbh - 12, known.height_mm[:40]).height_mm
        assert (rise - whole.height_mm) / 1000 == pytest.approx(whole.first_slopes[:, k] * step, abs=0.004)


def test_a_height_typed_with_a_slipped_point_is_odd_and_the_rest_is_not():
    known = pairs()
    known.height_mm[40] *= 3
    assert np.flatnonzero(odd_heights(known, species_curve(known).curve)).tolist() == [40]


# -- two dates ---------------------------------------------------------------------------------------------------------------


def sources(visit) -> list[str]:
    return [t.height_source for t in visit.inventory.trees]


def test_all_heights_measured_leave_no_curve_and_no_variance_of_one():
    stand = make_stand(1)
    none = np.zeros(stand.sample_plot_id.size, dtype=bool)
    visits = visits_of(stand, none, none)
    assert all(v.inventory.curves == () for v in visits)
    assert {s for v in visits for s in sources(v)} == {"measured"}
    change = change_of(stand, visits)
    assert set(change.variance_parts_g2) == {
        "sampling",
        "shared_factors",
        "field_height_bias",
        "field_dbh_bias",
    }


def test_a_height_comes_one_way_at_both_dates():
    stand = make_stand(1)
    n = stand.sample_plot_id.size
    first, last = visits_of(stand, np.arange(n) % 4 >= 2, np.arange(n) % 2 == 1)
    assert sources(first)[:4] == ["measured", "measured", "curve", "curve"]
    assert sources(last)[:4] == ["measured", "calibrated", "curve", "curve"]
    assert last.inventory.trees[2].height_mm != stand.height_mm[1][2], (
        "measured last only: on the curve at both"
    )
    (begun,), curves = first.inventory.curves, last.inventory.curves
    assert [(c.survey_id, c.basis, c.filled) for c in curves] == [
        ("last", "standing", 3 * n // 4),
        ("first", "survivors", n // 4),
    ]
    assert {c.form for c in curves} == {begun.form}, "the form of the first date is kept"
    assert begun.filled == n // 2 and begun.coefficients == curves[1].coefficients, "none was felled"


def test_thinning_that_takes_the_short_trees_is_not_booked_as_growth_of_those_that_stay():
    gaps, steps = [], []
    for seed in range(12):
        stand = make_stand(seed)
        n = stand.sample_plot_id.size
        known = Pairs(stand.sample_plot_id, stand.dbh_mm[0], stand.height_mm[0])
        on_curve = CurvePair(species_curve(known), None).fill(stand.sample_plot_id, stand.dbh_mm[0]).height_mm
        short = (stand.height_mm[0] < on_curve) & (np.random.default_rng(seed).random(n) < 0.7)
        blank = ~short & (np.random.default_rng([seed, 1]).random(n) < 0.5)
        _, last = visits_of(stand, np.zeros(n, dtype=bool), blank, felled=short)
        grown = np.array([t.height_mm for t in last.inventory.trees])[blank]
        assert {t.height_source for t in last.inventory.trees} == {"none", "measured", "calibrated"}
        gaps.append((grown / stand.height_mm[1][blank]).mean() - 1.0)
        steps.append((stand.height_mm[0][~short] / on_curve[~short]).mean() - 1.0)
    assert np.mean(steps) > 0.015, "what a first curve through the felled trees too would have added"
    assert abs(np.mean(gaps)) < 0.004


def test_a_tall_tree_measured_first_only_keeps_being_tall_and_does_not_shrink():
    stand = make_stand(3)
    n = stand.sample_plot_id.size
    none, half = np.zeros(n, dtype=bool), np.random.default_rng(1).random(n) < 0.5
    first, last = visits_of(stand, none, half)
    curve_growth = []
    for before, now in zip(first.inventory.trees, last.inventory.trees, strict=True):
        if now.height_source == "calibrated":
            curve_growth.append(now.height_mm / before.height_mm)
            assert now.co2_g >= before.co2_g
    assert min(curve_growth) >= 1.0 and len(curve_growth) == half.sum()
    known = (stand.height_mm[1] / stand.height_mm[0])[half].mean()
    assert np.mean(curve_growth) == pytest.approx(known, rel=0.01)
    bare = CurvePair(
        species_curve(Pairs(stand.sample_plot_id, stand.dbh_mm[1], np.where(half, 0, stand.height_mm[1]))),
        None,
    )
    switched = bare.fill(stand.sample_plot_id[half], stand.dbh_mm[1][half]).height_mm
    assert (switched < stand.height_mm[0][half]).mean() > 0.05, (
        "what switching to the bare curve would have shrunk"
    )


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.0, 0.8), st.floats(0.0, 0.8))
def test_a_tree_that_grew_on_the_curve_grew_in_carbon_whatever_was_measured(seed, share_first, share_last):
    stand = make_stand(seed, samples=4, trees=14)
    rng = np.random.default_rng(seed)
    masks = [rng.random(stand.sample_plot_id.size) < share for share in (share_first, share_last)]
    try:
        first, last = visits_of(stand, *masks)
    except OutOfRange:
        return  # too few heights left; intake refuses such a list
    for before, now in zip(first.inventory.trees, last.inventory.trees, strict=True):
        assert (before.height_source, now.height_source) in {
            ("measured", "measured"),
            ("measured", "calibrated"),
            ("curve", "curve"),
        }
        if now.height_mm >= before.height_mm:
            assert now.co2_g >= before.co2_g


def test_where_the_first_date_has_too_few_heights_no_growth_is_claimed_for_a_tree_left_out_last():
    stand = make_stand(2, plots=1, samples=4, trees=12)
    n = stand.sample_plot_id.size
    visits = visits_of(stand, np.zeros(n, dtype=bool), np.arange(n) % 5 == 0)
    few = replace(visits[0].inventory, trees=visits[0].inventory.trees[::10])
    assert len(few.trees) == 5
    last = measure_inventory(visits[1].survey, PROJECT, TABLES, few)
    kept = [t for t in last.trees if t.height_source == "kept"]
    assert kept and all(
        t.height_mm == next(b.height_mm for b in few.trees if b.tag == t.tag) and t.curve_slopes_g == ()
        for t in kept
    )


def test_a_last_date_that_measures_only_trees_that_were_tall_for_their_diameter_is_refused():
    stand = make_stand(4)
    n = stand.sample_plot_id.size
    known = Pairs(stand.sample_plot_id, stand.dbh_mm[0], stand.height_mm[0])
    above = stand.height_mm[0] > CurvePair(species_curve(known), None).fill(*stand_columns(stand)).height_mm
    with pytest.raises(Refusal) as refusal:
        visits_of(stand, np.zeros(n, dtype=bool), ~above)
    assert refusal.value.codes == ("change.heights_of_taller_trees",)
    assert "above the others at the first date" in refusal.value.en and "高い" in refusal.value.ja
    visits_of(stand, np.zeros(n, dtype=bool), above)  # only short ones: growth is hidden, none invented
    visits_of(
        stand, np.zeros(n, dtype=bool), stand.dbh_mm[0] < 220
    )  # only thick ones: as tall as thick trees are


def stand_columns(stand):
    return stand.sample_plot_id, stand.dbh_mm[0]


def test_an_inventory_with_curves_survives_its_document():
    stand = make_stand(1)
    n = stand.sample_plot_id.size
    for visit in visits_of(stand, np.arange(n) % 2 == 0, np.arange(n) % 3 == 0):
        assert inventory_from_doc(to_doc(visit.inventory)) == visit.inventory


PATTERNS = {
    "the same half at both dates": lambda n, rng: (rng.random(n) < 0.5,) * 2,
    "any half at each date": lambda n, rng: (rng.random(n) < 0.5, rng.random(n) < 0.5),
    "half at the last date only": lambda n, rng: (np.zeros(n, dtype=bool), rng.random(n) < 0.5),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_filled_change_is_that_of_all_heights_measured_on_average(pattern):
    """Thirty stands; the difference between filled and fully measured change is small beside its own scatter, and unbiased."""
    gaps, known = [], []
    for seed in range(30):
        stand = make_stand(seed)
        n = stand.sample_plot_id.size
        none = np.zeros(n, dtype=bool)
        masks = PATTERNS[pattern](n, np.random.default_rng([seed, 3]))
        totals = [
            sum(t.co2_g for t in last.inventory.trees) - sum(t.co2_g for t in first.inventory.trees)
            for first, last in (visits_of(stand, none, none), visits_of(stand, *masks))
        ]
        gaps.append(totals[1] - totals[0])
        known.append(totals[0])
    bias, error = np.mean(gaps) / np.mean(known), np.std(gaps) / np.mean(known) / 30**0.5
    assert abs(bias) < 3 * error + 0.001 and error < 0.012


def test_the_error_of_the_curve_enters_the_interval_and_is_a_part_of_its_own():
    stand = make_stand(5)
    n = stand.sample_plot_id.size
    blank = np.arange(n) % 20 >= 3  # three heights on every sample plot: no factors, all on the shared curve
    change = change_of(stand, visits_of(stand, blank, blank))
    part = int(change.variance_parts_g2["height_curve"])
    assert part > 0
    rest = sum(int(v) for k, v in change.variance_parts_g2.items() if k != "height_curve")
    assert change.change.se_g == pytest.approx((rest + part) ** 0.5, rel=1e-6)
    known = change_of(stand, visits_of(stand, *[np.zeros(n, dtype=bool)] * 2))
    assert set(known.variance_parts_g2) < set(change.variance_parts_g2)
