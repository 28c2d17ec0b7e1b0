"""What a run says at the end of its stages and at its own: on the screen, in run.log, and as events."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import jsonschema
import pytest
from commands import ftkit
from small_runs import STAGES, SetUp

from ftkit.run.events import Event
from ftkit.run.terminal import Terminal


@pytest.fixture
def place(ran: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a finished run."""
    folder = shutil.copytree(ran.folder, tmp_path / "place")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def test_every_stage_says_in_a_line_what_came_of_it_also_where_it_is_reused(place: Path) -> None:
    done = ftkit("run", "recipe.yaml")
    lines = done.err.splitlines()
    said = {
        name: lines[number + 1] for number, line in enumerate(lines) for name in STAGES if line.startswith(f"{name}: ")
    }
    assert re.fullmatch(r"  rows: train \d+, valid \d+, test \d+; 3 labels; \d+ dropped", said["prepare"])
    assert re.fullmatch(
        r"  \d of \d prompts scored; best on valid: \S+.*, accuracy [\d.]+%; [\d.]+ s", said["baseline"]
    )
    assert re.match(r"  step \d+ of \d+ kept; loss [\d.]+ to [\d.]+; valid loss [\d.]+; accuracy ", said["train-lora"])
    assert re.fullmatch(r"  5 arms answered \d+ test rows each; [\d.]+ s", said["evaluate"])
    assert said["compare"].split() == ["arm", "accuracy", "95", "%", "tokens"]
    assert all(len(line) <= 80 for line in lines)


def test_arms_and_next_steps_are_in_the_log_and_the_arm_to_ship_is_marked(place: Path) -> None:
    assert ftkit("run", "recipe.yaml").code == 0
    (verdict,) = (json.loads(path.read_text()) for path in Path("runs/small").glob("compare-*/verdict.json"))
    log = Path("runs/small/run.log").read_text(encoding="utf-8").split("---")[-1]
    table = [line.split("  ", 1)[1] for line in log.splitlines() if re.search(r" {3}\S*(base|lora|linear)", line)]
    assert [line.split("  ")[0] for line in map(str.strip, table)] == list(verdict["arms"])
    assert [line.split("  ")[0] for line in map(str.strip, table) if line.endswith("ships")] == [verdict["ship"]]
    assert "  ftkit predict runs/small rows.jsonl" in log


def test_quiet_says_nothing_but_the_result(place: Path) -> None:
    done = ftkit("run", "recipe.yaml", "--quiet")
    assert (done.code, done.err) == (0, "") and "report: " in done.out


def test_events_are_lines_of_their_schema_and_end_with_how_it_ended(place: Path) -> None:
    change = ("--set", "data.split.test=0.35", "--until", "prepare")
    assert ftkit("run", "recipe.yaml", "--events", "e.jsonl", *change).code == 0
    assert ftkit("run", "recipe.yaml", "--events", "e.jsonl", "--set", "data.source.0.jsonl.path=none").code == 2
    wrong = ("--set", "data.source={jsonl: {path: none, input: text, target: label}}")
    assert ftkit("run", "recipe.yaml", "--events", "e.jsonl", "--quiet", *wrong).code == 3
    lines = [json.loads(line) for line in Path("e.jsonl").read_text(encoding="utf-8").splitlines()]
    schema = json.loads(ftkit("schema", "--of", "events").out)
    assert schema == Event.json_schema()
    for line in lines:
        jsonschema.validate(line, schema)
    ends = [(line["event"], line["text"]) for line in lines if line["event"] in ("finished", "error")]
    assert ends == [("finished", ""), ("error", "none: no such file (path of the source in the recipe)")]
    bars = [(line["done"], line["total"]) for line in lines if line["text"] == "data report"]
    assert bars[0][0] == 0 and bars[-1][0] == bars[-1][1]


def test_the_rate_of_what_goes_on_counts_what_was_made_since(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0])
    monkeypatch.setattr("ftkit.run.terminal.time.monotonic", lambda: next(clock))
    terminal = Terminal()
    with terminal.bar("training", 100, "steps", done=40) as bar:
        bar.advance(20)
        (task,) = terminal.bars.tasks
        assert (task.completed, task.fields["note"]) == (60, "2.0 steps/s")
