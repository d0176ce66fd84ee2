"""Figures per plot (区画) by small-area prediction: EBLUP, with GREG and synthetic beside it, adjusted to the project's total.

The rule of the adjustment: each plot takes its share by area of what the predictions miss the project's total by. The adjusted figures
sum to the total; the square of the adjustment is added to their mean squared error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from models.exact_small_area import Components, Domain, Prediction, dot, predictions, variance_components
from mrv.declared import LinearEstimator
from mrv.estimate_sample import Frame
from mrv.quantise import round_fraction, sqrt_ceil
from mrv.results import SmallArea

RULE = "difference by area"
PPM = 1_000_000
MM2_PER_M2 = 1_000_000
DeclaredOf = Callable[[LinearEstimator, str], Fraction]


@dataclass(frozen=True)
class Weighted:
    """Totals of plots by fixed weights of the sample plots."""

    weights: Mapping[str, Sequence[Fraction]]

    def total(self, y: Sequence[Fraction], plot: str | None = None) -> Fraction:
        """Total of one plot, or the sum over all."""
        names = self.weights if plot is None else (plot,)
        return sum((dot(self.weights[name], y) for name in names), Fraction(0))


@dataclass(frozen=True)
class PlotModel:
    """Nested error model of one frame and one y: its variance components, and the prediction of every plot's mean."""

    frame: Frame
    components: Components
    predicted: Mapping[str, Prediction]

    @cached_property
    def eblup(self) -> Weighted:
        return Weighted({p: [a * w for w in self.predicted[p].weights] for p, a in self._areas()})

    @cached_property
    def synthetic(self) -> Weighted:
        return Weighted({p: [a * w for w in self.predicted[p].synthetic_weights] for p, a in self._areas()})

    def adjusted(self, whole: Sequence[Fraction]) -> Weighted:
        """EBLUP adjusted to a total that is itself linear in y, with weights `whole`."""
        weights = self.eblup.weights
        missed = [
            v - sum(column, Fraction(0))
            for v, column in zip(whole, zip(*weights.values(), strict=True), strict=True)
        ]
        area = self.frame.whole_mm2
        return Weighted(
            {
                plot: [w + m * self.frame.area_mm2[plot] / area for w, m in zip(own, missed, strict=True)]
                for plot, own in weights.items()
            }
        )

    def mse(self, plot: str) -> Fraction:
        """Mean squared error of a plot's EBLUP total."""
        return self._scale(plot) * self.predicted[plot].mse

    def synthetic_mse(self, plot: str) -> Fraction:
        return self._scale(plot) * self.predicted[plot].synthetic_mse

    def _scale(self, plot: str) -> Fraction:
        return self.frame.area_mm2[plot] ** 2 * self.components.within

    def _areas(self) -> list[tuple[str, int]]:
        return list(self.frame.area_mm2.items())


def plot_model(frame: Frame, y: Sequence[Fraction]) -> PlotModel:
    """Fit the nested error model to the sample plots of a frame."""
    components = variance_components(frame.plot_of, frame.x, y)
    domains = {p: Domain(area, frame.x_mean[p]) for p, area in frame.area_mm2.items()}
    return PlotModel(frame, components, predictions(domains, frame.plot_of, frame.x, components))


@dataclass(frozen=True)
class Direct:
    """Direct estimates of plots that hold sample plots.

    Attributes
    ----------
    sampling_variance : mapping of plot to Fraction or None
        g²; None where residuals leave no variance.
    """

    estimator: LinearEstimator
    sampling_variance: Mapping[str, Fraction | None]


def small_areas(
    model: PlotModel,
    y: Sequence[Fraction],
    direct: Direct,
    totals_g: Mapping[str, int],
    declared: DeclaredOf,
) -> dict[str, SmallArea]:
    """Every plot's change three ways, grams CO2e.

    Parameters
    ----------
    direct : Direct
        GREG of plots with sample plots.
    totals_g : mapping of plot to int
        What the project's total is the sum of; the adjusted figures sum to the same.
    declared : callable
        Variance by declared errors of a weighted total of one plot.
    """
    whole = sum(totals_g.values())
    eblup = {p: model.eblup.total(y, p) for p in totals_g}
    missed = whole - sum(eblup.values(), Fraction(0))
    area = model.frame.whole_mm2
    move = {p: missed * model.frame.area_mm2[p] / area for p in totals_g}
    adjusted = rounded_to({p: eblup[p] + move[p] for p in totals_g}, whole)
    out = {}
    for plot in totals_g:
        mse = model.mse(plot) + declared(model.eblup, plot)
        synthetic = model.synthetic_mse(plot) + declared(model.synthetic, plot)
        greg_g, greg_se_g = _greg(direct, y, plot, declared)
        out[plot] = SmallArea(
            sample_plots=len(model.frame.members(plot)),
            own_weight_ppm=round_fraction(model.predicted[plot].gamma * PPM),
            eblup_g=round_fraction(eblup[plot]),
            eblup_se_g=sqrt_ceil(mse),
            adjusted_g=adjusted[plot],
            adjusted_se_g=sqrt_ceil(mse + move[plot] ** 2),
            greg_g=greg_g,
            greg_se_g=greg_se_g,
            synthetic_g=round_fraction(model.synthetic.total(y, plot)),
            synthetic_se_g=sqrt_ceil(synthetic),
        )
    return out


def _greg(
    direct: Direct, y: Sequence[Fraction], plot: str, declared: DeclaredOf
) -> tuple[int | None, int | None]:
    if plot not in direct.sampling_variance:
        return None, None
    total, sampling = round_fraction(direct.estimator.total(y, plot)), direct.sampling_variance[plot]
    return total, None if sampling is None else sqrt_ceil(sampling + declared(direct.estimator, plot))


def rounded_to(values: Mapping[str, Fraction], whole: int) -> dict[str, int]:
    """Values to whole grams that sum to `whole`; the largest takes the rest."""
    out = {name: round_fraction(v) for name, v in values.items()}
    largest = max(out, key=lambda name: (abs(out[name]), name))
    out[largest] += whole - sum(out.values())
    return out


def model_doc(model: PlotModel) -> dict[str, str]:
    """The fitted model for the evidence and the report; standard deviations in g CO2e per m², rounded up."""
    found = model.components
    return {
        "method": "nested error model, fitting of constants",
        "between": found.between,
        "within_sd_g_m2": str(sqrt_ceil(found.within * MM2_PER_M2**2)),
        "between_sd_g_m2": str(sqrt_ceil(found.within * found.ratio * MM2_PER_M2**2)),
        "adjusted_by": RULE,
    }
