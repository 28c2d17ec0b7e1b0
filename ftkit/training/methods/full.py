"""All weights of the model are trained, in float32: a bfloat16 weight does not move under small updates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftkit.contracts import MethodDefaults, Trainable
from ftkit.registry import Config, component

if TYPE_CHECKING:
    from ftkit.engine.load import LoadedModel

DEFAULTS = MethodDefaults(learning_rate=2e-5, weight_decay=0.01)
QUANTIZE = "none"


class Full(Config):
    """No options."""


@component
def build(config: Full, base: LoadedModel) -> Trainable:
    """The base itself, in place, its weights widened to float32 where they are narrower."""
    import torch

    assert base.quantize == QUANTIZE, "load the base without quantisation"
    model: Any = base.model
    if next(model.parameters()).dtype in (torch.bfloat16, torch.float16):
        model.float()
    model.requires_grad_(True)

    def save(folder: Path) -> None:
        model.save_pretrained(folder)

    def load(folder: Path) -> None:
        stored = type(model).from_pretrained(folder, use_safetensors=True, dtype=next(model.parameters()).dtype)
        model.load_state_dict(stored.state_dict())

    return Trainable(model, "model", save, load)
