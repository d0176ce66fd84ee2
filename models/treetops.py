"""Treetops: local maxima of a canopy surface or a point cloud, in a window that widens with height."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

_KERNEL = (1, 2, 1)
_FINER = 16
_Index = NDArray[np.int64]


@dataclass(frozen=True)
class CrownWindow:
    """Search radius ``base + slope · height``, in the unit of the heights.

    Raises
    ------
    OutOfRange
        If a coefficient is negative or both are zero.
    """

    base: float
    slope: float

    def __post_init__(self) -> None:
        if self.base < 0 or self.slope < 0 or self.base + self.slope == 0:
            raise OutOfRange(
                en=f"expected a window that is above zero and does not shrink with height, got {self}",
                ja=f"探索窓は0より大きく、樹高とともに狭くならないことが必要ですが、{self}でした",
            )

    def radius(self, height: NDArray[Any]) -> NDArray[np.float64]:
        return np.asarray(self.base + self.slope * height, dtype=np.float64)


def smooth(heights: NDArray[np.integer], valid: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Heights × 16, smoothed by the integer kernel 1-2-1 in both directions; cells without data carry no weight.

    Parameters
    ----------
    heights : ndarray of int, shape (rows, cols)
    valid : ndarray of bool, shape (rows, cols)

    Returns
    -------
    ndarray of int64, shape (rows, cols)
        Zero where nothing near is valid.
    """
    weighted = np.where(valid, heights, 0).astype(np.int64) * _FINER
    weight = valid.astype(np.int64)
    for axis in (0, 1):
        weighted, weight = _convolve(weighted, axis), _convolve(weight, axis)
    return np.where(weight > 0, weighted // np.maximum(weight, 1), 0)


def _convolve(values: NDArray[np.int64], axis: int) -> NDArray[np.int64]:
    padded = np.pad(values, [(1, 1) if a == axis else (0, 0) for a in (0, 1)])
    size = values.shape[axis]
    parts = [k * padded.take(range(i, i + size), axis=axis) for i, k in enumerate(_KERNEL)]
    return np.asarray(parts[0] + parts[1] + parts[2], dtype=np.int64)


def raster_treetops(
    surface: NDArray[Any],
    valid: NDArray[np.bool_],
    height: NDArray[Any],
    pixel: float,
    window: CrownWindow,
    minimum: float,
) -> tuple[_Index, _Index]:
    """Cells that nothing in their window exceeds.

    The radius is rounded to whole pixels; the window always holds the eight neighbours. Of tied tops in one window the
    first in reading order is kept.

    Parameters
    ----------
    surface : ndarray, shape (rows, cols)
        What is compared: the heights, or `smooth` of them.
    valid : ndarray of bool, shape (rows, cols)
    height : ndarray, shape (rows, cols)
        What sets the window and is held against `minimum`.
    pixel : float
        Side of a pixel in the unit of the heights.
    minimum : float
        Lowest height of a treetop.

    Returns
    -------
    rows, cols : ndarray of int64, shape (n,)
        In reading order.

    References
    ----------
    Popescu and Wynne 2004; window rounding as in the R package ForestTools, with which it is checked.
    """
    radius_px = np.rint(window.radius(np.where(valid, height, 0)) / pixel).astype(np.int64)
    reach = max(1, int(radius_px.max(initial=1)))
    lowest = surface[valid].min() - 1 if valid.any() else 0
    padded = np.pad(np.where(valid, surface, lowest), reach, constant_values=lowest)
    rows, cols = np.nonzero(valid & (height >= minimum))
    tied = np.zeros(rows.size, dtype=np.bool_)
    for d_row, d_col in _nearest_first(reach):
        squared = d_row * d_row + d_col * d_col
        radius = radius_px[rows, cols]
        inside = (squared <= radius * radius) | (max(abs(d_row), abs(d_col)) <= 1)
        own = surface[rows, cols]
        other = padded[rows + reach + d_row, cols + reach + d_col]
        tied |= inside & (other == own)
        alive = ~(inside & (other > own))
        rows, cols, tied = rows[alive], cols[alive], tied[alive]
    keep = _one_of_tied(rows, cols, surface, radius_px, tied)
    return rows[keep].astype(np.int64), cols[keep].astype(np.int64)


def _nearest_first(reach: int) -> Iterator[tuple[int, int]]:
    span = range(-reach, reach + 1)
    offsets = [(r, c) for r in span for c in span if (r or c) and r * r + c * c <= max(reach * reach, 2)]
    yield from sorted(offsets, key=lambda o: (o[0] * o[0] + o[1] * o[1], o))


def _one_of_tied(
    rows: _Index, cols: _Index, surface: NDArray[Any], radius_px: _Index, tied: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    keep = np.ones(rows.size, dtype=np.bool_)
    kept: dict[Any, list[tuple[int, int]]] = {}
    for i in np.flatnonzero(tied):
        row, col = int(rows[i]), int(cols[i])
        radius = max(int(radius_px[row, col]), 1)
        same = kept.setdefault(surface[row, col].item(), [])
        for r, c in same:
            near = (r - row) ** 2 + (c - col) ** 2 <= radius * radius
            if near or max(abs(r - row), abs(c - col)) <= 1:
                keep[i] = False
                break
        else:
            same.append((row, col))
    return keep


def point_treetops(
    x: NDArray[Any], y: NDArray[Any], height: NDArray[Any], window: CrownWindow, minimum: float
) -> _Index:
    """Indices of points that no point within their horizontal radius exceeds; of tied ones the first is kept.

    Parameters
    ----------
    x, y, height : ndarray, shape (n,)
        One unit; heights above ground.

    References
    ----------
    Local maximum filter as in the R package lidR, with which it is checked.
    """
    from scipy.spatial import cKDTree

    places = np.column_stack([x, y]).astype(np.float64)
    tree = cKDTree(places)
    candidates = np.flatnonzero(height >= minimum)
    radius = window.radius(height[candidates])
    kept: list[int] = []
    taken = np.zeros(height.size, dtype=np.bool_)
    for i, near in zip(candidates, tree.query_ball_point(places[candidates], radius), strict=True):
        around = np.asarray(near)
        if height[around].max() <= height[i] and not taken[around[height[around] == height[i]]].any():
            taken[i] = True
            kept.append(int(i))
    return np.array(kept, dtype=np.int64)


@dataclass(frozen=True)
class Matching:
    """Detected treetops beside trees that were measured.

    Attributes
    ----------
    tree, top : ndarray of int64, shape (k,)
        Matched pairs, closest first.
    trees, tops : int
        Number of trees and of detections in all.
    """

    tree: _Index
    top: _Index
    trees: int
    tops: int

    @property
    def found(self) -> int:
        return int(self.tree.size)

    @property
    def false(self) -> int:
        """Detections without a tree."""
        return self.tops - self.found


def match_treetops(
    trees_m: NDArray[np.float64],
    tops_m: NDArray[np.float64],
    base_m: float = 2.1,
    slope: float = 0.14,
) -> Matching:
    """Pair detections with trees in three dimensions, closest pairs first, each used once.

    Parameters
    ----------
    trees_m, tops_m : ndarray of float, shape (n, 3)
        East, north, height, m.
    base_m, slope : float
        A pair may be ``base + slope · tree height`` apart, and distances are divided by that.

    References
    ----------
    Monnet 2011, thesis; the R package lidaRtRee uses the same rule and limits.
    """
    apart = np.sqrt(((trees_m[:, None, :] - tops_m[None, :, :]) ** 2).sum(axis=2))
    relative = apart / (base_m + slope * trees_m[:, 2])[:, None]
    tree, top = np.nonzero(relative <= 1.0)
    order = np.argsort(relative[tree, top], kind="stable")
    free_tree, free_top = np.ones(len(trees_m), dtype=np.bool_), np.ones(len(tops_m), dtype=np.bool_)
    pairs: list[tuple[int, int]] = []
    for i, j in zip(tree[order], top[order], strict=True):
        if free_tree[i] and free_top[j]:
            free_tree[i] = free_top[j] = False
            pairs.append((int(i), int(j)))
    matched = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return Matching(matched[:, 0], matched[:, 1], len(trees_m), len(tops_m))
