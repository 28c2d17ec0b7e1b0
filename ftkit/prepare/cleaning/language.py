"""Keeps rows in the languages asked for, as py3langid finds them (139 languages, on the CPU, no download).

Knows one row at a time. Needs the extra `language` (`pip install ftkit[language]`, 5 MB).
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Literal, Protocol

from pydantic import Field, field_validator

from ftkit.contracts import Cleaned, Context
from ftkit.errors import DataError, MachineError
from ftkit.prepare.cleaning import RowStep, drop, flag
from ftkit.registry import component, suggest

if TYPE_CHECKING:
    from ftkit.contracts import Table

_NO_LANGUAGE = "zxx"  # py3langid's name of what is no language: numbers, markup, identifiers


class Language(RowStep):
    """Languages by their ISO 639 codes. A text's probabilities of all languages sum to 1.

    A text is kept where the languages of `keep` together have `min_probability`, and goes where another one has. Of a
    short text, or of one without words, no language may be that likely: `unsure` says what becomes of it.
    """

    keep: list[str] = Field(min_length=1, description="such as [en, de]")
    min_probability: float = Field(0.5, gt=0, le=1, description="how probable a language must be to count")
    unsure: Literal["keep", "flag", "drop"] = Field("keep", description="texts of which no language is likely enough")
    field: Literal["input", "target", "either"] = Field("input", description="either: a row goes if one of both should")
    action: Literal["drop", "flag"] = Field("drop", description="flag: such rows stay, and the ledger lists them")

    @field_validator("keep")
    @classmethod
    def _are_codes(cls, keep: list[str]) -> list[str]:
        for code in keep:
            if not re.fullmatch("[a-z]{2,3}", code):
                raise ValueError(f"{code!r} is no ISO 639 code; expected two or three small letters, such as en")
        return keep


class _Identifier(Protocol):
    """Of py3langid, which has no types."""

    @property
    def labels(self) -> list[str]: ...

    def rank(self, text: str) -> list[tuple[str, float]]: ...


@component
def apply(config: Language, table: Table, ctx: Context) -> Cleaned:
    """Drop (or flag) the rows of other languages, with the language found and its probability.

    Raises MachineError where py3langid is not installed, DataError for a language that it does not know.
    """
    import polars

    identifier = _identifier()
    for code in config.keep:
        if code not in identifier.labels:
            hint = suggest(code, identifier.labels)
            raise DataError(f"language.keep: {code!r} is not a language of py3langid{hint}")
    columns = ("input", "target") if config.field == "either" else (config.field,)
    verdicts = [
        [_verdict(config, column, identifier.rank(text or "")) for column, text in zip(columns, texts, strict=True)]
        for texts in zip(*(table[column] for column in columns), strict=True)
    ]
    dropped, flagged = [
        polars.Series("reason", [dict(reversed(row)).get(action) for row in verdicts], polars.String)
        for action in ("drop", "flag")
    ]
    marked = flag(table, flagged.set(dropped.is_not_null(), None))
    kept = drop(table, dropped)
    both = polars.concat([kept.events, marked.events])
    return Cleaned(kept.table, table.select("id").join(both, on="id", maintain_order="left_right"))


def _verdict(config: Language, column: str, ranked: list[tuple[str, float]]) -> tuple[str, str]:
    """What becomes of a text ('keep', 'flag' or 'drop'), and why."""
    kept = round(sum(probability for code, probability in ranked if code in config.keep), 4)
    code, probability = ranked[0]
    asked = ", ".join(config.keep)
    if kept >= config.min_probability:
        return "keep", ""
    if code not in config.keep and round(probability, 4) >= config.min_probability:
        what = "no language" if code == _NO_LANGUAGE else code
        return config.action, f"{column}: {what} with probability {probability:.2f}, expected {asked}"
    return config.unsure, f"{column}: language is not sure, most likely {code} with {probability:.2f}, expected {asked}"


@cache
def _identifier() -> _Identifier:
    """Read once a process (0.7 s); it has no state."""
    try:
        from py3langid.langid import MODEL_FILE, LanguageIdentifier
    except ImportError:
        raise MachineError(
            "the cleaning step 'language' needs py3langid, which is not installed; pip install 'ftkit[language]'"
        ) from None
    identifier: _Identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    return identifier
