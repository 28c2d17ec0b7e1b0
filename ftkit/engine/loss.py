"""The loss of training rows: negative log-likelihood of their targets, and nothing computed beyond it.

Knows ids, masks and a model; no text, no optimizer.  T targets, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ftkit.engine.batching import Load, vocabulary, widen
from ftkit.engine.forward import Way, forward
from ftkit.engine.load import LoadedModel

CHUNK = 2**24  # logits turned to float32 at a time, 64 MiB


@dataclass(frozen=True, slots=True)
class Row:
    """Ids of a training row; `target_mask` is true where the loss counts, `weight` multiplies each."""

    ids: list[int]
    target_mask: list[bool]
    weight: float = 1.0

    @property
    def targets(self) -> list[int]:
        """Positions that are predicted; the first id never is, nothing stands before it."""
        return [position for position, counts in enumerate(self.target_mask) if counts and position > 0]

    @property
    def width(self) -> int:
        """Ids the model has to see: the last target is predicted, not read."""
        targets = self.targets
        return targets[-1] if targets else 0


def num_targets(rows: Sequence[Row]) -> int:
    """Target tokens: what a summed loss is divided by. Weights are not in it: they mean the same in any batch."""
    return sum(len(row.targets) for row in rows)


def mean_weight_one(rows: Sequence[Row]) -> list[Row]:
    """The rows with their weights brought to a mean of 1, ratios kept."""
    mean = math.fsum(row.weight for row in rows) / len(rows)
    return [replace(row, weight=row.weight / mean) for row in rows]


def load_of(row: Row, model: Any) -> Load:
    """What a row costs in a batch."""
    return Load(row.ids[: row.width], row.width, row.width, 1, len(row.targets) * vocabulary(model))


def summed_loss(loaded: LoadedModel, rows: Sequence[Row], *, way: Way) -> torch.Tensor:
    """Sum over target tokens of weight × negative log-likelihood, the same numbers as row by row.

    What rows begin with alike is computed once. Logits only where a target follows.
    """
    sequences = [row.ids[: row.width] for row in rows]
    logits = forward(loaded, sequences, [[target - 1 for target in row.targets] for row in rows], way=way)
    device = logits.values_WV.device
    row_T = torch.tensor([place for places in logits.places for place in places], device=device)
    target_T = torch.tensor([row.ids[target] for row in rows for target in row.targets], device=device)
    weight_T = torch.tensor([row.weight for row in rows for _ in row.targets], device=device, dtype=torch.float32)
    logits_TV = logits.values_WV
    if len(row_T) == len(logits_TV):  # each place predicts once: the few targets are put in order, not the logits
        order_T = row_T.argsort()
        target_T, weight_T = target_T[order_T], weight_T[order_T]
    else:
        logits_TV = logits_TV[row_T]
    size = max(1, CHUNK // logits_TV.shape[1])
    if len(row_T) <= size:
        return _nll(logits_TV, target_T, weight_T)
    parts = [slice(start, start + size) for start in range(0, len(row_T), size)]
    # recomputed in the backward pass: float32 copies of all logits never stand in memory at once
    sums = [checkpoint(_nll, logits_TV[p], target_T[p], weight_T[p], use_reentrant=False) for p in parts]
    return torch.stack(sums).sum()


def _nll(logits_TV: torch.Tensor, target_T: torch.Tensor, weight_T: torch.Tensor) -> torch.Tensor:
    nll_T = functional.cross_entropy(widen(logits_TV), target_T, reduction="none")
    return (nll_T * weight_T).sum()
