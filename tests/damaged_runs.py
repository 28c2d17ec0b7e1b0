"""Files of a run directory with a bit flipped or their end cut off: each must be found, or be without effect."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

from killed_runs import Begun, killed, published

from ftkit.errors import ArtifactError, FtkitError

UNFINISHED = (  # a stage, and the point at which it is killed: in its work, or when all was done but the rename
    ("baseline", "write */tried/1.json.tmp"),
    ("baseline", "rename *.partial"),
    ("train-lora", "create */adapter/*"),
    ("train-lora", "rename *.partial"),
    ("evaluate", "write */answered/2.jsonl"),
    ("evaluate", "rename *.partial"),
)


def damage(path: Path, rng: random.Random) -> str:
    """Flip one bit of a file, or cut it off somewhere; says which."""
    content = bytearray(path.read_bytes())
    place = rng.randrange(len(content))
    if rng.random() < 0.5:
        path.write_bytes(content[:place])
        return f"cut off at {place} of {len(content)}"
    bit = rng.randrange(8)
    content[place] ^= 1 << bit
    path.write_bytes(content)
    return f"bit {bit} of byte {place} flipped"


def files_of(run_dir: Path, *, finished: bool) -> list[Path]:
    """What can be damaged, in a fixed order; of an unfinished run only what is not published."""
    paths = sorted(path for path in run_dir.rglob("*") if path.is_file() and path.stat().st_size)
    return [path for path in paths if finished or "." in path.relative_to(run_dir).parts[0]]


def unfinished(begun: Begun, folder: Path, stage: str, point: str) -> Path:
    """The run directory of a run whose process was killed there."""
    points = killed(begun, folder, stage, point)
    assert points.is_over, f"{point} was not reached: {points.seen}"
    return points.folder


def wrong_after_damage(begun: Begun, damaged: Path, runs_dir: Path, *, until: str, finished: bool) -> str:
    """What is wrong when a run is started again: it has to end with the same bytes, or, where it was finished, it may
    refuse with an error that names the damaged file.
    """
    try:
        begun.run(runs_dir, until=until)
    except ArtifactError as error:
        return "" if finished and damaged.name in str(error) else f"refused: {error}"
    except FtkitError as error:
        return f"{type(error).__name__}: {error}"
    run_dir = runs_dir / begun.finished.name
    return "" if published(run_dir, until=until) == begun.expected(until) else "other bytes, and nothing was said"


def anew(source: Path, runs_dir: Path) -> Path:
    """A copy of a run directory to damage."""
    run_dir = runs_dir / source.name
    shutil.rmtree(run_dir, ignore_errors=True)
    return shutil.copytree(source, run_dir)
