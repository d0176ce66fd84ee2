"""Treetops: local maxima of a canopy surface or a point cloud, in a window that widens with height."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

FINER = 16  # weight of the kernel 1-2-1 in both directions
_SMALL = 2**31 // FINER**2
STRIP_ROWS = 64
STRIP_CELLS = 65_536
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
    rows = heights.shape[0]
    out = np.empty(heights.shape, dtype=np.int64)
    for first in range(0, rows, STRIP_ROWS):
        until = min(first + STRIP_ROWS, rows)
        top, bottom = max(first - 1, 0), min(until + 1, rows)
        strip = _smooth(heights[top:bottom], valid[top:bottom])
        out[first:until] = strip[first - top : until - top]
    return out


def _smooth(heights: NDArray[np.integer], valid: NDArray[np.bool_]) -> NDArray[np.integer]:
    whole = bool(valid.all())
    known = heights if whole else np.where(valid, heights, 0)
    small = bool(known.size) and max(abs(int(known.min())), abs(int(known.max()))) < _SMALL
    total = _convolve(_convolve(known.astype(np.int32 if small else np.int64), 0), 1)
    if whole:
        along, across = (np.ones((n, 1), dtype=total.dtype) for n in heights.shape)
        weight = _convolve(along, 0) * _convolve(across, 0).T
    else:
        weight = _convolve(_convolve(valid.astype(total.dtype), 0), 1)
    partly = np.nonzero(weight != FINER)  # elsewhere 16 times the sum over a weight of 16 is the sum
    total[partly] = total[partly] * FINER // np.maximum(weight[partly], 1)
    return total


def _convolve(values: NDArray[Any], axis: int) -> NDArray[Any]:
    """Sums with weights 1-2-1 along an axis; nothing lies beyond the ends."""
    out = 2 * values
    along, by = np.moveaxis(out, axis, 0), np.moveaxis(values, axis, 0)
    along[1:] += by[:-1]
    along[:-1] += by[1:]
    return out


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
    holds_24 = np.rint(window.radius(np.asarray(minimum)) / pixel) >= 3  # a window of 3 pixels holds 5 × 5
    cell = _above_neighbours(surface, valid, 2 if holds_24 else 1)
    cell = cell[height.reshape(-1)[cell] >= minimum]
    radius = np.rint(window.radius(height.reshape(-1)[cell]) / pixel).astype(np.int64)
    rows, cols = np.divmod(cell, surface.shape[1])
    room = np.minimum(
        np.minimum(rows, surface.shape[0] - 1 - rows), np.minimum(cols, surface.shape[1] - 1 - cols)
    )
    inner = room >= np.maximum(radius, 1)
    seen = None if valid.all() else valid
    stay, tied = np.ones(cell.size, dtype=np.bool_), np.zeros(cell.size, dtype=np.bool_)
    for some, inside in ((np.flatnonzero(inner), True), (np.flatnonzero(~inner), False)):
        stay[some], tied[some] = _highest_in_window(surface, seen, cell[some], radius[some], inside)
    rows, cols, radius, tied = rows[stay], cols[stay], radius[stay], tied[stay]
    keep = _one_of_tied(rows, cols, surface[rows, cols], radius, tied)
    return rows[keep].astype(np.int64), cols[keep].astype(np.int64)


def _highest_in_window(
    surface: NDArray[Any], valid: NDArray[np.bool_] | None, cell: _Index, radius: _Index, inner: bool
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which candidates nothing in their window exceeds, and which of those something in it equals.

    `inner` says that all windows lie within the raster.
    """
    order = np.argsort(-radius, kind="stable")  # the windows that hold an offset are the first so many
    flat, own, wide = surface.reshape(-1), surface.reshape(-1)[cell[order]], radius[order]
    place = cell[order]
    tied = np.zeros(cell.size, dtype=np.bool_)
    for ring in _nearest_first(max(1, int(radius.max(initial=1)))):
        squared = ring[0][0] ** 2 + ring[0][1] ** 2
        until = wide.size if squared <= 2 else int(np.searchsorted(-wide * wide, -squared, side="right"))
        beaten = np.zeros(wide.size, dtype=np.bool_)
        for d_row, d_col in ring:
            beside = place[:until] + (d_row * surface.shape[1] + d_col)
            known = None if inner else _within(place[:until], d_row, d_col, surface.shape)
            if known is not None:
                beside = np.where(known, beside, 0)
            if valid is not None:
                known = valid.reshape(-1)[beside] if known is None else known & valid.reshape(-1)[beside]
            other = flat[beside]
            higher, equal = other > own[:until], other == own[:until]
            beaten[:until] |= higher if known is None else higher & known
            tied[:until] |= equal if known is None else equal & known
        if beaten.any():
            left = np.flatnonzero(~beaten)
            place, own, wide, tied, order = place[left], own[left], wide[left], tied[left], order[left]
    stay, equalled = np.zeros(cell.size, dtype=np.bool_), np.zeros(cell.size, dtype=np.bool_)
    stay[order], equalled[order] = True, tied
    return stay, equalled


def _within(cell: _Index, d_row: int, d_col: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    row, col = np.divmod(cell, shape[1])
    row, col = row + d_row, col + d_col
    return np.asarray((row >= 0) & (row < shape[0]) & (col >= 0) & (col < shape[1]))


def _above_neighbours(surface: NDArray[Any], valid: NDArray[np.bool_], reach: int) -> _Index:
    """Cells that nothing exceeds among the 8 (reach 1) or 24 (reach 2) around, in reading order."""
    rows, cols = surface.shape
    kind = surface.dtype
    lowest = -np.inf if kind.kind == "f" else np.iinfo(kind).min
    height = max(STRIP_CELLS // max(cols, 1), 4 * reach)
    framed = np.full((height + 2 * reach, cols + 2 * reach), lowest, dtype=kind)
    along, highest = np.empty((height + 2 * reach, cols), dtype=kind), np.empty((height, cols), dtype=kind)
    found: list[_Index] = [np.zeros(0, dtype=np.int64)]
    for first in range(0, rows, height):
        until = min(first + height, rows)
        top, bottom = max(first - reach, 0), min(until + reach, rows)
        framed[: top - first + reach] = framed[bottom - first + reach :] = lowest
        inner = framed[top - first + reach : bottom - first + reach, reach:-reach]
        known = valid[top:bottom]
        if known.all():
            inner[...] = surface[top:bottom]
        else:
            inner[...] = np.where(known, surface[top:bottom], lowest)
        _running_maximum(framed, along, reach)
        _running_maximum(along.T, highest.T, reach)
        own = framed[reach : reach + until - first, reach:-reach]
        best = own == highest[: until - first]
        if not known.all():
            best &= valid[first:until]
        found.append(np.flatnonzero(best) + first * cols)
    return np.concatenate(found)


def _running_maximum(values: NDArray[Any], out: NDArray[Any], reach: int) -> None:
    """Highest of the 3 (reach 1) or 5 (reach 2) values along each row, where there are as many."""
    width = out.shape[1]
    np.maximum(values[:, :width], values[:, 1 : width + 1], out=out)
    for further in range(2, 2 * reach + 1):
        np.maximum(out, values[:, further : width + further], out=out)


def _nearest_first(reach: int) -> Iterator[list[tuple[int, int]]]:
    """Offsets within a reach (and the eight around), those of one distance together."""
    span = range(-reach, reach + 1)
    rings: dict[int, list[tuple[int, int]]] = {}
    for r in span:
        for c in span:
            if 0 < r * r + c * c <= max(reach * reach, 2):
                rings.setdefault(r * r + c * c, []).append((r, c))
    for squared in sorted(rings):
        yield rings[squared]


def _one_of_tied(
    rows: _Index, cols: _Index, own: NDArray[Any], radius_px: _Index, tied: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    keep = np.ones(rows.size, dtype=np.bool_)
    kept: dict[Any, list[tuple[int, int]]] = {}
    for i in np.flatnonzero(tied):
        row, col = int(rows[i]), int(cols[i])
        radius = max(int(radius_px[i]), 1)
        same = kept.setdefault(own[i].item(), [])
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
    def f_score(self) -> float:
        """Harmonic mean of the shares of trees found and of tops that are trees; 0 where there is neither."""
        return 2 * self.found / (self.trees + self.tops) if self.trees + self.tops else 0.0

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
