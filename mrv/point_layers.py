"""What a canopy from points rests on: points a square metre on a map, and the shares of plots with too few, with gaps, with pits."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import rasterio
from rasterio.windows import Window

from mrv.blob import Sink, canonical_json
from mrv.canopy import NODATA_MM
from mrv.cog import Band, Layer, cog_writer
from mrv.geometry import MICROMETRES, Grid, rows_of, zone_mask
from mrv.pits import PitCount, find_pits
from mrv.point_metrics import PointStore
from mrv.results import Canopy
from mrv.survey import Plot, Survey

FEWEST_PER_M2 = 4
"""Below four points a square metre a 0.5 m pixel has less than one of them on average."""
PIXEL_UM = MICROMETRES
STRIP_PIXELS = 2_000_000
PPM = 1_000_000


@dataclass(frozen=True)
class PointFacts:
    """What the canopy of one survey from points rests on (`maps/points_<survey>.json`), over its plots.

    Attributes
    ----------
    terrain : str
        ``raster`` where a terrain was handed in, ``ground_points`` where the points' own ground was triangulated.
    points, ground_points, pixels_of_1m : int
        Counted on 1 m pixels whose centre lies in a plot.
    sparse_ppm : int
        Share of these with fewer than `fewest_per_m2` points.
    canopy_pixels, canopy_gaps : int
        Pixels of the canopy in plots, and those of them without a height.
    pits_empty, pits_sunken : int
        Single pixels of the canopy, anywhere on its raster, that a beam seems to have slipped through, as the raster is.
    pits_filled : bool
    """

    survey_id: str
    terrain: Literal["raster", "ground_points"]
    points: int
    ground_points: int
    pixels_of_1m: int
    fewest_per_m2: int
    sparse_ppm: int
    canopy_pixels: int
    canopy_gaps: int
    pits_empty: int
    pits_sunken: int
    pits_filled: bool

    @property
    def per_m2(self) -> float:
        return self.points / max(self.pixels_of_1m, 1)

    def to_doc(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_doc(cls, doc: Mapping[str, Any]) -> Self:
        return cls(**doc)


def write_point_layers(
    survey: Survey, canopy: Canopy, raster: Path, store: PointStore, sink: Sink
) -> tuple[str, str]:
    """Write the density map (1 m pixels over the canopy's extent) and the facts; names of both.

    The map has two bands, uint16: points and ground points a square metre.
    """
    names = f"maps/point_density_{survey.survey_id}.tif", f"maps/points_{survey.survey_id}.json"
    grid = density_grid(Grid(**canopy.grid))
    tags = {
        "simulated": "yes" if survey.simulated else "no",
        "survey": survey.survey_id,
        "unit": "points per m2",
        "use": "for reading; no credit rests on this map",
    }
    unit = "points per m2"
    layer = Layer(grid, "uint16", 65535, (Band("points", unit), Band("ground_points", unit)), "average", tags)
    sums = np.zeros(4, dtype=np.int64)
    with sink.path_for(names[0]) as path, cog_writer(path, layer) as writer:
        step = max(STRIP_PIXELS // grid.cols, 1)
        for row in range(0, grid.rows, step):
            strip = replace(grid, top_um=grid.top_um - row * grid.pixel_um, rows=min(step, grid.rows - row))
            counts = _counts(store, strip)
            writer.write(row, [np.minimum(c, 65534) for c in counts])
            inside = _inside(strip, survey.plots)
            points, ground = (c[inside] for c in counts)
            sums += points.sum(), ground.sum(), inside.sum(), (points < FEWEST_PER_M2).sum()
    pits = _pits(raster)
    pixels, valid = (sum(getattr(z, n) for z in canopy.plots) for n in ("pixels", "valid"))
    facts = PointFacts(
        survey_id=survey.survey_id,
        terrain="ground_points" if survey.dtm is None else "raster",
        points=int(sums[0]),
        ground_points=int(sums[1]),
        pixels_of_1m=int(sums[2]),
        fewest_per_m2=FEWEST_PER_M2,
        sparse_ppm=int(-(-PPM * sums[3] // sums[2])) if sums[2] else 0,
        canopy_pixels=pixels,
        canopy_gaps=pixels - valid,
        pits_empty=pits.empty,
        pits_sunken=pits.sunken,
        pits_filled="canopy.pits_filled" in canopy.flags,
    )
    sink.put(names[1], canonical_json(facts.to_doc()))
    return names


def density_grid(grid: Grid) -> Grid:
    """1 m pixels (or the canopy's own, where those are coarser) over a canopy's extent."""
    side = max(PIXEL_UM // grid.pixel_um, 1)
    rows, cols = -(-grid.rows // side), -(-grid.cols // side)
    return replace(grid, pixel_um=grid.pixel_um * side, rows=rows, cols=cols)


def _counts(store: PointStore, strip: Grid) -> tuple[Any, Any]:
    """Points and ground points of each pixel of a strip, shape (rows, cols)."""
    side = strip.pixel_um // store.grid.pixel_um
    first = (store.grid.top_um - strip.top_um) // store.grid.pixel_um
    points = store.rows(first, min(first + strip.rows * side, store.grid.rows))
    place = (points["row"].astype(np.int64) - first) // side * strip.cols + points["col"] // side
    per_m2 = (MICROMETRES / strip.pixel_um) ** 2
    chosen = place, place[points["ground"] > 0]
    shape, size = (strip.rows, strip.cols), strip.rows * strip.cols
    all_, ground = (
        np.rint(np.bincount(c, minlength=size) * per_m2).astype(np.int64).reshape(shape) for c in chosen
    )
    return all_, ground


def _inside(strip: Grid, plots: tuple[Plot, ...]) -> Any:
    inside = np.zeros((strip.rows, strip.cols), dtype=np.bool_)
    for plot in plots:
        first, until = rows_of(strip, plot.rings_mm)
        if first < until:
            mask = zone_mask(strip, plot.rings_mm)
            rows, cols = mask.inside.shape
            inside[mask.row : mask.row + rows, mask.col : mask.col + cols] |= mask.inside
    return inside


def _pits(raster: Path) -> PitCount:
    """Pits of a canopy raster as it is, counted strip by strip."""
    empty = sunken = 0
    with ExitStack() as stack:
        source = stack.enter_context(rasterio.open(raster, driver="GTiff"))
        step = max(STRIP_PIXELS // source.width, 1)
        for row in range(0, source.height, step):
            above, until = max(row - 1, 0), min(row + step, source.height)
            below = min(until + 1, source.height)
            part = source.read(1, window=Window(0, above, source.width, below - above))
            hollow, low = find_pits(part, NODATA_MM)
            own = np.s_[row - above : row - above + until - row]
            empty, sunken = empty + int(hollow[own].sum()), sunken + int(low[own].sum())
        return PitCount(empty, sunken, source.height * source.width)
