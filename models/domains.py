"""Estimates for parts of a population: domains, and areas of map classes corrected by reference points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import OutOfRange
from models.sampling import SampleEstimate, _enough, _labels, _positive, column, fit_regression, table

_F = NDArray[np.float64]


def domain_means(
    y: ArrayLike,
    domain: Sequence[str],
    weights: ArrayLike | None = None,
    population: float | None = None,
) -> dict[str, SampleEstimate]:
    """Means of domains that the design did not plan for, each a ratio of two estimated totals.

    Parameters
    ----------
    domain : sequence of str, length n
    weights : array_like, shape (n,), optional
        Design weights; equal if not given.
    population : float, optional
        N units of the whole, for ``1 - n/N`` under equal weights.

    Returns
    -------
    dict
        Domains with two sample plots or more; smaller ones have no direct variance and are left out.

    References
    ----------
    Särndal, Swensson, Wretman (1992) 10.3.
    """
    values = column("y", y)
    n = values.size
    w = np.ones(n) if weights is None else column("weights", weights, n)
    _positive("weights", w)
    names = _labels("domain", domain, n, dict.fromkeys(domain))
    finite = 1.0 - n / population if population is not None and np.ptp(w) == 0 else 1.0
    out = {}
    for name in dict.fromkeys(names.tolist()):
        own = names == name
        if own.sum() < 2:
            continue
        mean = float(np.average(values[own], weights=w[own]))
        out[name] = _domain(mean, values[own] - mean, w[own], finite, 1, "domain mean")
    return out


def post_stratified(
    y: ArrayLike, stratum: Sequence[str], size: Mapping[str, float], population: float | None = None
) -> SampleEstimate:
    """Mean of a simple random sample whose strata were known only afterwards (a map's classes, say).

    ``V = (1 - n/N) (sum W_h s_h^2 / n + sum (1 - W_h) s_h^2 / n^2)``.

    Parameters
    ----------
    size : mapping of stratum to float
        Area or units; weights are their shares.

    References
    ----------
    Cochran (1977) 5A.9.
    """
    values = column("y", y)
    n = values.size
    names = _labels("stratum", stratum, n, size)
    finite = 1.0 if population is None else 1.0 - n / population
    whole = float(sum(size.values()))
    mean = variance = 0.0
    for name, area in size.items():
        own, share = values[names == name], area / whole
        _enough(own.size, 1, f"stratum {name}")
        mean += share * float(own.mean())
        variance += finite * float(own.var(ddof=1)) * (share / n + (1.0 - share) / n**2)
    return SampleEstimate(mean, variance, n - len(size), n, len(size), "post-stratified")


def greg_domains(
    y: ArrayLike,
    x: ArrayLike,
    domain: Sequence[str],
    x_mean: Mapping[str, ArrayLike],
    weights: ArrayLike | None = None,
) -> dict[str, SampleEstimate]:
    """GREG of every domain: one working model for all, and each domain's own mean residual added.

    Parameters
    ----------
    x_mean : mapping of domain to array_like, shape (k,)
        Population means of the covariates in each domain.

    Returns
    -------
    dict
        Domains with two sample plots or more.
    """
    values = column("y", y)
    n = values.size
    covariates = table("x", x, n)
    w = np.ones(n) if weights is None else column("weights", weights, n)
    _positive("weights", w)
    names = _labels("domain", domain, n, x_mean)
    fit = fit_regression(values, covariates, w)
    out = {}
    for name, means in x_mean.items():
        own = names == name
        if own.sum() < 2:
            continue
        at = np.concatenate([[1.0], np.atleast_1d(np.asarray(means, dtype=np.float64))])
        correction = float(np.average(fit.residuals[own], weights=w[own]))
        value = float(at @ fit.coefficients) + correction
        out[name] = _domain(
            value, fit.residuals[own] - correction, w[own], 1.0, at.size, "GREG of the domain"
        )
    return out


def _domain(value: float, residual: _F, w: _F, finite: float, p: int, name: str) -> SampleEstimate:
    n = residual.size
    share = w / w.sum()
    variance = finite * n / (n - 1) * float(((share * residual) ** 2).sum())
    return SampleEstimate(value, variance, n - 1, n, p, name)


@dataclass(frozen=True)
class ClassAreas:
    """Areas of reference classes from a map and points checked on the ground.

    Attributes
    ----------
    area, standard_error : tuple of float
        Per reference class, in the unit of the mapped areas.
    mapped : tuple of float
        What counting pixels would say.
    overall, users, producers : accuracies, each (value, standard error); users per map class, producers per reference class
    points : int
        Reference points in all.
    """

    area: tuple[float, ...]
    standard_error: tuple[float, ...]
    mapped: tuple[float, ...]
    overall: tuple[float, float]
    users: tuple[tuple[float, float], ...]
    producers: tuple[tuple[float, float], ...]
    points: int


def class_areas(counts: ArrayLike, mapped_area: ArrayLike) -> ClassAreas:
    """Post-stratified areas and accuracies from an error matrix.

    Parameters
    ----------
    counts : array_like, shape (classes, classes)
        Points by map class (rows) and reference class (columns).
    mapped_area : array_like, shape (classes,)
        Mapped area (or pixels) of each class.

    Raises
    ------
    OutOfRange
        If a map class has fewer than two points.

    References
    ----------
    Olofsson et al. (2013) Remote Sens. Environ. 129: 122-131; (2014) 148: 42-57, equations 1-11.
    """
    mapped = column("mapped_area", mapped_area)
    matrix = table("counts", counts, mapped.size)
    if matrix.shape[1] != mapped.size or (matrix < 0).any():
        raise OutOfRange(
            en=f"counts: expected a square matrix of counts, map classes in rows, got shape {matrix.shape}.",
            ja=f"counts: 行を地図区分とする正方の集計表が必要ですが、形が {matrix.shape} でした。",
        )
    n = matrix.sum(axis=1)
    few = np.flatnonzero(n < 2) + 1
    if few.size:
        raise OutOfRange(
            en=f"counts: expected two or more reference points in every map class, got {n[few[0] - 1]:g} in row {few[0]} (counted from 1).",
            ja=f"counts: 各地図区分に2点以上の検証点が必要ですが、{few[0]} 行目は {n[few[0] - 1]:g} 点でした。",
        )
    share = mapped / mapped.sum()
    q = matrix / n[:, None]
    p = share @ q
    variance = (share**2 / (n - 1)) @ (q * (1 - q))
    user = np.diag(q)
    user_variance = user * (1 - user) / (n - 1)
    whole = float(mapped.sum())
    return ClassAreas(
        area=tuple((p * whole).tolist()),
        standard_error=tuple((np.sqrt(variance) * whole).tolist()),
        mapped=tuple(mapped.tolist()),
        overall=(float(share @ user), float(np.sqrt(share**2 @ user_variance))),
        users=tuple(zip(user.tolist(), np.sqrt(user_variance).tolist(), strict=True)),
        producers=_producers(mapped, q, n),
        points=int(matrix.sum()),
    )


def _producers(mapped: _F, q: _F, n: _F) -> tuple[tuple[float, float], ...]:
    """Producer's accuracies, Olofsson et al. 2014 equation 7; (nan, nan) for a class that no point was found of."""
    out = []
    for j in range(mapped.size):
        found = mapped * q[:, j]
        total = float(found.sum())
        if total == 0:
            out.append((float("nan"), float("nan")))
            continue
        accuracy = float(found[j]) / total
        spread = mapped**2 * q[:, j] * (1 - q[:, j]) / (n - 1)
        own = spread[j] * (1 - accuracy) ** 2
        others = accuracy**2 * (spread.sum() - spread[j])
        out.append((accuracy, float(np.sqrt(own + others)) / total))
    return tuple(out)
