"""The credited path itself on projects of `coverage.py`: `mrv.change.estimate_change` and `mrv.credits.make_claim`, in integers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from coverage_world import SPECIES, Declared, Sample

from models.simulator.cells import CELL_HA
from mrv.change import estimate_change
from mrv.credits import make_claim
from mrv.errors import ClaimRefused
from mrv.pairing import Visit
from mrv.project import DeclaredErrors, MonitoringPlan, Project
from mrv.results import Canopy, Change, History, Inventory, TreeStock, ZoneHeight
from mrv.survey import Plot, SamplePlot, Survey

GRAMS = 1_000_000
CELL_MM2 = 400_000_000
PIXELS = 1_000_000  # so many valid pixels that a mean keeps nine digits of a millimetre
PPM = 1_000_000
DAYS = (date(2021, 10, 20), date(2029, 10, 20))


@dataclass(frozen=True)
class Credited:
    """What the credited path says of one project; tonnes CO2e."""

    change_t: float
    standard_error_t: float
    df: int
    gross_t: float


def credit(sample: Sample, k: int, declared: Declared) -> Credited:
    """Project `k` of a block through change and claim; each sample plot stands as one tree."""
    visits = [_visit(sample, k, t) for t in range(2)]
    plan = _plan(sample, declared)
    change = estimate_change(visits[0], visits[1], plan)
    return Credited(
        change.change.total_g / GRAMS, change.change.se_g / GRAMS, change.change.df, _gross(change, plan)
    )


def _gross(change: Change, plan: MonitoringPlan) -> float:
    try:
        claim = make_claim(_project(), plan, change, History(), tuple(p.plot_id for p in change.plots))
    except ClaimRefused:
        return 0.0
    return claim.gross_kg / 1000.0


def _project() -> Project:
    return Project(
        "made-up", "Made up", "架空", 6674, "mie", "24209", "Owase", "尾鷲市", DAYS[0], 30_000, False, True
    )


def _plan(sample: Sample, declared: Declared) -> MonitoringPlan:
    cv = round(PPM * declared.shared_variance**0.5)
    return MonitoringPlan(
        project_id="made-up",
        first_survey_id="date-0",
        treatments={f"P{h}": t for h, t in enumerate(sample.forest.treatments)},
        sample_plots={f"S{i:03d}": f"P{h}" for i, h in enumerate(sample.stratum)},
        deduction_policy="probability_of_exceedance",
        confidence_ppm=666_667,
        interval_ppm=900_000,
        cell_mm=20_000,
        declared=DeclaredErrors(
            dict.fromkeys(SPECIES, cv),
            round(declared.height_bias_m * PPM),
            round(declared.dbh_bias_cm * 10_000),
        ),
    )


def _visit(sample: Sample, k: int, t: int) -> Visit:
    forest = sample.forest
    cells = np.bincount(forest.plot_of)
    plots = tuple(
        Plot(f"P{h}", f"24209-1-{h}", f"P{h}", (), int(cells[h]) * CELL_MM2, "", SPECIES[forest.species[h]], 1980, forest.treatments[h])
        for h in range(forest.plots)
    )  # fmt: skip
    samples = tuple(
        SamplePlot(f"S{i:03d}", f"P{h}", (), CELL_MM2, True) for i, h in enumerate(sample.stratum)
    )
    survey = Survey(
        survey_id=f"date-{t}", project_id="made-up", day=DAYS[t], epsg=6674, vertical_datum="height_above_ground",
        plots=plots, sample_plots=samples, trees=None, actions=(), design="stratified",
        chm=None, dsm=None, dtm=None, points=None, ortho=None, simulated=True,
    )  # fmt: skip
    canopy = Canopy(
        survey.survey_id, "none.tif", "sha256:0", {}, "chm",
        tuple(_zone(p.plot_id, sample.x_mean[t][k, h]) for h, p in enumerate(plots)),
        tuple(_zone(s.sample_plot_id, sample.x[t][k, i]) for i, s in enumerate(samples)), (),
    )  # fmt: skip
    trees = tuple(_tree(sample, k, t, i) for i in range(sample.stratum.size))
    return Visit(survey, canopy, Inventory(survey.survey_id, trees, ()))


def _zone(zone_id: str, height_m: float) -> ZoneHeight:
    return ZoneHeight(zone_id, PIXELS, PIXELS, round(float(height_m) * 1000 * PIXELS))


def _tree(sample: Sample, k: int, t: int, i: int) -> TreeStock:
    stock, per_m, per_cm = (
        round(float(v[t][k, i]) * CELL_HA * GRAMS) for v in (sample.y, sample.per_m, sample.per_cm)
    )
    return TreeStock(
        f"S{i:03d}", "1", SPECIES[int(sample.species[i])], "alive", "made-up", False, 0, stock, per_m, per_cm
    )
