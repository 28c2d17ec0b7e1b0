"""What to say of a keyword that a Trainer does not have: a recipe's, another tool's, or a slip. Pure."""

from __future__ import annotations

from collections.abc import Collection

from ftkit.recipe.words import WORDS
from ftkit.registry import suggest

ONLY_A_RECIPES = {
    "wording": "only a recipe has it; give the text as `instruction`",
    "variants": "only a recipe has them; a Trainer trains one model",
}
HERE = {  # places of a recipe beside its numbers of `train`, which are keywords themselves
    "model": "the first argument, a folder or a hub repository",
    "model.revision": "revision",
    "model.precision": "precision",
    "seed": "seed",
    "name": "output_dir",
    "data.source": "rows",
    "data.source.*.input": "the key `input` of each row",
    "data.source.*.target": "the key `target` of each row",
    "data.split.valid": "valid_rows",
    "train": "keywords of the Trainer, one for each number",
    "train.method": "method",
}
OF_TRANSFORMERS = {"train_dataset": "rows", "processing_class": "tokenizer", "args": HERE["train"]}


def unknown_keyword(key: str, known: Collection[str]) -> str:
    """What to say of one that is not among the `known` numbers of a recipe's `train` block."""
    if key in ONLY_A_RECIPES:
        return f"train.{key}: {ONLY_A_RECIPES[key]}"
    if key in OF_TRANSFORMERS:
        return f"{key}: here it is {OF_TRANSFORMERS[key]} ({key}: TRL, transformers)"
    word = WORDS.get(key)
    if word is None:
        return f"train.{key}: unknown{suggest(key, known)}"
    return f"{key}: {_where(word.place, word.note, known)} ({key}: {word.tools})"


def _where(place: str, note: str, known: Collection[str]) -> str:
    block, _, name = place.rpartition(".")
    if block == "train" and name in known:
        return f"here it is {name}" + (f": {note}" if note else "")
    if place in HERE:
        return f"here it is {HERE[place]}"
    if block == "train.method.*":
        return f"here it is an option of the method: method={{'lora': {{'{name}': …}}}}"
    if block == "machine":
        return f"here it is ctx=Context(machine=Machine({name}=…)), both of ftkit.contracts"
    return f"only a recipe has it, as {place}" if place else f"not a keyword here: {note}"
