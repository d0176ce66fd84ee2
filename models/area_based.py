"""Area-based model: a field variable of a sample plot (標準地) on canopy metrics of the same ground, and its use on cells.

A straight line on the response, its square root or its logarithm; predictors are chosen one by one by spatially blocked
cross-validation, so that a metric enters only if it predicts plots of places the model has not seen.

References
----------
Næsset 2002, doi:10.1016/S0034-4257(01)00290-5 (area-based approach); back-transformation by the residual variance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student_t

from models.blocked_cv import block_numbers, blocked_scores, design_of, forward, inverse
from models.cells import CellPrediction, beyond_ranges, metric_columns
from models.errors import OutOfRange
from models.transforms import TRANSFORMS, Transform, back, error_of, forth, slope_back

FEW_PLOTS, FEW_PARAMETERS, PLOTS_PER_PARAMETER = 20, 2, 20
SPARE_PLOTS, FEWEST_BLOCKS = 3, 3
MOST_PREDICTORS = 4
WORTHWHILE = 0.02
"""Share by which a further predictor must lower the cross-validated error."""
_F = NDArray[np.float64]


@dataclass(frozen=True)
class AreaBasedModel:
    """``T(response) = b0 + Σ b · metric`` with T the identity, square root or natural logarithm.

    Attributes
    ----------
    coefficients : tuple of float
        Intercept first.
    inverse_gram : tuple of tuple of float
        ``(X'X)⁻¹``.
    residual_sd : float
        Of T(response), on ``n − p``; corrects the bias of transforming back.
    predictive_sd : float
        Of T(response): the larger of `residual_sd` and the cross-validated error, since the plots that chose the metrics
        flatter them. Intervals rest on it.
    cross_validated_rmse : float
        Of the response itself, whole blocks left out, metrics as chosen on all plots.
    ranges : mapping of metric to (lowest, highest)
        What the model was fitted on.
    largest_leverage : float
        Of the plots fitted on: a cell beyond it is a combination of metrics that no plot is near.
    """

    response: str
    transform: Transform
    predictors: tuple[str, ...]
    coefficients: tuple[float, ...]
    inverse_gram: tuple[tuple[float, ...], ...]
    residual_sd: float
    predictive_sd: float
    cross_validated_rmse: float
    mean_response: float
    plots: int
    blocks: int
    ranges: Mapping[str, tuple[float, float]]
    largest_leverage: float

    @property
    def degrees_of_freedom(self) -> int:
        return self.plots - len(self.coefficients)

    @property
    def relative_rmse(self) -> float:
        return self.cross_validated_rmse / self.mean_response


@dataclass(frozen=True)
class CrossValidation:
    """What a model said of plots of blocks that took part neither in choosing its metrics nor in fitting it.

    Attributes
    ----------
    relative_rmse, relative_bias : float
        Over the mean of the response.
    coverage : float
        Share of plots within their interval; `nominal` is what it should be.
    chosen : mapping of (transform, metrics) to number of blocks
    """

    predicted: _F
    low: _F
    high: _F
    rmse: float
    relative_rmse: float
    relative_bias: float
    coverage: float
    nominal: float
    blocks: int
    chosen: Mapping[tuple[str, ...], int]


def fit_area_based(
    response: str,
    values: _F,
    metrics: Mapping[str, _F],
    blocks: NDArray[np.generic],
    transform: Transform = "none",
) -> AreaBasedModel:
    """Fit on given metrics.

    Parameters
    ----------
    values : ndarray of float, shape (n,)
    metrics : mapping of name to ndarray of float, shape (n,)
    blocks : ndarray, shape (n,)
        Cluster, stand or map square of each plot (:func:`models.blocked_cv.spatial_blocks`).

    Raises
    ------
    OutOfRange
        If a value is missing (row and metric are named), there are fewer than 3 blocks or 3 plots more than parameters,
        more than 2 parameters below 20 plots, a response at or below zero under a root or logarithm, or metrics that do
        not vary apart from each other.
    """
    y, x, names, block = _checked(values, metrics, blocks)
    _check_size(y.size, len(names) + 1)
    return _fit(response, y, x, names, block, transform)


def choose_area_based(
    response: str,
    values: _F,
    metrics: Mapping[str, _F],
    blocks: NDArray[np.generic],
    transforms: Sequence[Transform] = TRANSFORMS,
    most_predictors: int = MOST_PREDICTORS,
) -> AreaBasedModel:
    """Choose transformation and metrics by spatially blocked cross-validation, and fit.

    A further metric must lower the error by 2 %; there is at most one parameter per 20 plots, and 2 below 60.

    Raises
    ------
    OutOfRange
        As :func:`fit_area_based`.
    """
    y, x, names, block = _checked(values, metrics, blocks)
    _check_size(y.size, FEW_PARAMETERS)
    transform, columns = _choose(y, x, block, transforms, most_predictors)
    return _fit(response, y, x[:, columns], [names[c] for c in columns], block, transform)


def cross_validate(
    values: _F,
    metrics: Mapping[str, _F],
    blocks: NDArray[np.generic],
    transforms: Sequence[Transform] = TRANSFORMS,
    most_predictors: int = MOST_PREDICTORS,
    coverage: float = 0.9,
) -> CrossValidation:
    """Leave each block out of everything, the choice of metrics included, and predict its plots.

    Raises
    ------
    OutOfRange
        As :func:`fit_area_based`.
    """
    y, x, names, block = _checked(values, metrics, blocks)
    value, low, high = np.empty(y.size), np.empty(y.size), np.empty(y.size)
    chosen: dict[tuple[str, ...], int] = {}
    for out in range(int(block.max()) + 1):
        mine = block == out
        _check_size(int((~mine).sum()), FEW_PARAMETERS)
        inner = block_numbers(block[~mine])
        transform, columns = _choose(y[~mine], x[~mine], inner, transforms, most_predictors)
        picked = [names[c] for c in columns]
        model = _fit("", y[~mine], x[np.ix_(~mine, columns)], picked, inner, transform)
        cells = predict_cells(model, {n: x[mine, c] for n, c in zip(picked, columns, strict=True)}, coverage)
        value[mine], low[mine], high[mine] = cells.value, cells.low, cells.high
        key = (transform, *sorted(picked))
        chosen[key] = chosen.get(key, 0) + 1
    rmse = float(np.sqrt(np.mean((y - value) ** 2)))
    mean = float(y.mean())
    return CrossValidation(
        predicted=value,
        low=low,
        high=high,
        rmse=rmse,
        relative_rmse=rmse / mean,
        relative_bias=float(np.mean(value - y)) / mean,
        coverage=float(np.mean((y >= low) & (y <= high))),
        nominal=coverage,
        blocks=int(block.max()) + 1,
        chosen=chosen,
    )


def predict_cells(model: AreaBasedModel, metrics: Mapping[str, _F], coverage: float = 0.9) -> CellPrediction:
    """Predict cells of the size of the plots the model was fitted on; negatives are left as they are.

    Parameters
    ----------
    metrics : mapping of name to ndarray of float, shape (n,)
        NaN where a cell has none.
    coverage : float
        Of the interval of one cell.
    """
    x = metric_columns(metrics, model.predictors)
    outside, by_metric, missing = beyond_ranges(x, {n: model.ranges[n] for n in model.predictors})
    design = design_of(np.where(missing[:, None], np.nan, x))
    middle = design @ np.array(model.coefficients)
    leverage = np.einsum("ij,jk,ik->i", design, np.array(model.inverse_gram), design)
    sd = model.predictive_sd * np.sqrt(1.0 + leverage)
    half = float(student_t.ppf(0.5 + coverage / 2.0, model.degrees_of_freedom)) * sd
    slope = slope_back(model.transform, middle)
    beyond = leverage > model.largest_leverage * (1.0 + 1e-9)
    return CellPrediction(
        value=back(model.transform, middle, model.residual_sd),
        standard_error=np.abs(slope) * sd,
        low=back(model.transform, middle - half, 0.0),
        high=back(model.transform, middle + half, 0.0),
        coverage=coverage,
        outside=outside | beyond,
        outside_by_metric=by_metric,
        beyond_leverage=int(beyond.sum()),
        missing=int(missing.sum()),
    )


def gradient_by_coefficient(model: AreaBasedModel, metrics: Mapping[str, _F]) -> _F:
    """Slope of each cell's value by each coefficient, shape (n, p): its mean is the ``ā`` of model-based variances."""
    design = design_of(metric_columns(metrics, model.predictors))
    middle = design @ np.array(model.coefficients)
    extra = model.residual_sd**2 / 2.0 if model.transform == "log" else 0.0
    return np.asarray(
        design * (slope_back(model.transform, middle) * np.exp(extra))[:, None], dtype=np.float64
    )


def _choose(
    y: _F, x: _F, block: NDArray[np.intp], transforms: Sequence[Transform], most_predictors: int
) -> tuple[Transform, list[int]]:
    parameters = max(FEW_PARAMETERS, y.size // PLOTS_PER_PARAMETER)
    most = min(most_predictors, parameters - 1)
    best: tuple[float, Transform, list[int]] | None = None
    for transform in transforms:
        if transform != "none" and y.min() <= 0.0:
            continue
        score, columns = forward(
            forth(transform, y),
            x,
            block,
            most,
            WORTHWHILE,
            partial(error_of, transform, y),
        )
        if columns and (best is None or score < best[0]):
            best = score, transform, columns
    if best is None:
        raise _not_apart([])
    return best[1], best[2]


def _fit(
    response: str, y: _F, x: _F, names: Sequence[str], block: NDArray[np.intp], transform: Transform
) -> AreaBasedModel:
    if transform != "none" and y.min() <= 0.0:
        raise OutOfRange(
            en=f"expected values of {response} above zero under a {transform}, got {y.min()} in row {int(y.argmin()) + 1}; use no transformation",
            ja=f"{transform}変換には0より大きい{response}が必要ですが、{int(y.argmin()) + 1}行目が{y.min()}でした。変換なしにしてください",
        )
    z, design = forth(transform, y), design_of(x)
    gram = inverse(design)
    if gram is None:
        raise _not_apart(names)
    coefficients = gram @ (design.T @ z)
    residual = z - design @ coefficients
    sd = float(np.sqrt(residual @ residual / (y.size - design.shape[1])))
    line_error, errors = blocked_scores(z, x, block, partial(error_of, transform, y))
    return AreaBasedModel(
        response=response,
        transform=transform,
        predictors=tuple(names),
        coefficients=tuple(map(float, coefficients)),
        inverse_gram=tuple(tuple(map(float, row)) for row in gram),
        residual_sd=sd,
        predictive_sd=max(sd, line_error),
        cross_validated_rmse=errors,
        mean_response=float(y.mean()),
        plots=int(y.size),
        blocks=int(block.max()) + 1,
        ranges={n: (float(c.min()), float(c.max())) for n, c in zip(names, x.T, strict=True)},
        largest_leverage=float(np.einsum("ij,jk,ik->i", design, gram, design).max()),
    )


def _checked(
    values: _F, metrics: Mapping[str, _F], blocks: NDArray[np.generic]
) -> tuple[_F, _F, list[str], NDArray[np.intp]]:
    y = np.asarray(values, dtype=np.float64)
    names = list(metrics)
    columns = {"response": y, **{n: np.asarray(metrics[n], dtype=np.float64) for n in names}}
    for name, column in columns.items():
        if column.shape != y.shape or np.shape(blocks) != y.shape:
            raise OutOfRange(
                en=f"expected {y.size} values of {name} and of blocks, got {column.shape} and {np.shape(blocks)}",
                ja=f"{name}とブロックは{y.size}個必要ですが、{column.shape}と{np.shape(blocks)}でした",
            )
        if (bad := np.flatnonzero(~np.isfinite(column))).size:
            raise OutOfRange(
                en=f"expected a number for {name}, got {column[bad[0]]} in row {bad[0] + 1} ({bad.size} such rows); measure it or leave the plot out",
                ja=f"{name}の数値が必要ですが、{bad[0] + 1}行目が{column[bad[0]]}でした({bad.size}行)。測るか、その標準地を除いてください",
            )
    block = block_numbers(blocks)
    if not names or block.max() + 1 < FEWEST_BLOCKS:
        raise OutOfRange(
            en=f"expected a metric and plots of at least {FEWEST_BLOCKS} places apart, got {len(names)} metrics and {int(block.max()) + 1} places; measure plots elsewhere too",
            ja=f"説明変数と、離れた{FEWEST_BLOCKS}か所以上の標準地が必要ですが、{len(names)}変数・{int(block.max()) + 1}か所でした。他の場所でも標準地を測ってください",
        )
    return y, np.column_stack([columns[n] for n in names]), names, block


def _check_size(n: int, p: int) -> None:
    if n < p + SPARE_PLOTS or (n < FEW_PLOTS and p > FEW_PARAMETERS):
        raise OutOfRange(
            en=f"expected at most {FEW_PARAMETERS} parameters below {FEW_PLOTS} plots and {SPARE_PLOTS} plots more than parameters, got {n} plots and {p} parameters; measure more plots or drop a metric",
            ja=f"{FEW_PLOTS}点未満では{FEW_PARAMETERS}母数まで、かつ母数より{SPARE_PLOTS}点以上多い標準地が必要ですが、{n}点・{p}母数でした。標準地を増やすか説明変数を減らしてください",
        )


def _not_apart(names: Sequence[str]) -> OutOfRange:
    return OutOfRange(
        en=f"expected metrics that vary, apart from each other, in every block left out; got {list(names) or 'none that does'}",
        ja=f"どのブロックを除いても互いに独立に変化する説明変数が必要ですが、{list(names) or 'ありません'}でした",
    )
