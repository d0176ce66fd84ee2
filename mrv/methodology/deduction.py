"""What uncertainty takes away: deduction policies, in integers.

The deducted uncertainty is that of the *change*. Quantiles of t are rounded up to the sixth decimal and from there on all is
integer arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from scipy.special import stdtrit

from mrv.project import DeductionPolicy
from mrv.results import Estimate

PPM = 1_000_000
# Half-width of the nominal 90 % interval that policies of relative half-width refer to.
INTERVAL_PPM = 900_000


def t_quantile_ppm(df: int, probability_ppm: int) -> int:
    """Quantile of Student's t, millionths, rounded up.

    Parameters
    ----------
    df : int
        Degrees of freedom, at least 1.
    probability_ppm : int
        Probability in parts per million, above 500000.
    """
    value = float(stdtrit(df, probability_ppm / PPM))
    scaled = Fraction(value) * PPM
    return -(-scaled.numerator // scaled.denominator)


def half_width_g(estimate: Estimate, interval_ppm: int = INTERVAL_PPM) -> int:
    """Half-width of the two-sided interval of an estimate, grams, rounded up."""
    t_ppm = t_quantile_ppm(estimate.df, (PPM + interval_ppm) // 2)
    return -(-t_ppm * estimate.se_g // PPM)


def probability_of_exceedance(change: Estimate, confidence_ppm: int) -> int:
    """Grams to deduct so that the true change exceeds the rest with probability p.

    ``LCB = mean - t_p(df) * SE``; the default with p = 2/3 set before the period begins.
    """
    deduction = -(-t_quantile_ppm(change.df, confidence_ppm) * change.se_g // PPM)
    return max(0, min(deduction, max(0, change.total_g)))


def art_trees(change: Estimate, confidence_ppm: int) -> int:
    """Grams to deduct by ART-TREES 2.0: ``UA = 0.524417 * HW90 / 1.645006`` where HW90 exceeds 10 % of the change.

    Source: ART, The REDD+ Environmental Excellence Standard (TREES) 2.0, section 8. HW90 20 % gives 6.376 %.
    """
    if change.total_g <= 0:
        return 0
    half_width = Fraction(half_width_g(change), change.total_g)
    if half_width <= Fraction(1, 10):
        return 0
    return _share(change.total_g, Fraction(524_417, 1_645_006) * half_width)


def ar_tool14(change: Estimate, confidence_ppm: int) -> int:
    """Grams to deduct by the steps of AR-TOOL14 (recalled, not verified).

    HW90 up to 10 %: none; to 15 %: 25 % of HW90; to 20 %: 50 %; to 30 %: 75 %; beyond: all of it.
    """
    if change.total_g <= 0:
        return 0
    half_width = Fraction(half_width_g(change), change.total_g)
    steps = ((10, 0), (15, 25), (20, 50), (30, 75))
    share = next((s for limit, s in steps if half_width <= Fraction(limit, 100)), 100)
    return _share(change.total_g, half_width * Fraction(share, 100))


def _share(total: int, share: Fraction) -> int:
    part = total * max(Fraction(0), min(Fraction(1), share))
    return -(-part.numerator // part.denominator)


POLICIES: Mapping[DeductionPolicy, Callable[[Estimate, int], int]] = {
    "probability_of_exceedance": probability_of_exceedance,
    "art_trees": art_trees,
    "ar_tool14": ar_tool14,
}
