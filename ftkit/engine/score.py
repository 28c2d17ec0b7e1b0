"""Log-probabilities of continuations. A row's context is computed once and shared by all its continuations.

Knows ids and a model, no text, no label and no task.  B rows, L columns, K kept columns, N nodes, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from ftkit.contracts import Context
from ftkit.engine.batching import Budget, base_of, limits_logits, pad_right, plan, vocabulary, widen
from ftkit.engine.load import LoadedModel
from ftkit.errors import MachineError

PROBE_TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}  # relative; a wrong mask or position is off by far more


@dataclass(frozen=True, slots=True)
class Request:
    """One context (one id or more) and what may follow it (one id or more each)."""

    context_ids: list[int]
    continuations_ids: list[list[int]]


@dataclass(frozen=True, slots=True)
class ContinuationScore:
    """Natural log-probability of a continuation, summed over its tokens."""

    sum: float
    num_tokens: int


@dataclass
class _Trie:
    """Continuations as a tree: each distinct beginning is one node, the context is node 0.

    Nodes with something behind them are fed to the model, leaves are only predicted. `parents[n]` is a node before n.
    An edge (source node, token) is predicted once; `paths` holds the edges of each continuation.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    edges: list[tuple[int, int]] = field(default_factory=list)
    paths: list[list[int]] = field(default_factory=list)

    @property
    def num_inputs(self) -> int:
        return len(self.tokens)


def score(
    loaded: LoadedModel, requests: Sequence[Request], *, ctx: Context, description: str = "scoring"
) -> list[list[ContinuationScore]]:
    """Scores of every continuation of every request, in their order. Log-softmax in float32 or wider.

    Batches by a plan of lengths alone, so that results do not depend on where a run was interrupted. Families whose
    attention cannot share a context are scored in plain batches, and that is said once.
    """
    if not requests:
        return []
    if loaded.takes_tree is None:
        loaded.takes_tree = _takes_tree(loaded)
        if not loaded.takes_tree:
            ctx.progress.say(
                "this model's attention cannot share a row's context among labels: plain batches are used"
            )
    tries = _tries(requests)
    lengths = [
        len(request.context_ids) + trie.num_inputs for request, trie in zip(requests, tries, strict=True)
    ]
    wide = [(trie.num_inputs + 1) * vocabulary(loaded.model) for trie in tries]
    results: list[list[ContinuationScore]] = [[] for _ in requests]
    with ctx.progress.task(description, len(requests)) as task:
        for batch in plan(lengths, Budget.of(ctx.machine, loaded.device), logits_per_row=wide):
            found = _score_batch(loaded, [requests[i] for i in batch], [tries[i] for i in batch])
            for index, scores in zip(batch, found, strict=True):
                results[index] = scores
            task.advance(len(batch))
            ctx.check_stop()
    return results


def _score_batch(
    loaded: LoadedModel, requests: Sequence[Request], tries: Sequence[_Trie]
) -> list[list[ContinuationScore]]:
    """One batch; where memory runs out, its halves."""
    compute = _score_tree if loaded.takes_tree else _score_plain
    try:
        with torch.inference_mode(), autocast(loaded):
            return compute(loaded, requests, tries)
    except torch.OutOfMemoryError:
        if len(requests) == 1:
            tokens = len(requests[0].context_ids)
            raise MachineError(
                f"a row of {tokens} tokens does not fit the memory of {loaded.device}"
            ) from None
    torch.cuda.empty_cache()
    half = len(requests) // 2
    return [
        *_score_batch(loaded, requests[:half], tries[:half]),
        *_score_batch(loaded, requests[half:], tries[half:]),
    ]


def autocast(loaded: LoadedModel) -> Any:
    """Computes in bfloat16 where the weights are wider than the precision the model stands for."""
    if loaded.precision == "float32" or loaded.device == "cpu":
        return nullcontext()
    return torch.autocast(loaded.device, dtype=torch.bfloat16)


def _score_tree(
    loaded: LoadedModel, requests: Sequence[Request], tries: Sequence[_Trie]
) -> list[list[ContinuationScore]]:
    """Rows left-padded; behind each context the nodes of its trie, which see the context, their ancestors, themselves."""
    rows = [request.context_ids + trie.tokens for request, trie in zip(requests, tries, strict=True)]
    width, keep = max(map(len, rows)), max(trie.num_inputs for trie in tries) + 1
    ids_BL = torch.zeros(len(rows), width, dtype=torch.long)
    positions_BL = torch.zeros(len(rows), width, dtype=torch.long)
    sees_BLL = torch.zeros(len(rows), width, width, dtype=torch.bool)
    shapes: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for index, (request, trie) in enumerate(zip(requests, tries, strict=True)):
        start, num_context = width - len(rows[index]), len(request.context_ids)
        depths_N, sees_NN = shapes.setdefault(id(trie), _shape(trie))
        branch = start + num_context
        ids_BL[index, start:] = torch.tensor(rows[index])
        positions_BL[index, start:branch] = torch.arange(num_context)
        positions_BL[index, branch:] = num_context - 1 + depths_N
        sees_BLL[index, start:branch, start:branch] = torch.ones(
            num_context, num_context, dtype=torch.bool
        ).tril()
        sees_BLL[index, branch:, start:branch] = True
        sees_BLL[index, branch:, branch:] = sees_NN
        sees_BLL[index].diagonal()[:start] = True  # padding sees itself: no row of the softmax is empty
    logits_BKV = loaded.model(
        input_ids=ids_BL.to(loaded.device),
        attention_mask=sees_BLL[:, None].to(loaded.device),
        position_ids=positions_BL.to(loaded.device),
        use_cache=False,
        logits_to_keep=keep,
    ).logits
    return [
        _gather(logits_KV[keep - trie.num_inputs - 1 :], trie)
        for logits_KV, trie in zip(logits_BKV, tries, strict=True)
    ]


def _shape(trie: _Trie) -> tuple[torch.Tensor, torch.Tensor]:
    """(depths_N, sees_NN) of the fed nodes: depth 1 stands right behind the context."""
    sees_NN = torch.eye(trie.num_inputs, dtype=torch.bool)
    for node, parent in enumerate(trie.parents):
        if parent > 0:
            sees_NN[node] |= sees_NN[parent - 1]
    return sees_NN.sum(dim=1), sees_NN


def _gather(logits_NV: torch.Tensor, trie: _Trie) -> list[ContinuationScore]:
    """Scores of one row. The first line of the logits is the context's last token, the others are the fed nodes."""
    logits_NV = widen(logits_NV)
    edges_E2 = torch.tensor(trie.edges, device=logits_NV.device)
    sources_E, tokens_E = edges_E2[:, 0], edges_E2[:, 1]
    norm_N = logits_NV.logsumexp(dim=-1)
    log_p = (logits_NV[sources_E, tokens_E] - norm_N[sources_E]).double().tolist()
    return [ContinuationScore(sum(log_p[edge] for edge in path), len(path)) for path in trie.paths]


def _score_plain(
    loaded: LoadedModel, requests: Sequence[Request], _: Sequence[_Trie]
) -> list[list[ContinuationScore]]:
    """Every continuation as a row of its own, as many rows at a time as there are requests. Right-padded: no mask."""
    pairs = [(request.context_ids, ids) for request in requests for ids in request.continuations_ids]
    chunk = max(1, len(requests))
    found: list[ContinuationScore] = []
    for start in range(0, len(pairs), chunk):
        found += _score_pairs(loaded, pairs[start : start + chunk])
    ends = iter(found)
    return [[next(ends) for _ in request.continuations_ids] for request in requests]


def _score_pairs(
    loaded: LoadedModel, pairs: Sequence[tuple[list[int], list[int]]]
) -> list[ContinuationScore]:
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


def _tries(requests: Sequence[Request]) -> list[_Trie]:
    """The trie of each request; requests with the same continuations share one."""
    known: dict[tuple[tuple[int, ...], ...], _Trie] = {}
    tries = []
    for request in requests:
        assert request.context_ids and all(request.continuations_ids), (
            "a context and continuations of one id or more"
        )
        key = tuple(map(tuple, request.continuations_ids))
        tries.append(known.setdefault(key, _build(key)) if key not in known else known[key])
    return tries


def _build(continuations: Sequence[Sequence[int]]) -> _Trie:
    trie = _Trie()
    nodes: dict[tuple[int, int], int] = {}
    edges: dict[tuple[int, int], int] = {}
    for ids in continuations:
        path, node = [], 0
        for depth, token in enumerate(ids):
            path.append(edges.setdefault((node, token), len(edges)))
            if depth == len(ids) - 1:
                break
            if (node, token) not in nodes:
                trie.tokens.append(token)
                trie.parents.append(node)
                nodes[node, token] = len(trie.tokens)
            node = nodes[node, token]
        trie.paths.append(path)
    trie.edges = list(edges)
    return trie


def _takes_tree(loaded: LoadedModel) -> bool:
    """Whether a mask of ours and position ids give what separate rows give: by the config, then by trying."""
    config = base_of(loaded.model).config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or ["full_attention"])
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    known = config._attn_implementation in ("sdpa", "eager") and limits_logits(loaded.model)
    if (
        not known
        or layers != {"full_attention"}
        or (window is not None and "layer_types" not in config.to_dict())
    ):
        return False
    ids = [number % vocabulary(loaded.model) for number in range(3, 15)]
    requests = [
        Request(ids[:6], [[ids[6], ids[7], ids[8]], [ids[6], ids[9], ids[8]], [ids[10], ids[7]]]),
        Request(ids[2:5], [[ids[6], ids[7]], [ids[11]]]),
    ]
    tries = _tries(requests)
    try:
        with torch.inference_mode(), autocast(loaded):
            tree, plain = _score_tree(loaded, requests, tries), _score_plain(loaded, requests, tries)
    except (TypeError, ValueError, RuntimeError, IndexError):
        return False
    tolerance = PROBE_TOLERANCE["bfloat16" if loaded.quantize == "nf4" else loaded.precision]
    pairs = [pair for one, two in zip(tree, plain, strict=True) for pair in zip(one, two, strict=True)]
    return all(abs(one.sum - two.sum) <= tolerance * max(1.0, abs(two.sum)) for one, two in pairs)
