"""A small good survey, and the ways in which people spoil one."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

from mrv.intake import IntakePlan, KnownSurveys, plan_intake, render
from mrv.project import Project
from mrv.tables import Tables

LEFT, TOP = 17_000.0, -213_800.0
ROWS, COLS = 140, 260
PROJECT = Project(
    project_id="test-forest",
    name_en="Test forest",
    name_ja="試験林",
    epsg=6674,
    prefecture="mie",
    municipality_code="24209",
    municipality_en="Owase",
    municipality_ja="尾鷲市",
    start=date(2021, 10, 20),
    buffer_ppm=30_000,
    demo=False,
    simulated=False,
)
MANIFEST = """
[survey]
id = "test-2021"
project = "test-forest"
date = 2021-10-20
crs = "EPSG:6674"
vertical_datum = "height_above_ground"
[files]
plots = "plots.geojson"
sample_plots = "sample_plots.geojson"
trees = "trees.csv"
actions = "actions.csv"
chm = "chm.tif"
[design]
kind = "stratified"
"""
ACTIONS = "plot,date,action,area_ha,note\nA,2020-11-05,thin,0.5,\n"


def box(x: float, y: float, side: float) -> dict[str, Any]:
    """GeoJSON square; x, y in metres from the raster's upper left corner, y downwards."""
    left, top = LEFT + x, TOP - y
    ring = [[left, top], [left, top - side], [left + side, top - side], [left + side, top], [left, top]]
    return {"type": "Polygon", "coordinates": [ring]}


def collection(features: list[tuple[dict[str, Any], dict[str, Any]]], crs: str | None = "EPSG::6674") -> str:
    doc: dict[str, Any] = {"type": "FeatureCollection"}
    if crs:
        doc["crs"] = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:{crs}"}}
    doc["features"] = [{"type": "Feature", "properties": p, "geometry": g} for p, g in features]
    return json.dumps(doc, ensure_ascii=False)


def plot_features() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [
        (
            {
                "plot_id": plot_id,
                "register_id": f"24209-001-い-{n}",
                "name": f"{n}号",
                "species": species,
                "planted_year": 1985,
                "register_area_ha": 1.02,
                "treatment": "growing",
            },
            box(20 + 120 * n, 20, 100),
        )
        for n, (plot_id, species) in enumerate([("A", "ヒノキ"), ("B", "sugi")])
    ]


def sample_features() -> list[tuple[dict[str, Any], dict[str, Any]]]:
    return [
        (
            {"sample_plot_id": f"{plot}-{k}", "plot_id": plot, "tagged": True},
            box(20 + 120 * n + 40 * k, 40, 20),
        )
        for n, plot in enumerate("AB")
        for k in range(2)
    ]


def tree_rows() -> list[list[str]]:
    rows = [["sample_plot", "tag", "species", "dbh_cm", "height_m", "status", "planted_year"]]
    for plot, species in (("A", "hinoki"), ("B", "スギ")):
        for k in range(2):
            for tag in range(1, 11):
                dbh, height = 18 + tag * 0.7 + k, 14 + tag * 0.25
                rows.append(
                    [f"{plot}-{k}", f"{tag:03d}", species, f"{dbh:.1f}", f"{height:.1f}", "alive", ""]
                )
    return rows


def csv_text(rows: list[list[str]]) -> str:
    return "".join(",".join(row) + "\n" for row in rows)


def heights() -> np.ndarray:
    """Canopy of 10 to 17 m, 1 m cells."""
    y, x = np.mgrid[:ROWS, :COLS]
    return (13.5 + 3.5 * np.sin(x / 3.0) * np.cos(y / 4.0)).astype("float32")


def write_tif(
    path: Path,
    values: np.ndarray,
    crs: str | None = "EPSG:6674",
    left: float = LEFT,
    top: float = TOP,
    unit: str | None = None,
    **options: Any,
) -> None:
    bands = values if values.ndim == 3 else values[None]
    profile = {
        "driver": "GTiff",
        "height": bands.shape[1],
        "width": bands.shape[2],
        "count": bands.shape[0],
        "dtype": values.dtype.name,
        "crs": crs,
        "transform": Affine(1, 0, left, 0, -1, top),
        "nodata": -9999.0 if values.dtype.kind == "f" else None,
        "compress": "deflate",
    }
    with rasterio.open(path, "w", **{**profile, **options}) as target:
        target.write(bands)
        if unit:
            target.set_band_unit(1, unit)


def good_survey(folder: Path) -> Path:
    """A survey that intake accepts: two plots of 1 ha, four sample plots, forty trees, one canopy raster."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "survey.toml").write_text(MANIFEST)
    (folder / "plots.geojson").write_text(collection(plot_features()))
    (folder / "sample_plots.geojson").write_text(collection(sample_features()))
    (folder / "trees.csv").write_text(csv_text(tree_rows()))
    (folder / "actions.csv").write_text(ACTIONS)
    write_tif(folder / "chm.tif", heights())
    return folder


def second_survey(folder: Path) -> Path:
    """The same plots four years later: other heights, other diameters."""
    good_survey(folder)
    edit(folder, "survey.toml", "test-2021", "test-2025")
    edit(folder, "survey.toml", "2021-10-20", "2025-10-20")
    rows = tree_rows()
    change_cells(rows, "height_m", lambda text: f"{float(text) + 1:.1f}")
    (folder / "trees.csv").write_text(csv_text(rows))
    write_tif(folder / "chm.tif", heights() + np.float32(1))
    return folder


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """Replace a text that must be there."""
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def change_cells(rows: list[list[str]], column: str, change: Callable[[str], str]) -> None:
    at = rows[0].index(column)
    for row in rows[1:]:
        row[at] = change(row[at])


def rewrite_trees(change: Callable[[list[list[str]]], object]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        rows = tree_rows()
        change(rows)
        (folder / "trees.csv").write_text(csv_text(rows))

    return spoil


def cell(row: int, column: str, text: str) -> Callable[[Path], None]:
    """Put `text` into one cell of the tree list; `row` as a spreadsheet counts (the header is 1)."""

    def change(rows: list[list[str]]) -> None:
        rows[row - 1][rows[0].index(column)] = text

    return rewrite_trees(change)


def raster(**options: Any) -> Callable[[Path], None]:
    """Rewrite the canopy with other options or values."""

    def spoil(folder: Path) -> None:
        values = options.get("values", heights())
        write_tif(folder / "chm.tif", values, **{k: v for k, v in options.items() if k != "values"})

    return spoil


def replaced(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda folder: edit(folder, name, old, new)


def written(name: str, data: str | bytes) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_bytes(data.encode() if isinstance(data, str) else data)

    return spoil


def truncate(folder: Path) -> None:
    """Keep four fifths of the canopy raster, as a broken copy does; its header comes first and stays whole."""
    data = (folder / "chm.tif").read_bytes()
    (folder / "chm.tif").write_bytes(data[: len(data) * 4 // 5])


def surface_and_terrain(
    folder: Path, dsm: str, dtm: str, geoid_m: float = 0.0, source: str = "laser"
) -> None:
    """Hand the canopy in as DSM and DTM on the datums named."""
    terrain = np.full((ROWS, COLS), 300, dtype="float32")
    write_tif(folder / "dsm.tif", terrain + heights() + np.float32(geoid_m))
    write_tif(folder / "dtm.tif", terrain)
    entry = '{{path = "{0}.tif"{1}{2}}}'
    lines = [
        f"{role} = " + entry.format(role, f', vertical_datum = "{datum}"' if datum else "", extra)
        for role, datum, extra in (("dsm", dsm, ""), ("dtm", dtm, f', source = "{source}"'))
    ]
    edit(folder, "survey.toml", 'chm = "chm.tif"', "\n".join(lines))
    edit(folder, "survey.toml", 'vertical_datum = "height_above_ground"\n', "")


def zip_of(folder: Path, target: Path, inside: str = "", extra: Mapping[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.iterdir()):
            archive.write(path, inside + path.name)
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return target


def zip_with_link(folder: Path, target: Path) -> Path:
    zip_of(folder, target)
    info = zipfile.ZipInfo("notes.txt")
    info.create_system = 3
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(info, "/etc/passwd")
    return target


def zip_bytes(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def refused(upload: Path, tables: Tables, known: KnownSurveys | None = None) -> IntakePlan:
    """The plan of an upload that must be refused, its texts checked in both languages."""
    plan = plan_intake(upload, PROJECT, known or KnownSurveys(), tables)
    assert not plan.accepted and plan.survey is None and plan.refusals, render(plan)
    for problem in plan.problems:
        assert problem.en != problem.ja and re.search(r"[぀-ヿ一-鿿]", problem.ja)
        for text in (problem.where, problem.expected_en, problem.got_en, problem.todo_en, problem.got_ja):
            assert text.strip()
    assert "REFUSED" in render(plan, "en") and "不受理" in render(plan, "ja")
    json.dumps(plan.to_doc())
    return plan


def codes(plan: IntakePlan) -> list[str]:
    return [p.code for p in plan.refusals]
