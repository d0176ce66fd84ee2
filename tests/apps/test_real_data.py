"""The documented examples on surveys by others, typed as docs/real-data.md says."""

from __future__ import annotations

import json
import shutil

import pytest
from click.testing import CliRunner

from apps.cli import main
from tests.conftest import ROOT

EXAMPLES = ROOT / "docs" / "examples"


def satoyama(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def hand_in(folder, files):
    folder.mkdir()
    for source, name in files:
        shutil.copy(source, folder / name)
    return folder


def workspace(tmp_path, example):
    ws = tmp_path / "ws"
    assert satoyama("init", ws, "--project", EXAMPLES / example / "project.toml")[0] == 0
    return ws


@pytest.fixture
def cauaxi(tmp_path, shared_data):
    ws = workspace(tmp_path, "cauaxi")
    for year in (2012, 2014):
        files = [
            (shared_data / "cauaxi" / f"ALS_CHM_CAU_{year}.tif", "chm.tif"),
            (EXAMPLES / "cauaxi" / f"survey_{year}.toml", "survey.toml"),
        ]
        code, text = satoyama("-w", ws, "survey", "submit", hand_in(tmp_path / str(year), files))
        assert code == 0, text
    return ws


def test_logging_at_cauaxi_is_a_loss_with_its_interval(cauaxi):
    code, text = satoyama("-w", cauaxi, "--json", "measure")
    change = json.loads(text)
    assert code == 0
    assert change["change"]["total_g"] < 0 < change["change"]["se_g"]
    (plot,) = change["plots"]
    # the data's own description: mean canopy 27.113 m in 2012, 25.701 m in 2014
    assert (plot["canopy_first_mm"], plot["canopy_last_mm"]) == (27_113, 25_701)
    assert "change.canopy_model_only" in change["flags"]


def test_no_credit_is_made_of_the_loss_at_cauaxi(cauaxi):
    code, text = satoyama("-w", cauaxi, "--json", "claim")
    assert code == 1
    assert set(json.loads(text)["error"]["codes"]) >= {"claim.no_gain", "claim.design_not_creditable"}


def test_without_its_crs_cauaxi_is_asked_for_it(tmp_path, shared_data):
    ws = workspace(tmp_path, "cauaxi")
    manifest = (EXAMPLES / "cauaxi" / "survey_2012.toml").read_text()
    folder = hand_in(tmp_path / "s", [(shared_data / "cauaxi" / "ALS_CHM_CAU_2012.tif", "chm.tif")])
    (folder / "survey.toml").write_text(
        "".join(line for line in manifest.splitlines(True) if not line.startswith("crs"))
    )
    code, text = satoyama("-w", ws, "survey", "check", folder)
    assert code == 1
    assert "crs" in text.lower() and "座標" in text


def test_chablais_points_become_canopy_trees_and_a_stock_beside_the_inventory(tmp_path, shared_data):
    ws = workspace(tmp_path, "chablais3")
    data = shared_data / "chablais3"
    files = [
        (data / "las_chablais3.laz", "las_chablais3.laz"),
        *((EXAMPLES / "chablais3" / name, name) for name in ("plots.geojson", "survey.toml")),
    ]
    assert satoyama("-w", ws, "survey", "submit", hand_in(tmp_path / "s", files))[0] == 0
    model = ("--field-model", data / "quatre_montagnes.csv")
    code, text = satoyama(
        "-w", ws, "--json", "stand", "chablais3", *model, "--inventory", data / "tree_inventory_chablais3.csv"
    )
    assert code == 0
    (plot,) = json.loads(text)["plots"]
    assert (
        plot["stock"]["prediction"]["low"] < plot["stock"]["measured"] < plot["stock"]["prediction"]["high"]
    )
    assert 60 <= plot["treetops"] <= 110, "fewer crowns show from above than the 110 stems below"


def test_the_kootenay_canopy_is_measured_without_its_absurd_nodata(tmp_path, shared_data):
    ws = workspace(tmp_path, "kootenay")
    data = shared_data / "kootenay"
    files = [(data / n, n) for n in ("kootenayCHM.tif", "kootenayOrtho.tif")]
    files.append((EXAMPLES / "kootenay" / "survey.toml", "survey.toml"))
    code, text = satoyama("-w", ws, "survey", "submit", hand_in(tmp_path / "s", files))
    assert code == 0, text
    code, text = satoyama("-w", ws, "--json", "stand", "kootenay")
    (plot,) = json.loads(text)["plots"]
    assert 0 < plot["canopy_mean_mm"] < 13_500
    assert plot["tallest_mm"] <= 13_500
