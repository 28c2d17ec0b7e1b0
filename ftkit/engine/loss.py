"""The loss of training rows: negative log-likelihood of their targets, and nothing computed beyond it.

Knows ids, masks and a model; no text, no optimizer.  B rows, L columns, K columns before targets, T targets,
V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from ftkit.engine.batching import limits_logits, pad_right, widen

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


def loss_of(model: Any, rows: Sequence[Row]) -> torch.Tensor:
    """Mean loss of the rows' target tokens, each times its row's weight: `summed_loss` over `num_targets`."""
    return summed_loss(model, rows) / num_targets(rows)


def summed_loss(model: Any, rows: Sequence[Row], autocast: Any = None) -> torch.Tensor:
    """Sum over target tokens of weight × negative log-likelihood.

    Rows are padded on the right, where causal attention never looks: no mask, no position ids, and the same
    numbers as one by one. No cache: with one, packed rows would leak into each other. Logits only where a
    target follows.
    """
    device = str(next(model.parameters()).device)
    ids_BL = pad_right([row.ids[: row.width] for row in rows], device)
    columns = sorted({target - 1 for row in rows for target in row.targets})
    options = {}
    if limits_logits(model):
        options["logits_to_keep"] = torch.tensor(columns, device=device)
    if autocast is None:
        logits_BKV = model(input_ids=ids_BL, use_cache=False, **options).logits
    else:
        with autocast:
            logits_BKV = model(input_ids=ids_BL, use_cache=False, **options).logits
    kept = {column: index for index, column in enumerate(columns if options else range(ids_BL.shape[1]))}
    places = [
        (index, kept[target - 1], row.ids[target], row.weight)
        for index, row in enumerate(rows)
        for target in row.targets
    ]
    row_T, column_T, target_T = torch.tensor([place[:3] for place in places], device=device).unbind(dim=1)
    weight_T = torch.tensor([place[3] for place in places], device=device, dtype=torch.float32)
    logits_TV = logits_BKV[row_T, column_T]
    size = max(1, CHUNK // logits_TV.shape[1])
    if len(places) <= size:
        return _nll(logits_TV, target_T, weight_T)
    parts = [slice(start, start + size) for start in range(0, len(places), size)]
    # recomputed in the backward pass: float32 copies of all logits never stand in memory at once
    sums = [checkpoint(_nll, logits_TV[p], target_T[p], weight_T[p], use_reentrant=False) for p in parts]
    return torch.stack(sums).sum()


def _nll(logits_TV: torch.Tensor, target_T: torch.Tensor, weight_T: torch.Tensor) -> torch.Tensor:
    nll_T = functional.cross_entropy(widen(logits_TV), target_T, reduction="none")
    return (nll_T * weight_T).sum()
