"""Where the working model is asked for more than it was fitted on: cells whose canopy lies outside that of the sample plots."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mrv.results import Canopy

MARGIN_MM = 100
"""How far beyond the sample plots' canopy a cell may lie before it is flagged: two laser surveys of one stand differ by as much
(height bias within ± 0.2 m on measured trees, half of it for a mean), so less is no evidence of another forest."""
FIRST, LAST, CHANGE, NO_CANOPY = 1, 2, 4, 8
NODATA_FLAG = 255
KEYS: Mapping[str, int] = {"first": FIRST, "last": LAST, "change": CHANGE}
PPM = 1_000_000


@dataclass(frozen=True)
class Range:
    """Mean canopy heights of the sample plots that a working model was fitted on, mm, outward to whole millimetres."""

    lowest_mm: int
    highest_mm: int
    sample_plots: int

    @property
    def by_chance_ppm(self) -> int:
        """Share of cells expected beyond the range even where the sample plots were drawn from these very cells: 2 / (n + 1).

        Order statistics of n + 1 exchangeable values: each is as likely as any other to be the lowest or the highest.
        """
        return PPM * 2 // (self.sample_plots + 1)

    def outside(self, mean_mm: NDArray[np.float64], margin_mm: int = MARGIN_MM) -> NDArray[np.bool_]:
        """Which means lie beyond, NaN never."""
        with np.errstate(invalid="ignore"):
            return np.asarray(
                (mean_mm < self.lowest_mm - margin_mm) | (mean_mm > self.highest_mm + margin_mm)
            )


@dataclass(frozen=True)
class Cells:
    """How many cells, and how many pixels of plots lie in them."""

    cells: int = 0
    pixels: int = 0

    def __add__(self, other: Cells) -> Cells:
        return Cells(self.cells + other.cells, self.pixels + other.pixels)


@dataclass(frozen=True)
class RangeCount:
    """Cells of a plot or the project, and which of them the working models were not made for.

    A cell that several plots share is counted for each of them, and once for the project; its pixels are never shared.

    Attributes
    ----------
    first, last, change : Cells
        Outside the range of the first or last canopy, or of its change.
    outside : Cells
        Outside any of them.
    no_canopy : Cells
        Without a height at one of the dates.
    """

    total: Cells = Cells()
    first: Cells = Cells()
    last: Cells = Cells()
    change: Cells = Cells()
    outside: Cells = Cells()
    no_canopy: Cells = Cells()

    @property
    def outside_area_ppm(self) -> int:
        """Share of the area, rounded up."""
        return -(-PPM * self.outside.pixels // self.total.pixels) if self.total.pixels else 0

    def __add__(self, other: RangeCount) -> RangeCount:
        return RangeCount(*(getattr(self, n) + getattr(other, n) for n in self.__dataclass_fields__))


@dataclass(frozen=True)
class ModelCoverage:
    """Over which cells the maps extrapolate (`maps/coverage.json`).

    Attributes
    ----------
    cell_mm, margin_mm : int
    ranges : mapping of ``first``, ``last``, ``change`` to Range
    project : RangeCount
    plots : mapping of plot id to RangeCount
    """

    cell_mm: int
    margin_mm: int
    ranges: Mapping[str, Range]
    project: RangeCount
    plots: Mapping[str, RangeCount]

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        return cls(
            cell_mm=doc["cell_mm"],
            margin_mm=doc["margin_mm"],
            ranges={k: Range(**v) for k, v in doc["ranges"].items()},
            project=_count(doc["project"]),
            plots={k: _count(v) for k, v in doc["plots"].items()},
        )


def _count(doc: Mapping[str, Any]) -> RangeCount:
    return RangeCount(**{k: Cells(**v) for k, v in doc.items()})


def sample_ranges(canopies: tuple[Canopy, Canopy], sample_plots: Collection[str]) -> dict[str, Range]:
    """Range of the mean canopy height over the sample plots of the plan, at both dates and of their difference.

    Parameters
    ----------
    sample_plots : collection of str
        Those that the working models were fitted on; the plan's.
    """
    first, last = (
        {z.zone_id: Fraction(z.sum_mm, z.valid) for z in c.sample_plots if z.valid} for c in canopies
    )
    used = [i for i in sorted(sample_plots) if i in first and i in last]
    means = {
        "first": [first[i] for i in used],
        "last": [last[i] for i in used],
        "change": [last[i] - first[i] for i in used],
    }
    return {
        key: Range(min(values).__floor__(), max(values).__ceil__(), len(values))
        for key, values in means.items()
        if values
    }


def range_flags(
    ranges: Mapping[str, Range],
    heights_mm: Mapping[str, NDArray[np.float64]],
    used: NDArray[np.bool_],
    margin_mm: int = MARGIN_MM,
) -> NDArray[np.uint8]:
    """Bits of each cell: 1 first, 2 last, 4 change out of range, 8 no canopy at one of the dates; 255 outside the plots.

    Parameters
    ----------
    heights_mm : mapping of ``first``, ``last``, ``change`` to ndarray of float
        Mean canopy height of the cells and its change, NaN where there is none.
    used : ndarray of bool
        Cells with a pixel in a plot.
    """
    flags = np.zeros(used.shape, dtype=np.uint8)
    for key, bit in KEYS.items():
        if key in ranges:
            flags |= np.where(ranges[key].outside(heights_mm[key], margin_mm), bit, 0).astype(np.uint8)
    missing = np.any([np.isnan(h) for h in heights_mm.values()], axis=0)
    flags |= np.where(missing, NO_CANOPY, 0).astype(np.uint8)
    return np.where(used, flags, NODATA_FLAG).astype(np.uint8)


def count_flags(flags: NDArray[np.uint8], pixels: NDArray[np.int64]) -> RangeCount:
    """Cells and pixels by flag.

    Parameters
    ----------
    flags : ndarray of uint8
        As of :func:`range_flags`.
    pixels : ndarray of int64
        Pixels of plots in each cell; cells without are not counted.
    """
    here = pixels > 0

    def count(chosen: NDArray[np.bool_]) -> Cells:
        return Cells(int(chosen.sum()), int(pixels[chosen].sum()))

    by_bit = {k: count(here & (flags & bit > 0)) for k, bit in {**KEYS, "no_canopy": NO_CANOPY}.items()}
    return RangeCount(
        total=count(here), outside=count(here & (flags & (FIRST | LAST | CHANGE) > 0)), **by_bit
    )
