"""The estimator that a plan's stated design calls for, behind one interface: totals of plots and project, and their variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol

from models.choose import Choice, Design, choose_estimator
from models.errors import OutOfRange
from models.estimators import SamplingVariance, StratifiedRegression, Stratum, stratified_regression
from models.exact_regression import ProjectRegression, domain_totals, project_regression
from models.exact_small_area import dot
from mrv.declared import Density
from mrv.estimate_sample import Frame, PairedSample
from mrv.estimate_small import Direct, PlotModel, Weighted, plot_model
from mrv.project import MonitoringPlan, planned_design
from mrv.results import Method
from mrv.survey import Survey

WHOLE_PROJECT: tuple[Design, ...] = ("srs", "systematic", "two_phase", "pps")


class ChangeEstimator(Protocol):
    """Estimator of one variable over one frame; totals are linear in y, its working model is ``b0 + b1 x``."""

    @property
    def n(self) -> int: ...
    @property
    def x(self) -> tuple[Fraction, ...]: ...
    @property
    def x_bar(self) -> Fraction: ...
    @property
    def sxx(self) -> Fraction: ...
    def slope(self, y: Sequence[Fraction]) -> Fraction: ...
    def intercept(self, y: Sequence[Fraction]) -> Fraction: ...
    def total(self, y: Sequence[Fraction], plot: str | None = None) -> Fraction: ...
    def totals(self, y: Sequence[Fraction]) -> Mapping[str, Fraction]:
        """Of every plot; they sum to the project's."""
        ...

    def sampling_variance(self, y: Sequence[Fraction], only: str | None = None) -> SamplingVariance:
        """Of the project's total, or of one plot's."""
        ...

    def direct(self, y: Sequence[Fraction]) -> Direct:
        """Direct estimates of the plots that hold sample plots."""
        ...


class ByPlot(StratifiedRegression):
    """Plots are strata: every plot's figure is direct, and they sum to the project's."""

    def direct(self, y: Sequence[Fraction]) -> Direct:
        return Direct(self, {plot: self.sampling_variance(y, plot).total for plot in self.strata})


@dataclass(frozen=True)
class OverProject:
    """One sample over all plots: the project's total by regression (GREG), plots by EBLUP adjusted to it.

    Attributes
    ----------
    regression : ProjectRegression
    model : PlotModel
        Fitted to the y that the frame was made for; its variance ratio is kept for other variables (species, components).
    """

    regression: ProjectRegression
    model: PlotModel

    @property
    def n(self) -> int:
        return self.regression.n

    @property
    def x(self) -> tuple[Fraction, ...]:
        return self.regression.x

    @property
    def x_bar(self) -> Fraction:
        return self.regression.x_bar

    @property
    def sxx(self) -> Fraction:
        return self.regression.sxx

    def slope(self, y: Sequence[Fraction]) -> Fraction:
        return self.regression.slope(y)

    def intercept(self, y: Sequence[Fraction]) -> Fraction:
        return self.regression.intercept(y)

    @cached_property
    def whole(self) -> list[Fraction]:
        """Weights of the sample plots in the project's total."""
        fit = self.regression
        away = fit.x_mean - fit.x_bar
        lever = [away * (x - fit.x_bar) / fit.spread if fit.spread else Fraction(0) for x in fit.x]
        return [fit.area * w * (1 + v) for w, v in zip(fit.share, lever, strict=True)]

    @cached_property
    def plots(self) -> Weighted:
        """Adjusted predictions of the plots."""
        return self.model.adjusted(self.whole)

    def total(self, y: Sequence[Fraction], plot: str | None = None) -> Fraction:
        return dot(self.whole, y) if plot is None else self.plots.total(y, plot)

    def totals(self, y: Sequence[Fraction]) -> dict[str, Fraction]:
        return {plot: self.plots.total(y, plot) for plot in self.plots.weights}

    def sampling_variance(self, y: Sequence[Fraction], only: str | None = None) -> SamplingVariance:
        """Design-based for the project; for a plot the model's mean squared error and the square of the adjustment.

        Source of the latter: the adjusted prediction's error is that of the best one plus the adjustment, which it is
        uncorrelated with (Rao and Molina 2015, 6.4.6).
        """
        if only is None:
            return self.regression.sampling_variance(y)
        moved = self.plots.total(y, only) - self.model.eblup.total(y, only)
        return SamplingVariance(((self.model.mse(only) + moved**2, self.regression.degrees_of_freedom),))

    def direct(self, y: Sequence[Fraction]) -> Direct:
        frame = self.model.frame
        found = domain_totals(self.regression, frame.plot_of, frame.area_mm2, frame.x_mean, y)
        return Direct(
            Weighted({plot: e.weights for plot, e in found.items()}),
            {p: e.variance for p, e in found.items()},
        )


@dataclass(frozen=True)
class Designed:
    """What a plan's design leads to.

    Attributes
    ----------
    design : str
        As stated, by the plan or by a first survey that claims less.
    choice : Choice
        Estimator, validity and reasons, of `models.choose`.
    """

    design: Design
    choice: Choice
    method: Method

    def estimator(self, sample: PairedSample, frame: Frame, y: Density) -> ChangeEstimator:
        """Prepare the estimator of y over a frame.

        Raises
        ------
        OutOfRange
            If there are too few sample plots.
        """
        if self.design not in WHOLE_PROJECT:
            return by_plot(frame, sample.plan)
        return over_project(frame, sample, y, weighted=self.design == "pps")


def designed(plan: MonitoringPlan, first: Survey) -> Designed:
    """Design and estimator by the plan; a first survey that says ``purposive`` or nothing takes validity away, and can add none.

    Raises
    ------
    OutOfRange
        If the plan states no known design.
    """
    design = planned_design(plan)
    if design is None:
        raise OutOfRange(
            en=f"Expected a sampling design that can be stated, got {plan.design!r}.",
            ja=f"既定の標本設計が必要ですが、{plan.design!r} でした。",
        )
    if design == "none" or first.design in ("purposive", "none"):
        design = "purposive"  # there are sample plots here, and nobody says how they were drawn
    strata = 1 if design in WHOLE_PROJECT else len(plan.treatments)
    choice = choose_estimator(design, len(plan.sample_plots), strata=strata)
    return Designed(design, choice, _method(design))


def _method(design: Design) -> Method:
    if design == "pps":
        return "paired_pps_regression"
    return "paired_regression" if design in WHOLE_PROJECT else "paired_stratified_regression"


def by_plot(frame: Frame, plan: MonitoringPlan) -> ByPlot:
    """The stratified regression of a frame, plots as strata."""
    strata = {
        plot: Stratum(area, frame.x_mean[plot], plan.treatments[plot])
        for plot, area in frame.area_mm2.items()
    }
    made = stratified_regression(strata, frame.plot_of, frame.x)
    return ByPlot(made.strata, made.stratum_of, made.x, made.sxx, made.x_bar)


def over_project(frame: Frame, sample: PairedSample, y: Density, weighted: bool) -> OverProject:
    """The regression over the whole project; `weighted` by draw probabilities, else every sample plot alike."""
    weights = None
    if weighted:
        p = sample.plan.draw_probabilities
        weights = [sample.area_mm2[i] / Fraction(p[i]) for i in sample.ids]
    regression = project_regression(frame.whole_mm2, frame.whole_mean, frame.x, weights)
    return OverProject(regression, plot_model(frame, y))
