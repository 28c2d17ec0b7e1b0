"""What others wrote cannot steer the terminal: every command that prints shows their control characters by number."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TextIO

import pytest
from commands import ROOT, ftkit
from small_runs import SetUp, make_rows, run_here

from ftkit.cli import app, main
from ftkit.errors import visible

STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
HOSTILE = "\x1b[2J\x9b31m\u202e"
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("run", "recipe.yaml"),
    "prepare": ("prepare", "recipe.yaml"),
    "duplicates": ("duplicates", "runs/small"),
    "init": ("init", "rows.jsonl", "--yes", "--base", "base"),
    "check": ("check", "recipe.yaml"),
    "report": ("report", "runs/small"),
    "runs": ("runs", "runs"),
    "compare": ("compare", "runs/small", "runs/small#base+zero_shot"),
    "try": ("try", "runs/small", f"te{HOSTILE}xt"),
    "chat": ("chat", "runs/small", "--arm", f"li{HOSTILE}near"),
    "predict": ("predict", "runs/small", "rows.jsonl"),
    "export": ("export", "runs/small", "--out", "out", "--arm", f"ba{HOSTILE}se"),
    "list": ("list",),
    "show": ("show", f"lo{HOSTILE}ra"),
    "schema": ("schema", "--of", f"rec{HOSTILE}ipe"),
    "docs": ("docs", "--out", f"pa{HOSTILE}ges"),
    "doctor": ("doctor",),
    "help": ("help", f"ru{HOSTILE}n"),
}


@pytest.fixture(scope="module")
def hostile(made: SetUp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run whose rows hold control characters in ids, texts, labels and the names of columns."""
    folder = tmp_path_factory.mktemp("hostile") / "place"
    shutil.copytree(made.folder, folder)
    rows = [
        {**row, "text": f"{row['text']}{HOSTILE}", f"la{HOSTILE}bel": f"{row['label']}{HOSTILE}"} for row in make_rows()
    ]
    lines = [json.dumps({**row, "id": f"{row['id']}{HOSTILE}"}) + "\n" for row in rows]
    (folder / "rows.jsonl").write_text("".join(lines), encoding="utf-8")
    recipe = (
        (folder / "recipe.yaml")
        .read_text(encoding="utf-8")
        .replace("target: label", 'target: "la\\e[2J\\x9b31m\\u202ebel"')
    )
    recipe = recipe.replace("  split:", "  clean: [exact_dedup, near_dedup]\n  split:")
    (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
    run_here(SetUp(folder), folder / "runs", "train.max_steps=1", "train.num_evals=1")
    return folder


@pytest.fixture
def there(hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(hostile, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")


def test_every_command_is_tried() -> None:
    names = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    assert names == set(COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_no_command_lets_text_of_others_steer_the_terminal(name: str, there: None) -> None:
    done = ftkit(
        *COMMANDS[name], *(["--set", "train.max_steps=1", "--set", "train.num_evals=1"] if name == "run" else [])
    )
    assert done.out + done.err
    assert not STEERS.search(done.out + done.err)


@pytest.mark.parametrize("name", ["report", "runs", "duplicates", "compare"])
def test_json_stays_json_with_the_same_values(name: str, there: None) -> None:
    done = ftkit(*COMMANDS[name], "--json")
    assert done.code == 0, done.err
    assert not STEERS.search(done.out)
    assert json.loads(done.out)


@contextmanager
def closed_pipe() -> Iterator[TextIO]:
    """A stdout whose reader is gone, as after `| head`. Lines are written at once."""
    reading, writing = os.pipe()
    os.close(reading)
    file = os.fdopen(writing, "w", buffering=1, encoding="utf-8")
    try:
        yield file
    finally:
        with suppress(BrokenPipeError):
            file.close()


@pytest.mark.parametrize("name", ["check", "compare", "duplicates", "list", "predict", "report", "runs"])
def test_a_reader_that_leaves_ends_a_command_quietly(name: str, there: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["ftkit", *COMMANDS[name]])
    said = io.StringIO()
    with closed_pipe() as out, redirect_stdout(out), redirect_stderr(said), pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 141
    assert "rror" not in said.getvalue() and "pipe" not in said.getvalue()


@pytest.mark.parametrize("command", [["list"], ["schema"]])  # less and more than what is written at once
def test_a_reader_that_leaves_before_the_last_lines_are_out_ends_it_quietly_too(command: list[str]) -> None:
    with closed_pipe() as out:
        env = {"PATH": "", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
        line = [sys.executable, "-m", "ftkit", *command]
        done = subprocess.run(line, stdout=out, stderr=subprocess.PIPE, env=env, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_answer_is_printed_as_json_that_reads_back(there: None) -> None:
    done = ftkit(*COMMANDS["predict"])
    answers = {json.loads(line)["answer"] for line in done.out.splitlines()}
    assert answers <= {f"{label}{HOSTILE}" for label in ("delivery", "login", "refund")}
    assert "\\u001b[2J\\u009b31m\\u202e" in done.out


def test_a_chat_template_cannot_steer_the_terminal(there: None) -> None:
    Path("base/chat_template.jinja").write_text("{{ raise_exception('\x1b[2Jno') }}", encoding="utf-8")
    done = ftkit("check", "recipe.yaml")
    assert done.code == 3
    assert "\\u001b[2Jno" in done.err and not STEERS.search(done.err)


def test_half_of_a_surrogate_pair_and_escapes_are_shown_by_number_and_other_text_as_it_is() -> None:
    assert visible("a\ud800\x1b[0m\r\u2028b") == "a\\ud800\\u001b[0m\\u000d\\u2028b"
    assert visible("Größe\tعربي 中文 😀\n") == "Größe\tعربي 中文 😀\n"
