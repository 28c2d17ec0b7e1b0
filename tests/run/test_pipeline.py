"""The pipeline as a whole, on a model and rows so small that a run takes seconds: what is reused, what is refused."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import CLOCKED, STAGES, Ran, SetUp, hashes, make_rows, make_set_up, run_here

from ftkit.cli import main
from ftkit.contracts import Quiet
from ftkit.errors import ArtifactError, BusyError, StoppedError
from ftkit.records import read_jsonl
from ftkit.run.stages import compare
from ftkit.store import locked, read_json


@pytest.fixture(scope="module", autouse=True)
def threads() -> Iterator[None]:
    """Loading a model sets the number of threads of the process; other tests get theirs back."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    return make_set_up(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def finished(set_up: SetUp) -> Ran:
    """One run from rows to verdict; tests copy it before they change anything."""
    return run_here(set_up, set_up.folder / "runs")


@pytest.fixture
def copied(finished: Ran, tmp_path: Path) -> Path:
    """The folder of runs, with a copy of the finished one in it."""
    shutil.copytree(finished.result.run_dir, tmp_path / "runs" / "small")
    return tmp_path / "runs"


def folder_of(runs_dir: Path, stage: str) -> Path:
    return runs_dir / "small" / read_json(runs_dir / "small" / "latest.json")["stages"][stage]


# --- what is reused -------------------------------------------------------------------------------


def test_a_run_makes_every_stage_and_ends_in_a_verdict(finished: Ran) -> None:
    assert finished.made == STAGES
    assert finished.result.verdict is not None
    assert finished.result.verdict.verdict in ("fine_tuned", "prompting", "equivalent", "inconclusive")
    assert [guard.name for guard in finished.result.verdict.guards if guard.status == "failed"] == []


def test_a_second_run_reuses_every_stage_and_changes_no_byte(set_up: SetUp, copied: Path) -> None:
    before = hashes(copied)
    again = run_here(set_up, copied)
    assert (again.made, again.reused) == ([], STAGES)
    assert hashes(copied) == before


def test_a_run_elsewhere_at_another_time_has_the_same_bytes(set_up: SetUp, finished: Ran, tmp_path: Path) -> None:
    elsewhere = run_here(set_up, tmp_path)
    assert elsewhere.made == STAGES
    assert hashes(elsewhere.result.run_dir, but=CLOCKED) == hashes(finished.result.run_dir, but=CLOCKED)
    ids = [{name: made.content_id for name, made in ran.result.artifacts.items()} for ran in (elsewhere, finished)]
    assert ids[0] == ids[1]


def test_bytes_do_not_depend_on_whether_the_network_is_off(
    set_up: SetUp, finished: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", not constants.HF_HUB_OFFLINE)
    other = run_here(set_up, tmp_path, until="train")
    ids = [ran.result.artifacts["train-lora"].content_id for ran in (other, finished)]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("override", "made"),
    [
        ("compare.margin=0.5", ["compare"]),
        ("evaluate.metrics=[accuracy, exact_match]", ["evaluate", "compare"]),
        ("train.learning_rate=1e-3", ["train-lora", "evaluate", "compare"]),
        ("machine.micro_batch=8", []),
    ],
)
def test_a_changed_field_runs_on_through_what_depends_on_it(
    override: str, made: list[str], set_up: SetUp, copied: Path
) -> None:
    changed = run_here(set_up, copied, override)
    assert changed.made == made
    back = run_here(set_up, copied)
    assert back.made == []


@pytest.mark.parametrize(
    ("override", "made"),
    [
        ("task.classify.labels=[delivery, login, refund]", ["prepare"]),  # as they were found
        ("data.clean=[fix_text, length, exact_dedup, {near_dedup: {threshold: 0.8}}, label_conflicts]", []),
        ("data.limit.train=1000", ["prepare", "compare"]),  # the same rows; the funnel of the report has a line more
        ("baseline.max_candidates=20", ["baseline"]),
        ("train.checkpoint_steps=2", []),
    ],
)
def test_what_follows_stays_valid_where_a_stage_writes_the_same_bytes_again(
    override: str, made: list[str], set_up: SetUp, copied: Path
) -> None:
    assert run_here(set_up, copied, override).made == made


def test_rows_in_another_file_are_prepared_again_and_nothing_else(set_up: SetUp, copied: Path) -> None:
    shutil.copy(set_up.folder / "rows.jsonl", set_up.folder / "moved.jsonl")
    assert run_here(set_up, copied, "data.source.jsonl.path=moved.jsonl").made == ["prepare"]


def test_a_deleted_stage_is_made_anew_and_what_follows_stays_valid(set_up: SetUp, copied: Path) -> None:
    before = hashes(copied, but=CLOCKED)
    shutil.rmtree(folder_of(copied, "prepare"))
    again = run_here(set_up, copied)
    assert (again.made, again.reused) == (["prepare"], STAGES[1:])
    assert hashes(copied, but=CLOCKED) == before


def test_editing_the_report_reruns_only_compare(set_up: SetUp, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "VERSION", compare.VERSION + 1)
    assert run_here(set_up, copied).made == ["compare"]


def test_each_stage_can_be_the_last_and_the_next_command_goes_on_from_there(set_up: SetUp, tmp_path: Path) -> None:
    for index, until in enumerate(["prepare", "baseline", "train", "evaluate", "compare"]):
        ran = run_here(set_up, tmp_path, until=until)
        assert (ran.made, ran.reused) == ([STAGES[index]], STAGES[:index])
        assert (ran.result.verdict is None) == (until != "compare")
        assert list(read_json(tmp_path / "small" / "latest.json")["stages"]) == STAGES[: index + 1]


def test_fresh_makes_the_wanted_stages_anew_with_the_same_bytes(set_up: SetUp, copied: Path) -> None:
    before = hashes(copied, but=CLOCKED)
    (folder_of(copied, "baseline") / "prompt.json").write_text("damaged")
    again = run_here(set_up, copied, fresh=True, until="baseline")
    assert again.made == ["prepare", "baseline"]
    assert run_here(set_up, copied).reused == STAGES
    assert hashes(copied, but=CLOCKED) == before


# --- rows -----------------------------------------------------------------------------------------


def test_every_row_is_in_one_split_or_in_the_ledger_as_dropped(finished: Ran) -> None:
    folder = finished.result.artifacts["prepare"].path
    kept = [row["id"] for name in ("train", "valid", "test") for row in read_jsonl(folder / f"{name}.jsonl")]
    dropped = [line["id"] for line in read_jsonl(folder / "ledger.jsonl") if line["action"] == "drop"]
    assert sorted(kept + dropped) == sorted(row["id"] for row in make_rows())
    assert {"copy", "empty"} <= set(dropped)


@pytest.fixture(scope="module")
def openings() -> dict[str, list[tuple[str, set[str]]]]:
    """While `on` holds something: files that are opened, each with the modules that are at work then."""
    seen: dict[str, list[tuple[str, set[str]]]] = {"on": [], "seen": []}

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and seen["on"] and str(arguments[0]).endswith("test.jsonl"):
            frame, modules = sys._getframe(1), set()
            while frame is not None:
                modules.add(f"{frame.f_globals.get('__name__')}.{frame.f_code.co_name}")
                frame = frame.f_back  # type: ignore[assignment]
            seen["seen"].append((str(arguments[1]), modules))

    sys.addaudithook(hook)  # cannot be taken away again, so it is switched off
    return seen


def test_test_rows_are_opened_by_no_stage_that_chooses_anything(
    set_up: SetUp, tmp_path: Path, openings: dict[str, list[tuple[str, set[str]]]]
) -> None:
    openings["on"].append(("", set()))
    run_here(set_up, tmp_path)
    openings["on"].clear()
    checksums = {"ftkit.store.file_digest", "ftkit.store.fsync"}
    readings = [callers for mode, callers in openings["seen"] if mode != "w" and not callers & checksums]
    stages = "ftkit.run.stages"
    after = {f"{stages}.evaluate.run", f"{stages}.compare.run"}  # prepare makes them, and reports on all rows
    sized = "ftkit.run.fitting.require_room"  # looks whether every row has room, before anything is chosen
    assert [sorted(callers) for callers in readings if not callers & {*after, f"{stages}.prepare.run", sized}] == []
    assert set().union(*readings) >= after


# --- stops ----------------------------------------------------------------------------------------


def stopping_after(checks: int) -> Callable[[], None]:
    """A stop check that asks to stop at its n-th call."""
    left = [checks]

    def check_stop() -> None:
        left[0] -= 1
        if left[0] == 0:
            raise StoppedError("stopped; the same command continues where it was")

    return check_stop


def test_a_run_stopped_again_and_again_ends_with_the_same_bytes(set_up: SetUp, finished: Ran, tmp_path: Path) -> None:
    stops = 0
    while True:
        progress = Quiet()
        ctx = set_up.context(progress=progress, check_stop=stopping_after(9 + stops))  # prepare and compare start over
        try:
            run_here(set_up, tmp_path, ctx=ctx)
        except StoppedError:
            stops += 1
            assert stops < 40, progress.said
            continue
        break
    assert stops >= 4
    assert hashes(tmp_path / "small", but=CLOCKED) == hashes(finished.result.run_dir, but=CLOCKED)


def test_continuing_under_another_thread_count_says_so_and_is_recorded(set_up: SetUp, tmp_path: Path) -> None:
    run_here(set_up, tmp_path, until="baseline")
    with pytest.raises(StoppedError):
        run_here(set_up, tmp_path, ctx=set_up.context(check_stop=stopping_after(40)))
    other = run_here(set_up, tmp_path, "machine.threads=2", "train.checkpoint_steps=3", until="train")
    said = "\n".join(other.said)
    assert "continued with threads 2, begun with 1" in said
    assert "training continues after step" in said
    facts = read_json(other.result.artifacts["train-lora"].path / "manifest.json")["facts"]["environment"]
    assert facts["threads"] == 2
    assert [earlier["threads"] for earlier in facts["earlier"]] == [1]


# --- damage, and runs in use ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("prepare", "test.jsonl"),
        ("baseline", "prompt.json"),
        ("train-lora", "adapter/adapter_model.safetensors"),
        ("evaluate", "predictions.jsonl"),
        ("compare", "report.html"),
    ],
)
def test_a_flipped_bit_is_an_error_that_names_the_file(stage: str, name: str, set_up: SetUp, copied: Path) -> None:
    path = folder_of(copied, stage) / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=name) as caught:
        run_here(set_up, copied)
    assert caught.value.exit_code == 7
    assert "delete the folder" in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"files": 3}', b"\xff"])
def test_a_missing_or_damaged_manifest_is_an_error_that_names_it(
    content: bytes | None, set_up: SetUp, copied: Path
) -> None:
    path = folder_of(copied, "evaluate") / "manifest.json"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"evaluate-\w+/manifest.json: missing or damaged; delete the folder"):
        run_here(set_up, copied)


def command_line(set_up: SetUp, runs_dir: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of the command line, run in this process."""
    monkeypatch.chdir(set_up.folder)
    monkeypatch.setattr(sys, "argv", ["ftkit", "run", "recipe.yaml", "--runs-dir", str(runs_dir)])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


def test_a_damaged_file_ends_the_command_with_exit_code_7(
    set_up: SetUp, copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder_of(copied, "prepare") / "train.jsonl").write_text("")
    assert command_line(set_up, copied, monkeypatch) == 7
    assert "train.jsonl: not the bytes that were published; delete the folder" in capsys.readouterr().err


def test_a_run_directory_in_use_ends_the_command_with_exit_code_6(
    set_up: SetUp, copied: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(copied, but=())
    with locked(copied / "small"):
        assert command_line(set_up, copied, monkeypatch) == 6
        with pytest.raises(BusyError):
            run_here(set_up, copied)
    assert "error: " in (message := capsys.readouterr().err)
    assert "another ftkit is working here; wait for it or use another name" in message
    assert hashes(copied, but=()) == before


def test_the_log_of_a_run_says_what_ended_it(set_up: SetUp, copied: Path) -> None:
    (folder_of(copied, "prepare") / "ledger.jsonl").unlink()
    with pytest.raises(ArtifactError):
        run_here(set_up, copied)
    assert "ArtifactError: " in (copied / "small" / "run.log").read_text().splitlines()[-1]


def test_predictions_and_steps_hold_no_clock_value(finished: Ran) -> None:
    artifacts = finished.result.artifacts
    steps = list(read_jsonl(artifacts["train-lora"].path / "steps.jsonl"))
    predictions = list(read_jsonl(artifacts["evaluate"].path / "predictions.jsonl"))
    assert set().union(*steps) == {
        *("step", "epoch", "loss", "learning_rate", "grad_norm", "num_target_tokens"),
        *("valid_value", "valid_loss"),
    }
    assert not [name for row in predictions for name in row if "time" in name or name.endswith("_s")]
    assert json.loads((artifacts["compare"].path / "metrics.json").read_text()).keys() == {"level", "arms", "secondary"}
