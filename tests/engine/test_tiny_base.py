"""The committed base model loads, speaks the template, and was not pre-trained on the sample.
Knows the folder, the generator of its text and the sample; nothing of ftkit itself.
"""

import itertools
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = ROOT / "data/tiny-base"
SAMPLE = ROOT / "data/support_tickets.jsonl"
LABELS = {"billing", "delivery", "refund", "login", "cancellation", "repair", "discount", "stock"}
NUM_DOCUMENTS = 20_000


@pytest.fixture(scope="module")
def documents() -> list[str]:
    """Pre-training text from a seed that the build does not use."""
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from tiny_base_text import Writer
    finally:
        sys.path.remove(str(ROOT / "scripts"))
    return list(itertools.islice(Writer(99).documents(), NUM_DOCUMENTS))


@pytest.fixture(scope="module")
def sample_texts() -> list[str]:
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows if row["text"]]


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    found = words(re.sub(r"<\|\w+\|>", " ", text))
    return zip(*(found[start:] for start in range(length)), strict=False)


def test_the_folder_is_small_and_holds_no_pickle() -> None:
    files = [path for path in BASE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 6_000_000
    assert {path.suffix for path in files} <= {".json", ".jinja", ".safetensors", ".md"}


def test_the_model_card_names_the_hash_of_the_weights() -> None:
    import hashlib

    card = (BASE / "README.md").read_text(encoding="utf-8")
    for name in ("model.safetensors", "tokenizer.json"):
        assert hashlib.sha256((BASE / name).read_bytes()).hexdigest() in card


def test_the_chat_template_renders_turns_without_a_beginning_token() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BASE)
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "u"},
        {"role": "assistant", "content": "a"},
        {"role": "user", "content": "v"},
    ]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text == "<|system|>s<|end|><|user|>u<|end|><|assistant|>a<|end|><|user|>v<|end|><|assistant|>"
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (None, "<|end|>", "<|pad|>")
    assert tokenizer.convert_ids_to_tokens(tokenizer("<|user|>")["input_ids"]) == ["<|user|>"]


def test_an_answer_has_the_same_ids_as_the_word_in_running_text() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BASE)
    answer = tokenizer("<|assistant|>delivery<|end|>")["input_ids"][1:-1]
    assert answer == tokenizer("My delivery")["input_ids"][-1:]
    assert tokenizer.decode(answer) == "delivery"


def test_the_model_loads_and_generates() -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BASE)
    model = AutoModelForCausalLM.from_pretrained(BASE)
    assert model.dtype == torch.float32
    assert 1_000_000 <= model.num_parameters() <= 1_400_000
    assert model.config.max_position_embeddings == 2048
    prompt = tokenizer("<|user|>Name the topic.\n\nThe bait is on my hook.<|end|><|assistant|>", return_tensors="pt")
    ids = model.generate(**prompt, max_new_tokens=8)[0, prompt["input_ids"].shape[1] :]
    assert ids[-1] == tokenizer.eos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True).strip()


def test_no_row_of_the_sample_occurs_in_the_text(documents: list[str], sample_texts: list[str]) -> None:
    everything = "\n".join(documents)
    # longer rows are covered by their runs of six words, below
    short = [text for text in sample_texts if 3 <= len(words(text)) < 6]
    assert [text for text in short if text in everything] == []


def test_no_run_of_six_words_of_the_sample_occurs_in_the_text(documents: list[str], sample_texts: list[str]) -> None:
    of_sample = {run for text in sample_texts for run in runs(text, 6)}
    assert len(of_sample) > 10_000
    assert {run for text in documents for run in runs(text, 6) if run in of_sample} == set()


def test_a_quarter_of_the_words_of_the_sample_do_not_occur_in_the_text(
    documents: list[str], sample_texts: list[str]
) -> None:
    of_text = {word for text in documents for word in words(text)}
    of_sample = {word for text in sample_texts for word in words(text)}
    assert len(of_sample - of_text) / len(of_sample) >= 0.25


def test_no_label_of_the_sample_is_an_answer_or_an_option(documents: list[str]) -> None:
    answers = [answer for text in documents for answer in re.findall(r"<\|assistant\|>(.*?)<\|end\|>", text, re.S)]
    instructions = [text.partition("\n\n")[0] for text in documents if "\n\n" in text]
    assert len(answers) > NUM_DOCUMENTS / 2 and len(instructions) > NUM_DOCUMENTS / 4
    assert LABELS & set(answers) == set()
    assert LABELS & {word for instruction in instructions for word in words(instruction)} == set()
    running = {word for text in documents if "<|assistant|>" not in text for word in words(text)}
    assert sorted(LABELS - running) == []
