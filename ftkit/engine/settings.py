"""How the loop trains: its settings, the schedule of the learning rate, when valid is looked at.

Pure numbers: no tensor, no file, no model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TrainSettings:
    """What decides the result of training. `warmup_share` is a share of the optimizer steps.

    `epochs` may be a fraction; `max_steps` ends earlier. `patience` counts evaluations without a better
    value.
    """

    learning_rate: float
    weight_decay: float
    epochs: float
    max_steps: int | None
    global_batch_size: int
    warmup_share: float
    schedule: Literal["cosine", "linear", "constant"]
    max_grad_norm: float
    gradient_checkpointing: bool
    num_evals: int
    patience: int | None
    checkpoint_every_steps: int
    seed: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """Steps of one training. Each shuffled epoch is cut into global batches; the last of an epoch may be short."""

    settings: TrainSettings
    num_rows: int

    @property
    def num_steps(self) -> int:
        """Optimizer steps in all."""
        whole, rest = divmod(self._num_seen, self.num_rows)
        by_epochs = whole * self._steps_of(self.num_rows) + self._steps_of(rest)
        return by_epochs if self.settings.max_steps is None else min(by_epochs, self.settings.max_steps)

    def batch(self, step: int) -> tuple[int, range]:
        """The epoch of optimizer step 1, 2, …, from 0, and the places of its rows in the order of that epoch."""
        epoch, number = divmod(step - 1, self._steps_of(self.num_rows))
        size = self.settings.global_batch_size
        end = min(self.num_rows, self._num_seen - epoch * self.num_rows)
        return epoch, range(number * size, min((number + 1) * size, end))

    def epoch(self, step: int) -> float:
        """Epochs seen after `step` optimizer steps."""
        epoch, places = self.batch(step)
        return round(epoch + places.stop / self.num_rows, 6)

    @property
    def _num_seen(self) -> int:
        """Rows seen in all epochs; a part of an epoch is rounded up to whole rows."""
        return max(1, math.ceil(round(self.settings.epochs * self.num_rows, 9)))

    def _steps_of(self, num_rows: int) -> int:
        return math.ceil(num_rows / self.settings.global_batch_size)

    def evaluates_after(self, step: int) -> bool:
        """Whether this step ends one of `num_evals` equal parts of the training; the last step always does."""
        parts = self.settings.num_evals
        return step * parts // self.num_steps > (step - 1) * parts // self.num_steps

    def learning_rate(self, step: int) -> float:
        """The rate of optimizer step 1, 2, …: linear warm-up, then the schedule down towards 0."""
        warmup = math.ceil(self.settings.warmup_share * self.num_steps)
        peak = self.settings.learning_rate
        if step <= warmup:
            return peak * step / warmup
        left = 1 - (step - 1 - warmup) / max(1, self.num_steps - warmup)
        if self.settings.schedule == "cosine":
            return peak * 0.5 * (1 - math.cos(math.pi * left))
        return peak * left if self.settings.schedule == "linear" else peak
