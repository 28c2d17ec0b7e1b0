"""Recipes, model folders and run directories that are wrong somewhere, each made by rule from its number.

Knows the files as a user has them, and how a command has to take what is wrong with one.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from commands import Done

from ftkit.store import digest

STRANGE: list[Any] = [
    *(None, True, 0, -1, 3, 10**30, -(10**30), 1e300, -0.5, 1e-320),
    *("", "x", "a.²", "{labels:d}", "{0}", "\x1b[31mred", "\x9b31m", "\u202e", "/etc/passwd", "../../x", "9" * 5000),
    *([], {}, [[]], [None], ["x", "x"], {"": None}, {"x": {"y": [1]}}),
]
LOOPS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
TEMPLATES = [
    LOOPS,
    "{% set n = namespace(x='x' * 1000) %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}{{ n.x }}",
    "{{ 'x' * 1000000000 }}",
    "{{ 9 ** (9 ** 9) }}",
    "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "{{ messages.__class__.__mro__ }}",
    "{{ ''.center(1000000000) }}",
    "{{ messages[99].content }}",
    "{{ raise_exception('\x1b[2Jno') }}",
    "{% include '/etc/passwd' %}",
    "{{ 1 / 0 }}",
    "{% for",
    "",
]
RECIPE = {
    "name": "small",
    "seed": 17,
    "model": {"path": "base", "precision": "auto", "chat_template_kwargs": {"enable_thinking": False}},
    "task": {"classify": {"labels": ["delivery", "login", "refund"]}},
    "data": {
        "source": {"jsonl": {"path": "rows.jsonl", "id": "id", "input": "text", "target": "label"}},
        "on_error": "stop",
        "clean": ["fix_text", {"length": {"max_words": 200}}, "exact_dedup", {"near_dedup": {"threshold": 0.8}}],
        "split": {"valid": 0.2, "test": 0.3, "by": "stratified", "group": "customer"},
        "decontaminate": {"threshold": 0.8},
        "limit": {"train": 100},
    },
    "baseline": {
        "instructions": ["Sort.", "One of: {labels}."],
        "prompts": ["zero_shot", {"few_shot": {"k": [2, 4], "select": "random"}}],
        "normalize": ["sum", "mean"],
        "max_candidates": 8,
        "max_valid_rows": 100,
    },
    "train": {
        "wording": "best_zero_shot",
        "method": {"lora": {"rank": 4, "alpha": 8, "dropout": 0.1, "target_modules": "all-linear"}},
        "epochs": 2,
        "max_steps": 4,
        "learning_rate": 0.01,
        "schedule": "cosine",
        "warmup": 0.1,
        "global_batch_size": 16,
        "num_evals": 2,
        "patience": 2,
        "too_long": "cut",
    },
    "evaluate": {"metrics": ["accuracy", "macro_f1"]},
    "compare": {"primary": "accuracy", "margin": 0.02, "level": 0.95, "prices": {"gpu_hour": 2.5}},
    "machine": {"threads": 1, "device": "cpu", "micro_batch": 8, "attention": "auto"},
}


@dataclass(frozen=True)
class Mutation:
    """What was done to which file (`key` is dotted, '' for the bytes), and the command that meets it."""

    file: str
    key: str
    what: str
    command: tuple[str, ...]


def problem(mutation: Mutation, done: Done) -> str:
    """What is wrong with how a command took it; '' where it went well or was refused as it should."""
    text = done.out + done.err
    if "Traceback" in text or done.code == 70:
        return "traceback: " + (text.strip().splitlines() or [""])[-2:][0]
    if done.code not in (0, 2, 3, 4, 5, 7):
        return f"exit {done.code}"
    if re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text):
        return "a control character reaches the terminal"
    errors = "\n".join(line for line in done.err.splitlines() if line.startswith("error: "))
    names = (Path(mutation.file).name, *Path(mutation.file).parts[:-1][:1], mutation.key.rpartition(".")[2] or "?")
    if done.code and not any(name in errors for name in names):
        return f"names neither {mutation.file} nor {mutation.key}: {errors[:300]}"
    return ""


def mutated_recipe(place: Path, number: int) -> Mutation:
    """Write a recipe that is wrong in one place or in two."""
    rng = random.Random(f"recipe {number}")
    recipe = json.loads(json.dumps(RECIPE))
    if rng.random() < 0.15:
        text = _bytes(json.dumps(recipe, indent=1).encode(), rng)
        (place / "recipe.yaml").write_bytes(text)
        return Mutation("recipe.yaml", "", "bytes", ("check", "recipe.yaml"))
    if rng.random() < 0.15:
        key, value = rng.choice(list(_paths(recipe))), rng.choice(STRANGE)
        (place / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
        assignment = f"{'.'.join(map(str, key))}={json.dumps(value, ensure_ascii=False)}"
        assignment = rng.choice([assignment, assignment.replace(".", ".²", 1), assignment.partition("=")[0]])
        return Mutation("recipe.yaml", str(key[0]), "--set", ("check", "recipe.yaml", "--set", assignment))
    key, what = _change(recipe, rng)
    (place / "recipe.yaml").write_text(json.dumps(recipe), encoding="utf-8")
    return Mutation("recipe.yaml", key, what, ("check", "recipe.yaml"))


def mutated_model(place: Path, number: int) -> Mutation:
    """Spoil one file of the folder `base`."""
    rng = random.Random(f"model {number}")
    path = rng.choice(sorted((place / "base").iterdir()))
    command = ("run", "recipe.yaml", "--until", "baseline")
    if rng.random() < 0.1:
        return Mutation(path.name, "", _no_file(path, rng), command)
    if path.suffix == ".jinja":
        template = rng.choice(TEMPLATES)
        path.write_text(template + rng.choice(["", path.read_text(encoding="utf-8")]), encoding="utf-8")
        return Mutation("base", "", template[:60], command)
    if path.suffix == ".json" and rng.random() < 0.9:
        key, what = _change_file(path, rng)
        return Mutation(path.name, key, what, command)
    path.write_bytes(_bytes(path.read_bytes(), rng))
    return Mutation(path.name, "", "bytes", command)


COMMANDS: dict[str, tuple[str, ...]] = {
    "report": ("report", "runs/small"),
    "json": ("report", "runs/small", "--json"),
    "runs": ("runs", "runs/small"),
    "duplicates": ("duplicates", "runs/small"),
    "predict": ("predict", "runs/small", "rows.jsonl"),
    "compare": ("compare", "runs/small", "runs/small#base+zero_shot"),
    "export": ("export", "runs/small", "--out", "out"),
    "run": ("run", "recipe.yaml"),
}


_OFTEN = [*sorted(COMMANDS), *["run"] * 4, *["predict", "compare", "report"] * 2]


def mutated_run(place: Path, number: int) -> Mutation:
    """Spoil one file of the finished run `runs/small`; its manifest may then say that it was always so."""
    rng = random.Random(f"run {number}")
    run_dir = place / "runs" / "small"
    path = rng.choice([path for path in sorted(run_dir.rglob("*")) if path.is_file() and path.name != ".lock"])
    name, command = path.relative_to(run_dir).as_posix(), COMMANDS[rng.choice(_OFTEN)]
    if rng.random() < 0.05:
        return Mutation(name, "", _no_file(path, rng), command)
    key, what = "", "bytes"
    if path.suffix in (".json", ".jsonl") and rng.random() < 0.85:
        key, what = _change_file(path, rng)
    else:
        path.write_bytes(_bytes(path.read_bytes(), rng))
    if rng.random() < 0.6 and path.name != "manifest.json" and path.parent != run_dir:
        _seal(run_dir / path.relative_to(run_dir).parts[0])
        what += ", sealed"
    return Mutation(name, key, what, command)


def _seal(folder: Path) -> None:
    """Make hashes right, as one who means harm would."""
    for facts in folder.glob("*/ftkit.json"):
        try:
            value = json.loads(facts.read_bytes())
            value["weights"] = {name: _sha(facts.parent / name) for name in value["weights"]}
            facts.write_text(json.dumps(value), encoding="utf-8")
        except (ValueError, TypeError, KeyError, OSError):
            continue
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"] = {name: _sha(folder / name) for name in manifest["files"]}
    unhashed = ("timing.json", "report.html", "report.md", "data.html", "data.json")
    manifest["content_id"] = digest(
        {name: each for name, each in manifest["files"].items() if Path(name).name not in unhashed}
    )
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _no_file(path: Path, rng: random.Random) -> str:
    """Put something else than a file of data in its place."""
    path.unlink()
    ways: dict[str, Callable[[], Any]] = {
        "gone": lambda: None,
        "fifo": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "empty": lambda: path.write_bytes(b""),
        "loop": lambda: path.symlink_to(path),
    }
    way = rng.choice(sorted(ways))
    ways[way]()
    return way


def _change_file(path: Path, rng: random.Random) -> tuple[str, str]:
    """Change one value of a JSON file, or of one line of JSON lines."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.suffix == ".jsonl" else [path.read_text("utf-8")]
    if not lines:
        path.write_text("[]", encoding="utf-8")
        return "", "a line too many"
    at = rng.randrange(len(lines))
    value = json.loads(lines[at])
    key, what = _change(value, rng)
    lines[at] = json.dumps(value, ensure_ascii=False)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    return key, what


def _change(value: Any, rng: random.Random) -> tuple[str, str]:
    paths = list(_paths(value, rng))
    if not paths:
        return "", "nothing"
    *way, last = path = rng.choice(paths)
    holder = value
    for part in way:
        holder = holder[part]
    strange = rng.choice(STRANGE)
    kind = rng.choice(["replace", "replace", "replace", "delete", "wrap", "rename"])
    if kind == "delete":
        del holder[last]
    elif kind == "rename" and isinstance(holder, dict):
        holder[f"{last}x"] = holder.pop(last)
    elif kind == "wrap":
        holder[last] = rng.choice([[holder[last]], {"x": holder[last]}, [holder[last]] * 3])
    else:
        holder[last] = strange
        kind = f"= {json.dumps(strange)[:60]}"
    return ".".join(map(str, path)), kind


def _paths(value: Any, rng: random.Random | None = None, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to all values; of a long list or mapping to some, so that a vocabulary does not hide its neighbours."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if rng is not None and len(keys) > 30:
        keys = rng.sample(keys, 3)
    return [path for key in keys for path in [(*way, key), *_paths(value[key], rng, (*way, key))]]


def _bytes(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    ways: list[Callable[[], bytes]] = [
        lambda: content[:at],
        lambda: content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :],
        lambda: (
            content[:at] + rng.choice([b"\0", b"\xff\xfe", b"}", b"\x1b[31m", b"[" * 5000, b"&a *a"]) + content[at:]
        ),
        lambda: content + content,
    ]
    return rng.choice(ways)()


MUTATED = {"recipe": mutated_recipe, "model": mutated_model, "run": mutated_run}


def copied(folder: Path, kind: str, number: int, to: Path) -> Mutation:
    """A copy of a finished set-up, in which one thing is wrong."""
    shutil.copytree(folder, to)
    return MUTATED[kind](to, number)
