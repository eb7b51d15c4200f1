"""Start-up of `import normcraft` and `normcraft --help`, beyond bare Python; interleaved, medians.

    python benchmarks/startup.py [--rounds 15] [--json]

Goals: 0.1 s and 0.3 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

COMMANDS = {
    "bare": [sys.executable, "-c", "pass"],
    "import": [sys.executable, "-c", "import normcraft"],
    "help": [sys.executable, "-m", "normcraft.cli.main", "--help"],
}
GOALS = {"import": 0.1, "help": 0.3}


def measure(rounds: int) -> dict[str, float]:
    """Runs all commands in turn.

    Returns:
        Median seconds beyond bare Python.
    """
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds + 1):
        for name, command in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            seconds[name].append(time.perf_counter() - started)
    # The first round fills caches.
    return {
        name: statistics.median(
            own - bare for own, bare in zip(seconds[name][1:], seconds["bare"][1:], strict=True)
        )
        for name in GOALS
    }


def main() -> None:
    """Parses, runs and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.rounds)
    if arguments.json:
        print(json.dumps(found))
        return
    for name, seconds in found.items():
        print(f"{name}: {seconds:.3f} s beyond bare Python (goal {GOALS[name]} s)")


if __name__ == "__main__":
    main()
