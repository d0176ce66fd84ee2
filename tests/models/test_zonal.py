"""Exact pixel shares against intersections by GEOS, and the statistics made of them."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from models import pixel_shares, zonal_compiled
from models.errors import OutOfRange
from models.zonal import polygon_coverage, zonal_quantiles, zonal_sums, zonal_sums_of_dates
from tests.conftest import require_or_skip

SHAPE = (12, 15)
BOXES = [shapely.box(c, r, c + 1, r + 1) for r in range(SHAPE[0]) for c in range(SHAPE[1])]


def rings(polygon):
    parts = shapely.get_parts(polygon)
    return [np.asarray(r.coords) for p in parts for r in (p.exterior, *p.interiors)]


def shares(coverage, zone=0):
    full = np.zeros(coverage.shape[0] * coverage.shape[1])
    some = slice(coverage.start[zone], coverage.start[zone + 1])
    full[coverage.cell[some]] = coverage.share[some]
    return full


def by_geos(polygon):
    return shapely.area(shapely.intersection(BOXES, polygon))


@st.composite
def stars(draw):
    corners = draw(st.integers(3, 12))
    angle = np.sort(draw(st.lists(st.floats(0, 6.28), min_size=corners, max_size=corners, unique=True)))
    radius = np.array(draw(st.lists(st.floats(0.3, 9), min_size=corners, max_size=corners)))
    x, y = draw(st.floats(-3, 18)), draw(st.floats(-3, 15))
    return shapely.Polygon(np.column_stack([x + radius * np.cos(angle), y + radius * np.sin(angle)]))


@settings(max_examples=150, deadline=None)
@given(stars(), st.booleans())
def test_shares_are_those_of_geos_wherever_the_polygon_lies(polygon, backward):
    if not polygon.is_valid or polygon.area < 1e-6:
        return
    ring = np.asarray(polygon.exterior.coords)
    found = shares(polygon_coverage([[ring[::-1] if backward else ring]], SHAPE))
    assert np.abs(found - by_geos(polygon)).max() < 1e-9


@pytest.mark.parametrize("batch", [pixel_shares.BATCH_CELLS, 40])
def test_holes_islands_in_holes_and_parts_count_whatever_their_direction(monkeypatch, batch):
    monkeypatch.setattr(pixel_shares, "BATCH_CELLS", batch)
    monkeypatch.setattr(pixel_shares, "WINDOW_CELLS", batch)
    outer = shapely.box(1.3, 0.7, 13.2, 11.1).difference(shapely.Point(6, 5).buffer(3.3))
    polygon = outer.union(shapely.Point(6.2, 5.1).buffer(1.4)).union(shapely.box(13.7, 2, 14.9, 3.25))
    assert polygon.geom_type == "MultiPolygon" and polygon.is_valid
    mixed = [r[::-1] if i % 2 else r for i, r in enumerate(rings(polygon))]
    both = polygon_coverage([mixed, [], rings(shapely.box(2, 2, 3.5, 3.5))], SHAPE)
    assert np.abs(shares(both) - by_geos(polygon)).max() < 1e-12
    assert both.covered == pytest.approx([polygon.area, 0.0, 2.25], abs=1e-12)


def test_edges_along_pixel_borders_give_whole_pixels_and_nothing_beside_them():
    found = polygon_coverage([rings(shapely.box(2, 3, 5, 7))], SHAPE)
    assert found.share.tolist() == [1.0] * 12
    assert sorted(set((found.cell // SHAPE[1]).tolist())) == [3, 4, 5, 6]


def test_polygons_that_share_an_edge_share_every_pixel_out_between_them():
    line = np.array([[3.1, 0.0], [7.7, 4.4], [2.2, 9.1], [6.0, 12.0]])
    left = np.vstack([line, [[0, 12], [0, 0]]])
    right = np.vstack([line, [[15, 12], [15, 0]]])
    both = polygon_coverage([[left], [right]], SHAPE)
    assert np.abs(shares(both, 0) + shares(both, 1) - 1).max() < 1e-14


@pytest.mark.parametrize("step", [5e-324, 1e-310, 1e-17])
def test_an_edge_that_all_but_runs_along_a_pixel_border_changes_nothing(step):
    flat = np.array([[1.0, -step], [9.0, step], [9.0, 2.0], [1.0, 2.0]])
    found = shares(polygon_coverage([[flat]], SHAPE))
    assert np.abs(found - by_geos(shapely.box(1, 0, 9, 2))).max() < 1e-15


def test_a_small_polygon_far_from_the_first_pixel_keeps_its_area():
    square = np.array([[0.25, 0.25], [0.5, 0.25], [0.5, 0.5], [0.25, 0.5]]) + 29_990.0
    found = polygon_coverage([[square]], (30_000, 30_000))
    assert found.covered[0] == 0.0625
    assert found.cell.tolist() == [29_990 * 30_000 + 29_990]


def test_a_polygon_that_crosses_itself_is_refused_by_its_number():
    fine = rings(shapely.box(1, 1, 2, 2))
    bow = [np.array([[1.0, 1.0], [9.0, 9.0], [9.0, 1.0], [1.0, 9.0]])]
    with pytest.raises(OutOfRange, match="polygon 1 "):
        polygon_coverage([fine, bow], SHAPE)
    with pytest.raises(OutOfRange, match="polygon 0 "):
        polygon_coverage([[np.array([[1.0, 1.0], [np.nan, 9.0], [9.0, 1.0]])]], SHAPE)


def test_missing_values_carry_no_weight():
    band = np.arange(180.0).reshape(SHAPE)
    cover = polygon_coverage([rings(shapely.box(1.5, 2, 4, 3)), rings(shapely.box(0, 0, 1, 1))], SHAPE)
    whole = zonal_sums(cover, band)
    assert whole.total.tolist() == [0.5 * 31 + 32 + 33, 0.0]
    assert whole.mean.tolist() == [(0.5 * 31 + 32 + 33) / 2.5, 0.0]
    for missing, nodata in ((np.nan, None), (np.inf, None), (-9999.0, -9999.0), (np.nan, np.nan)):
        holed = band.copy()
        holed[2, 3] = holed[0, 0] = missing
        found = zonal_sums(cover, holed, nodata)
        assert found.weight.tolist() == [1.5, 0.0]
        assert found.mean[0] == (0.5 * 31 + 32) / 1.5
        assert np.isnan(found.mean[1])
        assert np.isnan(zonal_quantiles(cover, holed, [0.5], nodata)[1, 0])


def test_integer_bands_of_any_kind_give_the_same_sums():
    cover = polygon_coverage([rings(shapely.Point(6, 6).buffer(4))], SHAPE)
    band = np.arange(180).reshape(SHAPE)
    expected = zonal_sums(cover, band.astype(float)).total[0]
    for kind in (np.uint8, np.int16, np.uint16, np.int32, np.float32):
        assert zonal_sums(cover, band.astype(kind), nodata=255).total[0] == pytest.approx(expected, rel=1e-14)


def test_quantiles_of_whole_pixels_are_the_usual_linear_ones():
    band = np.random.default_rng(2).normal(size=SHAPE)
    cover = polygon_coverage([rings(shapely.box(2, 3, 9, 8))], SHAPE)
    wanted = [0.0, 0.05, 0.5, 0.9, 1.0]
    assert zonal_quantiles(cover, band, wanted)[0] == pytest.approx(np.quantile(band[3:8, 2:9], wanted))
    with pytest.raises(OutOfRange):
        zonal_quantiles(cover, band, [1.1])


def test_sums_of_strips_add_up_to_those_of_the_whole():
    polygon = shapely.Point(7, 6).buffer(5.2)
    band = np.random.default_rng(3).normal(size=SHAPE)
    whole = zonal_sums(polygon_coverage([rings(polygon)], SHAPE), band)
    parts = [
        zonal_sums(
            polygon_coverage([[r - [0, row] for r in rings(polygon)]], (4, SHAPE[1])), band[row : row + 4]
        )
        for row in (0, 4, 8)
    ]
    together = parts[0] + parts[1] + parts[2]
    assert together.weight == pytest.approx(whole.weight, abs=1e-12)
    assert together.mean == pytest.approx(whole.mean, abs=1e-12)


def test_a_band_of_another_shape_is_refused():
    cover = polygon_coverage([rings(shapely.box(1, 1, 2, 2))], SHAPE)
    with pytest.raises(OutOfRange):
        zonal_sums(cover, np.zeros((15, 12)))


@pytest.mark.parametrize("engine", ["plain", "compiled"])
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_sums_of_many_dates_are_those_of_each_date_for_any_engine_and_number_of_threads(threads, engine):
    if engine == "compiled":
        require_or_skip(zonal_compiled.available(), "numba is not installed")
    rng = np.random.default_rng(7)
    corners = rng.uniform(0, 12, (25, 2))
    cover = polygon_coverage([rings(shapely.Point(x, y).buffer(1.9)) for x, y in corners], SHAPE)
    bands = [rng.normal(size=SHAPE) for _ in range(26)]
    bands[3][4:9, 2:8] = np.nan
    bands[5] = np.round(bands[5] * 100).astype(np.int16)
    found = zonal_sums_of_dates(cover, (band for band in bands), threads=threads, engine=engine)
    assert len(found) == 26
    for sums, band in zip(found, bands, strict=True):
        alone = zonal_sums(cover, band)
        assert np.array_equal(sums.total, alone.total) and np.array_equal(sums.weight, alone.weight)


def test_dates_with_a_value_for_no_data_and_dates_of_another_shape():
    cover = polygon_coverage([rings(shapely.box(1, 1, 4, 4))], SHAPE)
    band = np.full(SHAPE, 7.0)
    band[2, 2] = -9999
    (found,) = zonal_sums_of_dates(cover, [band], nodata=-9999)
    assert (found.weight[0], found.total[0]) == (8.0, 56.0)
    with pytest.raises(OutOfRange, match="expected a band"):
        zonal_sums_of_dates(cover, [band, band[:5]])


def test_the_compiled_engine_is_refused_where_there_is_no_numba(monkeypatch):
    monkeypatch.setattr(zonal_compiled, "available", lambda: False)
    cover = polygon_coverage([rings(shapely.box(1, 1, 4, 4))], SHAPE)
    with pytest.raises(OutOfRange, match="expected numba"):
        zonal_sums_of_dates(cover, [np.zeros(SHAPE)], engine="compiled")


def test_zones_in_any_order_of_place_keep_their_own_sums():
    boxes = [shapely.box(x, y, x + 2.5, y + 1.5) for x, y in [(9, 9), (0.5, 0), (3, 10), (8, 0.25), (1, 5)]]
    band = np.arange(12 * 15, dtype=float).reshape(SHAPE)
    found = zonal_sums(polygon_coverage([rings(box) for box in boxes], SHAPE), band).total
    assert found == pytest.approx([(by_geos(box) * band.ravel()).sum() for box in boxes], rel=1e-12)
