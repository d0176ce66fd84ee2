"""Many made-up projects at once, as cells of sample-plot size: for studies of coverage, where ten thousand are redrawn.

A cell holds like trees: stems, their quadratic mean diameter and height, and the canopy height a sensor sees. Between two dates
trees grow, cells are thinned (間伐), or cut and replanted (主伐・再造林). Coarser than the tree-level simulator beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_F = NDArray[np.float64]
Treatment = Literal["growing", "thinned", "cut"]
CELL_M = 20.0
CELL_HA = 0.04


@dataclass(frozen=True)
class StemCarbon:
    """CO2e of a stem and all that belongs to it: ``factor * 10^a * D^b * H^c``, t CO2e; D cm, H m."""

    a: float
    b: float
    c: float
    co2_t_m3: float

    def t_per_stem(self, dbh_cm: _F, height_m: _F) -> _F:
        return np.asarray(self.co2_t_m3 * 10.0**self.a * dbh_cm**self.b * height_m**self.c)


@dataclass(frozen=True)
class Layout:
    """A square forest of ``side x side`` cells, cut into plots (区画), each of one species and treatment.

    Attributes
    ----------
    plot_of : ndarray of int, shape (side * side,)
    species : tuple of int
        Index of each plot's species.
    treatments : tuple of Treatment
    """

    side: int
    plot_of: NDArray[np.int64]
    species: tuple[int, ...]
    treatments: tuple[Treatment, ...]

    @property
    def cells(self) -> int:
        return self.side**2

    @property
    def plots(self) -> int:
        return len(self.species)

    def xy_m(self) -> _F:
        """Centres of the cells, shape (cells, 2)."""
        row, column = np.divmod(np.arange(self.cells), self.side)
        return np.stack([column, row], axis=1) * CELL_M


def layout(side: int, blocks: tuple[tuple[int, int, int, int], ...], **rest: tuple[object, ...]) -> Layout:
    """Plots as rectangles ``(row0, row1, column0, column1)`` that cover the square once.

    Raises
    ------
    ValueError
        If they overlap or leave a cell out.
    """
    plot_of = np.full((side, side), -1)
    for k, (r0, r1, c0, c1) in enumerate(blocks):
        if (plot_of[r0:r1, c0:c1] >= 0).any():
            raise ValueError(f"expected blocks that do not overlap, got block {k} over another")
        plot_of[r0:r1, c0:c1] = k
    if (plot_of < 0).any():
        raise ValueError("expected blocks that cover the square, got cells without a plot")
    return Layout(side, plot_of.ravel().astype(np.int64), **rest)  # type: ignore[arg-type]  # arrays of several dtypes under one name


@dataclass(frozen=True)
class Variation:
    """How cells differ, as standard deviations; relative where no unit is named.

    Attributes
    ----------
    range_m : float
        Distance at which the likeness of cells falls to 1/e (separable exponential); 0 makes them independent.
    canopy_noise_m : float
        Of a cell's mean canopy height against its trees, each date its own.
    thinned_share, thinned_share_sd : float
        Stems taken in a thinned cell.
    skewed : bool
        Growth spreads as a lognormal: few cells grow much more than the rest.
    """

    range_m: float = 0.0
    stems: float = 0.15
    dbh: float = 0.08
    height: float = 0.05
    cover: float = 0.06
    growth: float = 0.30
    canopy_noise_m: float = 0.30
    thinned_share: float = 0.28
    thinned_share_sd: float = 0.06
    skewed: bool = False


@dataclass(frozen=True)
class Cells:
    """P projects: what stands on every cell at both dates, before any error; arrays of shape (P, cells)."""

    stems_ha: tuple[_F, _F]
    dbh_cm: tuple[_F, _F]
    height_m: tuple[_F, _F]
    canopy_m: tuple[_F, _F]
    vigour: _F

    def stock_t_ha(
        self,
        date: int,
        forest: Layout,
        carbon: tuple[StemCarbon, ...],
        dbh_cm: float = 0.0,
        height_m: float = 0.0,
    ) -> _F:
        """t CO2e per ha of every cell with the given equations, were all stems thicker or taller by so much."""
        out = np.empty_like(self.stems_ha[date])
        species = np.array(forest.species)[forest.plot_of]
        for k in sorted(set(forest.species)):
            own = species == k
            d, h = self.dbh_cm[date][:, own] + dbh_cm, self.height_m[date][:, own] + height_m
            out[:, own] = self.stems_ha[date][:, own] * carbon[k].t_per_stem(d, h)
        return out


def draw_cells(rng: np.random.Generator, projects: int, forest: Layout, how: Variation) -> Cells:
    """Redraw the population of every project: stands first, then their cells, then what happened to them.

    Parameters
    ----------
    rng : numpy.random.Generator
    projects : int
        P.
    """
    plot_of, shape = forest.plot_of, (projects, forest.cells)
    stand = {
        k: rng.standard_normal((projects, forest.plots))[:, plot_of] for k in ("size", "density", "site")
    }
    field = {
        k: _field(rng, projects, forest.side, how.range_m) for k in ("n", "d", "h", "cover", "vigour", "own")
    }
    stocking = np.maximum(1.0 + how.stems * field["n"], 0.2)
    thickness = np.maximum(1.0 + how.dbh * field["d"] - 0.2 * how.stems * field["n"], 0.4)
    tallness = np.exp(how.height * field["h"])
    dbh0 = 25.0 * np.exp(0.08 * stand["size"]) * thickness
    height0 = 18.0 * np.exp(0.05 * stand["size"] + 0.03 * stand["site"]) * tallness
    stems0 = 1050.0 * np.exp(-0.10 * stand["size"] + 0.08 * stand["density"]) * stocking
    cover0 = np.clip(0.86 + how.cover * field["cover"] + 0.03 * field["n"], 0.3, 1.0)
    pace = _pace(stand["site"], how.growth * field["vigour"], how.skewed)
    # A closed stand grows by about as much per hectare whether dense or sparse: stems of a dense cell thicken less.
    dbh1 = dbh0 * (1.0 + 0.065 * pace / (stocking * thickness**2))
    height1 = height0 + 1.5 * np.sqrt(pace) * np.exp(0.15 * field["own"])
    stems1, cover1 = 0.98 * stems0, cover0.copy()
    treatment = np.array(forest.treatments)[plot_of]
    thinned = treatment == "thinned"
    if thinned.any():
        taken = how.thinned_share + how.thinned_share_sd * rng.standard_normal((projects, int(thinned.sum())))
        taken = np.clip(taken, 0.02, 0.7)
        stems1[:, thinned] = stems0[:, thinned] * (1.0 - taken)
        dbh1[:, thinned] *= 1.0 + 0.12 * taken  # from below: who stays is thicker
        cover1[:, thinned] *= 1.0 - 0.7 * taken
    cut = treatment == "cut"
    if cut.any():
        many = (projects, int(cut.sum()))
        stems1[:, cut] = 2400.0 * np.exp(0.10 * rng.standard_normal(many))
        dbh1[:, cut] = 1.8 * np.exp(0.15 * rng.standard_normal(many))
        height1[:, cut] = 1.6 * np.exp(0.15 * rng.standard_normal(many))
        cover1[:, cut] = 0.25
    noise = [how.canopy_noise_m * rng.standard_normal(shape) for _ in range(2)]
    canopy = (cover0 * height0 + noise[0], cover1 * height1 + noise[1])
    return Cells((stems0, stems1), (dbh0, dbh1), (height0, height1), canopy, pace)


def _pace(site: _F, vigour: _F, skewed: bool) -> _F:
    """Growth of a cell over the mean of all."""
    if skewed:
        return np.asarray(np.exp(0.10 * site + vigour - 0.5 * float(vigour.var())))
    return np.asarray(np.maximum(1.0 + 0.10 * site + vigour, 0.1))


def _field(rng: np.random.Generator, projects: int, side: int, range_m: float) -> _F:
    """Normal fields of mean 0 and variance 1, correlation ``exp(-(|dx| + |dy|) / range)``, shape (P, side²)."""
    white = rng.standard_normal((projects, side, side))
    if range_m <= 0:
        return white.reshape(projects, -1)
    steps = np.abs(np.subtract.outer(np.arange(side), np.arange(side)))
    root = np.linalg.cholesky(np.exp(-steps * CELL_M / range_m))
    return np.asarray((root @ white @ root.T).reshape(projects, -1))
