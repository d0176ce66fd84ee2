"""Breaks in a satellite index series: when did a stand lose canopy, and how much.

A satellite index is a trigger and a corroboration, never the measured quantity. Light thinning of a closed canopy is at
the limit of what 10 m pixels show; a main cut (主伐), clearing or fire is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.checks import quantity
from models.errors import OutOfRange

DAYS_PER_YEAR = 365.25
SEASON_DAYS = 30
_MAD_TO_SD = 1.4826
_TUKEY = 4.685
_ROUNDS = 5
_F = NDArray[np.float64]


@dataclass(frozen=True)
class BreakSettings:
    """How a break is told from weather, season and noise. One set for every series.

    Attributes
    ----------
    threshold_sd : float
        Residual, in robust standard deviations of the history, beyond which an observation exceeds.
    min_magnitude : float
        Smallest drop of the index that counts, whatever the noise.
    consecutive : int
        Clear observations in a row that must all exceed.
    min_history : int
        Clear observations before the first one that can break.
    min_history_days : int
        Days these must span: a season that was never seen cannot be told from a loss.
    window_days : int
        Length of the history that is fitted.
    """

    threshold_sd: float = 3.0
    min_magnitude: float = 0.1
    consecutive: int = 3
    min_history: int = 10
    min_history_days: int = 330
    window_days: int = 1461

    def __post_init__(self) -> None:
        quantity("threshold_sd", self.threshold_sd)
        quantity("min_magnitude", self.min_magnitude, above=False)
        for name in ("consecutive", "min_history", "window_days"):
            quantity(name, getattr(self, name), low=1.0, above=False)
        quantity("min_history_days", self.min_history_days, above=False)


DEFAULT = BreakSettings()


@dataclass(frozen=True)
class Break:
    """One break of a series.

    Attributes
    ----------
    day : int
        Proleptic ordinal of the first clear observation after the break.
    last_before : int
        Ordinal of the last clear observation before it: the break lies in ``(last_before, day]``.
    confirmed_day : int
        Ordinal of the observation that made it certain.
    magnitude : float
        Median of observed minus expected over the observations that confirmed it; below zero for a loss.
    """

    day: int
    last_before: int
    confirmed_day: int
    magnitude: float


def normalised_difference(a: NDArray[np.number], b: NDArray[np.number]) -> _F:
    """``(a − b)/(a + b)``: NDMI of B8A and B11, NBR of B8A and B12; NaN where the sum is not above zero.

    Parameters
    ----------
    a, b : ndarray
        Reflectances of one shape, any scale.

    Raises
    ------
    OutOfRange
        If the shapes differ.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape and 0 not in (first.ndim, second.ndim):
        raise OutOfRange(
            en=f"expected two bands of one shape, got {first.shape} and {second.shape}",
            ja=f"同じ大きさの2バンドが必要ですが、{first.shape}と{second.shape}でした",
        )
    total = first + second
    out = np.full(total.shape, np.nan)
    np.divide(first - second, total, out=out, where=total > 0)
    return out


def detect_break(
    days: NDArray[np.integer],
    values: NDArray[np.floating],
    clear: NDArray[np.bool_],
    settings: BreakSettings = DEFAULT,
) -> Break | None:
    """First loss in a series, or None.

    Each clear observation is compared with a robust seasonal fit (mean and harmonics) of the clear ones before it; a
    break is `settings.consecutive` in a row that all lie below by more than the threshold. A single low value is
    weather, and is left out of the history.

    Parameters
    ----------
    days : ndarray of int, shape (n,)
        Proleptic ordinals, not falling.
    values : ndarray of float, shape (n,)
        NDMI or NBR; NaN counts as not clear.
    clear : ndarray of bool, shape (n,)

    Raises
    ------
    OutOfRange
        If days fall or are no whole days (the row is named), or shapes differ.

    References
    ----------
    In the manner of CCDC (Zhu and Woodcock 2014, doi:10.1016/j.rse.2014.01.011).
    """
    found = _walk(*_clear_only(days, values, clear), settings, first_only=True)
    return found[0] if found else None


def detect_breaks(
    days: NDArray[np.integer],
    values: NDArray[np.floating],
    clear: NDArray[np.bool_],
    settings: BreakSettings = DEFAULT,
) -> tuple[Break, ...]:
    """Every loss in a series; after each, a new history begins. Parameters and refusals as of `detect_break`."""
    return _walk(*_clear_only(days, values, clear), settings, first_only=False)


def _clear_only(
    days: NDArray[np.integer], values: NDArray[np.floating], clear: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], _F]:
    try:
        value = np.asarray(values, dtype=np.float64)
        given = np.asarray(days, dtype=np.float64)
    except (TypeError, ValueError) as reason:
        raise OutOfRange(
            en=f"expected days and index values as numbers, got something else: {reason}",
            ja=f"日付と指数は数値で必要ですが、そうでないものがありました: {reason}",
        ) from reason
    use = np.asarray(clear)
    broken = np.flatnonzero(~(np.isfinite(given) & (given == np.rint(given))).ravel()) + 1
    if broken.size:
        raise OutOfRange(
            en=f"expected whole days (proleptic ordinals), got {given.ravel()[broken[0] - 1]} in row {broken[0]} (counted from 1)",
            ja=f"日付は整数（序数）が必要ですが、{broken[0]}行目（1起算）が{given.ravel()[broken[0] - 1]}でした",
        )
    day = given.astype(np.int64)
    if not day.shape == value.shape == use.shape or day.ndim != 1:
        raise OutOfRange(
            en=f"expected three series of one length, got {day.shape}, {value.shape}, {use.shape}",
            ja=f"同じ長さの系列が三つ必要ですが、{day.shape}、{value.shape}、{use.shape}でした",
        )
    if day.size and int(np.diff(day).min(initial=0)) < 0:
        raise OutOfRange(
            en="expected the days of a series in order; sort the scenes by date",
            ja="系列の日付は昇順でなければなりません。シーンを日付順に並べてください",
        )
    keep = use.astype(np.bool_) & np.isfinite(value)
    return day[keep], value[keep]


def _walk(day: NDArray[np.int64], value: _F, settings: BreakSettings, first_only: bool) -> tuple[Break, ...]:
    found: list[Break] = []
    history: list[int] = []
    k = settings.consecutive
    for i in range(day.size):
        recent = np.array([j for j in history if day[i] - day[j] <= settings.window_days], dtype=np.int64)
        if recent.size < settings.min_history or day[i] - day[recent[0]] < settings.min_history_days:
            history.append(i)
            continue
        ahead = slice(i, min(i + k, day.size))
        expected, scale = _expect(day[recent], value[recent], day[ahead])
        residual = value[ahead] - expected
        low = residual < -np.maximum(settings.threshold_sd * scale, settings.min_magnitude)
        if low.size == k and low.all():
            found.append(Break(int(day[i]), int(day[i - 1]), int(day[i + k - 1]), float(np.median(residual))))
            if first_only:
                break
            history = []
        elif not low[0]:
            history.append(i)
    return tuple(found)


def _expect(day: NDArray[np.int64], value: _F, at: NDArray[np.int64]) -> tuple[_F, _F]:
    """Seasonal expectation at the days `at`, and the standard deviation to judge by.

    Leaves come and fall weeks earlier or later from year to year, so the spread of the same season counts where it is
    larger than the overall one.
    """
    order = 2 if day.size >= 24 and day[-1] - day[0] >= 2 * DAYS_PER_YEAR else 1
    design = _season(day, order)
    weight = np.ones(day.size)
    residual = value
    scale = 0.0
    coefficient = np.zeros(design.shape[1])
    for _ in range(_ROUNDS):
        root = np.sqrt(weight)
        solved = np.linalg.lstsq(design * root[:, None], value * root, rcond=None)[0]
        coefficient = np.asarray(solved, dtype=np.float64)
        residual = value - design @ coefficient
        scale = _MAD_TO_SD * float(np.median(np.abs(residual - np.median(residual))))
        if scale == 0.0:
            break
        weight = np.clip(1.0 - (residual / (_TUKEY * scale)) ** 2, 0.0, 1.0) ** 2
    residual = value - design @ coefficient
    apart = np.abs(at[:, None] - day[None, :]) % DAYS_PER_YEAR
    near = (np.minimum(apart, DAYS_PER_YEAR - apart) <= SEASON_DAYS) & (weight > 0.0)
    squares = np.where(near, residual**2, 0.0).sum(axis=1) / np.maximum(near.sum(axis=1), 1)
    freedom = np.sqrt(day.size / max(day.size - design.shape[1], 1))
    return _season(at, order) @ coefficient, np.maximum(scale, np.sqrt(squares)) * freedom


def _season(day: NDArray[np.int64], order: int) -> _F:
    turn = 2.0 * np.pi * (day % 1461) / DAYS_PER_YEAR
    columns = [np.ones(day.size)]
    for n in range(1, order + 1):
        columns += [np.cos(n * turn), np.sin(n * turn)]
    return np.column_stack(columns)
