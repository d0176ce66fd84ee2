"""Hostile archives, repeated surveys, ground claimed twice: refused, in both languages, before any harm."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrv.errors import Refusal
from mrv.intake import KnownPlot, KnownSurveys, plan_intake, read_survey, render
from mrv.tables import Tables, load_tables
from tests.mrv.bad_inputs import (
    PROJECT,
    cell,
    codes,
    collection,
    edit,
    good_survey,
    plot_features,
    refused,
    second_survey,
    zip_bytes,
    zip_of,
    zip_with_link,
)


@pytest.fixture(scope="session")
def tables() -> Tables:
    return load_tables()


@pytest.fixture
def survey_folder(tmp_path: Path) -> Path:
    return good_survey(tmp_path / "survey")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("../evil.txt", "archive.path"),
        ("a/../../evil.txt", "archive.path"),
        ("/etc/evil.txt", "archive.path"),
        ("..\\evil.txt", "archive.path"),
        ("C:evil.txt", "archive.path"),
        ("inner.zip", "archive.nested"),
        ("CHM.TIF", "archive.name_twice"),
    ],
)
def test_a_zip_with_a_hostile_name_is_refused_and_nothing_is_unpacked(
    survey_folder: Path, tables: Tables, tmp_path: Path, name: str, code: str
) -> None:
    upload = zip_of(survey_folder, tmp_path / "s.zip", extra={name: b"x"})
    before = sorted(tmp_path.rglob("*"))
    assert codes(refused(upload, tables)) == [code]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_with_a_link_is_refused(survey_folder: Path, tables: Tables, tmp_path: Path) -> None:
    assert codes(refused(zip_with_link(survey_folder, tmp_path / "s.zip"), tables)) == ["archive.link"]


def test_a_folder_with_a_link_is_refused(survey_folder: Path, tables: Tables) -> None:
    (survey_folder / "notes.txt").symlink_to("/etc/passwd")
    assert codes(refused(survey_folder, tables)) == ["archive.link"]


def test_an_empty_zip_is_refused(tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "empty.zip").write_bytes(zip_bytes({}))
    assert codes(refused(tmp_path / "empty.zip", tables)) == ["archive.empty"]


def test_an_empty_folder_is_refused(tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert codes(refused(tmp_path / "empty", tables)) == ["archive.empty"]


def test_no_file_at_all_is_refused(tables: Tables, tmp_path: Path) -> None:
    assert codes(refused(tmp_path / "nowhere.zip", tables)) == ["upload.missing"]


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04rest"])
def test_a_file_that_is_no_zip_is_refused(tables: Tables, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "s.zip").write_bytes(data)
    assert codes(refused(tmp_path / "s.zip", tables)) == ["archive.damaged"]


def test_a_zip_with_a_damaged_member_is_refused_by_the_members_name(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    upload = zip_of(survey_folder, tmp_path / "s.zip")
    with zipfile.ZipFile(upload) as archive:
        info = archive.getinfo("chm.tif")
    data = bytearray(upload.read_bytes())
    data[info.header_offset + 200] ^= 0xFF
    upload.write_bytes(data)
    plan = refused(upload, tables)
    assert codes(plan) == ["archive.damaged"] and plan.refusals[0].where == "chm.tif"


def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    upload = zip_of(survey_folder, tmp_path / "s.zip", extra={"zeros.bin": bytes(64 << 20)})
    assert upload.stat().st_size < 1 << 20
    assert codes(refused(upload, tables)) == ["archive.bomb"]


def test_a_zip_of_very_many_files_is_refused(tables: Tables, tmp_path: Path) -> None:
    (tmp_path / "s.zip").write_bytes(zip_bytes({f"{n}.txt": b"" for n in range(2001)}))
    assert codes(refused(tmp_path / "s.zip", tables)) == ["archive.bomb"]


@pytest.mark.parametrize(
    "options", [{"blockxsize": 512, "blockysize": 512, "tiled": True}, {"blockysize": 30_000}]
)
def test_a_raster_that_decodes_to_gigabytes_of_nothing_is_refused_by_its_header(
    survey_folder: Path, tables: Tables, options: dict[str, object]
) -> None:
    import rasterio

    with rasterio.open(
        survey_folder / "chm.tif",
        "w",
        driver="GTiff",
        width=30_000,
        height=30_000,
        count=1,
        dtype="float32",
        crs="EPSG:6674",
        transform=rasterio.Affine(1, 0, 17_000, 0, -1, -213_800),
        sparse_ok=True,
        compress="deflate",
        **options,
    ):
        pass  # fmt: skip
    assert codes(refused(survey_folder, tables)) == ["raster.too_large"]


def test_the_same_survey_twice_is_refused_as_zip_or_folder(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    first = plan_intake(survey_folder, PROJECT, KnownSurveys(), tables)
    known = KnownSurveys.of([first.survey])
    for upload in (survey_folder, zip_of(survey_folder, tmp_path / "again.zip")):
        plan = refused(upload, tables, known)
        assert codes(plan) == ["survey.duplicate"] and "test-2021" in plan.refusals[0].got_en


def test_an_old_survey_under_a_new_name_is_refused(survey_folder: Path, tables: Tables) -> None:
    known = KnownSurveys.of([plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey])
    edit(survey_folder, "survey.toml", "test-2021", "test-2025")
    edit(survey_folder, "survey.toml", "2021-10-20", "2025-10-20")
    plan = refused(survey_folder, tables, known)
    assert codes(plan) == ["survey.file_reused", "survey.file_reused"]
    assert {p.where for p in plan.refusals} == {"test-2025 chm", "test-2025 trees"}


def test_a_new_survey_under_an_old_name_is_refused(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    known = KnownSurveys.of([plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey])
    second = second_survey(tmp_path / "second")
    edit(second, "survey.toml", "test-2025", "test-2021")
    assert codes(refused(second, tables, known)) == ["survey.id_taken"]


def test_a_day_within_a_credited_period_is_refused(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    first = plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey
    second = second_survey(tmp_path / "second")
    known = KnownSurveys.of([first], credited_until={"test-forest": date(2025, 10, 21)})
    assert codes(refused(second, tables, known)) == ["survey.period_credited"]
    known = KnownSurveys.of([first], credited_until={"test-forest": date(2025, 10, 20)})
    assert plan_intake(second, PROJECT, known, tables).accepted


def test_a_plot_that_grew_on_the_map_is_refused(survey_folder: Path, tables: Tables, tmp_path: Path) -> None:
    known = KnownSurveys.of([plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey])
    second = second_survey(tmp_path / "second")
    features = plot_features()
    ring = features[0][1]["coordinates"][0]
    ring[2][0] += 5
    ring[3][0] += 5  # 5 m more ground in the east: 500 m², 5 %
    (second / "plots.geojson").write_text(collection(features))
    plan = refused(second, tables, known)
    assert codes(plan) == ["plots.boundary_changed"] and "500 m²" in plan.refusals[0].got_en


def test_control_characters_in_file_names_never_reach_the_terminal(
    survey_folder: Path, tables: Tables, tmp_path: Path
) -> None:
    upload = zip_of(survey_folder, tmp_path / "s.zip", extra={"a\x1b[2J.txt": b"x"})
    assert "\x1b" not in render(plan_intake(upload, PROJECT, KnownSurveys(), tables), "en")


def known_plot(tables: Tables, survey_folder: Path, **changes: object) -> KnownSurveys:
    survey = plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey
    plot = survey.plots[0]
    known = KnownPlot("other-forest", "other-2020", "X", "24209-999", 6674, plot.rings_mm, date(2024, 1, 1))
    return KnownSurveys(plots=(replace(known, **changes),))


def test_ground_that_another_project_was_credited_for_is_refused(survey_folder: Path, tables: Tables) -> None:
    plan = refused(survey_folder, tables, known_plot(tables, survey_folder))
    assert codes(plan) == ["plots.overlap_known"]
    assert (
        "other-forest/X" in plan.refusals[0].got_en and "credited until 2024-01-01" in plan.refusals[0].got_en
    )


def test_a_redrawn_plot_under_a_new_register_id_is_refused_in_its_own_project_too(
    survey_folder: Path, tables: Tables
) -> None:
    known = known_plot(tables, survey_folder, project_id="test-forest")
    assert codes(refused(survey_folder, tables, known)) == ["plots.overlap_known"]


def test_a_register_id_of_another_project_is_refused_wherever_it_lies(
    survey_folder: Path, tables: Tables
) -> None:
    far = (((0, 0), (1000, 0), (0, 1000)),)
    known = known_plot(tables, survey_folder, register_id="24209-001-い-0", rings_mm=far)
    assert codes(refused(survey_folder, tables, known)) == ["plots.register_id_taken"]


def test_an_overlap_is_seen_across_coordinate_systems(survey_folder: Path, tables: Tables) -> None:
    from pyproj import Transformer

    survey = plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey
    to_utm = Transformer.from_crs(6674, 6690, always_xy=True)
    ring = tuple(
        (round(x * 1000), round(y * 1000))
        for x, y in (to_utm.transform(a / 1000, b / 1000) for a, b in survey.plots[0].rings_mm[0])
    )
    known = known_plot(tables, survey_folder, epsg=6690, rings_mm=(ring,))
    assert codes(refused(survey_folder, tables, known)) == ["plots.overlap_known"]


def test_reading_an_accepted_survey_again_is_strict_about_rows(survey_folder: Path, tables: Tables) -> None:
    survey = plan_intake(survey_folder, PROJECT, KnownSurveys(), tables).survey
    cell(5, "species", "謎の木")(survey_folder)
    with pytest.raises(Refusal) as refusal:
        read_survey(survey.files, PROJECT, tables)
    assert refusal.value.codes == ("species.unknown",)
    assert "row 5" in refusal.value.en and "謎の木" in refusal.value.ja


def test_a_species_without_equations_in_the_prefecture_is_refused_by_name(
    survey_folder: Path, tables: Tables
) -> None:
    nowhere = replace(PROJECT, prefecture="atlantis")
    plan = plan_intake(survey_folder, nowhere, KnownSurveys(), tables)
    assert set(codes(plan)) == {"species.no_equation"}


def test_control_characters_of_hostile_text_never_reach_the_terminal(
    survey_folder: Path, tables: Tables
) -> None:
    cell(5, "species", "\x1b[2J\x07謎")(survey_folder)
    text = render(refused(survey_folder, tables), "en")
    assert "\x1b" not in text and "\x07" not in text


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damaged_byte_ever_makes_intake_raise(
    data: st.DataObject, tables: Tables, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Property: bytes of any file may be changed, cut or doubled; a plan always comes back."""
    folder = good_survey(tmp_path_factory.mktemp("fuzz"))
    name = data.draw(st.sampled_from(sorted(p.name for p in folder.iterdir())))
    content = (folder / name).read_bytes()
    at = data.draw(st.integers(0, len(content) - 1))
    junk = data.draw(st.binary(max_size=12))
    cut = data.draw(st.integers(0, 20))
    (folder / name).write_bytes(content[:at] + junk + content[at + cut :])
    plan = plan_intake(folder, PROJECT, KnownSurveys(), tables)
    assert plan.accepted == (not plan.refusals)
