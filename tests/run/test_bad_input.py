"""What bad input other than rows gets: a message with its place and what to do, the right exit code, nothing lost."""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from commands import ftkit, ftkit_anew, ftkit_apart
from hub_standin import environment, files_of, serving
from refusals import assert_refused, errors, refused
from small_runs import hashes

ROWS = "rows.jsonl"


# --- recipe and command line: 2


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.method=loora", "--set: train.method: unknown name 'loora'; did you mean 'lora'?"),
        ("train.epochs=many", "--set: train.epochs: input should be a valid number, found 'many'"),
        ("nonsense", "--set nonsense: expected key.path=value"),
        ("=1", "--set =1: expected key.path=value"),
        ("train.epochs.a=1", "--set train.epochs.a: cannot set 'a' in int 2"),
        ("seed.a=1", "--set seed.a: seed: input should be a valid integer"),
        ("data.clean=[{length:{min_words:2}}]", "write a space behind the colon"),
        ("model.precision=fp16", "model.precision: input should be 'auto', 'float32' or 'bfloat16', found 'fp16'"),
        ("compare.primary=acuracy", "'acuracy' is not among evaluate.metrics; did you mean 'accuracy'?"),
        ("train.metod=lora", "--set: train.metod: unknown key; did you mean 'method'?"),
    ],
    ids=lambda value: value.split("=")[0],
)
def test_a_recipe_that_is_wrong_is_refused_with_its_key(override: str, message: str, place: Path) -> None:
    done = refused(override)
    assert done.code == 2
    assert message in "\n".join(errors(done))
    assert not Path("runs").exists()


def test_a_recipe_that_is_not_there_is_named(place: Path) -> None:
    done = ftkit("run", "recip.yaml")
    assert_refused(done)
    assert (done.code, errors(done)) == (2, ["recip.yaml: no such recipe; did you mean 'recipe.yaml'?"])


@pytest.mark.parametrize("where", [{"path": "metric.py"}, {"hub": "accuracy", "revision": "v1"}], ids=["path", "hub"])
def test_a_metric_that_is_code_needs_the_users_word(where: dict[str, str], place: Path) -> None:
    done = refused(f"evaluate.metrics={json.dumps([{'evaluate': where}])}")
    assert done.code == 2
    assert errors(done)[0].startswith("evaluate.metrics: evaluate runs code from elsewhere; say --trust-remote-code")


def test_a_metric_script_that_is_not_there_is_named_before_anything_is_made(place: Path) -> None:
    override = "evaluate.metrics=[accuracy, {evaluate: {path: metric.py}}]"
    done = refused(override, flags=("--trust-remote-code",))
    assert done.code in (3, 4)
    assert "metric.py" in errors(done)[0]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("report", "runs/nix"), "runs/nix: not a run directory"),
        (("predict", "runs/nix", ROWS), "runs/nix: not a run directory"),
        (("export", "runs/nix", "--out", "out"), "runs/nix: not a run directory"),
        (("report", "base"), "base: not a run directory (no latest.json); expected something like runs/quickstart"),
        (("run", "recipe.yaml", "--until", "trian"), "--until trian: no such stage; did you mean 'train'?"),
        (("list", "metric"), "list: 'metric' is no kind of component; did you mean 'metrics'?"),
        (("show", "near_dedupe"), "show: no component or key is called 'near_dedupe'; did you mean 'near_dedup'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_command_on_what_is_not_there_is_an_error_of_one_line(
    args: tuple[str, ...], message: str, place: Path
) -> None:
    done = ftkit(*args)
    assert_refused(done)
    assert done.code == 2
    assert errors(done)[0].startswith(message)
    assert not Path("out").exists()


# --- machine, models, network: 4


def test_bfloat16_on_a_cpu_without_it_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for unit in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, unit, lambda: False)
    done = refused("model.precision=bfloat16")
    assert done.code == 4
    assert errors(done) == ["model.precision: bfloat16 is asked for, but cpu has no bfloat16; use auto or float32"]


def test_a_model_folder_that_is_not_there_is_named(place: Path) -> None:
    done = refused("model.path=bsae")
    assert done.code == 4
    assert errors(done)[0].startswith("model.path: bsae: no such folder")


def test_pickled_weights_are_refused(place: Path) -> None:
    Path("base/model.safetensors").rename("base/pytorch_model.bin")
    done = refused()
    assert done.code == 4
    assert errors(done)[0].endswith("pytorch_model.bin: pickled weights are refused; convert to safetensors")


@pytest.mark.parametrize(
    ("name", "content"),
    [("config.json", b"{"), ("config.json", b'{"model_type": "nonsense"}'), ("tokenizer.json", b"{}")],
    ids=["config", "family", "tokenizer"],
)
def test_a_model_folder_with_a_damaged_file_is_named(name: str, content: bytes, place: Path) -> None:
    Path("base", name).write_bytes(content)
    done = refused()
    assert done.code == 4
    assert "base" in errors(done)[0]


def test_weights_cut_short_are_named(place: Path) -> None:
    weights = Path("base/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-100])
    done = ftkit("run", "recipe.yaml")
    assert done.code == 4
    assert "Traceback" not in done.err
    assert "base/model.safetensors: the model cannot be loaded" in errors(done)[0]


def test_qlora_without_bitsandbytes_says_what_to_install(place: Path, tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "sitecustomize.py").write_text("import sys\nsys.modules['bitsandbytes'] = None\n", encoding="utf-8")
    root = Path(__file__).parents[2]
    env = {"HOME": str(tmp_path), "PYTHONPATH": f"{hidden}:{root}", "HF_HUB_OFFLINE": "1"}
    calls = [["run", "recipe.yaml", "--set", "train.method=qlora"], ["run", "recipe.yaml", "--until", "train"]]
    qlora, lora = ftkit_anew(calls, cwd=place, env=env)
    assert (qlora.code, errors(qlora)) == (4, ["train.method: qlora needs bitsandbytes: pip install bitsandbytes"])
    assert lora.code == 0, lora.err


def test_what_the_hub_refuses_is_said_with_what_to_do(place: Path, tmp_path: Path) -> None:
    repositories = {name: files_of(place / "base") for name in ("models/me/tiny", "models/me/gated")}
    asked = [
        ("me/gated", "", "me/gated: the repository is gated; ask for access on its page, then log in"),
        ("me/none", "", "me/none: no such repository, or a private one; check the name"),
        ("me/tiny", "v9", "me/tiny at v9: the repository has no such revision; check model.revision"),
        ("me/ti ny", "", "me/ti ny: not a repository name as owner/name"),
        ("me/none", "--offline", "me/none: the network is off (offline) and the model is not in the cache"),
    ]
    calls = [
        [
            *("run", "recipe.yaml", "--set", f"model={json.dumps({'hub': name})}"),
            *(["--offline"] if more == "--offline" else ["--set", f"model.revision={more}"] if more else []),
        ]
        for name, more, _ in asked
    ]
    with serving(repositories, gated=frozenset({"models/me/gated"})) as hub:
        env = environment(hub.endpoint, tmp_path / "home")
        found = ftkit_apart(calls, cwd=place, env=env)
    (away,) = ftkit_apart([calls[1]], cwd=place, env=env)
    for done, (_, _, message) in zip(found, asked, strict=True):
        assert_refused(done)
        assert done.code == 4
        assert errors(done)[0].startswith(f"model.hub: {message}")
    assert_refused(away)
    assert away.code == 4
    assert errors(away)[0].startswith("model.hub: me/none: the hub cannot be reached and the model is not in the cache")


# --- run directories: 6 and 7


def test_a_run_directory_in_use_is_refused(place: Path) -> None:
    run_dir = Path("runs/small")
    run_dir.mkdir(parents=True)
    with (run_dir / ".lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        done = refused()
    assert done.code == 6
    assert errors(done) == ["runs/small: another ftkit is working here; wait for it or use another name"]


@pytest.fixture
def prepared(place: Path) -> Iterator[Path]:
    """A published prepare."""
    assert ftkit("run", "recipe.yaml", "--until", "prepare").code == 0
    (path,) = Path("runs/small").glob("prepare-*")
    yield path


def test_a_damaged_artifact_is_named_and_stays_as_it_is(prepared: Path) -> None:
    with (prepared / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    before = hashes(prepared)
    done = refused()
    assert done.code == 7
    assert errors(done)[0].startswith(f"{prepared}/train.jsonl: not the bytes that were published; delete the folder")
    assert hashes(prepared) == before
    shutil.rmtree(prepared)
    assert ftkit("run", "recipe.yaml", "--until", "prepare").code == 0


def test_a_foreign_file_in_an_artifact_is_named(prepared: Path) -> None:
    (prepared / "notes.txt").write_text("mine", encoding="utf-8")
    done = refused()
    assert done.code == 7
    assert "files are missing or foreign: ['notes.txt']" in errors(done)[0]


def test_bad_input_loses_nothing_that_was_published(prepared: Path) -> None:
    before = hashes(prepared)
    for override in ("data.source.jsonl.path=nix.jsonl", "data.clean=[{length: {min_words: 500}}]", "model.path=nix"):
        refused(override)
    assert hashes(prepared) == before
    done = ftkit("run", "recipe.yaml", "--until", "prepare")
    assert done.code == 0
    assert f"prepare: reused, {prepared.name}" in done.err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "not valid JSON"),
        ("[]", "input should be an object"),
        (
            '{"prepare": "prepare-1", "compare": "compare-1"}',
            "made by an older ftkit, whose runs this one does not read",
        ),
        ('{"format": 2, "stages": {}, "verdicts": []}', "of format 2; this ftkit reads 3"),
        ('{"format": 3, "stages": {}, "verdicts": "all"}', "verdicts: input should be a valid"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [("report",), ("predict", "rows.jsonl"), ("export", "--out", "out"), ("compare", "runs/small"), ("duplicates",)],
    ids=lambda command: command[0],
)
def test_a_run_directory_that_cannot_be_read_is_refused_in_one_sentence(
    command: tuple[str, ...], content: str, said: str, place: Path
) -> None:
    run_dir = Path("runs/small")
    run_dir.mkdir(parents=True)
    (run_dir / "latest.json").write_text(content, encoding="utf-8")
    done = ftkit(command[0], "runs/small", *command[1:])
    assert_refused(done)
    assert done.code == 7
    assert len(errors(done)) == 1
    assert "runs/small/latest.json" in errors(done)[0] and said in errors(done)[0]


def test_a_run_directory_of_an_older_ftkit_is_used_again_by_run(place: Path) -> None:
    run_dir = Path("runs/small")
    run_dir.mkdir(parents=True)
    (run_dir / "latest.json").write_text('{"prepare": "prepare-1"}', encoding="utf-8")
    done = ftkit("run", "recipe.yaml", "--until", "prepare")
    assert done.code == 0, done.err
    assert list(json.loads((run_dir / "latest.json").read_text(encoding="utf-8"))["stages"]) == ["prepare"]


# --- no error


def test_a_model_without_template_and_padding_gets_a_plain_one_that_is_said_and_saved(place: Path) -> None:
    Path("base/chat_template.jinja").unlink()
    config = json.loads(Path("base/tokenizer_config.json").read_text(encoding="utf-8"))
    assert config.get("pad_token") is None
    done = ftkit("run", "recipe.yaml")
    assert done.code == 0, done.err
    assert "no chat template: a plain one stands in" in done.err
    (adapter,) = Path("runs/small").glob("train-lora-*/adapter")
    assert (adapter / "chat_template.jinja").read_text(encoding="utf-8").strip()
