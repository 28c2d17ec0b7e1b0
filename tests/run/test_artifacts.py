"""Published folders of another version of ftkit: what does not fit is named by file and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ftkit.errors import ArtifactError
from ftkit.run.artifacts import Baseline, Evaluated, Trained
from ftkit.store import write_json

PROMPT = {"label": "zero_shot", "family": "zero_shot", "options": {}, "instruction": "Sort.", "normalize": "sum"}
ARM = {"name": "base+zero_shot", "model": "base", "side": "prompting", "precision": "float32"}
OLD = "; was another version of ftkit here?"


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: each for name, each in value.items() if name != key}


@pytest.mark.parametrize(
    ("prompter", "problem"),
    [
        ({**PROMPT, "family": "zero_shots"}, "family: unknown strategy 'zero_shots'; did you mean 'zero_shot'?"),
        ({**PROMPT, "family": None}, "family: unknown strategy None; known: few_shot, zero_shot"),
        (without(PROMPT, "family"), "family: is missing"),
        ({**PROMPT, "normalise": "sum"}, "normalise: unknown key"),
        ({**PROMPT, "normalize": "max"}, "normalize: input should be 'sum', 'mean' or 'calibrated', found 'max'"),
        (without(PROMPT, "label"), "label: is missing"),
        ([], "is a list; expected a dict"),
    ],
)
def test_a_prompt_that_is_not_known_is_named(prompter: Any, problem: str, tmp_path: Path) -> None:
    write_json(tmp_path / "prompt.json", {"ranking": ["zero_shot"], "prompts": [PROMPT, prompter]})
    write_json(tmp_path / "arms.json", {"arms": [{**ARM, "prompter": prompter}], "chosen": {}})
    place = "{}: {}" if problem.startswith("is ") else "{}.{}"
    for folder, name in ((Baseline(tmp_path), "prompts"), (Trained(tmp_path), "prompts")):
        with pytest.raises(ArtifactError) as raised:
            getattr(folder, name)
        assert str(raised.value) == f"{tmp_path / 'prompt.json'}: " + place.format("prompts.1", problem) + OLD
    with pytest.raises(ArtifactError) as raised:
        _ = Evaluated(tmp_path).arms
    assert str(raised.value) == f"{tmp_path / 'arms.json'}: " + place.format("arms.0.prompter", problem) + OLD


@pytest.mark.parametrize(
    ("arms", "problem"),
    [
        ([{**ARM, "prompter": PROMPT, "colour": 1}], "arms.0.colour: unknown key"),
        ([without({**ARM, "prompter": PROMPT}, "side")], "arms.0.side: is missing"),
        ([ARM], "arms.0.prompter: is missing"),
        (["a"], "arms.0: is a str; expected a dict"),
        ({}, "arms: is a dict; expected a list"),
    ],
)
def test_an_arm_that_is_not_known_is_named(arms: Any, problem: str, tmp_path: Path) -> None:
    write_json(tmp_path / "arms.json", {"arms": arms, "chosen": {}})
    with pytest.raises(ArtifactError) as raised:
        _ = Evaluated(tmp_path).arms
    assert str(raised.value) == f"{tmp_path / 'arms.json'}: {problem}{OLD}"


@pytest.mark.parametrize(
    ("value", "problem"), [({"chosen": {}}, "arms: is missing"), ([], "is a list; expected a dict")]
)
def test_a_file_of_arms_without_arms_is_named(value: Any, problem: str, tmp_path: Path) -> None:
    write_json(tmp_path / "arms.json", value)
    with pytest.raises(ArtifactError) as raised:
        _ = Evaluated(tmp_path).arms
    assert str(raised.value) == f"{tmp_path / 'arms.json'}: {problem}{OLD}"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_json(tmp_path / "prompt.json", {"ranking": ["zero_shot"], "prompts": [PROMPT]})
    write_json(tmp_path / "arms.json", {"arms": [{**ARM, "prompter": PROMPT}], "chosen": {"prompting": "a"}})
    (arm,) = Evaluated(tmp_path).arms
    assert arm.as_json() == {**ARM, "prompter": PROMPT}
    assert Baseline(tmp_path).prompts.as_json() == {"ranking": ["zero_shot"], "prompts": [PROMPT]}
    assert Evaluated(tmp_path).chosen == {"prompting": "a"}
