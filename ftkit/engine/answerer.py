"""What answers questions: a protocol of a few functions, and the values that go in and come out.

Knows no model, no recipe and no stage. A local model is one answerer (`engine/local.py`), a linear model on word counts
another (`answers/linear.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from ftkit.contracts import Context
from ftkit.engine.render import Renderer
from ftkit.records import Example, Message

Tell: TypeAlias = Callable[[int, str], None]
"""Takes the number of a question and the text written to it so far, again and again."""


@dataclass(frozen=True, slots=True)
class Question:
    """One example under one prompt, as it is put to an answerer.

    `choices` are the texts that may follow, none where a text is to be written. `context_ids` and `choices_ids` (a
    choice with its end of turn) are empty where the answerer has no tokenizer. `is_cut`: the example's input was
    shortened to fit the context.
    """

    example: Example
    messages: list[Message]
    choices: tuple[str, ...]
    context_ids: list[int]
    choices_ids: list[list[int]]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ContinuationScore:
    """Natural log-probability of a continuation, summed over its tokens."""

    sum: float
    num_tokens: int


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a text is drawn, by `max_new_tokens` at most: the likeliest token each time where `temperature` is 0.

    Else from the likeliest tokens that together reach `top_p`; equal questions get samples of their own. A text ends
    before the first of `stop` that comes, and is one of `one_of`, or JSON of a schema, where either is given.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    json_schema: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that was written, without its end of turn; `reason`: that came, a string to stop at, or the limit."""

    text: str
    num_tokens: int
    reason: Literal["end", "stop", "limit"]


class Reader(Protocol):
    """What is known of an answerer before it answers: how long a question may be, and how long one is.

    `renderer` makes the ids of a question, None where the answerer takes messages or texts. `context_length` is in
    tokens, None where it is unknown: the answerer's own error is then reported by row.
    """

    @property
    def renderer(self) -> Renderer | None: ...

    @property
    def context_length(self) -> int | None: ...

    def count(self, messages: Sequence[Message]) -> int | None:
        """Tokens of the messages, up to where the answer begins; None where that is unknown."""
        ...


class Answerer(Reader, Protocol):
    """Answers questions, in their order."""

    def label_scores(
        self, questions: Sequence[Question], *, ctx: Context, description: str
    ) -> list[list[ContinuationScore]] | None:
        """A score of each choice of each question; None where the answerer cannot give any."""
        ...

    def complete(
        self,
        questions: Sequence[Question],
        sampling: Sampling,
        *,
        ctx: Context,
        description: str,
        tell: Tell | None = None,
    ) -> list[Completion]:
        """A text for each question. `tell` is handed texts while they are written, where the answerer can do that."""
        ...


@dataclass(frozen=True)
class Tokenizing:
    """The reader that a model is, known by its tokenizer alone: no weights."""

    renderer: Renderer
    context_length: int

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the messages."""
        return len(self.renderer.render(messages).context_ids)
