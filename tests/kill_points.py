"""Every write, fsync, rename and removal below a folder, counted; at one of them the process ends as by `kill -9`.

    python -m kill_points 17 FOLDER -m ftkit run recipe.yaml

A write at which it ends leaves half of its bytes. What a library writes without Python's files (tokenizers, polars)
lies between two points. Knows no module of ftkit.
"""

from __future__ import annotations

import builtins
import io
import os
import runpy
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from unittest.mock import patch

CALLS = ("rename", "replace", "unlink", "remove", "rmdir", "mkdir", "truncate", "fsync")
NEVER = -1


class Killed(BaseException):
    """The end within this process, for tests that need no process of their own: from then on nothing is written."""


def raise_killed() -> None:
    """An end within this process."""
    raise Killed


def kill_process() -> None:
    """The end of this process."""
    os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class KillPoints:
    """What was about to happen below `folder`, in order. `end` is called at a place in it, or at the first like a text.

    The text is a pattern as of `fnmatch` for an operation and its path, such as `rename */checkpoints`.
    """

    folder: Path
    at: int | str = NEVER
    end: Callable[[], None] = raise_killed
    seen: list[str] = field(default_factory=list)
    is_over: bool = False

    def reach(self, what: str) -> bool:
        """Count a point; whether it is the last."""
        if self.is_over:
            self.end()
        self.seen.append(what)
        self.is_over = fnmatch(what, self.at) if isinstance(self.at, str) else len(self.seen) == self.at + 1
        return self.is_over

    def below(self, path: Any) -> bool:
        """Whether a path is in the folder; a file descriptor counts as if it were."""
        if isinstance(path, int):
            return True
        return Path.cwd().joinpath(os.fsdecode(path)).is_relative_to(self.folder)

    @contextmanager
    def watching(self) -> Iterator[KillPoints]:
        """Count while the block lasts."""
        opened = _opening(self)
        with ExitStack() as stack:
            for place in (builtins, io):
                stack.enter_context(patch.object(place, "open", opened))
            for name in CALLS:
                stack.enter_context(patch.object(os, name, _calling(self, name, getattr(os, name))))
            for name in ("safetensors.torch", "safetensors.numpy"):
                module = sys.modules.get(name)
                if module is not None:
                    stack.enter_context(patch.object(module, "serialize_file", _saving(self, module.serialize_file)))
            yield self


def _calling(points: KillPoints, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
    def counted(path: Any, *args: Any, **options: Any) -> Any:
        is_ours = options.get("dir_fd") is not None or points.below(path)
        if is_ours and points.reach(f"{name} {path}"):
            points.end()
        return call(path, *args, **options)

    return counted


def _saving(points: KillPoints, save: Callable[..., None]) -> Callable[..., None]:
    def counted(tensors: Any, path: Any, *args: Any, **options: Any) -> None:
        if points.below(path) and points.reach(f"create {path}"):
            points.end()
        half = points.below(path) and points.reach(f"write {path}")
        save(tensors, path, *args, **options)
        if half:
            with io.FileIO(path, "r+") as file:
                file.truncate(Path(path).stat().st_size // 2)
            points.end()

    return counted


def _opening(points: KillPoints) -> Callable[..., Any]:
    class Counted(io.FileIO):
        def write(self, data: Any) -> int:
            if points.is_over:
                return len(data)  # a buffer that Python empties as it goes: nobody does that after a kill
            if points.reach(f"write {self.name}"):
                super().write(bytes(data)[: len(data) // 2])
                points.end()
            return super().write(data) or 0

    plain = io.open

    def opened(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, *args: Any, **options: Any
    ) -> Any:
        if not set(mode) & set("wax+") or isinstance(file, int) or not points.below(file):
            return plain(file, mode, buffering, encoding, *args, **options)
        if points.reach(f"open {file}"):
            points.end()
        raw = Counted(file, mode.replace("b", "").replace("t", ""))
        binary = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw)  # type: ignore[operator]
        if "b" in mode:
            return binary
        return io.TextIOWrapper(binary, encoding or "utf-8", *args, **options)

    return opened


def main() -> None:
    """Run a module until the point; without one, write down the points beside the folder."""
    at, folder, flag, module, *args = sys.argv[1:]
    assert flag == "-m", sys.argv
    import safetensors.numpy
    import safetensors.torch  # noqa: F401  what is patched has to be there

    points = KillPoints(Path(folder), int(at), kill_process)
    sys.argv = [module, *args]
    with points.watching():
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        finally:
            if points.at == NEVER:
                Path(f"{folder}.points").write_text("\n".join(points.seen), encoding="utf-8")


if __name__ == "__main__":
    main()
