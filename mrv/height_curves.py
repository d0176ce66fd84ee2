"""Height-diameter curves (樹高曲線) of a survey's own trees, by species: heights nobody measured, and heights that look mistyped.

How a height that nobody measured is filled, so that a change neither invents growth nor hides it:

- A species has one curve per date, fitted to that date's measured pairs. The form chosen at the first date is kept, as volume equations
  are: a change of form between dates would show as growth at the ends of the curve.
- On a sample plot (標準地) with four measured heights or more the curve is multiplied by measured over fitted heights there (each
  weighted by the square of its diameter, as volume is), so that a better site stays a better site, and its error shows where it
  belongs: between sample plots. Whether a sample plot has such a factor
  is settled at the first date.
- A tree's height comes one way at both dates. Measured first and not measured last: its own height times the growth of the curve,
  ``H1 = H0 f1(D1) / f0(D0)``, which keeps what the tree differs from the curve by; switching to the bare curve would show every tall
  tree as shrunk. Both curves of this ratio rest on trees that stand at both dates: thinning takes the short or the tall, and a first
  curve through the felled as well would book that choice as growth of those that stay. Not measured first but measured last: the curve at both dates, since the tree's difference from the curve, seen
  once only, is no growth. (Its height still helps to fit the curve.)
- What makes this unbiased: at each date, the trees whose heights are measured are not taller for their diameter than the others.

References
----------
Temesgen, Monleon, Hann 2008, Can. J. For. Res. 38:553-565 (a curve with a correction factor from four or more heights of the stand
does as well as a mixed model); the ratio to a tree's own earlier height is the same correction with one tree.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange
from models.height_diameter import (
    CurveChoice,
    Form,
    HeightDiameterCurve,
    choose_height_curve,
    displacements,
    height_gradient,
    height_of,
    predict_height,
)
from mrv.results import HeightCurve

MM_PER_CM, MM_PER_M = 10.0, 1000.0
FEWEST_PAIRS, FEWEST_SAMPLE_PLOTS = 10, 3
"""Measured heights that a species needs at a date, and sample plots that they stand on; on two sample plots, so many on each."""
FACTOR_PAIRS = 4
"""Measured heights from which on a sample plot has a factor of its own."""
THICKEST_RATIO = 1.3
"""No height is filled for a tree thicker than this times the thickest measured one."""
LOWEST_MM = 1_200
PPM = 1_000_000
ODD_COVERAGE = 0.9999
"""A height outside the interval of this coverage is worth a second look."""
_F = NDArray[np.float64]
_I = NDArray[np.int32]
_S = NDArray[np.str_]


@dataclass(frozen=True)
class Pairs:
    """Trees of one species at one date.

    Attributes
    ----------
    sample_plot_id : ndarray of str, shape (n,)
    dbh_mm, height_mm : ndarray of int, shape (n,)
        0 where not measured.
    """

    sample_plot_id: _S
    dbh_mm: _I
    height_mm: _I

    @property
    def measured(self) -> NDArray[np.bool_]:
        return (self.dbh_mm > 0) & (self.height_mm > 0)

    def of(self, chosen: NDArray[np.bool_]) -> Pairs:
        return Pairs(self.sample_plot_id[chosen], self.dbh_mm[chosen], self.height_mm[chosen])


@dataclass(frozen=True)
class SpeciesCurve:
    """The curve of a species at a date with the factors of its sample plots.

    Attributes
    ----------
    factors_ppm : mapping of sample plot to int
    factor_slopes : mapping of sample plot to ndarray, shape (p,)
        Slope of the logarithm of a factor by the coefficients: a curve that runs higher makes the factor smaller.
    displacements : mapping of sample plot to tuple of float
    """

    curve: HeightDiameterCurve
    factors_ppm: Mapping[str, int]
    factor_slopes: Mapping[str, _F]
    displacements: Mapping[str, tuple[float, ...]]

    def record(self, survey_id: str, species: str, basis: str, filled: int) -> HeightCurve:
        """As it goes into the evidence."""
        curve = self.curve
        return HeightCurve(
            survey_id=survey_id,
            species=species,
            basis=basis,
            form=curve.form,
            coefficients=tuple(map(repr, curve.coefficients)),
            log_residual_sd=repr(curve.log_residual_sd),
            pairs=curve.pairs,
            sample_plots=len(self.displacements),
            filled=filled,
            dbh_from_mm=round(curve.dbh_range_cm[0] * MM_PER_CM),
            dbh_to_mm=round(curve.dbh_range_cm[1] * MM_PER_CM),
            residual_sd_mm=round(curve.residual_sd_m * MM_PER_M),
            cross_validated_rmse_mm=round((curve.cross_validated_rmse_m or 0.0) * MM_PER_M),
            factors_ppm=dict(self.factors_ppm),
            displacements={k: tuple(map(repr, v)) for k, v in self.displacements.items()},
        )


def enough(known: Pairs) -> bool:
    """Whether measured pairs suffice for a curve and its error."""
    _, counts = np.unique(known.sample_plot_id, return_counts=True)
    if counts.size >= FEWEST_SAMPLE_PLOTS:
        return int(counts.sum()) >= FEWEST_PAIRS
    return counts.size == 2 and int(counts.min()) >= FEWEST_PAIRS


def species_curve(pairs: Pairs, keep: Form | None = None) -> SpeciesCurve:
    """Fit the curve of one species at one date.

    Parameters
    ----------
    keep : str, optional
        Form of the first date; another is chosen only where it cannot be fitted.

    Raises
    ------
    OutOfRange
        Unless 10 heights are measured on 3 sample plots or more, or 10 on each of two; or if no form fits.
    """
    known = pairs.of(pairs.measured)
    plots = sorted(set(known.sample_plot_id.tolist()))
    if not enough(known):
        raise OutOfRange(
            en=f"expected {FEWEST_PAIRS} measured heights on {FEWEST_SAMPLE_PLOTS} sample plots or more (or on each of two), got {known.dbh_mm.size} on {len(plots)}; measure more heights",
            ja=f"{FEWEST_SAMPLE_PLOTS}か所以上の標準地で{FEWEST_PAIRS}本以上（2か所なら各{FEWEST_PAIRS}本）の樹高の実測が必要ですが、{len(plots)}か所・{known.dbh_mm.size}本でした。樹高をさらに測ってください",
        )
    d, h = known.dbh_mm / MM_PER_CM, known.height_mm / MM_PER_M
    choice = _choose(d, h, known.sample_plot_id, keep)
    factors, slopes = {}, {}
    for plot in plots:
        mine = known.of(known.sample_plot_id == plot)
        if mine.dbh_mm.size >= FACTOR_PAIRS:
            square = mine.dbh_mm.astype(np.int64) ** 2
            fitted_mm = _millimetres(height_of(choice.curve, mine.dbh_mm / MM_PER_CM))
            total_mm = int((square * fitted_mm).sum())
            factors[plot] = round(Fraction(PPM * int((square * mine.height_mm).sum()), total_mm))
            gradient = height_gradient(choice.curve, mine.dbh_mm / MM_PER_CM) * square[:, None]
            slopes[plot] = -gradient.sum(axis=0) / (total_mm / MM_PER_M)
    return SpeciesCurve(
        choice.curve, factors, slopes, displacements(choice.curve, d, h, known.sample_plot_id)
    )


def _choose(d: _F, h: _F, plots: _S, keep: Form | None) -> CurveChoice:
    if keep is not None:
        try:
            return choose_height_curve(d, h, plots, (keep,))
        except OutOfRange:
            pass  # as few or as odd as these pairs are, another form may fit them
    return choose_height_curve(d, h, plots)


def _millimetres(height_m: _F) -> _I:
    return np.maximum(np.rint(height_m * MM_PER_M), LOWEST_MM).astype(np.int32)


@dataclass(frozen=True)
class FilledHeights:
    """Heights of trees from a curve, and how they hang on its coefficients.

    Attributes
    ----------
    height_mm : ndarray of int32, shape (n,)
        Whole mm, half-even; never below 1.2 m.
    slopes, first_slopes : ndarray of float, shape (n, p)
        Of the height by the coefficients of this date's curve and, where a tree was grown, of the first date's, m per unit.
    """

    height_mm: _I
    slopes: _F
    first_slopes: _F


@dataclass(frozen=True)
class CurvePair:
    """The curves of a species at this date and at the first; `first` is None at the first date, or where it had too few heights.

    To fill (`fill`), the first curve is that of all trees that stood then; to grow (`grow`), that of those which still stand.
    """

    now: SpeciesCurve
    first: SpeciesCurve | None

    def fill(self, sample_plot_id: _S, dbh_mm: _I) -> FilledHeights:
        """Heights of this date's curve; a factor that stayed from the first date is taken as known."""
        height_mm, slopes, _ = self._fitted(sample_plot_id, dbh_mm)
        return FilledHeights(height_mm, slopes * (height_mm[:, None] / MM_PER_M), np.zeros((dbh_mm.size, 0)))

    def grow(self, sample_plot_id: _S, dbh_mm: _I, first_dbh_mm: _I, first_height_mm: _I) -> FilledHeights:
        """Measured heights of the first date times the growth of the curve; unchanged where the first date has no curve."""
        if self.first is None:
            nothing = np.zeros((dbh_mm.size, 0))
            return FilledHeights(first_height_mm.astype(np.int32), nothing, nothing)
        now_mm, slopes, first_slopes = self._fitted(sample_plot_id, dbh_mm)
        then_mm, then_slopes, _ = CurvePair(self.first, None)._fitted(sample_plot_id, first_dbh_mm)
        exact = [
            round(Fraction(int(h) * int(n), int(t)))
            for h, n, t in zip(first_height_mm, now_mm, then_mm, strict=True)
        ]
        height_mm = np.array(exact, dtype=np.int32)
        height_m = height_mm[:, None] / MM_PER_M
        return FilledHeights(height_mm, slopes * height_m, (first_slopes - then_slopes) * height_m)

    def _fitted(self, sample_plot_id: _S, dbh_mm: _I) -> tuple[_I, _F, _F]:
        """Heights, and slopes of their logarithm by the coefficients of this date and of the first."""
        d = dbh_mm / MM_PER_CM
        curve_mm = _millimetres(height_of(self.now.curve, d))
        slopes = height_gradient(self.now.curve, d) / (curve_mm[:, None] / MM_PER_M)
        first_slopes = np.zeros((d.size, len(self.first.curve.coefficients) if self.first else 0))
        factor = np.full(d.size, PPM, dtype=np.int64)
        for plot in sorted(set(sample_plot_id.tolist())):
            mine = sample_plot_id == plot
            whose = self._factor_of(plot)
            if whose is not None:
                factor[mine] = whose.factors_ppm[plot]
                changed = slopes if whose is self.now else first_slopes
                changed[mine] += whose.factor_slopes[plot]
        height = [round(Fraction(int(c) * int(f), PPM)) for c, f in zip(curve_mm, factor, strict=True)]
        return np.maximum(np.array(height, dtype=np.int32), LOWEST_MM), slopes, first_slopes

    def _factor_of(self, plot: str) -> SpeciesCurve | None:
        """Whose factor a sample plot takes: this date's if it had one at the first date too, else the first date's, else none."""
        if self.first is None:
            return self.now if plot in self.now.factors_ppm else None
        if plot not in self.first.factors_ppm:
            return None
        return self.now if plot in self.now.factors_ppm else self.first


def odd_heights(pairs: Pairs, curve: HeightDiameterCurve) -> NDArray[np.bool_]:
    """Trees whose measured height is far from their species' curve: mistyped, broken, or of another species."""
    odd = np.zeros(pairs.dbh_mm.size, dtype=np.bool_)
    mine = np.flatnonzero(pairs.measured)
    found = predict_height(curve, pairs.dbh_mm[mine] / MM_PER_CM, ODD_COVERAGE)
    height_m = pairs.height_mm[mine] / MM_PER_M
    odd[mine] = (height_m < found.low_m) | (height_m > found.high_m)
    return odd
