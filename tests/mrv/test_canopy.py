"""Canopy stage on rasters written for the test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mrv.blob import FolderSink, NullSink, blob_of_file, digest_array
from mrv.canopy import NODATA_MM, STRIP_ROWS, measure_canopy, read_canopy_mm
from mrv.errors import Refusal
from tests.mrv.stand_of_squares import SIDE_MM, survey, visits

SIZE = 220  # half-metre pixels over plot P0 (100 m) and a margin


def write(path, values, *, nodata=None, left=-5.0, dtype="float32"):
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=values.shape[1],
        height=values.shape[0],
        count=1,
        dtype=dtype,
        crs="EPSG:6674",
        transform=from_origin(left, 105.0, 0.5, 0.5),
        nodata=nodata,
    ) as target:
        target.write(values.astype(dtype), 1)
    return blob_of_file(path)


def of(tmp_path, values, **kwargs):
    base = survey("one", visits()[0].survey.day, 1, 3)
    return replace(base, chm=write(tmp_path / "chm.tif", values, **kwargs))


def test_heights_become_millimetres_and_sums_are_exact(tmp_path):
    values = np.full((SIZE, SIZE), 12.3456)
    canopy = measure_canopy(of(tmp_path, values), FolderSink(tmp_path / "out"))
    (plot,) = canopy.plots
    assert plot.pixels == plot.valid == (SIDE_MM // 500) ** 2
    assert plot.sum_mm == plot.pixels * 12_346
    assert [z.pixels for z in canopy.sample_plots] == [1600, 1600, 1600]


def test_the_stored_raster_carries_the_digest_that_the_stage_states(tmp_path):
    values = np.random.default_rng(1).uniform(0, 30, (SIZE, SIZE))
    canopy = measure_canopy(of(tmp_path, values), FolderSink(tmp_path / "out"))
    stored = read_canopy_mm(tmp_path / "out" / canopy.raster_name)
    assert digest_array(stored, canopy.grid) == canopy.raster_digest


def test_the_digest_does_not_depend_on_how_the_file_was_packed(tmp_path):
    values = np.random.default_rng(1).uniform(0, 30, (SIZE, SIZE)).round(2)
    single = measure_canopy(of(tmp_path, values), NullSink())
    double = measure_canopy(of(tmp_path, values, dtype="float64"), NullSink())
    assert single.raster_digest == double.raster_digest


def test_results_are_those_of_one_strip(tmp_path, monkeypatch):
    values = np.random.default_rng(2).uniform(0, 30, (SIZE, SIZE))
    whole = measure_canopy(of(tmp_path, values), NullSink())
    assert SIZE < STRIP_ROWS
    monkeypatch.setattr("mrv.canopy.STRIP_ROWS", 17)
    assert measure_canopy(of(tmp_path, values), NullSink()) == whole


@pytest.mark.parametrize("absurd", [-1.7e308, np.nan, np.inf, 250.0])
def test_what_is_no_height_is_no_pixel_whatever_the_file_declares(tmp_path, absurd):
    values = np.full((SIZE, SIZE), 10.0)
    values[:110] = absurd
    canopy = measure_canopy(of(tmp_path, values, dtype="float64", nodata=-9999.0), FolderSink(tmp_path / "o"))
    (plot,) = canopy.plots
    assert plot.valid == plot.pixels // 2
    assert plot.sum_mm == plot.valid * 10_000
    assert (read_canopy_mm(tmp_path / "o" / canopy.raster_name)[:110] == NODATA_MM).all()


def test_surface_less_terrain_equals_the_canopy_it_was_made_of(tmp_path):
    rng = np.random.default_rng(3)
    terrain, height = rng.integers(100, 200, (SIZE, SIZE)), rng.integers(0, 30, (SIZE, SIZE))
    base = replace(of(tmp_path, height), chm=None)
    pair = replace(
        base, dsm=write(tmp_path / "dsm.tif", terrain + height), dtm=write(tmp_path / "dtm.tif", terrain)
    )
    difference = measure_canopy(pair, NullSink())
    assert difference.source == "dsm_minus_dtm"
    assert difference.plots == measure_canopy(of(tmp_path, height), NullSink()).plots


def test_surface_and_terrain_on_two_grids_are_refused(tmp_path):
    values = np.ones((SIZE, SIZE))
    base = replace(
        of(tmp_path, values),
        chm=None,
        dsm=write(tmp_path / "dsm.tif", values),
        dtm=write(tmp_path / "dtm.tif", values, left=-4.75),
    )
    with pytest.raises(Refusal) as caught:
        measure_canopy(base, NullSink())
    assert caught.value.codes == ("raster.grids_differ",)


def test_negative_heights_stay_so_that_the_mean_keeps_unbiased(tmp_path):
    values = np.full((SIZE, SIZE), 0.2)
    values[::2] = -0.2
    assert measure_canopy(of(tmp_path, values), NullSink()).plots[0].sum_mm == 0
