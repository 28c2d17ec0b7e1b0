"""What texts are made of: frequent words and phrases, those that set a label apart, scripts and languages.

Pure: columns of texts in, plain values out; knows no file and no split. Positions count the texts from 0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ftkit.prepare.texts.similarity import normalised

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    I64: TypeAlias = NDArray[np.int64]
    F64: TypeAlias = NDArray[np.float64]
    Flags: TypeAlias = NDArray[np.bool_]

TEXT_CHARS = 1_000  # of each text are looked at
SIZES = (1, 2, 3)
MIN_ROWS, ONE_IN = 2, 1_000  # a phrase in fewer texts than both say is rare
TEXTS_AT_A_TIME = 2_000

NO_LETTERS, OTHER = "no letters", "other"
SCRIPTS = (
    *("Arabic", "Armenian", "Bengali", "Cherokee", "Cyrillic", "Devanagari", "Ethiopic", "Georgian", "Greek"),
    *("Gujarati", "Gurmukhi", "Han", "Hangul", "Hebrew", "Hiragana", "Kannada", "Katakana", "Khmer", "Lao", "Latin"),
    *("Malayalam", "Mongolian", "Myanmar", "Oriya", "Sinhala", "Syriac", "Tamil", "Telugu", "Thaana", "Thai"),
    *("Tibetan", "Tifinagh"),
)
NO_LANGUAGE, UNSURE = "no language", "not sure"
MIN_PROBABILITY = 0.5


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words that follow one another: `num_rows` texts have it, it occurs `num_times`; positions of the first texts."""

    text: str
    num_rows: int
    num_times: int
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cue:
    """A phrase that sets a label apart: shares of the label's texts, and of all others, that have it."""

    label: str
    text: str
    share: float
    share_elsewhere: float
    num_rows: int
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Kind:
    """A script or a language: texts mostly in it, positions of the first; of a script also texts with any letter."""

    name: str
    num_rows: int
    positions: tuple[int, ...]
    num_rows_with_any: int | None = None


@dataclass(frozen=True)
class _Counted:
    """Phrases of one size that are not rare, numbered in the order of their words: `num_rows` texts have each, it
    occurs `num_times`, first at the place `starts` among all words. `rows` has the texts of each, ascending, from its
    `begins` on, and `at` for every place among all words the number of the phrase there, -1 for none.
    """

    size: int
    num_rows: I64
    num_times: I64
    starts: I64
    begins: I64
    rows: I64
    at: I64

    def rows_of(self, phrase: int) -> I64:
        """The texts that have it."""
        begin = self.begins[phrase]
        return self.rows[begin : begin + self.num_rows[phrase]]


class Phrases:
    """Words and phrases of some texts, counted. Words are as in `similarity.normalised`; a rare phrase is left out."""

    def __init__(self, texts: polars.Series) -> None:
        import numpy as np
        import polars

        words = normalised(texts.str.head(TEXT_CHARS)).str.split(" ")
        lengths = words.list.len().cast(polars.Int64).to_numpy()
        self.num_texts = len(texts)
        self.min_rows = max(MIN_ROWS, -(-len(texts) // ONE_IN))
        self._words = words.explode(empty_as_null=False)
        rows = np.repeat(np.arange(len(texts)), lengths)
        codes = _codes(self._words, self.min_rows)
        counted = _count(codes, rows, size=1, min_rows=self.min_rows)
        self._counted = [counted]
        for size in SIZES[1:]:
            counted = _count(_longer(counted, codes, rows), rows, size=size, min_rows=self.min_rows)
            self._counted.append(counted)

    def top(self, size: int, num_phrases: int, *, num_positions: int) -> list[Phrase]:
        """Phrases of `size` words that most texts have, ties in the order of their words."""
        import numpy as np

        counted = self._counted[size - 1]
        return [
            Phrase(
                self._text(counted, place),
                int(counted.num_rows[place]),
                int(counted.num_times[place]),
                tuple(counted.rows_of(place)[:num_positions].tolist()),
            )
            for place in np.argsort(-counted.num_rows, kind="stable")[:num_phrases].tolist()
        ]

    def cues(self, targets: polars.Series, num_cues: int, *, num_positions: int) -> list[Cue]:
        """For each target the phrases that its texts most surely have more often than all others: by the z value of
        the difference of both shares; ties go to the shorter one, then to the order of their words.
        """
        labels = sorted(set(targets))
        codes = targets.replace_strict(labels, list(range(len(labels)))).to_numpy()
        return [
            cue
            for code, label in enumerate(labels)
            for cue in self._cues(codes == code, label, num_cues, num_positions)
        ]

    def _cues(self, own: Flags, label: str, num_cues: int, num_positions: int) -> Iterator[Cue]:
        import numpy as np

        surest = []
        for counted in self._counted:
            phrases = np.repeat(np.arange(len(counted.begins)), counted.num_rows)
            ours = np.bincount(phrases[own[counted.rows]], minlength=len(counted.begins))
            others = counted.num_rows - ours
            share, elsewhere, surely = _contrast(ours, others, int(own.sum()), int((~own).sum()))
            surely[ours < self.min_rows] = 0
            surest += [
                (float(surely[place]), counted, place, float(share[place]), float(elsewhere[place]), int(ours[place]))
                for place in np.argsort(-surely, kind="stable")[:num_cues].tolist()
                if surely[place] > 0
            ]
        surest.sort(key=lambda each: -each[0])
        for _, counted, place, share_, elsewhere_, ours_ in surest[:num_cues]:
            rows = counted.rows_of(place)
            positions = tuple(rows[own[rows]][:num_positions].tolist())
            yield Cue(label, self._text(counted, place), share_, elsewhere_, ours_, positions)

    def _text(self, counted: _Counted, place: int) -> str:
        start = int(counted.starts[place])
        return " ".join(self._words[start : start + counted.size])


def _codes(words: polars.Series, min_times: int) -> I64:
    """The place of each word in the order of all that are not rare, or -1."""
    import polars

    known = words.value_counts(name="count").filter((polars.col("count") >= min_times) & (polars.col(words.name) != ""))
    known = known.sort(words.name).with_row_index("code").with_columns(polars.col("code").cast(polars.Int64))
    coded = words.to_frame().join(known, on=words.name, how="left", maintain_order="left")["code"]
    codes: I64 = coded.fill_null(-1).to_numpy()
    return codes


def _longer(counted: _Counted, codes: I64, rows: I64) -> I64:
    """For every place a number for the phrase there with the word that follows it; -1 where one of both is rare, or the
    word is of another text.
    """
    import numpy as np

    longer = np.full(len(codes), -1)
    phrases, words = counted.at[: -counted.size], codes[counted.size :]
    whole = (phrases >= 0) & (words >= 0) & (rows[: -counted.size] == rows[counted.size :])
    longer[: -counted.size][whole] = (phrases * (codes.max(initial=0) + 1) + words)[whole]
    return longer


def _count(phrases: I64, rows: I64, *, size: int, min_rows: int) -> _Counted:
    """Count the phrases of all places, given as numbers in the order of their words, and leave out the rare ones."""
    import numpy as np

    bits = len(phrases).bit_length()
    assert int(phrases.max(initial=0)).bit_length() + bits < 64, "more words than characters allow"
    places = np.flatnonzero(phrases >= 0)
    both = np.sort(phrases[places] << bits | places)  # plain numbers sort several times as fast as argsort
    places = both & ((1 << bits) - 1)
    is_new = _changes(both >> bits)
    is_new_row = is_new | _changes(rows[places])
    number = np.cumsum(is_new) - 1
    num_rows = np.bincount(number[is_new_row])
    kept = num_rows >= min_rows
    new_number = np.where(kept, np.cumsum(kept) - 1, -1)
    at = np.full(len(phrases), -1)
    at[places] = new_number[number]
    return _Counted(
        size,
        num_rows[kept],
        num_times=np.bincount(number)[kept],
        starts=places[is_new][kept],
        begins=np.cumsum(num_rows[kept]) - num_rows[kept],
        rows=rows[places][is_new_row & kept[number]],
        at=at,
    )


def _changes(values: I64) -> Flags:
    """Which values differ from the one before them; the first does."""
    import numpy as np

    changes = np.ones(len(values), bool)
    changes[1:] = values[1:] != values[:-1]
    return changes


def _contrast(ours: I64, others: I64, num_own: int, num_others: int) -> tuple[F64, F64, F64]:
    """Share among own texts, share among the others, and z of their difference (0 where all texts or none have it)."""
    import numpy as np

    share, elsewhere = ours / num_own, others / max(num_others, 1)
    whole = (ours + others) / (num_own + num_others)
    spread = np.sqrt(whole * (1 - whole) * (1 / num_own + 1 / max(num_others, 1)))
    return share, elsewhere, np.divide(share - elsewhere, spread, out=np.zeros(len(ours)), where=spread > 0)


def scripts(texts: polars.Series, *, num_positions: int) -> list[Kind]:
    """The Unicode script that most letters of each text are of, the most frequent first.

    Of scripts with equally many letters in a text the first of the alphabet counts.
    """
    import numpy as np

    texts = texts.str.head(TEXT_CHARS)
    names = [*SCRIPTS, OTHER]
    letters = np.zeros((len(texts), len(names)), np.int64)
    letters[:, SCRIPTS.index("Latin")] = texts.str.contains("[A-Za-z]").to_numpy()
    beyond_ascii = np.flatnonzero((texts.str.len_bytes() != texts.str.len_chars()).to_numpy())
    for begin in range(0, len(beyond_ascii), TEXTS_AT_A_TIME):
        some = beyond_ascii[begin : begin + TEXTS_AT_A_TIME]
        letters[some] = _letters(texts.gather(some))
    most = np.where(letters.any(axis=1), letters.argmax(axis=1), len(names))
    kinds = [
        _kind(name, most == place, num_positions, with_any=int((letters[:, place] > 0).sum()))
        for place, name in enumerate(names)
    ]
    kinds.append(_kind(NO_LETTERS, most == len(names), num_positions))
    return _sorted(kinds)


def _letters(texts: polars.Series) -> I64:
    """Letters of each script, shape (texts, scripts and others)."""
    import numpy as np
    import polars

    code_points = np.frombuffer("".join(texts).encode("utf-32-le"), "<u4")
    rows = np.repeat(np.arange(len(texts)), texts.str.len_chars().cast(polars.Int64).to_numpy())
    script = np.full(sys.maxunicode + 1, -1, np.int8)
    used = np.flatnonzero(np.bincount(code_points))
    characters = polars.Series([chr(point) for point in used.tolist()], dtype=polars.String)
    script[used[characters.str.contains(r"\p{L}").to_numpy()]] = len(SCRIPTS)
    for place, name in enumerate(SCRIPTS):
        script[used[characters.str.contains(rf"[\p{{{name}}}&&\p{{L}}]").to_numpy()]] = place
    of_each = script[code_points]
    is_letter = of_each >= 0
    cells = rows[is_letter] * (len(SCRIPTS) + 1) + of_each[is_letter]
    return np.bincount(cells, minlength=len(texts) * (len(SCRIPTS) + 1)).reshape(len(texts), len(SCRIPTS) + 1)


def languages(texts: polars.Series, *, num_positions: int) -> list[Kind] | None:
    """The most likely language of each text, the most frequent first; None where py3langid is not installed.

    A text of which no language is at least half likely is 'not sure'. About 5,000 texts a second.
    """
    import numpy as np

    identifier = _identifier()
    if identifier is None:
        return None
    names = [_language(identifier, text) for text in texts.str.head(TEXT_CHARS)]
    of_each = np.array(names, dtype=object)
    return _sorted([_kind(name, of_each == name, num_positions) for name in set(names)])


class _Identifier(Protocol):
    """Of py3langid, which has no types."""

    def classify(self, text: str) -> tuple[str, float]: ...


def _language(identifier: _Identifier, text: str) -> str:
    code, probability = identifier.classify(text)
    if probability < MIN_PROBABILITY:
        return UNSURE
    return NO_LANGUAGE if code == "zxx" else code


@cache
def _identifier() -> _Identifier | None:
    """The identifier of languages, which has no state, or None."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return None
    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier


def _kind(name: str, is_it: Flags, num_positions: int, with_any: int | None = None) -> Kind:
    import numpy as np

    rows = np.flatnonzero(is_it)
    return Kind(name, len(rows), tuple(rows[:num_positions].tolist()), with_any)


def _sorted(kinds: Sequence[Kind]) -> list[Kind]:
    seen = [kind for kind in kinds if kind.num_rows or kind.num_rows_with_any]
    return sorted(seen, key=lambda kind: (-kind.num_rows, -(kind.num_rows_with_any or 0), kind.name))
