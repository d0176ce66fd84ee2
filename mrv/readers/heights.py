"""Whether the canopy of a survey can be what it says: cover, heights, unit, datums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median

import laspy
import numpy as np
from pyproj import CRS
from rasterio.errors import RasterioError

from mrv.blob import Blob
from mrv.errors import Refusal
from mrv.geometry import MICROMETRES, Grid, grid_of
from mrv.readers.crs import Rings
from mrv.readers.findings import Findings, same
from mrv.readers.hostile import Unreadable, hostile
from mrv.readers.manifest import Manifest
from mrv.readers.points_header import CHUNK_POINTS, check_points
from mrv.readers.rasters import TALL_STAND_M, TALLEST_M, RasterFacts, check_raster, open_geotiff
from mrv.survey import TreeList
from mrv.terrain import FileTerrain

GAP_POINTS = 100_000
MIN_COVER = 0.95
FULL_COVER = 0.995
# A raster in feet reads 3.28 times the measured heights; crowns reach above or below the stems' own plot, hence the width.
FEET_RATIO = (2.3, 4.6)
MIN_TALL_PLOTS = 3
# Geoid heights over Japan are 20 to 47 m: a surface that nowhere comes near its terrain, or lies under it, stands on
# another datum.
DATUM_GAP_M = (-10.0, 30.0)


def check_canopy(
    manifest: Manifest,
    blobs: Mapping[str, Blob],
    crs: CRS,
    epsg: int,
    plots: Sequence[tuple[str, Rings]],
    samples: Sequence[tuple[str, Rings]],
    trees: TreeList | None,
    pixels: bool,
    findings: Findings,
) -> Grid | None:
    """Check every raster and point cloud of a survey; the grid of the height raster, if there is one."""
    zones = [(f"plot {i}", r) for i, r in plots] + [(f"sample plot {i}", r) for i, r in samples]
    grid: Grid | None = None
    for role in ("chm", "dsm", "dtm", "ortho"):
        if role not in blobs:
            continue
        entry, name = manifest.files[role], blobs[role].name
        facts = check_raster(blobs[role], role, entry, crs, epsg, zones, findings, pixels)
        if isinstance(facts, RasterFacts):
            if role != "ortho":
                _check_cover(name, facts, findings)
                _note_nodata(name, facts, findings)
            if role == "chm":
                _check_heights(name, facts, findings)
                _check_feet(name, facts, trees, findings)
        if role != "ortho" and "points" not in blobs and facts is not None:
            grid = facts.grid if isinstance(facts, RasterFacts) else facts
    if "points" in blobs:
        check_points(blobs["points"], crs, epsg, zones, findings, pixels, own_ground="dtm" not in blobs)
        _note_source(manifest, findings)
    for top in ("dsm", "points"):
        if top in blobs and "dtm" in blobs:
            _check_datums(manifest, blobs, top, epsg, pixels, findings)
    return grid


def _check_cover(name: str, facts: RasterFacts, findings: Findings) -> None:
    if not facts.valid_share:
        _heights(name, "raster.empty", ("no value at all", "値のないラスタ"), findings)
        return
    for zone in facts.zones:
        got = (f"{zone.covered:.1%} of it with heights", f"高さのある画素は{zone.covered:.1%}")
        if zone.covered < MIN_COVER:
            findings.add(
                "raster.not_covering",
                f"{name} {zone.zone_id}",
                expected=(
                    f"at least {MIN_COVER:.0%} of the polygon covered",
                    f"区画の{MIN_COVER:.0%}以上を覆うラスタ",
                ),
                got=got,
                todo=("Fly or export the missing part.", "不足部分を撮影または書き出してください。"),
            )
        elif zone.covered < FULL_COVER:
            findings.warn(
                "raster.gaps",
                f"{name} {zone.zone_id}",
                expected=("heights everywhere", "全域の高さ"),
                got=got,
                todo=("Gaps take the mean of the rest.", "欠損部は残りの平均とみなします。"),
            )


def _note_nodata(name: str, facts: RasterFacts, findings: Findings) -> None:
    findings.note(
        name,
        (
            f"heights {facts.lowest:.2f} to {facts.highest:.2f} m, {facts.valid_share:.1%} of cells",
            f"高さ {facts.lowest:.2f}～{facts.highest:.2f} m、有効画素 {facts.valid_share:.1%}",
        ),
    )
    if facts.odd_nodata:
        findings.warn(
            "raster.undeclared_nodata",
            name,
            expected=("nodata that the file declares", "ファイルに宣言されたNoData値"),
            got=(
                f"{facts.odd_nodata} cells with impossible numbers",
                f"ありえない値の画素 {facts.odd_nodata}個",
            ),
            todo=("They are taken as nodata.", "NoDataとして扱います。"),
        )


def _check_heights(name: str, facts: RasterFacts, findings: Findings) -> None:
    if not facts.valid_share:
        return
    if facts.highest > TALLEST_M or facts.p999 > TALL_STAND_M:
        _heights(
            name,
            "raster.implausible_height",
            same(f"{facts.p999:.1f} m (99.9 %), {facts.highest:.1f} m (max)"),
            findings,
        )
    elif facts.lowest < -30:
        _heights(name, "raster.implausible_height", same(f"{facts.lowest:.1f} m (min)"), findings)


def _heights(name: str, code: str, got: tuple[str, str], findings: Findings) -> None:
    findings.add(
        code,
        name,
        expected=(
            f"heights above ground of trees: below {TALL_STAND_M:.0f} m, no cell above {TALLEST_M:.0f} m",
            f"地上高（{TALL_STAND_M:.0f} m未満、最大でも{TALLEST_M:.0f} m）",
        ),
        got=got,
        todo=(
            "Check the unit (m, not feet) and that it is height above ground, not elevation; cut off spikes.",
            "単位（フィートでないか）、標高でなく地上高か、異常値がないかを確認してください。",
        ),
    )


def _check_feet(name: str, facts: RasterFacts, trees: TreeList | None, findings: Findings) -> None:
    """Compare the highest cell of each sample plot with its highest measured tree."""
    if trees is None:
        return
    ratios = []
    for zone in facts.zones:
        chosen = trees.height_mm[trees.sample_plot_id == zone.zone_id.removeprefix("sample plot ")]
        if zone.zone_id.startswith("sample plot ") and zone.valid and chosen.size and chosen.max() > 3000:
            ratios.append(zone.highest / (int(chosen.max()) / 1000))
    if len(ratios) >= MIN_TALL_PLOTS and FEET_RATIO[0] <= median(ratios) <= FEET_RATIO[1]:
        findings.add(
            "raster.feet",
            name,
            expected=("heights in metres, near those of the tree list", "樹高調査に近いメートル単位の高さ"),
            got=(
                f"{median(ratios):.2f} times the measured trees: feet?",
                f"実測樹高の{median(ratios):.2f}倍（フィートの疑い）",
            ),
            todo=(
                "Convert the heights to metres and export again.",
                "メートルに換算して書き出し直してください。",
            ),
        )


def _check_datums(
    manifest: Manifest, blobs: Mapping[str, Blob], top: str, epsg: int, pixels: bool, findings: Findings
) -> None:
    """A surface (`top` is ``dsm``) or points and their terrain must stand on one stated datum, and look as if they did."""
    surface, dtm = manifest.files[top], manifest.files["dtm"]
    where = f"{surface.path}, {dtm.path}"
    own = surface.vertical_datum
    if top == "points" and own is None:
        own = manifest.vertical_datum
    stated = {top: own, "dtm": dtm.vertical_datum}
    if None in stated.values():
        _datum(
            "raster.vertical_datum_missing",
            where,
            ("none for " + ", ".join(r for r, d in stated.items() if d is None), "記載なし"),
            findings,
        )
    elif own == "height_above_ground":
        _normalised(where, findings)
    elif own != stated["dtm"]:
        _datum(
            "raster.vertical_datum_differs",
            where,
            same(f"{top} {own}, dtm {stated['dtm']}"),
            findings,
        )
    elif pixels and not findings.refused:
        find = _lowest_gap if top == "dsm" else partial(_lowest_gap_of_points, epsg=epsg)
        gap = find(blobs[top], blobs["dtm"])
        if gap is not None and not DATUM_GAP_M[0] <= gap <= DATUM_GAP_M[1]:
            _datum(
                "raster.vertical_datum_differs",
                where,
                (
                    f"a surface {gap:.1f} m above its terrain even in gaps",
                    f"疎な所でも地形との差が{gap:.1f} m",
                ),
                findings,
            )
    if dtm.source != "laser":
        findings.warn(
            "raster.dtm_not_laser",
            dtm.path,
            expected=('a terrain from laser (source = "laser")', 'レーザ測量による地形（source = "laser"）'),
            got=same(dtm.source or "-"),
            todo=(
                "Under closed canopy photogrammetry sees no ground; heights are doubtful.",
                "写真測量では林冠下の地面が写らないため、高さは不確かです。",
            ),
        )


def _lowest_gap(dsm: Blob, dtm: Blob) -> float | None:
    """Second percentile of surface less terrain, from at most 256 × 256 cells; None where the grids differ."""
    try:
        with ExitStack() as stack:
            top = stack.enter_context(open_geotiff(stack.enter_context(dsm.opener())))
            ground = stack.enter_context(open_geotiff(stack.enter_context(dtm.opener())))
            if top.transform != ground.transform or top.shape != ground.shape:
                return None
            shape = (min(top.height, 256), min(top.width, 256))
            difference = top.read(1, out_shape=shape, masked=True).astype(np.float64) - ground.read(
                1, out_shape=shape, masked=True
            )
    except RasterioError:
        return None  # already recorded by the pass over each raster
    values = np.ma.compressed(difference)
    values = values[np.abs(values) < 1e4]
    return float(np.percentile(values, 2)) if values.size else None


def _lowest_gap_of_points(points: Blob, dtm: Blob, epsg: int) -> float | None:
    """Second percentile of points less the terrain under them, from at most some 100,000 points spread over the file."""
    found = []
    try:
        with ExitStack() as stack:
            ground = stack.enter_context(open_geotiff(stack.enter_context(dtm.opener())))
            path = stack.enter_context(points.opener())
            grid = grid_of(ground.transform, ground.height, ground.width, epsg, dtm.name)
            terrain = FileTerrain(ground, grid, 0, 0)
            with hostile(), laspy.open(path) as reader:
                step = max(reader.header.point_count // GAP_POINTS, 1)
                for chunk in reader.chunk_iterator(CHUNK_POINTS):
                    x, y, z = (np.asarray(v[::step], dtype=np.float64) for v in (chunk.x, chunk.y, chunk.z))
                    found.append(z - terrain.at(x * MICROMETRES, y * MICROMETRES) / MICROMETRES)
    except (RasterioError, Unreadable, Refusal):
        return None  # already recorded by the pass over each file
    values = np.concatenate(found)
    values = values[np.abs(values) < 1e4]
    return float(np.percentile(values, 2)) if values.size else None


def _normalised(where: str, findings: Findings) -> None:
    findings.add(
        "points.already_above_ground",
        where,
        expected=(
            "points in absolute heights beside a terrain raster",
            "地形モデルを併せて提出する場合は標高または楕円体高の点群",
        ),
        got=("points that are heights above ground", "地上高に変換済みの点群"),
        todo=(
            "Leave the dtm out, or hand in the points as they were before normalising.",
            "dtm を除くか、変換前の点群を提出してください。",
        ),
    )


def _note_source(manifest: Manifest, findings: Findings) -> None:
    points = manifest.files["points"]
    if points.source not in ("", "laser") and "dtm" not in manifest.files:
        findings.warn(
            "points.terrain_not_laser",
            points.path,
            expected=("a terrain from laser beside such points", "レーザ測量による地形（dtm）の併用"),
            got=same(points.source),
            todo=(
                "Under closed canopy photogrammetry sees no ground; heights are doubtful. Add a dtm from laser.",
                "写真測量では林冠下の地面が写らないため、高さは不確かです。レーザによるdtmを加えてください。",
            ),
        )


def _datum(code: str, where: str, got: tuple[str, str], findings: Findings) -> None:
    findings.add(
        code,
        where,
        expected=("surface and terrain on one stated vertical datum", "DSMとDTMの鉛直基準が明記され一致"),
        got=got,
        todo=(
            'Bring both to one (geoid model!) and write vertical_datum = "tokyo_peil" or "ellipsoidal" for each.',
            "ジオイド高で補正して統一し、それぞれに vertical_datum（tokyo_peil か ellipsoidal）を書いてください。",
        ),
    )
