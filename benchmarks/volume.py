"""Ten million stem volumes against the plain NumPy expression, cm³ by cm³.

Peers, in turns within one run:

- *plain*: ``rint(10 ** (a + b log10 D + c log10 H) * 1e6)`` on whole arrays; with diameter classes, a, b and c are looked up by
  ``searchsorted``;
- *clear*: `models.volume.stem_volume_cm3`, the formula that decides.

    python benchmarks/volume.py [--quick] [--json PATH] [--threads N]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from turns import in_turns, judge

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.volume import EquationSet, stem_volume_cm3
from models.volume_fast import stem_volumes_cm3
from mrv.tables import load_tables

_I = NDArray[np.integer]


def plain_one_class(equations: EquationSet, dbh_mm: _I, height_mm: _I) -> NDArray[np.int64]:
    """The bare expression, for a species with one equation."""
    terms = equations.classes[0].terms
    a, b, c = terms["const"], terms["log10_d"], terms["log10_h"]
    return np.rint(10 ** (a + b * np.log10(dbh_mm / 10) + c * np.log10(height_mm / 1000)) * 1e6).astype(
        np.int64
    )


def plain(equations: EquationSet, dbh_mm: _I, height_mm: _I) -> NDArray[np.int64]:
    """The bare expression with coefficients by diameter class."""
    edges = [e.d_from_mm for e in equations.classes[1:]]
    a, b, c = np.array([[e.terms[k] for k in ("const", "log10_d", "log10_h")] for e in equations.classes]).T
    i = np.searchsorted(edges, dbh_mm, side="right")
    volume = 10 ** (a[i] + b[i] * np.log10(dbh_mm / 10) + c[i] * np.log10(height_mm / 1000))
    return np.rint(volume * 1e6).astype(np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under 50 s")
    parser.add_argument("--json", type=Path, help="write the figures as one flat object")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    arguments = parser.parse_args()
    trees, rounds = 10_000_000, 5 if arguments.quick else 15
    rng = np.random.default_rng(1)
    dbh = rng.integers(30, 800, trees, dtype=np.int32)
    height = rng.integers(2_000, 35_000, trees, dtype=np.int32)
    tables, n = load_tables().equations, arguments.threads
    one, four = tables["osaka", "hinoki"], tables["tokyo", "sugi"]
    sets = {"one_class": (one, plain_one_class), "four_classes": (four, plain)}
    figures: dict[str, float] = {"trees": trees, "threads": n}
    rows = []
    for name, (equations, peer) in sets.items():
        work = (equations, dbh, height)
        runs: dict[str, Callable[[], object]] = {
            "fast": partial(stem_volumes_cm3, *work, threads=n),
            "plain": partial(peer, *work),
            "one_thread": partial(stem_volumes_cm3, *work),
        }
        seconds, processor = in_turns(runs, rounds)
        seconds |= in_turns({"clear": partial(stem_volume_cm3, *work)}, 1 if arguments.quick else 3)[0]
        fast, clear = stem_volumes_cm3(*work, threads=n), stem_volume_cm3(*work)
        differ = int(np.abs(fast - clear).max())
        from_plain = int(np.abs(fast - peer(*work)).max())
        figures |= {
            f"volume_{name}_seconds": seconds["fast"],
            f"volume_{name}_over_plain_numpy": seconds["plain"] / seconds["fast"],
            f"volume_{name}_over_clear": seconds["clear"] / seconds["fast"],
            f"volume_{name}_one_thread_over_plain_numpy": seconds["plain"] / seconds["one_thread"],
            f"volume_{name}_over_plain_numpy_processor_time": processor["plain"] / processor["one_thread"],
            f"volume_{name}_largest_difference_cm3": differ,
            f"volume_{name}_largest_difference_from_plain_cm3": from_plain,
        }
        label, lone = name.replace("_", " "), seconds["one_thread"]
        for who, ours, peer_name, gap in (
            (f"{label}, {n} threads", seconds["fast"], "plain", from_plain),
            (f"{label}, one thread", lone, "plain", from_plain),
            (f"{label}, {n} threads", seconds["fast"], "clear", differ),
        ):
            s = seconds[peer_name]
            peer_label = "plain NumPy" if peer_name == "plain" else "stem_volume_cm3"
            rows.append(f"| {who} | {ours:.3f} | {peer_label} | {s:.3f} | {s / ours:.2f} | {gap} |")
    figures["volume_over_plain_numpy"] = min(figures[f"volume_{k}_over_plain_numpy"] for k in sets)
    figures["volume_largest_difference_cm3"] = max(
        figures[f"volume_{k}_largest_difference_cm3"] for k in sets
    )
    print(
        f"{date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores, NumPy {np.__version__}"
    )
    print(f"{trees:,} trees; medians of {rounds} rounds in turns\n")
    print("| figure | ours s | peer | peer s | ratio | largest difference cm³ |\n|---|---|---|---|---|---|")
    print("\n".join(rows))
    for name in sets:
        ratio = figures[f"volume_{name}_over_plain_numpy_processor_time"]
        print(f"\nprocessor time, plain NumPy over one thread, {name.replace('_', ' ')}: {ratio:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    judge(
        figures,
        at_most={"volume_largest_difference_cm3": 0},
        at_least={},
        ratios={"volume_over_plain_numpy": 2.5},
        quick=arguments.quick,
    )


if __name__ == "__main__":
    main()
