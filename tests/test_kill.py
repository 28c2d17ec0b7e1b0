"""Runs that are stopped from outside, by a signal or by `kill -9`: the same command goes on, to the same bytes."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import torch
from small_runs import (
    CLOCKED,
    ROOT,
    STAGES,
    SetUp,
    finish,
    freeze_when,
    hashes,
    make_set_up,
    run_here,
    start,
    wait_until,
)

Moment = Callable[[], bool]
ATTEMPTS = 8


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    return make_set_up(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def expected(set_up: SetUp) -> dict[str, str]:
    """The bytes of a run that nobody stopped."""
    before = torch.get_num_threads()
    run_dir = run_here(set_up, set_up.folder / "runs").result.run_dir
    torch.set_num_threads(before)
    return hashes(run_dir, but=CLOCKED)


def log_of(run_dir: Path) -> str:
    path = run_dir / "run.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def under_way(run_dir: Path, pattern: str) -> Moment:
    """Whether a path like that is there."""
    return lambda: any(True for _ in run_dir.glob(pattern))


def inside_a_save(run_dir: Path) -> Moment:
    """Whether a checkpoint is being written while a whole one is there already."""

    def there() -> bool:
        names = [path.name for path in run_dir.glob("train-*.partial/checkpoints/step-*")]
        return any(name.endswith(".tmp") for name in names) and any(name[-1].isdigit() for name in names)

    return there


def kill_at(moment: Moment, begin: Callable[[], subprocess.Popen[str]], *, run_dir: Path, stage: str) -> None:
    """`kill -9` while the moment lasts. Where a stage was over too soon it is deleted, and the run begins again."""
    for _ in range(ATTEMPTS):
        process = begin()
        if freeze_when(moment, process):
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            assert moment()
            return
        code, output = finish(process)
        assert code == 0, output
        forget(run_dir, stage)
    pytest.fail(f"{stage}: the moment was missed {ATTEMPTS} times")


def forget(run_dir: Path, stage: str) -> None:
    for path in run_dir.glob(f"{stage}-*"):
        shutil.rmtree(path)


def test_sigterm_ends_with_75_ctrl_c_with_130_and_the_same_command_continues(
    set_up: SetUp, expected: dict[str, str], tmp_path: Path
) -> None:
    run_dir = tmp_path / "small"
    for number, line, code in ((signal.SIGTERM, "baseline: started", 75), (signal.SIGINT, "train-lora: started", 130)):
        process = start(set_up, tmp_path)
        assert wait_until(lambda line=line: line in log_of(run_dir), process)  # type: ignore[misc]
        process.send_signal(number)
        stopped = finish(process)
        assert stopped[0] == code, stopped[1]
        assert "error: stopped; the same command continues where it was" in stopped[1]
        assert "compare: started" not in log_of(run_dir)
    code, output = finish(start(set_up, tmp_path))
    assert code == 0, output
    assert hashes(run_dir, but=CLOCKED) == expected


def test_a_run_killed_in_three_stages_ends_with_the_same_bytes(
    set_up: SetUp, expected: dict[str, str], tmp_path: Path
) -> None:
    run_dir = tmp_path / "small"

    def begin() -> subprocess.Popen[str]:
        return start(set_up, tmp_path)

    kill_at(under_way(run_dir, "baseline-*.partial/tried/*.json"), begin, run_dir=run_dir, stage="baseline")
    kill_at(inside_a_save(run_dir), begin, run_dir=run_dir, stage="train-lora")
    kill_at(under_way(run_dir, "evaluate-*.partial/answered/*.json"), begin, run_dir=run_dir, stage="evaluate")
    code, output = finish(begin())
    assert code == 0, output
    assert "training continues after step" in log_of(run_dir)
    assert hashes(run_dir, but=CLOCKED) == expected
    assert not list(run_dir.glob("*.partial"))


# --- the whole thing ------------------------------------------------------------------------------


def durations(run_dir: Path) -> dict[str, float]:
    """Seconds of each stage, from the log of a run that nobody stopped."""
    times: dict[str, list[float]] = {}
    for line in log_of(run_dir).splitlines():
        stamp, _, text = line.partition(" ")
        stage, _, event = text.partition(": ")
        if event == "started" or event.startswith("done"):
            times.setdefault(stage, []).append(datetime.fromisoformat(stamp).timestamp())
    return {stage: ended - began for stage, (began, ended) in times.items()}


def later(moment: Moment, delay_s: float) -> Moment:
    """A moment that begins so many seconds after another was first seen."""
    seen: list[float] = []

    def there() -> bool:
        if not moment():
            return False
        seen[:] = seen or [time.monotonic()]
        return time.monotonic() - seen[0] >= delay_s

    return there


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_quickstart_killed_at_ten_random_moments_ends_with_the_same_bytes(set_up: SetUp, tmp_path: Path) -> None:
    whole, run_dir = tmp_path / "whole" / "quickstart", tmp_path / "killed" / "quickstart"

    def begin(folder: Path = run_dir) -> subprocess.Popen[str]:
        return start(set_up, folder.parent, recipe=ROOT / "recipes" / "quickstart.yaml", cwd=ROOT)

    code, output = finish(begin(whole), timeout=1200)
    assert code == 0, output
    lasting = durations(whole)
    assert list(lasting) == STAGES
    rng = random.Random(17)
    stages = sorted([*STAGES, *rng.choices(STAGES[1:4], k=4)], key=STAGES.index)
    for stage in stages:
        for _ in range(ATTEMPTS):
            delay_s = rng.uniform(0, 0.8) * lasting[stage]
            process = begin()
            if freeze_when(later(under_way(run_dir, f"{stage}-*.partial"), delay_s), process):
                break
            assert finish(process)[0] == 0
            for each in STAGES[STAGES.index(stage) :]:
                forget(run_dir, each)
        process.kill()
        process.communicate()
        assert under_way(run_dir, f"{stage}-*.partial")(), stage
        if stage == "train-lora" and "inside a save" not in lasting:
            lasting["inside a save"] = 0
            kill_at(inside_a_save(run_dir), begin, run_dir=run_dir, stage=stage)
    code, output = finish(begin(), timeout=1200)
    assert code == 0, output
    assert hashes(run_dir, but=CLOCKED) == hashes(whole, but=CLOCKED)
