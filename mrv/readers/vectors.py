"""Polygons with attributes from GeoJSON, GeoPackage or Shapefile; the file type is known by its bytes, not by its name."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from mrv.blob import Blob
from mrv.readers.crs import NoTransformation, Rings, parse_crs, to_plane_mm, twice_area_mm2
from mrv.readers.findings import Findings, same
from mrv.readers.hostile import Unreadable, hostile
from mrv.readers.text import decode_text, header_key, plain

MAX_VECTOR_BYTES = 256 << 20
MAX_FEATURES = 50_000
MAX_VERTICES = 2_000_000
FARTHEST_M = 2.1e7
_SHAPE_MAGIC = b"\x00\x00\x27\x0a"
_GEOPACKAGE_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True)
class Feature:
    """One polygon: its place in the file (from 1), its attributes by reduced header, its rings in whole millimetres."""

    number: int
    attributes: Mapping[str, str]
    rings: Rings


@dataclass(frozen=True)
class _Raw:
    attributes: Mapping[str, Any]
    geometry: Any


def read_features(
    blob: Blob,
    files: Mapping[str, Blob],
    declared: str,
    survey_crs: CRS,
    findings: Findings,
) -> list[Feature] | None:
    """Polygons of a file in the survey's coordinate system, or None where they cannot be read.

    Parameters
    ----------
    files : mapping of name to Blob
        The whole survey: a Shapefile's parts are found there.
    declared : str
        What the manifest says the file's system is, "" for nothing.
    """
    if blob.size > MAX_VECTOR_BYTES:
        _unreadable(blob.name, f"{blob.size >> 20} MiB", findings)
        return None
    with blob.opener() as path, path.open("rb") as file:
        head = file.read(512)
    if head.startswith(_GEOPACKAGE_MAGIC):
        read = _read_with_gdal({blob.name: blob}, ".gpkg", findings)
    elif head.startswith(_SHAPE_MAGIC):
        parts = _shapefile_parts(blob, files, findings)
        read = _read_with_gdal(parts, ".shp", findings) if parts else None
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        read = _read_geojson(blob, findings)
    elif head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        _indirect(blob.name, findings)
        return None
    else:
        _unreadable(blob.name, f"a file that begins with {head[:8]!r}", findings)
        return None
    if read is None:
        return None
    raws, own = read
    source = _source_crs(blob.name, own, declared, survey_crs, raws, findings)
    if source is None:
        return None
    return _placed(blob.name, raws, source, survey_crs, findings)


def _read_geojson(blob: Blob, findings: Findings) -> tuple[list[_Raw], str | None] | None:
    decoded = decode_text(blob.read_bytes())
    try:
        with hostile():
            doc = json.loads(decoded[0]) if decoded else None
            if not isinstance(doc, dict) or doc.get("type") != "FeatureCollection":
                raise Unreadable("no FeatureCollection")
            raws = _geojson_features(doc)
            own = _geojson_crs(doc)
    except Unreadable as error:
        _unreadable(blob.name, str(error), findings)
        return None
    return raws, own


def _geojson_features(doc: Mapping[str, Any]) -> list[_Raw]:
    features = doc["features"]
    if not isinstance(features, list) or len(features) > MAX_FEATURES:
        raise Unreadable(f"features missing or more than {MAX_FEATURES}")
    return [_Raw(dict(f.get("properties") or {}), _shape(f.get("geometry"))) for f in features]


def _geojson_crs(doc: Mapping[str, Any]) -> str | None:
    if "crs" not in doc or doc["crs"] is None:
        return None
    member = doc["crs"]
    if not isinstance(member, dict) or member.get("type") != "name":
        raise ValueError("a crs member that is no name (links are not followed)")
    return str(member["properties"]["name"])


def _shape(geometry: Any) -> Any:
    if geometry is None:
        return None
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        return geometry["type"]
    return shapely.geometry.shape(geometry)


def _shapefile_parts(blob: Blob, files: Mapping[str, Blob], findings: Findings) -> dict[str, Blob] | None:
    stem = str(PurePosixPath(blob.name).with_suffix(""))
    parts = {}
    for name, part in files.items():
        pure = PurePosixPath(name)
        if str(pure.with_suffix("")) == stem and pure.suffix.lower() in (
            ".shp",
            ".shx",
            ".dbf",
            ".prj",
            ".cpg",
        ):
            parts["layer" + pure.suffix.lower()] = part
    missing = [s for s in (".shx", ".dbf") if "layer" + s not in parts]
    if missing:
        findings.add(
            "vector.shapefile_parts",
            blob.name,
            expected=(
                "the parts .shp .shx .dbf .prj together",
                "シェープファイル一式（.shp .shx .dbf .prj）",
            ),
            got=(f"no {', '.join(missing)}", f"{', '.join(missing)} がない状態"),
            todo=("Add the missing parts.", "不足のファイルを加えてください。"),
        )
        return None
    return parts


def _read_with_gdal(
    parts: Mapping[str, Blob], suffix: str, findings: Findings
) -> tuple[list[_Raw], str | None] | None:
    """Read a GeoPackage or Shapefile from a folder that holds its parts and nothing else."""
    name = next(iter(parts.values())).name
    with tempfile.TemporaryDirectory(prefix="satoyama-") as folder, ExitStack() as stack:
        for part_name, part in parts.items():
            source = stack.enter_context(part.opener())
            (Path(folder) / ("layer" + PurePosixPath(part_name).suffix.lower())).write_bytes(
                source.read_bytes()
            )
        path = Path(folder) / f"layer{suffix}"
        try:
            with hostile():
                meta, columns, shapes = _read_layer(path)
        except Unreadable as error:
            _unreadable(name, str(error), findings)
            return None
    fields = [str(f) for f in meta["fields"]]
    raws = [
        _Raw({f: columns[k][i] for k, f in enumerate(fields)}, _polygonal(shape))
        for i, shape in enumerate(shapes)
    ]
    return raws, meta["crs"]


def _read_layer(path: Path) -> tuple[dict[str, Any], Any, Any]:
    if path.suffix == ".gpkg" and _has_views(path):
        raise Unreadable("a GeoPackage with views or virtual tables of its own")
    layers = pyogrio.list_layers(path)
    if len(layers) != 1:
        raise Unreadable(f"{len(layers)} layers; one is expected")
    meta, _, geometry, columns = pyogrio.raw.read(path, layer=layers[0][0], max_features=MAX_FEATURES + 1)
    if geometry is None or len(geometry) > MAX_FEATURES:
        raise Unreadable(f"no geometry, or more than {MAX_FEATURES} features")
    return meta, columns, shapely.from_wkb(geometry)


def _has_views(path: Path) -> bool:
    connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
    try:
        rows = connection.execute(
            "select name from sqlite_master where type = 'view' or (type = 'table' and sql like '%virtual%'"
            " and name not like 'rtree_%')"
        ).fetchall()
    finally:
        connection.close()
    return bool(rows)


def _polygonal(shape: Any) -> Any:
    if shape is None or shape.geom_type in ("Polygon", "MultiPolygon"):
        return shape
    return shape.geom_type


def _source_crs(
    name: str, own: str | None, declared: str, survey_crs: CRS, raws: list[_Raw], findings: Findings
) -> CRS | None:
    """The file's own system; else the declared one; else WGS 84 where all numbers are degrees (RFC 7946); else the survey's."""
    text = own or declared
    if text:
        crs = parse_crs(text)
        if crs is None:
            findings.add(
                "crs.unknown",
                name,
                expected=("a coordinate system with an EPSG code", "EPSGコードのある座標系"),
                got=same(text[:200]),
                todo=("Name it as EPSG:…", "EPSG:… の形で指定してください。"),
            )
        return crs
    if all(_in_degrees(r.geometry) for r in raws):
        findings.note(
            name, ("no CRS named: read as longitude, latitude", "座標系の記載なし: 経度・緯度として読みます")
        )
        return parse_crs("EPSG:4326")
    findings.note(
        name, ("no CRS named: the manifest's is taken", "座標系の記載なし: survey.toml の座標系とします")
    )
    return survey_crs


def _in_degrees(geometry: Any) -> bool:
    if geometry is None or isinstance(geometry, str) or geometry.is_empty:
        return True
    x1, y1, x2, y2 = geometry.bounds
    return bool(x1 >= -180 and x2 <= 180 and y1 >= -90 and y2 <= 90)


def _placed(
    name: str, raws: list[_Raw], source: CRS, survey_crs: CRS, findings: Findings
) -> list[Feature] | None:
    features, operation, vertices = [], "", 0
    for number, raw in enumerate(raws, start=1):
        where = f"{name} feature {number}"
        fault = _shape_fault(raw.geometry)
        if fault:
            _bad_shape(where, fault, findings)
            continue
        loops = list(_loops(raw.geometry))
        vertices += sum(len(loop) for loop in loops)
        if vertices > MAX_VERTICES:
            _unreadable(name, f"more than {MAX_VERTICES} vertices", findings)
            return None
        try:
            rings, operation = to_plane_mm(loops, source, survey_crs)
        except NoTransformation as error:
            _no_transformation(name, source, survey_crs, str(error), findings)
            return None
        if any(len(r) < 3 for r in rings) or sum(abs(twice_area_mm2(r)) for r in rings) == 0:
            _bad_shape(where, "an empty ring", findings)
            continue
        attributes = {header_key(k): _text(v) for k, v in raw.attributes.items()}
        features.append(Feature(number, attributes, rings))
    if operation:
        findings.note(
            name, (f"transformed from {source.name}: {operation}", f"{source.name} から変換: {operation}")
        )
    if not raws:
        _unreadable(name, "no polygon", findings)
        return None
    findings.note(name, (f"{len(features)} polygons", f"図形 {len(features)} 個"))
    return features


def _text(value: Any) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return plain(value)


def _shape_fault(geometry: Any) -> str:
    if geometry is None:
        return "no geometry"
    if isinstance(geometry, str):
        return geometry
    if geometry.is_empty:
        return "an empty polygon"
    if not np.isfinite(shapely.get_coordinates(geometry)).all():
        return "coordinates that are no numbers"
    if np.abs(shapely.get_coordinates(geometry)).max() > FARTHEST_M:
        return "coordinates beyond the Earth"
    return "" if geometry.is_valid else shapely.is_valid_reason(geometry)


def _loops(geometry: Any) -> Iterator[NDArray[np.float64]]:
    for polygon in shapely.get_parts(geometry):
        yield shapely.get_coordinates(polygon.exterior)
        for hole in polygon.interiors:
            yield shapely.get_coordinates(hole)


def _bad_shape(where: str, fault: str, findings: Findings) -> None:
    findings.add(
        "vector.geometry",
        where,
        expected=("a valid polygon", "正しいポリゴン"),
        got=(fault, f"不正な図形（{fault}）"),
        todo=("Mend the polygon in your GIS.", "GISで図形を直してください。"),
    )


def _no_transformation(name: str, source: CRS, target: CRS, why: str, findings: Findings) -> None:
    findings.add(
        "crs.ballpark",
        name,
        expected=(
            f"a system that joins {target.name} exactly",
            f"{target.name} へ正確に変換できる座標系",
        ),
        got=(
            f"{source.name}, joined only by a guess (needs: {why})",
            f"{source.name}（概略変換のみ。必要: {why}）",
        ),
        todo=(
            "Convert the file with the official grid (TKY2JGD) and send it in the survey's system.",
            "国土地理院の変換パラメータ（TKY2JGD）で変換し、調査の座標系で送ってください。",
        ),
    )


def _indirect(name: str, findings: Findings) -> None:
    findings.add(
        "vector.indirect",
        name,
        expected=("GeoJSON, GeoPackage or Shapefile", "GeoJSON・GeoPackage・シェープファイル"),
        got=("XML that may point elsewhere", "他の場所を指しうるXML"),
        todo=("Export the polygons themselves.", "ポリゴンそのものを書き出してください。"),
    )


def _unreadable(name: str, why: str, findings: Findings) -> None:
    findings.add(
        "vector.unreadable",
        name,
        expected=(
            "polygons as GeoJSON, GeoPackage or Shapefile",
            "GeoJSON・GeoPackage・シェープファイルのポリゴン",
        ),
        got=(why, f"読めないファイル（{why}）"),
        todo=("Export the polygons again.", "ポリゴンを書き出し直してください。"),
    )
