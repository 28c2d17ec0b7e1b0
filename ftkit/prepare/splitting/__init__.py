"""Deals rows into train, valid and test: one file for each way, a Config and `deal(config, keys, …) -> Series`.

Pure: columns in, names of splits out; no texts, no files. Rows of one group are never split apart, in any way.
`keys` has the columns order (the `order_keys` of the groups), stratum, and id and time where the recipe names a time.
`valid` and `test` are shares of the rows in [0, 1), 0 where that split is given elsewhere. The Series has the type
`polars.Enum(SPLITS)`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from ftkit.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    Places: TypeAlias = NDArray[np.float64] | NDArray[np.uint64]

SPLITS = ("train", "valid", "test")
ROWS_AT_ONCE = 500_000
KEY_RANGE = 2**64  # order_keys are below it
GOLDEN = 0.6180339887498949  # its multiples spread evenly over [0, 1), however many they are


def order_keys(groups: polars.Series, *, seed: int) -> polars.Series:
    """Where each group stands in an order: SHA-256 of seed and group alone, its first 8 bytes as UInt64.

    Two of ten million groups share one with a probability of 3 in a million; they would be dealt as one.
    """
    import numpy as np
    import polars

    start = hashlib.sha256(f"{seed}\0".encode())

    def key(group: str) -> int:
        each = start.copy()
        each.update(group.encode())
        return int.from_bytes(each.digest()[:8])

    parts = [polars.Series("key", [], polars.UInt64)]
    for some in groups.alias("group").to_frame().iter_slices(ROWS_AT_ONCE):
        distinct = some["group"].unique()
        hashed = np.fromiter(map(key, distinct), np.uint64, count=len(distinct))
        table = distinct.to_frame().with_columns(polars.Series("key", hashed))
        parts.append(some.join(table, on="group", how="left", maintain_order="left")["key"])
    return polars.concat(parts)


@dataclass(frozen=True)
class Groups:
    """The groups of some rows, in the order of their order_keys. `of_row` has the number of each row's group."""

    of_row: NDArray[np.int32]
    sizes: NDArray[np.int64]


def groups_of(order: polars.Series) -> Groups:
    """The groups that rows are in, from the order_key of each row's. Names would not fit at ten million rows."""
    import numpy as np

    keys: NDArray[np.uint64] = order.to_numpy()
    _, of_row, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    return Groups(of_row.astype(np.int32), sizes)


@dataclass(frozen=True)
class Strata:
    """Groups stratum by stratum, in the order of their order_keys within one; one value a group in every array.

    `groups` are their numbers, `strata` the number of the stratum, `num_rows` the rows of the stratum, `middle` the
    rows of the stratum before the group and half of its own.
    """

    groups: NDArray[np.int64]
    strata: NDArray[np.int64]
    num_rows: NDArray[np.int64]
    middle: NDArray[np.float64]


def in_strata(groups: Groups, row_strata: polars.Series) -> Strata:
    """A group's stratum is that of most of its rows, ties by name."""
    import numpy as np

    _, strata = np.unique(_stratum_of_groups(groups, row_strata), return_inverse=True)
    order = np.argsort(strata, kind="stable")
    num_rows = np.bincount(strata, weights=groups.sizes).astype(np.int64)
    begins = np.cumsum(num_rows) - num_rows
    sizes, own = groups.sizes[order], strata[order]
    return Strata(order, own, num_rows[own], np.cumsum(sizes) - sizes / 2 - begins[own])


def deal_by_shares(groups: Groups, row_strata: polars.Series, *, valid: float, test: float) -> NDArray[np.uint8]:
    """The number of each group's split in SPLITS.

    Within a stratum groups stand in the order of a hash; the first go to test, the next to valid, the rest to
    train, cut where the share is reached. Groups that come or go move few others.
    """
    import numpy as np

    assert min(valid, test) >= 0 and valid + test < 1, (valid, test)
    ordered = in_strata(groups, row_strata)
    # rounding differs from stratum to stratum, evenly spread, so that shares of many small strata add up
    rounding = (0.5 + ordered.strata * GOLDEN) % 1
    ends = (np.floor(ordered.num_rows * share + rounding) for share in (test, test + valid))
    numbers = np.empty(len(groups.sizes), np.uint8)
    numbers[ordered.groups] = split_at(ordered.middle, *ends)
    return numbers


def split_at(places: Places, test_end: np.uint64 | Places, valid_end: np.uint64 | Places) -> NDArray[np.uint8]:
    """test before test_end, else valid before valid_end, else train, as numbers; ends are numbers or arrays."""
    import numpy as np

    numbers = np.full(places.shape, SPLITS.index("train"), np.uint8)
    numbers[places < valid_end] = SPLITS.index("valid")
    numbers[places < test_end] = SPLITS.index("test")
    return numbers


def named(numbers: NDArray[np.uint8]) -> polars.Series:
    """Names of splits, of type polars.Enum(SPLITS)."""
    import polars

    parts = [polars.Series("split", [], polars.Enum(SPLITS))]
    for begin in range(0, len(numbers), ROWS_AT_ONCE):
        parts.append(polars.Series("split", SPLITS, polars.Enum(SPLITS))[numbers[begin : begin + ROWS_AT_ONCE]])
    return polars.concat(parts)


def refuse_empty(dealt: polars.Series, order: polars.Series, *, valid: float, test: float) -> None:
    """Raise DataError where a split has no row although its share is above 0."""
    wanted = ["train"] + (["valid"] if valid else []) + (["test"] if test else [])
    for split in wanted:
        if not (dealt == split).any():
            raise DataError(
                f"data.split: {split} would be empty: {len(dealt)} rows in {order.n_unique()} groups, "
                f"valid {valid:g}, test {test:g}; bring more rows, smaller groups, or other shares"
            )


def _stratum_of_groups(groups: Groups, row_strata: polars.Series) -> NDArray[np.int64]:
    """The number of the stratum of each group, in the order of the strata's names."""
    import numpy as np
    import polars

    names = row_strata.unique().sort()
    if len(names) < 2:
        return np.zeros(len(groups.sizes), np.int64)
    numbers = row_strata.replace_strict(names, range(len(names)), return_dtype=polars.Int64).to_numpy()
    pairs, counts = np.unique(groups.of_row * len(names) + numbers, return_counts=True)
    order = np.lexsort((-counts, pairs // len(names)))  # stable: the first name of equal counts stays first
    of_group, stratum = np.divmod(pairs[order], len(names))
    first = np.ones(len(order), bool)
    first[1:] = of_group[1:] != of_group[:-1]
    chosen: NDArray[np.int64] = stratum[first]
    return chosen
