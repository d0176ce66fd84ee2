"""Weighted least squares with an intercept, as estimators need it: about the mean of the covariates, in their own scale.

Elevations in millimetres and coordinates of a million metres stand beside ratios of one: squaring those together loses the
digits that matter. Covariates are therefore centred and scaled before anything is solved, and results turned back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr, solve_triangular

from models.checks import enough
from models.errors import OutOfRange

_F = NDArray[np.float64]
FLAT = 1e-12
"""A column that varies by less than this share of its size is constant."""
COLLINEAR = 1e-9
"""A scaled column that has less than this of its length left beside the others is a combination of them."""


@dataclass(frozen=True)
class Regression:
    """A weighted linear working model ``y = X b``, held in centred and scaled covariates.

    Attributes
    ----------
    basis : ndarray, shape (n, p)
        A column of ones, then ``(x - centre) / scale``.
    bread : ndarray, shape (p, p)
        ``(B'WB)^-1`` of the basis B.
    loads : ndarray, shape (p,)
        Coefficients of the basis; the first is the weighted mean of y.
    residuals, weights : ndarray, shape (n,)
    centre, scale : ndarray, shape (p - 1,)
    """

    basis: _F
    bread: _F
    loads: _F
    residuals: _F
    weights: _F
    centre: _F
    scale: _F

    @property
    def coefficients(self) -> _F:
        """In the units given, shape (p,), intercept first."""
        slopes = self.loads[1:] / self.scale
        return np.concatenate([[self.loads[0] - float(self.centre @ slopes)], slopes])

    def at(self, x: _F) -> _F:
        """Covariates, shape (k,) or (m, k), in the basis: shape (p,) or (m, p)."""
        ones = np.ones((*x.shape[:-1], 1))
        return np.concatenate([ones, (x - self.centre) / self.scale], axis=-1)

    def predict(self, x: _F) -> _F:
        """Fitted values at covariates of shape (m, k)."""
        return np.asarray(self.at(x) @ self.loads)


def centre_and_scale(x: _F, weights: _F, where: str = "") -> tuple[_F, _F]:
    """Weighted mean and spread of every column.

    Raises
    ------
    OutOfRange
        If a column is constant; its number is named.
    """
    share = weights / weights.sum()
    first = share @ x
    centre = first + share @ (x - first)
    scale = np.sqrt(share @ (x - centre) ** 2)
    flat = np.flatnonzero(scale <= FLAT * np.abs(x).max(axis=0, initial=0.0))
    if flat.size:
        raise _collinear(int(flat[0]), where, "is constant", "は一定です")
    return np.asarray(centre), np.asarray(scale)


def fit_regression(y: _F, x: _F, weights: _F | None = None, where: str = "") -> Regression:
    """Weighted least squares with an intercept.

    Parameters
    ----------
    y : ndarray, shape (n,)
    x : ndarray, shape (n, k)
        k may be zero: the mean alone.
    weights : ndarray, shape (n,), optional

    Raises
    ------
    OutOfRange
        If there are no more rows than coefficients, or a covariate is constant or a combination of the others (its column is named).
    """
    n, k = x.shape
    enough(n, k + 1, where)
    w = np.ones(n) if weights is None else weights
    centre, scale = centre_and_scale(x, w, where)
    z = (x - centre) / scale
    total = float(w.sum())
    middle = float(w @ y) / total
    middle += float(w @ (y - middle)) / total
    slopes, inverse = _solve(z * np.sqrt(w)[:, None], (y - middle) * np.sqrt(w), where)
    bread = np.zeros((k + 1, k + 1))
    bread[0, 0] = 1.0 / total
    bread[1:, 1:] = inverse
    return Regression(
        basis=np.column_stack([np.ones(n), z]),
        bread=bread,
        loads=np.concatenate([[middle], slopes]),
        residuals=y - middle - z @ slopes,
        weights=w,
        centre=centre,
        scale=scale,
    )


def _solve(z: _F, y: _F, where: str) -> tuple[_F, _F]:
    """Slopes and ``(Z'Z)^-1``, by QR with column pivoting."""
    k = z.shape[1]
    if k == 0:
        return np.empty(0), np.empty((0, 0))
    q, root, order = qr(z, mode="economic", pivoting=True)
    left = np.abs(np.diag(root))
    bad = np.flatnonzero(left <= COLLINEAR * left[0])
    if bad.size:
        raise _collinear(int(order[bad[0]]), where, "is a combination of the others", "は他の列の組合せです")
    back = np.argsort(order)
    inner = solve_triangular(root, np.eye(k))
    slopes = solve_triangular(root, q.T @ y)
    return np.asarray(slopes[back]), np.asarray((inner @ inner.T)[np.ix_(back, back)])


def _collinear(column: int, where: str, what: str, what_ja: str) -> OutOfRange:
    at = f"{where}: " if where else ""
    return OutOfRange(
        en=f"{at}x: expected covariates that vary apart from each other and are not constant, got collinear columns: "
        f"column {column + 1} (counted from 1) {what}. Drop it.",
        ja=f"{at}x: 互いに独立に変化する説明変数が必要ですが、共線性があります。{column + 1} 列目（1起算）{what_ja}。その列を除いてください。",
    )
