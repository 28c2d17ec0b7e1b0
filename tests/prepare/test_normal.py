"""Texts as they are compared: which signs count, what is not seen, and that every way there gives the same."""

from __future__ import annotations

import re
import unicodedata

import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st
from similarity_by_hand import normalise

from ftkit.prepare.texts.normal import normalised
from ftkit.prepare.texts.similarity import text_key, text_keys


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Where's my CARD?!", "where s my card"),
        ("ﬁne  ½\tday", "fine 1 / 2 day"),
        ("Straße", "straße"),
        ("...snake_case, No.7", "snake_case no 7"),
        (" ?! 👍", "👍"),
        (
            "☀️ हिन्दी 한국어",
            "☀ हिन्दी 한국어",
        ),  # an emoji's variation selector is not seen, a vowel sign is part of a word
        ("(Hello) “you” – bye…", "hello you bye"),
        ("a well-known fact -- no", "a well known fact no"),
        ("- 1.5 to -2,5: 10:30!", "1.5 to - 2,5 10:30"),
        ("good:-)👍", "good ) 👍"),
    ],
)
def test_normalised_text_is_words_and_signs_joined_by_one_space(text: str, expected: str) -> None:
    assert normalise(text) == expected


APART = [
    "C, C++, C#, C-, C*", "ok | ok :) | ok :( | ok 👍 | ok 👎 | ok ❤", "-5 | +5 | 5 | 5% | $5 | €5 | £5 | .5",
    "3.14 | 314 | 31.4 | 3,14",
    "3 - 5 | 3 + 5 | 3 * 5 | 3 / 5 | 3 = 5 | 35", "3-5 | 3+5 | 3/5 | 3 5 | -3 5", "x - y | x + y | x y",
    "a < b | a > b | a b | a = b | a != b",
    "e^x | e*x | ex", "#yes | yes | @yes", "10:30 | 1030", r"\alpha | alpha", "schon | schön",
    "पानी | पाना", "±1 | 1 | ~1",
]  # fmt: skip
ALIKE = [
    "Hello! | hello | “HELLO”... | (hello?) | hel\u200blo | he\u00adllo | \ufeffhello | he\u2060llo",
    "good :) | GOOD:) | good :-) | good! :)", "❤️ | ❤", "−5 | -5 | –5 | －5", "3–5 | 3-5 | 3 - 5",
    "５０％ | 50% | 50 %", "$5 | $ 5", "3+5 | 3 + 5", "C++ | C ++", "½ | 1/2",
    "well-known | well known | well—known", "e\u0301tude | étude | E\u200b\u0301TUDE",
    "a\u3000b | a\xa0b | a \n b", "می\u200cخواهم | میخواهم",
]  # fmt: skip


@pytest.mark.parametrize("texts", APART)
def test_signs_that_carry_meaning_keep_texts_apart(texts: str) -> None:
    keys = text_keys(polars.Series(re.split(r" \| " if "|" in texts else ", ", texts)))
    assert keys.is_unique().all(), keys.to_list()


@pytest.mark.parametrize("texts", ALIKE)
def test_what_is_not_seen_or_is_punctuation_sets_no_text_apart(texts: str) -> None:
    assert text_keys(polars.Series(texts.split(" | "))).n_unique() == 1


def by_hand(text: str) -> str:
    """`normalised`, character by character."""
    seen = "".join(each for each in text if each.isspace() or unicodedata.category(each) not in ("Cf", "Cc"))
    plain = unicodedata.normalize("NFKC", seen).lower().replace("–", "-").replace("\u2044", "/")
    spaced = "".join(
        f" {each} " if unicodedata.category(each)[0] == "S" and each > "\x7f" else " " if each in "‘’“”—。" else each
        for each in plain
    )
    text, made = f"\n\n{spaced}\n\n", ""

    def is_word(place: int) -> bool:
        return text[place].isalnum() or text[place] == "_" or (ord(text[place]) > 127 and not text[place].isspace())

    def is_term(place: int, step: int) -> bool:
        return text[place] in "0123456789" or (is_word(place) and not is_word(place + step))

    for at in range(2, len(text) - 2):
        own, before, behind = text[at], text[at - 1], text[at + 1]
        digits = [each in "0123456789" for each in (before, behind)]
        eyes = text[at - 2] if before in "-'^,o" else before
        if own in "-":
            at_end = any(digits) or is_word(at - 1) != is_word(at + 1)
            minus = (before, behind) == (" ", " ") and is_term(at - 2, -1) and is_term(at + 2, 1)
            keeps = minus or (at_end and "-" not in (before, behind))
        elif own == ".":
            keeps = digits[1] and (digits[0] or (not is_word(at - 1) and before not in ".,"))
        elif own in ",:":
            keeps = all(digits)
        elif own == "!":
            keeps = behind == "="
        elif own in "()[]{}":
            keeps = eyes in ":;=" and not is_word(at + 1)
        elif own == "=":
            mouth = at + 1 + (behind in "-'^,o")
            keeps = not (text[mouth] in "()[]{}" and not is_word(mouth + 1))
        else:
            keeps = is_word(at) or own in "#$%&*+/<>@\\^|~"
        made += " " if not keeps else f" {own} " if own in "#$%&*+/<=>@\\^|~-!()[]{}" else own
    return " ".join(made.split())


SOME = st.characters(max_codepoint=127) | st.sampled_from("‘’“”–—…\u00a0éﬁ½漢👍\u200b\u00ad+=5。-:)( x.")


@given(st.lists(st.text(SOME, max_size=9), max_size=8))
def test_every_text_is_normalised_as_pythons_own_unicode_tables_say(texts: list[str]) -> None:
    """Whatever way a text takes: bytes where it is ASCII or nearly so, else the rule."""
    assert normalised(polars.Series(texts, dtype=polars.String)).to_list() == [by_hand(text) for text in texts]


def test_a_missing_text_stays_missing() -> None:
    assert normalised(polars.Series("it", ["A.", None, "é"])).to_list() == ["a", None, "é"]


def test_texts_without_a_word_or_sign_are_the_same_only_if_they_are_equal() -> None:
    assert text_key("?!") != text_key("...")
    assert text_key(" ?! ") == text_key("?!") == " ?!"
    assert text_key("Hi!") == text_key("hi") == "hi"
    assert text_keys(polars.Series(["?  !", "Hi!", ""])).to_list() == [" ? !", "hi", " "]
