"""Numbers that tell well-formed text from broken or repetitive text, after Rae et al. 2021 (Gopher, arXiv 2112.11446).

Pure: a column of texts in, a column of numbers for each signal out; judges nothing. Each text is looked at alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftkit.prepare.texts.words import LETTER_WORD, SPACELESS, num_words, terms

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

    from ftkit.contracts import Table

_SYMBOL = r"#|\.\.\.|…"
_ELLIPSIS_END = r"(?:\.\.\.|…)$"
_BULLET = r"^[•‣▪●○◦*-](?:\s|$)"
TOP_SIZES = (2, 3, 4)
DUPLICATE_SIZES = (5, 6, 7, 8, 9, 10)


def signals(texts: polars.Series) -> Table:
    """One row of numbers for each text; 0 where a text has nothing to count, and `mean_word_length` null.

    num_words               see `words`
    mean_word_length        characters of a term, in scripts with blanks between words
    alphabetic_words        share of num_words with a letter in it
    symbols_per_word        '#' and ellipses for each of num_words
    ellipsis_lines          share of lines that end in an ellipsis; 0 for a text of one line
    bullet_lines            share of lines that begin with a bullet; 0 for a text of one line
    duplicate_lines         share of lines that repeat an earlier one, blank ones left out; _line_chars by characters
    duplicate_paragraphs    the same for what stands between blank lines; _paragraph_chars by characters
    top_{2,3,4}_grams       share of word characters in the occurrences of the most frequent n-gram of words, if it
                            occurs at least twice; of several, the longest
    duplicate_{5…10}_grams  share of word characters in n-grams that repeat an earlier one; none is counted twice

    Words of n-grams are `words.terms`: in small letters, without punctuation, and characters in scripts without blanks.
    The first of equal lines or n-grams is no repeat.
    """
    import polars

    counts = num_words(texts)
    words = _Words(texts)
    columns = {
        "num_words": counts.cast(polars.Int64),
        "mean_word_length": polars.Series(words.mean_length()).fill_nan(None),
        "alphabetic_words": texts.str.count_matches(LETTER_WORD) / counts,
        "symbols_per_word": texts.str.count_matches(_SYMBOL) / counts,
        **_of_lines(texts),
        **_of_paragraphs(texts),
        **words.repetition(),
    }
    filled = {name: column.fill_nan(0) if column.dtype.is_float() else column for name, column in columns.items()}
    return polars.DataFrame(filled)


def _of_lines(texts: polars.Series) -> dict[str, polars.Series]:
    import polars

    pieces = _pieces(texts, "\n")
    line = polars.col("piece")
    counts = _counts(pieces, len(texts))
    ends = pieces.group_by("row").agg(
        ellipses=line.str.contains(_ELLIPSIS_END).sum(), bullets=line.str.contains(_BULLET).sum()
    )
    counts = counts.join(ends, on="row", how="left", maintain_order="left").fill_null(0)
    several = counts["num"] > 1
    return {
        "ellipsis_lines": several * counts["ellipses"] / counts["num"],
        "bullet_lines": several * counts["bullets"] / counts["num"],
        "duplicate_lines": counts["repeats"] / counts["num"],
        "duplicate_line_chars": counts["repeat_chars"] / counts["chars"],
    }


def _of_paragraphs(texts: polars.Series) -> dict[str, polars.Series]:
    counts = _counts(_pieces(texts.str.replace_all(r"\n\s*\n", "\u2029"), "\u2029"), len(texts))
    return {
        "duplicate_paragraphs": counts["repeats"] / counts["num"],
        "duplicate_paragraph_chars": counts["repeat_chars"] / counts["chars"],
    }


def _pieces(texts: polars.Series, separator: str) -> Table:
    """The parts of each text (`row`, `piece`), stripped, blank ones left out, in order."""
    import polars

    pieces = (
        polars.DataFrame({"piece": texts.str.split(separator)})
        .with_row_index("row")
        .explode("piece", empty_as_null=False)
    )
    return pieces.with_columns(polars.col("piece").str.strip_chars()).filter(polars.col("piece") != "")


def _counts(pieces: Table, num_rows: int) -> Table:
    """For each row: how many pieces and repeats, and their characters."""
    import polars

    repeated = ~polars.struct("row", "piece").is_first_distinct()
    length = polars.col("piece").str.len_chars().cast(polars.Int64)
    of_rows = (
        pieces.with_columns(repeated=repeated)
        .group_by("row")
        .agg(
            num=polars.len().cast(polars.Int64),
            repeats=polars.col("repeated").sum().cast(polars.Int64),
            chars=length.sum(),
            repeat_chars=length.filter("repeated").sum(),
        )
    )
    rows = polars.select(row=polars.int_range(num_rows, dtype=polars.UInt32))
    return rows.join(of_rows, on="row", how="left", maintain_order="left").fill_null(0)


class _Words:
    """All words of all texts, one after another, as arrays: their row, a number for each word, and their length."""

    def __init__(self, texts: polars.Series) -> None:
        import polars

        flat = polars.DataFrame({"word": terms(texts)}).with_row_index("row")
        flat = flat.explode("word", empty_as_null=False).drop_nulls().with_row_index("place")
        flat = flat.select(
            "row",
            number=polars.col("place").first().over("word"),
            length=polars.col("word").str.len_chars(),
            is_spaced=~polars.col("word").str.contains(SPACELESS),
        )
        self._num_rows = len(texts)
        self._rows = flat["row"].to_numpy()
        self._numbers = flat["number"].cast(polars.Int64).to_numpy()
        self._lengths = flat["length"].cast(polars.Int64).to_numpy()
        self._is_spaced: NDArray[np.bool_] = flat["is_spaced"].to_numpy()

    def mean_length(self) -> NDArray[np.float64]:
        """Characters per word, of scripts that have blanks between them; NaN for a text without such words."""
        import numpy as np

        counts = np.bincount(self._rows[self._is_spaced], minlength=self._num_rows)
        with np.errstate(invalid="ignore"):
            return self._chars(self._is_spaced) / counts

    def repetition(self) -> dict[str, polars.Series]:
        """Shares of word characters in repeated n-grams of 2 to 10 words.

        An n-gram can only be repeated where both (n-1)-grams in it are, so each size looks at what the one before it
        left: little, for text as people write it.
        """
        import numpy as np
        import polars

        total = self._chars(np.ones(len(self._rows), bool))
        places, codes = _repeated(np.arange(len(self._rows)), self._rows * np.int64(len(self._rows)) + self._numbers)
        shares = {}
        for size in range(2, DUPLICATE_SIZES[-1] + 1):
            follows = np.flatnonzero(np.diff(places) == 1)
            follows = follows[self._rows[places[follows]] == self._rows[places[follows + 1]]]
            # both (n-1)-grams together name the n-gram; a number of the first one is a number of its row too
            places, codes = _repeated(places[follows], codes[follows] * np.int64(len(self._rows)) + codes[follows + 1])
            if size in TOP_SIZES:
                name, chosen = f"top_{size}_grams", self._of_most_frequent(places, codes, size)
            else:
                name, chosen = f"duplicate_{size}_grams", _later(codes)
            with np.errstate(invalid="ignore"):
                shares[name] = polars.Series(self._chars(self._covered(places[chosen], size)) / total)
        return shares

    def _of_most_frequent(self, places: NDArray[np.int64], codes: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
        """Which places hold the most frequent n-gram of their row; of several the longest, then the first."""
        import numpy as np

        if not len(places):
            return np.zeros(0, bool)
        _, first, inverse, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
        ends = np.concatenate(([0], np.cumsum(self._lengths)))
        chars = ends[places[first] + size] - ends[places[first]]
        rows = self._rows[places[first]]
        best_first = np.lexsort((places[first], -chars, -counts, rows))
        leads = np.ones(len(best_first), bool)
        leads[1:] = np.diff(rows[best_first].astype(np.int64)) != 0
        best = np.zeros(len(first), bool)
        best[best_first[leads]] = True
        return best[inverse]

    def _covered(self, places: NDArray[np.int64], size: int) -> NDArray[np.bool_]:
        """Which words lie in the n-grams that begin at these places."""
        import numpy as np

        covered = np.zeros(len(self._rows), bool)
        for offset in range(size):
            covered[places + offset] = True
        return covered

    def _chars(self, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Characters of the chosen words, for each row."""
        import numpy as np

        chars = np.bincount(self._rows[chosen], weights=self._lengths[chosen], minlength=self._num_rows)
        return chars.astype(np.float64)


def _repeated(places: NDArray[np.int64], keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The places whose key stands at another place too, and small numbers for their keys."""
    import numpy as np

    _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
    kept = counts[inverse] > 1
    return places[kept], inverse[kept].astype(np.int64)


def _later(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which places hold a number that stood at an earlier place."""
    import numpy as np

    later = np.ones(len(codes), bool)
    later[np.unique(codes, return_index=True)[1]] = False
    return later
