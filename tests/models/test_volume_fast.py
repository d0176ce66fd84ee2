"""The fast stem volumes are the clear ones, to the cm³, for every equation that is carried."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import OutOfRange
from models.volume import EquationSet, VolumeEquation, select_class, stem_volume_cm3
from models.volume_fast import DOUBT_CM3, DOUBT_SHARE, _lookup, stem_volumes_cm3
from mrv.tables import load_tables

EQUATIONS = load_tables().equations
TOKYO_SUGI = EQUATIONS["tokyo", "sugi"]


def trees(n: int, seed: int = 1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 1200, n, dtype=np.int32), rng.integers(0, 42_000, n, dtype=np.int32)


@pytest.mark.parametrize("key", sorted(EQUATIONS))
def test_every_equation_gives_the_same_cm3_fast_and_clear(key):
    dbh, height = trees(20_000)
    assert np.array_equal(
        stem_volumes_cm3(EQUATIONS[key], dbh, height), stem_volume_cm3(EQUATIONS[key], dbh, height)
    )


@pytest.mark.parametrize("key", sorted(EQUATIONS)[::9])
def test_a_kept_class_gives_the_same_cm3_fast_and_clear(key):
    dbh, height = trees(20_000)
    kept = np.random.default_rng(2).integers(0, len(EQUATIONS[key].classes), dbh.size)
    assert np.array_equal(
        stem_volumes_cm3(EQUATIONS[key], dbh, height, kept),
        stem_volume_cm3(EQUATIONS[key], dbh, height, kept),
    )


def test_a_volume_of_exactly_half_a_cm3_is_left_to_the_clear_formula():
    # 0.5 cm³ per m of height: every odd height in m is a tie, half to even
    halves = EquationSet(
        "r", "s", (VolumeEquation("x", 0, None, "v", {"const": 0.0, "h": 0.5e-6}, "cm", True),)
    )
    height = np.arange(0, 41_000, 1000)
    dbh = np.full(height.shape, 100)
    got = stem_volumes_cm3(halves, dbh, height)
    assert np.array_equal(got, stem_volume_cm3(halves, dbh, height))
    assert got[:6].tolist() == [0, 0, 1, 2, 2, 2]


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(0, 60_000), st.integers(0, 2**32 - 1))
def test_no_number_of_threads_changes_a_volume(threads, n, seed):
    dbh, height = trees(n, seed)
    assert np.array_equal(
        stem_volumes_cm3(TOKYO_SUGI, dbh, height, threads=threads), stem_volume_cm3(TOKYO_SUGI, dbh, height)
    )


def test_inputs_are_left_alone_and_any_kind_of_integer_will_do():
    dbh, height = trees(1000)
    before = dbh.copy(), height.copy()
    want = stem_volume_cm3(TOKYO_SUGI, dbh, height)
    for kind in (np.int16, np.uint16, np.int64):
        tall = np.minimum(height, 32_000)
        assert np.array_equal(
            stem_volumes_cm3(TOKYO_SUGI, dbh.astype(kind), tall.astype(kind)),
            stem_volume_cm3(TOKYO_SUGI, dbh, tall),
        )
    assert np.array_equal(stem_volumes_cm3(TOKYO_SUGI, dbh[::2], height[::2]), want[::2])
    assert np.array_equal(dbh, before[0]) and np.array_equal(height, before[1])


def test_what_the_tables_do_not_cover_goes_the_clear_way():
    wide = np.array([100, 20_000])
    height = np.array([20_000, 60_000])
    assert np.array_equal(
        stem_volumes_cm3(TOKYO_SUGI, wide, height), stem_volume_cm3(TOKYO_SUGI, wide, height)
    )
    unknown = np.array([-1, 99])
    assert stem_volumes_cm3(TOKYO_SUGI, np.array([200, 200]), height, unknown).tolist() == [0, 0]
    empty = np.array([], dtype=np.int32)
    assert stem_volumes_cm3(TOKYO_SUGI, empty, empty).size == 0


@pytest.mark.parametrize("threads", [1, 2])
def test_a_negative_diameter_or_height_is_refused_in_both_languages(threads):
    dbh, height = trees(40_000)
    dbh[30_000] = -1
    with pytest.raises(OutOfRange, match="胸高直径"):
        stem_volumes_cm3(TOKYO_SUGI, dbh, height, threads=threads)


def test_the_class_of_a_tree_is_kept_across_dates_so_that_nothing_is_lost():
    before, after, height = np.array([409]), np.array([410]), np.array([26_000])
    kept = select_class(TOKYO_SUGI, before)
    first = stem_volumes_cm3(TOKYO_SUGI, before, height)
    assert stem_volumes_cm3(TOKYO_SUGI, after, height, kept)[0] > first[0]


@pytest.mark.parametrize("key", sorted(EQUATIONS)[::5])
def test_the_quick_value_errs_by_a_twentieth_of_what_is_doubted(key):
    equations = EQUATIONS[key]
    lookup = _lookup(equations, 1200, by_diameter=True)
    assert lookup is not None
    dbh, height = (np.maximum(v, 10) for v in trees(20_000))
    index = select_class(equations, dbh)
    clear = np.empty(dbh.shape)
    for i, equation in enumerate(equations.classes):
        clear[index == i] = equation.volume_m3(dbh[index == i], height[index == i]) * 1e6
    if lookup.logarithmic:
        quick = np.exp2(
            lookup.start[dbh]
            + (lookup.rise[dbh] if lookup.rise.size > 1 else lookup.rise[0]) * np.log2(height)
        )
        assert np.abs(quick / clear - 1).max() < DOUBT_SHARE / 18
    else:
        quick = lookup.start[dbh] + lookup.rise[dbh] * height
        assert np.abs(quick - clear).max() < DOUBT_CM3
