"""Stage 3, change: stock at both dates and their difference, per plot and project, with the error of the difference.

The default estimates the change from *differences* of permanent, tagged sample plots, regressed on the change of mean canopy
height; each plot is a stratum. All arithmetic is exact; grams are rounded half-even, standard errors up.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fractions import Fraction

from models.estimators import StratifiedRegression, Stratum, stratified_regression
from mrv.declared import Density, Key, declared_variance
from mrv.methodology.ledgers import jcredit_ledger
from mrv.pairing import Visit, check_pair
from mrv.project import MonitoringPlan
from mrv.quantise import round_fraction, sqrt_ceil
from mrv.results import Canopy, Change, Estimate, Inventory, PlotChange, TreeStock, ZoneHeight

COMPONENTS = ("growth", "recruited", "replanted", "thinned", "cut", "died")


def estimate_change(first: Visit, last: Visit, plan: MonitoringPlan) -> Change:
    """Change of the stock between two visits by stratified regression on sample-plot differences.

    Raises
    ------
    Refusal
        If sample plots or trees are not tagged, a tree of the first date is not accounted for at the last, a sample plot of
        the plan is missing, or plots differ from the plan.
    """
    check_pair(first, last, plan)
    sample = _Sample(first, last, plan)
    by_date: dict[Key, StratifiedRegression] = {
        "first": sample.regression(first.canopy),
        "last": sample.regression(last.canopy),
        "change": sample.regression(first.canopy, last.canopy),
    }
    y0, y1 = sample.density(first.inventory, _co2), sample.density(last.inventory, _co2)
    difference = [b - a for a, b in zip(y0, y1, strict=True)]
    kinds = sample.components()
    errors = declared_variance(first.inventory, last.inventory, sample.density, plan.declared)

    def totals(regression: StratifiedRegression, y: Density) -> dict[str, int]:
        return {plot: round_fraction(v) for plot, v in regression.totals(y).items()}

    change_g = totals(by_date["change"], difference)
    stock0, stock1 = totals(by_date["first"], y0), totals(by_date["last"], y1)
    part_g = {plot: _share_out(by_date["change"], kinds, plot, total) for plot, total in change_g.items()}

    def estimate(key: Key, y: Density, total: int, plot: str | None = None) -> Estimate:
        sampling = by_date[key].sampling_variance(y, plot)
        declared = errors.variance(by_date[key], key, plot)
        return Estimate(total, sqrt_ceil(sampling.total + declared), sampling.degrees_of_freedom(declared))

    heights = {c.survey_id: {z.zone_id: z for z in c.plots} for c in (first.canopy, last.canopy)}
    plots = tuple(
        PlotChange(
            plot_id=p.plot_id,
            name=p.name,
            area_mm2=p.area_mm2,
            species=p.species,
            treatment=plan.treatments[p.plot_id],
            sample_plots=len(by_date["change"].members(p.plot_id)),
            canopy_first_mm=round_fraction(_mean(heights[first.survey.survey_id][p.plot_id])),
            canopy_last_mm=round_fraction(_mean(heights[last.survey.survey_id][p.plot_id])),
            stock_first=estimate("first", y0, stock0[p.plot_id], p.plot_id),
            stock_last=estimate("last", y1, stock1[p.plot_id], p.plot_id),
            change=estimate("change", difference, change_g[p.plot_id], p.plot_id),
            components_g=part_g[p.plot_id],
        )
        for p in first.survey.plots
    )
    regression = by_date["change"]
    components = {kind: sum(part[kind] for part in part_g.values()) for kind in COMPONENTS}
    sampling = regression.sampling_variance(difference).total
    variance = {"sampling": sampling, **errors.parts(regression, "change")}
    purposive = plan.design == "purposive" or first.survey.design in ("purposive", "none")
    flags = list(dict.fromkeys((*first.canopy.flags, *last.canopy.flags)))
    if purposive:
        flags.append("change.purposive_sample_interval_not_valid")
    return Change(
        project_id=plan.project_id,
        plan_digest=plan.digest,
        first_survey_id=first.survey.survey_id,
        last_survey_id=last.survey.survey_id,
        start=first.survey.day,
        end=last.survey.day,
        method="paired_stratified_regression",
        plots=plots,
        stock_first=estimate("first", y0, sum(stock0.values())),
        stock_last=estimate("last", y1, sum(stock1.values())),
        change=estimate("change", difference, sum(change_g.values())),
        components_g=components,
        variance_parts_g2={k: str(round_fraction(v)) for k, v in variance.items()},
        species_change_g={
            s: round_fraction(t) for s, t in errors.species_totals(regression, "change").items()
        },
        jcredit_g=jcredit_ledger(components),
        coefficients=_coefficients(by_date, {"first": y0, "last": y1, "change": difference}),
        creditable=not purposive,
        flags=tuple(flags),
        unverified=tuple(sorted({*first.inventory.unverified, *last.inventory.unverified})),
        simulated=first.survey.simulated or last.survey.simulated,
    )


def _co2(tree: TreeStock) -> int:
    return tree.co2_g


def _mean(zone: ZoneHeight) -> Fraction:
    return Fraction(zone.sum_mm, zone.valid)


def _share_out(
    regression: StratifiedRegression, kinds: Mapping[str, Density], plot: str, total_g: int
) -> dict[str, int]:
    """Parts of a plot's change: each its sample mean times area, and the canopy's correction shared by their size.

    What was found on no sample plot of a plot stays zero there. Parts sum to the total; the largest takes the rounding.
    """
    index = regression.members(plot)
    area = regression.strata[plot].area
    mean = {kind: area * sum((y[i] for i in index), Fraction(0)) / len(index) for kind, y in kinds.items()}
    size = sum((abs(v) for v in mean.values()), Fraction(0))
    correction = total_g - sum(mean.values(), Fraction(0))
    parts = {k: round_fraction(v + (correction * abs(v) / size if size else 0)) for k, v in mean.items()}
    largest = max(parts, key=lambda kind: abs(parts[kind]))
    parts[largest] += total_g - sum(parts.values())
    return parts


def _coefficients(by_date: Mapping[Key, StratifiedRegression], y: Mapping[Key, Density]) -> dict[str, str]:
    """Working models per date: g CO2e per mm² on mm of mean canopy height, with what the maps' error layer needs."""
    out: dict[str, str] = {}
    for key, regression in by_date.items():
        b0, b1 = regression.intercept(y[key]), regression.slope(y[key])
        residual = [v - b0 - b1 * x for v, x in zip(y[key], regression.x, strict=True)]
        s2 = sum((e * e for e in residual), Fraction(0)) / max(1, regression.n - 2)
        values = {"b0": b0, "b1": b1, "s2": s2, "sxx": regression.sxx, "x_bar": regression.x_bar}
        out |= {f"{key}_{name}": str(value) for name, value in values.items()}
        out[f"{key}_n"] = str(regression.n)
    return out


class _Sample:
    """Sample plots of the plan in one fixed order, and densities (per mm²) over them."""

    def __init__(self, first: Visit, last: Visit, plan: MonitoringPlan) -> None:
        self.ids = sorted(plan.sample_plots)
        self.plot_of = [plan.sample_plots[i] for i in self.ids]
        self.area = {s.sample_plot_id: s.area_mm2 for s in first.survey.sample_plots}
        self.first, self.last, self.plan = first, last, plan
        self.plot_area = {p.plot_id: p.area_mm2 for p in first.survey.plots}

    def regression(self, canopy: Canopy, later: Canopy | None = None) -> StratifiedRegression:
        plots = {z.zone_id: _mean(z) for z in canopy.plots}
        samples = {z.zone_id: _mean(z) for z in canopy.sample_plots}
        if later is not None:
            plots = {z.zone_id: _mean(z) - plots[z.zone_id] for z in later.plots}
            samples = {z.zone_id: _mean(z) - samples[z.zone_id] for z in later.sample_plots}
        strata = {
            plot: Stratum(area, plots[plot], self.plan.treatments[plot])
            for plot, area in self.plot_area.items()
        }
        return stratified_regression(strata, self.plot_of, [samples[i] for i in self.ids])

    def density(
        self,
        inventory: Inventory,
        value: Callable[[TreeStock], int],
        keep: Callable[[TreeStock], bool] = lambda _: True,
    ) -> Density:
        sums = dict.fromkeys(self.ids, 0)
        for tree in inventory.trees:
            if tree.sample_plot_id in sums and keep(tree):
                sums[tree.sample_plot_id] += value(tree)
        return [Fraction(sums[i], self.area[i]) for i in self.ids]

    def components(self) -> dict[str, Density]:
        """Change per mm² of every sample plot by what made it; the parts sum to the whole change exactly."""
        sums = {kind: dict.fromkeys(self.ids, 0) for kind in COMPONENTS}
        earlier = {(t.sample_plot_id, t.tag): t for t in self.first.inventory.trees}
        actions = self.last.survey.actions
        span = (self.first.survey.day, self.last.survey.day)
        for tree in self.last.inventory.trees:
            if tree.sample_plot_id not in self.area or tree.sample_plot_id not in sums[COMPONENTS[0]]:
                continue
            plot = self.plan.sample_plots[tree.sample_plot_id]
            done = {a.kind for a in actions if a.plot_id == plot and span[0] <= a.day < span[1]}
            before = earlier.get((tree.sample_plot_id, tree.tag))
            kind = _component(tree.status, before is not None and before.status == "alive", done)
            sums[kind][tree.sample_plot_id] += tree.co2_g - (before.co2_g if before else 0)
        return {kind: [Fraction(sums[kind][i], self.area[i]) for i in self.ids] for kind in COMPONENTS}


def _component(status: str, stood_before: bool, done: Collection[str]) -> str:
    if status == "alive":
        if stood_before:
            return "growth"
        return "replanted" if "replant" in done else "recruited"
    if status == "cut":
        return "cut" if "cut" in done or "thin" not in done else "thinned"
    return "died"
