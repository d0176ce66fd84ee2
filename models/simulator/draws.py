"""Random numbers of the simulator: every draw has a name, so that adding one never moves another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.rng import Stream

FloatArray = NDArray[np.float64]
_WAVES = 40


@dataclass(frozen=True)
class Draws:
    """Named streams of one simulated site.

    Attributes
    ----------
    key : str
        Names the site, e.g. ``"demo/7/gain"``; the same key gives the same site.
    """

    key: str

    def uniform(self, stage: str, n: int) -> FloatArray:
        """`n` uniforms in (0, 1) of the stream called `stage`."""
        return np.asarray(Stream(self.key, stage).uniform(n), dtype=np.float64)

    def normal(self, stage: str, n: int) -> FloatArray:
        """`n` standard normals of the stream called `stage`."""
        return np.asarray(Stream(self.key, stage).normal(n), dtype=np.float64)

    def one_normal(self, stage: str) -> float:
        return float(self.normal(stage, 1)[0])

    def smooth_field(self, stage: str, x_m: FloatArray, y_m: FloatArray, range_m: float) -> FloatArray:
        """A smooth Gaussian field of mean 0 and variance 1 at points.

        A sum of random plane waves, whose covariance tends to ``exp(-(d / range_m)^2 / 2)``. Source: Rahimi and Recht (2007),
        random Fourier features.

        Parameters
        ----------
        range_m : float
            Distance at which the correlation has fallen to 0.61, m.
        """
        waves = self.normal(f"{stage}/wave", 2 * _WAVES).reshape(2, _WAVES) / range_m
        phase = self.uniform(f"{stage}/phase", _WAVES) * 2 * np.pi
        out = np.zeros(np.broadcast(x_m, y_m).shape)
        for kx, ky, start in zip(waves[0], waves[1], phase, strict=True):
            out += np.cos(kx * x_m + ky * y_m + start)
        return np.asarray(out * np.sqrt(2.0 / _WAVES))
