"""`ftkit show`: a key, a block, a component or another tool's word is found, and said with types and defaults."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import pytest
from commands import ftkit
from pydantic import Field

from ftkit.recipe.described import described
from ftkit.recipe.lookup import entries
from ftkit.recipe.words import WORDS
from ftkit.registry import Config, choice_of, one_or_more


def shown(word: str) -> str:
    done = ftkit("show", word)
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    return done.out


class Example(Config):
    rows: Annotated[int, Field(ge=1, le=2**20)] | Literal["auto"] = "auto"
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    scale: Annotated[float, Field(gt=0, le=1e6)] = 0.5
    level: float = Field(0.95, ge=0.5, lt=1)
    sign: Literal["auto", ".", ","] = "."
    is_kept: bool = False
    folder: str
    bounds: list[Annotated[float, Field(ge=0, le=1)]] = Field([0.2, 0.1])
    kinds: list[Literal["email", "phone"]] = Field(["email"])
    k: Annotated[list[int], one_or_more(int)] = Field([4])
    steps: list[choice_of("extractors")] = Field(  # type: ignore[valid-type]
        default_factory=lambda: [choice_of("extractors").model_validate({"regex": {"pattern": "a b"}})]
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("rows", "whole number from 1 to 1048576, or auto, default auto"),
        ("rate", "number above 0 and below 1"),
        ("scale", "number above 0 and up to 1000000, default 0.5"),
        ("level", "number from 0.5 and below 1, default 0.95"),
        ("sign", 'auto, "." or ",", default "."'),
        ("is_kept", "true or false, default false"),
        ("folder", "text, required"),
        ("bounds", "a list of numbers from 0 to 1, default [0.2, 0.1]"),
        ("kinds", "a list of any of email, phone, default [email]"),
        ("k", "whole number, or a list of them, default 4"),
        (
            "steps",
            'a list of any of exact, first_line, last_number, regex, default [{regex: {pattern: "a b"}}]',
        ),
    ],
)
def test_what_may_stand_in_a_key_is_said_in_a_users_words(key: str, value: str) -> None:
    assert described(key, Example.model_fields[key]).value == value


def test_a_key_without_a_description_is_shown_without_a_dash() -> None:
    assert described("folder", Example.model_fields["folder"]).meaning == "text, required"


BLOCKS = {
    "train": "  epochs: number above 0 and up to 1000000, default 3.0 — how often each row of\n    train is seen",
    "model": "  hub: text — repository of the hub, as owner/name\n",
    "compare": "  margin: number from 0 and below 1, default 0.02 — difference",
    "data": "  on_error: stop or drop, default stop — drop: malformed rows go to the ledger\n",
    "split": "  by: hash, kfold, random, stratified or time, default stratified — how shares\n",
    "data.split": "  group: text — column; rows with the same value stay in one split\n",
    "machine": "  device: auto, cpu, cuda or mps, default auto — ",
    "baseline": "  max_candidates: whole number from 1, default 24 — prompts scored on valid at\n",
    "task": "  classify: a block — choose one of the labels\n",
    "generate": "  max_new_tokens: whole number from 1, default 256 — tokens of an answer at most\n",
    "evaluate": "  metrics: a list of any of accuracy, evaluate, ",
    "recipe": "  task: classify or generate, required — what the model is to do\n",
    "train.method": "full, lora or qlora, or a list of them, default lora — which weights",
    "train.method.lora": "  rank: whole number from 1 to 16384, default 16 — ",
    "near_dedup": "  threshold: number from 0.5 to 1, default 0.8 — Jaccard",
    "metrics/macro_f1": "metrics/macro_f1\n\nMean over labels of the label's F1",
    "lora.rank": "train.method.lora.rank\n\nwhole number from 1 to 16384, default 16",
    "margin": "compare.margin\n\nnumber from 0 and below 1, default 0.02",
}


@pytest.mark.parametrize("word", BLOCKS)
def test_blocks_keys_and_components_are_shown_with_types_and_defaults(word: str) -> None:
    assert BLOCKS[word] in shown(word)


def test_a_part_of_a_name_lists_what_has_it_with_one_line_each() -> None:
    assert re.findall(r"^  (\S+) +\S", shown("f1"), flags=re.MULTILINE)[:2] == ["metrics/macro_f1", "metrics/token_f1"]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("semantic", "cleaning/semantic_dedup"),
        ("jaccard", "cleaning/near_dedup"),
        ("harmonic mean", "metrics/token_f1"),
        ("confidence level", "compare.level"),
        ("Excel", "sources/xlsx"),
    ],
)
def test_words_of_descriptions_find_what_they_describe(words: str, found: str) -> None:
    assert found in shown(words)


def test_a_name_of_several_components_shows_them_all_and_a_key_of_several_places_lists_them() -> None:
    assert re.findall(r"^\w+/text$", shown("text"), flags=re.MULTILINE) == ["sources/text", "shapes/text"]
    listed = re.findall(r"^  (\S+) ", shown("rank"), flags=re.MULTILINE)
    assert listed == ["train.method.lora.rank", "train.method.qlora.rank"]


def test_a_kind_lists_its_components() -> None:
    listed = re.findall(r"^  (\S+) +\S", shown("splitting"), flags=re.MULTILINE)
    assert listed == [f"splitting/{name}" for name in ("hash", "kfold", "random", "stratified", "time")]


@pytest.mark.parametrize(
    ("word", "start"),
    [
        ("lr", "lr: here it is train.learning_rate (lr: PyTorch)\n\ntrain.learning_rate\n\nnumber above 0"),
        ("lora_r", "lora_r: here it is train.method.lora.rank (lora_r: Axolotl, TRL)\n\ntrain.method.lora.rank\n\n"),
        ("warmup-ratio", "warmup-ratio: here it is train.warmup: a share of the steps (warmup-ratio: TRL,"),
        ("optim", "optim: not a key here: the optimizer is AdamW, set by train.learning_rate and\n"),
    ],
)
def test_other_tools_words_are_answered_with_ours(word: str, start: str) -> None:
    assert shown(word).startswith(start)


@pytest.mark.parametrize("word", sorted(WORDS))
def test_every_word_of_another_tool_finds_something(word: str) -> None:
    assert shown(word)


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("near_dedupp", "did you mean 'near_dedup'?"),
        ("learning_rat_", "did you mean 'learning_rate'?"),
        ("xyzzy", "`ftkit list` has the components, `ftkit show recipe` the keys"),
        ("", "`ftkit list` has the components, `ftkit show recipe` the keys"),
    ],
)
def test_what_is_not_found_is_an_error_with_the_nearest_name(word: str, hint: str) -> None:
    done = ftkit("show", word)
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: show: no component or key is called {word!r}; {hint}\n"


def test_every_entry_is_found_by_its_full_name_and_fits_eighty_columns() -> None:
    for entry in entries():
        assert entry.title in shown(entry.title), entry.title
