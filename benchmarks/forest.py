"""Biomass regressions: a forest of plain arrays beside scikit-learn's, and basal area of 96 real plots with clusters left out.

The speed peer is ``RandomForestRegressor.predict`` with two threads on the same trees and cells, run in turns; the compiled
engine gets two threads too. The accuracy peer is mean height alone.

    python benchmarks/forest.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from turns import judge

from models import forest_compiled
from models.area_based import cross_validate
from models.forest import Forest, mean_of_trees
from models.train_forest import SMALLEST_LEAF, arrays_of, grow_forest

THREADS = 2
METRICS = 8
PLOTS = (
    Path(os.environ.get("SATOYAMA_SHARED_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    / "chablais3"
    / "quatre_montagnes.csv"
)
NOT_METRICS = ("plot_id", "X", "Y", "cluster_id", "G_m2_ha", "N_ha", "D_mean_cm", "stratum")
Figures = dict[str, float]


def made_up_plots(n: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, METRICS))
    return 200 + 40 * x[:, 0] + 15 * x[:, 1] ** 2 + 10 * rng.normal(size=n), {
        f"m{i}": x[:, i] for i in range(METRICS)
    }


def fitted(trees: int) -> tuple[Forest, Any]:
    """The same trees twice: scikit-learn's own, and as plain arrays. (No blocks are left out: speed is all that is asked.)"""
    from sklearn.ensemble import RandomForestRegressor

    y, metrics = made_up_plots(400)
    x = np.column_stack(list(metrics.values()))
    theirs = RandomForestRegressor(
        n_estimators=trees, min_samples_leaf=SMALLEST_LEAF, max_features=1 / 3, random_state=1
    ).fit(x, y)
    ranges = {name: (float(m.min()), float(m.max())) for name, m in metrics.items()}
    return arrays_of(theirs, "stock_t_ha", ranges, np.sort(y - theirs.predict(x)), float(y.mean())), theirs


def seconds(run: Callable[[], np.ndarray]) -> tuple[float, float, np.ndarray]:
    """Seconds by the clock and of the processors, and the result."""
    start, used = time.perf_counter(), time.process_time()
    result = run()
    return time.perf_counter() - start, time.process_time() - used, result


def in_turns(
    runs: dict[str, Callable[[], np.ndarray]], turns: int
) -> dict[str, tuple[float, float, np.ndarray]]:
    """Median seconds (clock, processors) and result of each, run one after the other `turns` times."""
    done: dict[str, list[tuple[float, float, np.ndarray]]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            done[name].append(seconds(run))
    return {
        name: (statistics.median(d[0] for d in each), statistics.median(d[1] for d in each), each[-1][2])
        for name, each in done.items()
    }


def speed(quick: bool) -> Figures:
    trees, cells, turns = (100, 40_000, 3) if quick else (500, 200_000, 7)
    forest, theirs = fitted(trees)
    theirs.set_params(n_jobs=THREADS)
    columns = np.random.default_rng(2).normal(size=(cells, METRICS))
    share = slice(0, max(cells // 10, 1))
    runs: dict[str, Callable[[], np.ndarray]] = {
        "scikit-learn": lambda: theirs.predict(columns),
        "numpy": lambda: mean_of_trees(forest, columns[share], "numpy"),
    }
    if forest_compiled.available():
        mean_of_trees(forest, columns[:1000], "compiled")  # compiles, seconds once a process
        runs["compiled"] = lambda: mean_of_trees(forest, columns, "compiled", THREADS)
    done = in_turns(runs, turns)
    clock, used, plain = done["numpy"]
    done["numpy"] = clock * cells / plain.size, used * cells / plain.size, plain
    peer = done["scikit-learn"]
    print(
        f"{cells} cells, {trees} trees of {forest.feature.size // trees} nodes, {METRICS} metrics, {THREADS} threads"
    )
    print(f"{'engine':14} {'seconds':>9} {'ratio':>7} {'cpu s':>9} {'ratio':>7} {'largest difference':>20}")
    print(f"{'scikit-learn':14} {peer[0]:9.3f} {1:7.2f} {peer[1]:9.3f} {1:7.2f} {'(peer)':>20}")
    figures: Figures = {"forest_cells": cells, "forest_trees": trees, "sklearn_s": peer[0]}
    figures |= row("numpy", done["numpy"], peer, np.abs(plain - peer[2][share]).max())
    if "compiled" not in done:
        print(f"{'compiled':14} numba is not installed")
        return figures
    difference = float(np.abs(done["compiled"][2] - peer[2]).max())
    figures |= row("compiled", done["compiled"], peer, difference)
    same = bool(np.array_equal(done["compiled"][2][share], plain))
    print(f"compiled and numpy equal to the bit: {same}; {size_of(forest)}")
    return figures | {
        "forest_engines_equal": int(same),
        "forest_ratio": peer[0] / done["compiled"][0],
        "forest_cpu_ratio": peer[1] / done["compiled"][1],
        "forest_difference": difference,
    }


def row(
    name: str,
    mine: tuple[float, float, np.ndarray],
    peer: tuple[float, float, np.ndarray],
    difference: float,
) -> Figures:
    ratio, cpu_ratio = peer[0] / mine[0], peer[1] / mine[1]
    print(f"{name:14} {mine[0]:9.3f} {ratio:7.2f} {mine[1]:9.3f} {cpu_ratio:7.2f} {difference:20.1e}")
    return {
        f"{name}_s": mine[0],
        f"{name}_ratio": ratio,
        f"{name}_cpu_ratio": cpu_ratio,
        f"{name}_difference": float(difference),
    }


def size_of(forest: Forest) -> str:
    arrays = (forest.feature, forest.threshold, forest.left, forest.value)
    return f"{forest.feature.size} nodes, {sum(a.nbytes for a in arrays) / 1e6:.1f} MB"


def accuracy(quick: bool) -> Figures:
    if not PLOTS.is_file():
        print("the 96 plots are not beside this clone (../shared/data/chablais3): accuracy left out")
        return {}
    with PLOTS.open() as file:
        rows = list(csv.DictReader(file))
    metrics = {k: np.array([float(r[k]) for r in rows]) for k in rows[0] if k not in NOT_METRICS}
    y, clusters = np.array([float(r["G_m2_ha"]) for r in rows]), np.array([r["cluster_id"] for r in rows])
    chosen = cross_validate(y, metrics, clusters)
    height = cross_validate(y, {"zmean": metrics["zmean"]}, clusters, transforms=("none",))
    grown = grow_forest("G_m2_ha", y, metrics, clusters, seed=1, trees=10 if quick else 500)
    print(
        f"\nBasal area of {y.size} plots, {chosen.blocks} clusters left out one by one (choice of metrics included)"
    )
    print(f"{'model':28} {'relative RMSE':>14} {'bias':>8} {'coverage of 90 %':>18}")
    for name, result in (("area-based, chosen", chosen), ("mean height alone (peer)", height)):
        print(f"{name:28} {result.relative_rmse:14.4f} {result.relative_bias:8.4f} {result.coverage:18.3f}")
    bias = -float(grown.error.mean()) / grown.forest.mean_response
    print(
        f"{'random forest, 6 of 68':28} {grown.forest.relative_rmse:14.4f} {bias:8.4f} {grown.coverage:18.3f}"
    )
    print("chosen in the clusters' absence:")
    for picked, times in sorted(chosen.chosen.items(), key=lambda item: -item[1]):
        print(f"  {times:2} x {picked[0]}: {', '.join(picked[1:])}")
    return {
        "basal_area_relative_rmse": chosen.relative_rmse,
        "basal_area_relative_rmse_height_only": height.relative_rmse,
        "basal_area_relative_rmse_forest": grown.forest.relative_rmse,
        "basal_area_coverage_90_forest": grown.coverage,
        "basal_area_relative_bias": chosen.relative_bias,
        "basal_area_coverage_90": chosen.coverage,
        "basal_area_plots": int(y.size),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}"
    )
    if importlib.util.find_spec("sklearn") is None:
        print("scikit-learn is not installed: nothing to train, nothing to compare with")
        figures: Figures = {}
    else:
        figures = speed(arguments.quick) | accuracy(arguments.quick)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1, sort_keys=True) + "\n", "utf-8")
    judge(
        figures,
        at_most={
            "numpy_difference": 1e-10,
            "compiled_difference": 1e-10,
            "basal_area_relative_rmse": 0.24,
        },
        at_least={"forest_engines_equal": 1},
        ratios={"forest_ratio": 3.0},
        quick=arguments.quick,
    )


if __name__ == "__main__":
    main()
