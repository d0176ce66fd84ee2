"""The simulated demo site as values: truth, canopies, sample plots and readings of both dates; no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from pyproj import Geod, Transformer

from apps.demo.definition import Definition, DemoAction, PlotRow, Scenario, read_definition
from apps.demo.sampling import DemoSample, sample_plots, to_plane_mm
from models.simulator import (
    ALIVE,
    DEAD,
    Crew,
    Crowns,
    Draws,
    Frame,
    PlotTruth,
    Readings,
    Science,
    Sensor,
    Trees,
    crowns_at,
    measure,
    plot_truth,
    sense,
    simulate_trees,
    surface,
    surroundings,
)
from mrv.geometry import Grid
from mrv.survey import Action, Plot, SamplePlot, TreeList
from mrv.tables import Tables, load_tables

PPM = 1_000_000


@dataclass(frozen=True)
class View:
    """The site seen from above at one date.

    Attributes
    ----------
    chm_m : ndarray of float32
        As measured.
    true_m : ndarray of float32
        Crown surface without sensor errors, at the sensor's idea of place.
    kind : ndarray of int8
        Species of the crown in each pixel, -9 where none.
    owner : ndarray of int32
        Crown in each pixel, -1 where none.
    """

    chm_m: NDArray[np.float32]
    true_m: NDArray[np.float32]
    kind: NDArray[np.int8]
    owner: NDArray[np.int32]


@dataclass(frozen=True)
class Nature:
    """Errors that were drawn from the declared distributions."""

    science: Science
    crews: tuple[Crew, Crew]
    sensors: tuple[Sensor, Sensor]


@dataclass(frozen=True)
class SimulatedSite:
    """Everything known of one simulated site; only `survey_values` and the files hold what a survey may know."""

    seed: int
    scenario: Scenario
    definition: Definition
    draws: Draws
    frame: Frame
    trees: tuple[Trees, Trees]
    views: tuple[View, View]
    samples: tuple[DemoSample, ...]
    readings: tuple[tuple[Readings, ...], tuple[Readings, ...]]
    nature: Nature
    truth: tuple[PlotTruth, ...]

    @property
    def true_change_g(self) -> int:
        return sum(p.change_g for p in self.truth)

    @property
    def grid(self) -> Grid:
        """The canopy raster's grid in the plane CRS."""
        east, north = self.definition.origin_mm
        return Grid(
            epsg=self.definition.project.epsg,
            left_um=east * 1000 + round(self.frame.left_m * 1e6),
            top_um=north * 1000 + round(self.frame.top_m * 1e6),
            pixel_um=round(self.frame.pixel_m * 1e6),
            rows=self.frame.rows,
            cols=self.frame.cols,
        )


def simulate_site(
    seed: int, pixel_m: float = 2.0, scenario: Scenario = "gain", tables: Tables | None = None
) -> SimulatedSite:
    """Simulate the demo site; the same seed and pixel give the same site.

    Trees, sample plots and readings do not depend on `pixel_m`.

    Parameters
    ----------
    pixel_m : float
        Pixel of the canopy raster; 0.5 for the demo, 2 for many seeds.
    """
    known = load_tables() if tables is None else tables
    definition = read_definition(known, scenario)
    draws = Draws(f"satoyama-demo/{seed}")
    site = definition.site
    first, last = simulate_trees(site, draws)
    left, top, width, height = definition.extent_m
    frame = Frame(left, top, pixel_m, rows=round(height / pixel_m), cols=round(width / pixel_m))
    nature = draw_nature(definition, known, draws)
    samples = sample_plots(definition, first, last, draws)
    years = (site.first_year, site.last_year)
    return SimulatedSite(
        seed=seed,
        scenario=scenario,
        definition=definition,
        draws=draws,
        frame=frame,
        trees=(first, last),
        views=_views(definition, (first, last), frame, nature, draws),
        samples=samples,
        readings=(
            _read(first, samples, nature.crews[0], draws, years[0], later=False),
            _read(last, samples, nature.crews[1], draws, years[1], later=True),
        ),
        nature=nature,
        truth=plot_truth(first, last, years, [p.plot_id for p in definition.plots], nature.science),
    )


def draw_nature(definition: Definition, tables: Tables, draws: Draws) -> Nature:
    """Draw what nature, crews and sensors do: shared factors and field biases as declared in the project."""
    declared, prefecture = definition.declared, definition.project.prefecture
    species = definition.site.species
    shared = tuple(
        1 + declared.shared_factor_cv_ppm[s] / PPM * draws.one_normal(f"nature/shared/{s}") for s in species
    )
    crews = tuple(
        Crew(
            height_bias_m=declared.field_height_bias_um / PPM * draws.one_normal(f"nature/height/{d.year}"),
            dbh_bias_cm=declared.field_dbh_bias_um / 1e4 * draws.one_normal(f"nature/dbh/{d.year}"),
        )
        for d in definition.days
    )
    still = Sensor(0.06 * draws.one_normal("nature/sensor/first"), 0.0, 0.0)
    moved = Sensor(
        height_bias_m=0.06 * draws.one_normal("nature/sensor/last"),
        shift_x_m=0.2 * draws.one_normal("nature/shift/x"),
        shift_y_m=0.2 * draws.one_normal("nature/shift/y"),
    )
    science = Science(
        equations=tuple(tables.equation_set(prefecture, s) for s in species),
        factors=tuple(tables.factors(prefecture, s) for s in species),
        shared=shared,
    )
    return Nature(science, (crews[0], crews[1]), (still, moved))


def _views(
    definition: Definition, trees: tuple[Trees, Trees], frame: Frame, nature: Nature, draws: Draws
) -> tuple[View, View]:
    around = surroundings(definition.site, frame, draws)
    views = []
    for i, (now, sensor) in enumerate(zip(trees, nature.sensors, strict=True)):
        shift = (sensor.shift_x_m, sensor.shift_y_m)
        crowns, kinds = crowns_at(definition.site, now, around, float(i), shift)
        views.append(_view(crowns, kinds, frame, sensor, draws, f"view/{i}"))
    return views[0], views[1]


def _view(
    crowns: Crowns, kinds: NDArray[np.int8], frame: Frame, sensor: Sensor, draws: Draws, stage: str
) -> View:
    true_m, owner = surface(crowns, frame)
    kind = np.where(owner >= 0, kinds[np.maximum(owner, 0)], np.int8(-9)).astype(np.int8)
    return View(sense(true_m, frame, sensor, draws, stage), true_m, kind, owner)


def _read(
    trees: Trees, samples: Sequence[DemoSample], crew: Crew, draws: Draws, year: int, *, later: bool
) -> tuple[Readings, ...]:
    out = []
    for sample in samples:
        index = sample.trees if later else sample.trees[: sample.tagged_first]
        out.append(measure(trees.take(index), crew, draws, f"read/{year}/{sample.sample_plot_id}"))
    return tuple(out)


@dataclass(frozen=True)
class SurveyValues:
    """What one survey knows, as the pipeline's own values."""

    day: date
    plots: tuple[Plot, ...]
    sample_plots: tuple[SamplePlot, ...]
    trees: TreeList
    actions: tuple[Action, ...]
    chm_m: NDArray[np.float32]
    grid: Grid


def survey_values(site: SimulatedSite, day: date) -> SurveyValues:
    """The survey of one of the two days, without files.

    Raises
    ------
    ValueError
        If no survey was made that day.
    """
    if day not in site.definition.days:
        raise ValueError(f"expected one of {[d.isoformat() for d in site.definition.days]}, got {day}")
    which = site.definition.days.index(day)
    return SurveyValues(
        day=day,
        plots=tuple(_plot(site, row, which) for row in site.definition.plots),
        sample_plots=tuple(
            SamplePlot(s.sample_plot_id, s.plot_id, (s.ring_mm,), _plane_area_mm2(s.ring_mm), True)
            for s in site.samples
        ),
        trees=_tree_list(site, which),
        actions=tuple(
            Action(a.plot_id, a.day, a.kind, a.area_ha, a.note) for a in known_actions(site.definition, which)
        ),
        chm_m=site.views[which].chm_m,
        grid=site.grid,
    )


def known_actions(definition: Definition, which: int) -> tuple[DemoAction, ...]:
    """Rows of the action register that the survey of a date can know."""
    rows = (*definition.past, *definition.actions)
    return tuple(
        sorted((a for a in rows if a.day < definition.days[which]), key=lambda a: (a.day, a.plot_id))
    )


def planted_year_at(definition: Definition, row: PlotRow, which: int) -> int:
    """Planting year of a plot as the register has it at a date: replanting starts a new stand."""
    years = [
        a.day.year
        for a in known_actions(definition, which)
        if a.kind == "replant" and a.plot_id == row.plot_id
    ]
    return years[-1] if years else row.planted_year


def _plot(site: SimulatedSite, row: PlotRow, which: int) -> Plot:
    ring = to_plane_mm(site.definition, row.ring_m)
    return Plot(
        plot_id=row.plot_id,
        register_id=row.register_id,
        name=row.name,
        rings_mm=(ring,),
        area_mm2=_geodesic_area_mm2(ring, site.definition.project.epsg),
        register_area_ha=row.register_area_ha,
        species=row.species,
        planted_year=planted_year_at(site.definition, row, which),
        treatment=row.treatment,
    )


def _geodesic_area_mm2(ring_mm: Sequence[tuple[int, int]], epsg: int) -> int:
    to_degrees = Transformer.from_crs(epsg, 6668, always_xy=True)
    lon, lat = to_degrees.transform([x / 1000 for x, _ in ring_mm], [y / 1000 for _, y in ring_mm])
    area, _ = Geod(ellps="GRS80").polygon_area_perimeter(lon, lat)
    return round(abs(area) * 1e6)


def _plane_area_mm2(ring_mm: Sequence[tuple[int, int]]) -> int:
    following = (*ring_mm[1:], ring_mm[0])
    twice = abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in zip(ring_mm, following, strict=True)))
    return round(Fraction(twice, 2))


def _tree_list(site: SimulatedSite, which: int) -> TreeList:
    rows = tree_rows(site, which)
    register = {p.plot_id: planted_year_at(site.definition, p, which) for p in site.definition.plots}
    return TreeList(
        sample_plot_id=np.array([r.sample_plot_id for r in rows]),
        tag=np.array([r.tag for r in rows]),
        species=np.array([r.species for r in rows]),
        status=np.array([r.status for r in rows]),
        dbh_mm=np.array([r.dbh_mm for r in rows], dtype=np.int32),
        height_mm=np.array([r.height_mm for r in rows], dtype=np.int32),
        planted_year=np.array([r.planted_year or register[r.plot_id] for r in rows], dtype=np.int32),
    )


@dataclass(frozen=True)
class TreeRow:
    """One line of a tree list; `planted_year` is None where the plot's own year holds."""

    sample_plot_id: str
    plot_id: str
    tag: str
    species: str
    dbh_mm: int
    height_mm: int
    status: str
    planted_year: int | None


def tree_rows(site: SimulatedSite, which: int) -> list[TreeRow]:
    """Lines of the tree list of a date: tags persist, recruits follow with tags of their own."""
    trees, rows = site.trees[which], []
    register = {p.plot_id: planted_year_at(site.definition, p, which) for p in site.definition.plots}
    for sample, readings in zip(site.samples, site.readings[which], strict=True):
        for i, index in enumerate(sample.trees[: readings.dbh_mm.size]):
            status, year = int(trees.status[index]), int(trees.planted_year[index])
            own_year = i >= sample.tagged_first or year != register[sample.plot_id]
            rows.append(
                TreeRow(
                    sample.sample_plot_id,
                    sample.plot_id,
                    str(i + 1),
                    site.definition.site.species[trees.species[index]],
                    int(readings.dbh_mm[i]),
                    int(readings.height_mm[i]),
                    "alive" if status == ALIVE else "dead" if status == DEAD else "cut",
                    year if own_year else None,
                )
            )
    return rows
