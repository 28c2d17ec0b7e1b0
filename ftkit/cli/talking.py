"""Commands that put a text to arms of a finished run: try, chat."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from ftkit.cli.command_line import AsJson, Offline, RunPath, app, context, print_json, show
from ftkit.errors import DataError, InterruptedRunError, RecipeError

if TYPE_CHECKING:
    from ftkit.cli.showing import Shown
    from ftkit.contracts import Context
    from ftkit.service.chat import Chat

HELP = """\
a message        is answered; end a line with \\ to go on in the next
/prompt          what was put to the model for the last answer
/new             begin anew, without the turns so far
/quit            end, as Ctrl-D does
Ctrl-C           stops an answer"""
System = Annotated[
    Optional[str], typer.Option(help="a system turn in place of the one that the run's rows have; '': none")
]


@app.command("try")
def try_text(
    run_dir: RunPath,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="an input, as a row would have it; -: stdin")],
    arm: Annotated[Optional[list[str]], typer.Option(help="arm to ask, may be repeated; default: that ships")] = None,
    system: System = None,
    offline: Offline = False,
    as_json: AsJson = False,
) -> None:
    """Put one input to arms of a run. Shows the prompt, scores of labels or the text, and the answer."""
    from ftkit.run.finished import open_run
    from ftkit.service.replies import in_words, prompt_in_words
    from ftkit.service.speaking import open_speakers

    text = sys.stdin.read() if text == "-" else text
    with context(offline=offline) as ctx:
        speakers = open_speakers(open_run(run_dir), arm or [""], ctx, system=system)
        replies = [speaker.reply(text, [], ctx) for speaker in speakers]
    if as_json:
        print_json([reply.as_json() for reply in replies])
        return
    for place, reply in enumerate(replies):
        lines = [reply.arm, *prompt_in_words(reply.messages, reply.prompt_tokens), "answer"]
        written = [] if reply.labels else reply.text.splitlines() or [""]
        lines += [f"  {line}" for line in (*written, *in_words(reply))]
        show("\n".join([""] * (place > 0) + lines))


@app.command()
def chat(
    run_dir: RunPath,
    arm: Annotated[str, typer.Option(help="arm to talk to; default: the one to ship")] = "",
    beside: Annotated[str, typer.Option(help="another arm, that answers beside it")] = "",
    system: System = None,
    offline: Offline = False,
) -> None:
    """Talk to an arm of a run, or to two side by side. Answers show as they are written, and are kept in RUN/chats."""
    from ftkit.contracts import Quiet
    from ftkit.run.finished import open_run
    from ftkit.service.chat import Chat
    from ftkit.service.speaking import open_speakers

    if beside and arm == beside:
        raise RecipeError(f"--beside {beside}: is the arm itself; name another one")
    with context(offline=offline) as ctx:
        run = open_run(run_dir)
        speakers = open_speakers(run, [arm, *([beside] if beside else [])], ctx, system=system)
    if len({speaker.arm.name for speaker in speakers}) < len(speakers):
        raise RecipeError(f"--beside {beside}: is the arm itself; name another one")
    talk = Chat(speakers, run.path / "chats" / f"{time.strftime('%Y-%m-%dT%H-%M-%S')}.jsonl")
    _greet(talk)
    for text in _said():
        if text.startswith("/") and not text.startswith("//"):
            if text == "/quit":
                break
            _command(text, talk)
        else:
            _answer(talk, text.removeprefix("/") if text.startswith("//") else text, replace(ctx, progress=Quiet()))
    if talk.path.exists():
        show(f"kept in {talk.path}", to=sys.stderr)


def _greet(talk: Chat) -> None:
    names = " beside ".join(speaker.arm.name for speaker in talk.speakers)
    turns = "answers know what was said before" if talk.keeps_turns else "each message stands alone, as the run's rows"
    show(f"{names}: {turns}. /help shows what else there is; Ctrl-D ends.", to=sys.stderr)


def _said() -> Iterator[str]:
    """Messages, as they are typed or stand on stdin, until there are none. Empty ones are passed over."""
    if sys.stdin.isatty():
        import readline  # noqa: F401  # what is typed can be edited, and called back

    lines: list[str] = []
    while True:
        try:
            line = input(("... " if lines else "> ") if sys.stdin.isatty() else "")
        except EOFError:
            if sys.stdin.isatty():
                show("", to=sys.stderr)
            break
        lines.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            yield from filter(str.strip, ["\n".join(lines)])
            lines = []
    yield from filter(str.strip, ["\n".join(lines)])


def _command(text: str, talk: Chat) -> None:
    from ftkit.service.replies import prompt_in_words

    if text == "/prompt":
        for reply in talk.replies:
            show("\n".join([reply.arm, *prompt_in_words(reply.messages, reply.prompt_tokens)]))
        if not talk.replies:
            show("nothing was asked yet")
    elif text == "/new":
        talk.begin_anew()
        show("begun anew")
    else:
        show(HELP if text == "/help" else f"{text}: no such command; // begins a message with /\n{HELP}")


def _answer(talk: Chat, text: str, ctx: Context) -> None:
    """All arms answer, side by side where there is a terminal to draw on."""
    from rich.console import Console

    from ftkit.cli.showing import OneByOne, SideBySide

    arms = [speaker.arm.name for speaker in talk.speakers]
    if len(arms) == 1 or not Console().is_terminal:
        _answer_each(talk, text, OneByOne(arms), ctx)
        return
    with SideBySide(arms) as shown:
        _answer_each(talk, text, shown, ctx)


def _answer_each(talk: Chat, text: str, shown: Shown, ctx: Context) -> None:
    """What goes wrong is said in the answer's place, and the conversation goes on."""
    from ftkit.service.replies import in_words

    for speaker in talk.speakers:
        shown.begin(speaker.arm.name)
        try:
            with _stoppable(ctx) as stoppable:
                reply = talk.ask(speaker, text, stoppable, shown.tell)
        except DataError as error:
            shown.end([f"error: {error}"])
        except InterruptedRunError:
            shown.end(["(stopped)"])
        else:
            if not reply.labels:
                shown.tell(reply.text)
            shown.end(in_words(reply))


@contextmanager
def _stoppable(ctx: Context) -> Iterator[Context]:
    """Within, Ctrl-C stops what is computed; behind, it was never asked for."""
    from ftkit.stop import forget, stop_flag

    try:
        with stop_flag() as check_stop:
            yield replace(ctx, check_stop=check_stop)
    except InterruptedRunError:
        forget()
        raise
