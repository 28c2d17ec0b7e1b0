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
    finally:
        deaf()


if __name__ == "__main__":
    main()
