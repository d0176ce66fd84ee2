"""Which trees fall at a given ratio, and what a stand is afterwards."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.growth import stand_state, volume_m3_ha
from models.thinning import FelledShare, felled_share, felled_trees, grown, thinned, thinned_from_below
from mrv.tables import load_tables

DIAGRAM = load_tables().diagrams["south-kinki-shikoku", "hinoki"]
STAND = stand_state(DIAGRAM, 15.0, 2000.0)
DBH = np.array([220, 140, 300, 180, 180, 260, 120, 200, 240, 160])
DIAMETERS = st.lists(st.integers(10, 600), min_size=1, max_size=60).map(np.array)


def test_from_below_the_smallest_fall_and_from_above_the_largest():
    assert sorted(DBH[felled_trees(DBH, 0.3, "below")]) == [120, 140, 160]
    assert sorted(DBH[felled_trees(DBH, 0.3, "above")]) == [240, 260, 300]


def test_equal_diameters_fall_in_the_order_of_the_list():
    assert felled_trees(DBH, 0.4, "below").tolist()[3:5] == [True, False]


def test_in_lines_every_so_many_th_tree_falls_whatever_its_size():
    assert np.flatnonzero(felled_trees(np.full(9, 200), 1 / 3, "line")).tolist() == [2, 5, 8]


@settings(deadline=None)
@given(DIAMETERS, st.floats(0, 1), st.sampled_from(["below", "above", "line"]))
def test_the_ratio_of_stems_is_met_to_the_nearest_tree(dbh, ratio, how):
    assert abs(felled_trees(dbh, ratio, how).sum() - ratio * dbh.size) <= 0.5


@settings(deadline=None)
@given(DIAMETERS, st.floats(0, 1), st.sampled_from(["below", "above"]))
def test_no_ratio_of_volume_would_be_met_better_by_a_tree_more_or_less(dbh, ratio, how):
    volume = dbh.astype(np.int64) ** 2 * 25
    felled = felled_trees(dbh, ratio, how, volume)
    miss = abs(volume[felled].sum() - ratio * volume.sum())
    assert miss <= volume.max() / 2 + 1e-6
    cut, left = dbh[felled], dbh[~felled]
    if cut.size and left.size:
        assert cut.max() <= left.min() if how == "below" else cut.min() >= left.max()


@settings(deadline=None)
@given(DIAMETERS, st.floats(0.05, 0.95))
def test_thinning_from_below_takes_less_volume_than_from_above(dbh, ratio):
    volume = dbh.astype(np.int64) ** 2 * 25
    below, above = (felled_share(felled_trees(dbh, ratio, how), dbh, volume) for how in ("below", "above"))
    assert below.stems == above.stems
    assert below.volume <= above.volume + 1e-12


@settings(deadline=None)
@given(st.floats(8, 25), st.floats(500, 3000), st.floats(0, 0.7))
def test_a_stand_thinned_from_below_by_the_diagram_loses_less_volume_than_stems(height, stems, ratio):
    before = stand_state(DIAGRAM, height, stems)
    after = thinned_from_below(DIAGRAM, before, ratio)
    assert after.stems_ha == pytest.approx(stems * (1 - ratio))
    assert before.volume_m3_ha * (1 - ratio) - 1e-9 <= after.volume_m3_ha <= before.volume_m3_ha
    assert after.mean_dbh_cm >= before.mean_dbh_cm - 1e-9
    assert after.yield_index <= before.yield_index


def test_a_stand_thinned_in_lines_keeps_its_mean_diameter():
    after = thinned(DIAGRAM, STAND, FelledShare(1 / 3, 1 / 3, 1 / 3))
    assert after.mean_dbh_cm == pytest.approx(STAND.mean_dbh_cm)
    assert after.volume_m3_ha == pytest.approx(STAND.volume_m3_ha * 2 / 3)
    assert after.yield_index == pytest.approx(STAND.yield_index * 2 / 3)


def test_shares_of_a_tree_list_carry_to_the_stand():
    volume = DBH.astype(np.int64) ** 2 * 25
    felled = felled_trees(DBH, 0.3, "above")
    share = felled_share(felled, DBH, volume)
    assert share.volume == pytest.approx(volume[felled].sum() / volume.sum())
    after = thinned(DIAGRAM, STAND, share)
    assert after.mean_dbh_cm < STAND.mean_dbh_cm
    assert after.volume_m3_ha == pytest.approx(STAND.volume_m3_ha * (1 - share.volume))


def test_thirty_percent_of_stems_from_below_on_the_diagram_by_hand():
    # V = 1 / (b1 H^e1 + b2 H^e2 / N) of the same diagram at H 15 m and N 1400
    after = thinned_from_below(DIAGRAM, STAND, 0.3)
    by_hand = 1 / (0.053887 * 15**-1.183794 + 7663.1 * 15**-3.20151 / 1400)
    assert after.volume_m3_ha == pytest.approx(by_hand, rel=1e-12)
    assert after.volume_m3_ha == volume_m3_ha(DIAGRAM, 15.0, 1400.0)


@pytest.mark.parametrize("ratio", [-0.1, 1.1])
def test_an_impossible_ratio_is_refused(ratio):
    with pytest.raises(OutOfRange, match="間伐率"):
        felled_trees(DBH, ratio, "below")
    with pytest.raises(OutOfRange):
        thinned_from_below(DIAGRAM, STAND, ratio)


def test_felling_every_tree_is_no_thinning_and_no_trees_cannot_be_thinned():
    with pytest.raises(OutOfRange, match="主伐"):
        thinned(DIAGRAM, STAND, FelledShare(1.0, 1.0, 1.0))
    with pytest.raises(OutOfRange):
        felled_share(np.array([], dtype=bool), np.array([], dtype=int), np.array([], dtype=int))


def test_a_stand_on_the_diagram_grows_along_it_and_a_poorer_one_never_catches_up():
    on = thinned_from_below(DIAGRAM, STAND, 0.3)
    assert grown(DIAGRAM, on, 18.0).volume_m3_ha == pytest.approx(volume_m3_ha(DIAGRAM, 18.0, on.stems_ha))
    poorer = thinned(DIAGRAM, STAND, FelledShare(0.3, 0.4, 0.38))
    later = grown(DIAGRAM, poorer, 18.0)
    assert poorer.volume_m3_ha < later.volume_m3_ha < grown(DIAGRAM, on, 18.0).volume_m3_ha
    ratio_before = poorer.volume_m3_ha / volume_m3_ha(DIAGRAM, 15.0, poorer.stems_ha)
    assert later.volume_m3_ha / volume_m3_ha(DIAGRAM, 18.0, later.stems_ha) == pytest.approx(ratio_before)
    with pytest.raises(OutOfRange, match="樹高"):
        grown(DIAGRAM, on, 14.0)
