"""Drops rows whose text repeats itself or is hardly text, by the ratios of Rae et al. 2021 (Gopher, arXiv 2112.11446).

Knows one row at a time. A fixed phrase (boilerplate) is dropped by the step `pattern`; a text that stands in several
rows by `exact_dedup`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import RowStep, drop, flag
from ftkit.prepare.texts.text_signals import DUPLICATE_SIZES, TOP_SIZES, signals
from ftkit.prepare.texts.words import num_words
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

Share = Annotated[float, Field(ge=0, le=1)]


class Repetition(RowStep):
    """Bounds of the paper's tables A1 and section A.1.1; shares lie in [0, 1].

    A text below `min_words` is not judged: the paper's bounds are made for web pages, and in a text of 50 words two
    equal phrases of four words are already 16 % of it. In scripts that are written without blanks, a character
    counts as a word, and no bound of word lengths holds. Targets are judged only if `field` says so: mathematics and
    code are no prose.
    """

    min_words: int = Field(100, ge=1, description="texts of fewer words are not judged")
    max_duplicate_lines: Share = Field(0.30, description="share of lines that repeat an earlier one")
    max_duplicate_line_chars: Share = Field(0.20, description="share of characters in such lines")
    max_duplicate_paragraphs: Share = Field(0.30, description="share of paragraphs that repeat an earlier one")
    max_duplicate_paragraph_chars: Share = Field(0.20, description="share of characters in such paragraphs")
    max_top_grams: list[Share] = Field(
        default=[0.20, 0.18, 0.16],
        min_length=3,
        max_length=3,
        description="share of characters in the top 2-, 3- and 4-gram of words",
    )
    max_duplicate_grams: list[Share] = Field(
        default=[0.15, 0.14, 0.13, 0.12, 0.11, 0.10],
        min_length=6,
        max_length=6,
        description="share of characters in repeated 5- to 10-grams of words",
    )
    min_mean_word_length: float = Field(3.0, ge=0, description="characters a word has at least, on average")
    max_mean_word_length: float = Field(10.0, ge=0, description="characters a word has at most, on average")
    max_symbols_per_word: float = Field(0.1, ge=0, description="'#' and ellipses for each word")
    max_ellipsis_lines: Share = Field(0.30, description="share of lines that end in an ellipsis")
    max_bullet_lines: Share = Field(0.90, description="share of lines that begin with a bullet")
    min_alphabetic_words: Share = Field(0.80, description="share of words with a letter")
    field: Literal["input", "target", "either"] = Field("input", description="either: a row goes if one of both should")
    action: Literal["drop", "flag"] = Field("drop", description="flag: such rows stay, and the ledger lists them")

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Repetition:
        if self.max_mean_word_length < self.min_mean_word_length:
            raise ValueError(
                f"max_mean_word_length {self.max_mean_word_length} is below "
                f"min_mean_word_length {self.min_mean_word_length}"
            )
        return self


@component
def apply(config: Repetition, table: Table, ctx: Context) -> Cleaned:
    """Drop (or flag) rows outside a bound; the reason gives the first such number and its bound."""
    import polars

    columns = ("input", "target") if config.field == "either" else (config.field,)
    reasons = polars.select(polars.coalesce([_reasons(config, table[column]) for column in columns])).to_series()
    return drop(table, reasons) if config.action == "drop" else flag(table, reasons)


def _reasons(config: Repetition, texts: polars.Series) -> polars.Series:
    """Why a text is out of bounds, null where it is not."""
    import polars

    judged = (num_words(texts) >= config.min_words).fill_null(False).arg_true()
    numbers = signals(texts.gather(judged))
    reasons = [
        polars.when(polars.col(name) > most).then(
            polars.format(f"{texts.name}: {_said(name)} {{}}, more than {most}", polars.col(name).round(3))
        )
        for name, most in _upper_bounds(config).items()
    ] + [
        polars.when(polars.col(name) < least).then(
            polars.format(f"{texts.name}: {_said(name)} {{}}, less than {least}", polars.col(name).round(3))
        )
        for name, least in (
            ("mean_word_length", config.min_mean_word_length),
            ("alphabetic_words", config.min_alphabetic_words),
        )
    ]
    first_reasons = numbers.select(reason=polars.coalesce(reasons))["reason"]
    return polars.repeat(None, len(texts), dtype=polars.String, eager=True).scatter(judged, first_reasons)


def _upper_bounds(config: Repetition) -> dict[str, float]:
    return {
        "duplicate_lines": config.max_duplicate_lines,
        "duplicate_line_chars": config.max_duplicate_line_chars,
        "duplicate_paragraphs": config.max_duplicate_paragraphs,
        "duplicate_paragraph_chars": config.max_duplicate_paragraph_chars,
        **{f"top_{size}_grams": most for size, most in zip(TOP_SIZES, config.max_top_grams, strict=True)},
        **{
            f"duplicate_{size}_grams": most
            for size, most in zip(DUPLICATE_SIZES, config.max_duplicate_grams, strict=True)
        },
        "mean_word_length": config.max_mean_word_length,
        "symbols_per_word": config.max_symbols_per_word,
        "ellipsis_lines": config.max_ellipsis_lines,
        "bullet_lines": config.max_bullet_lines,
    }


def _said(name: str) -> str:
    """'top_2_grams' as 'top 2-grams'."""
    return name.replace("_grams", "-grams").replace("_", " ")
