"""The nested error model ``y_di = x_di' b + u_d + e_di``: variances between and within domains, and coefficients given them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

_F = NDArray[np.float64]
UnitMethod = Literal["reml", "ml", "constants"]
NOTHING_LEFT = 1e-24
"""Share of the spread of y below which residual squares are rounding."""


@dataclass(frozen=True)
class Components:
    """Variances between and within domains, and their asymptotic covariance, shape (2, 2)."""

    between: float
    within: float
    covariance: _F


@dataclass(frozen=True)
class NestedError:
    """Sample plots of D domains.

    Attributes
    ----------
    y : ndarray, shape (n,)
    basis : ndarray, shape (n, p)
        Covariates with a column of ones, centred and scaled.
    domain : ndarray of int, shape (n,)
        0 to D - 1.
    """

    y: _F
    basis: _F
    domain: NDArray[np.intp]

    @property
    def counts(self) -> _F:
        """Sample plots of each domain, shape (D,)."""
        return np.bincount(self.domain).astype(np.float64)

    def sums(self, values: _F) -> _F:
        """Sums of each domain, shape (D,) or (D, k), of values of shape (n,) or (n, k)."""
        out = np.zeros((int(self.domain.max()) + 1, *values.shape[1:]))
        np.add.at(out, self.domain, values)
        return out

    def components(self, method: UnitMethod) -> Components:
        """Variance components by (restricted) maximum likelihood or by fitting of constants.

        Where plots of a domain do not differ at all beyond the model, the likelihood has no maximum and constants are fitted.

        References
        ----------
        Rao and Molina (2015) 7.2.2 (likelihood) and 7.2.1 (constants, Henderson's method 3); Prasad and Rao (1990).
        """
        spread = float(((self.y - self.y.mean()) ** 2).sum())
        profile = self._profile()
        if profile.squares(0.0) <= NOTHING_LEFT * max(spread, float(self.y @ self.y)):
            return Components(0.0, 0.0, np.zeros((2, 2)))
        constants = self._constants()
        if method == "constants" or constants.within <= NOTHING_LEFT * spread:
            return constants
        ratio = largest(lambda r: profile.log_likelihood(r, method), 1.0)
        within = profile.within(ratio, method)
        return Components(ratio * within, within, _information(self.counts, ratio * within, within))

    def solve(self, between: float, within: float) -> tuple[_F, _F]:
        """Coefficients of the basis and their covariance ``(B' V^-1 B)^-1`` for given variances."""
        plain, profile = self._plain(), self._profile()
        if within > 0.0:
            away, bread = profile.solve(between / within)
            return plain + away, within * bread
        # domains without spread inside: each is one observation of its mean
        middle = self.sums(self.basis) / self.counts[:, None]
        bread = np.asarray(np.linalg.pinv(middle.T @ middle), dtype=np.float64)
        return bread @ middle.T @ (self.sums(self.y) / self.counts) if between else plain, between * bread

    def _plain(self) -> _F:
        return np.asarray(np.linalg.lstsq(self.basis, self.y, rcond=None)[0], dtype=np.float64)

    def _profile(self) -> _Profile:
        residual = self.y - self.basis @ self._plain()
        gram = self.basis.T @ self.basis
        return _Profile(
            self.y.size,
            float(residual @ residual),
            gram,
            self.counts,
            self.sums(self.basis),
            self.sums(residual),
        )

    def _constants(self) -> Components:
        n, p = self.basis.shape
        counts, sums = self.counts, self.sums(self.basis)
        inside = self.basis - (sums / counts[:, None])[self.domain]
        own = self.y - (self.sums(self.y) / counts)[self.domain]
        slopes, _, rank, _ = np.linalg.lstsq(inside, own, rcond=1e-10)
        freedom = n - counts.size - int(rank)
        residual = own - inside @ slopes
        within = float(residual @ residual) / freedom
        whole = self.y - self.basis @ self._plain()
        bread = np.linalg.inv(self.basis.T @ self.basis)
        # trace of Z'MZ and of its square, M the residual maker and Z the domains' indicators
        turned = bread @ sums.T @ sums
        first = n - float(np.trace(turned))
        second = float(
            counts @ counts
            - 2.0 * np.trace(bread @ (sums * counts[:, None]).T @ sums)
            + np.trace(turned @ turned)
        )
        between = max(0.0, (float(whole @ whole) - (n - p) * within) / first)
        above = n - p - freedom
        of_within = 2.0 * within**2 / freedom
        of_between = (
            above * (n - p) * within**2 / freedom + 2.0 * first * within * between + second * between**2
        )
        both = -above / first * of_within
        return Components(between, within, np.array([[2.0 * of_between / first**2, both], [both, of_within]]))


@dataclass(frozen=True)
class _Profile:
    """Profile likelihood in ``r = s2_u / s2_e``, of the residuals of plain least squares and from sums only."""

    n: int
    squares_of_all: float
    gram: _F
    counts: _F
    basis_sums: _F
    residual_sums: _F

    def solve(self, r: float) -> tuple[_F, _F]:
        """Coefficients beyond those of plain least squares, and ``(B' V^-1 B)^-1`` for within variance one."""
        shrink = r / (1.0 + self.counts * r)
        gram = self.gram - (self.basis_sums * shrink[:, None]).T @ self.basis_sums
        bread: _F = np.asarray(np.linalg.inv(gram), dtype=np.float64)
        return bread @ (-self.basis_sums.T @ (shrink * self.residual_sums)), bread

    def squares(self, r: float) -> float:
        away, _ = self.solve(r)
        sums = self.residual_sums - self.basis_sums @ away
        whole = self.squares_of_all + float(away @ self.gram @ away)
        return whole - float((r / (1.0 + self.counts * r)) @ sums**2)

    def within(self, r: float, method: UnitMethod) -> float:
        return self.squares(r) / self._freedom(method)

    def log_likelihood(self, r: float, method: UnitMethod) -> float:
        value = -self._freedom(method) * np.log(self.squares(r)) - float(np.log1p(self.counts * r).sum())
        if method == "reml":
            value += np.linalg.slogdet(self.solve(r)[1])[1]
        return 0.5 * float(value)

    def _freedom(self, method: UnitMethod) -> int:
        return self.n - (self.gram.shape[0] if method == "reml" else 0)


def largest(log_likelihood: Callable[[float], float], scale: float) -> float:
    """Maximum over [0, inf) of a likelihood in one variance; exactly zero where it falls from there on."""
    grid = scale * np.concatenate([[0.0], np.logspace(-8, 5, 105)])
    values = [log_likelihood(float(v)) for v in grid]
    best = int(np.argmax(values))
    if best == 0:
        return 0.0
    low, high = np.log(grid[max(best - 1, 1)]), np.log(grid[min(best + 1, grid.size - 1)])
    found = minimize_scalar(
        lambda u: -log_likelihood(float(np.exp(u))),
        bounds=(low, high),
        method="bounded",
        options={"xatol": 1e-11},
    )
    value = float(np.exp(found.x))
    return value if log_likelihood(value) > values[0] else 0.0


def _information(counts: _F, between: float, within: float) -> _F:
    """Asymptotic covariance of (s2_u, s2_e), inverse of Fisher's information. Rao and Molina (2015) 7.2.2."""
    alpha = within + counts * between
    both = 0.5 * float((counts / alpha**2).sum())
    information = np.array(
        [
            [0.5 * float((counts**2 / alpha**2).sum()), both],
            [both, 0.5 * float(((counts - 1) / within**2 + 1.0 / alpha**2).sum())],
        ]
    )
    return np.asarray(np.linalg.inv(information), dtype=np.float64)
