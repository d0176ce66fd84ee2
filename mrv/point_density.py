"""How many points a canopy rests on: a map, and shares of ground with too few."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrv.geometry import MICROMETRES, Grid
from mrv.points import CHUNK_POINTS, cells_of, points_of, reading, snapped_grid


@dataclass(frozen=True)
class PointDensity:
    """Points per pixel of a grid, noise left out.

    Attributes
    ----------
    points, ground : ndarray of int32, shape (rows, cols)
        All points, and those of class 2.
    """

    grid: Grid
    points: NDArray[np.int32]
    ground: NDArray[np.int32]

    def per_m2(self) -> NDArray[np.float64]:
        """Points per square metre, shape (rows, cols)."""
        return np.asarray(self.points / (self.grid.pixel_um / MICROMETRES) ** 2, dtype=np.float64)

    def sparse_share(self, least_per_m2: float) -> float:
        """Share of pixels with fewer points per square metre than that."""
        return float(np.mean(self.per_m2() < least_per_m2))


def point_density(
    path: Path,
    *,
    epsg: int,
    grid: Grid | None = None,
    pixel_um: int = MICROMETRES,
    chunk_points: int = CHUNK_POINTS,
) -> PointDensity:
    """Map of how many points, and how many ground points, each pixel rests on.

    Parameters and refusals as of `chm_from_points`, but that a file without ground is mapped too.
    """
    with reading(path) as reader:
        grid = grid or snapped_grid(path, reader.header, epsg, pixel_um)
        counts = np.zeros((2, grid.rows * grid.cols), dtype=np.int64)
        for x, y, _, ground in points_of(path, reader, chunk_points):
            cell, inside = cells_of(grid, x, y)
            for i, some in enumerate((cell, cell[ground[inside]])):
                counts[i] += np.bincount(some, minlength=counts.shape[1])
    points, soil = counts.astype(np.int32).reshape(2, grid.rows, grid.cols)
    return PointDensity(grid, points, soil)
