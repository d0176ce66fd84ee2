"""Kill the program at random points of issuing and settling, on both chains, run it again, and count what went wrong.

A run is forked from a parent that has everything imported, and killed by SIGKILL: half of the time at a moment drawn from the
time that a whole run takes, half of the time at a step drawn from all its requests to the chain, writes to the chain file
and commits to the catalogue. It is run again (and killed again, one time in four; two at once, one time in eight) until it
ends by itself. Then there must be one batch, recorded as mined, with all its kilograms, and every base unit of
the revenue must be with a payee or carried. On anvil one run in six has blocks by the clock, so that transactions wait.

    python benchmarks/faults.py [--quick] [--kills N] [--seed S] [--chains embedded anvil] [--json [PATH]]

Ends with status 1 if anything was minted twice, lost, or unpaid.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from faults_world import (
    PROJECT,
    STAGES,
    ChainKind,
    Child,
    Node,
    Stage,
    Steps,
    World,
    books,
    find_anvil,
    make_claimed,
    make_keys,
)

from flows import runtime, work
from flows.settings import Workspace

Act = Literal["issue", "settle"]
# What is done at each stage, and its share of the kills.
PLAN: dict[Stage, tuple[Act, int]] = {
    "new": ("issue", 15),
    "registered": ("issue", 45),
    "sold": ("settle", 40),
}
MOMENT_SHARE, AGAIN_SHARE, RACE_SHARE, CLOCK_SHARE = 1 / 2, 1 / 4, 1 / 8, 1 / 6


@dataclass
class Tally:
    """What was done and what went wrong."""

    kills: int = 0
    double_mints: int = 0
    lost_batches: int = 0
    lost_units: int = 0
    through_prefect: int = 0
    races: int = 0
    runs: int = 0
    found: Counter[str] = field(default_factory=Counter)

    def to_doc(self) -> dict[str, Any]:
        return {**self.__dict__, "found": dict(sorted(self.found.items()))}


def act_of(ws: Workspace, act: Act, claim_id: str, *, prefect: bool) -> Callable[[], None]:
    """What one run does, as a person or as the scheduler starts it."""

    def plainly() -> None:
        if act == "issue":
            work.issue(ws, claim_id)
        else:
            work.settle(ws, PROJECT)

    def by_flow() -> None:
        from flows.issue import issue_flow
        from flows.settle import settle_flow

        if act == "issue":
            issue_flow(str(ws.root), claim_id)
        else:
            settle_flow(str(ws.root), PROJECT)

    return by_flow if prefect else plainly


def stepping(act: Callable[[], None], die_at: int | None = None) -> Callable[[], int]:
    """The run with its steps counted, or with its end at one of them; only for forks."""

    def run() -> int:
        steps = Steps(die_at)
        steps.arm()
        act()
        return steps.count

    return run


@dataclass
class Case:
    """One act at one stage on one chain, through Prefect or not; knows how long a whole run is."""

    world: World
    act: Act
    prefect: bool
    rng: random.Random
    tally: Tally
    steps: int = 0
    seconds: float = 0.0

    def learn(self) -> None:
        """Measure whole runs: their steps, and their seconds without counting."""
        ws = self.world.begin()
        self.steps = Child(stepping(self._act(ws))).end().value
        ws = self.world.begin()
        self.seconds = Child(self._act(ws)).end().seconds

    def _act(self, ws: Workspace) -> Callable[[], None]:
        return act_of(ws, self.act, self.world.claim_id, prefect=self.prefect)

    def kill_and_recover(self, most: int) -> None:
        """Kill up to `most` times in a row, run again until it ends by itself, and count what is wrong."""
        by_clock = self.world.node is not None and self.rng.random() < CLOCK_SHARE
        ws = self.world.begin(block_every_s=1 if by_clock else None)
        self.tally.runs += 1
        killed = self._kill(ws, by_clock)
        while killed and killed < most and self.rng.random() < AGAIN_SHARE:
            if not self._kill(ws, by_clock):
                break
            killed += 1
        together = 2 if self.rng.random() < RACE_SHARE and not self.prefect else 1
        self.tally.races += together - 1
        children = [Child(self._act(ws)) for _ in range(together)]
        for child in children:
            child.end()
        self._judge(ws)

    def _kill(self, ws: Workspace, by_clock: bool) -> int:
        if self.rng.random() < MOMENT_SHARE:
            longest = self.seconds + (1.5 if by_clock else 0)
            ended = Child(self._act(ws)).end(kill_after_s=self.rng.uniform(0, longest))
        else:
            ended = Child(stepping(self._act(ws), self.rng.randrange(self.steps))).end()
        if not ended.killed:
            return 0
        self.tally.kills += 1
        self.tally.through_prefect += self.prefect
        seen = Child(lambda: books(ws, self.world.claim_id)).end().value
        where = (
            f"outbox {seen['state']}, on chain {seen['mints']}"
            if self.act == "issue"
            else f"payees paid {seen['payees_paid']}"
        )
        self.tally.found[f"{self.world.kind} {self.act}: {where}"] += 1
        return 1

    def _judge(self, ws: Workspace) -> None:
        seen = Child(lambda: books(ws, self.world.claim_id)).end().value
        self.tally.double_mints += max(0, seen["mints"] - 1) + seen["other_batches"]
        self.tally.lost_batches += seen["mints"] == 0 or seen["state"] != "mined"
        self.tally.lost_units += seen["units_short"] + seen.get("kg_short", 0)
        if self.act == "settle":
            self.tally.lost_units += seen["units_due"]


def run_stage(world: World, stage: Stage, kills: int, prefect_kills: int, seed: int, tally: Tally) -> None:
    """So many kills of a stage's act, some of them through Prefect."""
    world.move_to(stage)
    for wanted, prefect in ((kills - prefect_kills, False), (prefect_kills, True)):
        if wanted <= 0:
            continue
        rng = random.Random(f"{seed} {world.kind} {stage} {prefect}")
        case = Case(world, PLAN[stage][0], prefect, rng, tally)
        case.learn()
        until = tally.kills + wanted
        while tally.kills < until:
            case.kill_and_recover(until - tally.kills)
        print(
            f"{world.kind:9} {stage:11} {case.act:7}{'Prefect ' if prefect else '        '}"
            f"{wanted:4} kills, a whole run {case.seconds:.2f} s and {case.steps} steps",
            file=sys.stderr,
            flush=True,
        )


def run(folder: Path, kinds: list[ChainKind], kills: int, prefect_kills: int, seed: int) -> Tally:
    """The whole fault run in a temporary folder."""
    make_keys()
    claimed = make_claimed(folder)
    early = runtime.start_early(claimed)
    early.wait()
    import flows.issue
    import flows.settle  # noqa: F401  imported here once, for all forks

    tally = Tally()
    program = find_anvil()
    try:
        for number, kind in enumerate(kinds):
            node = Node(str(program)) if kind == "anvil" else None
            try:
                world = World.make(kind, folder, claimed, node)
                of_kind = _shared(kills, len(kinds), number)
                by_flow = _shared(prefect_kills, len(kinds), number)
                for stage in STAGES:
                    share = PLAN[stage][1]
                    flow_share = by_flow // 2 if stage == "registered" else by_flow - by_flow // 2
                    through = 0 if stage == "new" else flow_share
                    run_stage(world, stage, max(through, of_kind * share // 100), through, seed, tally)
            finally:
                if node is not None:
                    node.stop()
    finally:
        early.stop()
    return tally


def _shared(whole: int, parts: int, number: int) -> int:
    # Rounded up, also for the stages' shares, so that never fewer are done than asked for.
    return -(-whole // parts) + len(PLAN)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="30 kills instead of 500")
    parser.add_argument("--kills", type=int, help="at least so many")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--json", nargs="?", const="-", help="write the figures as JSON to PATH, else to stdout"
    )
    parser.add_argument("--chains", nargs="+", choices=("embedded", "anvil"), default=["embedded", "anvil"])
    arguments = parser.parse_args()
    kills = arguments.kills or (30 if arguments.quick else 500)
    kinds: list[ChainKind] = arguments.chains
    if "anvil" in kinds and not find_anvil():
        print("anvil is not installed: only the embedded chain is tried", file=sys.stderr)
        kinds = ["embedded"]
    since = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="satoyama-faults-") as folder:
        tally = run(Path(folder), kinds, kills, 4 if kills < 100 else 24, arguments.seed)
    figures = {**tally.to_doc(), "chains": kinds, "seed": arguments.seed}
    figures["seconds"] = round(time.monotonic() - since)
    text = json.dumps(figures, indent=2, ensure_ascii=False)
    if arguments.json not in (None, "-"):
        Path(arguments.json).write_text(text + "\n")
    print(text if arguments.json == "-" else table(figures))
    return 1 if tally.double_mints or tally.lost_batches or tally.lost_units else 0


def table(figures: dict[str, Any]) -> str:
    """The figures in Markdown."""
    names = ("kills", "runs", "races", "through_prefect", "double_mints", "lost_batches", "lost_units")
    lines = ["| figure | |", "|---|--:|", *(f"| {name} | {figures[name]:,} |" for name in names)]
    lines += ["", "| found after a kill | times |", "|---|--:|"]
    return "\n".join([*lines, *(f"| {where} | {times} |" for where, times in figures["found"].items())])


if __name__ == "__main__":
    sys.exit(main())
