"""Laser points (LAS, LAZ, COPC): header, coordinate system, extent, and every point decoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import laspy
import numpy as np
from pyproj import CRS

from mrv.blob import Blob
from mrv.readers.crs import Rings, same_plane
from mrv.readers.findings import Findings, same
from mrv.readers.hostile import Unreadable, hostile

MAX_POINTS = 4_000_000_000
CHUNK_POINTS = 1_000_000
GROUND_CLASS = 2


@dataclass(frozen=True)
class PointFacts:
    """Number of points, of ground points, and the plane extent in metres (left, bottom, right, top)."""

    points: int
    ground: int
    extent_m: tuple[float, float, float, float]


def check_points(
    blob: Blob,
    crs: CRS,
    epsg: int,
    zones: Sequence[tuple[str, Rings]],
    findings: Findings,
    pixels: bool = True,
    own_ground: bool = True,
) -> PointFacts | None:
    """Check a point cloud; record what is wrong, None where it cannot be used.

    Parameters
    ----------
    own_ground : bool
        Whether its own ground points are the terrain: not where a terrain raster comes with it.
    """
    with blob.opener() as path:
        with path.open("rb") as file:
            if file.read(4) != b"LASF":
                _damaged(blob.name, "no LAS header", findings)
                return None
        try:
            with hostile(), laspy.open(path) as reader:
                facts = _read(reader, blob.name, crs, epsg, findings, pixels, own_ground)
        except Unreadable as error:
            _damaged(blob.name, str(error), findings)
            return None
    if facts is not None:
        _check_cover(blob.name, facts, zones, findings)
    return facts


def _read(
    reader: laspy.LasReader, name: str, crs: CRS, epsg: int, findings: Findings, every: bool, own_ground: bool
) -> PointFacts | None:
    header = reader.header
    if not 0 < header.point_count <= MAX_POINTS:
        _damaged(name, f"{header.point_count} points", findings)
        return None
    own = header.parse_crs()
    if own is None:
        findings.note(
            name,
            (
                f"no CRS in the file: EPSG:{epsg} of survey.toml is taken",
                f"座標系の記載なし: EPSG:{epsg} とします",
            ),
        )
    elif not same_plane(own, crs):
        findings.add(
            "points.crs_differs",
            name,
            expected=(f"EPSG:{epsg} ({crs.name}), as the survey", f"調査と同じ EPSG:{epsg}（{crs.name}）"),
            got=same(own.name),
            todo=("Export the points in the survey's system.", "調査の座標系で書き出してください。"),
        )
        return None
    extent = (header.mins[0], header.mins[1], header.maxs[0], header.maxs[1])
    ground, seen = 0, 0
    if every:
        for chunk in reader.chunk_iterator(CHUNK_POINTS):
            seen += len(chunk)
            ground += int(np.count_nonzero(np.asarray(chunk.classification) == GROUND_CLASS))
        if seen != header.point_count:
            _damaged(name, f"{seen} of {header.point_count} points", findings)
            return None
        if own_ground and ground < 10:
            findings.add(
                "points.no_ground",
                name,
                expected=("points classified as ground (class 2)", "地面に分類された点（クラス2）"),
                got=(f"{ground} of {seen}", f"{seen}点中{ground}点"),
                todo=(
                    "Classify the ground first, or hand in a terrain raster (dtm) with the points.",
                    "地面を分類するか、点群とともに地形モデル（dtm）を提出してください。",
                ),
            )
        findings.note(
            name, (f"{seen:,} points, {ground:,} on the ground", f"{seen:,}点（うち地面{ground:,}点）")
        )
    return PointFacts(header.point_count, ground, tuple(float(v) for v in extent))  # type: ignore[arg-type]


def _check_cover(
    name: str, facts: PointFacts, zones: Sequence[tuple[str, Rings]], findings: Findings
) -> None:
    left, bottom, right, top = (v * 1000 for v in facts.extent_m)
    for zone, rings in zones:
        xs, ys = [x for r in rings for x, _ in r], [y for r in rings for _, y in r]
        if min(xs) < left - 1000 or max(xs) > right + 1000 or min(ys) < bottom - 1000 or max(ys) > top + 1000:
            findings.add(
                "points.not_covering",
                f"{name} {zone}",
                expected=("points over the whole polygon", "区画全体を覆う点群"),
                got=("a polygon that reaches out of them", "点群の範囲からはみ出す区画"),
                todo=("Send all flight lines.", "全コースの点群を送ってください。"),
            )


def _damaged(name: str, why: str, findings: Findings) -> None:
    findings.add(
        "points.damaged",
        name,
        expected=("a whole LAS or LAZ file", "完全なLAS/LAZファイル"),
        got=(f"one that does not decode ({why})", f"読めないファイル（{why}）"),
        todo=("Copy or export it again.", "コピーまたは書き出しをやり直してください。"),
    )
