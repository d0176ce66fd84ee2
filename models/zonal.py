"""Zonal statistics with the exact share of every pixel that a polygon covers, computed once and used for any number of dates."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

from models import zonal_compiled
from models.errors import OutOfRange
from models.pixel_shares import pixel_shares

_Float = NDArray[np.float64]
_Index = NDArray[np.int64]
_TOGETHER_ROWS = 8
DATES_A_TASK = zonal_compiled.AT_ONCE


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
    def matrix(self) -> tuple[_Index, Any]:
        """Zones from top to bottom of the raster, and the shares of those as a sparse matrix (zones, pixels).

        Its product with a raster is the sum of each zone; zones that lie together read the same part of it.
        """
        first = np.zeros(self.zones, dtype=np.int64)
        filled = np.diff(self.start) > 0
        first[filled] = self.cell[self.start[:-1][filled]]
        row, col = np.divmod(first, max(self.shape[1], 1))
        order = np.lexsort((col, row // _TOGETHER_ROWS))
        index = self.start.astype(self.cell.dtype)
        shares = csr_array((self.share, self.cell, index), shape=(self.zones, self.shape[0] * self.shape[1]))
        return order, shares[order]


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
    start, cell, share = pixel_shares(polygons, shape)
    small = shape[0] * shape[1] <= np.iinfo(np.int32).max
    return Coverage(shape, start, cell.astype(np.int32) if small else cell, share)


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
        found = _where_all_known(coverage, coverage.matrix[1] @ flat)
        if found is not None:
            return found
    values = flat.take(coverage.cell).astype(np.float64)
    valid = np.isfinite(values) if nodata is None else np.isfinite(values) & (values != nodata)
    share = np.where(valid, coverage.share, 0.0)
    return ZonalSums(
        _sum_by_zone(share, coverage.start),
        _sum_by_zone(share * np.where(valid, values, 0.0), coverage.start),
    )


def _where_all_known(coverage: Coverage, product: _Float) -> ZonalSums | None:
    """Sums of zones, given the product of shares and band; None where some pixel of a zone has no data."""
    if not np.isfinite(product).all():
        return None
    total = np.empty(coverage.zones)
    total[coverage.matrix[0]] = product
    return ZonalSums(coverage.covered, total)


def zonal_sums_of_dates(
    coverage: Coverage,
    bands: Iterable[NDArray[Any]],
    nodata: float | None = None,
    threads: int = 2,
    engine: Literal["plain", "compiled"] = "plain",
) -> list[ZonalSums]:
    """Sum and weight of each zone at each date; `zonal_sums` of every band, no number different.

    Parameters
    ----------
    bands : iterable of ndarray, shape `coverage.shape`
        Taken four a thread at a time, so that a generator may read them one after the other.
    threads : int
        At least 1.
    engine : {"plain", "compiled"}
        The result is the same to the bit; ``compiled`` needs numba and a second to compile.

    Raises
    ------
    OutOfRange
        If a band has another shape, or numba is asked for and not installed.
    """
    coverage.matrix, coverage.covered  # noqa: B018  (made once, before the threads ask for them)

    def sums(some: Sequence[NDArray[Any]]) -> list[ZonalSums]:
        if engine == "plain" or not (nodata is None or np.isnan(nodata)):
            return [zonal_sums(coverage, band, nodata) for band in some]
        flat = [_flat(coverage, band) for band in some]
        pairs = zip(some, zonal_compiled.products(coverage.matrix[1], flat), strict=True)
        return [_where_all_known(coverage, p) or zonal_sums(coverage, band, nodata) for band, p in pairs]

    found: list[ZonalSums] = []
    waiting = iter(bands)
    with ThreadPoolExecutor(threads) as pool:
        while some := list(itertools.islice(waiting, DATES_A_TASK * threads)):
            tasks = [some[i : i + DATES_A_TASK] for i in range(0, len(some), DATES_A_TASK)]
            found += itertools.chain.from_iterable(pool.map(sums, tasks))
    return found


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
