"""Each format is read as it should: JSON, packed and otherwise encoded texts, separated values, Arrow, workbooks."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from pydantic import ValidationError
from source_reading import batches, rows, written

from ftkit.contracts import Quiet
from ftkit.errors import DataError
from ftkit.prepare.formats import encodings
from ftkit.prepare.formats.json_document import elements
from ftkit.prepare.formats.json_rows import DEEPEST, NOT_TEXT, MalformedError, Strict, table_of
from ftkit.prepare.rows import BATCH_ROWS
from ftkit.prepare.sources import FIRST_ROWS
from ftkit.registry import find

ROWS = [{"input": "hi", "target": "a"}, {"input": "é 😀", "target": "b"}]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
RECORDS = "input,target\nhi,a\né 😀,b\n"


def zst(content: bytes) -> bytes:
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "zstd") as stream:
        stream.write(content)
    return bytes(target.getvalue())


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_jsonl_keeps_all_columns_and_names_rows_by_line(tmp_path: Path) -> None:
    content = '\ufeff{"input": "hi", "target": "a", "n": 1}\n\n{"target": "b", "input": "", "tags": ["x"]}\r\n'
    assert rows("jsonl", written(tmp_path / "t.jsonl", content)) == [
        {"id": "t.jsonl:1", "input": "hi", "target": "a", "n": 1, "tags": None, NOT_TEXT: None},
        {"id": "t.jsonl:3", "input": "", "target": "b", "n": None, "tags": '["x"]', NOT_TEXT: ["tags"]},
    ]


def test_a_nul_character_stays_in_a_text(tmp_path: Path) -> None:
    assert rows("jsonl", written(tmp_path / "t.jsonl", '{"a": "x\\u0000y"}\n'))[0]["a"] == "x\0y"


def test_a_list_among_texts_is_told_from_the_text_of_a_list() -> None:
    table = table_of([{"a": "[1]"}, {"a": [1]}, {"a": 2}, {"a": None}], ["a"])
    assert table.to_dict(as_series=False) == {"a": ["[1]", "[1]", "2", None], NOT_TEXT: [None, ["a"], ["a"], None]}


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (["a", None], polars.String, ["a", None]),
        ([1, None, -(2**63) + 1], polars.Int64, [1, None, -(2**63) + 1]),
        ([1, 2.5], polars.Float64, [1.0, 2.5]),
        ([True, None], polars.Boolean, [True, None]),
        ([None, None], polars.String, [None, None]),
        ([2**63], polars.String, ["9223372036854775808"]),
        ([2**53 + 1, 0.5], polars.String, ["9007199254740993", "0.5"]),
        ([True, 1], polars.String, ["true", "1"]),
        ([{"é": [None]}], polars.String, ['{"é": [null]}']),
    ],
)
def test_a_column_has_the_type_of_its_values_or_their_json_text(values: list[Any], kind: Any, expected: Any) -> None:
    column = table_of([{"a": value} for value in values], ["a"])["a"]
    assert (column.dtype, column.to_list()) == (kind, expected)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from("abc"), json_values), min_size=1, max_size=5))
def test_every_value_can_be_had_back_from_its_column(made: list[dict[str, Any]]) -> None:
    table = table_of(made, "abc")
    marks = table[NOT_TEXT].to_list() if NOT_TEXT in table.columns else [None] * len(made)
    for name in "abc":
        for row, value, marked in zip(made, table[name], marks, strict=True):
            read = json.loads(value) if name in (marked or []) else value
            assert read == row.get(name)


@given(json_values, st.sampled_from(["", " ", "\r\n\t"]))
def test_what_is_strict_json_is_read_as_the_standard_library_reads_it(value: Any, blank: str) -> None:
    text = blank + json.dumps(value, allow_nan=False) + blank
    if any("\ud800" <= character <= "\udfff" for character in json.dumps(value, ensure_ascii=False)):
        with pytest.raises(MalformedError, match="surrogate"):
            Strict().parse(text)
    else:
        assert Strict().parse(text) == json.loads(text)


def test_lists_and_objects_stand_in_one_another_up_to_a_bound() -> None:
    assert Strict().parse("[" * DEEPEST + "]" * DEEPEST) == json.loads("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(MalformedError, match=f"nested deeper than {DEEPEST}"):
        Strict().parse("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))


@given(st.lists(json_values, max_size=6), st.integers(1, 7), st.integers(0, 1), st.booleans())
def test_a_document_is_read_alike_wherever_its_blocks_are_cut(
    made: list[Any], size: int, indent: int, is_nested: bool
) -> None:
    document = {"a]": ["[{", {"rows": 1}], "data": {"rows": made, "n": "}"}, "z": 0.5} if is_nested else made
    text = json.dumps(document, ensure_ascii=False, indent=indent or None).encode(errors="surrogatepass")
    cut = (text[begin : begin + size] for begin in range(0, len(text), size))
    found = list(elements(cut, path=["data", "rows"] if is_nested else []))
    halves = [any("\ud800" <= each <= "\udfff" for each in json.dumps(value, ensure_ascii=False)) for value in made]
    assert [bool(element.problem) for element in found] == halves
    assert [element.value for element in found if not element.problem] == [
        value for value, half in zip(made, halves, strict=True) if not half
    ]


def test_json_rows_are_named_by_the_line_where_they_begin(tmp_path: Path) -> None:
    path = written(tmp_path / "t.json", '{"meta": {},\n"data": {"train": [\n["a", "x"], ["b", "y"],\n["c",\n"z"]]}}')
    assert rows("json", path, rows="data.train", columns=["text", "label"]) == [
        {"id": "t.json:3", "text": "a", "label": "x"},
        {"id": "t.json:3:2", "text": "b", "label": "y"},
        {"id": "t.json:4", "text": "c", "label": "z"},
    ]
    assert list(rows("json", path, rows="data.train")[0]) == ["id", "0", "1"]


# --- packings and encodings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["jsonl", "json", "csv", "text"])
@pytest.mark.parametrize(
    "pack", [gzip.compress, zst, lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:])]
)
def test_packed_files_are_known_by_their_bytes_and_not_by_their_names(source: str, pack: Any, tmp_path: Path) -> None:
    content = {"jsonl": LINES, "json": json.dumps(ROWS), "csv": RECORDS, "text": "hi\né 😀\n"}[source].encode()
    plain = rows(source, written(tmp_path / "plain" / "t.x", content))
    assert len(plain) == 2
    assert rows(source, written(tmp_path / "packed" / "t.x", pack(content))) == plain


LETTERS = {
    "cp1252": "Un café crème près de la forêt, s'il vous plaît\nDéjà vu à Noël — “fine”\nGarçon, où êtes-vous ?",
    "cp1250": "Jak změním svou kartu? Příliš žluťoučký kůň\nPřevod nepřišel\nDěkuji vám",
    "cp1251": "Как мне поменять карту?\nГде мой перевод\nСпасибо вам большое",
    "koi8_r": "Как мне поменять карту?\nГде мой перевод\nСпасибо вам большое",
    "cp1253": "Πώς αλλάζω την κάρτα μου;\nΠού είναι το έμβασμα\nΕυχαριστώ πολύ",
    "cp932": "カードを変更するにはどうすればいいですか\n送金はどこですか\nありがとうございます",
    "gb18030": "我怎样更换我的银行卡\n我的转账在哪里\n非常感谢你的帮助",
    "big5": "我怎樣更換我的銀行卡\n我的轉帳在哪裡\n非常感謝你的幫助",
    "cp949": "카드를 어떻게 바꾸나요\n송금은 어디에 있나요\n감사합니다",
    "utf-16": "né\nan😀\nb",
    "utf-32": "né\nan😀\nb",
    "utf-16-le": "name,n\nab,é\ncd,1",
    "utf-16-be": "name,n\nab,é\ncd,1",
    "utf-32-le": "name,n\nab,é\ncd,1",
    "utf-32-be": "name,n\nab,é\ncd,1",
}


@pytest.mark.parametrize("encoding", LETTERS)
def test_other_encodings_than_utf8_are_found_said_and_decoded(encoding: str, tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", LETTERS[encoding].encode(encoding))
    progress = Quiet()
    found = rows("text", path, progress=progress)
    assert [row["text"] for row in found] == LETTERS[encoding].split("\n")
    assert progress.said == [f"{path}: read as {encoding}, not UTF-8 (encoding of the source fixes it)"]
    assert rows("text", path, encoding=encoding) == found


@pytest.mark.parametrize("text", ["plain\n", "é\nà\nü\n", "\ufeffé\n", "日本\n" * 200_000])
def test_utf8_is_taken_for_utf8_and_nothing_is_said(text: str, tmp_path: Path) -> None:
    progress = Quiet()
    rows("text", written(tmp_path / "t.txt", text), progress=progress)
    assert progress.said == []


def test_one_odd_byte_tells_no_encoding_and_is_a_fault(tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", b"plain\ncaf\xe9\nplain too\n")
    (batch,) = batches("text", path)
    assert batch.table["text"].to_list() == ["plain", "plain too"]
    reason = "byte 4 of it (0xe9) is not UTF-8; mend it, or name what the file is in, as encoding: cp1252 of the source"
    assert dict(batch.faults) == {f"{path}:2": reason}
    assert [row["text"] for row in rows("text", path, encoding="latin-1")] == ["plain", "café", "plain too"]


@pytest.mark.parametrize("name", ["no-such", "hex", "punycode", "undefined", ""])
def test_an_encoding_that_is_none_is_refused_by_the_recipe(name: str) -> None:
    with pytest.raises(ValidationError, match="encoding"):
        find("sources", "jsonl").config_type.model_validate({"path": "t", "encoding": name})


@given(
    st.binary(max_size=60).map(lambda part: part.replace(b"\xff", b"\r\n").replace(b"\x00", b"\r")), st.integers(1, 9)
)
def test_lines_are_alike_wherever_blocks_are_cut(content: bytes, size: int) -> None:
    cut = [content[begin : begin + size] for begin in range(0, len(content), size)]
    assert [line.content for line in encodings.lines(cut)] == content.splitlines()
    assert b"".join(line.content or b"" for line in encodings.lines(cut, keep_ends=True)) == content


@given(st.text(max_size=40), st.sampled_from(["utf-16", "utf-32-be", "cp1252", "gb18030"]), st.integers(1, 9))
def test_decoding_in_blocks_is_decoding_at_once(text: str, encoding: str, size: int) -> None:
    content = text.encode(encoding, errors="ignore")
    cut = (content[begin : begin + size] for begin in range(0, len(content), size))
    expected = content.decode(encoding).removeprefix("\ufeff").encode()
    assert b"".join(encodings.as_utf8(cut, encoding)) == expected


# --- separated values -------------------------------------------------------------------------------------------------


def test_csv_reads_quoted_line_breaks_and_names_the_line_where_a_row_begins(tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", '\ufeffinput,target\n"a\r\n""b"", c",x\n\nd,y\n')
    assert rows("csv", path) == [
        {"id": "t.csv:2", "input": 'a\r\n"b", c', "target": "x"},
        {"id": "t.csv:5", "input": "d", "target": "y"},
    ]


@pytest.mark.parametrize(
    ("content", "said", "expected"),
    [
        ("a,b\nx,y\n", "", {"a": "x", "b": "y"}),
        ("a;b\nx, and z;1,5\n", "semicolons, double quotes", {"a": "x, and z", "b": "1,5"}),
        ("a\tb\nx\ty, z\n", "tabs, double quotes", {"a": "x", "b": "y, z"}),
        ("a|b\nx|y\n", "bars, double quotes", {"a": "x", "b": "y"}),
        ('a\tb\nsay "hi"\ty\n"so" he said\ty\n', "tabs, no quoting", {"a": 'say "hi"', "b": "y"}),
        ('a\tb\n"say ""hi"""\ty\n', "tabs, double quotes", {"a": 'say "hi"', "b": "y"}),
        ('"a"\t"b"\n"x"\t"y"\n', "tabs, double quotes", {"a": "x", "b": "y"}),
        ("text\nno delimiter\n", "", {"text": "no delimiter"}),
    ],
)
def test_the_dialect_is_found_and_said(content: str, said: str, expected: dict[str, str], tmp_path: Path) -> None:
    path = written(tmp_path / "t.csv", content)
    progress = Quiet()
    first = rows("csv", path, progress=progress)[0]
    assert first == {"id": "t.csv:2", **expected}
    line = f"{path}: fields parted by {said} (delimiter, quotes of the source fix it)"
    assert progress.said == ([line] if said else [])


def test_a_given_dialect_is_taken_without_a_word(tmp_path: Path) -> None:
    path = written(tmp_path / "t.tsv", 'say "hi"\t27\tabc\n')
    progress = Quiet()
    options = {"delimiter": "\t", "quotes": "none", "columns": ["input", "target", "key"], "id": "key"}
    expected = {"id": "abc", "input": 'say "hi"', "target": "27", "key": "abc"}
    assert rows("csv", path, progress=progress, **options) == [expected]
    assert progress.said == []


def test_a_field_may_be_longer_than_pythons_own_bound(tmp_path: Path) -> None:
    assert len(rows("csv", written(tmp_path / "t.csv", "a,b\n" + "x" * 200_000 + ",y\n"))[0]["a"]) == 200_000


fields = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=8
)  # Python's writer may leave \r bare


@given(
    made=st.lists(st.lists(fields, min_size=2, max_size=2), min_size=1, max_size=6),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_the_csv_module_writes_is_read_back(
    made: list[list[str]], delimiter: str, quoting: Any, end: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    target = io.StringIO()
    csv.writer(target, delimiter=delimiter, quoting=quoting, lineterminator=end).writerows([["a", "b"], *made])
    path = written(tmp_path_factory.mktemp("csv") / "t.csv", target.getvalue())
    options = {"delimiter": delimiter, "quotes": "double"}
    assert [[row["a"], row["b"]] for row in rows("csv", path, **options)] == made


# --- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("line", [("t.txt:2", "one"), ("t.txt:3", " two"), ("t.txt:5", "three")]),
        ("paragraph", [("t.txt:2", "one\n two"), ("t.txt:5", "three")]),
        ("file", [("t.txt:2", "one\n two\n \t\nthree")]),
    ],
)
def test_a_row_of_text_is_a_line_a_paragraph_or_a_file(unit: str, expected: list[Any], tmp_path: Path) -> None:
    path = written(tmp_path / "t.txt", "\none\r\n two\n \t\nthree\n\n")
    assert [(row["id"], row["text"]) for row in rows("text", path, unit=unit)] == expected


# --- columnar ---------------------------------------------------------------------------------------------------------


def labelled() -> pa.Table:
    label, text = {"_type": "ClassLabel", "names": ["no", "yes"]}, {"_type": "Value"}
    features = {"label": label, "input": text, "tags": [text]}  # a list, as datasets before 4 writes it
    table = pa.table({"input": ["x", None, "y"], "label": [1, 0, -1], "tags": [["a"], [], None]})
    return table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})


@pytest.mark.parametrize("kind", ["parquet", "arrow", "stream"])
def test_parquet_and_arrow_keep_their_types_and_name_rows_by_number(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "t.x"
    if kind == "parquet":
        parquet.write_table(labelled(), path)
    else:
        with (pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream)(str(path), labelled().schema) as writer:
            writer.write_table(labelled(), max_chunksize=2)
    assert rows("parquet" if kind == "parquet" else "arrow", path) == [
        {"id": "t.x:1", "input": "x", "label": "yes", "tags": ["a"]},
        {"id": "t.x:2", "input": None, "label": "no", "tags": []},
        {"id": "t.x:3", "input": "y", "label": None, "tags": None},
    ]


def test_many_rows_of_parquet_come_in_batches_and_are_numbered_through(tmp_path: Path) -> None:
    number = polars.int_range(1, 50_001, eager=True).alias("n")
    number.to_frame().write_parquet(tmp_path / "a.parquet", row_group_size=7_000)
    number.to_frame().write_parquet(tmp_path / "b.parquet")
    found = list(batches("parquet", tmp_path))
    assert found[0].table.height == FIRST_ROWS
    assert max(batch.table.height for batch in found) <= BATCH_ROWS
    table = polars.concat([batch.table for batch in found])
    assert table["id"].to_list() == [f"{name}.parquet:{row}" for name in "ab" for row in number]
    assert table["n"].to_list() == [*number, *number]


def test_a_folder_of_save_to_disk_is_read_and_its_splits_are_named(tmp_path: Path) -> None:
    import datasets

    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["no", "yes"])})
    made = datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, 1]}, features=features)
    made.save_to_disk(tmp_path / "one", num_shards=2)
    datasets.DatasetDict({"train": made, "test": made}).save_to_disk(tmp_path / "two")
    found = rows("arrow", tmp_path / "one")
    assert [(row["text"], row["label"]) for row in found] == [("a", "yes"), ("b", "no"), ("c", "yes")]
    assert found[2]["id"] == "data-00001-of-00002.arrow:1"
    with pytest.raises(DataError, match=r"two: holds the splits train, test; name one, as .*two/train"):
        rows("arrow", tmp_path / "two")


def test_a_workbook_is_read_by_sheet_and_rows_have_excels_numbers(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["input", "n", "day"])
    book.active.append(["x", 1, date(2024, 2, 29)])
    book.active.append([])
    book.active.append(["y", 2])
    book.create_sheet("notes").append(["only", "a", "row"])
    book.save(tmp_path / "t.xlsx")
    progress = Quiet()
    assert rows("xlsx", tmp_path / "t.xlsx", progress=progress) == [
        {"id": "t.xlsx:2", "input": "x", "n": 1, "day": "2024-02-29T00:00:00"},
        {"id": "t.xlsx:4", "input": "y", "n": 2, "day": None},
    ]
    assert progress.said == [f"{tmp_path / 't.xlsx'}: read the sheet 'Sheet' of 'Sheet', 'notes' (sheet)"]
    named = rows("xlsx", tmp_path / "t.xlsx", sheet="notes", columns=["a", "b", "c"])
    assert named == [{"id": "t.xlsx:1", "a": "only", "b": "a", "c": "row"}]
