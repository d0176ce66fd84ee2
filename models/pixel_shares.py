"""Exact share of every pixel that each polygon covers: what `models.zonal` holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import OutOfRange

_Float = NDArray[np.float64]
_Index = NDArray[np.int64]
BATCH_CELLS = 60_000  # windows together: what a processor's own cache holds
WINDOW_CELLS = 4_000_000  # one window: what memory should hold of a large polygon at a time
_TINY = 1e-12
_LOOSE = 1e-6


@dataclass(frozen=True)
class _Edges:
    """Edges from (x0, y0) to (x1, y1), polygon after polygon; `sign` is −1 where a ring runs the other way.

    Outer rings and islands in holes run one way, holes the other; edges of polygon i stand at ``bound[i]:bound[i + 1]``.
    """

    x0: _Float
    y0: _Float
    x1: _Float
    y1: _Float
    sign: _Float
    bound: _Index


@dataclass(frozen=True)
class _Windows:
    """Pixels around each polygon, cut at the raster and into rows that memory holds; of each: polygon, rows, columns."""

    zone: _Index
    top: _Index
    bottom: _Index
    left: _Index
    right: _Index

    def __getitem__(self, some: slice) -> _Windows:
        return _Windows(self.zone[some], self.top[some], self.bottom[some], self.left[some], self.right[some])

    @property
    def rows(self) -> _Index:
        return np.asarray(self.bottom - self.top)

    @property
    def width(self) -> _Index:
        """Columns, and one to spare at whose end the steps of a closed polygon sum to nothing."""
        return np.asarray(self.right - self.left + 1)


def pixel_shares(
    polygons: Sequence[Sequence[ArrayLike]], shape: tuple[int, int]
) -> tuple[_Index, _Index, _Float]:
    """Start of each polygon's pixels, pixels (``row · columns + column``) and shares; see `models.zonal.polygon_coverage`."""
    edges = _edges(polygons)
    windows = _windows(edges, shape)
    count = np.zeros(len(polygons), dtype=np.int64)
    cells, shares = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for some in _batches(windows):
        many, cell, share = _cover(edges, some, shape[1])
        np.add.at(count, some.zone, many)
        cells.append(cell)
        shares.append(share)
    start = np.concatenate([[0], np.cumsum(count)])
    return start, np.concatenate(cells), np.concatenate(shares)


def _edges(polygons: Sequence[Sequence[ArrayLike]]) -> _Edges:
    rings = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for rings in polygons for ring in rings]
    held = np.array([len(rings) for rings in polygons], dtype=np.int64)
    size = np.array([len(ring) for ring in rings], dtype=np.int64)
    corner = np.concatenate([np.zeros((0, 2)), *rings])
    x0, y0 = np.ascontiguousarray(corner[:, 0]), np.ascontiguousarray(corner[:, 1])
    last = np.cumsum(size)
    bound = np.concatenate([[0], last])[np.concatenate([[0], np.cumsum(held)])]
    _refuse_not_finite(x0, y0, bound)
    following = np.arange(1, x0.size + 1)
    some = size > 0
    first = (last - size)[some]
    following[last[some] - 1] = first
    x1, y1 = x0[following], y0[following]
    area = np.zeros(size.size)
    if x0.size:
        area[some] = np.add.reduceat(x0 * y1 - x1 * y0, first)
    backward = (area < 0) != _in_a_hole(rings, held)
    return _Edges(x0, y0, x1, y1, np.repeat(np.where(backward, -1.0, 1.0), size), bound)


def _refuse_not_finite(x: _Float, y: _Float, bound: _Index) -> None:
    wrong = ~(np.isfinite(x) & np.isfinite(y))
    if wrong.any():
        at = int(np.argmax(wrong))
        number = int(np.searchsorted(bound, at, side="right")) - 1
        corner = [float(x[at]), float(y[at])]
        raise OutOfRange(
            en=f"expected finite coordinates, polygon {number} (from 0) has {corner}",
            ja=f"有限の座標が必要ですが、ポリゴン{number}（0から）に{corner}があります",
        )


def _in_a_hole(rings: list[_Float], held: _Index) -> NDArray[np.bool_]:
    """Whether a ring lies in an odd number of the other rings of its polygon."""
    odd = np.zeros(len(rings), dtype=np.bool_)
    until = np.cumsum(held)
    for zone in np.flatnonzero(held > 1):
        own = range(int(until[zone] - held[zone]), int(until[zone]))
        for i in own:
            others = (rings[j] for j in own if j != i and len(rings[j]))
            odd[i] = sum(_lies_in(rings[i], other) for other in others) % 2 == 1
    return odd


def _lies_in(ring: _Float, other: _Float) -> bool:
    """Whether most midpoints of a ring's edges lie in another ring; rings touch in points at most."""
    x, y = ((ring + np.roll(ring, -1, axis=0)) / 2).T[:, :, None]
    x0, y0 = other.T
    x1, y1 = np.roll(other, -1, axis=0).T
    crosses = (y0 <= y) != (y1 <= y)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = x < x0 + (y - y0) * (x1 - x0) / (y1 - y0)
    inside = np.sum(crosses & left, axis=1) % 2 == 1
    return bool(inside.mean() > 0.5)


def _windows(edges: _Edges, shape: tuple[int, int]) -> _Windows:
    filled = np.flatnonzero(np.diff(edges.bound) > 0)
    first = edges.bound[filled]
    if not first.size:
        return _Windows(*(np.zeros(0, dtype=np.int64) for _ in range(5)))

    def around(values: _Float, limit: int) -> tuple[_Index, _Index]:
        low = np.clip(np.floor(np.minimum.reduceat(values, first)), 0, limit)
        high = np.clip(np.ceil(np.maximum.reduceat(values, first)), 0, limit)
        return low.astype(np.int64), high.astype(np.int64)

    (left, right), (row0, row1) = around(edges.x0, shape[1]), around(edges.y0, shape[0])
    rows = np.where(right > left, np.maximum(row1 - row0, 0), 0)
    height = np.maximum(WINDOW_CELLS // (right - left + 1).clip(1), 1)
    part, step = _repeat(-(-rows // height))
    top = row0[part] + step * height[part]
    bottom = np.minimum(top + height[part], row1[part])
    return _Windows(filled[part], top, bottom, left[part], right[part])


def _batches(windows: _Windows) -> Iterator[_Windows]:
    """As many windows at a time as a batch holds."""
    held = np.cumsum(windows.rows * windows.width)
    first, before = 0, 0
    while first < held.size:
        until = max(int(np.searchsorted(held, before + BATCH_CELLS, side="right")), first + 1)
        yield windows[slice(first, until)]
        first, before = until, int(held[until - 1])


def _cover(edges: _Edges, windows: _Windows, cols: int) -> tuple[_Index, _Index, _Float]:
    """Covered pixels of each window, and all of their cells and shares."""
    width = windows.width
    size = windows.rows * width
    offset = np.cumsum(size) - size
    total = int(size.sum())
    x0, x1, height, row, owner = _cut_at_rows(edges, windows)
    line = offset + (0 - windows.top) * width - windows.left
    place = line[owner] + row * width[owner]
    near, far = windows.left[owner], windows.right[owner]
    middle, height, place, col = _cut_at_columns(x0, x1, height, place, near, far)
    left = height * (middle - col)
    place += col
    steps = np.bincount(place, weights=height - left, minlength=total)
    steps[1:] += np.bincount(place, weights=left, minlength=total)[: total - 1]
    share: _Float = np.cumsum(steps)
    lines = np.repeat(width, windows.rows)
    end = np.cumsum(lines)
    drift = np.concatenate([[0.0], share[end[:-1] - 1]])
    share -= np.repeat(drift, lines)
    found = np.flatnonzero(np.abs(share) > _TINY)
    share = np.asarray(share[found])
    upto = np.searchsorted(found, end)
    many = np.diff(upto, prepend=0)
    window, step = _repeat(windows.rows)
    base = (windows.top[window] + step) * cols + windows.left[window] - (end - lines)
    cell = found + np.repeat(base, many)
    until = upto[np.cumsum(windows.rows) - 1]
    per_window = np.diff(until, prepend=0)
    _refuse_crossing(share, windows.zone, until)
    return per_window, cell, np.minimum(share, 1.0, out=share)


def _refuse_crossing(share: _Float, zone: _Index, until: _Index) -> None:
    if share.size and not (share.min() >= -_LOOSE and share.max() <= 1 + _LOOSE):
        at = int(np.argmax((share < -_LOOSE) | (share > 1 + _LOOSE)))
        number = int(zone[np.searchsorted(until, at, side="right")])
        raise OutOfRange(
            en=f"expected polygons that do not cross themselves, polygon {number} (from 0) covers a pixel {share[at]:g} times",
            ja=f"自己交差のないポリゴンが必要ですが、ポリゴン{number}（0から）は1画素を{share[at]:g}回覆っています",
        )


def _cut_at_rows(edges: _Edges, windows: _Windows) -> tuple[_Float, _Float, _Float, _Index, _Index]:
    """Pieces of edges that lie in one row each: x at both ends, signed height, row, window."""
    begin = edges.bound[windows.zone]
    owner, step = _repeat(edges.bound[windows.zone + 1] - begin)
    edge = begin[owner] + step
    x0, y0, x1, y1 = (v[edge] for v in (edges.x0, edges.y0, edges.x1, edges.y1))
    down = y1 > y0
    xa, ya = np.where(down, x0, x1), np.where(down, y0, y1)
    xb, yb = np.where(down, x1, x0), np.where(down, y1, y0)
    low, high = np.maximum(ya, windows.top[owner]), np.minimum(yb, windows.bottom[owner])
    first = np.floor(low)
    count = np.where(high > low, np.ceil(high) - first, 0.0).astype(np.int64)
    piece, step = _repeat(count)
    row = first.astype(np.int64)[piece] + step
    ya, yb, xa, xb = ya[piece], yb[piece], xa[piece], xb[piece]
    above, below = np.maximum(low[piece], row), np.minimum(high[piece], row + 1)
    tall, wide = yb - ya, xb - xa
    start = xa + (above - ya) / tall * wide
    end = np.where(below == yb, xb, xa + (below - ya) / tall * wide)
    height = (below - above) * np.where(down, -edges.sign[edge], edges.sign[edge])[piece]
    return start, end, height, row, owner[piece]


def _cut_at_columns(
    x0: _Float, x1: _Float, height: _Float, place: _Index, near: _Index, far: _Index
) -> tuple[_Float, _Float, _Index, _Index]:
    """Pieces that lie in one column each: middle, signed height, place of their row, column.

    What lies left or right of the columns from `near` to `far` counts at their border.
    """
    low, high = np.minimum(x0, x1), np.maximum(x0, x1)
    first = np.floor(low)
    count = np.maximum(np.ceil(high) - first, 1.0).astype(np.int64)
    piece, step = _repeat(count)
    col = first.astype(np.int64)[piece] + step
    many = (count > 1)[piece]
    low, high = low[piece], high[piece]
    a, b = np.maximum(low, col), np.minimum(high, col + 1)
    span = high - low
    part = np.ones(col.size)
    np.divide(b - a, span, out=part, where=many)
    near, far = near[piece], far[piece]
    a, b = np.clip(a, near, far), np.clip(b, near, far)
    return (a + b) / 2, height[piece] * part, place[piece], np.clip(col, near, far)


def _repeat(count: _Index) -> tuple[_Index, _Index]:
    """Each index as often as counted, and the position within its run."""
    before = np.cumsum(count) - count
    which = np.repeat(np.arange(count.size), count)
    return which, np.arange(which.size) - before[which]
