"""Demonstrations drawn from train: by chance, or the labels in turn. A smaller draw begins a larger one.

One is a row's whole conversation without its frame, which is its system turns and its tools: those of the row that is
asked stand before all of them. So where rows have frames that differ, only rows without one can be shown.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field

from ftkit.answers.prompt import NO_FRAME, Prompter, Skipped, Strategy, frame_of, shared_frame, shown_turns
from ftkit.contracts import TaskSpec
from ftkit.records import Example, Message
from ftkit.registry import Config, component, one_or_more

Count: TypeAlias = Annotated[int, Field(ge=1)]


class Turn(Config):
    """A turn of a conversation."""

    role: str
    content: str


class Demonstration(Config):
    """A row of train that a prompt shows, as the turns of its conversation."""

    id: str
    turns: list[Turn]

    @classmethod
    def of(cls, row: Example) -> Self:
        """A row as it is shown."""
        return cls(id=row.id, turns=[Turn(**turn) for turn in shown_turns(row)])

    @property
    def messages(self) -> list[Message]:
        """The turns as chat templates take them."""
        return [{"role": turn.role, "content": turn.content} for turn in self.turns]


class Demonstrating(Prompter):
    """Shows the same rows of train before every question, as earlier turns."""

    demonstrations: list[Demonstration]

    @property
    def train_rows(self) -> Mapping[str, Sequence[Message]]:
        """The demonstrations."""
        return {each.id: each.messages for each in self.demonstrations}

    def earlier_turns(self, example: Example) -> list[Message]:
        """The turns of all demonstrations, one conversation after another."""
        return [turn for each in self.demonstrations for turn in each.messages]


class FewShot(Strategy):
    """`k` demonstrations, each number a prompt of its own; `draws` repeats each with other rows.

    `balanced` takes the labels in turn (to generate, where there are none, it is the same as random).
    """

    prompter = Demonstrating

    k: Annotated[list[Count], one_or_more(Count), Field(min_length=1)] = Field(
        default=[4], description="how many demonstrations; each number is tried"
    )
    select: Literal["random", "balanced"] = Field(
        "balanced", description="rows of train by chance, or each label in turn"
    )
    draws: int = Field(1, ge=1, description="how often each k is tried, each time with other rows")


@component
def fit(config: FewShot, task: TaskSpec, train: Sequence[Example], seed: int) -> list[Prompter | Skipped]:
    """One prompt for each draw and each k, smaller ones first; skipped where train has no such number of rows."""
    prompts: list[Prompter | Skipped] = []
    rows, left_out = _showable(train)
    orders = [_order(config, task, rows, random.Random(f"{seed}:{number}")) for number in range(config.draws)]
    for k in sorted(set(config.k)):
        for number, order in enumerate(orders, 1):
            label = f"few_shot(k={k}, {config.select}" + (f", draw {number})" if config.draws > 1 else ")")
            if len(order) < k:
                prompts.append(Skipped(label, f"train has {len(order)} rows that can be shown{left_out}"))
                continue
            shown = [Demonstration.of(row) for row in order[:k]]
            prompts.append(Demonstrating(label=label, demonstrations=shown))
    return prompts


def _showable(train: Sequence[Example]) -> tuple[list[Example], str]:
    """The rows that can be shown before any other row, by id, and in words why others cannot."""
    is_shared = shared_frame(train) is not None
    has_own = [not is_shared and frame_of(row) != NO_FRAME for row in train]
    answers_first = [shown_turns(row)[0]["role"] == "assistant" for row in train]
    reasons = {
        f"{sum(has_own)} have a system turn or tools of their own": any(has_own),
        f"{sum(answers_first)} begin with an answer": any(answers_first),
    }
    left_out = "; ".join(reason for reason, holds in reasons.items() if holds)
    kept = [row for row, *flags in zip(train, has_own, answers_first, strict=True) if not any(flags)]
    return sorted(kept, key=lambda row: row.id), left_out and f": {left_out}"


def _order(config: FewShot, task: TaskSpec, rows: Sequence[Example], rng: random.Random) -> list[Example]:
    """The rows in the order demonstrations are taken."""
    rows = list(rows)
    rng.shuffle(rows)
    if config.select == "random" or not task.labels:
        return rows
    labels = list(task.labels)
    rng.shuffle(labels)
    by_label = {label: iter([row for row in rows if row.target == label]) for label in labels}
    order: list[Example] = []
    while len(order) < min(len(rows), max(config.k)):
        taken = [next(by_label[label], None) for label in labels]
        order += [row for row in taken if row is not None]
    return order
