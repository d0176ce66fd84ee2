"""A user's allometric equations: read, refused, and evaluated on the trees of Nouragues."""

from __future__ import annotations

import csv
from math import exp
from pathlib import Path

import numpy as np
import pytest

from models.allometry import tree_biomass
from models.errors import OutOfRange
from models.height_diameter import fit_height_curve, predict_height
from mrv.allometry import read_allometries
from mrv.errors import Refusal

DOC = Path(__file__).resolve().parents[2] / "docs" / "allometry-table.md"
TABLE = "\n".join(
    line.strip() for line in DOC.read_text("utf-8").splitlines() if line.startswith("    ") and "," in line
)
CHAVE = read_allometries(TABLE.encode(), "allometry.csv")["chave-2014-eq4"]
NOURAGUES_AGB_MG = {"201": 456.39, "204": 541.97, "213": 386.52, "223": 284.95}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_the_documented_row_is_the_equation_as_it_is_written():
    d, h, rho = np.array([10.0, 35.5, 120.0]), np.array([11.0, 28.0, 45.0]), np.array([0.5, 0.7, 0.9])
    out = tree_biomass(CHAVE, d, h, rho)
    written = 0.0673 * (rho * d**2 * h) ** 0.976
    assert out.biomass_g == pytest.approx(written * 1000, abs=0.51)
    assert out.biomass_g.dtype == np.int64
    assert not out.outside.any()


def test_the_equation_is_the_mean_of_its_posterior_draws(shared_data):
    draws = rows_of(shared_data / "nouragues" / "param_4.csv")
    intercept, slope, sd = (np.mean([float(r[c]) for r in draws]) for c in ("intercept", "logagbt", "sd"))
    assert exp(intercept + sd**2 / 2) == pytest.approx(CHAVE.scale_kg, rel=2e-3)
    assert slope == pytest.approx(CHAVE.height_power, abs=5e-4)
    assert sd == pytest.approx(CHAVE.log_residual_sd, abs=1e-3)


def test_nouragues_plot_stocks_follow_from_wood_densities_of_that_forest(shared_data):
    """The published totals rest on a database of wood densities that is not in the data: it is solved for instead.

    With the heights of the log2 curve, each plot's total needs a mean density of 0.64 to 0.75 g/cm³; stands of the
    Guianas have 0.65 to 0.75 (a height curve or unit gone wrong lands far outside).
    """
    pairs = [r for r in rows_of(shared_data / "nouragues" / "NouraguesHD.csv") if r["H"] not in ("", "NA")]
    curve = fit_height_curve(
        "log2", np.array([float(r["D"]) for r in pairs]), np.array([float(r["H"]) for r in pairs])
    )
    trees = rows_of(shared_data / "nouragues" / "NouraguesTrees.csv")
    assert len(trees) == 2050
    for plot, published_mg in NOURAGUES_AGB_MG.items():
        d = np.array([float(r["D"]) for r in trees if r["Plot"] == plot])
        h = predict_height(curve, d).height_m
        at_one_mg = tree_biomass(CHAVE, d, h, 1.0).biomass_g.sum() / 1e6
        density = (published_mg / at_one_mg) ** (1.0 / CHAVE.density_power)
        assert 0.64 < density < 0.75
        again_mg = tree_biomass(CHAVE, d, h, density).biomass_g.sum() / 1e6
        assert again_mg == pytest.approx(published_mg, abs=0.005)


def test_a_correction_that_is_not_in_the_scale_is_applied():
    bare = read_allometries(TABLE.replace("0.357,true", "0.357,false").encode(), "a.csv")["chave-2014-eq4"]
    d, h = np.array([30.0]), np.array([22.0])
    ratio = tree_biomass(bare, d, h, 0.6).biomass_g / tree_biomass(CHAVE, d, h, 0.6).biomass_g
    assert ratio == pytest.approx(exp(0.357**2 / 2), rel=1e-5)


def test_trees_beyond_the_equation_are_flagged_and_counted():
    out = tree_biomass(CHAVE, np.array([3.0, 50.0, 230.0]), np.array([4.0, 30.0, 50.0]), 0.6)
    assert out.outside.tolist() == [True, False, True]
    assert out.outside_count == 2


def test_what_an_equation_needs_must_be_there():
    with pytest.raises(OutOfRange, match="expected height_m"):
        tree_biomass(CHAVE, np.array([20.0]), None, 0.6)
    with pytest.raises(OutOfRange, match="row 2"):
        tree_biomass(CHAVE, np.array([20.0, 25.0]), np.array([18.0, np.nan]), 0.6)
    with pytest.raises(OutOfRange, match="2 values of height_m"):
        tree_biomass(CHAVE, np.array([20.0, 25.0]), np.array([18.0, 19.0, 20.0]), 0.6)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("0.0673", "lots", "a number in scale_kg"),
        ("0.0673", "-1", "scale_kg > 0"),
        ("true,5,", "maybe,5,", "true or false in correction_included"),
        ("doi:10.1111/gcb.12629,citation", ",citation", "a text in source"),
        ("dbh_power", "power_of_dbh", "columns dbh_power"),
    ],
)
def test_a_table_that_breaks_the_schema_is_refused_with_the_row(old, new, said):
    with pytest.raises(Refusal, match=said) as refused:
        read_allometries(TABLE.replace(old, new, 1).encode(), "mine.csv")
    assert "mine.csv" in refused.value.en
    assert "が必要ですが" in refused.value.ja


def test_a_name_given_twice_is_refused():
    with pytest.raises(Refusal, match=r"row 3.*each name once"):
        read_allometries((TABLE + "\n" + TABLE.splitlines()[1]).encode(), "mine.csv")
