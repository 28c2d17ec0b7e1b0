"""A frozen prompt, and an arm: a model with a prompt.

Knows no strategy that made it, and no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ftkit.records import Message


@dataclass(frozen=True)
class Prompt:
    """A frozen prompt: strategy and options as in the recipe, the wording, the normalisation of label scores.

    `name` is `zero_shot` or `few_shot`, the short name arms use; `label` says which options it was drawn with.
    """

    name: str
    label: str
    instruction: str
    demonstrations: tuple[tuple[str, str], ...]
    demonstration_ids: tuple[str, ...]
    normalize: str

    def messages(self, text: str, history: Sequence[Message] = ()) -> list[Message]:
        """The turns before the answer to `text`: instruction first, demonstrations and `history` as earlier turns.

        No system turn but those of the history, which come first: not every chat template takes one.
        """
        turns: list[Message] = [turn for turn in history if turn["role"] == "system"]
        for asked, answered in self.demonstrations:
            turns += [{"role": "user", "content": asked}, {"role": "assistant", "content": answered}]
        turns += [turn for turn in history if turn["role"] != "system"]
        turns.append({"role": "user", "content": text})
        if self.instruction:
            first = next(place for place, turn in enumerate(turns) if turn["role"] == "user")
            turns[first] = {"role": "user", "content": f"{self.instruction}\n\n{turns[first]['content']}"}
        return turns

    def as_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        return {**asdict(self), "demonstrations": [list(pair) for pair in self.demonstrations]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Prompt:
        """The prompt `as_json` wrote."""
        pairs = tuple((str(one), str(two)) for one, two in value["demonstrations"])
        return cls(**{**value, "demonstrations": pairs, "demonstration_ids": tuple(value["demonstration_ids"])})


@dataclass(frozen=True)
class Arm:
    """A model with a prompt. `model` is `base`, `base@nf4` or a method's name; `side` is prompting or fine_tuned."""

    name: str
    model: str
    side: str
    precision: str
    prompt: Prompt

    def as_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        return {**asdict(self), "prompt": self.prompt.as_json()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Arm:
        """The arm `as_json` wrote."""
        return cls(**{**value, "prompt": Prompt.from_json(value["prompt"])})
