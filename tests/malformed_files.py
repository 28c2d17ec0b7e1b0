"""Malformed files of every format a source reads, each with what has to be said of it, and where.

Knows the formats, not the readers. The same files every time: what is random comes from fixed seeds.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from malformed_json import NO_JSON, NO_ROW, NOT_STRICT, NOT_UTF8
from pyarrow import parquet

GOOD = [{"input": f"text {place}", "target": "y"} for place in range(4)]


@dataclass(frozen=True)
class Malformed:
    """A file, the source that is told to read it, and what is expected.

    `line` is where the mistake stands, '' for one that concerns the whole file. `good` rows are read all the same; with
    none, the message is that of an error. `message` is a part of what is said; None where the damage may be unseen.
    """

    name: str
    source: str
    content: bytes
    message: str | None
    line: str = ""
    good: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)


def malformed_files() -> list[Malformed]:
    """All of them; names differ."""
    parts = (_lines(), _ids(), _documents(), _separated(), _texts(), _foreign(), _packed(), _columnar(), _workbooks())
    return [each for part in parts for each in part]


def _jsonl(third: bytes) -> bytes:
    rows = [json.dumps(row).encode() for row in GOOD]
    return b"\n".join([*rows[:2], third, *rows[2:]]) + b"\n"


def _lines() -> Iterator[Malformed]:
    for name, (line, message) in {**NO_JSON, **NOT_STRICT, **NO_ROW}.items():
        yield Malformed(f"{name}.jsonl", "jsonl", _jsonl(line), message, "3", 4)
    for name, value in NOT_UTF8.items():
        place = value.index(next(byte for byte in value if byte > 127)) + len('{"input": "') + 1
        line = b'{"input": "' + value + b'", "target": "\xc3\xa9"}'
        yield Malformed(f"not-utf8-{name}.jsonl", "jsonl", _jsonl(line), f"byte {place} of it", "3", 4)
    deep = b"[" * 100_000
    yield Malformed("only-deep.jsonl", "jsonl", deep, "nested deeper than 200", "1")
    last = _jsonl(b"")[:-6]
    yield Malformed("last-line-cut.jsonl", "jsonl", last, "was it cut off?", "5", 3)
    ends = b'{"input": "a"}\r\n{"input": "b"}\r{"input": \r\n{"input": "c"}\n'
    yield Malformed("mixed-line-ends.jsonl", "jsonl", ends, "not valid JSON", "3", 3)
    yield Malformed("document.jsonl", "jsonl", b'[\n{"input": "a"}\n]\n', "use the source json", "1")
    yield Malformed("object.jsonl", "jsonl", b'\n{\n"input": "a"\n}\n', "use the source json", "2")
    yield Malformed("blank.jsonl", "jsonl", b"\n \n\t\r\n", "there is no row in the file")
    keys = b"".join(b'{"key %d": 1}\n' % place for place in range(1_100))
    yield Malformed("keyed-by-row.jsonl", "jsonl", keys, "more than 1,000 different columns", "1001")
    yield Malformed("reserved.jsonl", "jsonl", b'{"_json": 1}\n', "'_json' is ftkit's own", "1")
    yield Malformed("all-wrong.jsonl", "jsonl", b"x\n" * 2_000, "and 990 more", "1")
    wide = '{"input": "é"}\n{"input": é}\n'.encode("utf-16")
    yield Malformed("wide.jsonl", "jsonl", wide, "not valid JSON", "2", 1)
    yield Malformed("half-wide.jsonl", "jsonl", wide[:34] + b"\x00\xd8" + wide[34:], "not utf-16", "2", 1)
    told = b'{"input": "a"}\n{"input": "\x81"}\n'
    yield Malformed("told.jsonl", "jsonl", told, "are not cp1252", "2", 1, {"encoding": "cp1252"})


def _ids() -> Iterator[Malformed]:
    values = {
        "null": ("null", "id 'k' is null; expected a string or an integer"),
        "truth": ("true", "id 'k' is true"),
        "float": ("1.5", "id 'k' is 1.5"),
        "list": ("[1]", "id 'k' is [1]"),
        "empty": ('""', """id 'k' is "\""""),
        "nul": ('"a\\u0000b"', "a NUL character cannot stand in an id"),
        "again": ('"first"', 'id "first" stands already'),
    }
    for name, (value, message) in values.items():
        content = f'{{"k": "first"}}\n{{"k": {value}}}\n{{"k": 7}}\n'.encode()
        yield Malformed(f"id-{name}.jsonl", "jsonl", content, message, "2", 2, {"id": "k"})
    content = b'{"k": "a"}\n{"kk": "b"}\n'
    yield Malformed("id-missing.jsonl", "jsonl", content, "there is no 'k'; did you mean 'kk'?", "2", 1, {"id": "k"})
    nowhere = b'{"key": "a"}\n'
    yield Malformed("id-nowhere.jsonl", "jsonl", nowhere, "did you mean 'key'?", "1", 0, {"id": "kye"})


def _json(third: bytes) -> bytes:
    rows = [json.dumps(row).encode() for row in GOOD]
    return b"[\n" + b",\n".join([*rows[:2], third, *rows[2:]]) + b"\n]\n"


def _documents() -> Iterator[Malformed]:
    goes_on = {"comma", "single-quotes", "no-colon", "bare-key", "bare-value", "none", "zero", "escape", "tab"}
    for name, (row, message) in {**NO_JSON, **NOT_STRICT, **NO_ROW}.items():
        if name in goes_on | NOT_STRICT.keys() | NO_ROW.keys() - {"rather-deep"}:
            yield Malformed(f"{name}.json", "json", _json(row), message, "4", 4)
    for name, value in NOT_UTF8.items():
        row = b'{"input": "' + value + b'", "target": "\xc3\xa9"}'
        yield Malformed(f"not-utf8-{name}.json", "json", _json(row), "bytes that are not UTF-8", "4", 4)
    whole: dict[str, tuple[bytes, str, str]] = {
        "cut-in-row": (b'[\n{"input": "a"},\n{"input": "b', "was the file cut off?", "3"),
        "cut-after-row": (b'[\n{"input": "a"},\n{"input": "b"}\n', "the document ends too early", "4"),
        "no-comma": (b'[\n{"input": "a"}\n{"input": "b"}]', "found '{'; expected ',' or ']'", "3"),
        "comma-at-end": (b'[\n{"input": "a"},\n]', "found ']'; expected a value", "3"),
        "two-commas": (b'[{"input": "a"},\n,{"input": "b"}]', "found ','; expected a value", "2"),
        "more": (b'[{"input": "a"}]\n[]', "more follows where the document ends", "2"),
        "no-rows": (b"[]", "there is no row in the file", ""),
        "no-list": (b'{"error":\n "rate limit"}', "expected a list of rows, found an object with 'error'", "1"),
        "nested": (b'{"a": 1, "train": [{"input": "a"}]}', "rows: train", "1"),
        "scalar": (b"17", "expected a list of rows, found another value", "1"),
        "lines": (b'{"input": "a"}\n{"input": "b"}\n', "use the source jsonl", "1"),
        "open-string": (b'[\n{"input": "a},\n{"input": "b"}]', "not valid JSON", ""),
    }
    for name, (content, message, line) in whole.items():
        yield Malformed(f"{name}.json", "json", content, message, line)
    nested = b'{"data": {"train": [{"input": "a"}],\n"train": []}}'
    for name, rows, content, message, line in (
        ("typo", "data.trian", nested, "there is no 'data.trian'; did you mean 'train'?", "2"),
        ("too-deep", "data.train.x", nested, "a list stands where an object should", "1"),
        ("no-list-there", "data", nested, "expected a list of rows, found an object", "1"),
        ("named-twice", "data.train", nested, "the key 'train' stands twice", "2"),
    ):
        yield Malformed(f"{name}.json", "json", content, message, line, 0, {"rows": rows})
    pairs = b'[["a", "x"],\n["b"],\n["c", "z"]]'
    yield Malformed("pairs.json", "json", pairs, "expected 2 values (0, 1), found 1", "2", 2)
    yield Malformed("named.json", "json", pairs, "values (t, l), found 1", "2", 2, {"columns": ["t", "l"]})
    yield Malformed("objects.json", "json", _json(b"{}"), "rows are objects", "2", 0, {"columns": ["t", "l"]})
    one_line = b'[["a", "x"], ["b"], ["c", "z"]]'
    yield Malformed("one-line.json", "json", one_line, "found 1", "1:2", 2)


def _separated() -> Iterator[Malformed]:
    head = b"input,target\na,x\n"
    for name, record, message, good in (
        ("too-few", b"b\n", "expected 2 fields, found 1", 2),
        ("too-many", b"b,y,z\n", "expected 2 fields, found 3", 2),
        ("after-quote", b'"b"c,y\n', "',' expected after '\"'", 2),
        ("open-quote", b'"b,y\n', "lines up to 4 that it took in", 2),
        ("open-quote-before-others", b'"b,y\nd,w\n"e",v\n', "lines up to 5 that it took in", 4),
        ("open-quote-in-text", b'"b\nand so on" or not,y\n', "The record goes on to line 4", 2),
        ("latin", b"caf\xe9,y\n", "byte 4 of it (0xe9) is not UTF-8", 2),
        ("latin-in-quotes", b'"b\n\xc3\xa9 caf\xe9\nc",y\n', "byte 7 of it", 2),
    ):
        line = "4" if name == "latin-in-quotes" else "3"
        yield Malformed(f"{name}.csv", "csv", head + record + b"c,z\n", message, line, good)
    yield Malformed("cut.csv", "csv", head + b'"b', "is a quote left open", "3", 1)
    yield Malformed("header-only.csv", "csv", b"input,target\n", "there is no row in the file")
    yield Malformed("blank.csv", "csv", b"\n\n", "there is no row in the file")
    yield Malformed("header-twice.csv", "csv", b"input,input\na,b\n", "column 'input' stands twice", "1")
    yield Malformed("header-open.csv", "csv", b'"input,target\na,x', "the header: not valid CSV", "1")
    yield Malformed("no-id.csv", "csv", head, "there is no 'inptu'; did you mean 'input'?", "1", 0, {"id": "inptu"})
    odd = b"input:target\na:x\n"
    yield Malformed("odd-delimiter.csv", "csv", odd, "the header is one field", "1", 0, {"id": "target"})
    twice = b"k,v\na,1\nb,2\na,3\n"
    yield Malformed("id-again.csv", "csv", twice, 'id "a" stands already', "4", 2, {"id": "k"})
    yield Malformed("id-empty.csv", "csv", b"k,v\na,1\n,2\n", "expected a string", "3", 1, {"id": "k"})
    tabs = b'say "hi"\t3\n"quoted" at first\t4\nno tab\nlast\t5\n'
    options = {"columns": ["text", "label"]}
    yield Malformed("tabs.tsv", "csv", tabs, "expected 2 fields, found 1", "3", 3, options)
    wide = "input;target\né;x\nonly\n".encode("utf-16")
    yield Malformed("wide.csv", "csv", wide, "expected 2 fields, found 1", "3", 1)


def _texts() -> Iterator[Malformed]:
    content = b"one\n\nb\xff\xc3\xa9\n\xc3\xa9\nthree\n"
    yield Malformed("bytes.txt", "text", content, "byte 2 of it (0xff)", "3", 3)
    yield Malformed("paragraph.txt", "text", content, "not UTF-8", "3", 1, {"unit": "paragraph"})
    yield Malformed("file.txt", "text", content, "not UTF-8", "1", 0, {"unit": "file"})
    yield Malformed("blank.txt", "text", b"\n \n", "there is no row in the file")


def _archive(name: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, "input,target\na,x\n")
    return target.getvalue()


def _table(**columns: Any) -> pa.Table:
    return pa.table(columns or {"input": ["a", "b"] * 500, "n": list(range(1_000))})


def _as_parquet(table: pa.Table) -> bytes:
    target = io.BytesIO()
    parquet.write_table(table, target, row_group_size=300)
    return target.getvalue()


def _as_arrow(table: pa.Table, *, stream: bool = False) -> bytes:
    target = io.BytesIO()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(target, table.schema) as writer:
        writer.write_table(table, max_chunksize=300)
    return target.getvalue()


def _foreign() -> Iterator[Malformed]:
    page = b"\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n"
    files = {
        "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"),
        "page": (page, "is an HTML page"),
        "wide-page": (page.decode().encode("utf-16"), "is an HTML page"),
        "xml": (b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', "is an XML page"),
        "zip": (_archive("train.csv"), "is a zip archive"),
        "workbook": (_archive("xl/workbook.xml"), "use the source xlsx"),
        "parquet": (_as_parquet(_table()), "use the source parquet"),
        "arrow": (_as_arrow(_table()), "use the source arrow"),
        "stream": (_as_arrow(_table(), stream=True), "use the source arrow"),
        "pickle": (b"\x80\x04\x95\x1c\x00\x00\x00\x00\x00\x00\x00}\x94.", "is a Python pickle"),
        "sqlite": (b"SQLite format 3\0" + b"\1" * 84, "is an SQLite database"),
        "picture": (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "is a PNG picture"),
        "xz": (b"\xfd7zXZ\0" + b"\1" * 20, "pack it with gzip or zstd"),
        "old-excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 20, "save it as xlsx or csv"),
        "nuls": (b"\0" * 4_096, "is a run of NUL bytes"),
        "nothing": (b"", "the file is empty"),
    }
    for source in ("jsonl", "json", "csv", "text", "parquet", "arrow", "xlsx"):
        for name, (content, message) in files.items():
            if (source, name) in {("parquet", "parquet"), ("arrow", "arrow"), ("arrow", "stream"), ("xlsx", "zip")}:
                continue
            if source == "xlsx" and name == "workbook":
                continue
            if source == "text" and name in ("page", "wide-page", "xml"):
                continue
            known = message if name != "wide-page" or source in ("jsonl", "json", "csv") else "use the source of its"
            yield Malformed(f"{name}.{source}", source, content, known)
    for source in ("parquet", "arrow", "xlsx"):
        yield Malformed(f"lines.{source}", source, _jsonl(b"{}"), "use the source of its format")


def _zst(content: bytes) -> bytes:
    target = pa.BufferOutputStream()
    with pa.CompressedOutputStream(target, "zstd") as stream:
        stream.write(content)
    return bytes(target.getvalue())


def _packed() -> Iterator[Malformed]:
    rng = random.Random(3)
    rows = [{"input": f"{rng.random()}", "target": "y"} for _ in range(3_000)]
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    records = "input,target\n" + "".join(f"{row['input']},y\n" for row in rows)
    for source, content in (("jsonl", lines), ("csv", records.encode()), ("json", json.dumps(rows).encode())):
        for packing, packed in (("gz", gzip.compress(content, mtime=0)), ("zst", _zst(content))):
            for cut in (7, rng.randrange(20, len(packed) - 9), len(packed) - 3):
                name = f"cut-{cut}.{source}.{packing}"
                yield Malformed(name, source, packed[:cut], f"the .{packing} file is damaged or cut off")
            tail = packed + b"rubbish"
            yield Malformed(f"tail.{source}.{packing}", source, tail, f"the .{packing} file is damaged")
    damaged = bytearray(gzip.compress(lines, mtime=0))
    damaged[-6] ^= 255
    yield Malformed("checksum.jsonl.gz", "jsonl", bytes(damaged), "CRC check failed")
    yield Malformed("nothing.jsonl.gz", "jsonl", gzip.compress(b"", mtime=0), "the packed file holds nothing")
    yield Malformed("nothing.jsonl.zst", "jsonl", _zst(b""), "the packed file holds nothing")
    inside = gzip.compress(_as_parquet(_table()), mtime=0)
    yield Malformed("parquet-inside.jsonl.gz", "jsonl", inside, "use the source parquet")
    twice = gzip.compress(gzip.compress(lines, mtime=0), mtime=0)
    yield Malformed("twice.jsonl.gz", "jsonl", twice, "is compressed with gzip")
    yield Malformed("packed.parquet", "parquet", gzip.compress(_as_parquet(_table()), mtime=0), "unpack it first")
    fault = gzip.compress(_jsonl(b"{"), mtime=0)
    yield Malformed("fault.jsonl.gz", "jsonl", fault, "not valid JSON", "3", 4)


def _columnar() -> Iterator[Malformed]:
    rng = random.Random(5)
    tables = {
        "parquet": (_as_parquet, "the parquet file is damaged or cut off"),
        "arrow": (_as_arrow, "the Arrow file is damaged or cut off"),
        "arrows": (lambda table: _as_arrow(table, stream=True), "the Arrow file is damaged or cut off"),
    }
    bad = pa.StringArray.from_buffers(3, pa.array([0, 2, 4, 5], pa.int32()).buffers()[1], pa.py_buffer(b"ok\xff\xfez"))
    for ending, (make, message) in tables.items():
        source = ending.removesuffix("s") if ending == "arrows" else ending
        whole = make(_table())
        for cut in (11, len(whole) // 3, rng.randrange(len(whole) // 2, len(whole) - 100)):
            yield Malformed(f"cut-{cut}.{ending}", source, whole[:cut], message)
        for number in range(12):
            flipped = bytearray(whole)
            for _ in range(3):
                flipped[rng.randrange(8, len(whole))] ^= 1 << rng.randrange(8)
            yield Malformed(f"flipped-{number}.{ending}", source, bytes(flipped), None)
        empty = make(_table().slice(0, 0))
        yield Malformed(f"no-rows.{ending}", source, empty, "there is no row")
        yield Malformed(f"bytes.{ending}", source, make(_table(t=bad)), "column 't' holds bytes", "2", 2)
        nested = pa.ListArray.from_arrays([0, 1, 3], bad)
        yield Malformed(f"nested-bytes.{ending}", source, make(_table(t=nested)), "column 't' is damaged")
        for name, column in _beyond_calendar().items():
            dated = make(_table(input=["a", "b", "c"], d=column))
            yield Malformed(f"{name}.{ending}", source, dated, "'d' holds a date beyond the years 1 to 9999", "2", 2)
        no_id = "there is no 'inptu'; did you mean 'input'?"
        yield Malformed(f"no-id.{ending}", source, whole, no_id, options={"id": "inptu"})
        keys = make(_table(k=["a", None, "", "a", "b\0", "c"]))
        yield Malformed(f"ids.{ending}", source, keys, "id 'k' is null", "2", 2, {"id": "k"})
        floats = make(_table(k=[0.5, 1.5]))
        yield Malformed(f"float-ids.{ending}", source, floats, "'k' holds Float64", options={"id": "k"})


def _beyond_calendar() -> dict[str, Any]:
    """Columns of dates and times whose second is of another calendar than Python's; the third is the last there is."""
    last, micros = 2_932_896, 86_400 * 10**6  # 9999-12-31
    days = pa.array([0, last + 1, last], pa.int32()).view(pa.date32())
    times = pa.array([0, -(2**62), (last + 1) * micros - 1], pa.int64())
    return {
        "date": days,
        "time": times.view(pa.timestamp("us")),
        "zoned": pa.array([0, (last + 1) * micros - 1, None], pa.int64()).view(pa.timestamp("us", "Asia/Tokyo")),
        "dates": pa.ListArray.from_arrays([0, 1, 2, 3], days),
        "objects": pa.StructArray.from_arrays([days, pa.array([1, 2, 3])], ["day", "n"]),
    }


def _workbooks() -> Iterator[Malformed]:
    try:
        from openpyxl import Workbook
    except ImportError:
        return
    rng = random.Random(7)

    def book(*rows: list[Any]) -> bytes:
        made, target = Workbook(), io.BytesIO()
        for row in rows:
            made.active.append(row)
        made.save(target)
        return target.getvalue()

    whole = book(["input", "n"], *([f"text {place}", place] for place in range(50)))
    for cut in (12, len(whole) // 2, len(whole) - 5):
        yield Malformed(f"cut-{cut}.xlsx", "xlsx", whole[:cut], "the workbook is damaged or cut off")
    for number in range(12):
        flipped = bytearray(whole)
        flipped[rng.randrange(8, len(whole))] ^= 1 << rng.randrange(8)
        yield Malformed(f"flipped-{number}.xlsx", "xlsx", bytes(flipped), None)
    yield Malformed("archive.xlsx", "xlsx", _archive("train.csv"), "the workbook is damaged")
    yield Malformed("half-archive.xlsx", "xlsx", _archive("xl/workbook.xml"), "the workbook is damaged")
    yield Malformed("header-only.xlsx", "xlsx", book(["input", "n"]), "there is no row in the file")
    yield Malformed("no-cells.xlsx", "xlsx", book(), "there is no row in the file")
    yield Malformed("twice.xlsx", "xlsx", book(["a", "a"], ["x", "y"]), "column 'a' stands twice", "1")
    options = {"sheet": "Shet"}
    yield Malformed("no-sheet.xlsx", "xlsx", whole, "no sheet 'Shet'; did you mean 'Sheet'?", options=options)
    beyond = book(["a"], ["x"], ["y", "z"], ["w"])
    yield Malformed("beyond.xlsx", "xlsx", beyond, "cell B3 stands beyond the 1 columns", "3", 2)
    error = book(["a"], ["x"], ["#REF!"], ["w"])
    yield Malformed("error.xlsx", "xlsx", error, "cell A3 holds the error #REF!", "3", 2)
