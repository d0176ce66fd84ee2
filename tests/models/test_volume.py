"""Stem volume against outside values, and what must hold for every equation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.volume import EquationSet, VolumeEquation, select_class, stem_volume_cm3
from mrv.tables import load_tables

TABLES = load_tables()
LOG_CLASSES = [
    (key, i)
    for key, found in TABLES.equations.items()
    for i, c in enumerate(found.classes)
    if c.form == "log10_v"
]
PLAIN_SETS = [key for key, found in TABLES.equations.items() if found.classes[0].form == "v"]


def one(key: tuple[str, str], dbh_cm: float, height_m: float) -> int:
    dbh, height = np.array([round(dbh_cm * 10)]), np.array([round(height_m * 1000)])
    return int(stem_volume_cm3(TABLES.equations[key], dbh, height)[0])


@pytest.mark.parametrize(
    ("key", "dbh_cm", "height_m", "cm3"),
    [
        (("tokyo", "sugi"), 15.1, 20.2, 189_309),  # methodology reference, section 3
        (("tokyo", "sugi"), 31.8, 23.4, 859_714),
        (("kochi", "hinoki"), 55.1, 22.7, 2_223_054),  # README of the R package stemv, not smoothed
        (("asahikawa", "todomatsu"), 21.8, 11.4, 220_092),
        (("akita", "karamatsu"), 43.4, 19.5, 1_360_263),
        (("kumamoto", "hinoki"), 39.0, 26.7, 1_466_862),
        (("hakodate", "ezomatsu"), 51.0, 25.0, 2_359_480),
    ],
)
def test_volume_equals_the_published_value(key, dbh_cm, height_m, cm3):
    assert one(key, dbh_cm, height_m) == cm3


def test_all_273_equations_are_carried_and_each_set_covers_every_diameter():
    assert sum(len(s.classes) for s in TABLES.equations.values()) == 273
    assert len(TABLES.equations) == 76


def test_a_diameter_class_holds_its_lower_limit_and_not_its_upper():
    konara = TABLES.equations["osaka", "broadleaf-type2"]
    assert select_class(konara, np.array([1, 109, 110, 209, 210, 900])).tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("key", "limit_mm", "height_mm"),
    [(("tokyo", "sugi"), 410, 26_000), (("osaka", "broadleaf-type2"), 210, 13_000)],
)
def test_a_tree_that_passes_a_class_limit_loses_nothing_while_it_keeps_its_equation(key, limit_mm, height_mm):
    equations = TABLES.equations[key]
    before, after = np.array([limit_mm - 1]), np.array([limit_mm])
    height = np.array([height_mm])
    kept = select_class(equations, before)
    first = stem_volume_cm3(equations, before, height)
    assert stem_volume_cm3(equations, after, height)[0] < first[0], "the jump this rule is for is gone"
    assert stem_volume_cm3(equations, after, height, kept)[0] > first[0]


@given(
    st.sampled_from(LOG_CLASSES),
    st.integers(10, 1500),
    st.integers(0, 50),
    st.integers(1300, 45_000),
    st.integers(0, 3000),
)
def test_volume_never_falls_as_a_tree_grows_within_its_kept_equation(which, dbh, growth, height, rise):
    key, i = which
    pair = stem_volume_cm3(
        TABLES.equations[key],
        np.array([dbh, dbh + growth]),
        np.array([height, height + rise]),
        np.array([i, i]),
    )
    assert pair[1] >= pair[0]


@given(st.sampled_from(PLAIN_SETS), st.integers(10, 800), st.integers(1, 20), st.integers(70, 110))
def test_plain_equations_do_not_fall_with_diameter_inside_their_class(key, dbh, growth, slenderness):
    equations = TABLES.equations[key]
    height = np.full(2, max(1300, dbh * slenderness))
    index = select_class(equations, np.array([dbh, dbh]))
    top = equations.classes[int(index[0])].d_below_mm
    grown = dbh + growth if top is None else min(dbh + growth, top - 1)
    pair = stem_volume_cm3(equations, np.array([dbh, grown]), height, index)
    assert pair[1] >= pair[0] >= 0


def test_a_tree_that_no_longer_stands_has_no_volume_and_inputs_are_left_alone():
    dbh, height = np.array([0, 200], dtype=np.int32), np.array([0, 15_000], dtype=np.int32)
    volume = stem_volume_cm3(TABLES.equations["osaka", "hinoki"], dbh, height)
    assert volume[0] == 0
    assert volume[1] == round(10 ** (-4.31101 + 1.83546 * np.log10(20) + 1.10655 * np.log10(15)) * 1e6)
    assert (dbh.tolist(), height.tolist()) == ([0, 200], [0, 15_000])


def test_a_negative_diameter_is_refused_in_both_languages():
    with pytest.raises(OutOfRange, match="胸高直径") as caught:
        stem_volume_cm3(TABLES.equations["osaka", "sugi"], np.array([-1]), np.array([1000]))
    assert "-1 mm" in caught.value.en


def test_a_gap_between_classes_or_an_unknown_term_is_refused():
    low = VolumeEquation("x", 0, 100, "v", {"const": 0.0, "d2h": 0.4}, "m", True)
    high = VolumeEquation("x", 110, None, "v", {"const": 0.0, "d2h": 0.4}, "m", True)
    with pytest.raises(ValueError, match="without a gap"):
        EquationSet("r", "s", (low, high))
    with pytest.raises(ValueError, match="expected terms among"):
        VolumeEquation("x", 0, None, "log10_v", {"const": 0.0, "d2h": 0.4}, "m", True)


def test_volume_does_not_depend_on_how_trees_are_split():
    rng = np.random.default_rng(1)
    dbh, height = rng.integers(10, 600, 1000), rng.integers(1300, 30_000, 1000)
    whole = stem_volume_cm3(TABLES.equations["tokyo", "hinoki"], dbh, height)
    parts = [
        stem_volume_cm3(TABLES.equations["tokyo", "hinoki"], dbh[i : i + 7], height[i : i + 7])
        for i in range(0, 1000, 7)
    ]
    assert np.array_equal(whole, np.concatenate(parts))


@given(
    st.sampled_from(sorted(TABLES.equations)),
    st.integers(60, 600),
    st.integers(5_000, 35_000),
)
def test_powers_of_an_equation_are_its_logarithmic_slopes(key, dbh, height):
    equation = TABLES.equations[key].classes[-1]
    d, h = np.array([dbh * 100]), np.array([height * 100])
    step = 100
    near = [equation.volume_m3(d + s * step, h)[0] for s in (1, -1)]
    tall = [equation.volume_m3(d, h + s * step)[0] for s in (1, -1)]
    volume = equation.volume_m3(d, h)[0]
    by_d, by_h = equation.powers(d, h)
    if volume > 0:
        assert by_d[0] == pytest.approx((near[0] - near[1]) / (2 * step) * d[0] / volume, rel=1e-3)
        assert by_h[0] == pytest.approx((tall[0] - tall[1]) / (2 * step) * h[0] / volume, rel=1e-3)
