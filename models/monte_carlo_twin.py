"""What `models.monte_carlo` draws, in closed form: first-order variances of the project's stocks and change, by source."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from models.monte_carlo import KEYS, Errors, Sampling, TreeDate, Trees, measurement_variance

_F = NDArray[np.float64]


def analytic_variance(trees: Trees, sampling: Sampling, errors: Errors) -> dict[str, dict[str, float]]:
    """Variance of each total by source, g².

    Returns
    -------
    dict of key to dict of source to float
        Keys ``first``, ``last``, ``change``; sources ``sampling``, ``factor/<name>``, ``height_bias``, ``dbh_bias``,
        ``tree_measurement``, ``tree_residual``, ``gnss``, ``coregistration``. Sum them for the whole.

    References
    ----------
    Delta method; the estimator is linear in the densities of sample plots, with weights ``A_h/n_h + D (x − x̄)/Sxx``.
    """
    return {key: _of(key, _Linear(trees, sampling, key), trees, sampling, errors) for key in KEYS}


def independent_variance(trees: Trees, sampling: Sampling, errors: Errors) -> _F:
    """Variance that measuring trees and locating sample plots adds to the residual of each sample plot, (g/m²)².

    Residuals between sample plots as observed hold it already; whoever draws these errors as well takes it off first.

    Returns
    -------
    ndarray, shape (plots, 3)
        For stock at the first date, at the last, and the change.
    """
    out = np.empty((sampling.stratum.size, 3))
    for k, key in enumerate(KEYS):
        linear = _Linear(trees, sampling, key)
        out[:, k] = linear.tree_measurement(errors) / sampling.sample_area_m2**2
        out[:, k] += (linear.slope**2) * (linear.x_slope**2).sum(axis=1) * errors.gnss_m**2
    return out


class _Linear:
    """One estimator, made linear about the point estimate."""

    def __init__(self, trees: Trees, sampling: Sampling, key: str) -> None:
        self.trees, self.sampling, self.key = trees, sampling, key
        self.sign = {"first": (1.0, 0.0), "last": (0.0, 1.0), "change": (-1.0, 1.0)}[key]
        a, b = self.sign
        density = [self._by_plot(d.stock_g) / sampling.sample_area_m2 for d in (trees.first, trees.last)]
        x = a * sampling.canopy_m[0] + b * sampling.canopy_m[1]
        y = a * density[0] + b * density[1]
        whole = a * sampling.stratum_canopy_m[0] + b * sampling.stratum_canopy_m[1]
        self.x_slope = a * sampling.canopy_slope[0] + b * sampling.canopy_slope[1]
        n = np.bincount(sampling.stratum).astype(np.float64)
        x_stratum = np.bincount(sampling.stratum, x) / n
        from_mean = x - x.mean()
        sxx = float((from_mean**2).sum())
        self.slope = float((from_mean * y).sum() / sxx) if sxx > 0 else 0.0
        gap = float((sampling.stratum_area_m2 * (whole - x_stratum)).sum())
        share = (sampling.stratum_area_m2 / n)[sampling.stratum]
        pull = gap * from_mean / sxx if sxx > 0 else np.zeros_like(x)
        self.weight = share + pull
        turn = gap * (y - y.mean() - 2.0 * self.slope * from_mean) / sxx if sxx > 0 else np.zeros_like(x)
        self.by_x = turn - self.slope * share

    def _by_plot(self, value: _F) -> _F:
        return np.asarray(
            np.bincount(self.trees.sample_plot, value, minlength=self.sampling.stratum.size), dtype=np.float64
        )

    def total(self, value: _F) -> float:
        """Weighted sum over trees of a mass in g."""
        return float((self.weight * self._by_plot(value) / self.sampling.sample_area_m2).sum())

    def of_dates(self, first: _F, last: _F) -> _F:
        """A quantity of trees of both dates, as this total takes it."""
        return self.sign[0] * first + self.sign[1] * last

    def tree_measurement(self, errors: Errors) -> _F:
        """Variance of each sample plot's mass from measuring its trees, g²."""
        first, last = measurement_variance(self.trees, errors)
        a, b = self.sign
        squares = (a * self.trees.first.stock_g) ** 2 * first + (b * self.trees.last.stock_g) ** 2 * last
        return self._by_plot(squares)


def _of(key: str, linear: _Linear, trees: Trees, sampling: Sampling, errors: Errors) -> dict[str, float]:
    per_area = linear.weight / sampling.sample_area_m2
    stock = linear.of_dates(trees.first.stock_g, trees.last.stock_g)
    k = KEYS.index(key)
    out = {"sampling": float((linear.weight**2 * sampling.residual_cov[:, k, k]).sum())}
    out |= {f"factor/{name}": v for name, v in _factors(linear, stock, trees, errors.factor_cv).items()}
    dates = [(sign, date) for sign, date in zip(linear.sign, (trees.first, trees.last), strict=True) if sign]
    out["height_bias"] = sum((linear.total(_per_metre(d)) * errors.height_bias_m) ** 2 for _, d in dates)
    out["dbh_bias"] = sum((linear.total(_per_cm(d)) * errors.dbh_bias_cm) ** 2 for _, d in dates)
    out["tree_measurement"] = float((per_area**2 * linear.tree_measurement(errors)).sum())
    own = np.bincount(trees.sample_plot, stock**2, minlength=sampling.stratum.size)
    out["tree_residual"] = float((per_area**2 * own).sum()) * errors.tree_residual_cv**2
    moved = linear.by_x[:, None] * linear.x_slope
    out["gnss"] = float((moved**2).sum()) * errors.gnss_m**2
    out["coregistration"] = _coregistration(linear, sampling, errors.coregistration_m)
    return out


def _factors(linear: _Linear, stock: _F, trees: Trees, factor_cv: Mapping[str, _F]) -> dict[str, float]:
    out = {}
    for name, cv in factor_cv.items():
        by_species = [linear.total(np.where(trees.species == s, stock, 0.0)) for s in range(cv.size)]
        out[name] = float(sum((t * c) ** 2 for t, c in zip(by_species, cv, strict=True)))
    return out


def _coregistration(linear: _Linear, sampling: Sampling, sd_m: float) -> float:
    total = 0.0
    for date, sign in enumerate(linear.sign):
        for axis in range(2):
            plots = (linear.by_x * sampling.canopy_slope[date, :, axis]).sum()
            strata = (
                linear.slope * (sampling.stratum_area_m2 * sampling.stratum_canopy_slope[date, :, axis]).sum()
            )
            total += (sign * float(plots + strata) * sd_m) ** 2
    return total


def _per_metre(date: TreeDate) -> _F:
    return date.stock_g * date.height_power / date.height_m


def _per_cm(date: TreeDate) -> _F:
    return date.stock_g * date.dbh_power / date.dbh_cm
