"""Deals each label's rows by the shares, in the order of a hash: every split has every label.

Knows group and stratum of a row. Rows that come or go move only rows at the cuts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.prepare.splitting import deal_by_shares, groups_of, named, refuse_empty
from ftkit.registry import Config, component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


class Stratified(Config):
    """Nothing to choose: strata are the labels of the task, one where it has none."""


@component
def deal(config: Stratified, keys: Table, *, valid: float, test: float) -> polars.Series:
    """The split of each row, see `deal_by_shares`. Raises DataError where a split would be empty."""
    groups = groups_of(keys["order"])
    dealt = named(deal_by_shares(groups, keys["stratum"], valid=valid, test=test)[groups.of_row])
    refuse_empty(dealt, keys["order"], valid=valid, test=test)
    return dealt
