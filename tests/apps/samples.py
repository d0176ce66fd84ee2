"""Stage results of a made-up site, for tests of pages and papers: plausible figures, exact identities."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

from mrv.methodology.ledgers import jcredit_ledger
from mrv.project import DeclaredErrors, MonitoringPlan, Project
from mrv.results import Change, Claim, Estimate, PlotChange

T = 1_000_000
PROJECT = Project(
    project_id="owase-demo",
    name_en="Owase demonstration forest",
    name_ja="尾鷲 実演林",
    epsg=6674,
    prefecture="mie",
    municipality_code="24209",
    municipality_en="Owase, Mie",
    municipality_ja="三重県尾鷲市",
    start=date(2021, 10, 20),
    buffer_ppm=30_000,
    demo=True,
    simulated=True,
)
PLAN = MonitoringPlan(
    project_id="owase-demo",
    first_survey_id="owase-demo-2021",
    treatments={"P1": "growing", "P5": "treated"},
    sample_plots={"S01": "P1"},
    deduction_policy="probability_of_exceedance",
    confidence_ppm=666_667,
    interval_ppm=900_000,
    cell_mm=20_000,
    declared=DeclaredErrors({"hinoki": 50_000}, 40_000, 100),
)
_ROWS = (  # id, species, treatment, ha, stock t, growth, recruited, thinned, cut, died (t CO2e), se
    ("P1", "hinoki", "growing", 9.12, 3120, 262, 3, 0, 0, -14, 31),
    ("P2", "hinoki", "growing", 8.40, 3710, 221, 0, 0, 0, -22, 34),
    ("P3", "sugi", "growing", 8.05, 2890, 301, 2, 0, 0, -9, 29),
    ("P4", "sugi", "growing", 7.93, 3655, 240, 0, 0, 0, -18, 36),
    ("P5", "hinoki", "treated", 2.10, 880, 44, 0, -118, 0, -3, 12),
    ("P6", "sugi", "treated", 1.98, 790, 51, 0, -177, 0, -2, 14),
    ("P7", "hinoki", "treated", 2.05, 815, 39, 0, -231, 0, -4, 15),
    ("P8", "konara", "treated", 0.50, 122, 0, 4, 0, -119, 0, 6),
)


def _plot(row: tuple, tagged: int = 3) -> PlotChange:
    name, species, treatment, ha, stock, growth, recruited, thinned, cut, died, se = row
    parts = {
        "growth": growth,
        "recruited": 0,
        "replanted": recruited,
        "thinned": thinned,
        "cut": cut,
        "died": died,
    }
    change = sum(parts.values()) * T
    return PlotChange(
        plot_id=name,
        name=f"{name}-い",
        area_mm2=round(ha * 1e10),
        species=species,
        treatment=treatment,
        sample_plots=tagged,
        canopy_first_mm=14_820,
        canopy_last_mm=16_130,
        stock_first=Estimate(stock * T, 3 * se * T, 2),
        stock_last=Estimate(stock * T + change, 3 * se * T, 2),
        change=Estimate(change, se * T, 2),
        components_g={k: v * T for k, v in parts.items()},
    )


def sample_change(sign: int = 1) -> Change:
    """Change of the eight plots; with ``sign=-1`` everything that grew was lost."""
    plots = tuple(_plot(r) for r in _ROWS)
    if sign < 0:
        plots = tuple(
            replace(
                p,
                change=Estimate(-p.change.total_g, p.change.se_g, 2),
                components_g={k: -v for k, v in p.components_g.items()},
            )
            for p in plots
        )
    keys = plots[0].components_g
    parts = {k: sum(p.components_g[k] for p in plots) for k in keys}
    total, first = sum(parts.values()), sum(p.stock_first.total_g for p in plots)
    se = 71 * T
    return Change(
        project_id="owase-demo",
        plan_digest="sha256:" + "5c" * 32,
        first_survey_id="owase-demo-2021",
        last_survey_id="owase-demo-2025",
        start=date(2021, 10, 20),
        end=date(2025, 10, 20),
        method="paired_stratified_regression",
        plots=plots,
        stock_first=Estimate(first, 640 * T, 18),
        stock_last=Estimate(first + total, 655 * T, 18),
        change=Estimate(total, se, 18),
        components_g=parts,
        variance_parts_g2={
            "sampling": str((60 * T) ** 2),
            "shared_factors": str((33 * T) ** 2),
            "field_height_bias": str((18 * T) ** 2),
        },
        species_change_g={"hinoki": total // 2, "sugi": total - total // 2},
        jcredit_g=jcredit_ledger(parts),
        coefficients={},
        creditable=True,
        flags=("canopy.terrain_not_from_laser",),
        unverified=("hinoki: carbon_fraction", "sugi: root_ratio"),
        simulated=True,
    )


def sample_claim() -> Claim:
    """A claim on `sample_change` whose kilograms add up."""
    estimate, deduction = sample_change().change.total_g // 1000, 31_204
    gross = estimate - deduction
    buffer = -(-gross * 3 // 100)
    return Claim(
        project_id="owase-demo",
        batch_id="sha256:" + "b7" * 32,
        method_id=PLAN.method_id,
        method_version=PLAN.method_version,
        method_digest="sha256:" + "4d" * 32,
        plan_digest="sha256:" + "5c" * 32,
        change_digest="sha256:" + "9e" * 32,
        period_start=date(2021, 10, 20),
        period_end=date(2025, 10, 20),
        vintage=2025,
        confidence_ppm=666_667,
        deduction_policy="probability_of_exceedance",
        estimate_kg=estimate,
        standard_error_kg=71_000,
        df=18,
        deduction_kg=deduction,
        prior_gross_kg=0,
        compensated_kg=0,
        gross_kg=gross,
        buffer_kg=buffer,
        credited_kg=gross - buffer,
        area_mm2=sum(p.area_mm2 for p in sample_change().plots),
        register_ids=tuple(f"24209-012-い-{i}" for i in range(1, 9)),
        unverified=("hinoki: carbon_fraction",),
        simulated=True,
    )


OUTLINES = {
    f"P{i + 1}": (
        tuple(
            (x * 250_000 + dx, y * 380_000 + dy)
            for dx, dy in (
                (12_000, 9_000),
                (226_000, 21_000),
                (239_000, 342_000),
                (119_000, 371_000),
                (18_000, 332_000),
            )
        ),
    )
    for i, (x, y) in enumerate((x, y) for y in range(2) for x in range(4))
}


def write_raster(path: Path, values: np.ndarray, nodata: int, pixel_m: float = 2.0) -> Path:
    """A small GeoTIFF over the outlines, in plane coordinates near the origin."""
    with rasterio.open(
        path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1, dtype=values.dtype,
        crs="EPSG:6674", transform=from_origin(0, values.shape[0] * pixel_m, pixel_m, pixel_m), nodata=nodata, compress="deflate",
    ) as target:  # fmt: skip
        target.write(values, 1)
    return path


def sample_canopies(folder: Path) -> tuple[Path, Path]:
    """Two canopy height rasters, int32 mm; the last is 1 m taller, with a cut corner and a missing pixel."""
    row, col = np.mgrid[0:380, 0:500]
    first = (
        12_000 + 5_000 * np.sin(row / 41) * np.cos(col / 57) + 900 * np.sin(row * 1.7) * np.sin(col * 2.3)
    ).astype(np.int32)
    last = first + 1_000
    last[:180, 380:] -= 9_000
    first[0, 0] = last[0, 0] = -(2**31)
    return (
        write_raster(folder / "canopy_a.tif", first, -(2**31)),
        write_raster(folder / "canopy_b.tif", last, -(2**31)),
    )
