"""Deals rows by the shares in the order of a hash, whatever their labels.

Knows the group of a row only. Rows that come or go move only rows at the cuts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.prepare.splitting import deal_by_shares, groups_of, named, refuse_empty
from ftkit.registry import Config, component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class Random(Config):
    """Nothing to choose: the seed is the recipe's."""


@component
def deal(config: Random, keys: Table, *, valid: float, test: float) -> polars.Series:
    """The split of each row. Raises DataError where a split would be empty."""
    import polars

    one_stratum = polars.repeat("", keys.height, eager=True)
    groups = groups_of(keys["order"])
    dealt = named(deal_by_shares(groups, one_stratum, valid=valid, test=test)[groups.of_row])
    refuse_empty(dealt, keys["order"], valid=valid, test=test)
    return dealt
