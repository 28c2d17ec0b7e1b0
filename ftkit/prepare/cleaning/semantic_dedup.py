"""Drops rows that say the same as a kept row with the same target: cosine similarity of their embeddings.

Knows where the model is, and vectors, not how they are made. Every pair of rows of one target is compared, so the
number of rows is bounded.
"""

# N rows; W width of a vector; R rows of one target, in the order they are taken; B rows of a block, K kept ones

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ftkit.contracts import Context, Marked
from ftkit.errors import DataError, MachineError
from ftkit.hub import Repository, commit_of, snapshot
from ftkit.prepare.cleaning import StepWithContent, events
from ftkit.prepare.row_keys import Keep, answer_fingerprints, compared_columns, identities, kept_order
from ftkit.prepare.texts.embeddings import Embed, folder_id, load_embedder
from ftkit.registry import component

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ftkit.prepare.rows import Rows
    from ftkit.prepare.texts.embeddings import Vectors

BLOCK_ROWS = 1024  # rows that are compared with KEPT_ROWS kept ones at once: 32 MB of similarities
KEPT_ROWS = 8192
SLACK = 1e-5  # products in float32 find candidates; what counts is summed again in float64
DIGITS = 6
FILES = ("*.safetensors", "*.json", "*.txt", "*.model")  # of the hub: neither pickles nor code


class SemanticDedup(StepWithContent):
    """Whose embeddings (model or hub), and how near is too near. A transformer reads as far as its max_seq_length."""

    model: str | None = Field(
        None, description="folder of model2vec or sentence-transformers, relative to the recipe's paths"
    )
    hub: str | None = Field(
        None, pattern=r"^[\w.-]+(/[\w.-]+)?$", description="repository of the hub with such a folder, as owner/name"
    )
    revision: str | None = Field(
        None, description="commit, tag or branch of the hub repository; default: its newest commit"
    )
    threshold: float = Field(0.9, ge=0.5, le=1, description="cosine similarity")
    keep: Keep = Field("first", description="of rows that say the same; newest needs data.split.time")
    max_rows: int = Field(200_000, ge=1, description="more are refused: the time grows with their square")

    @model_validator(mode="after")
    def _one_place(self) -> SemanticDedup:
        if (self.model is None) == (self.hub is None):
            raise ValueError("give either model, a folder, or hub")
        if self.revision is not None and self.hub is None:
            raise ValueError("revision belongs to hub; a folder has none")
        return self

    def content_id(self, ctx: Context) -> str:
        """The folder's hash, or 'repository@commit'. Raises MachineError where it is missing or cannot be asked for."""
        if self.model is None:
            return f"{self.hub}@{commit_of(self.on_hub, offline=ctx.offline)}"
        found, cache_path = ctx.resolve(self.model), ctx.cache_dir / "hashes.json"
        return folder_id(found, cache_path=cache_path, elsewhere=ctx.elsewhere(self.model))

    @property
    def on_hub(self) -> Repository:
        """The repository of `hub`, as errors name it."""
        assert self.hub is not None
        return Repository(
            "model",
            self.hub,
            self.revision,
            place=f"semantic_dedup.hub: {self.hub}",
            revision_key="semantic_dedup.revision",
        )

    def folder(self, ctx: Context) -> Path:
        """Where the model is on this machine, downloaded if need be. Raises MachineError where it cannot be had."""
        if self.model is not None:
            return ctx.resolve(self.model)
        commit = commit_of(self.on_hub, offline=ctx.offline)
        folder = snapshot(self.on_hub, commit, files=FILES, offline=ctx.offline)
        if not any(folder.rglob("*.safetensors")):
            hint = "pickled weights are refused; take a model that has safetensors"
            raise MachineError(f"{self.on_hub.place}: no weights: *.safetensors is missing; {hint}")
        return folder


@component
def apply(config: SemanticDedup, rows: Rows, ctx: Context) -> Marked:
    """Take rows in order: drop one near to a kept row of the same target, with the nearest as kept_id.

    Raises DataError where there are too many rows, MachineError where the model or its library cannot be had.
    """
    import numpy as np
    import polars

    if len(rows) > config.max_rows:
        raise DataError(
            f"semantic_dedup: {len(rows):,} rows; at most {config.max_rows:,} are compared: raise its max_rows if "
            "memory and time allow, or leave the step to near_dedup"
        )
    device = None if ctx.machine.device == "auto" else ctx.machine.device
    vectors = _unit_vectors(rows, load_embedder(config.folder(ctx), device=device), ctx)
    near = [
        _greedy(vectors, members, config.threshold, ctx) for members in _by_target(rows, kept_order(rows, config.keep))
    ]
    gone = np.concatenate([np.empty(0, np.int64), *(some.gone for some in near)])
    order = np.argsort(gone)
    kept = np.concatenate([gone[:0], *(some.kept for some in near)])[order]
    scores = np.concatenate([np.empty(0), *(some.scores for some in near)])[order]
    ids, kept_ids = rows.take(gone[order], "id")["id"], rows.take(kept, "id")["id"]
    reason = "says the same, with the same target, as a kept row"
    return Marked(events("drop", ids, reason, kept_ids=kept_ids, scores=polars.Series(scores)))


@dataclass(frozen=True)
class _Near:
    """Positions of dropped rows, of the kept rows nearest to them, and their cosine similarity."""

    gone: NDArray[np.int64]
    kept: NDArray[np.int64]
    scores: NDArray[np.float64]


def _unit_vectors(rows: Rows, embed: Embed, ctx: Context) -> Vectors:
    """Vectors of length 1, or 0 for texts the model has no vector for, which are near to nothing."""
    import numpy as np

    parts: list[Vectors] = []
    with ctx.progress.bar("semantic_dedup: embeddings", len(rows)) as bar:
        for batch in rows.batches(*compared_columns(rows, "none")):
            ctx.check_stop()
            parts.append(embed(identities(batch).to_list()))
            bar.advance(batch.height)
    vectors_NW = np.concatenate(parts)
    lengths_N: NDArray[np.float32] = np.linalg.norm(vectors_NW, axis=1)
    endless = np.flatnonzero(~np.isfinite(lengths_N))
    if endless.size:
        name = str(rows.take(endless[:1], "id")["id"][0])
        raise MachineError(f"{name}: the embedding of this row is not finite; take another model")
    is_empty_N: NDArray[np.bool_] = lengths_N == 0
    if num_empty := int(np.count_nonzero(is_empty_N)):
        ctx.progress.say(f"semantic_dedup: {num_empty:,} rows hold no token that the model knows, and are kept")
    unit_NW: Vectors = np.divide(vectors_NW, np.where(is_empty_N, 1, lengths_N)[:, None], dtype=np.float32)
    return unit_NW


def _by_target(rows: Rows, order: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Positions of the rows of each target that has several, in the given order."""
    import numpy as np

    targets_N2 = answer_fingerprints(rows)[order]
    together = np.lexsort((targets_N2[:, 1], targets_N2[:, 0]))
    in_turn = targets_N2[together]
    is_other: NDArray[np.bool_] = (in_turn[1:] != in_turn[:-1]).any(axis=1)
    cuts = np.flatnonzero(is_other) + 1
    return [members for members in np.split(order[together], cuts) if len(members) > 1]


def _greedy(vectors: Vectors, members: NDArray[np.int64], threshold: float, ctx: Context) -> _Near:
    import numpy as np

    near = _Nearest(vectors[members], threshold)
    kept = np.empty(0, np.int64)
    for begin in range(0, len(members), BLOCK_ROWS):
        ctx.check_stop()
        block = np.arange(begin, min(begin + BLOCK_ROWS, len(members)))
        for start in range(0, len(kept), KEPT_ROWS):
            near.compare(block, kept[start : start + KEPT_ROWS])
        kept = np.concatenate([kept, near.settle(block)])
    gone = np.flatnonzero(near.score >= threshold)
    return _Near(members[gone], members[near.kept[gone]], near.score[gone])


@dataclass
class _Nearest:
    """For each vector the nearest kept one so far, and how near: rounded, so that threads and blocks change nothing."""

    vectors: Vectors
    threshold: float
    score: NDArray[np.float64] = field(init=False)
    kept: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        import numpy as np

        self.score = np.full(len(self.vectors), -1.0)
        self.kept = np.zeros(len(self.vectors), np.int64)

    def compare(self, block: NDArray[np.int64], kept: NDArray[np.int64]) -> None:
        """Look at kept vectors that stand before the block; earlier ones win ties, so come with the earliest first."""
        import numpy as np

        products_BK: Vectors = self.vectors[block] @ self.vectors[kept].T
        most_B: Vectors = products_BK.max(axis=1)
        is_near_BK: NDArray[np.bool_] = products_BK >= np.maximum(most_B, self.threshold)[:, None] - SLACK
        own, other = np.nonzero(is_near_BK)
        self._count(block[own], kept[other])

    def settle(self, block: NDArray[np.int64]) -> NDArray[np.int64]:
        """Compare the vectors of a block in turn with the kept ones before them; returns those that are kept."""
        import numpy as np

        products_BB: Vectors = self.vectors[block] @ self.vectors[block].T
        kept: list[int] = []
        in_turn: list[int] = block.tolist()
        for place, row in enumerate(in_turn):
            if float(self.score[row]) < self.threshold:
                kept.append(row)
                is_near: NDArray[np.bool_] = products_BB[place, place + 1 :] >= self.threshold - SLACK
                later = block[place + 1 :][is_near]
                self._count(later, np.full(len(later), row))
        return np.array(kept, np.int64)

    def _count(self, rows: NDArray[np.int64], kept: NDArray[np.int64]) -> None:
        """Sum the similarities of these pairs, and keep what is nearer than what was known."""
        import numpy as np

        for begin in range(0, len(rows), KEPT_ROWS):
            some, other = rows[begin : begin + KEPT_ROWS], kept[begin : begin + KEPT_ROWS]
            left, right = self.vectors[some].astype(np.float64), self.vectors[other].astype(np.float64)
            lengths = np.sqrt((left * left).sum(axis=1) * (right * right).sum(axis=1))
            scores = np.minimum(np.round((left * right).sum(axis=1) / lengths, DIGITS), 1.0)
            pairs: Iterator[tuple[int, int, float]] = zip(some.tolist(), other.tolist(), scores.tolist(), strict=True)
            for row, into, score in pairs:
                if score > float(self.score[row]):
                    self.score[row], self.kept[row] = score, into
