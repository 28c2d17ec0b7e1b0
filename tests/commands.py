"""The command line as a user meets it: called in this process, or several calls in a process of their own."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path

from forked import Forked

from ftkit.cli import main

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Done:
    """Exit code, and what was written to stdout and to stderr."""

    code: int
    out: str
    err: str


def ftkit(*args: str | Path) -> Done:
    """Call the command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["ftkit", *map(str, args)]
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main()
    except SystemExit as end:
        return Done(int(end.code or 0), out.getvalue(), err.getvalue())
    finally:
        sys.argv = before
    raise AssertionError("main ended without an exit code")


def ftkit_apart(calls: Sequence[Sequence[str]], *, cwd: Path, env: Mapping[str, str]) -> list[Done]:
    """Call the command line several times in one process of its own, in `cwd` and with no variables but `env`."""
    args = [json.dumps([list(call) for call in calls])]
    path = f"{ROOT}:{Path(__file__).parent}"
    process = Forked("commands", args, cwd=cwd, env={"PATH": "", "PYTHONPATH": path, **env})
    out, err = process.communicate()
    assert process.returncode == 0, err
    return _done(out)


def ftkit_anew(calls: Sequence[Sequence[str]], *, cwd: Path, env: Mapping[str, str]) -> list[Done]:
    """As `ftkit_apart`, for what shows only where libraries are imported for the first time."""
    done = subprocess.run(
        [sys.executable, __file__, json.dumps([list(call) for call in calls])],
        cwd=cwd,
        env={"PATH": "", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore", "OMP_NUM_THREADS": "1", **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return _done(done.stdout)


def _done(lines: str) -> list[Done]:
    return [Done(**json.loads(line)) for line in lines.splitlines()]


if __name__ == "__main__":
    for call in json.loads(sys.argv[1]):
        print(json.dumps(asdict(ftkit(*call))), flush=True)
