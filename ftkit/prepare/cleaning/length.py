"""Drops rows without text, and rows whose input or target is too short or too long in characters or words.

Knows one row at a time, and no tokenizer: token limits belong to prompts and training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import RowStep, drop
from ftkit.prepare.texts.words import num_words
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

# what Python counts as white space; polars leaves out the four ASCII separators
_SPACES = (
    "\t\n\v\f\r\x1c\x1d\x1e\x1f \x85\xa0\u1680"
    + "".join(map(chr, range(0x2000, 0x200B)))
    + "\u2028\u2029\u202f\u205f\u3000"
)


class Length(RowStep):
    """Bounds of the input, and of the target; outer white space not counted. A word stands between white space.

    In scripts that are written without it, such as Chinese, Japanese and Thai, each character is a word.
    """

    min_chars: int = Field(1, ge=1, description="characters an input has at least")
    max_chars: int | None = Field(None, ge=1, description="characters an input has at most; left out: any number")
    min_words: int = Field(0, ge=0, description="words an input has at least")
    max_words: int | None = Field(None, ge=1, description="words an input has at most; left out: any number")
    target_min_chars: int = Field(1, ge=1, description="characters a target has at least")
    target_max_chars: int | None = Field(
        None, ge=1, description="characters a target has at most; left out: any number"
    )
    target_min_words: int = Field(0, ge=0, description="words a target has at least")
    target_max_words: int | None = Field(None, ge=1, description="words a target has at most; left out: any number")

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Length:
        for prefix in ("", "target_"):
            for unit in ("chars", "words"):
                least: int = getattr(self, f"{prefix}min_{unit}")
                most: int | None = getattr(self, f"{prefix}max_{unit}")
                if most is not None and most < least:
                    raise ValueError(f"{prefix}max_{unit} {most} is below {prefix}min_{unit} {least}")
        return self


@component
def apply(config: Length, table: Table, ctx: Context) -> Cleaned:
    """Drop rows outside the bounds, and rows whose input or target is empty; the first reason is given."""
    import polars

    counts = table.select(
        num_chars=_chars("input"),
        num_words=_words(table["input"], config.min_words, config.max_words),
        num_target_chars=_chars("target"),
        num_target_words=_words(table["target"], config.target_min_words, config.target_max_words),
    )
    reasons = [
        polars.when(polars.col("num_chars") == 0).then(polars.lit("input is empty")),
        polars.when(polars.col("num_target_chars") == 0).then(polars.lit("target is empty")),
        _fewer("num_chars", config.min_chars, "{} characters"),
        _fewer("num_words", config.min_words, "{} words"),
        _more("num_chars", config.max_chars, "{} characters"),
        _more("num_words", config.max_words, "{} words"),
        _fewer("num_target_chars", config.target_min_chars, "target has {} characters"),
        _fewer("num_target_words", config.target_min_words, "target has {} words"),
        _more("num_target_chars", config.target_max_chars, "target has {} characters"),
        _more("num_target_words", config.target_max_words, "target has {} words"),
    ]
    return drop(table, counts.select(reason=polars.coalesce(reasons))["reason"])


def _chars(column: str) -> polars.Expr:
    import polars

    return polars.col(column).str.strip_chars(_SPACES).str.len_chars()


def _words(texts: polars.Series, least: int, most: int | None) -> polars.Expr:
    """How many, where a bound asks for it: it takes ten times as long as the rest of the step."""
    import polars

    return polars.lit(0) if least == 0 and most is None else polars.lit(num_words(texts))


def _fewer(count: str, least: int, what: str) -> polars.Expr:
    import polars

    return polars.when(polars.col(count) < least).then(polars.format(f"{what}, fewer than {least}", count))


def _more(count: str, most: int | None, what: str) -> polars.Expr:
    import polars

    if most is None:
        return polars.lit(None, polars.String)
    return polars.when(polars.col(count) > most).then(polars.format(f"{what}, more than {most}", count))
