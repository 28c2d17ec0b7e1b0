"""Run directories: keys, manifests, the lock, publishing by rename, and what damage is answered with."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from ftkit.errors import ArtifactError, BusyError
from ftkit.store import (
    begin,
    cached_file_digest,
    derive_seed,
    file_digest,
    locked,
    publish,
    published,
    stage_key,
    verify,
    write_json,
)


def make(run_dir: Path, *, text: str = "rows", key: str = "k1") -> Path:
    partial = begin(run_dir, "prepare", key)
    (partial / "train.jsonl").write_text(text)
    (partial / "model").mkdir(exist_ok=True)
    (partial / "model" / "weights").write_text("w")
    (partial / "scratch").mkdir(exist_ok=True)
    return publish(partial, keep=frozenset({"train.jsonl", "model", "timing.json"}), facts={}).path


def test_what_was_published_is_found_and_scratch_is_gone(tmp_path: Path) -> None:
    path = make(tmp_path)
    artifact = published(tmp_path, "prepare", "k1")
    assert artifact is not None
    assert artifact.path == path == tmp_path / "prepare-k1"
    assert sorted(artifact.files) == ["model/weights", "train.jsonl"]
    assert not (path / "scratch").exists()


def test_a_partial_folder_is_not_an_artifact(tmp_path: Path) -> None:
    begin(tmp_path, "prepare", "k1")
    assert published(tmp_path, "prepare", "k1") is None


def test_the_content_id_follows_the_bytes_and_not_the_clock(tmp_path: Path) -> None:
    one, two = (verify(make(tmp_path / name, text="x")) for name in "ab")
    other = verify(make(tmp_path / "c", text="y"))
    timed = begin(tmp_path / "d", "prepare", "k1")
    write_json(timed / "timing.json", {"seconds": 3.2})
    assert one.content_id == two.content_id == verify(make(tmp_path / "d", text="x")).content_id
    assert one.content_id != other.content_id


@pytest.mark.parametrize("damage", ["flip", "delete", "add", "manifest"])
def test_damage_is_an_error_that_names_the_file(tmp_path: Path, damage: str) -> None:
    path = make(tmp_path)
    if damage == "flip":
        (path / "train.jsonl").write_text("rowz")
    elif damage == "delete":
        (path / "train.jsonl").unlink()
    elif damage == "add":
        (path / "foreign").write_text("")
    else:
        (path / "manifest.json").write_text("{")
    expected = {"add": "foreign", "manifest": "manifest.json"}.get(damage, "train.jsonl")
    with pytest.raises(ArtifactError, match=expected) as caught:
        published(tmp_path, "prepare", "k1")
    assert caught.value.exit_code == 7


def test_a_second_process_is_told_that_the_run_is_busy(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(BusyError, match="another ftkit"), locked(tmp_path):
        pass
    with locked(tmp_path):
        pass


def test_a_key_changes_with_each_of_its_parts() -> None:
    keys = {
        stage_key("train", 1, {"epochs": 1}, {"rows": "a"}),
        stage_key("train", 2, {"epochs": 1}, {"rows": "a"}),
        stage_key("train", 1, {"epochs": 2}, {"rows": "a"}),
        stage_key("train", 1, {"epochs": 1}, {"rows": "b"}),
        stage_key("baseline", 1, {"epochs": 1}, {"rows": "a"}),
    }
    assert len(keys) == 5
    assert stage_key("train", 1, {"a": 1, "b": 2}, {}) == stage_key("train", 1, {"b": 2, "a": 1}, {})


def test_seeds_differ_by_purpose_and_stay_the_same() -> None:
    assert derive_seed(17, "train", "lora") == int(sha256(b'[17,"train","lora"]').hexdigest()[:8], 16) // 2
    assert derive_seed(17, "train", "full") != derive_seed(17, "train", "lora") != derive_seed(18, "train", "lora")


def test_a_cached_digest_notices_new_bytes(tmp_path: Path) -> None:
    path, cache = tmp_path / "model.safetensors", tmp_path / "cache" / "digests.json"
    path.write_bytes(b"one")
    first = cached_file_digest(path, cache)
    assert first == cached_file_digest(path, cache) == file_digest(path)
    path.write_bytes(b"other")
    assert cached_file_digest(path, cache) == file_digest(path) != first
