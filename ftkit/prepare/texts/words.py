"""What a word is, in any script: the one definition for lengths, steps, metrics, floors and reports.

Pure: texts in, words or their number out. A word is what stands between white space; in scripts that are written
without it, Chinese, Japanese or Thai, each character is one, with its marks and the punctuation beside it. `terms` are
words as they are compared and counted: in small letters and without punctuation. Pairs of terms are pairs of words,
and in those scripts pairs of characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ftkit.prepare.texts.ngrams import bytes_of

if TYPE_CHECKING:
    import numpy as np
    import polars
    from numpy.typing import NDArray

SPACELESS = (  # letters of scripts that are written without blanks between words; two marks of kana are of no script
    r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Yi}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}\p{Javanese}"
    r"\p{Balinese}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\x{30fc}\x{ff70}]&&\p{L}]"
)
_MARKS = r"[\p{M}\x{ff9e}\x{ff9f}]*"  # of half width kana too
_BLANK = r"\s\x1c-\x1f"  # the four ASCII separators are white space to Python
_SIGN = rf"[^{_BLANK}\p{{L}}\p{{M}}\p{{N}}_]"
_OTHER = rf"[[^{_BLANK}\x{{ff9e}}\x{{ff9f}}]--{SPACELESS}]"
WORD = rf"{_SIGN}*{SPACELESS}{_MARKS}{_SIGN}*|{_OTHER}+"
LETTER_WORD = rf"{_SIGN}*{SPACELESS}{_MARKS}{_SIGN}*|{_OTHER}*[\p{{L}}--{SPACELESS}]{_OTHER}*"
TERM = rf"{SPACELESS}\p{{M}}*|[[\p{{L}}\p{{N}}_]--{SPACELESS}][[\p{{L}}\p{{M}}\p{{N}}_]--{SPACELESS}]*"
INVISIBLE = r"[[\p{Cf}\p{Cc}\p{Default_Ignorable_Code_Point}]--\s--[\x1c-\x1f]]"
_NOT_EASY = r"[^\t\n\x0b\x0c\r\x1c-\x1f\x20-\x7e]"
_COUNTED_OTHERWISE = rf"[\s&&[^\x00-\x7f]]|{SPACELESS}"

TERM_COUNTS: Mapping[str, Any] = {
    "ngram_range": (1, 2), "sublinear_tf": True, "lowercase": False, "token_pattern": None,
    "tokenizer": list, "preprocessor": list,
}  # fmt: skip
"""Options with which scikit-learn's TfidfVectorizer counts lists of terms, and pairs of them."""


def num_words(texts: polars.Series) -> polars.Series:
    """How many words each text has: what `str.count_matches(WORD)` counts, in half of the time.

    White space is looked for among bytes, but in texts where it is beyond ASCII, or a script without. Null stays null.
    """
    import numpy as np
    import polars

    if texts.null_count():
        places = texts.is_not_null().arg_true()
        nothing = polars.repeat(None, len(texts), dtype=polars.Int64, eager=True)
        return nothing.scatter(places, num_words(texts.gather(places)))
    data, bounds = bytes_of(texts)
    in_word: NDArray[np.bool_] = data != ord(" ")
    in_word &= data - np.uint8(ord("\t")) > ord("\r") - ord("\t")  # below a tab it wraps around
    in_word &= data - np.uint8(0x1C) > 0x1F - 0x1C
    is_first = in_word.copy()
    is_first[1:] &= ~in_word[:-1]
    begins = bounds[:-1][np.diff(bounds) > 0]
    is_first[begins] = in_word[begins]
    counts = polars.Series(np.diff(np.searchsorted(np.flatnonzero(is_first), bounds)))
    odd = (texts.str.len_bytes() != texts.str.len_chars()).arg_true()
    odd = odd.filter(texts.gather(odd).str.contains(_COUNTED_OTHERWISE))
    return counts.scatter(odd, texts.gather(odd).str.count_matches(WORD).cast(polars.Int64))


def terms(texts: polars.Series) -> polars.Series:
    """The terms of each text, a list; null stays null."""
    return seen(texts).str.extract_all(TERM)


def joined(words: polars.Series) -> str:
    """Words one after another, with blanks between them where their script has such."""
    is_spaceless = words.str.contains(f"^{SPACELESS}").to_list()
    parts = [""]
    for word, here, before in zip(words, is_spaceless, [True, *is_spaceless], strict=False):
        parts.append(word if (here and before) or len(parts) == 1 else f" {word}")
    return "".join(parts)


def seen(texts: polars.Series) -> polars.Series:
    """Texts in NFKC and small letters, without what cannot be seen: zero-width characters, soft hyphens, controls."""
    places = texts.str.contains(_NOT_EASY).fill_null(False).arg_true()
    small = texts.str.to_lowercase()
    if places.is_empty():
        return small
    odd = texts.gather(places).str.replace_all(INVISIBLE, "").str.normalize("NFKC").str.to_lowercase()
    return small.scatter(places, odd)
