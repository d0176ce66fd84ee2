"""``python -m apps.demo``: the main job on a simulated survey, from upload to the buyer's check."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Parse the command line and run the demo."""
    parser = argparse.ArgumentParser(
        prog="python -m apps.demo",
        description="A simulated survey becomes a credit a buyer recomputes, and money the co-op receives.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("out/demo"), help="where results go (default: out/demo)"
    )
    parser.add_argument("--scenario", choices=["gain", "loss"], default="gain")
    parser.add_argument("--seed", type=int, default=1, help="seed of the simulated forest")
    parser.add_argument(
        "--chain-url", default="", help="JSON-RPC address of a chain; default: the embedded one"
    )
    arguments = parser.parse_args()
    from apps.demo.run import run_demo

    return run_demo(arguments.out, arguments.seed, arguments.scenario, arguments.chain_url)


if __name__ == "__main__":
    sys.exit(main())
