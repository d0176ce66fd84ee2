"""Small areas: empirical best linear unbiased prediction where single domains hold too few sample plots.

Unit level (Battese, Harter, Fuller) and area level (Fay, Herriot), with the mean squared error g1 + g2 + 2 g3; GREG and
synthetic estimates stand beside every one. A between-domain variance estimated as zero is reported as such.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar

from models.domains import greg_domains
from models.errors import OutOfRange
from models.sampling import SampleEstimate, _enough, _labels, column, table

_F = NDArray[np.float64]
Likelihood = Literal["reml", "ml"]
AreaMethod = Literal["reml", "ml", "moment"]


@dataclass(frozen=True)
class SmallArea:
    """One domain.

    Attributes
    ----------
    eblup, mse : float
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


@dataclass(frozen=True)
class _Block:
    """Sums of one domain."""

    n: int
    x_sum: _F
    y_sum: float


def eblup_unit(
    y: ArrayLike,
    x: ArrayLike,
    domain: Sequence[str],
    x_mean: Mapping[str, ArrayLike],
    population: Mapping[str, float] | None = None,
    method: Likelihood = "reml",
) -> SmallAreaFit:
    """Unit-level EBLUP: ``X_d' b + gamma_d (y_d - x_d' b)``, ``gamma_d = s2_u / (s2_u + s2_e / n_d)``.

    Parameters
    ----------
    y : array_like, shape (n,)
    x : array_like, shape (n, k)
        Without the column of ones.
    x_mean : mapping of domain to array_like, shape (k,)
        Population means; a domain without sample plots gets the synthetic prediction.
    population : mapping of domain to float, optional
        N_d units: the sampled ones then enter as measured, only the others are predicted.

    References
    ----------
    Battese, Harter, Fuller (1988) JASA 83: 28-36; Prasad and Rao (1990) JASA 85: 163-171; Rao and Molina (2015) 7.1-7.2.
    """
    values = column("y", y)
    n = values.size
    covariates = table("x", x, n)
    design = np.column_stack([np.ones(n), covariates])
    _enough(n, design.shape[1])
    names = _labels("domain", domain, n, x_mean)
    blocks = {
        name: _Block(int(own.sum()), design[own].sum(axis=0), float(values[own].sum()))
        for name in x_mean
        if (own := names == name).any()
    }
    if len(blocks) < 2 or n <= len(blocks) + design.shape[1] - 1:
        raise OutOfRange(
            en=f"Expected sample plots in two or more domains and more plots than domains and covariates, got {n} plots in {len(blocks)} domains.",
            ja=f"2つ以上の領域と、領域数・説明変数数より多い標準地が必要ですが、{len(blocks)} 領域に {n} 点でした。",
        )
    model = _UnitModel(values, design, tuple(blocks.values()))
    ratio_ = _largest(lambda r: model.log_likelihood(r, method), model.scale())
    within = model.within(ratio_, method)
    between = ratio_ * within
    beta, bread = model.solve(ratio_)
    covariance = within * bread
    noise = _variance_covariance(tuple(blocks.values()), between, within)
    direct = greg_domains(values, covariates, domain, x_mean)
    areas = {}
    for name, means in x_mean.items():
        at = _at(name, means, design.shape[1])
        size = None if population is None else population[name]
        areas[name] = _unit_area(
            at, blocks.get(name), beta, covariance, between, within, noise, size, direct.get(name)
        )
    errors = np.sqrt(np.diag(covariance))
    return SmallAreaFit(tuple(beta.tolist()), tuple(errors.tolist()), between, within, between == 0.0, areas)


def _at(name: str, means: ArrayLike, p: int) -> _F:
    return np.concatenate([[1.0], column(f"x_mean of {name}", np.atleast_1d(np.asarray(means)), p - 1)])


@dataclass(frozen=True)
class _UnitModel:
    """Profile likelihood of the nested error model in ``r = s2_u / s2_e``."""

    y: _F
    design: _F
    blocks: tuple[_Block, ...]

    def scale(self) -> float:
        return 1.0

    def solve(self, r: float) -> tuple[_F, _F]:
        """Coefficients and ``(X' V^-1 X)^-1`` for within variance one."""
        gram = self.design.T @ self.design
        right = self.design.T @ self.y
        for b in self.blocks:
            shrink = r / (1.0 + b.n * r)
            gram = gram - shrink * np.outer(b.x_sum, b.x_sum)
            right = right - shrink * b.x_sum * b.y_sum
        bread: _F = np.asarray(np.linalg.inv(gram), dtype=np.float64)
        return bread @ right, bread

    def squares(self, r: float) -> float:
        beta, _ = self.solve(r)
        residual = self.y - self.design @ beta
        sums = sum(r / (1.0 + b.n * r) * (b.y_sum - float(b.x_sum @ beta)) ** 2 for b in self.blocks)
        return float(residual @ residual) - sums

    def within(self, r: float, method: Likelihood) -> float:
        return self.squares(r) / self._freedom(method)

    def log_likelihood(self, r: float, method: Likelihood) -> float:
        value = -self._freedom(method) * np.log(self.squares(r))
        value -= sum(np.log1p(b.n * r) for b in self.blocks)
        if method == "reml":
            value += np.linalg.slogdet(self.solve(r)[1])[1]
        return 0.5 * float(value)

    def _freedom(self, method: Likelihood) -> int:
        return self.y.size - (self.design.shape[1] if method == "reml" else 0)


def _largest(log_likelihood: Callable[[float], float], scale: float) -> float:
    """Maximum over [0, inf) of a likelihood in one variance; exactly zero where it falls from there on."""
    grid = scale * np.concatenate([[0.0], np.logspace(-8, 5, 105)])
    values = [log_likelihood(float(v)) for v in grid]
    best = int(np.argmax(values))
    if best == 0:
        return 0.0
    low, high = np.log(grid[max(best - 1, 1)]), np.log(grid[min(best + 1, grid.size - 1)])
    found = minimize_scalar(
        lambda u: -log_likelihood(float(np.exp(u))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-11},
    )
    value = float(np.exp(found.x))
    return value if log_likelihood(value) > values[0] else 0.0


def _variance_covariance(blocks: tuple[_Block, ...], between: float, within: float) -> _F:
    """Asymptotic covariance of (s2_u, s2_e), inverse of Fisher's information. Rao and Molina (2015) 7.2.2."""
    information = np.zeros((2, 2))
    for b in blocks:
        alpha = within + b.n * between
        information[0, 0] += 0.5 * b.n**2 / alpha**2
        information[1, 1] += 0.5 * ((b.n - 1) / within**2 + 1.0 / alpha**2)
        information[0, 1] += 0.5 * b.n / alpha**2
    information[1, 0] = information[0, 1]
    return np.asarray(np.linalg.inv(information))


def _unit_area(
    at: _F,
    block: _Block | None,
    beta: _F,
    covariance: _F,
    between: float,
    within: float,
    noise: _F,
    size: float | None,
    direct: SampleEstimate | None,
) -> SmallArea:
    synthetic = float(at @ beta)
    synthetic_mse = between + float(at @ covariance @ at)
    if block is None:
        return SmallArea(
            synthetic,
            synthetic_mse,
            between,
            synthetic_mse - between,
            0.0,
            0.0,
            0,
            synthetic,
            synthetic_mse,
            None,
        )
    n = block.n
    gamma = between / (between + within / n)
    x_bar, y_bar = block.x_sum / n, block.y_sum / n
    effect = gamma * (y_bar - float(x_bar @ beta))
    share = 0.0 if size is None else n / size
    value = share * y_bar + float((at - share * x_bar) @ beta) + (1.0 - share) * effect
    unseen = at if size is None else (at - share * x_bar) / (1.0 - share)
    gap = unseen - gamma * x_bar
    g1, g2 = gamma * within / n, float(gap @ covariance @ gap)
    spread = within**2 * noise[0, 0] + between**2 * noise[1, 1] - 2.0 * within * between * noise[0, 1]
    g3 = float(spread) / (n**2 * (between + within / n) ** 3)
    mse = (1.0 - share) ** 2 * (g1 + g2 + 2.0 * g3)
    if size is not None:
        mse += (1.0 - share) * within / size
    return SmallArea(value, mse, g1, g2, g3, gamma, n, synthetic, synthetic_mse, direct)


def eblup_area(
    direct: ArrayLike,
    direct_variance: ArrayLike,
    x: ArrayLike,
    domain: Sequence[str],
    method: AreaMethod = "reml",
) -> SmallAreaFit:
    """Area-level EBLUP of direct estimates with known sampling variances.

    Parameters
    ----------
    direct, direct_variance : array_like, shape (m,)
        One direct estimate per domain, and its variance.
    x : array_like, shape (m, k)
        Without the column of ones.
    method : {"reml", "ml", "moment"}
        "moment" solves ``sum (y - x'b)^2 / (A + D) = m - p``.

    References
    ----------
    Fay and Herriot (1979) JASA 74: 269-277; Datta and Lahiri (2000) Statistica Sinica 10: 613-627; Rao and Molina (2015) 6.1-6.2.
    """
    values = column("direct", direct)
    m = values.size
    known = column("direct_variance", direct_variance, m)
    if (known <= 0).any():
        row = int(np.flatnonzero(known <= 0)[0]) + 1
        raise OutOfRange(
            en=f"direct_variance: expected variances above zero, got {known[row - 1]} in row {row} (counted from 1).",
            ja=f"direct_variance: 正の分散が必要ですが、{row} 行目（1起算）は {known[row - 1]} でした。",
        )
    design = np.column_stack([np.ones(m), table("x", x, m)])
    p = design.shape[1]
    _enough(m, p)
    between = _between(values, known, design, method)
    beta, covariance = _area_solve(values, known, design, between)
    noise, bias = _area_noise(known, design, covariance, between, method)
    names = _labels("domain", domain, m, dict.fromkeys(domain))
    areas = {}
    for k, name in enumerate(names.tolist()):
        at, own = design[k], float(known[k])
        away = own / (between + own)
        synthetic = float(at @ beta)
        g1, g2 = between * away, float(at @ covariance @ at) * away**2
        g3 = own**2 / (between + own) ** 3 * noise
        eblup = synthetic + (1.0 - away) * (float(values[k]) - synthetic)
        mse = g1 + g2 + 2.0 * g3 - bias * away**2
        areas[name] = SmallArea(
            eblup, mse, g1, g2, g3, 1.0 - away, 1, synthetic, between + float(at @ covariance @ at),
            SampleEstimate(float(values[k]), own, float("inf"), 1, 0, "direct"),
        )  # fmt: skip
    errors = np.sqrt(np.diag(covariance))
    return SmallAreaFit(
        tuple(beta.tolist()), tuple(errors.tolist()), between, float("nan"), between == 0.0, areas
    )


def _area_solve(y: _F, known: _F, design: _F, between: float) -> tuple[_F, _F]:
    w = 1.0 / (between + known)
    covariance: _F = np.asarray(np.linalg.inv((design * w[:, None]).T @ design), dtype=np.float64)
    return covariance @ design.T @ (w * y), covariance


def _between(y: _F, known: _F, design: _F, method: AreaMethod) -> float:
    m, p = design.shape

    def squares(a: float) -> float:
        beta, _ = _area_solve(y, known, design, a)
        return float(((y - design @ beta) ** 2 / (a + known)).sum())

    if method == "moment":
        low, high = 0.0, float(known.max())
        if squares(0.0) <= m - p:
            return 0.0
        while squares(high) > m - p:
            high *= 2.0
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if squares(middle) > m - p else (low, middle)
        return 0.5 * (low + high)

    def log_likelihood(a: float) -> float:
        value = -float(np.log(a + known).sum()) - squares(a)
        if method == "reml":
            value += float(np.linalg.slogdet(_area_solve(y, known, design, a)[1])[1])
        return 0.5 * value

    return _largest(log_likelihood, float(np.median(known)))


def _area_noise(
    known: _F, design: _F, covariance: _F, between: float, method: AreaMethod
) -> tuple[float, float]:
    """Asymptotic variance of the between variance, and its bias (zero for REML). Rao and Molina (2015) 6.2.1."""
    w = 1.0 / (between + known)
    first, second = float(w.sum()), float((w**2).sum())
    if method == "moment":
        m = known.size
        return 2.0 * m / first**2, 2.0 * (m * second - first**2) / first**3
    bias = 0.0
    if method == "ml":
        bias = -float(np.trace(covariance @ (design * (w**2)[:, None]).T @ design)) / second
    return 2.0 / second, bias
