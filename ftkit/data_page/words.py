"""What texts are made of: frequent words and phrases, those that set a label apart, scripts and languages.

Pure: columns of texts in, plain values out; knows no file and no split. Positions count the texts from 0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias

from ftkit.texts.similarity import normalised

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
MAX_WORDS = 1 << 21  # so that three of them fit into one number
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
    """Phrases of one size. Sorted by phrase, then text: `begins` has the first place of each phrase, `distinct` says
    where a text stands for the first time, `starts` the place of the occurrence among all words.
    """

    size: int
    rows: I64
    starts: I64
    begins: I64
    distinct: Flags


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
        codes, num_words = _codes(self._words, self.min_rows)
        self._counted = [_count(codes, rows, num_words=num_words, size=size) for size in SIZES]

    def top(self, size: int, num_phrases: int, *, num_positions: int) -> list[Phrase]:
        """Phrases of `size` words that most texts have, ties in the order of their words."""
        import numpy as np

        counted = self._counted[size - 1]
        num_rows, num_times = _totals(counted)
        order = np.argsort(-num_rows, kind="stable")[:num_phrases]
        return [
            Phrase(
                self._text(counted, place),
                int(num_rows[place]),
                int(num_times[place]),
                _first_rows(counted, place, num_positions),
            )
            for place in order.tolist()
            if num_rows[place] >= self.min_rows
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

        found = []
        for counted in self._counted:
            num_rows, _ = _totals(counted)
            ours = np.add.reduceat(counted.distinct & own[counted.rows], counted.begins) if len(num_rows) else num_rows
            share, elsewhere, surely = _contrast(ours, num_rows - ours, int(own.sum()), int((~own).sum()))
            surely[ours < self.min_rows] = 0
            found += [
                (float(surely[place]), counted, place, float(share[place]), float(elsewhere[place]), int(ours[place]))
                for place in np.argsort(-surely, kind="stable")[:num_cues].tolist()
                if surely[place] > 0
            ]
        found.sort(key=lambda each: -each[0])
        for _, counted, place, share_, elsewhere_, ours_ in found[:num_cues]:
            positions = _first_rows(counted, place, num_positions, own)
            yield Cue(label, self._text(counted, place), share_, elsewhere_, ours_, positions)

    def _text(self, counted: _Counted, place: int) -> str:
        start = int(counted.starts[counted.begins[place]])
        return " ".join(self._words[start : start + counted.size])


def _codes(words: polars.Series, min_times: int) -> tuple[I64, int]:
    """The place of each word in the order of all that are not rare, or -1; and how many those are."""
    import polars

    known = words.value_counts(name="count").filter((polars.col("count") >= min_times) & (polars.col(words.name) != ""))
    known = known.sort(words.name).with_row_index("code").with_columns(polars.col("code").cast(polars.Int64))
    assert known.height < MAX_WORDS, "more words than characters allow"
    coded = words.to_frame().join(known, on=words.name, how="left", maintain_order="left")["code"]
    return coded.fill_null(-1).to_numpy(), known.height


def _count(codes: I64, rows: I64, *, num_words: int, size: int) -> _Counted:
    import numpy as np

    num_starts = max(len(codes) - size + 1, 0)
    phrases = np.zeros(num_starts, np.int64)
    whole = rows[:num_starts] == rows[size - 1 : size - 1 + num_starts]
    for offset in range(size):
        here = codes[offset : offset + num_starts]
        whole &= here >= 0
        phrases = phrases * num_words + here
    starts = np.flatnonzero(whole)
    starts = starts[np.argsort(phrases[starts], kind="stable")]  # stable: texts stay in order
    sorted_phrases, sorted_rows = phrases[starts], rows[starts]
    new_phrase = np.ones(len(starts), bool)
    new_phrase[1:] = sorted_phrases[1:] != sorted_phrases[:-1]
    distinct = new_phrase.copy()
    distinct[1:] |= sorted_rows[1:] != sorted_rows[:-1]
    return _Counted(size, sorted_rows, starts, np.flatnonzero(new_phrase), distinct)


def _totals(counted: _Counted) -> tuple[I64, I64]:
    """Texts that have each phrase, and its occurrences."""
    import numpy as np

    if not len(counted.begins):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    num_rows = np.add.reduceat(counted.distinct.astype(np.int64), counted.begins)
    return num_rows, np.diff(counted.begins, append=len(counted.rows))


def _contrast(ours: I64, others: I64, num_own: int, num_others: int) -> tuple[F64, F64, F64]:
    """Share among own texts, share among the others, and z of their difference (0 where all texts or none have it)."""
    import numpy as np

    share, elsewhere = ours / num_own, others / max(num_others, 1)
    whole = (ours + others) / (num_own + num_others)
    spread = np.sqrt(whole * (1 - whole) * (1 / num_own + 1 / max(num_others, 1)))
    return share, elsewhere, np.divide(share - elsewhere, spread, out=np.zeros(len(ours)), where=spread > 0)


def _first_rows(counted: _Counted, place: int, num_positions: int, among: Flags | None = None) -> tuple[int, ...]:
    begin = counted.begins[place]
    end = counted.begins[place + 1] if place + 1 < len(counted.begins) else len(counted.rows)
    rows = counted.rows[begin:end][counted.distinct[begin:end]]
    return tuple((rows if among is None else rows[among[rows]])[:num_positions].tolist())


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
    found = [
        _kind(name, most == place, num_positions, with_any=int((letters[:, place] > 0).sum()))
        for place, name in enumerate(names)
    ]
    found.append(_kind(NO_LETTERS, most == len(names), num_positions))
    return _sorted(found)


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
    found = [_language(identifier, text) for text in texts.str.head(TEXT_CHARS)]
    names = np.array(found, dtype=object)
    return _sorted([_kind(name, names == name, num_positions) for name in set(found)])


def _language(identifier: Any, text: str) -> str:
    code, probability = identifier.classify(text)
    if probability < MIN_PROBABILITY:
        return UNSURE
    return NO_LANGUAGE if code == "zxx" else str(code)


@cache
def _identifier() -> Any:
    """The identifier of languages, which has no state, or None."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        return None
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _kind(name: str, is_it: Flags, num_positions: int, with_any: int | None = None) -> Kind:
    import numpy as np

    rows = np.flatnonzero(is_it)
    return Kind(name, len(rows), tuple(rows[:num_positions].tolist()), with_any)


def _sorted(kinds: Sequence[Kind]) -> list[Kind]:
    seen = [kind for kind in kinds if kind.num_rows or kind.num_rows_with_any]
    return sorted(seen, key=lambda kind: (-kind.num_rows, -(kind.num_rows_with_any or 0), kind.name))
