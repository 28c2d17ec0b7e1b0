"""The answerer that a model in memory is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ftkit.contracts import Context
from ftkit.engine.answerer import Completion, ContinuationScore, Question, Sampling, Tell
from ftkit.engine.batching import vocabulary
from ftkit.engine.constraint import Constraint, json_of, one_of
from ftkit.engine.generate import Writing, generate
from ftkit.engine.load import LoadedModel
from ftkit.engine.render import Renderer
from ftkit.engine.score import Request, score
from ftkit.records import Message

UNFINISHED = "\ufffd"  # what the first bytes of a character decode to
BEFORE = 8  # ids before a string to stop at: some tokenizers take a blank from the beginning of what they decode


@dataclass(frozen=True)
class LocalModel:
    """Answers with a loaded model: scores of choices on shared contexts, and texts."""

    loaded: LoadedModel

    @property
    def renderer(self) -> Renderer:
        """The model's own."""
        return self.loaded.renderer

    @property
    def context_length(self) -> int:
        """Of the model, in tokens."""
        return self.loaded.context_length

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the messages."""
        return len(self.renderer.render(messages).context_ids)

    def label_scores(
        self, questions: Sequence[Question], *, ctx: Context, description: str
    ) -> list[list[ContinuationScore]]:
        """Log-probabilities of the choices, each with its end of turn."""
        requests = [Request(question.context_ids, question.choices_ids) for question in questions]
        return score(self.loaded, requests, ctx=ctx, description=description)

    def complete(
        self,
        questions: Sequence[Question],
        sampling: Sampling,
        *,
        ctx: Context,
        description: str,
        tell: Tell | None = None,
    ) -> list[Completion]:
        """Texts, cut before a string to stop at."""
        decode = self.renderer.decode
        reach = 4 * max(map(len, sampling.stop), default=0) + BEFORE  # a character has four bytes and ids at most

        def is_stopped(ids: Sequence[int]) -> bool:
            if len(ids) > reach and _end(decode(ids[-reach:]), sampling.stop) is None:
                return False
            return _end(decode(ids), sampling.stop) is not None

        def tell_text(index: int, ids: Sequence[int]) -> None:
            if tell is not None:
                tell(index, decode(ids).rstrip(UNFINISHED))

        writing = Writing(
            sampling.max_new_tokens,
            sampling.temperature,
            sampling.top_p,
            sampling.seed,
            self._constraint(sampling),
            is_stopped if sampling.stop else None,
            tell_text if tell is not None else None,
        )
        contexts = [question.context_ids for question in questions]
        written = generate(self.loaded, contexts, writing, ctx=ctx, description=description)
        texts = [decode(each.ids) for each in written]
        return [
            Completion(text[: _end(text, sampling.stop)], len(each.ids), each.reason)
            for text, each in zip(texts, written, strict=True)
        ]

    def _constraint(self, sampling: Sampling) -> Constraint | None:
        num_logits = vocabulary(self.loaded.model)
        if sampling.json_schema is not None:
            return json_of(sampling.json_schema, self.renderer, num_logits)
        return one_of(sampling.one_of, self.renderer, num_logits) if sampling.one_of else None


def _end(text: str, stop: Sequence[str]) -> int | None:
    """Where the first of the strings to stop at begins."""
    found = [place for place in map(text.find, stop) if place >= 0]
    return min(found, default=None)


def without_adapter(answerer: object) -> AbstractContextManager[Any] | None:
    """While it lasts, a local model answers as its base alone would; None where nothing is trained onto a base."""
    if not isinstance(answerer, LocalModel) or not hasattr(answerer.loaded.model, "disable_adapter"):
        return None
    bare: AbstractContextManager[Any] = answerer.loaded.model.disable_adapter()
    return bare
