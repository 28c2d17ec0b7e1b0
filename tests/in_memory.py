"""Texts that are already there, for what reads texts a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence

import polars

from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.similarity import Column


def in_memory(texts: polars.Series | Sequence[str]) -> Column:
    """All of them in one batch."""
    return Column(Rows.of(polars.DataFrame({"text": polars.Series(texts, dtype=polars.String)})), "text")
