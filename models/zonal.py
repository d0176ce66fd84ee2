"""Zonal statistics with the exact share of every pixel that a polygon covers, computed once and used for any number of dates."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from models.errors import OutOfRange

_Float = NDArray[np.float64]
_Index = NDArray[np.int64]
BATCH_CELLS = 4_000_000
_TINY = 1e-12
_LOOSE = 1e-6


@dataclass(frozen=True)
class Coverage:
    """Shares of pixels in zones, zone after zone, each zone's pixels in reading order.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the raster.
    start : ndarray of int64, shape (zones + 1,)
        Pixels of zone i stand at ``start[i]:start[i + 1]``.
    cell : ndarray of int32 or int64, shape (n,)
        ``row · columns + column``.
    share : ndarray of float64, shape (n,)
        Covered share of the pixel, above 0 and up to 1.
    """

    shape: tuple[int, int]
    start: _Index
    cell: NDArray[np.signedinteger]
    share: _Float

    @property
    def zones(self) -> int:
        return int(self.start.size - 1)

    @cached_property
    def covered(self) -> _Float:
        """Covered area of each zone in pixels, whether the pixels have data or not, shape (zones,)."""
        return _sum_by_zone(self.share, self.start)

    @cached_property
    def matrix(self) -> Any:
        """The shares as a sparse matrix (zones, pixels): its product with a raster is the sum per zone."""
        index = self.start.astype(self.cell.dtype)
        return csr_array((self.share, self.cell, index), shape=(self.zones, self.shape[0] * self.shape[1]))


def polygon_coverage(polygons: Sequence[Sequence[ArrayLike]], shape: tuple[int, int]) -> Coverage:
    """Exact share of every pixel that each polygon covers.

    Edges are cut at the pixel borders they cross; each piece gives its pixel the area on its right and all further pixels
    of the row its height. Polygons that reach beyond the raster are cut there, so that a raster in strips needs no more
    than the shares of one strip at a time.

    Parameters
    ----------
    polygons : sequence of polygons, each a sequence of rings, each an array of shape (corners, 2)
        Columns and rows in pixels: (0, 0) is the outer corner of the first pixel, rows count downwards. Outer and inner
        rings alike, in any direction, closed or not; what lies in an odd number of rings is inside.
    shape : (int, int)
        Rows and columns of the raster.

    Raises
    ------
    OutOfRange
        If a coordinate is not a finite number, or a polygon crosses itself.
    """
    edges, owner = _edges(polygons)
    pieces = [_cover(*batch, shape[1]) for batch in _batches(edges, owner, len(polygons), shape)]
    nothing = np.zeros(0, dtype=np.int64)
    zone = np.concatenate([p[0] for p in pieces] or [nothing])
    cell = np.concatenate([p[1] for p in pieces] or [nothing])
    share = np.concatenate([p[2] for p in pieces] or [np.zeros(0)])
    start = np.zeros(len(polygons) + 1, dtype=np.int64)
    np.cumsum(np.bincount(zone, minlength=len(polygons)), out=start[1:])
    small = shape[0] * shape[1] <= np.iinfo(np.int32).max
    return Coverage(shape, start, cell.astype(np.int32) if small else cell, share)


def _edges(polygons: Sequence[Sequence[ArrayLike]]) -> tuple[_Float, _Index]:
    """Directed edges (x0, y0, x1, y1), outer rings one way and holes the other, and the polygon of each."""
    rings = [np.asarray(ring, dtype=np.float64).reshape(-1, 2) for rings in polygons for ring in rings]
    owner = np.repeat(np.arange(len(polygons)), [len(rings) for rings in polygons])
    size = np.array([len(ring) for ring in rings], dtype=np.int64)
    if not size.sum():
        return np.zeros((0, 4)), np.zeros(0, dtype=np.int64)
    corner = np.concatenate(rings)
    which, _ = _repeat(size)
    _refuse_not_finite(corner, owner[which])
    last = np.cumsum(size)
    following = np.arange(1, corner.shape[0] + 1)
    following[last[size > 0] - 1] = (last - size)[size > 0]
    edges = np.hstack([corner, corner[following]])
    x0, y0, x1, y1 = (edges - np.tile(corner[(last - size)[which]], 2)).T
    area = np.bincount(which, weights=x0 * y1 - x1 * y0, minlength=len(rings))
    backward = (area < 0) != _in_a_hole(rings, owner)
    turned = backward[which]
    edges[turned] = edges[turned][:, [2, 3, 0, 1]]
    return edges, owner[which]


def _refuse_not_finite(corner: _Float, owner: _Index) -> None:
    wrong = ~np.isfinite(corner).all(axis=1)
    if wrong.any():
        number = int(owner[wrong][0])
        raise OutOfRange(
            en=f"expected finite coordinates, polygon {number} (from 0) has {corner[wrong][0].tolist()}",
            ja=f"有限の座標が必要ですが、ポリゴン{number}（0から）に{corner[wrong][0].tolist()}があります",
        )


def _in_a_hole(rings: list[_Float], owner: _Index) -> NDArray[np.bool_]:
    """Whether a ring lies in an odd number of the other rings of its polygon."""
    odd = np.zeros(len(rings), dtype=np.bool_)
    first = np.searchsorted(owner, owner, side="left")
    until = np.searchsorted(owner, owner, side="right")
    for i in np.flatnonzero(until - first > 1):
        others = (rings[j] for j in range(first[i], until[i]) if j != i)
        odd[i] = sum(_lies_in(rings[i], other) for other in others if len(other)) % 2 == 1
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


_Windows = NDArray[np.int64]  # a row each: zone, first row, last row + 1, first column, last column + 1


def _batches(
    edges: _Float, owner: _Index, zones: int, shape: tuple[int, int]
) -> Iterator[tuple[_Float, _Index, _Windows]]:
    """Edges, their window, and the windows, of as many zones (or rows of one zone) as a batch holds."""
    if not len(edges):
        return
    bounds = np.searchsorted(owner, np.arange(zones + 1))
    windows = _windows(edges, bounds, shape)
    size = (windows[:, 2] - windows[:, 1]) * (windows[:, 4] - windows[:, 3] + 1)
    held = np.cumsum(size)
    first = 0
    while first < len(windows):
        until = int(np.searchsorted(held, held[first] - size[first] + BATCH_CELLS, side="right"))
        until = max(until, first + 1)
        some = windows[first:until]
        low, high = bounds[some[:, 0]], bounds[some[:, 0] + 1]
        window, step = _repeat(high - low)
        yield edges[low[window] + step], window, some
        first = until


def _windows(edges: _Float, bounds: _Index, shape: tuple[int, int]) -> _Windows:
    """Pixels around each zone, cut at the raster and into rows that fit a batch."""
    filled = np.flatnonzero(np.diff(bounds) > 0)
    low = np.minimum.reduceat(edges[:, :2], bounds[filled], axis=0)
    high = np.maximum.reduceat(edges[:, :2], bounds[filled], axis=0)
    limit = np.array([shape[1], shape[0]], dtype=np.float64)
    col0, row0 = np.clip(np.floor(low), 0, limit).astype(np.int64).T
    col1, row1 = np.clip(np.ceil(high), 0, limit).astype(np.int64).T
    rows = np.where(col1 > col0, np.maximum(row1 - row0, 0), 0)
    height = np.maximum(BATCH_CELLS // (col1 - col0 + 1).clip(1), 1)
    part, step = _repeat(-(-rows // height))
    top = row0[part] + step * height[part]
    bottom = np.minimum(top + height[part], row1[part])
    return np.column_stack([filled[part], top, bottom, col0[part], col1[part]])


def _cover(edges: _Float, owner: _Index, windows: _Windows, cols: int) -> tuple[_Index, _Index, _Float]:
    """Zone, cell and share of the covered pixels of a batch of windows.

    Every row of a window has one column to spare, at whose end the steps of a closed polygon sum to nothing.
    """
    _, row0, row1, col0, col1 = windows.T
    width = col1 - col0 + 1
    offset = np.concatenate([[0], np.cumsum((row1 - row0) * width)])
    x0, x1, height, row, owner = _cut_at_rows(edges, owner, row0, row1)
    x0, x1, height, col, piece = _cut_at_columns(x0, x1, height, col0[owner], col1[owner])
    row, owner = row[piece], owner[piece]
    place = offset[owner] + (row - row0[owner]) * width[owner] + (col - col0[owner])
    left = height * ((x0 + x1) / 2 - col)
    total = int(offset[-1])
    steps = np.bincount(place, weights=height - left, minlength=total)
    steps += np.bincount(place + 1, weights=left, minlength=total + 1)[:total]
    share = np.cumsum(steps)
    ends = np.cumsum(np.repeat(width, row1 - row0))
    share -= np.repeat(np.concatenate([[0.0], share[ends[:-1] - 1]]), np.diff(ends, prepend=0))  # no drift
    found = np.flatnonzero(np.abs(share) > _TINY)
    at = np.searchsorted(offset, found, side="right") - 1
    zone, first, _, near, far = windows[at].T
    _refuse_crossing(np.asarray(share[found]), zone)
    row, col = np.divmod(found - offset[at], far - near + 1)
    return zone, (first + row) * cols + near + col, np.minimum(share[found], 1.0)


def _refuse_crossing(share: _Float, zone: _Index) -> None:
    wrong = (share < -_LOOSE) | (share > 1 + _LOOSE)
    if wrong.any():
        number = int(zone[wrong][0])
        raise OutOfRange(
            en=f"expected polygons that do not cross themselves, polygon {number} (from 0) covers a pixel {share[wrong][0]:g} times",
            ja=f"自己交差のないポリゴンが必要ですが、ポリゴン{number}（0から）は1画素を{share[wrong][0]:g}回覆っています",
        )


def _cut_at_rows(
    edges: _Float, owner: _Index, row0: _Index, row1: _Index
) -> tuple[_Float, _Float, _Float, _Index, _Index]:
    """Pieces of edges that lie in one row each: x at both ends, signed height, row, owner."""
    down = edges[:, 3] > edges[:, 1]
    upper = np.where(down[:, None], edges, edges[:, [2, 3, 0, 1]])
    xa, ya, xb, yb = upper.T
    low = np.maximum(ya, row0[owner])
    high = np.minimum(yb, row1[owner])
    first = np.floor(low).astype(np.int64)
    count = np.where(high > low, np.ceil(high).astype(np.int64) - first, 0)
    edge, step = _repeat(count)
    row = first[edge] + step
    y0, y1 = np.maximum(low[edge], row), np.minimum(high[edge], row + 1)
    slope = ((xb - xa) / np.where(yb > ya, yb - ya, 1.0))[edge]
    x0 = np.where(y0 == ya[edge], xa[edge], xa[edge] + (y0 - ya[edge]) * slope)
    x1 = np.where(y1 == yb[edge], xb[edge], xa[edge] + (y1 - ya[edge]) * slope)
    return x0, x1, np.where(down[edge], y0 - y1, y1 - y0), row, owner[edge]


def _cut_at_columns(
    x0: _Float, x1: _Float, height: _Float, near: _Index, far: _Index
) -> tuple[_Float, _Float, _Float, _Index, _Index]:
    """Pieces that lie in one column each: x at both ends, signed height, column, piece of which they are.

    What lies left or right of the columns from `near` to `far` counts at their border.
    """
    low, high = np.minimum(x0, x1), np.maximum(x0, x1)
    first = np.floor(low).astype(np.int64)
    count = np.maximum(np.ceil(high).astype(np.int64) - first, 1)
    piece, step = _repeat(count)
    col = first[piece] + step
    a, b = np.maximum(low[piece], col), np.minimum(high[piece], col + 1)
    span = (high - low)[piece]
    part = np.where(count[piece] > 1, (b - a) / np.where(span > 0, span, 1.0), 1.0)
    near, far = near[piece], far[piece]
    a, b = np.clip(a, near, far), np.clip(b, near, far)
    return a, b, height[piece] * part, np.clip(col, near, far), piece


def _repeat(count: _Index) -> tuple[_Index, _Index]:
    """Each index as often as counted, and the position within its run."""
    which = np.repeat(np.arange(count.size), count)
    before = np.cumsum(count) - count
    return which, np.arange(which.size) - before[which]


@dataclass(frozen=True)
class ZonalSums:
    """Sums over zones; those of parts of a raster add up.

    Attributes
    ----------
    weight : ndarray of float64, shape (zones,)
        Covered pixels that have data.
    total : ndarray of float64, shape (zones,)
        Share times value, summed over them.
    """

    weight: _Float
    total: _Float

    def __add__(self, other: ZonalSums) -> ZonalSums:
        return ZonalSums(self.weight + other.weight, self.total + other.total)

    @property
    def mean(self) -> _Float:
        """NaN where a zone covers no pixel with data."""
        mean = np.full(self.total.shape, np.nan)
        np.divide(self.total, self.weight, out=mean, where=self.weight > 0)
        return mean


def zonal_sums(coverage: Coverage, band: NDArray[Any], nodata: float | None = None) -> ZonalSums:
    """Sum and weight of each zone.

    Parameters
    ----------
    coverage : Coverage
    band : ndarray, shape `coverage.shape`
        NaN and infinite values count as missing.
    nodata : float, optional
        Value that counts as missing too.

    Raises
    ------
    OutOfRange
        If the band has another shape.
    """
    flat = _flat(coverage, band)
    if nodata is None or np.isnan(nodata):
        total = coverage.matrix @ flat
        if np.isfinite(total).all():
            return ZonalSums(coverage.covered, total)
    values = flat.take(coverage.cell).astype(np.float64)
    valid = np.isfinite(values) if nodata is None else np.isfinite(values) & (values != nodata)
    share = np.where(valid, coverage.share, 0.0)
    return ZonalSums(
        _sum_by_zone(share, coverage.start),
        _sum_by_zone(share * np.where(valid, values, 0.0), coverage.start),
    )


def zonal_quantiles(
    coverage: Coverage, band: NDArray[Any], probabilities: Sequence[float], nodata: float | None = None
) -> _Float:
    """Quantiles of each zone, weighted by the share of each pixel.

    Between two values it is interpolated along ``(i − 1)·wᵢ + (n − 1)·Σ_{j<i} wⱼ``, which with equal shares is the usual
    linear rule (type 7 of Hyndman and Fan 1996); exactextract uses the same.

    Parameters
    ----------
    probabilities : sequence of float
        From 0 to 1.

    Returns
    -------
    ndarray of float64, shape (zones, probabilities)
        NaN where a zone covers no pixel with data.

    Raises
    ------
    OutOfRange
        If the band has another shape, or a probability lies outside 0 to 1.
    """
    wanted = np.asarray(probabilities, dtype=np.float64)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise OutOfRange(
            en=f"expected probabilities from 0 to 1, got {wanted.tolist()}",
            ja=f"0から1までの確率が必要ですが、{wanted.tolist()}でした",
        )
    values = _flat(coverage, band).take(coverage.cell).astype(np.float64)
    valid = np.isfinite(values) if nodata is None else np.isfinite(values) & (values != nodata)
    out = np.full((coverage.zones, wanted.size), np.nan)
    for zone, (first, until) in enumerate(itertools.pairwise(coverage.start)):
        chosen = valid[first:until]
        if chosen.any():
            out[zone] = _quantiles(values[first:until][chosen], coverage.share[first:until][chosen], wanted)
    return out


def _quantiles(values: _Float, share: _Float, wanted: _Float) -> _Float:
    order = np.argsort(values, kind="stable")
    values, share = values[order], share[order]
    before = np.cumsum(share) - share
    place = np.arange(values.size) * share + (values.size - 1) * before
    return np.asarray(np.interp(wanted * place[-1], place, values), dtype=np.float64)


def _flat(coverage: Coverage, band: NDArray[Any]) -> NDArray[Any]:
    if band.shape != coverage.shape:
        raise OutOfRange(
            en=f"expected a band of {coverage.shape} rows and columns, as the shares are of, got {band.shape}",
            ja=f"被覆率と同じ{coverage.shape}（行, 列）のラスタが必要ですが、{band.shape}でした",
        )
    return band.reshape(-1)


def _sum_by_zone(values: NDArray[np.floating], start: _Index) -> _Float:
    total = np.zeros(start.size - 1)
    filled = np.diff(start) > 0
    if filled.any():
        total[filled] = np.add.reduceat(values, start[:-1][filled])
    return total
