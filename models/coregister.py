"""How far one canopy surface lies beside another: a shift below a pixel, with its standard error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.ndimage import shift as move

from models.errors import OutOfRange

_Float = NDArray[np.float64]
_Mask = NDArray[np.bool_]
SMOOTHING_PX = 1.0
STEPS = 30
CLOSE_PX = 1e-4
OUTLIER = 3.0
MAD_TO_SD = 1.4826
BLOCKS = 6
FEWEST = 100


@dataclass(frozen=True)
class Shift:
    """Where the second surface lies relative to the first.

    Attributes
    ----------
    rows, cols : float
        What stands at (r, c) in the first stands at (r + rows, c + cols) in the second, pixels.
    rows_se, cols_se : float
        Standard errors, by leaving out one block of the raster at a time.
    offset : float
        Second less first after the shift, on the cells that were used; growth and height bias together.
    correlation_before, correlation : float
        Of the two (smoothed) surfaces without and with the shift, on the cells that were used.
    used : int
        Cells that the estimate rests on; what changed far more than the rest (felled, fallen) is left out.
    """

    rows: float
    cols: float
    rows_se: float
    cols_se: float
    offset: float
    correlation_before: float
    correlation: float
    used: int


def estimate_shift(
    first: NDArray[Any],
    second: NDArray[Any],
    first_valid: _Mask,
    second_valid: _Mask,
    reach: int = 6,
) -> Shift:
    """Shift between two canopy surfaces of one pixel size.

    Whole pixels by the best correlation within `reach`; then Gauss-Newton on both smoothed surfaces for the shift and a
    common offset together, where cells whose difference lies beyond three robust standard deviations have no say.

    Parameters
    ----------
    first, second : ndarray, shape (rows, cols)
        Heights.
    reach : int
        Largest shift that is sought, pixels.

    Raises
    ------
    OutOfRange
        If the shapes differ, fewer than 100 cells are common, the surfaces are flat, or no shift within reach is best.

    References
    ----------
    Lucas and Kanade 1981 (iterative least squares on the gradient); Nuth and Kääb 2011 for surfaces of two dates.
    """
    if first.shape != second.shape:
        raise OutOfRange(
            en=f"expected two surfaces of one shape, got {first.shape} and {second.shape}",
            ja=f"同じ大きさの2面が必要ですが、{first.shape}と{second.shape}でした",
        )
    a, b = _smoothed(first, first_valid), _smoothed(second, second_valid)
    shift = np.array(_whole_pixels(a, b, first_valid, second_valid, reach), dtype=np.float64)
    equations = None
    for _ in range(STEPS):
        equations = _Equations.at(a, b, first_valid, second_valid, shift)
        step = equations.solve()
        shift = shift + step[:2]
        if np.abs(step[:2]).max() < CLOSE_PX:
            break
    if equations is None or np.abs(shift).max() > reach + 1:
        raise _not_found(reach)
    se = equations.jackknife_se()
    still = _Equations.at(a, b, first_valid, second_valid, np.zeros(2))
    return Shift(
        rows=float(shift[0]),
        cols=float(shift[1]),
        rows_se=float(se[0]),
        cols_se=float(se[1]),
        offset=float(equations.solve()[2]),
        correlation_before=still.correlation,
        correlation=equations.correlation,
        used=equations.used,
    )


def _smoothed(surface: NDArray[Any], valid: _Mask) -> _Float:
    weight = gaussian_filter(valid.astype(np.float64), SMOOTHING_PX, mode="nearest")
    total = gaussian_filter(np.where(valid, surface, 0).astype(np.float64), SMOOTHING_PX, mode="nearest")
    return np.asarray(np.where(valid, total / np.maximum(weight, 1e-9), 0.0))


def _whole_pixels(a: _Float, b: _Float, a_valid: _Mask, b_valid: _Mask, reach: int) -> tuple[int, int]:
    best, place = -np.inf, (0, 0)
    span = range(-reach, reach + 1)
    for row in span:
        for col in span:
            one, two = _overlap(a.shape, row, col)
            both = a_valid[one] & b_valid[two]
            if both.sum() < FEWEST:
                continue
            found = _correlation(a[one][both], b[two][both])
            if found > best:
                best, place = found, (row, col)
    if not np.isfinite(best) or best <= 0:
        raise _not_found(reach)
    return place


def _overlap(shape: tuple[int, ...], row: int, col: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    one = tuple(slice(max(-d, 0), n - max(d, 0)) for d, n in zip((row, col), shape, strict=True))
    two = tuple(slice(max(d, 0), n - max(-d, 0)) for d, n in zip((row, col), shape, strict=True))
    return (one[0], one[1]), (two[0], two[1])


def _correlation(x: _Float, y: _Float) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / scale if scale > 0 else -np.inf


@dataclass(frozen=True)
class _Equations:
    """Normal equations of shift and offset, block by block of the raster.

    `left` has shape (blocks, 3, 3), `right` (blocks, 3).
    """

    left: _Float
    right: _Float
    correlation: float
    used: int

    @classmethod
    def at(cls, a: _Float, b: _Float, a_valid: _Mask, b_valid: _Mask, shift: _Float) -> _Equations:
        moved = move(b, -shift, order=3, mode="nearest")
        sound = move(b_valid.astype(np.float64), -shift, order=1, mode="constant") > 0.999
        both = a_valid & sound
        both[[0, -1]] = both[:, [0, -1]] = False
        if both.sum() < FEWEST:
            raise _too_few(int(both.sum()))
        slope = np.gradient((a + moved) / 2)
        apart = moved - a
        typical = float(np.median(apart[both]))
        spread = MAD_TO_SD * float(np.median(np.abs(apart[both] - typical)))
        both &= np.abs(apart - typical) <= OUTLIER * spread + 1e-12
        block = (np.arange(a.shape[0]) * BLOCKS // a.shape[0])[:, None] * BLOCKS + (
            np.arange(a.shape[1]) * BLOCKS // a.shape[1]
        )
        which = block[both]
        # second at p + shift + step is about moved + slope · step, and should be first + offset
        terms = (-slope[0][both], -slope[1][both], np.ones(which.size))
        target = apart[both]
        size = BLOCKS * BLOCKS
        left = np.array(
            [[np.bincount(which, weights=s * t, minlength=size) for t in terms] for s in terms]
        ).transpose(2, 0, 1)
        right = np.array([np.bincount(which, weights=t * target, minlength=size) for t in terms]).T
        return cls(left, right, _correlation(a[both], moved[both]), int(which.size))

    def solve(self) -> _Float:
        return _solved(self.left.sum(axis=0), self.right.sum(axis=0))

    def jackknife_se(self) -> _Float:
        """Standard errors of the shift, leaving out one block at a time (Efron and Stein 1981)."""
        filled = np.flatnonzero(self.left[:, 2, 2] > 0)
        left, right = self.left.sum(axis=0), self.right.sum(axis=0)
        found = np.array([_solved(left - self.left[i], right - self.right[i])[:2] for i in filled])
        n = len(filled)
        return np.asarray(np.sqrt((n - 1) / n * ((found - found.mean(axis=0)) ** 2).sum(axis=0)))


def _solved(left: _Float, right: _Float) -> _Float:
    if not np.linalg.cond(left) < 1e12:
        raise OutOfRange(
            en="expected surfaces with slopes in both directions, these are too flat to tell a shift",
            ja="縦横に起伏のある面が必要ですが、平らでずれを推定できません",
        )
    return np.asarray(np.linalg.solve(left, right), dtype=np.float64)


def _not_found(reach: int) -> OutOfRange:
    return OutOfRange(
        en=f"expected two surfaces of one place that lie up to {reach} pixels apart, none of these shifts makes them agree",
        ja=f"{reach}画素以内のずれで重なる同じ場所の2面が必要ですが、一致するずれがありません",
    )


def _too_few(found: int) -> OutOfRange:
    return OutOfRange(
        en=f"expected at least {FEWEST} cells with data in both surfaces, got {found}",
        ja=f"両面にデータのあるセルが{FEWEST}以上必要ですが、{found}でした",
    )
