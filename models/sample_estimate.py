"""An estimate from a sample with its variance, and the quantiles its interval needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from models.errors import OutOfRange


@dataclass(frozen=True)
class SampleEstimate:
    """An estimate with its variance.

    Attributes
    ----------
    value, variance : float
        In the unit of y (times area or number for totals), and its square.
    degrees_of_freedom : float
        Of Student's t; may be fractional (Satterthwaite) or infinite.
    n : int
        Sample plots it rests on.
    parameters : int
        Coefficients estimated from them.
    estimator : str
        Its name, for the report.
    """

    value: float
    variance: float
    degrees_of_freedom: float
    n: int
    parameters: int
    estimator: str

    @property
    def standard_error(self) -> float:
        """Root of the variance, in the unit of the value."""
        return float(np.sqrt(self.variance))

    def half_width(self, coverage: float = 0.9) -> float:
        """Half of the two-sided interval by Student's t, in the unit of the value.

        Raises
        ------
        OutOfRange
            If the coverage is not between 0 and 1.
        """
        if not 0.0 < coverage < 1.0:
            raise OutOfRange(
                en=f"expected a coverage between 0 and 1, got {coverage}",
                ja=f"信頼水準は0と1の間が必要ですが、{coverage}でした",
            )
        return t_quantile(self.degrees_of_freedom, 0.5 + coverage / 2.0) * self.standard_error

    def interval(self, coverage: float = 0.9) -> tuple[float, float]:
        """Both ends of the interval, in the unit of the value."""
        half = self.half_width(coverage)
        return self.value - half, self.value + half

    def times(self, size: float) -> SampleEstimate:
        """The total that belongs to this mean: times the number of units, or the area."""
        return replace(self, value=self.value * size, variance=self.variance * size**2)


def t_quantile(degrees_of_freedom: float, probability: float) -> float:
    """Quantile of Student's t, of the normal distribution where the degrees of freedom are infinite."""
    return float(stdtrit(min(degrees_of_freedom, 1e12), probability))


def satterthwaite(terms: Sequence[tuple[float, float]]) -> float:
    """Effective degrees of freedom of a sum of independent variances, each with its own.

    References
    ----------
    Satterthwaite (1946) Biometrics Bulletin 2: 110-114.
    """
    largest = max((v for v, _ in terms), default=0.0)
    if largest == 0.0:
        return float("inf")
    parts = [
        (v / largest, df) for v, df in terms
    ]  # squares of very large or small variances leave the range of floats
    return sum(v for v, _ in parts) ** 2 / sum(v**2 / df for v, df in parts)
