"""Watching: every new scene of a STAC catalogue read once, indices per plot kept, breaks raised as alerts.

A satellite index triggers and corroborates; it never decides a kilogram.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from sqlalchemy import select

from flows.settings import Workspace
from flows.tables import AlertRow, SceneRow
from flows.work.measuring import stored_survey
from models.breaks import Break, detect_breaks
from models.errors import SatoyamaError
from mrv.blob import Blob, blob_of_file
from mrv.errors import Problem, Refusal
from mrv.scenes import BANDS, E4, SCENE_CLASS, Scene, plot_indices

# Asset names of the catalogues in use (Earth Search, Planetary Computer), to Sentinel-2 band names.
ASSET_NAMES = {
    "B8A": ("B8A", "nir08"),
    "B11": ("B11", "swir16"),
    "B12": ("B12", "swir22"),
    "SCL": ("SCL", "scl"),
}
INDICES = ("ndmi", "nbr")
MIN_CLEAR_PIXELS = 5
# A work is entered in the register some days off; deciduous trees cut in winter are missed only when the others come into leaf.
REGISTER_DAYS_BEFORE, REGISTER_DAYS_AFTER = 180, 15
REMOVALS = ("thin", "cut")
_SHA2_256 = "1220"


@dataclass(frozen=True)
class Alert:
    """A break in a plot's series.

    Attributes
    ----------
    break_day : date
        First clear day after the break.
    magnitude_e4 : int
        Drop of the index ×10⁴, below zero for a loss.
    explained_by : str
        The entry of the action register that accounts for it; "" where none does: a possible reversal.
    """

    plot_id: str
    index_name: str
    break_day: date
    magnitude_e4: int
    explained_by: str


@dataclass(frozen=True)
class WatchResult:
    """One look at the catalogue. `alerts` holds only those that are new."""

    scenes_new: int
    scenes_known: int
    alerts: tuple[Alert, ...]
    problems: tuple[Problem, ...]


def watch(ws: Workspace, project_id: str, stac: Path | str | None = None) -> WatchResult:
    """Read the scenes that are new, then look for breaks in every plot's series.

    Parameters
    ----------
    stac : Path or str, optional
        ``catalog.json`` or its folder; the workspace's setting by default.

    Raises
    ------
    SatoyamaError
        If no catalogue is named or none is there. A scene that cannot be read is a problem of the result, and is tried again
        next time.
    """
    rings, epsg = _plots(ws, project_id)
    known = _known_scenes(ws, project_id)
    new = 0
    problems: list[Problem] = []
    for scene in scenes_of(_catalogue_file(ws, stac), known):
        try:
            if isinstance(scene, Refusal):
                raise scene
            found = plot_indices(scene, rings, epsg)
        except Refusal as refusal:
            problems += refusal.problems
            continue
        rows = [
            SceneRow(
                project_id=project_id,
                scene_id=scene.scene_id,
                plot_id=f.plot_id,
                day=scene.day,
                pixels=f.pixels,
                clear=f.clear,
                ndmi_e4=f.ndmi_e4,
                nbr_e4=f.nbr_e4,
            )
            for f in found
        ]
        with ws.catalogue.write() as session:
            for row in rows:
                session.merge(row)
        new += 1
    return WatchResult(new, len(known), _raise_alerts(ws, project_id), tuple(problems))


def _catalogue_file(ws: Workspace, stac: Path | str | None) -> Path:
    named = str(stac or ws.settings.stac)
    path = Path(named)
    if not path.is_absolute():
        path = ws.root / path if named and not path.exists() else path
    file = path / "catalog.json" if path.is_dir() else path
    if not named or not file.is_file():
        raise SatoyamaError(
            en=f"Expected a STAC catalogue folder, got {named or 'no setting'}. Set stac in satoyama.toml or SATOYAMA_STAC.",
            ja=f"STACカタログのフォルダーが必要ですが、{named or '未設定'} でした。satoyama.toml の stac または SATOYAMA_STAC を設定してください。",
        )
    return file.resolve()


def _plots(ws: Workspace, project_id: str) -> tuple[dict[str, Any], int]:
    surveys = ws.catalogue.surveys_of(project_id)
    if not surveys:
        raise SatoyamaError(
            en=f"The project {project_id!r} has no survey yet, so its plots are not known. Submit the first survey.",
            ja=f"プロジェクト {project_id!r} に調査がないため、区画が分かりません。最初の調査を提出してください。",
        )
    first = stored_survey(ws, surveys[0].survey_id)
    return {p.plot_id: p.rings_mm for p in first.plots}, first.epsg


def _known_scenes(ws: Workspace, project_id: str) -> frozenset[str]:
    with ws.catalogue.read() as session:
        query = select(SceneRow.scene_id).where(SceneRow.project_id == project_id).distinct()
        return frozenset(session.scalars(query))


def scenes_of(catalogue: Path, known: frozenset[str] = frozenset()) -> Iterator[Scene | Refusal]:
    """Scenes of a static STAC catalogue that are not in `known`, by time; a refusal in the place of one that cannot be used.

    Assets must lie below the catalogue's folder: no address is fetched, no path leads out.
    """
    import pystac

    items = [
        i for i in pystac.Catalog.from_file(str(catalogue)).get_items(recursive=True) if i.id not in known
    ]
    for item in sorted(items, key=lambda i: (i.datetime is not None and i.datetime.isoformat(), i.id)):
        try:
            yield _scene(item, catalogue.parent)
        except Refusal as refusal:
            yield refusal


def _scene(item: Any, folder: Path) -> Scene:
    if item.datetime is None:
        raise _refusal(item.id, "scene.no_date", ("a datetime", "撮影日時"), ("none", "なし"))
    files, offset = {}, 0
    for band, names in ASSET_NAMES.items():
        asset = next((item.assets[n] for n in names if n in item.assets), None)
        if asset is None:
            continue
        files[band] = _asset_blob(item.id, band, asset, folder)
        if band != SCENE_CLASS:
            offset = _offset_dn(asset.extra_fields)
    missing = [b for b in (*BANDS, SCENE_CLASS) if b not in files]
    if missing:
        raise _refusal(
            item.id,
            "scene.band_missing",
            ("bands B8A, B11, B12 and SCL", "B8A・B11・B12・SCL の各バンド"),
            (f"no {', '.join(missing)}", f"{'、'.join(missing)} なし"),
        )
    return Scene(item.id, item.datetime.date(), files, offset)


def _asset_blob(scene_id: str, band: str, asset: Any, folder: Path) -> Blob:
    href = str(asset.get_absolute_href() or asset.href)
    path = Path(href).resolve()
    if urlsplit(href).scheme or not path.is_relative_to(folder) or not path.is_file():
        raise _refusal(
            scene_id,
            "scene.not_local",
            ("bands stored below the catalogue's folder", "カタログフォルダー内のバンド"),
            (f"{band} at {asset.href}", f"{band}: {asset.href}"),
        )
    blob = blob_of_file(path)
    checksum = str(asset.extra_fields.get("file:checksum", ""))
    if checksum.startswith(_SHA2_256) and checksum[4:].lower() != blob.digest.removeprefix("sha256:"):
        raise _refusal(
            scene_id,
            "scene.checksum",
            (f"{band} with checksum {checksum}", f"{band} のチェックサム {checksum}"),
            (blob.digest, blob.digest),
        )
    return blob


def _offset_dn(fields: Mapping[str, Any]) -> int:
    for band in fields.get("raster:bands", ()):
        if "offset" in band and band.get("scale"):
            return round(float(band["offset"]) / float(band["scale"]))
    return 0


def _raise_alerts(ws: Workspace, project_id: str) -> tuple[Alert, ...]:
    query = select(SceneRow).where(SceneRow.project_id == project_id).order_by(SceneRow.plot_id, SceneRow.day)
    with ws.catalogue.read() as session:
        rows = list(session.scalars(query))
    by_plot: dict[str, list[SceneRow]] = {}
    for row in rows:
        by_plot.setdefault(row.plot_id, []).append(row)
    actions = {
        (a.plot_id, a.day, a.kind)
        for s in ws.catalogue.surveys_of(project_id)
        for a in stored_survey(ws, s.survey_id).actions
        if a.kind in REMOVALS
    }
    found = []
    for plot_id, series in by_plot.items():
        for index in INDICES:
            for broken in _breaks(series, index):
                explained = _explanation(plot_id, broken, actions)
                day = date.fromordinal(broken.day)
                found.append(Alert(plot_id, index, day, round(broken.magnitude * E4), explained))
    return tuple(alert for alert in found if _store_alert(ws, project_id, alert))


def _breaks(series: list[SceneRow], index: str) -> tuple[Break, ...]:
    values = [getattr(row, f"{index}_e4") for row in series]
    return detect_breaks(
        np.array([row.day.toordinal() for row in series], dtype=np.int64),
        np.array([np.nan if v is None else v / E4 for v in values]),
        np.array([r.clear >= max(MIN_CLEAR_PIXELS, -(-r.pixels // 2)) for r in series], dtype=np.bool_),
    )


def _explanation(plot_id: str, broken: Break, actions: set[tuple[str, date, Any]]) -> str:
    earliest = date.fromordinal(broken.last_before) - timedelta(days=REGISTER_DAYS_BEFORE)
    latest = date.fromordinal(broken.day) + timedelta(days=REGISTER_DAYS_AFTER)
    near = [
        f"{kind} {day.isoformat()}"
        for p, day, kind in sorted(actions)
        if p == plot_id and earliest <= day <= latest
    ]
    return ", ".join(near)


def _store_alert(ws: Workspace, project_id: str, alert: Alert) -> bool:
    key = (AlertRow.project_id, AlertRow.plot_id, AlertRow.index_name, AlertRow.break_day)
    wanted = (project_id, alert.plot_id, alert.index_name, alert.break_day)
    with ws.catalogue.write() as session:
        same = select(AlertRow.number).where(*(c == v for c, v in zip(key, wanted, strict=True)))
        if session.scalar(same) is not None:
            return False
        session.add(
            AlertRow(
                project_id=project_id,
                plot_id=alert.plot_id,
                index_name=alert.index_name,
                break_day=alert.break_day,
                magnitude_e4=alert.magnitude_e4,
                explained_by=alert.explained_by,
                raised_at=ws.clock(),
            )
        )
        return True


def alerts_of(ws: Workspace, project_id: str) -> list[AlertRow]:
    """All alerts of a project, by the day of the break."""
    query = select(AlertRow).where(AlertRow.project_id == project_id)
    with ws.catalogue.read() as session:
        return list(
            session.scalars(query.order_by(AlertRow.break_day, AlertRow.plot_id, AlertRow.index_name))
        )


def _refusal(scene_id: str, code: str, expected: tuple[str, str], got: tuple[str, str]) -> Refusal:
    todo = (
        "Fetch the scene again, or take it out of the catalogue.",
        "シーンを取得し直すか、カタログから外してください。",
    )
    return Refusal([Problem(code, scene_id, *expected, *got, *todo)])
