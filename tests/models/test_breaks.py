"""Breaks are found where they were, with the default settings, and nowhere else."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from models.breaks import detect_break, detect_breaks, normalised_difference
from models.errors import OutOfRange
from models.rng import Stream

LOGGING = ("w0", "w12", "w34", "w56", "w78", "w910")
SNOW_SHADOW_CLOUD = 2


def nbr_series(folder: Path, *names: str):
    rows = []
    for name in names:
        with (folder / "hls_series" / f"{name}.csv").open() as file:
            rows += [{k.lower(): float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    column = {k: np.array([row[k] for row in rows]) for k in ("dates", "nir", "swir2", "qa")}
    clear = column["qa"] < SNOW_SHADOW_CLOUD
    return column["dates"].astype(int), normalised_difference(column["nir"], column["swir2"]), clear


def test_the_logging_break_is_dated_to_the_first_clear_revisit(shared_data):
    series = nbr_series(shared_data, *(f"7_logging_hls_{w}" for w in LOGGING))
    found = detect_breaks(*series)
    assert [date.fromordinal(b.day) for b in found] == [date(2024, 4, 8)]
    assert date.fromordinal(found[0].last_before) == date(2024, 3, 29)
    assert found[0].magnitude == pytest.approx(0.26 - 0.54, abs=0.06)  # the drop in the tutorial's own words


def test_logging_is_not_seen_before_it_happened_and_is_sure_with_the_first_increment(shared_data):
    assert detect_break(*nbr_series(shared_data, "7_logging_hls_w0")) is None
    early = detect_break(*nbr_series(shared_data, "7_logging_hls_w0", "7_logging_hls_w12"))
    assert early is not None and date.fromordinal(early.day) == date(2024, 4, 8)


def test_the_fire_is_the_only_break_in_ten_years(shared_data):
    found = detect_breaks(*nbr_series(shared_data, "1_hls_sc"))
    assert [date.fromordinal(b.day) for b in found] == [date(2024, 3, 23)]
    assert found[0].magnitude < -0.5


def sparse(seed: str, cut: int | None, drop: float = 0.35):
    """Four years of fourteen scenes, a third of them cloudy, in a stand with seasons."""
    stream = Stream(seed, "breaks-test")
    days = date(2021, 10, 20).toordinal() + np.arange(56) * 26
    values = 0.6 + 0.08 * np.sin(2 * np.pi * days / 365.25) + 0.02 * stream.normal(56)
    clear = stream.uniform(56, 56) > 0.33
    values[~clear] -= 0.5
    if cut is not None:
        values[days >= days[cut]] -= drop
    return days, values, clear


def test_a_main_cut_in_a_sparse_cloudy_series_is_dated_to_its_first_clear_scene():
    late = 0
    for i in range(40):
        days, values, clear = sparse(f"cut {i}", 30)
        found = detect_break(days, values, clear)
        assert found is not None
        first_clear = days[30:][clear[30:]][0]
        assert found.day >= first_clear, "a break before the cut is a false alarm"
        late += found.day != first_clear
    assert late <= 2


def test_undisturbed_stands_raise_no_alarm():
    assert sum(detect_break(*sparse(f"still {i}", None)) is not None for i in range(100)) == 0


def test_a_short_run_of_low_values_is_weather():
    days, values, clear = sparse("weather", None)
    low = np.flatnonzero(clear)[20:22]
    values[low] = 0.15
    assert detect_break(days, values, clear) is None
    values[np.flatnonzero(clear)[20:23]] = 0.15
    assert detect_break(days, values, clear) is not None


def test_a_series_shorter_than_a_year_cannot_break():
    days, values, _ = sparse("short", 6)
    assert detect_break(days[:12], values[:12], np.ones(12, dtype=bool)) is None


def test_a_new_history_begins_after_a_break_and_inputs_are_left_alone():
    days, values, clear = sparse("twice", 20)
    values[44:] -= 0.3
    kept = values.copy()
    found = detect_breaks(days, values, clear)
    assert len(found) == 2
    assert found[0].day < found[1].day
    assert np.array_equal(values, kept)


def test_series_out_of_order_or_of_unequal_length_are_refused():
    days, values, clear = sparse("bad", None)
    with pytest.raises(OutOfRange, match="order"):
        detect_break(days[::-1], values, clear)
    with pytest.raises(OutOfRange, match="one length"):
        detect_break(days[:-1], values, clear)


def test_an_index_of_nothing_is_not_a_number():
    assert np.isnan(normalised_difference(np.array([0]), np.array([0]))[0])
    assert normalised_difference(np.array([3000]), np.array([1000]))[0] == 0.5
