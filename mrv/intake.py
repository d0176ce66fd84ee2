"""Intake: what was handed in, what is wrong with it, what will be done; and the survey read from accepted files.

The plan is a value: it can be shown before anything is stored. Nothing is stored here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pyproj import CRS

from mrv.blob import Blob
from mrv.errors import Refusal
from mrv.project import Project
from mrv.readers.archive import MANIFEST, content_digest, read_upload
from mrv.readers.design import check_probabilities
from mrv.readers.findings import Both, Findings
from mrv.readers.heights import check_canopy
from mrv.readers.known import KnownPlot, KnownSurveys, check_known
from mrv.readers.manifest import Manifest, read_manifest
from mrv.readers.plan import FilePlan, IntakePlan, file_plan, render
from mrv.readers.plots import read_plots, read_sample_plots, whole_raster_plot
from mrv.readers.treelist import read_actions, read_trees
from mrv.readers.vectors import read_features
from mrv.survey import Action, Plot, SamplePlot, Survey, TreeList
from mrv.tables import Tables

__all__ = [
    "FilePlan",
    "IntakePlan",
    "KnownPlot",
    "KnownSurveys",
    "content_digest",
    "plan_intake",
    "read_survey",
    "render",
]


def plan_intake(upload: Path, project: Project, known: KnownSurveys, tables: Tables) -> IntakePlan:
    """What an upload is, what is wrong with it, and what will be done with it.

    Never raises on bad content: every fault that can be seen becomes a problem of the plan. Nothing is stored.

    Parameters
    ----------
    upload : Path
        A folder, or a zip of one.
    known : KnownSurveys
        Accepted before; decides on repeated surveys and overlapping plots.
    """
    findings = Findings()
    received = read_upload(upload, findings)
    survey, manifest = None, None
    if received.files and not findings.refused:
        survey, manifest = _read(received.files, project, tables, findings, pixels=True)
    if survey is not None:
        check_known(received, survey, known, findings)
    return IntakePlan(
        upload_name=upload.name,
        upload_digest=received.digest,
        content_digest=received.content_digest,
        files=tuple(file_plan(b, manifest, findings) for _, b in sorted(received.files.items())),
        problems=tuple(findings.problems),
        survey=None if findings.refused else survey,
    )


def read_survey(files: Mapping[str, Blob], project: Project, tables: Tables) -> Survey:
    """The survey in a set of accepted files, by the same rules as intake.

    Pixels and points are not decoded here: the canopy stage reads each of them anyway.

    Raises
    ------
    Refusal
        If intake would refuse any of the files.
    """
    findings = Findings()
    survey, _ = _read(files, project, tables, findings, pixels=False)
    if survey is None or findings.refused:
        raise Refusal(findings.refusals())
    return survey


def _read(
    files: Mapping[str, Blob], project: Project, tables: Tables, findings: Findings, pixels: bool
) -> tuple[Survey | None, Manifest | None]:
    files = {name: replace(blob, name=name) for name, blob in files.items()}
    manifest = read_manifest(files, project, findings)
    if manifest is None or manifest.crs is None:
        return None, manifest
    _check_simulated(manifest, files, project, findings)
    blobs = {role: files[entry.path] for role, entry in manifest.files.items()}
    start = findings.count
    plots = _plots(manifest, manifest.crs, blobs, files, project, tables, findings)
    # What rests on a faulty part is not judged: one fault, one refusal.
    known_plots = plots if findings.count == start else None
    samples = _sample_plots(manifest, manifest.crs, blobs, files, known_plots, findings)
    placed = findings.count == start
    trees: TreeList | None = None
    if "trees" in blobs:
        known_samples = samples if placed else None
        trees = read_trees(
            blobs["trees"], known_samples, plots, project, tables, findings, look_for_odd=pixels
        )
    actions: tuple[Action, ...] = ()
    if "actions" in blobs:
        actions = read_actions(blobs["actions"], known_plots, manifest.day, findings)
    if placed:
        _check_design(manifest, samples, trees, findings)
    grid = check_canopy(
        manifest,
        blobs,
        manifest.crs,
        project.epsg,
        [(p.plot_id, p.rings_mm) for p in plots if placed],
        [(s.sample_plot_id, s.rings_mm) for s in samples if placed],
        trees,
        pixels,
        findings,
    )
    if manifest.whole_raster is not None and grid is not None:
        plots = (whole_raster_plot(manifest.whole_raster, grid, manifest.crs, tables, findings),)
    elif manifest.whole_raster is not None:
        _no_raster(findings)
    if findings.refused:
        return None, manifest
    survey = Survey(
        survey_id=manifest.survey_id,
        project_id=project.project_id,
        day=manifest.day,
        epsg=project.epsg,
        vertical_datum=manifest.vertical_datum,
        plots=plots,
        sample_plots=samples,
        trees=trees,
        actions=actions,
        design=manifest.design,
        chm=blobs.get("chm"),
        dsm=blobs.get("dsm"),
        dtm=blobs.get("dtm"),
        points=blobs.get("points"),
        ortho=blobs.get("ortho"),
        simulated=manifest.simulated,
        manifest=manifest.doc,
        files=files,
    )
    return survey, manifest


def _plots(
    manifest: Manifest,
    crs: CRS,
    blobs: Mapping[str, Blob],
    files: Mapping[str, Blob],
    project: Project,
    tables: Tables,
    findings: Findings,
) -> tuple[Plot, ...]:
    if "plots" not in blobs:
        return ()
    features = read_features(blobs["plots"], files, manifest.files["plots"].crs, crs, findings)
    return read_plots(blobs["plots"].name, features, crs, project, tables, findings) if features else ()


def _sample_plots(
    manifest: Manifest,
    crs: CRS,
    blobs: Mapping[str, Blob],
    files: Mapping[str, Blob],
    plots: tuple[Plot, ...] | None,
    findings: Findings,
) -> tuple[SamplePlot, ...]:
    if "sample_plots" not in blobs:
        return ()
    features = read_features(blobs["sample_plots"], files, manifest.files["sample_plots"].crs, crs, findings)
    return read_sample_plots(blobs["sample_plots"].name, features, plots, findings) if features else ()


def _check_simulated(
    manifest: Manifest, files: Mapping[str, Blob], project: Project, findings: Findings
) -> None:
    marked = any(Path(name).name == "SIMULATED.txt" for name in files)
    if manifest.simulated and not project.simulated:
        got: Both = ("simulated = true in a real project", "実在プロジェクトに模擬データ")
    elif marked and not manifest.simulated:
        got = (
            "a file SIMULATED.txt without simulated = true",
            "SIMULATED.txt があるが simulated = true がない状態",
        )
    else:
        return
    findings.add(
        "survey.simulated",
        f"{MANIFEST} survey.simulated",
        expected=(
            "measured data, or made-up data that says so in a demo",
            "実測データ（模擬データは明示し模擬のみで使用）",
        ),
        got=got,
        todo=("Send measured data.", "実測データを送ってください。"),
    )


def _check_design(
    manifest: Manifest, samples: tuple[SamplePlot, ...], trees: TreeList | None, findings: Findings
) -> None:
    """A probability sample needs its plots and its trees; without, only canopy is measured and no change can be claimed."""
    named = [role for role in ("sample_plots", "trees") if role in manifest.files]
    if len(named) == 1 or (manifest.design != "none" and not named):
        findings.add(
            "design.incomplete",
            f"{MANIFEST} files",
            expected=(
                f'sample_plots and trees for design "{manifest.design}"',
                f"設計「{manifest.design}」には sample_plots と trees",
            ),
            got=(f"only {named[0]}", f"{named[0]} のみ") if named else ("neither", "どちらもなし"),
            todo=(
                'Name both files, or write kind = "none".',
                '両方を指定するか、kind = "none" としてください。',
            ),
        )
    elif any(p.code == "manifest.kind" for p in findings.problems):
        return  # what was written is refused already: a word nobody knows is not the design "none"
    elif not named or manifest.design in ("none", "purposive"):
        findings.warn(
            "design.no_probability_sample",
            f"{MANIFEST} design",
            expected=("a probability sample of tagged sample plots", "標識付き標準地の確率標本"),
            got=(f'design "{manifest.design}"', f"設計「{manifest.design}」"),
            todo=(
                "Canopy is measured; no biomass change can be claimed from it.",
                "樹冠高のみ計測します。バイオマス変化量は請求できません。",
            ),
        )
    if samples:
        check_probabilities(manifest.doc, [s.sample_plot_id for s in samples], findings)
    if trees is None or "trees" not in manifest.files:
        return
    held = set(trees.sample_plot_id.tolist())
    empty = [s.sample_plot_id for s in samples if s.sample_plot_id not in held]
    if empty:
        findings.warn(
            "trees.sample_plot_empty",
            manifest.files["trees"].path,
            expected=("trees of every sample plot", "全標準地の立木"),
            got=(f"none in {', '.join(empty)}", f"{', '.join(empty)} に立木なし"),
            todo=("Counted as bare ground; check that it is.", "無立木とみなします。確認してください。"),
        )


def _no_raster(findings: Findings) -> None:
    if findings.refused:
        return  # the raster's own fault is already there
    findings.add(
        "manifest.plots",
        f"{MANIFEST} plots.whole_raster",
        expected=("a height raster whose extent is the plot", "範囲を区画とするラスタ"),
        got=("points only", "点群のみ"),
        todo=("Name a plots file.", "plotsファイルを指定してください。"),
    )
