"""From stage results to one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from apps.look import wording
from apps.look.pages import Tongue, environment
from apps.look.wording import Text
from apps.report import figures
from apps.report.maps import (
    MapImage,
    MapLayer,
    MapStyle,
    Rings,
    difference,
    draw_map,
    read_flags,
    read_layer,
    value_limits,
)
from mrv.coverage import CHANGE, FIRST, LAST, NODATA_FLAG, ModelCoverage
from mrv.errors import ClaimRefused
from mrv.maps import RANGE_MAP
from mrv.monte_carlo import ChangeCheck
from mrv.pair_shift import PairShift
from mrv.project import MonitoringPlan, Project
from mrv.results import Change, Claim, HeightCurve

STYLES: Mapping[str, MapStyle] = {
    "canopy_first": MapStyle(Text("Canopy height, first date", "樹冠高（1回目）"), "m", 1000, "YlGn"),
    "canopy_last": MapStyle(Text("Canopy height, last date", "樹冠高（2回目）"), "m", 1000, "YlGn"),
    "canopy_change": MapStyle(
        Text("Change of canopy height", "樹冠高の変化"), "m", 1000, "BrBG", signed=True
    ),
    "co2_first": MapStyle(Text("Carbon stock, first date", "炭素蓄積（1回目）"), "t CO2e/ha", 1000, "YlGnBu"),
    "co2_last": MapStyle(Text("Carbon stock, last date", "炭素蓄積（2回目）"), "t CO2e/ha", 1000, "YlGnBu"),
    "co2_last_se": MapStyle(
        Text("Standard error of that stock", "蓄積（2回目）の標準誤差"), "t CO2e/ha", 1000, "Purples"
    ),
    "co2_change": MapStyle(
        Text("Change of carbon stock", "炭素蓄積の変化"), "t CO2e/ha", 1000, "BrBG", signed=True
    ),
    "co2_change_se": MapStyle(
        Text("Standard error of that change", "変化の標準誤差"), "t CO2e/ha", 1000, "Purples"
    ),
    RANGE_MAP: MapStyle(
        Text("Cells beyond what the sample plots show", "標準地の範囲を外れるセル"),
        "",
        1,
        "YlOrRd",
        legend="red: beyond / 赤: 範囲外",
    ),
}
STANDARD_ERRORS = {"co2_last_se", "co2_change_se"}
BEYOND = FIRST | LAST | CHANGE
SAME_SCALE = (("canopy_first", "canopy_last"), ("co2_first", "co2_last"))


@dataclass(frozen=True)
class ReportInputs:
    """Everything a report is made of.

    Attributes
    ----------
    claim : Claim or ClaimRefused
        What was asked for, or why nothing may be asked for.
    outlines : mapping of plot id to rings
        Plot polygons, whole millimetres in the survey's plane CRS.
    maps : mapping of str to Path
        Rasters of the pipeline under any of the keys of `STYLES` (canopy in int32 mm, CO2e in kg/ha); ``canopy_change`` is
        made here when both dates are on one grid.
    truth_g : mapping of plot id to int, or None
        True change of a simulated site, g CO2e; shown beside the estimate, never used.
    check : ChangeCheck or None
        All errors drawn, where that was done.
    ranges : ModelCoverage or None
        Over which cells the maps extrapolate.
    shift : PairShift or None
        How far one canopy lies beside the other.
    curves : tuple of HeightCurve
        Where heights were not all measured.
    batch_id, evidence_root : str or None
        Once issued.
    """

    project: Project
    plan: MonitoringPlan
    change: Change
    claim: Claim | ClaimRefused
    outlines: Mapping[str, Rings] = field(default_factory=dict)
    maps: Mapping[str, Path] = field(default_factory=dict)
    truth_g: Mapping[str, int] | None = None
    check: ChangeCheck | None = None
    ranges: ModelCoverage | None = None
    shift: PairShift | None = None
    curves: tuple[HeightCurve, ...] = ()
    batch_id: str | None = None
    evidence_root: str | None = None
    verify_command: str = "satoyama verify evidence.zip --no-chain"

    @property
    def simulated(self) -> bool:
        return self.project.simulated or self.change.simulated


def draw_maps(sources: Mapping[str, Path], outlines: Mapping[str, Rings]) -> tuple[MapImage, ...]:
    """Draw every raster given, in the order of `STYLES`."""
    layers: dict[str, MapLayer] = {
        key: read_flags(path, BEYOND, NODATA_FLAG)
        if key == RANGE_MAP
        else read_layer(path, STYLES[key].divisor)
        for key, path in sources.items()
        if key in STYLES
    }
    if "canopy_change" not in layers and {"canopy_first", "canopy_last"} <= layers.keys():
        change = difference(layers["canopy_last"], layers["canopy_first"])
        if change is not None:
            layers["canopy_change"] = change
    limits = {key: value_limits([layer], STYLES[key].signed) for key, layer in layers.items()}
    for key in layers.keys() & STANDARD_ERRORS:
        # Standard errors hardly differ from cell to cell: room above them keeps the colours light.
        limits[key] = (0.0, 1.6 * limits[key][1])
    if RANGE_MAP in limits:
        limits[RANGE_MAP] = (0.0, 1.5)
    for pair in SAME_SCALE:
        if set(pair) <= layers.keys():
            limits.update(dict.fromkeys(pair, value_limits([layers[k] for k in pair], signed=False)))
    return tuple(
        draw_map(key, layers[key], style, outlines, limits[key])
        for key, style in STYLES.items()
        if key in layers
    )


def policy_text(plan: MonitoringPlan) -> Text:
    template = wording.word(wording.POLICIES, plan.deduction_policy)
    p = wording.probability(plan.confidence_ppm)
    return Text(template.en.replace("{p}", p), template.ja.replace("{p}", p))


def view_of(inputs: ReportInputs) -> dict[str, Any]:
    """What the template reads: figures with intervals, bars, wording."""
    change, plan = inputs.change, inputs.plan
    coverage = plan.interval_ppm
    rows, axis = figures.interval_rows(change.plots, coverage, inputs.truth_g)
    components, component_axis = figures.component_rows(change.plots)
    claim = inputs.claim if isinstance(inputs.claim, Claim) else None
    truth = None if inputs.truth_g is None else sum(inputs.truth_g[p.plot_id] for p in change.plots)
    area = sum(p.area_mm2 for p in change.plots)
    years = (change.end - change.start).days / 365.25
    return {
        "r": inputs,
        "project": inputs.project,
        "plan": plan,
        "change": change,
        "claim": claim,
        "reasons": inputs.claim.reasons if isinstance(inputs.claim, ClaimRefused) else (),
        "coverage": wording.percent_of_ppm(coverage),
        "interval": figures.interval_g(change.change, coverage),
        "stocks": [(s, figures.interval_g(s, coverage)) for s in (change.stock_first, change.stock_last)],
        "rows": rows,
        "axis": axis,
        "components": list(zip(change.plots, components, strict=True)),
        "component_axis": component_axis,
        "component_totals": wording.in_order(change.components_g, wording.COMPONENTS),
        "jcredit": wording.in_order(change.jcredit_g, wording.JCREDIT),
        "variance": figures.variance_bars(change),
        "steps": figures.steps_of_claim(claim) if claim else (),
        "truth_total": truth,
        "truth_z": None
        if truth is None or not change.change.se_g
        else (change.change.total_g - truth) / change.change.se_g,
        "area_mm2": area,
        "years": years,
        "yearly": change.change.total_g / years / (area / 1e10) if years > 0 and area else None,
        "sample_plots": sum(p.sample_plots for p in change.plots),
        "method": wording.word(wording.METHODS, change.method),
        "policy": policy_text(plan),
        "check": inputs.check,
        "curves": [c for c in inputs.curves if c.filled],
        "small_areas": [(p, p.small_area) for p in change.plots if p.small_area is not None],
        "reason": wording.Text(change.reason_en, change.reason_ja),
        "drawn_parts": figures.drawn_bars(inputs.check) if inputs.check else (),
        "flags": [(f, wording.word(wording.FLAGS, f)) for f in change.flags],
    }


def render_report(inputs: ReportInputs, path: Path, tongue: Tongue = "both") -> Path:
    """Write the report as one HTML file that needs nothing beside it.

    Parameters
    ----------
    tongue : {"en", "ja", "both"}
        One language, or both with a switch at the top.
    """
    template = environment(tongue, "apps.report").get_template("report.html")
    html = template.render(**view_of(inputs), maps=draw_maps(inputs.maps, inputs.outlines))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return path
