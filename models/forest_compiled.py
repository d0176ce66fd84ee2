"""The lane-parallel walk through a forest, compiled by numba where it is installed; never needed, the same to the bit.

Imported lazily: numba is no part of the base install, and takes seconds to compile.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

LANES = 128
_Kernel = Callable[..., None]


def available() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


def mean_of_trees(
    keys: NDArray[np.int32],
    words: NDArray[np.uint64],
    value: NDArray[np.float64],
    offset: NDArray[np.int64],
    depth: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Mean of all trees for each row of `keys`, shape (n, metrics), on all threads that numba may use.

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
    out = np.empty(keys.shape[0], dtype=np.float64)
    _kernel()(np.ascontiguousarray(keys), words, value, offset, depth, out)
    return out


@cache
def _kernel() -> _Kernel:
    numba = importlib.import_module("numba")
    child_bits, child_mask, metric_mask = np.uint64(8), np.uint64(0xFFFFFF), np.uint64(0xFF)
    prange, lanes = numba.prange, LANES

    def walk(keys, words, value, offset, depth, out):  # type: ignore[no-untyped-def]
        n, k = keys.shape
        trees = offset.size - 1
        for block in prange((n + lanes - 1) // lanes):
            start = block * lanes
            width = min(lanes, n - start)
            key = np.zeros(lanes * k, np.int32)
            key[: width * k] = keys[start : start + width].ravel()
            node = np.zeros(lanes, np.uint32)
            total = np.zeros(lanes, np.float64)
            for t in range(trees):
                tree = words[offset[t] : offset[t + 1]]
                leaf = value[offset[t] : offset[t + 1]]
                node[:] = 0
                for _ in range(depth[t]):
                    for i in range(lanes):
                        word = tree[np.uint64(node[i])]
                        above = key[np.uint64(i * k) + (word & metric_mask)] > np.int32(np.int64(word) >> 32)
                        node[i] = np.uint32(((word >> child_bits) & child_mask) + np.uint64(above))
                for i in range(lanes):
                    total[i] += leaf[np.uint64(node[i])]
            out[start : start + width] = total[:width] / trees

    compiled: _Kernel = numba.njit(parallel=True, nogil=True)(walk)
    return compiled
