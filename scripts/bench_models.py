"""Models with random weights, rows and prompts for the engine's benchmarks, made of the public sets.

Knows the public data's files, and nothing of what is measured. The same seed gives the same rows.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

from bench_sides import say

VOCABULARY = 8192
CONTEXT = 4096
END = "<|endoftext|>"
SEED = 17


@dataclass(frozen=True)
class Size:
    """A Llama's shape."""

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int = VOCABULARY

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The matrices of its layers, all of them."""
        own = [(self.width, self.width)] * 4 + [(self.width, self.inner)] * 2 + [(self.inner, self.width)]
        return own * self.layers


SIZES = {
    "S": Size(288, 6, 6, 768),
    "M": Size(768, 14, 12, 2048),
    "0.6B": Size(1024, 28, 16, 4096, 65_536),
    "1B": Size(2048, 18, 16, 5632, 65_536),
    "8B": Size(4096, 36, 32, 11_008, 131_072),
}


@dataclass(frozen=True)
class Texts:
    """The public sets as pairs of input and target."""

    instructions: list[tuple[str, str]]
    banking: list[tuple[str, str]]


def read_texts(data: Path) -> Texts:
    """Instruction rows of gsm8k and scitldr in turn, and banking77 in a random order."""
    sums = [json.loads(line) for line in (data / "gsm8k" / "train.jsonl").open(encoding="utf-8")]
    papers = [json.loads(line) for line in (data / "scitldr" / "train.jsonl").open(encoding="utf-8")]
    one = [(row["question"], row["answer"]) for row in sums]
    two = [("Summarise: " + " ".join(row["source"]), row["target"][0]) for row in papers]
    with (data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as lines:
        banking = [(row["text"], row["category"]) for row in csv.DictReader(lines)]
    random.Random(SEED).shuffle(banking)
    return Texts(list(chain.from_iterable(zip(one, two, strict=False))), banking)


def write_model(folder: Path, name: str, texts: Texts, *, dtype: str = "float32", device: str = "cpu") -> Path:
    """The folder of a model of that size, with a BPE tokenizer of these texts; made where it is not there yet."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    model_dir = folder / f"{name}-{dtype}"
    if (model_dir / "model.safetensors").exists() or (model_dir / "model.safetensors.index.json").exists():
        return model_dir
    say(f"making the model {name}")
    size = SIZES[name]
    config = LlamaConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        intermediate_size=size.inner,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        max_position_embeddings=CONTEXT,
        initializer_range=size.width**-0.5,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=0,
        dtype=dtype,
    )
    torch.manual_seed(SEED)
    with torch.device(device):
        model = LlamaForCausalLM(config).to(getattr(torch, dtype))
    _tokenizer(texts).save_pretrained(model_dir)
    model.save_pretrained(model_dir)
    return model_dir


def _tokenizer(texts: Texts) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(chain.from_iterable([*texts.instructions, *texts.banking]), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END)


def tokenizer_of(model_dir: Path) -> Any:
    """The tokenizer of a model's folder."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(model_dir / "tokenizer.json"))


Row = dict[str, list[int]]
"""`ids` of a training row, and a `mask` of ones where the loss counts."""


def row_of(tokenizer: Any, context: str, target: str) -> Row:
    """A training row: the target and an end are learned."""
    before, after = tokenizer.encode(context + "\n").ids, [*tokenizer.encode(target).ids, 0]
    return {"ids": [*before, *after], "mask": [0] * len(before) + [1] * len(after)}


def instruction_rows(tokenizer: Any, texts: Texts, num_rows: int) -> list[Row]:
    """Rows of gsm8k and scitldr in turn."""
    return [row_of(tokenizer, *pair) for pair in texts.instructions[:num_rows]]


def rows_behind_shared(tokenizer: Any, texts: Texts, num_rows: int, *, shared: int = 300, own: int = 30) -> list[Row]:
    """Rows of `own` ids behind `shared` ids that are the same in all; the last third of the own ones is learned."""
    ids = tokenizer.encode(" ".join(chain.from_iterable(texts.instructions[:1000]))).ids
    beginning, rest = ids[:shared], ids[shared:]
    mask = [0] * (shared + own - own // 3) + [1] * (own // 3)
    return [{"ids": [*beginning, *rest[place * own : (place + 1) * own]], "mask": mask} for place in range(num_rows)]


def banking_rows(tokenizer: Any, texts: Texts, num_rows: int) -> list[Row]:
    """Rows of banking77 behind an instruction that lists its labels."""
    labels = sorted({label for _, label in texts.banking})
    instruction = "Which of these is it? " + ", ".join(label.replace("_", " ") for label in labels) + "\n\n"
    return [row_of(tokenizer, instruction + text, label) for text, label in texts.banking[:num_rows]]


@dataclass(frozen=True)
class Work:
    """Tokens, logits and pairs of a token and one it attends to, of sequences whose shared beginnings count once."""

    tokens: int
    logits: int
    pairs: int

    def flops(self, size: Size, *, trained: bool = False, weights: bool = False, rank: int = 0) -> float:
        """Of the forward pass; where `trained`, also back to activations, and to `weights` and adapters of a rank.

        Attention has no weights: once forward, and twice that back.
        """
        passes = (2 if trained else 1) + (1 if weights else 0)
        matrices = 2 * sum(wide * high for wide, high in size.shapes) * self.tokens
        adapters = 2 * sum(rank * (wide + high) for wide, high in size.shapes) * self.tokens
        head = 2 * size.width * size.vocabulary * self.logits
        attention = 4 * size.width * size.layers * self.pairs
        return passes * (matrices + head) + 3 * adapters + (3 if trained else 1) * attention


def work_of(sequences: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> Work:
    """What is needed for logits behind the wanted positions of sequences, nothing padded, repeated or for nothing."""
    order = sorted(range(len(sequences)), key=lambda place: list(sequences[place]))
    ordered = [list(sequences[place]) for place in order]
    shared = [0, *(_num_common(one, two) for one, two in pairwise(ordered))]
    tokens = sum(len(each) - before for each, before in zip(ordered, shared, strict=True))
    pairs = sum(
        (len(each) * (len(each) + 1) - before * (before + 1)) // 2 for each, before in zip(ordered, shared, strict=True)
    )
    logits = len({tuple(sequences[place][: position + 1]) for place in order for position in wanted[place]})
    return Work(tokens, logits, pairs)


def _num_common(one: Sequence[int], two: Sequence[int]) -> int:
    least = min(len(one), len(two))
    return next((place for place in range(least) if one[place] != two[place]), least)


def work_of_rows(rows: Sequence[Row], batch: int) -> Work:
    """That of training, batch by batch: the weights change between them. A last id is predicted, never read."""
    parts = []
    for start in range(0, len(rows), batch):
        some = rows[start : start + batch]
        wanted = [[place - 1 for place, counts in enumerate(row["mask"]) if counts] for row in some]
        parts.append(work_of([row["ids"][:-1] for row in some], wanted))
    return Work(*(sum(getattr(part, name) for part in parts) for name in ("tokens", "logits", "pairs")))
