"""Drops rows without text, and rows that are too short or too long in characters or words.

Knows one row at a time, and no tokenizer: token limits belong to prompts and training.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field, model_validator

from ftkit.cleaning import drop
from ftkit.contracts import Cleaned, Context, Event
from ftkit.registry import Config, component

if TYPE_CHECKING:
    from ftkit.contracts import Table


class Length(Config):
    """Bounds of the input, outer white space not counted; words are runs without white space."""

    min_chars: int = Field(1, ge=1)
    max_chars: int | None = Field(None, ge=1)
    min_words: int = Field(0, ge=0)
    max_words: int | None = Field(None, ge=1)

    @model_validator(mode="after")
    def _bounds_leave_room(self) -> Length:
        if self.max_chars is not None and self.max_chars < self.min_chars:
            raise ValueError(f"max_chars {self.max_chars} is below min_chars {self.min_chars}")
        if self.max_words is not None and self.max_words < self.min_words:
            raise ValueError(f"max_words {self.max_words} is below min_words {self.min_words}")
        return self


@component
def apply(config: Length, table: Table, ctx: Context) -> Cleaned:
    """Drop rows outside the bounds, and rows whose target is empty."""
    rows = zip(table["id"].to_list(), table["input"].to_list(), table["target"].to_list(), strict=True)
    reasons = ((name, _reason(config, text, target)) for name, text, target in rows)
    return drop(table, [Event(name, "length", "drop", reason) for name, reason in reasons if reason])


def _reason(config: Length, text: str, target: str) -> str:
    num_chars, num_words = len(text.strip()), len(text.split())
    if num_chars == 0:
        return "input is empty"
    if not target.strip():
        return "target is empty"
    if num_chars < config.min_chars:
        return f"{num_chars} characters, fewer than {config.min_chars}"
    if num_words < config.min_words:
        return f"{num_words} words, fewer than {config.min_words}"
    if config.max_chars is not None and num_chars > config.max_chars:
        return f"{num_chars} characters, more than {config.max_chars}"
    if config.max_words is not None and num_words > config.max_words:
        return f"{num_words} words, more than {config.max_words}"
    return ""
