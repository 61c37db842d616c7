"""Bad calls of every public function: each is answered in the library's own words, or answered right.

`doors.CALLS` has one good call of each public function and method; a new one without its call fails here. Each argument
of each is then replaced by what users pass by mistake. What comes back must be the library's own error (raised by a
`raise` of its own, not by torch, numpy or an attribute that is not there), or a result without a NaN that the good call
has not got.
"""

import ast
import functools
import importlib
import inspect
import math
import re
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import doors
import numpy as np
import pytest
import torch
from torch import Tensor

import latentlab
from latentlab.data.moving import reader
from latentlab.generator import load, vector_vae
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks import edits

ROOT = str(Path(latentlab.__file__).parent)
FACES = (
    "", ".control", ".data", ".directions", ".interpolate", ".metrics", ".metrics.disentanglement", ".spaces", ".video",
)  # fmt: skip


def documented(page: str) -> Iterator[ModuleType]:
    """The modules of a package that are on its page of the reference."""
    written = (Path(ROOT).parent / "docs" / "api" / f"{page}.md").read_text(encoding="utf-8")
    return map(importlib.import_module, re.findall(rf"automodule:: (latentlab\.{page}\S+)", written))


def public() -> dict[str, Any]:
    """Functions, classes and methods that users are given, by name, which says the module too where another has it.

    Methods that come from a base which is not public itself have the name of that base.
    """
    found: dict[int, tuple[str, Any]] = {}
    for face in FACES:
        package = functools.reduce(getattr, face.split(".")[1:], latentlab)
        for name in package.__all__:
            thing = getattr(package, name)
            if callable(thing) and getattr(thing, "__module__", "").startswith("latentlab"):
                found[id(thing)] = name, thing
    for page in ("study", "view"):
        for module in documented(page):
            taken = {name for name, _ in found.values()}
            for name, thing in vars(module).items():
                own = callable(thing) and getattr(thing, "__module__", "").startswith(module.__name__)
                if own and not name.startswith("_") and id(thing) not in found:
                    key = f"{module.__name__.rpartition('.')[2]}.{name}" if name in taken else name
                    found[id(thing)] = key, thing
    names = {}
    loaders = [
        getattr(module, name)
        for module in (load, vector_vae, edits, reader)
        for name in vars(module)
        if name.startswith("load_") and getattr(module, name).__module__ == module.__name__
    ]
    found |= {id(loader): (loader.__name__, loader) for loader in loaders}
    things = [*found.values(), ("NativeGenerator", NativeGenerator)]
    mine = [thing for _, thing in things]
    bases = {base for thing in mine if inspect.isclass(thing) for base in thing.__mro__ if base not in mine}
    inherited = [(base.__name__, base) for base in bases if base.__module__.startswith("latentlab")]
    for name, thing in [*things, *inherited]:
        names |= {name: thing} if thing in mine else {}
        for method, value in vars(thing).items() if inspect.isclass(thing) else ():
            own = value.__func__ if isinstance(value, staticmethod | classmethod) else value
            takes = inspect.isfunction(own) and len(inspect.signature(own).parameters) > isinstance(value, type(own))
            if not method.startswith("_") and takes:
                names[f"{name}.{method}"] = value
    return {name: thing for name, thing in names.items() if name.split(".")[0] not in doors.RESULTS}


def test_every_public_function_has_its_good_call():
    assert sorted(public()) == sorted([*doors.CALLS, *doors.LEFT_OUT])


@functools.cache
def _raises(path: str) -> list[tuple[int, int]]:
    tree = ast.parse(Path(path).read_text())
    return [(node.lineno, node.end_lineno or node.lineno) for node in ast.walk(tree) if isinstance(node, ast.Raise)]


def own_words(error: BaseException) -> bool:
    """Whether the library raised it, naming what is wrong.

    A file that cannot be had may be named by Python, and what an estimator is fitted on by scikit-learn, whose contract
    for estimators (`parametrize_with_checks`) prescribes the words.
    """
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    if isinstance(error, OSError) and error.filename is not None:
        return True
    if any(frame.filename.endswith("sklearn/utils/validation.py") for frame in frames):
        return True
    inside = last.filename.startswith(ROOT) and last.lineno is not None
    return inside and any(low <= last.lineno <= high for low, high in _raises(last.filename))


def numbers(result: Any, depth: int = 0) -> Iterator[float]:
    """One number for each part of a result, NaN where it holds any."""
    if isinstance(result, Tensor):
        yield math.nan if result.is_floating_point() and bool(result.isnan().any()) else 0.0
    elif isinstance(result, np.ndarray):
        yield math.nan if result.dtype.kind == "f" and bool(np.isnan(result).any()) else 0.0
    elif isinstance(result, float):
        yield result
    elif depth < 4 and is_dataclass(result) and not isinstance(result, type):
        for field in fields(result):
            yield from numbers(getattr(result, field.name), depth + 1)
    elif depth < 4 and isinstance(result, Mapping):
        for value in result.values():
            yield from numbers(value, depth + 1)
    elif depth < 4 and isinstance(result, list | tuple):
        for value in result:
            yield from numbers(value, depth + 1)


def mistakes(good: Any) -> Iterator[tuple[str, Any]]:
    """What users pass by mistake where `good` belongs."""
    pandas = pytest.importorskip("pandas", reason="not installed: pandas")
    yield from {
        "none": None,
        "text": "7",
        "empty text": "",
        "empty list": [],
        "nan": math.nan,
        "minus one": -1,
        "half": 1.5,
        "object": object(),
        "a path": Path("nowhere/at/all"),
        "a dict": {"a": 1},
        "letters": np.array(["a", "b"]),
        "empty tensor": torch.zeros(0),
        "complex": torch.ones(2, 2, dtype=torch.complex64),
        "bytes": b"a",
        "true": True,
    }.items()
    yield "table", pandas.DataFrame({"a": [0.5, 1.5], "b": ["x", "y"]})
    if isinstance(good, np.ndarray):
        good = torch.from_numpy(good.copy()) if good.dtype.kind in "fiub" else None
    if isinstance(good, Tensor):
        good = good.detach().contiguous()
        yield from {
            "numpy": good.numpy(),
            "listed": [good],
            "double": good.double(),
            "half precision": good.half(),
            "bfloat16": good.bfloat16(),
            "int8": good.to(torch.int8),
            "bool": good > 0,
            "first axis empty": good[:0],
            "an axis less": good[0],
            "an axis more": good[None],
            "requires grad": good.double().clone().requires_grad_(),
            "one infinity": torch.full_like(good.double(), math.inf),
            "all nan": torch.full_like(good.double(), math.nan),
        }.items()
        if good.ndim == 2:
            yield "as a table", pandas.DataFrame(good.numpy())
        if good.is_floating_point():
            spoiled = good.clone()
            spoiled.view(-1)[0] = math.nan
            yield "one nan", spoiled


def answers(name: str) -> Iterator[tuple[str, str]]:
    """Raw errors and silent NaNs of one function, by argument and mistake."""
    function, arguments = doors.CALLS[name]()
    right = function(**arguments)
    clean = not any(map(math.isnan, numbers(right)))
    if is_dataclass(right) and len(repr(right)) > 1500:
        yield "repr", f"screens of numbers, {len(repr(right))} characters"
    for argument, good in arguments.items():
        for mistake, bad in mistakes(good):
            function, arguments = doors.CALLS[name]()
            try:
                result = function(**{**arguments, argument: bad})
            except Exception as error:
                if not own_words(error):
                    where = traceback.extract_tb(error.__traceback__)[-1]
                    yield f"{argument}={mistake}", f"{type(error).__name__}: {str(error)[:90]!r} at {where.name}"
            else:
                if clean and any(map(math.isnan, numbers(result))):
                    yield f"{argument}={mistake}", "NaN, without a word"


DEAR = {  # more than three seconds each
    "BottleneckSpace", "BottleneckSpace.around", "BottleneckSpace.encode", "Generator.invert", "Recipe",
    "Recipe.replay", "conflicts", "dci",
    "edit_clip", "extend", "extract", "flicker_source",
    "inpaint", "judge", "roundtrip", "roundtrip.compare", "unedited_overlap", "why",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in DEAR)) for name in sorted(doors.CALLS)]
)
def test_bad_calls_are_answered(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    raw = dict(answers(name))
    assert not raw, "\n".join(f"{where}: {what}" for where, what in raw.items())
