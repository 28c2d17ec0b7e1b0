"""From ids to logits, in the one way that a model takes: the token tree, a tree under a mask, or plain rows.

Knows ids and a model; no loss, no score, no text and no task. S sequences, T tokens, W wanted places, L columns, V
vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch

from ftkit.engine.attention import Keep, Past, Tree, tree_attention
from ftkit.engine.batching import limits_logits, pad_right
from ftkit.engine.decoding import Decoding
from ftkit.engine.kernels import additive, ancestors
from ftkit.engine.load import LoadedModel
from ftkit.engine.tree import Packed, common_beginning, pack
from ftkit.errors import MachineError

Way: TypeAlias = Literal["tree", "masked", "plain"]
WORTH_KEEPING = 8  # tokens that all contexts begin with; fewer are computed again in each batch


@dataclass(frozen=True)
class Logits:
    """Logits at wanted positions, each place of a tree once: `places[s]` are the rows of `values_WV` for sequence s."""

    values_WV: torch.Tensor
    places: list[list[int]]


def autocast(loaded: LoadedModel) -> AbstractContextManager[Any]:
    """What is wider than the precision the model stands for (adapters, weights that are trained) computes in that."""
    if loaded.precision == "float32":
        return nullcontext()
    return torch.autocast(loaded.device, dtype=torch.bfloat16)


def forward(
    loaded: LoadedModel,
    sequences: Sequence[Sequence[int]],
    wanted: Sequence[Sequence[int]],
    *,
    way: Way,
    past: Past | None = None,
    keep: Keep | None = None,
) -> Logits:
    """Logits behind wanted positions of sequences of ids, as if each sequence stood alone.

    `past`: what all sequences follow; `keep` is called with each layer's keys and values. Both need the way `tree`. A
    backward pass through the result belongs, for that way, inside `tree_attention`; behind a `past` there is none.
    """
    with autocast(loaded):
        if way == "plain":
            return _plain(loaded, sequences, wanted)
        packed = pack(sequences)
        if way == "masked":
            return _packed(loaded, packed, wanted, {"attention_mask": _mask(packed, loaded)}, 0)
        return through(loaded, Tree(packed, device=loaded.device, past=past, keep=keep), wanted)


def through(loaded: LoadedModel, tree: Tree, wanted: Sequence[Sequence[int]]) -> Logits:
    """Logits of a tree at wanted positions of its sequences."""
    with autocast(loaded), tree_attention(loaded.model):
        return _packed(loaded, tree.packed, wanted, {"tree": tree}, tree.base)


def prefix(loaded: LoadedModel, contexts_ids: Sequence[Sequence[int]]) -> Past | None:
    """Keys and values of what all contexts begin with, their last ids left out; None where that is little.

    Raises MachineError where they do not fit memory: then no context does.
    """
    shared = common_beginning(contexts_ids)[: min(map(len, contexts_ids)) - 1]
    if len(contexts_ids) == 1 or len(shared) < WORTH_KEEPING:
        return None
    past = Past(len(shared))
    try:
        forward(loaded, [shared], [[]], way="tree", keep=past.keep)
    except torch.OutOfMemoryError:
        what = f"the {len(shared)} tokens that all prompts begin with"
        raise MachineError(f"{what} do not fit the memory of {loaded.device}") from None
    return past


def decode(loaded: LoadedModel, decoding: Decoding, ids: Sequence[int]) -> torch.Tensor:
    """Logits (S, V) behind one further token of each row that is being written."""
    positions_S = decoding.step()
    with autocast(loaded), tree_attention(loaded.model):
        logits_SV: torch.Tensor = loaded.model(
            input_ids=torch.tensor([list(ids)], device=loaded.device),
            position_ids=positions_S[None],
            use_cache=False,
            tree=decoding,
        ).logits[0]
    return logits_SV


def _packed(
    loaded: LoadedModel,
    packed: Packed,
    wanted: Sequence[Sequence[int]],
    attends: Mapping[str, Any],
    base: int,
) -> Logits:
    places = [[path[position] for position in each] for path, each in zip(packed.paths, wanted, strict=True)]
    kept = sorted({place for each in places for place in each})
    row_of = {place: row for row, place in enumerate(kept)}
    kept_W = torch.tensor(kept, dtype=torch.long, device=loaded.device)
    is_limited = limits_logits(loaded.model)
    logits_WV = loaded.model(
        input_ids=torch.tensor([packed.ids], device=loaded.device),
        position_ids=torch.tensor([packed.depths], device=loaded.device) + base,
        use_cache=False,
        **({"logits_to_keep": kept_W} if is_limited else {}),
        **attends,
    ).logits[0]
    return Logits(
        logits_WV if is_limited else logits_WV[kept_W], [[row_of[place] for place in each] for each in places]
    )


def _mask(packed: Packed, loaded: LoadedModel) -> torch.Tensor:
    """Which tokens a token sees, to be added to products: (1, 1, T, T)."""
    dtype = torch.bfloat16 if loaded.precision == "bfloat16" else next(loaded.model.parameters()).dtype
    return additive(ancestors(packed.parents), dtype)[None, None].to(loaded.device)


def _plain(loaded: LoadedModel, sequences: Sequence[Sequence[int]], wanted: Sequence[Sequence[int]]) -> Logits:
    """Each sequence as a row, padded on the right, where causal attention never looks: no mask, no position ids."""
    ids_SL = pad_right(sequences, loaded.device)
    columns = sorted({position for positions in wanted for position in positions})
    options = {}
    if limits_logits(loaded.model):
        options["logits_to_keep"] = torch.tensor(columns, device=loaded.device)
    logits_SCV = loaded.model(input_ids=ids_SL, use_cache=False, **options).logits
    column_of = {column: index for index, column in enumerate(columns)} if options else None
    rows, kept = [], []
    for row, positions in enumerate(wanted):
        rows += [row] * len(positions)
        kept += [position if column_of is None else column_of[position] for position in positions]
    ends = iter(range(len(rows)))
    places = [[next(ends) for _ in positions] for positions in wanted]
    return Logits(logits_SCV[torch.tensor(rows), torch.tensor(kept)], places)
