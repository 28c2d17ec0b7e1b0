"""A batch as one sequence in which every token that sequences share stands once: the token tree.

Knows ids and indices, no model and no attention. T packed tokens, in the order of a walk depth first: behind a token
stand all that continue it, and nothing else until they end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

BUSH = 64  # tokens of a branching part that is attended to at once, under a mask
TWIG = 16  # and of a sibling small enough to stand in one with others


@dataclass(frozen=True)
class Packed:
    """Sequences as a tree. `ids` and `depths` (tokens before it in its sequence) of each token; `parents` is the token
    before it, -1 where none is; `paths[s]` says where the tokens of sequence s stand.
    """

    ids: list[int]
    depths: list[int]
    parents: list[int]
    paths: list[list[int]]

    @cached_property
    def segments(self) -> list[Segment]:
        """Runs of tokens that are attended to together, in order; each token is in exactly one."""
        return _segments(self.parents)


@dataclass(frozen=True, slots=True)
class Segment:
    """Tokens `start` up to `end`, behind which all that continue it stand, up to `stop`.

    A run: each token continues the one before. Or a bush, with nothing behind it: `parents` are those of its tokens,
    counted from its start, -1 for what continues the segment above.
    """

    start: int
    end: int
    stop: int
    parents: tuple[int, ...] | None = None


def pack(sequences: Sequence[Sequence[int]]) -> Packed:
    """The tree of some sequences of ids, their longest common beginnings found."""
    ids: list[int] = []
    depths: list[int] = []
    parents: list[int] = []
    path: list[int] = []  # of the sequence before
    paths: list[list[int]] = [[] for _ in sequences]
    before: Sequence[int] = []
    for index in sorted(range(len(sequences)), key=lambda index: list(sequences[index])):
        sequence = sequences[index]
        num_shared = num_common(before, sequence)
        del path[num_shared:]
        for depth in range(num_shared, len(sequence)):
            parents.append(path[-1] if path else -1)
            path.append(len(ids))
            ids.append(sequence[depth])
            depths.append(depth)
        paths[index] = list(path)
        before = sequence
    return Packed(ids, depths, parents, paths)


def num_packed(sequences: Sequence[Sequence[int]]) -> int:
    """Tokens of their tree."""
    ordered = sorted(map(list, sequences))
    return sum(map(len, ordered)) - sum(num_common(one, two) for one, two in pairwise(ordered))


def num_common(one: Sequence[int], two: Sequence[int]) -> int:
    """Length of their longest common beginning."""
    least = min(len(one), len(two))
    if one[:least] == two[:least]:
        return least
    return next((index for index, (a, b) in enumerate(zip(one, two, strict=False)) if a != b), least)


def common_beginning(sequences: Sequence[Sequence[int]]) -> list[int]:
    """What all sequences begin with."""
    least, greatest = min(sequences, key=list), max(sequences, key=list)  # all others lie between these
    return list(least[: num_common(least, greatest)])


def _segments(parents: Sequence[int]) -> list[Segment]:
    num_children = [0] * len(parents)
    for parent in parents:
        if parent >= 0:
            num_children[parent] += 1
    starts = [t for t, parent in enumerate(parents) if t == 0 or parent != t - 1 or num_children[parent] > 1]
    ends = [*starts[1:], len(parents)]
    stops = list(ends)
    segment_of = {end - 1: index for index, end in enumerate(ends)}  # by its last token
    for index in reversed(range(len(starts))):
        above = parents[starts[index]]
        if above >= 0:
            stops[segment_of[above]] = max(stops[segment_of[above]], stops[index])
    return _with_bushes(parents, [Segment(*each) for each in zip(starts, ends, stops, strict=True)])


def _with_bushes(parents: Sequence[int], runs: Sequence[Segment]) -> list[Segment]:
    """The runs, with small branching parts and small siblings as bushes: few blocks in place of many tiny ones."""
    at = {run.start: run for run in runs}
    found: list[Segment] = []
    start = 0
    while start < len(parents):
        run = at[start]
        stop = run.stop
        is_twig = stop - start <= TWIG
        while is_twig and stop < len(parents) and parents[stop] == parents[start]:
            is_twig = at[stop].stop - stop <= TWIG and at[stop].stop - start <= BUSH
            stop = at[stop].stop if is_twig else stop
        if stop == run.end or stop - start > BUSH:
            found.append(run)
            start = run.end
        else:
            inner = tuple(parent - start if parent >= start else -1 for parent in parents[start:stop])
            found.append(Segment(start, stop, stop, inner))
            start = stop
    return found
