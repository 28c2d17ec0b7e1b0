"""Question and answer, with the context they are about where there is one, as in GSM8K and SQuAD.

Knows no other shape. Of several answers the first is the target; the others are not read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.prepare.conversation import NoExampleError, answer_text, filled, parse_json, shown
from ftkit.prepare.formats.json_rows import Value
from ftkit.prepare.shapes import ShapeConfig, TextColumn, shaped, taken_as_text, text_column, values
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table


class QuestionAnswer(ShapeConfig):
    """The names of the columns; the context may be missing, null or empty."""

    question: str = Field("question", description="column of the question")
    answer: str = Field("answer", description="column of the answer, a text")
    answers: str = Field("answers", description="column of a list of answers, or {text: [...]}; where no answer is")
    context: str | None = Field("context", description="column of a text that stands before the question")

    wants: ClassVar[str] = "question and answer, or answers (a list), and perhaps context"

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether there are a question and an answer."""
        return "question" in table.columns and not {"answer", "answers"}.isdisjoint(table.columns)

    def questions(self, table: Table) -> Shaped:
        """The question with its context."""
        return shape(self.model_copy(update={"answer": self.question}), table)


@component
def shape(config: QuestionAnswer, table: Table) -> Shaped:
    """Input is the question, behind the context and an empty line where it has one; target is the (first) answer."""
    import polars

    has_list = config.answer not in table.columns and config.answers in table.columns
    config.require(table, "question", *(() if has_list else ("answer",)), optional=("answer", "answers", "context"))
    question, context = (
        text_column(table, config.question, use="input"),
        text_column(table, config.context, use="input", is_optional=True),
    )
    has_context = context.values != ""
    whole = polars.when(has_context).then(context.values + "\n\n" + question.values).otherwise(question.values)
    answer = _first_answers(table, config.answers) if has_list else text_column(table, config.answer)
    made = shaped(table, [context, question, answer], input=whole, target=answer.values)
    return replace(made, unread=_beside_the_first(table, config.answers)) if has_list else made


def _beside_the_first(table: Table, column: str) -> set[str]:
    """What stands beside the first answers: others than the first, and what is said of them."""
    unread = set()
    for value in values(table, column):
        try:
            cell = parse_json(value, column) if isinstance(value, str) else value
        except NoExampleError:  # a fault
            continue
        unread |= {f"{column}.{name}" for name in filled(cell, "text")}
        given = cell.get("text") if isinstance(cell, dict) else cell
        if isinstance(given, list) and any(each not in (None, given[0]) for each in given):
            unread.add(f"{column} after the first")
    return unread


def _first_answers(table: Table, column: str) -> TextColumn:
    """The first answer of each row, and why a row has none."""
    import polars

    answers: list[str | None] = []
    faults: list[str | None] = []
    kinds: set[type[Value]] = set()
    for value in values(table, column):
        answers.append(None)
        faults.append(None)
        try:
            first = _first_answer(value, column)
        except NoExampleError as error:
            faults[-1] = str(error)
        else:
            answers[-1] = answer_text(first)
            kinds.add(type(first))
    notes = taken_as_text(column, numbers=not kinds.isdisjoint((int, float)), truths=bool in kinds)
    return TextColumn(polars.Series(answers, dtype=polars.String), polars.Series(faults, dtype=polars.String), notes)


def _first_answer(value: Value, column: str) -> str | float:
    value = parse_json(value, column) if isinstance(value, str) else value
    value = value.get("text") if isinstance(value, dict) else value  # SQuAD: {text: [...], answer_start: [...]}
    if not isinstance(value, list):
        raise NoExampleError(f"{column!r} is {shown(value)}; expected a list of strings")
    if not value:
        raise NoExampleError(f"{column!r} is empty")
    if not isinstance(value[0], (str, int, float)):
        raise NoExampleError(f"{column!r} begins with {shown(value[0])}; expected a string")
    return value[0]
