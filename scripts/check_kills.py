"""A run killed at every write, fsync, rename and removal: whether the same command always ends with the same bytes.

    .venv/bin/python scripts/check_kills.py [--every 1] [--share 1/1] [--real 16]

Each stage of a small run is killed at each of its points, within this process (nothing is written from then on), and
run again: the bytes must be those of a run that nobody stopped, nothing may be left behind, and no more than
`checkpoint_steps` steps be lost. Of every 16th point, the whole command line run is then killed by `kill -9` too, in a
process forked from one that has imported. `--share 2/3` takes a part of the points, so that several can be started.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]
os.environ.update({"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"})

from forked import Forked, forks  # noqa: E402  the tests' folder is on the path from here on
from killed_runs import Begun, kill_points, killed_and_continued, published  # noqa: E402
from small_runs import STAGES, make_set_up, run_here  # noqa: E402

SHORT = (
    "train.epochs=1",
    "train.method={lora: {rank: 4}}",
    "train.checkpoint_steps=2",
    "train.num_evals=1",
    "baseline.instructions=[Sort.]",
)
NUM_ROWS = 48


def begin(folder: Path) -> Begun:
    """A small run, finished."""
    set_up = make_set_up(folder / "set-up")
    rows = set_up.folder / "rows.jsonl"
    rows.write_text("".join(rows.read_text(encoding="utf-8").splitlines(keepends=True)[:NUM_ROWS]), encoding="utf-8")
    run_here(set_up, folder / "whole", *SHORT)
    return Begun(set_up, folder / "whole" / "small", SHORT)


def command(begun: Begun, runs_dir: Path, at: int) -> Forked:
    """The whole command line run, which kills itself at a point."""
    env = {**os.environ, "HOME": str(begun.set_up.folder), "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    overrides = [part for each in SHORT for part in ("--set", each)]
    args = ["run", "recipe.yaml", *overrides, "--runs-dir", str(runs_dir)]
    watched = [str(at), str(runs_dir / "small"), "-m", "ftkit", *args]
    return Forked("kill_points", watched, cwd=begun.set_up.folder, env=env)


def really_killed(begun: Begun, runs_dir: Path, at: int) -> list[str]:
    """What is wrong after `kill -9` at a point and the same command once more."""
    first = command(begun, runs_dir, at)
    first.communicate()
    again = command(begun, runs_dir, -1)
    _, said = again.communicate()
    wrong = [] if first.returncode in (0, -signal.SIGKILL) else [f"the first ended with {first.returncode}"]
    wrong += [] if again.returncode == 0 else [f"the second ended with {again.returncode}: {said[-300:]}"]
    same = published(runs_dir / "small", until=STAGES[-1]) == begun.expected(STAGES[-1])
    return wrong if same or wrong else ["other bytes"]


def main() -> None:
    """Print a line per stage, each point at which something is wrong, and the sum."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--share", default="1/1")
    parser.add_argument("--real", type=int, default=16, help="of so many points one by kill -9 too; 0: none")
    options = parser.parse_args()
    part, parts = map(int, options.share.split("/"))
    num_points, num_real, num_wrong, before = 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as place, forks():
        begun = begin(Path(place))
        for stage in STAGES:
            begun_s = time.monotonic()
            points = kill_points(begun, Path(place, "runs"), stage)
            mine = [at for at in range(0, len(points), options.every) if at // options.every % parts == part - 1]
            for at in mine:
                point, wrong = killed_and_continued(begun, Path(place, "runs"), stage, at)
                if options.real and at % options.real == 0:
                    wrong += really_killed(begun, Path(place, f"real-{stage}-{at}"), before + at)
                    num_real += 1
                num_wrong += bool(wrong)
                for each in wrong:
                    print(f"  {stage}, point {at} ({point}): {each}", flush=True)
            num_points += len(mine)
            before += len(points)
            print(f"{stage}: {len(mine)} of {len(points)} points, {time.monotonic() - begun_s:.0f} s", flush=True)
    print(f"{num_points} points ({num_real} of them by kill -9 too), {num_wrong} of them wrong")
    sys.exit(bool(num_wrong))


if __name__ == "__main__":
    main()
