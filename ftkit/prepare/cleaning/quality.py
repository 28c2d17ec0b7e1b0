"""Gives rows of low quality less weight in training, instead of dropping them.

Knows one row at a time. Each signal is one that the step `repetition` bounds, and costs nothing within its bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from ftkit.contracts import Cleaned, Context
from ftkit.prepare.cleaning import RowStep, events
from ftkit.prepare.texts.text_signals import signals
from ftkit.prepare.texts.words import num_words
from ftkit.registry import component

if TYPE_CHECKING:
    import polars

    from ftkit.contracts import Table

# Signals and the bounds of Rae et al. 2021 (arXiv 2112.11446) up to which they are as in good text
_MOST = {"duplicate_lines": 0.30, "duplicate_5_grams": 0.15}
_LEAST = {"alphabetic_words": 0.80}
_MOST_SYMBOLS = 0.1


class Quality(RowStep):
    """Quality is a product of numbers in [0, 1], one for each signal, and 1 within all bounds.

    Repeated lines and repeated 5-grams of words (by characters): from 1 at a share of 0.3 and 0.15 in a straight line
    to 0 where all of the text is. Words with a letter: from 1 at a share of 0.8 to 0 at none. Symbols ('#', ellipses):
    0.1 / their number for each word, above 0.1. So a worse signal never gives a better quality. The row's weight is
    multiplied by the quality, or by `floor` where that is more; applied twice, it counts twice.
    """

    floor: float = Field(0.1, gt=0, le=1, description="the least that a weight is multiplied by")
    min_words: int = Field(10, ge=1, description="shorter texts keep their weight: their shares say little")
    field: Literal["input", "target", "either"] = Field("input", description="either: the lower quality of both")


@component
def apply(config: Quality, table: Table, ctx: Context) -> Cleaned:
    """Multiply `weight` by the quality; a row with less than 1 has an event with its quality as the score."""
    import polars

    columns = ("input", "target") if config.field == "either" else (config.field,)
    qualities = polars.DataFrame([_quality(config, table[column]) for column in columns])
    lowest = qualities.select(quality=polars.min_horizontal(polars.all()))["quality"]
    low = lowest < 1
    reasons = qualities.select(
        polars.concat_str(
            [
                polars.when(polars.col(column) < 1).then(polars.format(f"quality of {column} {{}}", column))
                for column in columns
            ],
            separator=", ",
            ignore_nulls=True,
        )
    ).to_series()
    factors = lowest.clip(lower_bound=config.floor)
    weights = reasons.filter(low) + polars.select(polars.format(": weight times {}", factors.filter(low))).to_series()
    changes = events("change", table["id"].filter(low), weights, scores=lowest.filter(low))
    return Cleaned(table.with_columns(weight=table["weight"] * factors), changes)


def _quality(config: Quality, texts: polars.Series) -> polars.Series:
    """The quality of each text, rounded to four digits so that the ledger says what was multiplied."""
    import polars

    judged = (num_words(texts) >= config.min_words).fill_null(False).arg_true()
    parts = [
        *[(1 - polars.col(name)) / (1 - most) for name, most in _MOST.items()],
        *[polars.col(name) / least for name, least in _LEAST.items()],
        _MOST_SYMBOLS / polars.max_horizontal("symbols_per_word", polars.lit(_MOST_SYMBOLS)),
    ]
    product = polars.lit(1.0)
    for part in parts:
        product = product * part.clip(upper_bound=1)
    scores = signals(texts.gather(judged)).select(product.clip(lower_bound=0).round(4)).to_series()
    return polars.repeat(1.0, len(texts), dtype=polars.Float64, eager=True).scatter(judged, scores).alias(texts.name)
