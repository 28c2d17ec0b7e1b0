"""Answers on a terminal while they are written: one below the other, or two side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ftkit.cli.command_line import show
from ftkit.errors import visible


class Shown(Protocol):
    """Answers of some arms to one message, each begun, told piece by piece, and ended, one arm after the other."""

    def begin(self, arm: str) -> None: ...

    def tell(self, text: str) -> None:
        """The whole text so far."""

    def end(self, lines: Sequence[str]) -> None:
        """What is said below the text."""


class OneByOne:
    """Below each other, under the names of the arms where there are several; a text grows as it is written."""

    def __init__(self, arms: Sequence[str]) -> None:
        self._names_arms = len(arms) > 1
        self._told = ""

    def begin(self, arm: str) -> None:
        """Name the arm."""
        self._told = ""
        if self._names_arms:
            show(f"[{arm}]")

    def tell(self, text: str) -> None:
        """Write what is new."""
        if text.startswith(self._told):
            sys.stdout.write(visible(text[len(self._told) :]))
            sys.stdout.flush()
            self._told = text

    def end(self, lines: Sequence[str]) -> None:
        """End the text's line, and say the rest."""
        if self._told:
            show("")
        if lines:
            show("\n".join(lines))


class SideBySide:
    """In a column each, drawn again as they grow; entered while they do."""

    def __init__(self, arms: Sequence[str]) -> None:
        self._texts = dict.fromkeys(arms, "")
        self._arm = ""
        self._live = Live(self._table(), console=Console(), auto_refresh=False, vertical_overflow="visible")

    def __enter__(self) -> SideBySide:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def begin(self, arm: str) -> None:
        """Turn to the arm's column."""
        self._arm = arm

    def tell(self, text: str) -> None:
        """Show the text so far."""
        self._texts[self._arm] = text
        self._live.update(self._table(), refresh=True)

    def end(self, lines: Sequence[str]) -> None:
        """Show the rest below the text."""
        whole = [*filter(None, [self._texts[self._arm]]), *lines]
        self.tell("\n".join(whole))

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2), expand=True)
        for _ in self._texts:
            table.add_column(ratio=1, overflow="fold")
        table.add_row(*(Text(visible(arm), style="bold") for arm in self._texts))
        table.add_row(*(Text(visible(text)) for text in self._texts.values()))
        return table
