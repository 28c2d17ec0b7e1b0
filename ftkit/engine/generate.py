"""Texts, each written as if its row were alone: rows enter as soon as others are written.

Knows ids and a model, no text and no task.  S rows, L columns, V vocabulary.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from typing import Any, Literal, TypeAlias

import torch

from ftkit.contracts import Context
from ftkit.engine.attention import Past
from ftkit.engine.batching import Budget, Load, in_batches, limits_logits, vocabulary, widen
from ftkit.engine.capability import way_of
from ftkit.engine.constraint import Constraint, Matcher
from ftkit.engine.decoding import Decoding
from ftkit.engine.finite import not_finite
from ftkit.engine.forward import autocast, decode, forward, prefix
from ftkit.engine.load import LoadedModel
from ftkit.errors import DataError
from ftkit.store import derive_seed, digest

Reason: TypeAlias = Literal["end", "stop", "limit"]
KEPT = 16  # times the tokens of a batch are kept of rows that are being written
MEMORIES = ("past_key_values", "cache_params", "state")  # as families call what they remember of a text
ENTERING = 4  # rows enter where a share of 1 / ENTERING is free: fewer at a time are dear to read


@dataclass(frozen=True, slots=True)
class Completion:
    """What was generated, with the end-of-turn id where one came; `reason` says why no more was."""

    ids: list[int]
    reason: Reason


@dataclass(frozen=True)
class Writing:
    """How texts are written: by `max_new_tokens` at most, the likeliest token each time where `temperature` is 0.

    Else tokens are drawn from the likeliest ones that together reach `top_p`. Only what `constraint` allows is written.
    `is_stopped` is asked whether what is written so far is enough, and `tell` is handed the number of the context and
    what is written, token by token.
    """

    max_new_tokens: int
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    constraint: Constraint | None = None
    is_stopped: Callable[[Sequence[int]], bool] | None = None
    tell: Callable[[int, Sequence[int]], None] | None = None

    def __post_init__(self) -> None:
        assert self.max_new_tokens > 0 and self.temperature >= 0 and 0 < self.top_p <= 1, "something is to be written"


@dataclass
class _Row:
    """A context that is being continued, by `limit` tokens at most; `random` is None where the likeliest are taken."""

    index: int
    context_ids: list[int]
    limit: int
    eos_ids: frozenset[int]
    random: random.Random | None
    matcher: Matcher | None
    written: list[int] = field(default_factory=list)
    reason: Reason | None = None

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
        """Whether no more is to be written."""
        return self.reason is not None

    def write(self, id: int, writing: Writing) -> None:
        """Append a token, and see whether it was the last."""
        self.written.append(id)
        if self.matcher is not None:
            self.matcher.advance(id)
        if id in self.eos_ids:
            self.reason = "end"
        elif writing.is_stopped is not None and writing.is_stopped(self.written):
            self.reason = "stop"
        elif len(self.written) >= self.limit:
            self.reason = "limit"
        if writing.tell is not None:
            writing.tell(self.index, self.written)


def generate(
    loaded: LoadedModel,
    contexts_ids: Sequence[list[int]],
    writing: Writing,
    *,
    ctx: Context,
    description: str = "generating",
) -> list[Completion]:
    """What follows each context, until an id that ends a turn; in the contexts' order.

    A row stops after `max_new_tokens`, or where the model's context ends. What is drawn comes from the seed, the
    context's ids and how often the same context came before: several samples are several equal contexts, which share
    what is computed, and neither other rows nor batches change them. Raises DataError for a context that leaves no
    room for one token, NotFiniteError where the likeliest token cannot be told.
    """
    for index, ids in enumerate(contexts_ids):
        if not 0 < len(ids) < loaded.context_length:
            raise DataError(
                f"prompt {index}: {len(ids)} tokens; between 1 and {loaded.context_length - 1} fit the model's context"
            )
    if not contexts_ids:
        return []
    is_tree = way_of(loaded, ctx) == "tree"
    rows = _rows(loaded, contexts_ids, writing)
    with torch.inference_mode(), ctx.progress.bar(description, len(rows)) as bar:
        past = prefix(loaded, contexts_ids) if is_tree else None
        num_before = 0 if past is None else past.num_tokens
        budget = Budget.of(ctx.machine, loaded.device)

        def compute(batch: list[int]) -> None:
            begun = [rows[index] for index in batch if not rows[index].is_done]
            if is_tree and begun:
                waiting = _alongside(begun, rows)
                steps = _continuous(loaded, waiting, past, writing, num_rows=len(batch), num_tokens=budget.tokens)
            else:
                of_length: dict[int, list[_Row]] = {}
                for row in begun:
                    of_length.setdefault(len(row.ids), []).append(row)
                steps = chain.from_iterable(_alike(loaded, alike, writing) for alike in of_length.values())
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
    return [Completion(row.written, row.reason) for row in rows if row.reason is not None]


def _rows(loaded: LoadedModel, contexts_ids: Sequence[list[int]], writing: Writing) -> list[_Row]:
    times: Counter[str] = Counter()
    rows = []
    for index, ids in enumerate(contexts_ids):
        drawn = None
        if writing.temperature > 0:
            name = digest(ids)
            drawn = random.Random(derive_seed(writing.seed, name, str(times[name])))
            times[name] += 1
        limit = min(writing.max_new_tokens, loaded.context_length - len(ids))
        matcher = None if writing.constraint is None else writing.constraint.begin()
        rows.append(_Row(index, ids, limit, loaded.renderer.eos_ids, drawn, matcher))
    return rows


def _continuous(
    loaded: LoadedModel, waiting: list[_Row], past: Past | None, writing: Writing, *, num_rows: int, num_tokens: int
) -> Iterator[int]:
    """Write all rows, `num_rows` at a time; where some are done, others enter. Yields how many each step finished."""
    num_before = 0 if past is None else past.num_tokens
    decoding = Decoding(num_rows, max(row.room for row in waiting) - num_before, past, loaded.device)
    going: list[_Row] = []
    while waiting or going:
        num_free = num_rows - len(going)
        if waiting and num_free >= min(len(waiting), max(1, num_rows // ENTERING)):
            entering = _first(waiting, num_free, num_tokens, num_before)
            del waiting[: len(entering)]
            tails = [row.ids[num_before:] for row in entering]
            keep = decoding.enter([len(tail) for tail in tails])
            logits = forward(loaded, tails, [[len(t) - 1] for t in tails], way="tree", past=past, keep=keep)
            going += entering
            _write(loaded, entering, logits.values_WV[[place for (place,) in logits.places]], writing)
        else:
            _write(loaded, going, decode(loaded, decoding, [row.written[-1] for row in going]), writing)
        done = [place for place, row in enumerate(going) if row.is_done]
        decoding.leave(done)
        for place in reversed(done):
            going[place] = going[-1]
            going.pop()
        yield len(done)


def _alongside(begun: Sequence[_Row], rows: Sequence[_Row]) -> list[_Row]:
    """The rows of a batch and what may be written in their places, the longest first.

    Each place has room for the longest of the batch, and no longer row enters. Far shorter ones find more places in a
    batch of their own.
    """
    longest, own = max(row.room for row in begun), {row.index for row in begun}
    are_like = (row for row in rows if row.index in own or longest < 4 * row.room <= 4 * longest)
    return sorted((row for row in are_like if not row.is_done), key=lambda row: -row.room)


def _first(waiting: Sequence[_Row], num_free: int, num_tokens: int, num_before: int) -> list[_Row]:
    """The first rows that find room and are read in one batch; one at least."""
    lengths = accumulate(len(row.ids) - num_before for row in waiting[:num_free])
    return list(waiting[: max(1, sum(length <= num_tokens for length in lengths))])


def _write(loaded: LoadedModel, rows: Sequence[_Row], logits_SV: torch.Tensor, writing: Writing) -> None:
    """Write a token of each row."""
    wide_SV = widen(logits_SV)
    next_S = wide_SV.argmax(dim=-1)  # of a NaN, if there is one
    are_finite = wide_SV.gather(1, next_S[:, None])[:, 0].isfinite().tolist()
    for row, is_finite in zip(rows, are_finite, strict=True):
        if not is_finite:
            raise not_finite(loaded, row.ids)
    if writing.constraint is not None:
        allowed_SV = torch.stack([row.matcher.allowed_V() for row in rows if row.matcher is not None])
        wide_SV = wide_SV.masked_fill(~allowed_SV.to(wide_SV.device), -torch.inf)
        next_S = wide_SV.argmax(dim=-1)
    if writing.temperature > 0:
        shares_S = [row.random.random() for row in rows if row.random is not None]
        next_S = _drawn(wide_SV, torch.tensor(shares_S, device=wide_SV.device), writing)
    for row, id in zip(rows, next_S.tolist(), strict=True):
        row.write(id, writing)


def _drawn(logits_SV: torch.Tensor, share_S: torch.Tensor, writing: Writing) -> torch.Tensor:
    """The token at which the likeliest ones, one after another, reach a share of what `top_p` leaves of them.

    Of tokens that are equally likely the one with the smaller id comes first (Holtzman et al. 2020, arXiv 1904.09751).
    """
    below_SV = logits_SV - logits_SV.amax(-1, keepdim=True)  # so that a very small temperature gives no infinity
    p_SV, order_SV = (below_SV / writing.temperature).softmax(-1).sort(dim=-1, descending=True, stable=True)
    before_SV = p_SV.cumsum(-1) - p_SV
    p_SV = p_SV.masked_fill(before_SV >= writing.top_p, 0.0)
    reached_SV = p_SV.cumsum(-1)
    wanted_S1 = (share_S.to(reached_SV.dtype) * reached_SV[:, -1])[:, None]
    place_S1 = torch.searchsorted(reached_SV, wanted_S1, right=True).clamp(max=logits_SV.shape[1] - 1)
    return order_SV.gather(1, place_S1)[:, 0]


def _alike(loaded: LoadedModel, rows: Sequence[_Row], writing: Writing) -> Iterator[int]:
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
        _write(loaded, [rows[place] for place in going], output.logits[going, -1], writing)
        ids_SL = torch.tensor([[row.written[-1]] for row in rows], device=loaded.device)
        yield (done := sum(row.is_done for row in rows)) - num_done
        num_done = done
