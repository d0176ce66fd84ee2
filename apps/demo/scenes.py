"""The simulated satellite series as a static STAC catalogue in a folder."""

from __future__ import annotations

import hashlib
import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from apps.demo.site import SimulatedSite
from models.simulator.satellite import Cover, Scene, see
from models.simulator.stand import inside

CELL_M = 10
SCENES_PER_YEAR = 14
# The archive reaches back beyond the first survey, so that every season was seen before the first treatment.
DAYS_BEFORE = 365
REVISIT_DAYS = 5
CANOPY_FROM_M = 2.0
STAC_VERSION = "1.0.0"
NOTE = "Simulated for demonstration, not observed / 模擬データ（観測値ではない）"


def write_stac(site: SimulatedSite, folder: Path) -> list[Path]:
    """Write the catalogue, one item a scene, one small GeoTIFF a band; gives the items' paths in order of time."""
    folder.mkdir(parents=True, exist_ok=True)
    history = CoverHistory(site)
    texture = 0.03 * site.draws.normal("satellite/texture", history.rows * history.cols)
    items = []
    for day, cloud in scene_days(site):
        name = f"DEMO-S2_{day:%Y%m%d}"
        scene = see(
            history.at(day),
            day.timetuple().tm_yday,
            cloud,
            texture.reshape(history.rows, history.cols),
            site.draws,
            f"satellite/{day.isoformat()}",
        )
        items.append(_write_item(site, history, folder / name, name, day, scene))
    links = [{"rel": "root", "href": "./catalog.json", "type": "application/json"}]
    links += [
        {"rel": "item", "href": f"./{p.parent.name}/{p.name}", "type": "application/geo+json"} for p in items
    ]
    catalog = {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": "owase-demo-satellite",
        "title": "Owase demo satellite series (simulated)",
        "description": NOTE + ". 10 m, bands B04 B8A B11 B12 and scene class SCL.",
        "links": links,
    }
    _write_json(folder / "catalog.json", catalog)
    return items


def scene_days(site: SimulatedSite) -> list[tuple[date, float]]:
    """Days of usable passes on a five-day revisit, and how cloudy each is; the rainy season is cloudier (梅雨)."""
    first, last = site.definition.days
    first -= timedelta(days=DAYS_BEFORE)
    wanted = round((last - first).days / 365.25 * SCENES_PER_YEAR)
    jitter = site.draws.uniform("satellite/jitter", wanted)
    luck = site.draws.uniform("satellite/cloud", wanted)
    out: dict[date, float] = {}
    for i in range(wanted):
        days = (i + 0.15 + 0.7 * float(jitter[i])) / wanted * (last - first).days
        day = first + timedelta(days=round(days / REVISIT_DAYS) * REVISIT_DAYS)
        rainy = day.month in (6, 7)
        share = float(luck[i]) ** (1.2 if rainy else 3.0) * 0.85
        out[day] = share if share > 0.05 else 0.0
    return sorted(out.items())


class CoverHistory:
    """Canopy cover of the 10 m cells on any day, from the canopies of both dates and the action register."""

    def __init__(self, site: SimulatedSite) -> None:
        frame = site.frame
        self.days = site.definition.days
        self.rows = int(frame.rows * frame.pixel_m // CELL_M)
        self.cols = int(frame.cols * frame.pixel_m // CELL_M)
        self.left_m, self.top_m = frame.left_m, frame.top_m
        self.evergreen, self.deciduous = zip(*(self._cover(site, i) for i in (0, 1)), strict=True)
        x = self.left_m + (np.arange(self.cols) + 0.5) * CELL_M
        y = self.top_m - (np.arange(self.rows) + 0.5) * CELL_M
        cells_x, cells_y = np.meshgrid(x, y)
        rings = {p.plot_id: p.ring_m for p in site.definition.plots}
        self.done = [
            (t.day, t.kind, inside(rings[t.plot_id], cells_x, cells_y))
            for t in site.definition.site.treatments
        ]

    def _cover(self, site: SimulatedSite, which: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        view = site.views[which]
        step = round(CELL_M / site.frame.pixel_m)
        tall = view.true_m > CANOPY_FROM_M
        conifers = np.array([*site.definition.site.conifers, False, False])
        conifer = np.where(view.kind >= 0, conifers[np.maximum(view.kind, 0)], view.kind == -2)
        shape = (self.rows, step, self.cols, step)
        used = (slice(0, self.rows * step), slice(0, self.cols * step))
        # Half of the broadleaves around Owase keep their leaves.
        keeps = np.where(conifer, 1.0, np.where(view.kind == -1, 0.55, 0.0))
        evergreen = (tall * keeps)[used].reshape(shape).mean(axis=(1, 3))
        deciduous = (tall * (1 - keeps))[used].reshape(shape).mean(axis=(1, 3))
        return evergreen, deciduous

    def at(self, day: date) -> Cover:
        """Cover on a day: steady growth, a drop on the day of a treatment, slash that fades under herbs."""
        share = max(0.0, (day - self.days[0]).days / (self.days[1] - self.days[0]).days)
        evergreen = self.evergreen[0] + share * (self.evergreen[1] - self.evergreen[0])
        deciduous = self.deciduous[0] + share * (self.deciduous[1] - self.deciduous[0])
        slash = np.full(evergreen.shape, 0.12)
        for done, kind, here in self.done:
            after = (day - done).days
            overshoot = 1.25 if kind == "thin" else 1.0
            for now, (start, end) in (
                (evergreen, self.evergreen),
                (deciduous, self.deciduous),
            ):
                left = (self.days[1] - day).days / max((self.days[1] - done).days, 1)
                late = end + (overshoot - 1) * left * np.minimum(end - start, 0)
                now[here] = (start if after < 0 else np.maximum(late, 0))[here]
            if after >= 0:
                fades = np.exp(-after / (240.0 if kind == "thin" else 540.0))
                slash[here] = np.maximum(slash[here], (0.6 if kind == "thin" else 0.95) * fades)
        return Cover(evergreen, deciduous, slash)


def _write_item(
    site: SimulatedSite, history: CoverHistory, folder: Path, name: str, day: date, scene: Scene
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    east, north = (v / 1000 for v in site.definition.origin_mm)
    transform = Affine(CELL_M, 0, east + history.left_m, 0, -CELL_M, north + history.top_m)
    epsg = site.definition.project.epsg
    assets: dict[str, Any] = {}
    layers: dict[str, NDArray[Any]] = {**scene.bands, "SCL": scene.scene_class}
    for band, values in layers.items():
        path = folder / f"{band}.tif"
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            count=1,
            height=history.rows,
            width=history.cols,
            dtype=values.dtype,
            crs=f"EPSG:{epsg}",
            transform=transform,
            nodata=0,
            compress="DEFLATE",
            predictor=2 if band != "SCL" else 1,
            zlevel=6,
        ) as out:
            out.write(values, 1)
            out.update_tags(SIMULATED="true", DESCRIPTION=NOTE)
        assets[band] = {
            "href": f"./{path.name}",
            "type": "image/tiff; application=geotiff",
            "title": f"{band} (simulated)",
            "roles": ["data"] if band != "SCL" else ["data", "cloud"],
            # multihash: sha2-256, 32 bytes
            "file:checksum": "1220" + hashlib.sha256(path.read_bytes()).hexdigest(),
            "file:size": path.stat().st_size,
        }
    item = folder / f"{name}.json"
    bounds = _bounds(transform, history, epsg)
    _write_json(item, _item_document(name, day, scene, assets, bounds, transform, history, epsg))
    return item


def _bounds(transform: Affine, history: CoverHistory, epsg: int) -> list[float]:
    left, top = transform.c, transform.f
    right, bottom = left + history.cols * CELL_M, top - history.rows * CELL_M
    to_degrees = Transformer.from_crs(epsg, 4326, always_xy=True)
    west, south, east, north = to_degrees.transform_bounds(left, bottom, right, top)
    return [round(v, 6) for v in (west, south, east, north)]


def _item_document(
    name: str,
    day: date,
    scene: Scene,
    assets: dict[str, Any],
    bounds: list[float],
    transform: Affine,
    history: CoverHistory,
    epsg: int,
) -> dict[str, Any]:
    west, south, east, north = bounds
    return {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [
            "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
            "https://stac-extensions.github.io/file/v2.1.0/schema.json",
            "https://stac-extensions.github.io/eo/v1.1.0/schema.json",
        ],
        "id": name,
        "geometry": {
            "type": "Polygon",
            "coordinates": [[[west, south], [east, south], [east, north], [west, north], [west, south]]],
        },
        "bbox": bounds,
        "properties": {
            "datetime": f"{day.isoformat()}T01:40:00Z",
            "title": f"{name} (simulated)",
            "description": NOTE,
            "constellation": "simulated",
            "simulated": True,
            "gsd": CELL_M,
            "eo:cloud_cover": round(100 * scene.cloud_share, 1),
            "proj:epsg": epsg,
            "proj:shape": [history.rows, history.cols],
            "proj:transform": list(transform)[:6],
        },
        "links": [
            {"rel": "root", "href": "../catalog.json", "type": "application/json"},
            {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
        ],
        "assets": assets,
    }


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
