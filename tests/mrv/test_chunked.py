"""Lazy canopies: the same figures as the strips give, whatever the chunks; nothing is read before it is asked for."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mrv.blob import FolderSink, blob_of_file
from mrv.canopy import NODATA_MM, measure_canopy, read_canopy_mm
from mrv.change import estimate_change
from mrv.maps import NODATA_MAP, write_maps
from mrv.metrics import write_metrics
from mrv.pairing import Visit
from tests.conftest import require_or_skip
from tests.mrv.stand_of_squares import plan, visits

CELL_MM = 20_000


@pytest.fixture(scope="module")
def chunked():
    require_or_skip(bool(find_spec("dask") and find_spec("xarray")), "the extra 'dask' is not installed")
    import mrv.chunked

    return mrv.chunked


@pytest.fixture(scope="module")
def flown(tmp_path_factory):
    """Two visits over canopies of bumps and gaps, on a grid that does not begin where cells do."""
    folder, out = tmp_path_factory.mktemp("flown"), []
    for k, visit in enumerate(visits()):
        rng = np.random.default_rng(k)
        values = (rng.gamma(4, 3 + k, (241, 653))).astype("float32")
        values[90:138, 30:70] = np.nan
        path = folder / f"chm{k}.tif"
        options = {
            "driver": "GTiff",
            "width": 653,
            "height": 241,
            "count": 1,
            "dtype": "float32",
            "crs": "EPSG:6674",
        }
        with rasterio.open(path, "w", transform=from_origin(-7.3, 108.1, 0.5, 0.5), **options) as target:
            target.write(values, 1)
        survey = replace(visit.survey, chm=blob_of_file(path))
        canopy = measure_canopy(survey, FolderSink(folder / str(k)))
        out.append((Visit(survey, canopy, visit.inventory), folder / str(k) / canopy.raster_name))
    return out


@pytest.mark.parametrize("chunk_cells", [1, 3, 100])
def test_lazy_metrics_are_those_that_the_strips_write(chunked, flown, tmp_path, chunk_cells):
    (visit, raster), _ = flown
    written = write_metrics(visit.survey, visit.canopy, raster, CELL_MM, FolderSink(tmp_path))
    canopy = chunked.open_canopy(raster, 6674, CELL_MM, chunk_cells)
    found = chunked.cell_metrics(canopy, visit.survey.plots)
    assert tuple(found.band.values) == written.bands
    with rasterio.open(tmp_path / written.raster) as source:
        bands = source.read(masked=True).astype(np.float64)
        expected = (bands * np.array(source.scales)[:, None, None]).filled(np.nan)
        west, north = source.transform * (0.5, 0.5)
    assert (float(found.x[0]), float(found.y[0])) == (west, north)
    np.testing.assert_allclose(found.compute(scheduler="threads"), expected, rtol=1e-12)


@pytest.mark.parametrize("chunk_cells", [2, 100])
def test_lazy_stock_is_that_of_the_maps(chunked, flown, tmp_path, chunk_cells):
    (first, raster0), (last, raster1) = flown
    change = estimate_change(first, last, plan(2, 3))
    maps = write_maps(
        change,
        (first.canopy, last.canopy),
        (raster0, raster1),
        first.survey.plots,
        CELL_MM,
        FolderSink(tmp_path),
    )
    means = [
        chunked.cell_means(chunked.open_canopy(r, 6674, CELL_MM, chunk_cells), first.survey.plots)
        for r in (raster0, raster1)
    ]
    for key, mean in (("first", means[0]), ("last", means[1]), ("change", means[1] - means[0])):
        stock = chunked.stock_map(mean, change.coefficients, key).compute(scheduler="threads")
        for band, name in (("value", f"co2_{key}"), ("standard_error", f"co2_{key}_se")):
            with rasterio.open(tmp_path / maps.layers[name]) as source:
                layer = source.read(1)
            found = np.where(np.isnan(stock.sel(band=band)), NODATA_MAP, stock.sel(band=band))
            assert np.array_equal(found, layer), name


def test_pixels_come_as_they_lie_in_the_file_and_only_when_asked_for(chunked, flown, tmp_path):
    (_, raster), _ = flown
    copy = tmp_path / "canopy.tif"
    copy.write_bytes(raster.read_bytes())
    canopy = chunked.open_canopy(copy, 6674, CELL_MM, 2)
    heights = read_canopy_mm(raster)
    assert canopy.shape == heights.shape and max(map(max, canopy.data.chunks)) <= 80
    assert np.array_equal(canopy.compute(), heights)
    assert (heights == NODATA_MM).any()
    copy.unlink()
    with pytest.raises(rasterio.errors.RasterioIOError):
        canopy.compute()


def test_a_part_of_a_canopy_is_refused_since_its_cells_would_be_cut(chunked, flown):
    (visit, raster), _ = flown
    canopy = chunked.open_canopy(raster, 6674, CELL_MM)
    with pytest.raises(ValueError, match="whole canopy"):
        chunked.cell_means(canopy[10:], visit.survey.plots)


def test_another_cut_of_the_same_array_gives_the_same_cells(chunked, flown):
    (visit, raster), _ = flown
    canopy = chunked.open_canopy(raster, 6674, CELL_MM, 3)
    plain = chunked.cell_means(canopy, visit.survey.plots).compute()
    cut = chunked.cell_means(canopy.chunk({"y": 77, "x": 131}), visit.survey.plots).compute()
    assert plain.equals(cut)
