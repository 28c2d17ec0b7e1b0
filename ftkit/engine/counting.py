"""What a model is in numbers, and how fast this CPU multiplies: for estimates of what a run will take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

SIDE, PRODUCTS = 1024, 4


@dataclass(frozen=True)
class ModelSize:
    """Weights: in all, those that require a gradient, those of linear layers, and those that one token meets.

    Of experts a token meets those that are chosen for it; of an embedding that is not the output head too, a row.
    """

    num_parameters: int
    num_trainable: int
    num_linear: int
    num_active: int
    num_layers: int
    width: int
    vocabulary: int


def size_of(model: Any) -> ModelSize:
    """Counted; the weights need not be there."""
    config = model.config.get_text_config()
    num_experts, num_chosen = _num_experts(config), getattr(config, "num_experts_per_tok", None)
    chosen = num_chosen / num_experts if num_experts and num_chosen else 1.0
    embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings()
    is_tied = head is not None and head.weight is embedding
    active, linear = 0.0, 0
    for name, each in model.named_parameters():
        if each is embedding:
            active += each.numel() if is_tied else 0
        elif each.ndim > 1:
            active += each.numel() * (chosen if ".experts." in name else 1.0)
            linear += 0 if head is not None and each is head.weight else each.numel()
    parameters = list(model.parameters())
    return ModelSize(
        num_parameters=sum(each.numel() for each in parameters),
        num_trainable=sum(each.numel() for each in parameters if each.requires_grad),
        num_linear=linear,
        num_active=round(active),
        num_layers=config.num_hidden_layers,
        width=config.hidden_size,
        vocabulary=config.vocab_size,
    )


def _num_experts(config: Any) -> int | None:
    names = ("num_experts", "num_local_experts", "n_routed_experts")
    return next((getattr(config, name) for name in names if getattr(config, name, None)), None)


def operations_per_s() -> float:
    """Operations a second of products of float32 matrices on this CPU, measured in a fraction of a second."""
    one = torch.rand(SIDE, SIDE)
    best = float("inf")
    for _ in range(PRODUCTS):
        began = time.perf_counter()
        one @ one
        best = min(best, time.perf_counter() - began)
    return 2 * SIDE**3 / best
