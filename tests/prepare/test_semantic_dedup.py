"""Embeddings of local folders, and dropping rows that say the same, with small models made here."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest
from pydantic import ValidationError
from safetensors.numpy import save_file
from word_vectors import WORDS, model

from ftkit.contracts import Context
from ftkit.errors import DataError, MachineError
from ftkit.prepare.cleaning import semantic_dedup
from ftkit.prepare.cleaning.semantic_dedup import SemanticDedup
from ftkit.prepare.rows import Rows
from ftkit.prepare.texts.embeddings import load_embedder

Event = tuple[str, str | None, float | None]


def rows_of(*rows: tuple[str, str]) -> Rows:
    values = polars.DataFrame(rows, schema=["input", "target"], orient="row")
    return Rows.of(values.with_columns(id=polars.Series([str(number) for number in range(1, len(rows) + 1)])))


def dropped(folder: Path, rows: Rows, ctx: Context | None = None, **options: Any) -> list[Event]:
    marked = semantic_dedup.apply(SemanticDedup(model=str(folder), **options), rows, ctx or Context())
    assert set(marked.events["action"]) <= {"drop"}
    assert set(marked.events["reason"]) <= {"says the same, with the same target, as a kept row"}
    return list(marked.events.select("id", "kept_id", "score").iter_rows())


def test_an_embedding_is_the_mean_of_the_known_tokens_without_truncation(tmp_path: Path) -> None:
    embed = load_embedder(model(tmp_path))
    found = embed(["red", "Red blue", "red blue unknown", "red red red red red blue blue", "unknown", ""])
    expected = [[1, 0], [0.5, 0.5], [0.5, 0.5], [5 / 7, 2 / 7], [0, 0], [0, 0]]
    assert found.dtype == np.float32
    assert found.tolist() == [pytest.approx(vector) for vector in expected]
    assert embed([]).shape == (0, 2)


def test_sentence_transformers_gives_the_unknown_token_its_vector(tmp_path: Path) -> None:
    model(tmp_path / "0_StaticEmbedding", name="embedding.weight")
    assert load_embedder(tmp_path)(["red unknown"]).tolist() == [[5.0, 4.5]]


def test_tokens_can_share_vectors_and_have_weights(tmp_path: Path) -> None:
    mapping = np.array([0, 1, 2, 2, 4])  # [UNK] red blue rose anti: a rose is blue
    weights = np.array([1, 1, 3, 1, 1], np.float64)
    folder = model(tmp_path, mapping=mapping, weights=weights)
    assert load_embedder(folder)(["rose", "red blue"]).tolist() == [[0.0, 1.0], [0.5, 1.5]]


def test_a_row_near_to_a_kept_one_of_its_target_is_dropped_with_the_cosine(tmp_path: Path) -> None:
    """Cosines with red: rose 0.8; red red blue 2/√5; anti −1."""
    folder = model(tmp_path)
    rows = rows_of(("red", "a"), ("rose", "a"), ("red red blue", "a"), ("red", "b"), ("anti", "a"), ("RED", "a"))
    assert dropped(folder, rows, threshold=0.8) == [("2", "1", 0.8), ("3", "1", 0.894427), ("6", "1", 1.0)]
    assert dropped(folder, rows, threshold=0.800001) == [("3", "2", 0.983870), ("6", "1", 1.0)]
    assert dropped(folder, rows, threshold=1.0) == [("6", "1", 1.0)]


def test_a_chain_drops_only_rows_near_to_a_kept_one(tmp_path: Path) -> None:
    """Each is near to the next at 0.8, the ends are not (0.28): the second goes, the third stays."""
    folder = model(tmp_path, {"one": [1, 0], "two": [0.8, 0.6], "three": [0.28, 0.96]})
    assert dropped(folder, rows_of(("one", "a"), ("two", "a"), ("three", "a")), threshold=0.8) == [("2", "1", 0.8)]


def test_the_longest_of_rows_that_say_the_same_stays(tmp_path: Path) -> None:
    rows = rows_of(("red", "a"), ("red red red", "a"), ("red red", "a"))
    assert dropped(model(tmp_path), rows, keep="longest") == [("1", "2", 1.0), ("3", "2", 1.0)]


def test_rows_without_a_known_token_are_kept_and_said(tmp_path: Path) -> None:
    ctx = Context()
    assert dropped(model(tmp_path), rows_of(("xx", "a"), ("yy", "a"), ("red", "a")), ctx) == []
    assert ctx.progress.said == [  # type: ignore[attr-defined]
        "semantic_dedup: 2 rows hold no token that the model knows, and are kept"
    ]


def test_what_is_dropped_is_what_a_search_row_by_row_drops(tmp_path: Path) -> None:
    """More rows than one block, and more kept rows than are compared at once, in float64 here."""
    dice = np.random.default_rng(3)
    vectors = dice.normal(size=(9_600, 24))
    copies = dice.choice(9_600, size=900, replace=False)
    vectors[copies] = vectors[dice.integers(0, 9_600, 900)] + 0.2 * dice.normal(size=(900, 24))
    vectors = vectors.astype(np.float32)
    words = {f"w{number}": vector for number, vector in enumerate(vectors.tolist())}
    targets = ["rare" if number % 20 == 0 else "a" for number in range(9_600)]
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    expected: list[Event] = []
    for target in ("a", "rare"):
        kept: list[int] = []
        table = np.empty_like(unit)
        for row in (number for number in range(9_600) if targets[number] == target):
            cosines = (table[: len(kept)] @ unit[row]).round(6)
            if len(kept) and cosines.max() >= 0.9:
                expected.append((str(row + 1), str(kept[cosines.argmax()] + 1), cosines.max()))
            else:
                table[len(kept)] = unit[row]
                kept.append(row)
        assert len(kept) > (8192 if target == "a" else 400)
    found = dropped(model(tmp_path, words), rows_of(*zip(words, targets, strict=True)), threshold=0.9)
    assert len(found) > 300
    assert found == sorted(expected, key=lambda event: int(event[0]))


def test_which_rows_stay_does_not_depend_on_their_order(tmp_path: Path) -> None:
    dice = random.Random(7)
    folder = model(tmp_path)
    texts = [" ".join(dice.choices(["red", "blue", "rose", "zz"], k=dice.randint(1, 5))) for _ in range(60)]
    table = polars.DataFrame({"id": [str(number) for number in range(60)], "input": texts, "target": "a"})
    gone = {event[0] for event in dropped(folder, Rows.of(table), keep="longest", threshold=0.95)}
    assert 20 < len(gone) < 60
    mixed = Rows.of(table.sample(fraction=1, shuffle=True, seed=1))
    assert {event[0] for event in dropped(folder, mixed, keep="longest", threshold=0.95)} == gone
    rest = table.filter(~polars.col("id").is_in(list(gone)))
    assert dropped(folder, Rows.of(rest), keep="longest", threshold=0.95) == []


def test_more_rows_than_can_be_compared_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="semantic_dedup: 3 rows; at most 2 are compared: raise its max_rows"):
        dropped(model(tmp_path), rows_of(*[("red", "a")] * 3), max_rows=2)


def test_the_folder_starts_where_the_recipes_paths_start(tmp_path: Path) -> None:
    model(tmp_path / "models" / "static")
    ctx = Context(base_dir=tmp_path)
    marked = semantic_dedup.apply(SemanticDedup(model="models/static"), rows_of(("red", "a"), ("red", "a")), ctx)
    assert marked.events["id"].to_list() == ["2"]


def test_the_content_id_is_that_of_the_models_bytes(tmp_path: Path) -> None:
    folder, ctx = model(tmp_path / "model"), Context(cache_dir=tmp_path / "cache")
    ids = [SemanticDedup(model=str(folder)).content_id(ctx)]
    (folder / "README.md").write_text("for people")
    ids.append(SemanticDedup(model=str(folder)).content_id(ctx))
    model(folder, {**WORDS, "red": [0.5, 0.5]})
    ids.append(SemanticDedup(model=str(folder)).content_id(ctx))
    assert ids[0] == ids[1] != ids[2]
    with pytest.raises(MachineError, match="nowhere: no such folder"):
        SemanticDedup(model=str(tmp_path / "nowhere")).content_id(ctx)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give either model, a folder, or hub"),
        ({"model": "words", "hub": "me/words"}, "give either model, a folder, or hub"),
        ({"model": "words", "revision": "main"}, "revision belongs to hub; a folder has none"),
    ],
)
def test_the_model_is_a_folder_or_a_repository_of_the_hub(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SemanticDedup.model_validate(options)


def test_a_pinned_repository_is_its_own_content_id_and_asks_nobody() -> None:
    config = SemanticDedup(hub="me/words", revision="1" * 40)
    assert config.content_id(Context(offline=True)) == f"me/words@{'1' * 40}"


def test_a_folder_that_is_no_embedding_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="nowhere: no such folder; give one as model2vec or sentence-transformers"):
        load_embedder(tmp_path / "nowhere")
    with pytest.raises(MachineError, match=r"neither static embeddings .* nor a folder of sentence-transformers"):
        load_embedder(tmp_path)


def test_damaged_models_are_named(tmp_path: Path) -> None:
    folder = model(tmp_path / "tokenizer")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(MachineError, match=r"tokenizer.json: cannot be read: .*; download the model again"):
        load_embedder(folder)
    folder = model(tmp_path / "weights")
    (folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(MachineError, match=r"model.safetensors: damaged: .*; download the model again"):
        load_embedder(folder)
    with pytest.raises(MachineError, match="tensor 'embeddings' is no table of finite numbers"):
        load_embedder(model(tmp_path / "nan", {"red": [float("nan"), 1.0]}))
    folder = model(tmp_path / "short")
    save_file({"embeddings": np.ones((3, 2), np.float32)}, folder / "model.safetensors")
    with pytest.raises(MachineError, match=r"fewer vectors than the 5 tokens of its tokenizer.json"):
        load_embedder(folder)


def transformer(folder: Path, kind: str = "sentence_transformers.models.Transformer") -> Path:
    folder.mkdir()
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "name": "0", "path": "", "type": kind}]))
    return folder


def test_a_missing_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MachineError, match=r"needs sentence-transformers, .* pip install 'ftkit\[semantic\]'"):
        load_embedder(transformer(tmp_path / "model"))


def test_code_and_pickles_of_a_folder_are_refused(tmp_path: Path) -> None:
    """Versions of sentence-transformers before 6 import what a local modules.json names, without trust_remote_code."""
    with pytest.raises(MachineError, match=r"module 'evil\.Module' is code from elsewhere"):
        load_embedder(transformer(tmp_path / "code", "evil.Module"))
    folder = transformer(tmp_path / "pickle")
    (folder / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(MachineError, match=r"pytorch_model.bin: pickled weights are refused; convert to safetensors"):
        load_embedder(folder)
