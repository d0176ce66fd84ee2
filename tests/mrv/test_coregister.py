"""Shifts between canopies of two dates, on real rasters and on grids that are not aligned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio

from mrv.canopy import NODATA_MM, quantise_heights, read_metres
from mrv.coregister import coregistration
from mrv.errors import Refusal
from mrv.geometry import Grid, grid_of


@pytest.fixture(scope="module")
def cauaxi(shared_data):
    found = []
    for year in (2012, 2014):
        with rasterio.open(shared_data / "cauaxi" / f"ALS_CHM_CAU_{year}.tif") as source:
            grid = grid_of(source.transform, source.height, source.width, 32722, "chm")
            found += [quantise_heights(read_metres(source)), grid]
    return found


def test_the_survey_of_cauaxi_of_2014_lies_a_pixel_south_west_of_that_of_2012(cauaxi):
    """Not in the data's description; moving 2014 back by a whole pixel takes a fifth off the typical difference."""
    first, grid, last, other = cauaxi
    found = coregistration(first, grid, last, other, NODATA_MM)
    assert (found.east_mm, found.north_mm) == pytest.approx((-950, -810), abs=100)
    assert 0 < found.east_se_mm < 100 and 0 < found.north_se_mm < 100
    assert found.correlation > found.correlation_before
    apart = np.median(np.abs(last - first))
    apart_moved = np.median(np.abs(last[1:, :-1] - first[:-1, 1:]))
    assert apart_moved < 0.8 * apart


def test_a_survey_moved_by_whole_pixels_is_found_moved_by_as_much_more(cauaxi):
    first, grid, last, other = cauaxi
    still = coregistration(first, grid, last, other, NODATA_MM)
    moved = replace(other, left_um=other.left_um + 2_000_000, top_um=other.top_um - 1_000_000)
    found = coregistration(first, grid, last, moved, NODATA_MM)
    assert found.east_mm == pytest.approx(still.east_mm + 2000, abs=20)
    assert found.north_mm == pytest.approx(still.north_mm - 1000, abs=20)


def test_grids_off_by_part_of_a_pixel_and_of_other_extent_are_compared_where_they_overlap():
    rng = np.random.default_rng(6)
    places, tall = rng.uniform(0, 80, (700, 2)), rng.uniform(9000, 24_000, 700)

    def seen(grid: Grid) -> np.ndarray:
        east, north = grid.centres_x_mm()[None, :] / 1e3, grid.centres_y_mm()[:, None] / 1e3
        surface = np.zeros((grid.rows, grid.cols))
        for (x, y), h in zip(places, tall, strict=True):
            np.maximum(surface, h - 900 * ((east - x) ** 2 + (north - y) ** 2), out=surface)
        return np.rint(surface).astype(np.int32)

    one = Grid(6674, 0, 80_000_000, 500_000, 160, 160)
    two = Grid(6674, 3_200_000, 78_600_000, 500_000, 140, 130)
    found = coregistration(seen(one), one, seen(two), two, NODATA_MM)
    assert (found.east_mm, found.north_mm) == pytest.approx((0, 0), abs=15)
    said = replace(two, left_um=two.left_um + 700_000)  # the same pixels, georeferenced 0.7 m too far east
    found = coregistration(seen(one), one, seen(two), said, NODATA_MM)
    assert (found.east_mm, found.north_mm) == pytest.approx((700, 0), abs=15)


def test_other_pixels_or_places_are_refused():
    flat, grid = np.zeros((20, 20), dtype=np.int32), Grid(6674, 0, 10_000_000, 500_000, 20, 20)
    for other in (
        replace(grid, pixel_um=250_000),
        replace(grid, left_um=90_000_000),
        replace(grid, epsg=6675),
    ):
        with pytest.raises(Refusal, match=r"raster\.grids_differ"):
            coregistration(flat, grid, flat, other, NODATA_MM)
