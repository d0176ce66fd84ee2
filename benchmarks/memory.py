"""Peak memory of measuring a survey: canopy stage and exact zonal sums, then maps and metrics, on areas of growing size, chunk unchanged.

A canopy of 0.5 m pixels is made up block by block and written as a tiled GeoTIFF; plots of 2 ha cover it. Each measurement
runs in a process of its own, whose peak resident memory the system reports; a process that only imports is the base.
The peer does the same with the raster and one mask of its size in memory.

    python benchmarks/memory.py [--quick] [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import numpy as np
import rasterio

from mrv.blob import Blob, FolderSink, canonical_json
from mrv.canopy import measure_canopy
from mrv.geometry import Grid, zone_mask
from mrv.maps import write_maps
from mrv.metrics import write_metrics
from mrv.results import Change, Estimate, canopy_from_doc, to_doc
from mrv.survey import Plot, Survey
from mrv.zonal import sums_in_strips

PIXEL_UM, BLOCK, CELL_MM = 500_000, 512, 20_000
LIMIT_MB = 2048


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100 and 400 ha instead of 100 to 10,000 ha")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", nargs=2, metavar=("KIND", "SIDE"), help=argparse.SUPPRESS)
    parser.add_argument(
        "--folder", type=Path, help="where the rasters are written (default: a temporary folder)"
    )
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child[0], int(arguments.child[1]), arguments.folder)
        return
    sides = (2000, 4000) if arguments.quick else (2000, 6325, 20_000)
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        figures = compare(sides, Path(folder))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    if figures["peak_mb"] > LIMIT_MB:
        raise SystemExit(f"peak memory {figures['peak_mb']:.0f} MB is above {LIMIT_MB} MB")


def grid_of_side(side: int) -> Grid:
    return Grid(6674, 0, side * PIXEL_UM, PIXEL_UM, side, side)


def make_up(path: Path, side: int) -> None:
    """Canopy of 0 to 30 m in whole centimetres with holes, one row of blocks at a time."""
    grid = grid_of_side(side)
    profile = {"driver": "GTiff", "width": side, "height": side, "count": 1, "dtype": "float32"}
    tiles = {"tiled": True, "blockxsize": BLOCK, "blockysize": BLOCK, "compress": "deflate", "zlevel": 1}
    with rasterio.open(
        path, "w", **profile, **tiles, nodata=-9999.0, crs="EPSG:6674", transform=grid.transform
    ) as target:
        for row in range(0, side, BLOCK):
            rows = min(BLOCK, side - row)
            rng = np.random.default_rng((side, row))
            crowns = (
                np.sin(np.arange(side) / 5.3)[None, :] * np.cos(np.arange(row, row + rows) / 4.7)[:, None]
            )
            noise = rng.integers(0, 8, (rows, side)) / 10
            metres = np.round(14 + 9 * crowns + noise, 2).astype(np.float32)
            metres[noise > 0.65] = -9999.0 if row % 1024 == 0 else 0.0
            target.write(metres, 1, window=rasterio.windows.Window(0, row, side, rows))


def rings(side: int) -> dict[str, tuple[tuple[tuple[int, int], ...], ...]]:
    """Plots of about 2 ha, slightly turned, that cover the whole."""
    extent = side * PIXEL_UM // 1000
    count = max(round(extent / 141_421), 1)
    edge = np.linspace(0, extent, count + 1).astype(int)
    found = {}
    for i in range(count):
        for j in range(count):
            (a, b), (c, d) = edge[i : i + 2], edge[j : j + 2]
            corners = ((a + 313, c), (b, c + 517), (b - 311, d), (a, d - 509))
            found[f"{i}-{j}"] = (tuple((int(x), int(y)) for x, y in corners),)
    return found


def child(kind: str, side: int, folder: Path) -> None:
    path, grid, plots = folder / f"{side}.tif", grid_of_side(side), rings(side)
    started = time.perf_counter()
    out: dict[str, float] = {}
    if kind == "ours":
        canopy = measure_canopy(survey(path, plots), FolderSink(folder))
        out["canopy_s"] = time.perf_counter() - started
        (folder / "canopy.json").write_bytes(canonical_json(to_doc(canopy)))
        out["sum_mm"] = sum(p.sum_mm for p in canopy.plots)
        with rasterio.open(folder / "canopy_made_up.tif") as source:
            out["exact_mean_mm"] = float(np.nanmean(sums_in_strips(source, grid, plots).mean))
    elif kind == "layers":
        layers(folder, survey(path, plots), out)
    elif kind == "whole":
        with rasterio.open(path) as source:
            metres = source.read(1, masked=True).astype(np.float64)
        heights = np.rint(metres.filled(np.nan) * 1000)
        total = 0.0
        for outline in plots.values():
            mask = zone_mask(grid, outline)
            rows, cols = mask.inside.shape
            total += np.nansum(heights[mask.row : mask.row + rows, mask.col : mask.col + cols][mask.inside])
        out["sum_mm"] = total
    out["seconds"] = time.perf_counter() - started
    out["peak_mb"] = peak_mb()
    print(json.dumps(out))


def layers(folder: Path, made: Survey, out: dict[str, float]) -> None:
    """Maps of a pair (the canopy of the stage before, taken for both dates), then the metrics of one date."""
    canopy = canopy_from_doc(json.loads((folder / "canopy.json").read_bytes()))
    raster, sink = folder / canopy.raster_name, FolderSink(folder)
    started = time.perf_counter()
    found = write_maps(change(), (canopy, canopy), (raster, raster), made.plots, CELL_MM, sink)
    out["maps_s"] = time.perf_counter() - started
    out["cells"] = found.coverage.project.total.cells
    write_metrics(made, canopy, raster, CELL_MM, sink)
    out["metrics_s"] = time.perf_counter() - started - out["maps_s"]


def change() -> Change:
    """A change of which the maps need the working models alone."""
    none = Estimate(0, 0, 1)
    model = {"b0": "1/10", "b1": "1/300000", "s2": "1/900", "sxx": "90000000", "x_bar": "14000", "n": "24"}
    return Change(
        project_id="benchmark",
        plan_digest="",
        first_survey_id="made_up",
        last_survey_id="made_up",
        start=date(2024, 6, 1),
        end=date(2025, 6, 1),
        method="paired_stratified_regression",
        plots=(),
        stock_first=none,
        stock_last=none,
        change=none,
        components_g={},
        variance_parts_g2={},
        species_change_g={},
        jcredit_g={},
        coefficients={f"{k}_{n}": v for k in ("first", "last", "change") for n, v in model.items()},
        creditable=False,
        flags=(),
        unverified=(),
        simulated=True,
    )


def peak_mb() -> float:
    """Peak resident memory of this process (a child's own: Linux would hand a parent's peak on to it in `getrusage`)."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def survey(path: Path, plots: dict[str, tuple[tuple[tuple[int, int], ...], ...]]) -> Survey:
    @contextmanager
    def opener() -> Iterator[Path]:
        yield path

    chm = Blob("sha256:" + "0" * 64, path.name, path.stat().st_size, opener)
    listed = tuple(
        Plot(name, name, name, outline, 2 * 10**10, "", "sugi", None, "growing")
        for name, outline in plots.items()
    )
    return Survey(
        survey_id="made_up",
        project_id="benchmark",
        day=date(2024, 6, 1),
        epsg=6674,
        vertical_datum="height_above_ground",
        plots=listed,
        sample_plots=(),
        trees=None,
        actions=(),
        design="none",
        chm=chm,
        dsm=None,
        dtm=None,
        points=None,
        ortho=None,
        simulated=True,
    )


def run(kind: str, side: int, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", kind, str(side), "--folder", str(folder)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(sides: tuple[int, ...], folder: Path) -> dict[str, float | str]:
    make_up(folder / f"{sides[0]}.tif", sides[0])
    base = run("base", sides[0], folder)["peak_mb"]
    figures: dict[str, float | str] = {"processor": processor(), "base_mb": base}
    print(f"0.5 m canopy, plots of 2 ha; a process that only imports takes {base:.0f} MB; {processor()}")
    row = "{:>10}{:>8}{:>12}{:>12}{:>16}{:>10}{:>12}{:>20}{:>16}{:>10}{:>10}"
    print(
        row.format(
            "ha",
            "plots",
            "peak",
            "above base",
            "whole in memory",
            "ratio",
            "seconds",
            "difference of sums",
            "peak of layers",
            "maps s",
            "metrics s",
        )
    )
    for side in sides:
        if side != sides[0]:
            make_up(folder / f"{side}.tif", side)
        ha = (side * PIXEL_UM / 1e6) ** 2 / 1e4
        ours = run("ours", side, folder)
        whole = run("whole", side, folder) if ha <= 1001 else None
        figures |= {f"peak_mb_{ha:.0f}ha": ours["peak_mb"], f"seconds_{ha:.0f}ha": ours["seconds"]}
        drawn = run("layers", side, folder)
        figures |= {
            f"layers_peak_mb_{ha:.0f}ha": drawn["peak_mb"],
            f"maps_seconds_{ha:.0f}ha": drawn["maps_s"],
            f"metrics_seconds_{ha:.0f}ha": drawn["metrics_s"],
        }
        more, ratio, apart = "–", "–", "–"
        if whole:
            figures[f"whole_mb_{ha:.0f}ha"] = whole["peak_mb"]
            more, ratio = f"{whole['peak_mb']:.0f} MB", f"{whole['peak_mb'] / ours['peak_mb']:.1f}×"
            apart = f"{whole['sum_mm'] - ours['sum_mm']:.0f} mm"
        print(
            row.format(
                f"{ha:.0f}",
                len(rings(side)),
                f"{ours['peak_mb']:.0f} MB",
                f"{ours['peak_mb'] - base:.0f} MB",
                more,
                ratio,
                f"{ours['seconds']:.1f}",
                apart,
                f"{drawn['peak_mb']:.0f} MB",
                f"{drawn['maps_s']:.1f}",
                f"{drawn['metrics_s']:.1f}",
            ),
            flush=True,
        )
        figures["peak_mb"], figures["area_ha"] = max(ours["peak_mb"], drawn["peak_mb"]), ha
        for used in folder.glob("*.tif"):
            used.unlink()
    return figures


def processor() -> str:
    with Path("/proc/cpuinfo").open() as file:
        names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
