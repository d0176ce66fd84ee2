"""A survey's own height-diameter curves fill what nobody measured, and point at what looks mistyped."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import OutOfRange
from mrv.height_curves import fill_heights, odd_heights, survey_curves


def stand(n: int = 160, seed: int = 4):
    rng = np.random.default_rng(seed)
    species = np.where(np.arange(n) % 2 == 0, "sugi", "hinoki")
    dbh_mm = rng.integers(90, 450, n).astype(np.int32)
    top = np.where(species == "sugi", 30.0, 22.0)
    height_m = top * (1 - np.exp(-((dbh_mm / 220.0) ** 1.1))) + rng.normal(0, 0.8, n)
    plots = np.array([f"P{i % 8}" for i in range(n)])
    return species, plots, dbh_mm, np.rint(height_m * 1000).astype(np.int32)


def test_heights_nobody_measured_come_from_their_own_species():
    species, plots, dbh, height = stand()
    known = height.copy()
    height[::3] = 0
    curves, without = survey_curves(species, plots, dbh, height)
    assert set(curves) == {"sugi", "hinoki"} and without == {}
    out = fill_heights(species, dbh, height, curves)
    assert np.array_equal(out.from_curve, height == 0)
    assert np.array_equal(out.height_mm[height > 0], height[height > 0])
    assert np.sqrt(np.mean((out.height_mm - known)[out.from_curve] ** 2)) < 1000
    assert set(out.standard_error_mm[~out.from_curve].tolist()) == {0}
    assert out.standard_error_mm[out.from_curve] == pytest.approx(800, abs=200)


def test_a_species_with_few_pairs_has_no_curve_and_borrows_none():
    species, plots, dbh, height = stand()
    species[:3] = "momi"
    height[0] = 0
    curves, without = survey_curves(species, plots, dbh, height)
    assert set(without) == {"momi"} and "momi" not in curves
    with pytest.raises(OutOfRange, match=r"heights of momi.*row 1 \(1 such trees\)"):
        fill_heights(species, dbh, height, curves)


def test_a_tree_that_no_longer_stands_gets_no_height():
    species, plots, dbh, height = stand()
    dbh[5] = height[5] = 0
    curves, _ = survey_curves(species, plots, dbh, height)
    out = fill_heights(species, dbh, height, curves)
    assert out.height_mm[5] == 0 and not out.from_curve.any()


def test_a_height_typed_with_a_slipped_point_is_odd_and_the_rest_is_not():
    species, plots, dbh, height = stand()
    height[40] *= 3
    curves, _ = survey_curves(species, plots, dbh, height)
    assert np.flatnonzero(odd_heights(species, dbh, height, curves)).tolist() == [40]


def test_trees_thicker_than_any_measured_are_flagged():
    species, plots, dbh, height = stand()
    dbh[0], height[0] = 900, 0
    curves, _ = survey_curves(species, plots, dbh, height)
    assert np.flatnonzero(fill_heights(species, dbh, height, curves).outside).tolist() == [0]
