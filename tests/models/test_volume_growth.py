"""Stem volume never falls as a tree grows, for every equation carried, and no limit of a diameter class takes anything away."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.volume import select_class, stem_volume_cm3
from models.volume_fast import stem_volumes_cm3
from mrv.tables import load_tables

EQUATIONS = load_tables().equations
LIMITS = [(key, equation.d_from_mm) for key, found in EQUATIONS.items() for equation in found.classes[1:]]
# Height over diameter. Two of Kochi's plain equations (broadleaf 41-51 cm, natural hinoki 31-41 cm) fall with diameter where a tree is
# less than 20 times as tall as thick, e.g. 8 m at 41 cm: no tree of a stand.
SLENDERNESS = st.integers(30, 150)


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(sorted(EQUATIONS)),
    st.integers(20, 900),
    st.integers(0, 80),
    SLENDERNESS,
    st.integers(0, 3000),
)
def test_volume_never_falls_as_a_tree_grows_while_it_keeps_its_equation(key, dbh, growth, slenderness, rise):
    equations = EQUATIONS[key]
    height = max(1300, dbh * slenderness)
    d, h = np.array([dbh, dbh + growth]), np.array([height, height + rise])
    kept = select_class(equations, np.array([dbh, dbh]))
    first, last = stem_volume_cm3(equations, d, h, kept)
    assert last >= first
    assert np.array_equal(stem_volumes_cm3(equations, d, h, kept), [first, last])


@pytest.mark.parametrize(("key", "limit_mm"), LIMITS)
def test_a_tree_that_passes_a_class_limit_between_two_dates_shows_no_loss(key, limit_mm):
    equations = EQUATIONS[key]
    before = np.repeat(np.arange(limit_mm - 30, limit_mm), 40)
    after = np.maximum(before + np.tile(np.arange(40), 30), limit_mm)
    for slenderness in (30, 50, 80, 120):
        height = before * slenderness
        kept = select_class(equations, before)
        assert set(kept) == {kept[0]}
        gain = stem_volume_cm3(equations, after, height, kept) - stem_volume_cm3(equations, before, height)
        assert gain.min() >= 0


def test_without_the_rule_many_limits_would_take_volume_away():
    lost = 0
    for key, limit_mm in LIMITS:
        d, h = np.array([limit_mm - 1, limit_mm]), np.full(2, limit_mm * 60)
        first, last = stem_volume_cm3(EQUATIONS[key], d, h)
        lost += last < first
    assert lost > 50, "the rule would not be needed"


@settings(deadline=None)
@given(st.sampled_from(sorted(EQUATIONS)), st.integers(20, 900), SLENDERNESS, st.integers(0, 5000))
def test_volume_never_falls_as_height_grows(key, dbh, slenderness, rise):
    height = max(1300, dbh * slenderness)
    first, last = stem_volume_cm3(EQUATIONS[key], np.array([dbh, dbh]), np.array([height, height + rise]))
    assert last >= first
