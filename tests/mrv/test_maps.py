"""Maps: means of the right pixels, predictions of the stated model, the same in strips as at once, and flags where they extrapolate."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mrv.blob import FolderSink, blob_of_file
from mrv.canopy import NODATA_MM, measure_canopy, read_canopy_mm
from mrv.cell_strips import CellEdges, open_strips
from mrv.change import estimate_change
from mrv.coverage import ModelCoverage, Range
from mrv.geometry import Grid, zone_mask
from mrv.maps import COVERAGE_NAME, MAPS, NODATA_MAP, RANGE_MAP, cell_grid, cell_heights, predict, write_maps
from mrv.pairing import Visit
from tests.mrv.stand_of_squares import plan, visits

SIZE = 620


def means_at_once(canopy, raster, plots, cell_mm, cells):
    """The clear version, whole raster in memory: what the strips must equal."""
    grid = Grid(**canopy.grid)
    heights = read_canopy_mm(raster)
    inside = np.zeros(heights.shape, dtype=bool)
    for plot in plots:
        mask = zone_mask(grid, plot.rings_mm)
        rows, cols = mask.inside.shape
        inside[mask.row : mask.row + rows, mask.col : mask.col + cols] |= mask.inside
    inside &= heights != NODATA_MM
    row, col = np.nonzero(inside)
    cell_col = (grid.centres_x_mm()[col] - cells.left_um // 1000) // cell_mm
    cell_row = (cells.top_um // 1000 - grid.centres_y_mm()[row]) // cell_mm
    flat = cell_row * cells.cols + cell_col
    size = cells.rows * cells.cols
    count = np.bincount(flat, minlength=size)
    total = np.bincount(flat, weights=heights[row, col], minlength=size)
    with np.errstate(invalid="ignore"):
        mean = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return mean.reshape(cells.rows, cells.cols), count.reshape(cells.rows, cells.cols)


def maps_at_once(change, means):
    first, last = means
    out = {}
    for key, x in (("first", first), ("last", last), ("change", last - first)):
        value, error = predict(change.coefficients, key, x)
        for name, layer in ((f"co2_{key}", value), (f"co2_{key}_se", error)):
            out[name] = np.where(np.isfinite(layer), np.rint(layer), NODATA_MAP).astype(np.int32)
    return out


@pytest.fixture
def flown(tmp_path):
    """Two visits whose canopies are real rasters over both plots."""
    out = []
    for k, visit in enumerate(visits()):
        path = tmp_path / f"chm{k}.tif"
        rows, cols = np.mgrid[0:SIZE, 0:SIZE]
        values = (10 + k + rows % 7 + cols % 5 * (1 + k) / 10).astype("float32")
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            width=SIZE,
            height=SIZE,
            count=1,
            dtype="float32",
            crs="EPSG:6674",
            transform=from_origin(-5.0, 105.0, 0.5, 0.5),
        ) as target:
            target.write(values, 1)
        survey = replace(visit.survey, chm=blob_of_file(path))
        canopy = measure_canopy(survey, FolderSink(tmp_path / str(k)))
        out.append((Visit(survey, canopy, visit.inventory), tmp_path / str(k) / canopy.raster_name))
    return out


def test_cells_hold_the_mean_over_the_pixels_of_a_plot_only(flown):
    (visit, raster), _ = flown
    cells = cell_grid(visit.canopy, 20_000)
    found = cell_heights(visit.canopy, raster, visit.survey.plots, 20_000, cells)
    total = sum(z.sum_mm for z in visit.canopy.plots)
    assert found.pixels.sum() == sum(z.valid for z in visit.canopy.plots)
    assert np.nansum(found.mean_mm * found.pixels) == pytest.approx(total, rel=1e-12)
    assert (found.pixels[found.pixels > 0] == 1600).all(), "plots lie on whole cells"


def test_maps_sum_to_the_working_models_stock(flown, tmp_path):
    (first, raster0), (last, raster1) = flown
    change = estimate_change(first, last, plan(2, 3))
    canopies = first.canopy, last.canopy
    names = write_maps(
        change, canopies, (raster0, raster1), first.survey.plots, 20_000, FolderSink(tmp_path / "maps")
    ).layers
    assert tuple(names) == (*MAPS, RANGE_MAP)
    with rasterio.open(tmp_path / "maps" / names["co2_first"]) as source:
        values = source.read(1)
    # every sample plot holds 500 t CO2e per ha at the first date, whatever its canopy
    assert values[values != NODATA_MAP].mean() == pytest.approx(500_000, rel=1e-6)
    with rasterio.open(tmp_path / "maps" / names["co2_change_se"]) as source:
        errors = source.read(1)
    assert (errors[errors != NODATA_MAP] > 0).all()
    assert ((errors == NODATA_MAP) == (values == NODATA_MAP)).all()


@pytest.mark.parametrize("strip_pixels", [1, 40_000, 10**9])
@pytest.mark.parametrize("cell_mm", [20_000, 7_300])
def test_strips_give_the_very_maps_that_the_whole_raster_gives(
    flown, tmp_path, monkeypatch, strip_pixels, cell_mm
):
    (first, raster0), (last, raster1) = holed(flown)
    change = sloped(estimate_change(first, last, plan(2, 3)))
    canopies, rasters, plots = (first.canopy, last.canopy), (raster0, raster1), first.survey.plots
    cells = cell_grid(canopies[0], cell_mm)
    batches = CellEdges.batches
    monkeypatch.setattr(CellEdges, "batches", lambda self: batches(self, strip_pixels))
    maps = write_maps(change, canopies, rasters, plots, cell_mm, FolderSink(tmp_path / "out"))
    whole = [means_at_once(c, r, plots, cell_mm, cells) for c, r in zip(canopies, rasters, strict=True)]
    for name, expected in maps_at_once(change, [mean for mean, _ in whole]).items():
        with rasterio.open(tmp_path / "out" / maps.layers[name]) as source:
            assert np.array_equal(source.read(1), expected), name
    found = cell_heights(canopies[0], raster0, plots, cell_mm, cells)
    assert np.array_equal(found.mean_mm, whole[0][0], equal_nan=True)
    assert np.array_equal(found.pixels, whole[0][1])


def sloped(change):
    """The same change, with working models that depend on the canopy."""
    model = dict(change.coefficients)
    for i, key in enumerate(("first", "last", "change"), start=1):
        model |= {f"{key}_b1": f"{i}/700", f"{key}_s2": "3/7", f"{key}_sxx": "40000", f"{key}_x_bar": "9000"}
    return replace(change, coefficients=model)


def holed(flown):
    """The same flights with bumps, and with gaps that leave cells of a plot without a height."""
    for seed, (_, raster) in enumerate(flown):
        with rasterio.open(raster, "r+") as target:
            heights = target.read(1)
            heights += np.random.default_rng(seed).integers(0, 5000, heights.shape).astype(np.int32)
            heights[60:160, 40:120] = NODATA_MM
            heights[::37, ::11] = NODATA_MM
            target.write(heights, 1)
    return flown


def test_layers_say_their_unit_and_that_they_are_simulated(flown, tmp_path):
    (first, raster0), (last, raster1) = flown
    change = estimate_change(first, last, plan(2, 3))
    maps = write_maps(
        change,
        (first.canopy, last.canopy),
        (raster0, raster1),
        first.survey.plots,
        20_000,
        FolderSink(tmp_path),
        moved=(1, -2),
    )
    for name, output in maps.layers.items():
        with rasterio.open(tmp_path / output) as source:
            tags = source.tags()
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert source.descriptions == (name,)
        assert tags["simulated"] == "yes"
        assert tags["unit"] == ("flags" if name == RANGE_MAP else "kg CO2e per hectare")
        assert ("later_canopy_moved_px" in tags) == name.startswith("co2_change")


def test_only_the_change_is_drawn_with_the_later_canopy_moved_back(flown, tmp_path):
    (first, raster0), (last, raster1) = holed(flown)
    change = sloped(estimate_change(first, last, plan(2, 3)))
    with rasterio.open(
        raster1, "r+"
    ) as target:  # the later survey lies 3 pixels north and 2 east of where it should
        heights = target.read(1)
        target.write(np.roll(heights, (-3, 2), (0, 1)), 1)
    told = FolderSink(tmp_path / "as it lies"), FolderSink(tmp_path / "moved back")
    args = change, (first.canopy, last.canopy), (raster0, raster1), first.survey.plots, 20_000
    write_maps(*args, told[0])
    write_maps(*args, told[1], moved=(3, -2))
    with rasterio.open(raster1, "r+") as target:
        target.write(heights, 1)
    write_maps(*args, FolderSink(tmp_path / "truth"))
    read = {
        place: {n: rasterio.open(tmp_path / place / "maps" / f"{n}.tif").read(1) for n in MAPS}
        for place in ("as it lies", "moved back", "truth")
    }
    assert np.array_equal(read["moved back"]["co2_change"], read["truth"]["co2_change"])
    assert not np.array_equal(read["as it lies"]["co2_change"], read["truth"]["co2_change"])
    assert np.array_equal(read["moved back"]["co2_last"], read["as it lies"]["co2_last"])


def test_cells_beyond_the_sample_plots_canopy_are_flagged_and_counted_per_plot(flown, tmp_path):
    (first, raster0), (last, raster1) = flown
    change = estimate_change(first, last, plan(2, 3))
    for visit, raster, value, rows in (
        (first, raster0, 40_000, slice(10, 50)),
        (last, raster1, NODATA_MM, slice(50, 90)),
    ):
        with rasterio.open(raster, "r+") as target:
            typical = visit.canopy.sample_plots[0]
            heights = np.full((SIZE, SIZE), typical.sum_mm // typical.valid, dtype=np.int32)
            heights[rows, 10:50] = value
            target.write(heights, 1)
    sink = FolderSink(tmp_path)
    maps = write_maps(
        change, (first.canopy, last.canopy), (raster0, raster1), first.survey.plots, 20_000, sink
    )
    assert ModelCoverage.from_doc(json.loads((tmp_path / COVERAGE_NAME).read_bytes())) == maps.coverage
    with rasterio.open(tmp_path / maps.layers[RANGE_MAP]) as source:
        flags = source.read(1)
    found = maps.coverage
    assert found.project.total.cells == 50 and found.project.total.pixels == 80_000
    # one cell of 40 m canopy at the first date; all else is as high as the sample plots
    assert (found.plots["P0"].first.cells, found.plots["P1"].outside.cells) == (1, 0)
    assert found.plots["P0"].change.cells == 1 and found.plots["P0"].last.cells == 0
    assert found.plots["P0"].no_canopy.cells == 1 and found.project.no_canopy.pixels == 1600
    assert sorted(flags[flags != 255].tolist()) == [0] * 48 + [1 + 4, 8]
    assert found.project.outside_area_ppm == 20_000
    assert sum(c.total.pixels for c in found.plots.values()) == found.project.total.pixels


def test_a_model_of_n_random_plots_extrapolates_two_in_n_plus_one_of_the_time():
    rng = np.random.default_rng(3)
    n, beyond = 24, []
    for _ in range(400):
        sample = rng.integers(5_000, 25_000, n)
        beyond.append(Range(sample.min(), sample.max(), n).outside(rng.integers(5_000, 25_000, 50), 0).mean())
    expected = Range(0, 1, n).by_chance_ppm / 1e6
    assert expected == pytest.approx(2 / 25, abs=1e-6)
    assert np.mean(beyond) == pytest.approx(expected, abs=0.01)


def test_a_canopy_that_reaches_beyond_the_cells_adds_nothing_to_other_cells(flown):
    (visit, raster), _ = flown
    cells = cell_grid(visit.canopy, 20_000)
    narrow = replace(cells, left_um=cells.left_um + 40_000_000, cols=cells.cols - 4)
    with open_strips(visit.canopy, raster, cells) as all_, open_strips(visit.canopy, raster, narrow) as few:
        whole, part = all_.strip(0, cells.rows), few.strip(0, cells.rows)
        everywhere = np.ones(whole.heights.shape, dtype=bool)
        for a, b in zip(whole.sums(everywhere), part.sums(everywhere), strict=True):
            assert np.array_equal(a[:, 2:-2], b)
