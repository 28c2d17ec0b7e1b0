"""Rows for steps that compare rows, and what the steps do to them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import polars

from ftkit.contracts import Context, Marked
from ftkit.prepare.rows import Rows
from ftkit.registry import find

Event = tuple[str, str, str | None]


def table(*rows: tuple[str, ...]) -> polars.DataFrame:
    """Rows of (input, target) or (input, target, time), with ids 1, 2, 3 …; a row is its own group."""
    columns = ["input", "target", "time"][: len(rows[0])]
    values = polars.DataFrame(rows, schema=columns, orient="row")
    ids = polars.Series("id", [str(number) for number in range(1, len(rows) + 1)])
    return values.with_columns(ids, ids.alias("group"), polars.lit(1.0).alias("weight"))


def apply(step: str, rows: polars.DataFrame, **options: Any) -> Marked:
    component = find("cleaning", step)
    marked: Marked = component.function(component.config_type(**options), Rows.of(rows), Context())
    assert dict(marked.columns) == {}
    assert marked.events.columns == ["id", "action", "reason", "kept_id", "score"]
    return marked


def events_of(marked: Marked) -> list[Event]:
    return list(marked.events.select("id", "action", "kept_id").iter_rows())


def drops_of(marked: Marked) -> list[Event]:
    return [event for event in events_of(marked) if event[1] == "drop"]


def banking(shared_data: Path, num_labels: int = 77) -> polars.DataFrame:
    with (shared_data / "banking77" / "train.csv").open(encoding="utf-8", newline="") as file:
        found = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    wanted = sorted({label for _, label in found})[:num_labels]
    return table(*((text, label) for text, label in found if label in wanted))
