"""Treetops against other implementations, ties, and matching."""

from __future__ import annotations

import laspy
import numpy as np
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.errors import OutOfRange
from models.treetops import CrownWindow, match_treetops, point_treetops, raster_treetops, smooth

WINDOW = CrownWindow(600.0, 0.05)


def test_kootenay_has_as_many_tops_as_the_r_package_finds(shared_data):
    with rasterio.open(shared_data / "kootenay" / "kootenayCHM.tif") as source:
        chm = source.read(1, masked=True)
    valid = ~np.ma.getmaskarray(chm)
    heights = np.where(valid, chm.data, 0.0)
    rows, cols = raster_treetops(heights, valid, heights, 0.5, CrownWindow(0.6, 0.05), 2.0)
    assert rows.size == 1077
    assert round(float(heights[rows, cols].mean()), 6) == 5.404217


@pytest.mark.parametrize(("window", "tops"), [(CrownWindow(2.5, 0.0), 177), (CrownWindow(1.5, 0.035), 205)])
def test_mixed_conifer_points_have_as_many_tops_as_the_r_package_finds(shared_data, window, tops):
    cloud = laspy.read(shared_data / "mixed_conifer" / "MixedConifer.laz")
    found = point_treetops(np.asarray(cloud.x), np.asarray(cloud.y), np.asarray(cloud.z), window, 2.0)
    assert found.size == tops


def by_definition(surface, valid, window, pixel, minimum):
    """The definition, cell by cell."""
    tops = []
    for r, c in zip(*np.nonzero(valid & (surface >= minimum)), strict=True):
        radius = np.rint(window.radius(surface[r, c]) / pixel)
        rows, cols = np.indices(surface.shape)
        near = ((rows - r) ** 2 + (cols - c) ** 2 <= radius**2) | (
            np.maximum(abs(rows - r), abs(cols - c)) <= 1
        )
        if (surface[near & valid] <= surface[r, c]).all():
            tops.append((int(r), int(c)))
    return tops


@given(arrays(np.int64, (9, 11), elements=st.integers(0, 60_000), unique=True), st.integers(0, 2**99 - 1))
def test_tops_are_those_of_the_definition_where_no_heights_tie(surface, holes):
    valid = np.array([holes >> i & 3 != 3 for i in range(99)]).reshape(9, 11)
    rows, cols = raster_treetops(surface, valid, surface, 500.0, WINDOW, 2000)
    assert list(zip(rows.tolist(), cols.tolist(), strict=True)) == by_definition(
        surface, valid, WINDOW, 500.0, 2000
    )


@given(arrays(np.int64, (8, 8), elements=st.sampled_from([0, 3000, 9000])))
def test_of_tied_tops_in_one_window_exactly_one_stays(surface):
    valid = np.ones((8, 8), dtype=bool)
    rows, cols = raster_treetops(surface, valid, surface, 500.0, WINDOW, 2000)
    found = list(zip(rows.tolist(), cols.tolist(), strict=True))
    candidates = by_definition(surface, valid, WINDOW, 500.0, 2000)
    assert set(found) <= set(candidates)
    radius = {3000: 2, 9000: 2}  # 0.75 m and 1.05 m on half-metre pixels

    def near(a, b):
        squared = (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2
        same = surface[a] == surface[b]
        return same and squared <= max(radius[int(surface[a])] ** 2, 2)

    assert not any(near(a, b) for i, a in enumerate(found) for b in found[:i])
    assert all(any(a == b or near(a, b) for b in found) for a in candidates)


def test_smoothing_keeps_a_flat_surface_and_ignores_cells_without_data():
    heights = np.full((5, 6), 12_345)
    valid = np.ones((5, 6), dtype=bool)
    valid[2, 3] = False
    heights[2, 3] = -(2**31)
    assert (smooth(heights, valid) == 12_345 * 16).all()
    assert heights[2, 3] == -(2**31)


def test_an_empty_raster_has_no_tops():
    nothing = np.zeros((4, 4), dtype=np.int64)
    rows, _ = raster_treetops(nothing, np.zeros((4, 4), dtype=bool), nothing, 500.0, WINDOW, 2000)
    assert rows.size == 0


def test_each_tree_and_each_top_is_matched_once_closest_first():
    trees = np.array([[0.0, 0.0, 20.0], [1.0, 0.0, 20.0], [50.0, 50.0, 20.0]])
    tops = np.array([[0.9, 0.0, 20.0], [0.0, 3.0, 20.0], [0.0, 0.0, 5.0]])
    found = match_treetops(trees, tops)
    assert sorted(zip(found.tree.tolist(), found.top.tolist(), strict=True)) == [(0, 1), (1, 0)]
    assert (found.found, found.false) == (2, 1)


def test_a_window_that_shrinks_is_refused():
    with pytest.raises(OutOfRange):
        CrownWindow(1.0, -0.1)


@pytest.mark.parametrize("holes", [0.0, 0.02])
@pytest.mark.parametrize("window", [WINDOW, CrownWindow(300.0, 0.0), CrownWindow(0.0, 0.11)])
def test_tops_of_a_stand_larger_than_a_strip_are_those_of_the_definition(monkeypatch, window, holes):
    monkeypatch.setattr("models.treetops.STRIP_CELLS", 400)
    rng = np.random.default_rng(8)
    surface = rng.permutation(45 * 52).reshape(45, 52) * 11
    valid = rng.random(surface.shape) >= holes
    rows, cols = raster_treetops(surface, valid, surface, 500.0, window, 2000)
    assert list(zip(rows.tolist(), cols.tolist(), strict=True)) == by_definition(
        surface, valid, window, 500.0, 2000
    )


def test_smoothing_in_strips_is_smoothing_as_a_whole(monkeypatch):
    rng = np.random.default_rng(9)
    heights, valid = rng.integers(0, 30_000, (150, 7)), rng.random((150, 7)) > 0.1
    whole = {all_valid: smooth(heights, valid | all_valid) for all_valid in (False, True)}
    monkeypatch.setattr("models.treetops.STRIP_ROWS", 11)
    assert all(np.array_equal(smooth(heights, valid | k), whole[k]) for k in whole)
