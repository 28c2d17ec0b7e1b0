"""Logits of a model behind some ids, by which two forms of one model are held against each other.

Knows token ids only.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ftkit.errors import ArtifactError


def last_logits(model: torch.nn.Module, rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Logits (rows, vocabulary) behind the last id of each row, row by row, in float32 on the CPU.

    Raises ArtifactError where one is NaN: nothing is equal to it.
    """
    device = next(model.parameters()).device
    with torch.inference_mode():
        logits = [model(input_ids=torch.tensor([list(row)], device=device)).logits[0, -1] for row in rows]
    if any(bool(each.isnan().any()) for each in logits):
        raise ArtifactError("the model's logits hold NaN: its weights are damaged")
    return torch.stack(logits).float().cpu()
