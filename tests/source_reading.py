"""Reading a file with a source, as tests do it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ftkit.contracts import Batch, Context, Quiet
from ftkit.registry import find


def batches(source: str, path: Path | str, *, progress: Quiet | None = None, **options: Any) -> Iterator[Batch]:
    component = find("sources", source)
    config = component.config_type.model_validate({"path": str(path), **options})
    found: Iterator[Batch] = component.function(config, Context(progress=progress or Quiet()))
    return found


def rows(source: str, path: Path | str, **options: Any) -> list[dict[str, Any]]:
    """All rows, as dicts; there may be no fault."""
    found = list(batches(source, path, **options))
    assert all(not batch.faults for batch in found)
    return [row for batch in found for row in batch.table.to_dicts()]


def written(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
