"""From a table of field plots to a model with its card: the area-based model by default, a forest on request."""

from __future__ import annotations

import csv
import importlib
import io
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from models.area_based import choose_area_based, cross_validate
from models.blocked_cv import spatial_blocks
from models.model_card import Kind, ModelCard, ModelError, Selection, TrainingData
from models.train_forest import grow_forest
from mrv import __version__
from mrv.blob import digest_bytes
from mrv.errors import Problem, Refusal
from mrv.model_file import Model


@dataclass(frozen=True)
class PlotTable:
    """A table of field plots.

    Attributes
    ----------
    numbers : mapping of column to ndarray of float, shape (n,)
        Columns whose every cell is a number.
    labels : mapping of column to ndarray of str, shape (n,)
        Every column as text.
    broken : mapping of column to (row, text)
        Columns that begin with a number and hold something else further down.
    """

    name: str
    digest: str
    numbers: Mapping[str, NDArray[np.float64]]
    labels: Mapping[str, NDArray[np.str_]]
    broken: Mapping[str, tuple[int, str]]


@dataclass(frozen=True)
class TrainingPlan:
    """What is to be trained, and what the card must say.

    Attributes
    ----------
    metrics : tuple of str
        Empty: every numeric column but those left out.
    block_column : str
        Empty: squares of `block_size_m` of the columns X and Y.
    """

    response: str
    unit: str
    kind: Kind
    metrics: tuple[str, ...]
    leave_out: tuple[str, ...]
    block_column: str
    block_size_m: float
    plot_area_m2: float
    sensor: str
    selection: Selection
    source: str
    licence: str
    project: str
    seed: int
    trees: int


@dataclass(frozen=True)
class Trained:
    """A model, its card, and the library's own estimator where there is one (for later retraining)."""

    model: Model
    card: ModelCard
    estimator: Any


def read_plot_table(table: bytes, name: str) -> PlotTable:
    """Read a table of field plots (UTF-8 CSV, one row a plot).

    Raises
    ------
    Refusal
        If it is no such table, or a row has another number of cells than the header.
    """
    try:
        rows = list(csv.reader(io.StringIO(table.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as reason:
        raise Refusal([_problem(name, "a CSV table in UTF-8", "UTF-8のCSV表", str(reason))]) from reason
    rows = [row for row in rows if row]
    if len(rows) < 2 or len(set(rows[0])) != len(rows[0]):
        raise Refusal(
            [
                _problem(
                    name, "a header of different names, and rows", "重複しない列名と行", f"{len(rows)} rows"
                )
            ]
        )
    for number, row in enumerate(rows, start=1):
        if len(row) != len(rows[0]):
            expected, got = len(rows[0]), f"{len(row)}"
            raise Refusal([_problem(f"{name} row {number}", f"{expected} cells", f"{expected}個のセル", got)])
    numbers, labels, broken = {}, {}, {}
    for column, cells in zip(rows[0], zip(*rows[1:], strict=True), strict=True):
        labels[column] = np.array(cells)
        values = [_number(c) for c in cells]
        bad = [i for i, v in enumerate(values) if v is None]
        if not bad:
            numbers[column] = np.array(values, dtype=np.float64)
        elif values[0] is not None:
            broken[column] = bad[0] + 2, cells[bad[0]]
    return PlotTable(name, digest_bytes(table), numbers, labels, broken)


def train(table: PlotTable, plan: TrainingPlan) -> Trained:
    """Fit a model by a plan, and write its card.

    Raises
    ------
    Refusal
        If a column is absent or holds a cell that is no number (names the row).
    OutOfRange
        If there are too few plots or places for the model wanted.
    ImportError
        If a forest is wanted and scikit-learn is not installed.
    """
    metrics = _metrics(table, plan)
    y = _column(table, plan.response)
    blocks, rule = _blocks(table, plan)
    versions = {"satoyama-mrv": __version__, "numpy": np.__version__, "scipy": scipy.__version__}
    model: Model
    if plan.kind == "forest":
        grown = grow_forest(plan.response, y, metrics, blocks, plan.seed, plan.trees)
        model, estimator, transform = grown.forest, grown.estimator, "none"
        versions["scikit-learn"] = importlib.import_module("sklearn").__version__
        bias = -float(grown.error.mean()) / model.mean_response
        rmse, relative = model.cross_validated_rmse, model.relative_rmse
        error = ModelError(rmse, relative, bias, grown.coverage, grown.nominal, True)
    else:
        model, estimator = choose_area_based(plan.response, y, metrics, blocks), None
        transform = model.transform
        cv = cross_validate(y, metrics, blocks)
        error = ModelError(cv.rmse, cv.relative_rmse, cv.relative_bias, cv.coverage, cv.nominal, True)
    data = TrainingData(
        source=plan.source,
        licence=plan.licence,
        digest=table.digest,
        plots=int(y.size),
        blocks=int(np.unique(blocks).size),
        block_rule=rule,
        plot_area_m2=plan.plot_area_m2,
        sensor=plan.sensor,
        selection=plan.selection,
        project=plan.project,
    )
    card = ModelCard(
        kind=plan.kind,
        response=plan.response,
        unit=plan.unit,
        transform=transform,
        metrics=tuple(model.ranges),
        ranges=dict(model.ranges),
        data=data,
        error=error,
        made_with={**versions, "python": platform.python_version()},
    )
    return Trained(model, card, estimator)


def _metrics(table: PlotTable, plan: TrainingPlan) -> dict[str, NDArray[np.float64]]:
    if plan.metrics:
        return {name: _column(table, name) for name in plan.metrics}
    apart = {plan.response, plan.block_column, "X", "Y", *plan.leave_out}
    if problems := [_broken(table, c) for c in table.broken if c not in apart]:
        raise Refusal(problems)
    return {name: values for name, values in table.numbers.items() if name not in apart}


def _blocks(table: PlotTable, plan: TrainingPlan) -> tuple[NDArray[Any], str]:
    if plan.block_column:
        if plan.block_column not in table.labels:
            raise Refusal([_absent(table, plan.block_column)])
        return table.labels[plan.block_column], f"column {plan.block_column}"
    x, y = _column(table, "X"), _column(table, "Y")
    return spatial_blocks(x, y, plan.block_size_m), f"squares of {plan.block_size_m:g} m"


def _column(table: PlotTable, name: str) -> NDArray[np.float64]:
    if name in table.numbers:
        return table.numbers[name]
    if name in table.labels:
        raise Refusal([_broken(table, name)])
    raise Refusal([_absent(table, name)])


def _broken(table: PlotTable, column: str) -> Problem:
    row, text = table.broken.get(column, (2, str(table.labels[column][0])))
    return _problem(
        f"{table.name} row {row}", f"a number in column {column}", f"{column} 列の数値", repr(text)
    )


def _absent(table: PlotTable, column: str) -> Problem:
    have: Sequence[str] = list(table.labels)
    return _problem(table.name, f"a column {column}", f"{column} 列", f"the columns {', '.join(have)}")


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _problem(where: str, expected_en: str, expected_ja: str, got: str) -> Problem:
    return Problem(
        code="training.bad_table",
        where=where,
        expected_en=expected_en,
        expected_ja=expected_ja,
        got_en=got,
        got_ja=got,
        todo_en="Correct the table of field plots, or leave the column or plot out.",
        todo_ja="標準地の表を直すか、その列または標準地を除いてください。",
    )
