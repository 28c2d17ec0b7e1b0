"""The whole answer, without the white space around it. None where nothing is left."""

from __future__ import annotations

from ftkit.registry import Config, component


class Exact(Config):
    """No options."""


@component
def extract(config: Exact, text: str) -> str | None:
    """The stripped text, or None."""
    return text.strip() or None
