"""Treetops of 100 ha at 0.25 m: this program and scikit-image's `peak_local_max` in turns, and the definition itself as oracle.

The stand is made up: cones of 8 to 28 m, one on 12 m², with noise of a drone's surface. scikit-image knows one window for
all heights, so that it is timed with the square of the window of the mean treetop; the same window is timed here too, with a
disc of that radius. The oracle takes, for every radius that occurs, the highest cell of the disc around every cell.

Where the survey of Chablais lies beside the clone, its 110 trees are sought too, with default settings; the peer is the naive
detector of the data's description (Gaussian 0.6 pixel, 5 × 5 maximum, above 5 m).

    python benchmarks/trees.py [--quick] [--json PATH] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import importlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from scipy.ndimage import gaussian_filter, maximum_filter
from turns import judge

from models.treetops import CrownWindow, match_treetops, raster_treetops
from mrv.crowns import find_crowns
from mrv.points import chm_from_points
from mrv.trees import find_treetops

PIXEL_M, MINIMUM_M = 0.25, 2.0
WINDOW = CrownWindow(0.6, 0.05)
FIXED = CrownWindow(1.5, 0.0)
NODATA = -(2**31)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="25 ha and 3 rounds instead of 100 ha and 9")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    arguments = parser.parse_args()
    figures = compare(*((2000, 3) if arguments.quick else (4000, 9)))
    report(figures)
    if (arguments.data / "chablais3").is_dir():
        figures |= real_trees(arguments.data / "chablais3")
    else:
        print("the survey of Chablais is not beside this clone")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    figures["chablais_height_bias_m"] = abs(figures.get("chablais_bias_m_here", 0.0))
    judge(
        figures,
        at_most={"variable_differing_tops": 0, "fixed_differing_tops": 0, "chablais_height_bias_m": 0.2},
        at_least={"chablais_f_here": 0.67},
        ratios={"ratio": 5.0, "fixed_ratio": 5.0},
        quick=arguments.quick,
    )


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
    figures: dict[str, Any] = {"area_ha": (side * PIXEL_M) ** 2 / 1e4}
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


def real_trees(folder: Path) -> dict[str, float]:
    """F, height bias and error of treetops within the hull of the trees, matched in 3-D within 2.1 m + 0.14 h."""
    with (folder / "tree_inventory_chablais3.csv").open() as file:
        trees = np.array([[float(row[k]) for k in "xyh"] for row in csv.DictReader(file)])
    plot = shapely.MultiPoint(trees[:, :2]).convex_hull
    grid, heights = chm_from_points(folder / "las_chablais3.laz", epsg=2154, nodata_mm=NODATA)
    surface = gaussian_filter(np.where(heights == NODATA, 0, heights) / 1000.0, 0.6)
    row, col = np.nonzero((surface == maximum_filter(surface, 5)) & (surface > 5))
    east, north = grid.centres_x_mm()[col] / 1000, grid.centres_y_mm()[row] / 1000
    tops = find_treetops(heights, grid, NODATA)
    crowns = find_crowns(heights, grid, NODATA, tops)
    detectors = {
        "here": tops.in_metres(),
        "here_crowns_of_1_m2": tops.in_metres()[crowns.area_mm2 >= 10**6],
        "naive": np.column_stack([east, north, heights[row, col] / 1000]),
    }
    figures: dict[str, float] = {}
    print(
        "Chablais, 110 trees"
        + " " * 9
        + "{:>7}{:>7}{:>7}{:>9}{:>9}".format("found", "false", "F", "bias", "RMSE")
    )
    for name, found in detectors.items():
        inside = found[shapely.contains_xy(plot, found[:, 0], found[:, 1])]
        match = match_treetops(trees, inside)
        error = inside[match.top, 2] - trees[match.tree, 2]
        bias, rmse = float(error.mean()), float(np.sqrt((error**2).mean()))
        figures |= {f"chablais_f_{name}": match.f_score, f"chablais_bias_m_{name}": bias}
        print(
            f"  {name:<26}{match.found:>7}{match.false:>7}{match.f_score:>7.3f}{bias:>7.2f} m{rmse:>7.2f} m"
        )
    return figures


def processor() -> str:
    with Path("/proc/cpuinfo").open() as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def report(f: dict[str, Any]) -> None:
    print(f"{f['area_ha']:g} ha at {PIXEL_M} m; {processor()}")
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
