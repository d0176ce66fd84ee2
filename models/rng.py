"""Random numbers that are the same on every machine and for any chunking.

Raw 64-bit words come from Philox 4x64 addressed by position; normals are made of them with + − × ÷ √ only, since the
``log`` and ``exp`` of libraries differ between versions and processors.
"""

from __future__ import annotations

import hashlib
from functools import cache

import numpy as np
from numpy.typing import NDArray

WORDS_PER_COUNTER = 4
_F = NDArray[np.float64]

# Wichura 1988, algorithm AS 241 (PPND16), Applied Statistics 37: 477-484; lowest power first.
_CENTRE = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_FLANK = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_TAIL = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip
_LN2 = 0.6931471805599453
_SQRT_HALF = 0.7071067811865476
_LOG_TERMS = 11
_BLOCK = 8192
_TABLE_BITS = 14
_REST_BITS = 32 - _TABLE_BITS
_TAIL_WORDS = 2**24


def inverse_normal(p: _F) -> _F:
    """Quantile of the standard normal distribution.

    Largest error against ``scipy.special.ndtri`` over (1e-300, 1 − 1e-16): below 1e-13 (tested).

    Parameters
    ----------
    p : ndarray of float64
        Probabilities strictly between 0 and 1.

    References
    ----------
    Wichura 1988, AS 241, with a logarithm of our own.
    """
    q = p - 0.5
    out = np.empty_like(q)
    centre = np.abs(q) <= 0.425
    r = 0.180625 - q[centre] * q[centre]
    out[centre] = q[centre] * _ratio(_CENTRE, r)
    outer = ~centre
    lower = np.where(q[outer] < 0, p[outer], 1.0 - p[outer])
    distance = np.sqrt(-_ln(lower))
    tail = np.where(distance <= 5.0, _ratio(_FLANK, distance - 1.6), _ratio(_TAIL, distance - 5.0))
    out[outer] = np.where(q[outer] < 0, -tail, tail)
    return out


def _inverse_into(q: _F, out: _F, r: _F, top: _F) -> None:
    """`inverse_normal` of ``q + 1/2`` in place: the central formula for all, then the outer seventh again by its own."""
    np.multiply(q, q, out=r)
    np.subtract(0.180625, r, out=r)
    _horner_into(_CENTRE[0], r, top)
    _horner_into(_CENTRE[1], r, out)
    np.divide(top, out, out=out)
    np.multiply(q, out, out=out)
    outer = np.flatnonzero(np.abs(q, out=r) > 0.425)
    out[outer] = _inverse_outer(q[outer])


def _inverse_outer(q: _F) -> _F:
    """`inverse_normal` of ``q + 1/2`` where |q| > 0.425; ``1/2 − |q|`` is exact on multiples of 2⁻⁵³."""
    distance = np.sqrt(-_ln(0.5 - np.abs(q)))
    tail = _ratio(_FLANK, distance - 1.6)
    far = np.flatnonzero(distance > 5.0)
    if far.size:
        tail[far] = _ratio(_TAIL, distance[far] - 5.0)
    return np.copysign(tail, q)


@cache
def _table() -> tuple[_F, _F]:
    """Normal quantiles at the knots, and the rise to the next knot per unit of what is left of a half word."""
    knots = np.arange(2**_TABLE_BITS + 1) / 2.0**_TABLE_BITS
    knots[0], knots[-1] = 2.0**-33, 1.0 - 2.0**-33
    quantiles = inverse_normal(knots)
    return quantiles[:-1].copy(), np.diff(quantiles) * 2.0**-_REST_BITS


def _table_into(halves: NDArray[np.uint32], out: _F, index: NDArray[np.intp], work: _F) -> NDArray[np.intp]:
    """Interpolate between the knots; returns where the tails are, which it leaves to `_inverse_outer`."""
    quantiles, rise = _table()
    np.copyto(index, halves >> np.uint32(_REST_BITS))
    np.copyto(out, halves & np.uint32(2**_REST_BITS - 1))
    out += 0.5
    rise.take(index, out=work, mode="clip")
    out *= work
    quantiles.take(index, out=work, mode="clip")
    out += work
    # unsigned numbers wrap around, so that one comparison finds both tails
    tails = np.flatnonzero(halves + np.uint32(_TAIL_WORDS) < np.uint32(2 * _TAIL_WORDS))
    out[tails] = (halves[tails].astype(np.float64) - (2.0**31 - 0.5)) * 2.0**-32
    return tails


def _horner_into(coefficients: tuple[float, ...], x: _F, out: _F) -> None:
    np.multiply(x, coefficients[-1], out=out)
    np.add(out, coefficients[-2], out=out)
    for c in reversed(coefficients[:-2]):
        np.multiply(out, x, out=out)
        np.add(out, c, out=out)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: _F) -> _F:
    return np.asarray(_horner(coefficients[0], x) / _horner(coefficients[1], x))


def _horner(coefficients: tuple[float, ...], x: _F) -> _F:
    total = np.full_like(x, coefficients[-1])
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def _ln(x: _F) -> _F:
    """Natural logarithm by exact splitting and 2·artanh((m − 1)/(m + 1)); four operations only."""
    mantissa, exponent = np.frexp(x)
    small = mantissa < _SQRT_HALF
    mantissa = np.where(small, mantissa * 2.0, mantissa)
    whole = exponent - small.astype(np.int64)
    s = (mantissa - 1.0) / (mantissa + 1.0)
    square = s * s
    series = _horner(tuple(1.0 / (2 * k + 1) for k in range(_LOG_TERMS)), square)
    return np.asarray(2.0 * s * series + whole * _LN2)


class Stream:
    """Random numbers of one stage of one run, addressed by position.

    Parameters
    ----------
    key_text : str
        What the run depends on: the digest of its inputs (or a seed as text for the simulator).
    stage : str
        Name of the stage; other stages draw other numbers.

    Notes
    -----
    ``normal(n, offset)`` equals ``normal(offset + n)[offset:]`` for any split.
    """

    def __init__(self, key_text: str, stage: str) -> None:
        digest = hashlib.sha256(f"{key_text}\n{stage}".encode()).digest()
        self._key = np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64)

    def raw(self, n: int, offset: int = 0) -> NDArray[np.uint64]:
        """Words `offset` to ``offset + n`` of the stream."""
        block, skip = divmod(offset, WORDS_PER_COUNTER)
        words = np.random.Philox(counter=block, key=self._key).random_raw(n + skip)
        return np.asarray(words[skip:], dtype=np.uint64)

    def uniform(self, n: int, offset: int = 0) -> _F:
        """Uniform numbers strictly between 0 and 1, on the odd multiples of 2⁻⁵³."""
        return ((self.raw(n, offset) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52

    def normal(self, n: int, offset: int = 0) -> _F:
        """Standard normal numbers, one word each."""
        return inverse_normal(self.uniform(n, offset))

    def fill_normal(self, out: _F, offset: int = 0) -> None:
        """Write ``normal(out.size, offset)`` into a contiguous `out`, to the bit the same and some four times as fast.

        Works in blocks that stay in the processor's cache and reckons the rare tails apart.
        """
        flat = out.reshape(-1)
        q, r, top = np.empty((3, min(flat.size, _BLOCK)))
        for start in range(0, flat.size, _BLOCK):
            n = min(_BLOCK, flat.size - start)
            words = self.raw(n, offset + start)
            words >>= np.uint64(12)
            np.copyto(q[:n], words)
            q[:n] -= 2.0**51 - 0.5
            q[:n] *= 2.0**-52
            _inverse_into(q[:n], flat[start : start + n], r[:n], top[:n])

    def fill_normal_from_table(self, out: _F, offset: int = 0) -> None:
        """Write normal numbers into a contiguous `out`, half a word each, three times as fast again as `fill_normal`.

        Between 2¹⁴ knots the inverse is a straight line, less than 1e-5 from the true one (tested); the outer 1/256 on either side is
        inverted exactly. For Monte Carlo, which knows its results to a percent.
        """
        flat = out.reshape(-1)
        block = min(flat.size, 2 * _BLOCK)
        index, work = np.empty(block, dtype=np.intp), np.empty(block)
        tails: list[NDArray[np.intp]] = []
        for start in range(0, flat.size, 2 * _BLOCK):
            n = min(block, flat.size - start)
            word, skip = divmod(offset + start, 2)
            halves = (
                self.raw((n + skip + 1) // 2, word).astype("<u8", copy=False).view("<u4")[skip : skip + n]
            )
            tails.append(start + _table_into(halves, flat[start : start + n], index[:n], work[:n]))
        if tails:
            where = np.concatenate(tails)
            flat[where] = _inverse_outer(flat[where])
