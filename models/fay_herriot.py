"""The area-level model of Fay and Herriot: ``y_d = x_d' b + u_d + e_d`` with known variances of ``e_d``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.nested_error import largest

_F = NDArray[np.float64]
AreaMethod = Literal["reml", "ml", "moment"]


@dataclass(frozen=True)
class AreaModel:
    """Direct estimates of m domains, shape (m,), their known variances, and covariates with a column of ones, shape (m, p)."""

    y: _F
    known: _F
    basis: _F

    def solve(self, between: float) -> tuple[_F, _F]:
        """Coefficients and their covariance for a given variance between domains."""
        w = 1.0 / (between + self.known)
        covariance: _F = np.asarray(np.linalg.inv((self.basis * w[:, None]).T @ self.basis), dtype=np.float64)
        return covariance @ self.basis.T @ (w * self.y), covariance

    def _squares(self, between: float) -> float:
        beta, _ = self.solve(between)
        return float(((self.y - self.basis @ beta) ** 2 / (between + self.known)).sum())

    def between(self, method: AreaMethod) -> float:
        """Variance between domains; exactly zero where nothing is left beyond the known variances."""
        if method == "moment":
            return self._by_moments()

        def log_likelihood(a: float) -> float:
            value = -float(np.log(a + self.known).sum()) - self._squares(a)
            if method == "reml":
                value += float(np.linalg.slogdet(self.solve(a)[1])[1])
            return 0.5 * value

        return largest(log_likelihood, float(np.median(self.known)))

    def _by_moments(self) -> float:
        m, p = self.basis.shape
        low, high = 0.0, float(self.known.max())
        if self._squares(0.0) <= m - p:
            return 0.0
        while self._squares(high) > m - p:
            high *= 2.0
        for _ in range(200):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self._squares(middle) > m - p else (low, middle)
        return 0.5 * (low + high)

    def noise(self, covariance: _F, between: float, method: AreaMethod) -> tuple[float, float]:
        """Asymptotic variance of the between variance, and its bias (zero for REML). Rao and Molina (2015) 6.2.1."""
        w = 1.0 / (between + self.known)
        first, second = float(w.sum()), float((w**2).sum())
        if method == "moment":
            m = self.known.size
            return 2.0 * m / first**2, 2.0 * (m * second - first**2) / first**3
        bias = 0.0
        if method == "ml":
            bias = -float(np.trace(covariance @ (self.basis * (w**2)[:, None]).T @ self.basis)) / second
        return 2.0 / second, bias
