"""Counts over the events of a ledger: what each step did to how many rows, and why, with the rows most worth a look.

Knows events only: no split, no page. What stays in memory is counts, and a few events of each step.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ftkit.prepare.ledger import ACTIONS
from ftkit.prepare.summary import FunnelLine
from ftkit.report.data.prepared_rows import EVENT, chunks
from ftkit.report.data.split_tally import EXAMPLES

if TYPE_CHECKING:
    from ftkit.contracts import Table

REASONS = 50  # kinds of reasons told apart for one step and action
SCORE_STEPS = 20  # pairs are counted by similarity in steps of 0.05


def steps(folder: Path, funnel: Sequence[FunnelLine]) -> list[dict[str, object]]:
    """For each step and action: rows, events by reason, and the first of them; in the order of the ledger.

    Reasons are told apart without their numbers and quoted texts.
    """
    import polars

    tallies: dict[tuple[str, str], _Events] = {}
    quotes = polars.col("reason").fill_null("").str.replace_all(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "'…'")
    for table in chunks(folder / "ledger.jsonl", EVENT):
        kinds = table.with_columns(quotes.str.replace_all(r"\d+(?:[.,]\d+)*", "…").alias("kind"))
        for (step, action), events in kinds.group_by("step", "action", maintain_order=True):
            tallies.setdefault((str(step), str(action)), _Events()).add(events)
    rows: dict[tuple[str, str], int] = {}
    for line in funnel:
        for action, name in ACTIONS.items():
            rows[line.step, action] = rows.get((line.step, action), 0) + line.counts[name]
    return [
        {"step": step, "action": action, "rows": rows.get((step, action), 0), **events.as_json()}
        for (step, action), events in tallies.items()
    ]


class _Events:
    """What one step did in one way: its events by reason and by similarity, and the rows most worth a look."""

    def __init__(self) -> None:
        self.events = self.pairs = self.beyond = 0
        self.reasons: dict[str, int] = {}
        self.scores: dict[int, int] = {}
        self.first: Table | None = None

    def add(self, events: Table) -> None:
        """Count events. Of pairs the least alike come first, of flags the highest score."""
        import polars

        is_pair = polars.col("kept_id").is_not_null() & polars.col("action").is_in(["drop", "flag"])
        order = polars.when(is_pair).then("score").when(polars.col("action") == "flag").then(-polars.col("score"))
        ordered = events.with_columns(order.alias("order"))
        both = ordered if self.first is None else polars.concat([self.first, ordered])
        self.first = both.sort("order", nulls_last=True, maintain_order=True).head(EXAMPLES)
        kinds: Iterator[tuple[str, int]] = events.group_by("kind", maintain_order=True).len().iter_rows()
        for kind, count in kinds:
            if kind in self.reasons or len(self.reasons) < REASONS:
                self.reasons[kind] = self.reasons.get(kind, 0) + count
            else:
                self.beyond += count
        pairs = events.filter(is_pair)
        steps = (pairs["score"].drop_nulls().round(6) * SCORE_STEPS).floor().clip(0, SCORE_STEPS - 1)
        counts: Iterator[tuple[int, int]] = steps.cast(polars.Int64).value_counts(name="count").iter_rows()
        for step, count in counts:
            self.scores[step] = self.scores.get(step, 0) + count
        self.events += len(events)
        self.pairs += len(pairs)

    def as_json(self) -> dict[str, object]:
        """Plain values."""
        assert self.first is not None
        reasons = sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))
        return {
            "events": self.events,
            "reasons": [{"reason": reason, "events": count} for reason, count in reasons],
            "events_of_other_reasons": self.beyond,
            "pairs": self.pairs,
            "similarities": [
                {"from": step / SCORE_STEPS, "to": (step + 1) / SCORE_STEPS, "pairs": self.scores[step]}
                for step in sorted(self.scores)
            ],
            "examples": self.first.select("id", "reason", "kept_id", "score").to_dicts(),
        }
