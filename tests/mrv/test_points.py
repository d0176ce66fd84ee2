"""Canopy from laser points: agrees with another program, does not depend on chunks, refuses what it cannot read."""

from __future__ import annotations

from pathlib import Path

import laspy
import numpy as np
import pytest
import rasterio

from mrv.errors import Refusal
from mrv.geometry import Grid, grid_of
from mrv.pits import without_pits
from mrv.point_density import point_density
from mrv.points import chm_from_points, points_above_ground

NODATA = -(2**31)
HEIGHT_M = 7.25
CROWN = 52  # pixel centres within 2 m of the stem


def write_points(path: Path, x, y, z, classes) -> Path:
    cloud = laspy.create(point_format=6, file_version="1.4")
    cloud.header.scales, cloud.header.offsets = [0.001] * 3, [0.0] * 3
    cloud.x, cloud.y, cloud.z = (np.asarray(v, dtype=float) for v in (x, y, z))
    cloud.classification = np.asarray(classes)
    cloud.write(path)
    return path


@pytest.fixture
def slope(tmp_path) -> Path:
    """A slope of 1 in 2 with one flat-topped crown above it, and a bird."""
    x, y = (a.ravel() for a in np.meshgrid(np.arange(0.25, 10, 0.5), np.arange(0.25, 10, 0.5)))
    ground = 100.0 + 0.5 * x
    crown = (np.hypot(x - 5, y - 5) < 2).nonzero()[0]
    return write_points(
        tmp_path / "slope.laz",
        np.concatenate([x, x[crown], [5.0]]),
        np.concatenate([y, y[crown], [5.0]]),
        np.concatenate([ground, ground[crown] + HEIGHT_M, [300.0]]),
        np.concatenate([np.full(x.size, 2), np.full(crown.size, 5), [7]]),
    )


def test_chablais_agrees_with_the_canopy_its_own_program_made(shared_data):
    folder = shared_data / "chablais3"
    with rasterio.open(folder / "chm_chablais3.tif") as source:
        given, grid = source.read(1), grid_of(source.transform, *source.shape, 2154, "chm")
    _, ours = chm_from_points(folder / "las_chablais3.laz", epsg=2154, nodata_mm=NODATA, grid=grid)
    both = np.isfinite(given) & (ours != NODATA)
    difference = ours[both] / 1000.0 - given[both]
    assert np.isfinite(given).sum() - both.sum() <= 1 and (ours != NODATA).sum() == both.sum()
    assert abs(difference.mean()) < 0.0005  # measured: −0.04 mm
    assert np.sqrt((difference**2).mean()) < 0.005  # measured: 3.9 mm
    assert (np.abs(difference) < 0.01).mean() > 0.99


def test_chunks_do_not_change_a_millimetre(shared_data):
    path = shared_data / "chablais3" / "las_chablais3.laz"
    grid, whole = chm_from_points(path, epsg=2154, nodata_mm=NODATA)
    again, pieces = chm_from_points(path, epsg=2154, nodata_mm=NODATA, chunk_points=7001)
    assert grid == again
    assert np.array_equal(whole, pieces)


def test_a_crown_on_a_slope_has_its_height_above_the_ground_under_it(slope):
    grid, heights = chm_from_points(slope, epsg=6674, nodata_mm=NODATA)
    assert (grid.rows, grid.cols, grid.pixel_um) == (20, 20, 500_000)
    inside = heights[heights != NODATA]
    tall = inside[inside > 1000]
    assert tall.size == CROWN and np.abs(tall - 7250).max() <= 1, (
        "each crown pixel stands 7.25 m above ground"
    )
    assert np.abs(inside[inside <= 1000]).max() <= 1


def test_noise_is_no_canopy(slope):
    _, heights = chm_from_points(slope, epsg=6674, nodata_mm=NODATA)
    assert heights.max() < 8000


def test_points_above_ground_are_every_point_once_but_noise(slope):
    points = points_above_ground(slope, epsg=6674, chunk_points=50)
    # at the very edge of the ground's hull a point may fall out
    within = (np.abs(points.x_um - 5_000_000) < 4_500_000) & (np.abs(points.y_um - 5_000_000) < 4_500_000)
    assert within.sum() == 18 * 18 + CROWN
    assert (points.height_mm > 7000).sum() == CROWN


def test_a_cloud_without_ground_is_refused_in_both_languages(tmp_path):
    path = write_points(tmp_path / "canopy.laz", [0, 1, 2, 3], [0, 2, 1, 3], [5, 6, 7, 8], [5, 5, 2, 2])
    with pytest.raises(Refusal, match="地面点") as caught:
        chm_from_points(path, epsg=6674, nodata_mm=NODATA)
    assert caught.value.codes == ("points.no_ground",)


def test_ground_in_one_line_is_refused(tmp_path):
    line = np.arange(4)
    path = write_points(tmp_path / "line.laz", line, np.zeros(4), line, np.full(4, 2))
    with pytest.raises(Refusal) as caught:
        chm_from_points(path, epsg=6674, nodata_mm=NODATA)
    assert caught.value.codes == ("points.no_ground",)


@pytest.mark.parametrize("keep", [0.2, 0.6, 0.95])
def test_a_truncated_file_is_refused(shared_data, tmp_path, keep):
    data = (shared_data / "chablais3" / "las_chablais3.laz").read_bytes()
    path = tmp_path / "cut.laz"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(Refusal) as caught:
        chm_from_points(path, epsg=2154, nodata_mm=NODATA)
    assert caught.value.codes == ("points.unreadable",)


def test_a_file_that_is_no_point_cloud_is_refused(tmp_path):
    path = tmp_path / "notes.laz"
    path.write_bytes("これは点群ではありません".encode() * 100)
    with pytest.raises(Refusal) as caught:
        chm_from_points(path, epsg=6674, nodata_mm=NODATA)
    assert caught.value.codes == ("points.unreadable",)


def test_a_header_that_spans_a_continent_is_refused(tmp_path):
    path = write_points(tmp_path / "far.laz", [0, 2e6, 1], [0, 2e6, 0], [0, 0, 0], [2, 2, 2])
    with pytest.raises(Refusal) as caught:
        chm_from_points(path, epsg=6674, nodata_mm=NODATA)
    assert caught.value.codes == ("points.extent",)


def test_a_terrain_raster_in_place_of_ground_points_gives_heights_above_it(tmp_path):
    x, y = (v.ravel() + 0.3 for v in np.meshgrid(np.arange(12.0), np.arange(10.0)))
    ground = 400 + 0.5 * x - 0.25 * y
    path = write_points(tmp_path / "canopy.laz", x, y, ground + 7, np.full(x.size, 5))
    terrain = Grid(6674, -3_000_000, 15_000_000, 2_000_000, 9, 10)  # 2 m pixels, another origin
    east, north = np.meshgrid(-3 + 2 * np.arange(10) + 1.0, 15 - 2 * np.arange(9) - 1.0)
    metres = 400 + 0.5 * east - 0.25 * north
    grid, heights = chm_from_points(
        path, epsg=6674, nodata_mm=NODATA, pixel_um=1_000_000, terrain=(terrain, metres)
    )
    # the pixel's centre lies 0.2 m east and north of the point: 0.5 · 0.2 − 0.25 · 0.2 m higher ground
    assert set(heights.ravel().tolist()) == {7000 - 50}
    metres[0:5] = np.nan
    _, cut = chm_from_points(path, epsg=6674, nodata_mm=NODATA, pixel_um=1_000_000, terrain=(terrain, metres))
    known = cut != NODATA
    assert 0 < known.sum() < known.size
    assert (cut[known] == 6950).all()
    assert (grid.centres_y_mm()[known.any(axis=1)] <= 4000).all(), "the northernmost known centre lies at 4 m"


def test_density_counts_every_point_once_ground_apart_and_noise_not(slope):
    found = point_density(slope, epsg=6674)
    cloud = laspy.read(slope)
    classes = np.asarray(cloud.classification)
    assert found.points.sum() == np.sum(~np.isin(classes, (7, 18)))
    assert found.ground.sum() == np.sum(classes == 2)
    assert found.grid.pixel_um == 1_000_000
    assert (found.per_m2() == found.points).all()
    assert found.sparse_share(1) == (found.points == 0).mean()


def test_density_of_chablais_is_that_of_its_survey_whatever_the_chunks(shared_data):
    """92,097 points (the data's description) on some 6,700 m²."""
    path = shared_data / "chablais3" / "las_chablais3.laz"
    whole = point_density(path, epsg=2154, pixel_um=500_000)
    assert whole.points.sum() == 92_097
    assert whole.ground.sum() == 8_047
    assert whole.per_m2().mean() == pytest.approx(92_097 / 6700, rel=0.05)
    parts = point_density(path, epsg=2154, pixel_um=500_000, chunk_points=10_000)
    assert (parts.points == whole.points).all() and (parts.ground == whole.ground).all()


def test_a_single_pit_is_filled_and_a_gap_is_kept():
    heights = np.full((9, 9), 15_000, dtype=np.int32)
    heights[2, 2] = 300
    heights[2, 6] = NODATA
    heights[6:8, 6:8] = 100
    before = heights.copy()
    filled = without_pits(heights, NODATA)
    assert (filled[2, 2], filled[2, 6]) == (15_000, 15_000)
    assert (filled[6:8, 6:8] == 100).all()
    assert np.array_equal(heights, before)
