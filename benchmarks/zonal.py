"""Zonal means of 5,000 plots over 60 dates, with exact pixel shares: this program, exactextract and extractrs in turns.

exactextract is timed as it is called when scenes arrive one by one, and as one call with all dates (its own reuse of
shares) in both of its strategies. extractrs holds its shares like this program does. Both peers keep shares in single
precision: the largest difference is given as found, with this program's shares rounded to single precision like theirs,
and against GEOS. The exit status tells whether the gates hold.

    python benchmarks/zonal.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import CRS
from turns import in_turns, judge

from models import zonal_compiled
from models.zonal import Coverage, zonal_sums, zonal_sums_of_dates
from mrv.geometry import Grid
from mrv.zonal import exact_zones

SIDE, PIXEL_M, PLOTS, DATES = 1200, 10, 5000, 60
FASTER, SAME = 20.0, 1e-9
ENGINES = {"total": "total", "compiled": "total_compiled"}
STRATEGIES = {"default": "feature-sequential", "faster": "raster-sequential"}
GRID = Grid(6674, 0, SIDE * PIXEL_M * 10**6, PIXEL_M * 10**6, SIDE, SIDE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="1,500 plots and 30 dates, 4 one by one, 1 round"
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = compare(*((1500, 30, 4, 1) if arguments.quick else (PLOTS, DATES, DATES, 7)))
    report(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    same = ("geos", "exactextract_single_precision", "extractrs_single_precision")
    judge(
        figures,
        at_most={f"{name}_largest_difference": SAME for name in same} | {"engines_differing_sums": 0},
        at_least={},
        ratios={
            "exactextract_ratio": FASTER,
            "total_compiled_one_call_ratio": FASTER,
            "extractrs_per_date_ratio": 1.0,
        },
        quick=arguments.quick,
    )


def peer(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed")
        return None


def plots(rng: np.random.Generator, number: int) -> dict[str, list[list[tuple[int, int]]]]:
    """Star-shaped plots of about a hectare, corners in whole millimetres."""
    found: dict[str, list[list[tuple[int, int]]]] = {}
    while len(found) < number:
        corners = int(rng.integers(6, 16))
        angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
        radius = rng.uniform(35, 90) * rng.uniform(0.7, 1.3, corners) * 1000
        centre = rng.uniform(150_000, SIDE * PIXEL_M * 1000 - 150_000, 2)
        ring = np.rint(centre + radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])).astype(int)
        if shapely.Polygon(ring).is_valid:
            found[str(len(found))] = [[(int(x), int(y)) for x, y in ring]]
    return found


def seconds(call: Callable[[], Any]) -> tuple[float, Any]:
    started = time.perf_counter()
    out = call()
    return time.perf_counter() - started, out


def compare(number: int, dates: int, one_by_one: int, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(20240601)
    rings = plots(rng, number)
    stack = rng.normal(0.55, 0.2, (dates, SIDE, SIDE))
    polygons = [shapely.Polygon(np.asarray(r[0]) / 1000) for r in rings.values()]
    cover = exact_zones(GRID, rings).coverage
    means = np.array([sums.mean for sums in zonal_sums_of_dates(cover, stack)])
    figures: dict[str, Any] = {
        "plots": number,
        "dates": dates,
        "shares": int(cover.cell.size),
        "geos_largest_difference": beside_geos(cover, polygons, means[0], stack[0]),
    }
    if zonal_compiled.available():
        compiled = np.array([sums.mean for sums in zonal_sums_of_dates(cover, stack, engine="compiled")])
        figures["engines_differing_sums"] = int((compiled != means).sum())
    rust, exact = peer("extractrs"), peer("exactextract")
    figures |= all_dates(exact, stack, rings, polygons, rounds)
    figures |= date_by_date(rust, exact, stack[:one_by_one], cover, polygons)
    if exact:
        figures["exactextract_ratio"] = dates * figures["exactextract_per_date_s"] / figures["total_s"]
    return figures


def all_dates(exact: Any, stack: np.ndarray, rings: Any, polygons: list[Any], rounds: int) -> dict[str, Any]:
    """Shares made and all dates summed, beside one call of exactextract."""
    runs: dict[str, Callable[[], object]] = {
        "total": lambda: zonal_sums_of_dates(exact_zones(GRID, rings).coverage, stack),
        "compiled": lambda: zonal_sums_of_dates(exact_zones(GRID, rings).coverage, stack, engine="compiled"),
        "build": lambda: exact_zones(GRID, rings),
    }
    if not zonal_compiled.available():
        del runs["compiled"]
        print("numba is not installed")
    if exact:
        source, frame = exactextract_inputs(stack, polygons)
        for name, strategy in STRATEGIES.items():
            runs[name] = lambda s=strategy: exact.exact_extract(
                source, frame, ["mean"], output="pandas", strategy=s
            )
    clock, used = in_turns(runs, rounds)
    figures = {"build_s": clock["build"]}
    for name, label in ENGINES.items():
        if name not in clock:
            continue
        figures[f"{label}_s"], figures[f"{label}_processor_s"] = clock[name], used[name]
        for strategy in STRATEGIES if exact else ():
            key = "" if strategy == "default" else "_faster_strategy"
            figures[f"exactextract_one_call{key}_s"] = clock[strategy]
            figures[f"{label}_one_call{key}_ratio"] = clock[strategy] / clock[name]
            figures[f"{label}_one_call{key}_processor_ratio"] = used[strategy] / used[name]
    return figures


def date_by_date(
    rust: Any, exact: Any, stack: np.ndarray, cover: Coverage, polygons: list[Any]
) -> dict[str, Any]:
    """Dates that arrive one after the other, each in turns; the peers' means beside ours."""
    took: dict[str, list[float]] = {"ours": [], "extractrs": [], "exactextract": []}
    found = {name: np.empty((len(stack), cover.zones)) for name in took}
    single = replace(cover, share=cover.share.astype(np.float32).astype(np.float64))
    rounded = np.array([zonal_sums(single, band).mean for band in stack])
    figures: dict[str, Any] = {}
    if rust:
        figures["extractrs_build_s"], cache = seconds(lambda: extractrs_cache(rust, polygons))
        order = np.argsort(cache.ids())
    source, frame = exactextract_inputs(stack, polygons) if exact else ([], None)
    for i, band in enumerate(stack):
        calls: dict[str, Callable[[], Any]] = {"ours": lambda b=band: zonal_sums(cover, b).mean}
        if rust:
            calls["extractrs"] = lambda b=band: rust.apply_stat(cache, b, float("nan"), "mean")[order]
        if exact:
            calls["exactextract"] = lambda i=i: exact.exact_extract(
                source[i], frame, ["mean"], output="pandas"
            )["mean"]
        for name, call in calls.items():
            lasted, found[name][i] = seconds(call)
            took[name].append(lasted)
    figures["per_date_s"] = statistics.median(took["ours"])
    for name in ("extractrs", "exactextract"):
        if took[name]:
            each = statistics.median(took[name])
            figures[f"{name}_per_date_s"] = each
            figures[f"{name}_largest_difference"] = float(np.abs(found["ours"] - found[name]).max())
            apart = float(np.abs(rounded - found[name]).max())
            figures[f"{name}_single_precision_largest_difference"] = apart
            figures[f"{name}_per_date_ratio"] = each / figures["per_date_s"]
    return figures


def exactextract_inputs(stack: np.ndarray, polygons: list[Any]) -> tuple[list[Any], Any]:
    import geopandas
    from exactextract.raster import NumPyRasterSource

    side, wkt = SIDE * PIXEL_M, CRS.from_epsg(GRID.epsg).to_wkt()
    source = [
        NumPyRasterSource(b, xmin=0, ymin=0, xmax=side, ymax=side, name=f"d{i}", srs_wkt=wkt)
        for i, b in enumerate(stack)
    ]
    return source, geopandas.GeoDataFrame({"id": range(len(polygons))}, geometry=polygons, crs=GRID.epsg)


def extractrs_cache(rust: Any, polygons: list[Any]) -> Any:
    side = float(SIDE * PIXEL_M)
    wkb = list(shapely.to_wkb(polygons))
    return rust.build_cache(wkb, list(range(len(wkb))), 0.0, 0.0, side, side, float(PIXEL_M), float(PIXEL_M))


def beside_geos(cover: Coverage, polygons: list[Any], means: np.ndarray, band: np.ndarray) -> float:
    """Largest difference of zonal means from those of pixel-by-pixel intersections by GEOS, all plots."""
    row, col = np.divmod(cover.cell.astype(np.int64), SIDE)
    left, top = col * PIXEL_M, (SIDE - row) * PIXEL_M
    zone = np.repeat(np.arange(cover.zones), np.diff(cover.start))
    boxes = shapely.box(left, top - PIXEL_M, left + PIXEL_M, top)
    area = shapely.area(shapely.intersection(boxes, np.array(polygons)[zone]))
    total = np.bincount(zone, weights=area * band.reshape(-1)[cover.cell])
    return float(np.abs(total / shapely.area(polygons) - means).max())


def processor() -> str:
    with Path("/proc/cpuinfo").open() as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


def report(f: dict[str, Any]) -> None:
    print(f"{f['plots']} plots, {f['dates']} dates, {f['shares']} shares; {processor()}")
    print("{:<58}{:>12}{:>13}{:>9}".format("figure", "here", "peer", "ratio"))
    rows = [
        ("all dates, exactextract called as each arrives", "total_s", "exactextract_per_date_s", f["dates"]),
        ("all dates, exactextract in one call", "total_s", "exactextract_one_call_s", 1),
        ("  compiled", "total_compiled_s", "exactextract_one_call_s", 1),
        ("all dates, its faster strategy", "total_s", "exactextract_one_call_faster_strategy_s", 1),
        ("  compiled", "total_compiled_s", "exactextract_one_call_faster_strategy_s", 1),
        ("one date, extractrs, shares in hand", "per_date_s", "extractrs_per_date_s", 1),
        ("shares, extractrs", "build_s", "extractrs_build_s", 1),
    ]
    for name, here, there, times in rows:
        if here in f and there in f:
            ours, peers = f[here] * 1000, f[there] * 1000 * times
            print(f"{name:<58}{ours:>9.1f} ms{peers:>10.1f} ms{peers / ours:>8.1f}×")
    for label in ENGINES.values():
        if f"{label}_one_call_processor_ratio" in f:
            default, faster = (f[f"{label}_one_call{s}_processor_ratio"] for s in ("", "_faster_strategy"))
            cpu = f[f"{label}_processor_s"] * 1000
            print(f"processor time, one call, {label}: {cpu:.0f} ms, {default:.1f}× ({faster:.1f}×)")
    print(f"largest difference from intersections by GEOS, all plots: {f['geos_largest_difference']:.1e}")
    for name in ("exactextract", "extractrs"):
        if f"{name}_largest_difference" in f:
            apart, single = (f[f"{name}{s}_largest_difference"] for s in ("", "_single_precision"))
            print(f"from {name}: {apart:.1e}, with shares in single precision like its own {single:.1e}")


if __name__ == "__main__":
    main()
