"""The instruction alone, without demonstrations."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.contracts import Demonstrations, TaskSpec
from ftkit.records import Example
from ftkit.registry import Config, component


class ZeroShot(Config):
    """No options."""


@component
def draw(config: ZeroShot, task: TaskSpec, train: Sequence[Example], seed: int) -> list[Demonstrations]:
    """One prompt without demonstrations."""
    return [Demonstrations("zero_shot", ())]
