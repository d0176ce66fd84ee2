"""Whether the canopies of a pair of surveys lie on each other: the shift in whole millimetres, for the record and the report.

The credited sums are never moved. A map of change may be drawn with the later canopy moved back by whole pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from models.errors import SatoyamaError
from mrv.canopy import NODATA_MM
from mrv.coregister import coregistration
from mrv.geometry import Grid
from mrv.results import Canopy
from mrv.survey import Plot

COREGISTRATION_NAME = "maps/coregistration.json"
WINDOW_PX = 384
"""Side of the place compared, about the middle of the largest plot: a second's work. Other places of the same survey were seen to differ from it by some 15 mm, more than its standard error."""
LIMIT_MM = 500
"""Flagged beyond half a metre, or a pixel where that is less. Beyond a pixel, two dates no longer see one tree at one place; half a metre
puts a twentieth of a 20 m cell's ground into its neighbour, and is what a drone with corrected GNSS should stay within."""
PPM = 1_000_000


@dataclass(frozen=True)
class PairShift:
    """Where the later canopy of a pair stands relative to the earlier one (`maps/coregistration.json`), whole millimetres.

    Attributes
    ----------
    found : bool
        Whether the two could be compared; all figures are 0 where not, and `reason_en`, `reason_ja` say why.
    offset_mm : int
        Later less earlier height where nothing was felled: growth and height bias together.
    correlation_before_ppm, correlation_ppm : int
        As they lie, and after the shift.
    limit_mm : int
        Beyond which `beyond_limit` is set.
    moved_rows, moved_cols : int
        Whole pixels by which the later canopy is moved, down and to the right, in the map of change; 0 up to half a pixel.
    """

    found: bool
    east_mm: int
    north_mm: int
    east_se_mm: int
    north_se_mm: int
    offset_mm: int
    correlation_before_ppm: int
    correlation_ppm: int
    pixels: int
    pixel_mm: int
    limit_mm: int
    beyond_limit: bool
    moved_rows: int
    moved_cols: int
    reason_en: str = ""
    reason_ja: str = ""

    @property
    def distance_mm(self) -> int:
        return round(float(np.hypot(self.east_mm, self.north_mm)))

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        return cls(**doc)


def pair_shift(
    canopies: tuple[Canopy, Canopy], rasters: tuple[Path, Path], plots: tuple[Plot, ...]
) -> PairShift:
    """Compare the canopies of a pair about the middle of its largest plot; only that place is read."""
    first, last = Grid(**canopies[0].grid), Grid(**canopies[1].grid)
    pixel_mm = first.pixel_um // 1000
    limit = min(LIMIT_MM, pixel_mm)
    place = _middle_mm(max(plots, key=lambda p: p.area_mm2))
    try:
        one, two = (_about(r, g, place) for r, g in zip(rasters, (first, last), strict=True))
        found = coregistration(*one, *two, NODATA_MM)
    except SatoyamaError as error:
        return PairShift(False, *(0,) * 8, pixel_mm, limit, False, 0, 0, error.en, error.ja)
    moved = found.correlation > found.correlation_before
    return PairShift(
        found=True,
        east_mm=round(found.east_mm),
        north_mm=round(found.north_mm),
        east_se_mm=_up(found.east_se_mm),
        north_se_mm=_up(found.north_se_mm),
        offset_mm=round(found.offset_mm),
        correlation_before_ppm=round(found.correlation_before * PPM),
        correlation_ppm=round(found.correlation * PPM),
        pixels=found.pixels,
        pixel_mm=pixel_mm,
        limit_mm=limit,
        beyond_limit=round(found.distance_mm) > limit,
        moved_rows=round(found.north_mm / pixel_mm) if moved else 0,
        moved_cols=-round(found.east_mm / pixel_mm) if moved else 0,
    )


def _middle_mm(plot: Plot) -> tuple[int, int]:
    xs, ys = ([p[axis] for ring in plot.rings_mm for p in ring] for axis in (0, 1))
    return (min(xs) + max(xs)) // 2, (min(ys) + max(ys)) // 2


def _about(raster: Path, grid: Grid, place_mm: tuple[int, int]) -> tuple[NDArray[np.int32], Grid]:
    """The part of a canopy raster about a place, as large as it has it, and where it lies."""
    col = _start((place_mm[0] * 1000 - grid.left_um) // grid.pixel_um, grid.cols)
    row = _start((grid.top_um - place_mm[1] * 1000) // grid.pixel_um, grid.rows)
    part = replace(
        grid,
        left_um=grid.left_um + col * grid.pixel_um,
        top_um=grid.top_um - row * grid.pixel_um,
        rows=min(WINDOW_PX, grid.rows - row),
        cols=min(WINDOW_PX, grid.cols - col),
    )
    with rasterio.open(raster, driver="GTiff") as source:
        return source.read(1, window=Window(col, row, part.cols, part.rows)), part


def _start(middle: int, size: int) -> int:
    return int(min(max(middle - WINDOW_PX // 2, 0), max(size - WINDOW_PX, 0)))


def _up(value: float) -> int:
    """A standard error is never rounded down."""
    return int(np.ceil(value))
