"""A conversation with arms of a run, kept line by line in a file. Prints nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ftkit.contracts import Context
from ftkit.records import Message, dump
from ftkit.service.speaking import Reply, Speaker


class Chat:
    """What was said so far: each arm follows its own answers, where the run's rows have earlier turns.

    Every reply becomes a line of JSON at the end of `path`.
    """

    def __init__(self, speakers: Sequence[Speaker], path: Path) -> None:
        self.speakers = speakers
        self.path = path
        self.replies: list[Reply] = []
        self._turns: dict[str, list[Message]] = {}
        self.begin_anew()

    @property
    def keeps_turns(self) -> bool:
        """Whether a text is answered behind those before it."""
        return any(speaker.has_turns for speaker in self.speakers)

    def begin_anew(self) -> None:
        """Forget what was said."""
        self._turns = {speaker.arm.name: [] for speaker in self.speakers}

    def ask(self, speaker: Speaker, text: str, ctx: Context, tell: Callable[[str], None]) -> Reply:
        """The reply of one of the arms; what it is stopped at leaves no trace."""
        turns = self._turns[speaker.arm.name]
        reply = speaker.reply(text, turns, ctx, tell)
        if self.keeps_turns:
            turns += [Message(role="user", content=text), Message(role="assistant", content=reply.text)]
        self._save(text, reply)
        self.replies = [*self.replies[1 - len(self.speakers) :], reply] if len(self.speakers) > 1 else [reply]
        return reply

    def _save(self, text: str, reply: Reply) -> None:
        self.path.parent.mkdir(exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(dump({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "said": text, **reply.as_json()}) + "\n")
