"""What is learned: rows of Python as examples, by the same shapes as a recipe's; and examples as rows of ids.

Knows no weights and no loop. Used by the stage train and by the Trainer.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftkit.answers.asking import Asker, ask_all
from ftkit.answers.prompt import Prompter
from ftkit.contracts import Context, TooLong
from ftkit.engine.answerer import Question, Reader
from ftkit.engine.loss import Row
from ftkit.errors import DataError
from ftkit.prepare.conversation import NoExampleError, read_messages
from ftkit.prepare.shapes import recognise, table_by_id
from ftkit.records import Example, Message
from ftkit.registry import choice_of

if TYPE_CHECKING:
    from ftkit.contracts import Table

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
    """Rows of Python as examples, in their order, each with the id `where[place]` and its own id behind that.

    `input` and `target` (with `history`, `weight`, `tools` and `rejected`, as prepare writes them), or any other shape
    that a source of a recipe may have, with `weight`. Raises DataError that names the row.
    """
    named: dict[str, Mapping[str, Any]] = {}
    for place, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise DataError(f"{where}[{place}]: is a {type(row).__name__}; expected a dict")
        named[f"{where}[{place}]{_own_id(row)}"] = row
    made: dict[str, Example] = {}
    for is_plain in (True, False):
        chosen = {name: row for name, row in named.items() if (row.keys() >= PLAIN) == is_plain}
        made |= _examples(chosen, is_plain=is_plain) if chosen else {}
    return [made[name] for name in named]


def _own_id(row: Mapping[str, Any]) -> str:
    own = row.get("id")
    return f" (id {own!r})" if isinstance(own, (str, int)) and not isinstance(own, bool) else ""


def _examples(rows: Mapping[str, Mapping[str, Any]], *, is_plain: bool) -> dict[str, Example]:
    """Rows of one shape, by id. One that is not plain is recognised."""
    table = table_by_id(rows)
    shape = choice_of("shapes").model_validate("columns" if is_plain else _recognised(rows, table))
    shaped = shape(table)
    for name, reason in shaped.faults.items():
        raise DataError(f"{name}: {reason}; {_keys(rows[name])}")
    return {each["id"]: _example(each, rows[each["id"]], is_plain=is_plain) for each in shaped.table.to_dicts()}


def _recognised(rows: Mapping[str, Mapping[str, Any]], table: Table) -> str:
    try:
        return recognise(table)
    except DataError as error:
        reason = str(error)
    for name, row in rows.items():
        if PLAIN & row.keys():
            (missing,) = PLAIN - row.keys()
            raise DataError(f"{name}: {missing!r} is missing; {_keys(row)}")
    raise DataError(f"{next(iter(rows))}: {reason}")


def _keys(row: Mapping[str, Any]) -> str:
    return f"keys are {sorted(map(str, row))}"


def _example(shaped: Mapping[str, Any], row: Mapping[str, Any], *, is_plain: bool) -> Example:
    """A row that has a shape; a plain one carries more beside input and target."""
    name, weight = shaped["id"], row.get("weight")
    if not shaped["target"].strip():
        raise DataError(f"{name}: the target is empty; mend the row or leave it out")
    if weight is not None and not _is_weight(weight):
        raise DataError(f"{name}: 'weight' is {weight!r}; expected a number above 0")
    more = {**row, "history": _history(row.get("history"), name)} if is_plain else shaped
    return Example(
        id=name,
        input=shaped["input"],
        target=shaped["target"],
        group=name,
        history=tuple(more.get("history") or ()),
        weight=1.0 if weight is None else float(weight),
        rejected=more.get("rejected"),
        tools=more.get("tools"),
    )


def _is_weight(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= sys.float_info.max


def _history(value: Any, name: str) -> list[Message]:
    if not value:
        return []
    try:
        return [{"role": each.role, "content": each.content} for each in read_messages(value, "history")]
    except NoExampleError as error:
        raise DataError(f"{name}: {error}") from None
