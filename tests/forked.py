"""Processes that need not import their libraries again: one process imports them once, and each new one forks from it.

A process is a real one: it has its own pid, folder, variables and exit, can be halted and killed, and runs a module of
ours from its first line, as `python -m` does. It shares one hash seed with the others. Knows no module of ftkit.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import io
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, suppress
from pathlib import Path
from typing import Any, NoReturn

SHARED = "FTKIT_TESTS"  # the variable that names the folder which all workers of pytest-xdist share
LIBRARIES = (  # without those that start threads when they are imported: pyarrow, polars, what takes pandas
    *("torch", "transformers.models.llama.modeling_llama", "transformers.models.auto.tokenization_auto", "peft"),
    *("scipy.stats", "scipy.sparse.csgraph", "scipy.optimize", "matplotlib.figure", "pydantic", "typer", "ftfy"),
)


class Forked:
    """A process, used as a subprocess.Popen is that keeps stdout and stderr apart."""

    def __init__(self, module: str, args: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._written = Path(tempfile.mkdtemp(dir=os.environ[SHARED]))
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(f"{os.environ[SHARED]}/forks")
        request = {"module": module, "args": list(args), "cwd": str(cwd), "env": dict(env), "to": str(self._written)}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        self.pid = _number(self._socket)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative after a signal; None while it runs."""
        return self._ended(0)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end, and read what was written to stdout and to stderr."""
        if self._ended(timeout) is None:
            self.kill()
            self._ended(None)
        out, err = (self._written.joinpath(name).read_text(encoding="utf-8") for name in ("out", "err"))
        assert timeout is None or self.returncode != -signal.SIGKILL, f"killed after {timeout} s\n{out}{err}"
        return out, err

    def send_signal(self, number: int) -> None:
        """Send it, unless the process has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it ended just now
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._socket], [], [], timeout)[0]:
            self.returncode = _number(self._socket)
            self._socket.close()
        return self.returncode


def _number(connection: socket.socket) -> int:
    return int(_line(connection))


def _line(connection: socket.socket) -> bytes:
    """Nothing is read beyond it."""
    line = b""
    while not line.endswith(b"\n"):
        line += connection.recv(1) or b"the process that forks has ended\n"
    return line


@contextmanager
def forks() -> Iterator[None]:
    """While the block lasts, processes can be made. What they fork from is loaded when the first is asked for."""
    with tempfile.TemporaryDirectory(prefix="ftkit-tests-") as folder, socket.socket(socket.AF_UNIX) as listener:
        os.environ[SHARED] = folder
        listener.bind(f"{folder}/forks")
        listener.listen()
        command = [sys.executable, __file__, str(listener.fileno())]
        env = {**os.environ, "HOME": folder, "PYTHONWARNINGS": "ignore"}
        server = subprocess.Popen(command, stdin=subprocess.PIPE, env=env, pass_fds=[listener.fileno()])
        try:
            yield
        finally:
            server.communicate()
            del os.environ[SHARED]


def serve(listener: socket.socket) -> None:
    """Fork for each who connects and tell it how the process ended, until stdin ends; then kill what is left."""
    woken, wakes = socket.socketpair()
    wakes.setblocking(False)
    signal.set_wakeup_fd(wakes.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # what a terminal sends is for the tests
    callers: dict[int, socket.socket] = {}
    while 0 not in (ready := select.select([0, listener, woken], [], [])[0]):
        if listener in ready:
            caller, _ = listener.accept()
            pid = _forked(json.loads(_line(caller)), [listener, woken, wakes, caller, *callers.values()])
            callers[pid] = caller
            caller.sendall(b"%d\n" % pid)
        if woken in ready:
            woken.recv(4096)
            _tell_ends(callers)
    for pid in callers:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _tell_ends(callers: dict[int, socket.socket]) -> None:
    for pid in list(callers):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with callers.pop(pid) as caller, suppress(BrokenPipeError):
                caller.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


def _forked(request: dict[str, Any], ours: Sequence[socket.socket]) -> int:
    """The pid of a new process that does what is asked for, and has none of our sockets."""
    with redirect_stderr(io.StringIO()):  # some warn of other libraries that are not installed
        for name in LIBRARIES:
            importlib.import_module(name)
    gc.freeze()  # what a collection in the new process does not touch needs no copy of its page
    assert sum(1 for _ in Path("/proc/self/task").iterdir()) == 1, "a thread would be lost in the fork"
    pid = os.fork()
    if pid == 0:
        signal.set_wakeup_fd(-1)
        for each in ours:
            each.close()
        _become(request)
    return pid


def _become(request: dict[str, Any]) -> NoReturn:
    """Be the process that `python -m` would have made."""
    from huggingface_hub import constants

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(f"{request['to']}/{name}", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
        os.close(file)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.path[0:1] = [request["cwd"], *filter(None, os.environ.get("PYTHONPATH", "").split(":"))]
    importlib.reload(constants)  # the only library of these that keeps what its variables said at import
    sys.argv = [request["module"], *request["args"]]
    code = 0
    try:
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = int(end.code or 0)
    for thread in threading.enumerate():
        if not (thread.daemon or thread is threading.main_thread()):
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # to take down what was loaded would copy every page of it


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as given:
        serve(given)
