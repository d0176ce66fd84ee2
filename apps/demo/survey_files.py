"""Write the demo's files as a team would hand them in: two surveys, the satellite catalogue, and, apart from them, the truth."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray

from apps.demo.definition import Scenario, demo_file
from apps.demo.pictures import orthomosaic
from apps.demo.sampling import to_plane_mm
from apps.demo.scenes import write_stac
from apps.demo.site import (
    SimulatedSite,
    known_actions,
    planted_year_at,
    simulate_site,
    tree_rows,
)

PIXEL_M = 0.5
NODATA = -9999.0
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
SIMULATED = (
    "SIMULATED. Every file here was made by a stand simulator for demonstration. Nothing was measured in a forest.\n"
    "模擬データ。このフォルダーのファイルはすべて、デモのために林分シミュレーターが作成したものです。実際の森林の測定値ではありません。\n"
)


@dataclass(frozen=True)
class DemoFiles:
    """Where everything was written.

    Attributes
    ----------
    survey_folders, survey_zips : pair of Path
        First and last survey; folder and zip hold the same files.
    truth_json : Path
        What only the simulator knows: for comparison beside the estimates, never read by the pipeline.
    """

    folder: Path
    project_toml: Path
    survey_folders: tuple[Path, Path]
    survey_zips: tuple[Path, Path]
    stac: Path
    truth_json: Path


def write_demo(folder: Path, seed: int, scenario: Scenario = "gain") -> DemoFiles:
    """Simulate the site and write its files; the same seed writes the same bytes.

    Parameters
    ----------
    folder : Path
        Made if missing; files of an earlier run are overwritten.
    scenario : {"gain", "loss"}
    """
    site = simulate_site(seed, PIXEL_M, scenario)
    folder.mkdir(parents=True, exist_ok=True)
    years = tuple(d.year for d in site.definition.days)
    files = DemoFiles(
        folder=folder,
        project_toml=folder / "project.toml",
        survey_folders=(folder / f"survey_{years[0]}", folder / f"survey_{years[1]}"),
        survey_zips=(folder / f"survey_{years[0]}.zip", folder / f"survey_{years[1]}.zip"),
        stac=folder / "stac",
        truth_json=folder / "truth.json",
    )
    files.project_toml.write_bytes(demo_file("project.toml"))
    for which, (survey, archive) in enumerate(zip(files.survey_folders, files.survey_zips, strict=True)):
        write_survey(site, which, survey)
        write_zip(survey, archive)
    write_stac(site, files.stac)
    files.truth_json.write_text(json.dumps(truth_document(site), ensure_ascii=False, indent=1) + "\n")
    return files


def write_survey(site: SimulatedSite, which: int, folder: Path) -> None:
    """Write one survey folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "SIMULATED.txt").write_text(SIMULATED, encoding="utf-8")
    (folder / "survey.toml").write_text(_manifest(site, which), encoding="utf-8")
    (folder / "plots.geojson").write_text(_plots_geojson(site, which), encoding="utf-8")
    (folder / "sample_plots.geojson").write_text(_samples_geojson(site), encoding="utf-8")
    (folder / "trees.csv").write_text(_trees_csv(site, which), encoding="utf-8")
    (folder / "actions.csv").write_text(_actions_csv(site, which), encoding="utf-8")
    chm = np.maximum(site.views[which].chm_m, 0)[None]
    # Lossless to the centimetre in which heights are given.
    _write_tiff(site, which, folder / "chm.tif", chm, nodata=NODATA, compress="LERC_ZSTD", MAX_Z_ERROR=0.005)
    _write_tiff(
        site,
        which,
        folder / "ortho.tif",
        orthomosaic(site, which),
        compress="JPEG",
        photometric="YCBCR",
        JPEG_QUALITY=78,
    )


def write_zip(folder: Path, archive: Path) -> None:
    """Zip a folder without times: same files, same bytes. Rasters are stored, text is deflated."""
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(p for p in folder.iterdir() if p.is_file()):
            entry = zipfile.ZipInfo(path.name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_STORED if path.suffix == ".tif" else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            out.writestr(entry, path.read_bytes())


def truth_document(site: SimulatedSite) -> dict[str, Any]:
    """True stock and change of every plot, and the errors that nature drew."""
    nature = site.nature
    return {
        "simulated": True,
        "note": "Known to the simulator only; the measurement never reads this file. / シミュレーターだけが知る真値。測定には使われません。",
        "seed": site.seed,
        "scenario": site.scenario,
        "plots": [
            {
                "plot_id": p.plot_id,
                "stock_first_g": p.stock_first_g,
                "stock_last_g": p.stock_last_g,
                "change_g": p.change_g,
                "components_g": dict(p.components_g),
            }
            for p in site.truth
        ],
        "stock_first_g": sum(p.stock_first_g for p in site.truth),
        "stock_last_g": sum(p.stock_last_g for p in site.truth),
        "change_g": site.true_change_g,
        "realised_errors": {
            "shared_factor": {
                s: round(v, 6)
                for s, v in zip(site.definition.site.species, nature.science.shared, strict=True)
            },
            "field_height_bias_m": [round(c.height_bias_m, 6) for c in nature.crews],
            "field_dbh_bias_cm": [round(c.dbh_bias_cm, 6) for c in nature.crews],
            "canopy_height_bias_m": [round(s.height_bias_m, 6) for s in nature.sensors],
            "canopy_shift_m": [[round(s.shift_x_m, 6), round(s.shift_y_m, 6)] for s in nature.sensors],
        },
    }


def _manifest(site: SimulatedSite, which: int) -> str:
    project, day = site.definition.project, site.definition.days[which]
    return f"""# Simulated survey for demonstration / デモ用模擬データ
[survey]
id = "{project.project_id}-{day.year}"
project = "{project.project_id}"
date = {day.isoformat()}
crs = "EPSG:{project.epsg}"
vertical_datum = "height_above_ground"
simulated = true

[files]
plots = "plots.geojson"
sample_plots = "sample_plots.geojson"
trees = "trees.csv"
actions = "actions.csv"
chm = {{ path = "chm.tif", unit = "m" }}
ortho = "ortho.tif"

[design]
kind = "stratified"
"""


def _geojson(site: SimulatedSite, name: str, features: Sequence[tuple[dict[str, Any], Any]]) -> str:
    """Features of polygons, one a line; coordinates in metres to the millimetre, ring closed, outer ring anticlockwise."""
    lines = []
    for properties, ring_mm in features:
        ring = [[x / 1000, y / 1000] for x, y in (*ring_mm, ring_mm[0])]
        twice = sum(
            (x1 - ring[0][0]) * (y2 - ring[0][1]) - (x2 - ring[0][0]) * (y1 - ring[0][1])
            for (x1, y1), (x2, y2) in pairwise(ring)
        )
        ring = ring if twice > 0 else ring[::-1]
        feature = {
            "type": "Feature",
            "properties": properties,
            "geometry": {"type": "Polygon", "coordinates": [ring]},
        }
        lines.append(json.dumps(feature, ensure_ascii=False))
    crs = json.dumps(
        {
            "type": "name",
            "properties": {"name": f"urn:ogc:def:crs:EPSG::{site.definition.project.epsg}"},
        }
    )
    body = ",\n".join(lines)
    return f'{{"type": "FeatureCollection", "name": "{name}", "crs": {crs}, "features": [\n{body}\n]}}\n'


def _plots_geojson(site: SimulatedSite, which: int) -> str:
    rows = []
    for row in site.definition.plots:
        properties = {
            "plot_id": row.plot_id,
            "register_id": row.register_id,
            "name": row.name,
            "species": row.species,
            "planted_year": planted_year_at(site.definition, row, which),
            "register_area_ha": row.register_area_ha,
            "treatment": row.treatment,
            "simulated": True,
        }
        rows.append((properties, to_plane_mm(site.definition, row.ring_m)))
    return _geojson(site, "plots", rows)


def _samples_geojson(site: SimulatedSite) -> str:
    rows = [
        ({"sample_plot_id": s.sample_plot_id, "plot_id": s.plot_id, "tagged": True}, s.ring_mm)
        for s in site.samples
    ]
    return _geojson(site, "sample_plots", rows)


def _trees_csv(site: SimulatedSite, which: int) -> str:
    lines = ["sample_plot,tag,species,dbh_cm,height_m,status,planted_year"]
    for row in tree_rows(site, which):
        stands = row.status == "alive"
        dbh = f"{row.dbh_mm / 10:.1f}" if stands else ""
        height = f"{row.height_mm / 1000:.1f}" if stands else ""
        year = "" if row.planted_year is None else str(row.planted_year)
        lines.append(f"{row.sample_plot_id},{row.tag},{row.species},{dbh},{height},{row.status},{year}")
    return "\n".join(lines) + "\n"


def _actions_csv(site: SimulatedSite, which: int) -> str:
    lines = ["plot,date,action,area_ha,note"]
    for a in known_actions(site.definition, which):
        lines.append(f'{a.plot_id},{a.day.isoformat()},{a.kind},{a.area_ha},"{a.note}"')
    return "\n".join(lines) + "\n"


def _write_tiff(
    site: SimulatedSite,
    which: int,
    path: Path,
    bands: NDArray[Any],
    nodata: float | None = None,
    **options: Any,
) -> None:
    grid = site.grid
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=bands.shape[0],
        height=grid.rows,
        width=grid.cols,
        dtype=bands.dtype,
        crs=f"EPSG:{grid.epsg}",
        transform=grid.transform,
        nodata=nodata,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        **options,
    ) as out:
        out.write(bands)
        out.update_tags(
            SIMULATED="true",
            DESCRIPTION="Simulated for demonstration, not measured / 模擬データ",
            SURVEY_DATE=site.definition.days[which].isoformat(),
        )
        if nodata is not None:
            out.set_band_unit(1, "m")
            out.set_band_description(1, "canopy height above ground")
