"""A good survey is accepted and read exactly, in every form that teams use."""

from __future__ import annotations

import json
import time
import zipfile
from dataclasses import replace
from datetime import date
from fractions import Fraction
from pathlib import Path

import numpy as np
import openpyxl
import pyogrio
import pytest
import shapely
from pyproj import CRS, Transformer

from mrv.errors import Refusal
from mrv.intake import IntakePlan, KnownSurveys, plan_intake, read_survey, render
from mrv.readers.text import exact, read_day, read_year
from mrv.tables import Tables, load_tables
from tests.mrv.bad_inputs import (
    LEFT,
    PROJECT,
    TOP,
    change_cells,
    collection,
    csv_text,
    edit,
    good_survey,
    heights,
    plot_features,
    sample_features,
    surface_and_terrain,
    tree_rows,
    write_tif,
    zip_of,
)


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables()


@pytest.fixture
def survey_folder(tmp_path: Path) -> Path:
    return good_survey(tmp_path / "survey")


def plan_of(upload: Path, tables: Tables) -> IntakePlan:
    return plan_intake(upload, PROJECT, KnownSurveys(), tables)


def accepted(upload: Path, tables: Tables):
    plan = plan_of(upload, tables)
    assert plan.accepted, render(plan)
    return plan.survey


def warned(upload: Path, tables: Tables) -> list[str]:
    plan = plan_of(upload, tables)
    assert plan.accepted, render(plan)
    return [p.code for p in plan.warnings]


def test_a_good_survey_is_accepted_without_a_word(survey_folder: Path, tables: Tables) -> None:
    plan = plan_of(survey_folder, tables)
    assert plan.accepted and plan.problems == ()
    survey = plan.survey
    assert (survey.survey_id, survey.day, survey.epsg) == ("test-2021", date(2021, 10, 20), 6674)
    assert [p.species for p in survey.plots] == ["hinoki", "sugi"]
    assert [s.plot_id for s in survey.sample_plots] == ["A", "A", "B", "B"]
    assert all(s.area_mm2 == 400 * 10**6 and s.tagged for s in survey.sample_plots)
    assert len(survey.trees) == 40 and survey.chm.name == "chm.tif"
    assert survey.trees.dbh_mm[:2].tolist() == [187, 194] and survey.trees.height_mm[0] == 14_200
    assert set(survey.trees.planted_year.tolist()) == {1985}
    assert survey.actions[0].kind == "thin" and survey.actions[0].area_ha == "0.5"


def test_the_plan_is_a_plain_document_that_names_every_file_and_its_hash(
    survey_folder: Path, tables: Tables
) -> None:
    plan = plan_of(survey_folder, tables)
    doc = json.loads(json.dumps(plan.to_doc()))
    assert doc["accepted"] is True and doc["survey"]["trees"] == 40
    assert {f["name"]: f["role"] for f in doc["files"]}["chm.tif"] == "chm"
    assert all(f["digest"].startswith("sha256:") for f in doc["files"])
    assert "ACCEPTED" in render(plan, "en") and "受理" in render(plan, "ja")


def test_a_zip_a_zip_of_a_folder_and_the_folder_are_one_survey(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    flat = zip_of(survey_folder, tmp_path / "flat.zip")
    nested = zip_of(survey_folder, tmp_path / "nested.zip", inside="調査2021/")
    plans = [plan_of(p, tables) for p in (survey_folder, flat, nested)]
    assert all(p.accepted for p in plans)
    assert len({p.content_digest for p in plans}) == 1
    assert plans[1].upload_digest != plans[0].upload_digest
    assert plans[1].survey.chm.read_bytes() == (survey_folder / "chm.tif").read_bytes()


def test_the_leftovers_of_a_mac_or_windows_folder_do_not_matter(survey_folder: Path, tables: Tables) -> None:
    digest = plan_of(survey_folder, tables).content_digest
    (survey_folder / ".DS_Store").write_bytes(b"x")
    (survey_folder / "Thumbs.db").write_bytes(b"x")
    assert plan_of(survey_folder, tables).content_digest == digest


def test_a_file_the_manifest_does_not_name_is_kept_and_said_to_be_unused(
    survey_folder: Path, tables: Tables
) -> None:
    (survey_folder / "memo.txt").write_text("雨")
    plan = plan_of(survey_folder, tables)
    memo = next(f for f in plan.files if f.name == "memo.txt")
    assert plan.accepted and memo.role == "" and "not used" in memo.does_en
    assert "memo.txt" in plan.survey.files


def test_reading_again_from_blobs_gives_the_same_survey(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    survey = accepted(zip_of(survey_folder, tmp_path / "s.zip"), tables)
    again = read_survey(survey.files, PROJECT, tables)
    assert again.plots == survey.plots and again.sample_plots == survey.sample_plots
    assert again.actions == survey.actions and again.digest_inputs == survey.digest_inputs
    assert np.array_equal(again.trees.dbh_mm, survey.trees.dbh_mm)


def test_reading_again_refuses_what_intake_refuses(survey_folder: Path, tables: Tables) -> None:
    survey = accepted(survey_folder, tables)
    without = {name: blob for name, blob in survey.files.items() if name != "trees.csv"}
    with pytest.raises(Refusal) as refusal:
        read_survey(without, PROJECT, tables)
    assert "manifest.file_missing" in refusal.value.codes


def test_cp932_text_with_japanese_headers_and_full_width_digits_reads_the_same(
    survey_folder: Path, tables: Tables
) -> None:
    expected = accepted(survey_folder, tables).trees
    rows = tree_rows()
    rows[0] = ["標準地番号", "立木番号", "樹種", "胸高直径(cm)", "樹高(m)", "状態", "植栽年"]
    change_cells(rows, "樹種", lambda s: {"hinoki": "桧", "スギ": "杉"}[s])
    change_cells(rows, "状態", lambda _: "生立木")
    wide = str.maketrans("0123456789.", "０１２３４５６７８９．")
    change_cells(rows, "胸高直径(cm)", lambda s: s.translate(wide))
    change_cells(rows, "植栽年", lambda _: "昭和６０年")
    (survey_folder / "trees.csv").write_bytes(csv_text(rows).encode("cp932"))
    plan = plan_of(survey_folder, tables)
    assert plan.accepted, render(plan)
    trees = plan.survey.trees
    assert np.array_equal(trees.dbh_mm, expected.dbh_mm) and np.array_equal(trees.species, expected.species)
    assert set(trees.planted_year.tolist()) == {1985}
    notes = next(f for f in plan.files if f.name == "trees.csv").notes_en
    assert any("CP932" in note for note in notes)


def test_an_excel_tree_list_reads_the_same_as_csv(survey_folder: Path, tables: Tables) -> None:
    expected = accepted(survey_folder, tables).trees
    book = openpyxl.Workbook()
    for number, row in enumerate(tree_rows()):
        values = [float(v) if number and i in (3, 4) else v for i, v in enumerate(row)]
        book.active.append(values)
    book.save(survey_folder / "trees.xlsx")
    edit(survey_folder, "survey.toml", "trees.csv", "trees.xlsx")
    trees = accepted(survey_folder, tables).trees
    assert np.array_equal(trees.dbh_mm, expected.dbh_mm) and np.array_equal(trees.tag, expected.tag)


def test_trees_that_no_longer_stand_need_no_measures(survey_folder: Path, tables: Tables) -> None:
    rows = tree_rows()
    for row, status in ((1, "cut"), (2, "枯死"), (3, "missing")):
        rows[row][3:6] = ["", "", status]
    (survey_folder / "trees.csv").write_text(csv_text(rows))
    trees = accepted(survey_folder, tables).trees
    assert trees.status[:4].tolist() == ["cut", "dead", "missing", "alive"]
    assert trees.dbh_mm[:3].tolist() == [0, 0, 0]


def test_plots_in_degrees_come_to_the_same_place_and_the_plan_says_how(
    survey_folder: Path, tables: Tables
) -> None:
    straight = accepted(survey_folder, tables)
    to_degrees = Transformer.from_crs(6674, 6668, always_xy=True)
    features = [
        (p, {"type": "Polygon", "coordinates": [[to_degrees.transform(*xy) for xy in g["coordinates"][0]]]})
        for p, g in plot_features()
    ]
    (survey_folder / "plots.geojson").write_text(collection(features, "EPSG::6668"))
    plan = plan_of(survey_folder, tables)
    assert plan.accepted, render(plan)
    for one, other in zip(straight.plots, plan.survey.plots, strict=True):
        shift = np.abs(np.array(one.rings_mm[0]) - np.array(other.rings_mm[0]))
        assert shift.max() <= 1
    notes = next(f for f in plan.files if f.name == "plots.geojson").notes_en
    assert any("transformed from JGD2011" in note for note in notes)


def test_geojson_without_a_crs_is_degrees_by_its_standard(survey_folder: Path, tables: Tables) -> None:
    to_degrees = Transformer.from_crs(6674, 4326, always_xy=True)
    features = [
        (p, {"type": "Polygon", "coordinates": [[to_degrees.transform(*xy) for xy in g["coordinates"][0]]]})
        for p, g in plot_features()
    ]
    (survey_folder / "plots.geojson").write_text(collection(features, None))
    assert accepted(survey_folder, tables).plots[0].rings_mm[0][0] == (17_020_000, -213_820_000)


def test_geojson_without_a_crs_but_with_metres_takes_the_manifests(
    survey_folder: Path, tables: Tables
) -> None:
    expected = accepted(survey_folder, tables).plots
    (survey_folder / "plots.geojson").write_text(collection(plot_features(), None))
    assert accepted(survey_folder, tables).plots == expected


@pytest.mark.parametrize("suffix", [".gpkg", ".shp"])
def test_geopackage_and_shapefile_read_the_same_as_geojson(
    survey_folder: Path, tables: Tables, suffix: str, tmp_path: Path
) -> None:
    expected = accepted(survey_folder, tables).plots
    properties = [p for p, _ in plot_features()]
    shapes = np.array([shapely.to_wkb(shapely.geometry.shape(g)) for _, g in plot_features()], dtype=object)
    names = {"plot_id": "plot_id", "register_id": "register", "name": "name", "species": "species"}
    if suffix == ".gpkg":
        names |= {"register_id": "register_id"}
    columns = [np.array([p[k] for p in properties], dtype=object) for k in names]
    columns += [np.array([1985, 1985]), np.array([1.02, 1.02])]
    fields = [*names.values(), "植栽年", "面積"]
    pyogrio.raw.write(
        survey_folder / f"plots{suffix}",
        geometry=shapes,
        field_data=columns,
        fields=fields,
        geometry_type="Polygon",
        crs="EPSG:6674",
        encoding="utf-8",
    )
    edit(survey_folder, "survey.toml", 'plots.geojson"\nsample', f'plots{suffix}"\nsample')
    for upload in (survey_folder, zip_of(survey_folder, tmp_path / "s.zip")):
        read = accepted(upload, tables).plots
        assert [(p.plot_id, p.register_id, p.species, p.planted_year) for p in read] == [
            (p.plot_id, p.register_id, p.species, p.planted_year) for p in expected
        ]
        assert [p.area_mm2 for p in read] == [p.area_mm2 for p in expected]


def test_a_plot_with_a_hole_and_a_part_apart_has_its_even_odd_area(
    survey_folder: Path, tables: Tables
) -> None:
    features = plot_features()
    outer = features[0][1]["coordinates"][0]
    x, y = LEFT + 90, TOP - 90
    hole = [[x, y], [x + 10, y], [x + 10, y - 10], [x, y - 10], [x, y]]
    island = [[x + 2, y - 2], [x + 2, y - 4], [x + 4, y - 4], [x + 4, y - 2], [x + 2, y - 2]]
    features[0] = (features[0][0], {"type": "MultiPolygon", "coordinates": [[outer, hole], [island]]})
    before = accepted(survey_folder, tables).plots[0].area_mm2
    (survey_folder / "plots.geojson").write_text(collection(features))
    plot = accepted(survey_folder, tables).plots[0]
    assert Fraction(plot.area_mm2, before) == pytest.approx(Fraction(10_000 - 100 + 4, 10_000), rel=1e-9)


@pytest.mark.parametrize(
    ("epsg", "x", "y"),
    [
        (6674, 17_500, -214_000),
        (32611, 439_700, 5_526_500),
        (2154, 974_353, 6_581_642),
        (32722, 779_300, 9_585_300),
    ],
)
def test_plot_area_is_the_geodesic_area_to_a_part_in_fifty_million(epsg: int, x: int, y: int) -> None:
    """Golden: Karney's polygon area (GeographicLib, through pyproj.Geod)."""
    from mrv.readers.plots import ellipsoid_area_mm2

    crs = CRS.from_epsg(epsg)
    corners = [(x, y), (x + 310, y), (x + 290, y + 205)]
    ring = tuple((1000 * a, 1000 * b) for a, b in corners)
    steps = np.linspace(0, 1, 50, endpoint=False)[:, None]
    # Edges are straight on the plane, not along geodesics: short pieces make both the same line.
    dense = np.vstack(
        [a + (b - a) * steps for a, b in zip(np.array(corners), np.roll(corners, -1, 0), strict=True)]
    )
    to_degrees = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    lon, lat = to_degrees.transform(dense[:, 0], dense[:, 1])
    geodesic_m2, _ = crs.get_geod().polygon_area_perimeter(lon, lat)
    assert ellipsoid_area_mm2((ring,), crs) == pytest.approx(abs(geodesic_m2) * 1e6, rel=2e-8)


def test_surface_and_laser_terrain_on_one_datum_are_accepted(survey_folder: Path, tables: Tables) -> None:
    surface_and_terrain(survey_folder, "tokyo_peil", "T.P.")
    survey = accepted(survey_folder, tables)
    assert survey.chm is None and survey.dsm.name == "dsm.tif"
    assert survey.vertical_datum == "tokyo_peil"


def test_a_terrain_that_is_not_from_laser_is_let_in_with_a_warning(
    survey_folder: Path, tables: Tables
) -> None:
    surface_and_terrain(survey_folder, "tokyo_peil", "tokyo_peil", source="photogrammetry")
    assert warned(survey_folder, tables) == ["raster.dtm_not_laser"]


def test_a_survey_of_canopy_alone_is_let_in_with_a_warning(survey_folder: Path, tables: Tables) -> None:
    edit(survey_folder, "survey.toml", 'sample_plots = "sample_plots.geojson"\ntrees = "trees.csv"\n', "")
    edit(survey_folder, "survey.toml", "stratified", "none")
    assert warned(survey_folder, tables) == ["design.no_probability_sample"]


def test_untagged_sample_plots_are_let_in_but_warned_that_no_change_follows(
    survey_folder: Path, tables: Tables
) -> None:
    features = [({**p, "tagged": False}, g) for p, g in sample_features()]
    (survey_folder / "sample_plots.geojson").write_text(collection(features))
    assert warned(survey_folder, tables) == ["sample_plots.untagged"]


def test_small_gaps_are_let_in_and_their_share_is_said(survey_folder: Path, tables: Tables) -> None:
    values = heights()
    values[20:35, 20:40] = -9999  # 300 of plot A's 10,000 cells, none in a sample plot
    write_tif(survey_folder / "chm.tif", values)
    plan = plan_of(survey_folder, tables)
    assert plan.accepted, render(plan)
    gap = next(p for p in plan.warnings if p.code == "raster.gaps")
    assert gap.where == "chm.tif plot A" and "97.0%" in gap.got_en


def test_impossible_numbers_are_nodata_though_the_file_does_not_say_so(
    survey_folder: Path, tables: Tables
) -> None:
    values = heights().astype("float64")
    values[:10] = -1.7e308
    write_tif(survey_folder / "chm.tif", values, nodata=-3.4e38)
    plan = plan_of(survey_folder, tables)
    assert plan.accepted, render(plan)
    assert [p.code for p in plan.warnings] == ["raster.undeclared_nodata"]
    notes = next(f for f in plan.files if f.name == "chm.tif").notes_en
    assert any("92.9% of cells" in n for n in notes)


def test_side_files_beside_a_raster_are_not_read(survey_folder: Path, tables: Tables) -> None:
    write_tif(survey_folder / "chm.tif", heights())
    (survey_folder / "chm.tif.aux.xml").write_text(
        '<PAMDataset><SRS>EPSG:4301</SRS><PAMRasterBand band="1"><UnitType>ft</UnitType></PAMRasterBand></PAMDataset>'
    )
    (survey_folder / "chm.tfw").write_text("9\n0\n0\n-9\n0\n0\n")
    before = sorted(p.name for p in survey_folder.iterdir())
    assert accepted(survey_folder, tables).chm is not None
    assert sorted(p.name for p in survey_folder.iterdir()) == before


def test_a_resurvey_of_the_same_plots_is_accepted(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    from tests.mrv.bad_inputs import second_survey

    known = KnownSurveys.of([accepted(survey_folder, tables)])
    plan = plan_intake(second_survey(tmp_path / "second"), PROJECT, known, tables)
    assert plan.accepted and plan.problems == (), render(plan)


def test_neighbours_that_share_a_sliver_are_accepted(survey_folder: Path, tables: Tables) -> None:
    features = plot_features()
    for corner in features[1][1]["coordinates"][0]:
        corner[0] -= 20.5  # half a metre over the border: 50 m², 0.5 %
    (survey_folder / "plots.geojson").write_text(collection(features))
    plan = plan_of(survey_folder, tables)
    assert plan.accepted, render(plan)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2021-10-20", date(2021, 10, 20)),
        ("2021/10/20", date(2021, 10, 20)),
        ("２０２１年１０月２０日", date(2021, 10, 20)),
        ("令和3年10月20日", date(2021, 10, 20)),
        ("R3.10.20", date(2021, 10, 20)),
        ("平成31年4月30日", date(2019, 4, 30)),
        ("令和元年5月1日", date(2019, 5, 1)),
        ("20211020", date(2021, 10, 20)),
        ("2021-02-30", None),
        ("20/10/2021", None),
        ("", None),
    ],
)
def test_days_are_read_as_teams_write_them(text: str, day: date | None) -> None:
    assert read_day(text) == day


@pytest.mark.parametrize(
    ("text", "year"), [("1985", 1985), ("昭和60年", 1985), ("S60", 1985), ("85", None), ("x", None)]
)
def test_years_are_read_as_teams_write_them(text: str, year: int | None) -> None:
    assert read_year(text) == year


@pytest.mark.parametrize("text", ["nan", "inf", "1e5", "12,5", "12cm", "0x10", "1_000", "", "--3"])
def test_only_plain_decimals_are_numbers(text: str) -> None:
    assert exact(text) is None


def test_a_simulated_survey_says_so_in_plan_and_verdict(survey_folder: Path, tables: Tables) -> None:
    edit(survey_folder, "survey.toml", "date =", "simulated = true\ndate =")
    plan = plan_intake(survey_folder, replace(PROJECT, simulated=True), KnownSurveys(), tables)
    assert plan.accepted and plan.survey.simulated
    assert "SIMULATED" in render(plan, "en") and "模擬データ" in render(plan, "ja")


def test_nothing_is_written_beside_the_upload(survey_folder: Path, tables: Tables, tmp_path: Path) -> None:
    archive = zip_of(survey_folder, tmp_path / "s.zip")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")}
    plan_of(archive, tables)
    plan_of(survey_folder, tables)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_a_zip_from_japanese_windows_keeps_its_names(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    edit(survey_folder, "survey.toml", "trees.csv", "毎木.csv")
    target = tmp_path / "win.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for path in sorted(survey_folder.iterdir()):
            archive.write(path, "abcd.csv" if path.name == "trees.csv" else path.name)
    target.write_bytes(target.read_bytes().replace(b"abcd.csv", "毎木.csv".encode("cp932")))
    with zipfile.ZipFile(target) as archive:
        assert "毎木.csv" not in archive.namelist()
    assert len(accepted(target, tables).trees) == 40


def test_a_demo_sized_survey_is_planned_in_two_seconds(tmp_path: Path, tables: Tables) -> None:
    folder = good_survey(tmp_path / "big")
    rng = np.random.Generator(np.random.Philox(7))
    chm = np.rint(rng.random((1900, 1900)) * 2000).astype("float32") / 100
    chm[:200, :300] = np.kron(heights(), np.ones((2, 2), dtype="float32"))[:200, :300]
    write_tif(folder / "chm.tif", chm, tiled=True)
    write_tif(folder / "ortho.tif", np.zeros((3, 1900, 1900), dtype="uint8") + 90)
    edit(folder, "survey.toml", 'chm = "chm.tif"', 'chm = "chm.tif"\northo = "ortho.tif"')
    start = time.perf_counter()
    plan = plan_of(folder, tables)
    assert plan.accepted, render(plan)
    assert time.perf_counter() - start <= 2.0
