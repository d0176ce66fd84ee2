"""Sums of zones over four dates at a time, compiled by numba where it is installed; never needed, the same to the bit.

Imported lazily: numba is no part of the base install, and takes a second to compile, which thousands of dates repay. Each zone's
shares are read once for four dates; every sum still runs pixel after pixel in the order of the sparse product that it stands for.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import OutOfRange

AT_ONCE = 4
_Kernel = Callable[..., None]


def available() -> bool:
    """Whether numba is installed."""
    return importlib.util.find_spec("numba") is not None


def products(matrix: Any, bands: Sequence[NDArray[Any]]) -> list[NDArray[np.float64]]:
    """Products of a sparse matrix (zones, pixels) with one to four flat bands.

    Raises
    ------
    OutOfRange
        If numba is not installed.
    """
    if not available():
        raise OutOfRange(
            en="expected numba for the compiled engine, it is not installed; use engine='plain', the result is the same",
            ja="compiledエンジンにはnumbaが必要ですが、入っていません。engine='plain'でも同じ結果になります",
        )
    flat = [np.ascontiguousarray(band, dtype=np.float64) for band in bands]
    out = np.empty((AT_ONCE, matrix.shape[0]))
    unsigned = np.uint32 if matrix.indices.itemsize == 4 else np.uint64
    start, cell = matrix.indptr.view(unsigned), matrix.indices.view(unsigned)
    _kernel()(start, cell, matrix.data, *flat, *[flat[-1]] * (AT_ONCE - len(flat)), out)
    return list(out[: len(flat)])


@cache
def _kernel() -> _Kernel:
    numba = importlib.import_module("numba")

    def walk(start, cell, share, a, b, c, d, out):  # type: ignore[no-untyped-def]  # numba infers
        for zone in range(out.shape[1]):
            in_a, in_b, in_c, in_d = 0.0, 0.0, 0.0, 0.0
            for k in range(start[zone], start[zone + 1]):
                weight, at = share[k], cell[k]
                in_a += weight * a[at]
                in_b += weight * b[at]
                in_c += weight * c[at]
                in_d += weight * d[at]
            out[0, zone], out[1, zone], out[2, zone], out[3, zone] = in_a, in_b, in_c, in_d

    compiled: _Kernel = numba.njit(nogil=True)(walk)
    return compiled
