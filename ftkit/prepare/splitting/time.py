"""Deals by time: the oldest rows train, the newest test, as a model meets the future.

Knows group and time of a row. A group counts as new as its latest row, and rows of one time stay together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.errors import DataError
from ftkit.prepare.row_keys import times
from ftkit.prepare.splitting import ROWS_AT_ONCE, groups_of, named, refuse_empty, split_at
from ftkit.registry import Config, component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class Time(Config):
    """Nothing to choose: the column is data.split.time."""


@component
def deal(config: Time, keys: Table, *, valid: float, test: float) -> polars.Series:
    """The split of each row: cut where the share is reached, and never between rows of one time.

    Raises DataError for a time that is neither an ISO 8601 date nor a number, and where a split would be empty.
    """
    import numpy as np

    assert min(valid, test) >= 0 and valid + test < 1, (valid, test)
    if "time" not in keys.columns or keys["time"].null_count() == keys.height:
        raise DataError("data.split: by: time needs to know when a row was made; name that column as data.split.time")
    groups = groups_of(keys["order"])
    moments = times(keys.iter_slices(ROWS_AT_ONCE)).to_numpy()
    latest = np.full(len(groups.sizes), moments.min())
    np.maximum.at(latest, groups.of_row, moments)
    _, which = np.unique(latest, return_inverse=True)
    num_rows = np.bincount(which, weights=groups.sizes)
    middle = keys.height - np.cumsum(num_rows) + num_rows / 2  # newer rows and half of those of that time
    ends = (np.floor(keys.height * share + 0.5) for share in (test, test + valid))
    dealt = named(split_at(middle, *ends)[which][groups.of_row])
    refuse_empty(dealt, keys["order"], valid=valid, test=test)
    return dealt
