"""Cleaning steps: one file each, pure functions from a table to a table and its events. No files, no network.

Knows no step. Tables have the columns id, input, target and group; steps never see a tokenizer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.contracts import Cleaned, Event
from ftkit.registry import Config

if TYPE_CHECKING:
    from ftkit.contracts import Table


class TrainOnly(Config):
    """Base of the Config of a step that judges rows by their targets: it runs on train, after the split."""


def drop(table: Table, events: list[Event]) -> Cleaned:
    """The table without the rows that `events` drop."""
    import polars

    dropped = [event.id for event in events if event.action == "drop"]
    return Cleaned(table.filter(~polars.col("id").is_in(dropped)) if dropped else table, events)
