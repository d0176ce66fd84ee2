"""Satellite scenes: moisture and burn indices of every plot on the days it is seen. A trigger, never the quantity that is credited.

``NDMI = (B8A - B11) / (B8A + B11)`` (most sensitive to selective cutting), ``NBR = (B8A - B12) / (B8A + B12)``; Sentinel-2 names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from pyproj.exceptions import ProjError
from rasterio.windows import Window

from models.breaks import normalised_difference
from mrv.blob import Blob
from mrv.errors import Problem, Refusal
from mrv.geometry import Grid, Ring, ZoneMask, grid_of, zone_mask

BANDS = ("B8A", "B11", "B12")
SCENE_CLASS = "SCL"
# Sentinel-2 Level-2A scene classes that show the ground: vegetation and bare soil.
CLEAR_CLASSES = (4, 5)
E4 = 10_000


@dataclass(frozen=True)
class Scene:
    """One satellite scene.

    Attributes
    ----------
    files : mapping of band name to Blob
        ``B8A``, ``B11``, ``B12`` (reflectance, whole numbers) and ``SCL``, all on one grid.
    offset_dn : int
        Added to every reflectance before use (-1000 for Sentinel-2 baseline 04.00 and later, as delivered).
    """

    scene_id: str
    day: date
    files: Mapping[str, Blob]
    offset_dn: int = 0


@dataclass(frozen=True)
class PlotIndices:
    """Mean indices of a plot over its clear pixels, ×10⁴ and rounded half-even; None where no pixel is clear."""

    plot_id: str
    pixels: int
    clear: int
    ndmi_e4: int | None
    nbr_e4: int | None


def plot_indices(scene: Scene, rings_of: Mapping[str, Sequence[Ring]], epsg: int) -> tuple[PlotIndices, ...]:
    """Indices of every plot in one scene.

    Parameters
    ----------
    rings_of : mapping of plot id to rings of (x, y), mm
    epsg : int
        Plane coordinate system of the rings; transformed to the scene's own where they differ.

    Raises
    ------
    Refusal
        If a band is missing or unreadable, the bands' grids differ, the scene has no CRS, or only a ballpark transformation joins the two.
    """
    missing = [band for band in (*BANDS, SCENE_CLASS) if band not in scene.files]
    if missing:
        raise _refusal(
            scene,
            "scene.band_missing",
            ("bands B8A, B11, B12 and SCL", "B8A・B11・B12・SCLの各バンド"),
            (f"no {', '.join(missing)}", f"{', '.join(missing)} なし"),
        )
    with ExitStack() as stack:
        try:
            sources = {
                band: stack.enter_context(
                    rasterio.open(stack.enter_context(scene.files[band].opener()), driver="GTiff")
                )
                for band in (*BANDS, SCENE_CLASS)
            }
            grid = _common_grid(scene, sources)
            rings = {
                plot: _to_scene(scene, plot_rings, epsg, grid.epsg) for plot, plot_rings in rings_of.items()
            }
            return tuple(_indices(scene, plot, zone_mask(grid, r), sources) for plot, r in rings.items())
        except rasterio.errors.RasterioError as error:
            raise _refusal(
                scene,
                "scene.unreadable",
                ("whole GeoTIFF bands", "完全なGeoTIFF"),
                (f"an unreadable one ({error})", "読み取れないファイル"),
            ) from error


def _common_grid(scene: Scene, sources: Mapping[str, rasterio.DatasetReader]) -> Grid:
    grids = set()
    for band, source in sources.items():
        epsg = source.crs.to_epsg() if source.crs else None
        if epsg is None:
            raise _refusal(
                scene,
                "scene.no_crs",
                ("a coordinate system with an EPSG code", "EPSGコードのある座標系"),
                (f"none in {band}", f"{band} に座標系なし"),
            )
        grids.add(grid_of(source.transform, source.height, source.width, epsg, f"{scene.scene_id} {band}"))
    if len(grids) > 1:
        raise _refusal(
            scene,
            "scene.grids_differ",
            ("B8A, B11, B12 and SCL on one grid", "全バンド同一の格子"),
            (f"{len(grids)} different grids", f"{len(grids)} 種類の格子"),
        )
    return grids.pop()


def _to_scene(scene: Scene, rings: Sequence[Ring], epsg: int, scene_epsg: int) -> Sequence[Ring]:
    if epsg == scene_epsg:
        return rings
    try:
        transform = Transformer.from_crs(epsg, scene_epsg, always_xy=True, allow_ballpark=False)
        moved = []
        for ring in rings:
            xs, ys = transform.transform(
                [p[0] / 1000 for p in ring], [p[1] / 1000 for p in ring], errcheck=True
            )
            moved.append(tuple((round(x * 1000), round(y * 1000)) for x, y in zip(xs, ys, strict=True)))
        return tuple(moved)
    except ProjError as error:
        raise _refusal(
            scene,
            "scene.crs_not_joined",
            (
                f"a coordinate system that joins EPSG:{epsg} without guessing",
                f"EPSG:{epsg} と正確に変換できる座標系",
            ),
            (f"EPSG:{scene_epsg}", f"EPSG:{scene_epsg}"),
        ) from error


def _indices(
    scene: Scene, plot_id: str, mask: ZoneMask, sources: Mapping[str, rasterio.DatasetReader]
) -> PlotIndices:
    pixels = int(mask.inside.sum())
    if pixels == 0:
        return PlotIndices(plot_id, 0, 0, None, None)
    window = Window(mask.col, mask.row, mask.inside.shape[1], mask.inside.shape[0])
    clear = mask.inside & np.isin(sources[SCENE_CLASS].read(1, window=window), CLEAR_CLASSES)
    values = {}
    for band in BANDS:
        stored = sources[band].read(1, window=window)
        if (nodata := sources[band].nodata) is not None:
            clear &= stored != nodata
        values[band] = stored.astype(np.int64) + scene.offset_dn
    ndmi = _mean_e4(values["B8A"][clear], values["B11"][clear])
    nbr = _mean_e4(values["B8A"][clear], values["B12"][clear])
    return PlotIndices(plot_id, pixels, int(clear.sum()), ndmi, nbr)


def _mean_e4(a: NDArray[np.int64], b: NDArray[np.int64]) -> int | None:
    index = normalised_difference(a, b)
    lit = np.isfinite(index)
    return round(E4 * float(index[lit].mean())) if lit.any() else None


def _refusal(scene: Scene, code: str, expected: tuple[str, str], got: tuple[str, str]) -> Refusal:
    return Refusal(
        [
            Problem(
                code,
                scene.scene_id,
                *expected,
                *got,
                todo_en="Fetch the scene again, or take it out of the STAC catalogue.",
                todo_ja="シーンを取得し直すか、STACカタログから外してください。",
            )
        ]
    )
