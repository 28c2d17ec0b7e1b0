"""Which rows are computed together, and how they stand in a tensor. The plan depends on lengths alone.

Knows no loss, no score and no task.  B rows of a batch, L columns.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ftkit.contracts import Machine
from ftkit.engine.tree import num_common
from ftkit.errors import MachineError

PAD_ID = 0  # any id: padding is masked by position, never by value
CPU_TOKENS = 1024  # computed tokens of a batch: more is no faster, and less computes what is shared more often
CPU_TRAINING_TOKENS = 1536
GPU_TOKENS = 32768
CPU_LOGITS = 2**27  # numbers of the logits of a batch, 0.5 GiB in float32
GPU_LOGITS = 2**30


@dataclass(frozen=True, slots=True)
class Load:
    """What an item of a batch costs: `rows` sequences of `width` ids at most that begin with `ids`, `tokens` where what
    they share is computed once, and so many `logits`.
    """

    ids: Sequence[int]
    tokens: int
    width: int
    rows: int
    logits: int


@dataclass(frozen=True, slots=True)
class Budget:
    """What a batch may hold: `items` where the machine block says so (0: no limit), computed tokens, logits."""

    items: int
    tokens: int
    logits: int

    @classmethod
    def of(cls, machine: Machine, device: str, *, trains: bool = False) -> Budget:
        """The budget of a device; `machine.micro_batch` replaces it by a number of items."""
        if machine.micro_batch != "auto":
            return cls(machine.micro_batch, 2**62, 2**62)
        if device == "cpu":
            return cls(0, CPU_TRAINING_TOKENS if trains else CPU_TOKENS, CPU_LOGITS)
        return cls(0, GPU_TOKENS, GPU_LOGITS)

    def halved(self, num_items: int) -> Budget:
        """Half of everything, after memory ran out at so many items."""
        return Budget(max(1, num_items // 2), self.tokens // 2, self.logits // 2)


@dataclass(slots=True)
class _Batch:
    """Items that come together, and what they cost: rows, tokens computed, and numbers of logits."""

    items: list[int] = field(default_factory=list)
    rows: int = 0
    tokens: int = 0
    logits: int = 0
    most: int = 0  # logits of its costliest item

    def took(self, index: int, loads: Sequence[Load], budget: Budget, *, shares: bool) -> bool:
        """Take an item in, if it fits; the first always does."""
        load = loads[index]
        rows, most = self.rows + load.rows, max(self.most, load.logits)
        if shares:
            num_common_ids = num_common(loads[self.items[-1]].ids, load.ids) if self.items else 0
            tokens, logits = self.tokens + load.tokens - num_common_ids, self.logits + load.logits
        else:
            widest = loads[self.items[0]] if self.items else load
            tokens, logits = rows * widest.width, (len(self.items) + 1) * most
        is_small = tokens <= budget.tokens and logits <= budget.logits
        if self.items and (not is_small or 0 < budget.items <= len(self.items)):
            return False
        self.items.append(index)
        self.rows, self.tokens, self.logits, self.most = rows, tokens, logits, most
        return True


def plan(loads: Sequence[Load], budget: Budget, *, shares: bool) -> list[list[int]]:
    """Indices of the items of each batch, the costliest batch first: what does not fit memory fails at once.

    `shares`: items that begin alike come together, and what they share counts once; else items of like widths.
    """
    if shares:
        order = sorted(range(len(loads)), key=lambda index: (list(loads[index].ids), index))
    else:
        order = sorted(range(len(loads)), key=lambda index: (-loads[index].width, index))
    batches: list[_Batch] = []
    for index in order:
        if not batches or not batches[-1].took(index, loads, budget, shares=shares):
            batches.append(_Batch())
            batches[-1].took(index, loads, budget, shares=shares)
    return [batch.items for batch in sorted(batches, key=lambda batch: -batch.tokens)]


def in_batches(
    loads: Sequence[Load],
    budget: Budget,
    compute: Callable[[list[int]], None],
    *,
    shares: bool,
    may_halve: bool = True,
    begin: Callable[[], None] | None = None,
    no_room: Callable[[list[int]], str],
) -> Budget:
    """Compute all items batch by batch; where CUDA's memory runs out, what is left in batches of half the size.

    `begin` is called before the first batch, and again where memory ran out, whereupon all are computed anew. Returns
    the budget that was enough. Raises MachineError with the words of `no_room` where a batch cannot be halved.
    """
    left = plan(loads, budget, shares=shares)
    if begin is not None:
        begin()
    while left:
        try:
            compute(left[0])
        except torch.OutOfMemoryError:
            if not may_halve or len(left[0]) == 1:
                raise MachineError(no_room(left[0])) from None
            budget = budget.halved(len(left[0]))
            items = sorted(index for batch in left for index in batch) if begin is None else range(len(loads))
        else:
            left = left[1:]
            continue
        torch.cuda.empty_cache()
        left = [[items[place] for place in batch] for batch in plan([loads[i] for i in items], budget, shares=shares)]
        if begin is not None:
            begin()
    return budget


def pad_right(rows: Sequence[Sequence[int]], device: str) -> torch.Tensor:
    """ids_BL: rows begin in the first column, so that causal attention needs no mask to leave padding out."""
    width = max(map(len, rows))
    return torch.tensor([list(row) + [PAD_ID] * (width - len(row)) for row in rows], device=device)


def base_of(model: Any) -> Any:
    """The transformers model below a peft wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def limits_logits(model: Any) -> bool:
    """Whether its forward can compute logits for some columns only."""
    return "logits_to_keep" in inspect.signature(base_of(model).forward).parameters


def vocabulary(model: Any) -> int:
    """Number of logits of one position."""
    return int(base_of(model).config.get_text_config().vocab_size)


def widen(logits: torch.Tensor) -> torch.Tensor:
    """At least float32: what follows are logarithms and long sums."""
    return logits if logits.dtype == torch.float64 else logits.float()
