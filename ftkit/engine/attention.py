"""Attention over a token tree, block by block: causal inside a segment, full to each segment above it.

Each block gives its output and the logarithm of the sum of its exponentials, by which blocks are merged; the backward
pass calls each block's with the merged ones, which is exact. No dense mask, no padding. The function is registered with
transformers, so that no model is written again; it is never handed a mask, and raises where it does not know
what it is handed.

G blocks of a group, H heads, K heads of keys and values, L queries, M keys, D width of a head, T packed tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from threading import RLock
from typing import Any, Protocol, TypeAlias

import torch

from ftkit.engine.batching import base_of
from ftkit.engine.kernels import (
    Block,
    Rule,
    additive,
    ancestors,
    block_backward,
    block_forward,
    merge,
    take_sinks_in,
    window_mask,
)
from ftkit.engine.tree import Packed, Segment

NAME = "ftkit_tree"
HARMLESS = {  # keywords that say nothing about which token sees which
    "cache_position", "cu_seq_lens_k", "cu_seq_lens_q", "is_causal", "labels", "logits_to_keep", "max_length_k",
    "max_length_q", "num_items_in_batch", "output_attentions", "output_hidden_states", "output_router_logits",
    "past_key_values", "position_embeddings", "position_ids", "return_dict", "seq_idx", "use_cache",
}  # fmt: skip
TURN = RLock()  # models are switched in place, and a tree that meets another attention gives wrong numbers


class NotATreeError(NotImplementedError):
    """A model's attention hands over what this one does not know, or hands nothing over: it cannot be used for it."""


class Attending(Protocol):
    """What a batch's queries attend to."""

    def attend(
        self, layer: Any, query_1HTD: torch.Tensor, key_1KTD: torch.Tensor, value_1KTD: torch.Tensor, rule: Rule
    ) -> torch.Tensor:
        """Output (1, H, T, D) of a layer's attention."""
        ...


@dataclass
class Past:
    """Keys and values of a prefix, by layer: (1, K, `num_tokens`, D) each."""

    num_tokens: int
    of_layer: dict[Any, tuple[torch.Tensor, torch.Tensor]] = field(default_factory=dict)

    def keep(self, layer: Any, _: Packed, key_1KTD: torch.Tensor, value_1KTD: torch.Tensor) -> None:
        """Keep the first tokens of a layer."""
        kept = slice(0, self.num_tokens)
        self.of_layer[layer] = (key_1KTD[:, :, kept].contiguous(), value_1KTD[:, :, kept].contiguous())


Keep: TypeAlias = Callable[[Any, Packed, torch.Tensor, torch.Tensor], None]


class Tree:
    """The blocks of a packed batch, behind a `past` if there is one. `keep` gets each layer's keys and values."""

    def __init__(self, packed: Packed, *, device: str, past: Past | None = None, keep: Keep | None = None) -> None:
        self.packed, self.device, self.past, self.keep = packed, device, past, keep
        self.base = 0 if past is None else past.num_tokens
        self.positions_T = torch.tensor(packed.depths) + self.base
        self.seen: list[Any] = []  # layers that came, and what they attend by
        self._blocks: dict[Any, list[Block]] = {}
        self._past_masks: dict[Any, torch.Tensor | None] = {}

    def attend(
        self, layer: Any, query_1HTD: torch.Tensor, key_1KTD: torch.Tensor, value_1KTD: torch.Tensor, rule: Rule
    ) -> torch.Tensor:
        """Output (1, H, T, D) of a layer's attention."""
        if query_1HTD.shape[2] != len(self.packed.ids) or key_1KTD.shape[2] != len(self.packed.ids):
            raise NotATreeError(f"{key_1KTD.shape[2]} keys for {len(self.packed.ids)} tokens")
        assert self.past is None or not query_1HTD.requires_grad, "gradients would not reach through what is kept"
        self.seen.append((layer, rule.window))
        if self.keep is not None:
            self.keep(layer, self.packed, key_1KTD, value_1KTD)
        past = (None, None) if self.past is None else self.past.of_layer[layer]
        out_1HTD: torch.Tensor = _Attend.apply(query_1HTD, key_1KTD, value_1KTD, rule.sinks_H, *past, self, rule)
        return out_1HTD

    def blocks(self, window: int | None, dtype: torch.dtype) -> list[Block]:
        """Own blocks, which cover each query once; then those to the segments above."""
        if (window, dtype) not in self._blocks:
            own = [self._own(group, window, dtype) for group in self._groups()]
            above = [self._above(each, window, dtype) for each in self.packed.segments if each.stop > each.end]
            self._blocks[window, dtype] = [*own, *above]
        return self._blocks[window, dtype]

    def past_mask(self, window: int | None, dtype: torch.dtype) -> torch.Tensor | None:
        """What of the past the queries see, (T, past tokens); None for all."""
        if (window, dtype) not in self._past_masks:
            mask = window_mask(self.positions_T, torch.arange(self.base), window, dtype)
            self._past_masks[window, dtype] = self._placed(mask)
        return self._past_masks[window, dtype]

    def _groups(self) -> list[list[Segment]]:
        """Segments of equal length and inner form."""
        groups: dict[Any, list[Segment]] = {}
        for each in self.packed.segments:
            groups.setdefault((each.end - each.start, each.parents), []).append(each)
        return list(groups.values())

    def _own(self, group: list[Segment], window: int | None, dtype: torch.dtype) -> Block:
        first = group[0]
        num = first.end - first.start
        depth_L = self.positions_T[first.start : first.end]
        sees_LL = None if first.parents is None else ancestors(first.parents)
        if window is not None and int(depth_L.max() - depth_L.min()) >= window:
            near_LL = depth_L[:, None] - depth_L[None] < window
            sees_LL = near_LL & (torch.ones_like(near_LL).tril() if sees_LL is None else sees_LL)
        mask_LL = self._placed(None if sees_LL is None else additive(sees_LL, dtype))
        adjoin = all(one.end == two.start for one, two in pairwise(group))
        tokens: slice | torch.Tensor = slice(first.start, group[-1].end)
        if not adjoin:
            starts_G = torch.tensor([each.start for each in group])
            tokens = (starts_G[:, None] + torch.arange(num)).flatten().to(self.device)
        return Block(tokens, tokens, len(group), mask_LL is None, mask_LL)

    def _above(self, segment: Segment, window: int | None, dtype: torch.dtype) -> Block:
        queries, keys = slice(segment.end, segment.stop), slice(segment.start, segment.end)
        mask_LM = window_mask(self.positions_T[queries], self.positions_T[keys], window, dtype)
        return Block(queries, keys, 1, False, self._placed(mask_LM))

    def _placed(self, mask: torch.Tensor | None) -> torch.Tensor | None:
        return None if mask is None else mask.to(self.device)


class _Attend(torch.autograd.Function):
    """Blocks of a tree, merged. Keeps the output and one number a query and head for the backward pass.

    Each block's gradient with the statistics of the whole row is its part of the whole gradient: the softmax of all
    keys is exp(score - log of the whole sum) (Dao 2023, arXiv 2307.08691, section 3.1).
    """

    @staticmethod
    def forward(
        ctx: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        sinks_H: torch.Tensor | None,
        past_key: torch.Tensor | None,
        past_value: torch.Tensor | None,
        tree: Tree,
        rule: Rule,
    ) -> torch.Tensor:
        _, heads, num, _ = query.shape
        out = query.new_empty(1, num, heads, value.shape[-1]).transpose(1, 2)
        wide = torch.float64 if query.dtype == torch.float64 else torch.float32
        lse = query.new_empty(1, num, heads, dtype=wide).transpose(1, 2)
        for block in tree.blocks(rule.window, query.dtype):
            parts = (_take(query, block.queries, block), _take(key, block.keys, block), _take(value, block.keys, block))
            out_GHLD, lse_GHL = block_forward(*parts, block, rule)
            if block.queries is block.keys:
                _put(out, out_GHLD, block.queries)
                _put(lse, lse_GHL, block.queries)
            else:
                merge(out[:, :, block.queries], lse[:, :, block.queries], out_GHLD, lse_GHL)
        if past_key is not None and past_value is not None:
            mask = tree.past_mask(rule.window, query.dtype)
            block = Block(slice(0, num), slice(0, past_key.shape[2]), 1, False, mask)
            merge(out, lse, *block_forward(query, past_key, past_value, block, rule))
        if sinks_H is not None:
            take_sinks_in(out, lse, sinks_H)
        ctx.save_for_backward(query, key, value, sinks_H, out, lse)
        ctx.tree, ctx.rule = tree, rule
        return out

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> Any:
        query, key, value, sinks_H, out, lse = ctx.saved_tensors
        rule, dtype = ctx.rule, query.dtype
        if dtype == torch.bfloat16 and query.device.type == "cpu":  # whose kernel takes 1 to 3 times as long in it
            query, key, value, out, grad = (each.float() for each in (query, key, value, out, grad))
        d_query, d_key, d_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        for block in ctx.tree.blocks(rule.window, query.dtype):
            parts = (_take(query, block.queries, block), _take(key, block.keys, block), _take(value, block.keys, block))
            grad_GHLD, out_GHLD, lse_GHL1 = (_take(each, block.queries, block) for each in (grad, out, lse[..., None]))
            d_parts = block_backward(*parts, grad_GHLD, out_GHLD, lse_GHL1, block, rule)
            write = _put if block.queries is block.keys else _add  # own blocks come first, and hold each token once
            write(d_query, d_parts[0], block.queries)
            write(d_key, d_parts[1], block.keys)
            write(d_value, d_parts[2], block.keys)
        d_sinks = None
        if sinks_H is not None:
            delta = (grad.to(lse.dtype) * out.to(lse.dtype)).sum(-1)
            share = (sinks_H.to(lse.dtype)[None, :, None] - lse).exp()
            d_sinks = -(share * delta).sum((0, 2)).to(sinks_H.dtype)
        return d_query.to(dtype), d_key.to(dtype), d_value.to(dtype), d_sinks, None, None, None, None


def _take(whole: torch.Tensor, tokens: slice | torch.Tensor, block: Block) -> torch.Tensor:
    """(1, H, T, D) -> (G, H, L, D), of a block's tokens."""
    if isinstance(tokens, slice):
        part = whole[:, :, tokens]
        if block.size == 1:
            return part
        part = part[0]
    else:
        part = whole[0].index_select(1, tokens)
    blocks: torch.Tensor = part.unflatten(1, (block.size, -1)).transpose(0, 1)
    return blocks


def _flat(part: torch.Tensor) -> torch.Tensor:
    """(G, H, L, …) -> (H, G L, …)."""
    return part[0] if len(part) == 1 else part.transpose(0, 1).flatten(1, 2)


def _put(whole: torch.Tensor, part: torch.Tensor, tokens: slice | torch.Tensor) -> None:
    if isinstance(tokens, slice):
        whole[0, :, tokens] = _flat(part)
    else:
        whole[0].index_copy_(1, tokens, _flat(part).to(whole.dtype))


def _add(whole: torch.Tensor, part: torch.Tensor, tokens: slice | torch.Tensor) -> None:
    if isinstance(tokens, slice):
        whole[0, :, tokens] += _flat(part)
    else:
        whole[0].index_add_(1, tokens, _flat(part).to(whole.dtype))


def attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    tree: Attending | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Attention as transformers calls it: (output (1, T, H, D), None). NotATreeError for what it does not know."""
    odd = sorted(name for name, value in kwargs.items() if name not in HARMLESS and value is not None)
    if tree is None or odd or attention_mask is not None or dropout:
        raise NotATreeError(f"no tree, a mask, dropout, or keywords {odd}")
    if query.dtype != value.dtype or key.dtype != value.dtype:  # autocast leaves rotated ones in float32
        query, key = query.to(value.dtype), key.to(value.dtype)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    rule = Rule(scale, sliding_window, softcap or None, s_aux)
    out_1HTD = tree.attend(module, query, key, value, rule)
    return out_1HTD.transpose(1, 2).contiguous(), None


@contextmanager
def tree_attention(model: Any) -> Iterator[None]:
    """While it lasts, the model attends by ours and must be called with a tree; backward passes belong inside.

    What it used before is then used again. May be entered again inside itself; other threads wait.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    with TURN:
        if base_of(model).config._attn_implementation == NAME:
            yield
            return
        if NAME not in ALL_ATTENTION_FUNCTIONS:
            ALL_ATTENTION_FUNCTIONS.register(NAME, attention)
        configs = {id(each.config): each.config for each in base_of(model).modules() if "config" in vars(each)}
        before = [(config, getattr(config, "_attn_implementation_internal", None)) for config in configs.values()]
        try:
            for config, _ in before:
                config._attn_implementation_internal = NAME
            yield
        finally:
            for config, name in before:
                config._attn_implementation_internal = name
