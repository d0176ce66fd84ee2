"""Estimates for parts of a population: domains, and areas of map classes corrected by reference points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import (
    amounts,
    column,
    enough,
    finite_correction,
    groups,
    labels,
    means,
    positive,
    table,
    weights_of,
)
from models.errors import OutOfRange
from models.regression import fit_regression
from models.sample_estimate import SampleEstimate

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
    y : array_like, shape (n,)
    domain : sequence of str, length n
    weights : array_like, shape (n,), optional
        Design weights; equal if not given.
    population : float, optional
        N units of the whole, for ``1 - n/N`` under equal weights.

    Returns
    -------
    dict
        Domains with two sample plots or more, in the unit of y; smaller ones have no direct variance and are left out.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value, label or weight.

    References
    ----------
    Särndal, Swensson, Wretman (1992) 10.3.
    """
    values = column("y", y)
    n = values.size
    w = weights_of(weights, n)
    names = labels("domain", domain, n)
    finite = finite_correction(n, population) if np.ptp(w) == 0 else 1.0
    out = {}
    for name, own in groups(names).items():
        if own.size < 2:
            continue
        mean = float(np.average(values[own], weights=w[own]))
        out[name] = _domain(mean, values[own] - mean, w[own], finite, 1, "domain mean")
    return out  # type: ignore[return-value]  # labels as they came


def domain_covariates(
    x: ArrayLike, domain: Sequence[str]
) -> tuple[dict[str, NDArray[np.float64]], dict[str, float]]:
    """Covariate means and number of units of every domain, from all units of a population.

    Parameters
    ----------
    x : array_like, shape (N, k) or (N,)
    domain : sequence of str, length N

    Returns
    -------
    means : dict of domain to ndarray, shape (k,)
    sizes : dict of domain to float
        What `greg_domains`, `eblup_unit` and the others ask for.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value or label.
    """
    names = labels("domain", domain, len(domain))
    covariates = table("x", x, names.size)
    rows = groups(names)
    return (
        {name: covariates[own].mean(axis=0) for name, own in rows.items()},  # type: ignore[misc]  # labels as they came
        {name: float(own.size) for name, own in rows.items()},  # type: ignore[misc]
    )


def post_stratified(
    y: ArrayLike, stratum: Sequence[str], size: Mapping[str, float], population: float | None = None
) -> SampleEstimate:
    """Mean of a simple random sample whose strata were known only afterwards (a map's classes, say).

    ``V = (1 - n/N) (sum W_h s_h^2 / n + sum (1 - W_h) s_h^2 / n^2)``.

    Parameters
    ----------
    y : array_like, shape (n,)
    stratum : sequence of str, length n
    size : mapping of stratum to float
        Area or units, above zero; weights are their shares.
    population : float, optional
        N units of the whole; no finite correction if not given.

    Raises
    ------
    OutOfRange
        If a stratum holds fewer than two sample plots; naming the row of a missing value or label.

    References
    ----------
    Cochran (1977) 5A.9; Särndal, Swensson, Wretman (1992) 7.6.
    """
    values = column("y", y)
    n = values.size
    sizes = amounts("size", size, size)
    rows = groups(labels("stratum", stratum, n, size))
    finite = finite_correction(n, population)
    whole = sum(sizes.values())
    mean = variance = 0.0
    for name, area in sizes.items():
        own, share = values[rows.get(name, [])], area / whole
        enough(own.size, 1, f"stratum {name}")
        mean += share * float(own.mean())
        variance += finite * float(own.var(ddof=1)) * (share / n + (1.0 - share) / n**2)
    return SampleEstimate(mean, variance, n - len(sizes), n, len(sizes), "post-stratified")


def greg_domains(
    y: ArrayLike,
    x: ArrayLike | None,
    domain: Sequence[str],
    x_mean: Mapping[str, ArrayLike],
    weights: ArrayLike | None = None,
    size: Mapping[str, float] | None = None,
    population: float | None = None,
) -> dict[str, SampleEstimate]:
    """GREG of every domain: one working model for all, and each domain's own residuals added.

    Without `size`, the domain's mean residual is added (``sum w e / sum w`` over its own plots). With `size`, residuals are
    expanded to the units the domain is known to hold, ``sum w e / N_d``: unbiased whatever number of plots fell into it, also for a
    single one, and more variable, since that number is part of chance ("modified GREG").

    Parameters
    ----------
    y : array_like, shape (n,)
    x : array_like, shape (n, k) or (n,), or None
        Without the column of ones.
    domain : sequence of str, length n
    x_mean : mapping of domain to array_like, shape (k,) or (N_d, k)
        Population means of the covariates in each domain, or all its units.
    weights : array_like, shape (n,), optional
        Design weights; equal if not given.
    size : mapping of domain to float, optional
        N_d, units of each domain.
    population : float, optional
        N units of the whole, for ``1 - n/N`` under equal weights; with `size`, their sum if not given.

    Returns
    -------
    dict
        Domains with two sample plots or more, with `size` one or more, in the unit of y.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value, label or weight, the domain without a size, or the column of a collinear covariate.

    References
    ----------
    Särndal, Swensson, Wretman (1992) 10.5 and 10.6; Rao and Molina (2015) 2.5.
    """
    values = column("y", y)
    n = values.size
    covariates = table("x", x, n)
    w = weights_of(weights, n)
    rows = groups(labels("domain", domain, n, x_mean))
    sizes = None if size is None else amounts("size", size, x_mean)
    whole = population if population is not None or sizes is None else sum(sizes.values())
    finite = finite_correction(n, whole) if np.ptp(w) == 0 else 1.0
    if sizes is not None and weights is None:
        w = np.full(n, sum(sizes.values()) / n if whole is None else whole / n)
    fit = fit_regression(values, covariates, w)
    out = {}
    for name, given in x_mean.items():
        at = fit.at(means(f"x_mean of {name}", given, covariates.shape[1]))
        own = rows.get(name, np.empty(0, dtype=np.intp))
        residual, synthetic = fit.residuals[own], float(at @ fit.loads)
        if sizes is not None and own.size:
            out[name] = _expanded(synthetic, w[own] * residual / sizes[name], n, finite, at.size, own.size)
        elif own.size >= 2:
            correction = float(np.average(residual, weights=w[own]))
            out[name] = _domain(
                synthetic + correction, residual - correction, w[own], finite, at.size, "GREG of the domain"
            )
    return out


def _domain(value: float, residual: _F, w: _F, finite: float, p: int, name: str) -> SampleEstimate:
    n = residual.size
    share = w / w.sum()
    variance = finite * n / (n - 1) * float(((share * residual) ** 2).sum())
    return SampleEstimate(value, variance, n - 1, n, p, name)


def _expanded(synthetic: float, scores: _F, n: int, finite: float, p: int, inside: int) -> SampleEstimate:
    """Scores ``w e / N_d`` of the plots inside; those outside are zero, and count in the spread."""
    total = float(scores.sum())
    variance = finite * n / (n - p) * (float(scores @ scores) - total**2 / n)
    return SampleEstimate(
        synthetic + total, max(0.0, variance), n - p, inside, p, "GREG of the domain (expanded residuals)"
    )


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
        If a map class has fewer than two points, or no area; if the table is not square or holds no count (the row is named).

    References
    ----------
    Olofsson et al. (2013) Remote Sens. Environ. 129: 122-131; (2014) 148: 42-57, equations 1-11.
    """
    mapped = column("mapped_area", mapped_area)
    positive("mapped_area", mapped, "areas", "面積")
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
