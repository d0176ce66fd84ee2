"""Design-based estimators of means and totals from a probability sample, with their variances.

Floating-point and general: any number of sample plots, covariates, strata and domains. The credited path uses the exact
`models.estimators`; these serve reports, other designs, and figures to compare with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtrit

from models.errors import OutOfRange

_F = NDArray[np.float64]
GregVariance = Literal["n_minus_p", "n_minus_1", "g_weight"]


@dataclass(frozen=True)
class SampleEstimate:
    """An estimate with its variance.

    Attributes
    ----------
    value, variance : float
        In the unit of y (times area or number for totals), and its square.
    degrees_of_freedom : float
        Of Student's t; may be fractional (Satterthwaite) or infinite.
    n : int
        Sample plots it rests on.
    parameters : int
        Coefficients estimated from them.
    estimator : str
        Its name, for the report.
    """

    value: float
    variance: float
    degrees_of_freedom: float
    n: int
    parameters: int
    estimator: str

    @property
    def standard_error(self) -> float:
        return float(np.sqrt(self.variance))

    def half_width(self, coverage: float = 0.9) -> float:
        """Half of the two-sided interval by Student's t."""
        return t_quantile(self.degrees_of_freedom, 0.5 + coverage / 2.0) * self.standard_error

    def interval(self, coverage: float = 0.9) -> tuple[float, float]:
        half = self.half_width(coverage)
        return self.value - half, self.value + half

    def times(self, size: float) -> SampleEstimate:
        """The total that belongs to this mean: times the number of units, or the area."""
        return replace(self, value=self.value * size, variance=self.variance * size**2)


def t_quantile(degrees_of_freedom: float, probability: float) -> float:
    """Quantile of Student's t, of the normal distribution where the degrees of freedom are infinite."""
    return float(stdtrit(min(degrees_of_freedom, 1e12), probability))


def column(name: str, values: ArrayLike, n: int | None = None) -> _F:
    """One column of numbers, all there and finite.

    Raises
    ------
    OutOfRange
        Naming the rows (counted from 1) that hold no number, or where the length is not `n`.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0 or (n is not None and array.size != n):
        raise OutOfRange(
            en=f"{name}: expected one column of {n if n is not None else 'one or more'} rows, got shape {array.shape}.",
            ja=f"{name}: {n if n is not None else '1'} 行の列が必要ですが、形が {array.shape} でした。",
        )
    _refuse_missing(name, array[:, None])
    return array


def table(name: str, values: ArrayLike, n: int) -> _F:
    """Columns of numbers as an array of shape (n, k); one column may come flat.

    Raises
    ------
    OutOfRange
        As `column`.
    """
    array = np.asarray(values, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[0] != n:
        raise OutOfRange(
            en=f"{name}: expected {n} rows, one for each value of y, got shape {array.shape}.",
            ja=f"{name}: y と同じ {n} 行が必要ですが、形が {array.shape} でした。",
        )
    _refuse_missing(name, array)
    return array


def _refuse_missing(name: str, array: _F) -> None:
    rows = np.flatnonzero(~np.isfinite(array).all(axis=1)) + 1
    if rows.size:
        listed = ", ".join(map(str, rows[:10])) + (" ..." if rows.size > 10 else "")
        raise OutOfRange(
            en=f"{name}: expected a number in every row, got none in row {listed} (counted from 1). "
            "Measure it, or take the row out and say so; a missing value is never filled in.",
            ja=f"{name}: 全行に数値が必要ですが、{listed} 行目（1起算）が欠測です。計測するか、その行を除外して明記してください。",
        )


def _enough(n: int, parameters: int, where: str = "") -> None:
    if n <= parameters or n < 2:
        at = f"{where}: " if where else ""
        raise OutOfRange(
            en=f"{at}expected more sample plots than parameters and two at least, got {n} sample plots and {parameters} parameters. "
            "No variance can be estimated; measure more or use fewer covariates.",
            ja=f"{at}母数より多く、かつ2点以上の標準地が必要ですが、{n}点・{parameters}母数でした。標準地を増やすか説明変数を減らしてください。",
        )


def srs(y: ArrayLike, population: float | None = None) -> SampleEstimate:
    """Mean under simple random sampling without replacement: ``V = (1 - n/N) s^2 / n``.

    Parameters
    ----------
    y : array_like, shape (n,)
    population : float, optional
        N units; infinite if not given.
    """
    values = column("y", y)
    n = values.size
    _enough(n, 1)
    variance = _finite(n, population) * float(values.var(ddof=1)) / n
    return SampleEstimate(float(values.mean()), variance, n - 1, n, 1, "simple random sampling")


def _finite(n: int, population: float | None) -> float:
    if population is None:
        return 1.0
    if population < n:
        raise OutOfRange(
            en=f"Expected a population of at least the {n} units sampled, got {population}.",
            ja=f"母集団は標本 {n} 以上である必要がありますが、{population} でした。",
        )
    return 1.0 - n / population


def stratified(
    y: ArrayLike,
    stratum: Sequence[str],
    size: Mapping[str, float],
    population: Mapping[str, float] | None = None,
) -> SampleEstimate:
    """Mean under stratified random sampling: ``V = sum_h W_h^2 (1 - f_h) s_h^2 / n_h``, Satterthwaite degrees of freedom.

    Parameters
    ----------
    size : mapping of stratum to float
        Area or number of units; weights are their shares.
    population : mapping of stratum to float, optional
        N_h units; no finite correction if not given.

    Raises
    ------
    OutOfRange
        If a stratum has fewer than two sample plots or is not in `size`.

    References
    ----------
    Cochran (1977) Sampling Techniques, 5.6 and 5.16.
    """
    values = column("y", y)
    names = _labels("stratum", stratum, values.size, size)
    whole = float(sum(size.values()))
    mean, terms = 0.0, []
    for name, area in size.items():
        own = values[names == name]
        _enough(own.size, 1, f"stratum {name}")
        share = area / whole
        finite = _finite(own.size, None if population is None else population[name])
        mean += share * float(own.mean())
        terms.append((share**2 * finite * float(own.var(ddof=1)) / own.size, own.size - 1))
    return SampleEstimate(
        mean, sum(v for v, _ in terms), satterthwaite(terms), values.size, len(size), "stratified sampling"
    )


def satterthwaite(terms: Sequence[tuple[float, float]]) -> float:
    """Effective degrees of freedom of a sum of independent variances, each with its own.

    References
    ----------
    Satterthwaite (1946) Biometrics Bulletin 2: 110-114.
    """
    below = sum(v**2 / df for v, df in terms)
    return float("inf") if below == 0 else sum(v for v, _ in terms) ** 2 / below


def _labels(name: str, labels: Sequence[str], n: int, known: Mapping[str, object]) -> NDArray[np.object_]:
    array = np.array(list(labels), dtype=object)
    if array.size != n:
        raise OutOfRange(
            en=f"{name}: expected {n} labels, one for each value of y, got {array.size}.",
            ja=f"{name}: y と同じ {n} 個のラベルが必要ですが、{array.size} 個でした。",
        )
    for row, label in enumerate(array, 1):
        if label not in known:
            raise OutOfRange(
                en=f"{name}: expected one of {sorted(map(str, known))}, got {label!r} in row {row} (counted from 1).",
                ja=f"{name}: {row} 行目（1起算）の {label!r} は {sorted(map(str, known))} にありません。",
            )
    return array


def pps(y: ArrayLike, draw_probability: ArrayLike) -> SampleEstimate:
    """Total under sampling with replacement, probability proportional to size.

    ``T = mean(y/p)``, ``V = sum (y/p - T)^2 / (n (n - 1))``; p sums to 1 over the population.

    References
    ----------
    Hansen and Hurwitz (1943) Ann. Math. Statist. 14: 333-362.
    """
    values = column("y", y)
    p = _probabilities("draw_probability", draw_probability, values.size)
    _enough(values.size, 1)
    expanded = values / p
    n = values.size
    variance = float(expanded.var(ddof=1)) / n
    return SampleEstimate(float(expanded.mean()), variance, n - 1, n, 1, "PPS (Hansen-Hurwitz)")


def horvitz_thompson(y: ArrayLike, inclusion: ArrayLike, joint: ArrayLike | None = None) -> SampleEstimate:
    """Total from inclusion probabilities: ``T = sum y/pi``.

    With joint inclusion probabilities, the variance of Sen, Yates and Grundy (fixed n); without, that of sampling with
    replacement, which is slightly too large.

    Parameters
    ----------
    joint : array_like, shape (n, n), optional
        Diagonal ignored.

    References
    ----------
    Särndal, Swensson, Wretman (1992) Model Assisted Survey Sampling, 2.8 and 2.9.
    """
    values = column("y", y)
    n = values.size
    pi = _probabilities("inclusion", inclusion, n)
    _enough(n, 1)
    expanded = values / pi
    if joint is None:
        variance = n * float(expanded.var(ddof=1))
    else:
        both = table("joint", joint, n).copy()
        np.fill_diagonal(both, 1.0)
        weight = (np.outer(pi, pi) - both) / both
        np.fill_diagonal(weight, 0.0)
        variance = 0.5 * float((weight * (expanded[:, None] - expanded[None, :]) ** 2).sum())
    return SampleEstimate(float(expanded.sum()), variance, n - 1, n, 1, "Horvitz-Thompson")


def _probabilities(name: str, values: ArrayLike, n: int) -> _F:
    p = column(name, values, n)
    bad = np.flatnonzero((p <= 0) | (p > 1)) + 1
    if bad.size:
        raise OutOfRange(
            en=f"{name}: expected probabilities above 0 and up to 1, got {p[bad[0] - 1]} in row {bad[0]} (counted from 1).",
            ja=f"{name}: 0 より大きく 1 以下の確率が必要ですが、{bad[0]} 行目（1起算）は {p[bad[0] - 1]} でした。",
        )
    return p


def ratio(y: ArrayLike, x: ArrayLike, x_mean: float, population: float | None = None) -> SampleEstimate:
    """Mean by the ratio estimator ``x_mean * sum y / sum x``; ``V = (1 - n/N) sum (y - Rx)^2 / (n (n - 1))``.

    References
    ----------
    Cochran (1977) 6.4.
    """
    values = column("y", y)
    other = column("x", x, values.size)
    n = values.size
    _enough(n, 1)
    if other.sum() == 0:
        raise OutOfRange(
            en="x: expected a sum other than zero for a ratio.",
            ja="x: 比推定には合計が0でない必要があります。",
        )
    quotient = float(values.sum() / other.sum())
    residual = values - quotient * other
    variance = _finite(n, population) * float(residual @ residual) / (n * (n - 1))
    return SampleEstimate(quotient * x_mean, variance, n - 1, n, 1, "ratio")


@dataclass(frozen=True)
class Regression:
    """A weighted linear working model ``y = X b``; the first column of X is one.

    Attributes
    ----------
    coefficients, residuals : ndarray
        Shapes (p,) and (n,).
    bread : ndarray, shape (p, p)
        ``(X'WX)^-1``.
    """

    design: _F
    weights: _F
    coefficients: _F
    residuals: _F
    bread: _F


def fit_regression(y: _F, x: _F, weights: _F | None = None, where: str = "") -> Regression:
    """Weighted least squares with an intercept.

    Parameters
    ----------
    y : ndarray, shape (n,)
    x : ndarray, shape (n, k)
    weights : ndarray, shape (n,), optional

    Raises
    ------
    OutOfRange
        If there are no more rows than coefficients, or the covariates do not vary apart from each other.
    """
    n = y.size
    design = np.column_stack([np.ones(n), x])
    _enough(n, design.shape[1], where)
    w = np.ones(n) if weights is None else weights
    if np.linalg.matrix_rank(design * np.sqrt(w)[:, None]) < design.shape[1]:
        raise OutOfRange(
            en="x: expected covariates that vary apart from each other and are not constant, got collinear columns. Drop one.",
            ja="x: 互いに独立に変化する説明変数が必要ですが、共線性があります。いずれかを除いてください。",
        )
    coefficients, *_ = np.linalg.lstsq(design * np.sqrt(w)[:, None], y * np.sqrt(w), rcond=None)
    root = np.linalg.qr(design * np.sqrt(w)[:, None], mode="r")
    inverse = np.linalg.inv(root)
    return Regression(design, w, coefficients, y - design @ coefficients, inverse @ inverse.T)


def greg(
    y: ArrayLike,
    x: ArrayLike,
    x_mean: ArrayLike,
    population: float | None = None,
    weights: ArrayLike | None = None,
    variance: GregVariance = "n_minus_p",
) -> SampleEstimate:
    """Mean by generalized regression: ``x_mean' b + sum w e / sum w``.

    Parameters
    ----------
    x : array_like, shape (n, k) or (n,)
        Covariates, without the column of ones.
    x_mean : array_like, shape (k,)
        Their means over the population.
    population : float, optional
        N units. The finite correction ``1 - n/N`` is applied where the weights are equal.
    weights : array_like, shape (n,), optional
        Design weights ``1/pi``; equal if not given. Unequal ones give the variance of sampling with replacement.
    variance : {"n_minus_p", "n_minus_1", "g_weight"}
        ``sum e^2 / (n (n - p))`` with t(n - p), the default; ``sum e^2 / (n (n - 1))``, which other programs print and which is
        too small for few plots; or residuals times their g-weights, over ``n (n - p)``.

    References
    ----------
    Särndal, Swensson, Wretman (1992) 6.4-6.6.
    """
    values = column("y", y)
    n = values.size
    covariates = table("x", x, n)
    at = np.concatenate([[1.0], column("x_mean", np.atleast_1d(np.asarray(x_mean)), covariates.shape[1])])
    w = np.ones(n) if weights is None else column("weights", weights, n)
    _positive("weights", w)
    fit = fit_regression(values, covariates, w)
    share = w / w.sum()
    p = fit.coefficients.size
    value = float(at @ fit.coefficients + share @ fit.residuals)
    if variance == "g_weight":
        share = share * (1.0 + fit.design @ fit.bread @ (at - share @ fit.design) * w.sum())
    scores = share * fit.residuals
    scores = scores - scores.mean()
    below = n - 1 if variance == "n_minus_1" else n - p
    finite = _finite(n, population) if np.ptp(w) == 0 else 1.0
    spread = finite * n / below * float(scores @ scores)
    return SampleEstimate(value, spread, n - p, n, p, f"GREG ({variance})")


def _positive(name: str, values: _F) -> None:
    bad = np.flatnonzero(values <= 0) + 1
    if bad.size:
        raise OutOfRange(
            en=f"{name}: expected weights above zero, got {values[bad[0] - 1]} in row {bad[0]} (counted from 1).",
            ja=f"{name}: 正の重みが必要ですが、{bad[0]} 行目（1起算）は {values[bad[0] - 1]} でした。",
        )
