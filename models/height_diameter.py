"""Height-diameter curves (樹高曲線) fitted to a survey's own pairs: several forms, chosen by cross-validation.

Two forms are straight lines in logarithms (``log1``, ``log2``; predictions carry the log-normal correction), two bend to an
asymptote (``weibull``, ``michaelis``).

References
----------
Réjou-Méchain et al. 2017, doi:10.1111/2041-210X.12753 (the forms and their residual standard errors as in the R package BIOMASS).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import t as student_t

from models.errors import OutOfRange

Form = Literal["log1", "log2", "weibull", "michaelis"]
FORMS: tuple[Form, ...] = get_args(Form)
PARAMETERS: Mapping[Form, int] = {"log1": 2, "log2": 3, "weibull": 3, "michaelis": 2}
FEW_PAIRS, FEW_PARAMETERS, SPARE_PAIRS = 20, 2, 3
FOLDS = 10
_F = NDArray[np.float64]


@dataclass(frozen=True)
class HeightDiameterCurve:
    """A fitted curve.

    Attributes
    ----------
    coefficients : tuple of float
        ``log1``: ``ln H = a + b ln D``; ``log2``: ``+ c (ln D)²``; ``weibull``: ``H = a (1 − exp(−(D/b)^c))``;
        ``michaelis``: ``H = a D / (b + D)``. D cm, H m.
    covariance : tuple of tuple of float
        Of the coefficients.
    residual_sd_m : float
        Residual standard error of H itself on ``n − p``, m: the figure to compare forms by.
    log_residual_sd : float
        Residual standard error of ln H of the ``log`` forms; 0 for the others.
    dbh_range_cm : (float, float)
        Smallest and largest diameter fitted on.
    cross_validated_rmse_m : float or None
        Only where the curve was chosen by :func:`choose_height_curve`.
    """

    form: Form
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    residual_sd_m: float
    log_residual_sd: float
    pairs: int
    dbh_range_cm: tuple[float, float]
    cross_validated_rmse_m: float | None = None

    @property
    def degrees_of_freedom(self) -> int:
        return self.pairs - len(self.coefficients)

    @property
    def peak_dbh_cm(self) -> float:
        """Diameter beyond which the curve falls; infinite for a curve that never does."""
        if self.form == "log1":
            return np.inf if self.coefficients[1] > 0 else 0.0
        if self.form == "log2":
            _, b, c = self.coefficients
            return float(np.exp(-b / (2.0 * c))) if c < 0 else (np.inf if b > 0 else 0.0)
        return np.inf


@dataclass(frozen=True)
class HeightPrediction:
    """Heights, m, with the interval of one tree and a flag per tree beyond the diameters fitted on."""

    height_m: _F
    low_m: _F
    high_m: _F
    outside: NDArray[np.bool_]

    @property
    def outside_count(self) -> int:
        return int(self.outside.sum())


@dataclass(frozen=True)
class CurveChoice:
    """The chosen curve, the score of every form that could be fitted (m), and why the others were left out."""

    curve: HeightDiameterCurve
    cross_validated_rmse_m: Mapping[Form, float]
    left_out: Mapping[Form, str]


def fit_height_curve(form: Form, dbh_cm: _F, height_m: _F) -> HeightDiameterCurve:
    """Fit one form by least squares.

    Parameters
    ----------
    dbh_cm, height_m : ndarray of float, shape (n,)

    Raises
    ------
    OutOfRange
        If a value is missing or not above zero (the row is named), if there are too few pairs (3 more than parameters;
        2 parameters at most below 20 pairs) or too few different diameters, or if the fit does not converge.
    """
    d, h = _checked(dbh_cm, height_m)
    p = PARAMETERS[form]
    if d.size < p + SPARE_PAIRS or (d.size < FEW_PAIRS and p > FEW_PARAMETERS) or np.unique(d).size <= p:
        raise OutOfRange(
            en=f"expected {p + SPARE_PAIRS} height-diameter pairs of different diameters for the {p} parameters of {form} ({FEW_PAIRS} beyond {FEW_PARAMETERS} parameters), got {d.size}; measure more heights",
            ja=f"{form}の{p}母数には直径の異なる{p + SPARE_PAIRS}組以上({FEW_PARAMETERS}母数を超えるなら{FEW_PAIRS}組以上)の樹高・直径が必要ですが、{d.size}組でした。樹高をさらに測ってください",
        )
    if form in ("log1", "log2"):
        coefficients, covariance, log_sd = _fit_logarithms(d, h, p)
    else:
        (coefficients, covariance), log_sd = _fit_asymptote(form, d, h), 0.0
    residual = h - _heights(form, coefficients, log_sd, d)
    return HeightDiameterCurve(
        form=form,
        coefficients=tuple(map(float, coefficients)),
        covariance=tuple(tuple(map(float, row)) for row in covariance),
        residual_sd_m=float(np.sqrt(residual @ residual / (d.size - p))),
        log_residual_sd=log_sd,
        pairs=int(d.size),
        dbh_range_cm=(float(d.min()), float(d.max())),
    )


def choose_height_curve(
    dbh_cm: _F, height_m: _F, groups: NDArray[np.generic] | None = None, forms: Sequence[Form] = FORMS
) -> CurveChoice:
    """Fit every form and keep the one that predicts pairs it has not seen best.

    Parameters
    ----------
    dbh_cm, height_m : ndarray of float, shape (n,)
    groups : ndarray, shape (n,), optional
        Sample plot (標準地) of each pair: whole plots are left out. Without it, or with fewer than 3 plots, every tenth
        pair in order of diameter is left out, so that each fold spans all sizes.

    Raises
    ------
    OutOfRange
        As :func:`fit_height_curve`, if no form can be fitted.
    """
    d, h = _checked(dbh_cm, height_m)
    folds = _folds(d, groups)
    scores: dict[Form, float] = {}
    left_out: dict[Form, str] = {}
    curves: dict[Form, HeightDiameterCurve] = {}
    for form in forms:
        try:
            curve = fit_height_curve(form, d, h)
            scores[form] = _cross_validate(form, d, h, folds)
        except OutOfRange as reason:
            left_out[form] = reason.en
            continue
        if curve.peak_dbh_cm < curve.dbh_range_cm[1]:
            left_out[form] = f"falls beyond {curve.peak_dbh_cm:.1f} cm, within the diameters measured"
            del scores[form]
            continue
        curves[form] = curve
    if not curves:
        raise OutOfRange(
            en=f"no height-diameter form fits these {d.size} pairs: {left_out}; measure more heights",
            ja=f"この{d.size}組の樹高・直径に当てはまる樹高曲線がありません({left_out})。樹高をさらに測ってください",
        )
    best = min(curves, key=lambda f: (scores[f], PARAMETERS[f]))
    return CurveChoice(replace(curves[best], cross_validated_rmse_m=scores[best]), scores, left_out)


def predict_height(curve: HeightDiameterCurve, dbh_cm: _F, coverage: float = 0.9) -> HeightPrediction:
    """Heights of trees whose diameter alone was measured.

    Parameters
    ----------
    dbh_cm : ndarray of float, shape (n,)
    coverage : float
        Of the interval of one tree: residual and coefficient errors, Student's t; log-normal for the ``log`` forms.

    Raises
    ------
    OutOfRange
        If a diameter is missing or not above zero (the row is named).
    """
    d = _positive(np.asarray(dbh_cm, dtype=np.float64), "dbh_cm", "胸高直径")
    coefficients = np.array(curve.coefficients)
    centre = _heights(curve.form, coefficients, curve.log_residual_sd, d)
    gradient = _gradient(curve.form, coefficients, d)
    shared = np.einsum("ni,ij,nj->n", gradient, np.array(curve.covariance), gradient)
    quantile = float(student_t.ppf(0.5 + coverage / 2.0, curve.degrees_of_freedom))
    if curve.form in ("log1", "log2"):
        middle = np.log(centre) - curve.log_residual_sd**2 / 2.0
        half = quantile * np.sqrt(curve.log_residual_sd**2 + shared)
        low, high = np.exp(middle - half), np.exp(middle + half)
    else:
        half = quantile * np.sqrt(curve.residual_sd_m**2 + shared)
        low, high = np.maximum(centre - half, 0.0), centre + half
    outside = (d < curve.dbh_range_cm[0]) | (d > curve.dbh_range_cm[1])
    return HeightPrediction(centre, low, high, outside)


def _fit_logarithms(d: _F, h: _F, p: int) -> tuple[_F, _F, float]:
    design = np.vander(np.log(d), p, increasing=True)
    coefficients, *_ = np.linalg.lstsq(design, np.log(h), rcond=None)
    residual = np.log(h) - design @ coefficients
    variance = float(residual @ residual) / (d.size - p)
    return coefficients, variance * np.linalg.inv(design.T @ design), float(np.sqrt(variance))


def _fit_asymptote(form: Form, d: _F, h: _F) -> tuple[_F, _F]:
    """Least squares over the logarithms of the coefficients, which keeps them above zero."""

    def residual(theta: _F) -> _F:
        return _heights(form, np.exp(theta), 0.0, d) - h

    def slope(theta: _F) -> _F:
        return _gradient(form, np.exp(theta), d) * np.exp(theta)

    found = least_squares(residual, np.log(_start(form, d, h)), jac=slope, method="lm", max_nfev=2000)
    coefficients: _F = np.exp(found.x)
    gradient = _gradient(form, coefficients, d)
    gram = gradient.T @ gradient
    scale = np.sqrt(np.diag(gram))
    converged = found.success and np.all(np.isfinite(coefficients)) and scale.min() > 0
    if not converged or np.linalg.cond(gram / np.outer(scale, scale)) > 1e12:
        raise OutOfRange(
            en=f"expected heights that level off as diameters grow, but {form} does not converge on these {d.size} pairs; use log1",
            ja=f"直径とともに頭打ちになる樹高が必要ですが、{form}はこの{d.size}組では収束しません。log1を使ってください",
        )
    variance = float(found.fun @ found.fun) / (d.size - coefficients.size)
    return coefficients, np.asarray(variance * np.linalg.inv(gram), dtype=np.float64)


def _start(form: Form, d: _F, h: _F) -> _F:
    if form == "michaelis":  # Hanes-Woolf line: D/H = b/a + D/a
        slope, intercept = np.polyfit(d, d / h, 1)
        if slope > 0 and intercept > 0:
            return np.array([1.0 / slope, intercept / slope])
        return np.array([2.0 * h.max(), float(np.median(d))])
    top = 1.05 * h.max()
    shape, offset = np.polyfit(np.log(d), np.log(-np.log1p(-h / top)), 1)
    shape = max(shape, 0.2)
    return np.array([top, np.clip(np.exp(-offset / shape), d.min(), 10.0 * d.max()), shape])


def _heights(form: Form, coefficients: _F, log_sd: float, d: _F) -> _F:
    if form in ("log1", "log2"):
        line = np.vander(np.log(d), coefficients.size, increasing=True) @ coefficients
        return np.asarray(np.exp(line + log_sd**2 / 2.0), dtype=np.float64)
    if form == "weibull":
        a, b, c = coefficients
        return np.asarray(-a * np.expm1(-((d / b) ** c)), dtype=np.float64)
    a, b = coefficients
    return np.asarray(a * d / (b + d), dtype=np.float64)


def _gradient(form: Form, coefficients: _F, d: _F) -> _F:
    """By the coefficients, shape (n, p): of ln H for the ``log`` forms, of H for the others."""
    if form in ("log1", "log2"):
        return np.asarray(np.vander(np.log(d), coefficients.size, increasing=True), dtype=np.float64)
    if form == "weibull":
        a, b, c = coefficients
        u = (d / b) ** c
        left = a * np.exp(-u) * u
        return np.column_stack([-np.expm1(-u), -left * c / b, left * np.log(d / b)])
    a, b = coefficients
    return np.column_stack([d / (b + d), -a * d / (b + d) ** 2])


def _folds(d: _F, groups: NDArray[np.generic] | None) -> NDArray[np.intp]:
    if groups is not None:
        if groups.shape != d.shape:
            raise OutOfRange(
                en=f"expected one sample plot for each of {d.size} pairs, got {groups.size}",
                ja=f"{d.size}組それぞれの標準地が必要ですが、{groups.size}件でした",
            )
        unique, inverse = np.unique(groups, return_inverse=True)
        if unique.size >= 3:
            return np.asarray(inverse, dtype=np.intp)
    folds = np.empty(d.size, dtype=np.intp)
    folds[np.argsort(d, kind="stable")] = np.arange(d.size) % min(FOLDS, d.size)
    return folds


def _cross_validate(form: Form, d: _F, h: _F, folds: NDArray[np.intp]) -> float:
    error = np.empty(d.size)
    for fold in np.unique(folds):
        out = folds == fold
        curve = fit_height_curve(form, d[~out], h[~out])
        error[out] = h[out] - _heights(form, np.array(curve.coefficients), curve.log_residual_sd, d[out])
    return float(np.sqrt(np.mean(error**2)))


def _checked(dbh_cm: _F, height_m: _F) -> tuple[_F, _F]:
    d, h = np.asarray(dbh_cm, dtype=np.float64), np.asarray(height_m, dtype=np.float64)
    if d.ndim != 1 or d.shape != h.shape:
        raise OutOfRange(
            en=f"expected as many heights as diameters, got {h.shape} and {d.shape}",
            ja=f"直径と同数の樹高が必要ですが、{h.shape}と{d.shape}でした",
        )
    return _positive(d, "dbh_cm", "胸高直径"), _positive(h, "height_m", "樹高")


def _positive(values: _F, name: str, name_ja: str) -> _F:
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0.0)))
    if bad.size:
        raise OutOfRange(
            en=f"expected {name} above zero, got {values[bad[0]]} in row {bad[0] + 1} ({bad.size} such rows); leave out trees that were not measured",
            ja=f"{name_ja}({name})は0より大きい必要がありますが、{bad[0] + 1}行目が{values[bad[0]]}でした({bad.size}行)。測っていない木は除いてください",
        )
    return values
