"""Maps: means of the right pixels, predictions of the stated model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mrv.blob import FolderSink, blob_of_file
from mrv.canopy import measure_canopy
from mrv.change import estimate_change
from mrv.maps import MAPS, NODATA_MAP, cell_grid, cell_heights, write_maps
from mrv.pairing import Visit
from tests.mrv.stand_of_squares import plan, visits

SIZE = 620


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
    )
    assert tuple(names) == MAPS
    with rasterio.open(tmp_path / "maps" / names["co2_first"]) as source:
        values = source.read(1)
    # every sample plot holds 500 t CO2e per ha at the first date, whatever its canopy
    assert values[values != NODATA_MAP].mean() == pytest.approx(500_000, rel=1e-6)
    with rasterio.open(tmp_path / "maps" / names["co2_change_se"]) as source:
        errors = source.read(1)
    assert (errors[errors != NODATA_MAP] > 0).all()
    assert ((errors == NODATA_MAP) == (values == NODATA_MAP)).all()
