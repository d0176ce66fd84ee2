"""Growing a random forest, and turning it into plain arrays; scikit-learn is needed here and nowhere else.

Imported lazily: scikit-learn is no part of the base install.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.blocked_cv import block_numbers
from models.errors import OutOfRange
from models.forest import Forest, check_forest, error_quantiles

ENOUGH_PLOTS, ENOUGH_BLOCKS = 50, 5
TREES, SMALLEST_LEAF = 500, 3
TREES_TO_CHOOSE, MOST_METRICS, TOO_ALIKE = 100, 6, 0.95
_F = NDArray[np.float64]


class Grown(NamedTuple):
    """A forest, what grew it, and how it does on blocks left out whole.

    Attributes
    ----------
    estimator : sklearn.ensemble.RandomForestRegressor
    error : ndarray of float, shape (n,)
        Measured less predicted, in the order of the plots.
    coverage : float
        Share of plots within an interval of `nominal` made of the other blocks' errors.
    """

    forest: Forest
    estimator: Any
    error: _F
    coverage: float
    nominal: float


def grow_forest(
    response: str,
    values: _F,
    metrics: Mapping[str, _F],
    blocks: NDArray[np.generic],
    seed: int,
    trees: int = TREES,
    coverage: float = 0.9,
    most_metrics: int = MOST_METRICS,
) -> Grown:
    """Grow a forest and its spatially cross-validated errors.

    The metrics that a first forest finds most important are kept, those nearly equal to a better one left out; the choice is made
    anew without each block. With dozens of metrics nearly every cell would lie beyond the range of one of them.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    metrics : mapping of name to ndarray of float, shape (n,)
    blocks : ndarray, shape (n,)
        Cluster, stand or map square of each plot: left out whole.
    seed : int
        Of scikit-learn; the arrays are the record, since other versions grow other trees from it.

    Raises
    ------
    OutOfRange
        Below 50 plots or 5 blocks (use :func:`models.area_based.choose_area_based`), or if a value is missing.
    ImportError
        If scikit-learn is not installed.
    """
    y = np.asarray(values, dtype=np.float64)
    x = np.column_stack([np.asarray(m, dtype=np.float64) for m in metrics.values()])
    block = block_numbers(blocks)
    if y.size < ENOUGH_PLOTS or block.max() + 1 < ENOUGH_BLOCKS:
        raise OutOfRange(
            en=f"expected {ENOUGH_PLOTS} plots in {ENOUGH_BLOCKS} blocks for a random forest, got {y.size} in {int(block.max()) + 1}; use the area-based model",
            ja=f"ランダムフォレストには{ENOUGH_BLOCKS}ブロック{ENOUGH_PLOTS}点以上の標準地が必要ですが、{int(block.max()) + 1}ブロック{y.size}点でした。面積ベースの回帰を使ってください",
        )
    if (bad := np.flatnonzero(~(np.isfinite(x).all(axis=1) & np.isfinite(y)))).size:
        raise OutOfRange(
            en=f"expected a number for every metric and for {response}, one is missing in row {bad[0] + 1} ({bad.size} such rows); measure it or leave the plot out",
            ja=f"すべての説明変数と{response}に数値が必要ですが、{bad[0] + 1}行目で欠けています({bad.size}行)。測るか、その標準地を除いてください",
        )
    ensemble = importlib.import_module("sklearn.ensemble")

    def grown(rows: NDArray[np.bool_], columns: NDArray[np.intp], count: int) -> Any:
        model = ensemble.RandomForestRegressor(
            n_estimators=count, min_samples_leaf=SMALLEST_LEAF, max_features=1.0 / 3.0, random_state=seed
        )
        return model.fit(x[np.ix_(rows, columns)], y[rows])

    def chosen(rows: NDArray[np.bool_]) -> NDArray[np.intp]:
        every = np.arange(x.shape[1])
        if every.size <= most_metrics:
            return every
        return _important(x[rows], grown(rows, every, TREES_TO_CHOOSE).feature_importances_, most_metrics)

    error = np.empty(y.size)
    for b in range(int(block.max()) + 1):
        out = block == b
        columns = chosen(~out)
        error[out] = y[out] - grown(~out, columns, trees).predict(x[np.ix_(out, columns)])
    everywhere = np.ones(y.size, dtype=np.bool_)
    columns = chosen(everywhere)
    whole = grown(everywhere, columns, trees)
    names = list(metrics)
    ranges = {names[c]: (float(x[:, c].min()), float(x[:, c].max())) for c in columns}
    forest = arrays_of(whole, response, ranges, np.sort(error), float(y.mean()))
    return Grown(forest, whole, error, _blocked_coverage(error, block, coverage), coverage)


def arrays_of(
    model: Any,
    response: str,
    ranges: Mapping[str, tuple[float, float]],
    left_out_error: _F,
    mean_response: float,
) -> Forest:
    """The trees of a fitted ``RandomForestRegressor`` as plain arrays; `ranges` in the order of its columns.

    Raises
    ------
    OutOfRange
        If it has more than 256 columns, or predicts more than one response.
    """
    parts = [_flat_tree(estimator.tree_) for estimator in model.estimators_]
    feature, threshold, left, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    forest = Forest(
        response=response,
        metrics=tuple(ranges),
        ranges=dict(ranges),
        feature=feature,
        threshold=threshold,
        left=left,
        value=value,
        offset=np.cumsum([0, *(p[0].size for p in parts)], dtype=np.int64),
        left_out_error=left_out_error,
        mean_response=mean_response,
    )
    check_forest(forest)
    return forest


def _important(x: _F, importance: _F, most: int) -> NDArray[np.intp]:
    """Columns by falling importance, without those nearly equal to one taken before; in their own order."""
    correlation = np.abs(np.nan_to_num(np.corrcoef(x, rowvar=False)))
    taken: list[int] = []
    for column in np.argsort(-importance, kind="stable"):
        if len(taken) < most and not np.any(correlation[column, taken] > TOO_ALIKE):
            taken.append(int(column))
    return np.sort(np.array(taken, dtype=np.intp))


def _blocked_coverage(error: _F, block: NDArray[np.intp], coverage: float) -> float:
    covered = np.zeros(error.size, dtype=np.bool_)
    for b in range(int(block.max()) + 1):
        out = block == b
        low, high = error_quantiles(np.sort(error[~out]), coverage)
        covered[out] = (error[out] >= low) & (error[out] <= high)
    return float(covered.mean())


def _flat_tree(tree: Any) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.int32], _F]:
    """One tree breadth first, with a leaf that points to itself."""
    if tree.value.shape[1:] != (1, 1):
        raise OutOfRange(
            en=f"expected a forest of one response, got values of shape {tree.value.shape}",
            ja=f"応答変数が1つのフォレストが必要ですが、値の形が{tree.value.shape}でした",
        )
    order, left = [0], np.empty(tree.node_count, dtype=np.int32)
    for place in range(tree.node_count):
        node = order[place]
        inner = tree.children_left[node] >= 0
        left[place] = len(order) if inner else place
        if inner:
            order += [int(tree.children_left[node]), int(tree.children_right[node])]
    leaf = left == np.arange(tree.node_count)
    feature = np.where(leaf, 0, tree.feature[order]).astype(np.int32)
    threshold = np.where(leaf, np.float32(np.inf), _rounded_down(tree.threshold[order])).astype(np.float32)
    return feature, threshold, left, np.ascontiguousarray(tree.value[order, 0, 0], dtype=np.float64)


def _rounded_down(threshold: _F) -> NDArray[np.float32]:
    """Largest single-precision number not above: single-precision metrics compare with it as with the threshold."""
    single = threshold.astype(np.float32)
    below = np.nextafter(single, np.float32(-np.inf))
    return np.where(single > threshold, below, single).astype(np.float32)
