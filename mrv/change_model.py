"""Stage 3, fallback: change from canopy height alone, by one model for both dates. Flagged, and never creditable."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.canopy_stock import PowerModel, change_variance, stock_g, stock_variance
from models.choose import choose_estimator
from models.estimators import DF_UNLIMITED
from mrv.errors import Problem, Refusal
from mrv.maps import cell_grid, cell_heights
from mrv.methodology.ledgers import jcredit_ledger
from mrv.project import CanopyModel, MonitoringPlan
from mrv.results import Canopy, Change, Estimate, PlotChange
from mrv.survey import Survey

FLAG = "change.canopy_model_only"


@dataclass(frozen=True)
class CanopyVisit:
    """One survey, its canopy stage, and where the canopy raster lies."""

    survey: Survey
    canopy: Canopy
    raster: Path


def estimate_change_by_model(first: CanopyVisit, last: CanopyVisit, plan: MonitoringPlan) -> Change:
    """Change of stock of surveys without sample plots, by the plan's canopy model.

    Raises
    ------
    Refusal
        If the plan declares no canopy model.
    """
    if plan.canopy_model is None:
        raise Refusal([_no_model(plan)])
    model = power_model(plan.canopy_model)
    plots = []
    heights: list[tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]] = []
    for k, plot in enumerate(first.survey.plots):
        cells = cell_grid(first.canopy, plan.cell_mm)
        found = [
            cell_heights(v.canopy, v.raster, (v.survey.plots[k],), plan.cell_mm, cells) for v in (first, last)
        ]
        both = (found[0].pixels > 0) & (found[1].pixels > 0)
        h0, h1 = (f.mean_mm[both] / 1000.0 for f in found)
        pixels = found[0].pixels[both]
        area = pixels.astype(np.float64) * (plot.area_mm2 / 1e6 / max(1, int(pixels.sum())))
        heights.append((h0, h1, area))
        stocks = stock_g(model, h0, area), stock_g(model, h1, area)
        variance = sum(change_variance(model, h0, h1, area).values())
        plots.append(
            PlotChange(
                plot_id=plot.plot_id,
                name=plot.name,
                area_mm2=plot.area_mm2,
                species=plot.species,
                treatment=plot.treatment,
                sample_plots=0,
                canopy_first_mm=round(1000 * float(np.average(h0, weights=area))),
                canopy_last_mm=round(1000 * float(np.average(h1, weights=area))),
                stock_first=_estimate(int(stocks[0].sum()), stock_variance(model, h0, area)),
                stock_last=_estimate(int(stocks[1].sum()), stock_variance(model, h1, area)),
                change=_estimate(int(stocks[1].sum() - stocks[0].sum()), variance),
                components_g={"canopy_model": int(stocks[1].sum() - stocks[0].sum())},
            )
        )
    h0, h1, area = (np.concatenate([h[i] for h in heights]) for i in range(3))
    parts = change_variance(model, h0, h1, area)
    total = sum(p.change.total_g for p in plots)
    choice = choose_estimator("none", 0)
    return Change(
        project_id=plan.project_id,
        plan_digest=plan.digest,
        first_survey_id=first.survey.survey_id,
        last_survey_id=last.survey.survey_id,
        start=first.survey.day,
        end=last.survey.day,
        method="canopy_model",
        plots=tuple(plots),
        stock_first=_estimate(sum(p.stock_first.total_g for p in plots), stock_variance(model, h0, area)),
        stock_last=_estimate(sum(p.stock_last.total_g for p in plots), stock_variance(model, h1, area)),
        change=_estimate(total, sum(parts.values())),
        components_g={"canopy_model": total},
        variance_parts_g2={k: str(round(v)) for k, v in parts.items()},
        species_change_g={},
        jcredit_g=jcredit_ledger({}),
        coefficients={},
        creditable=False,
        flags=(FLAG, *dict.fromkeys((*first.canopy.flags, *last.canopy.flags))),
        unverified=() if plan.canopy_model.verified else (f"canopy model: {plan.canopy_model.source}",),
        simulated=first.survey.simulated or last.survey.simulated,
        design="none",
        estimator=choice.estimator,
        interval_valid=choice.interval_valid,
        reason_en=choice.reason_en,
        reason_ja=choice.reason_ja,
    )


def power_model(declared: CanopyModel) -> PowerModel:
    """The plan's canopy model in the units of `models.canopy_stock`."""
    return PowerModel(
        scale=float(declared.scale_g_m2),
        power=float(declared.power),
        scale_cv=declared.scale_cv_ppm / 1e6,
        power_sd=declared.power_sd_ppm / 1e6,
        residual_sd=float(declared.residual_sd_g_m2),
        correlation_range_m=float(declared.correlation_range_m),
        height_bias_m=declared.canopy_height_bias_um / 1e6,
    )


def _estimate(total_g: int, variance_g2: float) -> Estimate:
    return Estimate(total_g, int(np.ceil(np.sqrt(variance_g2))), DF_UNLIMITED)


def _no_model(plan: MonitoringPlan) -> Problem:
    return Problem(
        code="change.nothing_to_estimate_from",
        where=plan.project_id,
        expected_en="permanent, tagged sample plots, or a canopy model in the monitoring plan",
        expected_ja="恒久・タグ付き標準地、または計画に記した樹冠モデル",
        got_en="neither",
        got_ja="いずれもなし",
        todo_en="Measure sample plots; a canopy model gives a figure to read, but never a credit.",
        todo_ja="標準地を計測してください。樹冠モデルによる値は参考値で、クレジットにはなりません。",
    )
