"""A linear model of a field variable on canopy metrics, and what it may say of a plot nobody measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from models.errors import OutOfRange

FEW_PLOTS = 20
FEW_PARAMETERS = 2
_F = NDArray[np.float64]


@dataclass(frozen=True)
class FieldModel:
    """``response = b0 + Σ b · predictor`` by ordinary least squares.

    Attributes
    ----------
    coefficients : tuple of float
        Intercept first.
    inverse_gram : tuple of tuple of float
        ``(X'X)⁻¹``.
    residual_sd : float
        On ``n − p`` degrees of freedom.
    cross_validated_rmse : float
        Leave-one-out.
    ranges : mapping of predictor to (lowest, highest)
        What the model was fitted on.
    """

    response: str
    predictors: tuple[str, ...]
    coefficients: tuple[float, ...]
    inverse_gram: tuple[tuple[float, ...], ...]
    residual_sd: float
    cross_validated_rmse: float
    r_squared: float
    plots: int
    ranges: Mapping[str, tuple[float, float]]

    @property
    def degrees_of_freedom(self) -> int:
        return self.plots - len(self.coefficients)


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
        If there are too few plots: at most 2 parameters below 20 plots, and always 3 plots more than parameters; or if
        the predictors do not vary apart from each other.
    """
    n, p = values.size, len(predictors) + 1
    if n < p + 3 or (n < FEW_PLOTS and p > FEW_PARAMETERS):
        raise OutOfRange(
            en=f"expected at most {FEW_PARAMETERS} parameters below {FEW_PLOTS} plots and 3 plots more than parameters, got {n} plots and {p} parameters; measure more plots or drop a predictor",
            ja=f"{FEW_PLOTS}点未満では{FEW_PARAMETERS}母数まで、かつ母数より3点以上多い標準地が必要ですが、{n}点・{p}母数でした。標準地を増やすか説明変数を減らしてください",
        )
    design = np.column_stack([np.ones(n), *predictors.values()])
    if np.linalg.matrix_rank(design) < p:
        raise OutOfRange(
            en=f"expected predictors that vary apart from each other, got {list(predictors)}",
            ja=f"互いに独立に変化する説明変数が必要ですが、{list(predictors)}でした",
        )
    inverse = np.linalg.inv(design.T @ design)
    coefficients = inverse @ design.T @ values
    residual = values - design @ coefficients
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    squares = float(residual @ residual)
    spread = float(((values - values.mean()) ** 2).sum())
    return FieldModel(
        response=response,
        predictors=tuple(predictors),
        coefficients=tuple(map(float, coefficients)),
        inverse_gram=tuple(tuple(map(float, row)) for row in inverse),
        residual_sd=float(np.sqrt(squares / (n - p))),
        cross_validated_rmse=float(np.sqrt(np.mean((residual / (1.0 - leverage)) ** 2))),
        r_squared=1.0 - squares / spread,
        plots=int(n),
        ranges={k: (float(v.min()), float(v.max())) for k, v in predictors.items()},
    )


def predict_field(model: FieldModel, at: Mapping[str, float], coverage: float = 0.9) -> FieldPrediction:
    """Predict one plot of the size the model was fitted on.

    Parameters
    ----------
    at : mapping of predictor to float
    coverage : float
        Nominal coverage of the two-sided interval.
    """
    x = np.array([1.0, *(at[name] for name in model.predictors)])
    value = float(x @ np.array(model.coefficients))
    variance = model.residual_sd**2 * (1.0 + float(x @ np.array(model.inverse_gram) @ x))
    half = float(student_t.ppf(0.5 + coverage / 2.0, model.degrees_of_freedom)) * float(np.sqrt(variance))
    return FieldPrediction(value, value - half, value + half, coverage, _outside(model, at))


def _outside(model: FieldModel, at: Mapping[str, float]) -> tuple[str, ...]:
    names: Sequence[str] = model.predictors
    return tuple(n for n in names if not model.ranges[n][0] <= at[n] <= model.ranges[n][1])
