"""Commands that must be refused, and what they say then."""

from __future__ import annotations

from pathlib import Path

from commands import Done, ftkit


def refused(*overrides: str, command: str = "run", flags: tuple[str, ...] = ()) -> Done:
    """Run the recipe with overrides: an error, and no model was asked anything."""
    done = ftkit(command, "recipe.yaml", *flags, *(word for each in overrides for word in ("--set", each)))
    assert_refused(done)
    return done


def assert_refused(done: Done) -> None:
    assert done.code != 0, done
    assert "Traceback" not in done.out + done.err
    assert done.out == ""
    assert not list(Path().glob("runs/*/baseline-*"))


def errors(done: Done) -> list[str]:
    return [line.removeprefix("error: ") for line in done.err.splitlines() if line.startswith("error: ")]
