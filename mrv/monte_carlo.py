"""A second opinion on a change: all errors drawn from tree to project, beside their closed form and the error that was credited.

It changes no claim. It carries what the plan's declared errors leave out (trees measured one by one, sample plots that lie beside
where they are mapped, a canopy raster that is shifted), and says how far that moves the standard error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.monte_carlo import KEYS, Draws, Errors, Sampling, TreeDate, Trees, simulate
from models.monte_carlo_twin import analytic_variance, independent_variance
from mrv.canopy_slopes import Slopes
from mrv.errors import Problem, Refusal
from mrv.pairing import Visit
from mrv.project import MonitoringPlan, Project
from mrv.results import Change, TreeStock, ZoneHeight, digest_result
from mrv.tables import Tables

PPM = 1e6
_BY_PLOT, _WHOLE = "paired_stratified_regression", "paired_regression"
G_PER_KG = 1000
MM2_PER_M2 = 1e6
# Beyond this the draws and their closed form are said to disagree.
AGREE_WITHIN = 0.1
_F = NDArray[np.float64]


@dataclass(frozen=True)
class DrawnErrors:
    """Errors drawn besides those of the monitoring plan; all are standard deviations.

    Attributes
    ----------
    tree_dbh_um, tree_dbh_ppm : int
        Error of one diameter: a fixed part, and a part of the diameter.
    tree_height_ppm : int
        Error of one height, part of the height.
    tree_residual_ppm : int
        What one tree differs from its volume equation by, the same at both dates.
    gnss_um : int
        Sample plot beside where it is mapped, per axis, the same at both dates.
    coregistration_um : int
        Canopy raster of a date shifted as a whole, per axis.
    assumed : bool
        True where nobody measured these for the survey; the check says so.
    """

    tree_dbh_um: int
    tree_dbh_ppm: int
    tree_height_ppm: int
    tree_residual_ppm: int
    gnss_um: int
    coregistration_um: int
    assumed: bool


ASSUMED_ERRORS = DrawnErrors(904, 6_200, 50_000, 100_000, 2_000_000, 500_000, assumed=True)
"""Diameter: the ordinary 95 % of Chave et al. 2004 (0.0062 D + 0.0904 cm), tropical. The others are assumed, for want of a survey's own."""


@dataclass(frozen=True)
class ChangeCheck:
    """What the draws say of a change. Grams CO2e, rounded up to the kilogram.

    Attributes
    ----------
    drawn_se_g, closed_form_se_g : mapping of ``first``, ``last``, ``change`` to int
    credited_se_g : int
        Standard error that the claim deducts.
    low_g, high_g : int
        5 % and 95 % quantile of the drawn change.
    correlation_ppm : int
        Correlation of the errors of both stocks, millionths.
    variance_parts_g2 : mapping of str to str
        Closed-form variance of the change by source, six significant digits, decimal text.
    flags : tuple of str
        ``check.errors_assumed``, ``check.canopy_shift_left_out``, ``check.height_curve_left_out``, ``check.draws_disagree_with_closed_form``,
        ``check.larger_than_credited`` (by over a tenth).
    """

    iterations: int
    drawn_se_g: Mapping[str, int]
    closed_form_se_g: Mapping[str, int]
    credited_se_g: int
    low_g: int
    high_g: int
    correlation_ppm: int
    variance_parts_g2: Mapping[str, str]
    errors: DrawnErrors
    flags: tuple[str, ...]


def check_change(
    first: Visit,
    last: Visit,
    plan: MonitoringPlan,
    change: Change,
    project: Project,
    tables: Tables,
    *,
    errors: DrawnErrors = ASSUMED_ERRORS,
    slopes: tuple[Slopes, Slopes] | None = None,
    iterations: int = 4_000,
    threads: int = 1,
) -> ChangeCheck:
    """Draw the errors of a change that `mrv.change.estimate_change` made; the draws are keyed on its digest.

    Parameters
    ----------
    slopes : pair of mappings, optional
        `mrv.canopy_slopes.canopy_slopes` of both dates; without them shifts of sample plots and rasters are left out, and a flag says so.

    Raises
    ------
    Refusal
        If a survey has no tree list, or the change was made by a canopy model.
    """
    _check(first, last, change)
    trees = _trees(first, last, plan, project, tables)
    drawn = _errors(first, last, plan, errors, trees, with_shift=slopes is not None)
    sampling = _sampling(first, last, plan, trees, slopes)
    groups = [plan.treatments[p.plot_id] for p in first.survey.plots]
    if change.method == _WHOLE:
        sampling, groups = _one_stratum(sampling), ["project"]
    residual = _residual_cov(sampling, trees, groups)
    share = independent_variance(trees, sampling, drawn)
    sampling = replace(sampling, residual_cov=_net(residual, share, sampling.stratum))
    draws = simulate(trees, sampling, drawn, digest_result(change), iterations, threads=threads)
    parts = analytic_variance(trees, sampling, drawn)
    closed = {key: sum(parts[key].values()) ** 0.5 for key in KEYS}
    low, high = draws.quantiles_g("change")
    return ChangeCheck(
        iterations=iterations,
        drawn_se_g={key: whole_kg(draws.sd_g(key)) for key in KEYS},
        closed_form_se_g={key: whole_kg(value) for key, value in closed.items()},
        credited_se_g=change.change.se_g,
        low_g=whole_kg(low),
        high_g=whole_kg(high),
        correlation_ppm=round(draws.correlation() * PPM),
        variance_parts_g2={name: six_digits(value) for name, value in parts["change"].items()},
        errors=errors,
        flags=check_flags(draws, closed["change"], change, errors, slopes is not None),
    )


def _mean_mm(zone: ZoneHeight) -> float:
    return zone.sum_mm / zone.valid


def whole_kg(grams: float) -> int:
    """Grams rounded up to the kilogram, so that the last bits of a processor do not show."""
    return ceil(grams / G_PER_KG) * G_PER_KG


def six_digits(variance_g2: float) -> str:
    """Six significant digits as whole decimal text, for the same reason."""
    return f"{float(f'{variance_g2:.5e}'):.0f}"


def check_from_doc(doc: Mapping[str, Any]) -> ChangeCheck:
    """A check as `mrv.results.to_doc` wrote it."""
    return ChangeCheck(**{**doc, "errors": DrawnErrors(**doc["errors"]), "flags": tuple(doc["flags"])})


def can_check(change: Change) -> bool:
    """Whether errors can be drawn of a change: by a regression in which sample plots of one stratum count alike."""
    return change.method in (_BY_PLOT, _WHOLE)


def _check(first: Visit, last: Visit, change: Change) -> None:
    without = [v.survey.survey_id for v in (first, last) if v.survey.trees is None]
    if not without and can_check(change):
        return
    raise Refusal(
        [
            Problem(
                code="check.no_trees",
                where=", ".join(without) or change.project_id,
                expected_en="tree lists at both dates and a change made from sample plots that count alike",
                expected_ja="両時点の毎木調査票と、等しい重みの標準地から求めた変化量",
                got_en="no tree list" if without else change.method,
                got_ja="毎木調査票なし" if without else change.method,
                todo_en="Measure sample plots; errors of trees cannot be drawn without trees.",
                todo_ja="標準地を計測してください。立木がなければ立木の誤差は扱えません。",
            )
        ]
    )


def check_flags(
    draws: Draws, closed_g: float, change: Change, errors: DrawnErrors, shifted: bool
) -> tuple[str, ...]:
    """What a reader of the check must know, as `ChangeCheck.flags`; `closed_g` is the closed-form standard error of the change."""
    sd = draws.sd_g("change")
    raised = {
        "check.errors_assumed": errors.assumed,
        "check.canopy_shift_left_out": not shifted,
        "check.height_curve_left_out": int(change.variance_parts_g2.get("height_curve", "0")) > 0,
        "check.draws_disagree_with_closed_form": abs(sd - closed_g) > AGREE_WITHIN * closed_g,
        "check.larger_than_credited": sd > (1.0 + AGREE_WITHIN) * change.change.se_g,
    }
    return tuple(name for name, is_so in raised.items() if is_so)


def _order(first: Visit, plan: MonitoringPlan) -> list[str]:
    """Sample plots by plot, in the survey's order of plots."""
    position = {p.plot_id: k for k, p in enumerate(first.survey.plots)}
    return sorted(plan.sample_plots, key=lambda s: (position[plan.sample_plots[s]], s))


def _trees(first: Visit, last: Visit, plan: MonitoringPlan, project: Project, tables: Tables) -> Trees:
    position = {s: k for k, s in enumerate(_order(first, plan))}
    by_date = [
        {(t.sample_plot_id, t.tag): t for t in v.inventory.trees if t.sample_plot_id in position}
        for v in (first, last)
    ]
    every = {**by_date[0], **by_date[1]}
    species = {name: k for k, name in enumerate(sorted({t.species for t in every.values()}))}
    keys = sorted(every, key=lambda k: (position[k[0]], species[every[k].species], k[1]))
    bare = sorted(set(position) - {k[0] for k in keys})
    dates = [_date(found, keys, project, tables, len(bare)) for found in by_date]
    plot = np.array([position[k[0]] for k in keys] + [position[s] for s in bare], dtype=np.int64)
    kind = np.array([species[every[k].species] for k in keys] + [0] * len(bare), dtype=np.int64)
    order = np.argsort(plot, kind="stable")
    first_date, last_date = (TreeDate(**{n: v[order] for n, v in vars(d).items()}) for d in dates)
    return Trees(plot[order], kind[order], first_date, last_date)


def _date(
    found: Mapping[tuple[str, str], TreeStock],
    keys: Sequence[tuple[str, str]],
    project: Project,
    tables: Tables,
    bare: int,
) -> TreeDate:
    """Trees in the order of `keys`, then one row of nothing for each sample plot without any."""
    n = len(keys)
    stock, dbh, height, by_d, by_h = np.zeros((5, n + bare))
    dbh[:], height[:] = 1.0, 1.0
    for i, key in enumerate(keys):
        tree = found.get(key)
        if tree is None or tree.co2_g <= 0:
            continue
        d, h = np.array([tree.dbh_mm]), np.array([tree.height_mm])
        classes = tables.equation_set(project.prefecture, tree.species).classes
        equation = next(c for c in classes if c.id == tree.equation)
        power_d, power_h = equation.powers(d, h)
        stock[i], dbh[i], height[i] = tree.co2_g, d[0] / 10.0, h[0] / 1000.0
        by_d[i], by_h[i] = power_d[0], power_h[0]
    return TreeDate(stock, dbh, height, by_d, by_h)


def _errors(
    first: Visit, last: Visit, plan: MonitoringPlan, errors: DrawnErrors, trees: Trees, with_shift: bool
) -> Errors:
    names = sorted(
        {t.species for v in (first, last) for t in v.inventory.trees if t.sample_plot_id in plan.sample_plots}
    )
    cv = np.array([plan.declared.shared_factor_cv_ppm[name] for name in names]) / PPM
    dbh = np.stack([trees.first.dbh_cm, trees.last.dbh_cm])
    return Errors(
        factor_cv={"shared": cv},
        height_bias_m=plan.declared.field_height_bias_um / PPM,
        dbh_bias_cm=plan.declared.field_dbh_bias_um / 1e4,
        tree_dbh_cv=errors.tree_dbh_ppm / PPM + errors.tree_dbh_um / 1e4 / dbh,
        tree_height_cv=np.full(dbh.shape, errors.tree_height_ppm / PPM),
        tree_residual_cv=errors.tree_residual_ppm / PPM,
        coregistration_m=errors.coregistration_um / PPM if with_shift else 0.0,
        gnss_m=errors.gnss_um / PPM if with_shift else 0.0,
    )


def _sampling(
    first: Visit, last: Visit, plan: MonitoringPlan, trees: Trees, slopes: tuple[Slopes, Slopes] | None
) -> Sampling:
    samples, plots = _order(first, plan), [p.plot_id for p in first.survey.plots]
    area = {s.sample_plot_id: s.area_mm2 for s in first.survey.sample_plots}
    canopies = (first.canopy, last.canopy)
    sample_m = [{z.zone_id: _mean_mm(z) / 1000.0 for z in c.sample_plots} for c in canopies]
    plot_m = [{z.zone_id: _mean_mm(z) / 1000.0 for z in c.plots} for c in canopies]

    def slope(zones: Sequence[str]) -> _F:
        if slopes is None:
            return np.zeros((2, len(zones), 2))
        return np.array([[date[zone] for zone in zones] for date in slopes])

    return Sampling(
        stratum=np.array([plots.index(plan.sample_plots[s]) for s in samples], dtype=np.int64),
        sample_area_m2=np.array([area[s] for s in samples]) / MM2_PER_M2,
        stratum_area_m2=np.array([p.area_mm2 for p in first.survey.plots]) / MM2_PER_M2,
        canopy_m=np.array([[date[s] for s in samples] for date in sample_m]),
        stratum_canopy_m=np.array([[date[p] for p in plots] for date in plot_m]),
        canopy_slope=slope(samples),
        stratum_canopy_slope=slope(plots),
        residual_cov=np.zeros((len(samples), 3, 3)),
    )


def _one_stratum(by_plot: Sampling) -> Sampling:
    """The same sample plots as one sample of the whole project, as `mrv.estimate_design.OverProject` has it."""
    area = by_plot.stratum_area_m2
    share = area / area.sum()
    return replace(
        by_plot,
        stratum=np.zeros_like(by_plot.stratum),
        stratum_area_m2=area.sum(keepdims=True),
        stratum_canopy_m=(by_plot.stratum_canopy_m * share).sum(axis=1, keepdims=True),
        stratum_canopy_slope=(by_plot.stratum_canopy_slope * share[:, None]).sum(axis=1, keepdims=True),
    )


def _residual_cov(sampling: Sampling, trees: Trees, group_of: Sequence[str]) -> _F:
    """Residual covariance within strata of both stocks and of the change, pooled by group as `models.estimators` does."""
    plots = sampling.stratum.size
    y = [
        np.bincount(trees.sample_plot, d.stock_g, plots) / sampling.sample_area_m2
        for d in (trees.first, trees.last)
    ]
    x0, x1 = sampling.canopy_m
    residuals = np.stack(
        [_residual(sampling.stratum, *pair) for pair in ((x0, y[0]), (x1, y[1]), (x1 - x0, y[1] - y[0]))]
    )
    groups = np.array([group_of[h] for h in sampling.stratum])
    within = plots - len(group_of)
    out = np.empty((plots, 3, 3))
    for group in sorted(set(group_of)):
        mine = groups == group
        e = residuals[:, mine]
        freedom = int(mine.sum()) - sum(g == group for g in group_of)
        products = (e[:, None, :] * e[None, :, :]).sum(axis=2)
        out[mine] = products / freedom * within / (within - 1)
    return out


def _residual(stratum: NDArray[np.int64], x: _F, y: _F) -> _F:
    from_mean = x - x.mean()
    sxx = float((from_mean**2).sum())
    e = y - (float((from_mean * y).sum()) / sxx if sxx else 0.0) * x
    return np.asarray(e - (np.bincount(stratum, e) / np.bincount(stratum))[stratum])


def _net(residual_cov: _F, share: _F, stratum: NDArray[np.int64]) -> _F:
    """Residuals less what is drawn apart (trees' measurement, location), so that nothing counts twice.

    The share is pooled over all sample plots that have the same residual variance; correlations between dates stay.
    """
    diagonal = np.einsum("pii->pi", residual_cov)
    pooled = np.empty_like(share)
    for row in np.unique(diagonal, axis=0):
        mine = (diagonal == row).all(axis=1)
        pooled[mine] = share[mine].mean(axis=0)
    left = 1.0 - np.divide(pooled, diagonal, out=np.ones_like(pooled), where=diagonal > 0)
    scale = np.sqrt(np.maximum(left, 0.0))
    return np.asarray(residual_cov * scale[:, :, None] * scale[:, None, :])
