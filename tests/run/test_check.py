"""What `ftkit check` says of a recipe is what a run of it will say."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest
from commands import ftkit
from refusals import errors, refused
from small_runs import make_rows

from ftkit.records import read_jsonl


def write_rows(rows: list[dict[str, Any]]) -> None:
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def sets(*overrides: str) -> list[str]:
    return [word for each in overrides for word in ("--set", each)]


def checked(*overrides: str) -> dict[str, Any]:
    done = ftkit("check", "recipe.yaml", "--json", *sets(*overrides))
    assert done.code == 0, done.err
    value: dict[str, Any] = json.loads(done.out)
    return value


def test_a_prompt_does_not_fit_where_the_run_says_so_and_cut_inputs_are_counted_alike(place: Path) -> None:
    rows = make_rows()[:120]
    for row in rows[::5]:
        row["text"] += " late" * 300
    write_rows(rows)
    overrides = ("data.clean=[]", "data.split.group=null", "baseline.max_candidates=3")
    findings = checked(*overrides)
    ran = ftkit("run", "recipe.yaml", "--until", "baseline", *sets(*overrides))
    assert ran.code == 0, ran.err
    (path,) = Path().glob("runs/small/baseline-*/candidates.jsonl")
    tried = [each for each in read_jsonl(path) if each["status"] != "over budget"]
    assert [each["status"] for each in tried] == ["scored", "scored", "does not fit"]
    assert tried[0]["detail"].endswith(" of 24 inputs cut to fit")
    shared = ("label", "instruction", "status", "detail")
    assert [[fit[name] for name in shared] for fit in findings["prompts"]] == [
        [each[name] for name in shared] for each in tried
    ]
    (said,) = (line for line in ran.err.splitlines() if ": does not fit, needs " in line)
    assert said in findings["notes"]


def test_rows_are_shown_and_counted_under_each_wording_that_may_be_trained(place: Path) -> None:
    rows = make_rows()[:120]
    for row in rows[::5]:
        row["text"] += " late" * 300
    write_rows(rows)
    own = "own: {num_rows: 20, too_long: drop, wording: {instruction: {text: 'By {labels}.'}}}"
    findings = checked("data.clean=[]", "data.split.group=null", f"train.variants={{plain: {{}}, {own}}}")
    assert [(row["variants"], "Sort.\n" in row["context"]) for row in findings["shown"]] == [
        *[(["plain"], True)] * 3,
        *[(["own"], False)] * 3,
    ]
    assert all("By delivery, login, refund.\n" in row["context"] for row in findings["shown"][3:])
    learned = [(each["variant"], each["instruction"], each["num_rows"]) for each in findings["learned"]]
    num_rows = findings["rows"]["train"]
    assert learned == [
        ("plain", "Sort.", num_rows),
        ("plain", "One of: delivery, login, refund.", num_rows),
        ("own", "By delivery, login, refund.", 20),
    ]
    long = {row["id"] for row in rows[::5]}
    ran = ftkit("run", "recipe.yaml", "--until", "prepare", *sets("data.clean=[]", "data.split.group=null"))
    assert ran.code == 0, ran.err
    (path,) = Path().glob("runs/small/prepare-*/train.jsonl")
    order = [row["id"] in long for row in read_jsonl(path)]
    assert [each["num_over"] for each in findings["learned"]] == [sum(order), sum(order), sum(order[:20])]


def test_a_recipe_of_skipped_prompts_only_gets_the_same_error_from_check_and_run(place: Path) -> None:
    prompts = ("baseline.prompts=[{few_shot: {k: 5000}}]", "train.wording={instruction: {text: Sort.}}")
    check, run = (ftkit(command, "recipe.yaml", *sets(*prompts)) for command in ("check", "run"))
    assert (check.code, run.code) == (3, 3), check.err + run.err
    assert errors(check) == errors(run)
    said = "baseline: no prompt could be scored (few_shot(k=5000, balanced), '': skipped, train has "
    assert errors(check)[0].startswith(said)


@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_history_that_no_prompt_can_hold_is_named_before_anything_is_asked(
    split: str, command: str, place: Path
) -> None:
    turns = [{"role": "user", "content": "late " * 300}, {"role": "assistant", "content": "Hi"}]
    chat = [*turns, {"role": "user", "content": "Where?"}, {"role": "assistant", "content": "login"}]
    Path("chats.jsonl").write_text(json.dumps({"id": "long", "messages": chat}) + "\n", encoding="utf-8")
    given = f"data.split.{split}={{jsonl: {{path: chats.jsonl, id: id}}}}"
    done = refused(given, "data.split.group=null", "data.clean=[]", command=command)
    (said,) = errors(done)
    assert done.code == 3
    assert said.startswith("long: prompt zero_shot needs ") and "tokens even with an empty input, " in said
    assert (
        "for the 2 turns of the row's history; the model takes 256. Shorten the row's history or drop the row" in said
    )


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_target_to_compare_with_that_holds_no_answer_is_named_before_anything_is_asked(
    command: str, place: Path
) -> None:
    rows = [{**row, "label": f"it is {number}"} for number, row in enumerate(make_rows()[:120])]
    write_rows([row if place % 2 else {**row, "label": "none"} for place, row in enumerate(rows)])
    task = "task={generate: {max_new_tokens: 4, extract: last_number}}"
    done = refused(task, "baseline.instructions=[Answer.]", "data.clean=[]", command=command)
    assert done.code == 3
    assert ": the extractor finds no answer in the target 'none'; change task.generate.extract" in errors(done)[0]


def test_a_variant_that_wants_more_rows_than_train_has_is_said_once(place: Path) -> None:
    done = ftkit("run", "recipe.yaml", "--until", "baseline", *sets("train.variants={x: {num_rows: 5000}, y: {}}"))
    assert done.code == 0, done.err
    assert [line for line in done.err.splitlines() if "num_rows" in line] == [
        "train.variants.x.num_rows 5,000: train has 59 rows"
    ]


def test_check_says_what_the_search_may_overlook_and_what_the_groups_of_test_allow(place: Path) -> None:
    findings = checked()
    assert (findings["rows"]["valid"], findings["rows"]["test"]) == (23, 36)
    # of four prompts: 5 % shared by the three others, z(0.9833)·√(0.3 / 23)
    missed = 100 * NormalDist().inv_cdf(1 - 0.05 / 3) * math.sqrt(0.3 / 23)
    assert findings["notes"][-2:] == [
        f"with 23 valid rows a prompt better by up to {missed:.1f} points can be overlooked (by one search in twenty, "
        "of 4 prompts that differ on 30% of the rows)",
        "equivalent cannot be reached: 36 test rows in 18 groups are too few for a margin of 0.02, even where the arms "
        "differ on 2% of the rows only",
    ]


def test_zero_shot_beyond_the_budget_is_said_before_training_misses_it(place: Path) -> None:
    done = refused("baseline.prompts=[{few_shot: {k: 2}}, zero_shot]", "baseline.max_candidates=2")
    assert errors(done)[0].startswith("baseline.max_candidates is 2: no zero_shot prompt is among those that are tried")


def test_tools_that_the_template_does_not_show_and_system_turns_beside_an_instruction_are_said(place: Path) -> None:
    tools = [{"type": "function", "function": {"name": "look"}}]
    rows = [
        {
            "messages": [
                {"role": "system", "content": f"Be brief {number % 3}."},
                {"role": "user", "content": row["text"]},
                {"role": "assistant", "content": row["label"]},
            ],
            "tools": tools if number % 2 else [],
            "id": row["id"],
        }
        for number, row in enumerate(make_rows()[:120])
    ]
    write_rows(rows)
    source = "data.source={jsonl: {path: rows.jsonl, id: id, shape: messages}}"
    overrides = (source, "data.split.group=null", "data.clean=[]")
    beside = "different system turns, which stand above the instruction that all share"
    asked = ftkit("check", "recipe.yaml", *sets(*overrides))
    assert asked.code == 0, asked.err
    assert re.search(r"\d+ of \d+ train rows have tools; the chat template does not show them", asked.err)
    assert f"train rows have 3 {beside}" in asked.err
    bare = ftkit("check", "recipe.yaml", *sets(*overrides, "baseline.instructions=['']"))
    assert (bare.code, beside in bare.err) == (0, False)
