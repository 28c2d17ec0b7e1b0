"""What every command shares: the application, common options, what prints, and how an error ends.

The only place that prints, reads ftkit's own environment settings or exits. Imports of work are inside functions, so
that help stays fast.
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import shutil
import sys
import textwrap
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional, TextIO

import typer
from typer.core import TyperGroup

from ftkit.errors import READER_GONE, FtkitError, MachineError, RecipeError, is_out_of_memory, visible

if TYPE_CHECKING:
    from ftkit.contracts import Context

ORDER = (
    *("init", "run", "check", "prepare", "report", "runs", "compare", "duplicates"),
    *("try", "chat", "predict", "export"),
)
"""Commands as help lists them: as they are met on the way from rows to a model in use; then what says what there is."""
REFERENCE = ("list", "show", "schema", "docs", "doctor", "help")


class InOrder(TyperGroup):
    """Lists the commands in the order of use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names in the order of `ORDER` and `REFERENCE`, which have them all."""
        return sorted(super().list_commands(ctx), key=(*ORDER, *REFERENCE).index)


CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"]}  # of the application, and so of its commands

app = typer.Typer(
    cls=InOrder,
    context_settings=CONTEXT,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _refuse_rows(path: Path) -> Path:
    """A recipe's path. Raises RecipeError for a file of rows, which could become one."""
    if path.suffix.lower() not in (".yaml", ".yml"):
        from ftkit.service.sight import is_rows

        if path.exists() and is_rows(path):
            how = f"ftkit init {shlex.quote(str(path))}"
            raise RecipeError(f"{path}: holds rows, and is no recipe; write one for it: {how}")
    return path


RecipePath = Annotated[Path, typer.Argument(metavar="RECIPE", help="recipe file (YAML)", callback=_refuse_rows)]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="run directory, e.g. runs/quickstart")]
Overrides = Annotated[
    Optional[list[str]], typer.Option("--set", metavar="KEY=VALUE", help="override one key of the recipe")
]
Offline = Annotated[bool, typer.Option("--offline", help="no network: the hub's cache only")]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable result on stdout")]
TrustCode = Annotated[
    bool, typer.Option("--trust-remote-code", help="run code that a model or metric brings; needs a pinned revision")
]
IsQuiet = Annotated[bool, typer.Option("--quiet", help="no progress, only results and errors")]
EventsFile = Annotated[
    Optional[Path], typer.Option("--events", metavar="FILE", help="append progress to a file, as lines of JSON")
]
RunsDir = Annotated[Path, typer.Option("--runs-dir", help="where run directories are kept")]


def _print_version(wanted: bool) -> None:
    if wanted:
        from ftkit import __version__

        show(f"ftkit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="print the version and exit")
    ] = False,
) -> None:
    """Should I fine-tune, or is a good prompt enough? One recipe answers with evidence."""


def main() -> None:
    """Run the command line; every error meant for the user ends in one message and its exit code."""
    try:
        app(prog_name="ftkit")
    except FtkitError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        _fail(f"{place}{error.strerror or error}", MachineError.exit_code)
    except Exception as error:
        if is_out_of_memory(error):
            _fail("out of memory; lower machine.micro_batch, or take a smaller model", MachineError.exit_code)
        if "No space left on device" in str(error):  # from libraries that write without Python's files
            _fail(str(error).splitlines()[0], MachineError.exit_code)
        show(traceback.format_exc(), to=sys.stderr)
        _fail("this is a bug in ftkit; please report it with the lines above", FtkitError.exit_code)


def _fail(message: str, code: int) -> None:
    for line in message.splitlines() or [""]:
        show(f"error: {line}", to=sys.stderr)
    sys.exit(code)


def show(text: object, *, to: TextIO | None = None) -> None:
    try:
        print(visible(str(text)), file=to or sys.stdout)
    except BrokenPipeError:  # `| head` has read what it wanted
        sys.exit(READER_GONE)


def wrapped(text: str) -> str:
    """A long line, wrapped at words where stdout is a terminal."""
    if not sys.stdout.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def print_json(value: Any) -> None:
    show(json.dumps(value, ensure_ascii=False, indent=1))


@contextmanager
def context(
    *, offline: bool = False, trust_remote_code: bool = False, quiet: bool = False, events: Path | None = None
) -> Iterator[Context]:
    """Progress on the terminal, and a stop flag that SIGTERM and the first Ctrl-C set.

    `quiet`: no progress. `events`: a file that progress is appended to, as lines of JSON.
    """
    from ftkit.contracts import Context, Progress, Quiet
    from ftkit.hub import libraries_offline
    from ftkit.run.events import Events
    from ftkit.run.terminal import Terminal
    from ftkit.stop import stop_flag

    for library in ("bitsandbytes", "transformers", "peft"):  # they warn of what no user of ftkit can change
        logging.getLogger(library).setLevel(logging.ERROR)
    with ExitStack() as stack:
        stack.enter_context(libraries_offline(offline))
        progress: Progress = Quiet() if quiet else stack.enter_context(Terminal().shown())
        if events is not None:
            progress = stack.enter_context(Events(progress, events))
        yield Context(
            progress=progress,
            check_stop=stack.enter_context(stop_flag()),
            cache_dir=Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ftkit",
            offline=offline,
            trust_remote_code=trust_remote_code,
        )
