"""Cloud-optimised GeoTIFF: the layout of the file, overviews that leave nodata out, no loss."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import rasterio

from mrv.cog import Band, Layer, cog_writer, read_layer_tags
from mrv.geometry import Grid

NODATA = -(2**31)
GRID = Grid(6674, 17_015_000_000, -213_610_000_000, 500_000, 700, 900)


def write(path, values, block=128, **changes):
    layer = Layer(
        **{
            "grid": GRID,
            "dtype": "int32",
            "nodata": NODATA,
            "bands": (Band("height", "m", 0.001), Band("other")),
            "overviews": "average",
            "tags": {"unit": "mm", "simulated": "yes"},
            **changes,
        }
    )
    with cog_writer(path, layer, block) as writer:
        for row in range(0, GRID.rows, 33):
            writer.write(row, [v[row : row + 33] for v in values])
    return path


@pytest.fixture
def values():
    rng = np.random.default_rng(1)
    height = rng.integers(0, 30_000, (GRID.rows, GRID.cols)).astype(np.int32)
    height[100:300, 200:411] = NODATA
    return height, rng.integers(-9, 9, height.shape).astype(np.int32)


def directories(path) -> list[dict[int, list[int]]]:
    """Tags of every image file directory, read from the bytes themselves (TIFF 6.0; classic, little-endian)."""
    data = path.read_bytes()
    assert data[:4] == b"II*\0"
    kinds = {1: "B", 2: "B", 3: "H", 4: "I", 12: "d", 16: "Q"}
    at, found = struct.unpack_from("<I", data, 4)[0], []
    while at:
        count = struct.unpack_from("<H", data, at)[0]
        tags = {-1: [at]}
        for i in range(count):
            place = at + 2 + 12 * i
            tag, kind, n = struct.unpack_from("<HHI", data, place)
            size = struct.calcsize(kinds[kind]) * n
            start = place + 8 if size <= 4 else struct.unpack_from("<I", data, place + 8)[0]
            tags[tag] = list(struct.unpack_from(f"<{n}{kinds[kind]}", data, start))
        found.append(tags)
        at = struct.unpack_from("<I", data, at + 2 + 12 * count)[0]
    return found


def test_directories_stand_before_the_data_coarse_levels_before_fine_ones_and_all_is_tiled(tmp_path, values):
    path = write(tmp_path / "a.tif", values)
    found = directories(path)
    levels = [d for d in found if d.get(254, [0])[0] & 4 == 0]
    assert [d[256][0] for d in levels] == [900, 450, 225, 112]
    assert all(d[322][0] == d[323][0] == 128 for d in levels), "tiles of one size on every level"
    first_tile = min(min(o for o, n in zip(d[324], d[325], strict=True) if n) for d in levels)
    assert max(d[-1][0] for d in found) < first_tile, "every directory lies before the first tile"
    starts = [min(o for o, n in zip(d[324], d[325], strict=True) if n) for d in levels]
    assert starts == sorted(starts, reverse=True), "a coarse level is read before a finer one"


def test_values_come_back_without_loss_with_their_names_units_and_tags(tmp_path, values):
    path = write(tmp_path / "a.tif", values)
    with rasterio.open(path) as source:
        assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert source.descriptions == ("height", "other")
        assert source.scales == (0.001, 1.0) and source.units[0] == "m"
        assert np.array_equal(source.read(1), values[0]) and np.array_equal(source.read(2), values[1])
        assert source.transform == GRID.transform and source.crs.to_epsg() == 6674
    tags = read_layer_tags(path)
    assert (tags["unit"], tags["simulated"]) == ("mm", "yes")


def test_overviews_average_what_is_there_and_leave_nodata_out(tmp_path, values):
    path = write(tmp_path / "a.tif", values)
    with rasterio.open(path, overview_level=0) as half:
        coarse = half.read(1)
    quads = values[0].reshape(350, 2, 450, 2).transpose(0, 2, 1, 3).reshape(350, 450, 4)
    here = quads != NODATA
    mean = np.where(here, quads, 0).sum(axis=2) / np.maximum(here.sum(axis=2), 1)
    assert np.array_equal(coarse != NODATA, here.any(axis=2))
    assert np.abs(coarse - mean)[here.any(axis=2)].max() <= 0.5 + 1e-9


def test_overviews_of_flags_never_hold_a_flag_that_no_pixel_has(tmp_path, values):
    flags = np.where(values[0] % 3 == 0, 8, np.where(values[0] > 15_000, 5, 0)).astype(np.uint8)
    bands = (Band("flags"),)
    path = write(tmp_path / "f.tif", [flags], dtype="uint8", nodata=255, bands=bands, overviews="mode")
    with rasterio.open(path, overview_level=1) as coarse:
        assert set(np.unique(coarse.read(1))) <= {0, 5, 8}


def test_how_the_rows_were_handed_over_leaves_no_trace_in_the_file(tmp_path, values):
    layer = Layer(GRID, "int32", NODATA, (Band("height"),), "average", {"unit": "mm"})
    for name, step in (("one", 700), ("many", 7)):
        with cog_writer(tmp_path / f"{name}.tif", layer, 128) as writer:
            for row in range(0, GRID.rows, step):
                writer.write(row, values[0][row : row + step])
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "many.tif").read_bytes()


def test_an_error_midway_leaves_no_file(tmp_path, values):
    layer = Layer(GRID, "int32", NODATA, (Band("height"),), "average", {})

    def half() -> None:
        with cog_writer(tmp_path / "a.tif", layer) as writer:
            writer.write(0, values[0][:10])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half()
    assert list(tmp_path.iterdir()) == []
