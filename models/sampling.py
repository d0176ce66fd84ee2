"""Design-based estimators of means and totals from a probability sample, with their variances.

Floating-point and general: any number of sample plots, covariates and strata; domains are in `models.domains`. The credited path
uses the exact `models.estimators`; these serve reports, other designs, and figures to compare with. Values come and go in the
unit of y; variances in its square.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from models.checks import (
    amounts,
    column,
    enough,
    finite_correction,
    groups,
    labels,
    means,
    probabilities,
    table,
    weights_of,
)
from models.errors import OutOfRange
from models.regression import Regression, fit_regression
from models.sample_estimate import SampleEstimate, satterthwaite, t_quantile

__all__ = [
    "GregVariance",
    "HorvitzThompsonVariance",
    "RatioVariance",
    "Regression",
    "SampleEstimate",
    "column",
    "fit_regression",
    "greg",
    "horvitz_thompson",
    "pps",
    "ratio",
    "satterthwaite",
    "srs",
    "stratified",
    "t_quantile",
    "table",
]

GregVariance = Literal["n_minus_p", "n_minus_1", "g_weight"]
HorvitzThompsonVariance = Literal["sen_yates_grundy", "horvitz_thompson"]
RatioVariance = Literal["cochran", "adjusted"]


def srs(y: ArrayLike, population: float | None = None) -> SampleEstimate:
    """Mean under simple random sampling without replacement: ``V = (1 - n/N) s^2 / n``.

    Parameters
    ----------
    y : array_like, shape (n,)
        Two values at least, any unit.
    population : float, optional
        N units; infinite if not given.

    Raises
    ------
    OutOfRange
        If fewer than two values came, one is missing (the row is named), or N is below n.

    References
    ----------
    Cochran (1977) Sampling Techniques, 2.5 and 2.6.
    """
    values = column("y", y)
    n = values.size
    enough(n, 1)
    variance = finite_correction(n, population) * float(values.var(ddof=1)) / n
    return SampleEstimate(float(values.mean()), variance, n - 1, n, 1, "simple random sampling")


def stratified(
    y: ArrayLike,
    stratum: Sequence[str],
    size: Mapping[str, float],
    population: Mapping[str, float] | None = None,
) -> SampleEstimate:
    """Mean under stratified random sampling: ``V = sum_h W_h^2 (1 - f_h) s_h^2 / n_h``, Satterthwaite degrees of freedom.

    Parameters
    ----------
    y : array_like, shape (n,)
    stratum : sequence of str, length n
    size : mapping of stratum to float
        Area or number of units, above zero; weights are their shares.
    population : mapping of stratum to float, optional
        N_h units; no finite correction if not given. A stratum measured whole adds no variance, and may hold a single plot.

    Raises
    ------
    OutOfRange
        If a stratum has fewer than two sample plots or is not in `size`, or a value is missing (the row is named).

    References
    ----------
    Cochran (1977) Sampling Techniques, 5.6 and 5.16.
    """
    values = column("y", y)
    sizes = amounts("size", size, size)
    names = labels("stratum", stratum, values.size, size)
    units = None if population is None else amounts("population", population, size)
    whole = sum(sizes.values())
    rows = groups(names)
    mean, terms = 0.0, []
    for name, area in sizes.items():
        own = values[rows.get(name, [])]
        finite = finite_correction(own.size, None if units is None else units[name], f"stratum {name}")
        if finite > 0.0 or own.size == 0:
            enough(own.size, 1, f"stratum {name}")
            terms.append(((area / whole) ** 2 * finite * float(own.var(ddof=1)) / own.size, own.size - 1))
        mean += area / whole * float(own.mean())
    return SampleEstimate(
        mean, sum(v for v, _ in terms), satterthwaite(terms), values.size, len(sizes), "stratified sampling"
    )


def pps(y: ArrayLike, draw_probability: ArrayLike) -> SampleEstimate:
    """Total under sampling with replacement, probability proportional to size.

    ``T = mean(y/p)``, ``V = sum (y/p - T)^2 / (n (n - 1))``; p sums to 1 over the population.

    Parameters
    ----------
    y : array_like, shape (n,)
        A unit drawn twice comes twice.
    draw_probability : array_like, shape (n,)
        Chance of each unit in one draw, above 0 and up to 1.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value or of a probability out of range.

    References
    ----------
    Hansen and Hurwitz (1943) Ann. Math. Statist. 14: 333-362.
    """
    values = column("y", y)
    p = probabilities("draw_probability", draw_probability, values.size)
    enough(values.size, 1)
    expanded = values / p
    n = values.size
    variance = float(expanded.var(ddof=1)) / n
    return SampleEstimate(float(expanded.mean()), variance, n - 1, n, 1, "PPS (Hansen-Hurwitz)")


def horvitz_thompson(
    y: ArrayLike,
    inclusion: ArrayLike,
    joint: ArrayLike | None = None,
    variance: HorvitzThompsonVariance = "sen_yates_grundy",
) -> SampleEstimate:
    """Total from inclusion probabilities: ``T = sum y/pi``.

    With joint inclusion probabilities, the variance of Sen, Yates and Grundy (fixed n) or of Horvitz and Thompson (any n, also of
    the distinct units of a sample with replacement); without, that of sampling with replacement, which is slightly too large.

    Parameters
    ----------
    y : array_like, shape (n,)
        Distinct units.
    inclusion : array_like, shape (n,)
    joint : array_like, shape (n, n), optional
        Symmetric; diagonal ignored.
    variance : {"sen_yates_grundy", "horvitz_thompson"}
        Which of the two, where `joint` is given.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value or of a probability out of range; if `joint` is not symmetric or exceeds `inclusion`;
        if the variance comes out below zero, as both may for designs they do not suit.

    References
    ----------
    Horvitz and Thompson (1952) JASA 47: 663-685; Särndal, Swensson, Wretman (1992) Model Assisted Survey Sampling, 2.8 and 2.9.
    """
    _one_of("variance", variance, get_args(HorvitzThompsonVariance))
    values = column("y", y)
    n = values.size
    pi = probabilities("inclusion", inclusion, n)
    enough(n, 1)
    expanded = values / pi
    total = float(expanded.sum())
    if joint is None:
        spread = n * float(expanded.var(ddof=1))
        return SampleEstimate(total, spread, n - 1, n, 1, "Horvitz-Thompson")
    both = table("joint", joint, n).copy()
    _check_joint(both, pi)
    weight = (both - np.outer(pi, pi)) / both
    if variance == "sen_yates_grundy":
        np.fill_diagonal(weight, 0.0)
        spread = -0.5 * float((weight * (expanded[:, None] - expanded[None, :]) ** 2).sum())
    else:
        spread = float(expanded @ weight @ expanded)
    if spread < 0.0:
        raise OutOfRange(
            en=f"joint: expected a design for which the {variance} variance is not below zero, got {spread:.6g} for this sample. "
            "Use the other variance, or leave `joint` out.",
            ja=f"joint: {variance} の分散が負（{spread:.6g}）になりました。別の分散式を使うか joint を省いてください。",
        )
    return SampleEstimate(total, spread, n - 1, n, 1, f"Horvitz-Thompson ({variance})")


def _check_joint(both: np.ndarray[tuple[int, ...], np.dtype[np.float64]], pi: ArrayLike) -> None:
    """Sets the diagonal to the inclusion probabilities; refuses what no design can have."""
    p = np.asarray(pi, dtype=np.float64)
    if both.shape[1] != p.size:
        raise OutOfRange(
            en=f"joint: expected {p.size} rows and columns, got shape {both.shape}.",
            ja=f"joint: {p.size} 行 {p.size} 列が必要ですが、形が {both.shape} でした。",
        )
    np.fill_diagonal(both, p)
    most = np.minimum.outer(p, p) * (1.0 + 1e-9)
    bad = (both <= 0) | (both > most) | (np.abs(both - both.T) > 1e-9 * most)
    if bad.any():
        i, j = (int(v) + 1 for v in np.argwhere(bad)[0])
        raise OutOfRange(
            en=f"joint: expected a symmetric table of probabilities above 0 and not above those of either unit, got {both[i - 1, j - 1]} "
            f"in row {i}, column {j} (counted from 1).",
            ja=f"joint: 対称で、0 より大きく各単位の包含確率以下である必要がありますが、{i} 行 {j} 列（1起算）は {both[i - 1, j - 1]} でした。",
        )


def ratio(
    y: ArrayLike,
    x: ArrayLike,
    x_mean: float,
    population: float | None = None,
    variance: RatioVariance = "cochran",
) -> SampleEstimate:
    """Mean by the ratio estimator ``x_mean * sum y / sum x``; ``V = (1 - n/N) sum (y - Rx)^2 / (n (n - 1))``.

    Parameters
    ----------
    y, x : array_like, shape (n,)
    x_mean : float
        Mean of x over the population, or all its units (shape (N, 1)).
    variance : {"cochran", "adjusted"}
        "adjusted" multiplies by ``(x_mean / mean x)^2``, which survey programs print and which fits the sample at hand better.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value; if x sums to zero.

    References
    ----------
    Cochran (1977) 6.4; Lohr (2010) Sampling: Design and Analysis, 4.1 (adjusted).
    """
    _one_of("variance", variance, get_args(RatioVariance))
    values = column("y", y)
    other = column("x", x, values.size)
    at = float(means("x_mean", x_mean, 1)[0])
    n = values.size
    enough(n, 1)
    if other.sum() == 0:
        raise OutOfRange(
            en="x: expected a sum other than zero for a ratio.",
            ja="x: 比推定には合計が0でない必要があります。",
        )
    quotient = float(values.sum() / other.sum())
    residual = values - quotient * other
    spread = finite_correction(n, population) * float(residual @ residual) / (n * (n - 1))
    if variance == "adjusted":
        spread *= (at / float(other.mean())) ** 2
    return SampleEstimate(quotient * at, spread, n - 1, n, 1, "ratio")


def greg(
    y: ArrayLike,
    x: ArrayLike | None,
    x_mean: ArrayLike | None,
    population: float | None = None,
    weights: ArrayLike | None = None,
    variance: GregVariance = "n_minus_p",
) -> SampleEstimate:
    """Mean by generalized regression: ``x_mean' b + sum w e / sum w``.

    Parameters
    ----------
    y : array_like, shape (n,)
    x : array_like, shape (n, k) or (n,), or None
        Covariates, without the column of ones; None (k = 0) leaves the mean alone.
    x_mean : array_like, shape (k,) or (N, k)
        Their means over the population, or all its units.
    population : float, optional
        N units. The finite correction ``1 - n/N`` is applied where the weights are equal.
    weights : array_like, shape (n,), optional
        Design weights ``1/pi``; equal if not given. Unequal ones give the variance of sampling with replacement.
    variance : {"n_minus_p", "n_minus_1", "g_weight"}
        ``sum e^2 / (n (n - p))`` with t(n - p), the default; ``sum e^2 / (n (n - 1))``, which other programs print and which is
        too small for few plots; or residuals times their g-weights, over ``n (n - p)``.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value, or the column of a constant or collinear covariate; if n is not above p = k + 1.

    References
    ----------
    Särndal, Swensson, Wretman (1992) 6.4-6.6.
    """
    _one_of("variance", variance, get_args(GregVariance))
    values = column("y", y)
    n = values.size
    covariates = table("x", x, n)
    middle = means("x_mean", x_mean, covariates.shape[1])
    w = weights_of(weights, n)
    fit = fit_regression(values, covariates, w)
    at = fit.at(middle)
    share = w / w.sum()
    p = at.size
    value = float(at @ fit.loads + share @ fit.residuals)
    if variance == "g_weight":
        share = share * (1.0 + fit.basis @ fit.bread @ (at - share @ fit.basis) * w.sum())
    scores = share * fit.residuals
    scores = scores - scores.mean()
    below = n - 1 if variance == "n_minus_1" else n - p
    finite = finite_correction(n, population)
    spread = (finite if np.ptp(w) == 0 else 1.0) * n / below * float(scores @ scores)
    return SampleEstimate(value, spread, n - p, n, p, f"GREG ({variance})")


def _one_of(name: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise OutOfRange(
            en=f"{name}: expected one of {', '.join(allowed)}, got {value!r}.",
            ja=f"{name}: {', '.join(allowed)} のいずれかが必要ですが、{value!r} でした。",
        )
