"""Demonstrations drawn from train: by chance, or the labels in turn. A smaller draw begins a larger one."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ftkit.answers.prompt import Prompter, Skipped, Strategy
from ftkit.contracts import TaskSpec
from ftkit.records import Example, Message
from ftkit.registry import Config, component, one_or_more

Count: TypeAlias = Annotated[int, Field(ge=1)]


class Demonstration(Config):
    """A row of train that a prompt shows."""

    id: str
    input: str
    target: str


class Demonstrating(Prompter):
    """Shows the same rows of train before every question, as earlier turns."""

    demonstrations: list[Demonstration]

    @property
    def train_rows(self) -> Mapping[str, tuple[str, str]]:
        """The demonstrations."""
        return {each.id: (each.input, each.target) for each in self.demonstrations}

    def earlier_turns(self, example: Example) -> list[Message]:
        """A turn of the user and one of the assistant for each demonstration."""
        turns: list[Message] = []
        for each in self.demonstrations:
            turns += [{"role": "user", "content": each.input}, {"role": "assistant", "content": each.target}]
        return turns


class FewShot(Strategy):
    """`k` demonstrations, each number a prompt of its own; `draws` repeats each with other rows.

    `balanced` takes the labels in turn (to generate, where there are none, it is the same as random).
    """

    prompter = Demonstrating

    k: Annotated[list[Count], one_or_more(Count), Field(min_length=1)] = Field(default=[4])
    select: Literal["random", "balanced"] = "balanced"
    draws: int = Field(1, ge=1)


@component
def fit(config: FewShot, task: TaskSpec, train: Sequence[Example], seed: int) -> list[Prompter | Skipped]:
    """One prompt for each draw and each k, smaller ones first; skipped where train has no such number of rows."""
    prompts: list[Prompter | Skipped] = []
    orders = [_order(config, task, train, random.Random(f"{seed}:{number}")) for number in range(config.draws)]
    for k in sorted(set(config.k)):
        for number, order in enumerate(orders, 1):
            label = f"few_shot(k={k}, {config.select}" + (f", draw {number})" if config.draws > 1 else ")")
            if len(order) < k:
                prompts.append(Skipped(label, f"train has {len(order)} rows that can be shown (without a history)"))
                continue
            shown = [Demonstration(id=row.id, input=row.input, target=row.target) for row in order[:k]]
            prompts.append(Demonstrating(label=label, demonstrations=shown))
    return prompts


def _order(config: FewShot, task: TaskSpec, train: Sequence[Example], rng: random.Random) -> list[Example]:
    """Train in the order demonstrations are taken. One is a single turn, so rows with a history are left out."""
    rows = sorted((row for row in train if not row.history), key=lambda row: row.id)
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
