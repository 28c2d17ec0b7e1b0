"""What the engine must agree with: losses and scores from `model(ids).logits`, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def log_probability(model: Any, context_ids: Sequence[int], continuation_ids: Sequence[int]) -> torch.Tensor:
    """Sum of the log-probabilities of the continuation's tokens, in float64 arithmetic behind the logits."""
    device = next(model.parameters()).device
    ids = torch.tensor([[*context_ids, *continuation_ids]], device=device)
    log_p = model(ids).logits[0].double().log_softmax(dim=-1)
    first = len(context_ids)
    return torch.stack([log_p[first + k - 1, id] for k, id in enumerate(continuation_ids)]).sum()


def mean_loss(model: Any, rows: Sequence[Any]) -> torch.Tensor:
    """Mean over all target tokens of row weight × negative log-likelihood."""
    device = next(model.parameters()).device
    total, num_tokens = torch.zeros((), dtype=torch.float64, device=device), 0
    for row in rows:
        log_p = model(torch.tensor([row.ids], device=device)).logits[0].double().log_softmax(dim=-1)
        for position, counts in enumerate(row.target_mask):
            if counts:
                total = total - row.weight * log_p[position - 1, row.ids[position]]
                num_tokens += 1
    return total / num_tokens


def greedy(model: Any, context_ids: Sequence[int], max_new_tokens: int, eos_ids: frozenset[int]) -> list[int]:
    """The most probable token again and again, without a cache."""
    device = next(model.parameters()).device
    ids = list(context_ids)
    for _ in range(max_new_tokens):
        ids.append(int(model(torch.tensor([ids], device=device)).logits[0, -1].argmax()))
        if ids[-1] in eos_ids:
            break
    return ids[len(context_ids) :]
