"""Handing in: stored whole or kept whole in quarantine, and the plan stands before the second date."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import rasterio

from apps.demo.survey_files import DemoFiles
from flows import work
from flows.definition import DefinitionError, read_definition
from flows.settings import Workspace
from flows.work.projects import PlanTooLate, ProjectDiffers, project_secret
from models.errors import SatoyamaError
from mrv.blob import digest_bytes, digest_file
from tests.flows.conftest import PROJECT


def test_an_accepted_survey_is_stored_by_its_bytes(new_ws: Workspace, demo_files: DemoFiles) -> None:
    plan = work.submit_survey(new_ws, demo_files.survey_zips[0])
    assert plan.accepted
    row = new_ws.catalogue.survey_row("owase-demo-2021")
    with zipfile.ZipFile(demo_files.survey_zips[0]) as archive:
        for name, digest in row.files.items():
            inside = next(n for n in archive.namelist() if n.endswith(name))
            assert digest_bytes(archive.read(inside)) == digest
            new_ws.objects.check(digest)
    assert row.upload_digest == digest_file(demo_files.survey_zips[0])
    assert work.quarantined(new_ws) == []


def test_checking_stores_nothing(new_ws: Workspace, demo_files: DemoFiles) -> None:
    assert work.check_survey(new_ws, demo_files.survey_zips[0]).accepted
    assert new_ws.catalogue.surveys_of(PROJECT) == []
    assert [p for p in (new_ws.root / "objects").rglob("*") if p.is_file()] == []


def test_the_plan_is_stored_with_the_first_survey_and_before_the_second(
    new_ws: Workspace, demo_files: DemoFiles
) -> None:
    work.submit_survey(new_ws, demo_files.survey_zips[0])
    plan, stored_at = work.plan_of(new_ws, PROJECT)
    assert len(plan.sample_plots) == 24
    assert json.loads(new_ws.objects.read(plan.digest)) == plan.to_doc()
    work.submit_survey(new_ws, demo_files.survey_folders[1])
    assert stored_at <= new_ws.catalogue.survey_row("owase-demo-2025").accepted_at
    changed = dataclasses.replace(plan, confidence_ppm=500_001)
    with pytest.raises(PlanTooLate):
        work.store_plan(new_ws, changed)
    assert work.store_plan(new_ws, plan) == plan.digest


def test_a_plan_may_still_be_changed_before_the_second_survey(
    new_ws: Workspace, demo_files: DemoFiles
) -> None:
    work.submit_survey(new_ws, demo_files.survey_zips[0])
    changed = dataclasses.replace(work.plan_of(new_ws, PROJECT)[0], confidence_ppm=900_000)
    work.store_plan(new_ws, changed)
    assert work.plan_of(new_ws, PROJECT)[0] == changed


def test_the_second_survey_is_refused_before_the_first(new_ws: Workspace, demo_files: DemoFiles) -> None:
    plan = work.submit_survey(new_ws, demo_files.survey_zips[1])
    assert not plan.accepted
    assert [p.code for p in plan.refusals] == ["survey.before_first"]


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_the_same_survey_twice_is_refused_in_any_form(
    new_ws: Workspace, demo_files: DemoFiles, form: str
) -> None:
    work.submit_survey(new_ws, demo_files.survey_zips[0])
    again = demo_files.survey_zips[0] if form == "zip" else demo_files.survey_folders[0]
    plan = work.submit_survey(new_ws, again)
    assert not plan.accepted and "survey.duplicate" in [p.code for p in plan.refusals]
    assert len(new_ws.catalogue.surveys_of(PROJECT)) == 1


def test_a_refused_upload_lies_whole_in_quarantine_with_the_reasons(
    new_ws: Workspace, tmp_path: Path
) -> None:
    upload = tmp_path / "調査.zip"
    upload.write_bytes(b"not a zip at all")
    for _ in range(2):
        assert not work.submit_survey(new_ws, upload).accepted
    rows = work.quarantined(new_ws)
    assert len(rows) == 2 and rows[0].problems
    place = new_ws.quarantine_folder / rows[0].place
    assert (place / "調査.zip").read_bytes() == b"not a zip at all"
    reasons = json.loads((place / "problems.json").read_text())
    assert reasons == rows[0].problems and all(r["en" if "en" in r else "todo_ja"] for r in reasons)


def _first_survey(demo_files: DemoFiles, folder: Path, design: str) -> Path:
    with zipfile.ZipFile(demo_files.survey_zips[0]) as archive:
        archive.extractall(folder)
    manifest = next(folder.rglob("survey.toml"))
    manifest.write_text(manifest.read_text().replace('kind = "stratified"', design))
    return manifest.parent


def test_a_first_survey_of_which_no_plan_can_be_made_is_kept_whole_and_may_be_mended(
    new_ws: Workspace, demo_files: DemoFiles, tmp_path: Path
) -> None:
    samples = json.loads(_read_member(demo_files.survey_zips[0], "sample_plots.geojson"))["features"]
    ids = [f["properties"]["sample_plot_id"] for f in samples]
    confused = 'kind = "pps"\n[design.draw_probability]\n' + "\n".join(f'"{i}" = 0.3' for i in ids)
    upload = _first_survey(demo_files, tmp_path / "first", confused)
    for hand_in in (work.check_survey, work.submit_survey):
        refused = hand_in(new_ws, upload)
        assert not refused.accepted and {p.code for p in refused.refusals} == {"plan.draw_probability"}
    assert new_ws.catalogue.surveys_of(PROJECT) == [] and len(work.quarantined(new_ws)) == 1
    assert work.submit_survey(new_ws, demo_files.survey_zips[0]).accepted


def test_a_plot_without_sample_plots_is_warned_of_at_the_first_date_not_refused_at_the_second(
    new_ws: Workspace, demo_files: DemoFiles, tmp_path: Path
) -> None:
    upload = _first_survey(demo_files, tmp_path / "first", 'kind = "stratified"')
    samples = json.loads((upload / "sample_plots.geojson").read_text())
    plot = samples["features"][0]["properties"]["plot_id"]
    gone = {
        f["properties"]["sample_plot_id"] for f in samples["features"] if f["properties"]["plot_id"] == plot
    }
    samples["features"] = [f for f in samples["features"] if f["properties"]["plot_id"] != plot]
    (upload / "sample_plots.geojson").write_text(json.dumps(samples))
    trees = (upload / "trees.csv").read_text(encoding="utf-8-sig").splitlines()
    kept = [line for line in trees if line.split(",")[0] not in gone]
    (upload / "trees.csv").write_text("\n".join(kept) + "\n", encoding="utf-8")
    plan = work.check_survey(new_ws, upload)
    assert plan.accepted
    warned = next(p for p in plan.problems if p.code == "plan.plot_without_sample_plot")
    assert warned.severity == "warn" and warned.where.endswith(plot) and "srs" in warned.todo_ja


def _read_member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(next(n for n in archive.namelist() if n.endswith(name)))


def test_links_in_a_refused_folder_are_not_followed(new_ws: Workspace, tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("not part of the upload")
    folder = tmp_path / "survey"
    folder.mkdir()
    (folder / "chm.tif").symlink_to(secret)
    assert not work.submit_survey(new_ws, folder).accepted
    kept = new_ws.quarantine_folder / work.quarantined(new_ws)[0].place / "survey" / "chm.tif"
    assert kept.is_symlink()


def test_of_two_processes_that_submit_one_survey_one_is_refused(
    new_ws: Workspace, demo_files: DemoFiles
) -> None:
    code = (
        "import sys; from pathlib import Path; from flows import work; from flows.settings import Workspace\n"
        "print(work.submit_survey(Workspace.open(sys.argv[1]), Path(sys.argv[2])).accepted)"
    )
    command = [sys.executable, "-c", code, str(new_ws.root), str(demo_files.survey_zips[0])]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = sorted(p.communicate(timeout=120)[0].strip() for p in started)
    assert said == ["False", "True"]
    assert len(new_ws.catalogue.surveys_of(PROJECT)) == 1 and len(work.quarantined(new_ws)) == 1


def test_a_project_is_registered_once_and_never_changed(new_ws: Workspace, demo_files: DemoFiles) -> None:
    definition = read_definition(demo_files.project_toml)
    work.register_project(new_ws, definition)
    assert work.definition_of_project(new_ws, PROJECT) == definition
    other = dataclasses.replace(definition, challenge_window_s=60)
    with pytest.raises(ProjectDiffers):
        work.register_project(new_ws, other)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("share_ppm = 150000", "share_ppm = 150001", "1,000,001"),
        ('prefecture = "mie"', "", "prefecture"),
        ('prefecture = "mie"', 'prefektur = "mie"', "prefektur"),
        ("buffer_ppm = 30000", "buffer_ppm = 3.5", "buffer_ppm"),
        ('"probability_of_exceedance"', '"generous"', "deduction_policy"),
        ('id = "owner-b"', 'id = "owner-a"', "different ids"),
        ("[project]", "[project", "TOML"),
    ],
)
def test_a_wrong_definition_names_what_is_wrong_in_both_languages(
    demo_files: DemoFiles, tmp_path: Path, old: str, new: str, named: str
) -> None:
    file = tmp_path / "project.toml"
    text = demo_files.project_toml.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(DefinitionError, match=named) as caught:
        read_definition(file)
    assert "project.toml" in caught.value.ja


def test_without_a_project_the_command_that_makes_one_is_named(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(SatoyamaError, match="satoyama init --project"):
        work.submit_survey(ws, tmp_path)


def test_a_real_project_has_a_secret_of_its_own_that_stays(
    ws: Workspace, demo_files: DemoFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    definition = read_definition(demo_files.project_toml)
    real = dataclasses.replace(definition.project, project_id="real", demo=False, simulated=False)
    work.register_project(ws, dataclasses.replace(definition, project=real))
    secret = project_secret(ws, "real")
    assert len(secret) == 64 and project_secret(ws, "real") == secret
    assert (ws.keys_folder / "project_secret").stat().st_mode & 0o077 == 0
    monkeypatch.setenv("SATOYAMA_PROJECT_SECRET", "from the environment")
    assert project_secret(ws, "real") == b"from the environment"


def test_nobody_chooses_between_two_measurements_of_one_day(
    new_ws: Workspace, demo_files: DemoFiles, tmp_path: Path
) -> None:
    for upload in demo_files.survey_zips:
        assert work.submit_survey(new_ws, upload).accepted
    again = tmp_path / "again"
    shutil.copytree(demo_files.survey_folders[1], again)
    manifest = again / "survey.toml"
    manifest.write_text(manifest.read_text().replace("owase-demo-2025", "owase-demo-2025-again"))
    trees = again / "trees.csv"
    trees.write_text(trees.read_text() + "\n")
    with rasterio.open(again / "chm.tif", "r+") as canopy:
        canopy.write(canopy.read(1) + 0.01, 1)
    plan = work.submit_survey(new_ws, again)
    assert [p.code for p in plan.refusals] == ["survey.not_later"]
    assert len(new_ws.catalogue.surveys_of(PROJECT)) == 2


def test_a_first_survey_accepted_just_before_a_crash_gets_its_plan_at_the_next_hand_in(
    new_ws: Workspace, demo_files: DemoFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("flows.work.surveys.store_plan", crash)
        with pytest.raises(KeyboardInterrupt):
            work.submit_survey(new_ws, demo_files.survey_zips[0])
    assert new_ws.catalogue.plans_of(PROJECT) == []
    assert work.submit_survey(new_ws, demo_files.survey_zips[1]).accepted
    (plan,) = new_ws.catalogue.plans_of(PROJECT)
    _, second = new_ws.catalogue.surveys_of(PROJECT)
    assert plan.stored_at <= second.accepted_at
