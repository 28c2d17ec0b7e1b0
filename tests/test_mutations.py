"""What is wrong somewhere is refused in words, or does no harm: a sample of scripts/check_mutations.py."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import ftkit
from mutations import COMMANDS, RECIPE, copied, problem
from small_runs import SetUp

CASES = [(kind, number) for kind in ("recipe", "model", "run") for number in range(10)]
CASES += [("model", 130), ("model", 491)]  # a control token that texts spell; a tokenizer that decodes otherwise


@pytest.mark.parametrize(("kind", "number"), CASES)
def test_one_thing_wrong_is_named_or_harmless(
    kind: str, number: int, ran: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, "export", COMMANDS["report"])  # which starts a process of its own
    mutation = copied(ran.folder, kind, number, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert problem(mutation, ftkit(*mutation.command)) == "", mutation


def test_the_recipe_that_is_mutated_is_sound(place: Path) -> None:
    Path("recipe.yaml").write_text(json.dumps(RECIPE), encoding="utf-8")
    assert ftkit("check", "recipe.yaml", "--fast").code == 0
