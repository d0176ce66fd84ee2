"""Pixels of a polygon, decided in integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import rasterize

from mrv.errors import Refusal
from mrv.geometry import Grid, grid_of, zone_mask

GRID = Grid(epsg=6674, left_um=0, top_um=20_000_000, pixel_um=500_000, rows=40, cols=40)
coordinate = st.integers(-3_000, 23_000)


def inside_by_fractions(x: int, y: int, ring: list[tuple[int, int]]) -> bool:
    """Oracle: crossings to the left of the point, in exact fractions."""
    crossings = 0
    for (x1, y1), (x2, y2) in zip(ring, ring[1:] + ring[:1], strict=True):
        if (y1 <= y) != (y2 <= y):
            crossings += Fraction(x1) + Fraction((y - y1) * (x2 - x1), y2 - y1) <= x
    return crossings % 2 == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=8))
def test_mask_equals_the_exact_crossing_count_for_any_polygon(ring):
    zone = zone_mask(GRID, [ring])
    full = np.zeros((GRID.rows, GRID.cols), dtype=bool)
    rows, cols = zone.inside.shape
    full[zone.row : zone.row + rows, zone.col : zone.col + cols] = zone.inside
    xs, ys = GRID.centres_x_mm(), GRID.centres_y_mm()
    expected = [[inside_by_fractions(int(x), int(y), ring) for x in xs] for y in ys]
    assert np.array_equal(full, np.array(expected))


def test_mask_agrees_with_gdal_where_no_centre_lies_on_an_edge():
    ring = [(1_210, 1_130), (17_770, 2_310), (15_310, 18_870), (9_130, 9_730), (3_970, 16_990)]
    polygon = {"type": "Polygon", "coordinates": [[(x / 1000, y / 1000) for x, y in [*ring, ring[0]]]]}
    expected = rasterize([polygon], out_shape=(40, 40), transform=GRID.transform).astype(bool)
    zone = zone_mask(GRID, [ring])
    rows, cols = zone.inside.shape
    assert zone.inside.sum() == expected.sum()
    assert np.array_equal(zone.inside, expected[zone.row : zone.row + rows, zone.col : zone.col + cols])


def test_neighbours_that_share_an_edge_through_pixel_centres_share_no_pixel_and_lose_none():
    left = zone_mask(GRID, [[(0, 0), (10_250, 0), (10_250, 20_000), (0, 20_000)]])
    right = zone_mask(GRID, [[(10_250, 0), (20_000, 0), (20_000, 20_000), (10_250, 20_000)]])
    assert left.inside.sum() + right.inside.sum() == 40 * 40


def test_a_hole_is_not_inside():
    outer = [(0, 0), (20_000, 0), (20_000, 20_000), (0, 20_000)]
    hole = [(5_000, 5_000), (10_000, 5_000), (10_000, 10_000), (5_000, 10_000)]
    assert zone_mask(GRID, [outer, hole]).inside.sum() == 1600 - 100


def test_a_polygon_beyond_the_raster_gives_an_empty_mask():
    assert zone_mask(GRID, [[(50_000, 0), (60_000, 0), (60_000, 9_000)]]).inside.size == 0


def test_a_rotated_raster_is_refused():
    with pytest.raises(Refusal) as caught:
        grid_of(Affine(0.5, 0.1, 0, 0.1, -0.5, 0), 10, 10, 6674, "chm.tif")
    assert caught.value.codes == ("raster.not_north_up",)
