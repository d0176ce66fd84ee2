"""The lane-parallel walk through a forest, compiled by numba where it is installed; never needed, the same to the bit.

Imported lazily: numba is no part of the base install, and takes seconds to compile. Threads take blocks of cells as they become free;
no sum crosses a cell, so their number and order leave no trace.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

LANES, CELLS_A_TASK = 128, 2048
_Kernel = Callable[..., None]


def available() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


def mean_of_trees(
    keys: NDArray[np.int32],
    threshold_key: NDArray[np.int32],
    step: NDArray[np.uint32],
    value: NDArray[np.float64],
    offset: NDArray[np.int64],
    depth: NDArray[np.int64],
    threads: int | None = None,
) -> NDArray[np.float64]:
    """Mean of all trees for each row of `keys`, shape (n, metrics).

    Parameters
    ----------
    threads : int, optional
        By default as many as there are processors.

    Raises
    ------
    OutOfRange
        If numba is not installed.
    """
    if not available():
        raise OutOfRange(
            en="expected numba for the compiled engine, it is not installed; use engine='numpy', the result is the same",
            ja="compiledエンジンにはnumbaが必要ですが、入っていません。engine='numpy'でも同じ結果になります",
        )
    walk, out = _kernel(), np.empty(keys.shape[0], dtype=np.float64)

    def block(start: int) -> None:
        stop = start + CELLS_A_TASK
        walk(keys[start:stop], threshold_key, step, value, offset, depth, out[start:stop])

    walk(keys[:0], threshold_key, step, value, offset, depth, out[:0])  # compiles before threads start
    with ThreadPoolExecutor(threads or os.cpu_count() or 1) as pool:
        list(pool.map(block, range(0, keys.shape[0], CELLS_A_TASK)))
    return out


@cache
def _kernel() -> _Kernel:
    numba = importlib.import_module("numba")
    metric_bits, metric_mask, lanes = np.uint32(8), np.uint32(0xFF), LANES

    def walk(keys, threshold_key, step, value, offset, depth, out):  # type: ignore[no-untyped-def]  # numba infers
        n, k = keys.shape
        width_of_key = np.uint32(k)
        trees = offset.size - 1
        key = np.zeros(lanes * k, np.int32)
        node = np.zeros(lanes, np.uint32)
        total = np.zeros(lanes, np.float64)
        for start in range(0, n, lanes):
            width = min(lanes, n - start)
            key[: width * k] = keys[start : start + width].ravel()
            total[:] = 0.0
            for t in range(trees):
                above = threshold_key[offset[t] : offset[t + 1]]
                left = step[offset[t] : offset[t + 1]]
                leaf = value[offset[t] : offset[t + 1]]
                node[:] = 0
                for _ in range(depth[t]):
                    for i in range(lanes):
                        at = node[i]
                        word = left[at]
                        right = key[np.uint32(i) * width_of_key + (word & metric_mask)] > above[at]
                        node[i] = (word >> metric_bits) + np.uint32(right)
                for i in range(lanes):
                    total[i] += leaf[node[i]]
            out[start : start + width] = total[:width] / trees

    compiled: _Kernel = numba.njit(nogil=True)(walk)
    return compiled
