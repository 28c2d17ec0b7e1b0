"""The command line: results on stdout, progress on stderr, one command after another as a user types them."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from commands import ftkit
from small_runs import SetUp, hashes
from tiny_models import spec_of
from transformers import AutoModelForCausalLM, AutoTokenizer

from ftkit.engine.generate import Writing, generate
from ftkit.engine.load import load
from ftkit.records import Prediction, write_jsonl
from ftkit.registry import KINDS, names
from ftkit.store import read_json

COMMANDS = [
    "init",
    "run",
    "check",
    "prepare",
    "report",
    "runs",
    "compare",
    "duplicates",
    "try",
    "chat",
    "predict",
    "export",
    "list",
    "show",
    "schema",
    "docs",
    "doctor",
    "help",
]


@pytest.fixture(scope="module")
def finished(ran: SetUp, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """The folder with a finished run in runs/small."""
    return SetUp(shutil.copytree(ran.folder, tmp_path_factory.mktemp("cli") / "finished"))


@pytest.fixture
def place(finished: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the recipe as the current one; what a test makes goes to tmp_path."""
    monkeypatch.chdir(finished.folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return finished.folder


# --- help


def test_help_lists_all_commands_with_a_line_that_is_not_cut() -> None:
    done = ftkit("--help")
    assert done.code == 0
    listed = re.findall(r"^  (\w+) +(\S.*)$", done.out.split("Commands:")[1], flags=re.MULTILINE)
    assert [name for name, _ in listed] == COMMANDS
    assert all(text.endswith(".") and not text.endswith("...") for _, text in listed)


def test_without_a_command_the_help_is_shown() -> None:
    assert "Commands:" in ftkit().out + ftkit().err


def test_the_version_is_that_of_the_package() -> None:
    from importlib.metadata import version

    done = ftkit("--version")
    assert (done.code, done.out) == (0, f"ftkit {version('ftkit')}\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("rnu",), "No such command 'rnu'. Did you mean 'run'?"),
        (("run",), "Missing argument 'RECIPE'."),
        (("run", "recipe.yaml", "--untl", "train"), "No such option: --untl"),
        (("export", "runs/small"), "Missing option '--out'."),
    ],
)
def test_a_mistyped_command_line_says_what_is_wrong(args: tuple[str, ...], message: str) -> None:
    done = ftkit(*args)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert "Usage: ftkit" in done.err


# --- components


def test_list_names_every_component_with_what_it_does() -> None:
    done = ftkit("list")
    lines = done.out.splitlines()
    for kind in KINDS:
        below = lines[lines.index(kind) + 1 :]
        listed = [line.split()[0] for line in below if re.match(r"  \w", line)]
        assert listed[: len(names(kind))] == list(names(kind))
    assert "  zero_shot  The instruction alone, without demonstrations." in lines
    assert max(map(len, lines)) <= 80
    assert json.loads(ftkit("list", "methods", "--json").out).keys() == {"methods"}


def test_show_gives_options_with_their_defaults() -> None:
    done = ftkit("show", "lora")
    assert done.out.startswith("methods/lora\n\nLow-rank adapters on the frozen base")
    assert "\n  rank: whole number from 1 to 16384, default 16 — inner size of an adapter:\n" in done.out
    assert ftkit("show", "cleaning/near_dedup").out.startswith("cleaning/near_dedup\n")
    assert "\n  path: text, required — file, folder, or pattern" in ftkit("show", "jsonl").out


@pytest.mark.parametrize("name", [f"{kind}/{name}" for kind in KINDS for name in names(kind)])
def test_every_component_can_be_shown_without_stray_indents(name: str) -> None:
    done = ftkit("show", name)
    assert done.code == 0
    assert done.out.startswith(f"{name}\n\n")
    assert not re.search(r"^( {3}| {5,})\S", done.out, flags=re.MULTILINE)  # 2: an option; 4: what goes on of it
    assert max(map(len, done.out.splitlines())) <= 80


# --- doctor and check


def test_doctor_tells_versions_and_devices() -> None:
    found = json.loads(ftkit("doctor", "--json").out)
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"torch", "transformers", "memory_gib", "free_disk_gib", "devices"} <= found.keys()
    text = ftkit("doctor").out
    assert f"torch            {found['torch']}\n" in text
    assert "{" not in text


def test_check_fast_looks_at_schema_and_columns(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    done = ftkit("check", "recipes/quickstart.yaml", "--fast")
    assert (done.code, done.out, done.err) == (0, "recipes/quickstart.yaml: schema, columns and files are fine\n", "")
    found = json.loads(ftkit("check", "recipes/quickstart.yaml", "--fast", "--json").out)
    assert found == {"recipe": "quickstart", "source": ["id", "text", "label", "customer", "date"]}


def test_check_shows_prompts_loss_masks_and_what_can_be_proven(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    few = [f"data.limit.{name}={count}" for name, count in (("train", 300), ("valid", 60), ("test", 100))]
    done = ftkit("check", "recipes/quickstart.yaml", "--json", *(word for each in few for word in ("--set", each)))
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["num_labels"] == 8
    assert len(found["shown"]) == 3
    lines = Path("data/support_tickets.jsonl").read_text(encoding="utf-8").splitlines()
    labels = {row["id"]: row["label"] for row in map(json.loads, lines)}
    for row in found["shown"]:
        assert row["target"].startswith(labels[row["id"]])
        assert "Classify the message." in row["context"]
    assert all(fit["detail"] == "" for fit in found["prompts"] if fit["label"].startswith("zero_shot"))
    assert found["equivalence"].keys() == {"2%", "5%", "10%", "20%"}


def test_check_prints_without_colour_where_stdout_is_no_terminal(place: Path) -> None:
    before = sorted(place.rglob("*"))
    done = ftkit("check", "recipe.yaml")
    assert done.code == 0, done.err
    assert sorted(place.rglob("*")) == before
    assert "\x1b" not in done.out
    assert re.search(r"^rows: train \d+, valid \d+, test \d+; 3 labels$", done.out, flags=re.MULTILINE)
    assert "what is learned is marked" in done.out


# --- run


def test_run_prints_its_result_as_json_on_stdout_and_progress_on_stderr(place: Path, tmp_path: Path) -> None:
    done = ftkit("run", "recipe.yaml", "--until", "prepare", "--json", "--runs-dir", tmp_path)
    assert done.code == 0
    found = json.loads(done.out)
    assert found["run"] == str(tmp_path / "small")
    assert found["artifacts"].keys() == {"prepare"}
    assert Path(found["artifacts"]["prepare"], "manifest.json").is_file()
    assert found["verdict"] is None
    assert "prepare: started\n" in done.err
    again = ftkit("run", "recipe.yaml", "--until", "prepare", "--runs-dir", tmp_path)
    assert again.out == f"ended after prepare: {found['artifacts']['prepare']}\n"
    assert "prepare: reused, " in again.err


def test_set_changes_one_key_and_is_kept_beside_the_recipe(place: Path, tmp_path: Path) -> None:
    done = ftkit("run", "recipe.yaml", "--set", "data.limit.test=5", "--until", "prepare", "--runs-dir", tmp_path)
    assert done.code == 0
    assert read_json(tmp_path / "small" / "recipe.resolved.json")["data"]["limit"]["test"] == 5
    assert (tmp_path / "small" / "recipe.yaml").read_text(encoding="utf-8").startswith("# --set data.limit.test=5\n")


# --- a finished run


def test_report_prints_the_verdict_and_where_the_page_is(finished: SetUp, place: Path) -> None:
    done = ftkit("report", "runs/small")
    (folder,) = Path("runs/small").glob("compare-*")
    assert done.out == (folder / "report.md").read_text(encoding="utf-8") + "\n"
    assert done.err == f"report: {folder}/report.html\n"
    assert json.loads(ftkit("report", "runs/small", "--json").out) == read_json(folder / "verdict.json")


def test_predict_answers_every_row_in_order_on_stdout(finished: SetUp, place: Path, tmp_path: Path) -> None:
    rows = tmp_path / "new.jsonl"
    write_jsonl(rows, [{"id": f"n{number}", "text": text} for number, text in enumerate(["money back", "my parcel"])])
    before = hashes(Path("runs/small"), but=())
    done = ftkit("predict", "runs/small", rows, "--arm", "lora+zero_shot")
    assert done.code == 0, done.err
    answers = [json.loads(line) for line in done.out.splitlines()]
    assert [answer["id"] for answer in answers] == ["n0", "n1"]
    assert {answer["answer"] for answer in answers} <= {"delivery", "login", "refund"}
    assert hashes(Path("runs/small"), but=()) == before


def test_predict_answers_test_rows_as_the_run_did(finished: SetUp, place: Path, tmp_path: Path) -> None:
    (evaluated,) = Path("runs/small").glob("evaluate-*")
    lines = [json.loads(line) for line in (evaluated / "predictions.jsonl").read_text(encoding="utf-8").splitlines()]
    expected = {row["id"]: row["parsed"] for row in lines if row["arm"] == "lora+zero_shot"}
    (prepared,) = Path("runs/small").glob("prepare-*")
    tests = [json.loads(line) for line in (prepared / "test.jsonl").read_text(encoding="utf-8").splitlines()]
    write_jsonl(tmp_path / "test.jsonl", [{"id": row["id"], "text": row["input"]} for row in tests])
    done = ftkit("predict", "runs/small", tmp_path / "test.jsonl", "--arm", "lora+zero_shot")
    found = {row["id"]: row["answer"] for row in map(json.loads, done.out.splitlines())}
    assert found == expected


def test_export_writes_a_model_that_transformers_loads(
    finished: SetUp,
    place: Path,
    tmp_path: Path,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "shipped"
    done = ftkit("export", "runs/small", "--out", out, "--arm", "lora+zero_shot")
    assert done.code == 0, done.err
    assert done.out == f"{out}\n"
    assert "logits checked in a fresh process: relative difference" in done.err
    assert "36 test rows answered anew in a fresh process: 0 otherwise than scored; accuracy" in done.err
    assert {"model.safetensors", "config.json", "tokenizer.json", "chat_template.jinja", "arm.json"} <= {
        path.name for path in out.iterdir()
    }
    assert not list(out.glob("*.bin"))
    model = AutoModelForCausalLM.from_pretrained(out)
    base = AutoModelForCausalLM.from_pretrained(place / "base")
    assert any((one != two).any() for one, two in zip(model.parameters(), base.parameters(), strict=True))
    assert AutoTokenizer.from_pretrained(out).chat_template
    again = ftkit("export", "runs/small", "--out", out)
    assert (again.code, again.err) == (2, f"error: --out {out}: exists already; name a new folder\n")
    monkeypatch.chdir(tmp_path)
    readme = (root / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import json.*?)```", readme, flags=re.DOTALL)
    exec(code, {})  # as the README has it
    loaded = load(spec_of(out), finished.context())
    instruction = read_json(out / "arm.json")["prompter"]["instruction"]
    asked = loaded.renderer.render([{"role": "user", "content": f"{instruction}\n\nWhere is my parcel?"}]).context_ids
    limit = read_json(out / "generation_config.json")["max_new_tokens"]
    (answer,) = generate(loaded, [asked], Writing(limit), ctx=finished.context())
    assert capsys.readouterr().out == loaded.renderer.decode(answer.ids) + "\n"


def test_a_damaged_run_is_refused_by_every_command_that_reads_it(
    finished: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(finished.folder, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    (weights,) = Path("runs/small").glob("train-lora-*/adapter/adapter_model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    for args in (
        ["report", "runs/small"],
        ["predict", "runs/small", "rows.jsonl"],
        ["export", "runs/small", "--out", "x"],
    ):
        done = ftkit(*args)
        assert (done.code, done.out) == (7, ""), args
        assert f"error: {weights}: " in done.err
    assert not Path("x").exists()


# --- compare two files


def predictions(arm: str, right: int, rows: int = 40) -> list[Prediction]:
    return [
        Prediction(
            arm, f"r{n}", f"r{n}", "yes", "yes", "yes" if n < right else "no", {"accuracy": float(n < right)}, (), 9, 1
        )
        for n in range(rows)
    ]


def test_compare_tells_which_of_two_files_is_better(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", predictions("a", 38))
    write_jsonl(tmp_path / "b.jsonl", predictions("b", 10))
    done = ftkit("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["verdict"] == "a"
    assert found["contrast"]["difference"] == pytest.approx(0.7)
    assert found["contrast"]["table"] == {"both": 10, "only_a": 28, "only_b": 0, "neither": 2}
    text = ftkit("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl").out
    assert text.count("\n") == 1 and "70.0 points" in text


def test_compare_refuses_files_of_other_rows(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", predictions("a", 38))
    write_jsonl(tmp_path / "b.jsonl", predictions("b", 10, rows=39))
    done = ftkit("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert (done.code, done.out) == (3, "")
    assert "r39" in done.err


# --- what is ours to mend


def test_an_error_nobody_foresaw_keeps_its_traceback_and_says_it_is_a_bug(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **options: object) -> None:
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr("ftkit.run.machine.platform.platform", broken)
    done = ftkit("doctor")
    assert done.code == 70
    assert "ZeroDivisionError: nobody foresaw this" in done.err
    assert done.err.endswith("error: this is a bug in ftkit; please report it with the lines above\n")


def test_a_disk_that_is_full_is_no_bug(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device", "runs")

    monkeypatch.setattr("ftkit.run.machine.shutil.disk_usage", full)
    done = ftkit("doctor")
    assert (done.code, done.err) == (4, "error: runs: No space left on device\n")
