"""Surveys that this program did not make: drone, laser raster and laser points from three continents."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from mrv.intake import IntakePlan, KnownSurveys, plan_intake, read_survey, render
from mrv.tables import Tables, load_tables
from tests.mrv.bad_inputs import PROJECT

MANIFEST = """
[survey]
id = "{survey}"
project = "{project}"
date = {day}
{crs}
vertical_datum = "{datum}"
[files]
{files}
{plots}
"""
WHOLE = '[plots]\nwhole_raster = true\nregister_id = "{0}"'


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables()


def project(name: str, epsg: int):
    return replace(PROJECT, project_id=name, epsg=epsg)


def hand_in(
    folder: Path,
    files: dict[str, Path],
    *,
    survey: str,
    name: str,
    day: date,
    crs: str = "",
    datum: str = "height_above_ground",
    plots: str | None = None,
) -> Path:
    """A survey folder of outside files and a manifest written for them."""
    folder.mkdir()
    for source in files.values():
        shutil.copyfile(source, folder / source.name)
    lines = "\n".join(f'{role} = "{source.name}"' for role, source in files.items())
    text = MANIFEST.format(
        survey=survey,
        project=name,
        day=day.isoformat(),
        crs=f'crs = "{crs}"' if crs else "",
        datum=datum,
        files=lines,
        plots=WHOLE.format(name) if plots is None else plots,
    )
    (folder / "survey.toml").write_text(text)
    return folder


def plan_of(
    folder: Path, name: str, epsg: int, tables: Tables, known: KnownSurveys | None = None
) -> IntakePlan:
    return plan_intake(folder, project(name, epsg), known or KnownSurveys(), tables)


def notes(plan: IntakePlan, name: str) -> str:
    return "; ".join(next(f for f in plan.files if f.name == name).notes_en)


def test_the_kootenay_drone_canopy_with_its_absurd_nodata_is_accepted(
    shared_data: Path, tables: Tables, tmp_path: Path
) -> None:
    source = shared_data / "kootenay"
    folder = hand_in(
        tmp_path / "s",
        {"chm": source / "kootenayCHM.tif", "ortho": source / "kootenayOrtho.tif"},
        survey="kootenay-1",
        name="kootenay",
        day=date(2014, 7, 1),
        crs="EPSG:32611",
    )
    plan = plan_of(folder, "kootenay", 32611, tables)
    assert plan.accepted, render(plan)
    assert [p.code for p in plan.problems] == ["design.no_probability_sample"]
    assert "heights 0.03 to 13.49 m" in notes(plan, "kootenayCHM.tif")
    plot = plan.survey.plots[0]
    assert (plot.plot_id, plot.register_id) == ("all", "kootenay")
    # 287 × 218 cells of 0.25 m² on a plane that is 0.9993 of the ground: golden of the header, not of this code.
    assert plot.area_mm2 / 1e6 == pytest.approx(287 * 218 * 0.25 / 0.99929, rel=1e-4)
    assert read_survey(plan.survey.files, project("kootenay", 32611), tables).plots == plan.survey.plots


def test_the_kootenay_blocks_come_in_as_plots_once_they_carry_ids(
    shared_data: Path, tables: Tables, tmp_path: Path
) -> None:
    """A GeoPackage made by others lacks register ids: the refusal names what is missing."""
    source = shared_data / "kootenay"
    folder = hand_in(
        tmp_path / "s",
        {"chm": source / "kootenayCHM.tif", "plots": source / "kootenayBlocks.gpkg"},
        survey="kootenay-2",
        name="kootenay",
        day=date(2014, 7, 1),
        crs="EPSG:32611",
        plots="",
    )
    plan = plan_of(folder, "kootenay", 32611, tables)
    assert {p.code for p in plan.refusals} == {"plots.attribute_missing"}
    assert "plot_id, register_id" in plan.refusals[0].expected_en and "blockid" in plan.refusals[0].got_en


@pytest.mark.parametrize("year", [2012, 2014])
def test_the_cauaxi_rasters_name_no_crs_so_intake_asks_and_takes_the_manifests(
    shared_data: Path, tables: Tables, tmp_path: Path, year: int
) -> None:
    files = {"chm": shared_data / "cauaxi" / f"ALS_CHM_CAU_{year}.tif"}
    facts = {"survey": f"cauaxi-{year}", "name": "cauaxi", "day": date(year, 8, 1)}
    asked = plan_of(hand_in(tmp_path / "without", files, **facts), "cauaxi", 32722, tables)
    assert [p.code for p in asked.refusals] == ["crs.missing"]
    assert 'crs = "EPSG:32722"' in asked.refusals[0].todo_en

    told = plan_of(hand_in(tmp_path / "with", files, crs="EPSG:32722", **facts), "cauaxi", 32722, tables)
    assert told.accepted, render(told)
    assert told.survey.epsg == 32722
    assert "EPSG:32722 of survey.toml is taken" in notes(told, files["chm"].name)
    assert told.survey.plots[0].area_mm2 / 1e10 == pytest.approx(9.0, rel=2e-3)


def test_both_dates_of_cauaxi_are_two_surveys_of_one_plot(
    shared_data: Path, tables: Tables, tmp_path: Path
) -> None:
    known = KnownSurveys()
    for year in (2012, 2014):
        folder = hand_in(
            tmp_path / str(year),
            {"chm": shared_data / "cauaxi" / f"ALS_CHM_CAU_{year}.tif"},
            survey=f"cauaxi-{year}",
            name="cauaxi",
            day=date(year, 8, 1),
            crs="EPSG:32722",
        )
        plan = plan_of(folder, "cauaxi", 32722, tables, known)
        assert plan.accepted, render(plan)
        known = KnownSurveys.of([plan.survey])
    assert [p.register_id for p in known.plots] == ["cauaxi"]


def chablais(tmp_path: Path, files: dict[str, Path], datum: str, plots: str = "") -> Path:
    return hand_in(
        tmp_path / "s",
        files,
        survey="chablais3",
        name="chablais",
        day=date(2010, 9, 1),
        crs="EPSG:2154",
        datum=datum,
        plots=plots,
    )


def test_the_chablais_canopy_raster_is_accepted(shared_data: Path, tables: Tables, tmp_path: Path) -> None:
    files = {"chm": shared_data / "chablais3" / "chm_chablais3.tif"}
    folder = chablais(tmp_path, files, "height_above_ground", WHOLE.format("chablais3"))
    plan = plan_of(folder, "chablais", 2154, tables)
    assert plan.accepted, render(plan)
    assert plan.survey.chm is not None and "144 × 146, 0.5 m, float32" in notes(plan, "chm_chablais3.tif")


def chablais_plot(folder: Path) -> None:
    from tests.mrv.bad_inputs import collection

    ring = [[974_345, 6_581_635], [974_395, 6_581_635], [974_395, 6_581_685], [974_345, 6_581_685]]
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    properties = {"plot_id": "3", "register_id": "chablais-3", "species": "モミ"}
    (folder / "plots.geojson").write_text(collection([(properties, geometry)], "EPSG::2154"))


def test_the_chablais_points_are_accepted_and_every_one_is_read(
    shared_data: Path, tables: Tables, tmp_path: Path
) -> None:
    folder = chablais(tmp_path, {"points": shared_data / "chablais3" / "las_chablais3.laz"}, "ellipsoidal")
    chablais_plot(folder)
    manifest = folder / "survey.toml"
    manifest.write_text(manifest.read_text().replace("[files]", '[files]\nplots = "plots.geojson"'))
    plan = plan_of(folder, "chablais", 2154, tables)
    assert plan.accepted, render(plan)
    assert "92,097 points" in notes(plan, "las_chablais3.laz")
    assert plan.survey.points is not None and plan.survey.chm is None
    again = read_survey(plan.survey.files, project("chablais", 2154), tables)
    assert again.plots == plan.survey.plots


def test_the_chablais_points_cut_short_are_refused(shared_data: Path, tables: Tables, tmp_path: Path) -> None:
    folder = chablais(tmp_path, {"points": shared_data / "chablais3" / "las_chablais3.laz"}, "ellipsoidal")
    chablais_plot(folder)
    manifest = folder / "survey.toml"
    manifest.write_text(manifest.read_text().replace("[files]", '[files]\nplots = "plots.geojson"'))
    laz = folder / "las_chablais3.laz"
    data = laz.read_bytes()
    laz.write_bytes(data[: len(data) // 2])
    plan = plan_of(folder, "chablais", 2154, tables)
    assert {p.code for p in plan.refusals} == {"points.damaged"}


def test_points_and_raster_in_one_survey_are_refused_until_one_is_chosen(
    shared_data: Path, tables: Tables, tmp_path: Path
) -> None:
    source = shared_data / "chablais3"
    files = {"points": source / "las_chablais3.laz", "chm": source / "chm_chablais3.tif"}
    folder = chablais(tmp_path, files, "height_above_ground", WHOLE.format("chablais3"))
    plan = plan_of(folder, "chablais", 2154, tables)
    assert [p.code for p in plan.refusals] == ["manifest.canopy"]
    manifest = folder / "survey.toml"
    manifest.write_text(manifest.read_text().replace('points = "las_chablais3.laz"\n', ""))
    plan = plan_of(folder, "chablais", 2154, tables)
    assert plan.accepted, render(plan)
    assert next(f for f in plan.files if f.name.endswith(".laz")).does_en == "kept, not used"


def test_absolute_elevations_of_points_in_another_zone_are_refused(
    shared_data: Path, tables: Tables, tmp_path: Path
) -> None:
    folder = hand_in(
        tmp_path / "s",
        {"points": shared_data / "mixed_conifer" / "MixedConifer.laz"},
        survey="mixed",
        name="mixed",
        day=date(2010, 9, 1),
        crs="EPSG:26911",
        datum="height_above_ground",
        plots=WHOLE.format("mixed"),
    )
    plan = plan_of(folder, "mixed", 26911, tables)
    assert "points.crs_differs" in [p.code for p in plan.refusals]
