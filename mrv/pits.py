"""Pits of a canopy made from points: single pixels that a beam slipped through, found, counted, and filled where that is asked for.

Not filled by default. On the measured trees of Chablais filling changes nothing for the better (treetops F 0.674 with and
without; 4 false tops less, 2 true ones less; height bias −0.10 m becomes −0.16 m) and lifts the mean canopy by 35 mm of heights that
nobody measured. The layered "pit-free" surface of Khosravipour et al. 2014 (doi:10.14358/PERS.80.9.863), tried there with edges
of 1.0 and 1.5 m, gives F 0.62 and 0.61 with −0.79 and −0.39 m, since it builds every pixel anew: it is not offered. What is offered
touches pits alone (as the morphological pit removal of Ben-Arie et al. 2009, doi:10.1016/j.cageo.2009.02.003, does).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEPTH_MM, NEIGHBOURS = 2000, 6
STRIP_PIXELS = 1_000_000


@dataclass(frozen=True)
class PitCount:
    """Pixels that are pits: `empty` without a height, `sunken` far below those around; of `pixels` in all."""

    empty: int
    sunken: int
    pixels: int


def fill_pits(
    heights_mm: NDArray[np.int32], nodata_mm: int, depth_mm: int = DEPTH_MM, neighbours: int = NEIGHBOURS
) -> tuple[NDArray[np.int32], PitCount]:
    """Fill single empty or sunken pixels with the lower median of their neighbours, and count them.

    A pixel is a pit where at least `neighbours` of the eight around have data and all of those stand more than
    `depth_mm` above it. A gap of two pixels or more is kept. Worked through in strips of rows; the result does not depend on them.

    Parameters
    ----------
    heights_mm : ndarray of int32, shape (rows, cols)
        Not changed.
    """
    rows, cols = heights_mm.shape
    filled = np.empty_like(heights_mm)
    empty = sunken = 0
    step = max(STRIP_PIXELS // max(cols, 1), 1)
    for row in range(0, rows, step):
        above, until = max(row - 1, 0), min(row + step, rows)
        part = heights_mm[above : min(until + 1, rows)]
        padded = np.pad(part, ((row == 0, until == rows), (1, 1)), constant_values=nodata_mm)
        middle, hollow, low = _pits(padded, nodata_mm, depth_mm, neighbours)
        filled[row:until] = np.where(hollow | low, middle, heights_mm[row:until])
        empty, sunken = empty + int(hollow.sum()), sunken + int(low.sum())
    return filled, PitCount(empty, sunken, int(heights_mm.size))


def without_pits(
    heights_mm: NDArray[np.int32], nodata_mm: int, depth_mm: int = DEPTH_MM, neighbours: int = NEIGHBOURS
) -> NDArray[np.int32]:
    """The surface that :func:`fill_pits` gives."""
    return fill_pits(heights_mm, nodata_mm, depth_mm, neighbours)[0]


def find_pits(
    heights_mm: NDArray[np.int32], nodata_mm: int, depth_mm: int = DEPTH_MM, neighbours: int = NEIGHBOURS
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels are empty pits, and which are sunken ones, both of shape (rows, cols)."""
    padded = np.pad(heights_mm, 1, constant_values=nodata_mm)
    return _pits(padded, nodata_mm, depth_mm, neighbours)[1:]


def _pits(
    padded: NDArray[np.int32], nodata_mm: int, depth_mm: int, neighbours: int
) -> tuple[NDArray[np.int32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Lower median around each inner pixel, and which are empty or sunken pits."""
    rows, cols = padded.shape[0] - 2, padded.shape[1] - 2
    heights = padded[1:-1, 1:-1]
    around = np.stack(
        [padded[r : r + rows, c : c + cols] for r in range(3) for c in range(3) if (r, c) != (1, 1)]
    )
    known = around != nodata_mm
    count = known.sum(axis=0)
    ranked = np.sort(np.where(known, around, np.iinfo(np.int32).max), axis=0)
    middle = np.take_along_axis(ranked, np.maximum(count - 1, 0)[None] // 2, axis=0)[0]
    enough = count >= neighbours
    empty = heights == nodata_mm
    sunken = ~empty & (ranked[0] > heights.astype(np.int64) + depth_mm)
    return middle, enough & empty, enough & sunken
