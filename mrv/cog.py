"""Cloud-optimised GeoTIFF, written block by block: a tiled file first, then GDAL's COG driver, which adds overviews."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.windows import Window

from mrv.geometry import Grid

CACHE_MB = 256
BLOCK = 512
Overviews = Literal["average", "mode", "nearest"]


@dataclass(frozen=True)
class Band:
    """One band of a layer: its name, the unit of a value times `scale`, and that scale.

    Attributes
    ----------
    scale : float
        Stored as the band's own, so that other programs show metres where millimetres lie.
    """

    name: str
    unit: str = ""
    scale: float = 1.0


@dataclass(frozen=True)
class Layer:
    """What a raster is.

    Attributes
    ----------
    overviews : str
        How coarser levels come from finer ones: ``average`` for quantities (nodata has no say), ``mode`` for flags.
    tags : mapping of str to str
        Stored in the file.
    """

    grid: Grid
    dtype: Literal["int32", "uint8", "uint16"]
    nodata: int
    bands: tuple[Band, ...]
    overviews: Overviews
    tags: Mapping[str, str]


class CogWriter:
    """Takes the rows of a layer, from the top, in strips of any height."""

    def __init__(self, target: Any, layer: Layer) -> None:
        self._target, self._layer = target, layer

    def write(self, row: int, values: NDArray[np.generic] | Sequence[NDArray[np.generic]]) -> None:
        """Write a strip that begins at `row`: shape (rows, cols), or one such array for every band."""
        strip = np.stack([np.asarray(v) for v in values]) if isinstance(values, (list, tuple)) else values
        strip = np.asarray(strip).reshape(len(self._layer.bands), -1, self._layer.grid.cols)
        strip = strip.astype(self._layer.dtype, casting="unsafe")
        self._target.write(strip, window=Window(0, row, self._layer.grid.cols, strip.shape[1]))


@contextmanager
def cog_writer(path: Path, layer: Layer, block: int = BLOCK) -> Iterator[CogWriter]:
    """A writer of one cloud-optimised GeoTIFF; `path` exists, whole, once the context has ended without an error.

    Values are compressed without loss (LERC over ZSTD). Memory is GDAL's block cache, `CACHE_MB` at most, whatever the area.

    Parameters
    ----------
    path : Path
        Replaced where it exists.
    block : int
        Side of a tile; there are overviews down to where one tile holds all.
    """
    grid = layer.grid
    with rasterio.Env(GDAL_CACHEMAX=CACHE_MB), tempfile.TemporaryDirectory(dir=path.parent) as folder:
        tiled = Path(folder) / "tiled.tif"
        with rasterio.open(
            tiled,
            "w",
            driver="GTiff",
            width=grid.cols,
            height=grid.rows,
            count=len(layer.bands),
            dtype=layer.dtype,
            crs=f"EPSG:{grid.epsg}",
            transform=grid.transform,
            nodata=layer.nodata,
            tiled=True,
            blockxsize=block,
            blockysize=block,
            interleave="band",
            compress="zstd",
            zstd_level=1,
            BIGTIFF="IF_SAFER",
        ) as target:
            target.update_tags(**layer.tags)
            target.scales = tuple(b.scale for b in layer.bands)
            target.units = tuple(b.unit for b in layer.bands)
            for number, band in enumerate(layer.bands, start=1):
                target.set_band_description(number, band.name)
            yield CogWriter(target, layer)
        rasterio.shutil.copy(
            tiled,
            path,
            driver="COG",
            compress="LERC_ZSTD" if layer.dtype == "int32" else "ZSTD",
            blocksize=block,
            overview_resampling=layer.overviews.upper(),
            bigtiff="IF_SAFER",
        )


def read_layer_tags(path: Path) -> dict[str, str]:
    """What a layer says of itself."""
    with rasterio.open(path, driver="GTiff") as source:
        return dict(source.tags())
