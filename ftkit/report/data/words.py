"""What texts are made of: frequent words and phrases, those that set a label apart, scripts and languages.

Pure: columns of texts in, plain values out; knows no file and no split. Positions count the texts from 0.
"""

# T texts; W places of words, all texts one after another; F phrases of one size that are not rare, by their words;
# S scripts, and behind them other letters

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Protocol, TypeAlias

from ftkit.prepare.texts.words import joined, terms

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
    """Phrases of one size that are not rare, numbered in the order of their words: `num_rows_F` texts have each, it
    occurs `num_times_F`, first at the place `starts_F` among all words. `rows` has the texts of each, ascending, from
    its `begins_F` on, and `at_W` for every place among all words the number of the phrase there, -1 for none.
    """

    size: int
    num_rows_F: I64
    num_times_F: I64
    starts_F: I64
    begins_F: I64
    rows: I64
    at_W: I64

    def rows_of(self, phrase: int) -> I64:
        """The texts that have it."""
        begin = int(self.begins_F[phrase])
        return self.rows[begin : begin + int(self.num_rows_F[phrase])]


@dataclass(frozen=True, slots=True)
class _Found:
    """A phrase that may set a label apart, by how surely it does."""

    surely: float
    counted: _Counted
    phrase: int
    share: float
    share_elsewhere: float
    num_rows: int


class Phrases:
    """Words and phrases of some texts, counted. Words are `words.terms`; a rare phrase is left out."""

    def __init__(self, texts: polars.Series) -> None:
        import numpy as np
        import polars

        words = terms(texts.str.head(TEXT_CHARS))
        lengths_T: I64 = words.list.len().cast(polars.Int64).to_numpy()
        self.num_texts = len(texts)
        self.min_rows = max(MIN_ROWS, -(-len(texts) // ONE_IN))
        self._words = words.explode(empty_as_null=False)
        rows_W = np.repeat(np.arange(len(texts)), lengths_T)
        codes_W = _codes(self._words, self.min_rows)
        counted = _count(codes_W, rows_W, size=1, min_rows=self.min_rows)
        self._counted = [counted]
        for size in SIZES[1:]:
            counted = _count(_longer(counted, codes_W, rows_W), rows_W, size=size, min_rows=self.min_rows)
            self._counted.append(counted)

    def top(self, size: int, num_phrases: int, *, num_positions: int) -> list[Phrase]:
        """Phrases of `size` words that most texts have, ties in the order of their words."""
        import numpy as np

        counted = self._counted[size - 1]
        most_first: list[int] = np.argsort(-counted.num_rows_F, kind="stable")[:num_phrases].tolist()
        return [
            Phrase(
                self._text(counted, phrase),
                int(counted.num_rows_F[phrase]),
                int(counted.num_times_F[phrase]),
                tuple(counted.rows_of(phrase)[:num_positions].tolist()),
            )
            for phrase in most_first
        ]

    def cues(self, targets: polars.Series, num_cues: int, *, num_positions: int) -> list[Cue]:
        """For each target the phrases that its texts most surely have more often than all others: by the z value of
        the difference of both shares; ties go to the shorter one, then to the order of their words.
        """
        labels: list[str] = sorted(set(targets))
        codes_T: I64 = targets.replace_strict(labels, list(range(len(labels)))).to_numpy()
        return [
            cue
            for code, label in enumerate(labels)
            for cue in self._cues(codes_T == code, label, num_cues, num_positions)
        ]

    def _cues(self, own_T: Flags, label: str, num_cues: int, num_positions: int) -> Iterator[Cue]:
        import numpy as np

        num_own = int(np.count_nonzero(own_T))
        surest: list[_Found] = []
        for counted in self._counted:
            phrase_of_row = np.repeat(np.arange(len(counted.begins_F)), counted.num_rows_F)
            ours_F = np.bincount(phrase_of_row[own_T[counted.rows]], minlength=len(counted.begins_F))
            share_F, elsewhere_F, surely_F = _contrast(
                ours_F, counted.num_rows_F - ours_F, num_own, len(own_T) - num_own
            )
            surely_F[ours_F < self.min_rows] = 0
            most_first: list[int] = np.argsort(-surely_F, kind="stable")[:num_cues].tolist()
            surest += [
                _Found(
                    float(surely_F[phrase]),
                    counted,
                    phrase,
                    float(share_F[phrase]),
                    float(elsewhere_F[phrase]),
                    int(ours_F[phrase]),
                )
                for phrase in most_first
                if float(surely_F[phrase]) > 0
            ]
        surest.sort(key=lambda each: -each.surely)
        for each in surest[:num_cues]:
            rows = each.counted.rows_of(each.phrase)
            positions = tuple(rows[own_T[rows]][:num_positions].tolist())
            text = self._text(each.counted, each.phrase)
            yield Cue(label, text, each.share, each.share_elsewhere, each.num_rows, positions)

    def _text(self, counted: _Counted, phrase: int) -> str:
        start = int(counted.starts_F[phrase])
        return joined(self._words[start : start + counted.size])


def _codes(words: polars.Series, min_times: int) -> I64:
    """The place of each word in the order of all that are not rare, or -1."""
    import polars

    known = words.value_counts(name="count").filter((polars.col("count") >= min_times) & (polars.col(words.name) != ""))
    known = known.sort(words.name).with_row_index("code").with_columns(polars.col("code").cast(polars.Int64))
    coded = words.to_frame().join(known, on=words.name, how="left", maintain_order="left")["code"]
    codes: I64 = coded.fill_null(-1).to_numpy()
    return codes


def _longer(counted: _Counted, codes_W: I64, rows_W: I64) -> I64:
    """For every place a number for the phrase there with the word that follows it; -1 where one of both is rare, or the
    word is of another text.
    """
    import numpy as np

    longer_W = np.full(len(codes_W), -1)
    phrases, words = counted.at_W[: -counted.size], codes_W[counted.size :]  # of each place, and of `size` behind it
    is_whole: Flags = rows_W[: -counted.size] == rows_W[counted.size :]
    is_whole &= (phrases >= 0) & (words >= 0)
    numbers = phrases * (int(codes_W.max(initial=0)) + 1) + words  # in the order of the phrases, then of the words
    longer_W[: -counted.size][is_whole] = numbers[is_whole]
    return longer_W


def _count(phrases_W: I64, rows_W: I64, *, size: int, min_rows: int) -> _Counted:
    """Count the phrases of all places, given as numbers in the order of their words, and leave out the rare ones."""
    import numpy as np

    bits = len(phrases_W).bit_length()
    assert int(phrases_W.max(initial=0)).bit_length() + bits < 64, "more words than characters allow"
    places = np.flatnonzero(phrases_W >= 0)
    both: I64 = np.sort(phrases_W[places] << bits | places)  # plain numbers sort several times as fast as argsort
    places = both & ((1 << bits) - 1)  # by phrase, then in order: where each phrase first stands, and its texts ascend
    is_new = _changes(both >> bits)
    is_new_row = is_new | _changes(rows_W[places])
    number = np.cumsum(is_new) - 1  # of all phrases, from 0
    num_rows = np.bincount(number[is_new_row])
    kept: Flags = num_rows >= min_rows
    new_number = np.where(kept, np.cumsum(kept) - 1, -1)  # of the kept ones
    at_W = np.full(len(phrases_W), -1)
    at_W[places] = new_number[number]
    return _Counted(
        size,
        num_rows[kept],
        num_times_F=np.bincount(number)[kept],
        starts_F=places[is_new][kept],
        begins_F=np.cumsum(num_rows[kept]) - num_rows[kept],
        rows=rows_W[places][is_new_row & kept[number]],
        at_W=at_W,
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
    letters_TS = np.zeros((len(texts), len(names)), np.int64)
    # of a text in ASCII only whether it has letters: they are Latin
    letters_TS[:, SCRIPTS.index("Latin")] = texts.str.contains("[A-Za-z]").to_numpy()
    beyond_ascii = np.flatnonzero((texts.str.len_bytes() != texts.str.len_chars()).to_numpy())
    for begin in range(0, len(beyond_ascii), TEXTS_AT_A_TIME):
        some = beyond_ascii[begin : begin + TEXTS_AT_A_TIME]
        letters_TS[some] = _letters(texts.gather(some))
    most_T: I64 = np.where(letters_TS.any(axis=1), letters_TS.argmax(axis=1), len(names))
    kinds = [
        _kind(name, most_T == place, num_positions, with_any=int(np.count_nonzero(letters_TS[:, place])))
        for place, name in enumerate(names)
    ]
    kinds.append(_kind(NO_LETTERS, most_T == len(names), num_positions))
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
    cells = rows[is_letter] * (len(SCRIPTS) + 1) + of_each[is_letter]  # of the table of texts and scripts
    return np.bincount(cells, minlength=len(texts) * (len(SCRIPTS) + 1)).reshape(len(texts), len(SCRIPTS) + 1)


def languages(texts: polars.Series, *, num_positions: int) -> list[Kind] | None:
    """The most likely language of each text, the most frequent first; None where py3langid is not installed.

    A text of which no language is at least half likely is 'not sure'. About 5,000 texts a second.
    """
    import numpy as np

    identifier = _identifier()
    if identifier is None:
        return None
    strings: list[str] = texts.str.head(TEXT_CHARS).to_list()
    names = [_language(identifier, text) for text in strings]
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
