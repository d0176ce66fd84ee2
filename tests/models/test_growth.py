"""Stand density diagrams against the reference's sanity values, and what crowding may do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.growth import full_stems_ha, grow, stand_state, stems_at_yield_index, surviving_stems_ha
from mrv.tables import load_tables

TABLES = load_tables()
KINKI_HINOKI = TABLES.diagrams["south-kinki-shikoku", "hinoki"]


def test_hokuriku_sugi_20_m_1000_stems_is_the_reference_stand():
    stand = stand_state(TABLES.diagrams["uratohoku-hokuriku", "sugi"], 20.0, 1000.0)
    assert round(stand.volume_m3_ha, 1) == 544.5
    assert round(stand.yield_index, 3) == 0.749
    assert round(stand.mean_dbh_cm, 2) == 26.85


def test_south_kinki_hinoki_20_m_1000_stems_is_the_reference_stand():
    stand = stand_state(KINKI_HINOKI, 20.0, 1000.0)
    assert (round(stand.volume_m3_ha, 1), round(stand.yield_index, 3)) == (481.4, 0.856)


@given(st.sampled_from(sorted(TABLES.diagrams)), st.floats(5, 30), st.floats(0.05, 1.0))
def test_stems_at_a_yield_index_give_that_index_back(key, height_m, index):
    stems = stems_at_yield_index(TABLES.diagrams[key], height_m, index)
    assert stand_state(TABLES.diagrams[key], height_m, stems).yield_index == pytest.approx(index, rel=1e-9)


@given(st.sampled_from(sorted(TABLES.diagrams)), st.floats(5, 30), st.floats(100, 20_000))
def test_crowding_caps_the_yield_index_at_one_and_never_adds_stems(key, height_m, stems):
    left = surviving_stems_ha(TABLES.diagrams[key], height_m, stems)
    assert left <= stems
    assert stand_state(TABLES.diagrams[key], height_m, left).yield_index <= 1.0 + 1e-9


def test_a_full_stand_loses_stems_as_it_grows_and_an_open_one_keeps_them():
    curve = TABLES.height_curves["hinoki", 2]
    crowded_now, crowded_then = grow(
        KINKI_HINOKI, curve, 40, 4, full_stems_ha(KINKI_HINOKI, curve.height_m(40))
    )
    assert crowded_then.stems_ha < crowded_now.stems_ha
    open_now, open_then = grow(KINKI_HINOKI, curve, 40, 4, 1200)
    assert open_then.stems_ha == open_now.stems_ha == 1200
    assert open_then.volume_m3_ha > open_now.volume_m3_ha


def test_a_better_site_class_is_taller_at_every_age_and_height_never_falls():
    for species in ("sugi", "hinoki", "konara"):
        heights = [
            [TABLES.height_curves[species, c].height_m(a) for a in range(0, 101, 5)] for c in (1, 2, 3)
        ]
        assert all(a > b > c for a, b, c in zip(*(h[1:] for h in heights), strict=True))
        assert all(row == sorted(row) and row[0] == 0 for row in heights)


def test_impossible_stands_are_refused():
    with pytest.raises(OutOfRange):
        stand_state(KINKI_HINOKI, 20.0, 0.0)
    with pytest.raises(OutOfRange):
        stems_at_yield_index(KINKI_HINOKI, 20.0, 1.2)
    with pytest.raises(OutOfRange):
        TABLES.height_curves["sugi", 1].height_m(-1)
