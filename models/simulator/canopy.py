"""What a sensor over the canopy sees: crown surfaces on a grid, and the noise of measuring them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from models.checks import quantity
from models.simulator.draws import Draws, FloatArray

FloatRaster = NDArray[np.float32]
_CHUNK = 1_000_000
_ID_BITS = 24
_TILE = 251


def _lumps() -> FloatArray:
    """Crowns are no balls: squared distances from the stem are stretched by this tile, pixel by pixel."""
    noise = Draws("crown").normal("lumps", _TILE * _TILE).reshape(_TILE, _TILE)
    near = noise + 0.6 * (
        np.roll(noise, 1, 0) + np.roll(noise, 1, 1) + np.roll(noise, -1, 0) + np.roll(noise, -1, 1)
    )
    return np.asarray(np.exp(0.16 * near))


_LUMPS = _lumps()


@dataclass(frozen=True)
class Frame:
    """A raster in the site's frame: north up, rows from north to south.

    Attributes
    ----------
    left_m, top_m, pixel_m : float
    """

    left_m: float
    top_m: float
    pixel_m: float
    rows: int
    cols: int

    def centres(self) -> tuple[FloatArray, FloatArray]:
        """East (1, cols) and north (rows, 1) of the pixel centres, m."""
        x = self.left_m + (np.arange(self.cols, dtype=np.float64) + 0.5) * self.pixel_m
        y = self.top_m - (np.arange(self.rows, dtype=np.float64) + 0.5) * self.pixel_m
        return x[None, :], y[:, None]


@dataclass(frozen=True)
class Crowns:
    """Crowns as a sensor meets them, one entry a tree.

    Attributes
    ----------
    radius_m : ndarray
    depth_m : ndarray
        Height of the top over the edge of the crown.
    power : ndarray
        Shape: 1 a cone, 2 a paraboloid.
    """

    x_m: FloatArray
    y_m: FloatArray
    height_m: FloatArray
    radius_m: FloatArray
    depth_m: FloatArray
    power: FloatArray


def crowns_of(
    x_m: FloatArray, y_m: FloatArray, height_m: FloatArray, dbh_cm: FloatArray, conifer: NDArray[np.bool_]
) -> Crowns:
    """Crown size from diameter and height: pointed for conifers, round for broadleaves.

    Crown radius grows about 7 cm per cm of diameter, as open-grown sugi and hinoki do; edges that touch are hidden
    below the surface of the neighbour.
    """
    radius = np.where(conifer, 0.55 + 0.068 * dbh_cm, 0.5 + 0.115 * dbh_cm)
    radius = np.maximum(np.minimum(radius, 0.35 * height_m + 0.15), 0.2)
    depth = np.where(conifer, np.minimum(0.5 * height_m, 1.9 * radius + 1.2), 0.28 * height_m)
    return Crowns(x_m, y_m, height_m, radius, depth, np.where(conifer, 1.35, 2.2))


def surface(crowns: Crowns, frame: Frame) -> tuple[FloatRaster, NDArray[np.int32]]:
    """Highest crown over every pixel centre.

    Returns
    -------
    height_m : ndarray of float32, shape (rows, cols)
        0 where no crown is.
    owner : ndarray of int32, shape (rows, cols)
        Index of that crown, -1 where none.
    """
    best = np.zeros(frame.rows * frame.cols, dtype=np.int64)
    reach = np.ceil(crowns.radius_m / frame.pixel_m).astype(np.int64)
    for r in np.unique(reach):
        members = np.flatnonzero(reach == r)
        step = max(1, _CHUNK // int(2 * r + 1) ** 2)
        for start in range(0, members.size, step):
            _lay(best, crowns, frame, members[start : start + step], int(r))
    owner = (best & ((1 << _ID_BITS) - 1)).astype(np.int32) - 1
    height = (best >> _ID_BITS).astype(np.float32) / np.float32(1000)
    return height.reshape(frame.rows, frame.cols), owner.reshape(frame.rows, frame.cols)


def _lay(
    best: NDArray[np.int64], crowns: Crowns, frame: Frame, members: NDArray[np.intp], reach: int
) -> None:
    """Raise the surface by some crowns; height (mm) and owner share one integer, so that one maximum keeps both."""
    offset = np.arange(-reach, reach + 1)
    col_of = np.floor((crowns.x_m[members] - frame.left_m) / frame.pixel_m).astype(np.int64)
    row_of = np.floor((frame.top_m - crowns.y_m[members]) / frame.pixel_m).astype(np.int64)
    cols = col_of[:, None] + offset
    rows = row_of[:, None] + offset
    dx = frame.left_m + (cols + 0.5) * frame.pixel_m - crowns.x_m[members][:, None]
    dy = frame.top_m - (rows + 0.5) * frame.pixel_m - crowns.y_m[members][:, None]
    across = (dy * dy)[:, :, None] + (dx * dx)[:, None, :]
    relative = across / (crowns.radius_m[members] ** 2)[:, None, None]
    relative *= _LUMPS[rows[:, :, None] % _TILE, cols[:, None, :] % _TILE]
    hit = relative < 1.0
    hit &= ((rows >= 0) & (rows < frame.rows))[:, :, None] & ((cols >= 0) & (cols < frame.cols))[:, None, :]
    tree, i, j = np.nonzero(hit)
    which = members[tree]
    drop = crowns.depth_m[which] * relative[hit] ** (crowns.power[which] / 2)
    height_mm = np.rint((crowns.height_m[which] - drop) * 1000).astype(np.int64)
    np.maximum.at(best, rows[tree, i] * frame.cols + cols[tree, j], (height_mm << _ID_BITS) + which + 1)


@dataclass(frozen=True)
class Sensor:
    """Errors of one flight.

    Attributes
    ----------
    height_bias_m : float
        Shared by all canopy pixels of the flight.
    shift_x_m, shift_y_m : float
        Co-registration error: the picture lies this far east and north of the truth.
    noise_m : float
        Standard deviation by pixel.
    pit_share : float
        Share of canopy pixels where the beam fell through.
    smooth_m : float
        Standard deviation of the blur of a photogrammetric surface, m; 0 for laser.

    Raises
    ------
    OutOfRange
        If a figure is no number, or a spread or share out of range.
    """

    height_bias_m: float
    shift_x_m: float
    shift_y_m: float
    noise_m: float = 0.08
    pit_share: float = 0.004
    smooth_m: float = 0.0

    def __post_init__(self) -> None:
        for name in ("height_bias_m", "shift_x_m", "shift_y_m"):
            quantity(name, getattr(self, name), low=float("-inf"))
        quantity("noise_m", self.noise_m, above=False)
        quantity("pit_share", self.pit_share, above=False, high=1.0)
        quantity("smooth_m", self.smooth_m, above=False)


def sense(canopy_m: FloatRaster, frame: Frame, sensor: Sensor, draws: Draws, stage: str) -> FloatRaster:
    """Canopy height as measured, whole centimetres: blur, undergrowth, noise, bias and pits added.

    Crowns are expected to be shifted already.
    """
    x, y = frame.centres()
    shape = canopy_m.shape
    if sensor.smooth_m > 0.0:
        canopy_m = gaussian_filter(canopy_m, sensor.smooth_m / frame.pixel_m, mode="nearest")
    coarse = max(1, round(4.0 / frame.pixel_m))
    low = draws.smooth_field("undergrowth", x[:, ::coarse], y[::coarse], 9.0)
    low = np.repeat(np.repeat(low, coarse, axis=0), coarse, axis=1)[: shape[0], : shape[1]]
    two = draws.uniform(f"{stage}/noise", 2 * canopy_m.size).astype(np.float32).reshape(2, *shape)
    noise = (two[0] + two[1] - 1) * np.float32(np.sqrt(6) * sensor.noise_m)  # triangular, of the stated sd
    under = np.maximum(0.25 * low.astype(np.float32) + np.float32(0.12), 0) + np.abs(noise) * np.float32(0.5)
    over = canopy_m + noise + np.float32(sensor.height_bias_m)
    luck = draws.uniform(f"{stage}/pits", canopy_m.size).astype(np.float32).reshape(shape)
    pit = luck < sensor.pit_share
    over[pit] *= 1 - luck[pit] / np.float32(sensor.pit_share) * np.float32(0.7) - np.float32(0.15)
    measured = np.maximum(np.where(canopy_m > 0.3, np.maximum(over, 0), under), np.float32(0))
    return np.asarray(np.rint(measured * 100) / np.float32(100), dtype=np.float32)
