"""Log-probabilities of continuations. What contexts and continuations share is computed once.

Knows ids and a model, no text, no label and no task.  W places with logits, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ftkit.contracts import Context
from ftkit.engine.answerer import ContinuationScore
from ftkit.engine.attention import Past
from ftkit.engine.batching import Budget, Load, in_batches, vocabulary, widen
from ftkit.engine.capability import way_of
from ftkit.engine.finite import not_finite
from ftkit.engine.forward import Logits, Way, forward, prefix
from ftkit.engine.load import LoadedModel
from ftkit.engine.tree import num_packed

PART = 256  # places whose logits stand in float32 at a time


@dataclass(frozen=True, slots=True)
class Request:
    """One context (one id or more) and what may follow it (one id or more each)."""

    context_ids: list[int]
    continuations_ids: list[list[int]]


def score(
    loaded: LoadedModel, requests: Sequence[Request], *, ctx: Context, description: str = "scoring"
) -> list[list[ContinuationScore]]:
    """Scores of every continuation of every request, in their order. Log-softmax in float32 or wider.

    Raises NotFiniteError, which names base or adapter, for a score that is no finite number.

    Batches by a plan of the ids alone, so that results do not depend on where a run was interrupted. How the model
    is computed is found out first, and said where it is slow.
    """
    if not requests:
        return []
    assert all(each.context_ids and all(each.continuations_ids) for each in requests), "one id or more of each"
    way = way_of(loaded, ctx)
    results: list[list[ContinuationScore]] = [[] for _ in requests]
    with torch.inference_mode(), ctx.progress.bar(description, len(requests)) as bar:
        past = prefix(loaded, [each.context_ids for each in requests]) if way == "tree" else None
        num_before = 0 if past is None else past.num_tokens

        def compute(batch: list[int]) -> None:
            found = _score_batch(loaded, [requests[index] for index in batch], num_before, way, past)
            for index, scores in zip(batch, found, strict=True):
                _require_finite(loaded, requests[index], scores)
                results[index] = scores
            bar.advance(len(batch))
            ctx.check_stop()

        in_batches(
            _loads(requests, num_before, vocabulary(loaded.model)),
            Budget.of(ctx.machine, loaded.device),
            compute,
            shares=way != "plain",
            no_room=lambda batch: (
                f"a row of {len(requests[batch[0]].context_ids)} tokens does not fit the memory of {loaded.device}"
            ),
        )
    return results


def _loads(requests: Sequence[Request], num_before: int, num_logits: int) -> list[Load]:
    nodes: dict[tuple[tuple[int, ...], ...], tuple[int, int]] = {}
    loads = []
    for request in requests:
        key = tuple(map(tuple, request.continuations_ids))
        if key not in nodes:
            nodes[key] = num_packed([ids[:-1] for ids in key]), max(map(len, key)) - 1
        num_nodes, depth = nodes[key]
        rest = request.context_ids[num_before:]
        loads.append(Load(rest, len(rest) + num_nodes, len(rest) + depth, len(key), (num_nodes + 1) * num_logits))
    return loads


def _score_batch(
    loaded: LoadedModel, requests: Sequence[Request], num_before: int, way: Way, past: Past | None
) -> list[list[ContinuationScore]]:
    sequences: list[list[int]] = []
    wanted: list[range] = []
    for request in requests:
        rest = request.context_ids[num_before:]
        for ids in request.continuations_ids:
            sequences.append([*rest, *ids[:-1]])
            wanted.append(range(len(rest) - 1, len(rest) - 1 + len(ids)))
    logits = forward(loaded, sequences, wanted, way=way, past=past)
    targets = [ids for request in requests for ids in request.continuations_ids]
    log_p = iter(_log_probabilities(logits, targets))
    return [
        [ContinuationScore(sum(next(log_p) for _ in ids), len(ids)) for ids in request.continuations_ids]
        for request in requests
    ]


def _log_probabilities(logits: Logits, targets: Sequence[Sequence[int]]) -> list[float]:
    """Of each target, one after another; float32 copies of logits stay small."""
    values_WV = logits.values_WV
    whole_W = torch.cat([widen(part).logsumexp(dim=-1) for part in values_WV.split(PART)])
    row_E = torch.tensor([row for places in logits.places for row in places], device=values_WV.device)
    target_E = torch.tensor([id for ids in targets for id in ids], device=values_WV.device)
    log_p: list[float] = (widen(values_WV[row_E, target_E]) - whole_W[row_E]).double().tolist()
    return log_p


def _require_finite(loaded: LoadedModel, request: Request, scores: Sequence[ContinuationScore]) -> None:
    for ids, score in zip(request.continuations_ids, scores, strict=True):
        if not math.isfinite(score.sum):
            raise not_finite(loaded, [*request.context_ids, *ids])
