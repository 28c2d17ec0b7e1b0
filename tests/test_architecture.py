"""The plan of the house, held by tests over import statements and loaded modules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from ftkit.registry import PACKAGES

ORDER = (
    "errors < stop < registry < records < store < contracts < hub < engine < recipe < prepare < answers < training < "
    "verdict < report < run < service < cli < __main__"
)
ROOMS = ORDER.split(" < ")  # a file imports from rooms to the left of its own, and from its own
HEAVY = {"torch", "transformers", "peft", "bitsandbytes", "accelerate", "datasets", "evaluate"}
DISTRIBUTIONS = {"yaml": "pyyaml", "sklearn": "scikit-learn"}  # of modules that are named otherwise
PACKAGE = Path(__file__).parents[1] / "ftkit"
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def is_for_types(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(path: Path, *, module_level: bool) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if not is_for_types(node)]
    nodes = tree.body if module_level else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_a_file_imports_from_rooms_to_its_left_and_a_component_knows_no_sibling(path: Path) -> None:
    own, modules = room_of(path), {module_of(each) for each in FILES}
    siblings = {name for name in modules if name.rpartition(".")[0] in PACKAGES.values()} - {module_of(path)}
    is_component = module_of(path).rpartition(".")[0] in PACKAGES.values()
    for name in imports_of(path, module_level=False):
        parts = name.split(".")
        if parts[0] == "ftkit" and len(parts) > 1 and parts[1] in ROOMS:
            assert ROOMS.index(parts[1]) <= ROOMS.index(own), f"{own} imports {name}"
            assert not (is_component and name in siblings), f"{module_of(path)} imports its sibling {name}"


def test_every_file_is_in_a_room_of_the_list() -> None:
    assert {room_of(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_heavy_libraries_are_imported_at_module_level_by_the_engine_only(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imports_of(path, module_level=True)} & HEAVY
    assert not heavy or room_of(path) == "engine"


def test_everything_imported_by_ftkit_is_declared() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [each for name, some in project["optional-dependencies"].items() if name != "dev" for each in some]
    declared = {re.match(r"[\w-]+", each)[0].lower().replace("_", "-") for each in (*project["dependencies"], *extras)}
    imported = {name.split(".")[0] for path in FILES for name in imports_of(path, module_level=False)}
    imported -= {"ftkit", *sys.stdlib_module_names}
    assert {DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in imported} - declared == set()


@pytest.mark.parametrize("kind", sorted(PACKAGES))
def test_every_component_file_declares_exactly_one_component(kind: str) -> None:
    folder = PACKAGE.parent.joinpath(*PACKAGES[kind].split("."))
    for path in sorted(folder.glob("[!_]*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        decorated = [
            node.name
            for node in tree.body
            if isinstance(node, ast.FunctionDef)
            and any(isinstance(each, ast.Name) and each.id == "component" for each in node.decorator_list)
        ]
        assert len(decorated) == 1, f"{path.name}: {decorated}"


def sizes_of_functions(path: Path) -> dict[str, int]:
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {each.name: (each.end_lineno or 0) - each.lineno + 1 for each in functions}


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_no_file_is_over_400_lines_and_no_function_over_60(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400
    assert {name: size for name, size in sizes_of_functions(path).items() if size > 60} == {}


def test_the_package_has_few_rooms_and_few_files() -> None:
    places = [path.relative_to(PACKAGE).parts for path in PACKAGE.rglob("*.*") if "__pycache__" not in path.parts]
    assert len({parts[0] for parts in places if len(parts) > 1}) <= 10
    assert len({parts[0] for parts in places if len(parts) == 1}) <= 10


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
from ftkit.cli.recipes import check
from pathlib import Path
with contextlib.redirect_stdout(io.StringIO()):
    check(Path("recipes/quickstart.yaml"), None, fast=True, offline=False, as_json=False)
"""


@pytest.mark.parametrize("code", ["import ftkit", HELP, CHECK_FAST], ids=["import", "help", "check --fast"])
def test_torch_stays_out_of_what_must_be_fast(code: str, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    assert not modules_after(code) & HEAVY
