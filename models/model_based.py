"""Model-based and hybrid inference: a mean predicted from a model, with the errors of coefficients and of residuals.

Residuals of neighbouring cells are alike. Leaving that out makes an interval too narrow, so that a correlation range must be
stated; a dozen sample plots cannot identify one, so that it is declared beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from models.checks import column, enough, length, positive, table
from models.errors import OutOfRange
from models.regression import fit_regression
from models.sample_estimate import SampleEstimate

_F = NDArray[np.float64]
ROWS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Correlation:
    """Exponential correlation of residuals over distance: ``(1 - nugget) exp(-d / range)``, one at distance zero.

    Attributes
    ----------
    range_m : float
        Distance at which it falls to 1/e; 0 means none.
    nugget : float
        Share of the residual variance that neighbours do not have in common, 0 to 1.

    Raises
    ------
    OutOfRange
        If the range is negative or no number, or the nugget is not from 0 to 1.
    """

    range_m: float
    nugget: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.range_m < np.inf or not 0.0 <= self.nugget <= 1.0:
            raise OutOfRange(
                en=f"expected a correlation range of 0 m or more and a nugget from 0 to 1, got {self.range_m} m and {self.nugget}; "
                "declare them before the survey",
                ja=f"相関距離は0 m以上、ナゲットは0～1が必要ですが、{self.range_m} m、{self.nugget}でした。調査前に宣言してください",
            )

    def between(self, one_m: _F, other_m: _F) -> _F:
        """Correlation of residuals at two sets of positions, shapes (a, 2) and (b, 2)."""
        distance = cdist(one_m, other_m)
        same = distance == 0.0
        if self.range_m <= 0:
            return np.asarray(same, dtype=np.float64)
        return np.where(same, 1.0, (1.0 - self.nugget) * np.exp(-distance / self.range_m))

    def mean(self, xy_m: _F) -> float:
        """Mean correlation of all pairs, a position with itself included: ``N^-2 sum sum``."""
        n: int = xy_m.shape[0]
        rows = (self.between(xy_m[i : i + ROWS_AT_ONCE], xy_m) for i in range(0, n, ROWS_AT_ONCE))
        total = sum(float(block.sum()) for block in rows)
        return total / n**2


@dataclass(frozen=True)
class ModelBased:
    """A model-based estimate of a realised population mean.

    Attributes
    ----------
    coefficient_variance, residual_variance : float
        The two parts of the reference's formula, ``a' Cov(b) a`` and ``N^-2 sum sum Cov(e_i, e_j)``.
    residual_sd : float
        Of one cell.
    """

    estimate: SampleEstimate
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    coefficient_variance: float
    residual_variance: float
    residual_sd: float


def model_based_mean(
    y: ArrayLike,
    x: ArrayLike,
    xy_m: ArrayLike,
    x_population: ArrayLike,
    xy_population_m: ArrayLike,
    correlation: Correlation,
    borrow: bool = True,
    mean_correlation: float | None = None,
) -> ModelBased:
    """Mean over all cells, by generalized least squares with a declared correlation of residuals.

    With `borrow` (the default) residuals of sample plots are carried to their neighbours (best linear unbiased prediction) and the
    variance is that of prediction error. Without, the mean is ``a' b`` and the variance the sum of both parts, which counts
    nothing for what sample and population have in common.

    Parameters
    ----------
    y, x, xy_m : array_like, shapes (n,), (n, k), (n, 2)
        Sample plots: value, covariates without the column of ones, position.
    x_population, xy_population_m : array_like, shapes (N, k), (N, 2)
        All cells.
    mean_correlation : float, optional
        ``correlation.mean(xy_population_m)`` where it was computed before: one grid serves many dates.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value, the column of a collinear covariate, or the rows of two sample plots at one place; if n
        is not above k + 1.

    References
    ----------
    Ståhl et al. (2016) Forest Ecosystems 3: 5; Cressie (1993) Statistics for Spatial Data, 3.4.
    """
    values = column("y", y)
    n = values.size
    covariates = table("x", x, n)
    k = covariates.shape[1]
    positions = _positions("xy_m", xy_m, n)
    all_positions = _positions("xy_population_m", xy_population_m, None)
    cells = all_positions.shape[0]
    everywhere = table("x_population", x_population, cells)
    if everywhere.shape[1] != k:
        raise OutOfRange(
            en=f"x_population: expected the {k} covariates of x, got {everywhere.shape[1]} columns.",
            ja=f"x_population: x と同じ {k} 列が必要ですが、{everywhere.shape[1]} 列でした。",
        )
    line = fit_regression(values, covariates)  # for its centre and scale, and to refuse collinear covariates
    design = line.basis
    mean_x = line.at(everywhere).mean(axis=0)
    p = design.shape[1]
    inverse = _inverse(correlation.between(positions, positions))
    bread = np.linalg.inv(design.T @ inverse @ design)
    middle = float(values.mean())
    loads = bread @ design.T @ inverse @ (values - middle)
    residual = values - middle - design @ loads
    loads[0] += middle
    s2 = float(residual @ inverse @ residual) / (n - p)
    shared = correlation.between(positions, all_positions).mean(axis=1)
    whole = correlation.mean(all_positions) if mean_correlation is None else mean_correlation
    parts = s2 * float(mean_x @ bread @ mean_x), s2 * whole
    value = float(mean_x @ loads)
    variance = parts[0] + parts[1]
    if borrow:
        value += float(shared @ inverse @ residual)
        gap = mean_x - design.T @ inverse @ shared
        variance = s2 * (whole - float(shared @ inverse @ shared) + float(gap @ bread @ gap))
    turn = np.diag(np.concatenate([[1.0], 1.0 / line.scale]))  # from the basis to the units given
    turn[0, 1:] = -line.centre / line.scale
    return ModelBased(
        estimate=SampleEstimate(value, max(0.0, variance), n - p, n, p, "model-based"),
        coefficients=tuple((turn @ loads).tolist()),
        covariance=tuple(map(tuple, (s2 * turn @ bread @ turn.T).tolist())),
        coefficient_variance=parts[0],
        residual_variance=parts[1],
        residual_sd=float(np.sqrt(s2)),
    )


def _positions(name: str, xy_m: ArrayLike, n: int | None) -> _F:
    found = table(name, xy_m, length(name, xy_m) if n is None else n)
    if found.shape[1] != 2 or found.shape[0] == 0:
        raise OutOfRange(
            en=f"{name}: expected positions of two columns, east and north, got shape {found.shape}.",
            ja=f"{name}: 東・北の2列の位置が必要ですが、形が {found.shape} でした。",
        )
    return found


def _inverse(correlation: _F) -> _F:
    n = correlation.shape[0]
    apart = correlation - np.eye(n)
    if (apart >= 1.0).any() or np.linalg.matrix_rank(correlation) < n:
        one, other = (int(v) + 1 for v in np.unravel_index(int(np.argmax(apart)), (n, n)))
        raise OutOfRange(
            en=f"xy_m: expected sample plots at different places, got two at the same one: rows {one} and {other} (counted from 1). "
            "Correct their positions.",
            ja=f"xy_m: 標準地の位置は互いに異なる必要がありますが、{one} 行目と {other} 行目（1起算）が同じ位置です。位置を修正してください。",
        )
    return np.asarray(np.linalg.inv(correlation))


def variance_of_mean(
    gradient: ArrayLike,
    covariance: ArrayLike,
    residual_sd: ArrayLike,
    xy_m: ArrayLike,
    correlation: Correlation,
) -> tuple[float, float]:
    """Variance of a predicted mean of any model: ``a' Cov(b) a`` and ``N^-2 sum sum Cov(e_i, e_j)``.

    Parameters
    ----------
    gradient : array_like, shape (N, p)
        Derivatives of each cell's prediction by the coefficients.
    covariance : array_like, shape (p, p)
    residual_sd : array_like, shape (N,)
        Of each cell, which may differ; in the unit of the prediction.
    xy_m : array_like, shape (N, 2)

    Returns
    -------
    (float, float)
        In the squared unit of the prediction.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value; if `covariance` is not that of the p coefficients.

    References
    ----------
    Ståhl et al. (2016) Forest Ecosystems 3: 5.
    """
    sd = column("residual_sd", residual_sd)
    mean = table("gradient", gradient, sd.size).mean(axis=0)
    between = _square("covariance", covariance, mean.size)
    positions = _positions("xy_m", xy_m, sd.size)
    total = 0.0
    for i in range(0, sd.size, ROWS_AT_ONCE):
        block = slice(i, i + ROWS_AT_ONCE)
        total += float(sd[block] @ correlation.between(positions[block], positions) @ sd)
    return float(mean @ between @ mean), total / sd.size**2


def _square(name: str, values: ArrayLike, p: int) -> _F:
    found = table(name, values, p)
    if found.shape[1] != p:
        raise OutOfRange(
            en=f"{name}: expected {p} rows and columns, one for each coefficient, got shape {found.shape}.",
            ja=f"{name}: 係数と同じ {p} 行 {p} 列が必要ですが、形が {found.shape} でした。",
        )
    return found


def hybrid_mean(
    cluster_mean: ArrayLike, cluster_size: ArrayLike, gradient: ArrayLike, covariance: ArrayLike
) -> SampleEstimate:
    """Mean of model predictions at a random sample of clusters, with sampling and model errors.

    ``V = sum m_i^2 (y_i - y)^2 / (n (n - 1) m^2) + J' Cov(a) J``.

    Parameters
    ----------
    cluster_mean, cluster_size : array_like, shape (n,)
        Mean prediction of each sampled cluster (flight strip), and its cells or area.
    gradient : array_like, shape (p,)
        J, mean derivative of the prediction over the sample by the model's coefficients.
    covariance : array_like, shape (p, p)
        Of the coefficients.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value or of a size not above zero; if fewer than two clusters came.

    References
    ----------
    Ståhl et al. (2016) Forest Ecosystems 3: 5; Saarela et al. (2016) Ann. For. Sci. 73: 895-910.
    """
    means = column("cluster_mean", cluster_mean)
    n = means.size
    sizes = column("cluster_size", cluster_size, n)
    positive("cluster_size", sizes, "sizes", "大きさ")
    enough(n, 1)
    value = float(np.average(means, weights=sizes))
    sampling = float((sizes**2 * (means - value) ** 2).sum()) / (n * (n - 1) * float(sizes.mean()) ** 2)
    slope = column("gradient", np.reshape(np.asarray(gradient), -1))
    model = float(slope @ _square("covariance", covariance, slope.size) @ slope)
    return SampleEstimate(value, sampling + model, n - 1, n, slope.size, "hybrid")
