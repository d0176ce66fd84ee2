"""Least squares of two or three unknowns in a fixed order, with exactly rounded sums: the same on every machine.

For fits whose results become credits. LAPACK and BLAS differ in the last bits between builds and processors; here the only sources of
such differences are the elementary functions of the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import fsum, isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

LEAST_PIVOT = 1e-11
"""Of a matrix scaled to a diagonal of ones: below it the unknowns cannot be told apart."""
MOST_STEPS = 500
DAMPING, MOST_DAMPING = 1e-3, 1e12
CLOSE = 1e-4
"""Steps shorter than this are near enough for undamped ones."""
ROUNDING = 1e-9
"""Steps that no longer shorten must be shorter than this."""
_F = NDArray[np.float64]
Matrix = list[list[float]]
Residual = Callable[[Sequence[float]], _F]
Slope = Callable[[Sequence[float]], _F]


class Singular(ArithmeticError):
    """The unknowns cannot be told apart, or the iteration does not settle."""


def normal_equations(gradient: _F, residual: _F) -> tuple[Matrix, list[float]]:
    """``G'G`` and ``G'e``, each sum rounded once.

    Parameters
    ----------
    gradient : ndarray, shape (n, p)
    residual : ndarray, shape (n,)
    """
    if not (np.all(np.isfinite(gradient)) and np.all(np.isfinite(residual))):
        raise Singular("not finite")
    columns = [gradient[:, k] for k in range(gradient.shape[1])]
    gram = [[fsum((a * b).tolist()) for b in columns] for a in columns]
    return gram, [fsum((a * residual).tolist()) for a in columns]


def solve(gram: Matrix, right: Sequence[float], damping: float = 0.0) -> list[float]:
    """Solve a symmetric positive definite system by Cholesky's method, scaled to a diagonal of ones.

    Raises
    ------
    Singular
        If a pivot is below `LEAST_PIVOT`, or a number is not finite.
    """
    p = len(right)
    scale = [sqrt(gram[k][k]) if gram[k][k] > 0.0 else 0.0 for k in range(p)]
    if not all(0.0 < s < float("inf") for s in scale) or not all(map(isfinite, right)):
        raise Singular("a column is zero or not finite")
    lower: Matrix = [[0.0] * p for _ in range(p)]
    for i in range(p):
        for j in range(i + 1):
            value = gram[i][j] / (scale[i] * scale[j]) + (damping if i == j else 0.0)
            for k in range(j):
                value -= lower[i][k] * lower[j][k]
            if i != j:
                lower[i][j] = value / lower[j][j]
            elif value > LEAST_PIVOT:
                lower[i][i] = sqrt(value)
            else:
                raise Singular(f"pivot {value}")
    z = [0.0] * p
    for i in range(p):
        z[i] = (right[i] / scale[i] - sum(lower[i][k] * z[k] for k in range(i))) / lower[i][i]
    for i in reversed(range(p)):
        z[i] = (z[i] - sum(lower[k][i] * z[k] for k in range(i + 1, p))) / lower[i][i]
    return [v / s for v, s in zip(z, scale, strict=True)]


def inverse(gram: Matrix) -> Matrix:
    """Inverse of a symmetric positive definite matrix; raises `Singular` as :func:`solve`."""
    p = len(gram)
    return [solve(gram, [float(i == k) for i in range(p)]) for k in range(p)]


def line(x: _F, y: _F) -> tuple[float, float]:
    """Intercept and slope of a straight line; (mean, 0) where x does not vary."""
    n = x.size
    x_mean, y_mean = fsum(x.tolist()) / n, fsum(y.tolist()) / n
    spread = fsum(((x - x_mean) * (x - x_mean)).tolist())
    slope = fsum(((x - x_mean) * (y - y_mean)).tolist()) / spread if spread > 0.0 else 0.0
    return y_mean - slope * x_mean, slope


def levenberg_marquardt(
    start: Sequence[float],
    residual: Residual,
    slope: Slope,
) -> list[float]:
    """Unknowns that make the sum of squared residuals least.

    Damped steps while they are long; the last ones are undamped, so that the way there does not show in the result.

    Parameters
    ----------
    residual : callable
        ``observed - fitted``, shape (n,).
    slope : callable
        Of what is fitted by the unknowns, shape (n, p).

    Raises
    ------
    Singular
        If the unknowns cannot be told apart at the end, or do not settle within 500 steps.

    References
    ----------
    Marquardt 1963, J. SIAM 11:431-441.
    """
    return _settled(_descended(list(start), residual, slope), residual, slope)


def _descended(theta: list[float], residual: Residual, slope: Slope) -> list[float]:
    """Close to the least sum: damped steps, each kept only if the sum falls."""
    damping, squares = DAMPING, _squares(residual(theta))
    for _ in range(MOST_STEPS):
        gram, right = normal_equations(slope(theta), residual(theta))
        step = solve(gram, right, damping)
        tried = [t + s for t, s in zip(theta, step, strict=True)]
        now = _squares(residual(tried))
        if now < squares:
            theta, squares, damping = tried, now, damping / 10.0
            if damping < CLOSE and _length(step) < CLOSE:
                return theta
        elif damping >= MOST_DAMPING:
            return theta
        else:
            damping *= 10.0
    raise Singular(f"not settled within {MOST_STEPS} steps")


def _settled(theta: list[float], residual: Residual, slope: Slope) -> list[float]:
    """Undamped steps until they are as short as rounding allows: the sum itself is too flat there to tell."""
    before = float("inf")
    for _ in range(MOST_STEPS):
        step = solve(*normal_equations(slope(theta), residual(theta)))
        length = _length(step)
        if length >= before:
            if length < ROUNDING:
                return theta
            raise Singular(f"steps of {length} do not shorten")
        theta, before = [t + s for t, s in zip(theta, step, strict=True)], length
    raise Singular(f"not settled within {MOST_STEPS} steps")


def _length(step: Sequence[float]) -> float:
    return max(abs(s) for s in step)


def _squares(residual: _F) -> float:
    values = residual * residual
    return fsum(values.tolist()) if np.all(np.isfinite(values)) else float("inf")
