"""Small areas: empirical best linear unbiased prediction where single domains hold too few sample plots.

Unit level (Battese, Harter, Fuller) and area level (Fay, Herriot), with the mean squared error g1 + g2 + 2 g3; GREG and
synthetic estimates stand beside every one. A between-domain variance estimated as zero is reported as such.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import amounts, column, enough, finite_correction, groups, labels, means, positive, table
from models.domains import greg_domains
from models.errors import OutOfRange
from models.fay_herriot import AreaMethod, AreaModel
from models.nested_error import Components, NestedError, UnitMethod
from models.regression import Regression, fit_regression
from models.sample_estimate import SampleEstimate

_F = NDArray[np.float64]


@dataclass(frozen=True)
class SmallArea:
    """One domain.

    Attributes
    ----------
    eblup, mse : float
        In the unit of y, and its square.
    g1, g2, g3 : float
        Parts of the MSE: of the domain's effect, of the coefficients, of the variances.
    shrinkage : float
        ``gamma``: weight of the domain's own sample against the model.
    synthetic : float
        Prediction of the model alone.
    greg : SampleEstimate or None
        None where the domain has fewer than two sample plots.
    """

    eblup: float
    mse: float
    g1: float
    g2: float
    g3: float
    shrinkage: float
    n: int
    synthetic: float
    synthetic_mse: float
    greg: SampleEstimate | None


@dataclass(frozen=True)
class SmallAreaFit:
    """Fitted model and all domains.

    Attributes
    ----------
    between_variance, within_variance : float
        ``sigma^2_u``, ``sigma^2_e`` (the latter nan at area level, where it is given per domain).
    between_is_zero : bool
        The between-domain variance was estimated as zero: all predictions are synthetic, and MSE is likely too small.
    """

    coefficients: tuple[float, ...]
    coefficient_errors: tuple[float, ...]
    between_variance: float
    within_variance: float
    between_is_zero: bool
    areas: Mapping[str, SmallArea]


def eblup_unit(
    y: ArrayLike,
    x: ArrayLike | None,
    domain: Sequence[str],
    x_mean: Mapping[str, ArrayLike],
    population: Mapping[str, float] | None = None,
    method: UnitMethod = "reml",
) -> SmallAreaFit:
    """Unit-level EBLUP: ``X_d' b + gamma_d (y_d - x_d' b)``, ``gamma_d = s2_u / (s2_u + s2_e / n_d)``.

    Parameters
    ----------
    y : array_like, shape (n,)
    x : array_like, shape (n, k) or (n,), or None
        Without the column of ones.
    domain : sequence of str, length n
    x_mean : mapping of domain to array_like, shape (k,) or (N_d, k)
        Population means, or all units; a domain without sample plots gets the synthetic prediction.
    population : mapping of domain to float, optional
        N_d units: the sampled ones then enter as measured, only the others are predicted.
    method : {"reml", "ml", "constants"}
        Of the variances; "constants" is fitting of constants (Henderson's method 3), as the authors did.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value or label, the domain without a size, or the column of a collinear covariate; if fewer
        than two domains hold plots, or no plot is left to tell plots of a domain apart.

    References
    ----------
    Battese, Harter, Fuller (1988) JASA 83: 28-36; Prasad and Rao (1990) JASA 85: 163-171; Rao and Molina (2015) 7.1-7.2.
    """
    _known(method, get_args(UnitMethod))
    values = column("y", y)
    n = values.size
    covariates = table("x", x, n)
    rows = groups(labels("domain", domain, n, x_mean))
    if len(rows) < 2 or n <= len(rows) + covariates.shape[1]:
        raise OutOfRange(
            en=f"Expected sample plots in two or more domains and more plots than domains and covariates, got {n} plots in {len(rows)} domains.",
            ja=f"2つ以上の領域と、領域数・説明変数数より多い標準地が必要ですが、{len(rows)} 領域に {n} 点でした。",
        )
    sizes = None if population is None else amounts("population", population, x_mean)
    line = fit_regression(values, covariates)
    index = np.empty(n, dtype=np.intp)
    for k, own in enumerate(rows.values()):
        index[own] = k
    middle = float(values.mean())
    model = NestedError(values - middle, line.basis, index)
    found = model.components(method)
    loads, covariance = model.solve(found.between, found.within)
    loads = loads + np.eye(loads.size)[0] * middle
    model_of = _UnitModel(loads, covariance, found)
    direct = greg_domains(values, covariates, domain, x_mean)
    areas = {}
    for name, given in x_mean.items():
        at = line.at(means(f"x_mean of {name}", given, covariates.shape[1]))
        own = rows.get(name, np.empty(0, dtype=np.intp))
        if sizes is not None:
            finite_correction(own.size, sizes[name], f"domain {name}")
        areas[name] = model_of.area(
            at, line.basis[own], values[own], None if sizes is None else sizes[name], direct.get(name)
        )
    coefficients, errors = _in_units(line, loads, covariance)
    return SmallAreaFit(coefficients, errors, found.between, found.within, found.between == 0.0, areas)


def _known(method: str, allowed: Sequence[str]) -> None:
    if method not in allowed:
        raise OutOfRange(
            en=f"method: expected one of {', '.join(allowed)}, got {method!r}.",
            ja=f"method: {', '.join(allowed)} のいずれかが必要ですが、{method!r} でした。",
        )


def _in_units(line: Regression, loads: _F, covariance: _F) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Coefficients and their standard errors in the units given, intercept first."""
    turn = np.diag(np.concatenate([[1.0], 1.0 / line.scale]))
    turn[0, 1:] = -line.centre / line.scale
    errors = np.sqrt(np.diag(turn @ covariance @ turn.T))
    return tuple((turn @ loads).tolist()), tuple(errors.tolist())


@dataclass(frozen=True)
class _UnitModel:
    """Coefficients of the basis, their covariance, and the variances."""

    loads: _F
    covariance: _F
    variances: Components

    def area(self, at: _F, basis: _F, y: _F, size: float | None, direct: SampleEstimate | None) -> SmallArea:
        """EBLUP of one domain and its MSE ``g1 + g2 + 2 g3`` (of the units not sampled, where `size` is known)."""
        between, within = self.variances.between, self.variances.within
        synthetic = float(at @ self.loads)
        own = float(at @ self.covariance @ at)
        if not y.size:
            return SmallArea(
                synthetic, between + own, between, own, 0.0, 0.0, 0, synthetic, between + own, None
            )
        n = y.size
        total = between + within / n
        gamma = between / total if total else 0.0
        x_bar, y_bar = basis.mean(axis=0), float(y.mean())
        share = 0.0 if size is None else n / size
        value = share * y_bar + float((at - share * x_bar) @ self.loads)
        value += (1.0 - share) * gamma * (y_bar - float(x_bar @ self.loads))
        # (1 - share) times the mean of the units not sampled, so that a domain measured whole needs none
        gap = (at - share * x_bar) - (1.0 - share) * gamma * x_bar
        g1, g2 = gamma * within / n, float(gap @ self.covariance @ gap)
        g3 = self._third(n, total)
        mse = (1.0 - share) ** 2 * (g1 + 2.0 * g3) + g2
        g2 = g2 / (1.0 - share) ** 2 if share < 1.0 else 0.0
        if size is not None:
            mse += (1.0 - share) * within / size
        return SmallArea(value, mse, g1, g2, g3, gamma, n, synthetic, between + own, direct)

    def _third(self, n: int, total: float) -> float:
        between, within, noise = (
            self.variances.between,
            self.variances.within,
            self.variances.covariance,
        )
        if total == 0.0:
            return 0.0
        spread = within**2 * noise[0, 0] + between**2 * noise[1, 1] - 2.0 * within * between * noise[0, 1]
        return float(spread) / (n**2 * total**3)


def eblup_area(
    direct: ArrayLike,
    direct_variance: ArrayLike,
    x: ArrayLike | None,
    domain: Sequence[str],
    method: AreaMethod = "reml",
    unsampled: Mapping[str, ArrayLike] | None = None,
) -> SmallAreaFit:
    """Area-level EBLUP of direct estimates with known sampling variances.

    Parameters
    ----------
    direct, direct_variance : array_like, shape (m,)
        One direct estimate per domain, and its variance.
    x : array_like, shape (m, k) or (m,), or None
        Without the column of ones.
    domain : sequence of str, length m
        Each once.
    method : {"reml", "ml", "moment"}
        "moment" solves ``sum (y - x'b)^2 / (A + D) = m - p``.
    unsampled : mapping of domain to array_like, shape (k,), optional
        Covariates of domains without a direct estimate, which get the synthetic prediction.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value, of a variance not above zero, or of a domain that comes twice; if m is not above k + 1.

    References
    ----------
    Fay and Herriot (1979) JASA 74: 269-277; Datta and Lahiri (2000) Statistica Sinica 10: 613-627; Rao and Molina (2015) 6.1-6.2.
    """
    _known(method, get_args(AreaMethod))
    values = column("direct", direct)
    m = values.size
    known = column("direct_variance", direct_variance, m)
    positive("direct_variance", known, "variances", "分散")
    covariates = table("x", x, m)
    names = labels("domain", domain, m)
    others = {} if unsampled is None else dict(unsampled)
    _once(names, others)
    enough(m, covariates.shape[1] + 1)
    line = fit_regression(values, covariates)
    middle = float(values.mean())
    model = AreaModel(values - middle, known, line.basis)
    between = model.between(method)
    loads, covariance = model.solve(between)
    loads = loads + np.eye(loads.size)[0] * middle
    noise, bias = model.noise(covariance, between, method)
    areas: dict[str, SmallArea] = {}
    for k, name in enumerate(names.tolist()):
        at, own = line.basis[k], float(known[k])
        away = own / (between + own)
        synthetic, error = float(at @ loads), float(at @ covariance @ at)
        g1, g2 = between * away, error * away**2
        g3 = own**2 / (between + own) ** 3 * noise
        eblup = synthetic + (1.0 - away) * (float(values[k]) - synthetic)
        mse = g1 + g2 + 2.0 * g3 - bias * away**2
        areas[name] = SmallArea(
            eblup, mse, g1, g2, g3, 1.0 - away, 1, synthetic, between + error,
            SampleEstimate(float(values[k]), own, float("inf"), 1, 0, "direct"),
        )  # fmt: skip
    for name, given in others.items():
        at = line.at(means(f"unsampled {name}", given, covariates.shape[1]))
        value, error = float(at @ loads), float(at @ covariance @ at)
        mse = between + error
        areas[name] = SmallArea(value, mse, between, error, 0.0, 0.0, 0, value, mse, None)
    coefficients, errors = _in_units(line, loads, covariance)
    return SmallAreaFit(coefficients, errors, between, float("nan"), between == 0.0, areas)


def _once(names: NDArray[np.object_], others: Mapping[str, ArrayLike]) -> None:
    seen: dict[Hashable, int] = {}
    for row, name in enumerate(names.tolist(), 1):
        first = seen.setdefault(name, row)
        if first != row or name in others:
            where, where_ja = (
                (f"rows {first} and {row} (counted from 1)", f"{first} 行目と {row} 行目（1起算）")
                if first != row
                else (
                    f"row {row} (counted from 1) and among the unsampled",
                    f"{row} 行目（1起算）と unsampled",
                )
            )
            raise OutOfRange(
                en=f"domain: expected every domain once, got {name!r} in {where}.",
                ja=f"domain: 領域は一度ずつ必要ですが、{name!r} が{where_ja}にあります。",
            )
