"""The compare stage: verdict.json and metrics.json of known predictions, guards, two files side by side."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import comparisons
import pytest
from comparisons import ARMS, recipe, write_run

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.recipe.schema import MetricChoice
from ftkit.records import Guard, Prediction, read_predictions, write_jsonl
from ftkit.run.stages import compare
from ftkit.run.stages.compare import CompareConfig
from ftkit.verdict.paired import compare_predictions
from ftkit.verdict.results import Verdict
from ftkit.verdict.stats import PairedTable

ACCURACY = MetricChoice.model_validate("accuracy")
ONE_METRIC = {"evaluate__metrics": "[accuracy]"}  # no other is bootstrapped where no other is looked at
OPTIONS: dict[str, Any] = {"metric": ACCURACY, "margin": 0.02, "level": 0.95, "seed": 17}


def run(folder: Path, *, changes: dict[str, Any] | None = None, **options: Any) -> Verdict:
    """Compare the run of `write_run` and read verdict.json."""
    out = folder / "compare"
    out.mkdir(exist_ok=True)
    asked = recipe(**(changes or {}))
    inputs = write_run(folder / "run", recipe_of=asked, **options)
    return compare.run(CompareConfig.of(asked), inputs, out, Context()).verdict


def side(arm: int, right: str, num_rows: int = 20) -> list[Prediction]:
    """Answers of one arm to `num_rows` rows."""
    return comparisons.answers(ARMS[arm], comparisons.tests(num_rows), right=right)


def test_verdict_json_has_its_keys_in_order(tmp_path: Path) -> None:
    run(tmp_path)
    verdict = json.loads((tmp_path / "compare" / "verdict.json").read_text())
    assert list(verdict) == [
        "verdict", "ship", "lean", "primary", "num_rows", "num_groups", "contrast",
        "minimum_detectable_difference", "rows_needed", "arms", "floors", "guards",
    ]  # fmt: skip
    assert list(verdict["contrast"]) == ["a", "b", "difference", "interval", "p_value", "test", "table"]
    assert list(verdict["arms"]["base+zero_shot"]) == [
        "side", "model", "precision", "metrics", "num_unparsed", "num_empty", "num_truncated",
        "prompt_tokens_mean", "completion_tokens_mean",
    ]  # fmt: skip


def test_counts_and_difference_are_those_of_the_rows(tmp_path: Path) -> None:
    verdict = run(tmp_path, changes=ONE_METRIC)
    assert verdict.verdict == "fine_tuned"
    assert verdict.ship == verdict.contrast.a == "lora+zero_shot"
    assert verdict.contrast.b == "base+few_shot"
    assert verdict.contrast.table == PairedTable(both=120, only_a=72, only_b=24, neither=24)
    assert verdict.contrast.difference == pytest.approx(0.2)
    assert verdict.contrast.test == "mcnemar_exact"
    assert verdict.arms["lora+zero_shot"].metrics["accuracy"].value == pytest.approx(0.8)
    assert verdict.arms["lora+zero_shot"].num_truncated == 6  # rows 39, 79, … 239
    assert verdict.arms["base+few_shot"].prompt_tokens_mean == 150.0  # 148 + the mean of 0 … 4


def test_a_better_prompt_is_shipped(tmp_path: Path) -> None:
    verdict = run(tmp_path, right={"lora+zero_shot": "0"}, changes=ONE_METRIC)
    assert (verdict.verdict, verdict.ship) == ("prompting", "base+few_shot")


def test_an_open_question_keeps_the_prompt_and_says_where_it_leans(tmp_path: Path) -> None:
    # the interval is +12 to +27 points: above zero, not above the margin
    verdict = run(tmp_path, changes={**ONE_METRIC, "compare__margin": 0.15})
    assert (verdict.verdict, verdict.ship) == ("inconclusive", "base+few_shot")
    assert verdict.lean == "better"
    assert verdict.rows_needed > 240


def test_equivalent_arms_ship_the_cheaper_one(tmp_path: Path) -> None:
    verdict = run(tmp_path, right={"lora+zero_shot": "012345"}, changes={**ONE_METRIC, "compare__margin": 0.1})
    assert (verdict.verdict, verdict.ship) == ("equivalent", "lora+zero_shot")  # 33 against 150 tokens
    assert verdict.rows_needed is None


def test_equivalent_arms_of_one_price_ship_the_prompt(tmp_path: Path) -> None:
    changes = {
        **ONE_METRIC,
        "compare__margin": 0.1,
        "compare__prices__input_tokens": 0,
        "compare__prices__output_tokens": 0,
    }
    verdict = run(tmp_path, right={"lora+zero_shot": "012345"}, changes=changes)
    assert (verdict.verdict, verdict.ship) == ("equivalent", "base+few_shot")


def test_a_second_comparison_writes_the_same_bytes(tmp_path: Path) -> None:
    inputs = write_run(tmp_path / "run", num_rows=40)
    written = []
    for name in ("one", "two"):
        out = tmp_path / name
        out.mkdir()
        compare.run(CompareConfig.of(recipe()), inputs, out, Context())
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert sorted(written[0]) == ["metrics.json", "report.html", "report.md", "verdict.json"]
    assert written[0] == written[1]


def test_timings_reach_the_report_and_neither_verdict_nor_metrics(tmp_path: Path) -> None:
    inputs = write_run(tmp_path / "run", num_rows=40)
    slower = {**inputs.timings, "train-lora": {"seconds": {"total": 7777.0}}}
    written = []
    for name, timings in (("one", inputs.timings), ("two", slower)):
        out = tmp_path / name
        out.mkdir()
        compare.run(CompareConfig.of(recipe()), replace(inputs, timings=timings), out, Context())
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert [written[0][name] == written[1][name] for name in ("verdict.json", "metrics.json")] == [True, True]
    assert "2 h 9 min" in written[1]["report.md"].decode()


def test_secondary_contrasts_cover_other_metrics_and_other_arms_and_are_corrected(tmp_path: Path) -> None:
    run(tmp_path)
    secondary = json.loads((tmp_path / "compare" / "metrics.json").read_text())["secondary"]
    assert [(entry["metric"], entry["a"], entry["b"]) for entry in secondary] == [
        ("macro_f1", "lora+zero_shot", "base+few_shot"),
        ("accuracy", "base+zero_shot", "base+few_shot"),
        ("accuracy", "lora+few_shot", "base+few_shot"),
    ]
    smallest = min(secondary, key=lambda entry: entry["p_value"])
    assert smallest["p_value_holm"] == pytest.approx(
        3 * smallest["p_value"]
    )  # Holm: the least of three counts three times


def test_a_row_missing_in_one_arm_makes_the_verdict_invalid(tmp_path: Path) -> None:
    inputs = write_run(tmp_path / "run", num_rows=40)
    path = inputs.evaluated.path / "predictions.jsonl"
    write_jsonl(path, read_predictions(path)[:-1])
    found = compare.assemble(CompareConfig.of(recipe()), inputs, Context()).verdict
    assert (found.verdict, found.ship, found.num_rows) == ("invalid", None, 39)
    failed = [guard for guard in found.guards if guard.status == "failed"]
    assert failed == [Guard("one_answer_per_row", "failed", "linear has 39 predictions for 40 test rows")]


@pytest.mark.parametrize(
    ("change", "guard"),
    [
        ({"reference": "something else"}, "references_agree"),
        ({"scores": {"accuracy": 0.0}}, "scores_reproduced"),
        ({"arm": "stranger"}, "one_answer_per_row"),
    ],
)
def test_predictions_that_were_tampered_with_make_the_verdict_invalid(
    tmp_path: Path, change: dict[str, Any], guard: str
) -> None:
    inputs = write_run(tmp_path / "run", num_rows=40)
    path = inputs.evaluated.path / "predictions.jsonl"
    first, *rest = read_predictions(path)
    write_jsonl(path, [replace(first, **change), *rest])
    found = compare.assemble(CompareConfig.of(recipe()), inputs, Context()).verdict
    assert found.verdict == "invalid"
    assert guard in [each.name for each in found.guards if each.status == "failed"]


def test_no_common_row_gives_an_invalid_verdict_and_a_report(tmp_path: Path) -> None:
    inputs = write_run(tmp_path / "run", num_rows=10)
    path = inputs.evaluated.path / "predictions.jsonl"
    write_jsonl(path, [row for row in read_predictions(path) if row.arm != "lora+zero_shot"])
    out = tmp_path / "out"
    out.mkdir()
    verdict = compare.run(CompareConfig.of(recipe()), inputs, out, Context()).verdict
    assert verdict.verdict == "invalid"
    assert verdict.contrast.interval is None
    assert "cannot be trusted" in (out / "report.html").read_text()


def test_two_lists_are_paired_by_id_in_any_order() -> None:
    found = compare_predictions(side(2, "01234678"), side(1, "012345")[::-1], **OPTIONS)
    assert found.contrast.table == PairedTable(both=10, only_a=6, only_b=2, neither=2)
    assert found.contrast.difference == pytest.approx(0.2)


@pytest.mark.parametrize(("a", "b", "verdict"), [("01234567", "0", "a"), ("0", "01234567", "b")])
def test_the_better_list_is_named(a: str, b: str, verdict: str) -> None:
    assert compare_predictions(side(2, a), side(1, b), **OPTIONS).verdict == verdict


def test_lists_of_different_rows_are_refused_by_name_and_number() -> None:
    a, b = side(2, "0"), side(1, "0")
    with pytest.raises(DataError, match=r"1 only in a \('r0000'\), 2 only in b \('r0018', 'r0019'\)"):
        compare_predictions(a[:18], b[1:], **OPTIONS)


def test_an_id_that_stands_twice_is_refused() -> None:
    with pytest.raises(DataError, match=r"20 ids stand twice .*'base\+few_shot', 'lora\+zero_shot'"):
        compare_predictions(side(2, "0") + side(1, "0"), side(1, "0"), **OPTIONS)


def test_different_references_are_refused() -> None:
    first, *rest = side(1, "0")
    with pytest.raises(DataError, match="references differ for 1 rows"):
        compare_predictions(side(2, "0"), [replace(first, reference="other"), *rest], **OPTIONS)


def test_no_predictions_are_refused() -> None:
    with pytest.raises(DataError, match="side b holds no predictions"):
        compare_predictions(side(2, "0"), [], **OPTIONS)
