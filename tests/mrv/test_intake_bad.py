"""Every bad survey gets one clear refusal in both languages, whatever else it is, and never a traceback."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mrv.intake import render
from mrv.tables import Tables, load_tables
from tests.mrv.bad_inputs import (
    cell,
    codes,
    collection,
    csv_text,
    good_survey,
    heights,
    plot_features,
    raster,
    refused,
    replaced,
    rewrite_trees,
    sample_features,
    surface_and_terrain,
    tree_rows,
    truncate,
    write_tif,
    written,
    zip_bytes,
)

VRT = (
    '<VRTDataset rasterXSize="260" rasterYSize="140"><VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
    "<SourceFilename>/vsicurl/http://127.0.0.1:9/x.tif</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
)
OGR_VRT = '<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>http://127.0.0.1:9/x</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>'
ORTHO = 'chm = "chm.tif"\northo = "ortho.tif"'


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables()


@pytest.fixture
def survey_folder(tmp_path: Path) -> Path:
    return good_survey(tmp_path / "survey")


def both(*changes: Callable[[Path], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        for change in changes:
            change(folder)

    return spoil


def moved_plots(crs: str | None) -> Callable[[Path], object]:
    return written("plots.geojson", collection(plot_features(), crs))


def plot_property(name: str, value: object, number: int = 0) -> Callable[[Path], object]:
    features = plot_features()
    features[number][0][name] = value
    return written("plots.geojson", collection(features))


def sample_property(name: str, value: object) -> Callable[[Path], object]:
    features = sample_features()
    features[0][0][name] = value
    return written("sample_plots.geojson", collection(features))


def shifted(kind: str, number: int, dx: float) -> Callable[[Path], object]:
    features = plot_features() if kind == "plots" else sample_features()
    for corner in features[number][1]["coordinates"][0]:
        corner[0] += dx
    return written(f"{kind}.geojson", collection(features))


def swapped_axes(folder: Path) -> None:
    for name, features in (("plots", plot_features()), ("sample_plots", sample_features())):
        for _, geometry in features:
            for corner in geometry["coordinates"][0]:
                corner.reverse()
        (folder / f"{name}.geojson").write_text(collection(features))


def bow_tie(folder: Path) -> None:
    features = plot_features()
    ring = features[0][1]["coordinates"][0]
    ring[1], ring[2] = ring[2], ring[1]
    (folder / "plots.geojson").write_text(collection(features))


def tall(folder: Path) -> None:
    values = heights()
    values[60:63, 60:63] = 200
    write_tif(folder / "chm.tif", values)


def elevations(folder: Path) -> None:
    write_tif(folder / "chm.tif", heights() + np.float32(95))


def hole_in_b(folder: Path) -> None:
    values = heights()
    values[:, 190:] = -9999
    write_tif(folder / "chm.tif", values)


def scaled(folder: Path) -> None:
    import rasterio

    with rasterio.open(folder / "chm.tif", "r+") as target:
        target.scales = (0.01,)


BAD: list[tuple[str, str, str, Callable[[Path], object]]] = [
    # canopy
    ("a GeoTIFF cut short", "raster.truncated", "chm.tif", truncate),
    (
        "a GeoTIFF cut within its header",
        "raster.truncated",
        "chm.tif",
        written("chm.tif", b"II*\x00\x08\x00\x00\x00"),
    ),
    ("a canopy that misses half of a plot", "raster.not_covering", "plot B", hole_in_b),
    ("a canopy somewhere else", "raster.not_covering", "plot A", raster(left=90_000.0)),
    ("a canopy in another CRS", "raster.crs_differs", "chm.tif", raster(crs="EPSG:32653")),
    ("a canopy in the next zone", "raster.crs_differs", "chm.tif", raster(crs="EPSG:6675")),
    ("a canopy with its unit in feet", "raster.feet", "chm.tif", raster(unit="ft")),
    (
        "a canopy in feet that says nothing",
        "raster.feet",
        "chm.tif",
        raster(values=heights() * np.float32(3.2808)),
    ),
    (
        "a manifest that says feet",
        "raster.feet",
        "chm.tif",
        replaced("survey.toml", 'chm = "chm.tif"', 'chm = {path = "chm.tif", unit = "feet"}'),
    ),
    (
        "a canopy in centimetres",
        "raster.unit",
        "chm.tif",
        replaced("survey.toml", 'chm = "chm.tif"', 'chm = {path = "chm.tif", unit = "cm"}'),
    ),
    ("trees of 200 m", "raster.implausible_height", "chm.tif", tall),
    ("elevations in place of heights", "raster.implausible_height", "chm.tif", elevations),
    ("a raster without a single value", "raster.empty", "chm.tif", raster(values=heights() * 0 - 9999)),
    ("a canopy with three bands", "raster.band", "chm.tif", raster(values=np.stack([heights()] * 3))),
    ("a canopy with a hidden scale", "raster.band", "chm.tif", scaled),
    ("a VRT that points to a URL", "raster.indirect", "chm.tif", written("chm.tif", VRT)),
    (
        "a text that names a URL",
        "raster.indirect",
        "chm.tif",
        written("chm.tif", "/vsicurl/http://127.0.0.1:9/x.tif"),
    ),
    (
        "a picture in place of a raster",
        "raster.not_geotiff",
        "chm.tif",
        written("chm.tif", b"\x89PNG\r\n\x1a\n...."),
    ),
    (
        "an orthomosaic cut short",
        "raster.truncated",
        "ortho.tif",
        both(
            replaced("survey.toml", 'chm = "chm.tif"', ORTHO),
            written("ortho.tif", b"II*\x00\xff\xff\x00\x00"),
        ),
    ),
    # surface and terrain
    (
        "DSM and DTM on two vertical datums",
        "raster.vertical_datum_differs",
        "dsm.tif, dtm.tif",
        lambda f: surface_and_terrain(f, "ellipsoidal", "tokyo_peil"),
    ),
    (
        "DSM and DTM that name one datum but stand 38 m apart",
        "raster.vertical_datum_differs",
        "dsm.tif, dtm.tif",
        lambda f: surface_and_terrain(f, "tokyo_peil", "tokyo_peil", geoid_m=38.0),
    ),
    (
        "DSM and DTM without a datum",
        "raster.vertical_datum_missing",
        "dsm.tif, dtm.tif",
        lambda f: surface_and_terrain(f, "", ""),
    ),
    (
        "a DSM without a DTM",
        "manifest.canopy",
        "survey.toml",
        replaced("survey.toml", 'chm = "chm', 'dsm = "chm'),
    ),
    # coordinate systems
    (
        "no CRS anywhere",
        "crs.missing",
        "survey.toml survey.crs",
        replaced("survey.toml", 'crs = "EPSG:6674"\n', ""),
    ),
    (
        "a CRS that is none",
        "manifest.crs",
        "survey.toml survey.crs",
        replaced("survey.toml", "EPSG:6674", "zone 6"),
    ),
    (
        "a CRS in degrees",
        "crs.not_plane",
        "survey.toml survey.crs",
        replaced("survey.toml", "EPSG:6674", "EPSG:6668"),
    ),
    (
        "another CRS than the project's",
        "crs.not_project",
        "survey.crs",
        replaced("survey.toml", "6674", "6675"),
    ),
    ("plots on the Tokyo datum without its grid", "crs.ballpark", "plots.geojson", moved_plots("EPSG::4301")),
    (
        "plots on the old plane of the Tokyo datum",
        "crs.ballpark",
        "plots.geojson",
        moved_plots("EPSG::30166"),
    ),
    ("plots in a CRS nobody knows", "crs.unknown", "plots.geojson", moved_plots("EPSG::999999")),
    ("plots with north before east", "plots.outside_crs", "plots.geojson plot A", swapped_axes),
    # plots and sample plots
    ("two plots that overlap", "plots.overlap", "plots.geojson", shifted("plots", 1, -40)),
    ("a plot id twice", "plots.id_twice", "plots.geojson", plot_property("plot_id", "A", 1)),
    (
        "a register id twice",
        "plots.register_id_twice",
        "plots.geojson",
        plot_property("register_id", "24209-001-い-0", 1),
    ),
    ("a plot without register id", "plots.attribute_missing", "plot A", plot_property("register_id", None)),
    ("a plot of unknown species", "species.unknown", "plot A", plot_property("species", "ユグドラシル")),
    (
        "a plot planted in no year",
        "plots.planted_year",
        "plot A",
        plot_property("planted_year", "before the war"),
    ),
    (
        "a plot of negative register area",
        "plots.register_area",
        "plot A",
        plot_property("register_area_ha", -1),
    ),
    ("a polygon that crosses itself", "vector.geometry", "feature 1", bow_tie),
    ("polygons as OGR VRT", "vector.indirect", "plots.geojson", written("plots.geojson", OGR_VRT)),
    (
        "polygons that are no JSON",
        "vector.unreadable",
        "plots.geojson",
        written("plots.geojson", '{"type": "Fea'),
    ),
    (
        "polygons of no known type",
        "vector.unreadable",
        "plots.geojson",
        written("plots.geojson", b"\x00\x01\x02"),
    ),
    (
        "a sample plot out of its plot",
        "sample_plots.outside",
        "sample plot A-0",
        shifted("sample_plots", 0, -40),
    ),
    (
        "a sample plot of no plot",
        "sample_plots.unknown_plot",
        "sample plot A-0",
        sample_property("plot_id", "Z"),
    ),
    (
        "sample plots that overlap",
        "sample_plots.overlap",
        "sample_plots.geojson",
        shifted("sample_plots", 0, 30),
    ),
    (
        "tagged neither yes nor no",
        "sample_plots.tagged",
        "sample plot A-0",
        sample_property("tagged", "maybe"),
    ),
    # tree list
    (
        "a tree of unknown species",
        "species.unknown",
        "trees.csv row 5, species",
        cell(5, "species", "謎の木"),
    ),
    (
        "diameters in millimetres",
        "trees.dbh_mm",
        "trees.csv dbh_cm",
        rewrite_trees(lambda rows: [r.__setitem__(3, str(round(float(r[3]) * 10))) for r in rows[1:]]),
    ),
    (
        "heights in centimetres",
        "trees.height_unit",
        "trees.csv height_m",
        rewrite_trees(lambda rows: [r.__setitem__(4, str(round(float(r[4]) * 100))) for r in rows[1:]]),
    ),
    ("a tag twice", "trees.duplicate", "trees.csv row 4, tag", cell(4, "tag", "001")),
    ("a tree without tag", "trees.tag_missing", "trees.csv row 7, tag", cell(7, "tag", "")),
    (
        "a tree of no sample plot",
        "trees.unknown_sample_plot",
        "trees.csv row 9",
        cell(9, "sample_plot", "Z-9"),
    ),
    ("a word for a diameter", "trees.not_a_number", "trees.csv row 3, dbh_cm", cell(3, "dbh_cm", "太い")),
    (
        "an error of a spreadsheet",
        "trees.not_a_number",
        "trees.csv row 3, height_m",
        cell(3, "height_m", "#REF!"),
    ),
    (
        "a standing tree without height",
        "trees.heights_too_few",
        "trees.csv row 3, height_m",
        cell(3, "height_m", ""),
    ),
    ("a negative diameter", "trees.negative", "trees.csv row 3, dbh_cm", cell(3, "dbh_cm", "-20")),
    ("one tree of 250 cm", "trees.dbh_range", "trees.csv row 3, dbh_cm", cell(3, "dbh_cm", "250")),
    ("one tree of 90 m", "trees.height_range", "trees.csv row 3, height_m", cell(3, "height_m", "90")),
    ("a status that is none", "trees.status", "trees.csv row 3, status", cell(3, "status", "happy")),
    ("a column missing", "table.columns", "trees.csv", rewrite_trees(lambda rows: [r.pop(3) for r in rows])),
    (
        "a column twice",
        "table.columns",
        "trees.csv",
        rewrite_trees(lambda rows: rows[0].__setitem__(6, "樹高")),
    ),
    (
        "a tree list without trees",
        "table.empty",
        "trees.csv",
        rewrite_trees(lambda rows: rows.__delitem__(slice(1, None))),
    ),
    (
        "a tree list that is no text",
        "text.encoding",
        "trees.csv",
        written("trees.csv", b"\x81\xff\xfe\x00\x9f\xfd"),
    ),
    (
        "a workbook that is none",
        "table.unreadable",
        "trees.csv",
        written("trees.csv", b"PK\x03\x04 not a zip"),
    ),
    (
        "a workbook with XML entities",
        "table.unreadable",
        "trees.csv",
        written("trees.csv", zip_bytes({"xl/workbook.xml": b'<!DOCTYPE x [<!ENTITY a "b">]><x/>'})),
    ),
    # actions
    (
        "an action in no plot",
        "actions.unknown_plot",
        "actions.csv row 2",
        replaced("actions.csv", "A,2020", "Z,2020"),
    ),
    ("an action of no kind", "actions.kind", "actions.csv row 2", replaced("actions.csv", "thin", "dance")),
    (
        "an action on no day",
        "actions.date",
        "actions.csv row 2",
        replaced("actions.csv", "2020-11-05", "last autumn"),
    ),
    (
        "an action larger than its plot",
        "actions.area",
        "actions.csv row 2",
        replaced("actions.csv", "0.5", "50"),
    ),
    # manifest
    ("no manifest", "manifest.missing", "survey.toml", lambda f: os.remove(f / "survey.toml")),
    ("a manifest that is no TOML", "manifest.invalid", "survey.toml", written("survey.toml", "[survey\nid=")),
    ("a manifest without tables", "manifest.invalid", "survey.toml", written("survey.toml", 'survey = "x"')),
    ("a file that is not there", "manifest.file_missing", "files.chm", lambda f: os.remove(f / "chm.tif")),
    (
        "a file outside the survey",
        "manifest.path",
        "files.chm",
        replaced("survey.toml", '"chm.tif"', '"../chm.tif"'),
    ),
    (
        "a file at a URL",
        "manifest.path",
        "files.chm",
        replaced("survey.toml", '"chm.tif"', '"http://127.0.0.1:9/c"'),
    ),
    (
        "a file in GDAL's virtual world",
        "manifest.path",
        "files.chm",
        replaced("survey.toml", '"chm', '"/vsicurl/chm'),
    ),
    (
        "another project's survey",
        "manifest.project",
        "survey.project",
        replaced("survey.toml", "test-forest", "other"),
    ),
    ("a day that is none", "manifest.date", "survey.date", replaced("survey.toml", "2021-10-20", '"autumn"')),
    (
        "an id with a path in it",
        "manifest.id",
        "survey.id",
        replaced("survey.toml", "test-2021", "../../etc"),
    ),
    (
        "a design that is none",
        "manifest.kind",
        "design.kind",
        replaced("survey.toml", "stratified", "by eye"),
    ),
    (
        "no plots at all",
        "manifest.plots",
        "files.plots",
        both(
            replaced("survey.toml", 'plots = "plots.geojson"\nsample_plots = "sample_plots.geojson"\n', ""),
            replaced("survey.toml", 'trees = "trees.csv"\nactions = "actions.csv"\n', ""),
            replaced("survey.toml", "stratified", "none"),
        ),
    ),
    (
        "sample plots without trees",
        "design.incomplete",
        "survey.toml",
        replaced("survey.toml", 'trees = "trees.csv"\n', ""),
    ),
    (
        "a simulated survey that hides it",
        "survey.simulated",
        "survey.simulated",
        written("SIMULATED.txt", "made up"),
    ),
    (
        "a simulated survey in a real project",
        "survey.simulated",
        "survey.simulated",
        replaced("survey.toml", "date =", "simulated = true\ndate ="),
    ),
]


@pytest.mark.parametrize(("code", "where", "spoil"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_one_clear_refusal_for(
    code: str, where: str, spoil: Callable[[Path], object], survey_folder: Path, tables: Tables
) -> None:
    spoil(survey_folder)
    plan = refused(survey_folder, tables)
    assert set(codes(plan)) == {code}, render(plan)
    assert where in plan.refusals[0].where


def test_a_design_nobody_knows_is_not_also_called_none(survey_folder: Path, tables: Tables) -> None:
    replaced("survey.toml", "stratified", "by eye")(survey_folder)
    assert [p.code for p in refused(survey_folder, tables).problems] == ["manifest.kind"]


def test_a_refused_upload_is_wholly_listed_and_left_as_it_was(survey_folder: Path, tables: Tables) -> None:
    cell(5, "species", "謎の木")(survey_folder)
    before = {p.name: p.read_bytes() for p in survey_folder.iterdir()}
    plan = refused(survey_folder, tables)
    assert {f.name for f in plan.files} == set(before)
    assert all("quarantine" in f.does_en for f in plan.files)
    assert {p.name: p.read_bytes() for p in survey_folder.iterdir()} == before


def test_all_faults_are_told_at_once(survey_folder: Path, tables: Tables) -> None:
    truncate(survey_folder)
    rows = tree_rows()
    rows[1][2], rows[4][3], rows[8][1] = "謎", "x", rows[7][1]
    (survey_folder / "trees.csv").write_text(csv_text(rows))
    swapped = plot_features()
    swapped[1][0]["register_id"] = ""
    found = codes(refused(survey_folder, tables))
    assert {"raster.truncated", "species.unknown", "trees.not_a_number", "trees.duplicate"} <= set(found)


def test_a_thousand_like_faults_make_one_problem_that_names_the_first_rows(
    survey_folder: Path, tables: Tables
) -> None:
    rewrite_trees(lambda rows: [r.__setitem__(2, "謎") for r in rows[1:]])(survey_folder)
    plan = refused(survey_folder, tables)
    assert len(plan.refusals) == 1
    assert plan.refusals[0].where == "trees.csv row 2, 3, 4, 5, 6, 7, 8, 9, … (40 in all), species"


def test_how_much_of_a_plot_is_covered_is_said(survey_folder: Path, tables: Tables) -> None:
    hole_in_b(survey_folder)
    problem = next(p for p in refused(survey_folder, tables).refusals if p.where == "chm.tif plot B")
    assert "50.0%" in problem.got_en and "50.0%" in problem.got_ja
