"""Drops or flags train rows whose normalised input stands under several targets: one of them is wrong.

Knows train only: prepare runs it after the split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.cleaning import TrainOnly, drop
from ftkit.contracts import Cleaned, Context, Event
from ftkit.registry import component
from ftkit.similarity import text_key

if TYPE_CHECKING:
    from ftkit.contracts import Table


class LabelConflicts(TrainOnly):
    """What happens to rows of the same text whose targets differ."""

    action: Literal["drop", "flag"] = Field("drop", description="drop all of them, or keep and list them")


@component
def apply(config: LabelConflicts, table: Table, ctx: Context) -> Cleaned:
    """Give every row in conflict an event that names the targets its text stands under."""
    keys = [text_key(text) for text in table["input"].to_list()]
    targets: dict[str, set[str]] = {}
    for key, target in zip(keys, table["target"].to_list(), strict=True):
        targets.setdefault(key, set()).add(target)
    events = [
        Event(name, "label_conflicts", config.action, f"same text under {_listed(targets[key])}")
        for name, key in zip(table["id"].to_list(), keys, strict=True)
        if len(targets[key]) > 1
    ]
    return drop(table, events)


def _listed(targets: set[str]) -> str:
    shown = [target if len(target) <= 60 else target[:57] + "…" for target in sorted(targets)]
    return ", ".join(repr(target) for target in shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")
