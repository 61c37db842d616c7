"""The reference: every public name is explained, shown at work, and on a page of the site."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import latentlab

DOCS = Path(__file__).parents[1] / "docs"
PACKAGES = (
    "latentlab",
    "latentlab.data",
    "latentlab.directions",
    "latentlab.interpolate",
    "latentlab.metrics",
    "latentlab.metrics.disentanglement",
    "latentlab.spaces",
    "latentlab.video",
)
ROOT = Path(latentlab.__file__).parent
INNER = {  # parts of the pages' own modules, which nobody calls by name
    "generator.blocks",
    "generator.graph",
    "generator.lock",
    "generator.run",
    *("generator." + name for name in ("exactness", "implicit", "steer")),  # old names
    *("view." + name for name in ("brush", "chart_matplotlib", "chart_plotly", "controls", "drawing", "film")),
    *("view." + name for name in ("fitted_map", "marks")),
    *("view." + name for name in ("markdown", "recipe_file", "sketch", "worker")),
    "study.attempts",
    "train.beside",
    "train.grid",
    "scoreboard.page",
    "scoreboard.summary",
}
# an example would need weights by others, or those that training makes
WEIGHTS = {"fid", "fvd", "fvd_infinity", "i3d", "inception", "kid", "kvd", "lpips", "raft", "videomae", "VectorSpace"}


def public(package: str) -> dict[str, object]:
    """Functions and classes that a package offers."""
    module = importlib.import_module(package)
    found = {name: getattr(module, name) for name in module.__all__}
    ours = {name: what for name, what in found.items() if getattr(what, "__module__", "").startswith("latentlab")}
    return {name: what for name, what in ours.items() if inspect.isclass(what) or inspect.isfunction(what)}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_is_explained(package):
    missing = [name for name, what in public(package).items() if len((what.__doc__ or "").split()) < 4]
    assert missing == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_function_has_an_example(package):
    functions = {name: what for name, what in public(package).items() if inspect.isfunction(what)}
    missing = [name for name, what in functions.items() if ">>>" not in (what.__doc__ or "") and name not in WEIGHTS]
    assert missing == []


def test_every_package_and_every_module_named_is_there():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    named = re.findall(r"automodule:: (\S+)", pages)
    assert set(PACKAGES) <= set(named)
    assert len(set(named)) == len(named)
    for name in named:
        assert importlib.import_module(name).__doc__, name


@pytest.mark.parametrize("package", ["dimensions", "generator", "preference", "scoreboard", "study", "train", "view"])
def test_every_module_is_on_a_page_or_inner(package):
    pages = "\n".join(page.read_text(encoding="utf-8") for page in (DOCS / "api").glob("*.md"))
    here = [path for path in (ROOT / package).glob("*.py") if "= moved(" not in path.read_text(encoding="utf-8")]
    there = {f"{package}.{path.stem}" for path in here} - {f"{package}.__init__"}
    assert {name for name in there if f"automodule:: latentlab.{name}\n" not in pages} == {
        name for name in INNER if name in there
    }


def test_every_page_is_reached_from_the_first():
    tree = (DOCS / "index.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^(?:api/)?\w+$", tree, flags=re.M))
    pages = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md")}
    assert {page for page in pages if not page.startswith("notebooks")} - {"index"} == listed


def test_the_files_that_a_change_touches_are_there():
    table = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## What a change touches")[2]
    rows = [row for row in table.splitlines() if row.startswith("| ")][2:]
    assert len(rows) == 11  # the exercises
    named = re.findall(r"`((?:\w+/)*\w+\.py)`", table)
    assert len(named) > 11
    assert [name for name in named if not (ROOT / name).is_file()] == []
