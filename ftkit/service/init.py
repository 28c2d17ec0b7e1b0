"""A recipe for a file of rows: what was seen of them, made into a commented text. Asks no terminal, writes no file."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from ftkit.errors import RecipeError, visible
from ftkit.service.sight import Sight

BRIEF = 20  # words
WRITES = {"summary": "Summarise the text.", "headline": "Write a headline for the text.", "title": "Give it a title."}
FEW_LABELS = 20  # that an instruction lists
SMALL = 500  # rows, of which larger shares are held out
HUB = ((6, "Qwen/Qwen3-0.6B"), (16, "Qwen/Qwen3-1.7B"), (40, "Qwen/Qwen3-4B"))  # GiB of a GPU, and what LoRA fits there
SCHEMA = "recipe.schema.json"  # beside the recipe
TINY = Path("data", "tiny-base")
CHARACTERS_PER_TOKEN = 2.5  # few, so that answers have room


@dataclass(frozen=True)
class Base:
    """The model a recipe names: `path` or `hub`; `is_for_trying`: no answer about a real model comes of it."""

    key: str
    name: str
    is_for_trying: bool = False


def base_of(named: str) -> Base:
    """The base that a user names: a folder, or a repository of the hub."""
    if Path(named).is_dir():
        return Base("path", named)
    if re.fullmatch(r"[\w.-]+/[\w.-]+", named):
        return Base("hub", named)
    raise RecipeError(f"--base {named}: neither a folder nor a repository of the hub, as owner/name")


def fitting_base() -> Base:
    """What this machine can tune: a model of the hub where there is a GPU, else the small one that comes with ftkit.

    Raises RecipeError where there is neither.
    """
    if Path("/dev/nvidia0").exists():
        import torch

        if torch.cuda.is_available():
            memory = torch.cuda.get_device_properties(0).total_memory / 2**30
            fitting = [name for gib, name in HUB if gib <= memory]
            if fitting:
                return Base("hub", fitting[-1])
    beside = Path(__file__).parents[2] / TINY
    if TINY.is_dir() or beside.is_dir():
        return Base("path", str(TINY if TINY.is_dir() else beside), is_for_trying=True)
    raise RecipeError("no GPU is here, and no base to try things with: name one as --base, a folder or owner/name")


def recipe_text(sight: Sight, *, name: str, classifies: bool, group: str, base: Base) -> str:
    """A recipe in YAML, with comments that say why and what else could be chosen."""
    rows = visible(" ".join(str(sight.file.path).split()))  # in a comment, that a line break would end
    parts = [
        f"# yaml-language-server: $schema={SCHEMA}",
        f"# Made by `ftkit init {rows}`. `ftkit show` explains every key; what is left out has a default.",
        f"name: {_quoted(name)}",
        "",
        *_model(base),
        *_task(sight, classifies=classifies),
        "",
        *_data(sight, group=group),
        "",
        *_baseline(sight, classifies=classifies),
        "train:",
        "  method: {lora: {rank: 16, alpha: 32}}   # or qlora, full; a list trains several",
        *(
            ["  epochs: 3", "  learning_rate: 2e-3   # a tiny model wants large steps; leave it out for a real one"]
            if base.is_for_trying
            else ["  epochs: 3"]
        ),
        "  too_long: cut   # of a row that does not fit the model: its input is cut, and counted; else error or drop",
        "",
        "compare: {margin: 0.02}   # a smaller difference would not matter; the task's own metric decides",
        *(["machine: {threads: 1}   # of a tiny model more threads only wait for each other"] * base.is_for_trying),
    ]
    return "\n".join(parts) + "\n"


def _model(base: Base) -> list[str]:
    if base.key == "hub":
        return [f"model: {{hub: {_quoted(base.name)}}}   # add `revision: <commit>`, so that it stays the same"]
    note = "   # for trying only: name a real model, {hub: owner/name}" if base.is_for_trying else ""
    return [f"model: {{path: {_quoted(base.name)}}}{note}"]


def _task(sight: Sight, *, classifies: bool) -> list[str]:
    if classifies:
        return ["task: {classify: {labels: auto}}   # decided by accuracy; or name the labels in a list"]
    if _end_in_numbers(sight):
        return ["task: {generate: {max_new_tokens: 400, extract: last_number}}   # the number behind #### counts"]
    longest = max(len(target) for target in sight.targets)
    room = min(1024, max(16, math.ceil(longest / CHARACTERS_PER_TOKEN / 16) * 16))
    return [
        f"task: {{generate: {{max_new_tokens: {room}}}}}   # the longest answer seen has {longest:,} characters",
        "# the metric that decides is chosen by the answers, and said: `ftkit list metrics`",
    ]


def _data(sight: Sight, *, group: str) -> list[str]:
    options: list[tuple[str, str]] = [("path", _quoted(str(sight.file.path)))]
    options += [(role, _quoted(column)) for role, column in sight.roles.items()]
    options += [("shape", sight.shape)] if sight.shape != "columns" else []
    source = ", ".join(f"{key}: {value}" for key, value in options)
    valid, test = (0.2, 0.3) if len(sight.targets) < SMALL else (0.1, 0.2)
    together = f", group: {_quoted(group)}" if group else ""
    note = "   # rows of one group stay together" if group else ""
    return [
        "data:",
        f"  source: {{{sight.file.source}: {{{source}}}}}",
        *(["  on_error: drop   # rows that hold no example go to the ledger"] if sight.faults else []),
        f"  split: {{valid: {valid}, test: {test}{together}}}{note}",
        "  # clean: […] is left out: broken characters, duplicates and near duplicates are seen to",
    ]


def _baseline(sight: Sight, *, classifies: bool) -> list[str]:
    if sight.are_conversations or not any(sight.inputs):
        return []
    if classifies:
        some = ["Classify the text."]
        some += ["Which of these fits best? {labels}"] if len(sight.labels) <= FEW_LABELS else []
    elif _end_in_numbers(sight):
        some = ["Solve the problem step by step. End with #### and the number."]
    elif sight.roles.get("target", "").lower() in WRITES:
        some = [WRITES[sight.roles["target"].lower()]]
    else:
        some = ["Answer.", "Answer as briefly as you can." if _are_brief(sight) else "Answer in full."]
    wordings = "".join(f"\n    - {_quoted(each)}" for each in some)
    return [f"baseline:\n  instructions:   # wordings to try; the best on valid is kept{wordings}", ""]


def _end_in_numbers(sight: Sight) -> bool:
    """Whether answers are solutions as of GSM8K, of which the last number counts."""
    return all(re.search(r"####\s*[-\d.,$ ]+$", target) for target in sight.targets)


def _are_brief(sight: Sight) -> bool:
    return median(len(target.split()) for target in sight.targets) <= BRIEF


def name_of(path: Path) -> str:
    """A run's name from that of a file."""
    stem = path.name.split(".")[0]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:100] or "run"


def _quoted(text: str) -> str:
    """As YAML: plain where nothing in it could mean something else."""
    if re.fullmatch(r"[A-Za-z][\w./-]*", text) and text.lower() not in _WORDS_OF_YAML:
        return text
    return json.dumps(text, ensure_ascii=False)


_WORDS_OF_YAML = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
