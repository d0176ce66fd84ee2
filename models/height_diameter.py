"""Height-diameter curves (樹高曲線) fitted to a survey's own pairs: several forms, chosen by cross-validation.

Two forms are straight lines in logarithms (``log1``, ``log2``; predictions carry the log-normal correction), two bend to an
asymptote (``weibull``, ``michaelis``).

Heights from these curves become credits, so that every machine must find the same ones: no LAPACK and no BLAS takes part in a fit. Sums
are exactly rounded (`math.fsum`), the two or three normal equations are solved in a fixed order, and coefficients are cut to seven
significant digits (a hundredth of a millimetre of height), far above what the last bits of a logarithm can move.

References
----------
Réjou-Méchain et al. 2017, doi:10.1111/2041-210X.12753 (the forms and their residual standard errors as in the R package BIOMASS).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import fsum, sqrt
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from models.errors import OutOfRange
from models.small_least_squares import Singular, inverse, levenberg_marquardt, line, normal_equations, solve

Form = Literal["log1", "log2", "weibull", "michaelis"]
FORMS: tuple[Form, ...] = get_args(Form)
PARAMETERS: Mapping[Form, int] = {"log1": 2, "log2": 3, "weibull": 3, "michaelis": 2}
LOG_FORMS: tuple[Form, ...] = ("log1", "log2")
FEW_PAIRS, FEW_PARAMETERS, SPARE_PAIRS = 20, 2, 3
FEWEST_GROUPS = 2
REFINEMENTS = 4
FOLDS = 10
DIGITS = 7
"""Significant digits of a coefficient."""
ERROR_DIGITS = 4
"""Of a displacement: enough for a variance, and the fewer the rarer a last bit shows."""
SCORE_M = 1e-3
"""Forms whose cross-validated errors agree to this are equally good: the simpler one is taken."""
_F = NDArray[np.float64]


@dataclass(frozen=True)
class HeightDiameterCurve:
    """A fitted curve.

    Attributes
    ----------
    coefficients : tuple of float
        ``log1``: ``ln H = a + b ln D``; ``log2``: ``+ c (ln D)²``; ``weibull``: ``H = a (1 − exp(−(D/b)^c))``;
        ``michaelis``: ``H = a D / (b + D)``. D cm, H m. Seven significant digits.
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
            with np.errstate(over="ignore"):
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
    return _fit(form, d, h)


def _fit(form: Form, d: _F, h: _F, start: Sequence[float] | None = None) -> HeightDiameterCurve:
    p = PARAMETERS[form]
    if d.size < p + SPARE_PAIRS or (d.size < FEW_PAIRS and p > FEW_PARAMETERS) or np.unique(d).size <= p:
        raise OutOfRange(
            en=f"expected {p + SPARE_PAIRS} height-diameter pairs of different diameters for the {p} parameters of {form} ({FEW_PAIRS} beyond {FEW_PARAMETERS} parameters), got {d.size}; measure more heights",
            ja=f"{form}の{p}母数には直径の異なる{p + SPARE_PAIRS}組以上({FEW_PARAMETERS}母数を超えるなら{FEW_PAIRS}組以上)の樹高・直径が必要ですが、{d.size}組でした。樹高をさらに測ってください",
        )
    try:
        with np.errstate(all="ignore"):  # wild steps end in numbers that are not finite, which are Singular
            found = _fit_logarithms(d, h, p) if form in LOG_FORMS else _fit_asymptote(form, d, h, start)
        coefficients = tuple(_digits(c) for c in found)
        gradient = _gradient(form, coefficients, d)
        within = (
            np.log(h) - _line(coefficients, d) if form in LOG_FORMS else h - _heights(form, found, 0.0, d)
        )
        variance = fsum((within * within).tolist()) / (d.size - p)
        covariance = inverse(normal_equations(gradient, within)[0])
    except Singular as reason:
        raise OutOfRange(
            en=f"expected heights that level off as diameters grow, but {form} does not converge on these {d.size} pairs; use log1",
            ja=f"直径とともに頭打ちになる樹高が必要ですが、{form}はこの{d.size}組では収束しません。log1を使ってください",
        ) from reason
    log_sd = _digits(sqrt(variance)) if form in LOG_FORMS else 0.0
    residual = h - _heights(form, coefficients, log_sd, d)
    return HeightDiameterCurve(
        form=form,
        coefficients=coefficients,
        covariance=tuple(tuple(variance * v for v in row) for row in covariance),
        residual_sd_m=sqrt(fsum((residual * residual).tolist()) / (d.size - p)),
        log_residual_sd=log_sd,
        pairs=int(d.size),
        dbh_range_cm=(float(d.min()), float(d.max())),
    )


def choose_height_curve(
    dbh_cm: _F,
    height_m: _F,
    groups: NDArray[np.generic] | None = None,
    forms: Sequence[Form] = FORMS,
) -> CurveChoice:
    """Fit every form and keep the one that predicts pairs it has not seen best; of equally good ones (to 1 mm) the simplest.

    Parameters
    ----------
    dbh_cm, height_m : ndarray of float, shape (n,)
    groups : ndarray, shape (n,), optional
        Sample plot (標準地) of each pair: whole plots are left out, in at most ten folds. Without it, or with fewer than 3
        plots, every tenth pair in order of diameter is left out, so that each fold spans all sizes.

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
            curve = _fit(form, d, h)
            if curve.peak_dbh_cm < curve.dbh_range_cm[1]:
                left_out[form] = f"falls beyond {curve.peak_dbh_cm:.1f} cm, within the diameters measured"
                continue
            scores[form] = _cross_validate(curve, d, h, folds)
            curves[form] = curve
        except OutOfRange as reason:
            left_out[form] = reason.en
    if not curves:
        raise OutOfRange(
            en=f"no height-diameter form fits these {d.size} pairs: {left_out}; measure more heights",
            ja=f"この{d.size}組の樹高・直径に当てはまる樹高曲線がありません({left_out})。樹高をさらに測ってください",
        )
    best = min(curves, key=lambda f: (round(scores[f] / SCORE_M), PARAMETERS[f], FORMS.index(f)))
    return CurveChoice(replace(curves[best], cross_validated_rmse_m=scores[best]), scores, left_out)


def height_of(curve: HeightDiameterCurve, dbh_cm: _F) -> _F:
    """Heights of the curve, m, shape (n,)."""
    d = _positive(np.asarray(dbh_cm, dtype=np.float64), "dbh_cm", "胸高直径")
    return _heights(curve.form, curve.coefficients, curve.log_residual_sd, d)


def height_gradient(curve: HeightDiameterCurve, dbh_cm: _F) -> _F:
    """Slope of the height by each coefficient, m per unit, shape (n, p)."""
    d = np.asarray(dbh_cm, dtype=np.float64)
    gradient = _gradient(curve.form, curve.coefficients, d)
    return gradient * height_of(curve, d)[:, None] if curve.form in LOG_FORMS else gradient


def displacements(
    curve: HeightDiameterCurve, dbh_cm: _F, height_m: _F, groups: NDArray[np.generic]
) -> dict[str, tuple[float, ...]]:
    """How the coefficients move when one sample plot (標準地) is left out: the jackknife of the curve, linearised.

    Scaled by ``√((m − 1) / m)`` for m sample plots, so that the squares of what they do to any total sum to its variance. Trees of a
    plot share its site and its crew: leaving whole plots out keeps that, and displacements of two dates by one plot go together.

    Parameters
    ----------
    dbh_cm, height_m, groups : ndarray, shape (n,)
        The pairs the curve was fitted on.

    Raises
    ------
    OutOfRange
        If there are fewer than 2 groups, or one of them holds what decides a coefficient.

    References
    ----------
    Cameron & Miller 2015, J. Human Resources 50:317-372 (the jackknife by clusters, CV3).
    """
    d, h = _checked(dbh_cm, height_m)
    gradient = _gradient(curve.form, curve.coefficients, d)
    log = curve.form in LOG_FORMS
    residual = np.log(h) - _line(curve.coefficients, d) if log else h - height_of(curve, d)
    names = [str(g) for g in np.unique(groups)]
    if len(names) < FEWEST_GROUPS:
        raise OutOfRange(
            en=f"expected measured heights on {FEWEST_GROUPS} sample plots or more, got {len(names)}; measure heights on more of them",
            ja=f"{FEWEST_GROUPS}か所以上の標準地に樹高の実測が必要ですが、{len(names)}か所でした。他の標準地でも樹高を測ってください",
        )
    scale = sqrt((len(names) - 1) / len(names))
    moved = {}
    for name in names:
        rest = groups.astype(np.str_) != name
        try:
            step = solve(*normal_equations(gradient[rest], residual[rest]))
        except Singular as reason:
            raise OutOfRange(
                en=f"expected heights of different diameters on every sample plot but one, got all of them on {name}; measure heights elsewhere",
                ja=f"標準地{name}以外にも直径の異なる樹高の実測が必要です。他の標準地でも樹高を測ってください",
            ) from reason
        moved[name] = tuple(_digits(scale * s, ERROR_DIGITS) for s in step)
    return moved


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
    centre = _heights(curve.form, curve.coefficients, curve.log_residual_sd, d)
    gradient = _gradient(curve.form, curve.coefficients, d)
    shared = np.einsum("ni,ij,nj->n", gradient, np.array(curve.covariance), gradient)
    quantile = float(student_t.ppf(0.5 + coverage / 2.0, curve.degrees_of_freedom))
    if curve.form in LOG_FORMS:
        middle = np.log(centre) - curve.log_residual_sd**2 / 2.0
        half = quantile * np.sqrt(curve.log_residual_sd**2 + shared)
        low, high = np.exp(middle - half), np.exp(middle + half)
    else:
        half = quantile * np.sqrt(curve.residual_sd_m**2 + shared)
        low, high = np.maximum(centre - half, 0.0), centre + half
    outside = (d < curve.dbh_range_cm[0]) | (d > curve.dbh_range_cm[1])
    return HeightPrediction(centre, low, high, outside)


def _digits(value: float, digits: int = DIGITS) -> float:
    """Cut to significant digits."""
    return float(f"{value:.{digits - 1}e}")


def _fit_logarithms(d: _F, h: _F, p: int) -> list[float]:
    design = _powers(d, p)
    coefficients = [0.0] * p
    for _ in range(
        REFINEMENTS
    ):  # the same equations on what is left: the rounding of the solution goes, its cause does not matter
        step = solve(*normal_equations(design, np.log(h) - _line(coefficients, d)))
        coefficients = [c + s for c, s in zip(coefficients, step, strict=True)]
    return coefficients


def _fit_asymptote(form: Form, d: _F, h: _F, start: Sequence[float] | None) -> list[float]:
    """Least squares over the logarithms of the coefficients, which keeps them above zero."""

    def residual(theta: Sequence[float]) -> _F:
        return h - _heights(form, np.exp(theta).tolist(), 0.0, d)

    def slope(theta: Sequence[float]) -> _F:
        coefficients = np.exp(theta)
        return _gradient(form, coefficients.tolist(), d) * coefficients

    begin = np.log(_start(form, d, h) if start is None else start).tolist()
    return [float(c) for c in np.exp(levenberg_marquardt(begin, residual, slope))]


def _start(form: Form, d: _F, h: _F) -> list[float]:
    if form == "michaelis":  # Hanes-Woolf line: D/H = b/a + D/a
        intercept, slope = line(d, d / h)
        if slope > 0 and intercept > 0:
            return [1.0 / slope, intercept / slope]
        return [2.0 * float(h.max()), float(np.median(d))]
    top = 1.05 * float(h.max())
    offset, shape = line(np.log(d), np.log(-np.log1p(-h / top)))
    shape = max(shape, 0.2)
    return [top, float(np.clip(np.exp(-offset / shape), d.min(), 10.0 * d.max())), shape]


def _powers(d: _F, p: int) -> _F:
    log_d = np.log(d)
    return np.column_stack([np.ones(d.size), log_d, log_d * log_d][:p])


def _line(coefficients: Sequence[float], d: _F) -> _F:
    """Polynomial in ln D, by Horner's rule."""
    log_d = np.log(d)
    out = np.full(d.size, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        out = out * log_d + c
    return out


def _heights(form: Form, coefficients: Sequence[float], log_sd: float, d: _F) -> _F:
    if form in LOG_FORMS:
        return np.asarray(np.exp(_line(coefficients, d) + log_sd * log_sd / 2.0), dtype=np.float64)
    if form == "weibull":
        a, b, c = coefficients
        return np.asarray(-a * np.expm1(-((d / b) ** c)), dtype=np.float64)
    a, b = coefficients
    return np.asarray(a * d / (b + d), dtype=np.float64)


def _gradient(form: Form, coefficients: Sequence[float], d: _F) -> _F:
    """By the coefficients, shape (n, p): of ln H for the ``log`` forms, of H for the others."""
    if form in LOG_FORMS:
        return _powers(d, len(coefficients))
    if form == "weibull":
        a, b, c = coefficients
        u = (d / b) ** c
        left = a * np.exp(-u) * u
        return np.column_stack([-np.expm1(-u), -left * c / b, left * np.log(d / b)])
    a, b = coefficients
    return np.column_stack([d / (b + d), -a * d / ((b + d) * (b + d))])


def _folds(d: _F, groups: NDArray[np.generic] | None) -> NDArray[np.intp]:
    if groups is not None:
        if groups.shape != d.shape:
            raise OutOfRange(
                en=f"expected one sample plot for each of {d.size} pairs, got {groups.size}",
                ja=f"{d.size}組それぞれの標準地が必要ですが、{groups.size}件でした",
            )
        unique, position = np.unique(groups, return_inverse=True)
        if unique.size >= 3:
            return np.asarray(position % FOLDS, dtype=np.intp)
    folds = np.empty(d.size, dtype=np.intp)
    folds[np.argsort(d, kind="stable")] = np.arange(d.size) % min(FOLDS, d.size)
    return folds


def _cross_validate(curve: HeightDiameterCurve, d: _F, h: _F, folds: NDArray[np.intp]) -> float:
    error = np.empty(d.size)
    for fold in np.unique(folds):
        out = folds == fold
        rest = _fit(curve.form, d[~out], h[~out], curve.coefficients)
        error[out] = h[out] - _heights(rest.form, rest.coefficients, rest.log_residual_sd, d[out])
    return sqrt(fsum((error * error).tolist()) / d.size)


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
