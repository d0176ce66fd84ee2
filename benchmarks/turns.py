"""Peers run in turns in one process; a helper of the benchmarks, none itself."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


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
