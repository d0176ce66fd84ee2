"""Treetops of 100 ha at 0.25 m: this program and scikit-image's `peak_local_max` in turns, and the definition itself as oracle.

The stand is made up: cones of 8 to 28 m, one on 12 m², with noise of a drone's surface. scikit-image knows one window for
all heights, so that it is timed with the square of the window of the mean treetop; the same window is timed here too, with a
disc of that radius. The oracle takes, for every radius that occurs, the highest cell of the disc around every cell.

    python benchmarks/trees.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter

from models.treetops import CrownWindow, raster_treetops

PIXEL_M, MINIMUM_M = 0.25, 2.0
WINDOW = CrownWindow(0.6, 0.05)
FIXED = CrownWindow(1.5, 0.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="3 rounds instead of 9")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = compare(4000, 3 if arguments.quick else 9)
    report(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def stand(side: int) -> np.ndarray:
    rng = np.random.default_rng(100)
    row, col = np.mgrid[0:side, 0:side].astype(np.float32)
    surface = np.zeros((side, side), dtype=np.float32)
    trees = int(side * side * PIXEL_M**2 / 12)
    places = rng.uniform(0, side, (trees, 2))
    for (y, x), tall in zip(places, rng.uniform(8, 28, trees), strict=True):
        reach = int(np.ceil((0.8 + 0.12 * tall) / PIXEL_M))
        part = np.s_[max(int(y) - reach, 0) : int(y) + reach + 1, max(int(x) - reach, 0) : int(x) + reach + 1]
        cone = tall - 1.6 * PIXEL_M * np.hypot(row[part] - y, col[part] - x)
        np.maximum(surface[part], cone, out=surface[part])
    surface += rng.normal(0, 0.15, surface.shape).astype(np.float32)
    return np.maximum(surface, 0).astype(np.float64)


def by_definition(surface: np.ndarray, window: CrownWindow) -> tuple[np.ndarray, np.ndarray]:
    radius = np.rint(window.radius(surface) / PIXEL_M).astype(int)
    top = np.zeros(surface.shape, dtype=bool)
    for r in np.unique(radius[surface >= MINIMUM_M]):
        span = np.arange(-max(r, 1), max(r, 1) + 1)
        away = np.add.outer(span**2, span**2)
        disc = (away <= r * r) | (np.maximum.outer(abs(span), abs(span)) <= 1)
        top |= (radius == r) & (surface == maximum_filter(surface, footprint=disc, mode="constant", cval=-1))
    return np.nonzero(top & (surface >= MINIMUM_M))


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    out = call()
    return time.perf_counter() - started, out


def compare(side: int, rounds: int) -> dict[str, Any]:
    surface = stand(side)
    known = np.ones(surface.shape, dtype=bool)
    pixels = round(FIXED.base / PIXEL_M)
    calls: dict[str, Callable[[], Any]] = {
        "variable": lambda: raster_treetops(surface, known, surface, PIXEL_M, WINDOW, MINIMUM_M),
        "fixed": lambda: raster_treetops(surface, known, surface, PIXEL_M, FIXED, MINIMUM_M),
    }
    try:
        feature = importlib.import_module("skimage.feature")
        calls["skimage"] = lambda: feature.peak_local_max(
            surface, min_distance=pixels, threshold_abs=MINIMUM_M, exclude_border=False
        )
    except ImportError:
        print("scikit-image is not installed")
    times: dict[str, list[float]] = {name: [] for name in calls}
    found: dict[str, Any] = {}
    for _ in range(rounds):
        for name, call in calls.items():
            took, found[name] = seconds(call)
            times[name].append(took)
    figures: dict[str, Any] = {"area_ha": (side * PIXEL_M) ** 2 / 1e4, "processor": processor()}
    for name, taken in times.items():
        figures[f"{name}_s"] = statistics.median(taken)
        figures[f"{name}_tops"] = len(found[name][0]) if isinstance(found[name], tuple) else len(found[name])
    if "skimage" in calls:
        figures["ratio"] = figures["skimage_s"] / figures["variable_s"]
        figures["fixed_ratio"] = figures["skimage_s"] / figures["fixed_s"]
    for name, window in (("variable", WINDOW), ("fixed", FIXED)):
        took, oracle = seconds(lambda w=window: by_definition(surface, w))
        figures[f"{name}_oracle_s"] = took
        ours, theirs = (set(zip(*map(np.ndarray.tolist, f), strict=True)) for f in (found[name], oracle))
        figures[f"{name}_differing_tops"] = len(ours ^ theirs)
    return figures


def processor() -> str:
    with Path("/proc/cpuinfo").open() as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def report(f: dict[str, Any]) -> None:
    print(f"{f['area_ha']:g} ha at {PIXEL_M} m; {f['processor']}")
    print(
        "{:<28}{:>10}{:>9}{:>8}{:>27}".format("figure", "time", "tops", "ratio", "tops unlike the definition")
    )
    for name, key in (("window 0.6 m + 0.05 h", "variable"), ("window 1.5 m", "fixed")):
        ratio = f.get("ratio" if key == "variable" else "fixed_ratio")
        print(
            f"{name:<28}{f[key + '_s'] * 1000:>7.0f} ms{f[key + '_tops']:>9}"
            f"{'' if ratio is None else f'{ratio:.1f}×':>8}{f[key + '_differing_tops']:>27}"
        )
        print(f"{'  by definition':<28}{f[key + '_oracle_s'] * 1000:>7.0f} ms")
    if "skimage_s" in f:
        print(
            f"{'scikit-image, square 3 m':<28}{f['skimage_s'] * 1000:>7.0f} ms{f['skimage_tops']:>9}{'1.0×':>8}"
        )


if __name__ == "__main__":
    main()
