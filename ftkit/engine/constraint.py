"""Texts that can only be one of some strings, or JSON of a schema: which tokens may come next.

Knows a tokenizer, and no model. The optional library llguidance does the work.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch

from ftkit.engine.render import Renderer
from ftkit.errors import DataError, MachineError


class Matcher(Protocol):
    """One text under way."""

    def allowed_V(self) -> torch.Tensor:
        """Which token may come next, ends of a turn among them."""
        ...

    def advance(self, id: int) -> None:
        """Take a token that was allowed."""
        ...


@dataclass(frozen=True)
class Constraint:
    """What texts may be, by a grammar of llguidance; `num_logits` is the width of the model's vocabulary."""

    renderer: Renderer
    num_logits: int
    grammar: str

    def begin(self) -> Matcher:
        """A text that is not begun yet."""
        return _Matcher(_library().LLMatcher(self._tokenizer, self.grammar, log_level=0))

    @cached_property
    def _tokenizer(self) -> Any:
        from llguidance.hf import from_tokenizer

        ends = sorted(self.renderer.eos_ids)
        return from_tokenizer(self.renderer.tokenizer, n_vocab=self.num_logits, eos_token=ends)


@dataclass(frozen=True)
class _Matcher:
    state: Any

    def allowed_V(self) -> torch.Tensor:
        """Which token may come next."""
        return torch.frombuffer(bytearray(self.state.compute_logit_bias()), dtype=torch.uint8) > 0

    def advance(self, id: int) -> None:
        """Take a token."""
        self.state.consume_token(id)


def one_of(strings: Sequence[str], renderer: Renderer, num_logits: int) -> Constraint:
    """Exactly one of some strings. Raises DataError for none, MachineError where llguidance is not installed."""
    if not strings or not all(strings):
        raise DataError("a text can be one of some strings, none of them empty; there are none, or an empty one")
    grammar = _library().LLMatcher.grammar_from_regex("|".join(re.escape(each) for each in strings))
    return _checked(Constraint(renderer, num_logits, grammar), "the strings")


def json_of(schema: Mapping[str, Any], renderer: Renderer, num_logits: int) -> Constraint:
    """JSON of a schema. Raises DataError where the schema is none, MachineError where llguidance is not installed."""
    grammar = _library().LLMatcher.grammar_from_json_schema(json.dumps(schema), defaults={"whitespace_flexible": False})
    return _checked(Constraint(renderer, num_logits, grammar), "the JSON schema")


def _checked(constraint: Constraint, what: str) -> Constraint:
    matcher: Any = constraint.begin()
    if matcher.state.is_error():
        raise DataError(f"{what}: {matcher.state.get_error().splitlines()[0]}")
    return constraint


def _library() -> Any:
    try:
        import llguidance
    except ImportError:
        raise MachineError(
            "texts under a constraint need llguidance, which is not installed: pip install 'ftkit[constraints]'"
        ) from None
    return llguidance
