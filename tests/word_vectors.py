"""Small folders of word vectors, as model2vec saves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

WORDS = {"red": [1.0, 0.0], "blue": [0.0, 1.0], "rose": [0.8, 0.6], "anti": [-1.0, 0.0]}


def model(
    folder: Path, words: Mapping[str, Sequence[float]] = WORDS, name: str = "embeddings", **more: np.ndarray[Any, Any]
) -> Path:
    """A folder as model2vec saves it: the unknown token has the vector (9, 9, …)."""
    vocabulary = {"[UNK]": 0, **{word: number for number, word in enumerate(words, 1)}}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding()
    vectors = np.array([[9.0] * len(next(iter(words.values()))), *words.values()], np.float32)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    save_file({name: vectors, **more}, folder / "model.safetensors")
    (folder / "config.json").write_text("{}")
    return folder
