"""Made-up projects for `coverage.py`: what is declared, what is drawn, how it is measured, and the credited analysis of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.simulator.cells import CELL_HA, CELL_M, Cells, Layout, StemCarbon, Variation, draw_cells, layout
from models.stratified import StratifiedBatch, effective_freedom
from mrv.tables import Tables

_F = NDArray[np.float64]
SPECIES = ("sugi", "hinoki")
BLOCK = 250
SIX_PLOTS = (
    (0, 16, 0, 11),
    (0, 16, 11, 22),
    (0, 16, 22, 32),
    (16, 32, 0, 18),
    (16, 32, 18, 30),
    (16, 32, 30, 32),
)
FOUR_PLOTS = ((0, 16, 0, 16), (0, 16, 16, 32), (16, 32, 0, 16), (16, 32, 16, 32))
FOUR_WITH_CUT = ((0, 16, 0, 24), (0, 16, 24, 32), (16, 32, 0, 30), (16, 32, 30, 32))
LAYOUTS = {
    "six growing": layout(32, SIX_PLOTS, species=(0, 1, 0, 1, 0, 1), treatments=("growing",) * 6),
    "six treated": layout(
        32, SIX_PLOTS, species=(0, 1, 0, 1, 0, 1), treatments=("growing",) * 4 + ("thinned", "cut")
    ),
    "four growing": layout(32, FOUR_PLOTS, species=(0, 1, 1, 0), treatments=("growing",) * 4),
    "four treated": layout(
        32, FOUR_WITH_CUT, species=(0, 1, 1, 0), treatments=("growing", "thinned", "growing", "cut")
    ),
    "one growing": layout(32, ((0, 32, 0, 32),), species=(0,), treatments=("growing",)),
}


@dataclass(frozen=True)
class Declared:
    """Errors that no sample can show, as standard deviations; what is drawn and what the analyst deducts for.

    Attributes
    ----------
    allometry, bef, density : float
        Relative, persistent: a species' factor is off by the same at both dates.
    date_factor : float
        Relative, of each species and date its own (a BEF that moves with age); the credited path has no such term.
    height_bias_m, dbh_bias_cm : float
        Of all field heights, all diameters of one date.
    canopy_bias_m : float
        Of all canopy pixels of one date. Sample plots and map share it, so that nothing is deducted for it.
    """

    allometry: float = 0.025
    bef: float = 0.015
    density: float = 0.02
    date_factor: float = 0.0
    height_bias_m: float = 0.15
    dbh_bias_cm: float = 0.03
    canopy_bias_m: float = 0.3

    @property
    def shared_variance(self) -> float:
        """Of the product of the persistent factors, relative."""
        return float((1 + self.allometry**2) * (1 + self.bef**2) * (1 + self.density**2) - 1.0)


NOTHING = Declared(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.3)


@dataclass(frozen=True)
class Scenario:
    """One row of the table.

    Attributes
    ----------
    per_plot : int
        Sample plots drawn in each plot.
    drawn : Declared or None
        What really happens, where it is not what is declared.
    height_fault_m : float
        Added to all field heights of the last date: a fixed, unknown bias.
    canopy_fault_m : float
        The same for the canopy.
    selection : str
        "random", or how a person chose the plots: "average" (of three each, the nearest to their stand's growth), "typical" (to half a
        standard deviation above it), "vigorous" (the best).
    taken_for : tuple of int
        Species index that the analyst takes each species for.
    skewed : bool
        Growth spreads as a lognormal.
    analysis : str
        "paired" is the credited one; others are in `coverage_failures`.
    """

    name: str
    layout: str
    per_plot: int
    range_m: float = 0.0
    declared: Declared = field(default_factory=Declared)
    drawn: Declared | None = None
    gated: bool = False
    height_fault_m: float = 0.0
    canopy_fault_m: float = 0.0
    selection: str = "random"
    taken_for: tuple[int, ...] = (0, 1)
    analysis: str = "paired"
    skewed: bool = False

    @property
    def forest(self) -> Layout:
        return LAYOUTS[self.layout]

    @property
    def n(self) -> int:
        return self.per_plot * self.forest.plots


def carbon_of(tables: Tables) -> tuple[StemCarbon, ...]:
    """Osaka stem volume and inventory factors, as the demo's prefecture uses them."""
    out = []
    for name in SPECIES:
        terms = tables.equation_set("mie", name).classes[0].terms
        factor = float(tables.factors("mie", name).co2_g_per_cm3(False))
        out.append(StemCarbon(terms["const"], terms["log10_d"], terms["log10_h"], factor))
    return tuple(out)


@dataclass(frozen=True)
class Sample:
    """P projects as an analyst sees them; t CO2e per ha and m, arrays of shape (P, n).

    Attributes
    ----------
    y : measured stock at both dates
    per_m, per_cm : how it would differ were all stems 1 m taller, 1 cm thicker
    x, x_mean, x_cells : canopy height at sample plots, mean per plot (P, H), every cell (P, cells)
    index : cells of the sample plots
    """

    forest: Layout
    stratum: NDArray[np.int64]
    species: NDArray[np.int64]
    index: NDArray[np.int64]
    y: tuple[_F, _F]
    per_m: tuple[_F, _F]
    per_cm: tuple[_F, _F]
    x: tuple[_F, _F]
    x_mean: tuple[_F, _F]
    x_cells: tuple[_F, _F]

    @property
    def area_ha(self) -> _F:
        return np.bincount(self.forest.plot_of, minlength=self.forest.plots) * CELL_HA

    def batch(self, date: int | None) -> StratifiedBatch:
        """The estimator of one date, or of the change where `date` is None."""
        groups = {name: k for k, name in enumerate(dict.fromkeys(self.forest.treatments))}
        group = np.array([groups[t] for t in self.forest.treatments])
        x, mean = (self.x[1] - self.x[0], self.x_mean[1] - self.x_mean[0]) if date is None else (
            self.x[date], self.x_mean[date]
        )  # fmt: skip
        return StratifiedBatch(self.stratum, self.area_ha, group, x, mean)


@dataclass(frozen=True)
class Truth:
    """What really stands: totals in t CO2e, shape (P,), and what an oracle knows.

    Attributes
    ----------
    oracle_variance : variance of the estimator by the population itself, for change and last stock
    """

    stock: tuple[_F, _F]
    oracle_variance: dict[str, _F]

    @property
    def change(self) -> _F:
        return np.asarray(self.stock[1] - self.stock[0])


def generator(*names: object) -> np.random.Generator:
    """Random numbers named by what they are for: the same for any order and chunk of scenarios."""
    digest = hashlib.sha256("\n".join(map(str, names)).encode()).digest()
    return np.random.Generator(
        np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64))
    )


def draw_block(
    scenario: Scenario, carbon: tuple[StemCarbon, ...], seed: str, block: int
) -> tuple[Sample, Truth]:
    """Redraw BLOCK projects: forest, errors, sample."""
    rng = generator(seed, scenario.name, block)
    forest = scenario.forest
    cells = draw_cells(rng, BLOCK, forest, Variation(range_m=scenario.range_m, skewed=scenario.skewed))
    stock = tuple(cells.stock_t_ha(t, forest, carbon) for t in range(2))
    drawn = scenario.drawn or scenario.declared
    factors = _factors(rng, drawn)
    species_of = np.array(forest.species)[forest.plot_of]
    truth = tuple((stock[t] * factors[t][:, species_of]).sum(axis=1) * CELL_HA for t in range(2))
    sample = _measure(rng, scenario, cells, carbon, drawn)
    oracle = _oracle(scenario, cells, carbon, (stock[0], stock[1]))
    return sample, Truth((truth[0], truth[1]), oracle)


def _factors(rng: np.random.Generator, drawn: Declared) -> tuple[_F, _F]:
    """True over tabled CO2e per stem, per species and date, shape (P, species)."""
    z = rng.standard_normal((5, BLOCK, len(SPECIES)))
    shared = (1 + drawn.allometry * z[0]) * (1 + drawn.bef * z[1]) * (1 + drawn.density * z[2])
    return shared * (1 + drawn.date_factor * z[3]), shared * (1 + drawn.date_factor * z[4])


def _measure(
    rng: np.random.Generator,
    scenario: Scenario,
    cells: Cells,
    carbon: tuple[StemCarbon, ...],
    drawn: Declared,
) -> Sample:
    forest = scenario.forest
    index = _select(rng, scenario, cells)
    stratum = np.repeat(np.arange(forest.plots), scenario.per_plot)
    species = np.array(forest.species)[stratum]
    bias_m, bias_cm, bias_canopy = rng.standard_normal((3, 2, BLOCK, 1))
    fault = (0.0, scenario.height_fault_m)
    y, per_m, per_cm = [], [], []
    for t in range(2):
        n, d, h = (np.take_along_axis(v[t], index, 1) for v in (cells.stems_ha, cells.dbh_cm, cells.height_m))
        d = np.maximum(d + drawn.dbh_bias_cm * bias_cm[t], 0.5)
        h = np.maximum(h + drawn.height_bias_m * bias_m[t] + fault[t], 0.5)
        stock = np.empty_like(n)
        slope_m, slope_cm = np.empty_like(n), np.empty_like(n)
        for k, taken_for in enumerate(scenario.taken_for):
            own, c = species == k, carbon[taken_for]
            stock[:, own] = n[:, own] * c.t_per_stem(d[:, own], h[:, own])
            slope_m[:, own], slope_cm[:, own] = (
                c.c * stock[:, own] / h[:, own],
                c.b * stock[:, own] / d[:, own],
            )
        trees = 1.0 + 0.01 * rng.standard_normal(
            n.shape
        )  # errors of single trees, as far as a plot leaves them
        y.append(stock * trees)
        per_m.append(slope_m)
        per_cm.append(slope_cm)
    canopy = tuple(
        cells.canopy_m[t] + drawn.canopy_bias_m * bias_canopy[t] + (0.0, scenario.canopy_fault_m)[t]
        for t in range(2)
    )
    seen = _see(rng, forest, canopy, index)
    members = (forest.plot_of[:, None] == np.arange(forest.plots)) / np.bincount(forest.plot_of)
    means = tuple(c @ members for c in canopy)
    return Sample(
        forest, stratum, species, index, (y[0], y[1]), (per_m[0], per_m[1]), (per_cm[0], per_cm[1]),
        seen, (means[0], means[1]), (canopy[0], canopy[1]),
    )  # fmt: skip


def _see(
    rng: np.random.Generator, forest: Layout, canopy: tuple[_F, ...], index: NDArray[np.int64]
) -> tuple[_F, _F]:
    """Canopy of sample plots where GNSS (sd 3 m, once) and co-registration (sd 0.5 m, each flight) say they lie."""
    row, column = np.divmod(index, forest.side)
    gnss = 3.0 * rng.standard_normal((2, *index.shape))
    out = []
    for t in range(2):
        shift = gnss + 0.5 * rng.standard_normal((2, BLOCK, 1))
        share = np.minimum(np.abs(shift) / CELL_M, 0.5)
        away = np.clip(np.stack([row, column]) + np.sign(shift).astype(np.int64), 0, forest.side - 1)
        here = np.take_along_axis(canopy[t], index, 1)
        up = np.take_along_axis(canopy[t], away[0] * forest.side + column, 1)
        beside = np.take_along_axis(canopy[t], row * forest.side + away[1], 1)
        out.append((1 - share[0] - share[1]) * here + share[0] * up + share[1] * beside)
    return out[0], out[1]


def _select(rng: np.random.Generator, scenario: Scenario, cells: Cells) -> NDArray[np.int64]:
    """Cells of the sample plots, shape (P, n): at random without replacement in every plot, or as a person would."""
    forest, k = scenario.forest, scenario.per_plot
    chosen = []
    for plot in range(forest.plots):
        own = np.flatnonzero(forest.plot_of == plot)
        order = np.argsort(rng.random((BLOCK, own.size)), axis=1)
        if scenario.selection != "random":
            many = min(own.size, 3 * k)
            looked_at = order[:, :many]
            vigour = np.take_along_axis(cells.vigour[:, own], looked_at, 1)
            middle = cells.vigour[:, own].mean(axis=1, keepdims=True)
            if scenario.selection == "typical":
                middle = middle + 0.5 * cells.vigour[:, own].std(axis=1, keepdims=True)
            score = -vigour if scenario.selection == "vigorous" else np.abs(vigour - middle)
            order = np.take_along_axis(looked_at, np.argsort(score, axis=1), 1)
        chosen.append(own[order[:, :k]])
    return np.concatenate(chosen, axis=1)


def _oracle(
    scenario: Scenario, cells: Cells, carbon: tuple[StemCarbon, ...], stock: tuple[_F, _F]
) -> dict[str, _F]:
    """Variance of the paired estimator known from the population: residuals of all cells, declared errors of true totals."""
    forest, declared = scenario.forest, scenario.declared
    slopes = {
        "m": tuple(cells.stock_t_ha(t, forest, carbon, height_m=0.5) - cells.stock_t_ha(t, forest, carbon, height_m=-0.5) for t in range(2)),
        "cm": tuple(cells.stock_t_ha(t, forest, carbon, dbh_cm=0.5) - cells.stock_t_ha(t, forest, carbon, dbh_cm=-0.5) for t in range(2)),
    }  # fmt: skip
    species_of = np.array(forest.species)[forest.plot_of]
    out = {}
    for key, dates in (("change", (0, 1)), ("stock", (1,))):
        y = stock[1] - stock[0] if key == "change" else stock[1]
        x = cells.canopy_m[1] - cells.canopy_m[0] if key == "change" else cells.canopy_m[1]
        noise = sum((0.01 * stock[t]) ** 2 for t in dates)
        variance = _sampling(scenario, np.asarray(y), np.asarray(x), np.asarray(noise))
        for k in range(len(SPECIES)):
            own = (y[:, species_of == k]).sum(axis=1) * CELL_HA
            variance = variance + own**2 * declared.shared_variance
            for t in dates:
                total = stock[t][:, species_of == k].sum(axis=1) * CELL_HA
                variance = variance + (total * declared.date_factor) ** 2
        for t in dates:
            variance = variance + (slopes["m"][t].sum(axis=1) * CELL_HA * declared.height_bias_m) ** 2
            variance = variance + (slopes["cm"][t].sum(axis=1) * CELL_HA * declared.dbh_bias_cm) ** 2
        out[key] = np.asarray(variance)
    return out


def _sampling(scenario: Scenario, y: _F, x: _F, noise: _F) -> _F:
    forest = scenario.forest
    count = np.bincount(forest.plot_of)
    weight = scenario.per_plot / count[forest.plot_of] / scenario.n
    dx = x - (x @ weight)[:, None]
    slope = ((dx * weight) * y).sum(axis=1) / ((dx**2) @ weight)
    residual = y - slope[:, None] * x
    variance = np.zeros(BLOCK)
    for plot in range(forest.plots):
        own = forest.plot_of == plot
        cells = int(own.sum())
        spread = (1 - scenario.per_plot / cells) * residual[:, own].var(axis=1, ddof=1) + noise[:, own].mean(
            axis=1
        )
        variance = variance + (cells * CELL_HA) ** 2 * spread / scenario.per_plot
    return variance


@dataclass(frozen=True)
class Found:
    """What an analysis says of P projects: t CO2e, its standard error, degrees of freedom; shape (P,)."""

    value: _F
    standard_error: _F
    df: _F


def analyse(sample: Sample, declared: Declared, date: int | None = None) -> Found:
    """The credited analysis, of the change or of one date's stock: `mrv.change` in floating point."""
    batch = sample.batch(date)
    dates = (0, 1) if date is None else (date,)
    y = sample.y[1] - sample.y[0] if date is None else sample.y[date]
    weights = batch.weights()
    terms, freedom = batch.sampling_variance(y)
    known = declared_variance(sample, weights, y, declared, dates)
    return Found(
        (weights * y).sum(axis=1),
        np.sqrt(terms.sum(axis=1) + known),
        effective_freedom(terms, freedom, known),
    )


def declared_variance(sample: Sample, weights: _F, y: _F, declared: Declared, dates: tuple[int, ...]) -> _F:
    """Variance of declared errors carried through the estimator's weights, as `mrv.change` does; shape (P,)."""
    variance = np.zeros(y.shape[0])
    for k in range(len(SPECIES)):
        own = sample.species == k
        variance = variance + (weights * y)[:, own].sum(axis=1) ** 2 * declared.shared_variance
        for t in dates:
            total = (weights * sample.y[t])[:, own].sum(axis=1)
            variance = variance + (total * declared.date_factor) ** 2
    for t in dates:
        variance = variance + ((weights * sample.per_m[t]).sum(axis=1) * declared.height_bias_m) ** 2
        variance = variance + ((weights * sample.per_cm[t]).sum(axis=1) * declared.dbh_bias_cm) ** 2
    return np.asarray(variance)
