"""Tiny random models and tokenizers of the kinds that matter, made in memory or saved as folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, PreTrainedTokenizerFast, Qwen3Config

from ftkit.contracts import Context, Machine
from ftkit.engine.load import LoadedModel, ModelSpec, wrap
from ftkit.store import digest

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
# as in recent byte-level models: a sign may take the line breaks behind it into its token
GPT4_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    "Where is my card?\nIt has not arrived yet?\n",
    "card_arrival\nlost_or_stolen_card\nreverted_card_payment?\n",
    "I was charged twice for one payment, please return it.\n",
] * 20


def byte_level(*, chat: bool = True, pattern: str | None = GPT4_PATTERN, size: int = 400) -> Any:
    """A byte-level BPE tokenizer; `pattern` None splits as GPT-2 does."""
    tokenizer = Tokenizer(models.BPE())
    if pattern is None:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")
    fast.add_special_tokens({"additional_special_tokens": SPECIAL[1:]})
    fast.chat_template = CHATML if chat else None
    return fast


def config_of(family: str, vocabulary: int) -> Any:
    """A config of two layers of width 32."""
    shape = {"vocab_size": vocabulary, "bos_token_id": None, "eos_token_id": 0, "pad_token_id": None}
    if family == "gpt2":
        return GPT2Config(
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=256,
            resid_pdrop=0,
            embd_pdrop=0,
            attn_pdrop=0,
            **shape,
        )
    shape |= {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "max_position_embeddings": 256,
    }
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2}
    if family == "qwen3":
        return Qwen3Config(head_dim=8, **shape)
    return LlamaConfig(**shape)


def model_of(family: str = "llama", *, vocabulary: int = 400, seed: int = 0) -> Any:
    """A random model whose predictions are far from uniform, so that mistakes show."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config_of(family, vocabulary))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim >= 2:
                parameter.normal_(0, 0.25)
    return model.eval()


def loaded_of(family: str = "llama", *, tokenizer: Any = None, dtype: torch.dtype = torch.float32) -> LoadedModel:
    """A random model in memory with a chat tokenizer."""
    tokenizer = tokenizer if tokenizer is not None else byte_level()
    return wrap(model_of(family, vocabulary=len(tokenizer)).to(dtype), tokenizer)


def save_base(folder: Path, *, family: str = "llama", seed: int = 0, tokenizer: Any = None) -> ModelSpec:
    """A model folder as a user has one, and the spec that names it."""
    tokenizer = tokenizer if tokenizer is not None else byte_level()
    model_of(family, vocabulary=len(tokenizer), seed=seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return spec_of(folder)


def spec_of(folder: Path, **changes: Any) -> ModelSpec:
    """The spec of a local folder in float32."""
    return ModelSpec(**{"path": folder, "hub": None, "revision": None, "precision": "float32", **changes})


def context(tmp_path: Path, **machine: Any) -> Context:
    """A quiet context that keeps its cache in the test's folder."""
    return Context(machine=Machine(device="cpu", **machine), cache_dir=tmp_path / "cache")


def weights_id(parameters: Sequence[torch.Tensor]) -> str:
    """A hash of tensors' bytes."""
    return digest([parameter.detach().numpy().tobytes().hex() for parameter in parameters])
