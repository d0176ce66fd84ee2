"""How the demo speaks: steps with their time, a table of truth beside estimate, and a summary for a co-op's secretary."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.look.wording import COMPONENTS, in_order
from mrv.methodology.deduction import half_width_g
from mrv.results import Change, Estimate


class Teller:
    """Prints progress; every step carries the seconds since the start."""

    def __init__(self, started: float) -> None:
        self._started = started
        self._number = 0

    def plain(self, text: str) -> None:
        print(text, flush=True)

    def title(self, text: str) -> None:
        self.plain(f"\n{text}\n")

    def step(self, text: str) -> None:
        self._number += 1
        self.plain(f"[{self._number:2d}] {time.monotonic() - self._started:5.1f} s  {text}")

    def note(self, text: str) -> None:
        self.plain(f"               {text}")

    def fail(self, *texts: str) -> None:
        for text in texts:
            print(f"               REFUSED: {text}", file=sys.stdout, flush=True)


def change_table(change: Change, truth_g: Mapping[str, int]) -> list[str]:
    """Estimate, interval, truth and z of every plot and of the project, tonnes CO2e."""
    head = f"    {'plot':6s}{'area ha':>9s}{'estimate':>11s}{'90 % interval':>22s}{'truth':>10s}{'z':>7s}   t CO2e, SIMULATED"
    lines = [head]
    for p in change.plots:
        lines.append(_row(p.plot_id, p.area_mm2 / 1e10, p.change, truth_g[p.plot_id]))
    area = sum(p.area_mm2 for p in change.plots) / 1e10
    lines.append(_row("all", area, change.change, sum(truth_g.values())))
    found = in_order(change.components_g, COMPONENTS)
    parts = ", ".join(f"{COMPONENTS[kind].en} {grams / 1e6:+,.0f}" for kind, grams in found.items() if grams)
    lines.append(f"    made of: {parts} t CO2e")
    return lines


def _row(name: str, area_ha: float, estimate: Estimate, truth_g: int) -> str:
    half = half_width_g(estimate)
    low, high = (estimate.total_g - half) / 1e6, (estimate.total_g + half) / 1e6
    z = (estimate.total_g - truth_g) / estimate.se_g
    interval = f"{low:,.1f} … {high:,.1f}"
    return f"    {name:6s}{area_ha:9.2f}{estimate.total_g / 1e6:11,.1f}{interval:>22s}{truth_g / 1e6:10,.1f}{z:+7.2f}"


def secretary_summary(summary: Mapping[str, Any], out: Path) -> list[str]:
    """The outcome in words for people who run a co-op."""
    unit = 10**6

    def yen(base: int) -> str:
        return f"¥{base // unit:,}"

    t = {k: v / 1000 for k, v in summary.items() if k.endswith(("_kg", "_co2e")) and isinstance(v, int)}
    command = os.path.relpath(Path(sys.executable).parent / "satoyama")
    ok = summary["verify_ok"] and summary["recomputed_kg"] == summary["gross_kg"]
    return [
        "",
        "  What happened / 結果  (SIMULATED data, a token of no value / 模擬データ・無価値トークン)",
        f"    The {summary['plots']} plots ({summary['area_ha']:.1f} ha) stored {t['stock_change_kg_co2e']:,.1f} t CO2e more than at the start, thinning and cut already counted.",
        f"    For uncertainty {t['deduction_kg']:,.1f} t were taken off, {t['buffer_kg']:,.1f} t put in the buffer: {t['credited_kg']:,.1f} t are credits.",
        f"    {t['sold_kg']:,.1f} t were sold for {yen(summary['revenue_base_units'])}; the co-op treasury received {yen(summary['treasury_base_units'])}.",
        f"    Paid out {summary['paid_out_base_units']:,} + carried {summary['carried_base_units']:,} = revenue {summary['revenue_base_units']:,} base units.",
        f"    The buyer recomputed {summary['recomputed_kg']:,} kg from the pixels: it is the same, kilogram for kilogram."
        if ok
        else f"    THE BUYER'S CHECK DID NOT PASS (recomputed: {summary['recomputed_kg']} kg); see the lines marked !! above.",
        f"    {summary['plots']}区画で {t['stock_change_kg_co2e']:,.1f} t の増加、控除後 {t['credited_kg']:,.1f} t を発行、売上 {yen(summary['revenue_base_units'])} のうち"
        f" {yen(summary['treasury_base_units'])} が組合会計へ。購入者の再計算は{'一致' if ok else '不一致'}。",
        "",
        f"    Look at {out}/report.html, certificate.pdf, statement.csv, statement.pdf, evidence.zip, summary.json",
        f"    Again from the command line:  {command} -w {out}/workspace verify {out}/evidence.zip",
        f"    The pages:                    {command} -w {out}/workspace serve",
        f"    Took {summary['wall_s']:.0f} s.",
    ]
