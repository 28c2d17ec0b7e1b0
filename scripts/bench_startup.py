"""How long `ftkit --help` and `ftkit check --fast` take: medians of seven, one JSON line each.

    .venv/bin/python scripts/bench_startup.py

Each call is a process of its own, the two in turn; the first of each warms the disk cache and is not counted. Beside
them stands an empty Python, which no command line can be faster than.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NUM_CALLS = 7
FTKIT = [sys.executable, "-c", "from ftkit.__main__ import main; main()"]
COMMANDS = {
    "python": ([sys.executable, "-c", ""], None),
    "ftkit --help": ([*FTKIT, "--help"], 0.25),
    "ftkit check --fast": ([*FTKIT, "check", "recipes/quickstart.yaml", "--fast"], 0.5),
}


def main() -> None:
    """Print a line per command: median and spread in seconds, and the budget."""
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for number in range(NUM_CALLS + 1):
        for name, (command, _) in COMMANDS.items():
            begun = time.perf_counter()
            subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
            if number:
                seconds[name].append(time.perf_counter() - begun)
    for name, (_, budget_s) in COMMANDS.items():
        median_s, best_s, worst_s = statistics.median(seconds[name]), min(seconds[name]), max(seconds[name])
        facts = {"median_s": round(median_s, 3), "min_s": round(best_s, 3), "max_s": round(worst_s, 3)}
        print(json.dumps({"command": name, **facts, "budget_s": budget_s, "python": sys.version.split()[0]}))


if __name__ == "__main__":
    main()
