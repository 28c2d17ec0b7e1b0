"""The README's commands and code do what it says."""

from __future__ import annotations

import gzip
import json
import re
import shlex
import shutil
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from commands import ftkit
from small_runs import SetUp, make_rows, run_here

from ftkit.cli import app, main
from ftkit.recipe.schema import parse_recipe
from ftkit.store import read_json


@pytest.fixture
def readme(root: Path) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_recipe_of_the_readme_is_a_recipe(readme: str) -> None:
    assert parse_recipe(blocks(readme, "yaml")[0], name="README.md").data.limit.train == 2000


def test_variants_and_wording_of_the_readme_go_into_its_recipe(readme: str) -> None:
    overrides = [f"{key}={value}" for key, value in re.findall(r"`(train\.\w+): (\{.*?\})`", readme)]
    recipe = parse_recipe(blocks(readme, "yaml")[0], name="README.md", overrides=overrides)
    assert {each.label: (each.method.options.rank, each.train.epochs) for each in recipe.variants} == {
        "r8": (8, 3.0),
        "long": (16, 6.0),
    }
    assert recipe.train.wording.options.text == "Sort the message."


def test_the_rows_of_the_readme_are_prepared_without_a_model_and_load_as_a_data_set(
    readme: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.chdir(tmp_path)
    _, recipe = blocks(readme, "yaml")
    Path("recipe.yaml").write_text(recipe, encoding="utf-8")
    Path("chats").mkdir()
    for name in "ab":
        chats = [{"messages": turns(f"{name}{n}"), "author": f"author {n}"} for n in range(60)]
        Path("chats", f"{name}.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, chats)).encode()))
    faq = [f"{said('q', n)},{said('c', n)},{said('a', n)},0.5,someone {n}" for n in range(40)]
    Path("faq.csv").write_text("\n".join(["question,context,answer,trust,author", *faq]), encoding="utf-8")
    Path("benchmark.jsonl").write_text('{"question": "Who wrote it?", "answer": "Ada"}\n', encoding="utf-8")
    done = ftkit("prepare", "recipe.yaml")
    assert done.code == 0, done.err
    (folder,) = Path("runs/my-data").glob("prepare-*")
    files = {name: str(folder / f"{name}.jsonl") for name in ("train", "valid", "test")}
    found = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
    assert {name: len(rows) for name, rows in found.items()} == read_json(folder / "summary.json")["rows"]
    assert sum(map(len, found.values())) == 160  # 240 turns of chats and 40 questions, three to one
    assert {row["weight"] for row in found["train"]} == {0.5, 1.0}


def turns(name: str) -> list[dict[str, str]]:
    """A chat of four messages."""
    return [{"role": role, "content": said(name, n)} for n, role in enumerate(["user", "assistant"] * 2)]


def said(name: str, number: int) -> str:
    """Eight words that no other text has."""
    return " ".join(
        f"{word}{name}{number}" for word in ("one", "two", "three", "four", "five", "six", "seven", "eight")
    )


def test_every_command_that_the_readme_names_exists(readme: str) -> None:
    table = readme.split("## Commands")[1].split("## From Python")[0]
    named = set(re.findall(r"`([a-z]+)[ `]", table.split("`--json`")[0]))
    registered = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert named == registered


def test_the_typo_of_the_readme_gets_the_answer_it_shows(
    readme: str, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command, answer = re.findall(r"\$ scripts/(ftkit .*)\n    (error: .*)\n", readme)[0]
    monkeypatch.chdir(root)
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip() == answer


def test_a_run_comes_to_the_files_of_the_readme_in_the_order_it_tells(
    readme: str, root: Path, made: SetUp, tmp_path: Path
) -> None:
    told = re.findall(r"^\d+\. \[([\w/.]+)\]\(ftkit/\1\) `([\w.]+)`: ", readme, flags=re.MULTILINE)
    assert 1 < len(told) <= 12
    entered: dict[tuple[str, str], None] = {}  # a file and a function, in the order of their first calls

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            entered.setdefault((frame.f_code.co_filename, frame.f_code.co_qualname))

    sys.setprofile(note)
    try:
        run_here(made, tmp_path / "runs", "baseline.prompts=[zero_shot]", "train.max_steps=1", "train.num_evals=1")
    finally:
        sys.setprofile(None)
    places = {(str(root / "ftkit" / path), function): (path, function) for path, function in told}
    assert [places[each] for each in entered if each in places] == told


FOR = {"RECIPE": "recipe.yaml", "RUN": "runs/small", "runs/…": "runs/small", "DIR": "exported", "NAME": "lora"}
FOR |= {"FILE": "rows.csv", "A": "runs/small", "B": "runs/small#base+zero_shot"}  # what stands for the reader's own
ELSEWHERE = {  # commands that take long, and the test that runs them
    ("run", "recipes/quickstart.yaml"): "test_the_python_of_the_readme_runs, and scripts/test -m slow",
    ("run", "tickets.yaml"): "test_the_recipe_of_a_chat_is_run_to_a_verdict",
    ("chat",): "test_a_chat_answers_what_is_typed_and_keeps_it",
    ("export",): "test_export_writes_a_model_that_transformers_loads",
}


def commands_of(readme: str) -> list[list[str]]:
    """The words of every command that the README gives, behind `ftkit`; a second line goes on with the first."""
    text = re.sub(r"\\\n\s+", "", readme)
    inline = re.findall(r"`ftkit\s([^`]+)`", text)
    lines = re.findall(r"^    (?:scripts/)?ftkit ([^#\n]+)", text, flags=re.MULTILINE)
    table = text.split("## Commands")[1].split("`--json`")[0]
    rows = re.findall(r"^\| (`.*?) \|", table, flags=re.MULTILINE)
    cells = re.findall(r"`(.*?)`", " ".join(rows))
    commands = [*inline, *lines, *(re.sub(r" \[.*?\]", "", cell) for cell in cells)]
    return [[FOR.get(word, word) for word in shlex.split(command)] for command in commands]


def test_every_command_of_the_readme_is_run(
    readme: str, ran: SetUp, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = shutil.copytree(ran.folder, tmp_path / "place")
    for name in ("data", "recipes"):
        (place / name).symlink_to(root / name)
    rows = [f"{row['text']},{row['label']}" for row in make_rows()[:60]]
    for name in ("tickets.csv", "rows.csv"):
        (place / name).write_text("\n".join(["text,label", *rows]), encoding="utf-8")
    commands = [words for words in commands_of(readme) if words[0] != "--install-completion"]
    assert {words[0] for words in commands} == {each.name or each.callback.__name__ for each in app.registered_commands}
    left = {of: [words for words in commands if tuple(words[: len(of)]) == of] for of in ELSEWHERE}
    now = [words for words in commands if not any(words in some for some in left.values())]
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for words in now:
        done = ftkit(*words)
        assert done.code == 0, (words, done.err)
    for words in left["run", "recipes/quickstart.yaml"]:  # of what takes a GPU or minutes: what can be known before
        assert ftkit("check", "--fast", *words[1:]).code == 0


@pytest.mark.slow
def test_the_python_of_the_readme_runs(
    readme: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in ("data", "recipes"):
        (tmp_path / folder).symlink_to(root / folder)
    monkeypatch.chdir(tmp_path)
    exec(blocks(readme, "python")[0], {})
    verdict, *frame, trained = capsys.readouterr().out.strip().splitlines()
    assert frame[0] == "shape: (1_000, 11)"
    assert verdict.split()[0] in ("fine_tuned", "inconclusive")
    assert trained.startswith("out/adapter ")


def test_the_trainer_of_the_readme_runs(
    readme: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").symlink_to(root / "data")
    monkeypatch.chdir(tmp_path)
    code = blocks(readme, "python")[0]
    exec("from ftkit import Trainer\n" + code[code.index("rows = ") :], {})
    assert capsys.readouterr().out.startswith("out/adapter ")
