"""What all sources share: batches, ids, paths; the public sets held against other readers; the hub."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars
import pytest
from hub_standin import COMMIT, environment, serving
from hypothesis import given
from hypothesis import strategies as st
from source_reading import batches, rows, written

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.prepare.formats.json_rows import NOT_TEXT
from ftkit.prepare.rows import BATCH_ROWS
from ftkit.prepare.sources import FIRST_ROWS, FileSource, Ids
from ftkit.registry import find

ROWS = [{"input": "hi", "target": "a"}, {"input": "é 😀", "target": "b"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)


# --- batches ----------------------------------------------------------------------------------------------------------


def test_the_first_batch_is_small_and_comes_before_the_rest_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", '{"input": "x"}\n' * 150_000 + "broken\n")
    found = batches("jsonl", path)
    first = next(found)
    assert (first.table.height, dict(first.faults)) == (FIRST_ROWS, {})
    rest = list(found)
    assert sum(batch.table.height for batch in rest) == 150_000 - FIRST_ROWS
    assert max(batch.table.height for batch in rest) <= BATCH_ROWS
    assert [place for batch in rest for place in batch.faults] == [f"{path}:150001"]


def test_batches_hold_about_16_megabytes(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", (json.dumps({"input": "x" * 400_000}) + "\n") * 100)
    heights = [batch.table.height for batch in batches("jsonl", path)]
    assert heights == [42, 42, 16]  # 42 rows of 400 kB are the first to pass 16 MiB


def test_a_column_that_was_there_once_is_there_in_all_later_batches(tmp_path: Path) -> None:
    lines = ['{"a": "x", "b": 1}\n', *['{"a": "y"}\n'] * FIRST_ROWS, '{"c": true}\n']
    found = list(batches("jsonl", written(tmp_path / "t.jsonl", "".join(lines))))
    assert [batch.table.columns for batch in found] == [["id", "a", "b"], ["id", "a", "b", "c"]]


@pytest.mark.parametrize("source", ["jsonl", "csv", "text"])
def test_a_line_of_200_megabytes_is_a_fault_and_does_not_stand_in_memory(source: str, tmp_path: Path) -> None:
    path = tmp_path / "t.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(b'{"a": "x"}\n')
        for _ in range(200):
            file.write(b"y" * (1 << 20))
        file.write(b'\n{"a": "z"}\n')
    program = (
        "import re, sys\n"
        "from ftkit.contracts import Context\n"
        "from ftkit.registry import find\n"
        "component = find('sources', sys.argv[1])\n"
        "options = {'columns': ['a']} if sys.argv[1] == 'csv' else {}\n"
        "found = list(component.function(component.config_type(path=sys.argv[2], **options), Context()))\n"
        "print(sum(batch.table.height for batch in found), *[name for batch in found for name in batch.faults])\n"
        "print(int(re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())[1]) // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, source, str(path)], capture_output=True, text=True, check=True
    )
    read, megabytes = done.stdout.splitlines()
    assert read == f"2 {path}:2"
    assert int(megabytes) < 200


# --- ids --------------------------------------------------------------------------------------------------------------


def test_ids_may_come_from_a_column_numbers_too(tmp_path: Path) -> None:
    path = written(tmp_path / "t.jsonl", '{"key": 7, "id": "own"}\n{"key": "b"}\n')
    assert rows("jsonl", path, id="key") == [
        {"id": "7", "key": "7", NOT_TEXT: ["key"]},
        {"id": "b", "key": "b", NOT_TEXT: None},
    ]


@given(st.lists(st.lists(st.integers(0, 40).map(str), min_size=1, max_size=20), max_size=20))
def test_ids_that_stood_before_are_found_in_any_batches(parts: list[list[str]]) -> None:
    seen, ids = set[str](), Ids("id")
    for part in parts:
        expected = []
        for name in part:
            expected.append(name in seen)
            seen.add(name)
        assert ids.again(polars.Series(part)).to_list() == expected


# --- paths ------------------------------------------------------------------------------------------------------------


def test_a_folder_and_a_glob_are_read_in_the_order_of_names_and_ids_hold_the_path(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.jsonl", "deep/c.jsonl", ".hidden.jsonl", "notes.txt"):
        written(tmp_path / "data" / name, '{"input": "x"}\n')
    written(tmp_path / "data" / "d.jsonl.gz", gzip.compress(b'{"input": "x"}\n'))

    def ids(path: Path) -> list[str]:
        return [row["id"] for row in rows("jsonl", path)]

    assert ids(tmp_path / "data") == ["a.jsonl:1", "b.jsonl:1", "d.jsonl.gz:1"]
    assert ids(tmp_path / "data" / "**" / "*.jsonl") == ["a.jsonl:1", "b.jsonl:1", "deep/c.jsonl:1"]
    assert ids(tmp_path / "*" / "[ab].jsonl") == ["data/a.jsonl:1", "data/b.jsonl:1"]


def test_a_file_whose_name_looks_like_a_pattern_is_that_file(tmp_path: Path) -> None:
    assert len(rows("jsonl", written(tmp_path / "t[1].jsonl", LINES))) == 2


def test_paths_start_at_the_base_folder(tmp_path: Path) -> None:
    written(tmp_path / "t.jsonl", LINES)
    component = find("sources", "jsonl")
    (batch,) = component.function(component.config_type.model_validate({"path": "t.jsonl"}), Context(base_dir=tmp_path))
    assert batch.table.height == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("ticket.jsonl", "ticket.jsonl: no such file .*did you mean 'tickets.jsonl'?"),
        ("nowhere/t.jsonl", "the folder .*nowhere does not exist either"),
        ("nowhere/*.jsonl", "the folder .*nowhere does not exist"),
        ("*.jsonll", "no file has a name like this"),
        ("deep", r"deep: the folder has no file that ends in one of .jsonl, .* \(it has only 'notes.txt'; a glob"),
        ("above", r"no file that ends in one of .*; there are some deeper down: .*above/\*\*/\*.jsonl"),
    ],
)
def test_a_path_without_files_is_an_error_that_says_what_is_there(path: str, expected: str, tmp_path: Path) -> None:
    for name in ("tickets.jsonl", "deep/notes.txt", "above/below/t.jsonl"):
        written(tmp_path / name, LINES)
    with pytest.raises(DataError, match=expected):
        list(batches("jsonl", tmp_path / path))


def content_id(path: Path) -> str:
    config = find("sources", "jsonl").config_type.model_validate({"path": str(path)})
    assert isinstance(config, FileSource)
    return config.content_id(Context())


def test_the_content_id_of_one_file_is_its_sha_256_wherever_it_stands(tmp_path: Path) -> None:
    expected = hashlib.sha256(LINES.encode()).hexdigest()
    alone = [written(tmp_path / "one" / "t.jsonl", LINES), written(tmp_path / "two" / "other.jsonl", LINES)]
    assert [content_id(path) for path in (*alone, tmp_path / "one", tmp_path / "two" / "*.jsonl")] == [expected] * 4


def test_the_content_id_of_several_files_is_that_of_their_names_and_bytes(tmp_path: Path) -> None:
    one, two = LINES.splitlines(keepends=True)
    folders = {
        "first": {"a.jsonl": one, "b.jsonl": two},
        "same": {"b.jsonl": two, "a.jsonl": one},
        "other name": {"a.jsonl": one, "c.jsonl": two},
        "other bytes": {"a.jsonl": one, "b.jsonl": two.rstrip()},
        "swapped": {"a.jsonl": two, "b.jsonl": one},
        "one more": {"a.jsonl": one, "b.jsonl": two, "c.jsonl": two},
    }
    for folder, files in folders.items():
        for name, text in files.items():
            written(tmp_path / folder / name, text)
    ids = {folder: content_id(tmp_path / folder) for folder in folders}
    assert ids.pop("same") == ids["first"]
    assert len(set(ids.values())) == len(ids) == 5


# --- the public sets, held against other readers ----------------------------------------------------------------------


def test_banking77_is_read_as_the_csv_module_reads_it(shared_data: Path) -> None:
    path = shared_data / "banking77" / "train.csv"
    expected = list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))
    assert len(expected) == 10_003
    assert [{"text": row["text"], "category": row["category"]} for row in rows("csv", path)] == expected


def test_goemotions_is_found_to_be_tabs_and_quotes(shared_data: Path) -> None:
    path = shared_data / "goemotions" / "dev.tsv"
    with path.open(encoding="utf-8", newline="") as file:
        expected = list(csv.reader(file, "excel-tab"))
    found = rows("csv", path, columns=["text", "labels", "key"], id="key")
    assert len(expected) == 5_426
    assert [[row["text"], row["labels"], row["id"]] for row in found] == expected


@pytest.mark.parametrize(
    ("name", "path", "num_rows"),
    [
        ("clinc150/data_full.json", "train", 15_000),
        ("clinc150/data_full.json", "oos_test", 1_000),
        ("restaurant8k/test.json", "", 3_731),
        ("llmbar/LLMBar_Natural.json", "", 100),
    ],
)
def test_json_of_the_public_sets_is_read_as_the_standard_library_reads_it(
    name: str, path: str, num_rows: int, shared_data: Path
) -> None:
    expected = json.loads((shared_data / name).read_bytes())
    expected = expected[path] if path else expected
    found = rows("json", shared_data / name, **({"rows": path} if path else {}))
    assert len(expected) == len(found) == num_rows
    assert [plain(row) for row in found] == [
        {str(place): value for place, value in enumerate(row)} if isinstance(row, list) else row for row in expected
    ]


@pytest.mark.parametrize(
    ("name", "num_rows"), [("gsm8k/test.jsonl", 1_319), ("aqua/dev.json", 254), ("scitldr/dev.jsonl", 619)]
)
def test_json_lines_of_the_public_sets_are_read_as_the_standard_library_reads_them(
    name: str, num_rows: int, shared_data: Path
) -> None:
    expected = [json.loads(line) for line in (shared_data / name).read_bytes().splitlines()]
    found = rows("jsonl", shared_data / name)
    assert len(found) == num_rows
    assert [plain(row) for row in found] == expected


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it stood in the file: JSON text read again, and columns that the row did not have left out."""
    other = row.get(NOT_TEXT) or []
    read = {name: json.loads(value) if name in other else value for name, value in row.items()}
    return {name: value for name, value in read.items() if name not in ("id", NOT_TEXT) and value is not None}


# --- the hub ----------------------------------------------------------------------------------------------------------

FILES = {"train.csv": b"text,label\nhello,a\nbye,b\n", "README.md": b"---\nlicense: mit\n---\n"}
REPOSITORIES = {"datasets/me/tiny": FILES, "datasets/me/gated": FILES}


READ = """
import json, sys
from ftkit.contracts import Context
from ftkit.errors import FtkitError
from ftkit.prepare.sources.hub import Hub, read
for options in json.loads(sys.argv[1]):
    offline = options.pop("offline", False)
    try:
        config, ctx = Hub(**options), Context(offline=offline)
        (batch,) = read(config, ctx)
        print(json.dumps([config.content_id(ctx), batch.table.rows()]))
    except FtkitError as error:
        print(json.dumps([error.exit_code, str(error)]))
"""


def read_hub(options: list[dict[str, object]], home: Path, endpoint: str) -> list[list[object]]:
    command = [sys.executable, "-c", READ, json.dumps(options)]
    done = subprocess.run(
        command, env={"PATH": "", **environment(endpoint, home)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_hub_data_set_is_read_at_its_commit_and_offline_again(tmp_path: Path) -> None:
    expected = [["train:1", "hello", "a"], ["train:2", "bye", "b"]]
    with serving(REPOSITORIES, gated=frozenset({"datasets/me/gated"})) as hub:
        asked = [{"repository": name} for name in ("me/tiny", "me/gated", "me/none")]
        wrong = [{"repository": "me/tiny", "split": "tset"}, {"repository": "me/tiny", "id": "lable"}]
        good, gated, none, split, column = read_hub(asked + wrong, tmp_path, hub.endpoint)
    assert good == [f"me/tiny@{COMMIT}", expected]
    assert hub.asked.count("GET /api/datasets/me/tiny") == 1  # for the key and for the rows
    assert gated[0] == 4 and "me/gated: the repository is gated; ask for access" in str(gated[1])
    assert none[0] == 4 and "me/none: no such repository, or a private one" in str(none[1])
    assert split[0] == 3 and "Unknown split" in str(split[1])
    assert column[0] == 3 and "did you mean 'label'?" in str(column[1])
    again: list[dict[str, object]] = [
        {"repository": "me/tiny"},
        {"repository": "me/tiny", "offline": True},
        {"repository": "me/other", "offline": True},
    ]
    away, offline, other = read_hub(again, tmp_path, hub.endpoint)
    assert away[0] == 4 and "the hub did not answer" in str(away[1])
    assert offline == [f"me/tiny@{COMMIT}", expected]
    assert other[0] == 4 and "offline, and it was not downloaded before" in str(other[1])
