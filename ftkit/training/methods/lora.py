"""Low-rank adapters on the frozen base (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.contracts import MethodDefaults, Trainable
from ftkit.registry import component
from ftkit.training.methods import LowRank, low_rank

if TYPE_CHECKING:
    from ftkit.engine.load import LoadedModel

DEFAULTS = MethodDefaults(learning_rate=2e-4, weight_decay=0.0)
QUANTIZE = "none"


class Lora(LowRank):
    """How large the adapters are, and which layers get one."""


@component
def build(config: Lora, base: LoadedModel) -> Trainable:
    """An adapter on the base as it was loaded."""
    return low_rank(config, base)
