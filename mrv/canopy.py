"""Stage 1, canopy: heights of one survey as whole millimetres, and their exact sums over plots and sample plots."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.windows import Window

from mrv.blob import Blob, RasterDigest, Sink, canonical_json
from mrv.errors import Problem, Refusal
from mrv.geometry import Grid, Ring, grid_of, rows_of, zone_mask
from mrv.pits import PitCount, fill_pits
from mrv.quantise import half_even
from mrv.results import Canopy, ZoneHeight
from mrv.survey import Survey

NODATA_MM = -(2**31)
STRIP_ROWS = 512
STRIP_PIXELS = 8_000_000
CACHE_MB = 256
# A height beyond this is no tree: the tallest tree known stands 116 m (Sequoia sempervirens, Sillett et al. 2010).
TALLEST_M = 120.0


@dataclass
class _Zone:
    """Running integer sums of one polygon. Its pixels are found strip by strip: no mask of a whole zone is held."""

    zone_id: str
    rings: Sequence[Ring]
    grid: Grid
    rows: tuple[int, int]
    pixels: int = 0
    valid: int = 0
    sum_mm: int = 0

    def add(self, strip_row: int, strip: NDArray[np.int32]) -> None:
        first = max(self.rows[0], strip_row)
        last = min(self.rows[1], strip_row + strip.shape[0])
        if first >= last:
            return
        top_um = self.grid.top_um - first * self.grid.pixel_um
        mask = zone_mask(replace(self.grid, top_um=top_um, rows=last - first), self.rings)
        rows, cols = mask.inside.shape
        row = first - strip_row + mask.row
        part = strip[row : row + rows, mask.col : mask.col + cols]
        chosen = part[mask.inside & (part != NODATA_MM)]
        self.pixels += int(mask.inside.sum())
        self.valid += int(chosen.size)
        self.sum_mm += int(chosen.sum(dtype=np.int64))

    def result(self) -> ZoneHeight:
        return ZoneHeight(self.zone_id, self.pixels, self.valid, self.sum_mm)


def measure_canopy(survey: Survey, sink: Sink) -> Canopy:
    """Canopy height of a survey: quantised raster to the sink, sums per plot and sample plot returned.

    Heights come from the canopy height raster as handed in, or from surface less terrain on one grid, or from points less the
    terrain handed in beside them (else the surface of their own ground points). Negative heights are kept (clipping them would
    bias the mean); heights above `TALLEST_M` are no trees and become nodata. Pits of points are kept too, unless the survey
    says ``pits = "fill"`` for its points: then they are filled, flagged, and counted in ``pits_<survey id>.json``.

    Parameters
    ----------
    survey : Survey
    sink : Sink
        Gets ``canopy_<survey id>.tif``, int32 millimetres.

    Raises
    ------
    Refusal
        If the survey has no height raster, or surface and terrain lie on different grids.
    """
    name = f"canopy_{survey.survey_id}.tif"
    with ExitStack() as stack:
        stack.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_MB))
        grid, strips, source, pits = _open_heights(survey, stack)
        zones = _zones(grid, {p.plot_id: p.rings_mm for p in survey.plots})
        samples = _zones(grid, {s.sample_plot_id: s.rings_mm for s in survey.sample_plots})
        digest = RasterDigest(np.dtype("<i4"), (grid.rows, grid.cols), grid.to_doc())
        with sink.path_for(name) as path, _create(path, grid) as target:
            for row, strip in strips:
                digest.update(strip)
                target.write(strip, 1, window=Window(0, row, grid.cols, strip.shape[0]))
                for zone in (*zones, *samples):
                    zone.add(row, strip)
    flags = ("canopy.terrain_not_from_laser",) if _terrain_not_from_laser(survey) else ()
    if pits is not None:
        flags = (*flags, "canopy.pits_filled")
        sink.put(f"pits_{survey.survey_id}.json", canonical_json(asdict(pits)))
    return Canopy(
        survey_id=survey.survey_id,
        raster_name=name,
        raster_digest=digest.hexdigest(),
        grid=grid.to_doc(),
        source=source,
        plots=tuple(z.result() for z in zones),
        sample_plots=tuple(z.result() for z in samples),
        flags=flags,
    )


def zone_heights(
    grid: Grid, heights_mm: NDArray[np.int32], rings_of: Mapping[str, Sequence[Ring]]
) -> tuple[ZoneHeight, ...]:
    """Exact sums of a quantised canopy in memory over polygons; shape of `heights_mm` is (rows, cols)."""
    zones = _zones(grid, rings_of)
    for row in range(0, grid.rows, strip_rows(grid.cols)):
        for zone in zones:
            zone.add(row, heights_mm[row : row + strip_rows(grid.cols)])
    return tuple(zone.result() for zone in zones)


def quantise_heights(metres: NDArray[np.floating]) -> NDArray[np.int32]:
    """Heights in m as int32 mm; what is NaN or no height that a tree can have becomes `NODATA_MM`."""
    with np.errstate(invalid="ignore"):
        valid = np.abs(metres) <= TALLEST_M
        return half_even(metres * 1000.0, NODATA_MM, valid)


def _zones(grid: Grid, rings_of: Mapping[str, Sequence[Ring]]) -> list[_Zone]:
    return [_Zone(zone_id, rings, grid, rows_of(grid, rings)) for zone_id, rings in rings_of.items()]


def _entry(survey: Survey, role: str) -> Mapping[str, Any] | None:
    entry = survey.manifest.get("files", {}).get(role)
    return entry if isinstance(entry, Mapping) else None


def _terrain_not_from_laser(survey: Survey) -> bool:
    """Whether the ground under the canopy was seen by anything but laser, as far as the survey says.

    A terrain raster is from laser only if the survey says so. Points are, unless the survey says otherwise; where a terrain is
    handed in beside them, that one counts.
    """
    terrain = _entry(survey, "dtm")
    if terrain is not None:
        return str(terrain.get("source", "")).strip().lower() != "laser"
    points = _entry(survey, "points")
    said = str(points.get("source", "")).strip().lower() if points is not None else ""
    return survey.dtm is None and said not in ("", "laser")


def _open_heights(
    survey: Survey, stack: ExitStack
) -> tuple[Grid, Iterator[tuple[int, NDArray[np.int32]]], Any, PitCount | None]:
    if survey.chm is not None:
        chm = stack.enter_context(_open(survey.chm, stack))
        return _grid(chm, survey, survey.chm), _strips_of_one(chm), "chm", None
    if survey.points is not None:
        grid, heights_mm, pits = _heights_of_points(survey, stack)
        strips = ((r, heights_mm[r : r + STRIP_ROWS]) for r in range(0, grid.rows, STRIP_ROWS))
        return grid, strips, "points", pits
    if survey.dsm is not None and survey.dtm is not None:
        dsm = stack.enter_context(_open(survey.dsm, stack))
        dtm = stack.enter_context(_open(survey.dtm, stack))
        grid, terrain = _grid(dsm, survey, survey.dsm), _grid(dtm, survey, survey.dtm)
        if grid != terrain:
            raise Refusal([_different_grids(survey.dsm, survey.dtm, grid, terrain)])
        return grid, _strips_of_difference(dsm, dtm), "dsm_minus_dtm", None
    raise Refusal(
        [
            Problem(
                code="survey.no_canopy",
                where=survey.survey_id,
                expected_en="a canopy height raster, a surface and a terrain raster, or laser points",
                expected_ja="樹冠高ラスタ、DSMとDTM、またはレーザ点群",
                got_en="none of them",
                got_ja="いずれもなし",
                todo_en="Name one of them under [files] in survey.toml.",
                todo_ja="survey.toml の [files] に指定してください。",
            )
        ]
    )


def open_terrain(survey: Survey, stack: ExitStack) -> tuple[Grid, rasterio.DatasetReader] | None:
    """The terrain raster handed in with a survey, on its own grid; None where there is none."""
    if survey.dtm is None:
        return None
    source = stack.enter_context(_open(survey.dtm, stack))
    return _grid(source, survey, survey.dtm), source


def _heights_of_points(survey: Survey, stack: ExitStack) -> tuple[Grid, NDArray[np.int32], PitCount | None]:
    from mrv.points import chm_from_points

    assert survey.points is not None
    path = stack.enter_context(survey.points.opener())
    terrain = open_terrain(survey, stack)
    grid, heights = chm_from_points(path, epsg=survey.epsg, nodata_mm=NODATA_MM, terrain=terrain)
    for row in range(0, grid.rows, STRIP_ROWS):
        part = heights[row : row + STRIP_ROWS]
        part[np.abs(part.astype(np.int64)) > TALLEST_M * 1000] = NODATA_MM
    entry = _entry(survey, "points")
    if entry is None or entry.get("pits") != "fill":
        return grid, heights, None
    filled, pits = fill_pits(heights, NODATA_MM)
    return grid, filled, pits


def _open(blob: Blob, stack: ExitStack) -> rasterio.DatasetReader:
    return rasterio.open(stack.enter_context(blob.opener()), driver="GTiff")


def _grid(source: rasterio.DatasetReader, survey: Survey, blob: Blob) -> Grid:
    return grid_of(source.transform, source.height, source.width, survey.epsg, blob.name)


def _different_grids(dsm: Blob, dtm: Blob, grid: Grid, terrain: Grid) -> Problem:
    return Problem(
        code="raster.grids_differ",
        where=f"{dsm.name}, {dtm.name}",
        expected_en="surface and terrain on one grid",
        expected_ja="DSMとDTMが同一の格子",
        got_en=f"{grid.to_doc()} and {terrain.to_doc()}",
        got_ja=f"{grid.to_doc()} と {terrain.to_doc()}",
        todo_en="Export both with the same origin, pixel size and extent.",
        todo_ja="原点・画素サイズ・範囲をそろえて書き出してください。",
    )


def _windows(source: rasterio.DatasetReader) -> Iterator[tuple[int, Window]]:
    step = strip_rows(source.width)
    for row in range(0, source.height, step):
        yield row, Window(0, row, source.width, min(step, source.height - row))


def strip_rows(cols: int) -> int:
    """Rows that are held at a time: as many as `STRIP_PIXELS` hold, so that memory does not grow with a survey's width."""
    return min(max(STRIP_PIXELS // max(cols, 1), 1), STRIP_ROWS)


def read_metres(source: rasterio.DatasetReader, window: Window | None = None) -> NDArray[np.float64]:
    """First band in metres as float64, NaN where it is nodata, not finite, or no height that a tree can have."""
    band = source.read(1, window=window, masked=True)
    metres = np.asarray(np.ma.filled(band.astype(np.float64), np.nan))
    # Kept apart from the mask: some files declare one nodata value and hold another (-1.7e308 in float64 is a real case).
    with np.errstate(invalid="ignore"):
        metres[~(np.abs(metres) < 1e6)] = np.nan
    return metres


def _strips_of_one(chm: rasterio.DatasetReader) -> Iterator[tuple[int, NDArray[np.int32]]]:
    for row, window in _windows(chm):
        yield row, quantise_heights(read_metres(chm, window))


def _strips_of_difference(
    dsm: rasterio.DatasetReader, dtm: rasterio.DatasetReader
) -> Iterator[tuple[int, NDArray[np.int32]]]:
    for row, window in _windows(dsm):
        yield row, quantise_heights(read_metres(dsm, window) - read_metres(dtm, window))


def _create(path: Path, grid: Grid) -> rasterio.io.DatasetWriter:
    return rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=grid.cols,
        height=grid.rows,
        count=1,
        dtype="int32",
        crs=f"EPSG:{grid.epsg}",
        transform=grid.transform,
        nodata=NODATA_MM,
        compress="deflate",
        predictor=2,
        zlevel=6,
        tiled=True,
        blockxsize=512,
        blockysize=512,
        num_threads=2,
    )


def read_canopy_mm(path: Path) -> NDArray[np.int32]:
    """The quantised canopy raster, int32 mm, shape (rows, cols)."""
    with rasterio.open(path, driver="GTiff") as source:
        values: NDArray[np.int32] = source.read(1)
    return values
