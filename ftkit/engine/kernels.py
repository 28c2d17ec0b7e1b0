"""A block of attention: some queries against some keys, by the fastest kernel that takes it.

Each gives its output and the logarithm of the sum of its exponentials; its backward pass takes those of all keys.
Knows tensors, no tree and no model.

G blocks of equal form, H heads, K heads of keys and values, R query heads a key head, L queries, M keys, D width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.nn import functional

FLASH = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
FLASH_BACKWARD = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
EFFICIENT = torch.ops.aten._scaled_dot_product_efficient_attention
EFFICIENT_BACKWARD = torch.ops.aten._scaled_dot_product_efficient_attention_backward
ALIGNED = 32  # the efficient kernel's log-sums stand in rows of a multiple of this


@dataclass(frozen=True)
class Rule:
    """How a layer attends: scale of the products, tokens back that it sees, cap of the products, a sink per head."""

    scale: float
    window: int | None = None
    softcap: float | None = None
    sinks_H: torch.Tensor | None = None


@dataclass(frozen=True)
class Block:
    """Queries and keys of a kernel call: a slice of packed tokens, or the tokens of `size` equal blocks, one by one."""

    queries: slice | torch.Tensor
    keys: slice | torch.Tensor
    size: int
    causal: bool
    mask_LM: torch.Tensor | None  # or (G, 1, L, M)


def merge(out: torch.Tensor, lse: torch.Tensor, more_out: torch.Tensor, more_lse: torch.Tensor) -> None:
    """Take further keys in, in place: outputs are averaged by their sums of exponentials."""
    share = torch.sigmoid(more_lse - lse)[..., None].to(out.dtype)
    out.lerp_(more_out, share)
    lse.copy_(torch.logaddexp(lse, more_lse))


def take_sinks_in(out: torch.Tensor, lse: torch.Tensor, sinks_H: torch.Tensor) -> None:
    """Take a sink of each head in, in place: a key whose value is nothing."""
    whole = torch.logaddexp(lse, sinks_H.to(lse.dtype)[None, :, None])
    out.mul_((lse - whole).exp()[..., None].to(out.dtype))
    lse.copy_(whole)


def additive(sees: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What sees what, as it is added to products."""
    return torch.zeros(sees.shape, dtype=dtype, device=sees.device).masked_fill_(~sees, torch.finfo(dtype).min)


def window_mask(
    query_L: torch.Tensor, key_M: torch.Tensor, window: int | None, dtype: torch.dtype
) -> torch.Tensor | None:
    """Which keys before them queries see within a window, by their positions (L, M); None for all."""
    if window is None or int(query_L.max() - key_M.min()) < window:
        return None
    return additive(query_L[:, None] - key_M[None] < window, dtype)


def ancestors(parents: Sequence[int]) -> torch.Tensor:
    """What tokens of a tree see, (L, L): themselves and all before them. A parent below 0 is none of these."""
    sees_LL = torch.eye(len(parents), dtype=torch.bool)
    for token, parent in enumerate(parents):
        if parent >= 0:
            sees_LL[token] |= sees_LL[parent]
    return sees_LL


def _is_flash(query: torch.Tensor, value: torch.Tensor, rule: Rule) -> bool:
    """Whether the CPU's flash kernel takes it."""
    known = (torch.float32, torch.float64, torch.bfloat16)
    is_plain = rule.softcap is None and query.shape[-1] == value.shape[-1]
    return is_plain and query.device.type == "cpu" and query.dtype in known


def block_forward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, block: Block, rule: Rule
) -> tuple[torch.Tensor, torch.Tensor]:
    """(out (G, H, L, D), log of the sum of exponentials (G, H, L))."""
    if _is_flash(query, value, rule):
        out, lse = FLASH(query, key, value, 0.0, block.causal, attn_mask=block.mask_LM, scale=rule.scale)
        return out, lse
    if _is_efficient(query, value, rule):
        return _efficient_forward(query, key, value, block, rule)
    scores, _ = _scores(query, key, block, rule)
    lse = scores.logsumexp(-1)
    shares = (scores - lse[..., None]).exp().to(value.dtype)
    return (shares @ value[:, :, None]).flatten(1, 2), lse.flatten(1, 2)


def block_backward(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    grad: torch.Tensor,
    out: torch.Tensor,
    lse_GHL1: torch.Tensor,
    block: Block,
    rule: Rule,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of a block's queries, keys and values; `out` and the log-sums are those over all keys."""
    if _is_flash(query, value, rule):
        d_query, d_key, d_value = FLASH_BACKWARD(
            grad, query, key, value, out, lse_GHL1[..., 0], 0.0, block.causal, attn_mask=block.mask_LM, scale=rule.scale
        )
        return d_query, d_key, d_value
    if _is_efficient(query, value, rule):
        return _efficient_backward(query, key, value, grad, out, lse_GHL1, block, rule)
    num_groups = key.shape[1]
    scores, slope = _scores(query, key, block, rule)
    grouped = [each.unflatten(1, (num_groups, -1)) for each in (query, grad, out, lse_GHL1)]
    query_GKRLD, grad_GKRLD, out_GKRLD, lse_GKRL1 = grouped
    shares = (scores - lse_GKRL1).exp()
    d_value = torch.einsum("gkrlm,gkrld->gkmd", shares.to(grad.dtype), grad_GKRLD)
    d_shares = grad_GKRLD @ value[:, :, None].transpose(-1, -2)
    delta = (grad_GKRLD.to(shares.dtype) * out_GKRLD.to(shares.dtype)).sum(-1, keepdim=True)
    d_scores = shares * (d_shares - delta) * rule.scale
    d_scores = (d_scores if slope is None else d_scores * slope).to(query.dtype)
    d_query = (d_scores @ key[:, :, None]).flatten(1, 2)
    d_key = torch.einsum("gkrlm,gkrld->gkmd", d_scores, query_GKRLD)
    return d_query, d_key, d_value


def _scores(
    query: torch.Tensor, key: torch.Tensor, block: Block, rule: Rule
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """(scores (G, K, R, L, M) of R query heads a key head, in float32 or wider; slope of the cap, None without one)."""
    query_GKRLD = query.unflatten(1, (key.shape[1], -1))
    scores = query_GKRLD @ key[:, :, None].transpose(-1, -2)
    scores = (scores if scores.dtype == torch.float64 else scores.float()) * rule.scale
    slope = None
    if rule.softcap is not None:
        bent = torch.tanh(scores / rule.softcap)
        scores, slope = bent * rule.softcap, 1 - bent.square()
    if block.mask_LM is not None:
        scores = scores + (block.mask_LM[:, None] if block.mask_LM.ndim == 4 else block.mask_LM)
    elif block.causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu(1)
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
    return scores, slope


def _is_efficient(query: torch.Tensor, value: torch.Tensor, rule: Rule) -> bool:
    """Whether the memory-efficient kernel of CUDA takes it: tried once for each type and width."""
    width = query.shape[-1]
    is_plain = rule.softcap is None and width == value.shape[-1] and width % 8 == 0
    known = (torch.float32, torch.bfloat16, torch.float16)
    return is_plain and query.device.type == "cuda" and query.dtype in known and _efficient_is_right(query.dtype, width)


@lru_cache
def _efficient_is_right(dtype: torch.dtype, width: int) -> bool:
    """Whether the kernel, as it is called here, gives what plain products give. No GPU has run this yet."""
    generator = torch.Generator("cuda").manual_seed(0)
    rule, sizes = Rule(width**-0.5), ((2, 4, 40), (2, 2, 40), (2, 2, 40), (2, 4, 40))
    query, key, value, grad = (
        torch.randn(*size, width, generator=generator, device="cuda", dtype=torch.float32).to(dtype) for size in sizes
    )
    own, back_LL = slice(0, 40), torch.arange(40, device="cuda")[:, None] - torch.arange(40, device="cuda")
    hidden_LL = (back_LL < 0) | (back_LL > 6)
    mask_LL = additive(~hidden_LL, dtype)
    tolerance = 1e-4 if dtype == torch.float32 else 3e-2
    q, k, v, g = (each.double() for each in (query, key, value, grad))
    try:
        for causal, mask in ((True, None), (False, None), (False, mask_LL)):
            block = Block(own, own, 2, causal, mask)
            exact = Block(own, own, 2, causal, None if mask is None else mask.double())
            out, lse = block_forward(q, k, v, exact, rule)
            expected = [out, lse, *block_backward(q, k, v, g, out, lse[..., None], exact, rule)]
            found = [*_efficient_forward(query, key, value, block, rule)]
            found += _efficient_backward(query, key, value, grad, out.to(dtype), lse.float()[..., None], block, rule)
            pairs = zip(found, expected, strict=True)
            if not all(bool((one.double() - two).abs().max() <= tolerance * two.abs().max()) for one, two in pairs):
                return False
    except (RuntimeError, TypeError, NotImplementedError):
        return False
    return True


def _efficient_forward(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, block: Block, rule: Rule
) -> tuple[torch.Tensor, torch.Tensor]:
    repeats = query.shape[1] // key.shape[1]
    keys, values = (each.repeat_interleave(repeats, 1) for each in (key, value))
    bias = _bias(block, query, keys)
    out, lse, _, _ = EFFICIENT(query, keys, values, bias, True, 0.0, block.causal, scale=rule.scale)
    return out, lse[..., : query.shape[2]]


def _efficient_backward(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    grad: torch.Tensor,
    out: torch.Tensor,
    lse_GHL1: torch.Tensor,
    block: Block,
    rule: Rule,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    num_groups = key.shape[1]
    repeats = query.shape[1] // num_groups
    keys, values = (each.repeat_interleave(repeats, 1) for each in (key, value))
    lse = functional.pad(lse_GHL1[..., 0], (0, -query.shape[2] % ALIGNED), value=torch.inf).contiguous()
    seed: Any = torch.zeros((), dtype=torch.int64, device=query.device)  # of dropout, which there is none of
    wanted = [True, True, True, False]
    bias = _bias(block, query, keys)
    d_query, d_keys, d_values, _ = EFFICIENT_BACKWARD(
        grad, query, keys, values, bias, out, lse, seed, seed, 0.0, wanted, block.causal, scale=rule.scale
    )
    d_key, d_value = (each.unflatten(1, (num_groups, repeats)).sum(2) for each in (d_keys, d_values))
    return d_query, d_key, d_value


def _bias(block: Block, query: torch.Tensor, keys: torch.Tensor) -> torch.Tensor | None:
    """The mask as the kernel takes it: for each head, its rows in steps of eight."""
    if block.mask_LM is None:
        return None
    num_keys = keys.shape[2]
    padded = functional.pad(block.mask_LM.to(query.dtype), (0, -num_keys % 8))[..., :num_keys]
    return padded.expand(query.shape[0], query.shape[1], query.shape[2], num_keys)
