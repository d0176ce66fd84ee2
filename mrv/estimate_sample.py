"""Sample plots of a plan in one fixed order: densities of their trees, components of change, and the canopy over them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from mrv.declared import Density
from mrv.pairing import Visit
from mrv.project import MonitoringPlan
from mrv.results import Canopy, Inventory, TreeStock, ZoneHeight

COMPONENTS = ("growth", "recruited", "replanted", "thinned", "cut", "died")


@dataclass(frozen=True)
class Frame:
    """What one estimate knows of the canopy: of every plot as a whole, and of every sample plot.

    Attributes
    ----------
    area_mm2 : mapping of plot to int
    x_mean : mapping of plot to Fraction
        Mean canopy height, or its change, mm.
    plot_of : tuple of str, length n
        Plot of each sample plot.
    x : tuple of Fraction, length n
    """

    area_mm2: Mapping[str, int]
    x_mean: Mapping[str, Fraction]
    plot_of: tuple[str, ...]
    x: tuple[Fraction, ...]

    @property
    def whole_mm2(self) -> int:
        return sum(self.area_mm2.values())

    @property
    def whole_mean(self) -> Fraction:
        """Mean over the project, plots weighted by their area."""
        total = sum((area * self.x_mean[plot] for plot, area in self.area_mm2.items()), Fraction(0))
        return total / self.whole_mm2

    def members(self, plot: str) -> list[int]:
        return [i for i, name in enumerate(self.plot_of) if name == plot]


def mean_mm(zone: ZoneHeight) -> Fraction:
    """Mean height of a zone's valid pixels, mm."""
    return Fraction(zone.sum_mm, zone.valid)


class PairedSample:
    """The plan's sample plots at both dates; every list over them is in the order of `ids`."""

    def __init__(self, first: Visit, last: Visit, plan: MonitoringPlan) -> None:
        self.ids = sorted(plan.sample_plots)
        self.plot_of = tuple(plan.sample_plots[i] for i in self.ids)
        self.area_mm2 = {s.sample_plot_id: s.area_mm2 for s in first.survey.sample_plots}
        self.first, self.last, self.plan = first, last, plan
        self.plot_area = {p.plot_id: p.area_mm2 for p in first.survey.plots}

    def frame(self, canopy: Canopy, later: Canopy | None = None) -> Frame:
        """Canopy of one date, or its change where `later` is given."""
        plots = {z.zone_id: mean_mm(z) for z in canopy.plots}
        samples = {z.zone_id: mean_mm(z) for z in canopy.sample_plots}
        if later is not None:
            plots = {z.zone_id: mean_mm(z) - plots[z.zone_id] for z in later.plots}
            samples = {z.zone_id: mean_mm(z) - samples[z.zone_id] for z in later.sample_plots}
        means = {plot: plots[plot] for plot in self.plot_area}
        return Frame(self.plot_area, means, self.plot_of, tuple(samples[i] for i in self.ids))

    def density(
        self,
        inventory: Inventory,
        value: Callable[[TreeStock], int],
        keep: Callable[[TreeStock], bool] = lambda _: True,
    ) -> Density:
        """Sum of a value of trees per mm² of sample plot."""
        sums = dict.fromkeys(self.ids, 0)
        for tree in inventory.trees:
            if tree.sample_plot_id in sums and keep(tree):
                sums[tree.sample_plot_id] += value(tree)
        return [Fraction(sums[i], self.area_mm2[i]) for i in self.ids]

    def components(self) -> dict[str, Density]:
        """Change per mm² of every sample plot by what made it; the parts sum to the whole change exactly."""
        sums = {kind: dict.fromkeys(self.ids, 0) for kind in COMPONENTS}
        earlier = {(t.sample_plot_id, t.tag): t for t in self.first.inventory.trees}
        for tree in self.last.inventory.trees:
            if tree.sample_plot_id not in self.area_mm2 or tree.sample_plot_id not in sums[COMPONENTS[0]]:
                continue
            done = self.done_in(self.plan.sample_plots[tree.sample_plot_id])
            before = earlier.get((tree.sample_plot_id, tree.tag))
            kind = _component(tree.status, before is not None and before.status == "alive", done)
            sums[kind][tree.sample_plot_id] += tree.co2_g - (before.co2_g if before else 0)
        return {kind: [Fraction(sums[kind][i], self.area_mm2[i]) for i in self.ids] for kind in COMPONENTS}

    def done_in(self, plot: str) -> set[str]:
        """What the action register says was done in a plot between the dates."""
        start, end = self.first.survey.day, self.last.survey.day
        return {a.kind for a in self.last.survey.actions if a.plot_id == plot and start <= a.day < end}

    def like(self, plot: str) -> list[int]:
        """Sample plots that tell what made a plot's change: its own; else of plots where the same was done; else of its treatment."""
        own = [i for i, name in enumerate(self.plot_of) if name == plot]
        if own:
            return own
        done, treatment = self.done_in(plot), self.plan.treatments[plot]
        same = [i for i, name in enumerate(self.plot_of) if self.done_in(name) == done]
        group = [i for i, name in enumerate(self.plot_of) if self.plan.treatments[name] == treatment]
        return same or group or list(range(len(self.ids)))


def _component(status: str, stood_before: bool, done: Collection[str]) -> str:
    if status == "alive":
        if stood_before:
            return "growth"
        return "replanted" if "replant" in done else "recruited"
    if status == "cut":
        return "cut" if "cut" in done or "thin" not in done else "thinned"
    return "died"
