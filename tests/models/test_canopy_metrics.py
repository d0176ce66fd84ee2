"""Canopy metrics: equal to NumPy's own statistics, whichever way the pixels came; surfaces of known area."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.canopy_metrics import (
    HEIGHTS,
    MISSING,
    PERCENTILES,
    CountedHeights,
    groups_of_pairs,
    groups_of_rows,
    height_metrics,
    in_units,
    mean_ratio,
    surface_ratio,
)

patches = arrays(
    np.int32, st.tuples(st.integers(1, 6), st.integers(1, 40)), elements=st.integers(-500, 45_000)
)


@given(patches, st.integers(0, 2**32 - 1))
def test_metrics_are_numpys_own_type_7_percentiles_mean_sample_deviation_and_share(heights, seed):
    holes = np.random.default_rng(seed).random(heights.shape) < 0.3
    table = np.where(holes, MISSING, heights).astype(np.int32)
    found = height_metrics(groups_of_rows(table))
    for row, values in enumerate(table):
        values = values[values != MISSING]
        if values.size == 0:
            assert all(found[name][row] == MISSING for name in HEIGHTS)
            continue
        for percent in PERCENTILES:
            assert abs(found[f"p{percent}"][row] - np.percentile(values, percent)) <= 0.5 + 1e-6
        assert abs(found["mean"][row] - values.mean()) <= 0.5 + 1e-6
        assert found["max"][row] == values.max()
        assert abs(found["cover_2m"][row] / 1e6 - (values > 2000).mean()) <= 5e-7 + 1e-12
        if values.size > 1:
            assert abs(found["sd"][row] - values.std(ddof=1)) <= 0.5 + 1e-6
        else:
            assert found["sd"][row] == MISSING


@given(patches, st.integers(0, 2**32 - 1))
def test_rows_pairs_in_any_order_and_pieces_give_the_same_figures(heights, seed):
    rng = np.random.default_rng(seed)
    table = height_metrics(groups_of_rows(heights))
    which, values = np.repeat(np.arange(len(heights)), heights.shape[1]), heights.ravel()
    order = rng.permutation(values.size)
    pairs = height_metrics(groups_of_pairs(which[order], values[order], len(heights)))
    for name in HEIGHTS:
        assert np.array_equal(table[name], pairs[name]), name
    for row, values in enumerate(heights):
        counted = CountedHeights()
        counted.FOLD = 7
        for piece in np.array_split(rng.permutation(values), 5):
            counted.add(piece)
        assert counted.metrics() == {name: int(table[name][row]) for name in HEIGHTS}


def test_pairs_outside_every_patch_are_left_out_and_an_empty_patch_has_no_metrics():
    found = height_metrics(groups_of_pairs(np.array([2, -1, 2]), np.array([1000, 9, 3000]), 3))
    assert found["mean"].tolist() == [MISSING, MISSING, 2000]
    assert found["cover_2m"][2] == 500_000
    assert CountedHeights().metrics() == dict.fromkeys(HEIGHTS, MISSING)


@pytest.mark.parametrize(("east", "south"), [(0, 0), (700, 0), (-300, 400), (1500, -900)])
def test_a_plane_has_the_area_of_its_slope(east, south):
    """sqrt(1 + tan² slope) times its footprint, in every one of the eight triangles."""
    rows, cols = np.mgrid[0:9, 0:11]
    ratio = surface_ratio((20_000 + east * cols + south * rows).astype(np.int32), 500.0)
    assert ratio.shape == (7, 9)
    assert np.abs(ratio - 1e6 * np.sqrt(1 + (east**2 + south**2) / 500**2)).max() <= 2


def test_a_single_peak_has_the_area_of_the_triangles_around_it():
    heights = np.zeros((3, 3), dtype=np.int32)
    heights[1, 1] = 1000
    # to an edge's middle 1 m down on 1 m: the half-length triangles of Jenness by Heron's formula
    a, b, c = np.hypot(1, 1) / 2, np.hypot(np.sqrt(2), 1) / 2, 1 / 2
    s = (a + b + c) / 2
    area = 8 * np.sqrt(s * (s - a) * (s - b) * (s - c))
    assert surface_ratio(heights, 1000.0)[0, 0] == pytest.approx(1e6 * area, abs=2)


def test_a_pixel_beside_a_gap_has_no_surface_and_the_mean_leaves_it_out():
    heights = np.full((5, 5), 9000, dtype=np.int32)
    heights[0, 0] = MISSING
    ratio = surface_ratio(heights, 500.0)
    assert (ratio == MISSING).sum() == 1 and ratio[0, 0] == MISSING
    found = mean_ratio(ratio.ravel(), np.array([0, 0, 0, 1, 1, 1, -1, -1, -1]), 3)
    assert found.tolist() == [1_000_000, 1_000_000, MISSING]


def test_figures_for_people_are_metres_shares_and_ratios():
    found = in_units({"p95": 21_340, "cover_2m": 912_500, "rumple": 3_100_000, "pixels": 1600, "sd": MISSING})
    assert np.isnan(found.pop("sd"))
    assert found == {"p95": 21.34, "cover_2m": 0.9125, "rumple": 3.1, "pixels": 1600}
