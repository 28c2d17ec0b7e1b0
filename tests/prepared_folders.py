"""Folders as prepare writes them, of rows and events that are given, for what reads such a folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ftkit.report.data import page as data_page

HOSTILE = """<script>alert("1")</script>&amp; 'x' "y" \u202e\u200f\x00\x1b[31m` </details></td><img src=x onerror=y>"""
NO_FUNNEL = {"dropped": 0, "changed": 0, "flagged": 0}


def row(name: str, text: str, target: str = "a", group: str | None = None, **more: Any) -> dict[str, Any]:
    return {"id": name, "input": text, "target": target, "group": group or name, **more}


def event(name: str, step: str, action: str, reason: str = "why", kept: str | None = None, score: float | None = None):
    return {"id": name, "step": step, "action": action, "reason": reason, "kept_id": kept, "score": score}


def gone(name: str, step: str, text: str, target: str = "a") -> dict[str, Any]:
    return {"id": name, "step": step, "input": text, "target": target}


def prepared(folder: Path, **files: Sequence[dict[str, Any]] | Sequence[str]) -> Path:
    """A folder as prepare writes it, of what is given; the rest is empty."""
    folder.mkdir(exist_ok=True)
    for name in ("train", "valid", "test", "ledger", "dropped"):
        lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in files.get(name, ()))
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    summary = {"labels": files.get("labels", []), "funnel": files.get("funnel", [])}
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


def nine_rows(folder: Path) -> Path:
    """Nine rows came: four were dropped, one was added, six are in the splits."""
    return prepared(
        folder,
        labels=["a", "b", "c"],
        train=[
            row("t1", "Where is my parcel?", "a", "g1", weight=1.0),
            row("t2", "my parcel is late", "a", "g1", weight=0.25),
            row("t3", "Ça va b", "b", "g2", weight=0.5),
            row("t4", "WHERE is my parcel", "b", "g3", weight=1.0),
        ],
        valid=[row("v1", "Где посылка", "a", "g4", weight=1.0)],
        test=[row("e1", "where is my: parcel", "a", "g3", weight=1.0)],
        dropped=[
            gone("d1", "length", "hi"),
            gone("d2", "near_dedup", "Where is the parcel?"),
            gone("d3", "near_dedup", "where is my parcels"),
        ],
        ledger=[
            event("file.jsonl:7", "read", "drop", "not JSON"),
            event("d1", "length", "drop", "1 words, fewer than 3"),
            event("t3", "fix_text", "change", "input: characters repaired"),
            event("t3", "fix_text", "change", "target: characters repaired"),
            event("d3", "near_dedup", "drop", "nearly the same", "t1", 0.91),
            event("d2", "near_dedup", "drop", "nearly the same", "t1", 0.8),
            event("t2", "label_errors", "flag", "'a' by 0.1, 'b' by 0.4", None, 0.3),
            event("t4", "label_errors", "flag", "'b' by 0.1, 'a' by 0.9", None, 0.8),
            event("t2", "augment", "add", "case", "t1"),
        ],
        funnel=[
            {"step": "read", "rows_in": 9, **NO_FUNNEL, "dropped": 1},
            {"step": "length", "rows_in": 8, **NO_FUNNEL, "dropped": 1},
            {"step": "fix_text", "rows_in": 7, **NO_FUNNEL, "changed": 1},
            {"step": "near_dedup", "rows_in": 7, **NO_FUNNEL, "dropped": 2},
            {"step": "label_errors", "rows_in": 3, **NO_FUNNEL, "flagged": 2},
            {"step": "augment", "rows_in": 3, **NO_FUNNEL, "added": 1},
        ],
    )


def sample(folder: Path, root: Path) -> Path:
    """A hundred labels, long lists and pairs, of the committed sample."""
    lines = (root / "data" / "support_tickets.jsonl").read_text().splitlines()[:1500]
    rows = [json.loads(line) for line in lines]
    rows = [row(r["id"], r["text"], f"label {place % 100}", r["customer"]) for place, r in enumerate(rows)]
    pairs = [(rows[place], rows[place + 1]) for place in range(1300, 1400, 2)]
    return prepared(
        folder,
        labels=[f"label {number}" for number in range(100)],
        train=rows[:1000],
        valid=rows[1000:1100],
        test=rows[1100:1300],
        dropped=[gone(one["id"], "near_dedup", one["input"], one["target"]) for one, _ in pairs],
        ledger=[event(one["id"], "near_dedup", "drop", "near", kept["id"], 0.9) for one, kept in pairs],
        funnel=[{"step": "near_dedup", "rows_in": 1350, **NO_FUNNEL, "dropped": 50}],
    )


def hostile(folder: Path) -> Path:
    """Hostile text wherever text comes from rows, labels, steps or reasons."""
    names = [f"{HOSTILE}{number}" for number in range(6)]
    return prepared(
        folder,
        labels=[HOSTILE, "b"],
        train=[row(name, f"{HOSTILE} {name}", HOSTILE, HOSTILE, weight=0.5) for name in names[:4]],
        valid=[row(names[4], HOSTILE, HOSTILE, HOSTILE)],
        test=[row(names[5], HOSTILE, HOSTILE)],
        dropped=[gone("d1", HOSTILE, f"{HOSTILE} more", HOSTILE)],
        ledger=[
            event("d1", HOSTILE, "drop", HOSTILE, names[0], 0.9),
            event(names[1], HOSTILE, "flag", HOSTILE, None, 0.9),
        ],
        funnel=[{"step": HOSTILE, "rows_in": 7, **NO_FUNNEL, "dropped": 1, "flagged": 1}],
    )


def page_of(folder: Path) -> str:
    """The page of the data report, written for a folder."""
    data_page.write(folder)
    return (folder / "data.html").read_text(encoding="utf-8")
