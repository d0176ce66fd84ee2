"""Rasters: GeoTIFF only, opened by local path without neighbours, decoded once through to prove that they are whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from rasterio.windows import Window

from mrv.blob import Blob
from mrv.errors import Refusal
from mrv.geometry import Grid, ZoneMask, grid_of, zone_mask
from mrv.readers.crs import Rings, parse_crs, same_plane, vertical_datum_of
from mrv.readers.findings import Findings, same
from mrv.readers.hostile import Unreadable, hostile
from mrv.readers.manifest import FileEntry

MAX_PIXELS = 4_000_000_000
MAX_BLOCK_BYTES = 512 << 20
# A raster of nothing packs better than 1:1000; one that decodes to this many times its size is made to hurt.
MAX_RATIO = 5_000
RATIO_FREE_PIXELS = 100_000_000
# Beyond this a number is no height or elevation on Earth, whatever the file calls its nodata value.
NO_HEIGHT_M = 1e5
# The tallest tree known stands 116 m (Sequoia sempervirens); the tallest in Japan 63 m (Kyoto, sugi).
TALLEST_M = 120.0
TALL_STAND_M = 80.0
_TIFF_MAGIC = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")
_GDAL_OPTIONS = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_HTTP_MAX_RETRY": "0",
    "CPL_CURL_ENABLE_VSIMEM": "NO",
}
_FEET = frozenset({"ft", "feet", "foot", "us-ft", "ussft", "us_survey_foot", "us survey foot", "フィート"})
_METRES = frozenset({"", "m", "metre", "meter", "metres", "meters", "メートル"})
CELL_M = 10.0


@dataclass(frozen=True)
class Zone:
    """Pixels of a polygon that hold a value, of those it should have."""

    zone_id: str
    expected: float
    valid: int
    highest: float

    @property
    def covered(self) -> float:
        return min(self.valid / self.expected, 1.0) if self.expected else 0.0


@dataclass(frozen=True)
class RasterFacts:
    """What one pass over a raster shows.

    Attributes
    ----------
    valid_share : float
    p999, lowest, highest : float
        Heights in the file's unit; 99.9 % of valid cells lie below `p999`.
    odd_nodata : int
        Cells that hold a number no height can be, without being declared as nodata.
    """

    grid: Grid
    valid_share: float
    lowest: float
    p999: float
    highest: float
    odd_nodata: int
    zones: tuple[Zone, ...]


@contextmanager
def open_geotiff(path: Path) -> Iterator[rasterio.DatasetReader]:
    """Open a local GeoTIFF and nothing else: no other driver, no side files, no network."""
    with rasterio.Env(**_GDAL_OPTIONS), rasterio.open(path, driver="GTiff", sharing=False) as source:
        yield source


def check_raster(
    blob: Blob,
    role: str,
    entry: FileEntry,
    crs: CRS,
    epsg: int,
    zones: Sequence[tuple[str, Rings]],
    findings: Findings,
    pixels: bool = True,
) -> RasterFacts | Grid | None:
    """Check one raster; record what is wrong.

    Parameters
    ----------
    role : {"chm", "dsm", "dtm", "ortho"}
    zones : pairs of name and rings that the raster must cover
    pixels : bool
        Whether to decode every block; otherwise the header alone is read and the grid returned.

    Returns
    -------
    RasterFacts, or Grid where only the header was read, or None where the raster cannot be used.
    """
    with blob.opener() as path:
        if not _is_geotiff(blob.name, path, findings):
            return None
        try:
            with hostile(), open_geotiff(path) as source:
                grid = _check_header(source, blob, role, entry, crs, epsg, findings)
                if grid is None or not pixels:
                    return grid
                return _scan(source, grid, zones if role != "ortho" else ())
        except Unreadable as error:
            _damaged(blob.name, str(error), findings)
            return None


def _is_geotiff(name: str, path: Path, findings: Findings) -> bool:
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(_TIFF_MAGIC):
        return True
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    indirect = text.startswith((b"<", b"{", b"http", b"/vsi"))
    findings.add(
        "raster.indirect" if indirect else "raster.not_geotiff",
        name,
        expected=("a GeoTIFF that holds its own pixels", "画素を含むGeoTIFF"),
        got=("a text that points elsewhere (VRT)", "他を参照するファイル（VRTなど）")
        if indirect
        else (f"a file that begins with {head[:8]!r}", f"先頭が {head[:8]!r} のファイル"),
        todo=("Export the raster itself as GeoTIFF.", "ラスタ本体をGeoTIFFで書き出してください。"),
    )
    return False


def _check_header(
    source: rasterio.DatasetReader,
    blob: Blob,
    role: str,
    entry: FileEntry,
    crs: CRS,
    epsg: int,
    findings: Findings,
) -> Grid | None:
    if not _safe_size(source, blob, findings):
        return None
    fine = _check_crs(source, blob.name, entry, crs, epsg, findings)
    if role != "ortho":
        fine = _check_values(source, blob.name, entry, findings) and fine
        _check_datum(source, blob.name, entry, findings)
    try:
        grid = grid_of(source.transform, source.height, source.width, epsg, blob.name)
    except Refusal as refusal:
        findings.problems.extend(refusal.problems)
        return None
    if not fine:
        return None
    side = grid.pixel_um / 1e6
    size = f"{source.width} × {source.height}, {side:g} m, {source.dtypes[0]}"
    findings.note(blob.name, same(size))
    return grid


def _safe_size(source: rasterio.DatasetReader, blob: Blob, findings: Findings) -> bool:
    cells = source.width * source.height
    item = max(np.dtype(d).itemsize for d in source.dtypes)
    rows, cols = source.block_shapes[0]
    decoded = cells * item * source.count
    bomb = cells > RATIO_FREE_PIXELS and decoded > MAX_RATIO * blob.size
    if cells <= MAX_PIXELS and rows * cols * item * source.count <= MAX_BLOCK_BYTES and not bomb:
        return True
    findings.add(
        "raster.too_large",
        blob.name,
        expected=(
            f"at most {MAX_PIXELS:,} pixels in blocks of at most {MAX_BLOCK_BYTES >> 20} MiB",
            f"{MAX_PIXELS:,}画素以下、ブロック{MAX_BLOCK_BYTES >> 20} MiB以下",
        ),
        got=same(
            f"{source.width} × {source.height} × {source.count}, block {cols} × {rows}, {blob.size:,} bytes"
        ),
        todo=("Export a tiled GeoTIFF of the survey's extent.", "調査範囲をタイル形式で書き出してください。"),
    )
    return False


def _check_crs(
    source: rasterio.DatasetReader, name: str, entry: FileEntry, crs: CRS, epsg: int, findings: Findings
) -> bool:
    if source.crs is None:
        declared = parse_crs(entry.crs) if entry.crs else crs
        findings.note(
            name,
            (
                f"no CRS in the file: EPSG:{epsg} of survey.toml is taken",
                f"座標系の記載なし: EPSG:{epsg} とします",
            ),
        )
    else:
        try:
            declared = CRS.from_wkt(source.crs.to_wkt())
        except CRSError:
            declared = None
    if declared is not None and same_plane(declared, crs):
        return True
    got = declared.name if declared is not None else "an unknown system"
    findings.add(
        "raster.crs_differs",
        name,
        expected=(f"EPSG:{epsg} ({crs.name}), as the survey", f"調査と同じ EPSG:{epsg}（{crs.name}）"),
        got=same(got),
        todo=(
            "Warp the raster to the survey's system yourself: resampling is not guessed here.",
            "調査の座標系に変換したラスタを送ってください（自動では再標本化しません）。",
        ),
    )
    return False


def _check_values(source: rasterio.DatasetReader, name: str, entry: FileEntry, findings: Findings) -> bool:
    fault = ""
    if source.count != 1:
        fault = f"{source.count} bands"
    elif np.dtype(source.dtypes[0]).kind not in "fiu":
        fault = f"values of type {source.dtypes[0]}"
    elif source.scales[0] != 1 or source.offsets[0] != 0:
        fault = f"scale {source.scales[0]}, offset {source.offsets[0]}"
    if fault:
        findings.add(
            "raster.band",
            name,
            expected=("one band of plain heights in metres", "メートル単位の高さ1バンド"),
            got=same(fault),
            todo=(
                "Export heights in metres as one float32 band.",
                "メートル単位のfloat32・1バンドで書き出してください。",
            ),
        )
        return False
    written = source.units[0] or source.tags().get("UNITTYPE") or source.tags(1).get("UNITTYPE") or ""
    units = {entry.unit.casefold(), written.strip().casefold()}
    if units <= _METRES:
        return True
    feet = bool(units & _FEET)
    shown = ", ".join(sorted(units - _METRES))
    findings.add(
        "raster.feet" if feet else "raster.unit",
        name,
        expected=("heights in metres", "メートル単位の高さ"),
        got=(f"unit {shown}", f"単位 {shown}"),
        todo=(
            "Convert the heights to metres and export again.",
            "メートルに換算して書き出し直してください。",
        ),
    )
    return False


def _check_datum(source: rasterio.DatasetReader, name: str, entry: FileEntry, findings: Findings) -> None:
    """A file whose own system names a vertical datum must not contradict the manifest."""
    if source.crs is None or entry.vertical_datum is None:
        return
    own = vertical_datum_of(CRS.from_wkt(source.crs.to_wkt()))
    if own is not None and own != entry.vertical_datum:
        findings.add(
            "raster.vertical_datum_contradicts",
            name,
            expected=(
                f"{entry.vertical_datum}, as survey.toml says",
                f"survey.toml の {entry.vertical_datum}",
            ),
            got=(f"{own} in the file", f"ファイル内は {own}"),
            todo=("Correct whichever is wrong.", "誤っている方を直してください。"),
        )


def _scan(source: rasterio.DatasetReader, grid: Grid, zones: Sequence[tuple[str, Rings]]) -> RasterFacts:
    """Decode every block once: facts for plausibility, cover of every zone."""
    masks = [(name, zone_mask(grid, rings)) for name, rings in zones]
    valid_in, high_in = [0] * len(masks), [-np.inf] * len(masks)
    histogram = np.zeros(2_000, dtype=np.int64)  # decimetres from −20 m
    count, odd, low, high = 0, 0, np.inf, -np.inf
    rows = max(source.block_shapes[0][0], 256)
    rows = max(1, min(rows, 32_000_000 // max(source.width * source.count, 1)))
    for row in range(0, source.height, rows):
        window = Window(0, row, source.width, min(rows, source.height - row))
        if not masks and source.count > 1:
            count += int((source.read(window=window).max(axis=0) > 0).sum())
            continue
        values, strange = _metres(source, window)
        good = np.isfinite(values)
        chosen = values[good]
        odd += strange
        count += chosen.size
        if chosen.size:
            low, high = min(low, float(chosen.min())), max(high, float(chosen.max()))
            bins = np.clip((chosen + 20) * 10, 0, histogram.size - 1).astype(np.int32)
            histogram += np.bincount(bins, minlength=histogram.size)
        for index, (_, mask) in enumerate(masks):
            part = _inside(values, row, mask)
            valid_in[index] += int(np.isfinite(part).sum())
            high_in[index] = max(high_in[index], float(np.nanmax(part, initial=-np.inf)))
    reached = np.searchsorted(np.cumsum(histogram), 0.999 * histogram.sum())
    return RasterFacts(
        grid=grid,
        valid_share=count / (source.width * source.height),
        lowest=float(low),
        p999=float(reached) / 10 - 20,
        highest=float(high),
        odd_nodata=odd,
        zones=tuple(
            Zone(name, _cells_of(rings, grid), valid_in[i], high_in[i])
            for i, (name, rings) in enumerate(zones)
        ),
    )


def _metres(source: rasterio.DatasetReader, window: Window) -> tuple[NDArray[np.float32], int]:
    band = source.read(1, window=window)
    nodata = source.nodata
    with np.errstate(invalid="ignore", over="ignore"):
        possible = np.abs(band.astype(np.float64, copy=False)) < NO_HEIGHT_M
        held = possible & (band > -5000)
        if nodata is not None and not np.isnan(nodata):
            held &= band != np.asarray(nodata).astype(band.dtype, casting="unsafe")
            declared = np.abs(band - nodata) <= abs(nodata) * 1e-6
            odd = ~held & ~declared & np.isfinite(band)
        else:
            odd = ~held & np.isfinite(band)
    values = np.where(held, band, np.nan).astype(np.float32)
    return values, int(odd.sum())


def _inside(values: NDArray[np.float32], row: int, mask: ZoneMask) -> NDArray[np.float32]:
    first, last = max(mask.row, row), min(mask.row + mask.inside.shape[0], row + values.shape[0])
    if first >= last:
        return np.empty(0, dtype=np.float32)
    inside = mask.inside[first - mask.row : last - mask.row]
    return values[first - row : last - row, mask.col : mask.col + inside.shape[1]][inside]


def _cells_of(rings: Rings, grid: Grid) -> float:
    from mrv.readers.plots import plane_area_mm2

    return plane_area_mm2(rings) / (grid.pixel_um / 1000) ** 2


def _damaged(name: str, why: str, findings: Findings) -> None:
    findings.add(
        "raster.truncated",
        name,
        expected=("a whole GeoTIFF", "完全なGeoTIFF"),
        got=(
            f"one that does not decode: cut short or damaged ({why})",
            f"途中で切れたか壊れたファイル（{why}）",
        ),
        todo=("Copy or export it again and compare its size.", "コピーまたは書き出しをやり直してください。"),
    )
