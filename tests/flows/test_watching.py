"""A satellite series is read once, and a cut in it is dated and set against the action register."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import delete

from apps.demo.survey_files import DemoFiles
from flows import work
from flows.settings import Workspace
from flows.tables import AlertRow, SceneRow
from flows.work.watching import scenes_of
from models.errors import SatoyamaError
from mrv.errors import Refusal
from tests.flows.conftest import PROJECT


@pytest.fixture
def stac(demo_files: DemoFiles, tmp_path: Path) -> Path:
    shutil.copytree(demo_files.stac, tmp_path / "stac")
    return tmp_path / "stac"


def items(stac: Path) -> list[Path]:
    return sorted(p for p in stac.rglob("*.json") if p.name != "catalog.json")


def test_the_cut_plot_raises_an_alert_that_the_register_explains(approved_ws: Workspace, stac: Path) -> None:
    seen = work.watch(approved_ws, PROJECT, stac)
    assert seen.problems == () and seen.scenes_new == len(items(stac))
    cut = [a for a in seen.alerts if a.plot_id == "P8" and a.index_name == "ndmi"]
    assert cut and cut[0].magnitude_e4 < -1_000
    assert "cut 2022-12-06" in cut[0].explained_by
    assert date(2022, 12, 6) <= cut[0].break_day <= date(2023, 7, 1)


def test_growing_plots_raise_no_alert(approved_ws: Workspace, stac: Path) -> None:
    seen = work.watch(approved_ws, PROJECT, stac)
    assert {a.plot_id for a in seen.alerts} & {"P1", "P2", "P3", "P4"} == set()


def test_a_scene_is_read_once_and_an_alert_raised_once(approved_ws: Workspace, stac: Path) -> None:
    first = work.watch(approved_ws, PROJECT, stac)
    again = work.watch(approved_ws, PROJECT, stac)
    assert (again.scenes_new, again.scenes_known, again.alerts) == (0, first.scenes_new, ())
    assert len(work.alerts_of(approved_ws, PROJECT)) == len(first.alerts)


def test_a_loss_that_is_not_in_the_register_stands_unexplained(
    approved_ws: Workspace, stac: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flows.work.watching.REMOVALS", ())
    assert {a.explained_by for a in work.watch(approved_ws, PROJECT, stac).alerts} == {""}


def test_a_damaged_scene_is_named_and_read_when_it_is_whole_again(approved_ws: Workspace, stac: Path) -> None:
    band = items(stac)[3].parent / "B11.tif"
    whole = band.read_bytes()
    band.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    seen = work.watch(approved_ws, PROJECT, stac)
    assert [p.code for p in seen.problems] == ["scene.checksum"]
    assert seen.problems[0].where == items(stac)[3].stem
    band.write_bytes(whole)
    assert work.watch(approved_ws, PROJECT, stac).scenes_new == 1


@pytest.mark.parametrize(
    "href", ["https://example.org/B11.tif", "../../outside.tif", "/etc/hostname", "/vsicurl/x.tif"]
)
def test_a_band_outside_the_catalogue_is_never_opened(stac: Path, tmp_path: Path, href: str) -> None:
    (tmp_path / "outside.tif").write_bytes(b"outside")
    first = items(stac)[0]
    doc = json.loads(first.read_text())
    doc["assets"]["B11"]["href"] = href
    first.write_text(json.dumps(doc))
    (refusal,) = [s for s in scenes_of(stac / "catalog.json") if isinstance(s, Refusal)]
    assert refusal.codes == ("scene.not_local",)


def test_scenes_come_in_order_of_time_and_known_ones_are_left_out(stac: Path) -> None:
    scenes = [s for s in scenes_of(stac / "catalog.json") if not isinstance(s, Refusal)]
    assert [s.day for s in scenes] == sorted(s.day for s in scenes)
    known = frozenset(s.scene_id for s in scenes[1:])
    assert [s.scene_id for s in scenes_of(stac / "catalog.json", known) if not isinstance(s, Refusal)] == [
        scenes[0].scene_id
    ]


def test_the_order_in_which_scenes_arrive_does_not_matter(approved_ws: Workspace, stac: Path) -> None:
    whole = work.watch(approved_ws, PROJECT, stac).alerts
    with approved_ws.catalogue.write() as session:
        session.execute(delete(AlertRow))
        session.execute(delete(SceneRow).where(SceneRow.day < date(2023, 1, 1)))
    assert work.watch(approved_ws, PROJECT, stac).alerts == whole


def test_without_a_catalogue_the_setting_is_named(approved_ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(SatoyamaError, match="SATOYAMA_STAC"):
        work.watch(approved_ws, PROJECT)
    with pytest.raises(SatoyamaError, match="nowhere"):
        work.watch(approved_ws, PROJECT, tmp_path / "nowhere")
