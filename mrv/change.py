"""Stage 3, change: stock at both dates and their difference, per plot and project, with the error of the difference.

The change is estimated from *differences* of permanent, tagged sample plots, regressed on the change of mean canopy height, by the
estimator that the plan's design calls for (`mrv.estimate_design`). All arithmetic is exact; grams are rounded half-even, standard
errors up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from mrv.declared import DeclaredVariance, Density, Key, declared_variance
from mrv.estimate_design import ChangeEstimator, Designed, designed
from mrv.estimate_sample import COMPONENTS, PairedSample, mean_mm
from mrv.estimate_small import PlotModel, model_doc, plot_model, small_areas
from mrv.methodology.ledgers import jcredit_ledger
from mrv.pairing import Visit, check_pair
from mrv.project import MonitoringPlan
from mrv.quantise import round_fraction, sqrt_ceil
from mrv.results import PURPOSIVE_FLAG, Change, Estimate, PlotChange, SmallArea, TreeStock


def estimate_change(first: Visit, last: Visit, plan: MonitoringPlan) -> Change:
    """Change of the stock between two visits, by the estimator that the plan's design calls for.

    Raises
    ------
    Refusal
        If sample plots or trees are not tagged, a tree of the first date is not accounted for at the last, a sample plot of
        the plan is missing, plots differ from the plan, or a survey contradicts the plan's design.
    OutOfRange
        If there are too few sample plots for a variance.
    """
    check_pair(first, last, plan)
    sample = PairedSample(first, last, plan)
    design = designed(plan, first.survey)
    figures = _figures(sample, design)
    stocks, changes = {}, figures.totals("change")
    for date in ("first", "last"):
        stocks[date] = figures.totals(date)
    kinds = sample.components()
    parts = {plot: _share_out(figures, sample, kinds, plot, total) for plot, total in changes.items()}
    model = plot_model(sample.frame(first.canopy, last.canopy), figures.y["change"])
    small = _small_areas(figures, model, changes)
    heights = {c.survey_id: {z.zone_id: z for z in c.plots} for c in (first.canopy, last.canopy)}
    plots = tuple(
        PlotChange(
            plot_id=p.plot_id,
            name=p.name,
            area_mm2=p.area_mm2,
            species=p.species,
            treatment=plan.treatments[p.plot_id],
            sample_plots=sample.plot_of.count(p.plot_id),
            canopy_first_mm=round_fraction(mean_mm(heights[first.survey.survey_id][p.plot_id])),
            canopy_last_mm=round_fraction(mean_mm(heights[last.survey.survey_id][p.plot_id])),
            stock_first=figures.estimate("first", stocks["first"][p.plot_id], p.plot_id),
            stock_last=figures.estimate("last", stocks["last"][p.plot_id], p.plot_id),
            change=figures.estimate("change", changes[p.plot_id], p.plot_id),
            components_g=parts[p.plot_id],
            small_area=small[p.plot_id],
        )
        for p in first.survey.plots
    )
    components = {kind: sum(part[kind] for part in parts.values()) for kind in COMPONENTS}
    choice = design.choice
    flags = list(dict.fromkeys((*first.canopy.flags, *last.canopy.flags)))
    if design.design == "purposive":
        flags.append(PURPOSIVE_FLAG)
    return Change(
        project_id=plan.project_id,
        plan_digest=plan.digest,
        first_survey_id=first.survey.survey_id,
        last_survey_id=last.survey.survey_id,
        start=first.survey.day,
        end=last.survey.day,
        method=design.method,
        plots=plots,
        stock_first=figures.estimate("first", sum(stocks["first"].values())),
        stock_last=figures.estimate("last", sum(stocks["last"].values())),
        change=figures.estimate("change", sum(changes.values())),
        components_g=components,
        variance_parts_g2=figures.variance_parts(),
        species_change_g=figures.species_change(),
        jcredit_g=jcredit_ledger(components),
        coefficients=figures.coefficients(),
        creditable=choice.creditable and choice.interval_valid,
        flags=tuple(flags),
        unverified=tuple(sorted({*first.inventory.unverified, *last.inventory.unverified})),
        simulated=first.survey.simulated or last.survey.simulated,
        design=design.design,
        estimator=choice.estimator,
        interval_valid=choice.interval_valid,
        reason_en=choice.reason_en,
        reason_ja=choice.reason_ja,
        parameters=2 if figures.by_key["change"].sxx else 1,
        small_area_model=model_doc(model),
    )


@dataclass(frozen=True)
class _Figures:
    """Estimators and densities of both dates and of the change, with the declared errors."""

    by_key: Mapping[Key, ChangeEstimator]
    y: Mapping[Key, Density]
    errors: DeclaredVariance

    def totals(self, key: Key) -> dict[str, int]:
        """Grams of every plot, rounded half-even."""
        return {plot: round_fraction(v) for plot, v in self.by_key[key].totals(self.y[key]).items()}

    def estimate(self, key: Key, total_g: int, plot: str | None = None) -> Estimate:
        """A total with its error: sampling and declared."""
        sampling = self.by_key[key].sampling_variance(self.y[key], plot)
        declared = self.errors.variance(self.by_key[key], key, plot)
        return Estimate(total_g, sqrt_ceil(sampling.total + declared), sampling.degrees_of_freedom(declared))

    def variance_parts(self) -> dict[str, str]:
        estimator = self.by_key["change"]
        sampling = estimator.sampling_variance(self.y["change"]).total
        parts = {"sampling": sampling, **self.errors.parts(estimator, "change")}
        return {name: str(round_fraction(v)) for name, v in parts.items()}

    def species_change(self) -> dict[str, int]:
        found = self.errors.species_totals(self.by_key["change"], "change")
        return {name: round_fraction(total) for name, total in found.items()}

    def coefficients(self) -> dict[str, str]:
        """Working models per date: g CO2e per mm² on mm of mean canopy height, with what the maps' error layer needs."""
        out: dict[str, str] = {}
        for key, estimator in self.by_key.items():
            y = self.y[key]
            b0, b1 = estimator.intercept(y), estimator.slope(y)
            residual = [v - b0 - b1 * x for v, x in zip(y, estimator.x, strict=True)]
            s2 = sum((e * e for e in residual), Fraction(0)) / max(1, estimator.n - 2)
            values = {"b0": b0, "b1": b1, "s2": s2, "sxx": estimator.sxx, "x_bar": estimator.x_bar}
            out |= {f"{key}_{name}": str(value) for name, value in values.items()}
            out[f"{key}_n"] = str(estimator.n)
        return out


def _figures(sample: PairedSample, design: Designed) -> _Figures:
    first, last = sample.first, sample.last
    y0, y1 = (sample.density(v.inventory, _co2) for v in (first, last))
    y: dict[Key, Density] = {
        "first": y0,
        "last": y1,
        "change": [b - a for a, b in zip(y0, y1, strict=True)],
    }
    frames = {
        "first": sample.frame(first.canopy),
        "last": sample.frame(last.canopy),
        "change": sample.frame(first.canopy, last.canopy),
    }
    by_key: dict[Key, ChangeEstimator] = {k: design.estimator(sample, frames[k], y[k]) for k in y}
    errors = declared_variance(first.inventory, last.inventory, sample.density, sample.plan.declared)
    return _Figures(by_key, y, errors)


def _small_areas(figures: _Figures, model: PlotModel, changes: Mapping[str, int]) -> dict[str, SmallArea]:
    estimator, y, errors = figures.by_key["change"], figures.y["change"], figures.errors
    return small_areas(
        model,
        y,
        estimator.direct(y),
        changes,
        lambda weighted, plot: errors.variance(weighted, "change", plot),
    )


def _co2(tree: TreeStock) -> int:
    return tree.co2_g


def _share_out(
    figures: _Figures, sample: PairedSample, kinds: Mapping[str, Density], plot: str, total_g: int
) -> dict[str, int]:
    """Parts of a plot's change: each its sample mean times area, and the canopy's correction shared by their size.

    What was found on none of the sample plots that tell (`PairedSample.like`) stays zero. Parts sum to the total; the largest
    takes the rounding.
    """
    index = sample.like(plot)
    area = sample.plot_area[plot]
    mean = {kind: area * sum((y[i] for i in index), Fraction(0)) / len(index) for kind, y in kinds.items()}
    size = sum((abs(v) for v in mean.values()), Fraction(0))
    correction = total_g - sum(mean.values(), Fraction(0))
    parts = {k: round_fraction(v + (correction * abs(v) / size if size else 0)) for k, v in mean.items()}
    largest = max(parts, key=lambda kind: abs(parts[kind]))
    parts[largest] += total_g - sum(parts.values())
    return parts
