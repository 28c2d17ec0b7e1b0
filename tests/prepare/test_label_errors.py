"""Train rows whose target is probably wrong are listed."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from table_steps import apply, banking, events_of, table

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.prepare.cleaning import label_errors
from ftkit.prepare.rows import Rows


def test_confident_errors_of_a_case_worked_by_hand() -> None:
    """Thresholds are the mean of 0.9 0.3 0.8 0.1 = 0.525 and of 0.6 0.55 0.2 = 0.45."""
    probabilities = [
        [0.9, 0.1],  # given 0
        [0.3, 0.7],  # given 0: 1 reaches 0.45 and is likelier: suspected, margin 0.4
        [0.8, 0.2],  # given 0
        [0.1, 0.9],  # given 0: suspected, margin 0.8
        [0.4, 0.6],  # given 1
        [0.45, 0.55],  # given 1
        [0.5, 0.2],  # given 1: 0 is likelier, but 0.5 does not reach 0.525
    ]
    found = label_errors.confident_errors(np.array(probabilities, np.float32), np.array([0, 0, 0, 0, 1, 1, 1]))
    assert found.rows.tolist() == [1, 3]
    assert found.suggested.tolist() == [1, 1]
    assert found.margins == pytest.approx([0.4, 0.8], abs=1e-6)


def test_a_target_that_reaches_its_threshold_is_not_suggested_where_the_given_one_is_likelier() -> None:
    # thresholds 0.75 and 0.3: in the first row 1 reaches 0.3 and 0 does not reach 0.75, but 0 is likelier
    probabilities = np.array([[0.6, 0.4], [0.9, 0.1], [0.7, 0.3]], np.float32)
    assert label_errors.confident_errors(probabilities, np.array([0, 0, 1])).rows.tolist() == []


def with_planted_errors(rows: polars.DataFrame, every: int) -> tuple[polars.DataFrame, dict[str, str]]:
    """Another label for one row in `every`; the true label by id."""
    dice = random.Random(5)
    labels = sorted(set(rows["target"]))
    wrong = set(dice.sample(range(rows.height), rows.height // every))
    targets = rows["target"].to_list()
    truth = {str(place + 1): targets[place] for place in wrong}
    for place in sorted(wrong):
        targets[place] = dice.choice([label for label in labels if label != targets[place]])
    return rows.with_columns(polars.Series("target", targets)), truth


def test_label_errors_finds_planted_errors_of_banking77(shared_data: Path) -> None:
    """With all 77 labels and 500 errors: recall 0.63, precision 0.66 (banking77 has errors of its own)."""
    rows, truth = with_planted_errors(banking(shared_data, num_labels=15), every=20)
    assert (rows.height, len(truth)) == (2028, 101)
    marked = apply("label_errors", rows)
    found = marked.events["id"].to_list()
    hits = set(found) & set(truth)
    assert len(hits) / len(truth) >= 0.7  # recall, here 76 of 101
    assert len(hits) / len(found) >= 0.8  # precision, here 76 of 89; by chance 0.05
    suggested = dict(marked.events.select("id", "reason").iter_rows())
    assert sum(f"suggested {truth[name]!r}," in suggested[name] for name in hits) / len(hits) >= 0.9
    assert set(marked.events["action"]) == {"flag"}
    mixed = rows.sample(fraction=1, shuffle=True, seed=1)
    assert sorted(apply("label_errors", mixed, action="drop").events.drop("action").rows()) == sorted(
        marked.events.drop("action").rows()
    )


def small_set() -> polars.DataFrame:
    """Two clear labels of twelve rows, one row of each under the other's label, and a label of two rows."""
    red = [(f"the red apple tastes sweet {number % 3}", "apple") for number in range(12)]
    blue = [(f"my blue car drives fast {number % 3}", "car") for number in range(12)]
    return table(*red, *blue, ("the red apple tastes sweet", "car"), ("my blue car", "apple"), ("x", "y"), ("z", "y"))


def test_label_errors_says_what_was_given_and_what_fits_better() -> None:
    marked = apply("label_errors", small_set())
    assert events_of(marked) == [("25", "flag", None), ("26", "flag", None)]
    for reason, score, expected in zip(
        marked.events["reason"], marked.events["score"], ["'car', suggested 'apple'", "'apple', suggested 'car'"],
        strict=True,
    ):  # fmt: skip
        assert reason == f"given {expected}, margin {score:.3f}"
        assert 0 < score <= 1


def said(rows: polars.DataFrame, **options: Any) -> tuple[int, Sequence[str]]:
    ctx = Context()
    marked = label_errors.apply(label_errors.LabelErrors(**options), Rows.of(rows), ctx)
    return len(marked.events), ctx.progress.said  # type: ignore[attr-defined]


def test_label_errors_says_which_targets_are_too_small_to_judge() -> None:
    assert said(small_set()) == (2, ["label_errors: 1 targets have fewer than 5 rows and are not judged (2 rows): 'y'"])
    assert said(small_set(), folds=2)[1] == []


@pytest.mark.parametrize(
    "rows",
    [
        [("one", "a"), ("two", "b")],
        [("one", "a")] * 9,
        [(f"word{number}", "ab"[number % 2]) for number in range(20)],
        [(" ", "ab"[number % 2]) for number in range(20)],
    ],
    ids=["small", "one target", "no shared word", "no word"],
)
def test_label_errors_says_that_there_is_nothing_to_judge(rows: Iterable[tuple[str, str]]) -> None:
    count, lines = said(table(*rows))
    assert count == 0
    assert lines[-1] == "label_errors: nothing to judge: two targets are needed whose rows share words"


def test_label_errors_refuses_more_rows_than_it_may_hold() -> None:
    with pytest.raises(DataError, match="label_errors: 28 rows of train; at most 20 are judged: raise its max_rows"):
        apply("label_errors", small_set(), max_rows=20)


def test_label_errors_judges_a_conversation_by_all_that_was_said() -> None:
    """Every conversation ends alike; two of them say the other label's words before."""
    rows = small_set().head(26)
    turn = {"role": "user", "content": ""}
    histories = [[{**turn, "content": text}] for text in rows["input"]]
    talks = rows.with_columns(input=polars.lit("Thanks!"), history=polars.Series(histories))
    assert events_of(apply("label_errors", talks)) == [("25", "flag", None), ("26", "flag", None)]


@pytest.mark.parametrize("is_plain", [True, False])
def test_label_errors_has_nothing_to_judge_where_the_text_is_the_target(is_plain: bool) -> None:
    texts = small_set().head(26)
    rows = (
        texts.with_columns(input="target", plain_text=polars.lit(True))
        if is_plain
        else texts.with_columns(input=polars.lit(""))
    )
    assert said(rows) == (0, ["label_errors: nothing to judge: two targets are needed whose rows share words"])
