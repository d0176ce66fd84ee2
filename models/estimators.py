"""Design-based estimators of totals from sample plots, in exact fractions.

Every input is an integer or a fraction and so is every result: nothing here depends on a processor, a library version or
the order of a sum. Only the square root of a variance is rounded, and upwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from models.errors import OutOfRange

# Degrees of freedom of an estimate that rests on declared variances alone.
DF_UNLIMITED = 1_000_000


@dataclass(frozen=True)
class Stratum:
    """One stratum, here one managed plot.

    Attributes
    ----------
    area : int
        Its area, in the unit that densities are per.
    x_mean : Fraction
        Mean of the auxiliary variable over the whole stratum (known from the raster).
    group : str
        Strata of one group share a residual variance.
    """

    area: int
    x_mean: Fraction
    group: str


@dataclass(frozen=True)
class StratifiedRegression:
    """Weights and residual variances of a combined regression estimator with strata.

    With working model ``y = b0 + b1 x`` fitted to all sample plots and the mean residual of each stratum added back, the total
    of stratum h is ``A_h (b0 + b1 X_h + e_h)``, where ``X_h`` is the stratum's mean of x and ``e_h`` the mean residual of its
    sample plots. It is linear in y, so that totals of any other variable, of components and of derivatives use the same weights.

    Source: Särndal, Swensson, Wretman (1992) Model Assisted Survey Sampling, 6.4 and 7.2; Cochran (1977) 7.9.
    """

    strata: Mapping[str, Stratum]
    stratum_of: tuple[str, ...]
    x: tuple[Fraction, ...]
    sxx: Fraction
    x_bar: Fraction

    @property
    def n(self) -> int:
        return len(self.x)

    def members(self, stratum: str) -> list[int]:
        return [i for i, name in enumerate(self.stratum_of) if name == stratum]

    def slope(self, y: Sequence[Fraction]) -> Fraction:
        """``b1`` of the working model; 0 where x does not vary."""
        if self.sxx == 0:
            return Fraction(0)
        return sum(((x - self.x_bar) * v for x, v in zip(self.x, y, strict=True)), Fraction(0)) / self.sxx

    def intercept(self, y: Sequence[Fraction]) -> Fraction:
        """``b0`` of the working model."""
        return sum(y, Fraction(0)) / self.n - self.slope(y) * self.x_bar

    def gap(self, stratum: str) -> Fraction:
        """``A_h (X_h - x_h)``: how far the sample plots of a stratum miss its mean of x, times area."""
        index = self.members(stratum)
        x_sample = sum((self.x[i] for i in index), Fraction(0)) / len(index)
        return self.strata[stratum].area * (self.strata[stratum].x_mean - x_sample)

    def totals(self, y: Sequence[Fraction]) -> dict[str, Fraction]:
        """Estimated total of y per stratum (density times area)."""
        slope = self.slope(y)
        out = {}
        for name, stratum in self.strata.items():
            index = self.members(name)
            mean = sum((y[i] for i in index), Fraction(0)) / len(index)
            out[name] = stratum.area * mean + slope * self.gap(name)
        return out

    def total(self, y: Sequence[Fraction], plot: str | None = None) -> Fraction:
        """Estimated total of one stratum, or of all where None."""
        totals = self.totals(y)
        return totals[plot] if plot is not None else sum(totals.values(), Fraction(0))

    def residual_variance(self, y: Sequence[Fraction]) -> dict[str, tuple[Fraction, int]]:
        """Residual variance within strata and its degrees of freedom, per group of strata.

        Sums of squares are divided by their degrees of freedom and multiplied by ``w / (w - l)``: w are the within-stratum
        degrees of freedom of all groups, l the part of the one that the slope cost which was paid within strata
        (``Sxx within strata / Sxx``; the rest was paid between them).

        Raises
        ------
        OutOfRange
            If no stratum of a group has two sample plots, or only one degree of freedom is there in all.
        """
        slope = self.slope(y)
        squares: dict[str, Fraction] = {}
        freedom: dict[str, int] = {}
        for name, stratum in self.strata.items():
            index = self.members(name)
            residual = [y[i] - slope * self.x[i] for i in index]
            mean = sum(residual, Fraction(0)) / len(index)
            squares[stratum.group] = squares.get(stratum.group, Fraction(0)) + sum(
                ((e - mean) ** 2 for e in residual), Fraction(0)
            )
            freedom[stratum.group] = freedom.get(stratum.group, 0) + len(index) - 1
        within = sum(freedom.values())
        if within < 2 or min(freedom.values()) < 1:
            few = ", ".join(sorted(g for g, df in freedom.items() if df < 1)) or "all"
            raise OutOfRange(
                en=f"Group of plots {few}: expected two or more sample plots in at least one plot, got fewer. "
                "No residual variance can be estimated; measure more sample plots.",
                ja=f"区画グループ {few}: 少なくとも1区画に標準地が2か所以上必要ですが、足りません。"
                "残差分散を推定できないため、標準地を追加してください。",
            )
        inflate = within / (within - self._slope_share())
        return {g: (squares[g] / freedom[g] * inflate, freedom[g]) for g in squares}

    def _slope_share(self) -> Fraction:
        """``Sxx within strata / Sxx``, between 0 and 1; 0 where x does not vary."""
        if self.sxx == 0:
            return Fraction(0)
        inside = Fraction(0)
        for name in self.strata:
            x = [self.x[i] for i in self.members(name)]
            mean = sum(x, Fraction(0)) / len(x)
            inside += sum(((v - mean) ** 2 for v in x), Fraction(0))
        return inside / self.sxx

    def sampling_variance(self, y: Sequence[Fraction], only: str | None = None) -> SamplingVariance:
        """Variance of the estimated total over repeated samples, for all strata or for one.

        ``V = sum_g s2_g sum_h A_h^2 / n_h + D^2 s2 / Sxx``: residuals within strata, then the slope's own error where the sample
        misses the mean of x (``D = sum_h gap_h``). No finite population correction: slightly too large, never too small.
        """
        by_group = self.residual_variance(y)
        names = [only] if only is not None else list(self.strata)
        parts: dict[str, Fraction] = {}
        for name in names:
            stratum = self.strata[name]
            part = by_group[stratum.group][0] * stratum.area**2 / len(self.members(name))
            parts[stratum.group] = parts.get(stratum.group, Fraction(0)) + part
        freedom_all = sum(df for _, df in by_group.values())
        pooled = sum((s2 * df for s2, df in by_group.values()), Fraction(0)) / freedom_all
        gap = sum((self.gap(name) for name in names), Fraction(0))
        slope_part = gap**2 * pooled / self.sxx if self.sxx else Fraction(0)
        terms = [(v, by_group[g][1]) for g, v in parts.items()]
        if slope_part:
            terms.append((slope_part, freedom_all))
        return SamplingVariance(tuple(terms))


@dataclass(frozen=True)
class SamplingVariance:
    """Independent variance terms, each with its degrees of freedom."""

    terms: tuple[tuple[Fraction, int], ...]

    @property
    def total(self) -> Fraction:
        return sum((v for v, _ in self.terms), Fraction(0))

    def degrees_of_freedom(self, declared: Fraction = Fraction(0)) -> int:
        """Effective degrees of freedom, rounded down, of these terms plus a declared (known) variance.

        Source: Satterthwaite (1946) Biometrics Bulletin 2: ``(sum V)^2 / sum(V_i^2 / df_i)``; a declared variance has no
        denominator.
        """
        below = sum((v**2 / df for v, df in self.terms if v), Fraction(0))
        if below == 0:
            return DF_UNLIMITED
        return max(1, min(DF_UNLIMITED, int((self.total + declared) ** 2 / below)))


def stratified_regression(
    strata: Mapping[str, Stratum], stratum_of: Sequence[str], x: Sequence[Fraction]
) -> StratifiedRegression:
    """Prepare the estimator for a sample.

    Parameters
    ----------
    strata : mapping of stratum name to Stratum
    stratum_of : sequence of str, length n
        Stratum of each sample plot.
    x : sequence of Fraction, length n
        Auxiliary variable of each sample plot.

    Raises
    ------
    OutOfRange
        If a stratum has no sample plot, or a sample plot lies in an unknown stratum.
    """
    unknown = sorted(set(stratum_of) - set(strata))
    empty = sorted(set(strata) - set(stratum_of))
    if unknown or empty:
        raise OutOfRange(
            en=f"Expected every plot to hold sample plots and every sample plot to lie in a plot, got plots without any: {empty}, "
            f"sample plots in unknown plots: {unknown}. Correct the monitoring plan.",
            ja=f"すべての区画に標準地が必要です。標準地のない区画: {empty}、不明な区画の標準地: {unknown}。モニタリング計画を修正してください。",
        )
    n = len(x)
    x_bar = sum(x, Fraction(0)) / n
    sxx = sum(((v - x_bar) ** 2 for v in x), Fraction(0))
    return StratifiedRegression(dict(strata), tuple(stratum_of), tuple(x), sxx, x_bar)
