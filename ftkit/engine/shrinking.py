"""A small stand-in of a base: its architecture, tokenizer and template; few layers, narrow, random weights.

Reads config and tokenizer; the base's weights are neither read nor downloaded. Knows no recipe.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ftkit.contracts import Context
from ftkit.engine.files import SMALL_FILES, ModelSpec, fetch, runs_own_code
from ftkit.engine.foreign import LAYERS, explained
from ftkit.engine.load import quiet_libraries
from ftkit.errors import MachineError

NUM_LAYERS = 2
WIDTH = 128  # up to which a model stays as wide as it is
LARGEST = 400_000_000  # weights: what still is handled in seconds
WRITTEN_ANEW = ("config.json", "ftkit.json", "manifest.json", "adapter_config.json")
HIDDEN = ("hidden_size", "n_embd", "d_model", "word_embed_proj_dim")
HEADS = ("num_attention_heads", "n_head", "n_heads")
KEY_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv")
INNER = (
    *("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "intermediate_size_mlp", "moe_intermediate_size"),
    *("shared_expert_intermediate_size", "shared_intermediate_size"),
)
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
CHOSEN_EXPERTS = ("num_experts_per_tok", "num_experts_per_token")
AT_MOST = {
    "max_window_layers": 1,
    "first_k_dense_replace": 1,
    "num_kv_shared_layers": 0,
    "n_group": 1,
    "topk_group": 1,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,  # of Jamba: both of its kinds
}


@dataclass(frozen=True)
class Small:
    """A stand-in on disk, and how the base and it are built: layers and width of each, the vocabulary of both."""

    folder: Path
    num_layers: tuple[int, int]
    width: tuple[int, int]
    vocabulary: int


def write_small(spec: ModelSpec, folder: Path, ctx: Context, *, seed: int) -> Small:
    """Write a stand-in of a base into `folder`, in float32. The context stays as long, the vocabulary as large.

    Where a narrow one cannot be built, it is as wide as the base. Raises MachineError where none can be made.
    """
    from transformers import AutoConfig

    quiet_libraries()
    place = fetch(spec, ctx, weights=False)
    if runs_own_code(spec, ctx):
        raise MachineError(f"{spec.name}: a model with code of its own has no small stand-in; leave out --smoke")
    with explained(place / "config.json", "cannot be read"):
        config: Any = AutoConfig.from_pretrained(place)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        with explained(place / "config.json", "no small model can be made of it"):
            model = random_model(config)
    folder.mkdir(parents=True)
    model.save_pretrained(folder)
    for path in (path for pattern in SMALL_FILES for path in place.glob(pattern)):
        if path.name not in WRITTEN_ANEW and not path.name.endswith(".index.json"):
            shutil.copyfile(path, folder / path.name)
    before, now = config.get_text_config(), model.config.get_text_config()
    return Small(
        folder,
        (before.num_hidden_layers, now.num_hidden_layers),
        (before.hidden_size, now.hidden_size),
        now.vocab_size,
    )


def random_model(config: Any) -> Any:
    """A random model of the family, in float32: two layers, one of each kind where there are several, and narrow.

    Where none so narrow can be built and computes, it is wider. Raises what the family raises where none can be.
    """
    with suppress(Exception):  # whatever the family asks of its sizes
        return _random(config, least_heads=1)
    with suppress(Exception):
        return _random(config, least_heads=4)
    return _random(config, least_heads=None)


def _random(config: Any, *, least_heads: int | None) -> Any:
    from transformers import AutoModelForCausalLM

    config = type(config).from_dict(_cut(config.to_dict(), least_heads))
    with torch.device("meta"):
        size = sum(each.numel() for each in AutoModelForCausalLM.from_config(config).parameters())
    if size > LARGEST:
        raise MachineError(f"two layers of it have {size:,} weights, too many to try out on the CPU")
    model: Any = AutoModelForCausalLM.from_config(config).float().eval()
    with torch.no_grad():
        model(torch.arange(8)[None] % config.get_text_config().vocab_size)
    return model


def _cut(values: dict[str, Any], least_heads: int | None) -> dict[str, Any]:
    """A config as plain values, and those within it, with fewer layers; narrower where a number of heads is given."""
    cut: dict[str, Any] = {}
    for name, each in values.items():
        cut[name] = _cut(each, least_heads) if isinstance(each, dict) else each
    cut.pop("quantization_config", None)
    cut.pop("dtype", None)
    num_layers = next((cut[name] for name in LAYERS if isinstance(cut.get(name), int)), None)
    if num_layers is None:
        return cut
    kept = _kept_layers(cut, num_layers)
    for name, each in cut.items():
        if isinstance(each, list) and len(each) == num_layers > NUM_LAYERS:
            cut[name] = [each[layer] for layer in kept]
    cut |= {name: len(kept) for name in LAYERS if name in cut}
    cut |= {name: min(cut[name], most) for name, most in AT_MOST.items() if isinstance(cut.get(name), int)}
    if "attention_types" in cut:  # of GPT-Neo
        cut["attention_types"] = [[cut["attention_layers"], 1]]
    return cut if least_heads is None else {**cut, **_narrow(cut, least_heads)}


def _kept_layers(values: dict[str, Any], num_layers: int) -> Sequence[int]:
    """The first layer, and the next one of another kind."""
    kinds: list[Any] = next((values[name] for name in ("layer_types", "attention_layers") if values.get(name)), [])
    other = next((place for place, kind in enumerate(kinds) if kind != kinds[0]), 1)
    return list(range(num_layers)) if num_layers <= NUM_LAYERS else [0, other]


def _narrow(values: dict[str, Any], least_heads: int) -> dict[str, Any]:
    """Fewer heads, as wide as they are; the width that they come to, or less where the base's is not theirs."""
    heads, width = (next((values[name] for name in names if name in values), 0) for names in (HEADS, HIDDEN))
    if not heads or width <= WIDTH:
        return {}
    head = values.get("head_dim") or width // heads
    num_heads = max(least_heads, WIDTH // head)
    key_heads = next((values[name] for name in KEY_HEADS if isinstance(values.get(name), int)), heads)
    narrow = {name: num_heads for name in HEADS if name in values}
    narrow |= {name: num_heads if key_heads == heads else 1 for name in KEY_HEADS if isinstance(values.get(name), int)}
    hidden = num_heads * head if heads * head == width else WIDTH // 2
    narrow |= {name: hidden for name in HIDDEN if name in values}
    narrow |= {name: min(values[name], 2 * hidden) for name in INNER if isinstance(values.get(name), int)}
    chosen = {name: min(values[name], 2) for name in CHOSEN_EXPERTS if isinstance(values.get(name), int)}
    return narrow | chosen | {name: min(values[name], 4) for name in EXPERTS if isinstance(values.get(name), int)}
