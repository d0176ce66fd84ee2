"""Do nominal 90 % intervals cover? Ten thousand made-up projects a scenario, each redrawn whole: forest, sample, errors.

Allometry, BEF, density (persistent, shared by a species at both dates) and biases of height and diameter (each date its own) are
drawn from the distributions that the analyst declares. The target is the project's realised total. The analysis is the credited
one: stratified regression on differences of permanent sample plots, in floating point; `mrv.change` and `mrv.credits` themselves are run
on some projects of every gated row, and the largest difference is printed.
"""

from __future__ import annotations

# numba asks for the package of this file's name and does without where there is none.
if __name__ == "coverage":
    raise ImportError("benchmarks/coverage.py is a script, not the package coverage")

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from coverage_exact import credit
from coverage_failures import ANALYSES
from coverage_world import (
    BLOCK,
    NOTHING,
    Declared,
    Found,
    Scenario,
    analyse,
    carbon_of,
    draw_block,
)
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import beta

from models.simulator.cells import StemCarbon
from mrv.tables import load_tables

_F = NDArray[np.float64]
SEED = "coverage-1"
CONFIDENCE = {"50": 0.5, "67": 2 / 3, "80": 0.8, "90": 0.9}
Z_95 = 1.6448536269514722
LOWEST, HIGHEST, WIDEST = 0.88, 0.92, 1.3
EXACT_CHECKED = 10
SLOW = ("model-based", "model-based, no correlation")


def scenarios() -> list[Scenario]:
    """All rows: gated first, then the parts they are made of, then what must fail."""
    gated = [
        Scenario(
            f"n={n} {what}{near}", f"{plots} {kind}", n // (6 if plots == "six" else 4), range_m, gated=True
        )
        for n, plots in ((24, "six"), (12, "four"))
        for what, kind in (("growth only", "growing"), ("thinning and cut", "treated"))
        for near, range_m in (("", 0.0), (", range 60 m", 60.0))
    ]
    base, treated, few, few_treated = (gated[i] for i in (0, 2, 4, 6))
    moving = Declared(date_factor=0.005)
    sampling = [
        replace(s, name=s.name + ", sampling error only", declared=NOTHING, gated=False)
        for s in (base, treated, few, few_treated)
    ]
    stand = [Scenario(f"n={n} growth only, one stand", "one growing", n) for n in (24, 12)]
    others = [
        replace(
            base,
            name="n=24 growth only, factors that move with the date, declared",
            declared=moving,
            gated=False,
        ),
        replace(
            base, name="n=24 growth only, factors of 10 %", declared=Declared(0.07, 0.05, 0.05), gated=False
        ),
        replace(base, name="n=24 growth only, skewed growth", skewed=True, gated=False),
        replace(few, name="n=12 growth only, skewed growth", skewed=True, gated=False),
        *(replace(s, name=f"{s.name}, range 60 m", range_m=60.0) for s in stand),
        replace(
            stand[0], name="n=24 one stand, range 60 m, model-based", range_m=60.0, analysis="model-based"
        ),
        replace(
            stand[1], name="n=12 one stand, range 60 m, model-based", range_m=60.0, analysis="model-based"
        ),
    ]
    bad = [
        replace(base, name="fixed bias: field heights of the last date +0.5 m", height_fault_m=0.5),
        replace(base, name="fixed bias: canopy of the last date +0.5 m", canopy_fault_m=0.5),
        replace(base, name="factors that move with the date, 0.5 %, not declared", drawn=moving),
        replace(base, name="purposive: plots of average growth", selection="average"),
        replace(sampling[0], name="purposive: plots of average growth, sampling error only", selection="average"),
        replace(base, name="purposive: plots that look well stocked (half a sd above)", selection="typical"),
        replace(base, name="purposive: the best of three", selection="vigorous"),
        replace(base, name="wrong species: hinoki taken for sugi", taken_for=(0, 0)),
        replace(base, name="wrong species: sugi taken for hinoki", taken_for=(1, 1)),
        replace(base, name="pooled model, growth only", analysis="pooled model"),
        replace(base, name="pooled model, growth only, no height bias of the canopy", analysis="pooled model", drawn=replace(base.declared, canopy_bias_m=0.0)),
        replace(treated, name="pooled model, thinning and cut", analysis="pooled model"),
        replace(treated, name="treatments forgotten (unstratified)", analysis="unstratified"),
        replace(base, name="declared errors not deducted", analysis="sampling error only"),
        replace(base, name="dates taken as independent", analysis="independent dates"),
        replace(sampling[2], name="n=12, z for t, sampling error only", analysis="z for t"),
        replace(stand[1], name="n=12, five parameters and z, sampling error only", declared=NOTHING, analysis="five parameters"),
        replace(stand[0], name="n=24 model-based, range 60 m ignored", range_m=60.0, analysis="model-based, no correlation"),
    ]  # fmt: skip
    return [*gated, *sampling, *stand, *others, *(replace(s, gated=False) for s in bad)]


@dataclass(frozen=True)
class Outcome:
    """Projects of a scenario, put together; arrays of shape (P,)."""

    truth: _F
    stock_truth: _F
    change: Found
    stock: Found
    oracle_change: _F
    oracle_stock: _F


def run(scenario: Scenario, carbon: tuple[StemCarbon, ...], projects: int, seed: str = SEED) -> Outcome:
    """Draw and analyse at least `projects`, block by block."""
    parts = []
    for block in range(-(-projects // BLOCK)):
        sample, truth = draw_block(scenario, carbon, seed, block)
        if scenario.analysis == "paired":
            change = analyse(sample, scenario.declared)
        else:
            change = ANALYSES[scenario.analysis](sample, scenario)
        stock = analyse(sample, scenario.declared, 1)
        parts.append((sample, truth, change, stock))

    def join(pick: Callable[[Any], _F]) -> _F:
        return np.concatenate([pick(p) for p in parts])[:projects]

    def found(k: int) -> Found:
        return Found(
            *(join(lambda p, name=name: getattr(p[k], name)) for name in ("value", "standard_error", "df"))
        )

    return Outcome(
        join(lambda p: p[1].change),
        join(lambda p: p[1].stock[1]),
        found(2),
        found(3),
        join(lambda p: p[1].oracle_variance["change"]),
        join(lambda p: p[1].oracle_variance["stock"]),
    )


def half_width(found: Found) -> _F:
    return np.asarray(stdtrit(found.df, 0.95) * found.standard_error)


def gross_t(change: Found, p: float) -> _F:
    """Gross credit, t: lower bound at p, whole kilograms; nothing where the claim is refused (loss, or HW90 as wide as the gain)."""
    lower = np.clip(change.value - stdtrit(change.df, p) * change.standard_error, 0.0, None)
    refused = (change.value <= 0) | (half_width(change) >= change.value)
    return np.where(refused, 0.0, np.floor(lower * 1000.0) / 1000.0)


def binomial_99(hits: int, n: int) -> tuple[float, float]:
    """Clopper-Pearson interval of a share."""
    low = beta.ppf(0.005, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(0.995, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


def figures(scenario: Scenario, outcome: Outcome) -> dict[str, float]:
    """One row of the table."""
    change, truth = outcome.change, outcome.truth
    width = half_width(change)
    n = truth.size
    out: dict[str, float] = {
        "stock_coverage_90": float(np.mean(np.abs(outcome.stock.value - outcome.stock_truth) <= half_width(outcome.stock))),
        "change_coverage_90": float(np.mean(np.abs(change.value - truth) <= width)),
        "median_halfwidth_over_oracle": float(np.median(width / (Z_95 * np.sqrt(outcome.oracle_change)))),
        "median_stock_halfwidth_over_oracle": float(
            np.median(half_width(outcome.stock) / (Z_95 * np.sqrt(outcome.oracle_stock)))
        ),
        "rmse_over_oracle": float(np.sqrt(np.mean((change.value - truth) ** 2) / np.mean(outcome.oracle_change))),
        "bias_share": float(np.mean(change.value - truth) / np.mean(truth)),
        "change_t_ha": float(np.mean(truth)) / 40.96,
        "halfwidth_t_ha": float(np.median(width)) / 40.96,
        "issued_share": float(np.mean(gross_t(change, 2 / 3) > 0)),
        "projects": float(n),
    }  # fmt: skip
    for name, p in CONFIDENCE.items():
        gross = gross_t(change, p)
        over = gross > np.maximum(0.0, truth)
        low, high = binomial_99(int(over.sum()), n)
        out[f"overcredited_share_p{name}"] = float(over.mean())
        out[f"overcredited_low_p{name}"], out[f"overcredited_high_p{name}"] = low, high
        out[f"overcredited_holds_p{name}"] = float(low <= 1 - p <= high)
        if name == "67":
            issued = gross > 0
            out["overcredited_share"] = float(over.mean())
            out["overcredited_given_issued"] = float(over[issued].mean()) if issued.any() else 0.0
            too_much = np.maximum(0.0, gross - np.maximum(0.0, truth)).sum()
            out["overcredited_tonnes_share"] = float(too_much / gross.sum()) if gross.sum() else 0.0
    return out


def compare_exact(scenario: Scenario, carbon: tuple[StemCarbon, ...]) -> float:
    """Largest difference of change, error and gross credit from `mrv.change` and `mrv.credits`, relative to the change."""
    sample, _ = draw_block(scenario, carbon, SEED, 0)
    twin = analyse(sample, scenario.declared)
    gross = gross_t(twin, 2 / 3)
    worst = 0.0
    for k in range(EXACT_CHECKED):
        exact = credit(sample, k, scenario.declared)
        pairs = (
            (exact.change_t, twin.value[k]),
            (exact.standard_error_t, twin.standard_error[k]),
            (exact.gross_t, gross[k]),
        )
        worst = max(worst, *(abs(a - b) / abs(twin.value[k]) for a, b in pairs))
    return worst


def summarise(rows: dict[str, dict[str, float]], gated: list[str]) -> dict[str, float]:
    """One flat object: means over the gated scenarios, their worst, and every row by name."""
    keys = ("stock_coverage_90", "change_coverage_90", "overcredited_share", "overcredited_given_issued",
            "overcredited_tonnes_share", "median_halfwidth_over_oracle")  # fmt: skip
    flat = {key: float(np.mean([rows[name][key] for name in gated])) for key in keys}
    flat["projects"] = rows[gated[0]]["projects"]
    flat["gated_projects"] = sum(rows[name]["projects"] for name in gated)
    for key in ("stock_coverage_90", "change_coverage_90"):
        flat[f"{key}_lowest"] = min(rows[name][key] for name in gated)
        flat[f"{key}_highest"] = max(rows[name][key] for name in gated)
    flat["median_halfwidth_over_oracle_highest"] = max(
        rows[name]["median_halfwidth_over_oracle"] for name in gated
    )
    for p in CONFIDENCE:
        flat[f"overcredited_share_p{p}"] = float(
            np.mean([rows[name][f"overcredited_share_p{p}"] for name in gated])
        )
        flat[f"overcredited_rows_that_hold_p{p}"] = sum(
            rows[name][f"overcredited_holds_p{p}"] for name in gated
        )
    flat["gated_rows"] = len(gated)
    for name, row in rows.items():
        for key, value in row.items():
            flat[f"{name} | {key}"] = value
    return flat


HEAD = (
    "stock cov.",
    "change cov.",
    "width/oracle",
    "bias",
    "over .5",
    ".67",
    ".8",
    ".9",
    "given issued",
    "of tonnes",
    "issued",
)


def line(row: dict[str, float]) -> list[str]:
    over = [
        f"{100 * row[f'overcredited_share_p{p}']:.1f}" + ("" if row[f"overcredited_holds_p{p}"] else "*")
        for p in CONFIDENCE
    ]
    return [
        f"{100 * row['stock_coverage_90']:.1f}",
        f"{100 * row['change_coverage_90']:.1f}",
        f"{row['median_halfwidth_over_oracle']:.2f}",
        f"{100 * row['bias_share']:+.1f}",
        *over,
        f"{100 * row['overcredited_given_issued']:.1f}",
        f"{100 * row['overcredited_tonnes_share']:.2f}",
        f"{100 * row['issued_share']:.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1,000 projects a gated row, 250 any other")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--projects", type=int)
    parser.add_argument("--gated", action="store_true", help="only the rows that must hold")
    parser.add_argument("--only", help="scenarios whose name holds this text")
    parser.add_argument("--seed", default=SEED, help="any text: other text, other projects")
    parser.add_argument("--markdown", type=Path, help="write the table here")
    arguments = parser.parse_args()
    projects = arguments.projects or (1_000 if arguments.quick else 10_000)
    carbon = carbon_of(load_tables())
    started = time.perf_counter()
    rows: dict[str, dict[str, float]] = {}
    chosen = [s for s in scenarios() if not arguments.only or arguments.only in s.name]
    if arguments.gated:
        chosen = [s for s in chosen if s.gated]
    print(
        f"nominal 90 % intervals, {projects:,} projects a row; * = 99 % binomial interval does not hold 1 - p"
    )
    print(f"{'':62s}" + " ".join(f"{h:>12s}" for h in HEAD))
    for scenario in chosen:
        fewer = scenario.analysis in SLOW or (arguments.quick and not scenario.gated)
        many = max(BLOCK, projects // 10) if fewer else projects
        rows[scenario.name] = figures(scenario, run(scenario, carbon, many, arguments.seed))
        mark = "gate " if scenario.gated else "     "
        print(
            f"{mark}{scenario.name:57s}" + " ".join(f"{v:>12s}" for v in line(rows[scenario.name])),
            flush=True,
        )
    gated = [s.name for s in chosen if s.gated]
    exact = max((compare_exact(s, carbon) for s in chosen if s.gated), default=float("nan"))
    seconds = time.perf_counter() - started
    print(
        f"largest difference from mrv.change and mrv.credits (change, error, gross credit), of the change: {exact:.1e}"
    )
    print(f"{seconds:.0f} s on {platform.machine()}")
    failed = [name for name in gated if not holds(rows[name])]
    print("gate: " + ("all rows hold" if not failed else "does NOT hold for " + "; ".join(failed)))
    if arguments.json and gated:
        flat = {
            **summarise(rows, gated),
            "largest_difference_from_exact": exact,
            "seconds": round(seconds, 1),
        }
        arguments.json.write_text(json.dumps(flat, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.markdown:
        write_markdown(arguments.markdown, chosen, rows)
    if failed:
        sys.exit(1)


def holds(row: dict[str, float]) -> bool:
    """Coverage of 88-92 % (within what so many projects can tell), width at most 1.3 times the oracle's, over-credited as told.

    The 99 % interval of the over-credited share holds 1 − p at the default, and lies above it at no level.
    """
    over = [row[f"overcredited_low_p{name}"] > 1 - p for name, p in CONFIDENCE.items()]
    if any(over) or not row["overcredited_holds_p67"]:
        return False
    n = int(row["projects"])
    for key in ("stock_coverage_90", "change_coverage_90"):
        low, high = binomial_99(round(row[key] * n), n)
        if high < LOWEST or low > HIGHEST:
            return False
    return row["median_halfwidth_over_oracle"] <= WIDEST


def write_markdown(path: Path, chosen: list[Scenario], rows: dict[str, dict[str, float]]) -> None:
    """The same table for docs/coverage.md."""
    lines = ["| scenario | projects | " + " | ".join(HEAD) + " |", "|---|" + "---:|" * (len(HEAD) + 1)]
    for s in chosen:
        row = rows[s.name]
        name = f"**{s.name}**" if s.gated else s.name
        lines.append(f"| {name} | {row['projects']:,.0f} | " + " | ".join(line(row)) + " |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
