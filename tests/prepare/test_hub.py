"""Models and data sets of the hub, from a stand-in on this machine: what is fetched, kept, and taken for the same."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from commands import Done, ftkit_apart
from hub_standin import COMMIT, Hub, environment, files_of, serving
from small_runs import SetUp, make_rows, make_set_up
from word_vectors import model

from ftkit.hub import libraries_offline
from ftkit.run.artifacts import Compared, Prepared
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
    assert Prepared(first.artifact("runs", "prepare")).summary.sources == {"source": f"me/rows@{COMMIT}"}


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


# --- embeddings -------------------------------------------------------------------------------------------------------

EMBEDDED = """
name: embedded
task: {classify: {labels: [a, b]}}
data:
  source: {jsonl: {path: rows.jsonl, id: id, input: text, target: label}}
  clean: [{semantic_dedup: {hub: me/words}}]
  split: {valid: 0.2, test: 0.2}
"""
DROPPED = [("Rjay", "Rj", 0.995037)]


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """A recipe, and ten rows that have nothing in common, the last again in another word."""
    words = [*"abcdefghij", "jay"]
    rows = [{"id": f"R{word}", "text": word, "label": "b" if word[0] in "bdfhj" else "a"} for word in words]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(EMBEDDED)
    return tmp_path


def embeddings(folder: Path, name: str = "embeddings") -> dict[str, bytes]:
    """A folder of model2vec: ten words at right angles, and jay at the cosine 1/√1.01 to j."""
    vectors = dict(zip("abcdefghij", np.eye(10).tolist(), strict=True))
    return files_of(model(folder, {**vectors, "jay": [*[0.0] * 8, 0.1, 1.0]}, name=name))


def prepare(*more: str, runs: str = "runs", **step: str) -> list[str]:
    clean = json.dumps([{"semantic_dedup": step or {"hub": "me/words"}}])
    return ["prepare", "recipe.yaml", "--runs-dir", runs, "--set", f"data.clean={clean}", *more]


def prepared(folder: Path, runs: str = "runs") -> Prepared:
    (found,) = (folder / runs).glob("embedded/prepare-*")
    return Prepared(found)


def dropped(rows: Prepared) -> list[tuple[str, str, float]]:
    events = [json.loads(line) for line in (rows.path / "ledger.jsonl").read_text().splitlines()]
    return [(each["id"], each["kept_id"], each["score"]) for each in events if each["action"] == "drop"]


def test_embeddings_are_fetched_without_pickles_and_known_by_their_commit(embedded: Path) -> None:
    more = {name: EXTRA[name] for name in ("pytorch_model.bin", "modeling_evil.py", "README.md")}
    with serving({"models/me/words": {**embeddings(embedded / "words"), **more}}) as hub:
        (done,) = ftkit_apart([prepare()], cwd=embedded, env=environment(hub.endpoint, embedded / "home"))
    assert done.code == 0, done.err
    assert dropped(prepared(embedded)) == DROPPED
    assert prepared(embedded).summary.sources["0"] == f"me/words@{COMMIT}"
    assert hub.downloaded == ["config.json", "model.safetensors", "tokenizer.json"]
    assert hub.asked.count("GET /api/models/me/words") == 1


def test_embeddings_as_sentence_transformers_saves_them_are_found_in_their_folder(embedded: Path) -> None:
    inside = embeddings(embedded / "words", name="embedding.weight")
    files = {"modules.json": b"[]", **{f"0_StaticEmbedding/{name}": content for name, content in inside.items()}}
    with serving({"models/me/words": files}) as hub:
        (done,) = ftkit_apart([prepare()], cwd=embedded, env=environment(hub.endpoint, embedded / "home"))
    assert done.code == 0, done.err
    assert dropped(prepared(embedded)) == DROPPED


def test_embeddings_that_were_fetched_serve_offline_also_by_the_name_of_their_branch(embedded: Path) -> None:
    branch = {"hub": "me/words", "revision": "main"}
    with serving({"models/me/words": embeddings(embedded / "words")}) as hub:
        env = environment(hub.endpoint, embedded / "home")
        done = ftkit_apart([prepare(), prepare(runs="branch", **branch)], cwd=embedded, env=env)
    assert [each.code for each in done] == [0, 0], done
    again, anew, named, pinned, away = ftkit_apart(
        [
            prepare("--offline"),
            prepare("--offline", runs="anew"),
            prepare("--offline", runs="branch", **branch),
            prepare(runs="pinned", hub="me/words", revision=COMMIT),
            prepare(runs="away"),
        ],
        cwd=embedded, env=env,
    )  # fmt: skip
    assert [each.code for each in (again, anew, named, pinned, away)] == [0, 0, 0, 0, 4], away.err
    assert ("prepare: reused" in again.err, "prepare: reused" in named.err) == (True, True)
    assert dropped(prepared(embedded, "anew")) == dropped(prepared(embedded, "pinned")) == DROPPED
    assert "error: semantic_dedup.hub: me/words: the hub did not answer: " in away.err
    assert "; check the network, or use --offline with a copy that was downloaded before" in away.err


def test_embeddings_that_cannot_be_had_say_why_and_what_to_do(embedded: Path) -> None:
    asked = [
        (
            prepare(hub="me/gated"),
            "me/gated: the repository is gated; ask for access on its page, then log in with `hf auth login`: http",
        ),
        (prepare(hub="me/none"), "me/none: no such repository, or a private one; check the name"),
        (
            prepare(hub="me/words", revision="v9"),
            "me/words at v9: the repository has no such revision; check semantic_dedup.revision",
        ),
        (prepare(hub="me--words"), "me--words: not a repository name as owner/name: "),
        (prepare(hub="me/pickled"), "me/pickled: no weights: *.safetensors is missing; pickled weights are refused"),
        (prepare("--offline", hub="me/new"), "me/new: offline, and it was not downloaded before; run once with"),
        (
            prepare("--offline", hub="me/new", revision=COMMIT),
            f"me/new at {COMMIT}: the network is off (offline) and the model is",
        ),
    ]
    words = embeddings(embedded / "words")
    pickled = {"modules.json": b"[]", "config.json": b"{}", "pytorch_model.bin": b"pickled"}
    repositories = {"models/me/words": words, "models/me/gated": words, "models/me/pickled": pickled}
    with serving(repositories, gated=frozenset({"models/me/gated"})) as hub:
        calls = [call for call, _ in asked]
        found = ftkit_apart(calls, cwd=embedded, env=environment(hub.endpoint, embedded / "home"))
    for done, (_, message) in zip(found, asked, strict=True):
        assert (done.code, done.out, "Traceback" in done.err) == (4, "", False), done.err
        assert f"error: semantic_dedup.hub: {message}" in done.err
    assert "pytorch_model.bin" not in hub.downloaded


def test_embeddings_that_bring_code_are_refused_and_their_code_is_not_fetched(embedded: Path) -> None:
    modules = json.dumps([{"idx": 0, "name": "0", "path": "", "type": "modeling_evil.Module"}]).encode()
    files = {"modules.json": modules, "modeling_evil.py": b"raise SystemExit('ran')"}
    weights = embeddings(embedded / "words", name="other")["model.safetensors"]
    with serving({"models/me/words": {**files, "model.safetensors": weights}}) as hub:
        (done,) = ftkit_apart([prepare()], cwd=embedded, env=environment(hub.endpoint, embedded / "home"))
    assert done.code == 4
    assert "modules.json: module 'modeling_evil.Module' is code from elsewhere" in done.err
    assert hub.downloaded == ["model.safetensors", "modules.json"]


def test_a_fast_check_of_a_recipe_with_embeddings_asks_nobody(embedded: Path) -> None:
    with serving({}) as hub:
        env = environment(hub.endpoint, embedded / "home")
        (done,) = ftkit_apart([["check", "recipe.yaml", "--fast"]], cwd=embedded, env=env)
    assert (done.code, hub.asked) == (0, []), done.err


def test_offline_keeps_libraries_off_the_network_while_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    names = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "HF_EVALUATE_OFFLINE", "TRANSFORMERS_OFFLINE")
    online = dict(zip(names, (None, "0", None, "false"), strict=True))
    loaded = [*_loaded(monkeypatch, names), huggingface_hub.constants]
    for name, value in online.items():
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
        for module in loaded:
            if hasattr(module, name):
                monkeypatch.setattr(module, name, False)

    def switches() -> dict[str, str | None]:
        return {name: os.environ.get(name) for name in names}

    def are_off() -> set[bool]:
        return {getattr(module, name) for module in loaded for name in names if hasattr(module, name)}

    with libraries_offline(False):
        assert (switches(), are_off()) == (online, {False})
    with libraries_offline(True):
        assert (switches(), are_off()) == (dict.fromkeys(names, "1"), {True})
    assert (switches(), are_off()) == (online, {False})


def _loaded(monkeypatch: pytest.MonkeyPatch, names: Sequence[str]) -> list[ModuleType]:
    """Stand-ins for libraries that read their switches at import, which takes seconds."""
    modules = [ModuleType("datasets.config"), ModuleType("evaluate.config")]
    for module in modules:
        for name in names:
            setattr(module, name, False)
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return modules
