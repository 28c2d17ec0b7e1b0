"""Prompts: from a row to messages. And arms: what answers, with a prompt.

Knows no strategy that fits prompts, and no model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, TypeAlias

from ftkit.records import Example, Message, Side
from ftkit.registry import Config, find

Normalization = Literal["sum", "mean", "calibrated"]
Frame: TypeAlias = tuple[tuple[str, ...], str | None]
NO_FRAME: Frame = ((), None)


class Prompter(Config):
    """One way to put a row to a model. Frozen: what a strategy found in train stands in its fields, as plain values.

    `family` and `options` are the strategy and how the recipe has it; `label` tells prompts apart and names arms.
    `instruction` is the wording, with labels filled in; `normalize` how label scores are compared. Strategies subclass
    this for what they fit; the class itself is the bare instruction.
    """

    label: str
    family: str = ""
    options: dict[str, Any] = {}
    instruction: str = ""
    normalize: Normalization = "sum"

    @property
    def train_rows(self) -> Mapping[str, Sequence[Message]]:
        """The turns of the rows of train that the prompt shows, by id; see `shown_turns`."""
        return {}

    def earlier_turns(self, example: Example) -> list[Message]:
        """What stands between the instruction and the row's own conversation."""
        return []

    def messages(self, example: Example) -> list[Message]:
        """The turns before the answer: instruction first, then the strategy's turns, the row's history, its input.

        No system turn but those of the history, which come first: not every chat template takes one.
        """
        turns: list[Message] = [turn for turn in example.history if turn["role"] == "system"]
        turns += self.earlier_turns(example)
        turns += [turn for turn in example.history if turn["role"] != "system"]
        turns.append({"role": "user", "content": example.input})
        if self.instruction:
            first = next(place for place, turn in enumerate(turns) if turn["role"] == "user")
            turns[first] = {"role": "user", "content": f"{self.instruction}\n\n{turns[first]['content']}"}
        return turns

    def answer(self, texts: Sequence[str], extract: Callable[[str], str | None]) -> str | None:
        """The one answer in what was written to a row; None where there is none."""
        return extract(texts[0])

    def named(self, family: str, options: Mapping[str, Any], instruction: str) -> Self:
        """The same prompt of a strategy of the recipe, under a wording."""
        return self.model_copy(update={"family": family, "options": dict(options), "instruction": instruction})

    def normalized(self, normalize: Normalization) -> Self:
        """The same prompt, its label scores compared otherwise."""
        return self.model_copy(update={"normalize": normalize})

    def as_json(self) -> dict[str, Any]:
        """A JSON object; `prompter_of` reads it back."""
        return self.model_dump(mode="json")


class Strategy(Config):
    """Base of the Config of a prompt strategy; `prompter` is the class of what it fits."""

    prompter: ClassVar[type[Prompter]] = Prompter


@dataclass(frozen=True, slots=True)
class Skipped:
    """A prompt that could not be what its label says, and why; never scored under that label.

    `family` is the strategy's name, filled in by the search.
    """

    label: str
    reason: str
    family: str = ""


@dataclass(frozen=True)
class FrozenPrompts:
    """The prompts that were kept, at most four, each the best of its family; `ranking`: their labels, best first."""

    prompts: tuple[Prompter, ...]
    ranking: tuple[str, ...]

    @property
    def best(self) -> Prompter:
        """The best of all on valid."""
        return self.ranked()[0]

    def ranked(self) -> list[Prompter]:
        """The prompts, the best on valid first."""
        return sorted(self.prompts, key=lambda each: self.ranking.index(each.label))

    def of_family(self, family: str) -> Prompter | None:
        """The best prompt of a strategy, None where none could be scored."""
        return next((each for each in self.prompts if each.family == family), None)

    def as_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        return {"ranking": list(self.ranking), "prompts": [each.as_json() for each in self.prompts]}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> FrozenPrompts:
        """The prompts `as_json` wrote."""
        return cls(tuple(prompter_of(each) for each in value["prompts"]), tuple(value["ranking"]))


def frame_of(example: Example) -> Frame:
    """What a row's conversation stands under: its system turns and its tools. There is one in a prompt."""
    return tuple(turn["content"] for turn in example.history if turn["role"] == "system"), example.tools


def shared_frame(examples: Sequence[Example]) -> Frame | None:
    """The frame that all rows have; None where they have several, or where there are no rows."""
    frames = {frame_of(example) for example in examples}
    return frames.pop() if len(frames) == 1 else None


def shown_turns(example: Example) -> list[Message]:
    """A row as a demonstration: the turns of its conversation with its input and its target, but no system turn."""
    turns = [turn for turn in example.history if turn["role"] != "system"]
    turns += [{"role": "user", "content": example.input}, {"role": "assistant", "content": example.target}]
    return turns


def prompter_of(value: Mapping[str, Any]) -> Prompter:
    """The prompter that `as_json` wrote. Raises KeyError for an unknown family, ValidationError for other fields."""
    strategy = find("prompting", value["family"]).config_type
    assert issubclass(strategy, Strategy), f"prompting/{value['family']}: its Config is a Strategy"
    return strategy.prompter.model_validate(value)


@dataclass(frozen=True)
class Arm:
    """What answers, with a prompt. `model` is `base`, `base@nf4`, a variant's label, or `linear`."""

    name: str
    model: str
    side: Side
    precision: str
    prompter: Prompter

    def as_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` reads it back."""
        return {
            "name": self.name,
            "model": self.model,
            "side": self.side,
            "precision": self.precision,
            "prompter": self.prompter.as_json(),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Arm:
        """The arm `as_json` wrote."""
        return cls(**{**value, "prompter": prompter_of(value["prompter"])})
