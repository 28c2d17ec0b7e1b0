"""Models and data sets of the hub, from a stand-in on this machine: what is fetched, kept, and taken for the same."""

from __future__ import annotations

import json
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
}
WANTED = ["chat_template.jinja", "config.json", "generation_config.json", "model.safetensors"]
TOKENIZER = ["tokenizer.json", "tokenizer_config.json"]


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    return make_set_up(tmp_path_factory.mktemp("hub"))


def repositories(set_up: SetUp) -> dict[str, dict[str, bytes]]:
    rows = "".join(json.dumps(row) + "\n" for row in make_rows()).encode()
    return {
        "models/me/tiny": {**files_of(set_up.folder / "base"), **EXTRA},
        "datasets/me/rows": {"train.jsonl": rows},
    }


def run(model: dict[str, str], *more: str) -> list[str]:
    return ["run", "recipe.yaml", "--set", f"model={json.dumps(model)}", *more]


def call(calls: list[list[str]], hub: Hub, set_up: SetUp, home: Path) -> list[Done]:
    done = ftkit_apart(calls, cwd=set_up.folder, env=environment(hub.endpoint, home))
    for each in done:
        assert "Traceback" not in each.err
    return done


def test_a_model_of_the_hub_is_fetched_once_and_serves_offline(set_up: SetUp, tmp_path: Path) -> None:
    runs = str(tmp_path / "runs")
    again = str(tmp_path / "again")
    with serving(repositories(set_up)) as hub:
        (first,) = call([run({"hub": "me/tiny"}, "--runs-dir", runs)], hub, set_up, tmp_path)
        assert first.code == 0, first.err
        assert hub.downloaded == sorted([*WANTED, *TOKENIZER])
        assert hub.asked.count("GET /api/models/me/tiny/revision/main") == 1  # a branch is asked for once a run
        hub.asked.clear()
        calls = [run({"hub": "me/tiny"}, "--offline", "--runs-dir", where) for where in (runs, again)]
        second, third = call(calls, hub, set_up, tmp_path)
        assert hub.asked == []
    assert second.code == third.code == 0, third.err
    assert second.out == first.out
    assert second.err.count(": reused, ") == 5
    assert third.err.count(": done, ") == 5
    one, two = (Compared(next(Path(where).glob("small/compare-*"))).verdict for where in (runs, again))
    assert one == two


def test_a_model_of_the_hub_is_known_by_repository_commit_and_files(set_up: SetUp, tmp_path: Path) -> None:
    base = set_up.folder / "base"
    with serving(repositories(set_up)) as hub:
        calls = [
            run({"hub": "me/tiny", "revision": revision}, "--until", "train", "--runs-dir", str(tmp_path / revision))
            for revision in ("main", COMMIT)
        ]
        calls.append(["run", "recipe.yaml", "--until", "train", "--runs-dir", str(tmp_path / "path")])
        for done in call(calls, hub, set_up, tmp_path):
            assert done.code == 0, done.err
    facts = {
        name: read_json(next((tmp_path / name).glob("small/train-lora-*/adapter/ftkit.json")))["base"]
        for name in ("main", COMMIT, "path")
    }
    files = {name: file_digest(base / name) for name in [*WANTED, *TOKENIZER]}
    assert facts["main"] == facts[COMMIT] == {"repository": "me/tiny", "commit": COMMIT, "files": files}
    assert facts["path"] == {"repository": "base", "commit": "", "files": files}


def test_a_pinned_commit_that_is_cached_needs_no_network(set_up: SetUp, tmp_path: Path) -> None:
    pinned = run({"hub": "me/tiny", "revision": COMMIT}, "--until", "prepare", "--runs-dir", str(tmp_path / "runs"))
    with serving(repositories(set_up)) as hub:
        (first,) = call([pinned], hub, set_up, tmp_path)
    other = run({"hub": "me/else", "revision": COMMIT}, "--runs-dir", str(tmp_path / "runs"))
    again, away = call([pinned, other], hub, set_up, tmp_path)
    assert (first.code, again.code) == (0, 0), again.err
    assert away.code == 4
    assert f"error: model.hub: me/else at {COMMIT}: " in away.err


def test_a_download_that_was_cut_off_is_no_model(set_up: SetUp, tmp_path: Path) -> None:
    """A file is missing from the cache: offline it is said, with network it is fetched."""
    quiet = run({"hub": "me/tiny"}, "--until", "prepare", "--runs-dir", str(tmp_path / "runs"))
    with serving(repositories(set_up)) as hub:
        (first,) = call([quiet], hub, set_up, tmp_path)
        (weights,) = tmp_path.rglob("snapshots/*/model.safetensors")
        weights.resolve().unlink()
        weights.unlink()
        hub.asked.clear()
        offline, online = call([[*quiet, "--offline"], quiet], hub, set_up, tmp_path)
        assert hub.downloaded == ["model.safetensors"]
    assert (first.code, offline.code, online.code) == (0, 4, 0), online.err
    assert "error: model.hub: me/tiny: the network is off (offline) and the model is not in the cache" in offline.err


def test_code_that_a_model_brings_is_fetched_with_the_users_word_and_a_commit_only(
    set_up: SetUp, tmp_path: Path
) -> None:
    trusted = ("--trust-remote-code", "--until", "prepare", "--runs-dir", str(tmp_path / "runs"))
    with serving(repositories(set_up)) as hub:
        (branch,) = call([run({"hub": "me/tiny", "revision": "main"}, *trusted)], hub, set_up, tmp_path)
        assert hub.downloaded == []
        (commit,) = call([run({"hub": "me/tiny", "revision": COMMIT}, *trusted)], hub, set_up, tmp_path)
        assert "modeling_evil.py" in hub.downloaded
    assert (branch.code, commit.code) == (4, 0)
    assert "remote code is trusted only with a model.revision that is a full commit" in branch.err


def test_rows_of_the_hub_are_read_once_and_serve_offline(set_up: SetUp, tmp_path: Path) -> None:
    source = {"hub": {"repository": "me/rows", "id": "id", "input": "text", "target": "label"}}
    prepare = ["run", "recipe.yaml", "--until", "prepare", "--set", f"data.source={json.dumps(source)}"]
    calls = [[*prepare, "--runs-dir", str(tmp_path / "one")]]
    with serving(repositories(set_up)) as hub:
        (first,) = call(calls, hub, set_up, tmp_path)
        assert first.code == 0, first.err
        hub.asked.clear()
        (second,) = call([[*prepare, "--offline", "--runs-dir", str(tmp_path / "two")]], hub, set_up, tmp_path)
        assert hub.asked == []
    assert second.code == 0, second.err
    one, two = (Prepared(next((tmp_path / name).glob("small/prepare-*"))) for name in ("one", "two"))
    assert one.split("train") == two.split("train")
    assert one.summary["sources"] == {"source": f"me/rows@{COMMIT}"}
