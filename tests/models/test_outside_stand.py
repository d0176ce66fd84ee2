"""Stand science against printed figures: all 273 volume equations, density diagrams, IPCC methods."""

from __future__ import annotations

import csv
from fractions import Fraction
from math import log10, pi, sqrt

import numpy as np
import pytest

from models.biomass import co2_g
from models.breaks import BreakSettings, detect_break, normalised_difference
from models.errors import OutOfRange
from models.growth import (
    full_stems_ha,
    grow,
    stand_state,
    stems_at_yield_index,
    surviving_stems_ha,
    volume_m3_ha,
)
from models.ipcc import (
    CO2_PER_CARBON,
    disturbance_t_c,
    gain_loss_t_c,
    gain_t_c,
    removal_t_c,
    root_shoot_ratio,
    stock_difference_t_c,
    stock_t_c,
)
from models.thinning import FelledShare, felled_share, felled_trees, grown, thinned, thinned_from_below
from models.volume import stem_volume_cm3
from models.yield_table import YieldRow, YieldTable, site_class_of
from models.young_stand import Planting, young_stand
from mrv.tables import load_tables

TABLES = load_tables()
KINKI_HINOKI = TABLES.diagrams["south-kinki-shikoku", "hinoki"]
CURVE = TABLES.height_curves["hinoki", 2]
NAN = float("nan")


def printed(row: dict[str, str], d_cm: float, h_m: float) -> float:
    """Volume, m³, as the table's own row says, by plain arithmetic."""
    d = d_cm if row["dbh_unit_in_terms"] == "cm" else d_cm / 100
    terms = {"const": 1.0, "log10_d": log10(d), "log10_h": log10(h_m), "log10_d2h": log10(d * d * h_m),
             "h": h_m, "d2": d * d, "d2h": d * d * h_m}  # fmt: skip
    total = sum(float(v) * terms[k] for k, v in (t.split("=") for t in row["terms"].split()))
    return 10**total if row["left_side"] == "log10_v" else total


def test_every_one_of_the_273_rows_gives_its_volume_through_the_public_function(shared_data):
    """Forestry Agency 1970 with the corrections of Hosoda et al. 2010, as in the reference folder; at both ends and inside each class."""
    with (shared_data.parent / "reference" / "stem_volume_equations.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 273
    for row in rows:
        equations = TABLES.equations[row["region"], row["species"]]
        low = round(float(row["dbh_from_cm"]) * 10)
        high = round(float(row["dbh_below_cm"]) * 10) if row["dbh_below_cm"] else low + 300
        for dbh_mm in {max(low, 40), max((low + high) // 2, 40), high - 1}:
            for height_mm in (8_000, 17_300):
                found = int(stem_volume_cm3(equations, np.array([dbh_mm]), np.array([height_mm]))[0])
                expected = max(round(printed(row, dbh_mm / 10, height_mm / 1000) * 1e6), 0)
                assert abs(found - expected) <= 1, (row, dbh_mm, height_mm)


@pytest.mark.parametrize(
    ("region", "species", "d_cm", "h_m", "a", "b", "c"),
    [
        ("tokyo", "sugi", 15.1, 20.2, -4.219069, 1.849344, 1.008086),
        ("tokyo", "sugi", 41.0, 26.0, -3.921218, 1.600066, 1.075361),
        ("tokyo", "hinoki", 20.9, 16.0, -4.354186, 1.867405, 1.108487),
        ("osaka", "sugi", 30.0, 22.0, -4.19207, 1.82696, 0.99227),
        ("osaka", "hinoki", 26.0, 18.0, -4.31101, 1.83546, 1.10655),
        ("osaka", "akamatsu", 11.0, 9.0, -4.10009, 1.814939, 0.91831),
    ],
)  # fmt: skip
def test_tokyo_and_osaka_as_the_reference_prints_them(region, species, d_cm, h_m, a, b, c):
    found = stem_volume_cm3(
        TABLES.equations[region, species], np.array([round(d_cm * 10)]), np.array([round(h_m * 1000)])
    )
    assert found[0] == pytest.approx(10 ** (a + b * log10(d_cm) + c * log10(h_m)) * 1e6, abs=1)


def test_the_step_of_tokyo_sugi_at_41_cm_is_the_two_percent_the_reference_warns_of():
    sugi = TABLES.equations["tokyo", "sugi"]
    below, at = stem_volume_cm3(sugi, np.array([409, 410]), np.array([26_000, 26_000]))
    kept = stem_volume_cm3(sugi, np.array([410]), np.array([26_000]), np.array([2]))[0]
    assert 0.015 < 1 - at / kept < 0.025 and kept > below


DIAGRAMS = {  # reference, section 3: b1, e1, b2, e2, k, h0, h1, h2
    ("uratohoku-hokuriku", "sugi"): (0.060047, -1.352337, 3747.3, -2.824828, 5.29374, 0.667196, 0.387485, 0.189979),
    ("south-kinki-shikoku", "sugi"): (0.074343, -1.388481, 5065.0, -2.900328, 5.38221, 1.273477, 0.36758, 0.140427),
    ("south-kinki-shikoku", "hinoki"): (0.053887, -1.183794, 7663.1, -3.20151, 5.992602, 0.320738, 0.437334, 0.153257),
    ("kanto-chugoku", "hinoki"): (0.035147, -1.080773, 4711.2, -2.922894, 5.7384, -0.052817, 0.472577, 0.123506),
}  # fmt: skip


@pytest.mark.parametrize("height_m", [8.0, 14.0, 20.0, 26.0])
@pytest.mark.parametrize("stems_ha", [400.0, 1000.0, 2500.0])
@pytest.mark.parametrize("key", DIAGRAMS)
def test_every_diagram_by_plain_arithmetic(key, height_m, stems_ha):
    b1, e1, b2, e2, k, h0, h1, h2 = DIAGRAMS[key]
    diagram = TABLES.diagrams[key]
    v = 1 / (b1 * height_m**e1 + b2 * height_m**e2 / stems_ha)
    full = 10 ** (k + (e2 - e1) * log10(height_m))
    v_full = 1 / (b1 * height_m**e1 + b2 * height_m**e2 / full)
    g = v / (h0 + h1 * height_m + h2 * sqrt(stems_ha) * height_m / 100)
    stand = stand_state(diagram, height_m, stems_ha)
    assert stand.volume_m3_ha == pytest.approx(v, rel=1e-12) and stand.yield_index == pytest.approx(
        v / v_full, rel=1e-12
    )
    assert stand.basal_area_m2_ha == pytest.approx(g, rel=1e-12)
    assert stand.mean_dbh_cm == pytest.approx(200 * sqrt(g / (pi * stems_ha)), rel=1e-12)
    assert full_stems_ha(diagram, height_m) == pytest.approx(full, rel=1e-12)


def test_sanity_figures_of_the_reference():
    hokuriku = stand_state(TABLES.diagrams["uratohoku-hokuriku", "sugi"], 20, 1000)
    assert (
        round(hokuriku.volume_m3_ha, 1),
        round(hokuriku.yield_index, 3),
        round(hokuriku.mean_dbh_cm, 2),
    ) == (544.5, 0.749, 26.85)
    kinki = stand_state(KINKI_HINOKI, 20, 1000)
    assert (round(kinki.volume_m3_ha, 1), round(kinki.yield_index, 3)) == (481.4, 0.856)


@pytest.mark.parametrize("bad", [NAN, float("inf"), None, "20", 0, -1])
def test_a_height_or_number_of_stems_that_is_none_is_refused_by_name(bad):
    for call in (
        lambda: stand_state(KINKI_HINOKI, bad, 1000),
        lambda: volume_m3_ha(KINKI_HINOKI, bad, 1000),
        lambda: full_stems_ha(KINKI_HINOKI, bad),
        lambda: stems_at_yield_index(KINKI_HINOKI, bad, 0.8),
    ):
        with pytest.raises(OutOfRange, match="height_m"):
            call()
    for call in (
        lambda: stand_state(KINKI_HINOKI, 20, bad),
        lambda: surviving_stems_ha(KINKI_HINOKI, 20, bad),
    ):
        with pytest.raises(OutOfRange, match="stems_ha"):
            call()
    with pytest.raises(OutOfRange, match="age_years"):
        grow(KINKI_HINOKI, CURVE, bad, 3, 1000)
    with pytest.raises(OutOfRange):
        grown(KINKI_HINOKI, stand_state(KINKI_HINOKI, 20, 1000), bad)
    if bad != 0:
        with pytest.raises(OutOfRange, match="age_years"):
            CURVE.height_m(bad)
        with pytest.raises(OutOfRange, match="age_years"):
            young_stand(KINKI_HINOKI, CURVE, Planting(3000, 0.98), bad)
        with pytest.raises(OutOfRange, match="years"):
            grow(KINKI_HINOKI, CURVE, 30, bad, 1000)
    with pytest.raises(OutOfRange, match="dominant_height_m"):
        site_class_of([CURVE], 40, bad)


def test_a_form_height_below_zero_is_refused_and_not_turned_into_a_negative_basal_area():
    low = TABLES.diagrams[next(k for k, d in TABLES.diagrams.items() if d.h0 < 0)]
    with pytest.raises(OutOfRange, match="form height"):
        stand_state(low, 0.05, 500)


def test_thinning_takes_lists_and_refuses_gaps_by_row():
    assert felled_trees([100, 300, 200], 1 / 3, "below").tolist() == [True, False, False]
    assert felled_trees([], 0.3, "below").size == 0
    for call, words in [
        (lambda: felled_trees([100, NAN, 200], 0.3, "below"), "row 2"),
        (lambda: felled_trees([100, -5, 200], 0.3, "below"), "row 2"),
        (lambda: felled_trees([100, 50, 200], 0.3, "below", weight=[1, NAN, 2]), "row 2"),
        (lambda: felled_trees([100, 50, 200], 0.3, "below", weight=[1, 2]), "3 rows"),
        (lambda: felled_trees([100, 50], 0.3, "sideways"), "sideways"),
        (lambda: felled_trees([100, 50], NAN, "below"), "nan"),
        (lambda: felled_share([True, False], [100, 200], [1.0, NAN]), "row 2"),
        (lambda: felled_share([True, False], [100, 200, 300], [1.0, 2.0, 3.0]), "2 rows"),
        (lambda: thinned(KINKI_HINOKI, stand_state(KINKI_HINOKI, 20, 1000), FelledShare(-0.1, 0.1, 0.1)), "leaves trees"),
        (lambda: thinned_from_below(KINKI_HINOKI, stand_state(KINKI_HINOKI, 20, 1000), NAN), "stem_ratio"),
    ]:  # fmt: skip
        with pytest.raises(OutOfRange, match=words):
            call()


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (YieldRow(20, NAN), "row 2 .*volume_m3_ha"),
        (YieldRow(NAN, 100), "row 2 .*age_years"),
        (YieldRow(20, -5), "row 2 .*volume_m3_ha"),
        (YieldRow(20, 100, None), "row 2 .*thinned_m3_ha"),
        (YieldRow(20, 100, 0, "12 m"), "row 2 .*height_m"),
    ],
)
def test_a_yield_table_s_gap_is_refused_by_row_and_column(row, words):
    with pytest.raises(OutOfRange, match=words):
        YieldTable("sugi", "r", 1, "t", (YieldRow(10, 50), row), "made", verified=False)


def test_volumes_that_are_no_whole_cm3_are_refused_and_not_cut_off():
    factors = TABLES.factors("mie", "hinoki")
    assert (
        co2_g([1_000_000.0, -2e6], factors, False).tolist()
        == co2_g([1_000_000, -2_000_000], factors, False).tolist()
    )
    for bad in (1.7, NAN, None, "x"):
        with pytest.raises(OutOfRange, match="row 2"):
            co2_g([1, bad], factors, True)
    with pytest.raises(OutOfRange, match="young"):
        co2_g([1, 2], factors, [True, False, True])


def test_series_that_are_no_series_are_refused():
    for call, words in [
        (lambda: detect_break([1, 2], [0.1, "x"], [True, True]), "numbers"),
        (lambda: detect_break([1, 2.5], [0.1, 0.2], [True, True]), "row 2"),
        (lambda: detect_break([1, 2], [0.1], [True]), "one length"),
        (lambda: normalised_difference([1, 2], [1, 2, 3]), "one shape"),
        (lambda: BreakSettings(consecutive=0), "consecutive"),
        (lambda: BreakSettings(threshold_sd=NAN), "threshold_sd"),
    ]:
        with pytest.raises(OutOfRange, match=words):
            call()
    assert detect_break([], [], []) is None and detect_break([1, 2], [0.5, NAN], [True, True]) is None


def test_stock_difference_and_gain_loss_agree_on_a_stand_that_grows_and_is_thinned():
    """IPCC 2006 equations 2.7 and 2.8: the same change whether stocks are subtracted or growth and removals booked."""
    bcef, root, carbon = 0.5, 0.26, 0.51
    before, after = (stock_t_c([10.0], [v], [bcef], [root], [carbon]) for v in (240.0, 252.0))
    growth, thinned_m3 = 9.0, 240.0  # m³/ha/yr over four years, m³ of 10 ha: 240 + 36 - 24 = 252
    gain = gain_t_c([10.0], [growth], [bcef], [root], [carbon])
    loss = removal_t_c([thinned_m3 / 4], [bcef], [root], [carbon])
    assert gain_loss_t_c(gain, loss) == pytest.approx(stock_difference_t_c(before, after, 4))


def test_hinoki_of_the_reference_by_the_ipcc_s_gains():
    """Reference, section 5: 9.6 m³/yr, BEF 1.24, R 0.26, D 0.407, CF 0.51 → 11.42 t-CO2/yr; rounded constants 11.17."""
    assert round(gain_t_c([1.0], [9.6], [1.24 * 0.407], [0.26], [0.51]) * CO2_PER_CARBON, 2) == 11.42
    assert round(gain_t_c([1.0], [9.6], [1.56 * 0.407], [0.0], [0.50]) * CO2_PER_CARBON, 2) == 11.17
    exact = co2_g([9_600_000], TABLES.factors("mie", "hinoki"), False)[0]
    assert exact == round(Fraction("9600000") * TABLES.factors("mie", "hinoki").co2_g_per_cm3(False))


def test_a_fire_takes_its_share_and_gaps_are_refused():
    assert disturbance_t_c([2.0], [100.0], [0.25], [0.5], [0.4]) == pytest.approx(2 * 100 * 1.25 * 0.5 * 0.4)
    for call, words in [
        (lambda: disturbance_t_c([2.0], [100.0], [0.25], [0.5], [1.4]), "row 1"),
        (lambda: stock_t_c([1.0, 2.0], [10.0, NAN], [1, 1], [0, 0], [0.5, 0.5]), "row 2"),
        (lambda: stock_t_c([1.0, -2.0], [10.0, 9.0], [1, 1], [0, 0], [0.5, 0.5]), "row 2"),
        (lambda: stock_difference_t_c(1.0, 2.0, 0.0), "years"),
        (lambda: gain_loss_t_c(1.0, -1.0), "loss 1"),
        (lambda: root_shoot_ratio("planted", "bamboo", 10), "bamboo"),
    ]:
        with pytest.raises(OutOfRange, match=words):
            call()


@pytest.mark.parametrize(
    ("origin", "kind", "small", "large"),
    [("planted", "conifer", 0.224, 0.232), ("planted", "broadleaf", 0.307, 0.248),
     ("natural", "conifer", 0.243, 0.262), ("natural", "broadleaf", 0.225, 0.229)],
)  # fmt: skip
def test_root_shoot_ratios_of_the_2019_refinement_step_at_125_tonnes(origin, kind, small, large):
    assert root_shoot_ratio(origin, kind, 125.0) == small and root_shoot_ratio(origin, kind, 125.001) == large
