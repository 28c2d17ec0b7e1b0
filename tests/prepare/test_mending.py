"""What cleaning leaves as people wrote it: well-formed texts of any kind, targets, and all of the test rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars
import pytest
from pydantic import ValidationError

from ftkit.contracts import Context, Quiet
from ftkit.prepare.cleaning import RowStep, TableStep
from ftkit.prepare.mending import MendingStep
from ftkit.prepare.rows import Rows
from ftkit.records import read_jsonl
from ftkit.registry import find, names
from ftkit.run.artifacts import Prepared
from ftkit.run.stages.prepare import PrepareConfig, run

WRITTEN = {
    "html": 'Explain: <div class="a"><p>Hi</p></div><!-- x --> &nbsp;<br/>',
    "entity": "What does `&lt;br&gt;` render as? &amp;amp; &#39;",
    "python": 'def f(x):\n    """Doc."""\n\n\n    return {"a":  x ** 2}  # ２\n\tif s == "\\n\\t":\n\t\tpass',
    "latex": r"\begin{align*} \frac{a}{b} &\neq \text{``x''} \\ x_1^2 &\le 3~\% \end{align*} $\alpha$",
    "sql": "SELECT  *\nFROM \"t\" -- all\nWHERE a <> 'O''Brien' AND b LIKE '%\\_%' AND c::int >= 1e-5;",
    "template": "{{ user | title }} {% if a %}${b}{% endif %} <%= c %> {0!r:>10} %(d)s <unk> [INST] </s>",
    "chinese": "　　全角：１２３，“引号”！《书》ＡＢＣ ﹏ 豈",
    "japanese": "ﾊﾝｶｸとカタカナ、「括弧」〜ーー①㈱ゞ",
    "korean": "한국어 문장… ‘따옴표’",
    "typography": "“It’s” — ﬁne… naïve cafe\u0301 ½ ™ ﬂ 5 × 3 − 2 a\xa0b",
    "emoji": "👨\u200d👩\u200d👧 ❤\ufe0f 👍🏽 :) ¯\\_(ツ)_/¯",
    "persian": "می\u200cخواهم",
    "markdown": "# T\n\n- a\n- b\n\n| x | y |\n|---|---|\n\n```js\nlet  a = `${b}`;\n```",
}


def with_default_options() -> list[str]:
    found = []
    for name in names("cleaning"):
        try:
            find("cleaning", name).config_type()
        except ValidationError:  # it has to be told what to do
            continue
        found.append(name)
    return found


@pytest.mark.parametrize("name", with_default_options())
def test_no_step_changes_a_character_of_a_well_formed_text_unless_it_is_told_to(name: str) -> None:
    """Steps may drop rows and add others."""
    component = find("cleaning", name)
    history = [{"role": role, "content": text} for text in WRITTEN.values() for role in ("user", "assistant")]
    rows = polars.DataFrame(
        [
            {"id": kind, "input": text, "target": text, "group": kind, "weight": 1.0, "rejected": text}
            for kind, text in WRITTEN.items()
        ]
    ).with_columns(history=polars.lit(history))
    texts = ("id", "input", "target", "rejected", "history")
    config = component.config_type()
    if isinstance(config, TableStep):
        marked = component.function(config, Rows.of(rows), Context(progress=Quiet()))
        assert not marked.columns.keys() & set(texts)
    else:
        cleaned = component.function(config, rows, Context()).table
        left = cleaned.filter(polars.col("id").is_in(rows["id"].implode())).select(texts)
        assert left.equals(rows.filter(polars.col("id").is_in(left["id"].implode())).select(texts))


@pytest.mark.parametrize("name", names("cleaning"))
def test_a_step_says_whether_it_changes_texts(name: str) -> None:
    """By what it does to a row with every defect."""
    component = find("cleaning", name)
    options: dict[str, Any] = {"html": {"action": "strip"}, "pattern": {"drop": "x{9}"}}.get(name, {})
    try:
        config = component.config_type.model_validate(options)
    except ValidationError:
        config = None
    if not isinstance(config, RowStep):
        return
    defects = "cafÃ© <p>a</p>  \r\n\r\n\r\n\r\nann@example.com"
    rows = polars.DataFrame({"id": ["1"], "input": [defects], "target": ["x"], "group": ["1"], "weight": [1.0]})
    changed = component.function(config, rows, Context()).table["input"].to_list()[:1] not in ([], [defects])
    assert changed == config.changes_texts
    assert isinstance(config, MendingStep) <= config.changes_texts


# ---- the whole stage ----


def lines(count: int = 120) -> list[dict[str, Any]]:
    """Rows far from one another; every fourth is broken, and its answer too; every fourth has a text of `WRITTEN`."""
    kinds = list(WRITTEN.values())
    rows = []
    for number in range(count):
        text = f"{number * 7919 % 10_007} " + " ".join(f"w{number * k * 31 % 977}" for k in range(1, 9))
        more = ["", f" cafÃ© ann{number}@example.com  ", kinds[number % len(kinds)], ""][number % 4]
        rows.append({"id": f"r{number}", "input": text + more, "target": f"answer {number}{more}"})
    return rows


def prepared(folder: Path, clean: list[Any], ctx: Context | None = None, **data: Any) -> Prepared:
    (folder / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines()), encoding="utf-8")
    source = {"jsonl": {"path": str(folder / "t.jsonl"), "id": "id"}}
    block = {"source": source, "clean": clean, **data}
    config = PrepareConfig.model_validate({"task": "generate", "seed": 17, "data": block})
    out = folder / "out"
    out.mkdir()
    return run(config, out, ctx or Context())


def pairs(done: Prepared, split: str) -> dict[str, tuple[str, str]]:
    return {row["id"]: (row["input"], row["target"]) for row in read_jsonl(done.path / f"{split}.jsonl")}


CAME = {row["id"]: (row["input"], row["target"]) for row in lines()}


def test_inputs_of_train_and_valid_are_repaired_and_all_else_stays_as_it_came(tmp_path: Path) -> None:
    done = prepared(tmp_path, ["fix_text", "length", "exact_dedup", "whitespace"])
    for split in ("train", "valid"):
        for name, (text, target) in pairs(done, split).items():
            came, answer = CAME[name]
            assert target == answer
            assert text == (came.replace("cafÃ©", "café").rstrip() if "cafÃ©" in came else came)
    test = pairs(done, "test")
    broken = {name for name in test if "cafÃ©" in test[name][0]}
    assert test == {name: CAME[name] for name in test} and broken
    ledger = [event for event in read_jsonl(done.path / "ledger.jsonl") if event["step"] == "test_as_it_came"]
    assert [(each["action"], each["reason"]) for each in ledger] == [("change", "input: as it came")] * len(broken)
    assert {each["id"] for each in ledger} == broken
    line = next(line for line in done.summary.funnel if line.step == "test_as_it_came")
    assert (line.rows_in, line.changed) == (len(test), len(broken))


def test_with_targets_every_split_is_repaired_whole(tmp_path: Path) -> None:
    done = prepared(tmp_path, [{"fix_text": {"targets": True}}])
    for split in ("train", "valid", "test"):
        for name, (text, target) in pairs(done, split).items():
            assert (text, target) == tuple(each.replace("cafÃ©", "café") for each in CAME[name])


@pytest.mark.parametrize("clean", [["fix_text", "personal_data"], ["personal_data", "fix_text"]])
def test_personal_data_is_masked_in_test_too(clean: list[str], tmp_path: Path) -> None:
    """What came back as it came has gone through the steps that mask."""
    done = prepared(tmp_path, clean)
    texts = [text for pair in pairs(done, "test").values() for text in pair if "caf" in text]
    assert texts and all("cafÃ© <email>" in text for text in texts)


def test_a_given_test_set_stays_to_the_character(tmp_path: Path) -> None:
    given = [
        {"id": "g1", "input": "given cafÃ© one  ", "target": "x\x00y"},
        {"id": "g2", "input": "two", "target": "z"},
    ]
    (tmp_path / "g.jsonl").write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    split = {"test": {"jsonl": {"path": str(tmp_path / "g.jsonl"), "id": "id"}}, "valid": 0.1}
    done = prepared(tmp_path, ["fix_text", "whitespace"], split=split)
    assert pairs(done, "test") == {"g1": ("given cafÃ© one  ", "x\x00y"), "g2": ("two", "z")}


def test_what_was_said_before_comes_back_too(tmp_path: Path) -> None:
    def talk(number: int) -> dict[str, Any]:
        turns = [("user", f"cafÃ© {number * 7919}"), ("assistant", f"cafÃ© yes {number}"), ("user", f"and {number}?")]
        messages = [{"role": role, "content": text} for role, text in turns]
        return {"id": f"r{number}", "messages": [*messages, {"role": "assistant", "content": f"{number}"}]}

    (tmp_path / "c.jsonl").write_text("".join(json.dumps(talk(number)) + "\n" for number in range(40)))
    source = {"jsonl": {"path": str(tmp_path / "c.jsonl"), "id": "id", "shape": "messages"}}
    block = {"source": source, "clean": ["fix_text"]}
    config = PrepareConfig.model_validate({"task": "generate", "seed": 17, "data": block})
    (tmp_path / "out").mkdir()
    done = run(config, tmp_path / "out", Context())
    for split, first in (("train", "café"), ("valid", "café"), ("test", "cafÃ©")):
        for row in read_jsonl(done.path / f"{split}.jsonl"):
            said = [message["content"].split()[0] for message in row.get("history") or []]
            assert said in ([first, "cafÃ©"], [])


def test_prepare_says_where_inputs_look_like_scraped_pages(tmp_path: Path) -> None:
    pages = [{"id": f"r{n}", "input": f"<p>page {n * 7919}</p>", "target": f"t{n}"} for n in range(60)]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in pages))
    source = {"jsonl": {"path": str(tmp_path / "t.jsonl"), "id": "id"}}
    for clean, is_said in ([], True), ([{"html": {"action": "unescape"}}], False):
        progress = Quiet()
        config = PrepareConfig.model_validate(
            {"task": "generate", "seed": 17, "data": {"source": source, "clean": clean}}
        )
        out = tmp_path / str(is_said)
        out.mkdir()
        run(config, out, Context(progress=progress))
        said = [line for line in progress.said if "look like scraped web pages" in line]
        assert len(said) == is_said
        assert not said or said[0].startswith("42 of 42 inputs of train look like scraped web pages")
