"""Metrics of canopy and points: the very pixels and points of each patch, the same in any strips, and fit to train a model on."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import laspy
import numpy as np
import pytest
import rasterio

from models.canopy_metrics import COVER_ABOVE_MM, MISSING, PERCENTILES
from mrv.blob import FolderSink, NullSink, blob_of_file
from mrv.canopy import NODATA_MM, measure_canopy, read_canopy_mm
from mrv.cell_strips import CellEdges, cell_grid
from mrv.geometry import Grid, zone_mask
from mrv.metrics import CANOPY_METRICS, metric_bands, names_of, training_table, write_metrics
from mrv.model_map import map_model
from mrv.point_metrics import POINT_METRICS, PointStore, stored_points
from mrv.results import Inventory, TreeStock
from mrv.survey import Plot, SamplePlot
from mrv.training import TrainingPlan, read_plot_table, train
from tests.mrv.stand_of_squares import square, survey, visits

CELL_MM = 10_000


def table_of(folder, survey_id):
    text = (folder / names_of(survey_id)[1]).read_text()
    return {row["id"]: row for row in csv.DictReader(io.StringIO(text))}


@pytest.fixture(scope="module")
def cauaxi(shared_data, tmp_path_factory):
    """A real laser canopy of 1 m under two plots and three sample plots made up."""
    folder = tmp_path_factory.mktemp("cauaxi")
    with rasterio.open(shared_data / "cauaxi" / "ALS_CHM_CAU_2012.tif") as source:
        left, top = round(source.transform.c) * 1000, round(source.transform.f) * 1000
    plots = [square(left + 13_000, top - 280_000, 140_000), square(left + 160_000, top - 250_000, 120_000)]
    samples = [square(left + 20_000 + 40_000 * i, top - 200_000 + 7_000 * i, 20_000) for i in range(3)]
    base = survey("cauaxi", visits()[0].survey.day, 2, 1)
    made = replace(
        base,
        epsg=32722,
        plots=tuple(replace(p, rings_mm=r) for p, r in zip(base.plots, plots, strict=True)),
        sample_plots=tuple(SamplePlot(f"S{i}", "P0", r, 4 * 10**8, True) for i, r in enumerate(samples)),
        chm=blob_of_file(shared_data / "cauaxi" / "ALS_CHM_CAU_2012.tif"),
    )
    canopy = measure_canopy(made, FolderSink(folder))
    return made, canopy, folder / canopy.raster_name


def by_numpy(values):
    out = {"mean": values.mean(), "sd": values.std(ddof=1), "max": values.max()}
    out |= {f"p{p}": np.percentile(values, p) for p in PERCENTILES}
    return {k: v / 1000 for k, v in out.items()} | {"cover_2m": (values > COVER_ABOVE_MM).mean()}


def test_plots_sample_plots_and_cells_of_a_real_canopy_have_numpys_own_statistics(cauaxi, tmp_path):
    made, canopy, raster = cauaxi
    metrics = write_metrics(made, canopy, raster, CELL_MM, FolderSink(tmp_path))
    grid, heights = Grid(**canopy.grid), read_canopy_mm(raster)
    rows = table_of(tmp_path, "cauaxi")
    inside = np.zeros(heights.shape, dtype=bool)
    for zone in (*made.plots, *made.sample_plots):
        mask = zone_mask(grid, zone.rings_mm)
        window = np.s_[mask.row : mask.row + mask.inside.shape[0], mask.col : mask.col + mask.inside.shape[1]]
        values = heights[window][mask.inside & (heights[window] != NODATA_MM)]
        found = rows[zone.plot_id if isinstance(zone, Plot) else zone.sample_plot_id]
        for name, value in by_numpy(values).items():
            assert float(found[name]) == pytest.approx(value, abs=0.00051), name
        assert int(found["pixels"]) == values.size
        assert 2 < float(found["rumple"]) < 8, "a tropical canopy on 1 m pixels is rough"
        if isinstance(zone, Plot):
            inside[window] |= mask.inside
    cells = cell_grid(canopy, CELL_MM)
    with rasterio.open(tmp_path / metrics.raster) as source:
        bands = dict(zip(source.descriptions, source.read(), strict=True))
    assert tuple(bands) == metrics.bands == CANOPY_METRICS
    col = (grid.centres_x_mm() - cells.left_um // 1000) // CELL_MM
    row = (cells.top_um // 1000 - grid.centres_y_mm()) // CELL_MM
    for r, c in [(10, 5), (14, 20), (3, 22), (20, 12)]:
        chosen = (row == r)[:, None] & (col == c) & inside & (heights != NODATA_MM)
        if not chosen.any():
            assert bands["mean"][r, c] == MISSING
            continue
        for name, value in by_numpy(heights[chosen]).items():
            scale = 1e6 if name == "cover_2m" else 1e3
            assert bands[name][r, c] / scale == pytest.approx(value, abs=0.00051), name


def test_strips_do_not_change_a_figure(cauaxi, tmp_path, monkeypatch):
    made, canopy, raster = cauaxi
    whole = write_metrics(made, canopy, raster, CELL_MM, FolderSink(tmp_path / "a"))
    batches = CellEdges.batches
    monkeypatch.setattr(CellEdges, "batches", lambda self: batches(self, 1))
    pieces = write_metrics(made, canopy, raster, CELL_MM, FolderSink(tmp_path / "b"))
    assert whole == pieces
    for name in (whole.raster, whole.table):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.fixture(scope="module")
def chablais(shared_data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("chablais")
    path = shared_data / "chablais3" / "las_chablais3.laz"
    cloud = laspy.read(path)
    left, bottom = (round(float(v)) * 1000 for v in (cloud.header.mins[0] + 15, cloud.header.mins[1] + 15))
    base = survey("chablais", visits()[0].survey.day, 1, 1)
    made = replace(
        base,
        epsg=2154,
        plots=(replace(base.plots[0], rings_mm=square(left, bottom, 50_000)),),
        sample_plots=(SamplePlot("S0", "P0", square(left + 8_000, bottom + 9_000, 20_000), 4 * 10**8, True),),
        points=blob_of_file(path),
    )
    canopy = measure_canopy(made, FolderSink(folder))
    return made, canopy, folder / canopy.raster_name


def test_points_of_chablais_are_counted_on_the_plot_they_fall_in(chablais, tmp_path):
    """Counts and absolute heights come straight from the file; 92,097 points on some 6,700 m² (the data's description)."""
    made, canopy, raster = chablais
    with stored_points(made, canopy) as store:
        metrics = write_metrics(made, canopy, raster, CELL_MM, FolderSink(tmp_path), store)
    assert metrics.bands == (*CANOPY_METRICS, *POINT_METRICS)
    with made.points.opener() as path:
        cloud = laspy.read(path)
    x, y, ground = np.asarray(cloud.x), np.asarray(cloud.y), np.asarray(cloud.classification) == 2
    rows = table_of(tmp_path, "chablais")
    for zone, key in ((made.plots[0], "P0"), (made.sample_plots[0], "S0")):
        (west, south), (east, north) = (np.array(zone.rings_mm[0]) / 1000)[[0, 2]]
        inside = (x > west) & (x < east) & (y > south) & (y < north)
        area = (east - west) * (north - south)
        found = rows[key]
        assert float(found["pt_density"]) == pytest.approx(inside.sum() / area, rel=0.003)
        assert float(found["pt_ground_density"]) == pytest.approx((inside & ground).sum() / area, rel=0.02)
        # the highest point of the plot is the canopy's highest pixel, to what the ground bends within a pixel
        assert float(found["pt_max"]) == pytest.approx(float(found["max"]), abs=0.3)
        assert float(found["pt_p50"]) < float(found["p50"]), (
            "points reach into the crowns, the canopy is their top"
        )
    with rasterio.open(tmp_path / metrics.raster) as source:
        density = source.read(metric_bands(tmp_path / metrics.raster)["pt_density"][1], masked=True)
    assert density.mean() / 1000 == pytest.approx(float(rows["P0"]["pt_density"]), rel=0.15)


@pytest.mark.parametrize("band_rows", [1, 7, 10_000])
def test_points_are_found_again_row_by_row_however_they_are_banded(tmp_path, band_rows):
    rng = np.random.default_rng(5)
    grid = Grid(6674, 0, 50_000_000, 500_000, 100, 80)
    store = PointStore(tmp_path, grid, band_rows)
    x, y, z = (rng.integers(0, high, 3000) for high in (40_000_000, 50_000_001, 30_000))
    soil = rng.random(3000) < 0.2
    for part in np.array_split(np.arange(3000), 7):
        store.add(x[part], y[part], z[part], soil[part])
    store.add(np.array([-1, 1]), np.array([1, 1]), np.array([5, 200_000]), np.array([False, False]))
    row = (50_000_000 - y) // 500_000
    kept = (row >= 20) & (row < 51) & (row < 100)
    points = store.rows(20, 51)
    assert sorted(points["mm"].tolist()) == sorted(z[kept].tolist())
    assert points["ground"].sum() == (soil & kept).sum()
    assert len(store.rows(0, 100)) == (row < 100).sum(), "neither beyond the grid nor higher than any tree"


def test_the_table_of_sample_plots_trains_a_model(cauaxi):
    """Stock of each sample plot from its trees, beside metrics: the table that `apps.train` reads."""
    made, canopy, raster = cauaxi
    metrics = write_metrics(made, canopy, raster, CELL_MM, NullSink())
    inventory = visits()[0].inventory
    trees = tuple(replace(t, sample_plot_id=f"S{i % 3}") for i, t in enumerate(inventory.trees))
    table = read_plot_table(training_table(metrics, made, replace(inventory, trees=trees)), "t.csv")
    co2 = [sum(t.co2_g for t in trees if t.sample_plot_id == f"S{i}") / 1e6 / 0.04 for i in range(3)]
    assert table.numbers["co2_t_ha"] == pytest.approx(co2, abs=0.001)
    zones = [z.metrics for z in metrics.zones if z.kind == "sample_plot"]
    assert table.numbers["p95"] == pytest.approx([z["p95"] / 1000 for z in zones])
    assert "pixels" not in table.numbers and "rumple" in table.numbers


def test_a_model_of_the_table_is_drawn_from_the_bands(cauaxi, tmp_path):
    """Sample plots in a grid over a real canopy, a response made of it, a model trained on the table and mapped on the cells."""
    made, canopy, raster = cauaxi
    left, top = (canopy.grid[k] // 1000 for k in ("left_um", "top_um"))
    samples = tuple(
        SamplePlot(
            f"S{i}-{j}",
            f"B{i // 2}",
            square(left + 20_000 + 26_000 * i, top - 46_000 - 26_000 * j, 20_000),
            4 * 10**8,
            True,
        )
        for i in range(10)
        for j in range(8)
    )
    plots = (replace(made.plots[0], rings_mm=square(left, top - 300_000, 300_000)),)
    dense = replace(made, sample_plots=samples, plots=plots)
    metrics = write_metrics(dense, canopy, raster, 20_000, FolderSink(tmp_path))
    zones = {z.zone_id: z.metrics for z in metrics.zones}
    rng = np.random.default_rng(1)
    trees = tuple(
        TreeStock(
            s.sample_plot_id,
            "1",
            "hinoki",
            "alive",
            "e",
            False,
            1,
            int((9 * zones[s.sample_plot_id]["p70"] + 40_000) * 400 * rng.uniform(0.9, 1.1)),
            0,
            0,
        )
        for s in samples
    )
    table = read_plot_table(training_table(metrics, dense, Inventory("cauaxi", trees, ())), "made.csv")
    plan = TrainingPlan(
        response="co2_t_ha", unit="t/ha", kind="area-based", metrics=("mean", "p30", "p70", "p95", "cover_2m"), leave_out=(), block_column="plot_id",
        block_size_m=0, plot_area_m2=400, sensor="airborne laser", selection="systematic", source="made up", licence="none", project="test-project", seed=1, trees=10,
    )  # fmt: skip
    trained = train(table, plan)
    assert "p70" in trained.card.metrics and trained.card.error.relative_rmse < 0.1
    bands = metric_bands(tmp_path / metrics.raster)
    done = map_model(trained.model, trained.card, bands, 32722, "airborne laser", FolderSink(tmp_path))
    with rasterio.open(tmp_path / done.output) as source:
        value = source.read(1, masked=True) / 1000
    with rasterio.open(tmp_path / metrics.raster) as source:
        p70 = source.read(bands["p70"][1], masked=True) / 1000
    assert done.cells == value.size and 0 <= done.outside < done.cells / 4
    truth = 90 * p70 + 400  # of 400 m² in g, per hectare in t
    assert abs((value - truth) / truth).mean() < 0.05
