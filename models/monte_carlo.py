"""Errors carried from tree to project by Monte Carlo (誤差の伝播): one draw of all errors, one project total, many times over.

What a whole stand shares (factors, biases of a date, shift of a canopy raster) is drawn once per iteration, what belongs to a tree
or a sample plot once for each. Both dates of a tree go through the same draw, so their covariance is in the change by itself. The
point estimate stays the deterministic one; the draws supply the spread only. `models.monte_carlo_twin` says the same in closed form.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange
from models.rng import Stream

_F = NDArray[np.float64]
_I = NDArray[np.int64]

KEYS = ("first", "last", "change")
BLOCK_NUMBERS = 65_536
"""Trees times iterations worked on at once; it decides speed only, never the result."""
LEAST_SHARE = 0.05
"""A bias never shrinks a diameter or height below this share of what was measured."""


@dataclass(frozen=True)
class TreeDate:
    """Trees at one date, each array of shape (trees,); stock 0 where a tree does not stand.

    Attributes
    ----------
    stock_g : ndarray
        Stock of each tree, g CO2e (or any other mass), as estimated.
    dbh_cm, height_m : ndarray
        As measured; any positive number where the tree does not stand.
    dbh_power, height_power : ndarray
        Relative change of stock per relative change of diameter and height: ``b`` and ``c`` of
        ``log V = a + b log D + c log H``; the local power of any other equation.
    """

    stock_g: _F
    dbh_cm: _F
    height_m: _F
    dbh_power: _F
    height_power: _F


@dataclass(frozen=True)
class Trees:
    """Trees of all sample plots at both dates, ordered by sample plot, then by species.

    Attributes
    ----------
    sample_plot, species : ndarray of int, shape (trees,)
        Indices; every sample plot holds at least one row (a row of stock 0 will do).
    """

    sample_plot: _I
    species: _I
    first: TreeDate
    last: TreeDate


@dataclass(frozen=True)
class Sampling:
    """Strata, sample plots (ordered by stratum), and canopy height as the auxiliary variable.

    Attributes
    ----------
    stratum : ndarray of int, shape (plots,)
    sample_area_m2 : ndarray, shape (plots,)
    stratum_area_m2 : ndarray, shape (strata,)
    canopy_m : ndarray, shape (2, plots)
        Mean canopy height of each sample plot at both dates.
    stratum_canopy_m : ndarray, shape (2, strata)
    canopy_slope, stratum_canopy_slope : ndarray, shape (2, plots, 2) and (2, strata, 2)
        How those means change per metre that the raster lies too far east, and north; 0 where not known.
    residual_cov : ndarray, shape (plots, 3, 3)
        Residual covariance of stock density at the first and last date and of its change, (g/m²)², for each sample plot.
    """

    stratum: _I
    sample_area_m2: _F
    stratum_area_m2: _F
    canopy_m: _F
    stratum_canopy_m: _F
    canopy_slope: _F
    stratum_canopy_slope: _F
    residual_cov: _F


@dataclass(frozen=True)
class Errors:
    """Standard deviations of everything that is drawn.

    Attributes
    ----------
    factor_cv : mapping of name to ndarray, shape (species,)
        Relative errors of factors that all trees of a species share at both dates (volume equation, density, BEF, root ratio).
    height_bias_m, dbh_bias_cm : float
        Shared by all trees of one date, each date its own.
    tree_dbh_cv, tree_height_cv : ndarray, shape (2, trees)
        Relative measurement error of a tree, each date its own.
    tree_residual_cv : float
        What a tree differs from its equation by, the same at both dates.
    coregistration_m : float
        Shift of a date's whole canopy raster, per axis.
    gnss_m : float
        Shift of a sample plot from where it is mapped, per axis, the same at both dates.
    """

    factor_cv: Mapping[str, _F]
    height_bias_m: float
    dbh_bias_cm: float
    tree_dbh_cv: _F
    tree_height_cv: _F
    tree_residual_cv: float
    coregistration_m: float
    gnss_m: float


@dataclass(frozen=True)
class Draws:
    """Project totals, one a draw.

    Attributes
    ----------
    totals_g : ndarray, shape (3, iterations)
        Stock at the first date, at the last, and the change, g.
    """

    totals_g: _F

    def sd_g(self, key: str) -> float:
        """Standard deviation of ``first``, ``last`` or ``change``."""
        return float(self.totals_g[KEYS.index(key)].std(ddof=1))

    def mean_g(self, key: str) -> float:
        """Mean of the draws; its distance from the point estimate is the bias of second order, for information."""
        return float(self.totals_g[KEYS.index(key)].mean())

    def correlation(self) -> float:
        """Correlation between the stocks of both dates."""
        return float(np.corrcoef(self.totals_g[0], self.totals_g[1])[0, 1])

    def quantiles_g(self, key: str, probabilities: tuple[float, ...] = (0.05, 0.95)) -> tuple[float, ...]:
        """Quantiles of the draws."""
        return tuple(float(q) for q in np.quantile(self.totals_g[KEYS.index(key)], probabilities))


def simulate(
    trees: Trees,
    sampling: Sampling,
    errors: Errors,
    run_key: str,
    iterations: int,
    *,
    threads: int = 1,
    block_numbers: int = BLOCK_NUMBERS,
) -> Draws:
    """Draw all errors `iterations` times and estimate the project each time.

    Parameters
    ----------
    run_key : str
        What the run depends on (digest of its inputs); the same key gives the same draws.
    threads, block_numbers : int
        How the work is split. The result is the same to the bit for any split.

    Raises
    ------
    OutOfRange
        If trees or sample plots are not in order, or there are fewer than two iterations.

    References
    ----------
    Réjou-Méchain et al. 2017, doi:10.1111/2041-210X.12753; shared errors drawn once per iteration.
    """
    _check(trees, sampling, iterations)
    plan = _Plan(trees, sampling, errors, run_key)
    out = np.empty((len(KEYS), iterations))
    rows = max(1, block_numbers // max(1, plan.size))
    starts = range(0, iterations, rows)
    workers = max(1, min(threads, len(starts)))

    def work(worker: int) -> None:
        scratch = np.empty((3 * rows, plan.size))
        for start in starts[worker::workers]:
            stop = min(start + rows, iterations)
            out[:, start:stop] = plan.totals(start, stop, scratch[: 3 * (stop - start)])

    if workers == 1:
        work(0)
    else:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(work, range(workers)))
    return Draws(out)


@dataclass(frozen=True)
class _TreeError:
    """Errors of single trees on the logarithm of their stock, merged: sums of normals are normal.

    Diameter, height and the tree's own residual make one normal a date; what both dates share makes them covary. Means are half the
    variance below zero, so that no draw is too high on average.
    """

    first: _F
    last_shared: _F
    last_own: _F
    first_mean: _F
    last_mean: _F


def _merge_tree_errors(trees: Trees, errors: Errors) -> _TreeError:
    measured = measurement_variance(trees, errors)
    shared = errors.tree_residual_cv**2
    first = np.sqrt(measured[0] + shared)
    last_shared = np.divide(shared, first, out=np.zeros_like(first), where=first > 0)
    last_own = np.sqrt(np.maximum(measured[1] + shared - last_shared**2, 0.0))
    return _TreeError(
        first, last_shared, last_own, -0.5 * (measured[0] + shared), -0.5 * (measured[1] + shared)
    )


def measurement_variance(trees: Trees, errors: Errors) -> tuple[_F, _F]:
    """Variance of the logarithm of each tree's stock from measuring its diameter and height, at both dates."""
    first, last = (
        (date.dbh_power * errors.tree_dbh_cv[k]) ** 2 + (date.height_power * errors.tree_height_cv[k]) ** 2
        for k, date in enumerate((trees.first, trees.last))
    )
    return first, last


def square_root(covariance: _F) -> _F:
    """Lower triangular roots of symmetric 3 × 3 matrices that may be singular, shape (plots, 3, 3), in fixed order."""
    root = np.zeros_like(covariance)
    for j in range(3):
        for i in range(j, 3):
            rest = covariance[:, i, j] - (root[:, i, :j] * root[:, j, :j]).sum(axis=1)
            if i == j:
                root[:, j, j] = np.sqrt(np.maximum(rest, 0.0))
            else:
                divisor = root[:, j, j]
                root[:, i, j] = np.divide(rest, divisor, out=np.zeros_like(rest), where=divisor > 0)
    return root


class _Plan:
    """All that does not change between iterations."""

    def __init__(self, trees: Trees, sampling: Sampling, errors: Errors, run_key: str) -> None:
        self.trees, self.sampling, self.errors = trees, sampling, errors
        self.size = int(trees.sample_plot.size)
        self.segments = _starts(trees.sample_plot, trees.species)
        self.segment_species = trees.species[self.segments]
        self.plots = _starts(trees.sample_plot[self.segments])
        self.strata = _starts(sampling.stratum)
        self.per_stratum = np.diff(np.append(self.strata, sampling.stratum.size)).astype(np.float64)
        self.tree_error = _merge_tree_errors(trees, errors)
        self.root = square_root(sampling.residual_cov)
        self.species = {name: cv.size for name, cv in errors.factor_cv.items()}
        self.shared_width = sum(self.species.values()) + 8 + 5 * sampling.stratum.size
        self.shared, self.single = (Stream(run_key, f"monte_carlo/{name}") for name in ("shared", "trees"))
        self.intercept = tuple(_intercept(date) for date in (trees.first, trees.last))

    def totals(self, start: int, stop: int, scratch: _F) -> _F:
        """Project totals of iterations `start` to `stop`, shape (3, rows); `scratch` has shape (3 · rows, trees)."""
        rows, plots = stop - start, self.sampling.stratum.size
        shared = np.empty((rows, self.shared_width))
        self.shared.fill_normal_from_table(shared, start * self.shared_width)
        ends = np.cumsum([*self.species.values(), 4, 4, 2 * plots])
        *factors, bias, raster, own, residual = np.split(shared, ends, axis=1)
        y0, y1 = self._densities(start, scratch, factors, bias)
        (x0, x1), (stratum0, stratum1) = self._canopy(raster.reshape(rows, 2, 2), own.reshape(rows, plots, 2))
        z = residual.reshape(rows, 3, plots)
        e = [sum(self.root[:, i, j] * z[:, j] for j in range(i + 1)) for i in range(3)]
        return np.stack(
            [
                self._estimate(y0 + e[0], x0, stratum0),
                self._estimate(y1 + e[1], x1, stratum1),
                self._estimate(y1 - y0 + e[2], x1 - x0, stratum1 - stratum0),
            ]
        )

    def _densities(self, start: int, scratch: _F, factors: list[_F], bias: _F) -> tuple[_F, _F]:
        """Stock density of each sample plot at both dates, g/m², shape (rows, plots)."""
        rows = len(scratch) // 3
        both, work = scratch[: 2 * rows].reshape(rows, 2 * self.size), scratch[2 * rows :]
        self.single.fill_normal_from_table(both, start * 2 * self.size)
        z0, z1 = both[:, : self.size], both[:, self.size :]
        factor = np.ones((rows, self.segments.size))
        for cv, z in zip(self.errors.factor_cv.values(), factors, strict=True):
            factor *= (1.0 + cv * z)[:, self.segment_species]
        bias = bias * np.array([self.errors.dbh_bias_cm, self.errors.height_bias_m] * 2)
        z1 *= self.tree_error.last_own
        z1 += np.multiply(z0, self.tree_error.last_shared, out=work)
        z1 += self.tree_error.last_mean + self.intercept[1]
        z0 *= self.tree_error.first
        z0 += self.tree_error.first_mean + self.intercept[0]
        return (
            self._sum(_redrawn(self.trees.first, z0, bias[:, :1], bias[:, 1:2], work), factor),
            self._sum(_redrawn(self.trees.last, z1, bias[:, 2:3], bias[:, 3:], work), factor),
        )

    def _sum(self, stock_g: _F, factor: _F) -> _F:
        by_species = np.add.reduceat(stock_g, self.segments, axis=1)
        by_species *= factor
        return np.asarray(np.add.reduceat(by_species, self.plots, axis=1) / self.sampling.sample_area_m2)

    def _canopy(self, raster: _F, own: _F) -> tuple[list[_F], list[_F]]:
        """Canopy heights of sample plots and of strata at both dates, after shifts of rasters and sample plots."""
        raster, own = raster * self.errors.coregistration_m, own * self.errors.gnss_m
        x, strata = [], []
        for date in range(2):
            shift = raster[:, None, date, :]
            slope, whole = self.sampling.canopy_slope[date], self.sampling.stratum_canopy_slope[date]
            moved = slope[:, 0] * (shift[..., 0] + own[..., 0]) + slope[:, 1] * (shift[..., 1] + own[..., 1])
            x.append(self.sampling.canopy_m[date] + moved)
            strata.append(
                self.sampling.stratum_canopy_m[date]
                + whole[:, 0] * shift[..., 0]
                + whole[:, 1] * shift[..., 1]
            )
        return x, strata

    def _estimate(self, y: _F, x: _F, stratum_x: _F) -> _F:
        """Combined regression estimator with strata of `models.estimators`, one project total a row."""
        from_mean = x - x.mean(axis=1, keepdims=True)
        sxx = (from_mean * from_mean).sum(axis=1)
        slope = np.divide((from_mean * y).sum(axis=1), sxx, out=np.zeros_like(sxx), where=sxx > 0)
        y_mean = np.add.reduceat(y, self.strata, axis=1) / self.per_stratum
        x_mean = np.add.reduceat(x, self.strata, axis=1) / self.per_stratum
        total = y_mean + slope[:, None] * (stratum_x - x_mean)
        return np.asarray((total * self.sampling.stratum_area_m2).sum(axis=1))


def _intercept(date: TreeDate) -> _F:
    """``log stock − b log D − c log H`` of every tree; minus infinity where none stands."""
    with np.errstate(divide="ignore"):
        log_stock = np.log(date.stock_g)
    return np.asarray(
        log_stock - date.dbh_power * np.log(date.dbh_cm) - date.height_power * np.log(date.height_m)
    )


def _redrawn(date: TreeDate, log_stock: _F, dbh_bias_cm: _F, height_bias_m: _F, work: _F) -> _F:
    """Stock of every tree with its errors, shape (rows, trees): ``exp(log_stock + b log D' + c log H')``; overwrites `log_stock`."""
    for bias, size, power in (
        (dbh_bias_cm, date.dbh_cm, date.dbh_power),
        (height_bias_m, date.height_m, date.height_power),
    ):
        np.add(bias, size, out=work)
        if bias.min() < (LEAST_SHARE - 1.0) * size.min():
            np.maximum(work, LEAST_SHARE * size, out=work)
        np.log(work, out=work)
        work *= power
        log_stock += work
    return np.exp(log_stock, out=log_stock)


def _starts(*labels: _I) -> NDArray[np.intp]:
    """Where a run of equal labels starts."""
    changed = np.zeros(labels[0].size, dtype=np.bool_)
    changed[0] = True
    for label in labels:
        changed[1:] |= np.diff(label) != 0
    return np.flatnonzero(changed)


def _check(trees: Trees, sampling: Sampling, iterations: int) -> None:
    plots = sampling.stratum.size
    in_order = (
        np.array_equal(np.unique(trees.sample_plot), np.arange(plots))
        and bool((np.diff(trees.sample_plot) >= 0).all())
        and np.array_equal(np.unique(sampling.stratum), np.arange(sampling.stratum_area_m2.size))
        and bool((np.diff(sampling.stratum) >= 0).all())
    )
    if not in_order or iterations < 2:
        raise OutOfRange(
            en=f"expected trees ordered by sample plot 0 to {plots - 1}, sample plots by stratum, none empty, and two or more "
            f"iterations, got {trees.sample_plot.size} trees, {sampling.stratum_area_m2.size} strata, {iterations} iterations; sort them",
            ja=f"標準地0～{plots - 1}の順の立木、層の順の標準地（空のものなし）、2回以上の反復が必要ですが、"
            f"立木{trees.sample_plot.size}本、層{sampling.stratum_area_m2.size}、反復{iterations}回でした。並べ替えてください",
        )
