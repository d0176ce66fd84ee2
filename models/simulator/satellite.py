"""What a 10 m satellite would see of the site: four bands and a scene class, clouds included (Sentinel-2 names)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import shift

from models.checks import quantity
from models.errors import OutOfRange
from models.simulator.draws import Draws, FloatArray

BANDS = ("B04", "B8A", "B11", "B12")
SHADOW, VEGETATION, BARE, CLOUD_MEDIUM, CLOUD_HIGH, CIRRUS = 3, 4, 5, 8, 9, 10

# Reflectance of full cover, B04 B8A B11 B12: typical of Sentinel-2 over Japanese forest, for illustration only.
EVERGREEN_SUMMER = np.array([0.024, 0.265, 0.098, 0.042])
EVERGREEN_WINTER = np.array([0.027, 0.215, 0.094, 0.042])
DECIDUOUS_SUMMER = np.array([0.028, 0.360, 0.165, 0.070])
DECIDUOUS_WINTER = np.array([0.055, 0.225, 0.158, 0.088])  # bare crowns over evergreen shrubs
SLASH = np.array([0.115, 0.215, 0.275, 0.205])
HERBS_WINTER = np.array([0.090, 0.200, 0.200, 0.135])
HERBS_SUMMER = np.array([0.050, 0.305, 0.225, 0.125])


@dataclass(frozen=True)
class Cover:
    """Canopy cover of the cells at one moment, each in [0, 1], shape (rows, cols).

    Attributes
    ----------
    evergreen, deciduous : ndarray
        Share under crowns.
    slash : ndarray
        Share of the open rest that is fresh slash and soil; what remains is herbs and shrubs.
    """

    evergreen: FloatArray
    deciduous: FloatArray
    slash: FloatArray


@dataclass(frozen=True)
class Scene:
    """One scene: reflectance times 10,000 by band, and scene classes."""

    bands: dict[str, NDArray[np.uint16]]
    scene_class: NDArray[np.uint8]
    cloud_share: float


@dataclass(frozen=True)
class SatelliteSensor:
    """Errors of one pass.

    Attributes
    ----------
    noise : float
        Standard deviation by cell and band, relative.
    light : float
        Standard deviation shared by a scene's cells and bands, relative: haze and sun.
    shift_rows, shift_cols : float
        Co-registration error, cells: what stands at (r, c) is seen at (r + rows, c + cols).
    """

    noise: float = 0.018
    light: float = 0.025
    shift_rows: float = 0.0
    shift_cols: float = 0.0

    def __post_init__(self) -> None:
        quantity("noise", self.noise, above=False)
        quantity("light", self.light, above=False)
        quantity("shift_rows", self.shift_rows, low=float("-inf"))
        quantity("shift_cols", self.shift_cols, low=float("-inf"))


def canopy_cover(
    height_m: NDArray[np.floating], leaf_kept: FloatArray, pixels_per_cell: int, canopy_from_m: float = 2.0
) -> tuple[FloatArray, FloatArray]:
    """Evergreen and deciduous cover of satellite cells, from a canopy surface.

    Parameters
    ----------
    height_m : ndarray, shape (rows, cols)
    leaf_kept : ndarray, shape (rows, cols)
        Share of the leaves of the crown in each pixel that stays in winter, 0 to 1.
    pixels_per_cell : int
        Along one side; rows and columns that fill no cell are left out.
    canopy_from_m : float
        Height from which a pixel is canopy.

    Returns
    -------
    (ndarray, ndarray), each of shape (rows // pixels_per_cell, cols // pixels_per_cell)
        Shares, 0 to 1.

    Raises
    ------
    OutOfRange
        If the shapes differ, or hold no whole cell.
    """
    step = int(quantity("pixels_per_cell", pixels_per_cell, low=1, above=False))
    rows, cols = (n // step for n in height_m.shape)
    if height_m.shape != leaf_kept.shape or not rows * cols:
        raise OutOfRange(
            en=f"expected a canopy and its leaves of one shape and at least {step} pixels each way, got {height_m.shape} and {leaf_kept.shape}",
            ja=f"樹冠面と葉の残存率は同じ大きさで縦横{step}画素以上が必要ですが、{height_m.shape}と{leaf_kept.shape}でした",
        )
    tall = height_m > canopy_from_m
    used = (slice(0, rows * step), slice(0, cols * step))
    evergreen, deciduous = (
        (tall * share)[used].reshape(rows, step, cols, step).mean(axis=(1, 3))
        for share in (leaf_kept, 1 - leaf_kept)
    )
    return evergreen, deciduous


def greenness(day_of_year: int) -> float:
    """Season as a number: 1 in high summer, 0 in late winter."""
    return float(0.5 - 0.5 * np.cos(2 * np.pi * (day_of_year - 35) / 365.25))


def see(
    cover: Cover,
    day_of_year: int,
    cloud_share: float,
    texture: FloatArray,
    draws: Draws,
    stage: str,
    sensor: SatelliteSensor | None = None,
) -> Scene:
    """One scene of the given cover, with haze, noise, clouds and their shadows.

    Parameters
    ----------
    cloud_share : float
        Share of cells under cloud, roughly.
    texture : ndarray, shape (rows, cols)
        Lasting differences between cells, mean 0, relative.
    sensor : SatelliteSensor, optional
        Errors of the pass; by default the usual noise and no shift.
    """
    eye = SatelliteSensor() if sensor is None else sensor
    green = greenness(day_of_year)
    leaf = float(np.clip((green - 0.2) / 0.45, 0, 1))
    evergreen = EVERGREEN_WINTER + green * (EVERGREEN_SUMMER - EVERGREEN_WINTER)
    deciduous = DECIDUOUS_WINTER + leaf * (DECIDUOUS_SUMMER - DECIDUOUS_WINTER)
    herbs = HERBS_WINTER + leaf * (HERBS_SUMMER - HERBS_WINTER)
    bare = np.clip(1 - cover.evergreen - cover.deciduous, 0, 1)
    lit = bare * (0.3 + 0.7 * bare)  # the ground of a small gap lies in shade
    mixed = (
        cover.evergreen[..., None] * evergreen
        + cover.deciduous[..., None] * deciduous
        + (lit * cover.slash)[..., None] * SLASH
        + (lit * (1 - cover.slash))[..., None] * herbs
    )
    shape = bare.shape
    noise = draws.normal(f"{stage}/noise", 4 * bare.size).reshape(*shape, 4)
    light = 1 + eye.light * draws.normal(f"{stage}/light", 1)
    mixed = mixed * (1 + texture[..., None])
    if (eye.shift_rows, eye.shift_cols) != (0.0, 0.0):
        mixed = shift(mixed, (eye.shift_rows, eye.shift_cols, 0.0), order=1, mode="nearest")
        bare = shift(bare, (eye.shift_rows, eye.shift_cols), order=1, mode="nearest")
    mixed = mixed * (1 + eye.noise * noise) * light
    cloud, shadow, thin = _clouds(shape, cloud_share, draws, stage)
    mixed = np.where(shadow[..., None], mixed * 0.42, mixed)
    veil = np.where(cloud, 0.92, np.where(thin, 0.25, 0.0))[..., None]
    mixed = mixed * (1 - veil) + veil * np.array([0.62, 0.60, 0.44, 0.36])
    scene_class = np.full(shape, VEGETATION, dtype=np.uint8)
    scene_class[bare * cover.slash > 0.5] = BARE
    scene_class[shadow] = SHADOW
    scene_class[thin] = CIRRUS
    scene_class[cloud] = CLOUD_HIGH
    numbers = np.clip(np.rint(mixed * 10_000), 1, 20_000).astype(np.uint16)
    return Scene(
        bands={band: np.ascontiguousarray(numbers[..., i]) for i, band in enumerate(BANDS)},
        scene_class=scene_class,
        cloud_share=float(cloud.mean()),
    )


def _clouds(
    shape: tuple[int, ...], share: float, draws: Draws, stage: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of cloud, shadow and cirrus; shadows lie north-west of their cloud."""
    none = np.zeros(shape, dtype=bool)
    if share <= 0.01:
        return none, none, none
    x, y = np.meshgrid(np.arange(shape[1], dtype=np.float64), np.arange(shape[0], dtype=np.float64))
    field = draws.smooth_field(f"{stage}/cloud", x, y, 16.0) + 0.3 * draws.smooth_field(
        f"{stage}/edge", x, y, 4.0
    )
    limit = np.quantile(field, 1 - min(share, 0.99))
    cloud = field > limit
    thin = (field > limit - 0.25) & ~cloud
    shadow = np.roll(cloud, (-7, -4), axis=(0, 1))
    shadow[-7:, :] = False
    shadow[:, -4:] = False
    return cloud, np.asarray(shadow & ~cloud & ~thin), thin
