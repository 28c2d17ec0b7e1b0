"""A training that was stopped, or killed and damaged, continues to the bytes of one that never was."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from kill_points import Killed, KillPoints
from tiny_models import byte_level, context, model_of
from tiny_trainings import MANY, SETTINGS, Run, assert_same_bytes, judge

from ftkit.contracts import Trainable
from ftkit.engine.load import wrap
from ftkit.engine.train import ONE_BY_ONE, Evaluation, FitResult, fit, seeded
from ftkit.errors import MachineError, StoppedError
from ftkit.training.methods.lora import Lora
from ftkit.training.methods.lora import build as build_lora


@pytest.fixture(scope="module")
def never_stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, tuple[FitResult, Trainable]]:
    run = Run(tmp_path_factory.mktemp("whole"))
    return run, run.start()


Whole = tuple[Run, tuple[FitResult, Trainable]]


@pytest.mark.parametrize(
    ("stop", "step"),
    [
        *(({"stop_after_step": step}, step) for step in (1, 3, 5, 8)),
        ({"stop_at_check": 12}, 1),  # of the second step some rows are computed
    ],
)
def test_a_stopped_run_continues_to_the_same_bytes(
    stop: dict[str, int], step: int, never_stopped: Whole, tmp_path: Path
) -> None:
    whole, done = never_stopped
    with pytest.raises(StoppedError):
        Run(tmp_path, **stop).start()  # type: ignore[arg-type]
    assert sorted((tmp_path / "checkpoints").glob("step-*"))[-1].name == f"step-{step:06d}"
    again = Run(tmp_path)
    assert_same_bytes(again.start(), done)
    assert (tmp_path / "steps.jsonl").read_bytes() == (whole.folder / "steps.jsonl").read_bytes()
    assert again.progress.said == [ONE_BY_ONE, f"training continues after step {step} of 8"]


def leave_half_a_checkpoint(folder: Path) -> None:
    half = folder / "checkpoints" / "step-000009.tmp"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")


def flip_a_bit_of_the_newest_weights(folder: Path) -> None:
    path = sorted((folder / "checkpoints").iterdir())[-1] / "weights.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def drop_the_newest_state(folder: Path) -> None:
    (sorted((folder / "checkpoints").iterdir())[-1] / "state.json").unlink()


def cut_the_newest_state(folder: Path) -> None:
    path = sorted((folder / "checkpoints").iterdir())[-1] / "state.json"
    path.write_bytes(path.read_bytes()[:-20])


def append_to_the_log(folder: Path) -> None:
    with (folder / "steps.jsonl").open("a") as file:
        file.write('{"step": 7, "ep')


def flip_a_digit_of_the_log(folder: Path) -> None:
    path = folder / "steps.jsonl"
    path.write_text(path.read_text().replace("1", "2", 1))


def flip_a_digit_of_the_log_in_the_newest_checkpoint(folder: Path) -> None:
    flip_a_digit_of_the_log(sorted((folder / "checkpoints").iterdir())[-1])


def lose_the_log(folder: Path) -> None:
    (folder / "steps.jsonl").write_bytes(b"")


def lose_all_checkpoints(folder: Path) -> None:
    shutil.rmtree(folder / "checkpoints")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (leave_half_a_checkpoint, []),
        (append_to_the_log, []),
        (flip_a_bit_of_the_newest_weights, ["is passed over: weights.safetensors is missing or damaged"]),
        (drop_the_newest_state, ["is passed over: state.json is missing or damaged"]),
        (cut_the_newest_state, ["is passed over: state.json is missing or damaged"]),
        (flip_a_digit_of_the_log, ["training continues after step 6 of 8"]),
        (flip_a_digit_of_the_log_in_the_newest_checkpoint, ["is passed over: steps.jsonl is missing or damaged"]),
        (lose_the_log, ["training continues after step 6 of 8"]),
        (lose_all_checkpoints, []),
    ],
)
def test_a_damaged_run_continues_to_the_same_bytes(
    damage: Callable[[Path], None], said: list[str], never_stopped: Whole, tmp_path: Path
) -> None:
    whole, done = never_stopped
    with pytest.raises(StoppedError):
        Run(tmp_path, stop_after_step=6).start()
    damage(tmp_path)
    again = Run(tmp_path)
    assert_same_bytes(again.start(), done)
    assert (tmp_path / "steps.jsonl").read_bytes() == (whole.folder / "steps.jsonl").read_bytes()
    for part in said:
        assert any(part in line for line in again.progress.said)


def test_a_run_stopped_within_an_evaluation_continues_to_the_same_bytes(never_stopped: Whole, tmp_path: Path) -> None:
    whole, done = never_stopped
    loaded = wrap(model_of(), byte_level())
    with seeded(3):
        trainable = build_lora(Lora(rank=4, dropout=0.1), loaded)
    tuned = replace(loaded, model=trainable.model)
    calls = iter(range(100))

    def evaluate() -> Evaluation:
        if next(calls) == 3:
            raise StoppedError("stopped")
        return judge(tuned)

    with pytest.raises(StoppedError):
        fit(
            trainable,
            MANY,
            SETTINGS,
            loaded=tuned,
            evaluate=evaluate,
            work_dir=tmp_path,
            ctx=context(tmp_path),
        )
    assert_same_bytes(Run(tmp_path).start(), done)
    assert (tmp_path / "steps.jsonl").read_bytes() == (whole.folder / "steps.jsonl").read_bytes()


def test_a_finished_run_started_again_does_nothing_and_gives_the_same(never_stopped: Whole) -> None:
    whole, done = never_stopped
    before = (whole.folder / "steps.jsonl").read_bytes()
    assert_same_bytes(Run(whole.folder, stop_at_check=0).start(), done)
    assert (whole.folder / "steps.jsonl").read_bytes() == before


def test_checkpoints_of_other_settings_are_not_continued(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        Run(tmp_path, stop_after_step=7).start()
    other = Run(tmp_path, settings=replace(SETTINGS, learning_rate=2e-2))
    fresh = Run(tmp_path / "fresh", settings=other.settings)
    assert_same_bytes(other.start(), fresh.start())
    assert any("belongs to other rows, settings or another base" in line for line in other.progress.said)
    kept = [sorted(path.name for path in (run.folder / "checkpoints").iterdir()) for run in (other, fresh)]
    assert kept[0] == kept[1]


def test_the_newest_two_checkpoints_and_the_best_are_kept(tmp_path: Path) -> None:
    values = iter([0.0, 0.9, *[0.1] * 20])
    loaded = wrap(model_of(), byte_level())
    trainable = build_lora(Lora(rank=4), loaded)
    settings = replace(SETTINGS, checkpoint_every_steps=1)
    fit(
        trainable,
        MANY,
        settings,
        loaded=loaded,
        evaluate=lambda: Evaluation(next(values), 1.0),
        work_dir=tmp_path,
        ctx=context(tmp_path),
    )
    found = sorted(path.name for path in (tmp_path / "checkpoints").iterdir())
    assert found == ["step-000002", "step-000007", "step-000008"]
    assert not [path for path in tmp_path.rglob("*") if path.suffix in (".bin", ".pt", ".pkl", ".pth")]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_without_an_evaluation_the_last_step_counts_and_a_stop_is_survived(method: str, tmp_path: Path) -> None:
    whole = Run(tmp_path / "whole", method=method, evaluates=False).start()
    with pytest.raises(StoppedError):
        Run(tmp_path / "stopped", method=method, evaluates=False, stop_after_step=5).start()
    assert_same_bytes(Run(tmp_path / "stopped", method=method, evaluates=False).start(), whole)
    assert (whole[0].best_step, whole[0].best_value) == (8, None)


@pytest.mark.parametrize(
    "point",
    [
        "mkdir */step-000006.tmp",
        "write */step-000006.tmp/weights.safetensors",
        "write */step-000006.tmp/optimizer.safetensors",
        "write */step-000006.tmp/steps.jsonl.tmp",
        "write */step-000006.tmp/state.json.tmp",
        "replace */step-000006.tmp/state.json.tmp",
        "rename */step-000006.tmp",
        "rename */step-000003",
        "unlink weights.safetensors",
    ],
)
def test_a_training_killed_within_a_checkpoint_loses_no_more_than_its_steps(
    point: str, never_stopped: Whole, tmp_path: Path
) -> None:
    whole, done = never_stopped
    points = KillPoints(tmp_path, point)
    with points.watching(), suppress(Killed):
        Run(tmp_path).start()
    assert points.is_over
    trained = len([row for row in Run(tmp_path).log if "loss" in row])
    again = Run(tmp_path)
    assert_same_bytes(again.start(), done)
    assert (tmp_path / "steps.jsonl").read_bytes() == (whole.folder / "steps.jsonl").read_bytes()
    (line,) = [line for line in again.progress.said if line.startswith("training continues after step")]
    assert trained - int(line.split()[4]) <= SETTINGS.checkpoint_every_steps


def test_a_disk_that_is_full_within_a_checkpoint_is_named_with_what_it_needs(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(MachineError) as caught:
            Run(tmp_path).start()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "weights.safetensors: no room on the disk: 0.0 MiB are needed" in str(caught.value)
    assert caught.value.exit_code == 4
