"""Maps for people: rasters of the pipeline, reduced, coloured, with plot outlines, as PNG inside the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import rasterio
from matplotlib import patheffects
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from apps.look.fonts import japanese_font
from apps.look.wording import Text

Rings = tuple[tuple[tuple[int, int], ...], ...]
MAX_SIDE = 700
INK = "#1c2521"


@dataclass(frozen=True)
class MapStyle:
    """How one kind of raster is shown.

    Attributes
    ----------
    divisor : float
        Raster units per shown unit (1000 for mm shown as m).
    signed : bool
        Diverging colours around zero.
    legend : str
        Words in place of a colour bar, for layers of yes and no.
    """

    title: Text
    unit: str
    divisor: float
    colours: str
    signed: bool = False
    legend: str = ""


@dataclass(frozen=True)
class MapLayer:
    """A reduced raster in shown units, NaN where there is none; extent in metres of the survey's plane CRS."""

    values: NDArray[np.float32]
    extent_m: tuple[float, float, float, float]


@dataclass(frozen=True)
class MapImage:
    """One finished map: title, and a PNG as a data address."""

    key: str
    title: Text
    data_uri: str
    width: int
    height: int


def read_layer(path: Path, divisor: float, max_side: int = MAX_SIDE, band: int = 1) -> MapLayer:
    """Read a GeoTIFF reduced to at most `max_side` pixels a side; averages skip missing pixels."""
    with rasterio.open(path) as source:
        shrink = max(1.0, max(source.height, source.width) / max_side)
        shape = (max(1, round(source.height / shrink)), max(1, round(source.width / shrink)))
        data = source.read(band, out_shape=shape, masked=True, resampling=Resampling.average)
        box = source.bounds
    values = (data.astype(np.float32) / np.float32(divisor)).filled(np.nan)
    return MapLayer(values, (box.left, box.right, box.bottom, box.top))


def read_flags(path: Path, bits: int, nodata: int, max_side: int = MAX_SIDE) -> MapLayer:
    """Cells of a layer of flags that have any of `bits` set as 1, the others as 0, NaN where there is nothing."""
    with rasterio.open(path) as source:
        shrink = max(1.0, max(source.height, source.width) / max_side)
        shape = (max(1, round(source.height / shrink)), max(1, round(source.width / shrink)))
        flags = source.read(1, out_shape=shape, resampling=Resampling.nearest)
        box = source.bounds
    values = np.where(flags == nodata, np.nan, (flags & bits) > 0).astype(np.float32)
    return MapLayer(values, (box.left, box.right, box.bottom, box.top))


def difference(last: MapLayer, first: MapLayer) -> MapLayer | None:
    """``last − first`` where both lie on one grid; None otherwise (maps are never stretched onto each other)."""
    if last.values.shape != first.values.shape or not np.allclose(last.extent_m, first.extent_m):
        return None
    return MapLayer(last.values - first.values, last.extent_m)


def value_limits(layers: Sequence[MapLayer], signed: bool) -> tuple[float, float]:
    """Ends of the colour scale that several maps share; outermost pixels are left out, zero is kept in."""
    seen = np.concatenate([layer.values[np.isfinite(layer.values)] for layer in layers])
    if seen.size == 0:
        return 0.0, 1.0
    if signed:
        reach = float(np.quantile(np.abs(seen), 0.99)) or 1.0
        return -reach, reach
    return min(0.0, float(np.quantile(seen, 0.005))), float(np.quantile(seen, 0.995)) or 1.0


def _scale_bar(extent: tuple[float, float, float, float]) -> float:
    third = (extent[1] - extent[0]) / 3
    return max((s for s in (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if s <= third), default=third)


def _outline_bounds(outlines: Mapping[str, Rings]) -> tuple[float, float, float, float] | None:
    points = [p for rings in outlines.values() for ring in rings for p in ring]
    if not points:
        return None
    xs, ys = [p[0] / 1000 for p in points], [p[1] / 1000 for p in points]
    return min(xs), max(xs), min(ys), max(ys)


def _view(
    extent: tuple[float, float, float, float], outlines: Mapping[str, Rings]
) -> tuple[float, float, float, float]:
    """The plots with a margin, or the whole raster when there are none."""
    box = _outline_bounds(outlines)
    if box is None:
        return extent
    margin = 0.04 * max(box[1] - box[0], box[3] - box[2])
    return box[0] - margin, box[1] + margin, box[2] - margin, box[3] + margin


def draw_map(
    key: str, layer: MapLayer, style: MapStyle, outlines: Mapping[str, Rings], limits: tuple[float, float]
) -> MapImage:
    """Draw one layer with plot outlines, plot names, a scale bar and a colour bar."""
    font = FontProperties(fname=str(japanese_font()))
    view = _view(layer.extent_m, outlines)
    wide, tall = view[1] - view[0], view[3] - view[2]
    width_in = 3.7
    height_in = min(5.5, max(1.6, width_in * tall / wide)) + 0.62
    figure = Figure(figsize=(width_in, height_in), dpi=180, facecolor="#ffffff")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.01, 0.62 / height_in, 0.98, 1 - 0.67 / height_in))
    image = axes.imshow(
        layer.values,
        extent=layer.extent_m,
        cmap=style.colours,
        vmin=limits[0],
        vmax=limits[1],
        interpolation="nearest",
    )
    halo = [patheffects.withStroke(linewidth=2.6, foreground="white")]
    for plot_id, rings in outlines.items():
        for ring in rings:
            xs = [x / 1000 for x, _ in (*ring, ring[0])]
            ys = [y / 1000 for _, y in (*ring, ring[0])]
            axes.plot(xs, ys, color=INK, linewidth=0.9)
        x, y = _label_point(rings)
        axes.text(
            x,
            y,
            plot_id,
            ha="center",
            va="center",
            fontsize=9.5,
            color=INK,
            path_effects=halo,
            fontproperties=font,
        )
    axes.set_xlim(view[0], view[1])
    axes.set_ylim(view[2], view[3])
    axes.set_axis_off()
    bar = _scale_bar(view)
    x0, y0 = view[0] + 0.03 * wide, view[2] + 0.03 * tall
    axes.plot([x0, x0 + bar], [y0, y0], color=INK, linewidth=3, solid_capstyle="butt", path_effects=halo)
    axes.text(
        x0 + bar / 2,
        y0 + 0.012 * tall,
        f"{bar:g} m",
        ha="center",
        va="bottom",
        fontsize=8,
        color=INK,
        path_effects=halo,
    )
    if style.legend:
        figure.text(0.05, 0.37 / height_in, style.legend, color=INK, fontproperties=font, fontsize=8.5)
    else:
        colour_axes = figure.add_axes((0.05, 0.36 / height_in, 0.66, 0.14 / height_in))
        figure.colorbar(image, cax=colour_axes, orientation="horizontal")
        colour_axes.tick_params(labelsize=8, length=2)
        figure.text(0.76, 0.37 / height_in, style.unit, color=INK, fontproperties=font, fontsize=8.5)
    canvas.draw()
    # A palette of 128 colours: a third of the bytes, and nothing that the eye would miss on a map.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3]).quantize(
        128, dither=Image.Dither.NONE
    )
    buffer = BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode()
    return MapImage(key, style.title, f"data:image/png;base64,{data}", *picture.size)


def _label_point(rings: Rings) -> tuple[float, float]:
    """A point inside the outer ring, metres: shapely's representative point of the polygon."""
    from shapely.geometry import Polygon

    shell = Polygon([(x / 1000, y / 1000) for x, y in rings[0]])
    point = shell.representative_point() if not shell.contains(shell.centroid) else shell.centroid
    return float(point.x), float(point.y)
