"""Declared errors: variance that no sample can show, carried through an estimator's linear weights, in exact fractions.

Every part is the square of a total of the same estimator: of the stock of one species times its declared relative error, or of
the derivative of all stocks by height or diameter times the declared bias. Parts are independent of each other and add up.

Heights that came from a height-diameter curve share the error of that curve, which no residual of a sample plot shows. It is carried
the same way: what leaving out one sample plot does to the coefficients, times how the total hangs on them; squares over sample plots
sum to the variance (the jackknife by clusters). Both dates move together, since the same sample plots fitted both curves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, Protocol

from mrv.project import DeclaredErrors
from mrv.results import Inventory, TreeStock

Key = Literal["first", "last", "change"]
Date = Literal["first", "last"]
Density = list[Fraction]
DATES: tuple[Date, Date] = ("first", "last")
PPM = 1_000_000
UM_PER_M = 1_000_000
UM_PER_CM = 10_000


class LinearEstimator(Protocol):
    """Whatever estimates totals by weights that do not depend on y."""

    def total(self, y: Sequence[Fraction], plot: str | None = None) -> Fraction:
        """Total of densities `y` (per mm², one per sample plot) over one managed plot, or over the project where None."""
        ...


class DensityOf(Protocol):
    """Sums of a value of trees per mm² of sample plot, in the order of the estimator's sample plots."""

    def __call__(
        self,
        inventory: Inventory,
        value: Callable[[TreeStock], int],
        keep: Callable[[TreeStock], bool] = ...,
    ) -> Density: ...


@dataclass(frozen=True)
class DeclaredVariance:
    """Densities that the declared errors act on, per sample plot.

    Attributes
    ----------
    species : mapping of species to mapping of date to list of Fraction
        g CO2e per mm² of each species at each date.
    per_metre, per_cm : mapping of date to list of Fraction
        How g CO2e per mm² would differ were all trees 1 m taller, or 1 cm thicker.
    curves : tuple of CurveSlope
        Empty where all heights were measured.
    """

    declared: DeclaredErrors
    species: Mapping[str, Mapping[Date, Density]]
    per_metre: Mapping[Date, Density]
    per_cm: Mapping[Date, Density]
    curves: tuple[CurveSlope, ...] = ()

    def species_totals(
        self, estimator: LinearEstimator, key: Key, plot: str | None = None
    ) -> dict[str, Fraction]:
        """Stock (``first``, ``last``) or change of every species, g."""
        return {name: estimator.total(_values(y, key), plot) for name, y in self.species.items()}

    def parts(self, estimator: LinearEstimator, key: Key, plot: str | None = None) -> dict[str, Fraction]:
        """Variance by source, g²: factors shared by a species at both dates; height and diameter biases of each date; and, where
        heights came from curves, the error of those."""
        shared = Fraction(0)
        for name, total in self.species_totals(estimator, key, plot).items():
            shared += (total * Fraction(self.declared.shared_factor_cv_ppm[name], PPM)) ** 2
        dates = DATES if key == "change" else (key,)
        height = sum((estimator.total(self.per_metre[d], plot) ** 2 for d in dates), Fraction(0))
        dbh = sum((estimator.total(self.per_cm[d], plot) ** 2 for d in dates), Fraction(0))
        parts = {
            "shared_factors": shared,
            "field_height_bias": height * Fraction(self.declared.field_height_bias_um, UM_PER_M) ** 2,
            "field_dbh_bias": dbh * Fraction(self.declared.field_dbh_bias_um, UM_PER_CM) ** 2,
        }
        return {**parts, "height_curve": self._curve_variance(estimator, key, plot)} if self.curves else parts

    def _curve_variance(self, estimator: LinearEstimator, key: Key, plot: str | None) -> Fraction:
        moved: dict[str, Fraction] = {}
        for slope in self.curves:
            if key not in (slope.date, "change"):
                continue
            total = estimator.total(slope.density, plot) * (
                -1 if (key, slope.date) == ("change", "first") else 1
            )
            for sample_plot_id, displacement in slope.displacements.items():
                moved[sample_plot_id] = moved.get(sample_plot_id, Fraction(0)) + total * displacement
        return sum((m**2 for m in moved.values()), Fraction(0))

    def variance(self, estimator: LinearEstimator, key: Key, plot: str | None = None) -> Fraction:
        """Sum of all parts, g²."""
        return sum(self.parts(estimator, key, plot).values(), Fraction(0))


@dataclass(frozen=True)
class CurveSlope:
    """How totals hang on one coefficient of one species' height-diameter curve of one date.

    Attributes
    ----------
    date : str
        Of the trees, which may rest on a curve of the first date at the last.
    density : list of Fraction
        g CO2e per mm² per unit of the coefficient.
    displacements : mapping of sample plot to Fraction
        How the coefficient moves were that sample plot left out.
    """

    date: Date
    density: Density
    displacements: Mapping[str, Fraction]


def declared_variance(
    first: Inventory, last: Inventory, density: DensityOf, declared: DeclaredErrors
) -> DeclaredVariance:
    """Declared errors of two inventories of the same sample plots.

    Parameters
    ----------
    density : callable
        Sums trees of an inventory to densities per sample plot, in the estimator's order.
    """
    inventories: dict[Date, Inventory] = {"first": first, "last": last}
    names = sorted({t.species for inventory in inventories.values() for t in inventory.trees})
    return DeclaredVariance(
        declared,
        {name: {d: density(i, _co2, _is(name)) for d, i in inventories.items()} for name in names},
        {d: density(i, lambda t: t.co2_per_m_height_g) for d, i in inventories.items()},
        {d: density(i, lambda t: t.co2_per_cm_dbh_g) for d, i in inventories.items()},
        tuple(_curve_slopes(inventories, density)),
    )


def _curve_slopes(inventories: Mapping[Date, Inventory], density: DensityOf) -> Iterator[CurveSlope]:
    """Every coefficient of every curve that a tree rests on."""
    for date, inventory in inventories.items():
        for curve in inventory.curves:
            own = curve.basis == "standing"
            for k in range(len(curve.coefficients)):
                y = density(inventory, _slope(k, own), _is(curve.species))
                yield CurveSlope(date, y, {s: Fraction(d[k]) for s, d in curve.displacements.items()})


def _slope(k: int, own: bool) -> Callable[[TreeStock], int]:
    def value(tree: TreeStock) -> int:
        slopes = tree.curve_slopes_g if own else tree.first_curve_slopes_g
        return slopes[k] if slopes else 0

    return value


def _values(y: Mapping[Date, Density], key: Key) -> Density:
    if key == "change":
        return [b - a for a, b in zip(y["first"], y["last"], strict=True)]
    return y[key]


def _co2(tree: TreeStock) -> int:
    return tree.co2_g


def _is(species: str) -> Callable[[TreeStock], bool]:
    return lambda tree: tree.species == species
