"""Drops rows whose input (normalised) and target stood in an earlier row.

Knows whole tables. The same input under another target is left to label_conflicts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.cleaning import drop
from ftkit.contracts import Cleaned, Context, Event
from ftkit.registry import Config, component
from ftkit.similarity import text_key

if TYPE_CHECKING:
    from ftkit.contracts import Table


class ExactDedup(Config):
    """Equal means: same target, and same input in NFKC, lower case, words joined by one space."""


@component
def apply(config: ExactDedup, table: Table, ctx: Context) -> Cleaned:
    """Keep the first row of each (normalised input, target)."""
    first: dict[tuple[str, str], str] = {}
    events = []
    rows = zip(table["id"].to_list(), table["input"].to_list(), table["target"].to_list(), strict=True)
    for name, text, target in rows:
        kept = first.setdefault((text_key(text), target), name)
        if kept != name:
            events.append(Event(name, "exact_dedup", "drop", "same text and target as a kept row", kept, 1.0))
    return drop(table, events)
