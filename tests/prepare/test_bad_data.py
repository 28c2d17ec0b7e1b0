"""What bad data gets: a message with its file, line and what to do, exit code 3, before any model is asked anything."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import ftkit
from refusals import errors, refused
from small_runs import SetUp, make_rows
from tiny_models import CHATML

from ftkit.records import read_jsonl

ROWS = "rows.jsonl"
CSV = "data.source={csv: {path: rows.csv, input: text, target: label}}"
GENERATE = ("task={generate: {max_new_tokens: 4}}", "baseline.instructions=[Answer.]")
MORE = "; on_error: drop in data leaves such rows out and lists them in the ledger"


def write_rows(rows: list[dict[str, Any]]) -> None:
    Path(ROWS).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def test_a_missing_data_file_is_named_with_the_nearest(place: Path) -> None:
    done = refused("data.source.jsonl.path=row.jsonl")
    assert done.code == 3
    assert "row.jsonl: no such file (path of the source in the recipe); did you mean 'rows.jsonl'?" in errors(done)


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_column_is_named_with_the_nearest(command: str, place: Path) -> None:
    done = refused("data.source.jsonl.input=txet", command=command)
    assert done.code == 3
    hint = "did you mean 'text'? the columns are text, label, customer"
    assert errors(done) == [f"data.source: input: source has no column 'txet'; {hint}"]


def test_rows_of_no_known_shape_get_their_columns_and_every_shape_there_is(place: Path) -> None:
    done = refused("data.source={jsonl: {path: rows.jsonl}}")
    first, *shapes = errors(done)
    assert (done.code, first) == (
        3,
        "data.source: the rows have no known shape (columns: text, label, customer); name `input` and `target` "
        "(likely input: text, target: label), or `shape`:",
    )
    assert "  alpaca: instruction and output, and perhaps input, system and history" in shapes


LIST = "'text' is a list; expected a string: input: \"{text}\" writes it as JSON"


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("data.split.group=custmer", "data.split.group: source has no column 'custmer'"),
        ("data.split.time=custmer", "data.split.time: source has no column 'custmer'"),
        ("data.source.jsonl.weight=custmer", "data.source: weight: source has no column 'custmer'"),
        ("data.decontaminate.identity='{text} {custmer}'", "data.decontaminate.identity: source has no column"),
        ("data.source.jsonl.target='{label} {custmer}'", "data.source: target: source has no column 'custmer'"),
    ],
)
@pytest.mark.parametrize(("command", "flags"), [("run", ()), ("check", ("--fast",))])
def test_a_missing_column_is_named_with_the_place_that_names_it_and_the_nearest(
    command: str, flags: tuple[str, ...], override: str, named: str, place: Path
) -> None:
    done = refused(override, command=command, flags=flags)
    (error,) = errors(done)
    assert (done.code, error.startswith(named)) == (3, True)
    assert error.endswith(" 'custmer'; did you mean 'customer'? the columns are text, label, customer")


@pytest.mark.parametrize(("command", "flags"), [("run", ()), ("check", ("--fast",))])
def test_a_column_that_none_of_the_first_20_100_rows_has_is_missing(
    command: str, flags: tuple[str, ...], place: Path
) -> None:
    plain = '{"id": "%d", "text": "x", "label": "y"}\n'
    lines = [plain % number for number in range(50_000)]
    Path(ROWS).write_text("".join([*lines, "broken far below\n"]), encoding="utf-8")
    done = refused("data.split.group=lable", command=command, flags=flags)
    assert errors(done) == [
        "data.split.group: source has no column 'lable' in its first 20,100 rows; did you mean 'label'? the columns "
        "are text, label; where a later row has it, give it to the first row too, as null"
    ]


def test_a_conversation_of_bad_weight_is_named_once_and_not_for_each_turn(place: Path) -> None:
    said = [{"role": role, "content": role} for role in ("user", "assistant", "user", "assistant")]
    write_rows([{"messages": said, "trust": trust} for trust in (1, 0, 1, "much")])
    every = "data.source={jsonl: {path: rows.jsonl, weight: trust, shape: {messages: {turns: every}}}}"
    done = refused(*GENERATE, every, "data.split.group=null")
    assert errors(done) == [
        "rows.jsonl:2: weight 'trust' is 0; expected a number above 0",
        f"rows.jsonl:4: weight 'trust' is no number; expected a number above 0{MORE}",
    ]


def test_a_label_that_is_not_in_the_list_is_named_with_its_row(place: Path) -> None:
    done = refused("task={classify: {labels: [delivery, log-in, refund]}}")
    message = "R001: target 'login' is none of the labels of task.classify.labels; did you mean 'log-in'?"
    assert (done.code, errors(done)) == (3, [message])


def test_a_given_test_file_with_an_unknown_label_is_named_with_its_row(place: Path) -> None:
    Path("test.jsonl").write_text('{"text": "a parcel", "label": "delivry", "customer": "X"}\n', encoding="utf-8")
    done = refused("data.split.test={jsonl: {path: test.jsonl, input: text, target: label}}")
    message = "test.jsonl:1: target 'delivry' is none of the labels found in data.source; did you mean 'delivery'?"
    assert (done.code, errors(done)) == (3, [message])


def test_a_split_that_would_be_empty_is_named(place: Path) -> None:
    done = refused("data.split.valid=0.001")
    assert done.code == 3
    assert errors(done)[0].startswith("data.split: valid would be empty:")


def test_all_rows_dropped_names_the_step(place: Path) -> None:
    done = refused("data.clean=[{length: {min_words: 500}}]")
    assert done.code == 3
    assert errors(done) == ["data.clean: every row of data.source was dropped; dropped: length 126 of 126"]


def test_one_label_only_is_no_classification(place: Path) -> None:
    write_rows([{**row, "label": "login"} for row in make_rows()])
    done = refused()
    assert done.code == 3
    assert errors(done) == ["data.source: all rows have the target 'login'; to classify, two labels are needed"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            b'{"id": "x", "text": "y", "label": \n',
            "not valid JSON: expected a value at character 34; it ends in the middle: was it cut off?",
        ),
        (
            b'{"id": "x", "text": "caf\xe9", "label": "login"}\n',
            "byte 25 of it (0xe9) is not UTF-8; mend it, or name what the file is in, "
            "as encoding: cp1252 of the source",
        ),
        (b'{"id": "x", "text": 7, "label": "login"}\n', "'text' is 7; expected a string: write it in quotes"),
        (b'{"id": "x", "text": ["y"], "label": "login"}\n', LIST),
        (
            b'{"id": "R000", "text": "y", "label": "login"}\n',
            'id "R000" stands already in an earlier row; ids must differ',
        ),
        (b'{"text": "y", "label": "login"}\n', "there is no 'id'; known: text, label (id of the source)"),
    ],
    ids=["json", "encoding", "type", "list", "id twice", "no id"],
)
def test_a_bad_jsonl_line_is_named_by_file_and_line(line: bytes, message: str, place: Path) -> None:
    first, second, *rest = Path(ROWS).read_bytes().splitlines(keepends=True)
    Path(ROWS).write_bytes(b"".join([first, second, line, *rest]))
    done = refused()
    assert (done.code, errors(done)) == (3, [f"rows.jsonl:3: {message}{MORE}"])


def test_the_first_ten_bad_rows_are_named_at_once(place: Path) -> None:
    write_rows([*make_rows(), *({"id": f"x{n}", "text": n, "label": "login", "customer": "C"} for n in range(12))])
    done = refused()
    named = [f"rows.jsonl:{127 + n}: 'text' is {n}; expected a string: write it in quotes" for n in range(10)]
    assert (done.code, errors(done)) == (3, [*named[:9], named[9] + "; the first 10 are shown" + MORE])


def test_bad_rows_are_left_out_and_listed_where_the_recipe_says_so(place: Path) -> None:
    write_rows([*({"id": f"x{n}", "text": n, "label": "login"} for n in range(12)), *make_rows()])
    done = ftkit("run", "recipe.yaml", "--set", "data.on_error=drop", "--until", "prepare")
    assert done.code == 0, done.err
    assert "\nread: 138 rows, 12 dropped\n" in done.err
    (folder,) = Path("runs/small").glob("prepare-*")
    listed = [line for line in read_jsonl(folder / "ledger.jsonl") if line["step"] == "read"]
    assert [(line["id"], line["action"], line["reason"]) for line in listed] == [
        (f"rows.jsonl:{n + 1}", "drop", f"'text' is {n}; expected a string: write it in quotes") for n in range(12)
    ]


def test_an_empty_target_is_named_by_its_row(place: Path) -> None:
    write_rows([*make_rows(), {"id": "x", "text": "a parcel", "label": " ", "customer": "C1"}])
    done = refused("data.clean=[]")
    assert done.code == 3
    assert errors(done) == ["x: the target is empty; mend the row, or drop it with the step length"]


def test_an_empty_target_of_a_given_row_is_not_said_to_be_dropped_by_a_step(place: Path) -> None:
    given = '{"text": "a parcel", "label": "login", "customer": "C1"}\n{"text": "x", "label": "", "customer": "C2"}\n'
    Path("test.jsonl").write_text(given, encoding="utf-8")
    done = refused("data.split.test={jsonl: {path: test.jsonl, input: text, target: label}}")
    advice = "mend or delete the row: no step drops a row of data.split.test"
    assert (done.code, errors(done)) == (3, [f"test.jsonl:2: the target is empty; {advice}"])


LABELS = "task={classify: {labels: [delivery, login, refund]}}"


@pytest.mark.parametrize(
    ("label", "text", "clean", "code"),
    [
        (" login ", "a parcel", "[{whitespace: {targets: true, blanks: one}}]", 0),
        (" login ", "a parcel", "[]", 3),
        ("n/a", "a", "[{length: {min_words: 2}}]", 0),
        ("n/a", "a parcel", "[{length: {min_words: 2}}]", 3),
        (" login ", "a parcel", "[exact_dedup, {whitespace: {targets: true, blanks: one}}]", 0),
    ],
    ids=["made regular", "as it is", "dropped", "not dropped", "behind a comparing step"],
)
def test_the_quick_check_judges_targets_as_the_steps_leave_them_and_so_does_the_run(
    label: str, text: str, clean: str, code: int, place: Path
) -> None:
    write_rows([{"id": "x", "text": text, "label": label, "customer": "C"}, *make_rows()[:120]])
    overrides = ("recipe.yaml", "--set", LABELS, "--set", f"data.clean={clean}")
    quick, whole = ftkit("check", *overrides, "--fast"), ftkit("run", *overrides, "--until", "prepare")
    assert (quick.code, whole.code) == (code, code), quick.err + whole.err
    assert errors(quick) == errors(whole)


def test_the_quick_check_judges_given_rows_that_a_step_would_only_flag(place: Path) -> None:
    Path("test.jsonl").write_text('{"text": "a", "label": "n/a", "customer": "C"}\n', encoding="utf-8")
    given = "data.split.test={jsonl: {path: test.jsonl, input: text, target: label}}"
    done = refused(LABELS, given, "data.clean=[{length: {min_words: 2}}]", command="check", flags=("--fast",))
    assert errors(done)[0].startswith("test.jsonl:1: target 'n/a' is none of the labels of task.classify.labels")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"text,label\na,x\nb\n",
            f"rows.csv:3: expected 2 fields, found 1: a quote or a delimiter too many or too few?{MORE}",
        ),
        (
            b'text,label\na,x\n"b,y\n',
            f"rows.csv:3: not valid CSV: unexpected end of data; is a quote left open, or not doubled?{MORE}",
        ),
        (
            b"text,label\na,x\ncaf\xe9,x\n",
            "rows.csv:3: byte 4 of it (0xe9) is not UTF-8; mend it, or name what the file is in, "
            f"as encoding: cp1252 of the source{MORE}",
        ),
        (b"text,label,label\na,x,y\n", "rows.csv:1: column 'label' stands twice in the header; names must differ"),
        (b"text,label\n", "rows.csv: there is no row in the file"),
        (b"", "rows.csv: the file is empty"),
    ],
    ids=["fields", "quote", "latin-1", "header", "no row", "empty"],
)
def test_a_bad_csv_record_is_named_by_file_and_line(content: bytes, message: str, place: Path) -> None:
    Path("rows.csv").write_bytes(content)
    done = refused(CSV, "data.split.group=null")
    assert (done.code, errors(done)) == (3, [message])


def test_where_no_row_is_good_it_is_said(place: Path) -> None:
    Path("rows.csv").write_bytes(b"text,label\ncaf\xe9,x\n")
    done = refused(CSV, "data.split.group=null")
    first, last = errors(done)
    assert first.startswith("rows.csv:2: byte 4 of it (0xe9) is not UTF-8; mend it, or name what the file is in")
    assert (done.code, last) == (3, "no row is good so far")


@pytest.mark.parametrize(
    ("delimiter", "encoding", "said"),
    [
        (",", "utf-8", ""),
        (",", "utf-16", "rows.csv: read as utf-16, not UTF-8 (encoding of the source fixes it)\n"),
        (
            ";",
            "utf-8",
            "rows.csv: fields parted by semicolons, double quotes (delimiter, quotes of the source fix it)\n",
        ),
    ],
    ids=["plain", "utf-16", "semicolons"],
)
def test_an_encoding_and_a_delimiter_are_found_and_said_aloud(
    delimiter: str, encoding: str, said: str, place: Path
) -> None:
    with Path("rows.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", "label", "customer"], delimiter=delimiter)
        writer.writeheader()
        writer.writerows(make_rows())
    done = ftkit("run", "recipe.yaml", "--set", CSV, "--until", "prepare")
    assert done.code == 0, done.err
    assert done.err.startswith(f"prepare: started\n{said}source: 126 rows read\n")


def template(text: str) -> None:
    """Give the base model another chat template."""
    Path("base/chat_template.jinja").write_text(text, encoding="utf-8")


def test_a_chat_template_that_raises_is_named_before_the_rows_are_prepared(place: Path) -> None:
    template("{{ raise_exception('only tool calls') }}")
    done = refused()
    assert done.code == 3
    assert "base" in errors(done)[0] and "chat template refuses these messages" in errors(done)[0]
    assert "only tool calls" in errors(done)[0]
    assert not list(Path().glob("runs/*/prepare-*"))


def test_a_chat_template_that_takes_no_earlier_turns_is_named_before_the_rows_are_prepared(place: Path) -> None:
    template("{% if messages|length > 2 %}{{ raise_exception('one turn only') }}{% endif %}" + CHATML)
    done = refused()
    assert done.code == 3
    assert "one turn only" in errors(done)[0]
    assert ftkit("run", "recipe.yaml", "--until", "baseline", "--set", "baseline.prompts=[zero_shot]").code == 0


def test_a_chat_template_that_is_no_template_is_named(place: Path) -> None:
    template("{% for message in messages %}")
    done = refused()
    assert done.code in (3, 4)
    assert "base" in errors(done)[0]


def test_a_row_that_may_not_be_cut_is_named_before_the_search(place: Path) -> None:
    rows = make_rows()[:120]
    rows[7]["text"] = "a parcel that is late " * 100
    write_rows(rows)
    overrides = ("data.clean=[]", "data.split.valid=0.1", "data.split.test=0.1", "train.too_long=error")
    done = refused(*overrides)
    assert done.code == 3
    assert errors(done)[0].startswith("R007: prompt zero_shot needs ")
    assert "the model takes 256" in errors(done)[0] and "set train.too_long to cut or drop" in errors(done)[0]


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_target_that_does_not_fit_the_context_is_named_by_its_row(command: str, place: Path) -> None:
    rows = make_rows()[:120]
    rows[7]["label"] = "a very long answer " * 100
    write_rows(rows)
    done = refused(*GENERATE, "data.clean=[]", "data.split.valid=0.1", "data.split.test=0.1", command=command)
    assert done.code == 3
    assert errors(done)[0].startswith("R007: prompt zero_shot needs ")
    assert "1,501 of them for the answer; the model takes 256. A target is never cut" in errors(done)[0]


def test_a_prompt_that_leaves_no_room_for_the_answer_is_named(place: Path) -> None:
    done = refused("task={generate: {max_new_tokens: 250}}", "baseline.instructions=[Answer.]")
    assert done.code == 3
    assert errors(done)[0].startswith("baseline.instructions: the shortest, 'Answer.', takes ")
    assert (
        "and task.generate.max_new_tokens 250: nothing is left for an input in the model's context of 256"
        in (errors(done)[0])
    )


def test_rows_to_predict_without_their_column_are_named_by_line(place: Path, ran: SetUp) -> None:
    shutil.copytree(ran.folder / "runs", "runs")
    Path("new.jsonl").write_text('{"id": "1", "text": "a parcel"}\n{"id": "2", "txt": "a parcel"}\n', encoding="utf-8")
    done = ftkit("predict", "runs/small", "new.jsonl")
    assert done.code == 3
    assert "new.jsonl:2: 'text' is null; expected a string" in done.err
    assert errors(done) == ["1 of 2 rows are not answered: their 'error' says why"]
    done = ftkit("predict", "runs/small", "nix.jsonl")
    assert (done.code, errors(done)) == (3, ["nix.jsonl: no such file"])
    done = ftkit("predict", "runs/small", ROWS, "--arm", "lora+zero_shto")
    assert (done.code, errors(done)) == (2, ["--arm lora+zero_shto: no such arm; did you mean 'lora+zero_shot'?"])
