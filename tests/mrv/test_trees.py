"""Treetops of real stands beside trees that were measured."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import shapely
from scipy.ndimage import gaussian_filter, maximum_filter

from models.treetops import match_treetops
from mrv.geometry import Grid
from mrv.points import chm_from_points
from mrv.trees import TreetopSettings, find_treetops

NODATA = -(2**31)


@pytest.fixture(scope="module")
def chablais(shared_data):
    folder = shared_data / "chablais3"
    with (folder / "tree_inventory_chablais3.csv").open() as file:
        trees = np.array([[float(row[k]) for k in "xyh"] for row in csv.DictReader(file)])
    grid, heights = chm_from_points(folder / "las_chablais3.laz", epsg=2154, nodata_mm=NODATA)
    return trees, grid, heights, shapely.MultiPoint(trees[:, :2]).convex_hull


def judge(trees, tops, plot):
    tops = tops[shapely.contains_xy(plot, tops[:, 0], tops[:, 1])]
    found = match_treetops(trees, tops)
    error = tops[found.top, 2] - trees[found.tree, 2]
    return found.found, found.false, float(error.mean()), float(np.sqrt((error**2).mean()))


def naive(grid, heights):
    """Gaussian 0.6 px, 5 × 5 maximum, above 5 m: the detector of the data's own description."""
    surface = gaussian_filter(np.where(heights == NODATA, 0, heights) / 1000.0, 0.6)
    rows, cols = np.nonzero((surface == maximum_filter(surface, 5)) & (surface > 5))
    return np.column_stack(
        [grid.centres_x_mm()[cols] / 1e3, grid.centres_y_mm()[rows] / 1e3, surface[rows, cols]]
    )


def test_treetops_of_chablais_beat_the_naive_detector(chablais):
    trees, grid, heights, plot = chablais
    plain_found, plain_false, plain_bias, plain_rmse = judge(trees, naive(grid, heights), plot)
    found, false, bias, rmse = judge(trees, find_treetops(heights, grid, NODATA).in_metres(), plot)
    # the description says 55 of 110 found, 5 false, bias −0.20 m, RMSE 0.88 m
    assert found > max(plain_found, 55)
    assert false - found < plain_false - plain_found
    assert abs(bias) < min(abs(plain_bias), 0.20)
    assert rmse < min(plain_rmse, 0.88)


def test_treetops_do_not_move_with_the_pieces_a_raster_is_cut_into(chablais):
    _, grid, heights, _ = chablais
    whole = find_treetops(heights, grid, NODATA)
    margin, cut = 12, 80
    part = Grid(grid.epsg, grid.left_um, grid.top_um, grid.pixel_um, cut + margin, grid.cols)
    upper = find_treetops(heights[: cut + margin], part, NODATA)
    limit = grid.centres_y_mm()[cut]
    chosen = whole.y_mm > limit
    assert np.array_equal(whole.x_mm[chosen], upper.x_mm[upper.y_mm > limit])
    assert np.array_equal(whole.height_mm[chosen], upper.height_mm[upper.y_mm > limit])


def test_a_single_crown_gives_one_top_at_its_centre_with_its_height():
    rows, cols = np.indices((21, 21))
    heights = (15_000 - 500 * np.hypot(rows - 10, cols - 10)).astype(np.int32)
    heights[0, 0] = NODATA
    grid = Grid(6674, 0, 21 * 500_000, 500_000, 21, 21)
    tops = find_treetops(heights, grid, NODATA)
    assert (tops.x_mm.tolist(), tops.y_mm.tolist()) == ([5250], [5250])
    assert tops.height_mm.tolist() == [15_000]
    unsmoothed = find_treetops(heights, grid, NODATA, TreetopSettings(smoothed=False))
    assert len(unsmoothed) == 1


def test_low_growth_and_empty_ground_have_no_treetops():
    grid = Grid(6674, 0, 5_000_000, 500_000, 10, 10)
    assert len(find_treetops(np.full((10, 10), 900, dtype=np.int32), grid, NODATA)) == 0
    assert len(find_treetops(np.full((10, 10), NODATA, dtype=np.int32), grid, NODATA)) == 0
