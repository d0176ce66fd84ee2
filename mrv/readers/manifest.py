"""``survey.toml``: what a team says about its survey."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from math import isfinite
from pathlib import PurePosixPath
from typing import Any

from pyproj import CRS

from models.choose import Design
from mrv.blob import Blob
from mrv.project import Project
from mrv.readers.archive import MANIFEST, listed_names
from mrv.readers.crs import horizontal, parse_crs, plane_problem
from mrv.readers.design import DESIGN_KEYS, read_design
from mrv.readers.findings import Findings, listed, same
from mrv.readers.text import decode_text, plain, read_day
from mrv.survey import VerticalDatum

ROLES = ("plots", "sample_plots", "trees", "actions", "chm", "dsm", "dtm", "points", "ortho")
WAYS: tuple[tuple[str, ...], ...] = (("chm",), ("dsm", "dtm"), ("points",), ("points", "dtm"))
PITS = ("", "keep", "fill")
MAX_MANIFEST_BYTES = 1 << 20
_KEYS = {
    "": {"survey", "files", "design", "plots", "note"},
    "survey": {"id", "project", "date", "crs", "vertical_datum", "simulated", "note", "crew", "operator"},
    "design": DESIGN_KEYS,
    "plots": {"whole_raster", "species", "planted_year", "register_id", "name", "treatment"},
}
_DATUMS: dict[str, VerticalDatum] = {
    "ellipsoidal": "ellipsoidal",
    "楕円体高": "ellipsoidal",
    "tokyopeil": "tokyo_peil",
    "tp": "tokyo_peil",
    "標高": "tokyo_peil",
    "heightaboveground": "height_above_ground",
    "樹冠高": "height_above_ground",
    "other": "other",
}
_EXAMPLE = '[survey] id = "owase-2025", project = …, date = 2025-10-20, crs = "EPSG:6674", vertical_datum = …; [files] …'


@dataclass(frozen=True)
class FileEntry:
    """One line of ``[files]``: a name, and what the team says about the file."""

    path: str
    unit: str = "m"
    vertical_datum: VerticalDatum | None = None
    source: str = ""
    crs: str = ""
    pits: str = ""


@dataclass(frozen=True)
class Manifest:
    """The manifest as values; `crs` is None where it is missing or refused."""

    survey_id: str
    day: date
    crs: CRS | None
    vertical_datum: VerticalDatum
    simulated: bool
    files: Mapping[str, FileEntry]
    design: Design
    whole_raster: Mapping[str, Any] | None
    doc: Mapping[str, Any]


def read_manifest(files: Mapping[str, Blob], project: Project, findings: Findings) -> Manifest | None:
    """Read and check the manifest; None where nothing more can be read without it."""
    doc = _document(files, findings)
    if doc is None:
        return None
    survey = doc["survey"]
    _unknown_keys(doc, findings)
    survey_id = plain(survey.get("id"))
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", survey_id):
        _field(
            "survey.id", "a short id of a-z, 0-9, - and _", "英数字と-_の短いID", survey.get("id"), findings
        )
    if plain(survey.get("project")) != project.project_id:
        wanted = f'"{project.project_id}"'
        _field(
            "survey.project", f"project {wanted}", f"プロジェクト{wanted}", survey.get("project"), findings
        )
    day = read_day(survey.get("date"))
    if day is None:
        _field(
            "survey.date", "a day such as 2025-10-20", "日付（例 2025-10-20）", survey.get("date"), findings
        )
    simulated = survey.get("simulated", False)
    if not isinstance(simulated, bool):
        _field("survey.simulated", "true or false", "true または false", simulated, findings)
    design = read_design(doc, findings)
    entries = _entries(doc["files"], files, findings)
    return Manifest(
        survey_id=survey_id,
        day=day or date.min,
        crs=_crs(survey.get("crs"), project, findings),
        vertical_datum=_datum(survey.get("vertical_datum"), entries, findings),
        simulated=simulated is True,
        files=entries,
        design=design,
        whole_raster=_whole_raster(doc, findings),
        doc=_plain_doc(doc),
    )


def _document(files: Mapping[str, Blob], findings: Findings) -> dict[str, Any] | None:
    blob = files.get(MANIFEST)
    if blob is None:
        names = listed_names(files)
        findings.add(
            "manifest.missing",
            MANIFEST,
            expected=("a manifest survey.toml", "調査票 survey.toml"),
            got=(f"only {names[0]}", f"{names[1]} のみ"),
            todo=(f"Add it: {_EXAMPLE}", f"追加してください: {_EXAMPLE}"),
        )
        return None
    fault = "larger than 1 MiB" if blob.size > MAX_MANIFEST_BYTES else ""
    decoded = None if fault else decode_text(blob.read_bytes())
    doc: dict[str, Any] = {}
    if decoded is not None:
        try:
            doc = tomllib.loads(decoded[0])
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            fault = str(error)
        if not fault:
            bad = [k for k in ("survey", "files") if not isinstance(doc.get(k), dict)]
            bad += [k for k in ("design", "plots") if k in doc and not isinstance(doc[k], dict)]
            fault = f"no table [{']['.join(bad)}]" if bad else ""
    elif not fault:
        fault = "bytes that are no text"
    if fault:
        findings.add(
            "manifest.invalid",
            MANIFEST,
            expected=("TOML with tables [survey] and [files]", "[survey]と[files]を持つTOML"),
            got=(fault, f"読めない内容（{fault}）"),
            todo=(f"Mend it: {_EXAMPLE}", f"直してください: {_EXAMPLE}"),
        )
        return None
    return doc


def _field(name: str, en: str, ja: str, got: object, findings: Findings) -> None:
    shown = "nothing" if got is None else repr(got)
    shown_ja = "記載なし" if got is None else repr(got)
    findings.add(
        f"manifest.{name.split('.')[-1]}",
        f"{MANIFEST} {name}",
        expected=(en, ja),
        got=(shown, shown_ja),
        todo=("Write it in the manifest.", "survey.toml に記入してください。"),
    )


def _unknown_keys(doc: Mapping[str, Any], findings: Findings) -> None:
    strange = [key for key in doc if key not in _KEYS[""]]
    for table in ("survey", "design", "plots"):
        strange += [f"{table}.{key}" for key in doc.get(table, {}) if key not in _KEYS[table]]
    if strange:
        names = listed(strange)
        findings.warn(
            "manifest.unknown_key",
            MANIFEST,
            expected=("known keys", "既知の項目"),
            got=names,
            todo=("Check the spelling; they are not used.", "綴りを確認してください（使われません）。"),
        )


def _crs(value: object, project: Project, findings: Findings) -> CRS | None:
    where = f"{MANIFEST} survey.crs"
    if value is None:
        findings.add(
            "crs.missing",
            where,
            expected=("a coordinate system such as EPSG:6674", "座標系（例 EPSG:6674）"),
            got=("nothing", "記載なし"),
            todo=(
                f'Write crs = "EPSG:{project.epsg}" if the files are in it.',
                f'ファイルがその座標系なら crs = "EPSG:{project.epsg}" と書いてください。',
            ),
        )
        return None
    crs = parse_crs(plain(value))
    if crs is None:
        _field("survey.crs", "an EPSG code such as EPSG:6674", "EPSGコード（例 EPSG:6674）", value, findings)
        return None
    if plane_problem(crs, where, findings):
        return None
    if horizontal(crs).to_epsg() != project.epsg:
        findings.add(
            "crs.not_project",
            where,
            expected=(f"the project's EPSG:{project.epsg}", f"プロジェクトの座標系 EPSG:{project.epsg}"),
            got=same(f"{plain(value)} ({crs.name})"),
            todo=("Export the survey in the project's system.", "プロジェクトの座標系で書き出してください。"),
        )
        return None
    return horizontal(crs)


def _read_datum(value: object) -> VerticalDatum | None:
    return _DATUMS.get(re.sub(r"[\s_.\-]+", "", plain(value).casefold()))


def _datum(value: object, entries: Mapping[str, FileEntry], findings: Findings) -> VerticalDatum:
    if value is None:
        own = entries.get("dsm")
        if own is not None and own.vertical_datum is not None:
            return own.vertical_datum
        if "chm" not in entries and "points" not in entries:
            return "other"
    datum = _read_datum(value)
    if datum is None:
        words = "ellipsoidal | tokyo_peil | height_above_ground | other"
        _field("survey.vertical_datum", words, words, value, findings)
        return "other"
    if "chm" in entries and datum != "height_above_ground":
        _field(
            "survey.vertical_datum",
            "height_above_ground for a CHM",
            "CHMでは height_above_ground",
            value,
            findings,
        )
    return datum


def _entries(table: Mapping[str, Any], files: Mapping[str, Blob], findings: Findings) -> dict[str, FileEntry]:
    entries: dict[str, FileEntry] = {}
    for role, value in table.items():
        if role not in ROLES:
            _field(
                f"files.{role}",
                f"one of {', '.join(ROLES)}",
                f"次のいずれか: {', '.join(ROLES)}",
                role,
                findings,
            )
            continue
        entry = _entry(role, value, findings)
        if entry is not None and _present(role, entry, files, findings):
            entries[role] = entry
    for path in {e.path for e in entries.values()}:
        roles = [r for r, e in entries.items() if e.path == path]
        if len(roles) > 1:
            _field(f"files.{roles[1]}", "one file for each role", "役割ごとに別のファイル", path, findings)
    _one_way(table, findings)
    return entries


def _entry(role: str, value: object, findings: Findings) -> FileEntry | None:
    if isinstance(value, str):
        return FileEntry(value)
    if not isinstance(value, dict) or not isinstance(value.get("path"), str):
        _field(f"files.{role}", 'a name or {path = "…"}', 'ファイル名または {path = "…"}', value, findings)
        return None
    known = {"path", "unit", "vertical_datum", "source", "crs", "note"} | (
        {"pits"} if role == "points" else set()
    )
    strange = sorted(set(value) - known)
    if strange:
        _field(
            f"files.{role}",
            "path, unit, vertical_datum, source, crs",
            "path等の既知の項目",
            strange,
            findings,
        )
    datum = None
    if "vertical_datum" in value:
        datum = _read_datum(value["vertical_datum"])
        if datum is None:
            words = "ellipsoidal | tokyo_peil | other"
            _field(f"files.{role}.vertical_datum", words, words, value["vertical_datum"], findings)
    pits = plain(value.get("pits", "")).lower()
    if pits not in PITS:
        _field(f"files.{role}.pits", "keep | fill", "keep | fill", value["pits"], findings)
    return FileEntry(
        path=value["path"],
        unit=plain(value.get("unit", "m")).lower(),
        vertical_datum=datum,
        source=plain(value.get("source", "")).lower(),
        crs=plain(value.get("crs", "")),
        pits=pits,
    )


def _present(role: str, entry: FileEntry, files: Mapping[str, Blob], findings: Findings) -> bool:
    pure = PurePosixPath(entry.path)
    outside = pure.is_absolute() or ".." in pure.parts or "\\" in entry.path or "://" in entry.path
    if outside or entry.path.startswith("/vsi"):
        findings.add(
            "manifest.path",
            f"{MANIFEST} files.{role}",
            expected=("a file inside the survey", "調査フォルダ内のファイル"),
            got=same(repr(entry.path)),
            todo=("Put the file in and name it.", "ファイルを入れ、その名前を書いてください。"),
        )
        return False
    if entry.path not in files:
        names = listed_names(files)
        findings.add(
            "manifest.file_missing",
            f"{MANIFEST} files.{role}",
            expected=(f'a file "{entry.path}"', f"ファイル「{entry.path}」"),
            got=(f"only {names[0]}", f"{names[1]} のみ"),
            todo=("Add the file or correct its name.", "ファイルを加えるか名前を直してください。"),
        )
        return False
    return True


def _one_way(table: Mapping[str, Any], findings: Findings) -> None:
    if {r for r in ("chm", "dsm", "dtm", "points") if r in table} in map(set, WAYS):
        return
    got = ", ".join(r for r in ("chm", "dsm", "dtm", "points") if r in table)
    findings.add(
        "manifest.canopy",
        f"{MANIFEST} files",
        expected=(
            "canopy heights in exactly one way: chm, dsm + dtm, points, or points + dtm",
            "樹冠高の与え方は1通り（chm、dsm＋dtm、points、points＋dtm のいずれか）",
        ),
        got=(got or "none", got or "なし"),
        todo=(
            "Name one way; other files may lie in the folder unnamed.",
            "1通りだけ指定してください（他のファイルは入れたままで構いません）。",
        ),
    )


def _whole_raster(doc: Mapping[str, Any], findings: Findings) -> Mapping[str, Any] | None:
    table: dict[str, Any] = doc.get("plots", {})
    whole = table.get("whole_raster", False)
    if not isinstance(whole, bool):
        _field("plots.whole_raster", "true or false", "true または false", whole, findings)
    named = "plots" in doc["files"]
    if named == (whole is True):
        findings.add(
            "manifest.plots",
            f"{MANIFEST} files.plots",
            expected=(
                "either a plots file or [plots] whole_raster = true",
                "plotsファイルまたは [plots] whole_raster = true のどちらか一方",
            ),
            got=("both", "両方") if named else ("neither", "どちらもなし"),
            todo=("Name the plots file in [files].", "[files] に plots を書いてください。"),
        )
    return table if whole is True else None


def _plain_doc(value: Any) -> Any:
    """The manifest with days and times as text, so that it can be written as JSON."""
    if isinstance(value, dict):
        return {str(k): _plain_doc(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain_doc(v) for v in value]
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    fits = not isinstance(value, int) or abs(value) < 2**53
    return value if fits and (not isinstance(value, float) or isfinite(value)) else str(value)
