"""Every source reads what it should, and names file and line of what it cannot read."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import polars
import pytest
from hub_standin import COMMIT, environment, serving

from ftkit.contracts import Context
from ftkit.errors import DataError
from ftkit.sources.csv import Csv
from ftkit.sources.csv import read as read_csv
from ftkit.sources.jsonl import Jsonl
from ftkit.sources.jsonl import read as read_jsonl
from ftkit.sources.parquet import Parquet
from ftkit.sources.parquet import read as read_parquet

CTX = Context()


def jsonl(path: Path, content: str | bytes, **options: str) -> polars.DataFrame:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_jsonl(Jsonl(path=str(path), **options), CTX)


def comma(path: Path, content: str | bytes, **options: object) -> polars.DataFrame:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_csv(Csv.model_validate({"path": str(path), **options}), CTX)


def test_jsonl_keeps_all_columns_and_names_rows_by_line(tmp_path: Path) -> None:
    content = '\ufeff{"input": "hi", "target": "a", "n": 1}\n\n{"target": "b", "input": "", "tags": ["x"]}\n'
    assert jsonl(tmp_path / "t.jsonl", content).to_dicts() == [
        {"id": "t.jsonl:1", "input": "hi", "target": "a", "n": 1, "tags": None},
        {"id": "t.jsonl:3", "input": "", "target": "b", "n": None, "tags": '["x"]'},
    ]


def test_jsonl_takes_ids_from_a_column_numbers_too(tmp_path: Path) -> None:
    content = '{"q": "x", "a": "y", "key": 7}\n{"q": "x", "a": "y", "key": "b"}\n'
    table = jsonl(tmp_path / "t.jsonl", content, input="q", target="a", id="key")
    assert table["id"].to_list() == ["7", "b"]


def test_head_reads_no_further_than_it_must(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"input": "x", "target": "y"}\n' * 3 + "broken\n")
    assert read_jsonl(Jsonl(path=str(path)), CTX, head=3).height == 3


GOOD = '{"input": "x", "target": "y"}\n'


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (GOOD + '{"input": "x", "target": "y"\n', "t.jsonl:2: not valid JSON"),
        (GOOD + "[1, 2]\n", "t.jsonl:2: expected a JSON object, found list"),
        (GOOD + '{"input": "x", "target": NaN}\n', "t.jsonl:2: not valid JSON: NaN is not JSON"),
        (GOOD.encode() + b'{"input": "caf\xe9", "target": "y"}\n', "t.jsonl:2: not UTF-8"),
        (GOOD.encode("utf-16"), "t.jsonl:1: not UTF-8"),
        (GOOD + "\ufeff" + GOOD, "t.jsonl:2: not valid JSON"),
        ("[" * 100_000, "t.jsonl:1: JSON is nested too deeply"),
        (GOOD + '{"inptu": "x", "target": "y"}\n', "t.jsonl:2: there is no 'input'; did you mean 'inptu'?"),
        (GOOD + '{"input": "x"}\n', "t.jsonl:2: there is no 'target'; known: input"),
        (
            GOOD + '{"input": "x", "target": 3}\n',
            "t.jsonl:2: 'target' is 3; expected a string: write it in quotes",
        ),
        (GOOD + '{"input": null, "target": "y"}\n', "t.jsonl:2: 'input' is null; expected a string"),
        (GOOD + '{"input": ["x"], "target": "y"}\n', """t.jsonl:2: 'input' is ["x"]; expected a string"""),
        (GOOD + '{"input": "\\ud800", "target": "y"}\n', "t.jsonl:2: holds half of a surrogate pair"),
        ("", "t.jsonl: the file is empty"),
        ("\n \n", "t.jsonl: there is no row in the file"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("t.") else "",
)
def test_a_jsonl_line_that_does_not_fit_is_named(content: str | bytes, expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        jsonl(tmp_path / "t.jsonl", content)
    assert str(caught.value).startswith(str(tmp_path / expected))


@pytest.mark.parametrize(
    ("key", "expected"), [("true", "'k' is true; expected"), ("1.5", "'k' is 1.5"), ("null", "'k' is null")]
)
def test_an_id_is_a_string_or_an_integer(key: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"t.jsonl:1: id {expected}"):
        jsonl(tmp_path / "t.jsonl", f'{{"input": "x", "target": "y", "k": {key}}}', id="k")


def test_an_id_that_stands_twice_is_named_with_both_places(tmp_path: Path) -> None:
    content = "".join(f'{{"input": "x", "target": "y", "k": "{key}"}}\n' for key in ("a", "b", "a"))
    with pytest.raises(DataError, match=r"t.jsonl:3: id 'a' stands already at .*t.jsonl:1; ids must differ"):
        jsonl(tmp_path / "t.jsonl", content, id="k")


def test_a_missing_file_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "tickets.jsonl").write_text(GOOD)
    with pytest.raises(DataError, match=r"ticket.jsonl: no such file .*did you mean 'tickets.jsonl'\?"):
        read_jsonl(Jsonl(path=str(tmp_path / "ticket.jsonl")), CTX)
    with pytest.raises(DataError, match="is a folder; expected a file"):
        read_jsonl(Jsonl(path=str(tmp_path)), CTX)
    with pytest.raises(DataError, match=r"the folder .*nowhere does not exist either"):
        read_jsonl(Jsonl(path=str(tmp_path / "nowhere" / "t.jsonl")), CTX)


def test_paths_start_at_the_base_folder(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text(GOOD)
    assert read_jsonl(Jsonl(path="t.jsonl"), Context(base_dir=tmp_path)).height == 1


def test_csv_reads_quoted_line_breaks_and_names_the_line_where_a_row_begins(tmp_path: Path) -> None:
    content = '\ufeffinput,target\r\n"a, ""b""\r\nc",x\r\n\r\nd,y\r\n'
    assert comma(tmp_path / "t.csv", content).to_dicts() == [
        {"id": "t.csv:2", "input": 'a, "b"\r\nc', "target": "x"},
        {"id": "t.csv:5", "input": "d", "target": "y"},
    ]


def test_csv_takes_tabs_plain_quotes_and_names_of_columns(tmp_path: Path) -> None:
    options = {"delimiter": "\t", "quotes": "none", "columns": ["input", "target", "key"], "id": "key"}
    table = comma(tmp_path / "t.tsv", 'say "hi\t27\tabc\n', **options)
    assert table.select("id", "input", "target").to_dicts() == [{"id": "abc", "input": 'say "hi', "target": "27"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("input,target\na,x\nb\n", "t.csv:3: expected 2 fields, found 1"),
        ('input,target\n"a\nb",x\nc,y,z\n', "t.csv:4: expected 2 fields, found 3"),
        (
            'input,target\na,x\n"b,y\nc,z\n',
            "t.csv:3: not valid CSV: unexpected end of data; is a quote left open",
        ),
        ('input,target\n"a"b,x\n', "t.csv:2: not valid CSV: ',' expected after '\"'"),
        (b"input,target\na,x\ncaf\xe9,y\n", "t.csv:3: not UTF-8"),
        ("text,target\na,x\n", "t.csv:1: there is no 'input'; known: text, target"),
        ("input;target\na;x\n", "t.csv:1: there is no 'input'"),
        ("input,input,target\na,b,x\n", "t.csv:1: column 'input' stands twice in the header"),
        ("input,target\n", "t.csv: there is no row in the file"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.startswith("t.") else "",
)
def test_a_csv_record_that_does_not_fit_is_named(content: str | bytes, expected: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        comma(tmp_path / "t.csv", content)
    assert str(caught.value).startswith(str(tmp_path / expected))


def test_a_header_of_one_field_asks_for_the_delimiter(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the header is one field: is the delimiter ','"):
        comma(tmp_path / "t.csv", "input;target\na;x\n")


def test_banking77_is_read_like_the_csv_module_reads_it(shared_data: Path) -> None:
    path = shared_data / "banking77" / "train.csv"
    table = read_csv(Csv(path=str(path), input="text", target="category"), CTX)
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline="")))[1:]
    assert table.height == 10_003
    assert list(zip(table["text"], table["category"], strict=True)) == [tuple(row) for row in rows]


def test_parquet_names_rows_by_number(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    polars.DataFrame({"input": ["x", "y"], "target": ["a", None], "n": [1, 2]}).write_parquet(path)
    table = read_parquet(Parquet(path=str(path)), CTX)
    assert table["id"].to_list() == ["t.parquet:1", "t.parquet:2"]
    assert read_parquet(Parquet(path=str(path), id="n"), CTX)["id"].to_list() == ["1", "2"]
    assert read_parquet(Parquet(path=str(path)), CTX, head=1).height == 1
    with pytest.raises(DataError, match=r"t.parquet: there is no 'label'; known: input, target, n"):
        read_parquet(Parquet(path=str(path), target="label"), CTX)
    with pytest.raises(DataError, match=r"t.parquet:2: id 'target' is null"):
        read_parquet(Parquet(path=str(path), id="target"), CTX)


def test_a_file_that_is_no_parquet_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_text(GOOD)
    with pytest.raises(DataError, match=r"t.parquet: not a readable parquet file"):
        read_parquet(Parquet(path=str(tmp_path / "t.parquet")), CTX)


FILES = {"train.csv": b"text,label\nhello,a\nbye,b\n", "README.md": b"---\nlicense: mit\n---\n"}
REPOSITORIES = {"datasets/me/tiny": FILES, "datasets/me/gated": FILES}


READ = """
import json, sys
from ftkit.contracts import Context
from ftkit.errors import FtkitError
from ftkit.sources.hub import Hub, read
for options in json.loads(sys.argv[1]):
    offline = options.pop("offline", False)
    try:
        config, ctx = Hub(input="text", **{"target": "label", **options}), Context(offline=offline)
        print(json.dumps([config.content_id(ctx), read(config, ctx).rows()]))
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
    rows = [["hello", "a", "train:1"], ["bye", "b", "train:2"]]
    with serving(REPOSITORIES, gated=frozenset({"datasets/me/gated"})) as hub:
        asked = [{"repository": name} for name in ("me/tiny", "me/gated", "me/none")]
        wrong = [{"repository": "me/tiny", "split": "tset"}, {"repository": "me/tiny", "target": "lable"}]
        good, gated, none, split, column = read_hub(asked + wrong, tmp_path, hub.endpoint)
    assert good == [f"me/tiny@{COMMIT}", rows]
    assert gated[0] == 4 and "me/gated: is gated; ask for access at" in str(gated[1])
    assert none[0] == 4 and "there is no such data set, or no access" in str(none[1])
    assert split[0] == 3 and "Unknown split" in str(split[1])
    assert column[0] == 3 and "did you mean 'label'?" in str(column[1])
    again: list[dict[str, object]] = [
        {"repository": "me/tiny"},
        {"repository": "me/tiny", "offline": True},
        {"repository": "me/other", "offline": True},
    ]
    away, offline, other = read_hub(again, tmp_path, hub.endpoint)
    assert away[0] == 4 and "the hub did not answer" in str(away[1])
    assert offline == [f"me/tiny@{COMMIT}", rows]
    assert other[0] == 4 and "offline, and it was not downloaded before" in str(other[1])
