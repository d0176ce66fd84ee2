"""Random numbers are addressed by position, the same everywhere, and normal."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtri
from scipy.stats import kstest

from models.rng import Stream, _inverse_into, _inverse_outer, _table_into, inverse_normal

STREAM = Stream("sha256:00", "stage")
WHOLE = STREAM.normal(500)
RAW = [13457481391010211101, 9097935874788149020, 2951836584479192015]
NORMAL = ["0x1.3908ff2aaf72ap-1", "-0x1.1746b5932ca19p-6", "-0x1.fd1f249fbec44p-1"]


@settings(deadline=None)
@given(st.integers(0, 480), st.integers(1, 20))
def test_numbers_do_not_depend_on_chunks(offset, n):
    assert np.array_equal(STREAM.normal(n, offset), WHOLE[offset : offset + n])


@settings(deadline=None)
@given(st.integers(0, 300_000), st.integers(0, 20_000))
def test_filling_an_array_gives_the_same_bits_as_drawing_one(offset, n):
    out = np.empty(n)
    STREAM.fill_normal(out, offset)
    assert np.array_equal(out, STREAM.normal(n, offset))


def test_the_far_tails_fill_as_they_are_drawn():
    p = np.concatenate([2.0 ** -np.arange(1.0, 54.0), 1 - 2.0 ** -np.arange(1.0, 54.0), [0.0625, 0.9375]])
    out, r, top = np.empty((3, p.size))
    _inverse_into(p - 0.5, out, r, top)
    assert np.array_equal(out, inverse_normal(p))


TABLE = np.empty(30_000)
STREAM.fill_normal_from_table(TABLE)


@settings(deadline=None)
@given(st.integers(0, 20_000), st.integers(0, 10_000))
def test_numbers_from_the_table_do_not_depend_on_chunks(offset, n):
    out = np.empty(n)
    STREAM.fill_normal_from_table(out, offset)
    assert np.array_equal(out, TABLE[offset : offset + n])


def test_the_table_stays_within_1e_5_of_the_true_inverse_and_is_exact_in_the_tails():
    edges = np.array([0, 1, 2**24 - 1, 2**24, 2**32 - 2**24 - 1, 2**32 - 2**24, 2**32 - 1], dtype=np.uint32)
    halves = np.concatenate([edges, STREAM.raw(200_000).view(np.uint32)])
    out, work = np.empty((2, halves.size))
    where = _table_into(halves, out, np.empty(halves.size, dtype=np.intp), work)
    out[where] = _inverse_outer(out[where])
    p = (halves + 0.5) * 2.0**-32
    assert np.abs(out - ndtri(p)).max() < 1e-5
    tails = (p < 2**-8) | (p > 1 - 2**-8)
    assert np.array_equal(out[tails], inverse_normal(p[tails]))
    assert np.all(np.diff(out[np.argsort(halves)]) >= 0)
    assert kstest(out[7:], "norm").pvalue > 1e-3 and abs(out[7:].var() - 1) < 0.01


def test_the_first_numbers_are_fixed():
    assert STREAM.raw(3).tolist() == RAW
    assert [float(v).hex() for v in STREAM.normal(3)] == NORMAL


def test_another_stage_or_another_input_draws_other_numbers():
    assert not np.array_equal(STREAM.raw(4), Stream("sha256:00", "other").raw(4))
    assert not np.array_equal(STREAM.raw(4), Stream("sha256:01", "stage").raw(4))


def test_the_inverse_agrees_with_scipy_to_the_far_tails():
    p = np.concatenate(
        [STREAM.uniform(200_000), 10.0 ** -np.arange(1.0, 301.0), 1 - 10.0 ** -np.arange(1.0, 16.0)]
    )
    assert np.abs(inverse_normal(p) - ndtri(p)).max() < 1e-13


def test_the_inverse_is_odd_about_one_half():
    p = STREAM.uniform(1000)
    assert np.array_equal(inverse_normal(1.0 - p), -inverse_normal(p))


def test_uniforms_stay_inside_the_open_interval_and_normals_look_normal():
    u = STREAM.uniform(100_000)
    assert u.min() > 0.0 and u.max() < 1.0
    assert kstest(STREAM.normal(100_000), "norm").pvalue > 1e-3
