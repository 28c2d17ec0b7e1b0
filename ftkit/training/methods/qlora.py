"""Low-rank adapters on a base held in 4-bit NormalFloat (Dettmers et al. 2023, arXiv 2305.14314)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.contracts import MethodDefaults, Trainable
from ftkit.registry import component
from ftkit.training.methods import LowRank, low_rank

if TYPE_CHECKING:
    from ftkit.engine.load import LoadedModel

DEFAULTS = MethodDefaults(learning_rate=2e-4, weight_decay=0.0)
QUANTIZE = "nf4"


class Qlora(LowRank):
    """How large the adapters are, and which layers get one."""


@component
def build(config: Qlora, base: LoadedModel) -> Trainable:
    """An adapter on a base that was loaded with nf4."""
    assert base.quantize == QUANTIZE, "load the base with quantize='nf4'"
    return low_rank(config, base)
