"""Greedy generation, each row as if it were alone: rows enter as soon as others are written.

Knows ids and a model, no text and no task.  S rows, L columns, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from typing import Any

import torch

from ftkit.contracts import Context
from ftkit.engine.attention import Past, tree_attention
from ftkit.engine.batching import Budget, Load, in_batches, limits_logits, vocabulary, widen
from ftkit.engine.capability import way_of
from ftkit.engine.decoding import Decoding
from ftkit.engine.finite import not_finite
from ftkit.engine.forward import autocast, decode, forward
from ftkit.engine.load import LoadedModel
from ftkit.engine.score import prefix
from ftkit.errors import DataError

KEPT = 16  # times the tokens of a batch are kept of rows that are being written
MEMORIES = ("past_key_values", "cache_params", "state")  # as families call what they remember of a text
ENTERING = 4  # rows enter where a share of 1 / ENTERING is free: fewer at a time are dear to read


@dataclass(frozen=True, slots=True)
class Completion:
    """What was generated, with the end-of-turn id where one came. `truncated`: none came within the limit."""

    ids: list[int]
    truncated: bool


@dataclass
class _Row:
    """A context that is being continued, by `limit` tokens at most."""

    context_ids: list[int]
    limit: int
    eos_ids: frozenset[int]
    written: list[int] = field(default_factory=list)

    @property
    def ids(self) -> list[int]:
        """The context and what is written behind it."""
        return [*self.context_ids, *self.written]

    @property
    def room(self) -> int:
        """Tokens it may have in the end."""
        return len(self.context_ids) + self.limit

    @property
    def is_done(self) -> bool:
        """Whether it has ended, or must."""
        return len(self.written) >= self.limit or (bool(self.written) and self.written[-1] in self.eos_ids)


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
    if not contexts_ids:
        return []
    is_tree = way_of(loaded, ctx) == "tree"
    rows = [
        _Row(ids, min(max_new_tokens, loaded.context_length - len(ids)), loaded.renderer.eos_ids)
        for ids in contexts_ids
    ]
    with torch.inference_mode(), ctx.progress.bar(description, len(rows)) as bar:
        past = prefix(loaded, contexts_ids) if is_tree else None
        num_before = 0 if past is None else past.num_tokens
        budget = Budget.of(ctx.machine, loaded.device)

        def compute(batch: list[int]) -> None:
            begun = [rows[index] for index in batch if not rows[index].is_done]
            if is_tree and begun:
                waiting = [row for row in sorted(rows, key=lambda row: -row.room) if not row.is_done]
                steps = _continuous(loaded, waiting, past, num_rows=len(batch), num_tokens=budget.tokens)
            else:
                of_length: dict[int, list[_Row]] = {}
                for row in begun:
                    of_length.setdefault(len(row.ids), []).append(row)
                steps = chain.from_iterable(_alike(loaded, alike) for alike in of_length.values())
            for num_done in steps:
                bar.advance(num_done)
                ctx.check_stop()

        in_batches(
            [Load((), row.room - num_before, row.room - num_before, 1, vocabulary(loaded.model)) for row in rows],
            replace(budget, tokens=budget.tokens * KEPT),
            compute,
            shares=False,
            no_room=lambda batch: (
                f"a prompt of {len(contexts_ids[batch[0]])} tokens does not fit the memory of {loaded.device}"
            ),
        )
    return [Completion(row.written, row.written[-1] not in row.eos_ids) for row in rows]


def _continuous(
    loaded: LoadedModel, waiting: list[_Row], past: Past | None, *, num_rows: int, num_tokens: int
) -> Iterator[int]:
    """Write all rows, `num_rows` at a time; where some are done, others enter. Yields how many each step finished."""
    num_before = 0 if past is None else past.num_tokens
    decoding = Decoding(num_rows, max(row.room for row in waiting) - num_before, past, loaded.device)
    going: list[_Row] = []
    with tree_attention(loaded.model):
        while waiting or going:
            num_free = num_rows - len(going)
            if waiting and num_free >= min(len(waiting), max(1, num_rows // ENTERING)):
                entering = _first(waiting, num_free, num_tokens, num_before)
                del waiting[: len(entering)]
                tails = [row.ids[num_before:] for row in entering]
                keep = decoding.enter([len(tail) for tail in tails])
                logits = forward(loaded, tails, [[len(t) - 1] for t in tails], way="tree", past=past, keep=keep)
                going += entering
                logits_SV = logits.values_WV[[place for (place,) in logits.places]]
                _write(loaded, entering, logits_SV)
            else:
                _write(loaded, going, decode(loaded, decoding, [row.written[-1] for row in going]))
            done = [place for place, row in enumerate(going) if row.is_done]
            decoding.leave(done)
            for place in reversed(done):
                going[place] = going[-1]
                going.pop()
            yield len(done)


def _first(waiting: Sequence[_Row], num_free: int, num_tokens: int, num_before: int) -> list[_Row]:
    """The first rows that find room and are read in one batch; one at least."""
    lengths = accumulate(len(row.ids) - num_before for row in waiting[:num_free])
    return list(waiting[: max(1, sum(length <= num_tokens for length in lengths))])


def _write(loaded: LoadedModel, rows: Sequence[_Row], logits_SV: torch.Tensor) -> None:
    """Write the likeliest token of each row."""
    wide_SV = widen(logits_SV)
    next_S = wide_SV.argmax(dim=-1)  # of a NaN, if there is one
    are_finite = wide_SV.gather(1, next_S[:, None])[:, 0].isfinite().tolist()
    for row, id, is_finite in zip(rows, next_S.tolist(), are_finite, strict=True):
        if not is_finite:
            raise not_finite(loaded, row.ids)
        row.written.append(id)


def _alike(loaded: LoadedModel, rows: Sequence[_Row]) -> Iterator[int]:
    """Write rows of equal length with what the model itself remembers, whatever that is; yields as above.

    No padding, which a state that flows from token to token would take in, and rows that are done stay until all are.
    """
    ids_SL = torch.tensor([row.ids for row in rows], device=loaded.device)
    options: dict[str, Any] = {"logits_to_keep": 1} if limits_logits(loaded.model) else {}
    num_done = 0
    while num_done < len(rows):
        with autocast(loaded):
            output = loaded.model(input_ids=ids_SL, use_cache=True, **options)
        memory = next(name for name in MEMORIES if getattr(output, name, None) is not None)
        options[memory] = output[memory]
        going = [place for place, row in enumerate(rows) if not row.is_done]
        _write(loaded, [rows[place] for place in going], output.logits[going, -1])
        ids_SL = torch.tensor([[row.written[-1]] for row in rows], device=loaded.device)
        yield (done := sum(row.is_done for row in rows)) - num_done
        num_done = done
