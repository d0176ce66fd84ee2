"""Indices of a plot come from its clear pixels alone."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import Transformer

from mrv.blob import blob_of_file
from mrv.errors import Refusal
from mrv.scenes import Scene, plot_indices

LEFT, TOP, CELL = 1000, 2000, 10
SQUARE = (((1_000_000, 1_980_000), (1_020_000, 1_980_000), (1_020_000, 2_000_000), (1_000_000, 2_000_000)),)


def scene(
    folder: Path, *, epsg: int | None = 6674, offset: int = 0, scl: int = 4, left: int = LEFT, **bands: int
) -> Scene:
    """Four by four pixels, every band of one value; the plot covers the upper left four."""
    files = {}
    for name, value in {"B8A": 3000, "B11": 1000, "B12": 600, "SCL": scl, **bands}.items():
        path = folder / f"{name}.tif"
        values = np.full((1, 4, 4), value, dtype=np.uint16)
        crs = f"EPSG:{epsg}" if epsg else None
        transform = Affine(CELL, 0, left if name == "B12" else LEFT, 0, -CELL, TOP)
        profile = {"driver": "GTiff", "count": 1, "height": 4, "width": 4, "dtype": "uint16"}
        with rasterio.open(path, "w", **profile, crs=crs, transform=transform) as target:
            target.write(values)
        files[name] = blob_of_file(path)
    return Scene("s", date(2024, 5, 1), files, offset)


def test_indices_are_normalised_differences_of_the_bands(tmp_path: Path) -> None:
    (found,) = plot_indices(scene(tmp_path), {"P1": SQUARE}, 6674)
    assert (found.pixels, found.clear) == (4, 4)
    assert found.ndmi_e4 == round(2000 / 4000 * 1e4)
    assert found.nbr_e4 == round(2400 / 3600 * 1e4)


@pytest.mark.parametrize("cloud", [0, 3, 8, 9, 10])
def test_clouds_and_shadows_leave_no_value(tmp_path: Path, cloud: int) -> None:
    (found,) = plot_indices(scene(tmp_path, scl=cloud), {"P1": SQUARE}, 6674)
    assert (found.pixels, found.clear, found.ndmi_e4, found.nbr_e4) == (4, 0, None, None)


def test_the_offset_of_newer_deliveries_is_taken_off(tmp_path: Path) -> None:
    (plain,) = plot_indices(scene(tmp_path), {"P1": SQUARE}, 6674)
    (shifted,) = plot_indices(
        scene(tmp_path, offset=-1000, B8A=4000, B11=2000, B12=1600), {"P1": SQUARE}, 6674
    )
    assert plain == shifted


def test_a_plot_beside_the_scene_has_no_pixels(tmp_path: Path) -> None:
    away = tuple(tuple((x + 10_000_000, y) for x, y in ring) for ring in SQUARE)
    (found,) = plot_indices(scene(tmp_path), {"P1": away}, 6674)
    assert found.pixels == 0 and found.ndmi_e4 is None


def test_a_scene_in_another_crs_is_met_by_moving_the_plot(tmp_path: Path) -> None:
    to_other = Transformer.from_crs(6674, 6673, always_xy=True)
    moved = tuple(
        tuple(
            (round(x * 1000), round(y * 1000))
            for x, y in (to_other.transform(a / 1e3, b / 1e3) for a, b in r)
        )
        for r in SQUARE
    )
    back = plot_indices(scene(tmp_path), {"P1": moved}, 6673)
    assert back[0].ndmi_e4 == 5000 and back[0].pixels == 4


@pytest.mark.parametrize(
    ("wrong", "code"), [({"epsg": None}, "scene.no_crs"), ({"left": LEFT + 10}, "scene.grids_differ")]
)
def test_a_scene_that_cannot_be_placed_is_refused(
    tmp_path: Path, wrong: dict[str, int | None], code: str
) -> None:
    with pytest.raises(Refusal) as caught:
        plot_indices(scene(tmp_path, **wrong), {"P1": SQUARE}, 6674)
    assert caught.value.codes == (code,)


def test_a_truncated_band_is_refused_by_name(tmp_path: Path) -> None:
    made = scene(tmp_path)
    path = tmp_path / "B11.tif"
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(Refusal) as caught:
        plot_indices(made, {"P1": SQUARE}, 6674)
    assert caught.value.codes == ("scene.unreadable",)


def test_a_missing_band_is_named(tmp_path: Path) -> None:
    made = scene(tmp_path)
    with pytest.raises(Refusal, match="B12"):
        plot_indices(
            Scene(made.scene_id, made.day, {k: v for k, v in made.files.items() if k != "B12"}), {}, 6674
        )
