"""What every estimator asks of the numbers it is given: all there, finite, of one length; a refusal names the row."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.errors import OutOfRange

_F = NDArray[np.float64]
SHOWN = 10


def numbers(name: str, values: ArrayLike) -> _F:
    """Anything list-like as floats; None and masked entries become NaN, which `column` and `table` refuse by row.

    Raises
    ------
    OutOfRange
        Naming the first row (counted from 1) that holds text or another thing that is no real number, or has another length.
    """
    if isinstance(values, np.ma.MaskedArray):
        return np.asarray(np.ma.filled(values.astype(np.float64), np.nan), dtype=np.float64)
    if hasattr(values, "__array__"):
        values = np.asarray(values)
        if values.dtype.kind in "biuf":
            return values.astype(np.float64)
    rows = _rows(name, values)
    return np.array([_row(name, i, row) for i, row in enumerate(rows, 1)], dtype=np.float64)


def _rows(name: str, values: object) -> list[object]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise OutOfRange(
            en=f"{name}: expected a list or array of numbers, got {_shown(values)}.",
            ja=f"{name}: 数値のリストまたは配列が必要ですが、{_shown(values)} でした。",
        )
    rows = list(values)
    lengths = [len(list(r)) if _is_row(r) else -1 for r in rows]
    odd = next((i for i, length in enumerate(lengths, 1) if length != lengths[0]), None)
    if odd is not None:
        raise OutOfRange(
            en=f"{name}: expected as many numbers in every row, got row {odd} (counted from 1) unlike row 1.",
            ja=f"{name}: 全行の列数が同じ必要がありますが、{odd} 行目（1起算）が1行目と異なります。",
        )
    return rows


def _is_row(value: object) -> bool:
    return (
        isinstance(value, Iterable) and not isinstance(value, str | bytes) and getattr(value, "ndim", 1) > 0
    )


def _row(name: str, index: int, row: object) -> object:
    if _is_row(row):
        return [_number(name, index, v) for v in row]  # type: ignore[attr-defined]  # iterable, as _is_row found
    return _number(name, index, row)


def _number(name: str, row: int, value: object) -> float:
    if value is None or value is np.ma.masked:
        return float("nan")
    if isinstance(value, Real | np.bool_ | np.integer | np.floating) or _is_decimal(value):
        return float(value)  # type: ignore[arg-type]  # a number of some kind
    if isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in "biuf":
        return float(value)
    raise OutOfRange(
        en=f"{name}: expected a number in every row, got {_shown(value)} in row {row} (counted from 1). Write it as a number.",
        ja=f"{name}: 全行に数値が必要ですが、{row} 行目（1起算）が {_shown(value)} でした。数値で記入してください。",
    )


def _is_decimal(value: object) -> bool:
    return type(value).__module__ == "decimal"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def column(name: str, values: ArrayLike, n: int | None = None) -> _F:
    """One column of numbers, all there and finite.

    Raises
    ------
    OutOfRange
        Naming the rows (counted from 1) that hold no number, or where the length is not `n`.
    """
    array = numbers(name, values)
    if array.ndim != 1 or (array.size == 0 and n != 0) or (n is not None and array.size != n):
        raise OutOfRange(
            en=f"{name}: expected one column of {n if n is not None else 'one or more'} rows, got shape {array.shape}.",
            ja=f"{name}: {n if n is not None else '1'} 行の列が必要ですが、形が {array.shape} でした。",
        )
    _refuse_missing(name, array[:, None])
    return array


def table(name: str, values: ArrayLike | None, n: int) -> _F:
    """Columns of numbers as an array of shape (n, k); one column may come flat, None stands for no column.

    Raises
    ------
    OutOfRange
        As `column`.
    """
    if values is None:
        return np.empty((n, 0))
    array = numbers(name, values)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or array.shape[0] != n:
        raise OutOfRange(
            en=f"{name}: expected {n} rows, one for each value of y, got shape {array.shape}.",
            ja=f"{name}: y と同じ {n} 行が必要ですが、形が {array.shape} でした。",
        )
    _refuse_missing(name, array)
    return array


def length(name: str, values: object) -> int:
    """Rows of anything list-like.

    Raises
    ------
    OutOfRange
        If it has none.
    """
    try:
        return len(values)  # type: ignore[arg-type]  # asked for below
    except TypeError as reason:
        raise OutOfRange(
            en=f"{name}: expected a list or array, got {_shown(values)}.",
            ja=f"{name}: リストまたは配列が必要ですが、{_shown(values)} でした。",
        ) from reason


def means(name: str, values: ArrayLike | None, k: int) -> _F:
    """Population means of `k` covariates: given as they are, shape (k,), or as all units, shape (N, k), and averaged here.

    Raises
    ------
    OutOfRange
        If there are not `k` of them, or one is missing (of units, the row is named).
    """
    if values is None:
        return column(name, [], 0) if k == 0 else column(name, [], k)
    if np.ndim(values) == 0:
        return column(name, np.reshape(np.asarray(values, dtype=np.float64), 1), k)
    array = numbers(name, values)
    if array.ndim == 2 and array.shape[0] > 0 and array.shape[1] == k:
        _refuse_missing(name, array)
        middle = array.mean(axis=0)
        return np.asarray(middle + (array - middle).mean(axis=0))
    return column(name, array, k)


def _refuse_missing(name: str, array: _F) -> None:
    rows = np.flatnonzero(~np.isfinite(array).all(axis=1)) + 1
    if rows.size:
        listed = ", ".join(map(str, rows[:SHOWN])) + (" ..." if rows.size > SHOWN else "")
        raise OutOfRange(
            en=f"{name}: expected a number in every row, got none in row {listed} (counted from 1). "
            "Measure it, or take the row out and say so; a missing value is never filled in.",
            ja=f"{name}: 全行に数値が必要ですが、{listed} 行目（1起算）が欠測です。計測するか、その行を除外して明記してください。",
        )


def labels(
    name: str, values: Sequence[Hashable], n: int, known: Mapping[str, object] | None = None
) -> NDArray[np.object_]:
    """One label for each of `n` rows, none missing, each among the keys of `known` where that is given.

    Raises
    ------
    OutOfRange
        Naming the row (counted from 1).
    """
    given = [v.item() if isinstance(v, np.generic) else v for v in values]
    if len(given) != n:
        raise OutOfRange(
            en=f"{name}: expected {n} labels, one for each value of y, got {len(given)}.",
            ja=f"{name}: y と同じ {n} 個のラベルが必要ですが、{len(given)} 個でした。",
        )
    for row, label in enumerate(given, 1):
        # a label that is not itself is NaN, as tables give where a cell was empty
        if label is None or label != label or not isinstance(label, Hashable):
            raise OutOfRange(
                en=f"{name}: expected a label in every row, got {_shown(label)} in row {row} (counted from 1). Fill it in.",
                ja=f"{name}: 全行にラベルが必要ですが、{row} 行目（1起算）が {_shown(label)} でした。記入してください。",
            )
        if known is not None and label not in known:
            few = ", ".join(map(repr, list(known)[:SHOWN])) + (" ..." if len(known) > SHOWN else "")
            raise OutOfRange(
                en=f"{name}: expected one of {few}, got {label!r} in row {row} (counted from 1).",
                ja=f"{name}: {row} 行目（1起算）の {label!r} は {few} にありません。",
            )
    out = np.empty(n, dtype=object)
    out[:] = given
    return out


def groups(names: NDArray[np.object_]) -> dict[Hashable, NDArray[np.intp]]:
    """Rows of each label, in order of first appearance."""
    found: dict[Hashable, list[int]] = {}
    for row, label in enumerate(names.tolist()):
        found.setdefault(label, []).append(row)
    return {label: np.array(rows, dtype=np.intp) for label, rows in found.items()}


def amounts(name: str, values: Mapping[str, float], keys: Iterable[Hashable]) -> dict[str, float]:
    """A number above zero for every key.

    Raises
    ------
    OutOfRange
        Naming the key that has none.
    """
    out = {}
    for key in keys:
        value = values.get(key)  # type: ignore[call-overload]  # any label may be a key
        number = float("nan") if value is None else _number(f"{name} of {key}", 1, value)
        if not 0.0 < number < float("inf"):
            raise OutOfRange(
                en=f"{name}: expected a number above zero for {key!r}, got {_shown(value)}.",
                ja=f"{name}: {key!r} には0より大きい数値が必要ですが、{_shown(value)} でした。",
            )
        out[key] = number
    return out  # type: ignore[return-value]  # keys as they came


def enough(n: int, parameters: int, where: str = "") -> None:
    """Refuse where no variance can be estimated.

    Raises
    ------
    OutOfRange
        If there are no more sample plots than parameters, or fewer than two.
    """
    if n <= parameters or n < 2:
        at = f"{where}: " if where else ""
        raise OutOfRange(
            en=f"{at}expected more sample plots than parameters and two at least, got {n} sample plots and {parameters} parameters. "
            "No variance can be estimated; measure more or use fewer covariates.",
            ja=f"{at}母数より多く、かつ2点以上の標準地が必要ですが、{n}点・{parameters}母数でした。標準地を増やすか説明変数を減らしてください。",
        )


def finite_correction(n: int, population: float | None, where: str = "") -> float:
    """``1 - n/N``; 1 where N is not known (None) or infinite.

    Raises
    ------
    OutOfRange
        If N is no number, or below n.
    """
    if population is None:
        return 1.0
    size = _number("population", 1, population)
    if not size >= n:
        at = f"{where}: " if where else ""
        raise OutOfRange(
            en=f"{at}Expected a population of at least the {n} units sampled, got {population}.",
            ja=f"{at}母集団は標本 {n} 以上である必要がありますが、{population} でした。",
        )
    return 1.0 - n / size


def probabilities(name: str, values: ArrayLike, n: int) -> _F:
    """Probabilities above 0 and up to 1, one a row; refused with the row named."""
    p = column(name, values, n)
    bad = np.flatnonzero((p <= 0) | (p > 1)) + 1
    if bad.size:
        raise OutOfRange(
            en=f"{name}: expected probabilities above 0 and up to 1, got {p[bad[0] - 1]} in row {bad[0]} (counted from 1).",
            ja=f"{name}: 0 より大きく 1 以下の確率が必要ですが、{bad[0]} 行目（1起算）は {p[bad[0] - 1]} でした。",
        )
    return p


def positive(name: str, values: _F, what: str = "weights", what_ja: str = "重み") -> None:
    """Refuse numbers that are not above zero, with the row named."""
    bad = np.flatnonzero(values <= 0) + 1
    if bad.size:
        raise OutOfRange(
            en=f"{name}: expected {what} above zero, got {values[bad[0] - 1]} in row {bad[0]} (counted from 1).",
            ja=f"{name}: 正の{what_ja}が必要ですが、{bad[0]} 行目（1起算）は {values[bad[0] - 1]} でした。",
        )


def weights_of(values: ArrayLike | None, n: int, name: str = "weights") -> _F:
    """Weights above zero, one a row; all one where none are given."""
    if values is None:
        return np.ones(n)
    w = column(name, values, n)
    positive(name, w)
    return w


def quantity(
    name: str, value: object, low: float = 0.0, *, above: bool = True, high: float = float("inf")
) -> float:
    """One finite number above `low` (or from it on, where `above` is false) and up to `high`.

    Raises
    ------
    OutOfRange
        If it is missing, no number, or out of range; the name carries its unit.
    """
    is_number = isinstance(value, Real | np.integer | np.floating) and not isinstance(value, bool | np.bool_)
    number = float(value) if is_number else float("nan")  # type: ignore[arg-type]  # a number, as found
    if np.isfinite(number) and (number > low if above else number >= low) and number <= high:
        return number
    upper, upper_ja = ("", "") if high == float("inf") else (f" and up to {high:g}", f"{high:g}以下")
    lower, lower_ja = (
        (f"above {low:g}", f"{low:g}より大きく") if above else (f"of {low:g} or more", f"{low:g}以上")
    )
    raise OutOfRange(
        en=f"{name}: expected a number {lower}{upper}, got {_shown(value)}.",
        ja=f"{name}: {lower_ja}{upper_ja}の数値が必要ですが、{_shown(value)} でした。",
    )
