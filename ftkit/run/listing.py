"""What has been run: every verdict of every run directory, a line each. Reads what is small, and verifies nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ftkit.errors import ArtifactError, RecipeError
from ftkit.report.markup import difference
from ftkit.run.artifacts import Compared
from ftkit.run.latest import NAME, read_latest
from ftkit.store import MANIFEST, read_json


@dataclass(frozen=True)
class Listed:
    """One verdict, or why a run has none (`note`). `place` is what `report`, `predict` and `compare` take."""

    run: str
    place: str
    verdict: str | None = None
    prompting: str | None = None
    fine_tuned: str | None = None
    metric: str | None = None
    difference: float | None = None
    num_rows: int | None = None
    day: str | None = None
    note: str = ""


def list_runs(folder: Path) -> list[Listed]:
    """Every verdict below a folder of run directories, or of one run directory; the newest of a run last.

    Raises RecipeError where there is neither.
    """
    if (folder / NAME).is_file():
        return list(_of_run(folder))
    run_dirs = sorted(path.parent for path in folder.glob(f"*/{NAME}"))
    if not run_dirs:
        raise RecipeError(f"{folder}: holds no run directory; expected something like runs, or runs/quickstart")
    return [line for run_dir in run_dirs for line in _of_run(run_dir)]


def as_lines(lines: Sequence[Listed]) -> list[str]:
    """A table for people: a head, and a line for each verdict."""
    rows = [["run", "verdict", "prompting", "fine-tuned", "difference", "rows", "day", "place"]]
    for line in lines:
        if line.verdict is None:
            rows.append([line.run, line.note])
            continue
        change = "" if line.difference is None else f"{line.metric} {difference(line.difference, share=False)}"
        cells = (line.verdict, line.prompting, line.fine_tuned, change, line.num_rows, line.day, line.place)
        rows.append([line.run, *map(str, cells)])
    widths = [max(len(row[column]) for row in rows if len(row) > 2 or column == 0) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows]


def _of_run(run_dir: Path) -> Iterator[Listed]:
    try:
        latest = read_latest(run_dir)
    except ArtifactError as error:
        yield Listed(run_dir.name, str(run_dir), note=str(error))
        return
    for name in latest.verdicts:
        yield _listed(run_dir, run_dir if name == latest.verdicts[-1] else run_dir / name, run_dir / name)
    if not latest.verdicts:
        yield Listed(run_dir.name, str(run_dir), note=f"no verdict yet; done: {', '.join(latest.stages) or 'nothing'}")


def _listed(run_dir: Path, place: Path, folder: Path) -> Listed:
    try:
        verdict = Compared(folder).verdict
        day = read_json(folder / MANIFEST)["facts"]["day"]
    except (OSError, ArtifactError, KeyError, TypeError) as error:
        return Listed(run_dir.name, str(place), note=f"{folder.name}: damaged or gone ({error})")
    contrast = verdict.contrast
    return Listed(
        run=run_dir.name,
        place=str(place),
        verdict=verdict.verdict,
        prompting=contrast.b,
        fine_tuned=contrast.a,
        metric=verdict.primary.metric,
        difference=contrast.difference,
        num_rows=verdict.num_rows,
        day=str(day),
    )
