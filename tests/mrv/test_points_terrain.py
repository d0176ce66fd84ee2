"""Points on a terrain that was handed in with them: heights above it, on one datum, flagged where it is not from laser."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import laspy
import numpy as np
import pytest
import rasterio
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.io import MemoryFile

from mrv.blob import FolderSink, NullSink, blob_of_file
from mrv.canopy import NODATA_MM, measure_canopy, read_canopy_mm
from mrv.geometry import Grid, grid_of
from mrv.intake import KnownSurveys, plan_intake, render
from mrv.pits import PitCount, fill_pits
from mrv.point_metrics import stored_points
from mrv.tables import load_tables
from mrv.terrain import FileTerrain, RasterTerrain
from tests.mrv.bad_inputs import COLS, LEFT, PROJECT, ROWS, TOP, edit, good_survey, heights, write_tif
from tests.mrv.stand_of_squares import survey, visits

TABLES = load_tables()


def write_points(path: Path, x, y, z, ground=None) -> Path:
    cloud = laspy.create(point_format=6, file_version="1.4")
    cloud.header.scales, cloud.header.offsets = [0.001] * 3, [np.floor(np.min(x)), np.floor(np.min(y)), 0.0]
    cloud.x, cloud.y, cloud.z = x, y, z
    cloud.classification = np.where(ground if ground is not None else np.zeros(np.size(x), bool), 2, 5)
    cloud.write(path)
    return path


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_terrain_read_from_its_file_piece_by_piece_is_that_of_the_whole_raster(seed):
    rng = np.random.default_rng(seed)
    rows, cols = int(rng.integers(1, 900)), int(rng.integers(1, 12))
    metres = rng.normal(300, 40, (rows, cols))
    metres[rng.random(metres.shape) < 0.1] = -9999.0
    metres[rng.random(metres.shape) < 0.02] = 1.7e308
    grid = Grid(6674, 3_000_000, 9_000_000, 700_000, rows, cols)
    x = rng.integers(-3_000_000, 12_000_000, 500)
    y = rng.integers(-rows * 700_000 - 3_000_000, 3_000_000, 500)
    options = {
        "driver": "GTiff",
        "height": rows,
        "width": cols,
        "count": 1,
        "dtype": "float64",
        "nodata": -9999.0,
    }
    with MemoryFile() as file:
        with file.open(crs="EPSG:6674", transform=grid.transform, **options) as target:
            target.write(metres, 1)
        with file.open() as source:
            terrain = FileTerrain(source, grid, 2_500_000, 9_250_000)
            found, some = terrain.at(x, y), terrain.at(x[::7], y[::7])
    clean = np.where((metres == -9999.0) | (metres > 1e5), np.nan, metres)
    whole = RasterTerrain(clean, grid, 2_500_000, 9_250_000).at(x, y)
    np.testing.assert_allclose(found, whole, rtol=1e-12)
    np.testing.assert_array_equal(found[::7], some)


@pytest.fixture
def on_terrain(tmp_path):
    """Points 12 m above a slope, none of them ground, and the slope as a raster of 2 m."""
    x, y = (a.ravel() for a in np.meshgrid(np.arange(0.25, 100, 0.5), np.arange(0.25, 100, 0.5)))
    points = write_points(tmp_path / "points.laz", x, y, 300 + x / 4 - y / 8 + 12)
    east, north = np.meshgrid(-9 + 2.0 * np.arange(60), 109 - 2.0 * np.arange(60))
    transform = rasterio.transform.from_origin(-10, 110, 2, 2)
    options = {
        "driver": "GTiff",
        "height": 60,
        "width": 60,
        "count": 1,
        "dtype": "float32",
        "crs": "EPSG:6674",
    }
    with rasterio.open(tmp_path / "dtm.tif", "w", transform=transform, **options) as target:
        target.write((300 + east / 4 - north / 8).astype("float32"), 1)
    base = survey("s", visits()[0].survey.day, 1, 3)
    return replace(base, points=blob_of_file(points), dtm=blob_of_file(tmp_path / "dtm.tif"))


def said(survey, **files):
    return replace(survey, manifest={"files": files})


LASER = {"path": "dtm.tif", "source": "laser"}


def test_heights_of_points_are_those_above_the_terrain_handed_in(on_terrain, tmp_path):
    canopy = measure_canopy(said(on_terrain, points="points.laz", dtm=LASER), FolderSink(tmp_path))
    assert canopy.source == "points" and canopy.flags == ()
    heights_mm = read_canopy_mm(tmp_path / canopy.raster_name)
    assert np.abs(heights_mm - 12_000).max() <= 2, "float32 metres and points in whole millimetres"
    assert abs(canopy.plots[0].sum_mm / canopy.plots[0].valid - 12_000) < 1
    with stored_points(on_terrain, canopy) as store:
        points = store.rows(0, 200)
    assert len(points) == 40_000 and np.abs(points["mm"] - 12_000).max() <= 2


@pytest.mark.parametrize(
    ("files", "flagged"),
    [
        ({"points": "points.laz", "dtm": LASER}, False),
        ({"points": {"path": "points.laz", "source": "photogrammetry"}, "dtm": LASER}, False),
        ({"points": "points.laz", "dtm": {"path": "dtm.tif", "source": "photogrammetry"}}, True),
        ({"points": "points.laz", "dtm": {"path": "dtm.tif"}}, True),
    ],
)
def test_what_stands_on_a_terrain_that_is_not_from_laser_is_flagged(on_terrain, files, flagged):
    flags = measure_canopy(said(on_terrain, **files), NullSink()).flags
    assert ("canopy.terrain_not_from_laser" in flags) == flagged


@pytest.mark.parametrize(
    ("source", "flagged"), [("", False), ("laser", False), ("photogrammetry", True), ("sfm", True)]
)
def test_photogrammetric_points_on_ground_of_their_own_are_flagged(tmp_path, source, flagged):
    x, y = (a.ravel() for a in np.meshgrid(np.arange(0.25, 100, 0.5), np.arange(0.25, 100, 0.5)))
    points = write_points(tmp_path / "p.laz", x, y, x * 0 + 5, np.ones(x.size, bool))
    made = replace(survey("s", visits()[0].survey.day, 1, 3), points=blob_of_file(points))
    flags = measure_canopy(said(made, points={"path": "p.laz", "source": source}), NullSink()).flags
    assert ("canopy.terrain_not_from_laser" in flags) == flagged


def test_pits_are_kept_unless_the_survey_asks_and_then_filled_flagged_and_counted(on_terrain, tmp_path):
    with on_terrain.points.opener() as path:
        cloud = laspy.read(path)
        keep = np.ones(len(cloud.x), bool)
        keep[[20_100, 30_050]] = False  # two pixels without a point
        z = np.asarray(cloud.z).copy()
        z[[10_050, 10_051]] -= 11, 1.0  # one deep pit, one shallow
        cloud.z = z
        cloud.points = cloud.points[keep]
        cloud.write(path)
    kept = measure_canopy(said(on_terrain, points="p", dtm=LASER), FolderSink(tmp_path / "kept"))
    asked = said(on_terrain, points={"path": "p", "pits": "fill"}, dtm=LASER)
    filled = measure_canopy(asked, FolderSink(tmp_path / "filled"))
    assert kept.flags == () and filled.flags == ("canopy.pits_filled",)
    count = json.loads((tmp_path / "filled" / "pits_s.json").read_bytes())
    assert PitCount(**count) == PitCount(empty=2, sunken=1, pixels=40_000)
    assert kept.plots[0].pixels - kept.plots[0].valid == 2 and filled.plots[0].valid == filled.plots[0].pixels
    assert filled.plots[0].sum_mm - kept.plots[0].sum_mm == pytest.approx(2 * 12_000 + 11_000, abs=20)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400))
def test_pits_do_not_depend_on_the_strips_they_are_sought_in(seed, strip):
    rng = np.random.default_rng(seed)
    surface = rng.choice(
        [NODATA_MM, 200, 9000, 9500, 15_000], (17, 13), p=[0.1, 0.15, 0.3, 0.3, 0.15]
    ).astype(np.int32)
    whole = fill_pits(surface, NODATA_MM)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mrv.pits.STRIP_PIXELS", strip)
        filled, count = fill_pits(surface, NODATA_MM)
    assert np.array_equal(filled, whole[0]) and count == whole[1]
    assert int((filled != surface).sum()) == count.empty + count.sunken


def points_and_terrain(folder: Path, points: str, dtm: str, geoid_m: float = 0.0, more: str = "") -> Path:
    """The good survey, its canopy handed in as points and a terrain raster on the datums named."""
    good_survey(folder)
    edit(folder, "survey.toml", '"height_above_ground"', '"tokyo_peil"')
    rows, cols = np.mgrid[0:ROWS, 0:COLS]
    x, y = LEFT + cols.ravel() + 0.5, TOP - rows.ravel() - 0.5
    canopy = np.where(
        rows.ravel() % 9 == 0, 0.0, heights().ravel().astype(float)
    )  # gaps that show the ground
    write_points(folder / "points.laz", x, y, 300 + canopy + geoid_m)
    write_tif(folder / "dtm.tif", np.full((ROWS, COLS), 300, dtype="float32"))
    said = f', vertical_datum = "{points}"' if points else ""
    ground = f', vertical_datum = "{dtm}"' if dtm else ""
    lines = (
        f'points = {{path = "points.laz"{said}{more}}}\ndtm = {{path = "dtm.tif"{ground}, source = "laser"}}'
    )
    edit(folder, "survey.toml", 'chm = "chm.tif"', lines)
    return folder


@pytest.mark.parametrize(("points", "more"), [("tokyo_peil", ""), ("", ', pits = "fill"'), ("", "")])
def test_points_with_a_terrain_on_one_datum_are_accepted_and_measured(tmp_path, points, more):
    folder = points_and_terrain(tmp_path / "s", points, "tokyo_peil", more=more)
    plan = plan_intake(folder, PROJECT, KnownSurveys(), TABLES)
    assert plan.accepted, render(plan)
    canopy = measure_canopy(plan.survey, FolderSink(tmp_path))
    with rasterio.open(folder / "dtm.tif") as source:
        assert (
            Grid(**canopy.grid).pixel_um
            == 500_000
            != grid_of(source.transform, ROWS, COLS, 6674, "d").pixel_um
        )
    heights_mm = read_canopy_mm(tmp_path / canopy.raster_name)
    assert set(canopy.flags) == ({"canopy.pits_filled"} if more else set())
    assert heights_mm[heights_mm > 0].min() > 9_900 and heights_mm.max() < 17_100


@pytest.mark.parametrize(
    ("points", "dtm", "geoid_m", "code"),
    [
        ("ellipsoidal", "tokyo_peil", 0.0, "raster.vertical_datum_differs"),
        ("tokyo_peil", "", 0.0, "raster.vertical_datum_missing"),
        ("tokyo_peil", "tokyo_peil", 37.0, "raster.vertical_datum_differs"),
        ("tokyo_peil", "tokyo_peil", -37.0, "raster.vertical_datum_differs"),
        ("height_above_ground", "tokyo_peil", 0.0, "points.already_above_ground"),
    ],
)
def test_points_and_terrain_on_two_datums_or_on_none_stated_are_refused(tmp_path, points, dtm, geoid_m, code):
    plan = plan_intake(
        points_and_terrain(tmp_path / "s", points, dtm, geoid_m), PROJECT, KnownSurveys(), TABLES
    )
    assert [p.code for p in plan.refusals] == [code], render(plan)
    assert all(p.got_ja and p.got_en for p in plan.refusals)


def test_points_without_ground_are_refused_where_no_terrain_comes_with_them(tmp_path):
    folder = points_and_terrain(tmp_path / "s", "", "tokyo_peil")
    edit(
        folder,
        "survey.toml",
        'dtm = {path = "dtm.tif", vertical_datum = "tokyo_peil", source = "laser"}\n',
        "",
    )
    plan = plan_intake(folder, PROJECT, KnownSurveys(), TABLES)
    assert [p.code for p in plan.refusals] == ["points.no_ground"]


def test_photogrammetric_points_without_a_laser_terrain_are_let_in_with_a_warning(tmp_path):
    folder = points_and_terrain(tmp_path / "s", "", "tokyo_peil", more=', source = "photogrammetry"')
    assert plan_intake(folder, PROJECT, KnownSurveys(), TABLES).accepted
    edit(
        folder,
        "survey.toml",
        'dtm = {path = "dtm.tif", vertical_datum = "tokyo_peil", source = "laser"}\n',
        "",
    )
    with (folder / "points.laz").open("rb") as file:
        cloud = laspy.read(file)
    cloud.classification = np.where(np.asarray(cloud.z) < 300.5, 2, 5)
    cloud.write(folder / "points.laz")
    plan = plan_intake(folder, PROJECT, KnownSurveys(), TABLES)
    assert plan.accepted and "points.terrain_not_laser" in [p.code for p in plan.problems]


@pytest.mark.parametrize(
    "way", ['chm = "chm.tif"\ndtm = "dtm.tif"', 'points = "points.laz"\nchm = "chm.tif"', 'dtm = "dtm.tif"']
)
def test_other_mixtures_of_canopy_files_are_refused(tmp_path, way):
    folder = points_and_terrain(tmp_path / "s", "", "tokyo_peil")
    text = (folder / "survey.toml").read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("points =", "dtm ="))]
    (folder / "survey.toml").write_text("\n".join(kept).replace("[files]", f"[files]\n{way}"))
    plan = plan_intake(folder, PROJECT, KnownSurveys(), TABLES)
    assert "manifest.canopy" in [p.code for p in plan.refusals]
