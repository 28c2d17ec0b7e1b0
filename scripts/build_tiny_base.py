"""Builds data/tiny-base: a small Llama and its tokenizer, pre-trained on text generated here.
Must never read the sample data set; reproducible for one machine, device and number of threads.

    python scripts/build_tiny_base.py --out data/tiny-base
"""

import argparse
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from tiny_base_text import ASSISTANT, END, SYSTEM, USER, Writer
from tiny_base_topics import read_topics
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

# B rows, L tokens, T rows times tokens, V vocabulary
PAD = "<|pad|>"
SPECIAL = [PAD, END, USER, ASSISTANT, SYSTEM]
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)
CONTEXT = 2048
ANSWER_WEIGHT = 4.0
PROMPT_WEIGHT = 0.2
HEAD_CHUNK = 256


@dataclass(frozen=True)
class Plan:
    """Sizes and schedule of one build; every `long_every`-th batch has long rows, for few-shot prompts."""

    vocabulary: int = 4000
    merged_vocabulary: int = 1000
    width: int = 128
    layers: int = 3
    steps: int = 2400
    tokens_per_step: int = 2048
    row_tokens: int = 256
    long_tokens: int = 1024
    long_every: int = 3
    matrix_rate: float = 2e-3
    embedding_rate: float = 4e-3
    seed: int = 20261121


@dataclass(frozen=True)
class Batch:
    """Packed rows: ids and weights of the targets, positions that restart, and who may see whom."""

    ids_BL: torch.Tensor
    weights_BL: torch.Tensor
    positions_BL: torch.Tensor
    mask_B1LL: torch.Tensor
    assistant: int
    withheld: torch.Tensor


def main() -> None:
    """Train the tokenizer and the model, print what held-out topics give, write the folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "data/tiny-base")
    parser.add_argument("--steps", type=int, default=Plan.steps)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    plan = Plan(steps=arguments.steps)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tokenizer = train_tokenizer(plan)
    model = make_model(plan, tokenizer).to(device)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters on {device}", flush=True)
    train(model, tokenizer, plan)
    save(model, tokenizer, arguments.out)


def train_tokenizer(plan: Plan) -> PreTrainedTokenizerFast:
    """A byte-level BPE of the generated text, with its commonest words whole.

    A blank is put before each turn, so that an answer has the ids of the same word in running text.
    """
    documents = itertools.islice(Writer(plan.seed).documents(), 30_000)
    pieces = [re.sub(r"\d+", "", piece) for text in documents for piece in re.split(r"<\|\w+\|>", text) if piece]
    before = pre_tokenizers.ByteLevel(add_prefix_space=True)
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = before
    trainer = trainers.BpeTrainer(
        vocab_size=plan.merged_vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(pieces, trainer)
    learned = json.loads(core.to_str())["model"]
    vocabulary, merges = learned["vocab"], [tuple(merge) for merge in learned["merges"]]
    # whole words straight into the vocabulary: as merges they would need thousands of steps in between
    counts = Counter(word for piece in pieces for word, _ in before.pre_tokenize_str(piece))
    for word, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        if len(vocabulary) < plan.vocabulary:
            vocabulary.setdefault(word, len(vocabulary))
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=merges, ignore_merges=True))
    core.pre_tokenizer = before
    core.add_special_tokens(SPECIAL)
    core.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[USER, ASSISTANT, SYSTEM],
        model_max_length=CONTEXT,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(plan: Plan, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A fresh float32 Llama with tied embeddings."""
    torch.manual_seed(plan.seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=plan.width,
        intermediate_size=384,
        num_hidden_layers=plan.layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        initializer_range=0.04,
        attn_implementation="sdpa",
    )
    return LlamaForCausalLM(config)


def train(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, plan: Plan) -> None:
    """AdamW, embeddings and norms at a rate of their own; constant, then falling to nothing."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    groups = [{"params": matrices, "rate": plan.matrix_rate}, {"params": others, "rate": plan.embedding_rate}]
    optimizer = torch.optim.AdamW(groups, lr=plan.matrix_rate, betas=(0.9, 0.98), weight_decay=0.01)
    short = batches(tokenizer, plan, row_tokens=plan.row_tokens, max_turns=4, seed=plan.seed + 1)
    long = batches(tokenizer, plan, row_tokens=plan.long_tokens, max_turns=17, seed=plan.seed + 2)
    begun, smooth = time.monotonic(), 0.0
    for step in range(plan.steps):
        scale = min(1.0, (step + 1) / 100) * min(1.0, 2 * (1 - step / plan.steps))
        batch = next(long if step % plan.long_every == plan.long_every - 1 else short)
        loss = _backward(model, batch)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * scale
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        smooth = loss if step == 0 else 0.98 * smooth + 0.02 * loss
        if step % 400 == 399 or step == plan.steps - 1:
            shown = "  ".join(f"{name} {value:.3f}" for name, value in measure(model, tokenizer).items())
            print(f"step {step + 1} {time.monotonic() - begun:.0f} s loss {smooth:.3f}  {shown}", flush=True)


def batches(
    tokenizer: PreTrainedTokenizerFast, plan: Plan, *, row_tokens: int, max_turns: int, seed: int
) -> Iterator[Batch]:
    """Documents packed densely into rows; each sees itself alone, positions restart, answers weigh more."""
    documents = Writer(seed).documents(max_turns=max_turns)
    assistant, end = tokenizer.convert_tokens_to_ids(ASSISTANT), tokenizer.eos_token_id
    names = [topic.name for topic in read_topics() if topic.role != "label"]
    withheld = torch.tensor([ids[0] for ids in tokenizer(names, add_special_tokens=False)["input_ids"]])
    num_rows = plan.tokens_per_step // row_tokens
    waiting: list[list[int]] = []
    while True:
        rows = []
        for _ in range(num_rows):
            rows.append(_fill(row_tokens, waiting, documents, tokenizer))
        ids = torch.full((num_rows, row_tokens), tokenizer.pad_token_id)
        document = torch.full((num_rows, row_tokens), -1)
        positions, weights = torch.zeros_like(ids), torch.zeros(ids.shape)
        for row, pieces in enumerate(rows):
            at = 0
            for number, piece in enumerate(pieces):
                span = slice(at, at + len(piece))
                ids[row, span], document[row, span] = torch.tensor(piece), number
                positions[row, span] = torch.arange(len(piece))
                weights[row, span] = torch.tensor(_weights(piece, assistant, end))
                at += len(piece)
        same = document[:, :, None] == document[:, None, :]
        mask = same & torch.ones(row_tokens, row_tokens, dtype=torch.bool).tril()
        yield Batch(ids, weights, positions, mask[:, None], assistant, withheld)


@torch.no_grad()
def measure(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, *, num_rows: int = 64) -> dict[str, float]:
    """Accuracy of 8-way rows, zero- and 8-shot: topics that were answers, and held ones that never were."""
    topics = read_topics()
    shares = {}
    for role in ("label", "held"):
        for shots in (0, 8):
            writer = Writer(5, [topic for topic in topics if topic.role == role])
            hits = [_is_hit(model, tokenizer, writer, shots) for _ in range(num_rows)]
            shares[f"{role}/{shots}"] = sum(hits) / num_rows
    return shares


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write weights, configurations and tokenizer; the model card beside them is kept by hand."""
    model.generation_config = GenerationConfig(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=False
    )
    model.cpu().save_pretrained(out)
    tokenizer.save_pretrained(out)
    for path in sorted(out.iterdir()):
        print(f"{path.stat().st_size:>9,} {path.name}")


def _backward(model: LlamaForCausalLM, batch: Batch) -> float:
    """Add the gradients of the weighted mean loss and return it; the head in chunks that fit the cache."""
    device = model.device
    hidden_BLD = model.model(
        input_ids=batch.ids_BL.to(device),
        position_ids=batch.positions_BL.to(device),
        attention_mask=batch.mask_B1LL.to(device),
        use_cache=False,
    ).last_hidden_state
    # the first token of a document has no context of its own
    weights_T = (batch.weights_BL * (batch.positions_BL > 0))[:, 1:].flatten().to(device)
    chosen = weights_T.nonzero()[:, 0]
    weights_T = (weights_T / weights_T.sum())[chosen]
    targets_T = batch.ids_BL[:, 1:].flatten().to(device)[chosen]
    hidden_TD = hidden_BLD[:, :-1].flatten(0, 1)[chosen]
    answering_T = (batch.ids_BL[:, :-1].flatten().to(device) == batch.assistant)[chosen]
    head_VD = model.lm_head.weight
    if head_VD.grad is None:
        head_VD.grad = torch.zeros_like(head_VD)
    gradient_TD, loss = torch.empty_like(hidden_TD), 0.0
    with torch.no_grad():
        for at in range(0, len(targets_T), HEAD_CHUNK):
            part = slice(at, at + HEAD_CHUNK)
            rows = torch.arange(len(targets_T[part]), device=device)
            logits_TV = hidden_TD[part] @ head_VD.T
            # names that never are an answer are left out there, else the model would learn to rule them out
            logits_TV[answering_T[part].nonzero(), batch.withheld] = -torch.inf
            probabilities_TV = logits_TV.softmax(-1)
            right_T = probabilities_TV[rows, targets_T[part]].clamp_min(1e-30)
            loss -= (right_T.log() * weights_T[part]).sum().item()
            probabilities_TV[rows, targets_T[part]] -= 1.0
            probabilities_TV *= weights_T[part, None]
            gradient_TD[part] = probabilities_TV @ head_VD
            head_VD.grad.addmm_(probabilities_TV.T, hidden_TD[part])
    hidden_TD.backward(gradient_TD)
    return loss


def _fill(
    row_tokens: int, waiting: list[list[int]], documents: Iterator[str], tokenizer: PreTrainedTokenizerFast
) -> list[list[int]]:
    pieces: list[list[int]] = []
    room = row_tokens
    while True:
        if not waiting:
            texts = list(itertools.islice(documents, 64))
            waiting.extend(tokenizer(texts, add_special_tokens=False)["input_ids"][::-1])
        fits = next((at for at in range(len(waiting) - 1, -1, -1) if len(waiting[at]) <= room), None)
        if len(waiting[-1]) > row_tokens:
            waiting.pop()
            continue
        if fits is None or room < 12:
            return pieces
        pieces.append(waiting.pop(fits))
        room -= len(pieces[-1])


def _weights(ids: list[int], assistant: int, end: int) -> list[float]:
    if assistant not in ids:
        return [1.0] * len(ids)
    weights, inside = [], False
    for token in ids:
        weights.append(ANSWER_WEIGHT if inside else PROMPT_WEIGHT)
        inside = (inside or token == assistant) and token != end
    return weights


def _is_hit(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, writer: Writer, shots: int) -> bool:
    chosen = writer.rng.sample(writer.topics, 8)
    writer_labels = [topic.name for topic in chosen]
    prompt = writer.classification(shots + 1, chosen, plain_names=True)
    context, _, answer = prompt.removesuffix(END).rpartition(ASSISTANT)
    texts = [context + ASSISTANT + label + END for label in writer_labels]
    lead = len(tokenizer(context + ASSISTANT, add_special_tokens=False)["input_ids"])
    encoded = tokenizer(texts, add_special_tokens=False, padding=True, padding_side="right", return_tensors="pt")
    ids = encoded["input_ids"].to(model.device)
    logits = model(input_ids=ids, use_cache=False).logits[:, lead - 1 : -1].log_softmax(-1)
    scores = logits.gather(-1, ids[:, lead:, None])[..., 0] * encoded["attention_mask"][:, lead:].to(model.device)
    return writer_labels[int(scores.sum(-1).argmax())] == answer


if __name__ == "__main__":
    main()
