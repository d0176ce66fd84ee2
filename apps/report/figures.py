"""Positions of bars and intervals in percent of a track, for charts drawn with HTML boxes.

Display only: floats are welcome here, since nothing that is credited is read back from a page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt

from scipy.special import stdtrit

from apps.look.wording import COMPONENTS, in_order
from mrv.monte_carlo import ChangeCheck
from mrv.results import Change, Claim, Estimate, PlotChange


def interval_g(estimate: Estimate, coverage_ppm: int) -> tuple[int, int]:
    """Two-sided t interval around an estimate, g CO2e, for display.

    Parameters
    ----------
    coverage_ppm : int
        Nominal coverage, parts per million (900000 for 90 %).
    """
    t = float(stdtrit(max(estimate.df, 1), (1 + coverage_ppm / 1e6) / 2))
    half = round(t * estimate.se_g)
    return estimate.total_g - half, estimate.total_g + half


@dataclass(frozen=True)
class Axis:
    """A horizontal axis from `low` to `high`, with round tick values."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        """Position of a value, percent from the left."""
        return round(100 * (value - self.low) / (self.high - self.low), 3)

    @property
    def zero(self) -> float:
        return self.at(0)


def axis_over(values: Iterable[float], ticks: int = 5) -> Axis:
    """An axis that holds zero and every value, ending at round numbers."""
    everything = [0.0, *values]
    low, high = min(everything), max(everything)
    span = (high - low) or 1.0
    raw = span / ticks
    unit = 10 ** floor(log10(raw))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw)
    first, last = floor(low / step), -floor(-high / step)
    return Axis(first * step, last * step, tuple(i * step for i in range(first, last + 1)))


@dataclass(frozen=True)
class IntervalRow:
    """One plot's change: estimate, interval and, for simulated sites, the truth beside it (all g CO2e, and percent)."""

    plot: PlotChange
    low_g: int
    high_g: int
    truth_g: int | None
    left: float
    width: float
    middle: float
    truth_at: float | None

    @property
    def z(self) -> float | None:
        """How many standard errors the estimate lies from the truth."""
        if self.truth_g is None or self.plot.change.se_g == 0:
            return None
        return (self.plot.change.total_g - self.truth_g) / self.plot.change.se_g


def interval_rows(
    plots: Sequence[PlotChange], coverage_ppm: int, truth_g: Mapping[str, int] | None
) -> tuple[tuple[IntervalRow, ...], Axis]:
    """Rows of the plot-by-plot chart, and their axis in tonnes."""
    spans = [interval_g(p.change, coverage_ppm) for p in plots]
    truths = [None if truth_g is None else truth_g.get(p.plot_id) for p in plots]
    axis = axis_over([v / 1e6 for pair in spans for v in pair] + [t / 1e6 for t in truths if t is not None])
    rows = tuple(
        IntervalRow(
            plot=p,
            low_g=low,
            high_g=high,
            truth_g=truth,
            left=axis.at(low / 1e6),
            width=round(axis.at(high / 1e6) - axis.at(low / 1e6), 3),
            middle=axis.at(p.change.total_g / 1e6),
            truth_at=None if truth is None else axis.at(truth / 1e6),
        )
        for p, (low, high), truth in zip(plots, spans, truths, strict=True)
    )
    return rows, axis


@dataclass(frozen=True)
class Bar:
    """A piece of a bar chart."""

    key: str
    value: int
    left: float
    width: float


def steps_of_claim(claim: Claim) -> tuple[Bar, ...]:
    """From the measured change down to the credits, kg: each bar starts where the one before left off."""
    gross = claim.gross_kg
    steps = [
        ("estimate", 0, claim.estimate_kg),
        ("deduction", claim.estimate_kg - claim.deduction_kg, claim.deduction_kg),
    ]
    if claim.prior_gross_kg or claim.compensated_kg:
        before = claim.prior_gross_kg - claim.compensated_kg
        steps.append(("prior", min(gross, gross + before), before))
    steps += [("buffer", gross - claim.buffer_kg, claim.buffer_kg), ("credited", 0, claim.credited_kg)]
    top = max(claim.estimate_kg, gross, 1)
    return tuple(
        Bar(key, value, round(100 * start / top, 3), round(100 * abs(value) / top, 3))
        for key, start, value in steps
    )


def component_rows(plots: Sequence[PlotChange]) -> tuple[tuple[tuple[Bar, ...], ...], Axis]:
    """Per plot, what grew to the right of zero and what was lost to the left, g CO2e; and the axis in tonnes."""
    gains = [sum(v for v in p.components_g.values() if v > 0) / 1e6 for p in plots]
    losses = [sum(v for v in p.components_g.values() if v < 0) / 1e6 for p in plots]
    axis = axis_over(gains + losses)
    rows = []
    for plot in plots:
        right = left = axis.zero
        bars = []
        for key, value in in_order(plot.components_g, COMPONENTS).items():
            width = round(abs(axis.at(value / 1e6) - axis.zero), 3)
            if value > 0:
                bars.append(Bar(key, value, right, width))
                right += width
            elif value < 0:
                left -= width
                bars.append(Bar(key, value, round(left, 3), width))
        rows.append(tuple(bars))
    return tuple(rows), axis


def variance_bars(change: Change) -> tuple[Bar, ...]:
    """Each source's share of the variance of the project's change; `value` is its standard error, g CO2e."""
    return _shares(change.variance_parts_g2)


def drawn_bars(check: ChangeCheck) -> tuple[Bar, ...]:
    """The same of the drawn check; sources that were left out (no variance) are not shown."""
    return tuple(bar for bar in _shares(check.variance_parts_g2) if bar.value)


def _shares(variance_g2: Mapping[str, str]) -> tuple[Bar, ...]:
    parts = {key: int(text) for key, text in variance_g2.items()}
    total = sum(parts.values()) or 1
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    return tuple(Bar(key, round(sqrt(value)), 0.0, round(100 * value / total, 3)) for key, value in ordered)
