"""Crowns: pixels of a canopy surface that belong to each treetop, grown downhill from the tops."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

_Index = NDArray[np.int64]
_AROUND = ((-1, 0), (0, -1), (0, 1), (1, 0))


@dataclass(frozen=True)
class CrownLimits:
    """Where a crown ends.

    Attributes
    ----------
    share_of_top : float
        Lowest pixel of a crown as a share of its top's height, 0 to 1.
    lowest : float
        Lowest pixel of any crown, in the unit of the heights.
    reach_base, reach_slope : float
        A crown reaches at most ``base + slope · height`` from its top, in the unit of the heights.
    """

    share_of_top: float
    lowest: float
    reach_base: float
    reach_slope: float

    def __post_init__(self) -> None:
        if not 0 <= self.share_of_top <= 1 or self.reach_base < 0 or self.reach_slope < 0:
            raise OutOfRange(
                en=f"expected a share from 0 to 1 and a reach that is not negative, got {self}",
                ja=f"割合は0から1、到達距離は0以上が必要ですが、{self}でした",
            )


def grow_crowns(
    surface: NDArray[Any],
    valid: NDArray[np.bool_],
    rows: _Index,
    cols: _Index,
    pixel: float,
    limits: CrownLimits,
) -> NDArray[np.int32]:
    """Marker-controlled growth: the highest pixel beside any crown is taken next, by the crown it touches first.

    That is the watershed of the surface turned upside down, with the treetops as markers, cut where a crown is too low or
    too far from its top. Of pixels of one height the one touched first is taken first, so that a plateau is shared evenly.

    Parameters
    ----------
    surface : ndarray, shape (rows, cols)
        Heights in the unit of `pixel`; smoothed or not.
    valid : ndarray of bool, shape (rows, cols)
    rows, cols : ndarray of int64, shape (n,)
        Treetops, as `raster_treetops` gives them.

    Returns
    -------
    ndarray of int32, shape (rows, cols)
        0 outside crowns, else 1 + the number of the treetop. Crowns are connected (4 neighbours) and hold their top.

    Raises
    ------
    OutOfRange
        If two tops share a pixel, or one lies outside the raster or where there are no data.

    References
    ----------
    Meyer and Beucher 1990 (watershed by flooding); Dalponte and Coomes 2016 for the limits by height and distance.
    """
    _refuse_tops(valid, rows, cols)
    crown = np.zeros(surface.shape, dtype=np.int32)
    tall = surface[rows, cols].astype(np.float64)
    floor = np.maximum(limits.share_of_top * tall, limits.lowest).tolist()
    reach = (((limits.reach_base + limits.reach_slope * tall) / pixel) ** 2).tolist()
    height, seen = surface.tolist(), (~valid).tolist()
    top_row, top_col = rows.tolist(), cols.tolist()
    queue = [(-height[r][c], i, r, c, i) for i, (r, c) in enumerate(zip(top_row, top_col, strict=True))]
    heapq.heapify(queue)
    clock = len(queue)
    last_row, last_col = surface.shape[0] - 1, surface.shape[1] - 1

    def offer(row: int, col: int, of: int) -> None:
        nonlocal clock
        for d_row, d_col in _AROUND:
            r, c = row + d_row, col + d_col
            if r < 0 or c < 0 or r > last_row or c > last_col or seen[r][c] or height[r][c] < floor[of]:
                continue
            if (r - top_row[of]) ** 2 + (c - top_col[of]) ** 2 <= reach[of]:
                clock += 1
                heapq.heappush(queue, (-height[r][c], clock, r, c, of))

    while queue:
        _, _, row, col, of = heapq.heappop(queue)
        if not seen[row][col]:
            seen[row][col] = True
            crown[row, col] = of + 1
            offer(row, col, of)
    return crown


def _refuse_tops(valid: NDArray[np.bool_], rows: _Index, cols: _Index) -> None:
    inside = (rows >= 0) & (rows < valid.shape[0]) & (cols >= 0) & (cols < valid.shape[1])
    if not inside.all() or not valid[rows, cols].all():
        raise OutOfRange(
            en="expected every treetop on a pixel with data, some lie beside them",
            ja="樹頂点はデータのある画素上にあることが必要ですが、そうでないものがあります",
        )
    if np.unique(rows * valid.shape[1] + cols).size != rows.size:
        raise OutOfRange(
            en="expected one treetop per pixel, some pixels hold two",
            ja="1画素に樹頂点は1つであることが必要ですが、2つある画素があります",
        )


def crown_pixels(crown: NDArray[np.int32], tops: int) -> _Index:
    """Number of pixels of each crown, shape (tops,)."""
    return np.bincount(crown.reshape(-1), minlength=tops + 1)[1:].astype(np.int64)
