"""Deals each row by a hash of its group alone: a row never moves between splits when rows are appended or leave.

Knows the group of a row only. The price: shares are met on average, not exactly, and labels are not spread evenly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.prepare.splitting import KEY_RANGE, named, refuse_empty, split_at
from ftkit.registry import Config, component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class Hash(Config):
    """Nothing to choose: the seed is the recipe's. A row moves only where its group is called otherwise."""


@component
def deal(config: Hash, keys: Table, *, valid: float, test: float) -> polars.Series:
    """The split of each row: test below the share `test` of the range of hashes, then valid, then train.

    Raises DataError where a split would be empty.
    """
    import numpy as np

    assert min(valid, test) >= 0 and valid + test < 1, (valid, test)
    ends = (np.uint64(share * KEY_RANGE) for share in (test, test + valid))
    dealt = named(split_at(keys["order"].to_numpy(), *ends))
    refuse_empty(dealt, keys["order"], valid=valid, test=test)
    return dealt
