"""Provenance of a run, each layer in its usual form: STAC Items, and an in-toto statement with SLSA provenance (`mrv.rocrate` has the third).

Sources: STAC 1.1.0 with the file (2.1.0) and projection (2.0.0) extensions; in-toto Statement v1; SLSA provenance v1. Checksums of files that may be withheld (polygons, registers) appear nowhere but in the salted leaves.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from mrv import __version__
from mrv.blob import digest_bytes, digest_doc, digest_file
from mrv.results import Claim

TOP = Path(__file__).resolve().parent.parent
WORKFLOW_NAME = "run/workflow/pipeline.py"
ENVIRONMENT_NAME = "run/environment.json"
STATEMENT_NAME = "run/statement.intoto.json"
STAC_FOLDER = "run/stac/"
LOCK_NAME = "requirements/all.txt"
BUILD_TYPE = "https://satoyama-mrv.example/build/measure/v1"
BUILDER_ID = "https://satoyama-mrv.example/builder/satoyama-mrv"
# What the kilograms rest on; a change anywhere in them makes another program.
MEASURING_ROOMS = ("models", "mrv")
ALL_ROOMS = ("models", "mrv", "registry")
_NOT_MEASURING = ("models/simulator",)
_PRIVATE_SUFFIXES = {".geojson", ".gpkg", ".shp", ".shx", ".dbf", ".prj", ".cpg", ".kml", ".toml"}
_DECLARED = ("content/history.json", "content/plan.json", "content/project.json")
_MEDIA = {
    ".tif": "image/tiff; application=geotiff",
    ".tiff": "image/tiff; application=geotiff",
    ".geojson": "application/geo+json",
    ".gpkg": "application/geopackage+sqlite3",
    ".json": "application/json",
    ".csv": "text/csv",
    ".toml": "application/toml",
    ".laz": "application/vnd.laszip",
    ".las": "application/vnd.las",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".txt": "text/plain",
    ".py": "text/x-python",
    ".npz": "application/octet-stream",
}


@dataclass(frozen=True)
class FileFact:
    """One file of a bundle: path in the bundle, ``sha256:<hex>``, bytes."""

    path: str
    digest: str
    size: int

    @property
    def private(self) -> bool:
        """Whether the file may be withheld one day: then no unsalted checksum of it may be published."""
        return (
            self.path.startswith("content/inputs/") and PurePosixPath(self.path).suffix in _PRIVATE_SUFFIXES
        )

    @property
    def media_type(self) -> str:
        return _MEDIA.get(PurePosixPath(self.path).suffix.lower(), "application/octet-stream")


@dataclass(frozen=True)
class RunRecord:
    """How and when a run was made.

    Attributes
    ----------
    started, finished : datetime
        With time zone.
    environment : mapping
        See `environment`.
    workflow : bytes
        The program text that defines the order of the stages.
    """

    started: datetime
    finished: datetime
    environment: Mapping[str, Any]
    workflow: bytes


@dataclass(frozen=True)
class Dated:
    """A survey as a STAC Item needs it.

    Attributes
    ----------
    grid : mapping
        Grid document of its canopy raster (``epsg, left_um, top_um, pixel_um, rows, cols``).
    """

    survey_id: str
    day: date
    grid: Mapping[str, Any]


def record_run(started: datetime, finished: datetime) -> RunRecord:
    """Record of a run of this very program on this machine."""
    workflow = Path(__file__).with_name("pipeline.py").read_bytes()
    return RunRecord(started, finished, environment(), workflow)


def _sources(rooms: Iterable[str], top: Path) -> dict[str, bytes]:
    found = {}
    for room in rooms:
        for path in sorted((top / room).rglob("*.py")):
            name = path.relative_to(top).as_posix()
            # Packages only: tools beside the contracts are not shipped in the wheel.
            if not name.startswith(("registry/contracts/", "mrv/_data/")):
                found[name] = path.read_bytes()
    return found


@cache
def source_digest(rooms: tuple[str, ...] = ALL_ROOMS, top: Path = TOP) -> str:
    """Digest over the names and bytes of every Python file of some rooms, the same in a clone and in the installed wheel."""
    return digest_doc({name: digest_bytes(data) for name, data in _sources(rooms, top).items()})


@cache
def measuring_digest(top: Path = TOP) -> str:
    """Digest of the program text that kilograms rest on (``models/`` and ``mrv/`` without the simulator)."""
    sources = _sources(MEASURING_ROOMS, top)
    return digest_doc({n: digest_bytes(d) for n, d in sources.items() if not n.startswith(_NOT_MEASURING)})


def _lock_digest() -> str:
    """Digest of the lock file of a checkout; "" for an installed wheel, which has none (its versions are listed instead)."""
    lock = TOP / LOCK_NAME
    return digest_file(lock) if lock.is_file() else ""


def environment() -> dict[str, Any]:
    """What a run was made with: program, Python, machine kind, library versions; no host or user name."""
    import pyproj
    import rasterio
    import shapely

    libraries = {
        name: version(name)
        for name in ("numpy", "scipy", "rasterio", "pyproj", "shapely", "pyogrio", "laspy")
    }
    return {
        "program": "satoyama-mrv",
        "version": __version__,
        "source_digest": source_digest(),
        "measuring_digest": measuring_digest(),
        "lock_digest": _lock_digest(),
        "python": platform.python_version(),
        "implementation": sys.implementation.name,
        "system": platform.system(),
        "machine": platform.machine(),
        "libraries": {
            **libraries,
            "gdal": rasterio.__gdal_version__,
            "proj": pyproj.proj_version_str,
            "geos": ".".join(map(str, shapely.geos_version)),
        },
    }


def utc_text(moment: datetime) -> str:
    """RFC 3339 text in UTC, whole seconds.

    Raises
    ------
    ValueError
        If the moment has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"expected a moment with a time zone, got {moment!r}")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def multihash(digest: str) -> str:
    """``file:checksum`` of STAC: multihash of sha2-256 in hex (code 0x12, 0x20 bytes)."""
    return "1220" + digest.removeprefix("sha256:")


def bounds_wgs84(grid: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """West, south, east, north of a grid in degrees (longitude, latitude)."""
    from pyproj import Transformer

    left, top = grid["left_um"] / 1e6, grid["top_um"] / 1e6
    right, bottom = left + grid["cols"] * grid["pixel_um"] / 1e6, top - grid["rows"] * grid["pixel_um"] / 1e6
    # JGD2011 and WGS 84 agree within the metre that a footprint needs.
    to_degrees = Transformer.from_crs(f"EPSG:{grid['epsg']}", "EPSG:4326", always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(left, bottom, right, top)
    return round(west, 7), round(south, 7), round(east, 7), round(north, 7)


def _geometry(box: tuple[float, float, float, float]) -> dict[str, Any]:
    west, south, east, north = box
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def uri_path(path: str) -> str:
    """A path of the bundle as a relative URI: blanks and Japanese are percent-encoded (RFC 3986)."""
    return quote(path, safe="/")


def _asset(fact: FileFact, role: str) -> dict[str, Any]:
    asset: dict[str, Any] = {
        "href": "../../" + uri_path(fact.path),
        "title": PurePosixPath(fact.path).name,
        "type": fact.media_type,
        "roles": [role],
        "file:size": fact.size,
    }
    if not fact.private:
        asset["file:checksum"] = multihash(fact.digest)
    return asset


def stac_item(item_id: str, survey: Dated, files: Iterable[FileFact], *, simulated: bool) -> dict[str, Any]:
    """STAC Item of one survey: its input files and what the canopy stage made of them."""
    box = bounds_wgs84(survey.grid)
    assets = {}
    for fact in files:
        role = "data" if fact.path.startswith("content/inputs/") else "derived"
        name = fact.path.split("/", 3)[3] if role == "data" else PurePosixPath(fact.path).name
        assets[name] = _asset(fact, role)
    label = "SIMULATED / 模擬データ: " if simulated else ""
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [
            "https://stac-extensions.github.io/file/v2.1.0/schema.json",
            "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
        ],
        "id": item_id,
        "geometry": _geometry(box),
        "bbox": list(box),
        "properties": {
            # A survey has a day, not an hour: noon in UTC stands for it.
            "datetime": f"{survey.day.isoformat()}T12:00:00Z",
            "title": f"{label}survey {survey.survey_id}",
            "description": f"{label}survey {survey.survey_id} of {survey.day.isoformat()}",
            "proj:code": f"EPSG:{survey.grid['epsg']}",
            "satoyama:simulated": simulated,
        },
        "links": [],
        "assets": assets,
    }


def _hex(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def statement(
    claim: Claim, content_root: str, facts: Iterable[FileFact], tables: str, run: RunRecord
) -> dict[str, Any]:
    """in-toto Statement v1 with a SLSA provenance v1 predicate: which program made this claim of which inputs."""
    listed = sorted(facts, key=lambda f: f.path)
    claim_fact = next(f for f in listed if f.path == "content/claim.json")
    inputs = [
        {"uri": uri_path(f.path), "digest": _hex(f.digest)}
        for f in listed
        if (f.path.startswith("content/inputs/") or f.path in _DECLARED) and not f.private
    ]
    env = run.environment
    program = {
        "uri": f"pkg:pypi/satoyama-mrv@{env['version']}",
        "digest": _hex(str(env["source_digest"])),
        "annotations": {"digest_of": "names and bytes of every Python file of models/, mrv/, registry/"},
    }
    lock = [{"uri": LOCK_NAME, "digest": _hex(str(env["lock_digest"]))}] if env["lock_digest"] else []
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [
            {"name": "content/claim.json", "digest": _hex(claim_fact.digest)},
            {"name": "content_root", "digest": {"satoyamaEvidence1": content_root.removeprefix("0x")}},
        ],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "project_id": claim.project_id,
                    "batch_id": claim.batch_id,
                    "method_id": claim.method_id,
                    "method_version": claim.method_version,
                    "method_digest": claim.method_digest,
                    "plan_digest": claim.plan_digest,
                    "period": [claim.period_start.isoformat(), claim.period_end.isoformat()],
                },
                "internalParameters": {"measuring_digest": env["measuring_digest"]},
                "resolvedDependencies": [program, *lock, {"uri": "tables", "digest": _hex(tables)}, *inputs],
            },
            "runDetails": {
                "builder": {"id": BUILDER_ID, "version": {"satoyama-mrv": env["version"]}},
                "metadata": {
                    "invocationId": content_root,
                    "startedOn": utc_text(run.started),
                    "finishedOn": utc_text(run.finished),
                },
                "byproducts": [{"uri": ENVIRONMENT_NAME}],
            },
        },
    }
