"""The intake plan as a value, and as text for a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mrv.blob import Blob
from mrv.errors import Problem
from mrv.readers.archive import MANIFEST
from mrv.readers.findings import Both, Findings, shorten
from mrv.readers.manifest import Manifest
from mrv.survey import Survey

Language = Literal["en", "ja"]
_WORK: dict[str, Both] = {
    "manifest": ("kept; says what the other files are", "保存。他のファイルの説明"),
    "plots": (
        "kept; boundaries quantised to mm, areas on the ellipsoid",
        "保存。境界はmm単位、面積は楕円体上で計算",
    ),
    "sample_plots": ("kept; where trees were measured", "保存。毎木調査を行った場所"),
    "trees": ("kept; volume and CO2e of every tree", "保存。立木ごとの材積とCO2を計算"),
    "actions": ("kept; thinning, cutting and planting are booked", "保存。間伐・主伐・植栽を記録"),
    "chm": ("kept; heights become whole millimetres", "保存。樹冠高を整数mmに変換"),
    "dsm": ("kept; surface less terrain gives heights", "保存。DSM−DTMで樹冠高を計算"),
    "dtm": ("kept; the terrain that heights are measured from", "保存。高さの基準となる地形"),
    "points": ("kept; heights above the ground under them", "保存。地面からの高さを計算"),
    "ortho": ("kept; shown on maps", "保存。地図に表示"),
    "": ("kept, not used", "保存のみ（計算には不使用）"),
}
_ROLES_JA = {
    "manifest": "調査票",
    "plots": "区画",
    "sample_plots": "標準地",
    "trees": "毎木調査",
    "actions": "施業履歴",
    "chm": "樹冠高",
    "dsm": "DSM",
    "dtm": "DTM",
    "points": "点群",
    "ortho": "オルソ画像",
    "": "その他",
}


@dataclass(frozen=True)
class FilePlan:
    """One file of an upload.

    Attributes
    ----------
    role : str
        What the manifest calls it; "" where nothing uses it.
    does_en, does_ja : str
        What will be done with it.
    notes_en, notes_ja : tuple of str
        What was understood of it.
    """

    name: str
    digest: str
    size: int
    role: str
    does_en: str
    does_ja: str
    notes_en: tuple[str, ...]
    notes_ja: tuple[str, ...]

    def to_doc(self) -> dict[str, Any]:
        return {**self.__dict__, "notes_en": list(self.notes_en), "notes_ja": list(self.notes_ja)}


@dataclass(frozen=True)
class IntakePlan:
    """What intake found and will do with an upload.

    Attributes
    ----------
    upload_digest : str
        Of the zip's bytes, or a folder's content; "" where there is no upload.
    content_digest : str
        Of file names and bytes: a zip and its folder share it.
    problems : tuple of Problem
        Refusals and warnings.
    survey : Survey or None
        None where the upload is refused.
    """

    upload_name: str
    upload_digest: str
    content_digest: str
    files: tuple[FilePlan, ...]
    problems: tuple[Problem, ...]
    survey: Survey | None

    @property
    def accepted(self) -> bool:
        return self.survey is not None

    @property
    def refusals(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "refuse")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        return tuple(p for p in self.problems if p.severity == "warn")

    def to_doc(self) -> dict[str, Any]:
        """Plain document, the same for the same upload and the same known surveys."""
        return {
            "upload": self.upload_name,
            "upload_digest": self.upload_digest,
            "content_digest": self.content_digest,
            "accepted": self.accepted,
            "survey": _survey_doc(self.survey) if self.survey else None,
            "files": [f.to_doc() for f in self.files],
            "problems": [p.to_doc() for p in self.problems],
        }


def _survey_doc(survey: Survey) -> dict[str, Any]:
    return {
        "survey_id": survey.survey_id,
        "project_id": survey.project_id,
        "date": survey.day.isoformat(),
        "epsg": survey.epsg,
        "plots": len(survey.plots),
        "area_mm2": str(sum(p.area_mm2 for p in survey.plots)),
        "sample_plots": len(survey.sample_plots),
        "trees": len(survey.trees) if survey.trees is not None else 0,
        "actions": len(survey.actions),
        "design": survey.design,
        "simulated": survey.simulated,
    }


def file_plan(blob: Blob, manifest: Manifest | None, findings: Findings) -> FilePlan:
    """What was found of one file and will be done with it."""
    roles = {entry.path: role for role, entry in manifest.files.items()} if manifest else {}
    role = "manifest" if blob.name == MANIFEST else roles.get(blob.name, "")
    does = ("stays in quarantine when handed in", "隔離して保存") if findings.refused else _WORK[role]
    notes = findings.notes.get(blob.name, [])
    return FilePlan(
        name=blob.name,
        digest=blob.digest,
        size=blob.size,
        role=role,
        does_en=does[0],
        does_ja=does[1],
        notes_en=tuple(n[0] for n in notes),
        notes_ja=tuple(n[1] for n in notes),
    )


def render(plan: IntakePlan, lang: Language = "en") -> str:
    """The plan as plain text for a terminal.

    Parameters
    ----------
    lang : {"en", "ja"}
    """
    english = lang == "en"
    lines = [f"{shorten(plan.upload_name)}  {plan.upload_digest}"]
    for file in plan.files:
        role = (file.role or "other") if english else _ROLES_JA[file.role]
        lines.append(f"  {shorten(file.name)}  [{role}]  {file.size:,} B  {file.digest[:19]}…")
        lines.append(f"      {file.does_en if english else file.does_ja}")
        lines += [f"      · {note}" for note in (file.notes_en if english else file.notes_ja)]
    for title, problems in (
        ("Refused because" if english else "受理できない理由", plan.refusals),
        ("Warnings" if english else "注意", plan.warnings),
    ):
        if problems:
            lines.append(f"{title}:")
            lines += [f"  {n}. {p.en if english else p.ja}" for n, p in enumerate(problems, start=1)]
    lines.append(_verdict(plan, english))
    return "\n".join(lines)


def _verdict(plan: IntakePlan, english: bool) -> str:
    survey = plan.survey
    if survey is None:
        count = len(plan.refusals)
        return (
            f"REFUSED: {count} to mend. Nothing is lost: what is handed in and refused stays in quarantine."
            if english
            else f"不受理: {count}件を直してください。提出して不受理となったデータは隔離領域に残ります。"
        )
    area_ha = sum(p.area_mm2 for p in survey.plots) / 1e10
    trees = len(survey.trees) if survey.trees is not None else 0
    made_up = ("  SIMULATED" if english else "  模擬データ") if survey.simulated else ""
    if english:
        head = f"ACCEPTED: {survey.survey_id}, {survey.day}, EPSG:{survey.epsg}"
        return f"{head}, {len(survey.plots)} plots, {area_ha:.2f} ha, {len(survey.sample_plots)} sample plots, {trees} trees{made_up}"
    head = f"受理: {survey.survey_id}、{survey.day}、EPSG:{survey.epsg}"
    return f"{head}、区画{len(survey.plots)}、{area_ha:.2f} ha、標準地{len(survey.sample_plots)}、立木{trees}本{made_up}"
