"""One word, one meaning: a public name is defined in one module, but for some that their packages tell apart."""

import ast
from collections import defaultdict
from pathlib import Path

import latentlab

ROOT = Path(latentlab.__file__).parent
JUSTIFIED = {
    "Player": "of looping clips: in a notebook by `ll.video.show`, on the page of a report",
    "Step": "of a pipeline's own loop; of a recipe, `ll.study.Step`",
    "attention": "as read, `ll.spaces.attention`, and as drawn, `view.plots.attention`",
    "compare": "sets of features, `ll.metrics.compare`, and methods of inversion, `study.roundtrip.compare`",
    "flicker": "as measured, `ll.flicker`, and as drawn, `view.plots.flicker`",
    "main": "where a program begins: the command line, and a script of `benchmarks/`",
}


def defined(tree: ast.Module) -> set[str]:
    """Public functions, classes and aliases of types at the top of a module."""
    found = {n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        found |= {t.id for t in targets if isinstance(t, ast.Name) and t.id[0].isupper() and not t.id.isupper()}
    return {name for name in found if not name.startswith("_")}


def test_a_name_is_defined_in_one_module():
    homes = defaultdict(list)
    for path in sorted(ROOT.rglob("*.py")):
        for name in defined(ast.parse(path.read_text(encoding="utf-8"))):
            homes[name].append(str(path.relative_to(ROOT)))
    assert len(homes) > 1000  # they are read at all
    twice = {name: where for name, where in homes.items() if len(where) > 1}
    assert {name: twice.get(name) for name in twice.keys() ^ JUSTIFIED.keys()} == {}
    assert len(JUSTIFIED) <= 15


def test_definitions_are_seen():
    tree = ast.parse("class A: ...\ndef b(): ...\nC_D = 1\nEf = int\nGh: type = int\n_i = Jk = str\ndef _l(): ...")
    assert defined(tree) == {"A", "b", "Ef", "Gh", "Jk"}
