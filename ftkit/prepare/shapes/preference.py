"""Pairs of answers, one liked more: chosen and rejected, as texts, as messages, or as whole conversations.

Knows no other shape. The prompt is in a column of its own, or is what both conversations begin with (TRL). Texts
that hold their prompt too, as in Anthropic's hh-rlhf, are not taken apart.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from ftkit.contracts import Shaped
from ftkit.prepare.conversation import (
    Answer,
    NoExampleError,
    Said,
    messages_in,
    read_side,
    shown,
    system_message,
    unread_of,
)
from ftkit.prepare.formats.json_rows import Value
from ftkit.prepare.shapes import ShapeConfig, each_row, holds_messages, notes_of
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table

_PROMPTS = ("prompt", "instruction", "question", "conversations", "messages")
"""TRL; LLaMA-Factory's alpaca; orca_dpo_pairs; LLaMA-Factory's sharegpt; the same with OpenAI's name."""


class Preference(ShapeConfig):
    """The names of the columns. With `label`, it says of each row which of the two was chosen."""

    prompt: str | None = Field(
        None,
        description="column of a text or of a list of messages, not read where chosen and rejected begin with a "
        f"user's message; default: the first there is of {', '.join(_PROMPTS)}",
    )
    chosen: str = Field("chosen", description="column of the better answer, or with label: of the first one")
    rejected: str = Field("rejected", description="column of the worse answer, or with label: of the second one")
    label: str | None = Field(None, description="column that is 1 or 2: which answer is the better one")
    system: str | None = Field("system", description="column of a system message")

    wants: ClassVar[str] = f"chosen and rejected, as conversations or with {', '.join(_PROMPTS[:-1])} or {_PROMPTS[-1]}"
    rank: ClassVar[int] = 1

    @classmethod
    def fits(cls, table: Table) -> bool:
        """Whether there are two answers, and somewhere a prompt."""
        if not {"chosen", "rejected"} <= set(table.columns):
            return False
        return not set(_PROMPTS).isdisjoint(table.columns) or holds_messages(table, "chosen")

    def questions(self, table: Table) -> Shaped:
        """The prompt, or what `chosen` has before its last answer."""
        self.require(table, "prompt", optional=("system",))

        def make(name: str, question: Value, more: Value, system: Value, chosen: Value) -> list[Answer]:
            said = read_side(chosen, self.chosen, role="assistant") if messages_in(chosen) else []
            said = said[:-1] if said and said[-1].role == "assistant" else said
            return [Answer(name, _said(self, table, said, question, more, system), "")]

        return each_row(table, make, *_asked_in(self, table), self.system, self.chosen)


@component
def shape(config: Preference, table: Table) -> Shaped:
    """Input is the last message before the answers, history those before it, target and rejected are the answers."""
    config.require(table, "chosen", "rejected", "label", optional=("prompt", "system"))

    def make(name: str, question: Value, more: Value, system: Value, *answers: Value) -> list[Answer]:
        better, worse = _answers(config, *answers)
        said = _said(config, table, better[:-1], question, more, system)
        unread = unread_of([*said, *better, *worse])
        return [Answer(name, said, better[-1].content, {"rejected": worse[-1].content}, unread)]

    columns = (config.system, config.chosen, config.rejected, config.label)
    made = each_row(table, make, *_asked_in(config, table), *columns, extra=("rejected",))
    return replace(made, notes=notes_of(table, config.chosen, config.rejected))


def _asked_in(config: Preference, table: Table) -> tuple[str | None, str | None]:
    """The column of the prompt, and the column of what is added to it; None where there is none."""
    prompt = config.prompt or next((name for name in _PROMPTS if name in table.columns), None)
    return prompt, "input" if config.prompt is None and prompt == "instruction" else None


def _said(
    config: Preference, table: Table, before: list[Said], question: Value, more: Value, system: Value
) -> list[Said]:
    """The messages before the answers, which begin with those of `before`."""
    said = before
    if all(each.role != "user" for each in said):
        said = [*said, *_asked(question, more, _asked_in(config, table)[0])]
    return said if said[0].role == "system" else [*system_message(system, config.system), *said]


def _answers(config: Preference, chosen: Value, rejected: Value, label: Value) -> tuple[list[Said], list[Said]]:
    """The better and the worse one: the same messages, then one answer each."""
    pair = read_side(chosen, config.chosen, role="assistant"), read_side(rejected, config.rejected, role="assistant")
    both = f"{config.chosen!r} and {config.rejected!r}"
    if pair[0] == pair[1]:
        raise NoExampleError(f"{both} are the same")
    if pair[0][:-1] != pair[1][:-1] or {each[-1].role for each in pair} != {"assistant"}:
        raise NoExampleError(f"{both} differ in more than the assistant's last message")
    if config.label is None:
        return pair
    if isinstance(label, bool) or str(label) not in ("1", "2"):
        raise NoExampleError(f"{config.label!r} is {shown(label)}; expected 1 or 2: which answer is the better one")
    return pair if str(label) == "1" else (pair[1], pair[0])


def _asked(question: Value, more: Value, prompt: str | None) -> list[Said]:
    """The messages of a prompt's column; LLaMA-Factory's instruction is followed by an input, as in alpaca."""
    if prompt is None:
        raise NoExampleError("there is no prompt: no column of that name, and the answers begin with no user message")
    said = read_side(question, prompt, role="user")
    if not more:
        return said
    if not isinstance(more, str):
        raise NoExampleError(f"'input' is {shown(more)}; expected a string")
    return [*said[:-1], replace(said[-1], content=f"{said[-1].content}\n\n{more}")]
