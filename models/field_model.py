"""A linear model of a field variable on given canopy metrics, and what it may say of a plot nobody measured.

The plain case of `models.area_based`: no transformation, metrics that the caller names, every sample plot a place of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.area_based import AreaBasedModel, fit_area_based, predict_cells

_F = NDArray[np.float64]


@dataclass(frozen=True)
class FieldModel:
    """``response = b0 + Σ b · predictor`` by ordinary least squares.

    Attributes
    ----------
    model : AreaBasedModel
        Its cross-validation leaves one plot out; intervals rest on the residual standard deviation, since the metrics were not chosen
        by these plots.
    """

    model: AreaBasedModel
    r_squared: float

    @property
    def response(self) -> str:
        return self.model.response

    @property
    def predictors(self) -> tuple[str, ...]:
        return self.model.predictors

    @property
    def plots(self) -> int:
        return self.model.plots

    @property
    def cross_validated_rmse(self) -> float:
        return self.model.cross_validated_rmse

    @property
    def degrees_of_freedom(self) -> int:
        return self.model.degrees_of_freedom


@dataclass(frozen=True)
class FieldPrediction:
    """A predicted plot with its interval.

    Attributes
    ----------
    low, high : float
        Prediction interval of one plot: residual and coefficient errors, Student's t.
    outside : tuple of str
        Predictors beyond what the model was fitted on; the interval does not hold then.
    """

    value: float
    low: float
    high: float
    coverage: float
    outside: tuple[str, ...]


def fit_field_model(response: str, values: _F, predictors: Mapping[str, _F]) -> FieldModel:
    """Fit by ordinary least squares.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    predictors : mapping of name to ndarray of float, shape (n,)

    Raises
    ------
    OutOfRange
        As :func:`models.area_based.fit_area_based`: a missing value, more than 2 parameters below 20 plots, or predictors that do not
        vary apart from each other.
    """
    model = fit_area_based(response, values, predictors, np.arange(np.size(values)))
    squares = model.residual_sd**2 * model.degrees_of_freedom
    spread = float(((values - np.mean(values)) ** 2).sum())
    return FieldModel(replace(model, predictive_sd=model.residual_sd), 1.0 - squares / spread)


def predict_field(model: FieldModel, at: Mapping[str, float], coverage: float = 0.9) -> FieldPrediction:
    """Predict one plot of the size the model was fitted on.

    Parameters
    ----------
    at : mapping of predictor to float
    coverage : float
        Nominal coverage of the two-sided interval.
    """
    cells = predict_cells(model.model, {name: np.array([at[name]]) for name in model.predictors}, coverage)
    ranges = model.model.ranges
    outside = tuple(n for n in model.predictors if not ranges[n][0] <= at[n] <= ranges[n][1])
    return FieldPrediction(
        float(cells.value[0]), float(cells.low[0]), float(cells.high[0]), coverage, outside
    )
