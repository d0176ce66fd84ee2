"""A whole site through time: its managed plots, the forest around them, and its canopy at any date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from models.simulator.canopy import Crowns, FloatRaster, Frame, Sensor, crowns_of, sense, surface
from models.simulator.draws import Draws, FloatArray
from models.simulator.dynamics import grow_season, replant, treat
from models.simulator.stand import Stand, Treatment, Trees, inside, join, plant

NEIGHBOURS_PER_HA = 620.0


@dataclass(frozen=True)
class Site:
    """What the simulator is told of a site.

    Attributes
    ----------
    areas_ha : tuple of float
        Area of each stand, ha.
    species : tuple of str
        Species in the order that trees refer to.
    conifers : tuple of bool
        Which of them are conifers.
    first_year, last_year : int
        Dates are after the growing seasons of these years.
    roads_m : tuple of polylines
        Forest roads (作業道), kept free of trees, m.
    """

    stands: tuple[Stand, ...]
    areas_ha: tuple[float, ...]
    treatments: tuple[Treatment, ...]
    species: tuple[str, ...]
    conifers: tuple[bool, ...]
    first_year: int
    last_year: int
    roads_m: tuple[tuple[tuple[float, float], ...], ...] = ()

    @property
    def species_index(self) -> Mapping[str, int]:
        return {name: i for i, name in enumerate(self.species)}


def simulate_trees(site: Site, draws: Draws) -> tuple[Trees, Trees]:
    """Trees of all plots at both dates; the second begins with the trees of the first, in their order."""
    species = site.species_index
    first = join([plant(s, i, species, site.first_year, draws) for i, s in enumerate(site.stands)])
    now = first
    for year in range(site.first_year + 1, site.last_year + 1):
        for treatment in sorted((t for t in site.treatments if t.season == year), key=lambda t: t.plot_id):
            index = next(i for i, s in enumerate(site.stands) if s.plot_id == treatment.plot_id)
            now = treat(now, treatment, index, draws)
            if treatment.kind == "cut" and treatment.replant:
                now = replant(now, site.stands[index], index, treatment, year, species, draws)
        now = grow_season(now, site.stands, site.areas_ha, year, draws)
    return first, now


@dataclass(frozen=True)
class Surroundings:
    """Trees outside the plots, never measured, only seen; at the first date.

    Attributes
    ----------
    growth_m : ndarray
        Height growth between the dates.
    """

    x_m: FloatArray
    y_m: FloatArray
    height_m: FloatArray
    dbh_cm: FloatArray
    conifer: NDArray[np.bool_]
    growth_m: FloatArray


def surroundings(site: Site, frame: Frame, draws: Draws) -> Surroundings:
    """Mixed forest between and around the plots, with roads left open."""
    width, height = frame.cols * frame.pixel_m, frame.rows * frame.pixel_m
    n = int(NEIGHBOURS_PER_HA * width * height / 1e4)
    x = frame.left_m + draws.uniform("around/x", n) * width
    y = frame.top_m - draws.uniform("around/y", n) * height
    keep = ~near_roads(site.roads_m, x, y, 3.5)
    for stand in site.stands:
        keep &= ~inside(_grown(stand.ring_m, 2.0), x, y)
    x, y = x[keep], y[keep]
    conifer = draws.smooth_field("around/species", x, y, 60.0) > 0.5
    ground = draws.smooth_field("site/broad", x, y, 90.0)
    size = np.exp(0.22 * draws.normal("around/size", x.size))
    tall = np.where(conifer, 15.5, 12.0) * (1 + 0.07 * ground) * size**0.45
    years = site.last_year - site.first_year
    growth = years * np.where(conifer, 0.24, 0.16) * np.exp(0.3 * draws.normal("around/growth", x.size))
    return Surroundings(x, y, tall, np.where(conifer, 30.0, 22.0) * size, conifer, growth)


def crowns_at(
    site: Site, trees: Trees, around: Surroundings, elapsed: float, shift_m: tuple[float, float]
) -> tuple[Crowns, NDArray[np.int8]]:
    """All crowns of the site, and their species (-1 broadleaf, -2 conifer of the surroundings).

    Parameters
    ----------
    elapsed : float
        Share of the time between the dates that has passed, for the surroundings.
    shift_m : (east, north)
        Where the sensor believes the origin to be.
    """
    up = trees.take(trees.standing)
    conifer = np.array(site.conifers)[up.species]
    crowns = crowns_of(
        np.concatenate([up.x_m, around.x_m]) + shift_m[0],
        np.concatenate([up.y_m, around.y_m]) + shift_m[1],
        np.concatenate([up.height_m, around.height_m + elapsed * around.growth_m]),
        np.concatenate([up.dbh_cm, around.dbh_cm * (1 + 0.04 * elapsed)]),
        np.concatenate([conifer, around.conifer]),
    )
    kind = np.concatenate([up.species, np.where(around.conifer, -2, -1)]).astype(np.int8)
    return crowns, kind


@dataclass(frozen=True)
class View:
    """A site seen from above at one date.

    Attributes
    ----------
    chm_m : ndarray of float32, shape (rows, cols)
        As measured.
    true_m : ndarray of float32, shape (rows, cols)
        Crown surface without sensor errors, at the sensor's idea of place.
    kind : ndarray of int8, shape (rows, cols)
        Species of the crown in each pixel as of `crowns_at`, -9 where none.
    owner : ndarray of int32, shape (rows, cols)
        Crown in each pixel, -1 where none.
    """

    chm_m: FloatRaster
    true_m: FloatRaster
    kind: NDArray[np.int8]
    owner: NDArray[np.int32]


def look(
    site: Site,
    trees: Trees,
    around: Surroundings,
    elapsed: float,
    frame: Frame,
    sensor: Sensor,
    draws: Draws,
    stage: str,
) -> View:
    """What a flight sees of the site: crowns at the sensor's shift, their surface, its errors.

    Parameters
    ----------
    elapsed : float
        As of `crowns_at`.
    stage : str
        Names the flight's own noise.
    """
    crowns, kinds = crowns_at(site, trees, around, elapsed, (sensor.shift_x_m, sensor.shift_y_m))
    true_m, owner = surface(crowns, frame)
    kind = np.where(owner >= 0, kinds[np.maximum(owner, 0)], np.int8(-9)).astype(np.int8)
    return View(sense(true_m, frame, sensor, draws, stage), true_m, kind, owner)


def _grown(ring: Sequence[tuple[float, float]], by_m: float) -> list[tuple[float, float]]:
    """A ring pushed outwards from its middle, roughly, so that outside crowns keep off the boundary."""
    points = np.array(ring)
    centre = points.mean(axis=0)
    away = points - centre
    length = np.hypot(away[:, 0], away[:, 1])[:, None]
    return [(float(x), float(y)) for x, y in points + away / length * by_m]


def near_roads(
    roads: Sequence[Sequence[tuple[float, float]]], x: FloatArray, y: FloatArray, reach_m: float
) -> NDArray[np.bool_]:
    """Which points lie within `reach_m` of a road's middle."""
    near = np.zeros(x.shape, dtype=bool)
    for road in roads:
        for (x1, y1), (x2, y2) in pairwise(road):
            dx, dy = x2 - x1, y2 - y1
            along = np.clip(((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy), 0, 1)
            near |= np.hypot(x - x1 - along * dx, y - y1 - along * dy) < reach_m
    return near
