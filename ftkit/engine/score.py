"""Log-probabilities of continuations. A row's context is computed once and shared by all its continuations.

Knows ids and a model, no text, no label and no task.  B rows, L columns, K kept columns, N nodes, V
vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from ftkit.contracts import Context
from ftkit.engine.answerer import ContinuationScore
from ftkit.engine.batching import (
    PAD_ID,
    Budget,
    base_of,
    limits_logits,
    pad_left,
    pad_right,
    plan,
    vocabulary,
    widen,
)
from ftkit.engine.finite import not_finite
from ftkit.engine.load import LoadedModel
from ftkit.errors import MachineError

CPU_NODES = 64  # fed nodes of a trie
GPU_NODES = 512
PROBE_TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}  # relative; a wrong mask or position is off by far more


@dataclass(frozen=True, slots=True)
class Request:
    """One context (one id or more) and what may follow it (one id or more each)."""

    context_ids: list[int]
    continuations_ids: list[list[int]]


@dataclass(frozen=True)
class _Trie:
    """Some continuations as a tree: each distinct beginning is one node, the context is node 0.

    Nodes with something behind them are fed to the model, leaves are only predicted. Node n > 0 is
    `tokens[n - 1]` behind `parents[n - 1]`, a node before it. An edge (source node, token) is predicted once.
    `paths` holds, for the number of a continuation, its edges.
    """

    tokens: list[int]
    parents: list[int]
    edges: list[tuple[int, int]]
    paths: dict[int, list[int]]

    @cached_property
    def sees_NN(self) -> torch.Tensor:
        """Which fed nodes a fed node may look at: its ancestors and itself."""
        sees_NN = torch.eye(len(self.tokens), dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent > 0:
                sees_NN[node] |= sees_NN[parent - 1]
        return sees_NN


_NOTHING = _Trie([], [], [], {})


def score(
    loaded: LoadedModel, requests: Sequence[Request], *, ctx: Context, description: str = "scoring"
) -> list[list[ContinuationScore]]:
    """Scores of every continuation of every request, in their order. Log-softmax in float32 or wider.

    Raises NotFiniteError, which names base or adapter, for a score that is no finite number.

    Batches by a plan of lengths alone, so that results do not depend on where a run was interrupted. Families
    whose attention cannot share a context are scored in plain batches, and that is said once.
    """
    if not requests:
        return []
    if loaded.takes_tree is None:
        loaded.takes_tree = _takes_tree(loaded)
        if not loaded.takes_tree:
            ctx.progress.say("this model's attention cannot share a row's context among labels: plain batches are used")
    forests = _forests(requests, CPU_NODES if loaded.device == "cpu" else GPU_NODES)
    nodes = [max(len(trie.tokens) for trie in forest) for forest in forests]
    lengths = [len(request.context_ids) + count for request, count in zip(requests, nodes, strict=True)]
    wide = [max(1, count) * vocabulary(loaded.model) for count in nodes]
    results: list[list[ContinuationScore]] = [[] for _ in requests]
    with ctx.progress.bar(description, len(requests)) as bar:
        for batch in plan(lengths, Budget.of(ctx.machine, loaded.device), logits_per_row=wide):
            batch_scores = _score_batch(loaded, [requests[i] for i in batch], [forests[i] for i in batch])
            for index, scores in zip(batch, batch_scores, strict=True):
                _require_finite(loaded, requests[index], scores)
                results[index] = scores
            bar.advance(len(batch))
            ctx.check_stop()
    return results


def _require_finite(loaded: LoadedModel, request: Request, scores: Sequence[ContinuationScore]) -> None:
    for ids, score in zip(request.continuations_ids, scores, strict=True):
        if not math.isfinite(score.sum):
            raise not_finite(loaded, [*request.context_ids, *ids])


def _score_batch(
    loaded: LoadedModel, requests: Sequence[Request], forests: Sequence[list[_Trie]]
) -> list[list[ContinuationScore]]:
    """One batch; where memory runs out, its halves."""
    try:
        with torch.inference_mode(), autocast(loaded):
            return _score_tree(loaded, requests, forests) if loaded.takes_tree else _score_plain(loaded, requests)
    except torch.OutOfMemoryError:
        if len(requests) == 1:
            tokens = len(requests[0].context_ids)
            raise MachineError(f"a row of {tokens} tokens does not fit the memory of {loaded.device}") from None
    torch.cuda.empty_cache()
    half = len(requests) // 2
    return [
        *_score_batch(loaded, requests[:half], forests[:half]),
        *_score_batch(loaded, requests[half:], forests[half:]),
    ]


def autocast(loaded: LoadedModel) -> Any:
    """Computes in bfloat16 where the weights are wider than the precision the model stands for."""
    if loaded.precision == "float32" or loaded.device == "cpu":
        return nullcontext()
    return torch.autocast(loaded.device, dtype=torch.bfloat16)


def _score_tree(
    loaded: LoadedModel, requests: Sequence[Request], forests: Sequence[list[_Trie]]
) -> list[list[ContinuationScore]]:
    """Contexts first, left-padded; then, behind their keys and values, one trie of every row at a time."""
    ids_BL, mask_BL = pad_left([request.context_ids for request in requests], loaded.device)
    output = loaded.model(
        input_ids=ids_BL,
        attention_mask=mask_BL,
        position_ids=(mask_BL.cumsum(dim=1) - 1).clamp(min=0),
        use_cache=True,
        logits_to_keep=1,
    )
    scores_of: list[dict[int, ContinuationScore]] = [{} for _ in requests]
    for number in range(max(map(len, forests))):
        tries = [forest[number] if number < len(forest) else _NOTHING for forest in forests]
        logits_BNV = output.logits
        if any(trie.tokens for trie in tries):
            fed_BNV = _feed(loaded, tries, mask_BL, output.past_key_values)
            logits_BNV = torch.cat([logits_BNV, fed_BNV], dim=1)
        for trie, rows in _rows_by_trie(tries):
            log_p_RE = _edge_log_probabilities(logits_BNV[rows], trie)
            for row, log_p in zip(rows, log_p_RE, strict=True):
                for index, path in trie.paths.items():
                    scores_of[row][index] = ContinuationScore(sum(log_p[edge] for edge in path), len(path))
    return [[scores[index] for index in range(len(scores))] for scores in scores_of]


def _feed(loaded: LoadedModel, tries: Sequence[_Trie], mask_BL: torch.Tensor, cache: Any) -> torch.Tensor:
    """Logits of each row's trie behind its context. The cache is afterwards as it was before."""
    width, num_context_B = max(len(trie.tokens) for trie in tries), mask_BL.sum(dim=1).tolist()
    ids_BN = torch.full((len(tries), width), PAD_ID)
    positions_BN = torch.zeros(len(tries), width, dtype=torch.long)
    sees_BNN = torch.eye(width, dtype=torch.bool).repeat(len(tries), 1, 1)
    for row, trie in enumerate(tries):
        size = len(trie.tokens)
        ids_BN[row, :size] = torch.tensor(trie.tokens, dtype=torch.long)
        positions_BN[row, :size] = num_context_B[row] - 1 + trie.sees_NN.sum(dim=1)
        sees_BNN[row, :size, :size] = trie.sees_NN
    sees_context_BNL = mask_BL.bool()[:, None, :].expand(-1, width, -1)
    logits_BNV: torch.Tensor = loaded.model(
        input_ids=ids_BN.to(loaded.device),
        attention_mask=torch.cat([sees_context_BNL, sees_BNN.to(loaded.device)], dim=2)[:, None],
        position_ids=positions_BN.to(loaded.device),
        past_key_values=cache,
        use_cache=True,
    ).logits
    cache.crop(-width)
    return logits_BNV


def _rows_by_trie(tries: Sequence[_Trie]) -> list[tuple[_Trie, list[int]]]:
    rows: dict[int, tuple[_Trie, list[int]]] = {}
    for row, trie in enumerate(tries):
        if trie.edges:
            rows.setdefault(id(trie), (trie, []))[1].append(row)
    return list(rows.values())


def _edge_log_probabilities(logits_RNV: torch.Tensor, trie: _Trie) -> list[list[float]]:
    """Log-probability of each edge, per row. The first of N is the context's last token."""
    sources_E, tokens_E = torch.tensor(trie.edges, device=logits_RNV.device).unbind(dim=1)
    rows = []
    for logits_NV in logits_RNV[:, : len(trie.tokens) + 1]:  # row by row: float32 copies stay small
        wide_NV = widen(logits_NV)
        log_p_E = wide_NV[sources_E, tokens_E] - wide_NV.logsumexp(dim=-1)[sources_E]
        rows.append(log_p_E)
    log_p_RE: list[list[float]] = torch.stack(rows).double().tolist()
    return log_p_RE


def _score_plain(loaded: LoadedModel, requests: Sequence[Request]) -> list[list[ContinuationScore]]:
    """Every continuation as a row of its own, as many at a time as there are requests."""
    pairs = [(request.context_ids, ids) for request in requests for ids in request.continuations_ids]
    chunk = max(1, len(requests))
    scores: list[ContinuationScore] = []
    for start in range(0, len(pairs), chunk):
        scores += _score_pairs(loaded, pairs[start : start + chunk])
    ends = iter(scores)
    return [[next(ends) for _ in request.continuations_ids] for request in requests]


def _score_pairs(loaded: LoadedModel, pairs: Sequence[tuple[list[int], list[int]]]) -> list[ContinuationScore]:
    ids_BL = pad_right([context + ids[:-1] for context, ids in pairs], loaded.device)
    first = min(len(context) for context, _ in pairs) - 1
    options = {}
    if limits_logits(loaded.model):
        options["logits_to_keep"] = ids_BL.shape[1] - first
    logits_BKV = loaded.model(input_ids=ids_BL, use_cache=False, **options).logits
    offset = ids_BL.shape[1] - logits_BKV.shape[1]
    scores = []
    for (context, ids), logits_KV in zip(pairs, logits_BKV, strict=True):
        start = len(context) - 1 - offset
        log_p_KV = widen(logits_KV[start : start + len(ids)]).log_softmax(dim=-1)
        picked = log_p_KV.gather(1, torch.tensor(ids, device=log_p_KV.device)[:, None]).double().tolist()
        scores.append(ContinuationScore(sum(value for (value,) in picked), len(ids)))
    return scores


def _forests(requests: Sequence[Request], max_nodes: int) -> list[list[_Trie]]:
    """The tries of each request; requests with the same continuations share theirs."""
    known: dict[tuple[tuple[int, ...], ...], list[_Trie]] = {}
    forests = []
    for request in requests:
        assert request.context_ids and all(request.continuations_ids), "a context and continuations of one id or more"
        key = tuple(map(tuple, request.continuations_ids))
        if key not in known:
            known[key] = _forest(key, max_nodes)
        forests.append(known[key])
    return forests


def _forest(continuations: Sequence[Sequence[int]], max_nodes: int) -> list[_Trie]:
    """Continuations in tries of about `max_nodes` fed nodes each, neighbours in the alphabet of ids together.

    A wide trie would pay for attention between branches that never look at each other.
    """
    forest: list[_Trie] = []
    nodes: dict[tuple[int, int], int] = {}
    edges: dict[tuple[int, int], int] = {}
    trie = _NOTHING
    for index in sorted(range(len(continuations)), key=lambda index: list(continuations[index])):
        ids = continuations[index]
        if trie is _NOTHING or len(trie.tokens) + len(ids) > max_nodes:
            trie, nodes, edges = _Trie([], [], [], {}), {}, {}
            forest.append(trie)
        path, node = [], 0
        for depth, token in enumerate(ids):
            if (node, token) not in edges:
                edges[node, token] = len(edges)
                trie.edges.append((node, token))
            path.append(edges[node, token])
            if depth < len(ids) - 1:
                if (node, token) not in nodes:
                    trie.tokens.append(token)
                    trie.parents.append(node)
                    nodes[node, token] = len(trie.tokens)
                node = nodes[node, token]
        trie.paths[index] = path
    return forest or [_NOTHING]


def _takes_tree(loaded: LoadedModel) -> bool:
    """Whether a mask of ours and position ids give what separate rows give: by the config, then by trying."""
    config = base_of(loaded.model).config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    known = config._attn_implementation in ("sdpa", "eager") and limits_logits(loaded.model)
    if not known or layers != {"full_attention"} or (window is not None and "layer_types" not in config.to_dict()):
        return False
    ids = [number % vocabulary(loaded.model) for number in range(3, 15)]
    requests = [
        Request(ids[:6], [[ids[6], ids[7], ids[8]], [ids[6], ids[9], ids[8]], [ids[10], ids[7]]]),
        Request(ids[2:5], [[ids[6], ids[7]], [ids[11]]]),
    ]
    try:
        with torch.inference_mode(), autocast(loaded):
            tree = _score_tree(loaded, requests, _forests(requests, 3))
            plain = _score_plain(loaded, requests)
    except (TypeError, ValueError, RuntimeError, IndexError, AttributeError, NotImplementedError):
        return False
    tolerance = PROBE_TOLERANCE["bfloat16" if loaded.quantize == "nf4" else loaded.precision]
    pairs = [pair for one, two in zip(tree, plain, strict=True) for pair in zip(one, two, strict=True)]
    return all(abs(one.sum - two.sum) <= tolerance * max(1.0, abs(two.sum)) for one, two in pairs)
