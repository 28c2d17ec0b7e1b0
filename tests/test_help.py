"""Help: every command and option says what it is, in any of the usual ways to ask, and as pages of Markdown."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from commands import ftkit
from typer.main import get_command

from ftkit.cli import app
from ftkit.cli.manual import manual
from ftkit.recipe.places import keys_of
from ftkit.recipe.schema import Recipe
from ftkit.registry import KINDS, find, names

COMMANDS: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_has_a_text_and_help_fits_eighty_columns(name: str) -> None:
    assert [each.name for each in COMMANDS[name].params if not getattr(each, "help", "")] == []
    done = ftkit(name, "--help")
    assert done.code == 0
    assert max(map(len, done.out.splitlines())) <= 80


@pytest.mark.parametrize("name", ["", *COMMANDS])
def test_help_is_given_in_each_of_the_usual_ways(name: str) -> None:
    words = [name] if name else []
    asked = [ftkit(*words, "-h"), ftkit(*words, "--help"), ftkit("help", *words)]
    assert {(done.code, done.err) for done in asked} == {(0, "")}
    assert len({done.out for done in asked}) == 1
    assert asked[0].out.startswith(f"Usage: ftkit {name}".strip())


def test_help_on_what_is_no_command_is_an_error() -> None:
    done = ftkit("help", "rnu")
    assert (done.code, done.out) == (2, "")
    assert "No such command 'rnu'. Did you mean 'run'?" in done.err


def test_the_examples_of_help_are_commands_with_options_that_there_are() -> None:
    examples = [
        line.split() for name in COMMANDS for line in re.findall(r"^  ftkit (\w.*)$", ftkit(name, "-h").out, re.M)
    ]
    assert len(examples) > 10
    for name, *words in examples:
        options = {option for each in COMMANDS[name].params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= options, name


def test_python_m_ftkit_is_called_ftkit_and_the_shell_completes_commands(root: Path) -> None:
    def out(*args: str, **env: str) -> str:
        command = [sys.executable, "-m", "ftkit", *args]
        done = subprocess.run(command, cwd=root, env={"PATH": "", **env}, capture_output=True, text=True, check=True)
        return done.stdout

    assert out("show", "-h").startswith("Usage: ftkit show ")
    completed = out(_FTKIT_COMPLETE="complete_bash", COMP_WORDS="ftkit d", COMP_CWORD="1")
    assert completed.split() == ["duplicates", "docs", "doctor"]


# --- the pages


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return manual()


def test_every_component_and_option_stands_in_the_pages(pages: dict[str, str]) -> None:
    for kind in KINDS:
        sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", pages[f"{kind}.md"], flags=re.M | re.S))
        assert list(sections) == list(names(kind))
        for name in names(kind):
            for option in find(kind, name).config_type.model_fields:
                assert f"| `{option}` |" in sections[name], f"{kind}/{name}: {option}"


def test_every_key_of_a_recipe_stands_in_the_pages(pages: dict[str, str]) -> None:
    keys = [".".join(key.place) for key in keys_of(Recipe) if not key.is_inside_component and not key.is_component]
    assert {"train.learning_rate", "data.split.valid", "compare.prices.gpu_hour"} <= set(keys)
    assert [key for key in keys if f"| `{key}` |" not in pages["recipe.md"]] == []


def test_every_command_and_option_stands_in_the_pages(pages: dict[str, str]) -> None:
    for name, command in COMMANDS.items():
        assert f"## ftkit {name}\n" in pages["commands.md"]
        for option in (each for param in command.params for each in param.opts if each.startswith("--")):
            assert option in pages["commands.md"], name


def test_every_link_of_the_pages_leads_to_a_heading(pages: dict[str, str]) -> None:
    links = [
        (page, *link) for page, text in pages.items() for link in re.findall(r"\]\(([\w.]*)(?:#([\w-]+))?\)", text)
    ]
    assert len(links) > 50
    for page, to, anchor in links:
        headings = re.findall(r"^#+ (.*)$", pages[to or page], flags=re.M)
        assert not anchor or anchor in [re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in headings]


def test_docs_writes_the_same_pages_again_and_over_nothing_else(tmp_path: Path, pages: dict[str, str]) -> None:
    out = tmp_path / "reference"
    done = ftkit("docs", "--out", out)
    assert (done.code, done.out) == (0, f"reference: {out}/index.md\n")
    assert {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()} == pages
    assert ftkit("docs", "--out", out).code == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()} == pages
    (out / "recipe.md").write_text("# My own\n", encoding="utf-8")
    done = ftkit("docs", "--out", out)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"error: {out}/recipe.md: is there already and no page of `ftkit docs`")
    assert (out / "recipe.md").read_text(encoding="utf-8") == "# My own\n"
