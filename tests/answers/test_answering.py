"""Arms answer rows through one door: what fits, what is cut, how labels are decided."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from ftkit.answers.answering import (
    LabelScores,
    label_predictions,
    metric_value,
    predict,
    reference,
    score_labels,
    scored,
)
from ftkit.answers.asking import Asker, longest_beginning
from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context, TaskSpec
from ftkit.engine.answerer import ContinuationScore, Question, Tokenizing
from ftkit.engine.load import ModelSpec, load
from ftkit.engine.local import LocalModel
from ftkit.errors import DataError
from ftkit.recipe.schema import ExtractorChoice, MetricChoice
from ftkit.records import Example, Prediction

LABELS = ("refund", "refund status", "login")
CLASSIFY = TaskSpec("classify", LABELS, 0, lambda text: text)
ZERO_SHOT = Prompter(label="zero_shot", family="zero_shot", instruction="Classify the message.")


def example(text: str, target: str = "refund", name: str = "1") -> Example:
    return Example(id=name, input=text, target=target, group=name)


@pytest.fixture(scope="module")
def base() -> LocalModel:
    folder = Path(__file__).parents[2] / "data" / "tiny-base"
    return LocalModel(load(ModelSpec(path=folder, hub=None, revision=None, precision="float32"), Context()))


def asker(base: LocalModel, context_length: int) -> Asker:
    return Asker.of_task(Tokenizing(base.renderer, context_length), ZERO_SHOT, CLASSIFY)


def fitted(asker: Asker, row: Example) -> Question:
    question = asker.fitted(row)
    assert question is not None
    return question


def scores(*rows: list[float], free: list[float]) -> LabelScores:
    questions = [
        Question(example("x", name=str(i)), [], LABELS, [1], [[5, 2], [5, 6, 2], [7, 2]], False)
        for i in range(len(rows))
    ]
    tokens = (2, 3, 2)
    made = [[ContinuationScore(value, count) for value, count in zip(row, tokens, strict=True)] for row in rows]
    return LabelScores(questions, made, free)


def test_sum_mean_and_calibrated_can_each_choose_another_label() -> None:
    found = scores([-4.0, -4.5, -4.4], free=[-1.0, -2.0, -4.0])
    assert found.decide(CLASSIFY, "sum") == ["refund"]  # -4.0 is the highest
    assert found.decide(CLASSIFY, "mean") == ["refund status"]  # -4.5 / 3 = -1.5
    assert found.decide(CLASSIFY, "calibrated") == ["login"]  # -4.4 + 4.0 = -0.4


def test_the_loss_of_valid_is_a_mean_over_target_tokens() -> None:
    assert scores([-4.0, -9.0, -9.0], [-2.0, -9.0, -9.0], free=[0, 0, 0]).target_loss(CLASSIFY) == 6.0 / 4


def test_the_longest_beginning_that_fits_is_found() -> None:
    assert longest_beginning("abcdef", lambda text: len(text) <= 4) == "abcd"
    assert longest_beginning("abc", lambda text: True) == "abc"
    assert longest_beginning("abc", lambda text: not text) == ""
    assert longest_beginning("abc", lambda text: False) is None


def test_an_input_that_does_not_fit_is_cut_and_flagged_and_the_rest_of_the_prompt_stays(base: LocalModel) -> None:
    asking = asker(base, 40)
    question = fitted(asking, example("where is my parcel " * 30))
    text = base.renderer.tokenizer.decode(question.context_ids)
    assert question.is_cut
    assert 36 <= asking.needed(question) <= 40
    assert "Classify the message.\n\nwhere is my parcel" in text
    assert text.endswith("<|end|><|assistant|>")
    assert not fitted(asking, example("where is it")).is_cut


def test_a_prompt_that_never_fits_is_an_error_that_names_row_and_remedy(base: LocalModel) -> None:
    with pytest.raises(DataError, match=r"^T7: prompt zero_shot needs \d+ tokens even with an empty input.*shorter"):
        asker(base, 8).fitted(example("hello", name="T7"))


def test_a_label_that_begins_another_is_scored_with_its_own_end(base: LocalModel) -> None:
    question = fitted(asker(base, 512), example("hello"))
    (end,) = base.renderer.eos_ids
    assert [ids[-1] for ids in question.choices_ids] == [end] * 3
    one, two, _ = question.choices_ids
    assert two[: len(one) - 1] == one[:-1]
    assert two != one


def test_labels_are_rendered_alike_whichever_row_came_first(base: LocalModel) -> None:
    rows = [example("hello", name="1"), example("?\n\n", name="2"), example("é 👍", name="3")]
    together = asker(base, 512)
    for row in rows:
        alone = fitted(asker(base, 512), row)
        assert fitted(together, row) == alone


def test_predictions_count_tokens_and_keep_the_order_of_rows(base: LocalModel) -> None:
    rows = [example("a " * count, name=str(count)) for count in (9, 1, 5)]
    found = predict("base+zero_shot", base, ZERO_SHOT, CLASSIFY, rows, Context())
    assert [row.id for row in found] == ["9", "1", "5"]
    assert found[0].prompt_tokens > found[2].prompt_tokens > found[1].prompt_tokens
    assert all(row.parsed in LABELS and row.flags == () for row in found)


def test_calibration_divides_by_the_mean_probability_behind_content_free_inputs(base: LocalModel) -> None:
    found = score_labels(base, ZERO_SHOT, CLASSIFY, [example("N/A"), example("[MASK]"), example("")], Context())
    mean = sum(math.exp(row[0].sum) for row in found.scores) / 3
    assert found.content_free[0] == pytest.approx(math.log(mean), rel=1e-6)


def test_generation_flags_what_was_cut_off_and_what_could_not_be_parsed(base: LocalModel) -> None:
    number = ExtractorChoice.model_validate("last_number")
    task = TaskSpec("generate", (), 2, lambda text: number(text))
    (row,) = predict("arm", base, ZERO_SHOT, task, [example("hello", "the answer is 4")], Context())
    assert row.reference == "4"
    assert row.completion_tokens <= 2
    assert ("unparsed" in row.flags) == (row.parsed is None and row.raw.strip() != "")


def test_a_target_without_an_answer_is_an_error_that_names_the_row() -> None:
    number = ExtractorChoice.model_validate("last_number")
    task = TaskSpec("generate", (), 2, lambda text: number(text))
    with pytest.raises(DataError, match=r"^T3: the extractor finds no answer in the target 'none'"):
        reference(task, example("x", "none", name="T3"))


@pytest.mark.parametrize("extract", ["exact", "first_line", "last_number", {"regex": {"pattern": "answer is (.+)"}}])
def test_rows_without_a_target_are_answered_and_have_no_reference(extract: Any, base: LocalModel) -> None:
    chosen = ExtractorChoice.model_validate(extract)
    task = TaskSpec("generate", (), 2, lambda text: chosen(text))
    rows = predict("arm", base, ZERO_SHOT, task, [example("hello", ""), example("you", "", name="2")], Context())
    assert [(row.id, row.reference, row.parsed) for row in rows] == [
        ("1", "", chosen(rows[0].raw)),
        ("2", "", chosen(rows[1].raw)),
    ]


def test_scores_of_rows_are_kept_and_corpus_metrics_have_none() -> None:
    metrics = [MetricChoice.model_validate("accuracy"), MetricChoice.model_validate("macro_f1")]
    rows = [Prediction("a", str(i), "g", "x", "x", parsed, {}, (), 1, 1) for i, parsed in enumerate(["x", None])]
    assert [row.scores for row in scored(rows, metrics)] == [{"accuracy": 1.0}, {"accuracy": 0.0}]
    assert metric_value(metrics[0], rows) == 0.5
    assert metric_value(metrics[1], rows) == pytest.approx(2 / 3)


def test_label_predictions_agree_with_the_decision() -> None:
    found = scores([-4.0, -4.5, -4.4], free=[0, 0, 0])
    (row,) = label_predictions("arm", found, CLASSIFY, "mean")
    assert (row.raw, row.parsed, row.completion_tokens, row.reference) == (
        "refund status",
        "refund status",
        3,
        "refund",
    )
