"""A text put to arms of a finished run: try and chat."""

from __future__ import annotations

import io
import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from commands import ftkit
from small_runs import SetUp, run_here

from ftkit.service.replies import in_words
from ftkit.service.speaking import Reply

TEXT = "parcel courier late street"


@pytest.fixture
def run_dir(ran: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run that classifies, in the folder it is used from."""
    folder = shutil.copytree(ran.folder, tmp_path / "place")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Path("runs/small")


@pytest.fixture(scope="module")
def writing(made: SetUp, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run that writes, of conversations under one system turn."""
    folder = shutil.copytree(made.folder, tmp_path_factory.mktemp("writing") / "place")
    rows = [
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": f"first {number}"},
                {"role": "assistant", "content": "yes"},
                {"role": "user", "content": f"second {number}"},
                {"role": "assistant", "content": f"card {number % 3}"},
            ]
        }
        for number in range(30)
    ]
    (folder / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    recipe = (folder / "recipe.yaml").read_text(encoding="utf-8")
    head, tail = recipe.split("task:")[0], recipe.split("baseline:")[1].split("train:")[1]
    data = "data: {source: {jsonl: {path: chats.jsonl}}, split: {valid: 0.2, test: 0.3}, clean: []}"
    task = "task: {generate: {max_new_tokens: 4}}"
    text = f"{head}{task}\n{data}\nbaseline: {{prompts: [zero_shot]}}\ntrain:{tail}"
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    run_here(SetUp(folder), folder / "runs", "train.epochs=1")
    return folder


def chat(monkeypatch: pytest.MonkeyPatch, typed: str, *args: str) -> str:
    """What a chat prints that was typed all of this."""
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    done = ftkit("chat", "runs/small", *args)
    assert done.code == 0, done.err
    return done.out


def test_a_text_is_tried_on_an_arm_with_prompt_shares_and_answer(run_dir: Path) -> None:
    done = ftkit("try", run_dir, TEXT, "--arm", "lora+zero_shot", "--arm", "linear", "--json")
    tuned, linear = json.loads(done.out)
    assert (tuned["arm"], linear["arm"]) == ("lora+zero_shot", "linear")
    assert tuned["messages"][-1]["content"].endswith(TEXT)
    for reply in (tuned, linear):
        assert sum(reply["labels"].values()) == pytest.approx(1, abs=1e-4)
        assert list(reply["labels"].values()) == sorted(reply["labels"].values(), reverse=True)
        assert reply["answer"] == next(iter(reply["labels"])) and isinstance(reply["is_sure"], bool)
    assert linear["answer"] == "delivery"


def test_what_is_tried_is_what_predict_answers(run_dir: Path) -> None:
    texts = ["money back charged", "<b>password</b> reset &amp; mail", "street 12"]
    Path("new.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    arm = ("--arm", "lora+few_shot(k=2, balanced)")
    predicted = [json.loads(line) for line in ftkit("predict", run_dir, "new.jsonl", *arm).out.splitlines()]
    tried = [json.loads(ftkit("try", run_dir, text, *arm, "--json").out)[0] for text in texts]
    assert [each["answer"] for each in tried] == [each["answer"] for each in predicted]


def test_in_words_the_arm_comes_first_then_prompt_and_answer_within_80_columns(run_dir: Path) -> None:
    lines = ftkit("try", run_dir, TEXT, "--arm", "lora+zero_shot").out.splitlines()
    assert lines[0] == "lora+zero_shot" and lines[1].startswith("prompt, ") and "answer" in lines
    assert f"    {TEXT}" in lines[: lines.index("answer")]
    assert all(len(line) <= 80 for line in lines)


@pytest.mark.parametrize(
    ("sure_from", "said"),
    [
        (0.5, []),
        (0.6434, ["not sure (below 64.4%): needs more context, or a look by somebody"]),
        (1.1, ["not sure: on valid this arm was wrong more often than right, however sure"]),
    ],
)
def test_an_answer_below_the_threshold_is_said_to_be_unsure(sure_from: float, said: list[str]) -> None:
    labels = (("late", 0.6), ("lost", 0.396), ("other", 0.004))
    lines = in_words(Reply("base", [], "late", "late", (), 3, labels, sure_from))
    assert lines == [*said, "late   60.0%  ############", "lost   39.6%  ########"]


def test_a_chat_answers_what_is_typed_and_keeps_it(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = chat(monkeypatch, f"{TEXT}\n\n/prompt\n//card\n/nonsense\n", "--arm", "linear", "--beside", "lora+zero_shot")
    assert out.count("[linear]") == 2 and out.count("[lora+zero_shot]") == 2
    assert "prompt, " in out and "/nonsense: no such command" in out
    (kept,) = Path("runs/small/chats").iterdir()
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert [(row["said"], row["arm"]) for row in rows] == [
        (said, arm) for said in (TEXT, "/card") for arm in ("linear", "lora+zero_shot")
    ]
    assert ftkit("report", run_dir).code == 0  # which the kept lines do not disturb


def test_a_chat_of_conversations_goes_on_under_the_system_turn_of_the_rows(
    writing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(writing)
    chat(monkeypatch, "one\ntwo\n/new\nthree\n", "--arm", "lora+zero_shot")
    (kept,) = Path("runs/small/chats").iterdir()
    rows = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    asked = [[(turn["role"], turn["content"]) for turn in row["messages"]] for row in rows]
    assert asked[0] == [("system", "Be brief."), ("user", "one")]
    assert asked[1] == [*asked[0], ("assistant", rows[0]["raw"]), ("user", "two")]
    assert asked[2] == [("system", "Be brief."), ("user", "three")]
    shutil.rmtree("runs/small/chats")
    (tried,) = json.loads(ftkit("try", "runs/small", "one", "--system", "", "--arm", "base+zero_shot", "--json").out)
    assert [turn["role"] for turn in tried["messages"]] == ["user"]


def test_a_text_grows_on_the_screen_as_it_is_written(writing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ftkit.cli.showing import OneByOne

    monkeypatch.chdir(writing)
    seen: list[str] = []
    tell = OneByOne.tell
    monkeypatch.setattr(OneByOne, "tell", lambda self, text: (seen.append(text), tell(self, text))[1])
    out = chat(monkeypatch, "one\n", "--arm", "base+zero_shot")
    assert len(seen) > 1 and all(two.startswith(one) for one, two in pairwise(seen))
    assert seen[-1] in out and out.count(seen[-1]) == 1
    shutil.rmtree("runs/small/chats")


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("try", "runs/small", " "), 3, "the text is empty"),
        (("try", "runs/small", "a", "--arm", "lora+zero_shoot"), 2, "no such arm; did you mean 'lora+zero_shot'?"),
        (("try", "nowhere", "a"), 2, "nowhere"),
        (("chat", "runs/small", "--arm", "linear", "--beside", "linear"), 2, "--beside linear: is the arm itself"),
    ],
)
def test_what_cannot_be_asked_is_an_error_in_words(
    args: tuple[str, ...], code: int, message: str, run_dir: Path
) -> None:
    done = ftkit(*args)
    assert done.code == code and message in done.err and "Traceback" not in done.err
