"""The demonstration site and project as written in ``data/demo``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from math import fsum
from pathlib import Path
from typing import Any, Literal

from models.simulator import Site, Stand, Treatment
from mrv.project import DeclaredErrors, Project
from mrv.tables import Tables

Scenario = Literal["gain", "loss"]
SCENARIOS: tuple[Scenario, ...] = ("gain", "loss")
DIAGRAM_REGION = "south-kinki-shikoku"


def demo_file(name: str) -> bytes:
    """Bytes of a file of ``data/demo``, from the wheel or a checkout."""
    packaged = resources.files("mrv").joinpath("_data", "demo", name)
    if packaged.is_file():
        return packaged.read_bytes()
    return (Path(__file__).resolve().parents[2] / "data" / "demo" / name).read_bytes()


@cache
def _document(name: str) -> Mapping[str, Any]:
    return tomllib.loads(demo_file(name).decode())


@dataclass(frozen=True)
class PlotRow:
    """One plot as the forest register and the sampling design know it."""

    plot_id: str
    register_id: str
    name: str
    species: str
    planted_year: int
    register_area_ha: str
    treatment: str
    sample_plots: int
    ring_m: tuple[tuple[float, float], ...]
    area_m2: float


@dataclass(frozen=True)
class DemoAction:
    """One row of the action register."""

    plot_id: str
    day: date
    kind: Literal["thin", "cut", "replant"]
    area_ha: str
    note: str


@dataclass(frozen=True)
class Definition:
    """Everything the demo is told before any random number is drawn.

    Attributes
    ----------
    origin_mm : (east, north)
        Origin of the site's frame in the plane CRS.
    past, actions : tuple of DemoAction
        Before the project, and between the dates.
    """

    project: Project
    declared: DeclaredErrors
    plots: tuple[PlotRow, ...]
    site: Site
    origin_mm: tuple[int, int]
    extent_m: tuple[float, float, float, float]
    days: tuple[date, date]
    past: tuple[DemoAction, ...]
    actions: tuple[DemoAction, ...]


def read_project() -> tuple[Project, DeclaredErrors]:
    """The demo's project and declared errors, from ``data/demo/project.toml``."""
    doc = _document("project.toml")
    fields = dict(doc["project"])
    project = Project(project_id=fields.pop("id"), **fields)
    return project, DeclaredErrors(**doc["declared"])


def read_definition(tables: Tables, scenario: Scenario) -> Definition:
    """The site with what is done in it under a scenario.

    Raises
    ------
    ValueError
        If the scenario is not known.
    """
    if scenario not in SCENARIOS:
        raise ValueError(f"expected a scenario among {', '.join(SCENARIOS)}, got {scenario!r}")
    doc = _document("site.toml")
    project, declared = read_project()
    plots = tuple(_plot(row) for row in doc["plots"])
    species = tuple(dict.fromkeys(p.species for p in plots))
    rows = doc["scenarios"][scenario]
    site = Site(
        stands=tuple(_stand(row, tables) for row in doc["plots"]),
        areas_ha=tuple(p.area_m2 / 1e4 for p in plots),
        treatments=tuple(
            Treatment(r["plot"], r["day"], r["kind"], r["stems_ratio"], r["from_below"]) for r in rows
        ),
        species=species,
        conifers=tuple(tables.species[s].kind == "conifer" for s in species),
        first_year=doc["first_date"].year,
        last_year=doc["last_date"].year,
        roads_m=tuple(tuple((float(x), float(y)) for x, y in road) for road in doc["roads_m"]),
    )
    area = {p.plot_id: f"{p.area_m2 / 1e4:.2f}" for p in plots}
    return Definition(
        project=project,
        declared=declared,
        plots=plots,
        site=site,
        origin_mm=(doc["origin_east_m"] * 1000, doc["origin_north_m"] * 1000),
        extent_m=(doc["left_m"], doc["top_m"], doc["width_m"], doc["height_m"]),
        days=(doc["first_date"], doc["last_date"]),
        past=tuple(
            DemoAction(r["plot"], r["day"], r["kind"], area[r["plot"]], r["note"]) for r in doc["past"]
        ),
        actions=tuple(a for r in rows for a in _actions(r, area)),
    )


def _plot(row: Mapping[str, Any]) -> PlotRow:
    ring = tuple((float(x), float(y)) for x, y in row["ring_m"])
    twice = fsum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring, (*ring[1:], ring[0]), strict=True))
    return PlotRow(
        plot_id=row["id"],
        register_id=row["register_id"],
        name=row["name"],
        species=row["species"],
        planted_year=row["planted_year"],
        register_area_ha=row["register_area_ha"],
        treatment=row["treatment"],
        sample_plots=row["sample_plots"],
        ring_m=ring,
        area_m2=abs(twice) / 2,
    )


def _stand(row: Mapping[str, Any], tables: Tables) -> Stand:
    return Stand(
        plot_id=row["id"],
        ring_m=tuple((float(x), float(y)) for x, y in row["ring_m"]),
        species=row["species"],
        origin=row["origin"],
        planted_year=row["planted_year"],
        stems_per_ha=float(row["stems_per_ha"]),
        curve=tables.height_curves[row["species"], row["site_class"]],
        diagram=tables.diagrams.get((DIAGRAM_REGION, row["species"])),
    )


def _actions(row: Mapping[str, Any], area: Mapping[str, str]) -> list[DemoAction]:
    plot = row["plot"]
    if row["kind"] == "cut":
        return [
            DemoAction(plot, row["day"], "cut", area[plot], "皆伐・搬出 clear cut, timber removed"),
            DemoAction(
                plot, row["replanted"], "replant", area[plot], "再造林・萌芽更新 replanted, sprouts kept"
            ),
        ]
    percent = round(row["stems_ratio"] * 100)
    return [
        DemoAction(
            plot, row["day"], "thin", area[plot], f"間伐 本数率{percent}% thinned, {percent} % of stems"
        )
    ]
