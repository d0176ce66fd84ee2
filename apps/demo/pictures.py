"""The simulated orthomosaic: crowns in their colours, lit and shaded by the canopy surface."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from apps.demo.site import SimulatedSite
from models.simulator.draws import Draws
from models.simulator.site import near_roads

# October colours (red, green, blue) by species; -1 and -2 are broadleaves and conifers of the surroundings.
COLOURS = {
    "hinoki": (84, 104, 52),
    "sugi": (68, 88, 54),
    "konara": (128, 116, 58),
    -1: (86, 104, 54),
    -2: (66, 90, 50),
}
UNDERGROWTH = (104, 106, 66)
SOIL = (150, 130, 104)
ROAD = (196, 182, 156)
SUN_FROM = (-0.45, -0.89)  # the sun stands in the south-south-west: east and north of its direction
SUN_SLOPE = 0.95  # tangent of its elevation
SHADOW_REACH_M = 14.0


def orthomosaic(site: SimulatedSite, which: int) -> NDArray[np.uint8]:
    """RGB picture on the grid of the canopy raster, shape (3, rows, cols)."""
    view = site.views[which]
    pixel = site.frame.pixel_m
    colour = _ground(site, which)
    species = site.definition.site.species
    for kind in np.unique(view.kind[view.kind > -9]):
        name = species[kind] if kind >= 0 else int(kind)
        colour[:, view.kind == kind] = np.array(COLOURS[name], dtype=np.float32)[:, None]
    tint = _crown_tints(site.draws, int(view.owner.max()) + 1)
    tints = np.where(view.owner >= 0, tint[:, np.maximum(view.owner, 0)], np.float32(1))
    light = _shade(view.true_m, pixel) * _cast(view.true_m, pixel) * _leaves(site, which)
    picture = colour * tints * light
    return np.asarray(np.clip(picture * 1.25 + 6, 0, 255), dtype=np.uint8)


def _crown_tints(draws: Draws, n: int) -> NDArray[np.float32]:
    """Every crown a little brighter, yellower or bluer than its neighbour."""
    bright = 1 + 0.11 * draws.normal("ortho/bright", n)
    warm = 0.06 * draws.normal("ortho/warm", n)
    return np.stack([bright * (1 + warm), bright, bright * (1 - warm)]).astype(np.float32)


def _leaves(site: SimulatedSite, which: int) -> NDArray[np.float32]:
    """Light and dark of foliage within a crown."""
    shape = (site.frame.rows, site.frame.cols)
    grain = site.draws.uniform(f"ortho/leaves/{which}", shape[0] * shape[1]).astype(np.float32)
    return np.asarray(0.82 + 0.36 * grain.reshape(shape), dtype=np.float32)


def _ground(site: SimulatedSite, which: int) -> NDArray[np.float32]:
    """Undergrowth, and bare soil on roads and where it lies open in patches."""
    x, y = site.frame.centres()
    step = max(1, round(2.0 / site.frame.pixel_m))
    patch = site.draws.smooth_field(f"ortho/ground/{which}", x[:, ::step], y[::step], 5.0)
    patch = np.repeat(np.repeat(patch, step, axis=0), step, axis=1)
    shape = (site.frame.rows, site.frame.cols)
    share = np.clip(0.45 + 0.3 * patch[: shape[0], : shape[1]], 0, 1).astype(np.float32)
    grain = site.draws.uniform(f"ortho/grain/{which}", shape[0] * shape[1]).astype(np.float32).reshape(shape)
    coarse_x, coarse_y = np.broadcast_arrays(x[:, ::step], y[::step])
    road = near_roads(site.definition.site.roads_m, coarse_x, coarse_y, reach_m=2.2)
    road = np.repeat(np.repeat(road, step, axis=0), step, axis=1)[: shape[0], : shape[1]]
    low = np.array(UNDERGROWTH, dtype=np.float32)[:, None, None]
    soil = np.array(SOIL, dtype=np.float32)[:, None, None]
    colour = low + (soil - low) * share
    colour[:, road] = np.array(ROAD, dtype=np.float32)[:, None]
    return np.asarray(colour * (0.88 + 0.24 * grain), dtype=np.float32)


def _shade(height_m: NDArray[np.float32], pixel_m: float) -> NDArray[np.float32]:
    """Light on a slope that faces the sun or away from it."""
    north, east = np.gradient(height_m, np.float32(pixel_m))
    north = -north  # rows run south
    toward = SUN_FROM[0] * east + SUN_FROM[1] * north
    bright = (SUN_SLOPE - toward) / np.sqrt(1 + east * east + north * north) / np.sqrt(1 + SUN_SLOPE**2)
    return np.asarray(0.45 + 0.75 * np.clip(bright, 0, 1), dtype=np.float32)


def _cast(height_m: NDArray[np.float32], pixel_m: float) -> NDArray[np.float32]:
    """Shadows that tall crowns throw on what lies behind them."""
    shadow = np.zeros_like(height_m)
    rows, cols = height_m.shape
    for distance in np.arange(1.0, SHADOW_REACH_M, 1.0):
        right, down = round(SUN_FROM[0] * distance / pixel_m), round(-SUN_FROM[1] * distance / pixel_m)
        target = (slice(max(0, -down), rows - max(0, down)), slice(max(0, -right), cols - max(0, right)))
        source = (slice(max(0, down), rows - max(0, -down)), slice(max(0, right), cols - max(0, -right)))
        np.maximum(shadow[target], height_m[source] - np.float32(distance * SUN_SLOPE), out=shadow[target])
    return np.asarray(1 - 0.5 * np.clip((shadow - height_m) / 1.5, 0, 1), dtype=np.float32)
