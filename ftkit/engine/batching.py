"""Which rows are computed together, and how they stand in a tensor. The plan depends on lengths alone.

Knows no loss, no score and no task.  B rows of a batch, L columns.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ftkit.contracts import Machine

PAD_ID = 0  # any id: padding is masked by position, never by value
CPU_TOKENS = 4096  # padded tokens of a batch; more does not make two cores faster
GPU_TOKENS = 32768
CPU_LOGITS = 2**27  # numbers of the logits of a batch, 0.5 GiB in float32
GPU_LOGITS = 2**30


@dataclass(frozen=True, slots=True)
class Budget:
    """What a batch may hold: `rows` where the machine block says so (0: no limit), padded tokens, logits."""

    rows: int
    tokens: int
    logits: int

    @classmethod
    def of(cls, machine: Machine, device: str) -> Budget:
        """The budget of a device; `machine.micro_batch` replaces it by a number of rows."""
        if machine.micro_batch != "auto":
            return cls(machine.micro_batch, 2**62, 2**62)
        return cls(0, CPU_TOKENS, CPU_LOGITS) if device == "cpu" else cls(0, GPU_TOKENS, GPU_LOGITS)

    def halved(self) -> Budget:
        """Half of everything, after memory ran out."""
        return Budget(self.rows // 2, self.tokens // 2, self.logits // 2)


def plan(lengths: Sequence[int], budget: Budget, *, logits_per_row: Sequence[int] | None = None) -> list[list[int]]:
    """Indices of the rows of each batch, longest rows first: what does not fit memory fails at once."""
    wide = logits_per_row if logits_per_row is not None else [0] * len(lengths)
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    batches: list[list[int]] = []
    most_logits = 0
    for index in order:
        most_logits = max(most_logits, wide[index])
        batch = batches[-1] if batches else []
        rows = len(batch) + 1
        fits = batch and rows * lengths[batch[0]] <= budget.tokens and rows * most_logits <= budget.logits
        if fits and (not budget.rows or rows <= budget.rows):
            batch.append(index)
        else:
            batches.append([index])
            most_logits = wide[index]
    return batches


def pad_left(rows: Sequence[Sequence[int]], device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(ids_BL, mask_BL): rows end in the last column; the mask is 1 where a token stands."""
    width = max(map(len, rows))
    ids_BL = torch.tensor([[PAD_ID] * (width - len(row)) + list(row) for row in rows], device=device)
    mask_BL = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows], device=device)
    return ids_BL, mask_BL


def pad_right(rows: Sequence[Sequence[int]], device: str) -> torch.Tensor:
    """ids_BL: rows begin in the first column, so that causal attention needs no mask to leave padding out."""
    width = max(map(len, rows))
    return torch.tensor([list(row) + [PAD_ID] * (width - len(row)) for row in rows], device=device)


def base_of(model: Any) -> Any:
    """The transformers model below a peft wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def limits_logits(model: Any) -> bool:
    """Whether its forward can compute logits for some columns only."""
    return "logits_to_keep" in inspect.signature(base_of(model).forward).parameters


def vocabulary(model: Any) -> int:
    """Number of logits of one position."""
    return int(base_of(model).config.get_text_config().vocab_size)


def widen(logits: torch.Tensor) -> torch.Tensor:
    """At least float32: what follows are logarithms and long sums."""
    return logits if logits.dtype == torch.float64 else logits.float()
