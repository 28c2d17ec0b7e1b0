"""Where inputs were cut, or another frozen prompt decides: what verdict and sentence say of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import comparisons
import pytest
from comparisons import ARMS, answers, recipe, write_run

from ftkit.contracts import Context
from ftkit.recipe.schema import MetricChoice
from ftkit.records import read_predictions, write_jsonl
from ftkit.report import page as report
from ftkit.run.stages.compare import CompareConfig, assemble
from ftkit.verdict.paired import cut_rows

ONE_METRIC = {"evaluate__metrics": "[accuracy]"}  # no other is bootstrapped where no other is looked at


def test_inputs_cut_in_one_arm_are_counted_and_the_pair_is_compared_without_them(tmp_path: Path) -> None:
    asked = recipe(**ONE_METRIC)
    inputs = write_run(tmp_path / "run", recipe_of=asked, num_rows=40)
    path = inputs.evaluated.path / "predictions.jsonl"
    cut = {"lora+zero_shot": {"r0000", "r0001"}, "base+few_shot": {f"r00{n:02}" for n in range(10)}}
    marked = [
        replace(row, flags=(*row.flags, "input_cut")) if row.id in cut.get(row.arm, ()) else row
        for row in read_predictions(path)
    ]
    write_jsonl(path, marked)
    comparison = assemble(CompareConfig.of(asked), inputs, Context())
    verdict = comparison.verdict
    assert {arm: each.num_cut for arm, each in verdict.arms.items() if each.num_cut} == {
        "lora+zero_shot": 2,
        "base+few_shot": 10,
    }
    assert verdict.uncut is not None and verdict.uncut.num_rows == 30
    assert (verdict.uncut.contrast.a, verdict.uncut.contrast.b) == ("lora+zero_shot", "base+few_shot")
    assert verdict.uncut.contrast.difference == pytest.approx(0.2)  # in each ten rows 3 to lora, 1 to base
    assert verdict.uncut.contrast.interval is not None and verdict.contrast.interval != verdict.uncut.contrast.interval
    said = "Inputs were shortened to fit the context: 2 for lora+zero_shot and 10 for base+few_shot. On the 30 rows"
    assert said in verdict.sentence
    assert said in report.render(comparison).markdown.replace("\\", "")
    (guard,) = (each for each in verdict.guards if each.name == "inputs_cut_alike")
    counts = "inputs cut, of 40: lora+zero_shot 2, base+few_shot 10, base+zero_shot 0"
    assert (guard.status, guard.detail) == ("passed", counts)


def test_where_another_prompt_decides_the_inputs_cut_there_are_told(tmp_path: Path) -> None:
    right = {"lora+zero_shot": "01234567", "base+few_shot": "0123", "base+zero_shot": "01234567"}
    asked = recipe(**ONE_METRIC)
    inputs = write_run(tmp_path / "run", recipe_of=asked, right=right)
    path = inputs.evaluated.path / "predictions.jsonl"
    marked = [
        replace(row, flags=("input_cut",)) if row.arm == "base+zero_shot" and row.id < "r0040" else row
        for row in read_predictions(path)
    ]
    write_jsonl(path, marked)
    verdict = assemble(CompareConfig.of(asked), inputs, Context()).verdict
    assert (verdict.verdict, verdict.contrast.b) == ("inconclusive", "base+few_shot")
    assert "0 for lora+zero_shot and 40 for base+zero_shot. On the 200 rows" in verdict.sentence


@pytest.mark.parametrize(
    ("other", "is_known", "said"),
    [
        ("01234567", False, "(−5.5 to +5.5). These rows would prove a true difference"),  # t(59)·√3/63; no number would
        ("0123456", True, "test rows would settle a difference of this size."),
    ],
)
def test_what_it_takes_is_of_the_prompt_that_decides(other: str, is_known: bool, said: str, tmp_path: Path) -> None:
    right = {"lora+zero_shot": "01234567", "base+few_shot": "0123", "base+zero_shot": other}
    asked = recipe(**ONE_METRIC)
    inputs = write_run(tmp_path, recipe_of=asked, num_rows=60, right=right)
    verdict = assemble(CompareConfig.of(asked), inputs, Context()).verdict
    assert (verdict.verdict, verdict.contrast.difference) == ("inconclusive", pytest.approx(0.4))
    assert said in verdict.sentence
    assert (verdict.rows_needed is not None) == is_known
    assert verdict.rows_needed is None or verdict.rows_needed > 60, "with 60 in hand it is not settled"


@pytest.mark.parametrize(("cut", "num_rows", "is_known"), [("", None, False), ("ab", 0, False), ("a", 18, True)])
def test_the_rows_cut_in_neither_arm_are_compared_where_there_are_some(
    cut: str, num_rows: int | None, is_known: bool
) -> None:
    a, b = (answers(ARMS[arm], comparisons.tests(20), right=right) for arm, right in ((2, "01234678"), (1, "012345")))
    many = 20 if cut == "ab" else 2
    a = [replace(row, flags=("input_cut",)) if cut and n < many else row for n, row in enumerate(a)]
    found = cut_rows(MetricChoice.model_validate("accuracy"), a, b, level=0.95, seed=1)
    assert (found and found.num_rows) == num_rows
    assert (found is not None and found.contrast.difference is not None) == is_known
