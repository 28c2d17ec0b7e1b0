"""What a recipe leaves to its targets: which metric decides, and how numbers are written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from commands import ftkit
from prepared_folders import prepared, row
from small_runs import SetUp, make_rows, run_here

from ftkit.contracts import Context, Quiet
from ftkit.recipe.schema import Recipe
from ftkit.run.artifacts import Prepared
from ftkit.run.settling import settled
from ftkit.store import read_json

SUMMARY = "Opening hours change on the first of May, as the council decided on Monday after a long debate."


def asked(task: Any = "generate", **blocks: Any) -> Recipe:
    source = {"jsonl": {"path": "rows.jsonl"}}
    blocks = {"baseline": {"instructions": ["Say."]}, **blocks}
    return Recipe.model_validate(
        {"name": "r", "model": {"path": "base"}, "task": task, "data": {"source": source}, **blocks}
    )


def settle(recipe: Recipe, targets: Sequence[str], folder: Path) -> tuple[Recipe, list[str]]:
    said = Quiet()
    rows = [row(f"R{number}", "text", target) for number, target in enumerate(targets)]
    return settled(recipe, Prepared(prepared(folder, train=rows)), Context(progress=said)), said.said


@pytest.mark.parametrize(
    ("targets", "task", "metrics", "why"),
    [
        (["18", "$1,250", "50 %", "3/4"], "generate", ["numeric_match", "exact_match"], "all targets are numbers"),
        (["18", "many"], "generate", ["exact_match", "token_f1"], "the targets are short: 1 word in the median"),
        (["C++", ":)", "北京"], "generate", ["exact_match", "token_f1"], "the targets are short"),
        ([SUMMARY, SUMMARY, "none"], "generate", ["token_f1", "exact_match"], "the targets are long"),
        (
            [f"{SUMMARY} #### 18", "so 6"],
            {"generate": {"extract": "last_number"}},
            ["numeric_match", "exact_match"],
            "all targets are numbers",
        ),
    ],
)
def test_the_metric_that_decides_follows_the_targets_and_is_said(
    targets: list[str], task: Any, metrics: list[str], why: str, tmp_path: Path
) -> None:
    recipe, said = settle(asked(task), targets, tmp_path)
    assert [metric.name for metric in recipe.evaluate.metrics] == metrics
    assert recipe.primary.name == recipe.compare.primary == metrics[0]
    line = f"evaluate.metrics is left out, so {metrics[0]} decides: {why}"
    assert sum(line in each for each in said) == 1


def test_what_is_written_stays_as_it_is(tmp_path: Path) -> None:
    for blocks, names, primary in [
        ({"evaluate": {"metrics": ["squad_match"]}}, ["squad_match"], "squad_match"),
        ({"evaluate": {"metrics": ["exact_match", "token_f1"]}, "compare": {"primary": "token_f1"}}, None, "token_f1"),
        ({"compare": {"primary": "token_f1", "margin": 0.05}}, ["token_f1", "exact_match"], "token_f1"),
        ({"compare": {"primary": "squad_match"}}, ["squad_match", "exact_match", "token_f1"], "squad_match"),
    ]:
        recipe = asked(**blocks)
        found, said = settle(recipe, ["18", "5"], tmp_path)
        assert found is recipe and said == []
        assert [metric.name for metric in found.evaluate.metrics] == (names or ["exact_match", "token_f1"])
        assert found.primary.name == primary
    recipe = asked("classify")
    assert settle(recipe, ["18", "5"], tmp_path)[0] is recipe


def test_extractor_and_metric_are_settled_by_the_targets_and_said_once(tmp_path: Path) -> None:
    task = {"generate": {"extract": "last_number"}}
    recipe, said = settle(asked(task, evaluate={"metrics": ["numeric_match"]}), ["das sind 1.234", "3,5"], tmp_path)
    options = recipe.task.options.extract.options
    assert (options.decimal, options.percent) == (",", "units")
    assert recipe.primary.options.is_settled
    assert [line.split(":")[0] for line in said] == ["numbers", "numbers"]
    assert settle(recipe, ["1.5"], tmp_path) == (recipe, [])
    named = asked(evaluate={"metrics": [{"numeric_match": {"decimal": ",", "percent": "hundredths"}}]})
    assert settle(named, ["1.5"], tmp_path) == (named, [])


@pytest.mark.parametrize(
    ("task", "history", "shape", "instructions"),
    [
        ("generate", [], None, ["Answer the question."]),
        ("classify", [], None, ["Classify the text. Answer with one of: {labels}.", "Classify the text."]),
        ("generate", [{"role": "system", "content": "Be brief."}], None, [""]),
        ("classify", [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}], None, [""]),
        ("generate", [], "messages", [""]),
    ],
)
def test_nothing_is_put_in_front_of_conversations_that_the_recipe_does_not_ask_for(
    task: str, history: list[Any], shape: str | None, instructions: list[str], tmp_path: Path
) -> None:
    rows = [{**row("R1", "text", "yes"), "history": history}]
    where = Prepared(prepared(tmp_path, train=rows))
    source = {"jsonl": {"path": "rows.jsonl", **({"shape": shape} if shape else {})}}
    recipe = asked(task, baseline={}, data={"source": source})
    said = Quiet()
    assert settled(recipe, where, Context(progress=said)).baseline.instructions == instructions
    line = "baseline.instructions is left out: rows are conversations, nothing is put in front"
    assert (line in said.said) == (instructions == [""])
    asks = asked(task, data={"source": source})
    assert settled(asks, where, Context()).baseline.instructions == ["Say."]


def test_a_recipe_that_leaves_it_open_is_read_back_from_its_values() -> None:
    recipe = asked()
    assert Recipe.model_validate(recipe.resolved()) == recipe


def numbered(folder: Path, *, odd: str = "") -> None:
    rows = [{**each, "label": odd or f"{number}%"} for number, each in enumerate(make_rows()[:120])]
    if odd:
        rows = [each if place % 2 else {**each, "label": str(place)} for place, each in enumerate(rows)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")


GENERATE = ("task={generate: {max_new_tokens: 2}}", "baseline.instructions=[Answer.]", "data.clean=[]")


def test_a_run_goes_on_with_what_was_settled_as_if_it_had_been_written(place: Path) -> None:
    numbered(place)
    set_up, runs = SetUp(place), place / "runs"
    first = run_here(set_up, runs, *GENERATE, until="baseline")
    assert any(line.startswith("evaluate.metrics is left out, so numeric_match decides") for line in first.said)
    resolved = read_json(runs / "small" / "recipe.resolved.json")
    metric = {"numeric_match": {"decimal": ".", "percent": "hundredths", "tolerance": 0.0}}
    assert resolved["evaluate"]["metrics"] == [metric, {"exact_match": {}}]
    assert resolved["compare"]["primary"] == "numeric_match"
    written = "evaluate.metrics=[{numeric_match: {decimal: '.', percent: hundredths}}]"
    assert run_here(set_up, runs, *GENERATE, written, until="baseline").reused == ["prepare", "baseline"]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_reference_without_a_number_is_named_before_training(command: str, place: Path) -> None:
    numbered(place, odd="none")
    sets = [each for setting in (*GENERATE, "evaluate.metrics=[numeric_match]") for each in ("--set", setting)]
    done = ftkit(command, "recipe.yaml", *sets)
    assert done.code == 3
    assert "numeric_match compares numbers, and the reference 'none' is none; name another metric" in done.err
