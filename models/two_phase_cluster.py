"""Two-phase regression where points come in clusters (tracts), as national inventories lay them out.

Clusters, not points, are drawn at random; those at a forest's edge hold fewer points. A cluster enters by the means of its points,
weighted by their number.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import column, groups, labels, length, means, table
from models.errors import OutOfRange
from models.regression import fit_regression
from models.two_phase import TwoPhase

_F = NDArray[np.float64]


def two_phase_clusters(
    y: ArrayLike,
    z: ArrayLike,
    cluster: Sequence[Hashable],
    z_mean: ArrayLike | None = None,
    z_first: ArrayLike | None = None,
    cluster_first: Sequence[Hashable] | None = None,
) -> TwoPhase:
    """Mean by regression on cluster means: ``Zbar' b``, ``b`` weighted by the points M of a cluster.

    ``V_g = Zbar' S Zbar`` with ``S = A^-1 (n2^-2 sum M^2 R^2 ZZ') A^-1``, ``A = n2^-1 sum M ZZ'``; ``V_ext = (n2 (n2 - 1))^-1
    sum (M / mean M)^2 (R - R_w)^2``; with a first phase each plus ``(n1 (n1 - 1))^-1 sum (M / mean M)^2 (Yhat - Yhat_w)^2``.

    Parameters
    ----------
    y : array_like, shape (m2,)
        Points with field values; the estimate is in their unit.
    z : array_like, shape (m2, k) or (m2,)
        Covariates there, without the column of ones.
    cluster : sequence of labels, length m2
    z_mean : array_like, shape (k,) or (N, k), optional
        Covariate means over the whole area, or all its cells; or else
    z_first : array_like, shape (m1, k), and cluster_first : sequence of labels, length m1
        all first-phase points and their clusters, those with field values among them.

    Returns
    -------
    TwoPhase
        `n1` and `n2` count clusters; `r_squared` is that of cluster means.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value or label, or the column of a collinear covariate; if there are no more clusters than
        coefficients, not exactly one of `z_mean` and `z_first`, or fewer first-phase clusters than field clusters.

    References
    ----------
    Mandallaz (2008) Sampling Techniques for Forest Inventories, 5.2; Mandallaz, Breschan, Hill (2013) Can. J. For. Res. 43: 1023.
    """
    if (z_mean is None) == (z_first is None) or (z_first is None) != (cluster_first is None):
        raise OutOfRange(
            en="Expected either z_mean, or z_first with cluster_first; got both or neither.",
            ja="z_mean か、z_first と cluster_first の組のどちらか一方が必要です。",
        )
    values = column("y", y)
    covariates = table("z", z, values.size)
    names = labels("cluster", cluster, values.size)
    both, points = _by_cluster(np.column_stack([values, covariates]), names)
    own, middle = both[:, 0], both[:, 1:]
    fit = fit_regression(own, middle, points)
    n2 = own.size
    first_phase, n1 = 0.0, None
    if z_first is None or cluster_first is None:
        at = fit.at(means("z_mean", z_mean, covariates.shape[1]))
    else:
        all_points = table("z_first", z_first, length("z_first", z_first))
        _same_columns(all_points, covariates.shape[1])
        first, many = _by_cluster(all_points, labels("cluster_first", cluster_first, all_points.shape[0]))
        n1 = many.size
        if n1 < max(n2, 2):
            raise OutOfRange(
                en=f"z_first: expected all first-phase clusters, the {n2} with field values among them, got {n1}.",
                ja=f"z_first: 現地 {n2} クラスターを含む第1相の全クラスターが必要ですが、{n1} でした。",
            )
        at = fit.at(np.average(first, axis=0, weights=many))
        first_phase = _spread(fit.predict(first), many)
    scores = points * fit.residuals * (fit.basis @ fit.bread @ at)
    whole = float(points @ (own - np.average(own, weights=points)) ** 2)
    left = float(points @ fit.residuals**2)
    return TwoPhase(
        value=float(at @ fit.loads),
        external_variance=_spread(fit.residuals, points) + first_phase,
        g_weight_variance=float(scores @ scores) + first_phase,
        n1=n1,
        n2=n2,
        coefficients=tuple(fit.coefficients.tolist()),
        r_squared=1.0 - left / whole if whole else 1.0,
    )


def _by_cluster(values: _F, names: NDArray[np.object_]) -> tuple[_F, _F]:
    """Means of every cluster, shape (clusters, columns), and its points."""
    rows = groups(names).values()
    return np.array([values[own].mean(axis=0) for own in rows]), np.array([float(own.size) for own in rows])


def _spread(values: _F, points: _F) -> float:
    """Variance of a mean of clusters, a ratio of two random numbers: what they hold, over their points."""
    n = values.size
    share = points / points.mean()
    return float((share**2) @ (values - np.average(values, weights=points)) ** 2) / (n * (n - 1))


def _same_columns(first: _F, k: int) -> None:
    if first.shape[1] != k:
        raise OutOfRange(
            en=f"z_first: expected the {k} covariates of z, got {first.shape[1]} columns.",
            ja=f"z_first: z と同じ {k} 列が必要ですが、{first.shape[1]} 列でした。",
        )
