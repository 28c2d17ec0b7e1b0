"""Several trainings: variants by name, one method after another in one run directory, and all their verdicts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ftkit
from refusals import refused
from small_runs import SetUp, run_here

from ftkit import compare
from ftkit.errors import ArtifactError, DataError, RecipeError
from ftkit.run.artifacts import Evaluated, Prepared, Trained
from ftkit.run.finished import open_run
from ftkit.run.listing import list_runs
from ftkit.store import keep_json, read_json

TWO = "train.variants={r4: {}, own: {num_rows: 20, seed: 3, wording: {instruction: {text: 'Sort by topic.'}}}}"


@pytest.fixture(scope="module")
def both(ran: SetUp, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """The finished run of lora, and behind it, in the same run directory, one of full."""
    folder = tmp_path_factory.mktemp("both") / "set-up"
    shutil.copytree(ran.folder, folder)
    set_up = SetUp(folder)
    run_here(set_up, folder / "runs", "train.method=full", "train.epochs=1")
    return set_up


def test_variants_train_under_names_of_their_own(ran: SetUp, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    two = run_here(ran, tmp_path / "runs", TWO)
    assert two.made == ["train-r4", "train-own", "evaluate", "compare"]
    trained = {name: Trained(two.result.artifacts[f"train-{name}"].path).training for name in ("r4", "own")}
    assert {name: (each.variant, each.method, each.num_rows) for name, each in trained.items()} == {
        "r4": ("r4", "lora", 59),
        "own": ("own", "lora", 20),
    }
    assert [arm.name for arm in Evaluated(two.result.artifacts["evaluate"].path).arms] == [
        "base+zero_shot",
        "base+few_shot(k=2, balanced)",
        "r4+zero_shot",
        "r4+few_shot(k=2, balanced)",
        "own+own_wording",
        "own+few_shot(k=2, balanced)",
        "linear",
    ]
    own = Trained(two.result.artifacts["train-own"].path).prompts[0]
    assert (own.label, own.family, own.instruction) == ("own_wording", "zero_shot", "Sort by topic.")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.variants={a: {learning_rat: 1}}", "train.variants.a.learning_rat: unknown key; did you mean"),
        ("train.variants={a: {epochs: 0}}", "train.variants.a.epochs: input should be greater than 0, found 0"),
        ("train.variants={base: {}}", "base names another model of the comparison"),
        ("train.variants={a b: {}}", "train.variants.a b"),
        ("train={method: [lora, full], variants: {a: {}}}", "two ways to train several; take one of them"),
        ("baseline.prompts=[few_shot]", "zero_shot must be among them, since training uses its wording"),
        ("train.wording={instruction: {text: '{lables}'}}", "unknown placeholder {lables}; only {labels} is known"),
    ],
)
def test_a_mistake_in_a_variant_is_named_by_its_key(override: str, said: str, place: Path) -> None:
    done = refused(override)
    assert done.code == 2
    assert said in done.err


def test_a_wording_without_room_is_named_before_its_training_where_baseline_is_reused(
    ran: SetUp, tmp_path: Path
) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    with pytest.raises(DataError, match=r"^train\.wording, 'word word .*nothing is left for an input"):
        run_here(ran, tmp_path / "runs", f"train.wording={{instruction: {{text: {'word ' * 300}}}}}")
    assert list((tmp_path / "runs" / "small").glob("*.partial")) == []


def test_with_a_wording_of_its_own_a_recipe_needs_no_zero_shot_prompt(ran: SetUp, tmp_path: Path) -> None:
    own = ("baseline.prompts=[{few_shot: {k: 2}}]", "train.wording={instruction: {text: 'One of {labels}.'}}")
    done = run_here(ran, tmp_path, *own, "train.epochs=1")
    arms = [arm.name for arm in Evaluated(done.result.artifacts["evaluate"].path).arms]
    assert arms == [
        "base+few_shot(k=2, balanced)",
        "lora+own_wording",
        "lora+few_shot(k=2, balanced)",
        "linear",
    ]
    (trained, _) = Trained(done.result.artifacts["train-lora"].path).prompts
    assert trained.instruction == "One of delivery, login, refund."


def test_another_method_in_the_same_run_directory_loses_neither(both: SetUp) -> None:
    latest = read_json(both.folder / "runs" / "small" / "latest.json")
    assert set(latest["stages"]) == {"prepare", "baseline", "train-lora", "train-full", "evaluate", "compare"}
    lines = list_runs(both.folder / "runs")
    assert [(line.run, line.fine_tuned.split("+")[0], line.num_rows) for line in lines if line.fine_tuned] == [
        ("small", "lora", 36),
        ("small", "full", 36),
    ]
    assert [line.place for line in lines] == [
        str(both.folder / "runs" / "small" / latest["verdicts"][0]),
        str(both.folder / "runs" / "small"),
    ]


def test_every_verdict_can_be_opened_with_the_recipe_and_the_models_it_was_made_of(both: SetUp) -> None:
    lora, full = (open_run(Path(line.place)) for line in list_runs(both.folder / "runs"))
    assert [variant.label for variant in lora.recipe.variants] == list(lora.trained) == ["lora"]
    assert [variant.label for variant in full.recipe.variants] == list(full.trained) == ["full"]
    assert lora.arm("lora+zero_shot").model == "lora"
    with pytest.raises(RecipeError, match=r"--arm lora\+zero_shot: no such arm"):
        full.arm("lora+zero_shot")


def test_arms_of_two_verdicts_are_compared_by_row_id(both: SetUp) -> None:
    first, second = (line.place for line in list_runs(both.folder / "runs"))
    result = compare(f"{first}#lora+zero_shot", f"{second}#full+zero_shot")
    assert (result.contrast.a, result.contrast.b, result.num_rows) == ("lora+zero_shot", "full+zero_shot", 36)
    assert (result.primary.metric, result.primary.margin, result.primary.level) == ("accuracy", 0.02, 0.95)


def test_an_arm_that_a_run_has_not_is_named_as_it_was_asked_for(both: SetUp) -> None:
    run_dir = both.folder / "runs" / "small"
    with pytest.raises(RecipeError, match=r"small#full\+zero: no such arm; did you mean 'full\+zero_shot'\?"):
        compare(run_dir, f"{run_dir}#full+zero")


def test_runs_are_listed_a_line_each(both: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(both.folder)
    head, lora, full = ftkit("runs").out.splitlines()
    assert head.split() == ["run", "verdict", "prompting", "fine-tuned", "difference", "rows", "day", "place"]
    assert lora.startswith("small  ") and "lora+" in lora and "/compare-" in lora
    assert full.startswith("small  ") and "full+" in full and full.endswith("runs/small")
    assert [line["run"] for line in json.loads(ftkit("runs", "runs/small", "--json").out)] == ["small", "small"]
    done = ftkit("runs", "base")
    assert done.code == 2
    assert "base: holds no run directory; expected something like runs, or runs/quickstart" in done.err


def test_a_run_without_a_verdict_and_one_that_cannot_be_read_are_listed_with_why(ran: SetUp, tmp_path: Path) -> None:
    run_here(ran, tmp_path, until="prepare")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "latest.json").write_text('{"prepare": "prepare-1"}', encoding="utf-8")
    old, small = list_runs(tmp_path)
    assert (old.verdict, small.verdict) == (None, None)
    assert "made by an older ftkit" in old.note
    assert small.note == "no verdict yet; done: prepare"


def test_the_linear_model_is_an_arm_of_its_own_side_that_predicts_and_is_exported(
    ran: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ran.folder)
    run = open_run(Path("runs/small"))
    assert run.compared.verdict.arms["linear"].side == "simple"
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"id": "1", "text": "the courier and my parcel are late"}\n', encoding="utf-8")
    (answer,) = (json.loads(line) for line in ftkit("predict", "runs/small", rows, "--arm", "linear").out.splitlines())
    assert {key: answer[key] for key in ("id", "answer", "raw", "flags")} == {
        "id": "1",
        "answer": "delivery",
        "raw": "delivery",
        "flags": [],
    }
    assert max(answer["scores"], key=answer["scores"].get) == "delivery"
    done = ftkit("export", "runs/small", "--out", tmp_path / "out", "--arm", "linear")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "arm.json",
        "linear.json",
        "linear.safetensors",
    ]


def test_a_model_that_is_whole_needs_no_base(both: SetUp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shutil.copytree(both.folder, tmp_path / "place"))
    shutil.rmtree("base")
    done = ftkit("predict", "runs/small", "rows.jsonl", "--arm", "full+zero_shot")
    assert (done.code, len(done.out.splitlines())) == (0, 126)
    assert ftkit("predict", "runs/small", "rows.jsonl", "--arm", "base+zero_shot").code == 4


# --- what a report says of the recipe is what its stages were made with --------------------------


def test_a_field_that_changes_no_result_is_said_and_stays_as_it_was_made(ran: SetUp, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    again = run_here(ran, tmp_path / "runs", "train.checkpoint_steps=7")
    assert again.made == []
    (said,) = (line for line in again.said if line.startswith("train-lora: reused"))
    assert said.endswith("; made with train.checkpoint_steps 1 (now 7), which changes no result")
    margin = run_here(ran, tmp_path / "runs", "train.checkpoint_steps=7", "compare.margin=0.3")
    assert margin.made == ["compare"]
    report = (margin.result.artifacts["compare"].path / "report.md").read_text(encoding="utf-8")
    assert "checkpoint_steps: 1\n" in report and "margin: 0.3\n" in report


@pytest.mark.parametrize(
    "several",
    [
        "train.method=[{lora: {rank: 4, dropout: 0.1}}, full]",
        "train.variants={lora: {}, full: {method: full}}",
        "train.variants={lora: {}}",
    ],
)
def test_of_several_trainings_each_keeps_what_it_was_made_with(several: str, ran: SetUp, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    done = run_here(ran, tmp_path / "runs", several, "train.checkpoint_steps=7", "compare.margin=0.3")
    assert done.made == (["train-full", "evaluate", "compare"] if "full" in several else ["compare"])
    report = (done.result.artifacts["compare"].path / "report.md").read_text(encoding="utf-8")
    train = yaml.safe_load(report.split("```yaml\n")[1].split("```")[0])["train"]
    steps = {label: change["checkpoint_steps"] for label, change in train["variants"].items()}
    assert steps == ({"lora": 1, "full": 7} if "full" in several else {"lora": 1})


def sealed(manifest: Path, made: dict[str, Any]) -> None:
    """Write a manifest with a hash that fits it, as someone could who knows how."""
    keep_json(manifest, {name: value for name, value in made.items() if name != "sha256"})


def test_a_report_names_the_versions_that_each_stage_was_made_with(ran: SetUp, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    (manifest,) = (tmp_path / "runs" / "small").glob("train-lora-*/manifest.json")
    made = json.loads(manifest.read_text(encoding="utf-8"))
    made["facts"]["environment"]["packages"]["torch"] = "2.0.0"
    sealed(manifest, made)
    margin = run_here(ran, tmp_path / "runs", "compare.margin=0.3")
    report = (margin.result.artifacts["compare"].path / "report.md").read_text(encoding="utf-8")
    (line,) = (line for line in report.splitlines() if "2.0.0" in line)
    assert "2.0.0 (train-lora)" in line and "(prepare, baseline, evaluate)" in line


def test_two_wordings_of_their_own_both_stand_in_the_report(ran: SetUp, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    wordings = "{a: {wording: {instruction: {text: Alpha}}}, b: {wording: {instruction: {text: Beta}}}}"
    done = run_here(ran, tmp_path / "runs", f"train.variants={wordings}", "train.epochs=1")
    prompts = (
        (done.result.artifacts["compare"].path / "report.md").read_text(encoding="utf-8").split("## The prompts")[1]
    )
    assert "Alpha\n\n⟨the row's input⟩" in prompts and "Beta\n\n⟨the row's input⟩" in prompts


def test_seed_and_rows_of_a_variant_stand_in_the_recipe_as_it_was_made(ran: SetUp, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    two = "train.variants={lora: {}, few: {num_rows: 20, seed: 3}}"
    run_here(ran, tmp_path / "runs", two)
    done = run_here(ran, tmp_path / "runs", two, "train.checkpoint_steps=7", "compare.margin=0.3")
    assert done.made == ["compare"]
    report = (done.result.artifacts["compare"].path / "report.md").read_text(encoding="utf-8")
    few = yaml.safe_load(report.split("```yaml\n")[1].split("```")[0])["train"]["variants"]["few"]
    assert (few["num_rows"], few["seed"], few["checkpoint_steps"]) == (20, 3, 1)


def test_a_run_that_ends_early_keeps_the_verdicts_that_were_there(both: SetUp, tmp_path: Path) -> None:
    shutil.copytree(both.folder / "runs", tmp_path / "runs")
    before = read_json(tmp_path / "runs" / "small" / "latest.json")["verdicts"]
    run_here(both, tmp_path / "runs", "train.epochs=3", until="train")
    assert len(before) == 2
    assert read_json(tmp_path / "runs" / "small" / "latest.json")["verdicts"] == before


def test_a_verdict_that_is_not_there_is_named_with_those_that_are(both: SetUp) -> None:
    run_dir = both.folder / "runs" / "small"
    with pytest.raises(RecipeError, match=r"compare-0: no such verdict; .*compare-"):
        open_run(run_dir / "compare-0")


def test_facts_that_are_no_ftkits_are_refused_by_file_and_key(ran: SetUp, tmp_path: Path) -> None:
    shutil.copytree(ran.folder / "runs", tmp_path / "runs")
    (manifest,) = (tmp_path / "runs" / "small").glob("prepare-*/manifest.json")
    made = json.loads(manifest.read_text(encoding="utf-8"))
    del made["facts"]["blocks"]
    sealed(manifest, made)
    with pytest.raises(ArtifactError, match=r"manifest\.json: facts\.blocks: damaged or foreign; delete the folder"):
        run_here(ran, tmp_path / "runs")


def test_a_stage_is_given_no_split_that_it_does_not_declare(ran: SetUp) -> None:
    prepared = Prepared(open_run(ran.folder / "runs" / "small").prepared.path, frozenset({"train", "valid"}))
    assert len(prepared.split("valid")) == 23
    with pytest.raises(AssertionError, match="test is not declared as read"):
        prepared.split("test")


def test_rows_that_are_dropped_or_written_past_the_context_do_not_end_a_training(ran: SetUp, tmp_path: Path) -> None:
    long = {"id": "R9", "text": "late " * 400, "label": "delivery", "customer": "C9"}
    lines = (ran.folder / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    (tmp_path / "rows.jsonl").write_text("\n".join([*lines[:100], json.dumps(long)]) + "\n", encoding="utf-8")
    source = f"data.source.jsonl.path={tmp_path / 'rows.jsonl'}"
    done = run_here(ran, tmp_path, source, "data.clean=[]", "train.too_long=drop", "train.epochs=1", until="train")
    assert Trained(done.result.artifacts["train-lora"].path).guards[0].status == "passed"
