"""Runs that are killed at a chosen point of a stage and started again, and what must hold of them then."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kill_points import Killed, KillPoints
from small_runs import CLOCKED, STAGES, Ran, SetUp, hashes, run_here

KINDS = dict(zip(STAGES, ("prepare", "baseline", "train", "evaluate", "compare"), strict=True))
PARTS = ("*.partial", "*.scratch", "*.gone", "*.tmp")


@dataclass(frozen=True)
class Begun:
    """A set-up, overrides of its recipe, and its finished run."""

    set_up: SetUp
    finished: Path
    overrides: tuple[str, ...] = ()

    def copied(self, runs_dir: Path, *, before: str) -> Path:
        """The run as it stood before a stage."""
        run_dir = runs_dir / self.finished.name
        shutil.rmtree(run_dir, ignore_errors=True)
        shutil.copytree(self.finished, run_dir)
        for stage in STAGES[STAGES.index(before) :]:
            for folder in run_dir.glob(f"{stage}-*"):
                shutil.rmtree(folder)
        return run_dir

    def run(self, runs_dir: Path, *, until: str, **options: Any) -> Ran:
        """Run up to a stage."""
        return run_here(self.set_up, runs_dir, *self.overrides, until=KINDS[until], **options)

    def expected(self, stage: str) -> dict[str, str]:
        """The bytes of what is published up to a stage by a run that nobody stopped."""
        return published(self.finished, until=stage)


def published(run_dir: Path, *, until: str) -> dict[str, str]:
    """SHA-256 of every file in a stage's folder, up to a stage."""
    wanted = tuple(f"{stage}-" for stage in STAGES[: STAGES.index(until) + 1])
    return {path: value for path, value in hashes(run_dir, but=CLOCKED).items() if path.startswith(wanted)}


def kill_points(begun: Begun, runs_dir: Path, stage: str) -> list[str]:
    """What is written, in order, while a stage is made."""
    run_dir = begun.copied(runs_dir, before=stage)
    with KillPoints(run_dir).watching() as points:
        begun.run(runs_dir, until=stage)
    return points.seen


def killed(begun: Begun, runs_dir: Path, stage: str, at: int | str) -> KillPoints:
    """Kill a stage at a point; see `KillPoints`."""
    points = KillPoints(begun.copied(runs_dir, before=stage), at)
    with points.watching(), suppress(Killed):
        begun.run(runs_dir, until=stage)
    return points


def killed_and_continued(begun: Begun, runs_dir: Path, stage: str, at: int | str) -> tuple[str, list[str]]:
    """Kill a stage at a point and run it again: what the point was, and all that is wrong then."""
    points = killed(begun, runs_dir, stage, at)
    run_dir = points.folder
    trained = num_trained(run_dir)
    again = begun.run(runs_dir, until=stage)
    wrong = [] if points.is_over else ["the point was not reached"]
    expected, found = begun.expected(stage), published(run_dir, until=stage)
    wrong += [f"{path}: other bytes" for path in sorted(expected | found) if expected.get(path) != found.get(path)]
    wrong += [f"{path.name}: left behind" for part in PARTS for path in run_dir.glob(part)]
    lost, allowed = trained - continued_after(again), begun.set_up.recipe(*begun.overrides).train.checkpoint_steps
    if stage in again.made and stage.startswith("train-") and lost > allowed:
        wrong.append(f"{lost} steps are lost")
    return points.seen[-1], wrong


def num_trained(run_dir: Path) -> int:
    """Optimizer steps in the log of a training that is under way."""
    steps = [0]
    for log in run_dir.glob("train-*.partial/steps.jsonl"):
        for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
            row: Mapping[str, Any] = json.loads(line) if line.endswith("\n") else {}
            steps += [row["step"]] if "loss" in row else []
    return max(steps)


def continued_after(ran: Ran) -> int:
    """The step after which a training went on."""
    lines = [line.split() for line in ran.said if line.startswith("training continues after step")]
    return int(lines[0][4]) if lines else 0
