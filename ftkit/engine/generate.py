"""Greedy generation in batches, each row as if it were alone.

Knows ids and a model, no text and no task.  B rows, L columns, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ftkit.contracts import Context
from ftkit.engine.batching import Budget, limits_logits, pad_left, plan, vocabulary, widen
from ftkit.engine.finite import not_finite
from ftkit.engine.load import LoadedModel
from ftkit.engine.score import autocast
from ftkit.errors import DataError, MachineError


@dataclass(frozen=True, slots=True)
class Completion:
    """What was generated, with the end-of-turn id where one came. `truncated`: none came within the limit."""

    ids: list[int]
    truncated: bool


def generate(
    loaded: LoadedModel,
    contexts_ids: Sequence[list[int]],
    *,
    max_new_tokens: int,
    ctx: Context,
    description: str = "generating",
) -> list[Completion]:
    """The most probable next token, again and again, until an id that ends a turn; in the contexts' order.

    A row stops after `max_new_tokens`, or where the model's context ends. Raises DataError for a context that
    leaves no room for one token, NotFiniteError where the likeliest token cannot be told.
    """
    for index, ids in enumerate(contexts_ids):
        if not 0 < len(ids) < loaded.context_length:
            raise DataError(
                f"prompt {index}: {len(ids)} tokens; between 1 and {loaded.context_length - 1} fit the model's context"
            )
    results = [Completion([], False) for _ in contexts_ids]
    lengths = [len(ids) + max_new_tokens for ids in contexts_ids]
    wide = [vocabulary(loaded.model) for _ in contexts_ids]
    with ctx.progress.bar(description, len(contexts_ids)) as bar:
        for batch in plan(lengths, Budget.of(ctx.machine, loaded.device), logits_per_row=wide):
            completions = _generate_batch(loaded, [contexts_ids[index] for index in batch], max_new_tokens)
            for index, completion in zip(batch, completions, strict=True):
                results[index] = completion
            bar.advance(len(batch))
            ctx.check_stop()
    return results


def _generate_batch(loaded: LoadedModel, contexts_ids: Sequence[list[int]], max_new_tokens: int) -> list[Completion]:
    """One batch; where memory runs out, its halves."""
    try:
        with torch.inference_mode(), autocast(loaded):
            return _greedy(loaded, contexts_ids, max_new_tokens)
    except torch.OutOfMemoryError:
        if len(contexts_ids) == 1:
            tokens = len(contexts_ids[0])
            raise MachineError(f"a prompt of {tokens} tokens does not fit the memory of {loaded.device}") from None
    torch.cuda.empty_cache()
    half = len(contexts_ids) // 2
    return [
        *_generate_batch(loaded, contexts_ids[:half], max_new_tokens),
        *_generate_batch(loaded, contexts_ids[half:], max_new_tokens),
    ]


def _greedy(loaded: LoadedModel, contexts_ids: Sequence[list[int]], max_new_tokens: int) -> list[Completion]:
    # left pad: the next token is read from the last column
    ids_BL, mask_BL = pad_left(contexts_ids, loaded.device)
    positions_BL = (mask_BL.cumsum(dim=1) - 1).clamp(min=0)
    limits = [min(max_new_tokens, loaded.context_length - len(ids)) for ids in contexts_ids]
    written: list[list[int]] = [[] for _ in contexts_ids]
    rows = list(range(len(contexts_ids)))
    options = {"logits_to_keep": 1} if limits_logits(loaded.model) else {}
    cache = None
    while True:
        output = loaded.model(
            input_ids=ids_BL,
            attention_mask=mask_BL,
            position_ids=positions_BL,
            past_key_values=cache,
            use_cache=True,
            **options,
        )
        cache = output.past_key_values
        logits_BV = widen(output.logits[:, -1])
        next_B = logits_BV.argmax(dim=-1)  # of a NaN, if there is one
        are_finite = logits_BV.gather(1, next_B[:, None])[:, 0].isfinite().tolist()
        for row, id, is_finite in zip(rows, next_B.tolist(), are_finite, strict=True):
            if not is_finite:
                raise not_finite(loaded, [*contexts_ids[row], *written[row]])
            written[row].append(id)
        going = [
            index
            for index, row in enumerate(rows)
            if written[row][-1] not in loaded.renderer.eos_ids and len(written[row]) < limits[row]
        ]
        if not going:
            return [Completion(ids, ids[-1] not in loaded.renderer.eos_ids) for ids in written]
        positions_BL = positions_BL[:, -1:] + 1
        if len(going) < len(rows):
            keep_B = torch.tensor(going, device=ids_BL.device)
            cache.batch_select_indices(keep_B)
            next_B, mask_BL, positions_BL = next_B[keep_B], mask_BL[keep_B], positions_BL[keep_B]
            rows = [rows[index] for index in going]
        ids_BL = next_B[:, None]
        mask_BL = torch.cat([mask_BL, mask_BL.new_ones(len(rows), 1)], dim=1)
