"""Shifts between canopy surfaces that are known, with growth, felling, noise and holes between the dates."""

from __future__ import annotations

import numpy as np
import pytest

from models.coregister import estimate_shift
from models.errors import OutOfRange

SIDE = 160


def crowns(seed, count=500):
    rng = np.random.default_rng(seed)
    return rng.uniform(-5, SIDE + 5, (count, 2)), rng.uniform(8, 25, count), rng


def canopy(places, tall, shift=(0.0, 0.0)):
    """Paraboloid crowns sampled at pixel centres, moved by a shift in pixels."""
    row, col = np.indices((SIDE, SIDE))
    surface = np.zeros((SIDE, SIDE))
    for (r, c), h in zip(places, tall, strict=True):
        away = (row - r - shift[0]) ** 2 + (col - c - shift[1]) ** 2
        np.maximum(surface, h - 0.12 * away, out=surface)
    return surface


ALL = np.ones((SIDE, SIDE), dtype=bool)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.37, -1.62), (-3.25, 2.5), (0.05, 0.0)])
def test_a_shift_is_found_to_a_twentieth_of_a_pixel_through_growth_felling_and_noise(shift):
    places, tall, rng = crowns(1)
    first = canopy(places, tall) + rng.normal(0, 0.2, (SIDE, SIDE))
    left = rng.random(tall.size) > 0.15
    second = canopy(places[left], tall[left] + 0.8, shift) + rng.normal(0, 0.2, (SIDE, SIDE))
    found = estimate_shift(first, second, ALL, rng.random((SIDE, SIDE)) > 0.02)
    assert (found.rows, found.cols) == pytest.approx(shift, abs=0.05)
    assert found.offset == pytest.approx(0.8, abs=0.15)
    assert found.correlation >= found.correlation_before - 0.01
    assert 0.0 < found.rows_se < 0.05 and 0.0 < found.cols_se < 0.05


def test_standard_errors_are_of_the_size_of_the_errors():
    errors, claimed = [], []
    for seed in range(12):
        places, tall, rng = crowns(seed)
        first = canopy(places, tall) + rng.normal(0, 0.5, (SIDE, SIDE))
        left = rng.random(tall.size) > 0.1
        second = canopy(places[left], tall[left], (0.3, -0.7)) + rng.normal(0, 0.5, (SIDE, SIDE))
        found = estimate_shift(first, second, ALL, ALL)
        errors += [found.rows - 0.3, found.cols + 0.7]
        claimed += [found.rows_se, found.cols_se]
    ratio = np.sqrt(np.mean(np.square(errors)) / np.mean(np.square(claimed)))
    assert 0.4 < ratio < 1.8


def test_the_shift_of_a_surface_from_itself_is_none():
    places, tall, _ = crowns(3)
    surface = canopy(places, tall)
    found = estimate_shift(surface, surface, ALL, ALL)
    assert (found.rows, found.cols, found.offset) == pytest.approx((0, 0, 0), abs=1e-9)
    assert found.correlation == pytest.approx(1.0)


def test_flat_strange_empty_and_unequal_surfaces_are_refused():
    places, tall, _ = crowns(4)
    surface = canopy(places, tall)
    with pytest.raises(OutOfRange):
        estimate_shift(np.ones((50, 50)), np.ones((50, 50)), ALL[:50, :50], ALL[:50, :50])
    with pytest.raises(OutOfRange):
        estimate_shift(surface, surface[:80], ALL, ALL[:80])
    with pytest.raises(OutOfRange):
        estimate_shift(surface, surface, ALL, np.zeros_like(ALL))
    with pytest.raises(OutOfRange):
        estimate_shift(
            np.tile(np.sin(np.arange(SIDE) / 4), (SIDE, 1)),
            np.tile(np.sin(np.arange(SIDE) / 4), (SIDE, 1)),
            ALL,
            ALL,
        )
