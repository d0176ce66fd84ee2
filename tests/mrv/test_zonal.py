"""Zonal statistics on real districts, and of rasters read in strips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from pyproj import Transformer

from models.zonal import zonal_quantiles, zonal_sums
from mrv.geometry import Grid, grid_of
from mrv.zonal import centre_zones, exact_zones, sums_in_strips


@pytest.fixture(scope="module")
def bighorn(shared_data):
    folder = shared_data / "bighorn"
    _, _, wkb, _ = pyogrio.raw.read(folder / "WYbighorn_districtbnd.shp")
    onto = Transformer.from_crs(4269, 5069, always_xy=True)
    rings = {}
    for number, district in enumerate(shapely.from_wkb(wkb)):
        plane = shapely.transform(district, lambda c: np.column_stack(onto.transform(*c.T)))
        parts = [r for p in shapely.get_parts(plane) for r in (p.exterior, *p.interiors)]
        rings[str(number)] = [np.rint(np.asarray(r.coords) * 1000).astype(int).tolist() for r in parts]
    return folder / "WYbighorn_dem_250m.img", rings


def test_mean_elevation_of_bighorn_districts_is_as_published(bighorn):
    """FIESTA, USDA Forest Service, takes pixels by their centres: 2650.793 (n 23,617), 2686.069, 2538.865."""
    path, rings = bighorn
    with rasterio.open(path) as source:
        grid = grid_of(source.transform, source.height, source.width, 5069, path.name)
        found = zonal_sums(centre_zones(grid, rings).coverage, source.read(1), source.nodata)
    assert found.mean == pytest.approx([2650.793, 2686.069, 2538.865], abs=0.0005)
    assert found.weight[0] == 23_617


def test_exact_shares_give_the_districts_own_area_and_nearly_the_same_mean(bighorn):
    path, rings = bighorn
    with rasterio.open(path) as source:
        grid = grid_of(source.transform, source.height, source.width, 5069, path.name)
        zones = exact_zones(grid, rings)
        found = zonal_sums(zones.coverage, source.read(1), source.nodata)
        strips = sums_in_strips(source, grid, rings, strip_pixels=34_500)
    areas = [sum(_area_m2(r) for r in parts) for parts in rings.values()]
    assert zones.covered_m2() == pytest.approx(areas, rel=1e-12)
    assert found.mean == pytest.approx([2650.793, 2686.069, 2538.865], abs=0.25)
    assert strips.mean == pytest.approx(found.mean, rel=1e-13)


def _area_m2(ring):
    return shapely.Polygon(ring).area / 1e6


def test_a_circle_on_a_grid_of_half_metres_keeps_its_area_and_mean():
    grid = Grid(6674, 20_000_000, 60_000_000, 500_000, 80, 90)
    angle = np.linspace(0, 2 * np.pi, 97)[:-1]
    ring = np.rint(
        np.column_stack([40_123 + 11_280 * np.cos(angle), 41_877 + 11_280 * np.sin(angle)])
    ).astype(int)
    zones = exact_zones(grid, {"plot": [ring.tolist()]})
    assert zones.covered_m2()[0] == pytest.approx(_area_m2(ring), rel=1e-13)
    east = np.broadcast_to(grid.centres_x_mm() / 1e3, (80, 90)).copy()
    assert zonal_sums(zones.coverage, east).mean[0] == pytest.approx(40.123, abs=2e-3)


def test_no_zones_and_zones_beside_the_raster_have_no_pixels():
    grid = Grid(6674, 0, 5_000_000, 500_000, 10, 10)
    assert exact_zones(grid, {}).coverage.zones == 0
    beside = exact_zones(grid, {"far": [[(90_000, 0), (95_000, 0), (95_000, 9000)]]})
    assert beside.covered_m2().tolist() == [0.0]
    assert np.isnan(zonal_sums(beside.coverage, np.ones((10, 10))).mean[0])


def test_sums_and_quantiles_are_those_of_exactextract_given_shares_in_its_single_precision():
    peer = pytest.importorskip("exactextract", reason="exactextract is not installed")
    source = pytest.importorskip("exactextract.raster").NumPyRasterSource
    grid = Grid(6674, 0, 400_000_000, 10_000_000, 40, 50)
    rng = np.random.default_rng(12)
    band = rng.normal(20, 5, (40, 50))
    angle = np.linspace(0, 2 * np.pi, 12)[:-1]
    rings = {}
    for number in range(40):
        radius = rng.uniform(20_000, 70_000, angle.size)
        ring = rng.uniform(60_000, 330_000, 2) + radius[:, None] * np.column_stack(
            [np.cos(angle), np.sin(angle)]
        )
        rings[str(number)] = [np.rint(ring).astype(int).tolist()]
    features = [
        {
            "type": "Feature",
            "properties": {},
            "geometry": {"type": "Polygon", "coordinates": [[[x / 1000, y / 1000] for x, y in [*r, r[0]]]]},
        }
        for (r,) in rings.values()
    ]
    wanted = ["sum", "count", "quantile(q=0.1)", "median"]
    raster = source(band, xmin=0, ymin=0, xmax=500, ymax=400)
    found = [f["properties"] for f in peer.exact_extract(raster, features, wanted)]
    exact = exact_zones(grid, rings).coverage
    single = replace(exact, share=exact.share.astype(np.float32).astype(np.float64))
    sums, quantiles = zonal_sums(single, band), zonal_quantiles(single, band, [0.1, 0.5])
    assert sums.total == pytest.approx([f["sum"] for f in found], rel=1e-12)
    assert sums.weight == pytest.approx([f["count"] for f in found], rel=1e-12)
    assert quantiles == pytest.approx(np.array([[f["quantile_10"], f["median"]] for f in found]), rel=1e-9)
    assert zonal_sums(exact, band).mean == pytest.approx(sums.mean, rel=1e-6)
