"""Which columns are likely the input and the target, by their usual names. Pure: knows no table and no shape."""

from __future__ import annotations

from collections.abc import Sequence

INPUTS = (
    *("input", "text", "sentence", "question", "query", "prompt", "instruction", "message", "utterance", "content"),
    *("body", "review", "comment", "tweet", "post", "document", "article", "email", "mail", "description", "title"),
)
TARGETS = (
    *("target", "label", "labels", "answer", "category", "class", "intent", "sentiment", "topic", "tag", "rating"),
    *("response", "completion", "output", "reply", "summary", "headline", "translation"),
)


def likely(columns: Sequence[str]) -> str:
    """'input: text, target: label', of columns that are called so, or of two of which one is; else ''."""
    source = _first(INPUTS, columns)
    target = _first(TARGETS, columns)
    if len(columns) == 2 and (source is None) != (target is None):
        (other,) = {*columns} - {source, target}
        source, target = source or other, target or other
    return f"input: {source}, target: {target}" if source and target else ""


def _first(usual: Sequence[str], columns: Sequence[str]) -> str | None:
    by_name = {column.strip().lower(): column for column in reversed(columns)}
    return next((by_name[name] for name in usual if name in by_name), None)
