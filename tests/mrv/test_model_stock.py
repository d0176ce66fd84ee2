"""A model of other stands, its interval, and the inventory beside it."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from models.errors import OutOfRange
from models.field_model import fit_field_model, predict_field
from models.rng import Stream
from mrv.errors import Refusal
from mrv.model_stock import basal_area_m2_ha, compare_stock, point_metrics, read_field_model
from mrv.points import points_above_ground

RADIUS_M = 15.0


def test_the_interval_of_a_new_plot_covers_as_often_as_it_says():
    stream, n, runs, hits = Stream("coverage", "field-model"), 30, 400, 0
    for run in range(runs):
        x = 10 + 5 * stream.uniform(n + 1, run * 200)
        y = 4 + 2.5 * x + 3 * stream.normal(n + 1, run * 200 + 100)
        model = fit_field_model("g", y[:n], {"h": x[:n]})
        made = predict_field(model, {"h": float(x[n])}, 0.9)
        hits += made.low <= y[n] <= made.high
    assert 0.86 < hits / runs < 0.94


def test_a_prediction_beyond_the_fitted_range_says_so():
    x = np.linspace(10, 20, 25)
    model = fit_field_model("g", 2 * x + Stream("range", "t").normal(25), {"h": x})
    assert predict_field(model, {"h": 15.0}).outside == ()
    assert predict_field(model, {"h": 25.0}).outside == ("h",)


def test_too_many_parameters_for_few_plots_are_refused():
    x = np.arange(12.0)
    assert fit_field_model("g", x * 2 + np.sin(x), {"h": x}).degrees_of_freedom == 10
    with pytest.raises(OutOfRange, match="below 20 plots"):
        fit_field_model("g", x, {"h": x, "s": x**2})


def test_predictors_that_repeat_each_other_are_refused():
    x = np.arange(25.0)
    with pytest.raises(OutOfRange, match="apart"):
        fit_field_model("g", x, {"h": x, "twice": 2 * x})


def test_a_missing_column_or_a_word_among_numbers_is_refused_with_its_row():
    with pytest.raises(Refusal, match="no zsd"):
        read_field_model(b"g,zmean\n1,2\n", "plots.csv", "g", ["zmean", "zsd"])
    with pytest.raises(Refusal, match="row 3"):
        read_field_model(b"g,zmean\n1,2\n1,tall\n", "plots.csv", "g", ["zmean"])


def test_basal_area_of_one_tree_of_known_girth():
    assert basal_area_m2_ha(np.array([1000]), 10_000.0) == pytest.approx(np.pi / 4)


def test_point_metrics_leave_out_the_ground():
    metrics = point_metrics(np.array([0, 500, 1999, 2000, 4000, 6000]))
    assert metrics == {"zmean": pytest.approx(4.0), "zsd": pytest.approx(2.0)}
    with pytest.raises(OutOfRange):
        point_metrics(np.array([0, 100]))


def test_chablais_stock_by_the_four_mountains_model_stands_beside_the_inventory(shared_data):
    folder = shared_data / "chablais3"
    table = (folder / "quatre_montagnes.csv").read_bytes()
    model = read_field_model(table, "quatre_montagnes.csv", "G_m2_ha", ["zmean", "zsd"])
    assert model.plots == 96
    with (folder / "tree_inventory_chablais3.csv").open() as file:
        trees = np.array([[float(row[k]) for k in "xyd"] for row in csv.DictReader(file)])
    centre = (trees[:, :2].min(axis=0) + trees[:, :2].max(axis=0)) / 2
    in_plot = np.hypot(*(trees[:, :2] - centre).T) <= RADIUS_M
    measured = basal_area_m2_ha(np.rint(trees[in_plot, 2] * 10).astype(int), np.pi * RADIUS_M**2)
    points = points_above_ground(folder / "las_chablais3.laz", epsg=2154)
    near = np.hypot(points.x_um / 1e6 - centre[0], points.y_um / 1e6 - centre[1]) <= RADIUS_M
    found = compare_stock(model, point_metrics(points.height_mm[near]), measured)
    assert found.prediction.outside == ()
    assert found.within_interval
    assert round(measured, 1) == 23.1 and round(found.prediction.value) == 37
    assert model.cross_validated_rmse > 0.2 * found.prediction.value, (
        "the interval is wide and must stay honest"
    )
