"""Crowns of a canopy raster: which pixels belong to which treetop, and what became of each crown at another date."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.crowns import CrownLimits, crown_pixels, grow_crowns
from mrv.geometry import Grid
from mrv.trees import Treetops

DEFAULT_LIMITS = CrownLimits(share_of_top=0.3, lowest=2000.0, reach_base=2000.0, reach_slope=0.15)
REMOVED_SHARE = 0.5


@dataclass(frozen=True)
class Crowns:
    """Crowns on a grid.

    Attributes
    ----------
    crown : ndarray of int32, shape (rows, cols)
        0 outside crowns, else 1 + the number of the treetop.
    area_mm2 : ndarray of int64, shape (n,)
    """

    grid: Grid
    crown: NDArray[np.int32]
    area_mm2: NDArray[np.int64]

    def __len__(self) -> int:
        return int(self.area_mm2.size)


def find_crowns(
    heights_mm: NDArray[np.int32],
    grid: Grid,
    nodata_mm: int,
    tops: Treetops,
    limits: CrownLimits = DEFAULT_LIMITS,
) -> Crowns:
    """Crowns of treetops found on the same raster.

    A crown ends at 30 % of its top's height (as lidaRtRee has it), below 2 m, and 2 m + 0.15 h from its top.

    Parameters
    ----------
    heights_mm : ndarray of int32, shape (rows, cols)
    limits : CrownLimits
        In millimetres.
    """
    cols = (tops.x_mm * 1000 - grid.left_um) // grid.pixel_um
    rows = (grid.top_um - tops.y_mm * 1000) // grid.pixel_um
    crown = grow_crowns(heights_mm, heights_mm != nodata_mm, rows, cols, grid.pixel_um / 1000, limits)
    pixel_mm2 = grid.pixel_um**2 // 10**6
    return Crowns(grid, crown, crown_pixels(crown, len(tops)) * pixel_mm2)


@dataclass(frozen=True)
class CrownHeights:
    """Canopy within each crown at one date.

    Attributes
    ----------
    pixels : ndarray of int64, shape (n,)
        Pixels with data.
    sum_mm : ndarray of int64, shape (n,)
    """

    pixels: NDArray[np.int64]
    sum_mm: NDArray[np.int64]

    @property
    def mean_mm(self) -> NDArray[np.float64]:
        """NaN where a crown has no pixel with data."""
        mean = np.full(self.sum_mm.shape, np.nan)
        np.divide(self.sum_mm, self.pixels, out=mean, where=self.pixels > 0)
        return mean


def crown_heights(crowns: Crowns, heights_mm: NDArray[np.int32], nodata_mm: int) -> CrownHeights:
    """Sums of a canopy raster, of this or another date, over crowns."""
    inside = (crowns.crown > 0) & (heights_mm != nodata_mm)
    which = crowns.crown[inside] - 1
    pixels = np.bincount(which, minlength=len(crowns)).astype(np.int64)
    total = np.zeros(len(crowns), dtype=np.int64)
    np.add.at(total, which, heights_mm[inside].astype(np.int64))
    return CrownHeights(pixels, total)


def removed_crowns(
    first: CrownHeights, last: CrownHeights, share: float = REMOVED_SHARE
) -> NDArray[np.bool_]:
    """Crowns whose mean height fell by more than a share: felled, broken or dead. Not where either date has no data."""
    with np.errstate(invalid="ignore"):
        return np.asarray(last.mean_mm < (1 - share) * first.mean_mm)
