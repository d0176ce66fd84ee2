"""All that is drawn of a pair: written under the names it says, without a stock map where there is no sample to make one of."""

from __future__ import annotations

import json
from dataclasses import replace

import laspy
import numpy as np
import pytest
import rasterio

from mrv.blob import FolderSink, blob_of_file
from mrv.canopy import measure_canopy
from mrv.change import estimate_change
from mrv.coverage import ModelCoverage
from mrv.layers import LAYERS_NAME, Layers, draw_layers
from mrv.layout import output_path
from mrv.pair_shift import PairShift
from mrv.pairing import Visit
from mrv.point_layers import PointFacts
from tests.mrv.stand_of_squares import plan, visits


@pytest.fixture
def flown(tmp_path):
    """Two surveys of one plot: laser points with ground, the later denser than the earlier."""
    out = []
    for k, visit in enumerate(visits(plots=1)):
        rng = np.random.default_rng(k)
        x, y = (a.ravel() for a in np.meshgrid(np.arange(-4.75, 105, 0.5), np.arange(-4.75, 105, 0.5)))
        ground = 50 + x / 10
        top = 12 + 5 * np.sin(x / 3) * np.cos(y / 4) + rng.normal(0, 0.1, x.size)
        some = rng.random(x.size) < (0.5, 0.9)[k]
        cloud = laspy.create(point_format=6, file_version="1.4")
        cloud.header.scales, cloud.header.offsets = [0.001] * 3, [0.0] * 3
        cloud.x, cloud.y = np.concatenate([x, x[some]]), np.concatenate([y, y[some]])
        cloud.z = np.concatenate([ground, (ground + top)[some]])
        cloud.classification = np.concatenate([np.full(x.size, 2), np.full(some.sum(), 5)])
        cloud.write(tmp_path / f"points{k}.laz")
        survey = replace(visit.survey, points=blob_of_file(tmp_path / f"points{k}.laz"))
        canopy = measure_canopy(survey, FolderSink(tmp_path / str(k)))
        out.append(
            (Visit(survey, canopy, visit.inventory), tmp_path / str(k) / canopy.raster_name, int(some.sum()))
        )
    return out


def drawn(flown, folder, change):
    visits_, rasters = [v for v, *_ in flown], tuple(r for _, r, _ in flown)
    surveys = visits_[0].survey, visits_[1].survey
    return draw_layers(
        surveys, (visits_[0].canopy, visits_[1].canopy), rasters, change, plan(1, 3), FolderSink(folder)
    )


def test_everything_that_is_said_to_be_there_is_there_and_reads_back(flown, tmp_path):
    change = estimate_change(flown[0][0], flown[1][0], plan(1, 3))
    folder = tmp_path / "out"
    layers = drawn(flown, folder, change)

    def doc(name):
        return json.loads((folder / name).read_bytes())

    assert Layers.from_doc(doc(LAYERS_NAME)) == layers
    assert ModelCoverage.from_doc(doc(layers.coverage)).project.total.pixels == 40_000
    assert PairShift.from_doc(doc(layers.coregistration)).found
    rasters = [*layers.maps.values(), *layers.metrics.values(), *layers.point_density.values()]
    assert len(rasters) == 7 + 2 + 2
    for name in rasters:
        with rasterio.open(folder / name) as source:
            assert source.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert source.tags()["simulated"] == "yes" and source.tags()["unit"]


def test_points_of_a_plot_are_counted_sparse_ground_too_and_pits_of_its_canopy(flown, tmp_path):
    change = estimate_change(flown[0][0], flown[1][0], plan(1, 3))
    layers = drawn(flown, tmp_path / "out", change)
    for (visit, _, _), density in zip(flown, (0.5, 0.9), strict=True):
        survey_id = visit.survey.survey_id
        facts = PointFacts.from_doc(json.loads((tmp_path / "out" / layers.points[survey_id]).read_bytes()))
        assert facts.pixels_of_1m == 10_000 and facts.ground_points == 40_000
        assert facts.per_m2 == pytest.approx(4 * (1 + density), rel=0.02)
        assert facts.sparse_ppm == 0 and facts.terrain == "ground_points" and not facts.pits_filled
        assert facts.canopy_gaps == 0 and facts.canopy_pixels == 40_000
        with rasterio.open(tmp_path / "out" / layers.point_density[survey_id]) as source:
            assert source.descriptions == ("points", "ground_points") and source.res == (1.0, 1.0)
            assert (source.read(2)[10:100, 10:100] == 4).all()


def test_a_pair_without_a_sample_has_metrics_and_a_shift_but_no_map_of_stock(flown, tmp_path):
    change = replace(estimate_change(flown[0][0], flown[1][0], plan(1, 3)), coefficients={})
    layers = drawn(flown, tmp_path / "out", change)
    assert layers.maps == {} and layers.coverage == ""
    assert not list((tmp_path / "out" / "maps").glob("co2*"))
    assert (tmp_path / "out" / layers.coregistration).exists() and len(layers.metrics) == 2


def test_what_is_drawn_for_reading_stays_out_of_the_content_root():
    assert output_path(LAYERS_NAME) == "run/outputs/maps/layers.json"
    assert output_path("change.json") == "content/outputs/change.json"
