"""Two-phase regression estimators: covariates known everywhere, or at a large first-phase sample only.

Both variances of the forest inventory literature: *external* (the coefficients taken as given) and *g-weight* (their error
included, robust to a wrong model). Points are single, not clusters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import OutOfRange
from models.sampling import Regression, SampleEstimate, column, fit_regression, table

_F = NDArray[np.float64]


@dataclass(frozen=True)
class TwoPhase:
    """A two-phase estimate of a mean with both variances.

    Attributes
    ----------
    external_variance, g_weight_variance : float
    n1 : int or None
        First-phase points; None where the covariates are known everywhere.
    n2 : int
        Second-phase points, with field values.
    coefficients : tuple of float
        Intercept first.
    """

    value: float
    external_variance: float
    g_weight_variance: float
    n1: int | None
    n2: int
    coefficients: tuple[float, ...]
    r_squared: float

    def estimate(self, variance: str = "g_weight") -> SampleEstimate:
        """With the variance named ("g_weight" or "external") and t(n2 - p)."""
        p = len(self.coefficients)
        chosen = {"g_weight": self.g_weight_variance, "external": self.external_variance}[variance]
        return SampleEstimate(self.value, chosen, self.n2 - p, self.n2, p, f"two-phase ({variance})")


def two_phase_exhaustive(y: ArrayLike, z: ArrayLike, z_mean: ArrayLike) -> TwoPhase:
    """Mean where the covariates' means over the whole area are known: ``z_mean' b``.

    ``V_g = z' S z`` with ``S = A^-1 (n2^-2 sum R^2 ZZ') A^-1``, ``A = n2^-1 sum ZZ'``; ``V_ext = s^2_R / n2``.

    Parameters
    ----------
    y : array_like, shape (n2,)
    z : array_like, shape (n2, k)
        Covariates at the field points, without the column of ones.
    z_mean : array_like, shape (k,)

    References
    ----------
    Mandallaz (2008) Sampling Techniques for Forest Inventories, 5.1; Mandallaz, Breschan, Hill (2013) Can. J. For. Res. 43: 1023.
    """
    fit, at = _fit(y, z, np.asarray(z_mean))
    return _result(fit, column("y", y), at, 0.0, None)


def two_phase(
    y: ArrayLike, z: ArrayLike, z_first: ArrayLike, first_weights: ArrayLike | None = None
) -> TwoPhase:
    """Mean where the covariates are known at a first-phase sample that holds the field points.

    ``V_g`` and ``V_ext`` of the exhaustive case, each plus the first phase's own: ``b' S_Z b = s^2_Yhat / n1``.

    Parameters
    ----------
    z_first : array_like, shape (n1, k)
        Covariates of all first-phase points, the field points among them.
    first_weights : array_like, shape (n1,), optional
        Share of each point's window that lies in the forest (boundary weights).

    References
    ----------
    As `two_phase_exhaustive`.
    """
    first = np.asarray(z_first, dtype=np.float64)
    first = table("z_first", first, first.shape[0])
    n1 = first.shape[0]
    weights = np.ones(n1) if first_weights is None else column("first_weights", first_weights, n1)
    n2 = column("y", y).size
    if n1 < n2 or n1 < 2:
        raise OutOfRange(
            en=f"z_first: expected all first-phase points, the {n2} field points among them, got {n1}.",
            ja=f"z_first: 現地 {n2} 点を含む第1相の全点が必要ですが、{n1} 点でした。",
        )
    fit, at = _fit(y, z, np.average(first, axis=0, weights=weights))
    predicted = np.column_stack([np.ones(n1), first]) @ fit.coefficients
    return _result(fit, column("y", y), at, float(predicted.var(ddof=1)) / n1, n1)


def two_phase_domain(
    y: ArrayLike,
    z: ArrayLike,
    inside: ArrayLike,
    z_mean: ArrayLike | None = None,
    z_first: ArrayLike | None = None,
) -> TwoPhase:
    """Mean of a domain by the extended synthetic estimator: the domain's indicator joins the covariates.

    Its residuals inside sum to zero, so that no correction is left over. External variance from the residuals inside.

    Parameters
    ----------
    inside : array_like of bool, shape (n2,)
        Field points that lie in the domain, two at least.
    z_mean : array_like, shape (k,), optional
        Covariate means of the domain, where known; or else
    z_first : array_like, shape (n1_domain, k), optional
        covariates of the first-phase points that lie in the domain.

    References
    ----------
    Mandallaz (2013) Can. J. For. Res. 43: 441-449.
    """
    member = np.asarray(inside, dtype=bool)
    values = column("y", y)
    covariates = table("z", z, values.size)
    if member.sum() < 2 or member.all() or (z_mean is None) == (z_first is None):
        raise OutOfRange(
            en=f"Expected two or more of the {member.size} field points inside the domain, one or more outside, and either z_mean or z_first; "
            f"got {int(member.sum())} inside.",
            ja=f"領域内に2点以上・領域外に1点以上の現地点（全{member.size}点）と、z_mean または z_first のいずれか一方が必要です（領域内 {int(member.sum())} 点）。",
        )
    extended = np.column_stack([covariates, member])
    first_phase, n1 = 0.0, None
    if z_first is not None:
        first = table("z_first", z_first, np.asarray(z_first).shape[0])
        n1 = first.shape[0]
        at = np.concatenate([first.mean(axis=0), [1.0]])
    else:
        at = np.concatenate([np.atleast_1d(np.asarray(z_mean, dtype=np.float64)), [1.0]])
    fit, whole = _fit(values, extended, at)
    if z_first is not None:
        predicted = (
            np.column_stack([np.ones(first.shape[0]), first, np.ones(first.shape[0])]) @ fit.coefficients
        )
        first_phase = float(predicted.var(ddof=1)) / first.shape[0]
    found = _result(fit, values, whole, first_phase, n1)
    residual = fit.residuals[member]
    return replace(found, external_variance=float(residual.var(ddof=1)) / residual.size + first_phase)


def _fit(y: ArrayLike, z: ArrayLike, z_mean: ArrayLike) -> tuple[Regression, _F]:
    values = column("y", y)
    covariates = table("z", z, values.size)
    at = np.concatenate([[1.0], column("z_mean", np.atleast_1d(z_mean), covariates.shape[1])])
    return fit_regression(values, covariates), at


def _result(fit: Regression, y: _F, at: _F, first_phase: float, n1: int | None) -> TwoPhase:
    n2 = y.size
    g_over_n = fit.design @ fit.bread @ at
    spread = float(((y - y.mean()) ** 2).sum())
    squares = float(fit.residuals @ fit.residuals)
    return TwoPhase(
        value=float(at @ fit.coefficients),
        external_variance=squares / (n2 - 1) / n2 + first_phase,
        g_weight_variance=float(((g_over_n * fit.residuals) ** 2).sum()) + first_phase,
        n1=n1,
        n2=n2,
        coefficients=tuple(fit.coefficients.tolist()),
        r_squared=1.0 - squares / spread if spread else 1.0,
    )
