"""Runs that are stopped from outside, by a signal or by `kill -9`: the same command goes on, to the same bytes."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path

import pytest
from damaged_runs import anew, damage, files_of, unfinished, wrong_after_damage
from forked import Forked
from killed_runs import Begun, killed_and_continued
from small_runs import (
    CLOCKED,
    ROOT,
    STAGES,
    SetUp,
    finish,
    freeze_when,
    hashes,
    start,
    wait_until,
)

from ftkit.errors import ArtifactError
from ftkit.stop import STOPPED

Moment = Callable[[], bool]
ATTEMPTS = 8
AT_ONCE = (0.0,) * ATTEMPTS


@pytest.fixture(scope="module")
def set_up(made: SetUp, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    return SetUp(shutil.copytree(made.folder, tmp_path_factory.mktemp("killed") / "set-up"))


@pytest.fixture
def expected(ran: SetUp) -> dict[str, str]:
    """The bytes of a run that nobody stopped."""
    return hashes(ran.folder / "runs" / "small", but=CLOCKED)


def log_of(run_dir: Path) -> str:
    path = run_dir / "run.log"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def there_is(run_dir: Path, pattern: str) -> Moment:
    """Whether a path like that is there."""
    return lambda: any(True for _ in run_dir.glob(pattern))


def at_work(run_dir: Path, stage: str, *, since_s: float) -> Moment:
    """Whether the next process has been at a stage for so long, and is not through with it."""
    before = log_of(run_dir).count(f" {stage}: started")
    begun: list[float] = []

    def there() -> bool:
        if log_of(run_dir).count(f" {stage}: started") == before or not any(run_dir.glob(f"{stage}-*.partial")):
            return False
        begun[:] = begun or [time.monotonic()]
        return time.monotonic() - begun[0] >= since_s

    return there


def inside_a_save(run_dir: Path) -> Moment:
    """Whether a checkpoint is being written while a whole one is there already."""

    def there() -> bool:
        names = [path.name for path in run_dir.glob("train-*.partial/checkpoints/step-*")]
        return any(name.endswith(".tmp") for name in names) and any(name[-1].isdigit() for name in names)

    return there


def kill_at(
    stage: str,
    moment: Moment,
    begin: Callable[[], Forked],
    *,
    run_dir: Path,
    delays_s: Iterable[float] = AT_ONCE,
) -> None:
    """`kill -9` at a moment of a stage, so long after its start. Where it was over too soon: all of it once more."""
    for delay_s in islice(delays_s, ATTEMPTS):
        working = at_work(run_dir, stage, since_s=delay_s)
        process = begin()
        if freeze_when(lambda working=working: working() and moment(), process):  # type: ignore[misc]
            process.kill()
            process.communicate()
            assert process.returncode == -signal.SIGKILL
            assert any(run_dir.glob(f"{stage}-*.partial")) and moment()
            return
        code, output = finish(process)
        assert code == 0, output
        for later_stage in STAGES[STAGES.index(stage) :]:
            for path in run_dir.glob(f"{later_stage}-*"):
                shutil.rmtree(path)
    pytest.fail(f"{stage}: the moment was missed {ATTEMPTS} times")


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

    def begin() -> Forked:
        return start(set_up, tmp_path)

    moments = {
        "baseline": there_is(run_dir, "baseline-*.partial/tried/*.json"),
        "train-lora": inside_a_save(run_dir),
        "evaluate": there_is(run_dir, "evaluate-*.partial/answered/*.json"),
    }
    for stage, moment in moments.items():
        kill_at(stage, moment, begin, run_dir=run_dir)
    code, output = finish(begin())
    assert code == 0, output
    assert "training continues after step" in log_of(run_dir)
    assert hashes(run_dir, but=CLOCKED) == expected
    assert not list(run_dir.glob("*.partial"))


@pytest.mark.parametrize(
    ("stage", "point"),
    [
        ("prepare", "replace */latest.json.tmp"),
        ("baseline", "write */tried/1.json.tmp"),
        ("baseline", "rename */tried"),
        ("baseline", "unlink 0.json"),
        ("train-lora", "write */adapter_model.safetensors"),
        ("train-lora", "rename */checkpoints"),
        ("train-lora", "rename *.partial"),
        ("train-lora", "unlink optimizer.safetensors"),
        ("evaluate", "write */answered/1.jsonl"),
        ("evaluate", "rename */answered"),
        ("evaluate", "rename *.partial"),
        ("evaluate", "unlink 1.jsonl"),
    ],
)
def test_a_stage_killed_at_a_point_continues_to_the_same_bytes(
    stage: str, point: str, ran: SetUp, tmp_path: Path
) -> None:
    """All points: scripts/check_kills.py."""
    assert killed_and_continued(Begun(ran, ran.folder / "runs" / "small"), tmp_path, stage, point)[1] == []


@pytest.mark.parametrize(
    ("stage", "point"),
    [
        ("baseline", "rename *.partial"),
        ("train-lora", "rename *.partial"),
        ("evaluate", "write */answered/3.jsonl"),
    ],
)
def test_what_is_damaged_in_an_unfinished_run_is_made_again(stage: str, point: str, ran: SetUp, tmp_path: Path) -> None:
    """More of it: scripts/check_damage.py. One file of each kind is damaged here, all at once."""
    begun, rng = Begun(ran, ran.folder / "runs" / "small"), random.Random(5)
    run_dir = unfinished(begun, tmp_path, stage, point)
    kept = [path for path in files_of(run_dir, finished=False) if path.parent != run_dir]
    assert {path.suffix for path in kept} >= {".json", ".jsonl"}
    for path in kept:
        damage(path, rng)
    assert wrong_after_damage(begun, kept[0], tmp_path, until=stage, finished=False) == ""


@pytest.mark.parametrize("name", ["test.jsonl", "predictions.jsonl", "manifest.json", "adapter_model.safetensors"])
def test_what_is_damaged_in_a_finished_run_is_named(name: str, ran: SetUp, tmp_path: Path) -> None:
    begun = Begun(ran, ran.folder / "runs" / "small")
    path = next(each for each in files_of(anew(begun.finished, tmp_path), finished=True) if each.name == name)
    damage(path, random.Random(5))
    with pytest.raises(ArtifactError, match=name):
        begun.run(tmp_path, until="compare")


@pytest.mark.parametrize(
    "name", [".lock", "run.log", "recipe.yaml.tmp", "recipe.resolved.json", "latest.json.tmp", "{evaluate}.partial"]
)
def test_nothing_is_written_through_a_link_in_a_run_directory(name: str, ran: SetUp, tmp_path: Path) -> None:
    begun = Begun(ran, ran.folder / "runs" / "small")
    run_dir = begun.copied(tmp_path, before="evaluate")
    (outside := tmp_path / "outside").mkdir()
    evaluated = next(begun.finished.glob("evaluate-*")).name
    link = run_dir / name.format(evaluate=evaluated)
    link.unlink(missing_ok=True)
    link.symlink_to(outside if link.suffix == ".partial" else outside / "file")
    with pytest.raises(ArtifactError) as caught:
        begun.run(tmp_path, until="compare")
    assert str(caught.value).startswith(f"{link}: is a link")
    assert list(outside.iterdir()) == []


# --- signals, from the first line on --------------------------------------------------------------

SLOW = {  # what a process is in when the signal comes
    "a slow regular expression": "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
    "a library that lets no handler in": "import torch; a = torch.rand(4000, 4000)\nwhile True: a = (a @ a).sigmoid()",
}


@pytest.mark.parametrize(
    ("inside", "number", "code"),
    [
        *((inside, *how) for inside in ("listen()", "held") for how in ((signal.SIGTERM, 75), (signal.SIGINT, 130))),
        *zip(SLOW, (signal.SIGTERM, signal.SIGINT), (75, 130), strict=True),  # these take seconds
    ],
)
def test_a_signal_ends_what_does_not_look_at_it(inside: str, number: int, code: int, tmp_path: Path) -> None:
    """Before the first work at once, then within five seconds of processor time."""
    lines = {
        "listen()": f"listen()\nos.kill(os.getpid(), {number})\nwhile True: pass",
        "held": f"signal.pthread_sigmask(signal.SIG_BLOCK, [{number}])\nos.kill(os.getpid(), {number})\nlisten()\n"
        "while True: pass",
    }
    work = lines.get(inside) or (
        f"listen()\nwith stop_flag():\n"
        f" subprocess.Popen(['sh', '-c', 'sleep 0.2; kill -{number} ' + str(os.getpid())])\n"
        + "\n".join(f" {line}" for line in SLOW[inside].splitlines())
    )
    (tmp_path / "slow.py").write_text(
        f"import os, signal, subprocess\nfrom ftkit.stop import listen, stop_flag\n{work}\n", encoding="utf-8"
    )
    process = Forked("slow", [], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)})
    _, said = process.communicate()
    assert (process.returncode, said.splitlines()[-1]) == (code, f"error: {STOPPED}")


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


def killed_ten_times(begin: Callable[[Path], Forked], whole: Path, run_dir: Path) -> None:
    """Kill in each stage, four times more in the long ones, and inside a save of a checkpoint; then compare."""
    assert finish(begin(whole), timeout=1800)[0] == 0
    lasting = durations(whole)
    assert list(lasting) == STAGES
    rng = random.Random(17)

    def delays_of(stage: str) -> Iterator[float]:
        while True:
            yield rng.uniform(0, 0.8) * lasting[stage]

    save = ("train-lora", inside_a_save(run_dir), AT_ONCE)
    stages = [*STAGES, *rng.choices(STAGES[1:4], k=4)]
    kills = [save, *((stage, lambda: True, delays_of(stage)) for stage in stages)]
    for stage, moment, delays_s in sorted(kills, key=lambda kill: STAGES.index(kill[0])):
        kill_at(stage, moment, lambda: begin(run_dir), run_dir=run_dir, delays_s=delays_s)
    assert len(kills) == 10
    assert finish(begin(run_dir), timeout=1800)[0] == 0
    assert hashes(run_dir, but=CLOCKED) == hashes(whole, but=CLOCKED)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_quickstart_killed_at_ten_random_moments_ends_with_the_same_bytes(set_up: SetUp, tmp_path: Path) -> None:
    def begin(run_dir: Path) -> Forked:
        return start(set_up, run_dir.parent, recipe=ROOT / "recipes" / "quickstart.yaml", cwd=ROOT)

    killed_ten_times(begin, tmp_path / "whole" / "quickstart", tmp_path / "killed" / "quickstart")
