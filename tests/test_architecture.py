"""The plan of the house, held by tests over import statements and loaded modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROWS = {  # a file imports only from files with a smaller number
    "errors": 0,
    "records": 0.5,
    "answer_text": 1,
    "cost": 1,
    "markup": 1,
    "page_style": 1,
    "power": 1,
    "registry": 1,
    "resampling": 1,
    "store": 1,
    "threads": 1,
    "yaml_tree": 1,
    "hub": 1.1,
    "artifacts": 1.2,
    "texts": 1.2,
    "problems": 1.2,
    "pictures": 1.2,
    "stats": 1.2,
    "wording": 1.2,
    "contracts": 1.4,
    "rows": 1.4,
    "paired": 1.6,
    "formats": 1.5,
    "shapes": 1.8,
    "readings": 1.8,
    "runlog": 2,
    "splitting": 2,
    "ledger": 2,
    "terminal": 2,
    "stop_flag": 2,
    "sources": 2,
    "cleaning": 2,
    "prompting": 2,
    "extractors": 2,
    "methods": 2,
    "metrics": 2,
    "sections": 2,
    "engine": 2.5,
    "machine": 2.5,
    "data_block": 2.8,
    "recipe": 3,
    "floors": 3,
    "answering": 3.2,
    "intake": 3.2,
    "passes": 3.1,
    "report": 3.2,
    "trainer": 3.2,
    "arms": 3.4,
    "data_page": 3.5,
    "guards": 3.4,
    "stages": 4,
    "fitting": 4.5,
    "pipeline": 5,
    "check": 5,
    "rundir": 5,
    "cli": 6,
    "row_keys": 1.8,
    "leaks": 3.3,
    "mixing": 3.2,
    "summary": 3.2,
    "conversation": 1.7,
}
COMPONENTS = {"sources", "shapes", "cleaning", "splitting", "prompting", "extractors", "methods", "metrics", "sections"}
FOLDERS = {"data_page", "engine", "formats", "texts"}  # their files import one another
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "accelerate", "datasets", "evaluate"}
PACKAGE = Path(__file__).parents[1] / "ftkit"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.name != "__init__.py")


def part_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def is_file(parts: list[str]) -> bool:
    """Whether a dotted name is a file of its folder, and not a name of the folder's own __init__."""
    return (PACKAGE.parent / Path(*parts[:3])).with_suffix(".py").exists()


def imports_of(path: Path, *, module_level: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not is_for_types(node)]
    nodes = tree.body if module_level else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_from_rows_above_its_own(path: Path) -> None:
    own = part_of(path)
    for name in imports_of(path, module_level=False):
        parts = name.split(".")
        if parts[0] != "ftkit" or len(parts) < 2 or parts[1] not in ROWS:
            continue
        own_folder = own == parts[1] and (own in FOLDERS or len(parts) < 3 or not is_file(parts))
        assert own_folder or ROWS[parts[1]] < ROWS[own], f"{own} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_heavy_libraries_are_imported_at_module_level_by_the_engine_only(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imports_of(path, module_level=True)} & HEAVY
    assert not heavy or part_of(path) == "engine"


@pytest.mark.parametrize("kind", sorted(COMPONENTS))
def test_every_component_file_declares_exactly_one_component(kind: str) -> None:
    for path in sorted((PACKAGE / kind).glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        decorated = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            and any(isinstance(each, ast.Name) and each.id == "component" for each in node.decorator_list)
        ]
        assert len(decorated) == 1, f"{path.name}: {decorated}"


def test_every_part_of_the_package_has_a_row() -> None:
    assert {part_of(path) for path in FILES} == set(ROWS)


def modules_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()}


HELP = """
import contextlib, io
sys.argv = ["ftkit", "--help"]
from ftkit.cli import app
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    app()
"""
CHECK_FAST = """
import contextlib, io
from ftkit.cli import check
from pathlib import Path
with contextlib.redirect_stdout(io.StringIO()):
    check(Path("recipes/quickstart.yaml"), None, fast=True, offline=False, as_json=False)
"""


@pytest.mark.parametrize("code", ["import ftkit", HELP, CHECK_FAST], ids=["import", "help", "check --fast"])
def test_torch_stays_out_of_what_must_be_fast(code: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert not modules_after(code) & HEAVY
