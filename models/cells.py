"""Predictions per cell of a map, and which cells a model was not made for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

_F = NDArray[np.float64]
_B = NDArray[np.bool_]


@dataclass(frozen=True)
class CellPrediction:
    """A response per cell, and which cells the model was not made for.

    Attributes
    ----------
    value, standard_error, low, high : ndarray of float, shape (n,)
        NaN where a metric is missing. The standard error is that of one cell (residual and model).
    outside : ndarray of bool, shape (n,)
        A metric beyond its range, or a leverage beyond that of any plot: the interval does not hold.
    outside_by_metric : mapping of metric to number of cells
    beyond_leverage, missing : int
        Cells; leverage is that of a line, 0 for a forest.
    """

    value: _F
    standard_error: _F
    low: _F
    high: _F
    coverage: float
    outside: _B
    outside_by_metric: Mapping[str, int]
    beyond_leverage: int
    missing: int

    @property
    def outside_count(self) -> int:
        return int(self.outside.sum())

    @property
    def outside_share(self) -> float:
        """Of the cells that have metrics."""
        present = self.value.size - self.missing
        return self.outside_count / present if present else 0.0


def metric_columns(metrics: Mapping[str, _F], names: Sequence[str]) -> _F:
    """The named metrics side by side, shape (n, k).

    Raises
    ------
    OutOfRange
        If one is absent, or they differ in length.
    """
    if absent := [n for n in names if n not in metrics]:
        raise OutOfRange(
            en=f"expected the metrics {', '.join(names)}, got none named {', '.join(absent)}; compute them for the same cells",
            ja=f"説明変数{', '.join(names)}が必要ですが、{', '.join(absent)}がありませんでした。同じセルについて計算してください",
        )
    columns = [np.asarray(metrics[n], dtype=np.float64) for n in names]
    if len({c.shape for c in columns}) != 1 or columns[0].ndim != 1:
        raise OutOfRange(
            en=f"expected metrics of the same cells, got shapes {[c.shape for c in columns]}",
            ja=f"同じセルの説明変数が必要ですが、形が{[c.shape for c in columns]}でした",
        )
    return np.column_stack(columns)


def beyond_ranges(columns: _F, ranges: Mapping[str, tuple[float, float]]) -> tuple[_B, dict[str, int], _B]:
    """Cells with a metric beyond its range, how many by metric, and cells with a metric missing.

    Parameters
    ----------
    columns : ndarray of float, shape (n, k)
    ranges : mapping of metric to (lowest, highest), in the order of the columns
    """
    missing: _B = np.asarray(~np.isfinite(columns).all(axis=1), dtype=np.bool_)
    outside, by_metric = np.zeros(columns.shape[0], dtype=np.bool_), {}
    for (name, (low, high)), column in zip(ranges.items(), columns.T, strict=True):
        out = ~missing & ((column < low) | (column > high))
        by_metric[name] = int(out.sum())
        outside |= out
    return outside, by_metric, missing
