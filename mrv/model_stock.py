"""What a model fitted elsewhere says of a plot's standing stock, beside what was measured there.

A prediction by a model of other stands is a comparison, never a claim: it says so, and carries an interval for one plot.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange
from models.field_model import FieldModel, FieldPrediction, fit_field_model, predict_field
from mrv.errors import Problem, Refusal

LOWEST_POINT_MM = 2000
MM = 1000.0


@dataclass(frozen=True)
class StockComparison:
    """A plot's predicted and measured stock.

    Attributes
    ----------
    measured : float or None
        From the tree list, where there is one.
    """

    model: FieldModel
    prediction: FieldPrediction
    measured: float | None

    @property
    def within_interval(self) -> bool | None:
        """Whether the measured stock lies in the interval; None where nothing was measured."""
        if self.measured is None:
            return None
        return self.prediction.low <= self.measured <= self.prediction.high


def read_field_model(table: bytes, name: str, response: str, predictors: Sequence[str]) -> FieldModel:
    """Fit a model on a table of field plots (UTF-8 CSV, one row a plot).

    Parameters
    ----------
    table : bytes
    name : str
        File name, for messages.

    Raises
    ------
    Refusal
        If a column is missing or a cell holds no number (names the row).
    OutOfRange
        If there are too few plots for the predictors.
    """
    rows = list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"))))
    columns = [response, *predictors]
    if missing := [c for c in columns if not rows or c not in rows[0]]:
        raise Refusal([_bad_table(name, f"columns {', '.join(columns)}", f"no {', '.join(missing)}")])
    values = {c: _numbers(rows, c, name) for c in columns}
    return fit_field_model(response, values[response], {p: values[p] for p in predictors})


def point_metrics(height_mm: NDArray[np.integer]) -> dict[str, float]:
    """Metrics of the laser points of a plot, m: ``zmean`` and ``zsd`` of those 2 m or more above ground.

    Parameters
    ----------
    height_mm : ndarray of int, shape (n,)
        Heights above ground of all returns in the plot.

    Raises
    ------
    OutOfRange
        If fewer than two points are that high.

    References
    ----------
    Names and definitions as of the R package lidR (standard deviation on n − 1).
    """
    high = height_mm[height_mm >= LOWEST_POINT_MM] / MM
    if high.size < 2:
        raise OutOfRange(
            en=f"expected at least two points 2 m or more above ground, got {high.size}",
            ja=f"地上2 m以上の点が2点以上必要ですが、{high.size}点でした",
        )
    return {"zmean": float(high.mean()), "zsd": float(high.std(ddof=1))}


def basal_area_m2_ha(dbh_mm: NDArray[np.integer], area_m2: float) -> float:
    """Basal area (胸高断面積合計) of the trees of a plot, m²/ha."""
    return float((np.pi / 4.0 * (dbh_mm / MM) ** 2).sum()) / (area_m2 / 10_000.0)


def compare_stock(
    model: FieldModel, metrics: Mapping[str, float], measured: float | None, coverage: float = 0.9
) -> StockComparison:
    """Predict a plot and set what was measured beside it."""
    return StockComparison(model, predict_field(model, metrics, coverage), measured)


def _numbers(rows: Sequence[Mapping[str, str]], column: str, name: str) -> NDArray[np.float64]:
    out = np.empty(len(rows))
    for i, row in enumerate(rows):
        try:
            out[i] = float(row[column])
        except ValueError:
            got = f"{row[column]!r} in row {i + 2}"
            raise Refusal([_bad_table(name, f"numbers in column {column}", got)]) from None
    return out


def _bad_table(name: str, expected: str, got: str) -> Problem:
    return Problem(
        code="model.bad_table",
        where=name,
        expected_en=expected,
        expected_ja=expected,
        got_en=got,
        got_ja=got,
        todo_en="Correct the table of field plots.",
        todo_ja="標準地の表を直してください。",
    )
