"""A stand-in of the hub on this machine: model and data set repositories served from folders of bytes.

Answers what huggingface_hub asks for, and remembers it. Each repository has one commit, `COMMIT`, on `main`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REVISIONS = (COMMIT, "main")


@dataclass
class Hub:
    """Repositories by kind and name, as `models/me/tiny`; `gated` ones show no file. `asked` holds 'METHOD path'."""

    repositories: Mapping[str, Mapping[str, bytes]]
    gated: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    endpoint: str = ""

    @property
    def downloaded(self) -> list[str]:
        """Names of the files whose bytes were fetched, sorted."""
        gets = [line.split(" ")[1] for line in self.asked if line.startswith("GET ") and "/resolve/" in line]
        return sorted(path.partition(f"/resolve/{COMMIT}/")[2] for path in gets)


@contextmanager
def serving(repositories: Mapping[str, Mapping[str, bytes]], *, gated: frozenset[str] = frozenset()) -> Iterator[Hub]:
    """Serve on a free port of this machine while the block lasts."""
    hub = Hub(repositories, gated)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder, as a repository has them."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def environment(endpoint: str, home: Path) -> dict[str, str]:
    """The variables of a process that takes `endpoint` for the hub, with an own cache and no proxy."""
    return {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HOME": str(home),
        "HF_HUB_OFFLINE": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }


class _Handler(BaseHTTPRequestHandler):
    """Info and tree of a repository, and its files at their commit."""

    hub: Hub

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append(f"{self.command} {path}")
        kind, name, rest = _parts(path)
        repository = self.hub.repositories.get(f"{kind}/{name}")
        if repository is None:
            self._answer(404, b"{}", **{"X-Error-Code": "RepoNotFound"})
        else:
            self._repository(f"{kind}/{name}", repository, rest)

    do_HEAD = do_GET

    def _repository(self, name: str, files: Mapping[str, bytes], rest: list[str]) -> None:
        what, revision, file = rest[0] if rest else "", rest[1] if rest[1:] else "", "/".join(rest[2:])
        if revision and revision not in REVISIONS:
            self._answer(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
        elif what == "resolve" and name in self.hub.gated:
            self._answer(401, b"{}", **{"X-Error-Code": "GatedRepo"})
        elif what in ("", "revision"):
            siblings = [{"rfilename": each} for each in files]
            facts = {"id": name.partition("/")[2], "sha": COMMIT, "private": False, "tags": [], "siblings": siblings}
            self._answer(200, json.dumps(facts).encode())
        elif what == "tree" and not file:
            tree = [
                {"type": "file", "path": each, "size": len(content), "oid": each} for each, content in files.items()
            ]
            self._answer(200, json.dumps(tree).encode())
        elif what == "resolve" and file in files:
            self._answer(200, files[file], **{"ETag": f'"{file}"', "X-Repo-Commit": COMMIT})
        else:
            self._answer(404, b"{}", **{"X-Error-Code": "EntryNotFound"})

    def _answer(self, code: int, content: bytes, **headers: str) -> None:
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def _parts(path: str) -> tuple[str, str, list[str]]:
    """Kind, name and the rest of `/api/KIND/OWNER/NAME/…`, `/datasets/OWNER/NAME/…` or `/OWNER/NAME/…` (a model)."""
    parts = path.strip("/").split("/")
    parts = parts[1:] if parts[0] == "api" else parts
    kind, parts = (parts[0], parts[1:]) if parts[0] in ("models", "datasets") else ("models", parts)
    return kind, "/".join(parts[:2]), parts[2:]
