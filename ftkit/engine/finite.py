"""Scores and logits that are not finite: nothing is answered from them, and whose fault it is is said.

Knows ids and a model; no text and no task.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch

from ftkit.engine.load import LoadedModel
from ftkit.errors import ArtifactError


class NotFiniteError(ArtifactError):
    """A model gives NaN or infinity. `is_base`: so does the base alone, without what was trained onto it."""

    def __init__(self, message: str, *, is_base: bool) -> None:
        super().__init__(message)
        self.is_base = is_base


def not_finite(loaded: LoadedModel, ids: Sequence[int]) -> NotFiniteError:
    """What to raise where a model gives no finite logits behind or within these ids. Names base or adapter."""
    model = loaded.model
    has_adapter = hasattr(model, "disable_adapter")
    with torch.inference_mode(), model.disable_adapter() if has_adapter else nullcontext():
        logits_1LV = model(input_ids=torch.tensor([list(ids)], device=loaded.device), use_cache=False).logits
        is_base = not (has_adapter and _are_numbers(logits_1LV))
    name = loaded.identity["repository"]
    broken = [
        key for key, value in model.named_parameters() if value.is_floating_point() and not bool(value.isfinite().all())
    ]
    weights = f"; {len(broken)} of its weights hold NaN or infinity, {broken[0]} among them" if broken else ""
    if is_base:
        what, remedy = f"the base model {name}", "fetch the model anew, or set model.precision: float32"
    else:
        what, remedy = f"the adapter on {name}", "restore its files, or train it again with a lower learning rate"
    return NotFiniteError(
        f"{what} gives scores that are not finite (NaN or infinity){weights}; {remedy}", is_base=is_base
    )


def _are_numbers(logits_1LV: torch.Tensor) -> bool:
    """Whether a likeliest token can be told: minus infinity, of a token that never comes, is no fault."""
    return bool(logits_1LV.amax(dim=-1).isfinite().all())
