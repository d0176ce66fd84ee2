"""Two-phase regression estimators: covariates known everywhere, or at a large first-phase sample only.

Both variances of the forest inventory literature: *external* (the coefficients taken as given) and *g-weight* (their error
included, robust to a wrong model). Points are single; clusters of points are in `models.two_phase_cluster`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.checks import column, labels, length, means, positive, table
from models.errors import OutOfRange
from models.regression import Regression, fit_regression
from models.sample_estimate import SampleEstimate

_F = NDArray[np.float64]


@dataclass(frozen=True)
class TwoPhase:
    """A two-phase estimate of a mean with both variances.

    Attributes
    ----------
    value : float
        In the unit of y.
    external_variance, g_weight_variance : float
        In its square.
    n1 : int or None
        First-phase points; None where the covariates are known everywhere.
    n2 : int
        Second-phase points, with field values.
    coefficients : tuple of float
        Intercept first.
    r_squared : float
        Of the working model at the field points; 1 where y does not vary.
    """

    value: float
    external_variance: float
    g_weight_variance: float
    n1: int | None
    n2: int
    coefficients: tuple[float, ...]
    r_squared: float

    def estimate(self, variance: str = "g_weight") -> SampleEstimate:
        """With the variance named ("g_weight" or "external") and t(n2 - p).

        Raises
        ------
        OutOfRange
            If another variance is named.
        """
        p = len(self.coefficients)
        variances = {"g_weight": self.g_weight_variance, "external": self.external_variance}
        if variance not in variances:
            raise OutOfRange(
                en=f"variance: expected one of {', '.join(variances)}, got {variance!r}.",
                ja=f"variance: {', '.join(variances)} のいずれかが必要ですが、{variance!r} でした。",
            )
        chosen = variances[variance]
        return SampleEstimate(self.value, chosen, self.n2 - p, self.n2, p, f"two-phase ({variance})")


def two_phase_exhaustive(y: ArrayLike, z: ArrayLike | None, z_mean: ArrayLike | None) -> TwoPhase:
    """Mean where the covariates' means over the whole area are known: ``z_mean' b``.

    ``V_g = z' S z`` with ``S = A^-1 (n2^-2 sum R^2 ZZ') A^-1``, ``A = n2^-1 sum ZZ'``; ``V_ext = s^2_R / n2``.

    Parameters
    ----------
    y : array_like, shape (n2,)
        Local density at the field points, m3/ha or t/ha, say; the estimate is in its unit.
    z : array_like, shape (n2, k) or (n2,), or None
        Covariates at the field points, without the column of ones.
    z_mean : array_like, shape (k,) or (N, k)
        Their means over the whole area, or all its cells.

    Raises
    ------
    OutOfRange
        Naming the row of a missing value or the column of a collinear covariate; if n2 is not above k + 1.

    References
    ----------
    Mandallaz (2008) Sampling Techniques for Forest Inventories, 5.1; Mandallaz, Breschan, Hill (2013) Can. J. For. Res. 43: 1023.
    """
    values, covariates = _field(y, z)
    fit = fit_regression(values, covariates)
    return _result(fit, values, fit.at(means("z_mean", z_mean, covariates.shape[1])), 0.0, None)


def two_phase(
    y: ArrayLike, z: ArrayLike, z_first: ArrayLike, first_weights: ArrayLike | None = None
) -> TwoPhase:
    """Mean where the covariates are known at a first-phase sample that holds the field points.

    ``V_g`` and ``V_ext`` of the exhaustive case, each plus the first phase's own: ``b' S_Z b = s^2_Yhat / n1``.

    Parameters
    ----------
    y, z : array_like, shapes (n2,) and (n2, k)
        As of `two_phase_exhaustive`.
    z_first : array_like, shape (n1, k)
        Covariates of all first-phase points, the field points among them.
    first_weights : array_like, shape (n1,), optional
        Share of each point's window that lies in the forest (boundary weights), above zero.

    Raises
    ------
    OutOfRange
        As `two_phase_exhaustive`; if there are fewer first-phase than field points.

    References
    ----------
    As `two_phase_exhaustive`.
    """
    values, covariates = _field(y, z)
    first, weights = _first_phase(z_first, first_weights, covariates.shape[1])
    n1, n2 = first.shape[0], values.size
    if n1 < n2 or n1 < 2:
        raise OutOfRange(
            en=f"z_first: expected all first-phase points, the {n2} field points among them, got {n1}.",
            ja=f"z_first: 現地 {n2} 点を含む第1相の全点が必要ですが、{n1} 点でした。",
        )
    fit = fit_regression(values, covariates)
    at = fit.at(np.average(first, axis=0, weights=weights))
    return _result(fit, values, at, float(fit.predict(first).var(ddof=1)) / n1, n1)


def two_phase_domain(
    y: ArrayLike,
    z: ArrayLike,
    inside: ArrayLike,
    z_mean: ArrayLike | None = None,
    z_first: ArrayLike | None = None,
    first_weights: ArrayLike | None = None,
    extended: bool = True,
) -> TwoPhase:
    """Mean of a domain (small area), by the extended or the plain synthetic estimator.

    Extended: the domain's indicator joins the covariates, so that its residuals inside sum to zero and no correction is left over.
    External variance from what lies inside: ``s^2_R / n2G``, or with a first phase ``s^2_Y / n1G + (1 - n2G/n1G) s^2_R / n2G``.
    Plain synthetic (`extended` false): the model of all points at the domain's covariates, for domains without field points; what
    the model leaves over there is in no variance, and the external one is NaN where fewer than two points lie inside.

    Parameters
    ----------
    y, z : array_like, shapes (n2,) and (n2, k)
        All field points.
    inside : array_like of bool, shape (n2,)
        Field points that lie in the domain: two at least where extended, and one or more outside.
    z_mean : array_like, shape (k,) or (N, k), optional
        Covariate means of the domain, or all its cells, where known; or else
    z_first : array_like, shape (n1_domain, k), optional
        covariates of the first-phase points that lie in the domain.
    first_weights : array_like, shape (n1_domain,), optional
        Boundary weights.

    Raises
    ------
    OutOfRange
        As `two_phase_exhaustive`; if not exactly one of `z_mean` and `z_first` came, or too few points lie inside or outside.

    References
    ----------
    Mandallaz (2013) Can. J. For. Res. 43: 441-449; Mandallaz, Breschan, Hill (2013) Can. J. For. Res. 43: 1023.
    """
    values, covariates = _field(y, z)
    member = np.array([bool(v) for v in labels("inside", np.asarray(inside).tolist(), values.size)])
    few = extended and (member.sum() < 2 or member.all())
    if few or (z_mean is None) == (z_first is None):
        raise OutOfRange(
            en=f"Expected two or more of the {member.size} field points inside the domain, one or more outside, and either z_mean or z_first; "
            f"got {int(member.sum())} inside.",
            ja=f"領域内に2点以上・領域外に1点以上の現地点（全{member.size}点）と、z_mean または z_first のいずれか一方が必要です（領域内 {int(member.sum())} 点）。",
        )
    k = covariates.shape[1]
    fit = fit_regression(values, np.column_stack([covariates, member]) if extended else covariates)
    if z_first is None:
        found = _result(fit, values, fit.at(_with(means("z_mean", z_mean, k), extended)), 0.0, None)
    else:
        first, weights = _first_phase(z_first, first_weights, k)
        spread = float(fit.predict(_with(first, extended)).var(ddof=1)) / first.shape[0]
        at = fit.at(_with(np.average(first, axis=0, weights=weights), extended))
        found = _result(fit, values, at, spread, first.shape[0])
    return replace(found, external_variance=_external_inside(values[member], fit.residuals[member], found.n1))


def _with(covariates: _F, extended: bool) -> _F:
    """Covariates inside the domain, with its indicator as a last column where the model has one."""
    if not extended:
        return covariates
    return np.concatenate([covariates, np.ones((*covariates.shape[:-1], 1))], axis=-1)


def _external_inside(y: _F, residual: _F, n1: int | None) -> float:
    n2 = residual.size
    if n2 < 2:
        return float("nan")
    inner = float(residual.var(ddof=1)) / n2
    return inner if n1 is None else float(y.var(ddof=1)) / n1 + (1.0 - min(1.0, n2 / n1)) * inner


def _field(y: ArrayLike, z: ArrayLike | None) -> tuple[_F, _F]:
    values = column("y", y)
    return values, table("z", z, values.size)


def _first_phase(z_first: ArrayLike, first_weights: ArrayLike | None, k: int) -> tuple[_F, _F]:
    first = table("z_first", z_first, length("z_first", z_first))
    n1 = first.shape[0]
    if first.shape[1] != k or n1 < 2:
        raise OutOfRange(
            en=f"z_first: expected two or more points with the {k} covariates of z, got shape {first.shape}.",
            ja=f"z_first: z と同じ {k} 列で2点以上が必要ですが、形が {first.shape} でした。",
        )
    if first_weights is None:
        return first, np.ones(n1)
    weights = column("first_weights", first_weights, n1)
    positive("first_weights", weights)
    return first, weights


def _result(fit: Regression, y: _F, at: _F, first_phase: float, n1: int | None) -> TwoPhase:
    n2 = y.size
    g_over_n = fit.basis @ fit.bread @ at
    spread = float(((y - y.mean()) ** 2).sum())
    squares = float(fit.residuals @ fit.residuals)
    return TwoPhase(
        value=float(at @ fit.loads),
        external_variance=squares / (n2 - 1) / n2 + first_phase,
        g_weight_variance=float(((g_over_n * fit.residuals) ** 2).sum()) + first_phase,
        n1=n1,
        n2=n2,
        coefficients=tuple(fit.coefficients.tolist()),
        r_squared=1.0 - squares / spread if spread else 1.0,
    )
