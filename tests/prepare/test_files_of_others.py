"""Files as other programs leave them: Excel's own marks, a saved data set's leftovers, roles in capitals, links."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest
from commands import ftkit
from refusals import errors, refused
from source_reading import rows, written

from ftkit.errors import DataError
from ftkit.prepare.conversation import read_messages


@pytest.mark.parametrize("told", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_that_tells_excel_the_delimiter_is_no_record(told: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", f"{told}\r\ninput;target\r\na, b;y\r\n")
    assert rows("csv", path) == [{"id": "t.csv:3", "input": "a, b", "target": "y"}]


def test_a_delimiter_that_excel_is_told_counts_where_a_guess_would_take_another(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", "sep=|\na,b|c\nx,y|z\n")
    assert rows("csv", path) == [{"id": "t.csv:3", "a,b": "x,y", "c": "z"}]


def test_what_excel_writes_as_numbers_of_characters_are_those_characters(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["input", "tar_x005F_get"])
    book.active.append(["one_x000D_\ntwo _x005F_x000D_ _xD800_ max_x 3", "y"])
    book.save(tmp_path / "t.xlsx")
    expected = {"id": "t.xlsx:2", "input": "one\ntwo _x000D_ _xD800_ max_x 3", "tar_get": "y"}
    assert rows("xlsx", tmp_path / "t.xlsx") == [expected]


def test_a_csv_without_a_header_is_told_how_to_name_its_columns(place: Path) -> None:
    Path("rows.csv").write_text("where is it,delivery\nmy card,refund\n", encoding="utf-8")
    hint = "where the first row is no header, name the columns of the source: columns: […]"
    named = refused("data.source={csv: {path: rows.csv, input: text, target: label}}", "data.split.group=null")
    assert (named.code, errors(named)[0].endswith(hint)) == (3, True), named.err
    recognised = refused("data.source={csv: {path: rows.csv}}", "data.split.group=null")
    assert recognised.code == 3 and hint in recognised.err
    source = "data.source={csv: {path: rows.csv, columns: [text, label], input: text, target: label}}"
    assert ftkit("check", "recipe.yaml", "--fast", "--set", source, "--set", "data.split.group=null").code == 0


def test_roles_may_begin_with_capitals() -> None:
    messages = [{"role": "System", "content": "s"}, {"from": "Human", "value": "u"}, {"role": "ASSISTANT", "text": "a"}]
    assert [each.role for each in read_messages(messages, "messages")] == ["system", "user", "assistant"]


def saved(folder: Path) -> None:
    """A folder as `Dataset.save_to_disk` writes it, with what a later `map` left in it."""
    folder.mkdir()
    for name, value in {"data-00001-of-00002": "b", "data-00000-of-00002": "a", "cache-1f2e": "leftover"}.items():
        table = pa.table({"input": [value], "target": ["y"]})
        with pa.ipc.new_stream(str(folder / f"{name}.arrow"), table.schema) as writer:
            writer.write_table(table)
    state = {"_data_files": [{"filename": f"data-0000{number}-of-00002.arrow"} for number in (0, 1)]}
    (folder / "state.json").write_text(json.dumps(state), encoding="utf-8")


def test_of_a_saved_data_set_only_the_files_of_its_manifest_are_read(tmp_path: Path) -> None:
    saved(tmp_path / "set")
    assert [row["input"] for row in rows("arrow", tmp_path / "set")] == ["a", "b"]


@pytest.mark.parametrize(
    "state", ["{", "[]", "{}", '{"_data_files": []}', '{"_data_files": [{"filename": "../data.arrow"}]}', "[" * 100_000]
)
def test_a_manifest_that_is_damaged_or_leads_out_of_its_folder_is_named(state: str, tmp_path: Path) -> None:
    saved(tmp_path / "set")
    (tmp_path / "set" / "state.json").write_text(state, encoding="utf-8")
    with pytest.raises(DataError, match=r"set/state\.json: _data_files: expected a list of names"):
        rows("arrow", tmp_path / "set")


@pytest.mark.parametrize("path", ["set", "set/*.jsonl", "set/r*"])
def test_a_link_out_of_a_folder_of_rows_is_refused_and_one_within_is_read(path: str, tmp_path: Path) -> None:
    written(tmp_path / "set" / "real" / "inside.jsonl", '{"input": "a"}\n')
    secret = written(tmp_path / "elsewhere" / "secret.jsonl", '{"input": "secret"}\n')
    link = tmp_path / "set" / "rows.jsonl"
    link.symlink_to(tmp_path / "set" / "real" / "inside.jsonl")
    assert [row["input"] for row in rows("jsonl", tmp_path / "set")] == ["a"]
    link.unlink()
    link.symlink_to(secret)
    with pytest.raises(DataError, match=r"rows\.jsonl: is a link out of the folder, to .*secret\.jsonl"):
        rows("jsonl", tmp_path / path)
    assert [row["input"] for row in rows("jsonl", link)] == ["secret"]
