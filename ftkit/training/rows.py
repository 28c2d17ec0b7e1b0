"""What is learned: rows of Python as examples, by the same shapes as a recipe's; and examples as rows of ids.

Knows no weights and no loop. Used by the stage train and by the Trainer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ftkit.answers.asking import Asker, ask_all
from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context, TooLong
from ftkit.engine.answerer import Question, Reader
from ftkit.engine.loss import Row
from ftkit.errors import DataError
from ftkit.prepare.conversation import NoExampleError, read_messages
from ftkit.prepare.formats.json_rows import MalformedError, table_of
from ftkit.prepare.shapes import recognise
from ftkit.records import Example, Message
from ftkit.registry import choice_of

PLAIN = {"input", "target"}


@dataclass(frozen=True)
class TrainingRows:
    """Rows as ids, and how many did not fit the context as they were."""

    rows: list[Row]
    num_cut: int
    num_dropped: int


def training_rows(
    reader: Reader, prompter: Prompter, examples: Sequence[Example], *, too_long: TooLong, where: str, ctx: Context
) -> TrainingRows:
    """Examples as the loop takes them. Raises DataError where a target does not fit, or nothing is left."""
    asker = Asker.of_targets(reader, prompter)
    asked = ask_all(asker, examples, ctx, description=f"tokenising {where}", too_long=too_long)
    if asked.num_cut or asked.num_dropped:
        what = f"{asked.num_cut} rows cut, {asked.num_dropped} dropped"
        ctx.progress.say(f"{where}: {what}: longer than {reader.context_length or 0:,} tokens")
    if not asked.questions:
        raise DataError(f"{where}: no row fits the model's context (train.too_long)")
    return TrainingRows([row_of(question) for question in asked.questions], asked.num_cut, asked.num_dropped)


def row_of(question: Question) -> Row:
    """A question that asks for its target, as the loop takes it: the context is read, the target is learned."""
    (target_ids,) = question.choices_ids
    mask = [False] * len(question.context_ids) + [True] * len(target_ids)
    return Row([*question.context_ids, *target_ids], mask, question.example.weight)


def examples_of(rows: Sequence[Mapping[str, Any]], where: str) -> list[Example]:
    """Rows of Python as examples, in their order, each with the id `where[place]`.

    `input` and `target` (with `history`, `weight`, `tools` and `rejected`, as prepare writes them), `messages`, or any
    other shape that a source of a recipe may have. Raises DataError that names the row.
    """
    ids = [f"{where}[{place}]" for place in range(len(rows))]
    for name, row in zip(ids, rows, strict=True):
        if not isinstance(row, Mapping):
            raise DataError(f"{name}: is a {type(row).__name__}; expected a dict")
    made: dict[str, Example] = {}
    for is_plain in (True, False):
        chosen = {name: row for name, row in zip(ids, rows, strict=True) if bool(PLAIN & row.keys()) == is_plain}
        try:
            made |= _examples(chosen, "columns" if is_plain else None) if chosen else {}
        except DataError as error:
            raise DataError(f"{where}: {error}" if not str(error).startswith(where) else str(error)) from None
    return [made[name] for name in ids]


def _examples(rows: Mapping[str, Mapping[str, Any]], shape: str | None) -> dict[str, Example]:
    """Rows of one shape, by id. Without a name the shape is recognised."""
    import polars

    columns = dict.fromkeys(str(name) for row in rows.values() for name in row)
    try:
        table = table_of(list(rows.values()), columns)
    except (MalformedError, TypeError, ValueError) as error:  # what no JSON holds: a date, an object
        raise DataError(f"{next(iter(rows))} and following: not rows of plain JSON values: {error}") from None
    table = table.insert_column(0, polars.Series("id", list(rows)))
    named = choice_of("shapes").model_validate(shape or recognise(table))
    shaped = named(table)
    for name, reason in shaped.faults.items():
        raise DataError(f"{name}: {reason}; keys are {sorted(rows[name])}")
    return {each["id"]: _example(each, rows[each["id"]]) for each in shaped.table.to_dicts()}


def _example(shaped: Mapping[str, Any], row: Mapping[str, Any]) -> Example:
    """A row that has a shape, with what it carries beside input and target."""
    name = shaped["id"]
    history = shaped["history"] if shaped.get("history") is not None else _history(row.get("history"), name)
    weight = row.get("weight")
    if weight is not None and (isinstance(weight, (bool, str)) or not 0 < weight < float("inf")):
        raise DataError(f"{name}: 'weight' is {weight!r}; expected a number above 0")
    return Example(
        id=name,
        input=shaped["input"],
        target=shaped["target"],
        group=name,
        history=tuple({"role": turn["role"], "content": turn["content"]} for turn in history),
        weight=1.0 if weight is None else float(weight),
        rejected=shaped.get("rejected", row.get("rejected")),
        tools=shaped.get("tools", row.get("tools")),
    )


def _history(value: Any, name: str) -> list[Message]:
    if not value:
        return []
    try:
        return [{"role": each.role, "content": each.content} for each in read_messages(value, "history")]
    except NoExampleError as error:
        raise DataError(f"{name}: {error}") from None
