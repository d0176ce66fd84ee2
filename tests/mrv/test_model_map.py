"""A model on maps of its metrics: values, errors and flags per cell; what its card forbids is refused before a file is stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine

from models.area_based import predict_cells
from models.model_card import ModelRefused
from mrv import model_map
from mrv.blob import FolderSink
from mrv.errors import Refusal
from mrv.model_map import FINE, MISSING, NODATA_MAP, OUTSIDE, map_model
from mrv.training import Trained
from tests.mrv.test_training import table_text, trained_on

ROWS, COLS = 40, 30


@pytest.fixture(scope="module")
def line() -> Trained:
    return trained_on(table_text(), leave_out=("stems_ha", "noise"))


def write(path: Path, values: np.ndarray, side_m: float = 20.0) -> Path:
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype="float32",
        crs="EPSG:6674", transform=Affine(side_m, 0, 1000, 0, -side_m, 2000), nodata=-9999.0,
    ) as target:  # fmt: skip
        target.write(np.where(np.isnan(values), -9999.0, values).astype(np.float32), 1)
    return path


def rasters(folder: Path, tall: int = 0, empty: int = 0, side_m: float = 20.0) -> dict[str, Path]:
    rng = np.random.default_rng(8)
    height, cover = rng.uniform(10, 25, (ROWS, COLS)), rng.uniform(0.5, 0.9, (ROWS, COLS))
    height.ravel()[:tall] = 60.0
    height.ravel()[height.size - empty :] = np.nan
    return {
        "height": write(folder / "height.tif", height, side_m),
        "cover": write(folder / "cover.tif", cover, side_m),
    }


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        return source.read()


def test_every_cell_has_value_error_and_flag_and_the_counts_are_reported(line, tmp_path, monkeypatch):
    monkeypatch.setattr(model_map, "STRIP_CELLS", 7 * COLS)
    paths = rasters(tmp_path, tall=9, empty=4)
    done = map_model(line.model, line.card, paths, 6674, "airborne laser", FolderSink(tmp_path / "out"))
    value, error, flag = read(tmp_path / "out" / done.output)
    columns = {n: rasterio.open(p).read(1).astype(np.float64).ravel() for n, p in paths.items()}
    columns["height"][-4:] = np.nan
    plain = predict_cells(line.model, columns)
    seen = ~np.isnan(plain.value)
    assert np.array_equal(value.ravel()[seen], np.rint(plain.value[seen] * 1000).astype(np.int32))
    assert np.array_equal(error.ravel()[seen], np.rint(plain.standard_error[seen] * 1000).astype(np.int32))
    assert (value.ravel()[-4:] == NODATA_MAP).all()
    assert [int((flag == f).sum()) for f in (FINE, OUTSIDE, MISSING)] == [ROWS * COLS - 13, 9, 4]
    assert (done.cells, done.outside, done.missing) == (1200, 9, 4)
    assert done.outside_by_metric == {"height": 9, "cover": 0}
    assert {f.code for f in done.findings} == {
        "model.other_forest",
        "model.outside_range",
        "model.missing_metric",
    }


def test_too_many_cells_beyond_the_range_leave_no_map(line, tmp_path):
    with pytest.raises(ModelRefused, match=r"model\.outside_range"):
        map_model(
            line.model,
            line.card,
            rasters(tmp_path, tall=130),
            6674,
            "airborne laser",
            FolderSink(tmp_path / "out"),
        )
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("side_m", "sensor", "purpose", "code"),
    [
        (0.5, "airborne laser", "map", "model.cell_size"),
        (20.0, "drone photographs", "map", "model.sensor"),
        (20.0, "airborne laser", "claim", "model.other_forest"),
    ],
)
def test_what_the_card_forbids_is_refused(line, tmp_path, side_m, sensor, purpose, code):
    with pytest.raises(ModelRefused, match=code):
        map_model(
            line.model,
            line.card,
            rasters(tmp_path, side_m=side_m),
            6674,
            sensor,
            FolderSink(tmp_path / "o"),
            purpose,
        )


def test_a_metric_without_a_raster_is_refused(line, tmp_path):
    paths = rasters(tmp_path)
    del paths["cover"]
    with pytest.raises(ModelRefused, match=r"model\.metric_absent"):
        map_model(line.model, line.card, paths, 6674, "airborne laser", FolderSink(tmp_path / "o"))
    with pytest.raises(ModelRefused, match=r"model\.metric_absent"):
        map_model(line.model, line.card, {}, 6674, "airborne laser", FolderSink(tmp_path / "o"))


def test_rasters_of_different_grids_are_refused(line, tmp_path):
    paths = rasters(tmp_path)
    write(paths["cover"], np.full((ROWS, COLS - 1), 0.5))
    with pytest.raises(Refusal, match="on one grid"):
        map_model(line.model, line.card, paths, 6674, "airborne laser", FolderSink(tmp_path / "o"))
