"""Whatever rows hold, a shape makes examples of them or faults, and a source is of one shape or refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars
from hypothesis import given, settings
from hypothesis import strategies as st
from shaping import TALKS, TEXTS, from_json, shape

from ftkit.contracts import Shaped
from ftkit.errors import DataError
from ftkit.prepare.formats.json_rows import table_of
from ftkit.prepare.shapes import recognise

HISTORY = polars.List(polars.Struct({"role": polars.String, "content": polars.String}))
CHOICES: Sequence[str | dict[str, Any]] = [
    "columns",
    {"columns": {"input": "{input}-{question} {{x}}", "target": "{target}"}},
    "alpaca",
    "messages",
    {"messages": {"column": "conversations", "turns": "every"}},
    "sharegpt",
    "prompt_completion",
    "preference",
    {"preference": {"prompt": "input", "label": "label"}},
    "question_answer",
    "text",
]
COLUMNS = [
    "input", "target", "instruction", "output", "system", "history", "messages", "conversations", "tools", "prompt",
    "completion", "chosen", "rejected", "label", "question", "answer", "answers", "context", "text",
]  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["user", "assistant", "system", "tool", "human", "nobody"]) | SCALARS,
        "from": st.sampled_from(["human", "gpt", "system", "observation"]),
        "content": SCALARS | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": TEXTS}), max_size=2),
        "value": TEXTS,
        "weight": st.sampled_from([0, 1]),
        "tool_calls": st.lists(
            st.fixed_dictionaries({"function": st.fixed_dictionaries({"name": SCALARS})}), max_size=2
        ),
    },
)
TREES = st.recursive(
    SCALARS, lambda each: st.lists(each, max_size=3) | st.dictionaries(TEXTS, each, max_size=3), max_leaves=6
)
VALUES = SCALARS | TALKS | st.lists(MESSAGES, max_size=4) | TREES | st.lists(st.lists(TEXTS, max_size=3), max_size=2)


LIKELY = {
    **dict.fromkeys(["messages", "conversations"], TALKS | st.lists(MESSAGES, min_size=1, max_size=3)),
    **dict.fromkeys(["prompt", "chosen", "rejected", "completion"], TEXTS | TALKS),
    "label": st.sampled_from([1, 2, "1", 3]),
    "history": st.lists(st.lists(TEXTS, min_size=2, max_size=2)),
    "answers": st.lists(TEXTS),
    "tools": TREES,
}


@st.composite
def rows_for_a_shape(draw: st.DrawFn) -> tuple[str | dict[str, Any], list[dict[str, Any]]]:
    """A shape, and up to five rows with the columns that it needs and a few more, whose values are of any kind."""
    choice = draw(st.sampled_from(CHOICES))
    more = draw(st.lists(st.sampled_from(COLUMNS), max_size=3))
    names = sorted(needed_columns(choice)) + more
    kinds = {name: draw(st.sampled_from([LIKELY.get(name, TEXTS)] * 3 + [VALUES])) for name in names}
    return choice, [{key: draw(kind) for key, kind in kinds.items()} for _ in range(draw(st.integers(1, 5)))]


@settings(max_examples=200, deadline=None)
@given(given=rows_for_a_shape(), cut=st.integers(0, 5))
def test_any_rows_become_examples_or_faults_whatever_the_batches(
    given: tuple[str | dict[str, Any], list[dict[str, Any]]], cut: int
) -> None:
    choice, rows = given
    table = from_json(*rows)
    shaped = shape(choice, table)
    check(table, shaped, key="conversation" if "every" in str(choice) else "id")
    halves = []
    for begin, end in ((0, cut), (cut, len(rows))):
        part = table_of(rows[begin:end], rows[0]).with_columns(table["id"][begin:end])
        halves.append(shape(choice, part))
    assert polars.concat([half.table for half in halves]).equals(shaped.table)
    assert {**halves[0].faults, **halves[1].faults} == shaped.faults


@settings(max_examples=100, deadline=None)
@given(
    rows=st.lists(st.dictionaries(st.sampled_from(COLUMNS), VALUES, max_size=5), max_size=3),
)
def test_any_columns_are_recognised_as_one_shape_or_refused(rows: list[dict[str, Any]]) -> None:
    table = from_json(*rows)
    try:
        found = recognise(table)
    except DataError as error:
        assert "columns:" in str(error)
    else:
        check(table, shape(found, table), key="id")


def needed_columns(choice: str | dict[str, Any]) -> set[str]:
    needed = {
        "columns": {"input", "target"}, "alpaca": {"instruction", "output"}, "messages": {"messages"},
        "sharegpt": {"conversations"}, "prompt_completion": {"prompt", "completion"},
        "preference": {"chosen", "rejected"}, "question_answer": {"question", "answer"}, "text": {"text"},
    }  # fmt: skip
    if isinstance(choice, str):
        return needed[choice]
    extra = {"columns": {"input", "question", "target"}, "messages": {"conversations"}}
    return extra.get(next(iter(choice)), {"chosen", "rejected", "input", "label"})


def check(table: polars.DataFrame, shaped: Shaped, *, key: str) -> None:
    """Rows in are rows out and faults; order is kept; input and target are strings and never null."""
    ids = table["id"].to_list()
    kept = [name for name in ids if name not in shaped.faults]
    assert shaped.faults.keys() <= set(ids)
    assert list(dict.fromkeys(shaped.table[key].to_list())) == kept
    assert shaped.table["id"].n_unique() == shaped.table.height
    assert all(reason for reason in shaped.faults.values())
    for name in ("input", "target"):
        assert shaped.table.schema[name] == polars.String
        assert shaped.table[name].null_count() == 0
    for name, kind in (("history", HISTORY), ("rejected", polars.String), ("tools", polars.String)):
        assert shaped.table.schema.get(name, kind) == kind
