"""Does the demo project's 90 % interval cover the truth? One simulated site a seed, measured by the program's own stages.

The peer is the naive estimator without canopy: mean of sample-plot differences per plot, times area, with the same variance rule.

    python benchmarks/demo_seeds.py [--quick] [--json PATH] [--seeds N]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path

from apps.demo.definition import SCENARIOS, read_project
from apps.demo.site import SimulatedSite, SurveyValues, simulate_site, survey_values
from mrv.biomass import measure_inventory
from mrv.canopy import quantise_heights, zone_heights
from mrv.change import estimate_change
from mrv.methodology.deduction import POLICIES, half_width_g
from mrv.pairing import Visit
from mrv.project import MonitoringPlan
from mrv.results import Canopy, Change, ZoneHeight
from mrv.survey import Survey
from mrv.tables import Tables, load_tables

T = 1_000_000  # grams in a tonne


def survey_of(values: SurveyValues, survey_id: str, project_id: str) -> Survey:
    return Survey(
        survey_id=survey_id,
        project_id=project_id,
        day=values.day,
        epsg=values.grid.epsg,
        vertical_datum="height_above_ground",
        plots=values.plots,
        sample_plots=values.sample_plots,
        trees=values.trees,
        actions=values.actions,
        design="stratified",
        chm=None,
        dsm=None,
        dtm=None,
        points=None,
        ortho=None,
        simulated=True,
    )


def canopy_of(values: SurveyValues, survey_id: str) -> Canopy:
    heights = quantise_heights(values.chm_m)
    return Canopy(
        survey_id=survey_id,
        raster_name="",
        raster_digest="",
        grid=values.grid.to_doc(),
        source="chm",
        plots=zone_heights(values.grid, heights, {p.plot_id: p.rings_mm for p in values.plots}),
        sample_plots=zone_heights(
            values.grid, heights, {s.sample_plot_id: s.rings_mm for s in values.sample_plots}
        ),
        flags=(),
    )


def visits_of(site: SimulatedSite, tables: Tables) -> tuple[Visit, Visit, MonitoringPlan]:
    """Both visits of a simulated site, and the plan made of the first."""
    project, declared = read_project()
    values = [survey_values(site, day) for day in site.definition.days]
    first, last = (survey_of(v, str(v.day.year), project.project_id) for v in values)
    plan = MonitoringPlan(
        project_id=project.project_id,
        first_survey_id=first.survey_id,
        treatments={p.plot_id: p.treatment for p in first.plots},
        sample_plots={s.sample_plot_id: s.plot_id for s in first.sample_plots},
        deduction_policy="probability_of_exceedance",
        confidence_ppm=666_667,
        interval_ppm=900_000,
        cell_mm=20_000,
        declared=declared,
    )
    before = measure_inventory(first, project, tables)
    after = measure_inventory(last, project, tables, before)
    return (
        Visit(first, canopy_of(values[0], first.survey_id), before),
        Visit(last, canopy_of(values[1], last.survey_id), after),
        plan,
    )


def measure(site: SimulatedSite, tables: Tables) -> tuple[Change, Change]:
    """The program's estimate, and the same without the canopy."""
    first, last, plan = visits_of(site, tables)
    blind = [replace(v, canopy=without_canopy(v.canopy)) for v in (first, last)]
    return estimate_change(first, last, plan), estimate_change(blind[0], blind[1], plan)


def without_canopy(canopy: Canopy) -> Canopy:
    """The same zones with no height information."""

    def flat(zones: tuple[ZoneHeight, ...]) -> tuple[ZoneHeight, ...]:
        return tuple(replace(z, sum_mm=0) for z in zones)

    return replace(canopy, plots=flat(canopy.plots), sample_plots=flat(canopy.sample_plots))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20 seeds instead of 200")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--pixel", type=float, default=2.0, help="pixel of the simulated canopy, m")
    parser.add_argument("--scenario", choices=SCENARIOS, default="gain")
    arguments = parser.parse_args()
    seeds = arguments.seeds or (20 if arguments.quick else 200)
    tables = load_tables()
    rows, per_plot = [], []
    started = time.perf_counter()
    for seed in range(1, seeds + 1):
        site = simulate_site(seed, arguments.pixel, arguments.scenario, tables)
        change, naive = measure(site, tables)
        rows.append((site.true_change_g, change, naive))
        per_plot += [
            abs(p.change.total_g - t.change_g) <= half_width_g(p.change)
            for p, t in zip(change.plots, site.truth, strict=True)
        ]
    figures = summarise(rows)
    figures["plot_coverage_90"] = sum(per_plot) / len(per_plot)
    figures["seconds"] = round(time.perf_counter() - started, 1)
    report(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def summarise(rows: list[tuple[int, Change, Change]]) -> dict[str, float]:
    n = len(rows)
    covered = [abs(c.change.total_g - t) <= half_width_g(c.change) for t, c, _ in rows]
    naive = [abs(p.change.total_g - t) <= half_width_g(p.change) for t, _, p in rows]
    errors = [c.change.total_g - t for t, c, _ in rows]
    gross = [c.change.total_g - POLICIES["probability_of_exceedance"](c.change, 666_667) for _, c, _ in rows]
    coverage = sum(covered) / n
    return {
        "seeds": n,
        "coverage_90": coverage,
        "coverage_90_se": (coverage * (1 - coverage) / n) ** 0.5,
        "coverage_90_without_canopy": sum(naive) / n,
        "bias_t": statistics.mean(errors) / T,
        "bias_se_t": statistics.stdev(errors) / n**0.5 / T,
        "rmse_t": statistics.mean(e * e for e in errors) ** 0.5 / T,
        "stated_se_t": statistics.mean(c.change.se_g**2 for _, c, _ in rows) ** 0.5 / T,
        "stated_se_without_canopy_t": statistics.mean(p.change.se_g**2 for _, _, p in rows) ** 0.5 / T,
        "true_change_t": statistics.mean(t for t, _, _ in rows) / T,
        "median_df": statistics.median(c.change.df for _, c, _ in rows),
        "max_relative_se": max(c.change.se_g / abs(c.change.total_g) for _, c, _ in rows),
        "overcredited_share": sum(g > max(0, t) for g, (t, _, _) in zip(gross, rows, strict=True)) / n,
    }


def report(figures: dict[str, float]) -> None:
    print("Simulated sites (no real survey): nominal 90 % interval of the project's change")
    for name, value in figures.items():
        print(f"  {name:30s} {value:12.3f}")


if __name__ == "__main__":
    main()
