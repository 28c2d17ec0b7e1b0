"""Any beginning of a published split is a fair draw of it: limits, the search and smaller trainings take beginnings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_examples import Split, golden
from numpy.typing import NDArray

from ftkit.contracts import Context
from ftkit.registry import names
from ftkit.run.artifacts import Prepared
from ftkit.run.stages.prepare import PrepareConfig, run

WAYS = names("splitting")
LABELS = np.repeat(["refund", "login", "delivery", "other"], [300, 150, 100, 50])


def texts(count: int) -> list[str]:
    """Texts that share next to nothing."""
    rng = np.random.default_rng(1)
    letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz"), (count, 40))
    return [" ".join("".join(row[begin : begin + 8]) for begin in range(0, 40, 8)) for row in letters]


def content(kind: str) -> list[dict[str, Any]]:
    """600 rows of four labels, label by label; of customers with 2 to 40 rows each, or one."""
    rows: list[dict[str, Any]] = [
        {"id": f"r{n}", "input": text, "target": str(label), "day": n % 251, "trust": 1 + n % 3, "file": int(n >= 400)}
        for n, (text, label) in enumerate(zip(texts(600), LABELS, strict=True))
    ]
    sizes = np.random.default_rng(2).zipf(1.6, 600) % 39 + 2 if kind == "customers" else np.ones(600, int)
    customers = np.repeat(np.arange(600), sizes)[:600].tolist()
    return [{**row, "customer": f"c{number}"} for row, number in zip(rows, customers, strict=True)]


def published(folder: Path, kind: str, way: str) -> dict[str, list[dict[str, Any]]]:
    """The splits as prepare writes them, each row with all that its source said of it, and what it is a copy of."""
    rows = content(kind)
    columns = {"id": "id", "input": "input", "target": "target", "weight": "trust"}
    sources = []
    for number in (0, 1):  # two files, of which as many rows are wanted
        path = folder / f"{number}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows if row["file"] == number))
        sources.append({"jsonl": {"path": str(path), **columns, "share": 0.5}})
    split = {"by": {way: golden(Split, way).options}, "valid": 0.3, "test": 0.3, "time": "day", "group": "customer"}
    steps = [{"augment": {"kinds": ["typos"], "copies": 2}}] if kind == "copies" else []
    data = {"source": sources, "clean": steps, "split": split, "decontaminate": {"threshold": 1.0}}
    task = {"classify": {"labels": ["refund", "login", "delivery", "other"]}}
    out = folder / "out"
    out.mkdir()
    run(PrepareConfig.model_validate({"task": task, "seed": 17, "data": data}), out, Context())
    known = {row["id"]: row for row in rows}
    ids = {name: [row.id for row in Prepared(out).split(name)] for name in ("train", "valid", "test")}
    return {name: [known[each.partition("+")[0]] for each in own] for name, own in ids.items()}


def distances(draws: NDArray[np.int64], values: Sequence[Any]) -> NDArray[np.float64]:
    """Of each draw, by the places of its rows: the total variation of the values there from those of all rows."""
    _, codes = np.unique(np.array(values), return_inverse=True)
    num_values = int(codes.max()) + 1
    whole = np.bincount(codes) / len(codes)
    own = codes[draws]
    counts = np.stack([np.bincount(each, minlength=num_values) for each in own])
    return np.asarray(np.abs(counts / own.shape[1] - whole).sum(axis=1) / 2)


@pytest.mark.parametrize("kind", ["rows", "customers", "copies"])
@pytest.mark.parametrize("way", WAYS)
def test_a_beginning_of_a_split_is_a_fair_draw_of_it(way: str, kind: str, tmp_path: Path) -> None:
    dice = np.random.default_rng(3)
    for name, rows in published(tmp_path, kind, way).items():
        of_facts = {fact: [row[fact] for row in rows] for fact in ("target", "file", "trust", "customer", "id")}
        of_facts["age"] = [row["day"] // 50 for row in rows]
        orders = np.argsort(dice.random((60, len(rows))), axis=1)
        for fact, values in of_facts.items():
            (found,), draws = distances(np.arange(30)[None], values), distances(orders[:, :30], values)
            # 270 such draws: one beyond five standard deviations is no chance
            assert found <= draws.mean() + 5 * draws.std() + 1e-9, (name, fact)


def test_rows_that_a_share_keeps_are_dealt_as_others_are(tmp_path: Path) -> None:
    """By one hash for both, the rows kept would all be test: of the first file a third stays, and a third is test."""
    rows = published(tmp_path, "rows", "hash")
    of_first = {name: sum(row["file"] == 0 for row in own) for name, own in rows.items()}
    # 200 of 400 rows stay; a binomial share of 0.3 is 60, with 4 standard deviations of 6.5 either way
    assert sum(of_first.values()) == 200
    assert 34 <= of_first["test"] <= 86
    assert 34 <= of_first["valid"] <= 86
