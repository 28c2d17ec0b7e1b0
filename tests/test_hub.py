"""Models and data sets of the hub, from a stand-in on this machine: what is fetched, kept, and taken for the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from commands import Done, ftkit_apart
from hub_standin import COMMIT, Hub, environment, files_of, serving
from small_runs import SetUp, make_rows, make_set_up

from ftkit.artifacts import Compared, Prepared
from ftkit.store import file_digest, read_json

EXTRA = {
    "pytorch_model.bin": b"pickled",
    "training_args.bin": b"pickled",
    "modeling_evil.py": b"raise SystemExit('ran')",
    "README.md": b"a card",
    "original/consolidated.safetensors": b"again",
    "consolidated.safetensors": b"again",
}
WANTED = [
    *("chat_template.jinja", "config.json", "generation_config.json", "model.safetensors"),
    *("tokenizer.json", "tokenizer_config.json"),
]
SOURCE = {"hub": {"repository": "me/rows", "id": "id", "input": "text", "target": "label"}}


@dataclass(frozen=True)
class First:
    """A first run on a model and rows of the hub: what it did, what it asked for, and the home with its cache."""

    set_up: SetUp
    done: Done
    hub: Hub
    home: Path

    def call(self, *calls: list[str], home: Path | None = None, endpoint: str = "") -> list[Done]:
        """Call the command line where the first run was; without an endpoint, the hub is away."""
        env = environment(endpoint or self.hub.endpoint, home or self.home)
        done = ftkit_apart(calls, cwd=self.set_up.folder, env=env)
        assert "Traceback" not in "".join(each.err for each in done)
        return done

    def artifact(self, runs: str, stage: str) -> Path:
        (found,) = (self.set_up.folder / runs).glob(f"small/{stage}-*")
        return found


def run(model: dict[str, str], *more: str, runs: str) -> list[str]:
    return ["run", "recipe.yaml", "--runs-dir", runs, "--set", f"model={json.dumps(model)}", *more]


def repositories(set_up: SetUp) -> dict[str, dict[str, bytes]]:
    rows = "".join(json.dumps(row) + "\n" for row in make_rows()).encode()
    return {
        "models/me/tiny": {**files_of(set_up.folder / "base"), **EXTRA},
        "datasets/me/rows": {"train.jsonl": rows},
    }


FULL = ("--set", f"data.source={json.dumps(SOURCE)}")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> First:
    set_up, home = make_set_up(tmp_path_factory.mktemp("hub")), tmp_path_factory.mktemp("home")
    with serving(repositories(set_up)) as hub:
        env = environment(hub.endpoint, home)
        (done,) = ftkit_apart([run({"hub": "me/tiny"}, *FULL, runs="runs")], cwd=set_up.folder, env=env)
    return First(set_up, done, hub, home)


def test_of_a_model_only_what_is_needed_is_fetched_and_nothing_pickled(first: First) -> None:
    assert first.done.code == 0, first.done.err
    assert [name for name in first.hub.downloaded if name != "train.jsonl"] == WANTED


def test_a_branch_is_asked_for_once_a_run(first: First) -> None:
    assert first.hub.asked.count("GET /api/models/me/tiny/revision/main") == 1


def test_a_model_of_the_hub_is_known_by_repository_commit_and_files(first: First) -> None:
    base = first.set_up.folder / "base"
    facts = read_json(first.artifact("runs", "train-lora") / "adapter" / "ftkit.json")["base"]
    files = {name: file_digest(base / name) for name in WANTED}
    assert facts == {"repository": "me/tiny", "commit": COMMIT, "files": files}
    assert Prepared(first.artifact("runs", "prepare")).summary["sources"] == {"source": f"me/rows@{COMMIT}"}


def test_what_was_fetched_serves_offline_and_a_second_run_reuses_all(first: First) -> None:
    second, anew = first.call(*(run({"hub": "me/tiny"}, *FULL, "--offline", runs=runs) for runs in ("runs", "anew")))
    assert second.code == anew.code == 0, anew.err
    assert second.out == first.done.out
    assert second.err.count(": reused, ") == 5
    assert anew.err.count(": done, ") == 5
    one, two = (Compared(first.artifact(runs, "compare")).verdict for runs in ("runs", "anew"))
    assert one == two


def test_a_pinned_commit_that_is_cached_needs_no_hub(first: First) -> None:
    until = ("--until", "prepare")
    pinned = run({"hub": "me/tiny", "revision": COMMIT}, *until, runs="pinned")
    other = run({"hub": "me/else", "revision": COMMIT}, *until, runs="other")
    cached, away = first.call(pinned, other)
    assert cached.code == 0, cached.err
    assert away.code == 4
    assert f"error: model.hub: me/else at {COMMIT}: " in away.err


def test_a_download_that_was_cut_off_is_no_model_and_is_completed(first: First, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(first.home, home, symlinks=True)
    (weights,) = home.rglob("models--me--tiny/snapshots/*/model.safetensors")
    weights.resolve().unlink()
    weights.unlink()
    quiet = run({"hub": "me/tiny"}, "--until", "prepare", runs="cut-off")
    with serving(repositories(first.set_up)) as hub:
        offline, online = first.call([*quiet, "--offline"], quiet, home=home, endpoint=hub.endpoint)
        assert hub.downloaded == ["model.safetensors"]
    assert (offline.code, online.code) == (4, 0), online.err
    assert "error: model.hub: me/tiny: the network is off (offline) and the model is not in the cache" in offline.err


def test_code_that_a_model_brings_is_fetched_with_the_users_word_and_a_commit_only(
    first: First, tmp_path: Path
) -> None:
    calls = [
        run({"hub": "me/tiny", "revision": revision}, "--trust-remote-code", "--until", "prepare", runs=revision)
        for revision in ("main", COMMIT)
    ]
    with serving(repositories(first.set_up)) as hub:
        branch, commit = first.call(*calls, home=tmp_path, endpoint=hub.endpoint)
    assert (branch.code, commit.code) == (4, 0), commit.err
    assert "remote code is trusted only with a model.revision that is a full commit" in branch.err
    assert hub.downloaded == sorted([*WANTED, "modeling_evil.py"])
