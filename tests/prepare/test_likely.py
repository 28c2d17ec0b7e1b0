"""Columns that a source does not have are named all at once, with those that are likely meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import errors, refused

from ftkit.prepare.likely import likely


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            "input: question, target: answer",
            [
                "data.source: input: source has no column 'question'; known: text, label, customer",
                "data.source: target: source has no column 'answer'; known: text, label, customer",
                "data.source: likely input: text, target: label",
            ],
        ),
        (
            "input: txt, target: lable",
            [
                "data.source: input: source has no column 'txt'; did you mean 'text'? the columns are text, label, "
                "customer",
                "data.source: target: source has no column 'lable'; did you mean 'label'? the columns are text, label, "
                "customer",
            ],
        ),
        (
            "shape: {alpaca: {instruction: txt, output: answer}}",
            [
                "data.source: shape alpaca: there is no column 'txt' (did you mean 'text'?) and no 'answer'; the "
                "columns are text, label, customer",
            ],
        ),
    ],
)
def test_wrong_columns_are_named_all_at_once_with_the_likely_ones(columns: str, said: list[str], place: Path) -> None:
    done = refused(f"data.source={{jsonl: {{path: rows.jsonl, {columns}}}}}")
    assert (done.code, errors(done)) == (3, said)


@pytest.mark.parametrize(
    ("columns", "meant"),
    [
        (["text", "label"], "input: text, target: label"),
        (["Label", " Text ", "id2"], "input:  Text , target: Label"),
        (["question", "category", "answer"], "input: question, target: answer"),
        (["ticket", "label"], "input: ticket, target: label"),
        (["text", "team"], "input: text, target: team"),
        (["a", "b"], ""),
        (["text", "a", "b"], ""),
        ([], ""),
    ],
)
def test_likely_columns_are_known_by_their_usual_names(columns: list[str], meant: str) -> None:
    assert likely(columns) == meant
