"""Groups of rows that are joined, so that no split parts what belongs together.

Knows which rows are alike by a number of each, and no rule by which they are.
"""

# N rows; S rows of clusters of several rows, K of those the ones that are kept; G groups of these rows

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ftkit.prepare.row_keys import column_fingerprints, compared_fingerprints
from ftkit.prepare.texts.similarity import Numbered, join, numbered

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.prepare.rows import Rows

    Ints: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]


def with_equal_rows_together(rows: Rows, *, threads: int = 1) -> polars.Series | None:
    """The group of each row, where those of rows that count as the same are joined. None where they are already."""
    import numpy as np

    same = numbered(compared_fingerprints(rows, "words", threads=threads)).number
    return joined(rows, same, np.zeros(len(rows), bool), earliest=True)


def joined(rows: Rows, cluster_N: Ints, is_gone_N: Flags, *, earliest: bool) -> polars.Series | None:
    """The group of each row: kept rows of one cluster, and all rows of their groups, get the name of one of these.

    It is the name that sorts first, or the earliest: then rows that are appended rename no group. A row that is gone
    joins the group of its cluster, and does not bring its own group along. None where all groups are as they were.
    """
    import numpy as np

    some_S = np.flatnonzero(np.bincount(cluster_N)[cluster_N] > 1)  # the others change nothing
    if not some_S.size:
        return None
    groups = numbered(column_fingerprints(rows, "group"))
    own_G, group_S = _groups_by_rank(rows, groups, some_S, earliest=earliest)
    is_gone_S, cluster_S = is_gone_N[some_S], cluster_N[some_S]
    # the kept rows of a cluster link their groups with that of the cluster's first kept row: enough to join them all,
    # and since groups are numbered by rank, the smallest number that a chain leads to is the name wanted
    kept_clusters, first, which_K = np.unique(cluster_S[~is_gone_S], return_index=True, return_inverse=True)
    group_K = group_S[~is_gone_S]
    joined_G = own_G[join(group_K, group_K[first][which_K], len(own_G))]
    new_of_group = np.arange(len(groups.place))
    new_of_group[own_G] = joined_G
    new_N = new_of_group[groups.number]
    # a row is gone for a kept row of its cluster, so each of these clusters is among the kept ones
    its_cluster = np.searchsorted(kept_clusters, cluster_S[is_gone_S])
    new_N[some_S[is_gone_S]] = joined_G[group_K[first][its_cluster]]
    has_moved_N: Flags = new_N != groups.number
    moved = np.flatnonzero(has_moved_N)
    if not moved.size:
        return None
    return rows.column("group").scatter(moved, rows.take(groups.place[new_N[moved]], "group")["group"])


def _groups_by_rank(rows: Rows, groups: Numbered, some_S: Ints, *, earliest: bool) -> tuple[Ints, Ints]:
    """The groups of some rows, by name or the earliest first, and for each of these rows the place of its group there.

    `groups` has the number of each row's group.
    """
    import numpy as np

    own_G, first, place_S = np.unique(groups.number[some_S], return_index=True, return_inverse=True)
    in_turn = np.argsort(first) if earliest else rows.take(groups.place[own_G], "group")["group"].arg_sort().to_numpy()
    return own_G[in_turn], np.argsort(in_turn)[place_S]
