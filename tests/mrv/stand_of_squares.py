"""A small exact stand for tests of change and credits: square plots, a canopy and trees whose stock is known by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np

from mrv.pairing import Visit
from mrv.project import DeclaredErrors, MonitoringPlan, Project
from mrv.results import Canopy, Inventory, TreeStock, ZoneHeight
from mrv.survey import Action, Plot, SamplePlot, Survey

SIDE_MM = 100_000
CELL_MM = 20_000
KG = 1000

PROJECT = Project(
    project_id="test-project",
    name_en="Test",
    name_ja="試験",
    epsg=6674,
    prefecture="mie",
    municipality_code="24209",
    municipality_en="Owase",
    municipality_ja="尾鷲市",
    start=date(2021, 10, 20),
    buffer_ppm=200_000,
    demo=True,
    simulated=True,
)


def square(x: int, y: int, side: int):
    return (((x, y), (x + side, y), (x + side, y + side), (x, y + side)),)


def plot(k: int) -> Plot:
    return Plot(
        plot_id=f"P{k}",
        register_id=f"24209-001-{k}",
        name=f"plot {k}",
        rings_mm=square(k * 2 * SIDE_MM, 0, SIDE_MM),
        area_mm2=SIDE_MM**2,
        register_area_ha="1.0",
        species="hinoki",
        planted_year=1980,
        treatment="growing",
    )


def sample_plots(k: int, n: int) -> list[SamplePlot]:
    x = k * 2 * SIDE_MM
    return [
        SamplePlot(f"P{k}-S{i}", f"P{k}", square(x + i * CELL_MM, 0, CELL_MM), CELL_MM**2, True)
        for i in range(n)
    ]


def tree(sample: str, tag: str, kg: int, status: str = "alive") -> TreeStock:
    return TreeStock(sample, tag, "hinoki", status, "osaka/hinoki/0", False, kg, kg * KG, kg * 50, kg * 90)


def survey(survey_id: str, day: date, plots: int, samples: int, actions: tuple[Action, ...] = ()) -> Survey:
    return Survey(
        survey_id=survey_id,
        project_id="test-project",
        day=day,
        epsg=6674,
        vertical_datum="height_above_ground",
        plots=tuple(plot(k) for k in range(plots)),
        sample_plots=tuple(s for k in range(plots) for s in sample_plots(k, samples)),
        trees=None,
        actions=actions,
        design="stratified",
        chm=None,
        dsm=None,
        dtm=None,
        points=None,
        ortho=None,
        simulated=True,
    )


def canopy(of: Survey, height_mm: dict[str, int]) -> Canopy:
    def zone(zone_id: str) -> ZoneHeight:
        return ZoneHeight(zone_id, 1600, 1600, 1600 * height_mm[zone_id])

    return Canopy(
        survey_id=of.survey_id,
        raster_name="none.tif",
        raster_digest="sha256:0",
        grid={},
        source="chm",
        plots=tuple(zone(p.plot_id) for p in of.plots),
        sample_plots=tuple(zone(s.sample_plot_id) for s in of.sample_plots),
        flags=(),
    )


def plan(plots: int, samples: int) -> MonitoringPlan:
    return MonitoringPlan(
        project_id="test-project",
        first_survey_id="first",
        treatments={f"P{k}": "growing" for k in range(plots)},
        sample_plots={f"P{k}-S{i}": f"P{k}" for k in range(plots) for i in range(samples)},
        deduction_policy="probability_of_exceedance",
        confidence_ppm=666_667,
        interval_ppm=900_000,
        cell_mm=CELL_MM,
        declared=DeclaredErrors({"hinoki": 50_000}, 40_000, 100),
    )


def visits(
    gain_kg: int = 400, *, plots: int = 2, samples: int = 3, seed: int = 1, actions: tuple[Action, ...] = ()
) -> tuple[Visit, Visit]:
    """Two visits: ten trees of 2,000 kg on each sample plot, each tree gaining about `gain_kg`."""
    rng = np.random.default_rng(seed)
    first = survey("first", date(2021, 10, 20), plots, samples)
    last = survey("last", date(2025, 10, 20), plots, samples, actions)
    names = [s.sample_plot_id for s in first.sample_plots]
    trees0, trees1 = [], []
    heights0 = {p.plot_id: 15_000 for p in first.plots} | dict.fromkeys(names, 15_000)
    heights1 = {p.plot_id: 15_000 + 1_000 for p in first.plots}
    for name in names:
        shift = int(rng.integers(-40, 41))
        heights1[name] = 16_000 + 2 * shift
        for i in range(10):
            trees0.append(tree(name, f"{i}", 2_000))
            trees1.append(tree(name, f"{i}", 2_000 + gain_kg + shift + int(rng.integers(-30, 31))))
    return (
        Visit(first, canopy(first, heights0), Inventory("first", tuple(trees0), ())),
        Visit(last, canopy(last, heights1), Inventory("last", tuple(trees1), ())),
    )


def with_trees(visit: Visit, trees: tuple[TreeStock, ...]) -> Visit:
    return replace(visit, inventory=replace(visit.inventory, trees=trees))
