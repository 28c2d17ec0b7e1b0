"""Deals rows into train, valid and test: groups stay together, labels are spread evenly, the order is a hash.

Pure: names in, names of splits out; no rows, no files.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from ftkit.errors import DataError

SPLITS = ("train", "valid", "test")
_GOLDEN = 0.6180339887498949


def order_key(group: str, *, seed: int) -> str:
    """Where a group stands in the order of rows: a hash of seed and group alone, as hexadecimal digits."""
    return hashlib.sha256(f"{seed}\0{group}".encode("utf-8", "surrogatepass")).hexdigest()


def deal(groups: Sequence[str], strata: Sequence[str], *, valid: float, test: float, seed: int) -> list[str]:
    """For each row the name of its split; `valid` and `test` are shares of the rows, 0 for none.

    Within a stratum (a group's is that of most of its rows, ties by name) groups stand in the order of a
    hash; the first go to test, the next to valid, the rest to train, cut where the share is reached. Groups
    that come or go move few others. Raises DataError where a split would be empty.
    """
    assert min(valid, test) >= 0 and valid + test < 1, (valid, test)
    sizes = Counter(groups)
    members: dict[str, list[str]] = defaultdict(list)
    for group, stratum in _stratum_of_group(groups, strata).items():
        members[stratum].append(group)
    split_of: dict[str, str] = {}
    for position, stratum in enumerate(sorted(members)):
        ordered = sorted(members[stratum], key=lambda group: (order_key(group, seed=seed), group))
        # rounding differs from stratum to stratum, evenly spread, so that shares of many small strata add up
        rounding = (0.5 + position * _GOLDEN) % 1
        num_rows = sum(sizes[group] for group in ordered)
        cuts = {"test": int(num_rows * test + rounding), "valid": int(num_rows * (test + valid) + rounding)}
        before = 0
        for group in ordered:
            middle = before + sizes[group] / 2
            split_of[group] = next((split for split, cut in cuts.items() if middle < cut), "train")
            before += sizes[group]
    _refuse_empty(Counter(split_of[group] for group in groups), len(sizes), valid=valid, test=test)
    return [split_of[group] for group in groups]


def _stratum_of_group(groups: Sequence[str], strata: Sequence[str]) -> dict[str, str]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for group, stratum in zip(groups, strata, strict=True):
        counts[group][stratum] += 1
    return {group: min(count, key=lambda stratum: (-count[stratum], stratum)) for group, count in counts.items()}


def _refuse_empty(num_rows: Counter[str], num_groups: int, *, valid: float, test: float) -> None:
    wanted = ["train"] + (["valid"] if valid else []) + (["test"] if test else [])
    for split in wanted:
        if not num_rows[split]:
            total = num_rows.total()
            raise DataError(
                f"data.split: {split} would be empty: {total} rows in {num_groups} groups, valid {valid:g}, "
                f"test {test:g}; bring more rows, smaller groups, or other shares"
            )
