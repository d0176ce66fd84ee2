"""Analyses that are not the credited one: what happens with a pooled model, independent dates, z, too many covariates."""

from __future__ import annotations

import numpy as np
from coverage_world import Found, Sample, Scenario, analyse, declared_variance
from numpy.typing import NDArray

from models.model_based import Correlation, model_based_mean
from models.simulator.cells import CELL_HA

_F = NDArray[np.float64]
NORMAL_DF = 1e9


def independent_dates(sample: Sample, scenario: Scenario) -> Found:
    """The difference of two stocks, their errors taken as independent."""
    first, last = (analyse(sample, scenario.declared, t) for t in (0, 1))
    error = np.sqrt(first.standard_error**2 + last.standard_error**2)
    return Found(last.value - first.value, error, np.minimum(first.df, last.df))


def stock_uncertainty_ignored(sample: Sample, scenario: Scenario) -> Found:
    """Sampling error alone: declared errors are left out of the deduction."""
    batch = sample.batch(None)
    y = sample.y[1] - sample.y[0]
    terms, freedom = batch.sampling_variance(y)
    df = np.full(y.shape[0], freedom[:-1].sum())
    return Found(batch.total(y), np.sqrt(terms.sum(axis=1)), df)


def normal_quantile(sample: Sample, scenario: Scenario) -> Found:
    """The credited analysis with z in place of t."""
    found = analyse(sample, scenario.declared)
    return Found(found.value, found.standard_error, np.full_like(found.df, NORMAL_DF))


def pooled_model(sample: Sample, scenario: Scenario) -> Found:
    """One line of stock on canopy height for both dates, coefficients clustered by sample plot, predicted at all cells.

    Height bias of a date is left out, as it mostly is.
    """
    x = np.concatenate(sample.x, axis=1)
    y = np.concatenate(sample.y, axis=1)
    n, p = sample.x[0].shape[1], 2
    design = np.stack([np.ones_like(x), x], axis=2)
    bread = np.linalg.inv(np.einsum("pni,pnj->pij", design, design))
    coefficients = np.einsum("pij,pnj,pn->pi", bread, design, y)
    residual = y - np.einsum("pni,pi->pn", design, coefficients)
    scores = (design * residual[:, :, None]).reshape(y.shape[0], 2, n, p).sum(axis=1)
    covariance = bread @ np.einsum("pni,pnj->pij", scores, scores) @ bread * n / (n - p)
    cells = sample.forest.cells
    area = cells * CELL_HA
    step = (sample.x_cells[1] - sample.x_cells[0]).mean(axis=1)
    both = residual[:, n:] - residual[:, :n]
    left = both.var(axis=1, ddof=1) / cells
    variance = area**2 * (step**2 * covariance[:, 1, 1] + left)
    y_change = sample.y[1] - sample.y[0]
    even = np.full_like(y_change, area / n)
    known = declared_variance(sample, even, y_change, scenario.declared, (0, 1))
    return Found(
        area * coefficients[:, 1] * step, np.sqrt(variance + known), np.full(y.shape[0], float(n - p))
    )


def unstratified(sample: Sample, scenario: Scenario) -> Found:
    """Plots' treatments forgotten: one line for all sample plots, weighted as drawn."""
    x, y = sample.x[1] - sample.x[0], sample.y[1] - sample.y[0]
    n = y.shape[1]
    share = sample.area_ha / sample.area_ha.sum()
    at = (sample.x_mean[1] - sample.x_mean[0]) @ share
    centred = x - x.mean(axis=1, keepdims=True)
    sxx = (centred**2).sum(axis=1)
    slope = (centred * y).sum(axis=1) / sxx
    area = float(sample.area_ha.sum())
    gap = at - x.mean(axis=1)
    residual = y - y.mean(axis=1, keepdims=True) - slope[:, None] * centred
    s2 = (residual**2).sum(axis=1) / (n - 2)
    weights = area * (1 / n + gap[:, None] * centred / sxx[:, None])
    known = declared_variance(sample, weights, y, scenario.declared, (0, 1))
    variance = area**2 * s2 * (1 / n + gap**2 / sxx)
    return Found((weights * y).sum(axis=1), np.sqrt(variance + known), np.full(y.shape[0], float(n - 2)))


def five_parameters(sample: Sample, scenario: Scenario) -> Found:
    """GREG with an intercept, canopy change, canopy height and two covariates that say nothing; Σe²/(n(n−1)) and z."""
    x, y = sample.x[1] - sample.x[0], sample.y[1] - sample.y[0]
    projects, n = y.shape
    rng = np.random.default_rng(0)
    idle = rng.standard_normal((2, projects, sample.forest.cells))
    at_plots = [np.take_along_axis(v, sample.index, 1) for v in idle]
    design = np.stack([np.ones_like(x), x, sample.x[0], *at_plots], axis=2)
    share = sample.area_ha / sample.area_ha.sum()
    means = [(sample.x_mean[1] - sample.x_mean[0]) @ share, sample.x_mean[0] @ share, *idle.mean(axis=2)]
    at = np.stack([np.ones(projects), *means], axis=1)
    gram = np.einsum("pni,pnj->pij", design, design)
    coefficients = np.linalg.solve(gram, np.einsum("pni,pn->pi", design, y)[:, :, None])[:, :, 0]
    residual = y - np.einsum("pni,pi->pn", design, coefficients)
    area = float(sample.area_ha.sum())
    variance = area**2 * (residual**2).sum(axis=1) / (n * (n - 1))
    even = np.full_like(y, area / n)
    known = declared_variance(sample, even, y, scenario.declared, (0, 1))
    return Found(
        area * (at * coefficients).sum(axis=1), np.sqrt(variance + known), np.full(projects, NORMAL_DF)
    )


def _model_based(sample: Sample, scenario: Scenario, correlation: Correlation) -> Found:
    x, y = sample.x[1] - sample.x[0], sample.y[1] - sample.y[0]
    x_cells = sample.x_cells[1] - sample.x_cells[0]
    xy = sample.forest.xy_m()
    area = sample.forest.cells * CELL_HA
    whole = correlation.mean(xy)
    found = [
        model_based_mean(
            y[k], x[k], xy[sample.index[k]], x_cells[k][:, None], xy, correlation, mean_correlation=whole
        )
        for k in range(y.shape[0])
    ]
    value = np.array([f.estimate.value for f in found]) * area
    variance = np.array([f.estimate.variance for f in found]) * area**2
    known = declared_variance(sample, np.full_like(y, area / y.shape[1]), y, scenario.declared, (0, 1))
    return Found(value, np.sqrt(variance + known), np.full(value.size, found[0].estimate.degrees_of_freedom))


def model_based(sample: Sample, scenario: Scenario) -> Found:
    """Generalized least squares with the declared correlation range."""
    return _model_based(sample, scenario, Correlation(scenario.range_m, nugget=0.2))


def model_based_no_correlation(sample: Sample, scenario: Scenario) -> Found:
    """The same with residuals taken as independent."""
    return _model_based(sample, scenario, Correlation(0.0))


ANALYSES = {
    "independent dates": independent_dates,
    "sampling error only": stock_uncertainty_ignored,
    "z for t": normal_quantile,
    "pooled model": pooled_model,
    "unstratified": unstratified,
    "five parameters": five_parameters,
    "model-based": model_based,
    "model-based, no correlation": model_based_no_correlation,
}
