"""Prompt and completion, as texts or as lists of messages, as in TRL and in OpenAI's completions.

Knows no other shape. Rows with a truth value `label` beside them are verdicts on completions (KTO): recognised as
nothing, since half of those completions are not to be learned.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.prepare.conversation import Answer, NoExampleError, Said, read_side, unread_of
from ftkit.prepare.formats.json_rows import Value
from ftkit.prepare.shapes import ShapeConfig, each_row, notes_of
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table


class PromptCompletion(ShapeConfig):
    """The names of the columns."""

    prompt: str = Field("prompt", description="column of a text or of a list of messages")
    completion: str = Field("completion", description="column of a text or of a list with one assistant message")

    wants: ClassVar[str] = "prompt and completion"

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether both columns are there, and no truth value beside them."""
        import polars

        is_verdict = "label" in table.columns and table.schema["label"] == polars.Boolean
        return {"prompt", "completion"} <= set(table.columns) and not is_verdict

    def questions(self, table: Table) -> Shaped:
        """The prompt alone."""
        self.require(table, "prompt")
        return each_row(table, lambda name, prompt: [Answer(name, _asked(self, prompt), "")], self.prompt)


@component
def shape(config: PromptCompletion, table: Table) -> Shaped:
    """Input is the prompt, or its last message with the others as history; target is the completion."""
    config.require(table, "prompt", "completion")

    def make(name: str, prompt: Value, completion: Value) -> list[Answer]:
        said = _asked(config, prompt)
        answer = read_side(completion, config.completion, role="assistant")
        if [each.role for each in answer] != ["assistant"]:
            raise NoExampleError(f"{config.completion!r} is more than one assistant message: use the shape messages")
        return [Answer(name, said, answer[0].content, unread=unread_of([*said, *answer]))]

    notes = notes_of(table, config.completion)
    return replace(each_row(table, make, config.prompt, config.completion), notes=notes)


def _asked(config: PromptCompletion, prompt: Value) -> list[Said]:
    return read_side(prompt, config.prompt, role="user")
