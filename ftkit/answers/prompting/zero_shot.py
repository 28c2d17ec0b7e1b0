"""The instruction alone, without demonstrations."""

from __future__ import annotations

from collections.abc import Sequence

from ftkit.answers.prompt import Prompter, Strategy
from ftkit.contracts import TaskSpec
from ftkit.records import Example
from ftkit.registry import component


class ZeroShot(Strategy):
    """No options."""


@component
def fit(config: ZeroShot, task: TaskSpec, train: Sequence[Example], seed: int) -> list[Prompter]:
    """One prompt, which shows nothing of train."""
    return [Prompter(label="zero_shot")]
