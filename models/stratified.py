"""Floating-point twin of `models.estimators`, over many projects at once.

For coverage studies and planning only: credits are made by the exact estimator, which is the oracle of this one (tested).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange
from models.estimators import DF_UNLIMITED

_F = NDArray[np.float64]
_I = NDArray[np.int64]


@dataclass(frozen=True)
class StratifiedBatch:
    """The combined regression estimator with strata, for P projects of one layout.

    Attributes
    ----------
    stratum : ndarray of int, shape (n,)
        Stratum of each sample plot, the same in every project.
    area : ndarray, shape (H,)
    group : ndarray of int, shape (H,)
        Strata of one group share a residual variance.
    x : ndarray, shape (P, n)
    x_mean : ndarray, shape (P, H)
    """

    stratum: _I
    area: _F
    group: _I
    x: _F
    x_mean: _F

    @property
    def _members(self) -> _F:
        """Indicator of strata over sample plots, shape (n, H)."""
        return np.asarray(self.stratum[:, None] == np.arange(self.area.size), dtype=np.float64)

    def _centred(self) -> tuple[_F, _F]:
        centred = self.x - self.x.mean(axis=1, keepdims=True)
        return centred, (centred**2).sum(axis=1)

    def weights(self) -> _F:
        """Weights of the sample plots in the project's total, shape (P, n): ``T = sum w y`` for every y."""
        members = self._members
        count = members.sum(axis=0)
        centred, sxx = self._centred()
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = np.where(sxx[:, None] > 0, centred / sxx[:, None], 0.0)
        return np.asarray(self.area[self.stratum] / count[self.stratum] + self.gap()[:, None] * slope)

    def _slope_share(self) -> _F:
        """Share of Sxx that lies within strata, shape (P,): of the slope's one degree of freedom, what residuals paid."""
        members = self._members
        inside = self.x - (self.x @ members / members.sum(axis=0))[:, self.stratum]
        _, sxx = self._centred()
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(sxx > 0, (inside**2).sum(axis=1) / sxx, 0.0))

    def gap(self) -> _F:
        """``D = sum_h A_h (X_h - x_h)``, shape (P,)."""
        members = self._members
        x_sample = self.x @ members / members.sum(axis=0)
        return np.asarray((self.x_mean - x_sample) @ self.area)

    def total(self, y: _F) -> _F:
        """Estimated totals, shape (P,), of y of shape (P, n)."""
        return np.asarray((self.weights() * y).sum(axis=1))

    def sampling_variance(self, y: _F) -> tuple[_F, _F]:
        """Variance terms and their degrees of freedom, shapes (P, T) and (T,): groups, then the slope.

        Raises
        ------
        OutOfRange
            If a group has no degree of freedom, or there is but one in all.
        """
        members = self._members
        count = members.sum(axis=0)
        groups = np.unique(self.group)
        freedom = np.array([(count[self.group == g] - 1).sum() for g in groups])
        within = freedom.sum()
        if within < 2 or freedom.min() < 1:
            raise OutOfRange(
                en=f"Expected two or more sample plots in at least one stratum of every group, got degrees of freedom {freedom.tolist()}.",
                ja=f"各グループの少なくとも1層に標準地が2か所以上必要ですが、自由度が {freedom.tolist()} でした。",
            )
        centred, sxx = self._centred()
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = np.where(sxx > 0, (centred * y).sum(axis=1) / sxx, 0.0)
        residual = y - slope[:, None] * self.x
        residual = residual - (residual @ members / count)[:, self.stratum]
        squares = residual**2 @ members
        s2 = np.stack([squares[:, self.group == g].sum(axis=1) for g in groups], axis=1) / freedom
        s2 = s2 * (within / (within - self._slope_share()))[:, None]
        spread = np.array([(self.area[self.group == g] ** 2 / count[self.group == g]).sum() for g in groups])
        pooled = (s2 @ freedom) / within
        with np.errstate(invalid="ignore", divide="ignore"):
            by_slope = np.where(sxx > 0, self.gap() ** 2 * pooled / sxx, 0.0)
        return np.column_stack([s2 * spread, by_slope]), np.append(freedom, within).astype(np.float64)


def effective_freedom(terms: _F, freedom: _F, declared: _F) -> _F:
    """Degrees of freedom, rounded down, of variance terms plus a declared variance; as `SamplingVariance.degrees_of_freedom`.

    Parameters
    ----------
    terms : ndarray, shape (P, T)
    freedom : ndarray, shape (T,)
    declared : ndarray, shape (P,)
    """
    below = (terms**2 / freedom).sum(axis=1)
    whole = (terms.sum(axis=1) + declared) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        df = np.where(below > 0, np.floor(whole / below), DF_UNLIMITED)
    return np.asarray(np.clip(df, 1, DF_UNLIMITED))
