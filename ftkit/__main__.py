"""The first lines of the command line: a signal waits until it can be heard, before anything is imported."""


def main() -> None:
    """Run the command line, from its first line on in a way that can be stopped."""
    import _signal  # type: ignore[import-not-found]  # built in: `signal` would import more

    _signal.pthread_sigmask(_signal.SIG_BLOCK, (_signal.SIGTERM, _signal.SIGINT))
    from ftkit.stop import deaf, listen

    listen()
    from ftkit.cli import main as command_line

    try:
        command_line()
    except SystemExit as end:
        if not isinstance(end.code, int):
            raise
        _leave(end.code)
    finally:
        deaf()
    _leave(0)


def _leave(code: int) -> None:
    """End at once: libraries take more than a second to be taken apart, in which no signal would be heard."""
    import os
    import sys

    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        from ftkit.errors import READER_GONE

        code = code or READER_GONE
    except (OSError, AttributeError):  # a full disk; no stream at all
        code = code or 1
    os._exit(code)


if __name__ == "__main__":
    main()
