"""Random bits flipped and ends cut off in a finished run and in unfinished ones: each is found, or has no effect.

    .venv/bin/python scripts/check_damage.py [--num 200] [--seed 17]

A finished run is run again: it must name the damaged file and end with 7, or end with the same bytes. A run that was
killed within a stage, with prompts tried, checkpoints written or arms answered, must always end with the same bytes:
what is damaged is made again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.update({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})

from check_kills import begin  # noqa: E402  the tests' folder is on the path from here on
from damaged_runs import UNFINISHED, anew, damage, files_of, unfinished, wrong_after_damage  # noqa: E402
from small_runs import STAGES  # noqa: E402


def main() -> None:
    """Print every damage after which something is wrong, and how many there were of each kind of run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--num", type=int, default=200, help="of the finished run, and of the unfinished ones together")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    rng, num_wrong = random.Random(options.seed), 0
    with tempfile.TemporaryDirectory() as place:
        begun, runs_dir = begin(Path(place)), Path(place, "runs")
        share = -(-options.num // len(UNFINISHED))
        sources = [(begun.finished, STAGES[-1], options.num, "finished")]
        for stage, point in UNFINISHED:
            killed = unfinished(begun, Path(place, f"{stage} {len(sources)}"), stage, point)
            sources.append((killed, stage, share, f"{stage} killed at {point!r}"))
        for source, until, num, name in sources:
            finished, before = source == begun.finished, num_wrong
            for _ in range(num):
                run_dir = anew(source, runs_dir)
                path = rng.choice(files_of(run_dir, finished=finished))
                what = damage(path, rng)
                wrong = wrong_after_damage(begun, path, runs_dir, until=until, finished=finished)
                num_wrong += bool(wrong)
                if wrong:
                    print(f"  {path.relative_to(run_dir)}, {what}: {wrong}", flush=True)
            print(f"{name}: {num} damages, {num_wrong - before} of them wrong", flush=True)
    sys.exit(bool(num_wrong))


if __name__ == "__main__":
    main()
