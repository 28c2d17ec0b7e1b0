"""Drops rows nearly equal to a kept row with the same target, and joins the groups of near rows that stay.

Knows whole tables. Similarity is the Jaccard similarity of character 5-grams of the normalised input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from ftkit.cleaning import drop
from ftkit.contracts import Cleaned, Context, Event
from ftkit.registry import Config, component
from ftkit.similarity import clusters, join, near_pairs, text_key

if TYPE_CHECKING:
    from ftkit.contracts import Table


class NearDedup(Config):
    """How near is too near."""

    threshold: float = Field(0.8, ge=0.5, le=1, description="Jaccard similarity of character 5-grams")


@component
def apply(config: NearDedup, table: Table, ctx: Context) -> Cleaned:
    """Take rows in order: drop one near to a kept row of the same target, flag one near to one of another."""
    keys = [text_key(text) for text in table["input"].to_list()]
    first: dict[str, str] = {}
    for key, text in zip(keys, table["input"].to_list(), strict=True):
        first.setdefault(key, text)
    texts = {key: position for position, key in enumerate(first)}
    pairs = near_pairs(list(first.values()), threshold=config.threshold)
    near: list[list[tuple[int, float]]] = [[(position, 1.0)] for position in range(len(texts))]
    for pair in pairs:
        near[pair.left].append((pair.right, pair.similarity))
        near[pair.right].append((pair.left, pair.similarity))
    rows = [texts[key] for key in keys]
    kept = drop(table, _events(table, rows, near))
    text_of = dict(zip(table["id"].to_list(), rows, strict=True))
    cluster_of = clusters(pairs, len(texts))
    return Cleaned(_join_groups(kept.table, [cluster_of[text_of[name]] for name in kept.table["id"]]), kept.events)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A kept row near to the one in hand; `order` is its place among kept rows."""

    similarity: float
    order: int
    id: str
    target: str


def _events(table: Table, rows: Sequence[int], near: Sequence[Sequence[tuple[int, float]]]) -> list[Event]:
    """`rows` holds the text of each row, `near` the texts near to each text, itself first."""
    kept: list[list[tuple[int, str, str]]] = [[] for _ in near]
    events = []
    columns = zip(table["id"].to_list(), table["target"].to_list(), rows, strict=True)
    for order, (name, target, text) in enumerate(columns):
        found = [_Kept(similarity, *row) for other, similarity in near[text] for row in kept[other]]
        found.sort(key=lambda row: (-row.similarity, row.order))
        same = next((row for row in found if row.target == target), None)
        if same:
            reason = "nearly the same text, and the same target, as a kept row"
            events.append(Event(name, "near_dedup", "drop", reason, same.id, round(same.similarity, 6)))
            continue
        if found:
            reason = f"nearly the same text as a kept row, whose target is {found[0].target[:60]!r}"
            events.append(Event(name, "near_dedup", "flag", reason, found[0].id, round(found[0].similarity, 6)))
        kept[text].append((order, name, target))
    return events


def _join_groups(table: Table, cluster_of_row: Sequence[int]) -> Table:
    """Rows of one cluster, and all rows of their groups, get the name that sorts first among these groups."""
    import polars

    groups = table["group"].to_list()
    names = sorted(set(groups))
    place = {name: position for position, name in enumerate(names)}
    first: dict[int, int] = {}
    links = [
        (place[group], first.setdefault(cluster, place[group]))
        for group, cluster in zip(groups, cluster_of_row, strict=True)
    ]
    joined = join(links, len(names))
    return table.with_columns(polars.Series("group", [names[joined[place[group]]] for group in groups]))
