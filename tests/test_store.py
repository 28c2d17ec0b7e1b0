"""Run directories: keys, manifests, the lock, publishing by rename, and what damage is answered with."""

from __future__ import annotations

import os
import resource
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from kill_points import Killed, KillPoints

from ftkit.errors import ArtifactError, BusyError, MachineError
from ftkit.store import (
    MANIFEST,
    begin,
    cached_file_digest,
    derive_seed,
    discard,
    file_digest,
    keep_json,
    kept_json,
    locked,
    publish,
    published,
    read_json,
    refuse_links,
    stage_key,
    sweep,
    verify,
    write_bytes,
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


def test_a_publish_killed_at_any_point_loses_no_scratch_before_it_is_done(tmp_path: Path) -> None:
    with KillPoints(tmp_path / "whole").watching() as whole:
        make(tmp_path / "whole")
    assert any(" ".join(["rename", str(tmp_path / "whole" / "prepare-k1.partial")]) == point for point in whole.seen)
    for at in range(len(whole.seen)):
        run_dir = tmp_path / str(at)
        with KillPoints(run_dir, at).watching(), suppress(Killed):
            make(run_dir)
        if not (run_dir / "prepare-k1").exists():
            partial = begin(run_dir, "prepare", "k1")
            was_begun = whole.seen[at].startswith(("mkdir", "open", "write")) and "manifest" not in whole.seen[at]
            assert was_begun or (partial / "scratch").is_dir(), whole.seen[at]
            make(run_dir)
        artifact = published(run_dir, "prepare", "k1")
        assert artifact is not None and sorted(artifact.files) == ["model/weights", "train.jsonl"]
        assert [path.name for path in run_dir.iterdir() if path.suffix != ".gone"] == ["prepare-k1"], whole.seen[at]
        sweep(run_dir)
        assert [path.name for path in run_dir.iterdir()] == ["prepare-k1"]


def test_a_folder_that_is_deleted_is_gone_by_its_name_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "answered"
    folder.mkdir(parents=True)
    for name in "ab":
        (folder / name).write_text(name)
    with KillPoints(tmp_path / "run", "unlink *b").watching(), suppress(Killed):
        discard(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["answered.gone"]


@pytest.mark.parametrize("changed", ["0.125", "0.12", "true"])
def test_what_is_kept_is_used_again_only_as_it_was_written(changed: str, tmp_path: Path) -> None:
    path, said = tmp_path / "kept.json", list[str]()
    keep_json(path, {"value": 0.25, "name": "few_shot(k=4)"})
    assert kept_json(path, said.append) == {"value": 0.25, "name": "few_shot(k=4)"}
    path.write_text(path.read_text().replace("0.25", changed))
    assert kept_json(path, said.append) is None
    assert said == [f"{path}: damaged; made again"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"null", b'{"value": NaN, "sha256": ""}', b"\xff", b"[" * 10**5])
def test_what_cannot_be_read_counts_as_not_there(content: bytes, tmp_path: Path) -> None:
    path, said = tmp_path / "kept.json", list[str]()
    assert kept_json(path, said.append) is None and said == []
    path.write_bytes(content)
    assert kept_json(path, said.append) is None
    assert said == [f"{path}: damaged; made again"]


def test_one_changed_digit_in_a_manifest_is_found(tmp_path: Path) -> None:
    path = begin(tmp_path, "train", "k1")
    (path / "steps.jsonl").write_text("{}")
    made = publish(path, keep=frozenset({"steps.jsonl"}), facts={"day": "2026-11-30"}).path
    manifest = made / MANIFEST
    manifest.write_text(manifest.read_text().replace("2026-11-30", "2026-11-31"))
    assert read_json(manifest)["facts"] == {"day": "2026-11-31"}
    with pytest.raises(ArtifactError, match=r"manifest\.json: missing or damaged"):
        published(tmp_path, "train", "k1")


def test_weights_changed_in_place_with_their_size_and_mtime_are_hashed_again(tmp_path: Path) -> None:
    path, cache = tmp_path / "model.safetensors", tmp_path / "digests.json"
    path.write_bytes(b"one")
    before = path.stat()
    cached_file_digest(path, cache)
    with path.open("r+b") as file:
        file.write(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert cached_file_digest(path, cache) == sha256(b"two").hexdigest()


def test_a_changed_digit_in_the_cache_of_hashes_is_no_hash(tmp_path: Path) -> None:
    path, cache = tmp_path / "model.safetensors", tmp_path / "digests.json"
    path.write_bytes(b"one")
    hashed = cached_file_digest(path, cache)
    cache.write_text(cache.read_text().replace(hashed, hashed[::-1]))
    assert cached_file_digest(path, cache) == hashed


@pytest.mark.parametrize("name", ["latest.json", "prepare-k1.partial", "prepare-k1.partial/train.jsonl", "a/b/c"])
def test_a_link_below_a_run_directory_is_refused_by_its_name(name: str, tmp_path: Path) -> None:
    link = tmp_path / "run" / name
    link.parent.mkdir(parents=True)
    refuse_links(tmp_path / "run")
    link.symlink_to(tmp_path / "outside")
    with pytest.raises(ArtifactError) as caught:
        refuse_links(tmp_path / "run")
    assert str(caught.value).startswith(f"{link}: is a link")


def test_a_pipe_below_a_run_directory_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.log")
    with pytest.raises(ArtifactError, match=r"run\.log: is neither a file nor a folder"):
        refuse_links(tmp_path)


def test_a_file_for_which_there_is_no_room_is_named_with_what_it_needs(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(MachineError) as caught:
            write_bytes(tmp_path / "rows", bytes(3 * 2**20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value).startswith(f"{tmp_path / 'rows'}: no room on the disk: 3.0 MiB are needed, ")
    assert caught.value.exit_code == 4
