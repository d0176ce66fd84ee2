"""Zonal means of 5,000 plots over 60 dates, with exact pixel shares: this program, exactextract and extractrs in turns.

exactextract is timed as it is called when scenes arrive one by one, and as one call with all dates (its own reuse of
shares). extractrs holds its shares like this program does. Both peers keep shares in single precision: the largest
difference is given as found, with this program's shares rounded to single precision like theirs, and against GEOS.

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

from models.zonal import Coverage, zonal_sums
from mrv.geometry import Grid
from mrv.zonal import exact_zones

SIDE, PIXEL_M, PLOTS = 1200, 10, 5000
GRID = Grid(6674, 0, SIDE * PIXEL_M * 10**6, PIXEL_M * 10**6, SIDE, SIDE)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="12 dates instead of 60")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = compare(12 if arguments.quick else 60, 1 if arguments.quick else 3)
    report(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def peer(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        print(f"{name} is not installed")
        return None


def plots(rng: np.random.Generator) -> dict[str, list[list[tuple[int, int]]]]:
    """Star-shaped plots of about a hectare, corners in whole millimetres."""
    found: dict[str, list[list[tuple[int, int]]]] = {}
    while len(found) < PLOTS:
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


def compare(dates: int, rounds: int) -> dict[str, Any]:
    rng = np.random.default_rng(20240601)
    rings = plots(rng)
    stack = rng.normal(0.55, 0.2, (dates, SIDE, SIDE))
    polygons = [shapely.Polygon(np.asarray(r[0]) / 1000) for r in rings.values()]
    figures: dict[str, Any] = {"plots": PLOTS, "dates": dates, "processor": processor()}
    build, zones = seconds(lambda: exact_zones(GRID, rings))
    cover = zones.coverage
    figures["shares"] = int(cover.cell.size)
    builds, ours = [build], []
    rust, exact = peer("extractrs"), peer("exactextract")
    cache, source, frame = None, None, None
    rust_builds, rust_dates, exact_dates = [], [], []
    if exact:
        source, frame = exactextract_inputs(stack, polygons)
    for _ in range(rounds):
        if rust:
            took, cache = seconds(lambda: extractrs_cache(rust, polygons))
            rust_builds.append(took)
        builds.append(seconds(lambda: exact_zones(GRID, rings))[0])
    means = np.empty((dates, PLOTS))
    rust_means, exact_means = np.empty_like(means), np.empty_like(means)
    order = np.argsort(cache.ids()) if rust else None
    for i, band in enumerate(stack):
        took, sums = seconds(lambda b=band: zonal_sums(cover, b))
        means[i] = sums.mean
        ours.append(took)
        if rust:
            took, out = seconds(lambda b=band: rust.apply_stat(cache, b, float("nan"), "mean"))
            rust_means[i] = out[order]
            rust_dates.append(took)
        if exact:
            took, out = seconds(lambda i=i: exact.exact_extract(source[i], frame, ["mean"], output="pandas"))
            exact_means[i] = out["mean"]
            exact_dates.append(took)
    date, first = statistics.median(ours), statistics.median(builds)
    total = first + dates * date
    figures |= {"build_s": first, "per_date_s": date, "total_s": total}
    single = replace(cover, share=cover.share.astype(np.float32).astype(np.float64))
    rounded = np.array([zonal_sums(single, b).mean for b in stack])
    if rust:
        per_date = statistics.median(rust_dates)
        figures |= {
            "extractrs_build_s": statistics.median(rust_builds),
            "extractrs_per_date_s": per_date,
            "extractrs_per_date_ratio": per_date / date,
            "extractrs_largest_difference": float(np.abs(means - rust_means).max()),
            "extractrs_largest_difference_single": float(np.abs(rounded - rust_means).max()),
        }
    if exact:
        per_date = statistics.median(exact_dates)
        once = statistics.median(
            [
                seconds(lambda: exact.exact_extract(source, frame, ["mean"], output="pandas"))[0]
                for _ in range(rounds)
            ]
        )
        figures |= {
            "exactextract_per_date_s": per_date,
            "exactextract_ratio": dates * per_date / total,
            "exactextract_one_call_s": once,
            "exactextract_one_call_ratio": once / total,
            "exactextract_largest_difference": float(np.abs(means - exact_means).max()),
            "exactextract_largest_difference_single": float(np.abs(rounded - exact_means).max()),
        }
    figures["geos_largest_difference"] = beside_geos(cover, polygons, means[0], stack[0])
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
    print(f"{f['plots']} plots, {f['dates']} dates, {f['shares']} shares; {f['processor']}")
    head = ("figure", "here", "peer", "ratio", "difference", "in single precision")
    print("{:<34}{:>12}{:>12}{:>9}{:>13}{:>21}".format(*head))
    rows = []
    if "exactextract_ratio" in f:
        d = f["exactextract_largest_difference"], f["exactextract_largest_difference_single"]
        each = f["exactextract_per_date_s"] * f["dates"]
        rows.append(("all dates, exactextract by date", f["total_s"], each, f["exactextract_ratio"], *d))
        once = f["exactextract_one_call_s"]
        rows.append(
            ("all dates, exactextract in one call", f["total_s"], once, f["exactextract_one_call_ratio"], *d)
        )
    if "extractrs_per_date_ratio" in f:
        d = f["extractrs_largest_difference"], f["extractrs_largest_difference_single"]
        each, ratio = f["extractrs_per_date_s"], f["extractrs_per_date_ratio"]
        rows.append(("one date, extractrs", f["per_date_s"], each, ratio, *d))
        rows.append(
            (
                "shares, extractrs",
                f["build_s"],
                f["extractrs_build_s"],
                f["extractrs_build_s"] / f["build_s"],
                *d,
            )
        )
    for name, here, there, ratio, apart, single in rows:
        print(
            f"{name:<35}{here * 1000:>9.1f} ms{there * 1000:>9.1f} ms{ratio:>8.1f}×{apart:>13.1e}{single:>21.1e}"
        )
    print(f"largest difference from intersections by GEOS, all plots: {f['geos_largest_difference']:.1e}")


if __name__ == "__main__":
    main()
