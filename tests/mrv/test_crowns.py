"""Crowns of real surveys, and which of them logging took."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from mrv.canopy import NODATA_MM, quantise_heights, read_metres
from mrv.crowns import crown_heights, find_crowns, removed_crowns
from mrv.geometry import Grid, grid_of
from mrv.trees import find_treetops


@pytest.fixture(scope="module")
def cauaxi(shared_data):
    heights = []
    for year in (2012, 2014):
        with rasterio.open(shared_data / "cauaxi" / f"ALS_CHM_CAU_{year}.tif") as source:
            grid = grid_of(source.transform, source.height, source.width, 32722, "chm")
            heights.append(quantise_heights(read_metres(source)))
    return grid, heights


def test_crowns_cover_most_of_a_closed_forest_once(cauaxi):
    grid, (first, _) = cauaxi
    tops = find_treetops(first, grid, NODATA_MM)
    crowns = find_crowns(first, grid, NODATA_MM, tops)
    assert len(crowns) == len(tops)
    assert crowns.area_mm2.min() >= 10**6
    assert crowns.area_mm2.sum() == (crowns.crown > 0).sum() * 10**6
    assert (crowns.crown > 0)[first > 5000].mean() > 0.75


def test_crowns_that_logging_took_hold_more_than_their_share_of_the_loss(cauaxi):
    """11.08 % of the cells lost more than 10 m (ForestGapR)."""
    grid, (first, last) = cauaxi
    lost = (first - last.astype(np.int64)) > 10_000
    assert lost.mean() == pytest.approx(0.1108, abs=0.0002)
    crowns = find_crowns(first, grid, NODATA_MM, find_treetops(first, grid, NODATA_MM))
    before, after = (crown_heights(crowns, h, NODATA_MM) for h in (first, last))
    gone = removed_crowns(before, after)
    of_gone = np.isin(crowns.crown, np.flatnonzero(gone) + 1)
    assert 0.02 < gone.mean() < 0.15
    assert lost[of_gone].mean() > 0.8
    assert lost[of_gone].sum() > 0.3 * lost.sum()


def test_sums_over_crowns_are_those_of_their_pixels_and_skip_cells_without_data():
    row, col = np.indices((21, 21))
    heights = (15_000 - 700 * np.hypot(row - 10, col - 10)).astype(np.int32)
    grid = Grid(6674, 3_000_000, 21 * 500_000, 500_000, 21, 21)
    crowns = find_crowns(heights, grid, NODATA_MM, find_treetops(heights, grid, NODATA_MM))
    inside = crowns.crown == 1
    assert crowns.area_mm2.tolist() == [int(inside.sum()) * 250_000]
    later = heights // 4
    later[10, 12] = NODATA_MM
    found = crown_heights(crowns, later, NODATA_MM)
    assert found.pixels.tolist() == [int(inside.sum()) - 1]
    assert found.sum_mm.tolist() == [int(later[inside & (later != NODATA_MM)].sum())]
    assert removed_crowns(crown_heights(crowns, heights, NODATA_MM), found).tolist() == [True]
    empty = crown_heights(crowns, np.full_like(heights, NODATA_MM), NODATA_MM)
    assert removed_crowns(crown_heights(crowns, heights, NODATA_MM), empty).tolist() == [False]
