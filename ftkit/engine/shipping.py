"""A model as it is shipped: one folder that transformers alone loads, and that says there what it says here.

Knows models and tokenizers; no row, no run and no training.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ftkit.engine.load import LoadedModel


def write_model(loaded: LoadedModel, folder: Path, *, max_new_tokens: int) -> None:
    """Write weights, tokenizer, chat template and generation config of a model whose weights are not quantised.

    `generate` of transformers then stops where ours stops, and draws as ours does: the likeliest token each time,
    `max_new_tokens` at most. The template renders without keywords what ours renders with the recipe's.
    """
    from transformers import GenerationConfig

    assert loaded.quantize == "none", "quantised weights are made plain first"
    ends = sorted(loaded.renderer.eos_ids)
    tokenizer = copy.copy(loaded.renderer.tokenizer)
    tokenizer.chat_template = _with_defaults(tokenizer.chat_template, loaded.renderer.template_kwargs)
    padding = ends[0] if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    loaded.model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=ends,
        pad_token_id=padding,
    )
    loaded.model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _with_defaults(template: Any, kwargs: Mapping[str, Any]) -> Any:
    """The template, or each of several, with the values it is rendered with; a keyword of a call goes before them."""
    if isinstance(template, dict):
        return {name: _with_defaults(each, kwargs) for name, each in template.items()}
    used = {name: value for name, value in kwargs.items() if name in template}
    # Jinja reads a plain JSON value as Python writes it, and takes away the line break behind a statement
    lines = [f"{{% set {name} = {name} if {name} is defined else {value!r} %}}\n" for name, value in used.items()]
    return "".join([*lines, template])
