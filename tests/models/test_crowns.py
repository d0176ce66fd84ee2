"""Crowns against scikit-image's watershed, and at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from models.crowns import CrownLimits, crown_pixels, grow_crowns
from models.errors import OutOfRange

WIDE = CrownLimits(share_of_top=0.0, lowest=0.0, reach_base=1e9, reach_slope=0.0)


def cones(side, tops):
    row, col = np.indices((side, side))
    return np.max([h - 1.5 * np.hypot(row - r, col - c) for r, c, h in tops], axis=0)


def grown(surface, tops, limits=WIDE, valid=None):
    rows, cols = np.array([[t[0], t[1]] for t in tops]).T
    return grow_crowns(
        surface, np.ones(surface.shape, bool) if valid is None else valid, rows, cols, 0.5, limits
    )


def test_without_limits_crowns_are_scikit_images_watershed():
    segmentation = pytest.importorskip("skimage.segmentation")
    rng = np.random.default_rng(4)
    tops = [
        (int(r), int(c), h) for r, c, h in zip(*rng.choice(60, (2, 40)), rng.uniform(12, 30, 40), strict=True)
    ]
    tops = list({(r, c): (r, c, h) for r, c, h in tops}.values())
    surface = cones(60, tops) + rng.permutation(3600).reshape(60, 60) * 1e-4
    markers = np.zeros(surface.shape, dtype=int)
    for i, (r, c, _) in enumerate(tops):
        markers[r, c] = i + 1
    assert np.array_equal(grown(surface, tops), segmentation.watershed(-surface, markers, connectivity=1))


def test_a_crown_ends_at_its_share_of_height_at_the_lowest_height_and_at_its_reach():
    tops = [(20, 20, 20.0)]
    surface = np.maximum(cones(41, tops), 0)
    away = np.hypot(*(np.indices(surface.shape) - 20))
    low = grown(surface, tops, CrownLimits(0.5, 0.0, 1e9, 0.0)) > 0
    assert np.array_equal(low, surface >= 10)
    low = grown(surface, tops, CrownLimits(0.0, 14.0, 1e9, 0.0)) > 0
    assert np.array_equal(low, surface >= 14)
    near = (
        grown(surface, tops, CrownLimits(0.0, 0.0, 0.5, 0.1)) > 0
    )  # 0.5 m + 0.1 × 20 m on half-metre pixels
    assert np.array_equal(near, away <= 5)


def test_crowns_are_connected_disjoint_and_hold_their_tops_even_around_holes():
    label = pytest.importorskip("scipy.ndimage").label
    tops = [(5, 5, 15.0), (5, 20, 18.0), (22, 12, 25.0)]
    valid = np.ones((30, 30), bool)
    valid[:, 11] = valid[14, :] = False
    crown = grown(cones(30, tops), tops, CrownLimits(0.0, -99, 1e9, 0.0), valid)
    assert not crown[~valid].any()
    for i, (r, c, _) in enumerate(tops):
        assert crown[r, c] == i + 1
        assert label(crown == i + 1)[1] == 1
    assert crown_pixels(crown, 3).sum() == (crown > 0).sum()


def test_a_plateau_is_shared_evenly():
    crown = grown(np.full((1, 11), 9.0), [(0, 0, 9), (0, 10, 9)])
    assert crown_pixels(crown, 2).tolist() in ([6, 5], [5, 6])


def test_tops_beside_the_data_or_on_one_pixel_are_refused():
    with pytest.raises(OutOfRange):
        grown(np.ones((4, 4)), [(4, 0, 1)])
    with pytest.raises(OutOfRange):
        grown(np.ones((4, 4)), [(1, 1, 1), (1, 1, 1)])
    with pytest.raises(OutOfRange):
        grown(np.ones((4, 4)), [(1, 1, 1)], valid=np.zeros((4, 4), bool))
    with pytest.raises(OutOfRange):
        CrownLimits(1.2, 0.0, 1.0, 0.0)


def test_no_tops_no_crowns():
    nothing = np.zeros(0, dtype=np.int64)
    assert not grow_crowns(np.ones((3, 3)), np.ones((3, 3), bool), nothing, nothing, 0.5, WIDE).any()
