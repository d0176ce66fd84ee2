"""A random forest as plain arrays: evaluated lane-parallel, without the library that grew it.

All nodes of all trees lie in flat arrays, breadth first in each tree, so that a right child follows its left one and a leaf points
to itself: a step is the same for every lane, and nothing branches. Inputs are compared as scikit-learn does, in single precision.

References
----------
Breiman 2001, doi:10.1023/A:1010933404324. Intervals: quantiles of spatially cross-validated errors (Vovk 2015,
doi:10.1007/s10472-013-9368-4).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models import forest_compiled
from models.cells import CellPrediction, beyond_ranges, metric_columns
from models.errors import OutOfRange

Engine = Literal["auto", "numpy", "compiled"]
MOST_METRICS, MOST_NODES = 256, 2**24
WORTH_COMPILING = 20_000_000
"""Cells times trees from which compiling pays."""
LANES = 8192
THIN_OUT_AT = (6, 9)
_F = NDArray[np.float64]
_I = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Forest:
    """Trees as flat arrays.

    Attributes
    ----------
    metrics : tuple of str
    ranges : mapping of metric to (lowest, highest)
        What the forest was grown on.
    feature : ndarray of int32, shape (nodes,)
        Column of the metric that a node asks for; 0 at a leaf.
    threshold : ndarray of float32, shape (nodes,)
        A lane goes left if its metric is not above it.
    left : ndarray of int32, shape (nodes,)
        Left child within its tree, the right one follows; a leaf names itself.
    value : ndarray of float64, shape (nodes,)
        Response at a leaf.
    offset : ndarray of int64, shape (trees + 1,)
        First node of each tree.
    left_out_error : ndarray of float64, shape (plots,)
        Measured less predicted, of plots whose whole block was left out; sorted.
    """

    response: str
    metrics: tuple[str, ...]
    ranges: Mapping[str, tuple[float, float]]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    value: _F
    offset: NDArray[np.int64]
    left_out_error: _F
    mean_response: float

    @property
    def trees(self) -> int:
        return self.offset.size - 1

    @property
    def cross_validated_rmse(self) -> float:
        return float(np.sqrt(np.mean(self.left_out_error**2)))

    @property
    def relative_rmse(self) -> float:
        return self.cross_validated_rmse / self.mean_response


def check_forest(forest: Forest) -> None:
    """See that the arrays are a forest: a file may hold anything.

    Raises
    ------
    OutOfRange
        If shapes disagree, a node leads outside its tree, back, or to a metric that is not there, or a number is missing.
    """
    nodes, k = forest.feature.size, len(forest.metrics)
    sizes = np.diff(forest.offset)
    own = np.arange(nodes) - np.repeat(forest.offset[:-1], sizes) if _offsets_hold(forest) else None
    if own is None or not 0 < k <= MOST_METRICS or tuple(forest.ranges) != forest.metrics:
        raise _no_forest(
            "arrays of one length, 1 to 256 metrics with a range each, and offsets that rise from 0"
        )
    leaf = forest.left == own
    inside = (forest.left > own) & (forest.left.astype(np.int64) + 1 < np.repeat(sizes, sizes))
    if not np.all(leaf | inside):
        raise _no_forest("children that lie in their tree, after their parent")
    if not np.all((forest.feature >= 0) & (forest.feature < k)):
        raise _no_forest(f"nodes that ask for one of {k} metrics")
    if not (
        np.isfinite(forest.threshold[~leaf]).all()
        and np.isfinite(forest.value).all()
        and forest.left_out_error.size
        and np.isfinite(forest.left_out_error).all()
    ):
        raise _no_forest("finite thresholds, values and errors")


def predict_forest(
    forest: Forest, metrics: Mapping[str, _F], coverage: float = 0.9, engine: Engine = "auto"
) -> CellPrediction:
    """Predict cells of the size of the plots the forest was grown on.

    Parameters
    ----------
    metrics : mapping of name to ndarray of float, shape (n,)
        NaN where a cell has none.
    coverage : float
        Of the interval of one cell, from left-out errors; infinite where there are too few for it.
    engine : {"auto", "numpy", "compiled"}
        The result is the same to the bit; ``auto`` compiles (with numba, where installed) if there is enough to do.

    Raises
    ------
    OutOfRange
        If a metric is absent.
    """
    columns = metric_columns(metrics, forest.metrics)
    outside, by_metric, missing = beyond_ranges(columns, forest.ranges)
    value = mean_of_trees(forest, np.where(missing[:, None], 0.0, columns), engine)
    value[missing] = np.nan
    low, high = error_quantiles(forest.left_out_error, coverage)
    return CellPrediction(
        value=value,
        standard_error=np.where(missing, np.nan, forest.cross_validated_rmse),
        low=value + low,
        high=value + high,
        coverage=coverage,
        outside=outside,
        outside_by_metric=by_metric,
        beyond_leverage=0,
        missing=int(missing.sum()),
    )


def mean_of_trees(forest: Forest, columns: _F, engine: Engine = "auto", threads: int | None = None) -> _F:
    """Mean of all trees, added in their order, for each row of finite `columns`, shape (n, metrics)."""
    with np.errstate(over="ignore"):  # a number beyond single precision is beyond every threshold too
        keys = ordered_keys(np.ascontiguousarray(columns, dtype=np.float32))
    above, depth = ordered_keys(forest.threshold), tree_depths(forest)
    wanted = columns.shape[0] * forest.trees >= WORTH_COMPILING
    if engine == "compiled" or (engine == "auto" and wanted and forest_compiled.available()):
        step = packed_steps(forest)
        return forest_compiled.mean_of_trees(keys, above, step, forest.value, forest.offset, depth, threads)
    out = np.empty(columns.shape[0])
    for start in range(0, columns.shape[0], LANES):
        out[start : start + LANES] = _mean_of_lanes(keys[start : start + LANES], above, forest, depth)
    return out


def ordered_keys(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers in the order of single-precision numbers; both zeros are one."""
    bits = (values + np.float32(0.0)).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int32)


def packed_steps(forest: Forest) -> NDArray[np.uint32]:
    """Where a node leads, in one word: 24 bits of left child, 8 of metric."""
    return (forest.left.astype(np.uint32) << np.uint32(8)) | forest.feature.astype(np.uint32)


def tree_depths(forest: Forest) -> NDArray[np.int64]:
    """Steps that reach every leaf of each tree."""
    depth = np.zeros(forest.trees, dtype=np.int64)
    own = np.repeat(forest.offset[:-1], np.diff(forest.offset))
    tree = np.repeat(np.arange(forest.trees), np.diff(forest.offset))
    front = forest.offset[:-1].copy()
    while True:
        child = own[front] + forest.left[front]
        front = child[child != front]
        if not front.size:
            return depth
        front = np.concatenate([front, front + 1])
        depth[tree[front]] += 1


def error_quantiles(sorted_error: _F, coverage: float) -> tuple[float, float]:
    """Lower and upper error that hold `coverage` of new plots; infinite where there are too few errors."""
    n, tail = sorted_error.size, (1.0 - coverage) / 2.0
    low = floor(round((n + 1) * tail, 9)) - 1
    high = ceil(round((n + 1) * (1.0 - tail), 9)) - 1
    return (
        float(sorted_error[low]) if low >= 0 else -np.inf,
        float(sorted_error[high]) if high < n else np.inf,
    )


def _mean_of_lanes(keys: NDArray[np.int32], above: NDArray[np.int32], forest: Forest, depth: _I) -> _F:
    """The plain version, and the oracle of the compiled one."""
    by_metric = np.ascontiguousarray(keys.T)
    total = np.zeros(keys.shape[0])
    for t in range(forest.trees):
        tree = slice(int(forest.offset[t]), int(forest.offset[t + 1]))
        left = forest.left[tree].astype(np.intp)
        leaf = _leaves(by_metric, forest.feature[tree].astype(np.intp), above[tree], left, int(depth[t]))
        total += forest.value[tree].take(leaf)
    return total / forest.trees


def _leaves(
    keys: NDArray[np.int32],
    feature: NDArray[np.intp],
    above: NDArray[np.int32],
    left: NDArray[np.intp],
    depth: int,
) -> NDArray[np.intp]:
    """Leaf of each column of `keys`, shape (metrics, n); columns that have arrived are left behind now and then."""
    n = keys.shape[1]
    column, flat, row = np.arange(n), keys.ravel(), feature * n
    if depth < 2:
        node = np.zeros(n, dtype=np.intp)
    else:  # two steps that ask every column the same
        below = left[0]
        right = [keys[feature[k]] > above[k] if left[k] != k else np.intp(0) for k in (below, below + 1)]
        node = np.where(keys[feature[0]] > above[0], left[below + 1] + right[1], left[below] + right[0])
    leaf, on_the_way = node, column
    for step in range(0 if depth < 2 else 2, depth):
        if step in THIN_OUT_AT:
            leaf[on_the_way] = node
            going = np.flatnonzero(left.take(node) != node)
            on_the_way, node = on_the_way.take(going), node.take(going)
        node = left.take(node) + (flat.take(row.take(node) + on_the_way) > above.take(node))
    leaf[on_the_way] = node
    return leaf


def _offsets_hold(forest: Forest) -> bool:
    nodes = forest.feature.size
    same = {forest.feature.shape, forest.threshold.shape, forest.left.shape, forest.value.shape} == {(nodes,)}
    sizes = np.diff(forest.offset)
    return bool(
        same
        and forest.offset.ndim == 1
        and forest.offset.size >= 2
        and forest.offset[0] == 0
        and forest.offset[-1] == nodes
        and np.all((sizes > 0) & (sizes <= MOST_NODES))
    )


def _no_forest(expected: str) -> OutOfRange:
    return OutOfRange(
        en=f"expected the arrays of a random forest: {expected}; the file is damaged, train the model again",
        ja=f"ランダムフォレストの配列が必要です: {expected}。ファイルが壊れています。モデルを作り直してください",
    )
