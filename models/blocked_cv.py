"""Least squares with whole blocks of plots left out: all candidates and all blocks in a few array operations.

Plots near each other resemble each other. Leaving out single plots lets a model be tested beside its own training ground;
leaving out blocks does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

SMALLEST_EIGENVALUE = 1e-5
"""Of the standardised Gram matrix per plot; below it the predictors do not vary apart from each other."""
_F = NDArray[np.float64]
_I = NDArray[np.intp]
ErrorOf = Callable[[_F, _F], _F]
"""From predicted line, shape (..., n), and its residual sd (same shape), to the error of the response."""


def spatial_blocks(x_m: _F, y_m: _F, size_m: float) -> NDArray[np.int64]:
    """Number of the map square of `size_m` that each plot lies in, from 0.

    Parameters
    ----------
    x_m, y_m : ndarray of float, shape (n,)
        Projected coordinates.

    Raises
    ------
    OutOfRange
        If the size is not above zero or a coordinate is missing (the row is named).
    """
    if not size_m > 0:
        raise OutOfRange(
            en=f"expected a block size above zero, got {size_m} m",
            ja=f"ブロックの大きさは0より大きい必要がありますが、{size_m} mでした",
        )
    if (bad := np.flatnonzero(~(np.isfinite(x_m) & np.isfinite(y_m)))).size:
        raise OutOfRange(
            en=f"expected coordinates of every plot, got none in row {bad[0] + 1}",
            ja=f"すべての標準地に座標が必要ですが、{bad[0] + 1}行目にありませんでした",
        )
    squares = np.column_stack([np.floor(x_m / size_m), np.floor(y_m / size_m)]).astype(np.int64)
    return np.asarray(np.unique(squares, axis=0, return_inverse=True)[1].ravel(), dtype=np.int64)


def block_numbers(blocks: NDArray[np.generic]) -> _I:
    """Blocks of any label as numbers from 0 without gaps."""
    return np.asarray(np.unique(blocks, return_inverse=True)[1].ravel(), dtype=np.intp)


def design_of(x: _F) -> _F:
    """A column of ones before the predictors, shape (n, k + 1)."""
    return np.column_stack([np.ones(x.shape[0]), x])


def inverse(design: _F) -> _F | None:
    """``(X'X)⁻¹``, or None where columns do not vary apart from each other."""
    middle, scale = design[:, 1:].mean(axis=0), design[:, 1:].std(axis=0)
    if np.any(scale <= 0.0):
        return None
    back = np.eye(design.shape[1])
    back[0, 1:], back[1:, 1:] = -middle / scale, np.diag(1.0 / scale)
    plain = design @ back
    gram = plain.T @ plain
    if np.linalg.eigvalsh(gram)[0] < SMALLEST_EIGENVALUE * design.shape[0]:
        return None
    return np.asarray(back @ np.linalg.inv(gram) @ back.T, dtype=np.float64)


def blocked_scores(z: _F, x: _F, block: _I, error_of: ErrorOf) -> tuple[float, float]:
    """Root mean square error of `z` and of the response, each block predicted by the others.

    Returns
    -------
    (float, float)
        Of `z` and of what `error_of` gives; infinite where predictors do not vary apart without some block.
    """
    line, sd = _left_out(z, x[None], block)
    return float(np.sqrt(np.mean((z - line[0]) ** 2))), float(np.sqrt(np.mean(error_of(line, sd)[0] ** 2)))


def forward(
    z: _F, x: _F, block: _I, most: int, worthwhile: float, error_of: ErrorOf
) -> tuple[float, list[int]]:
    """Columns of `x` added one by one while the blocked error falls by the share `worthwhile`.

    Returns
    -------
    (float, list of int)
        Root mean square error of the response, and the columns in order of entry (the first always enters).
    """
    chosen: list[int] = []
    best = np.inf
    while len(chosen) < most:
        free = [c for c in range(x.shape[1]) if c not in chosen]
        if not free:
            break
        stacks = np.stack([x[:, [*chosen, c]] for c in free])
        line, sd = _left_out(z, stacks, block)
        scores = np.sqrt(np.mean(error_of(line, sd) ** 2, axis=1))
        scores[~np.isfinite(scores)] = np.inf
        winner = int(scores.argmin())
        if not scores[winner] < best * (1.0 - worthwhile):
            break
        best = float(scores[winner])
        chosen.append(free[winner])
    return best, chosen


def _left_out(z: _F, x: _F, block: _I) -> tuple[_F, _F]:
    """Line and residual sd of every plot by a fit without its block; x has shape (candidates, n, k)."""
    order = np.argsort(block, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(block[order]) > 0])
    z, x = z[order], x[:, order]
    spread = x.std(axis=1, keepdims=True)
    x = (x - x.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0)
    design = np.concatenate([np.ones((*x.shape[:2], 1)), x], axis=2)
    counts = np.diff(np.r_[starts, z.size])
    gram = np.add.reduceat(design[..., :, None] * design[..., None, :], starts, axis=1)
    cross = np.add.reduceat(design * z[:, None], starts, axis=1)
    square = np.add.reduceat(z * z, starts)
    gram, cross = gram.sum(axis=1, keepdims=True) - gram, cross.sum(axis=1, keepdims=True) - cross
    left = z.size - counts
    apart = np.linalg.eigvalsh(gram)[..., 0] >= SMALLEST_EIGENVALUE * left
    gram = np.where(apart[..., None, None], gram, np.eye(gram.shape[-1]))
    beta = np.linalg.solve(gram, cross[..., None])[..., 0]
    freedom = np.maximum(left - design.shape[-1], 1)
    variance = np.maximum(square.sum() - square - np.sum(beta * cross, axis=-1), 0.0) / freedom
    own = np.repeat(np.arange(starts.size), counts)
    line = np.sum(design * beta[:, own], axis=-1)
    line[~apart[:, own]] = np.inf
    back = np.argsort(order, kind="stable")
    return line[:, back], np.sqrt(variance)[:, own][:, back]
