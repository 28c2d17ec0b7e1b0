"""Tiny random models of many families, by the names of their configs, and in which way each may be computed."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from tiny_models import byte_level

from ftkit.engine.load import LoadedModel, wrap

VOCABULARY = 300
SHAPE = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4}
GROUPED = {**SHAPE, "num_key_value_heads": 2}
HEAD = {**GROUPED, "head_dim": 16}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
GPT = {"n_embd": 32, "n_layer": 2, "n_head": 4}
ROTARY = {**GPT, "rotary_dim": 4}
WINDOW = 7
BY_TURNS = {"layer_types": ["sliding_attention", "full_attention"] * 2, "sliding_window": WINDOW}
LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12}
DEEPSEEK = {"n_routed_experts": 4, "n_group": 2, "topk_group": 1, "num_experts_per_tok": 2, "first_k_dense_replace": 2}
MAMBA = {"num_hidden_layers": 2, "num_heads": 8, "head_dim": 8, "state_size": 8, "n_groups": 2, "chunk_size": 8}
LINEAR = {
    "linear_num_value_heads": 4,
    "linear_num_key_heads": 2,
    "linear_key_head_dim": 8,
    "linear_value_head_dim": 8,
    "shared_expert_intermediate_size": 32,
}

TREE: dict[str, dict[str, Any]] = {
    "Llama": GROUPED,
    "Qwen2": GROUPED,
    "Qwen3": HEAD,
    "Qwen3Moe": {**HEAD, **EXPERTS},
    "Mixtral": {**GROUPED, "num_local_experts": 4},
    "Mistral": {**GROUPED, "sliding_window": WINDOW},
    "Olmo2": GROUPED,
    "Granite": GROUPED,
    "Gemma": HEAD,
    "Gemma2": {**HEAD, "sliding_window": WINDOW},
    "Gemma3Text": {**HEAD, **BY_TURNS},
    "Phi3": {**GROUPED, "sliding_window": WINDOW},
    "GPT2": GPT,
    "GPTNeoX": SHAPE,
    "OPT": {
        "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "word_embed_proj_dim": 32,
    },
    "Cohere2": {**GROUPED, "sliding_window": WINDOW},
    "SmolLM3": GROUPED,
    "GptOss": {**HEAD, "sliding_window": WINDOW, "num_local_experts": 4, "num_experts_per_tok": 2},
    "DeepseekV3": {**SHAPE, "num_key_value_heads": 4, **LATENT, **DEEPSEEK, "moe_intermediate_size": 32},
}  # fmt: skip
MASKED: dict[str, dict[str, Any]] = {
    "Falcon": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4},
    "GPTJ": ROTARY,
    "CodeGen": ROTARY,
    "StableLm": GROUPED,
}
PLAIN: dict[str, dict[str, Any]] = {
    "Bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "Mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4},
    "GPTNeo": {
        "hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]],
        "window_size": 60,
    },
    "Mamba2": {"hidden_size": 32, **MAMBA},
    "Jamba": {
        **GROUPED, "num_experts": 2, "attn_layer_period": 2, "attn_layer_offset": 1, "expert_layer_period": 2,
        "mamba_d_state": 4, "mamba_dt_rank": 4, "use_mamba_kernels": False,
    },
    "Lfm2": {**GROUPED, "layer_types": ["conv", "full_attention"] * 2},
    "Qwen3Next": {**HEAD, **EXPERTS, **LINEAR},
    "Llama4Text": {**HEAD, "num_local_experts": 2, "intermediate_size_mlp": 48, "attention_chunk_size": WINDOW},
    "Qwen2Moe": {
        **GROUPED, **EXPERTS, "use_sliding_window": True, "sliding_window": WINDOW, "max_window_layers": 1,
        "shared_expert_intermediate_size": 32,
    },
}  # fmt: skip
WAYS = {"tree": TREE, "masked": MASKED, "plain": PLAIN}
WAY_OF = {family: way for way, families in WAYS.items() for family in families}


def family_model(family: str, dtype: torch.dtype = torch.float32) -> Any:
    """A random model of the family in which nothing is dropped and no weight is 0, so that mistakes show."""
    options = WAYS[WAY_OF[family]][family]
    limits = {"max_position_embeddings": 128, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = getattr(transformers, f"{family}Config")(vocab_size=VOCABULARY, **{**limits, **options})
    for name, value in config.to_dict().items():
        if ("drop" in name or name == "attn_pdrop") and isinstance(value, float):
            setattr(config, name, 0.0)
    config._experts_implementation = "eager"  # the grouped kernel takes no float64
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.15) if parameter.ndim > 1 else parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def family_loaded(family: str, dtype: torch.dtype = torch.float32) -> LoadedModel:
    """The model with a tokenizer that none of its ids come from."""
    loaded = wrap(family_model(family, dtype), byte_level(size=VOCABULARY))
    return loaded
