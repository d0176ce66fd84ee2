"""A response on the scale it is fitted on (identity, square root, logarithm), and back without bias."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Transform = Literal["none", "sqrt", "log"]
TRANSFORMS: tuple[Transform, ...] = get_args(Transform)
_F = NDArray[np.float64]


def forth(transform: Transform, y: _F) -> _F:
    """The response on the scale of the fit."""
    if transform == "none":
        return y
    return np.asarray(np.sqrt(y) if transform == "sqrt" else np.log(y), dtype=np.float64)


def back(transform: Transform, line: _F, sd: _F | float) -> _F:
    """Expected response where T(response) is normal about `line` with `sd`; a root below zero counts as zero."""
    if transform == "none":
        return line
    if transform == "sqrt":
        return np.asarray(np.maximum(line, 0.0) ** 2 + np.square(sd), dtype=np.float64)
    return np.asarray(np.exp(line + np.square(sd) / 2.0), dtype=np.float64)


def slope_back(transform: Transform, line: _F) -> _F:
    """Slope of the response by the scale of the fit, at `line`."""
    if transform == "none":
        return np.ones_like(line)
    return np.asarray(2.0 * np.maximum(line, 0.0) if transform == "sqrt" else np.exp(line), dtype=np.float64)


def error_of(transform: Transform, y: _F, line: _F, sd: _F | float) -> _F:
    """Measured less predicted response."""
    return y - back(transform, line, sd)
