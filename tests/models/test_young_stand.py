"""A planted stand starts at nothing, meets the density diagram without a step, and never shrinks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.growth import stand_state
from models.young_stand import JOIN_HEIGHT_M, Planting, young_stand
from mrv.tables import load_tables

TABLES = load_tables()
DIAGRAM = TABLES.diagrams["south-kinki-shikoku", "hinoki"]
CURVE = TABLES.height_curves["hinoki", 2]
PLANTED = Planting(stems_ha=2500.0, yearly_survival=0.98)


def test_a_stand_just_planted_holds_no_volume_and_all_its_stems():
    stand = young_stand(DIAGRAM, CURVE, PLANTED, 0.0)
    assert (stand.volume_m3_ha, stand.stems_ha, stand.height_m) == (0.0, 2500.0, 0.0)
    assert stand.mean_dbh_cm is None and not stand.by_diagram


def test_five_years_on_a_tenth_of_the_seedlings_are_dead_and_volume_is_still_small():
    stand = young_stand(DIAGRAM, CURVE, PLANTED, 5.0)
    assert stand.stems_ha == pytest.approx(2500 * 0.98**5)
    assert 0.0 < stand.volume_m3_ha < 10.0
    assert stand.yield_index is None


def test_where_the_diagram_holds_the_stand_is_the_diagrams():
    stand = young_stand(DIAGRAM, CURVE, PLANTED, 30.0)
    assert stand.by_diagram
    assert stand.volume_m3_ha == stand_state(DIAGRAM, stand.height_m, stand.stems_ha).volume_m3_ha
    assert stand.yield_index is not None and stand.yield_index <= 1.0


@pytest.mark.parametrize("key", sorted(TABLES.diagrams))
def test_volume_has_no_step_where_the_diagram_begins(key):
    diagram, curve = TABLES.diagrams[key], TABLES.height_curves[key[1], 2]
    join = next(a / 1000 for a in range(100_000) if curve.height_m(a / 1000) >= JOIN_HEIGHT_M)
    before, after = (young_stand(diagram, curve, PLANTED, join + s * 0.002) for s in (-1, 1))
    assert not before.by_diagram and after.by_diagram
    assert after.volume_m3_ha == pytest.approx(before.volume_m3_ha, rel=5e-3)
    assert after.stems_ha == pytest.approx(before.stems_ha, rel=1e-3)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(TABLES.diagrams)),
    st.integers(1, 3),
    st.floats(500, 6000),
    st.floats(0.95, 1.0),
    st.floats(0, 60),
    st.floats(0.5, 10),
)
def test_a_planted_stand_never_loses_volume_as_it_ages(key, site, stems, survival, age, years):
    curve = TABLES.height_curves[key[1], site]
    planting = Planting(stems, survival)
    now, then = (young_stand(TABLES.diagrams[key], curve, planting, a) for a in (age, age + years))
    assert then.volume_m3_ha >= now.volume_m3_ha * (1 - 1e-9)
    assert then.stems_ha <= now.stems_ha * (1 + 1e-9)


@settings(deadline=None)
@given(st.floats(0, 8))
def test_below_the_join_volume_is_less_than_the_diagram_drawn_out_would_give_or_near_it(age):
    stand = young_stand(DIAGRAM, CURVE, PLANTED, age)
    if 2.0 < stand.height_m < JOIN_HEIGHT_M:
        drawn_out = stand_state(DIAGRAM, stand.height_m, stand.stems_ha).volume_m3_ha
        assert 0.5 * drawn_out < stand.volume_m3_ha < 1.1 * drawn_out


@pytest.mark.parametrize(
    ("planting", "age", "join"),
    [
        (Planting(0.0, 0.98), 5.0, 6.0),
        (Planting(2500.0, 0.0), 5.0, 6.0),
        (Planting(2500.0, 1.1), 5.0, 6.0),
        (PLANTED, -1.0, 6.0),
        (PLANTED, 5.0, 90.0),
        (PLANTED, 5.0, 1.0),
    ],
)
def test_impossible_plantings_are_refused(planting, age, join):
    with pytest.raises(OutOfRange):
        young_stand(DIAGRAM, CURVE, planting, age, join)
