"""Instruction, input and output, as in Stanford Alpaca; with system and history as LLaMA-Factory has them.

Knows no other shape. The input follows the instruction after an empty line (LLaMA-Factory: a line break).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.prepare.conversation import NoExampleError, Said, history_column, parse_json, shown
from ftkit.prepare.formats.json_rows import Value
from ftkit.prepare.shapes import ShapeConfig, TextColumn, shaped, text_column, values
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class Alpaca(ShapeConfig):
    """The names of the columns; input, system and history may be missing, null or empty."""

    instruction: str = Field("instruction", description="column of what is to be done")
    input: str | None = Field("input", description="column of what it is to be done with")
    output: str = Field("output", description="column of the answer")
    system: str | None = Field("system", description="column of a system message")
    history: str | None = Field("history", description="column of earlier turns: a list of [question, answer]")

    wants: ClassVar[str] = "instruction and output, and perhaps input, system and history"

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether there are an instruction and an output."""
        return {"instruction", "output"} <= set(table.columns)

    def questions(self, table: Table) -> Shaped:
        """All but the output."""
        return shape(self.model_copy(update={"output": self.instruction}), table)


@component
def shape(config: Alpaca, table: Table) -> Shaped:
    """Input is the instruction, and where it has an input, that after an empty line; target is the output."""
    import polars

    config.require(table, "instruction", "output", optional=("input", "system", "history"))
    instruction, output = text_column(table, config.instruction, use="input"), text_column(table, config.output)
    given, system = (
        text_column(table, config.input, use="input", is_optional=True),
        text_column(table, config.system, use="input", is_optional=True),
    )
    has_input = given.values != ""
    whole = polars.when(has_input).then(instruction.values + "\n\n" + given.values).otherwise(instruction.values)
    history = _history(table, config, system.values)
    read = (instruction, given, output, system, history)
    return shaped(table, read, input=whole, target=output.values, history=history.values)


def _history(table: Table, config: Alpaca, systems: polars.Series) -> TextColumn:
    """Messages before the input, and why a row has none that can be used."""
    import polars

    histories: list[list[Said]] = []
    faults: list[str | None] = []
    strings: list[str | None] = systems.to_list()
    for system, value in zip(strings, values(table, config.history), strict=True):
        histories.append([Said("system", system)] if system else [])
        faults.append(None)
        if value:
            try:
                histories[-1] += _earlier(value, str(config.history))
            except NoExampleError as error:
                faults[-1] = str(error)
    return TextColumn(history_column(histories), polars.Series(faults, dtype=polars.String))


def _earlier(value: Value, column: str) -> list[Said]:
    value = parse_json(value, column) if isinstance(value, str) else value
    pairs = value if isinstance(value, list) else [value]
    messages: list[Said] = []
    for number, pair in enumerate(pairs, 1):
        question, answer = pair if isinstance(pair, list) and len(pair) == 2 else (None, None)
        if not isinstance(question, str) or not isinstance(answer, str):
            raise NoExampleError(
                f"turn {number} of {column!r} is {shown(pair)}; expected [question, answer], two strings"
            )
        messages += [Said("user", question), Said("assistant", answer)]
    return messages
