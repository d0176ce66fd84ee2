"""What a canopy looks like over a patch of ground: heights, their spread, cover and roughness, as whole numbers.

Heights are whole millimetres, shares and ratios millionths. Percentiles are exact in integers (R's type 7, as lidR's ``zq``):
between order statistics ``x`` at ``(n - 1) p / 100``, rounded half-even. So nothing depends on how the ground was cut into chunks.

References
----------
Næsset 2002, doi:10.1016/S0034-4257(01)00290-5 (percentiles and cover as predictors); Roussel et al. 2020,
doi:10.1016/j.rse.2020.112061 (lidR: ``zmean, zsd, zq*, pzabove2``); Hyndman and Fan 1996 (type 7); Parker et al. 2004,
doi:10.1111/j.0021-8901.2004.00925.x (rumple); Jenness 2004 (surface area of a grid from eight triangles a pixel).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PERCENTILES = (10, 20, 30, 40, 50, 60, 70, 80, 90, 95)
COVER_ABOVE_MM = 2000
"""Cover is the share of heights above 2 m (lidR's ``pzabove2``, there in percent)."""
MILLIONTHS = 1_000_000
HEIGHTS = ("mean", "sd", *(f"p{p}" for p in PERCENTILES), "max", "cover_2m")
MISSING = -(2**31)
BLOCK_PIXELS = 1 << 16
_Long = NDArray[np.int64]


@dataclass(frozen=True)
class Groups:
    """Heights of many patches, one after the other and rising within each.

    Attributes
    ----------
    values : ndarray of int, shape (total,)
        Heights, mm.
    start : ndarray of int64, shape (patches + 1,)
    """

    values: NDArray[np.integer]
    start: _Long


def groups_of_rows(heights_mm: NDArray[np.int32], nodata_mm: int = MISSING) -> Groups:
    """Patches as rows of a table, shape (patches, most pixels), short rows filled with `nodata_mm` (below every height)."""
    rising = np.sort(heights_mm, axis=1)
    valid = rising != nodata_mm
    start = np.concatenate([[0], np.cumsum(valid.sum(axis=1))]).astype(np.int64)
    return Groups(rising[valid], start)


def groups_of_pairs(patch: NDArray[np.integer], heights_mm: NDArray[np.integer], patches: int) -> Groups:
    """Patches from pairs of patch number and height in any order; pairs with a negative number are left out."""
    kept = patch >= 0
    patch, heights_mm = patch[kept], heights_mm[kept]
    order = np.lexsort((heights_mm, patch))
    start = np.concatenate([[0], np.cumsum(np.bincount(patch, minlength=patches))]).astype(np.int64)
    return Groups(heights_mm[order], start)


def height_metrics(groups: Groups) -> dict[str, _Long]:
    """Metrics of every patch, `MISSING` where it has no height (the standard deviation: fewer than two).

    Returns
    -------
    dict
        ``mean``, ``sd`` (on n − 1), ``p10`` to ``p95``, ``max`` in mm; ``cover_2m`` in millionths; ndarray of int64, shape (patches,).
    """
    start, count = groups.start[:-1], np.diff(groups.start)
    some = count > 0
    n = np.maximum(count, 1)
    values = groups.values.astype(np.int64)
    total = _sums(values, groups.start)
    mean = total / n
    off = values - np.repeat(mean, count)
    spread = np.sqrt(_sums(off * off, groups.start) / np.maximum(count - 1, 1))
    out = {
        "mean": _whole(mean, some),
        "sd": _whole(spread, count > 1),
    }
    if not values.size:
        values = np.zeros(1, dtype=np.int64)
    last = values.size - 1
    for percent in PERCENTILES:
        low, share = np.divmod((n - 1) * percent, 100)
        near = values[np.minimum(start + low, last)]
        far = values[np.minimum(start + np.minimum(low + 1, n - 1), last)]
        out[f"p{percent}"] = _whole((near * (100 - share) + far * share) / 100, some)
    out["max"] = np.where(some, values[np.minimum(start + n - 1, last)], MISSING)
    above = _sums((groups.values > COVER_ABOVE_MM).astype(np.int64), groups.start)
    out["cover_2m"] = _whole(above * MILLIONTHS / n, some)
    return {name: out[name] for name in HEIGHTS}


class CountedHeights:
    """Heights of one patch met piece by piece, however large: distinct values and how often each was met."""

    FOLD = 1 << 18

    def __init__(self) -> None:
        self._values = np.zeros(0, dtype=np.int64)
        self._counts = np.zeros(0, dtype=np.int64)
        self._waiting: list[NDArray[np.integer]] = []
        self._held = 0

    def add(self, heights_mm: NDArray[np.integer]) -> None:
        """Take more heights, mm, of any shape."""
        self._waiting.append(np.array(heights_mm).ravel())
        self._held += self._waiting[-1].size
        if self._held > self.FOLD:
            self._fold()

    def _fold(self) -> None:
        new, met = np.unique(np.concatenate(self._waiting), return_counts=True)
        values, place = np.unique(np.concatenate([self._values, new]), return_inverse=True)
        counts = np.zeros(values.size, dtype=np.int64)
        np.add.at(counts, place, np.concatenate([self._counts, met]))
        self._values, self._counts, self._waiting, self._held = values.astype(np.int64), counts, [], 0

    @property
    def count(self) -> int:
        """How many heights were taken."""
        return int(self._counts.sum()) + self._held

    def metrics(self) -> dict[str, int]:
        """The same figures as :func:`height_metrics` of one patch."""
        if self._waiting:
            self._fold()
        values, counts = self._values, self._counts
        n = int(counts.sum())
        if not n:
            return dict.fromkeys(HEIGHTS, MISSING)
        until = np.cumsum(counts)
        mean = int((values * counts).sum()) / n
        out = {"mean": round(mean), "sd": MISSING}
        if n > 1:
            out["sd"] = round(float(np.sqrt(((values - mean) ** 2 * counts).sum() / (n - 1))))
        for percent in PERCENTILES:
            low, share = divmod((n - 1) * percent, 100)
            near, far = (int(values[np.searchsorted(until, k, "right")]) for k in (low, min(low + 1, n - 1)))
            out[f"p{percent}"] = round((near * (100 - share) + far * share) / 100)
        out["max"] = int(values[-1])
        out["cover_2m"] = round(int(counts[values > COVER_ABOVE_MM].sum()) * MILLIONTHS / n)
        return {name: out[name] for name in HEIGHTS}


def surface_ratio(
    heights_mm: NDArray[np.int32], pixel_mm: float, nodata_mm: int = MISSING
) -> NDArray[np.int32]:
    """Area of the canopy's surface over each pixel, over the pixel's own: its mean over a patch is the rumple index.

    From the eight triangles between a pixel's centre and its neighbours' (Jenness 2004); a plane gives its own slope factor.

    Parameters
    ----------
    heights_mm : ndarray of int32, shape (rows + 2, cols + 2)
        With one pixel more on every side (`nodata_mm` beyond the edge).

    Returns
    -------
    ndarray of int32, shape (rows, cols)
        Millionths; `MISSING` where one of the nine has no height.
    """
    rows, cols = heights_mm.shape[0] - 2, heights_mm.shape[1] - 2
    ratio = np.empty((rows, cols), dtype=np.int32)
    step = max(BLOCK_PIXELS // max(cols, 1), 1)  # small enough to stay in the processor's cache
    for row in range(0, rows, step):
        part = heights_mm[row : min(row + step, rows) + 2]
        ratio[row : row + step] = _surface_ratio(part, pixel_mm, nodata_mm)
    return ratio


def _surface_ratio(heights_mm: NDArray[np.int32], pixel_mm: float, nodata_mm: int) -> NDArray[np.int32]:
    rows, cols = heights_mm.shape[0] - 2, heights_mm.shape[1] - 2
    around = [(0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0)]
    known = heights_mm != nodata_mm
    surface = heights_mm.astype(np.float32)
    rise = [surface[r : r + rows, c : c + cols] - surface[1:-1, 1:-1] for r, c in around]
    straight = [rise[i] * rise[i] + np.float32(pixel_mm) ** 2 for i in (0, 2, 4, 6)]
    area = np.zeros((rows, cols), dtype=np.float32)
    for i, one in enumerate(rise):
        along = rise[(i + 1) % 8] - one
        along *= along
        along += straight[(i + 1) // 2 % 4]
        area += np.sqrt(along, out=along)
    area *= np.float32(MILLIONTHS / (8 * pixel_mm))
    whole = known[1:-1, 1:-1].copy()
    if not known.all():
        for r, c in around:
            whole &= known[r : r + rows, c : c + cols]
        area[~whole] = 0
    ratio = np.rint(area).astype(np.int32)
    ratio[~whole] = MISSING
    return ratio


def mean_ratio(ratios: NDArray[np.int32], patch: _Long, patches: int) -> _Long:
    """Mean of known `surface_ratio` values per patch, millionths; `MISSING` where there is none."""
    used = (ratios != MISSING) & (patch >= 0)
    count = np.bincount(patch[used], minlength=patches)
    total = np.bincount(patch[used], weights=ratios[used], minlength=patches)
    return _whole(total / np.maximum(count, 1), count > 0)


def in_units(metrics: Mapping[str, int]) -> dict[str, float]:
    """Metrics of one patch for people and regressions: metres, shares and ratios; NaN where there is none."""
    return {
        name: float("nan") if value == MISSING else value / per_unit(name) for name, value in metrics.items()
    }


def per_unit(metric: str) -> int:
    """How many of the stored whole numbers make one: millionths for shares and ratios, thousandths for all else but pixels."""
    if metric == "pixels":
        return 1
    return MILLIONTHS if metric.endswith(("cover_2m", "rumple")) else 1000


def _sums(values: NDArray[np.generic], start: _Long) -> NDArray[np.float64]:
    """Sum of each group; exact for whole numbers as long as all together stay below 2**53."""
    groups = start.size - 1
    which = np.repeat(np.arange(groups), np.diff(start))
    return np.asarray(np.bincount(which, weights=values.astype(np.float64), minlength=groups))


def _whole(values: NDArray[np.float64], known: NDArray[np.bool_]) -> _Long:
    return np.where(known, np.rint(values), MISSING).astype(np.int64)
