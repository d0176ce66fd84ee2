"""Treetops of real stands beside trees that were measured."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
import shapely
from scipy.ndimage import gaussian_filter, maximum_filter

from models.treetops import CrownWindow, match_treetops, smooth
from mrv.canopy import quantise_heights, read_metres
from mrv.geometry import Grid, grid_of
from mrv.pits import without_pits
from mrv.points import chm_from_points
from mrv.trees import TreetopSettings, find_treetops, smoothing_passes

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


def f_score(trees, tops, plot):
    inside = shapely.contains_xy(plot, tops[:, 0], tops[:, 1])
    return match_treetops(trees, tops[inside]).f_score


def test_two_of_three_trees_and_tops_of_chablais_agree_with_settings_from_elsewhere(chablais):
    trees, grid, heights, plot = chablais
    assert f_score(trees, find_treetops(heights, grid, NODATA).in_metres(), plot) >= 0.67
    assert abs(judge(trees, find_treetops(heights, grid, NODATA).in_metres(), plot)[2]) <= 0.2


def test_it_is_no_knife_edge_slopes_from_2_to_6_percent_lowest_tops_of_1_to_5_m_filled_pits_or_not(chablais):
    trees, grid, heights, plot = chablais
    scores = [
        f_score(
            trees, find_treetops(surface, grid, NODATA, TreetopSettings(window, lowest)).in_metres(), plot
        )
        for surface in (heights, without_pits(heights, NODATA))
        for window in (CrownWindow(0, slope) for slope in (0.02, 0.03, 0.04, 0.05, 0.06))
        for lowest in (1000, 2000, 3000, 5000)
    ]
    assert min(scores) > 0.655
    assert float(np.median(scores)) > 0.67


def test_the_canopy_raster_that_came_with_the_data_gives_the_same_score(chablais, shared_data):
    trees, _, _, plot = chablais
    with rasterio.open(shared_data / "chablais3" / "chm_chablais3.tif") as source:
        grid = grid_of(source.transform, source.height, source.width, 2154, "chm")
        heights = quantise_heights(read_metres(source))
    assert f_score(trees, find_treetops(heights, grid, NODATA).in_metres(), plot) >= 0.67


@pytest.mark.parametrize(("pixel_um", "passes"), [(1_000_000, 1), (500_000, 1), (250_000, 4), (100_000, 25)])
def test_smoothing_spans_the_same_ground_whatever_the_pixel(pixel_um, passes):
    assert smoothing_passes(pixel_um) == passes
    side = 60 * 500_000 // pixel_um
    spike = np.zeros((side, side), dtype=np.int32)
    spike[side // 2, side // 2] = 90_000_000 // 4
    surface = spike.astype(np.int64)
    for done in range(passes):
        surface = smooth(surface, spike > -1) // (1 if done == 0 else 16)
    away = (np.indices(surface.shape)[0] - side // 2) * pixel_um / 1e6
    variance = float((surface * away**2).sum() / surface.sum())
    assert variance == pytest.approx(0.125 if pixel_um <= 500_000 else 0.5, rel=0.01)


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
