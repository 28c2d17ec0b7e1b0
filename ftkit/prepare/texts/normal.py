"""Texts as they are compared: `normalised`, so that what reads alike is alike; `folded`, so that a disguise shows.

Pure: texts in, texts out. Most texts are in ASCII, or nearly: those go through tables of bytes, ten times as fast.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ftkit.prepare.texts.ngrams import bytes_of
from ftkit.prepare.texts.words import seen

if TYPE_CHECKING:
    from typing import TypeAlias

    import polars
    from numpy.typing import NDArray

    U8: TypeAlias = NDArray[np.uint8]
    I64: TypeAlias = NDArray[np.int64]
    Flags: TypeAlias = NDArray[np.bool_]

BATCH_TEXTS = 4_000  # normalised at a time: one thread's share
FOLD_CHARS = 20  # shorter texts are not folded: an accent is all that tells some words apart
SIGNS = "#$%&*+/<=>@\\^|~"  # of ASCII, that always count
_GAPS = "\xa0\u2800‘’“”—•·§"
_DASHES = "\u2010\u2011\u2012–\u2212"
_UNSEEN = "\u200d\ufe0f"
_PLAIN = (
    dict.fromkeys(_GAPS, " ") | dict.fromkeys(_DASHES, "-") | dict.fromkeys(_UNSEEN, "") | {"…": "...", "\u2044": "/"}
)
_SYMBOLS = r"€£¥¢©®°±×÷←→⇒\x{2600}-\x{2775}\x{1f300}-\x{1f6ff}\x{1f900}-\x{1f9ff}"
_EASY = rf"^[\x00-\x7f{_GAPS}…–\x{{2212}}{_UNSEEN}{_SYMBOLS}]*$"
_CONTROLS = r"[\x00-\x08\x0e-\x1b\x7f]"
_SYMBOL = r"[\p{S}--[\x00-\x7f]]"
_OTHER_GAP = r"[[^\p{L}\p{M}\p{N}\p{S}_]--[\x00-\x7f]]"


def normalised(texts: polars.Series) -> polars.Series:
    """NFKC, small letters, words and signs joined by one space; null stays null.

    What cannot be seen is dropped, and so is punctuation. Signs stay, each a word of its own: symbols, emoji,
    a hyphen at a digit or at one end of a word (not between letters), `!` before `=`, and of an emoticon its mouth; and
    within a number `.`, `,` and `:`. A mark without a letter before it is dropped.
    """
    import polars

    if len(texts) > BATCH_TEXTS:  # what fits in a processor's cache takes two thirds of the time
        parts = [texts[begin : begin + BATCH_TEXTS] for begin in range(0, len(texts), BATCH_TEXTS)]
        return polars.concat(map(normalised, parts))
    places = (texts.str.len_bytes() != texts.str.len_chars()).fill_null(False).arg_true()
    plain = texts.scatter(places, _in_few_signs(texts.gather(places))) if places.len() else texts
    if not texts.null_count():
        return _joined(plain)
    return _joined(plain.fill_null("")).zip_with(texts.is_not_null(), polars.Series([None], dtype=polars.String))


def _in_few_signs(texts: polars.Series) -> polars.Series:
    """Beyond ASCII only letters, marks, digits and symbols are left; symbols stand alone."""
    import polars

    hard = (~texts.str.contains(_EASY)).arg_true()
    if hard.len():
        own = seen(texts.gather(hard)).str.replace_all(rf"[{_DASHES}]", "-").str.replace_all(_OTHER_GAP, " ")
        own = own.str.replace_all(r"([^\p{L}\p{M}\p{N}_])\p{M}+", "$1").str.replace(r"^\p{M}+", "")
        texts = texts.scatter(hard, own)
    texts = texts.str.replace_many(list(_PLAIN), list(_PLAIN.values()))
    odd = texts.str.contains(_SYMBOL).arg_true()
    if not odd.len():
        return texts
    return texts.scatter(odd, polars.Series(texts.gather(odd)).str.replace_all(_SYMBOL, " $0 "))


def _joined(texts: polars.Series) -> polars.Series:
    """Of texts in ASCII and letters: small letters, gaps as one space, and the signs that count."""
    import polars
    import pyarrow as pa

    data, bounds = bytes_of(polars.select(polars.lit(texts) + "\n").to_series())
    raw = data.tobytes()
    words = np.frombuffer(bytearray(raw.translate(_WRITTEN)), np.uint8)
    if not words.all():
        return _joined(texts.str.replace_all(_CONTROLS, ""))
    words, bounds = _with_signs(words, bounds, data, np.frombuffer(raw.translate(_KINDS), np.uint8))
    is_gap: Flags = words == ord(" ")
    is_dropped = np.zeros(words.size, bool)  # a gap behind another one, or at the beginning of a text
    np.logical_and(is_gap[1:], is_gap[:-1], out=is_dropped[1:])
    begins = bounds[:-1]
    is_dropped[begins] = is_gap[begins]
    sizes = np.diff(bounds)
    if begins.size:
        sizes = sizes - np.add.reduceat(is_dropped.view(np.uint8), begins, dtype=np.int64)
    ends = np.append(0, np.cumsum(sizes))
    kept = polars.Series(words).filter(polars.Series(~is_dropped)).to_numpy()  # a quarter of the time of numpy
    array = pa.LargeStringArray.from_buffers(len(texts), pa.py_buffer(ends), pa.py_buffer(kept))
    return polars.Series(texts.name, polars.from_arrow(array)).str.strip_chars_end(" ")


_LETTER, _DIGIT, _EYES, _HYPHEN, _MOUTH, _BETWEEN, _BANG, _SIGN = range(1, 9)  # kinds of bytes; 0: all others


def _tables() -> tuple[bytes, bytes]:
    """What is written for a byte at first, and its kind."""
    written, kinds = bytearray(range(256)), bytearray(256)
    for code in range(128):
        character = chr(code)
        if character.isalnum() or character == "_":
            written[code] = ord(character.lower())
            kinds[code] = _DIGIT if character.isdigit() else _LETTER
        elif character not in SIGNS:
            written[code] = ord(" ") if character.isspace() or character.isprintable() else 0
    for characters, kind in (
        (SIGNS, _SIGN),
        ("=:;", _EYES),
        ("-", _HYPHEN),
        ("()[]{}", _MOUTH),
        (".,", _BETWEEN),
        ("!", _BANG),
    ):
        for character in characters:
            kinds[ord(character)] = kind
    kinds[128:] = bytes([_LETTER]) * 128
    return bytes(written), bytes(kinds)


_WRITTEN, _KINDS = _tables()
_NOSES = np.frombuffer(b"-'^,o", np.uint8)


def _with_signs(words: U8, bounds: I64, data: U8, kinds: U8) -> tuple[U8, I64]:
    """With the signs that count in their places again, and spaces around those that are no part of a number.

    Each text ends with a line feed, so none sees its neighbours.
    """
    at = np.flatnonzero(kinds > _DIGIT)
    if not at.size:
        return words, bounds
    _keep_signs(words, data, kinds, at)
    signs = at[(words[at] != ord(" ")) & (kinds[at] != _BETWEEN) & (data[at] != ord(":"))]
    gaps = np.union1d(signs[words[signs - 1] != ord(" ")], signs[words[signs + 1] != ord(" ")] + 1)
    is_new = np.zeros(words.size + gaps.size, bool)
    is_new[gaps + np.arange(gaps.size)] = True
    spaced = np.full(is_new.size, ord(" "), np.uint8)
    spaced[~is_new] = words
    return spaced, bounds + np.searchsorted(gaps, bounds)


def _keep_signs(words: U8, data: U8, kinds: U8, at: I64) -> None:
    size = data.size
    before, behind = kinds[at - 1], kinds[(at + 1) % size]
    own, codes = kinds[at], data[at]
    is_digit_before, is_digit_behind = before == _DIGIT, behind == _DIGIT
    is_word_before: Flags = is_digit_before | (before == _LETTER)
    is_word_behind: Flags = is_digit_behind | (behind == _LETTER)
    is_point = codes == ord(".")
    keeps: Flags = (own == _BETWEEN) | (codes == ord(":"))
    keeps &= is_digit_behind & (is_digit_before | (is_point & ~is_word_before & (before != _BETWEEN)))
    is_hyphen = own == _HYPHEN
    at_end: Flags = is_digit_before | is_digit_behind | (is_word_before ^ is_word_behind)
    at_end &= (before != _HYPHEN) & (behind != _HYPHEN)
    keeps |= is_hyphen & at_end
    keeps |= (own == _BANG) & (data[(at + 1) % size] == ord("="))
    words[at[keeps]] = codes[keeps]
    minus = at[is_hyphen & (data[at - 1] == ord(" ")) & (data[(at + 1) % size] == ord(" "))]
    words[minus[_is_term(kinds, minus - 2, -1) & _is_term(kinds, (minus + 2) % size, 1)]] = ord("-")
    _keep_mouths(words, data, kinds, at[(own == _MOUTH) & ~is_word_behind])


def _is_term(kinds: U8, at: I64, step: int) -> Flags:
    """Whether a digit, or a letter alone, stands there: what one subtracts."""
    beside = kinds[(at + step) % kinds.size]
    is_alone = (beside != _LETTER) & (beside != _DIGIT)
    is_term: Flags = (kinds[at] == _DIGIT) | ((kinds[at] == _LETTER) & is_alone)
    return is_term


def _keep_mouths(words: U8, data: U8, kinds: U8, mouths: I64) -> None:
    """Of `:)`, `;-)` and `=(` only the mouth, so that it is one word with or without a nose, behind a word or not."""
    nose: Flags = np.isin(data[mouths - 1], _NOSES)
    eyes = mouths - 1 - nose
    is_one: Flags = kinds[eyes] == _EYES
    mouths, eyes = mouths[is_one], eyes[is_one]
    words[mouths - 1] = words[eyes] = ord(" ")
    words[mouths] = data[mouths]


def folded(plain: polars.Series) -> polars.Series:
    """Normalised texts without accents, look-alike letters as Latin ones, underscores as spaces; short ones as are."""
    long = plain.str.len_chars() >= FOLD_CHARS
    places = (plain.str.contains(r"[^\x00-\x7f]|_") & long).fill_null(False).arg_true()
    if not places.len():
        return plain
    few, latin = _lookalikes()
    own = plain.gather(places).str.normalize("NFD").str.replace_all(r"[\x{300}-\x{36f}]", "").str.normalize("NFC")
    own = own.str.replace_many(few, latin).str.replace_all("[ _]+", " ").str.strip_chars(" ")
    return plain.scatter(places, own)


def compact(plain: polars.Series) -> polars.Series:
    """Normalised texts without spaces, so that letters written apart are the same; short ones as they are."""
    return plain.str.replace_all(" ", "", literal=True).zip_with(plain.str.len_chars() >= FOLD_CHARS, plain)


@cache
def _lookalikes() -> tuple[list[str], list[str]]:
    """Letters that look like a Latin one, in small or in capitals, and that one; each to another within its script."""
    scripts = {
        "CYRILLIC SMALL LETTER": "A=a VE=b IE=e KA=k EM=m EN=h O=o ER=p ES=c TE=t U=y HA=x DZE=s JE=j SHHA=h",
        "GREEK SMALL LETTER": "ALPHA=a BETA=b EPSILON=e ZETA=z ETA=h IOTA=i KAPPA=k MU=m NU=v OMICRON=o RHO=p TAU=t "
        "UPSILON=u CHI=x OMEGA=w",
        "LATIN SMALL LETTER": "ALPHA=a",
        "LATIN LETTER SMALL CAPITAL": " ".join(f"{letter}={letter.lower()}" for letter in "ABCDEJKLMOPTUVWZ"),
        "ARMENIAN SMALL LETTER": "OH=o SEH=u HO=h VO=n",
    }
    found: dict[str, str] = {}
    for script, letters in scripts.items():
        named = [each.split("=") for each in letters.split()]
        found |= {unicodedata.lookup(f"{script} {name}"): latin for name, latin in named}
    found |= {
        "\u0456": "i",
        "\u0501": "d",
        "\u051b": "q",
        "\u051d": "w",
        "ı": "i",
        "ɡ": "g",
        "đ": "d",
        "ø": "o",
        "ł": "l",
    }
    return list(found), list(found.values())
