"""Regression estimator of a whole project's total from one sample over all its plots, in exact fractions.

For designs that are not stratified by plot: simple random, systematic, two-phase with the auxiliary known everywhere, and unequal
probabilities (Hansen and Hurwitz). One auxiliary variable, so at most two parameters; the floating-point twin is `models.sampling.greg`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Literal

from models.errors import OutOfRange
from models.estimators import SamplingVariance

LEAST_FREEDOM = 2
ZERO = Fraction(0)
VarianceName = Literal["n_minus_p", "conditional", "g_weight", "leverage"]


@dataclass(frozen=True)
class ProjectRegression:
    """Weights and variances of ``T = A (b0 + b1 X)``, fitted with the sample's own design weights.

    With design weights and an intercept the weighted residuals sum to zero, so that this is the generalized regression estimator
    (GREG) ``sum over the population of the prediction + sum w e``. It is linear in y.

    Attributes
    ----------
    area : int
        Of the population, in the unit that densities are per.
    x_mean : Fraction
        Mean of the auxiliary variable over the population.
    x, share : tuple of Fraction
        Auxiliary variable of the sample plots, and their design weights as shares of one.

    Source: Särndal, Swensson, Wretman (1992) Model Assisted Survey Sampling, 6.4-6.7.
    """

    area: int
    x_mean: Fraction
    x: tuple[Fraction, ...]
    share: tuple[Fraction, ...]

    @property
    def n(self) -> int:
        return len(self.x)

    @cached_property
    def equal(self) -> bool:
        """Whether all sample plots weigh the same."""
        return len(set(self.share)) == 1

    @cached_property
    def x_bar(self) -> Fraction:
        return sum((w * x for w, x in zip(self.share, self.x, strict=True)), ZERO)

    @cached_property
    def spread(self) -> Fraction:
        """``sum w (x - x_bar)^2`` of the shares."""
        return sum((w * (x - self.x_bar) ** 2 for w, x in zip(self.share, self.x, strict=True)), ZERO)

    @property
    def sxx(self) -> Fraction:
        """``n`` times the spread: the sum of squares of x where all weigh the same."""
        return self.n * self.spread

    @property
    def parameters(self) -> int:
        """Coefficients of the working model: two, or one where x does not vary."""
        return 2 if self.spread else 1

    @property
    def degrees_of_freedom(self) -> int:
        return self.n - self.parameters

    def slope(self, y: Sequence[Fraction]) -> Fraction:
        """``b1``; 0 where x does not vary."""
        if not self.spread:
            return ZERO
        terms = (w * (x - self.x_bar) * v for w, x, v in zip(self.share, self.x, y, strict=True))
        return sum(terms, ZERO) / self.spread

    def intercept(self, y: Sequence[Fraction]) -> Fraction:
        """``b0``."""
        mean = sum((w * v for w, v in zip(self.share, y, strict=True)), ZERO)
        return mean - self.slope(y) * self.x_bar

    def total(self, y: Sequence[Fraction]) -> Fraction:
        """Estimated total over the population (density times area)."""
        return self.area * (self.intercept(y) + self.slope(y) * self.x_mean)

    def residuals(self, y: Sequence[Fraction]) -> list[Fraction]:
        b0, b1 = self.intercept(y), self.slope(y)
        return [v - b0 - b1 * x for v, x in zip(y, self.x, strict=True)]

    def variances(self, y: Sequence[Fraction]) -> dict[VarianceName, Fraction]:
        """Variances of the estimated total, by name; `sampling_variance` takes the larger of two of them.

        ``n_minus_p``: ``sum e^2 / (n (n - p))``, equal weights only. ``conditional``: that with the slope's own error,
        ``s^2 (1/n + D^2/Sxx)``, D how far the sample misses the mean of x; equal weights only. ``g_weight``: squares of
        ``w g e``, times ``n / (n - p)``. ``leverage``: squares of ``w g e``, each over ``1 - h`` of its own leverage h.

        References
        ----------
        Särndal, Swensson, Wretman (1992) 6.6; MacKinnon and White (1985) J. Econometrics 29: 305-325 (their HC2).
        """
        freedom, residual = self.degrees_of_freedom, self.residuals(y)
        if freedom < 1:
            raise _too_few(self.n, self.parameters)
        away = self.x_mean - self.x_bar
        plain, corrected = ZERO, ZERO
        for w, x, e in zip(self.share, self.x, residual, strict=True):
            lever = (x - self.x_bar) / self.spread if self.spread else ZERO
            score = (w * (1 + away * lever) * e) ** 2
            plain += score
            left = 1 - w * (1 + (x - self.x_bar) * lever)
            corrected += score / left if left else ZERO  # a plot that fits itself has no residual
        scale = Fraction(self.area) ** 2
        out: dict[VarianceName, Fraction] = {
            "g_weight": scale * plain * self.n / freedom,
            "leverage": scale * corrected,
        }
        if self.equal:
            s2 = sum((e * e for e in residual), ZERO) / freedom
            out["n_minus_p"] = scale * s2 / self.n
            out["conditional"] = out["n_minus_p"] + (scale * s2 * away**2 / self.sxx if self.sxx else ZERO)
        return out

    def sampling_variance(self, y: Sequence[Fraction]) -> SamplingVariance:
        """Variance of the estimated total over repeated samples, with ``n - p`` degrees of freedom.

        The larger of ``leverage`` (right where residuals vary with x, as where a plot is cut) and ``conditional`` (or
        ``g_weight`` under unequal weights). No finite population correction.

        Raises
        ------
        OutOfRange
            If fewer than two degrees of freedom are left.
        """
        if self.degrees_of_freedom < LEAST_FREEDOM:
            raise _too_few(self.n, self.parameters)
        found = self.variances(y)
        other: VarianceName = "conditional" if self.equal else "g_weight"
        return SamplingVariance(((max(found["leverage"], found[other]), self.degrees_of_freedom),))


@dataclass(frozen=True)
class DomainEstimate:
    """Direct regression estimate of one domain's total, by weights of y; variance None where residuals within domains leave none."""

    weights: tuple[Fraction, ...]
    total: Fraction
    variance: Fraction | None


def domain_totals(
    fit: ProjectRegression,
    domain_of: Sequence[str],
    area: Mapping[str, int],
    x_mean: Mapping[str, Fraction],
    y: Sequence[Fraction],
) -> dict[str, DomainEstimate]:
    """GREG of every domain that holds sample plots: the project's working model and the domain's own mean residual.

    That is ``A_d (y_d + b1 (X_d - x_d))`` with the domain's weighted means. The residual variance is pooled within all domains, over
    ``n - domains``; the slope's own error is added.

    Source: Särndal, Swensson, Wretman (1992) 10.5; `models.domains.greg_domains` is the twin with each domain's own variance.
    """
    members = {name: [i for i, d in enumerate(domain_of) if d == name] for name in area}
    members = {name: index for name, index in members.items() if index}
    share = {
        name: [fit.share[i] / sum((fit.share[j] for j in index), ZERO) for i in index]
        for name, index in members.items()
    }
    lever = [
        w * (x - fit.x_bar) / fit.spread if fit.spread else ZERO
        for w, x in zip(fit.share, fit.x, strict=True)
    ]
    s2 = _within_domains(fit.residuals(y), members, share)
    slope_error = sum((v * v for v in lever), ZERO)
    out = {}
    for name, index in members.items():
        gap = x_mean[name] - sum((w * fit.x[i] for w, i in zip(share[name], index, strict=True)), ZERO)
        weights = [area[name] * gap * v for v in lever]
        for w, i in zip(share[name], index, strict=True):
            weights[i] += area[name] * w
        spread = sum((w * w for w in share[name]), ZERO) + gap**2 * slope_error
        total = sum((w * v for w, v in zip(weights, y, strict=True)), ZERO)
        out[name] = DomainEstimate(
            tuple(weights), total, None if s2 is None else area[name] ** 2 * s2 * spread
        )
    return out


def _within_domains(
    residual: Sequence[Fraction], members: Mapping[str, list[int]], share: Mapping[str, list[Fraction]]
) -> Fraction | None:
    """Residual variance about the domains' weighted means, pooled; None without a degree of freedom."""
    squares = ZERO
    for name, index in members.items():
        mean = sum((w * residual[i] for w, i in zip(share[name], index, strict=True)), ZERO)
        squares += sum(((residual[i] - mean) ** 2 for i in index), ZERO)
    freedom = len(residual) - len(members)
    return squares / freedom if freedom else None


def project_regression(
    area: int, x_mean: Fraction, x: Sequence[Fraction], weights: Sequence[Fraction] | None = None
) -> ProjectRegression:
    """Prepare the estimator for a sample.

    Parameters
    ----------
    weights : sequence of Fraction, optional
        Design weights: equal if not given; under draws with probabilities p of units of area a, ``a / p``.

    Raises
    ------
    OutOfRange
        If a weight is not above zero, or there is no sample plot.
    """
    n = len(x)
    w = list(weights) if weights is not None else [Fraction(1)] * n
    bad = [str(i + 1) for i, v in enumerate(w) if v <= 0]
    if n == 0 or len(w) != n or bad:
        raise OutOfRange(
            en=f"Expected one design weight above zero for each of one or more sample plots, got {len(w)} weights for {n} sample "
            f"plots, not above zero in row {', '.join(bad) or '-'} (counted from 1).",
            ja=f"標準地ごとに正の設計ウェイトが必要ですが、標準地 {n} 点に対し {len(w)} 個、正でない行（1起算）: {', '.join(bad) or '-'} でした。",
        )
    whole = sum(w, ZERO)
    return ProjectRegression(area, x_mean, tuple(x), tuple(v / whole for v in w))


def _too_few(n: int, parameters: int) -> OutOfRange:
    need = parameters + LEAST_FREEDOM
    return OutOfRange(
        en=f"Expected {need} or more sample plots for a working model of {parameters} parameters, got {n}. "
        "No variance can be estimated; measure more sample plots.",
        ja=f"母数 {parameters} の作業モデルには標準地が {need} か所以上必要ですが、{n} か所でした。分散を推定できないため、標準地を追加してください。",
    )
