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
from ftkit.report.wording import one_sentence
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
        "sentence", "verdict", "ship", "lean", "primary", "num_rows", "num_groups", "contrast",
        "minimum_detectable_difference", "rows_needed", "groups_needed",
        "prompts", "simple", "floor", "cheaper", "arms", "floors", "guards", "uncut",
    ]  # fmt: skip
    assert list(verdict["contrast"]) == ["a", "b", "difference", "interval", "p_value", "test", "table"]
    assert list(verdict["arms"]["base+zero_shot"]) == [
        "side", "model", "precision", "metrics", "num_unparsed", "num_empty", "num_truncated", "num_cut",
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


FREE = {"compare__prices__input_tokens": 0, "compare__prices__output_tokens": 0}


@pytest.mark.parametrize(
    ("prices", "ship"),
    [
        (FREE, "lora+zero_shot"),  # no price is declared: 33 + 2 tokens against 150 + 2
        ({**FREE, "compare__prices__output_tokens": 1}, "base+few_shot"),  # 2 tokens each: a tie
    ],
)
def test_equivalent_arms_are_weighed_by_tokens_without_prices_and_a_tie_ships_the_prompt(
    tmp_path: Path, prices: dict[str, Any], ship: str
) -> None:
    changes = {**ONE_METRIC, "compare__margin": 0.1, **prices}
    verdict = run(tmp_path, right={"lora+zero_shot": "012345"}, changes=changes)
    assert (verdict.verdict, verdict.ship) == ("equivalent", ship)


def test_fine_tuning_has_to_beat_every_frozen_prompt(tmp_path: Path) -> None:
    # few-shot was the best on valid; on test the other prompt answers as well as the tuned model
    verdict = run(tmp_path, right={"base+zero_shot": "01234678"}, changes=ONE_METRIC)
    assert (verdict.verdict, verdict.ship, verdict.lean) == ("inconclusive", "base+few_shot", "better")
    assert verdict.contrast.interval is not None and verdict.contrast.interval.low > 0.02
    assert [(each.a, each.b, each.difference) for each in verdict.prompts] == [
        ("lora+zero_shot", "base+zero_shot", 0.0)
    ]
    assert "but not surely than each other prompt that was frozen: base+zero_shot (−1.4 to +1.4)" in verdict.sentence


def test_a_cheaper_prompt_that_is_not_told_apart_is_named_with_its_tokens(tmp_path: Path) -> None:
    verdict = run(tmp_path, right={"lora+zero_shot": "0", "base+zero_shot": "012346"}, changes=ONE_METRIC)
    assert (verdict.verdict, verdict.ship) == ("prompting", "base+few_shot")
    assert verdict.cheaper == ("base+zero_shot",)
    assert verdict.sentence.endswith(
        "Not told apart from base+few_shot (150 tokens a request), and cheaper: base+zero_shot (33 tokens a request)."
    )


@pytest.mark.parametrize(
    ("linear", "words"),
    [
        ("012345678", "A linear model on word counts beats both (90.0 % against 80.0 % and 60.0 %): ship linear."),
        (
            "01234678",
            "A linear model on word counts is no worse than both, and costs less (80.0 % against 80.0 % and 60.0 %): "
            "ship linear.",
        ),
    ],
)
def test_something_simpler_that_is_no_worse_is_said_first_and_shipped(tmp_path: Path, linear: str, words: str) -> None:
    verdict = run(tmp_path, right={"linear": linear}, changes=ONE_METRIC)
    assert (verdict.verdict, verdict.ship) == ("fine_tuned", "linear")
    assert verdict.sentence.startswith(f"{words} Of the other two, fine-tuning is worth it. On the same 240 test rows")
    assert [(each.a, each.b) for each in verdict.simple] == [("linear", "lora+zero_shot"), ("linear", "base+few_shot")]
    for page in ("report.html", "report.md"):
        assert words in (tmp_path / "compare" / page).read_text()
    assert '<p class="chip simple">something simpler</p>' in (tmp_path / "compare" / "report.html").read_text()


def test_the_sentence_is_the_same_in_verdict_json_and_report(tmp_path: Path) -> None:
    verdict = run(tmp_path, changes=ONE_METRIC)
    assert verdict.sentence == (
        "Fine-tuning is worth it: ship lora+zero_shot. On the same 240 test rows lora+zero_shot scores 80.0 % in "
        "accuracy and the best prompt, base+few_shot, 60.0 %: a difference of +20.0 points; with 95 % confidence the "
        "true difference lies in +12.1 to +27.4 points. The whole interval lies above the margin of 2 points. That "
        "holds against each of the frozen prompts: base+zero_shot (+33.2 to +45.8). "
        "Answers were stopped by max_new_tokens: 6 for lora+zero_shot and 6 for base+few_shot."
    )
    page = (tmp_path / "compare" / "report.html").read_text()
    assert [part for part in verdict.sentence.split(". ") if part.rstrip(".") not in page] == []


def test_arms_that_are_no_better_than_reading_nothing_are_not_shipped_in_silence(tmp_path: Path) -> None:
    # 20 % of the rows are about delivery
    verdict = run(tmp_path, right=dict.fromkeys(comparisons.RIGHT, "23"), changes=ONE_METRIC)
    assert verdict.sentence.startswith(
        "Neither lora+zero_shot nor base+few_shot nor linear is proven better than giving every row the commonest "
        "answer of train (20.0 %): look at the rows, the metric or the model. On the same 240 test rows"
    )
    assert verdict.floors == {"majority": {"accuracy": pytest.approx(0.2)}}


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


def test_different_groups_are_refused() -> None:
    first, *rest = side(1, "0")
    with pytest.raises(DataError, match=r"groups differ for 1 rows \('r0000'\)"):
        compare_predictions(side(2, "0"), [replace(first, group="other"), *rest], **OPTIONS)


def test_sixteen_groups_are_too_few_and_the_words_agree_with_the_numbers(shared_cases: Path) -> None:
    a, b = (read_predictions(shared_cases / f"groups16_{name}.jsonl") for name in "ab")
    found = compare_predictions(a, b, **OPTIONS)
    assert (found.num_rows, found.num_groups, found.verdict, found.lean) == (673, 16, "inconclusive", "none")
    # by hand: 118 rows between them, m² = Σ n² / 16 = 42.64², c = 118 / (673 + 3·42.64) = 0.1473
    assert found.contrast.interval == pytest.approx((-0.0529, 0.3476), abs=5e-5)
    assert one_sentence(found).endswith(
        "The interval leaves open which of the two is better; the margin is 2 points. About 26 groups of test rows "
        "(1,094 rows in groups like these) would settle a difference of this size."
    )


def test_identical_arms_in_groups_have_an_interval_and_are_told_what_it_takes(shared_cases: Path) -> None:
    a = read_predictions(shared_cases / "groups16_a.jsonl")
    found = compare_predictions(a, a, **OPTIONS)
    assert found.contrast.difference == 0.0
    assert found.contrast.interval is not None and found.contrast.interval.high == -found.contrast.interval.low > 0.05
    assert found.verdict == "inconclusive"
    assert found.groups_needed is not None and found.groups_needed > 16
    assert "would show that the two are equivalent, if they are as near as here." in one_sentence(found)


@pytest.mark.parametrize(
    ("num_rows", "group", "said"),
    [
        (1, None, "On the same 1 test row lora+zero_shot"),
        (1, None, "a difference of +100.0 points; one row gives no interval, so nothing is sure. It stays open which"),
        (3, "g", "On the same 3 test rows (in 1 group) lora+zero_shot"),
        (3, "g", "one group gives no interval, so nothing is sure. It stays open which of the two is better; the"),
    ],
)
def test_one_row_or_group_is_said_to_give_no_interval(num_rows: int, group: str | None, said: str) -> None:
    a, b = (
        [replace(row, group=group or row.group) for row in rows]
        for rows in (side(2, "012", num_rows), side(1, "", num_rows))
    )
    assert said in one_sentence(compare_predictions(a, b, **OPTIONS))


def test_an_interval_beyond_the_margin_that_may_not_decide_says_why() -> None:
    macro_f1 = MetricChoice.model_validate("macro_f1")
    a, b = side(2, "0123456789", 50), side(1, "01234", 50)
    for one, other in ((a, b), (b, a)):
        found = compare_predictions(one, other, **{**OPTIONS, "metric": macro_f1})
        ends = found.contrast.interval
        assert found.verdict == "inconclusive" and ends is not None and (ends.low > 0.02 or ends.high < -0.02)
        assert one_sentence(found).endswith(
            "Measured against the margin of 2 points that would settle it, but the intervals of macro_f1 tend to be "
            "too short on so few rows: nothing is decided on them. About 100 test rows would settle a difference of "
            "this size."
        )


def test_two_rows_decide_nothing() -> None:
    found = compare_predictions(side(2, "01", 2), side(1, "", 2), **OPTIONS)
    assert found.contrast.difference == 1.0
    assert (found.verdict, found.contrast.interval) == ("inconclusive", (-1.0, 1.0))


def test_different_references_are_refused() -> None:
    first, *rest = side(1, "0")
    with pytest.raises(DataError, match="references differ for 1 rows"):
        compare_predictions(side(2, "0"), [replace(first, reference="other"), *rest], **OPTIONS)


def test_no_predictions_are_refused() -> None:
    with pytest.raises(DataError, match="side b holds no predictions"):
        compare_predictions(side(2, "0"), [], **OPTIONS)


def test_a_prompt_that_is_shipped_and_no_better_than_reading_nothing_is_said_so(tmp_path: Path) -> None:
    # the tuned model is better than the prompt, not surely by more than 17 points: the prompt would be kept
    right = {"lora+zero_shot": "0236", "base+few_shot": "23", "base+zero_shot": "23", "linear": ""}
    verdict = run(tmp_path, right=right, changes={**ONE_METRIC, "compare__margin": 0.17})
    assert (verdict.verdict, verdict.ship) == ("inconclusive", "base+few_shot")
    assert (
        "until more rows decide. Not even base+few_shot is proven better than giving every row the commonest answer of "
        "train (20.0 %): look at the rows, the metric or the model."
    ) in verdict.sentence
