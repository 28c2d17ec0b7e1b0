"""JSON Schemas: of recipes, for editors, and of what a run writes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import ftkit
from small_runs import SetUp

from ftkit.run.artifacts import RECORDS


def allows(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """As much of JSON Schema as the schemas use."""
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].rsplit("/", 1)[1]], **{k: v for k, v in schema.items() if k != "$ref"}}
    if "anyOf" in schema:
        return any(allows(each, value, root) for each in schema["anyOf"])
    if "oneOf" in schema:
        return any(allows(each, value, root) for each in schema["oneOf"])
    if "enum" in schema or "const" in schema:
        return value in schema.get("enum", [schema.get("const")])
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "null": type(None)}
    kind = schema.get("type")
    if kind == "number":
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    if kind and (not isinstance(value, kinds[kind]) or (kind == "integer" and isinstance(value, bool))):
        return False
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties", True)
        if not set(schema.get("required", ())) <= value.keys():
            return False
        for name, each in value.items():
            inside = known.get(name, other)
            if inside is False or (isinstance(inside, dict) and not allows(inside, each, root)):
                return False
    if isinstance(value, list) and len(value) < schema.get("minItems", 0):
        return False
    items = schema.get("items")
    return not (isinstance(value, list) and items) or all(allows(items, each, root) for each in value)


def test_the_schema_takes_the_recipes_and_refuses_a_typo(root: Path) -> None:
    schema = json.loads(ftkit("schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for path in sorted((root / "recipes").glob("*.yaml")):
        recipe = yaml.safe_load(re.sub(r"(\d)e-", r"\1.0e-", path.read_text(encoding="utf-8")))
        assert allows(schema, recipe, schema), path
        for train in ({"method": "lora"}, {"method": [{"lora": {"rank": 4}}, "full"]}):
            assert allows(schema, {**recipe, "task": "classify", "train": train}, schema)
        assert not allows(schema, {**recipe, "trian": {}}, schema)
        assert not allows(schema, {**recipe, "train": {"method": "loora"}}, schema)
        assert not allows(schema, {**recipe, "seed": "17"}, schema)


WRITTEN_BY = {
    "verdict": "compare",
    "metrics": "compare",
    "summary": "prepare",
    "training": "train-lora",
    "candidates": "baseline",
}


@pytest.mark.parametrize("of", sorted(RECORDS))
def test_the_schema_of_a_file_takes_what_a_run_wrote_and_no_other_key(ran: SetUp, of: str) -> None:
    schema = json.loads(ftkit("schema", "--of", of).out)
    (path,) = (ran.folder / "runs" / "small").glob(f"{WRITTEN_BY[of]}-*/{of}.json*")
    text = path.read_text(encoding="utf-8")
    written = json.loads(text.splitlines()[0] if path.suffix == ".jsonl" else text)
    assert allows(schema, written, schema)
    assert not allows(schema, {**written, "other": 1}, schema)
    for name in schema["required"]:
        assert not allows(schema, {key: value for key, value in written.items() if key != name}, schema), name


def test_the_schemas_describe_every_key() -> None:
    for of in RECORDS:
        schema = json.loads(ftkit("schema", "--of", of).out)
        blocks = [schema, *schema.get("$defs", {}).values()]
        keys = [(name, key) for block in blocks for name, key in block.get("properties", {}).items()]
        assert [name for name, key in keys if not key.get("description")] == [], of


def test_what_has_no_schema_is_refused() -> None:
    done = ftkit("schema", "--of", "verdct")
    assert (done.code, done.err) == (2, "error: --of verdct: has no schema; did you mean 'verdict'?\n")
