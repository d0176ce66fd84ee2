"""Rounding to integers, half-even, and exact fractions: what makes results equal on every machine."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
from numpy.typing import NDArray


def half_even(values: NDArray[np.floating], nodata: int, valid: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Round floats to int32, half to even; cells that are not valid become `nodata`.

    Source: IEEE 754 roundTiesToEven, which `numpy.rint` follows.
    """
    out = np.full(values.shape, nodata, dtype=np.int32)
    out[valid] = np.rint(values[valid]).astype(np.int32)
    return out


def round_fraction(value: Fraction) -> int:
    """Nearest integer of an exact fraction, half to even (Python's own rule for `round`)."""
    return round(value)


def sqrt_ceil(value: Fraction) -> int:
    """Smallest integer whose square is at least `value`: a standard error is never rounded down.

    Raises
    ------
    ValueError
        If `value` is negative.
    """
    if value < 0:
        raise ValueError(f"expected a variance of zero or more, got {value}")
    whole = -(-value.numerator // value.denominator)
    root = isqrt(whole)
    return root if root * root == whole else root + 1


def decimal_fraction(text: str) -> Fraction:
    """The exact value of a decimal written as text (``"1.23"`` is 123/100, not a float)."""
    return Fraction(text)
