"""The layering rule: a module imports only from layers below its own, and packages of one layer not from each other."""

import ast
import io
import re
import tokenize
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import latentlab

ROOT = Path(latentlab.__file__).parent
PAGE = Path(__file__).parents[1] / "docs" / "architecture.md"  # the one place of the list, lowest first
LAYERS = [
    layer.replace(",", " ").split()
    for layer in re.search(r"```text\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL).group(1).split("<")
]
LEVEL = {part: level for level, layer in enumerate(LAYERS) for part in layer}
SAME = {
    ("__main__", "cli"),
    ("parsers", "__version__"),
    ("bench", "__version__"),
}  # `python -m latentlab`, and the version
MODULES = sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def part_of(path: Path) -> str:
    return "page" if path.name == "page.py" else path.relative_to(ROOT).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.AST:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(tree: ast.AST, package: str = "latentlab") -> set[str]:
    """Parts of latentlab that a module imports, anywhere in it; what is for type checkers only is left out."""
    typing = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        for inner in node.body
    }
    found = set()
    for node in ast.walk(tree):
        if node in typing:
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names = [f"{base}.{alias.name}" for alias in node.names] if base == "latentlab" else [base]
        else:
            continue
        for name in (name.split(".") for name in names):
            if name[0] == "latentlab":
                found.add("page" if name[2:] == ["page"] else name[1] if len(name) > 1 else "latentlab")
    return found


def test_every_part_has_a_layer():
    assert {part_of(path) for path in MODULES} <= LEVEL.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_module_imports_from_below_only(path):
    own, room = part_of(path), path.relative_to(ROOT).parts[0]  # a page knows the room that it is of
    package = ".".join(["latentlab", *path.relative_to(ROOT).parts[:-1]])
    wrong = {
        part
        for part in imports(tree_of(path), package) - {own, room}
        if (own, part) not in SAME and LEVEL.get(part, len(LAYERS)) >= LEVEL[own]
    }
    assert not wrong, f"{own} must not import {', '.join(sorted(wrong))}"


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import latentlab.train.loop", {"train"}),
        ("def f():\n    from latentlab.view.report import Report", {"view"}),
        ("from latentlab import directions, edit", {"directions", "edit"}),
        ("import latentlab as ll", {"latentlab"}),
        ("from latentlab.preference.page import Compare", {"page"}),
        ("from ..train import loop", {"train"}),
        ("from .. import train", {"train"}),
        ("from . import solver", {"generator"}),
        ("if TYPE_CHECKING:\n    from latentlab.train import loop", set()),
        ("import torch, latentlab_other", set()),
    ],
)
def test_the_reader_of_imports_sees_every_form(code, found):
    assert imports(ast.parse(code), "latentlab.generator") == found


def module_of(path: Path) -> str:
    name = ".".join(["latentlab", *path.relative_to(ROOT).with_suffix("").parts])
    return name.removesuffix(".__init__")


def modules_imported(tree: ast.AST, package: str, known: set[str]) -> set[str]:
    """Modules of latentlab that a module imports anywhere in it: in a function and for type checkers only, too."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            named = {f"{base}.{alias.name}" for alias in node.names}
            found |= (named & known) or {base}
    return found & known


def test_no_modules_import_each_other():
    """Imports of faces, `latentlab` and packages whose names load on first use, are of the modules that they show."""
    trees = {module_of(path): (path, tree_of(path)) for path in MODULES}
    graph = {}
    for name, (path, tree) in trees.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        graph[name] = modules_imported(tree, package, set(trees)) - {name}
    assert sum(map(len, graph.values())) > 1000  # they are read at all
    TopologicalSorter(graph).prepare()  # raises at a circle, and names it


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("from latentlab.a import b", {"latentlab.a.b"}),
        ("def f():\n    from latentlab.a import c", {"latentlab.a"}),
        ("if TYPE_CHECKING:\n    import latentlab.a.b", {"latentlab.a.b"}),
        ("from .b import x", {"latentlab.a.b"}),
    ],
)
def test_modules_imported_are_seen_in_every_form(code, found):
    assert modules_imported(ast.parse(code), "latentlab.a", {"latentlab.a", "latentlab.a.b"}) == found


LONGEST = 320  # lines of a file
DUCKS = 5  # `hasattr`, `getattr` with a default and `type: ignore`, all together; where a type will do, it does


def ducks(text: str) -> list[str]:
    """Places of a module that ask an object for what it has, or a checker to look away."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    named = [(node.func.id, node) for node in calls if isinstance(node.func, ast.Name)]
    asked = [node.lineno for name, node in named if name == "hasattr" or (name == "getattr" and len(node.args) == 3)]
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    ignored = [t.start[0] for t in tokens if t.type == tokenize.COMMENT and "type: ignore" in t.string]
    return [f"{line}: {text.splitlines()[line - 1].strip()}" for line in sorted(asked + ignored)]


def test_ducks_stay_few():
    found = [f"{p.relative_to(ROOT)}:{duck}" for p in MODULES for duck in ducks(p.read_text(encoding="utf-8"))]
    assert len(found) <= DUCKS, "\n".join(found)


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("if hasattr(x, 'y'): pass", 1),
        ("getattr(x, 'y', None)", 1),
        ("getattr(x, name)", 0),
        ("x = y  # type: ignore[index]", 1),
        ("x = '# type: ignore'", 0),
        ("getattr(getattr(x, 'y', 0), 'z', 0)", 2),
    ],
)
def test_ducks_are_seen_in_every_form(code, count):
    assert len(ducks(code)) == count


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_file_is_too_long(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{lines} lines; ask what it hides"
