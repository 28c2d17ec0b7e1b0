"""Rows whose text, or whose group, stands in the splits before: how many there are, and where the first of them stand.

Pure: a hash of each row in, counts and places out; knows no file and no id.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias, TypedDict

from ftkit.report.data.split_tally import EXAMPLES, FEW

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    I64: TypeAlias = NDArray[np.int64]
    Keys: TypeAlias = NDArray[np.uint64]
    Flags: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Place:
    """Stands for the id, or the group, of the row at a position of a split."""

    split: str
    position: int
    column: str = "id"


class _Group(TypedDict):
    group: Place
    split: str
    rows: int
    ids: list[Place]


@dataclass(frozen=True, slots=True)
class SortedKeys:
    """The keys of a split's rows, ascending, and the position of each; of equal keys the first row first."""

    split: str
    keys: Keys
    positions: I64

    @classmethod
    def of(cls, split: str, keys: Keys) -> SortedKeys:
        """Of the keys of all rows in their order."""
        import numpy as np

        positions = np.argsort(keys, kind="stable")
        return cls(split, keys[positions], positions)

    def is_new(self) -> Flags:
        """Which keys differ from the one before."""
        import numpy as np

        new = np.ones(len(self.keys), bool)
        new[1:] = self.keys[1:] != self.keys[:-1]
        return new

    def is_in(self, earlier: SortedKeys) -> Flags:
        """Which keys another split has too."""
        import numpy as np

        if not len(earlier.keys):
            return np.zeros(len(self.keys), bool)
        nearest = np.searchsorted(earlier.keys, self.keys).clip(max=len(earlier.keys) - 1)
        is_there: Flags = earlier.keys[nearest] == self.keys
        return is_there

    def first_rows(self, chosen: Flags) -> I64:
        """Of the chosen keys those whose rows come first."""
        import numpy as np

        places = np.flatnonzero(chosen)
        return places[np.argsort(self.positions[places])[:EXAMPLES]]

    def at(self, place: int, column: str = "id") -> Place:
        """The row whose key is the one at this place."""
        return Place(self.split, int(self.positions[place]), column)


def repeats(splits: Sequence[SortedKeys]) -> dict[str, object]:
    """Rows whose text, with its history, stands in the same split before, or in an earlier split, as normalised."""
    import numpy as np

    inside: dict[str, object] = {}
    between: list[object] = []
    for own in splits:
        again = ~own.is_new()
        inside[own.split] = {"rows": int(np.count_nonzero(again)), "pairs": _pairs(own, again, own)}
    for one, other in combinations(splits, 2):
        shared = other.is_in(one)
        pairs = _pairs(other, shared, one)
        between.append({"splits": [one.split, other.split], "rows": int(np.count_nonzero(shared)), "pairs": pairs})
    return {"inside": inside, "between": between}


def _pairs(own: SortedKeys, chosen: Flags, earlier: SortedKeys) -> list[dict[str, Place]]:
    """The first of the chosen rows, each with the first row of the other split that has its key."""
    import numpy as np

    places = own.first_rows(chosen)
    kept = np.searchsorted(earlier.keys, own.keys[places])
    both: Iterator[tuple[int, int]] = zip(places.tolist(), kept.tolist(), strict=True)
    return [{"id": own.at(place), "kept_id": earlier.at(other)} for place, other in both]


def groups(splits: Sequence[SortedKeys]) -> dict[str, object]:
    """How many groups each split has, those of the most rows, and rows whose group stands in an earlier split too."""
    import numpy as np

    num_groups: dict[str, object] = {}
    between: list[object] = []
    largest: list[_Group] = []
    for own in splits:
        begins = np.flatnonzero(own.is_new())
        sizes = np.diff(begins, append=len(own.keys))
        num_groups[own.split] = {"groups": len(begins), "of_several_rows": int(np.count_nonzero(sizes > 1))}
        largest += _largest(own, begins[sizes > 1], sizes[sizes > 1])
    for one, other in combinations(splits, 2):
        shared = other.is_in(one)
        places: list[int] = other.first_rows(shared).tolist()
        ids = [other.at(place) for place in places]
        between.append({"splits": [one.split, other.split], "rows": int(np.count_nonzero(shared)), "ids": ids})
    largest.sort(key=lambda group: -group["rows"])
    return {"splits": num_groups, "largest": largest[:EXAMPLES], "between": between}


def _largest(own: SortedKeys, begins: I64, sizes: I64) -> list[_Group]:
    """The groups of the most rows, of equally large ones that whose first row comes first."""
    import numpy as np

    order = np.lexsort((own.positions[begins], -sizes))[:EXAMPLES]
    both: Iterator[tuple[int, int]] = zip(begins[order].tolist(), sizes[order].tolist(), strict=True)
    return [
        {
            "group": own.at(begin, "group"),
            "split": own.split,
            "rows": size,
            "ids": [own.at(place) for place in range(begin, begin + min(size, FEW))],
        }
        for begin, size in both
    ]
