"""Trees of a simulated site: where they stand, how thick and how tall they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import pdtr, pdtrik

from models.checks import quantity
from models.growth import DensityDiagram, HeightCurve, stand_state
from models.simulator.draws import Draws, FloatArray

ALIVE, THINNED, CUT, DEAD = 0, 1, 2, 3
Ring = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Stand:
    """One managed plot as the simulator is told to make it.

    Attributes
    ----------
    ring_m : sequence of (x, y)
        Outline in metres of the site's own frame.
    origin : {"plantation", "coppice", "natural"}
        Rows with jitter (人工林), clusters of shoots on stools (萌芽林), or seeded stems at random or in groups (天然林).
    planted_year : int
        Year of planting, or of the last coppice cut.
    stems_per_ha : float
        Standing stems at the first date.
    curve : HeightCurve
        Height of the tallest trees by age.
    diagram : DensityDiagram or None
        Gives mean diameter from height and stems; None where none is published (broadleaves).
    coppice_dbh_cm_per_m : float
        Mean diameter per metre of height where there is no diagram.
    trees_per_group : float
        Mean stems of a group of a natural stand; 1 puts every stem by itself, at random.
    group_radius_m : float
        Standard deviation, east and north, of a group's stems about its middle.

    Raises
    ------
    OutOfRange
        If the stems, a group's mean or its radius are out of range or no numbers.
    """

    plot_id: str
    ring_m: Ring
    species: str
    origin: Literal["plantation", "coppice", "natural"]
    planted_year: int
    stems_per_ha: float
    curve: HeightCurve
    diagram: DensityDiagram | None = None
    coppice_dbh_cm_per_m: float = 1.05
    trees_per_group: float = 1.0
    group_radius_m: float = 2.5

    def __post_init__(self) -> None:
        quantity(f"{self.plot_id}: stems_per_ha", self.stems_per_ha)
        quantity(f"{self.plot_id}: trees_per_group", self.trees_per_group, low=1.0, above=False)
        quantity(f"{self.plot_id}: group_radius_m", self.group_radius_m, above=False)

    def dominant_height_m(self, year: int) -> float:
        """Height of the tallest trees after the growing season of `year`, m."""
        return self.curve.height_m(year - self.planted_year)

    def mean_dbh_cm(self, year: int, stems_per_ha: float) -> float:
        """Quadratic mean diameter after the growing season of `year`, cm."""
        height = self.dominant_height_m(year)
        if self.diagram is None:
            return self.coppice_dbh_cm_per_m * height
        return stand_state(self.diagram, height, stems_per_ha).mean_dbh_cm


@dataclass(frozen=True)
class Treatment:
    """Something done in a plot between the dates.

    Attributes
    ----------
    kind : {"thin", "cut"}
        間伐, or 主伐 of the whole plot, followed by replanting unless `replant` is false.
    stems_ratio : float
        Share of stems taken, 0 to 1.
    from_below : float
        0: every tree alike; 1: mostly the small ones (下層間伐); -1: mostly the large ones (上層間伐).
    line_m : float
        Width of the lines that fall whole in a line thinning (列状間伐), m; 0: single trees are chosen.
    replant : bool
        Whether seedlings are set in the spring after a cut (再造林).
    seedlings_per_ha : float
    replant_species : str or None
        Species of the seedlings; None: the plot's own.

    Raises
    ------
    OutOfRange
        If a share, width or number is out of range or no number.
    """

    plot_id: str
    day: date
    kind: Literal["thin", "cut"]
    stems_ratio: float
    from_below: float = 0.5
    line_m: float = 0.0
    replant: bool = True
    seedlings_per_ha: float = 2500.0
    replant_species: str | None = None

    def __post_init__(self) -> None:
        quantity(f"{self.plot_id}: stems_ratio", self.stems_ratio, above=False, high=1.0)
        quantity(f"{self.plot_id}: from_below", self.from_below, low=-1.0, above=False, high=1.0)
        quantity(f"{self.plot_id}: line_m", self.line_m, above=False)
        quantity(f"{self.plot_id}: seedlings_per_ha", self.seedlings_per_ha)

    @property
    def season(self) -> int:
        """First growing season after it."""
        return self.day.year if self.day.month < 5 else self.day.year + 1


@dataclass(frozen=True)
class Trees:
    """All trees of a site at one date, one entry a tree; entries keep their place over time, recruits come after them.

    Attributes
    ----------
    x_m, y_m : ndarray
        Position in the site's frame, m.
    plot : ndarray of int16
        Index into the site's stands.
    species : ndarray of int8
        Index into the site's species.
    planted_year : ndarray of int16
    dbh_cm, height_m : ndarray
        True values at the date; last values where the tree no longer stands.
    vigour : ndarray
        Growth relative to a like tree, mean 1, for life.
    residual : ndarray
        True stem volume over that of the equation, mean 1, for life.
    status : ndarray of int8
        `ALIVE`, `THINNED`, `CUT`, `DEAD`.
    """

    x_m: FloatArray
    y_m: FloatArray
    plot: NDArray[np.int16]
    species: NDArray[np.int8]
    planted_year: NDArray[np.int16]
    dbh_cm: FloatArray
    height_m: FloatArray
    vigour: FloatArray
    residual: FloatArray
    status: NDArray[np.int8]

    def __len__(self) -> int:
        return int(self.x_m.size)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Trees:
        """The trees of an index or mask."""
        return Trees(**{f.name: getattr(self, f.name)[index] for f in fields(self)})

    @property
    def standing(self) -> NDArray[np.bool_]:
        return np.asarray(self.status == ALIVE)


def join(parts: Sequence[Trees]) -> Trees:
    """One after another."""
    return Trees(**{f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Trees)})


def inside(ring_m: Ring, x_m: FloatArray, y_m: FloatArray) -> NDArray[np.bool_]:
    """Which points lie in a ring, by the even-odd rule."""
    out = np.zeros(x_m.shape, dtype=bool)
    points = list(ring_m)
    for (x1, y1), (x2, y2) in zip(points, points[1:] + points[:1], strict=True):
        if y1 == y2:
            continue
        crosses = (y_m >= min(y1, y2)) & (y_m < max(y1, y2))
        out ^= crosses & (x_m < x1 + (y_m - y1) * ((x2 - x1) / (y2 - y1)))
    return out


def site_quality(draws: Draws, x_m: FloatArray, y_m: FloatArray) -> FloatArray:
    """How good the ground is: smooth, mean 0, variance 1; hollows grow better than spurs (地位)."""
    broad = draws.smooth_field("site/broad", x_m, y_m, 90.0)
    fine = draws.smooth_field("site/fine", x_m, y_m, 30.0)
    return np.asarray(0.9 * broad + 0.436 * fine)


def plant(stand: Stand, index: int, species: Mapping[str, int], year: int, draws: Draws) -> Trees:
    """Trees of one stand after the growing season of `year`."""
    name = f"plant/{stand.plot_id}"
    place = {"plantation": planting_rows, "coppice": _stools, "natural": _seeded}[stand.origin]
    x, y = place(stand, draws, name)
    n = x.size
    quality = site_quality(draws, x, y)
    spread = 0.17 if stand.origin == "plantation" else 0.26
    size = np.exp(spread * draws.normal(f"{name}/dbh", n) - spread**2 / 2)
    mean_dbh = stand.mean_dbh_cm(year, stand.stems_per_ha)
    dbh = np.maximum(mean_dbh * (1 + 0.055 * quality) * size, 3.0)
    return Trees(
        x_m=x,
        y_m=y,
        plot=np.full(n, index, dtype=np.int16),
        species=np.full(n, species[stand.species], dtype=np.int8),
        planted_year=np.full(n, stand.planted_year, dtype=np.int16),
        dbh_cm=dbh,
        height_m=_height(stand.dominant_height_m(year), quality, size, draws.normal(f"{name}/height", n)),
        vigour=np.exp(0.22 * draws.normal(f"{name}/vigour", n) - 0.22**2 / 2),
        residual=volume_residual(draws, f"{name}/residual", n),
        status=np.zeros(n, dtype=np.int8),
    )


def volume_residual(draws: Draws, stage: str, n: int) -> FloatArray:
    """A tree's own stem volume over that of the equation: lognormal, mean 1, sd 6 %."""
    return np.asarray(np.exp(0.06 * draws.normal(stage, n) - 0.06**2 / 2))


def _height(dominant_m: float, quality: FloatArray, size: FloatArray, noise: FloatArray) -> FloatArray:
    """Height from dominant height, site, relative diameter and chance; small trees are shorter."""
    mean = 0.93 * dominant_m * (1 + 0.06 * quality)
    return np.asarray(np.maximum(mean * size**0.38 * np.exp(0.04 * noise), 2.5))


def planting_rows(stand: Stand, draws: Draws, name: str) -> tuple[FloatArray, FloatArray]:
    """Planting rows with jitter, thinned out to today's stems in patches and singly."""
    planted = (
        max(stand.stems_per_ha * 1.25, 2200.0) if stand.stems_per_ha > 1300 else 1.6 * stand.stems_per_ha
    )
    step = 100.0 / np.sqrt(planted)
    ring = np.array(stand.ring_m)
    centre = (ring.min(axis=0) + ring.max(axis=0)) / 2
    half = np.hypot(*(ring.max(axis=0) - centre)) + step
    line = np.arange(-half, half, step)
    u, v = (a.ravel() for a in np.meshgrid(line, line))
    angle = float(draws.uniform(f"{name}/angle", 1)[0]) * np.pi / 2
    jitter = draws.normal(f"{name}/jitter", 2 * u.size).reshape(2, -1) * (0.16 * step)
    u, v = u + jitter[0], v + jitter[1]
    x = centre[0] + u * np.cos(angle) - v * np.sin(angle)
    y = centre[1] + u * np.sin(angle) + v * np.cos(angle)
    patch = 1 + 0.10 * draws.smooth_field(f"{name}/patch", x, y, 25.0)
    stays = draws.uniform(f"{name}/stays", x.size) < stand.stems_per_ha / planted * patch
    keep = stays & inside(stand.ring_m, x, y)
    return x[keep], y[keep]


def _stools(stand: Stand, draws: Draws, name: str) -> tuple[FloatArray, FloatArray]:
    """Stools at uneven distances, two to five shoots leaning out of each."""
    ring = np.array(stand.ring_m)
    low, high = ring.min(axis=0), ring.max(axis=0)
    step = 100.0 / np.sqrt(stand.stems_per_ha / 3.5)
    x0, y0 = (
        a.ravel()
        for a in np.meshgrid(np.arange(low[0], high[0] + step, step), np.arange(low[1], high[1] + step, step))
    )
    stools = x0.size
    uneven = (draws.uniform(f"{name}/stool", 2 * stools).reshape(2, -1) - 0.5) * (0.7 * step)
    shoots = 2 + (draws.uniform(f"{name}/shoots", stools) * 4).astype(np.int64)
    x0, y0 = np.repeat(x0 + uneven[0], shoots), np.repeat(y0 + uneven[1], shoots)
    lean = draws.normal(f"{name}/shoot-xy", 2 * x0.size).reshape(2, -1) * 0.7
    x, y = x0 + lean[0], y0 + lean[1]
    keep = inside(stand.ring_m, x, y)
    return x[keep], y[keep]


def _seeded(stand: Stand, draws: Draws, name: str) -> tuple[FloatArray, FloatArray]:
    """Stems at random, or in groups about random middles (a Thomas process, Thomas 1949)."""
    grouped = stand.trees_per_group > 1.0
    margin = 3.0 * stand.group_radius_m if grouped else 0.0
    ring = np.array(stand.ring_m)
    low, high = ring.min(axis=0) - margin, ring.max(axis=0) + margin
    expected = stand.stems_per_ha * float(np.prod(high - low)) / 1e4 / stand.trees_per_group
    middles = int(_poisson(draws.uniform(f"{name}/groups", 1), expected)[0])
    at = draws.uniform(f"{name}/middle", 2 * middles).reshape(2, -1)
    x, y = low[0] + at[0] * (high - low)[0], low[1] + at[1] * (high - low)[1]
    if grouped:
        many = _poisson(draws.uniform(f"{name}/many", middles), stand.trees_per_group)
        x, y = np.repeat(x, many), np.repeat(y, many)
        away = draws.normal(f"{name}/away", 2 * x.size).reshape(2, -1) * stand.group_radius_m
        x, y = x + away[0], y + away[1]
    keep = inside(stand.ring_m, x, y)
    return x[keep], y[keep]


def _poisson(uniform: FloatArray, mean: float) -> NDArray[np.int64]:
    """Counts of a Poisson distribution, by its inverse."""
    above = np.ceil(np.nan_to_num(pdtrik(uniform, mean)))
    below = np.maximum(above - 1.0, 0.0)
    return np.asarray(np.where(pdtr(below, mean) >= uniform, below, above), dtype=np.int64)
