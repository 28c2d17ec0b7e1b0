"""Whether a model in training drops at random what it computes.

Knows modules and configs by what they say of themselves, no method and no family.
"""

from __future__ import annotations

from typing import Any

from torch.nn.modules.dropout import _DropoutNd

from ftkit.engine.batching import base_of

NAMES = ("drop", "noise")  # attention_dropout, resid_pdrop, layerdrop, router_jitter_noise …
OF_OTHER_HEADS = ("classif", "summary")  # what a language model does not use


def drops(model: Any) -> bool:
    """Whether a module of the model drops, or its config names a share above zero, which attention reads by itself."""
    if any(isinstance(part, _DropoutNd) and part.p > 0 for part in model.modules()):
        return True
    config = base_of(model).config.get_text_config().to_dict()
    shares = [key for key, value in config.items() if isinstance(value, float) and value > 0]
    return any(any(name in key for name in NAMES) and not any(name in key for name in OF_OTHER_HEADS) for key in shares)
