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


def test_of_two_sources_each_is_named_with_its_own_likely_columns(place: Path) -> None:
    Path("more.csv").write_text("message,intent\nhello,greeting\nbye,parting\n", encoding="utf-8")
    first, second = "jsonl: {path: rows.jsonl, input: text, target: lable}", "csv: {path: more.csv, input: text}"
    done = refused(f"data.source=[{{{first}}}, {{{second}}}]", "data.source.1.csv.target=label", command="check")
    no_header = "; where the first row is no header, name the columns of the source: columns: […]"
    assert (done.code, errors(done)) == (
        3,
        [
            "data.source.0: target: source.0 has no column 'lable'; did you mean 'label'? the columns are text, label, "
            "customer",
            f"data.split.group: source.1 has no column 'customer'; known: message, intent{no_header}",
            f"data.source.1: input: source.1 has no column 'text'; known: message, intent{no_header}",
            f"data.source.1: target: source.1 has no column 'label'; known: message, intent{no_header}",
            "data.source.1: likely input: message, target: intent",
        ],
    )


def test_a_hint_at_a_slip_does_not_contradict_the_likely_columns(place: Path) -> None:
    done = refused("data.source={jsonl: {path: rows.jsonl, input: question, target: texts}}")
    assert errors(done) == [
        "data.source: input: source has no column 'question'; known: text, label, customer",
        "data.source: target: source has no column 'texts'; known: text, label, customer",
        "data.source: likely input: text, target: label",
    ]


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
