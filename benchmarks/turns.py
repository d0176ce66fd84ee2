"""Peers run in turns in one process; a helper of the benchmarks, none itself."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping


def in_turns(runs: dict[str, Callable[[], object]], rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of each by the clock and of the processor, run in turns after one round that is not counted."""
    clock: dict[str, list[float]] = {name: [] for name in runs}
    processor: dict[str, list[float]] = {name: [] for name in runs}
    for i in range(rounds + 1):
        for name, work in runs.items():
            start, used = time.perf_counter(), time.process_time()
            work()
            if i:
                clock[name].append(time.perf_counter() - start)
                processor[name].append(time.process_time() - used)
    return _medians(clock), _medians(processor)


def _medians(seconds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(found) for name, found in seconds.items()}


def judge(
    figures: Mapping[str, float],
    at_most: Mapping[str, float],
    at_least: Mapping[str, float],
    ratios: Mapping[str, float],
    quick: bool,
) -> None:
    """Say which gates hold; end with status 1 where one does not.

    What was not measured (a peer that is not installed, data that is not there) is not judged, and ratios of a quick run neither.
    """
    failed = [f"{k} {figures[k]:g} > {most:g}" for k, most in at_most.items() if figures.get(k, most) > most]
    lowest = dict(at_least) | ({} if quick else dict(ratios))
    failed += [
        f"{k} {figures[k]:g} < {least:g}" for k, least in lowest.items() if figures.get(k, least) < least
    ]
    left_out = " (ratios are judged in full runs)" if quick else ""
    print("gates: " + ("hold" if not failed else "do NOT hold: " + "; ".join(failed)) + left_out)
    if failed:
        sys.exit(1)
