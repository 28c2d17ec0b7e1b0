"""What a regular expression finds: the last match, its first group where it has one. None where it finds nothing."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from ftkit.registry import Config, component


class Regex(Config):
    """`pattern` is a Python regular expression; `.` does not match line breaks."""

    pattern: str = Field(description="Python regular expression; its first group, where it has one, is the answer")

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


@component
def extract(config: Regex, text: str) -> str | None:
    """The first group of the last match (the match itself without groups), stripped."""
    matches = list(re.finditer(config.pattern, text))
    if not matches:
        return None
    match = matches[-1].group(1 if matches[-1].re.groups else 0)
    return match.strip() if match and match.strip() else None
