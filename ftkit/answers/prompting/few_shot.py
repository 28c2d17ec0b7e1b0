"""Demonstrations drawn from train: by chance, or the labels in turn. A smaller draw begins a larger one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from ftkit.contracts import Demonstrations, TaskSpec
from ftkit.records import Example
from ftkit.registry import Config, component, one_or_more

Count: TypeAlias = Annotated[int, Field(ge=1)]


class FewShot(Config):
    """`k` demonstrations, each number a prompt of its own; `draws` repeats each with other rows.

    `balanced` takes the labels in turn (to generate, where there are none, it is the same as random).
    """

    k: Annotated[list[Count], one_or_more(Count), Field(min_length=1)] = Field(default=[4])
    select: Literal["random", "balanced"] = "balanced"
    draws: int = Field(1, ge=1)


@component
def draw(config: FewShot, task: TaskSpec, train: Sequence[Example], seed: int) -> list[Demonstrations]:
    """One prompt for each draw and each k that train has rows for, smaller ones first."""
    prompts = []
    for number in range(config.draws):
        order = _order(config, task, train, random.Random(f"{seed}:{number}"))
        for k in sorted(set(config.k)):
            name = f"few_shot(k={k}, {config.select}" + (f", draw {number + 1})" if config.draws > 1 else ")")
            prompts.append(Demonstrations(name, tuple(order[:k])))
    return sorted(prompts, key=lambda prompt: len(prompt.examples))


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
