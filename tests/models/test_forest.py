"""A forest as plain arrays says what scikit-learn says, by either engine, and knows what it was grown on."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from models import forest_compiled
from models.errors import OutOfRange
from models.forest import (
    check_forest,
    error_quantiles,
    mean_of_trees,
    ordered_keys,
    predict_forest,
    tree_depths,
)
from models.train_forest import arrays_of, grow_forest
from tests.conftest import require_or_skip

sklearn_ensemble = pytest.importorskip("sklearn.ensemble")
NAMES = ("height", "cover", "spread")


def made_up(n: int, seed: int = 5) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    x = rng.uniform(0.0, 1.0, (n, len(NAMES))) * (30.0, 1.0, 9.0)
    y = 12 * x[:, 0] * x[:, 1] + rng.normal(0, 10, n) + 50
    return y, {name: x[:, i] for i, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def grown():
    y, metrics = made_up(150)
    return grow_forest("stock_t_ha", y, metrics, np.arange(150) % 10, seed=1, trees=40)


def columns_of(metrics: dict[str, np.ndarray]) -> np.ndarray:
    return np.column_stack([metrics[n] for n in NAMES])


def test_plain_arrays_say_what_scikit_learn_says(grown):
    forest, theirs, *_ = grown
    _, cells = made_up(5000, seed=6)
    ours = predict_forest(forest, cells, engine="numpy").value
    assert np.abs(ours - theirs.predict(columns_of(cells))).max() <= 1e-10


def test_metrics_right_at_a_threshold_go_the_same_way(grown):
    forest, theirs, *_ = grown
    inner = np.isfinite(forest.threshold)
    exact = {n: np.unique(forest.threshold[inner & (forest.feature == i)]) for i, n in enumerate(NAMES)}
    rng = np.random.default_rng(0)
    for step in (-np.inf, 0.0, np.inf):
        cells = {}
        for name, at in exact.items():
            picked = rng.choice(at, 2000)
            cells[name] = (np.nextafter(picked, np.float32(step)) if step else picked).astype(np.float64)
        assert (
            np.abs(mean_of_trees(forest, columns_of(cells)) - theirs.predict(columns_of(cells))).max()
            <= 1e-10
        )


def test_the_compiled_engine_is_the_same_to_the_bit(grown):
    require_or_skip(forest_compiled.available(), "numba is not installed")
    forest, *_ = grown
    for n in (0, 1, 127, 128, 129, 9000):
        _, cells = made_up(n, seed=n)
        plain = mean_of_trees(forest, columns_of(cells), "numpy")
        for threads in (1, 2, 5):
            assert np.array_equal(plain, mean_of_trees(forest, columns_of(cells), "compiled", threads))


def test_without_numba_the_plain_engine_is_used_and_the_compiled_one_refused(grown, monkeypatch):
    forest, *_ = grown
    _, cells = made_up(500)
    plain = mean_of_trees(forest, columns_of(cells), "numpy")
    monkeypatch.setattr(forest_compiled, "available", lambda: False)
    monkeypatch.setattr("models.forest.WORTH_COMPILING", 1)
    assert np.array_equal(mean_of_trees(forest, columns_of(cells)), plain)
    with pytest.raises(OutOfRange, match="expected numba"):
        mean_of_trees(forest, columns_of(cells), "compiled")


def test_keys_keep_the_order_of_numbers_and_one_zero():
    values = np.array([-np.inf, -3.5, -1e-30, -0.0, 0.0, 1e-30, 2.0, np.inf], dtype=np.float32)
    keys = ordered_keys(values)
    assert np.array_equal(np.sort(keys), keys)
    assert keys[3] == keys[4]
    assert (np.diff(np.delete(keys, 3).astype(np.int64)) > 0).all()


def test_depths_are_those_of_the_trees(grown):
    forest, theirs, *_ = grown
    assert tree_depths(forest).tolist() == [e.tree_.max_depth for e in theirs.estimators_]


def test_a_tree_that_is_one_leaf_is_a_constant():
    model = sklearn_ensemble.RandomForestRegressor(n_estimators=3, random_state=0).fit(
        np.zeros((60, 1)), np.ones(60) * 7
    )
    forest = arrays_of(model, "stock", {"h": (0.0, 1.0)}, np.zeros(60), 7.0)
    assert predict_forest(forest, {"h": np.array([0.0, 5.0])}).value.tolist() == [7.0, 7.0]


def test_cells_beyond_the_plots_are_flagged_and_missing_ones_stay_missing(grown):
    forest, *_ = grown
    cells = predict_forest(
        forest,
        {
            "height": np.array([15.0, 60.0, np.nan]),
            "cover": np.full(3, 0.5),
            "spread": np.array([4.0, 4.0, 4.0]),
        },
    )
    assert cells.outside.tolist() == [False, True, False]
    assert cells.outside_by_metric == {"height": 1, "cover": 0, "spread": 0}
    assert cells.missing == 1
    assert np.isnan(cells.value[2]) and np.isnan(cells.low[2]) and np.isnan(cells.standard_error[2])


def test_intervals_of_left_out_errors_cover_new_plots():
    covered = []
    for seed in range(6):
        y, metrics = made_up(120, seed)
        forest, *_ = grow_forest("stock", y, metrics, np.arange(120) % 6, seed=seed, trees=30)
        new, cells = made_up(2000, 100 + seed)
        out = predict_forest(forest, cells, 0.9)
        covered.append(np.mean((new >= out.low) & (new <= out.high)))
    assert 0.87 <= np.mean(covered) <= 0.95


def test_too_few_errors_give_an_interval_without_end():
    assert error_quantiles(np.arange(5.0), 0.9) == (-np.inf, np.inf)
    assert error_quantiles(np.arange(19.0), 0.9) == (0.0, 18.0)


def test_few_plots_are_refused_and_pointed_to_the_parametric_model():
    y, metrics = made_up(49)
    with pytest.raises(OutOfRange, match=r"expected 50 plots in 5 blocks.*area-based"):
        grow_forest("stock", y, metrics, np.arange(49) % 7, seed=1)


def test_of_many_metrics_the_few_that_matter_are_kept():
    y, metrics = made_up(120)
    rng = np.random.default_rng(0)
    many = {
        **{f"noise{i}": rng.normal(size=120) for i in range(10)},
        **metrics,
        "height_again": metrics["height"] * 2 + 1,
    }
    forest, *_ = grow_forest("stock", y, many, np.arange(120) % 6, seed=1, trees=20, most_metrics=4)
    assert len(forest.metrics) == 4
    assert "cover" in forest.metrics
    assert len({"height", "height_again"} & set(forest.metrics)) == 1


def test_a_missing_metric_is_refused_with_its_row():
    y, metrics = made_up(60)
    metrics["cover"][11] = np.nan
    with pytest.raises(OutOfRange, match="row 12"):
        grow_forest("stock", y, metrics, np.arange(60) % 6, seed=1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda f: replace(f, left=np.where(np.arange(f.left.size) == 1, 0, f.left).astype(np.int32)),
        lambda f: replace(f, left=np.where(np.arange(f.left.size) == 0, 10**6, f.left).astype(np.int32)),
        lambda f: replace(f, feature=np.full_like(f.feature, 3)),
        lambda f: replace(f, feature=np.full_like(f.feature, -1)),
        lambda f: replace(f, value=np.full_like(f.value, np.nan)),
        lambda f: replace(f, threshold=np.full_like(f.threshold, np.nan)),
        lambda f: replace(f, value=f.value[:-1]),
        lambda f: replace(f, offset=f.offset[:-1]),
        lambda f: replace(f, offset=f.offset + 1),
        lambda f: replace(f, ranges={"height": (0.0, 1.0)}),
        lambda f: replace(f, left_out_error=np.zeros(0)),
    ],
)
def test_arrays_that_are_no_forest_are_refused(grown, spoil):
    forest, *_ = grown
    check_forest(forest)
    with pytest.raises(OutOfRange, match="damaged"):
        check_forest(spoil(forest))


def test_basal_area_of_96_plots_by_a_forest_with_clusters_left_out(shared_data):
    """For comparison with the area-based model (0.23): with so few plots a forest is no better than a line."""
    with (shared_data / "chablais3" / "quatre_montagnes.csv").open() as file:
        rows = list(csv.DictReader(file))
    metrics = {
        m: np.array([float(r[m]) for r in rows])
        for m in ("zskew", "p_1st_hmin", "TreeSup30_density", "zmean")
    }
    clusters = np.array([r["cluster_id"] for r in rows])
    forest, *_ = grow_forest(
        "G", np.array([float(r["G_m2_ha"]) for r in rows]), metrics, clusters, 1, trees=50
    )
    assert 0.18 < forest.relative_rmse < 0.27


@pytest.mark.parametrize("deepest", [1, 2, 3, 7, 30])
def test_trees_of_any_depth_say_what_scikit_learn_says(deepest):
    y, metrics = made_up(600, seed=deepest)
    y[:2] += 5000.0  # lonely plots make crooked trees
    theirs = sklearn_ensemble.RandomForestRegressor(20, max_depth=deepest, random_state=2)
    theirs.fit(columns_of(metrics), y)
    ranges = {name: (float(m.min()), float(m.max())) for name, m in metrics.items()}
    forest = arrays_of(theirs, "stock_t_ha", ranges, np.zeros(30), 1.0)
    _, cells = made_up(3000, seed=77)
    assert (
        np.abs(mean_of_trees(forest, columns_of(cells), "numpy") - theirs.predict(columns_of(cells))).max()
        <= 1e-9
    )


def test_a_tree_that_is_one_leaf_says_one_number():
    _, metrics = made_up(40)
    theirs = sklearn_ensemble.RandomForestRegressor(3, random_state=2).fit(
        columns_of(metrics), np.full(40, 7.0)
    )
    forest = arrays_of(theirs, "stock_t_ha", dict.fromkeys(NAMES, (0.0, 1.0)), np.zeros(30), 1.0)
    assert mean_of_trees(forest, columns_of(metrics), "numpy").tolist() == [7.0] * 40
