"""The command line: one file for each kind of thing that commands are about. What they share is `command_line.py`."""

from ftkit.cli import arms, beginning, recipes, reference, talking, verdicts
from ftkit.cli.command_line import app, main

__all__ = ["app", "arms", "beginning", "main", "recipes", "reference", "talking", "verdicts"]
