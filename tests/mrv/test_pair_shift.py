"""The shift of a pair for the record: right sign and size, flagged when large, told when it cannot be found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin

from mrv.blob import FolderSink, blob_of_file
from mrv.canopy import measure_canopy
from mrv.pair_shift import PairShift, pair_shift
from tests.mrv.stand_of_squares import visits

SIDE = 240


def flown(folder, name, survey, values, left=-10.0, top=110.0, pixel=0.5):
    path = folder / f"{name}.tif"
    options = {
        "driver": "GTiff",
        "width": values.shape[1],
        "height": values.shape[0],
        "count": 1,
        "dtype": "float32",
    }
    with rasterio.open(
        path, "w", crs="EPSG:6674", transform=from_origin(left, top, pixel, pixel), **options
    ) as target:
        target.write(values.astype("float32"), 1)
    canopy = measure_canopy(replace(survey, chm=blob_of_file(path)), FolderSink(folder / f"{name} out"))
    return canopy, folder / f"{name} out" / canopy.raster_name


@pytest.fixture
def crowns():
    """A surface of crowns on a plot and its margin, as seen from a place given in metres."""
    rng = np.random.default_rng(8)
    places, tall = rng.uniform(-15, 125, (900, 2)), rng.uniform(8, 24, 900)

    def seen(east=0.0, north=0.0):
        x = -10 + (np.arange(SIDE) + 0.5) * 0.5 - east
        y = 110 - (np.arange(SIDE) + 0.5) * 0.5 - north
        surface = np.zeros((SIDE, SIDE))
        for (px, py), h in zip(places, tall, strict=True):
            np.maximum(surface, h - 1.2 * ((x[None, :] - px) ** 2 + (y[:, None] - py) ** 2), out=surface)
        return surface

    return seen


@pytest.mark.parametrize(
    ("east", "north", "beyond", "moved"),
    [
        (0.0, 0.0, False, (0, 0)),
        (0.2, -0.2, False, (0, 0)),
        (0.4, 0.1, False, (0, -1)),
        (-1.1, 0.6, True, (1, 2)),
    ],
)
def test_a_later_survey_that_lies_aside_is_told_by_how_much_and_moved_back_by_whole_pixels(
    tmp_path, crowns, east, north, beyond, moved
):
    first, last = visits(plots=1)
    early = flown(tmp_path, "early", first.survey, crowns())
    late = flown(tmp_path, "late", last.survey, crowns(east, north) + 0.8)
    found = pair_shift((early[0], late[0]), (early[1], late[1]), first.survey.plots)
    assert found.found
    assert (found.east_mm, found.north_mm) == pytest.approx((1000 * east, 1000 * north), abs=25)
    assert found.offset_mm == pytest.approx(800, abs=60)
    assert (found.beyond_limit, found.limit_mm) == (beyond, 500)
    assert (found.moved_rows, found.moved_cols) == moved
    assert PairShift.from_doc(found.to_doc()) == found


def test_the_limit_is_a_pixel_where_that_is_less_than_half_a_metre(tmp_path, crowns):
    first, last = visits(plots=1)
    fine = {"pixel": 0.25, "left": 20.0, "top": 80.0}  # the same pixels, taken for a quarter of a metre
    early = flown(tmp_path, "early", first.survey, crowns(), **fine)
    late = flown(tmp_path, "late", last.survey, crowns(0.7, 0.0), **fine)
    found = pair_shift((early[0], late[0]), (early[1], late[1]), first.survey.plots)
    assert found.east_mm == pytest.approx(350, abs=15)
    assert (found.limit_mm, found.beyond_limit) == (250, True)


def test_canopies_that_cannot_be_compared_are_told_in_both_languages_and_nothing_is_moved(tmp_path, crowns):
    first, last = visits(plots=1)
    early = flown(tmp_path, "early", first.survey, crowns())
    for name, values, pixel in (
        ("coarse", crowns()[::2, ::2], 1.0),
        ("flat", np.full((SIDE, SIDE), 9.0), 0.5),
    ):
        late = flown(tmp_path, name, last.survey, values, pixel=pixel)
        found = pair_shift((early[0], late[0]), (early[1], late[1]), first.survey.plots)
        assert not found.found and not found.beyond_limit
        assert (found.moved_rows, found.moved_cols) == (0, 0)
        assert found.reason_en and found.reason_ja
