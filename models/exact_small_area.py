"""Unit-level small-area prediction (EBLUP) in exact fractions: the same bytes on every machine.

Nested error model ``y = b0 + b1 x + u_domain + e``. Variance components by fitting of constants (Henderson's method 3), which needs no
iteration. Given the ratio of the variances, every prediction is linear in y. The floating-point twin is `models.small_area.eblup_unit`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

ZERO, ONE = Fraction(0), Fraction(1)
# The ratio of the variances is kept to millionths, and within this: fractions stay short, and perfect fits have one.
RATIO_UNIT = 1_000_000
LARGEST_RATIO = Fraction(1_000_000)
Between = Literal["estimated", "zero", "not_estimable"]
Matrix = tuple[tuple[Fraction, ...], ...]


@dataclass(frozen=True)
class Domain:
    """Area and mean of x of one domain, known from the raster."""

    area: int
    x_mean: Fraction


@dataclass(frozen=True)
class Components:
    """Variance components and what their errors need.

    Attributes
    ----------
    within : Fraction
        ``sigma^2_e``.
    ratio : Fraction
        ``sigma^2_u / sigma^2_e``, 0 where the estimate of the former is not above zero.
    between : {"estimated", "zero", "not_estimable"}
        "zero": estimated, and not above zero; "not_estimable": fewer than two domains, or no residuals within them.
    var_between, var_within, covariance : Fraction
        Of the two estimates, in units of ``sigma^4_e``.
    """

    within: Fraction
    ratio: Fraction
    between: Between
    var_between: Fraction
    var_within: Fraction
    covariance: Fraction


@dataclass(frozen=True)
class Prediction:
    """Mean squared errors and weight of one domain's mean, per unit of ``within``, and the weights of y.

    Attributes
    ----------
    weights, synthetic_weights : tuple of Fraction
        Of the sample plots in the EBLUP and in the synthetic prediction of the domain's mean.
    gamma : Fraction
        Weight of the domain's own sample against the model.
    g1, g2, g3 : Fraction
        Parts of the mean squared error, of the mean.
    """

    weights: tuple[Fraction, ...]
    synthetic_weights: tuple[Fraction, ...]
    gamma: Fraction
    g1: Fraction
    g2: Fraction
    g3: Fraction
    synthetic_mse: Fraction

    @property
    def mse(self) -> Fraction:
        """``g1 + g2 + 2 g3``."""
        return self.g1 + self.g2 + 2 * self.g3

    def mean(self, y: Sequence[Fraction]) -> Fraction:
        return dot(self.weights, y)

    def synthetic(self, y: Sequence[Fraction]) -> Fraction:
        return dot(self.synthetic_weights, y)


def dot(weights: Sequence[Fraction], y: Sequence[Fraction]) -> Fraction:
    return sum((w * v for w, v in zip(weights, y, strict=True)), ZERO)


@dataclass(frozen=True)
class _Blocks:
    """Sample plots by domain, rows of the design matrix, and its sums of products."""

    rows: tuple[tuple[Fraction, ...], ...]
    members: Mapping[str, tuple[int, ...]]

    @property
    def p(self) -> int:
        return len(self.rows[0])

    def sums(self, name: str) -> tuple[Fraction, ...]:
        return tuple(sum((self.rows[i][k] for i in self.members[name]), ZERO) for k in range(self.p))


def _blocks(domain_of: Sequence[str], x: Sequence[Fraction]) -> _Blocks:
    varies = len(set(x)) > 1
    rows = tuple((ONE, v) if varies else (ONE,) for v in x)
    names = sorted(set(domain_of))
    return _Blocks(rows, {d: tuple(i for i, name in enumerate(domain_of) if name == d) for d in names})


def _inverse(m: Matrix) -> Matrix:
    if len(m) == 1:
        return ((1 / m[0][0],),)
    (a, b), (c, d) = m
    det = a * d - b * c
    return ((d / det, -b / det), (-c / det, a / det))


def _times(m: Matrix, v: Sequence[Fraction]) -> tuple[Fraction, ...]:
    return tuple(dot(row, v) for row in m)


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = list(zip(*b, strict=True))
    return tuple(tuple(dot(row, column) for column in columns) for row in a)


def _outer_sum(vectors: Sequence[Sequence[Fraction]], weights: Sequence[Fraction], p: int) -> Matrix:
    pairs = list(zip(weights, vectors, strict=True))
    return tuple(tuple(sum((w * v[j] * v[k] for w, v in pairs), ZERO) for k in range(p)) for j in range(p))


def _trace(m: Matrix) -> Fraction:
    return sum((m[k][k] for k in range(len(m))), ZERO)


def _pooled_squares(blocks: _Blocks, inverse: Matrix, y: Sequence[Fraction]) -> Fraction:
    right = [sum((r[k] * v for r, v in zip(blocks.rows, y, strict=True)), ZERO) for k in range(blocks.p)]
    return sum((v * v for v in y), ZERO) - dot(right, _times(inverse, right))


def _within_squares(blocks: _Blocks, x: Sequence[Fraction], y: Sequence[Fraction]) -> tuple[Fraction, int]:
    """Residual sum of squares within domains about one slope, and its degrees of freedom."""
    sxx = sxy = syy = ZERO
    for index in blocks.members.values():
        mean_x = sum((x[i] for i in index), ZERO) / len(index)
        mean_y = sum((y[i] for i in index), ZERO) / len(index)
        sxx += sum(((x[i] - mean_x) ** 2 for i in index), ZERO)
        sxy += sum(((x[i] - mean_x) * (y[i] - mean_y) for i in index), ZERO)
        syy += sum(((y[i] - mean_y) ** 2 for i in index), ZERO)
    freedom = len(x) - len(blocks.members)
    return (syy - sxy**2 / sxx, freedom - 1) if sxx else (syy, freedom)


def variance_components(domain_of: Sequence[str], x: Sequence[Fraction], y: Sequence[Fraction]) -> Components:
    """Both variances by fitting of constants.

    ``sigma^2_e`` from residuals within domains, ``sigma^2_u = (SSE - (n - p) sigma^2_e) / eta_1`` from those of ordinary least
    squares over all.

    References
    ----------
    Battese, Harter, Fuller (1988) JASA 83: 28-36; Prasad and Rao (1990) JASA 85: 163-171; Rao and Molina (2015) 7.1.2, 7.2.2.
    """
    blocks = _blocks(domain_of, x)
    n, p, m = len(x), blocks.p, len(blocks.members)
    inverse = _inverse(_outer_sum(blocks.rows, [ONE] * n, p))
    pooled = _pooled_squares(blocks, inverse, y)
    inside, freedom = _within_squares(blocks, x, y)
    sums = [blocks.sums(d) for d in blocks.members]
    size = [Fraction(len(index)) for index in blocks.members.values()]
    spread = _product(inverse, _outer_sum(sums, [ONE] * m, p))
    eta1 = n - _trace(spread)
    if m < 2 or freedom < 1 or n <= p or eta1 == 0:
        s2 = pooled / (n - p) if n > p else ZERO
        return Components(s2, ZERO, "not_estimable", ZERO, ZERO, ZERO)
    within = inside / freedom
    between = (pooled - (n - p) * within) / eta1
    ratio = _ratio(between, within)
    third = _product(inverse, _outer_sum(sums, size, p))
    eta2 = sum((k * k for k in size), ZERO) - 2 * _trace(third) + _trace(_product(spread, spread))
    lost = Fraction(n - p - freedom)
    var_within = Fraction(2, freedom)
    var_between = 2 / eta1**2 * (lost * (n - p) / freedom + 2 * eta1 * ratio + eta2 * ratio**2)
    return Components(
        within,
        ratio,
        "estimated" if ratio else "zero",
        var_between,
        var_within,
        -lost / eta1 * var_within,
    )


def _ratio(between: Fraction, within: Fraction) -> Fraction:
    if between <= 0:
        return ZERO
    if within == 0:
        return LARGEST_RATIO
    return min(LARGEST_RATIO, Fraction(round(between / within * RATIO_UNIT), RATIO_UNIT))


def predictions(
    domains: Mapping[str, Domain],
    domain_of: Sequence[str],
    x: Sequence[Fraction],
    components: Components,
) -> dict[str, Prediction]:
    """EBLUP of every domain's mean; a domain without sample plots gets the synthetic prediction.

    ``X_d'b + gamma_d (y_d - x_d'b)``, ``gamma_d = n_d r / (1 + n_d r)``, b by generalized least squares. The mean squared errors are
    in units of `components.within`; that of a domain without sample plots is ``r + X'C X``.

    References
    ----------
    Prasad and Rao (1990) JASA 85: 163-171; Rao and Molina (2015) Small Area Estimation, 7.1-7.2.
    """
    blocks, r = _blocks(domain_of, x), components.ratio
    p = blocks.p
    shrink = {d: r / (1 + len(index) * r) for d, index in blocks.members.items()}
    sums = {d: blocks.sums(d) for d in blocks.members}
    gram = _outer_sum([*blocks.rows, *sums.values()], [*[ONE] * len(x), *(-shrink[d] for d in sums)], p)
    bread = _inverse(gram)
    # Weights of y in the coefficients, one column per sample plot.
    columns = [
        _times(bread, [z - shrink[d] * s for z, s in zip(row, sums[d], strict=True)])
        for row, d in zip(blocks.rows, domain_of, strict=True)
    ]
    out = {}
    for name, domain in domains.items():
        at = (ONE, domain.x_mean)[:p]
        index = blocks.members.get(name, ())
        k = len(index)
        gamma = k * r / (1 + k * r)
        gap = [a - gamma * s / k for a, s in zip(at, sums[name], strict=True)] if k else list(at)
        synthetic = tuple(dot(at, column) for column in columns)
        weights = [dot(gap, column) for column in columns]
        for i in index:
            weights[i] += gamma / k
        g2 = dot(gap, _times(bread, gap))
        out[name] = Prediction(
            tuple(weights),
            synthetic,
            gamma,
            r / (1 + k * r),
            g2,
            _g3(components, k) if k else ZERO,
            r + dot(at, _times(bread, at)),
        )
    return out


def _g3(found: Components, k: int) -> Fraction:
    r = found.ratio
    spread = found.var_between + r**2 * found.var_within - 2 * r * found.covariance
    return k * spread / (1 + k * r) ** 3
