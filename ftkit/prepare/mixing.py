"""Which rows stay so that several sources stand in the proportions that a recipe wants.

Pure: columns in, events out; no rows, no files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ftkit.prepare.cleaning import events
from ftkit.prepare.splitting import order_keys

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table


def beyond_shares(ids: polars.Series, sources: polars.Series, shares: Mapping[str, float], *, seed: int) -> Table:
    """Drop events for the rows that are too many; `shares` are proportions by name of source.

    As many rows stay as the scarcest source allows, of each source the first in the order of a hash of seed and id.
    """
    import polars

    total = sum(shares.values())
    num_rows: dict[str, int] = dict(sources.value_counts().iter_rows())
    whole = min(num_rows.get(name, 0) * total / share for name, share in shares.items())
    wanted = {name: round(whole * share / total) for name, share in shares.items()}
    table = polars.DataFrame({"id": ids, "source": sources, "key": order_keys(ids, seed=seed)})
    rank = table.select(polars.struct("key", "id").rank("ordinal").over("source"))["key"]
    over = rank > table["source"].replace_strict(wanted, return_dtype=polars.UInt32)
    limit = table["source"].filter(over).replace_strict(wanted, return_dtype=polars.UInt32)
    reasons = polars.select(reason=polars.format("beyond the {} rows of its share", limit))["reason"]
    return events("drop", ids.filter(over), reasons)
