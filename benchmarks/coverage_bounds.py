"""Would another lower bound come nearer to the nominal share of over-credited projects? The same draws, several bounds.

Not the credited method: a study of what could be changed in it (`docs/coverage.md`). Every bound is reckoned from what an analyst has.

present
    ``change − t_p(df) · SE``, degrees of freedom rounded down: what credits are made by.
fractional df
    The same, degrees of freedom not rounded.
declared at bound
    Declared errors act on totals that sampling error has moved. Where the bound is reached, sampling has on average moved the total
    of each term by ``Cov(term, change) / Var · t · SE``; declared variances are reckoned on the terms without that.
and sampled share
    Sampling fractions deducted besides (finite population).
and skewness
    Hall's correction of a Student's t for skewness besides, from third moments of pooled residuals.

    python benchmarks/coverage_bounds.py [--projects N] [--seeds A B C] [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coverage_world import BLOCK, SPECIES, Sample, Scenario, carbon_of, draw_block
from numpy.typing import NDArray
from scipy.special import stdtrit
from scipy.stats import beta

from models.stratified import StratifiedBatch, effective_freedom
from mrv.tables import load_tables

_F = NDArray[np.float64]
CONFIDENCE = (0.5, 2 / 3, 0.8, 0.9)
VARIANTS = ("present", "fractional df", "declared at bound", "and sampled share", "and skewness")
SEEDS = ("coverage-1", "coverage-2", "coverage-3")


@dataclass(frozen=True)
class Parts:
    """What a bound is made of, for P projects.

    Attributes
    ----------
    change : ndarray, shape (P,)
    terms, freedom : sampling variance and degrees of freedom, shapes (P, T) and (T,)
    declared : ndarray, shape (P, K)
        Totals that declared errors act on, each times its standard deviation.
    moved : ndarray, shape (P, K)
        Their sampling covariance with the change.
    sampled : ndarray, shape (T,)
        Sampled share of the area, of each term.
    third : ndarray, shape (P,)
        Third cumulant of the change's sampling error.
    """

    change: _F
    terms: _F
    freedom: _F
    declared: _F
    moved: _F
    sampled: _F
    third: _F


def parts_of(sample: Sample, scenario: Scenario) -> Parts:
    batch, declared = sample.batch(None), scenario.declared
    y = sample.y[1] - sample.y[0]
    terms, freedom = batch.sampling_variance(y)
    acted_on = [
        (np.where(sample.species == k, y, 0.0), np.sqrt(declared.shared_variance))
        for k in range(len(SPECIES))
    ]
    for t in (0, 1):
        acted_on += [(sample.per_m[t], declared.height_bias_m), (sample.per_cm[t], declared.dbh_bias_cm)]
    own = _residuals(batch, y)
    weights = batch.weights()
    totals = [(weights * z).sum(axis=1) * sd for z, sd in acted_on]
    moved = [_covariance(batch, _residuals(batch, z), own) * sd for z, sd in acted_on]
    return Parts(
        (weights * y).sum(axis=1),
        terms,
        freedom,
        np.column_stack(totals),
        np.column_stack(moved),
        _sampled_share(sample, batch),
        _third_cumulant(batch, own),
    )


def _residuals(batch: StratifiedBatch, z: _F) -> _F:
    centred = batch.x - batch.x.mean(axis=1, keepdims=True)
    slope = (centred * z).sum(axis=1) / (centred**2).sum(axis=1)
    left = z - slope[:, None] * batch.x
    for h in range(batch.area.size):
        own = batch.stratum == h
        left[:, own] -= left[:, own].mean(axis=1, keepdims=True)
    return np.asarray(left)


def _covariance(batch: StratifiedBatch, one: _F, other: _F) -> _F:
    """Sampling covariance of two totals, stratum by stratum."""
    total = np.zeros(one.shape[0])
    for h, area in enumerate(batch.area):
        own = batch.stratum == h
        n = int(own.sum())
        total = total + area**2 / n * (one[:, own] * other[:, own]).sum(axis=1) / (n - 1)
    return np.asarray(total)


def _sampled_share(sample: Sample, batch: StratifiedBatch) -> _F:
    """Sampled share of each group's variance (Neyman weights) and of the slope's."""
    cells = np.bincount(sample.forest.plot_of)
    count = np.bincount(batch.stratum)
    spread = batch.area**2 / count
    share = count / cells
    groups = np.unique(batch.group)
    by_group = [np.average(share[batch.group == g], weights=spread[batch.group == g]) for g in groups]
    return np.array([*by_group, count.sum() / cells.sum()])


def _third_cumulant(batch: StratifiedBatch, own: _F) -> _F:
    """Of the sum of strata, third moments of residuals pooled by group."""
    count = np.bincount(batch.stratum)
    total = np.zeros(own.shape[0])
    for g in np.unique(batch.group):
        strata = np.flatnonzero(batch.group == g)
        cubes = (own[:, np.isin(batch.stratum, strata)] ** 3).sum(axis=1)
        n = count[strata]
        m3 = cubes / ((n - 1) * (n - 2) / n).sum()
        total = total + m3 * (batch.area[strata] ** 3 / n**2).sum()
    return np.asarray(total)


def lower_bound(parts: Parts, p: float, variant: str) -> _F:
    """Bound that the truth falls below in a share of 1 − p, if all holds."""
    terms, declared = parts.terms, (parts.declared**2).sum(axis=1)
    if variant in VARIANTS[3:]:
        terms = terms * (1.0 - parts.sampled)
    variance = terms.sum(axis=1) + declared
    below = (terms**2 / parts.freedom).sum(axis=1)
    if variant == "present":
        df = effective_freedom(parts.terms, parts.freedom, declared)
    else:
        df = variance**2 / below
    t = stdtrit(df, p)
    if variant in VARIANTS[2:]:
        step = (t / np.sqrt(variance))[:, None] * parts.moved
        declared = ((parts.declared - step) ** 2).sum(axis=1)
    error = np.sqrt(terms.sum(axis=1) + declared)
    if variant == "and skewness":
        t = t - parts.third / variance**1.5 * (2 * t**2 + 1) / 6
    return np.asarray(parts.change - t * error)


def half_width_90(parts: Parts) -> _F:
    declared = (parts.declared**2).sum(axis=1)
    df = effective_freedom(parts.terms, parts.freedom, declared)
    return np.asarray(stdtrit(df, 0.95) * np.sqrt(parts.terms.sum(axis=1) + declared))


def overcredited(scenario: Scenario, projects: int, seed: str) -> dict[str, list[int]]:
    """Projects whose gross credit exceeds max(0, truth), for each variant and level; refused claims issue nothing."""
    carbon = carbon_of(load_tables())
    found = {variant: [0] * len(CONFIDENCE) for variant in VARIANTS}
    for block in range(-(-projects // BLOCK)):
        keep = slice(0, min(BLOCK, projects - block * BLOCK))
        sample, truth = draw_block(scenario, carbon, seed, block)
        parts = parts_of(sample, scenario)
        refused = (parts.change <= 0) | (half_width_90(parts) >= parts.change)
        for variant in VARIANTS:
            for i, p in enumerate(CONFIDENCE):
                lower = np.where(refused, 0.0, np.floor(lower_bound(parts, p, variant) * 1000) / 1000)
                found[variant][i] += int((lower > np.maximum(0.0, truth.change))[keep].sum())
    return found


def holds(hits: int, n: int, p: float) -> bool:
    low = beta.ppf(0.005, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(0.995, hits + 1, n - hits) if hits < n else 1.0
    return bool(low <= 1 - p <= high)


def main() -> None:
    # `coverage.py` beside this file has the rows; it must not be found under that name by numba (see there).
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("coverage_rows", Path(__file__).with_name("coverage.py"))
    assert spec is not None and spec.loader is not None
    rows = module_from_spec(spec)
    sys.modules["coverage_rows"] = rows
    spec.loader.exec_module(rows)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--projects", type=int, default=10_000)
    parser.add_argument("--seeds", nargs="+", default=SEEDS)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    n = arguments.projects
    figures: dict[str, float] = {}
    gated = [s for s in rows.scenarios() if s.gated]
    pooled = {(s.name, v): [0] * len(CONFIDENCE) for s in gated for v in VARIANTS}
    print(f"share above the truth, {n:,} projects a row and seed; * = 99 % interval does not hold 1 - p")
    for seed in arguments.seeds:
        held = dict.fromkeys(VARIANTS, 0)
        for scenario in gated:
            for variant, hits in overcredited(scenario, n, seed).items():
                ok = [holds(h, n, p) for h, p in zip(hits, CONFIDENCE, strict=True)]
                held[variant] += sum(ok)
                for i, hit in enumerate(hits):
                    pooled[scenario.name, variant][i] += hit
                    figures[f"{seed} | {scenario.name} | {variant} | p{CONFIDENCE[i]:.2f}"] = hit / n
                shown = " ".join(
                    f"{100 * h / n:6.1f}{' ' if k else '*'}" for h, k in zip(hits, ok, strict=True)
                )
                print(f"{seed:12s}{scenario.name:42s}{variant:20s}{shown}", flush=True)
        for variant, count in held.items():
            figures[f"{seed} | {variant} | cells that hold"] = count
            print(f"{seed:12s}{variant:20s}{count} of {len(gated) * len(CONFIDENCE)} cells hold")
    print("all seeds together: mean of the rows, furthest from 1 - p")
    for variant in VARIANTS:
        share = np.array([pooled[s.name, variant] for s in gated]) / (n * len(arguments.seeds))
        away = share - (1 - np.array(CONFIDENCE))
        print(f"{variant:20s}" + " ".join(f"{100 * m:6.2f}" for m in share.mean(axis=0)), end="   ")
        print(" ".join(f"{100 * away[np.abs(away[:, i]).argmax(), i]:+6.2f}" for i in range(len(CONFIDENCE))))
        figures[f"{variant} | largest distance"] = float(np.abs(away).max())
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
