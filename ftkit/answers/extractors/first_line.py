"""The first line of the answer that is not blank. None where there is none."""

from __future__ import annotations

from ftkit.registry import Config, component


class FirstLine(Config):
    """No options."""


@component
def extract(config: FirstLine, text: str) -> str | None:
    """The first line with something in it, stripped."""
    return next((line.strip() for line in text.splitlines() if line.strip()), None)
