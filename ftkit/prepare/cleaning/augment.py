"""Adds edited copies of train rows: other letter case, typing errors, neighbouring words swapped.

Knows one row at a time; the same row gets the same copies in any company. Runs only where a recipe asks for it.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, TypeAlias

from pydantic import Field, field_validator

from ftkit.contracts import Cleaned, Context
from ftkit.errors import DataError
from ftkit.prepare.cleaning import RowStep, events
from ftkit.registry import component

if TYPE_CHECKING:
    from ftkit.contracts import Table

Kind: TypeAlias = Literal["case", "typos", "word_order"]

LETTERS_PER_TYPO = 30
WORDS_PER_SWAP = 15
TRIES = 8  # an edit can give the text it started from, or an earlier copy


class Augment(RowStep):
    """Which edits are made; group, target and all other columns of a copy are those of its row.

    A target that quotes its input does not follow the edits.
    """

    train_only: ClassVar[bool] = True

    kinds: list[Kind] = Field(default=["case", "typos", "word_order"], min_length=1, description="one copy of each")
    copies: int = Field(1, ge=1, le=20, description="of each kind, as far as they differ")
    seed: int = Field(17, description="another seed makes other copies")

    @field_validator("kinds")
    @classmethod
    def _each_once(cls, kinds: list[str]) -> list[str]:
        if len(set(kinds)) != len(kinds):
            raise ValueError("a kind stands twice; for several copies of each kind say copies")
        return kinds


class _Copy(NamedTuple):
    """A new row: the place of the row it is made of, its id and text, and what was done."""

    place: int
    id: str
    text: str
    how: str


@component
def apply(config: Augment, table: Table, ctx: Context) -> Cleaned:
    """Put copies behind the row they are made of, with ids such as `7+case` and `7+case2`; an add event for each.

    A copy that equals its row or an earlier copy of it is left out. Raises DataError where an id is taken.
    """
    import numpy as np
    import polars

    columns = zip(table["id"], table["input"], strict=True)
    made = [copy for place, (name, text) in enumerate(columns) for copy in _copies(config, place, name, text)]
    schema = {"place": polars.Int64, "id": polars.String, "input": polars.String, "how": polars.String}
    new = polars.DataFrame(made, schema=schema, orient="row")
    taken = new["id"].filter(new["id"].is_in(table["id"].implode()))
    if len(taken):
        raise DataError(f"{taken[0]}: augment makes this id and it is there already; ask for all copies in one step")
    copied = table[new["place"]].with_columns(new["id"], new["input"])
    both = polars.concat([table, copied])
    places = np.concatenate([np.arange(table.height), new["place"].to_numpy()])
    order = np.argsort(places, kind="stable")  # copies stand behind all rows, so each comes after its own
    return Cleaned(both[order], events("add", new["id"], new["how"], kept_ids=table["id"][new["place"]]))


def _copies(config: Augment, place: int, name: str, text: str) -> Iterator[_Copy]:
    seen = {text}
    for kind in config.kinds:
        dice = _dice(config.seed, name, kind)
        for number in range(config.copies):
            tries = (_EDITS[kind](text, dice) for _ in range(TRIES))
            fresh = next((edit for edit in tries if edit.strip() and edit not in seen), None)
            if fresh is None:
                break
            seen.add(fresh)
            yield _Copy(place, f"{name}+{kind}{number + 1 if number else ''}", fresh, _HOW[kind])


def _dice(seed: int, name: str, kind: str) -> random.Random:
    """`random()` of it is the same in every version of Python; the other methods need not be."""
    return random.Random(int.from_bytes(hashlib.blake2b(f"{seed}:{kind}:{name}".encode(), digest_size=8).digest()))


def _below(count: int, dice: random.Random) -> int:
    return int(dice.random() * count)


def _other_case(text: str, dice: random.Random) -> str:
    variants = [text.lower(), text.upper(), text[:1].upper() + text[1:].lower()]
    other = [variant for variant in dict.fromkeys(variants) if variant != text]
    return other[_below(len(other), dice)] if other else text


def _with_typos(text: str, dice: random.Random) -> str:
    """One letter in LETTERS_PER_TYPO, and one at least, is left out, doubled, or swapped with the next."""
    letters = [place for place, char in enumerate(text) if char.isalpha()]
    chars = list(text)
    for _ in range(-(-len(letters) // LETTERS_PER_TYPO)):
        place = letters[_below(len(letters), dice)]
        edit = _below(3, dice)
        if edit == 2 and place + 1 < len(text) and text[place + 1].isalpha():
            chars[place], chars[place + 1] = chars[place + 1], chars[place]
        else:
            chars[place] = "" if edit == 0 else chars[place] * 2
    return "".join(chars)


def _with_swapped_words(text: str, dice: random.Random) -> str:
    """One pair of neighbouring words in WORDS_PER_SWAP words, and one at least, changes places; blanks stay."""
    parts = re.split(r"(\s+)", text)
    words = [place for place, part in enumerate(parts) if part and not part.isspace()]
    for _ in range(-(-len(words) // WORDS_PER_SWAP) if len(words) > 1 else 0):
        at = _below(len(words) - 1, dice)
        left, right = words[at], words[at + 1]
        parts[left], parts[right] = parts[right], parts[left]
    return "".join(parts)


_EDITS: dict[Kind, Callable[[str, random.Random], str]] = {
    "case": _other_case,
    "typos": _with_typos,
    "word_order": _with_swapped_words,
}
_HOW: dict[Kind, str] = {
    "case": "copy in another letter case",
    "typos": "copy with typing errors",
    "word_order": "copy with neighbouring words swapped",
}
