"""Importing latentlab is instant, and every public name is there."""

import importlib
import resource
import statistics
import subprocess
import sys

import pytest

import latentlab

HEAVY = ("torch", "numpy", "sklearn", "umap", "lpips", "open_clip", "plotly", "matplotlib", "diffusers", "av", "scipy")


def python(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)


def test_importing_loads_no_heavy_library():
    code = f"import sys, latentlab; print([name for name in {HEAVY} if name in sys.modules])"
    assert python("-c", code).stdout.strip() == "[]"


@pytest.mark.parametrize("name", latentlab.__all__)
def test_every_public_name_is_there(name):
    assert getattr(latentlab, name) is not None


def test_every_public_name_has_a_home_and_is_listed():
    assert sorted([*latentlab._HOMES, *latentlab._PACKAGES]) == sorted(latentlab.__all__) == dir(latentlab)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'latentlab' has no attribute 'nothing'"):
        latentlab.nothing  # noqa: B018


def test_help_takes_half_a_second_of_the_processor_at_most():
    def seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert "usage: latentlab" in python("-m", "latentlab", "--help").stdout
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert statistics.median(seconds() for _ in range(3)) < 0.5


def test_help_of_no_command_loads_torch():
    code = """
import contextlib, io, sys
from latentlab.parsers import parser
from latentlab.parsers.training import NETWORKS
commands = next(action.choices for action in parser()._actions if action.dest == "command")
for asked in [*([name] for name in commands), *(["train", name] for name in NETWORKS)]:
    with contextlib.redirect_stdout(io.StringIO()) as told, contextlib.suppress(SystemExit):
        parser().parse_args([*asked, "--help"])
    assert "usage:" in told.getvalue(), asked
print(len(commands), "torch" in sys.modules)
"""
    assert python("-c", code).stdout.split() == ["19", "False"]


@pytest.mark.parametrize("package", ["dimensions", "generator", "preference", "scoreboard", "study", "train", "view"])
def test_every_package_is_there_whatever_was_imported_before(package):
    code = f"import latentlab as ll, sys; ll.{package}; print('torch' in sys.modules)"
    assert python("-c", code).stdout.strip() == "False"
    face = getattr(latentlab, package)
    assert all(getattr(face, name) is not None for name in dir(face))
    with pytest.raises(AttributeError, match=f"'latentlab.{package}' has no attribute 'nothing'"):
        face.nothing  # noqa: B018


@pytest.mark.parametrize(
    ("old", "home", "new"),
    [
        ("generator.clip.ClipModel", "generator.clip_model", "ClipModel"),
        ("metrics.clip.Towers", "metrics.clip_model", "Towers"),
        ("train.clip.ClipTraining", "train.clip_model", "ClipTraining"),
        ("directions.ruler.Ruler", "directions.factor_units", "FactorUnits"),
        ("ledger.Ledger", "row_log", "RowLog"),
    ],
)
def test_a_name_of_version_0_1_works_with_a_warning(old, home, new):
    module, _, name = f"latentlab.{old}".rpartition(".")
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} is latentlab.{home}.{new} since"):
        found = getattr(importlib.import_module(module), name)
    assert found is getattr(importlib.import_module(f"latentlab.{home}"), new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("directions.Turning", "LocalDirection"),
        ("directions.usable.auto_range", "usable_range"),
        ("view.setting.Setting", "ExplorerState"),
    ],
)
def test_what_was_renamed_in_its_module_works_with_a_warning(old, new):
    module, _, name = f"latentlab.{old}".rpartition(".")
    home = importlib.import_module(module)
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} is {new} since"):
        assert getattr(home, name) is getattr(home, new)


def test_attributes_and_arguments_of_version_0_1_work_with_a_warning(tiny_generator):
    with pytest.warns(DeprecationWarning, match="NativeGenerator: clip is clip_model since"):
        assert tiny_generator.clip is tiny_generator.clip_model
    own = tiny_generator
    with pytest.warns(DeprecationWarning, match="NativeGenerator: clip is clip_model since"):
        type(own)(own.autoencoder, own.denoiser, clip=own.clip_model, config=own.config)
