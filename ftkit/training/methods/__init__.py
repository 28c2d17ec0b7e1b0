"""Tuning methods: one file each, saying what is trainable and how it is saved. The loop is not theirs.

Knows no method by name. What low-rank adapters have in common stands here.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ftkit.contracts import Trainable
from ftkit.errors import RecipeError
from ftkit.records import dump
from ftkit.registry import Config

if TYPE_CHECKING:
    from ftkit.engine.load import LoadedModel

ADAPTER_WEIGHTS, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"  # names peft reads


class LowRank(Config):
    """Options of low-rank adapters."""

    rank: int = Field(16, ge=1, le=2**14, description="inner size of an adapter: more is more to learn with")
    alpha: Annotated[float, Field(gt=0, le=1e6)] = Field(32, description="the update is scaled by alpha / rank")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of an adapter's inputs that a step leaves out"
    )
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = Field(
        "all-linear",
        description="layers that get an adapter: all linear ones but the head, or by the ends of their names, as "
        "[q_proj, v_proj]",
    )


def low_rank(config: LowRank, base: LoadedModel) -> Trainable:
    """Put a LoRA adapter on the base, in place; its first values come from torch's random numbers.

    At first it changes nothing: one of its two factors is zero. Adapter weights are float32 or wider. Raises
    RecipeError for layers that are not there, or whose weights are another layer's too: no export could merge those.
    """
    from peft import LoraConfig, get_peft_model

    from ftkit.engine.adapters import compute_at_once

    options = LoraConfig(
        task_type="CAUSAL_LM",
        r=config.rank,
        lora_alpha=config.alpha,  # peft takes fractions too
        lora_dropout=config.dropout,
        target_modules=config.target_modules,
        bias="none",
    )
    base.model.requires_grad_(False)
    shared = _shared_weights(base.model)
    try:
        with warnings.catch_warnings():
            # peft 0.21 asks transformers 5 under a name that goes away; nothing a user could do about it
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
            warnings.filterwarnings("ignore", message="Model has `tie_word_embeddings=True`")  # refused below
            model = get_peft_model(base.model, options)
    except ValueError as error:
        layers = sorted(
            {name.rsplit(".", 1)[-1] for name, part in base.model.named_modules() if hasattr(part, "weight")}
        )
        raise RecipeError(
            f"train.method target_modules: {config.target_modules!r} does not fit this model; its layers are "
            f"{', '.join(layers)} ({str(error).splitlines()[0]})"
        ) from None
    _refuse_shared(model, shared)
    compute_at_once(model)
    options.base_model_name_or_path = base.identity["repository"]

    def save(folder: Path) -> None:
        from peft import get_peft_model_state_dict
        from safetensors.torch import save_file

        folder.mkdir(parents=True, exist_ok=True)
        state = get_peft_model_state_dict(model, save_embedding_layers=False)  # "auto" asks the hub
        tensors = {name: value.detach().contiguous() for name, value in sorted(state.items())}
        save_file(tensors, folder / ADAPTER_WEIGHTS, metadata={"format": "pt"})
        # sorted: the order of a set of module names differs from process to process
        plain = {name: sorted(value) if isinstance(value, set) else value for name, value in options.to_dict().items()}
        text = dump({**dict(sorted(plain.items())), "inference_mode": True})
        (folder / ADAPTER_CONFIG).write_text(text + "\n", encoding="utf-8")

    def load(folder: Path) -> None:
        from peft import set_peft_model_state_dict
        from safetensors.torch import load_file

        set_peft_model_state_dict(model, load_file(folder / ADAPTER_WEIGHTS))

    return Trainable(model, "adapter", save, load)


def _refuse_shared(model: Any, shared: dict[int, list[str]]) -> None:
    adapted = ((name, part.get_base_layer()) for name, part in model.named_modules() if hasattr(part, "get_base_layer"))
    for name, layer in adapted:
        if owners := shared.get(id(layer.weight)):
            raise RecipeError(
                f"train.method target_modules: {name.rsplit('.', 1)[-1]!r} shares its weights with another layer of "
                f"this model ({', '.join(owners)}): an adapter on one of them cannot be merged for an export; "
                "leave it out, or train by full"
            )


def _shared_weights(model: Any) -> dict[int, list[str]]:
    """The layers that share a weight, by the weight's id."""
    owners: dict[int, list[str]] = {}
    for name, part in model.named_modules():
        if (weight := part._parameters.get("weight")) is not None:
            owners.setdefault(id(weight), []).append(name)
    return {weight: names for weight, names in owners.items() if len(names) > 1}
