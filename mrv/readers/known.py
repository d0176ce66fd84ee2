"""What was accepted before, and what a new survey may not repeat or overlap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
from pyproj import CRS

from mrv.readers.archive import Upload, content_digest
from mrv.readers.crs import NoTransformation, Rings, to_plane_mm
from mrv.readers.findings import Both, Findings, same
from mrv.readers.plots import SLIVER_PPM, polygon_of, shared_mm2
from mrv.survey import Survey

# Files that a new date cannot share with an old one; boundaries may well stay the same.
MEASURED_ROLES = ("chm", "dsm", "points", "trees")


@dataclass(frozen=True)
class KnownPlot:
    """A plot of an accepted survey.

    Attributes
    ----------
    credited_until : date or None
        End (exclusive) of the last period credited for it.
    """

    project_id: str
    survey_id: str
    plot_id: str
    register_id: str
    epsg: int
    rings_mm: Rings
    credited_until: date | None = None


@dataclass(frozen=True)
class KnownSurveys:
    """Everything accepted so far that a new upload is compared with.

    Attributes
    ----------
    uploads : mapping of digest to survey id
        Upload digests and content digests alike.
    survey_ids : set of str
    measured_files : mapping of file digest to survey id
        Canopy, points and tree lists of accepted surveys.
    plots : tuple of KnownPlot
    credited_until : mapping of project id to date
        End (exclusive) of the last credited period of each project.
    """

    uploads: Mapping[str, str] = field(default_factory=dict)
    survey_ids: frozenset[str] = frozenset()
    measured_files: Mapping[str, str] = field(default_factory=dict)
    plots: tuple[KnownPlot, ...] = ()
    credited_until: Mapping[str, date] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        surveys: Iterable[Survey],
        credited_until: Mapping[str, date] | None = None,
        uploads: Mapping[str, str] | None = None,
    ) -> KnownSurveys:
        """Known surveys from accepted ones; `uploads` adds digests of the zips they came in."""
        ends = dict(credited_until or {})
        digests, measured, ids, plots = dict(uploads or {}), {}, set(), []
        for survey in surveys:
            ids.add(survey.survey_id)
            digests[content_digest(survey.files)] = survey.survey_id
            measured.update(dict.fromkeys(_measured(survey).values(), survey.survey_id))
            plots += [
                KnownPlot(
                    survey.project_id,
                    survey.survey_id,
                    p.plot_id,
                    p.register_id,
                    survey.epsg,
                    p.rings_mm,
                    ends.get(survey.project_id),
                )
                for p in survey.plots
            ]
        return cls(digests, frozenset(ids), measured, tuple(plots), ends)


def _measured(survey: Survey) -> dict[str, str]:
    entries = survey.manifest.get("files", {})
    paths = {r: e["path"] if isinstance(e, Mapping) else e for r, e in entries.items() if r in MEASURED_ROLES}
    return {role: survey.files[path].digest for role, path in paths.items() if path in survey.files}


def check_known(upload: Upload, survey: Survey, known: KnownSurveys, findings: Findings) -> None:
    """Compare a survey with all accepted before it."""
    earlier = known.uploads.get(upload.digest) or known.uploads.get(upload.content_digest)
    if earlier is not None:
        _repeated(
            "survey.duplicate",
            survey.survey_id,
            (f"the same files as {earlier}", f"{earlier} と同一の内容"),
            findings,
        )
        return
    if survey.survey_id in known.survey_ids:
        _repeated("survey.id_taken", survey.survey_id, ("an id that is taken", "使用済みのID"), findings)
    for role, digest in _measured(survey).items():
        if digest in known.measured_files:
            other = known.measured_files[digest]
            got = (f"the {role} file of {other}", f"{other} の {role} と同じファイル")
            _repeated("survey.file_reused", f"{survey.survey_id} {role}", got, findings)
    end = known.credited_until.get(survey.project_id)
    if end is not None and survey.day < end:
        findings.add(
            "survey.period_credited",
            survey.survey_id,
            expected=(
                f"a day on or after {end}: earlier days are credited",
                f"{end} 以降の調査日（以前は発行済み）",
            ),
            got=same(survey.day.isoformat()),
            todo=(
                "A period is credited once. Survey anew.",
                "同じ期間は一度しか発行できません。新たに調査してください。",
            ),
        )
    _check_plots(survey, known, findings)


def _repeated(code: str, where: str, got: Both, findings: Findings) -> None:
    findings.add(
        code,
        where,
        expected=("a survey that was not handed in before", "未提出の調査"),
        got=got,
        todo=(
            "Nothing needs to be done, or send the new date's files.",
            "再提出は不要です。新しい調査ならその日のファイルを送ってください。",
        ),
    )


def _check_plots(survey: Survey, known: KnownSurveys, findings: Findings) -> None:
    # The oldest of each, so that a boundary cannot creep by a sliver at every date.
    oldest = {(p.project_id, p.register_id): p for p in reversed(known.plots)}
    target = CRS.from_epsg(survey.epsg)
    others = [(p, polygon_of(_in_plane(p, target))) for p in oldest.values()]
    for plot in survey.plots:
        shape = polygon_of(plot.rings_mm)
        for other, other_shape in others:
            if other.register_id == plot.register_id:
                if other.project_id != survey.project_id:
                    _overlapped("plots.register_id_taken", plot.plot_id, other, 0, findings)
                else:
                    _same_boundary(plot.plot_id, shape, other, other_shape, findings)
                continue
            if not shape.intersects(other_shape):
                continue
            area = shared_mm2(shape, other_shape)
            if area:
                _overlapped("plots.overlap_known", plot.plot_id, other, area, findings)


def _same_boundary(plot_id: str, shape: Any, other: KnownPlot, other_shape: Any, findings: Findings) -> None:
    """A change between two dates is one of the same ground: stock of added ground is no growth."""
    differs = float(shape.symmetric_difference(other_shape).area)
    if differs * 1e6 <= SLIVER_PPM * other_shape.area:
        return
    findings.add(
        "plots.boundary_changed",
        f"plot {plot_id}",
        expected=(f"the boundary of {other.survey_id}", f"{other.survey_id} と同じ境界"),
        got=(f"one that differs by {differs / 1e6:.0f} m²", f"{differs / 1e6:.0f} m² 異なる境界"),
        todo=(
            "Send the boundary as it was; ground that was added is no growth.",
            "前回の境界のまま送ってください（追加された土地は成長ではありません）。",
        ),
    )


def _in_plane(plot: KnownPlot, target: CRS) -> Rings:
    rings = [np.array(ring, dtype=np.float64) / 1000.0 for ring in plot.rings_mm]
    try:
        return to_plane_mm(rings, CRS.from_epsg(plot.epsg), target)[0]
    except NoTransformation:
        # Too far away for the survey's plane: such a plot cannot overlap. Its register id is still compared.
        return (((0, 0), (1, 0), (0, 1)),)


def _overlapped(code: str, plot_id: str, other: KnownPlot, area_mm2: int, findings: Findings) -> None:
    whose = f"{other.project_id}/{other.plot_id} ({other.register_id}, {other.survey_id})"
    credited_en = f", credited until {other.credited_until}" if other.credited_until else ""
    credited_ja = f"、{other.credited_until} まで発行済み" if other.credited_until else ""
    shared = f"{area_mm2 / 1e6:.1f} m²"
    findings.add(
        code,
        f"plot {plot_id}",
        expected=("ground that no other plot claims", "他の区画と重ならない土地"),
        got=(
            f"{shared} shared with {whose}{credited_en}"
            if area_mm2
            else f"the register id of {whose}{credited_en}",
            f"{whose} と {shared} 重複{credited_ja}"
            if area_mm2
            else f"{whose} と同じ森林簿番号{credited_ja}",
        ),
        todo=(
            "Mend the boundary, or keep the plot's register_id if it is the same plot.",
            "境界を直すか、同じ区画なら register_id を変えないでください。",
        ),
    )
