"""The scripts of benchmarks/: each says its flags, and each runs, at the smallest size that its question has."""

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_type_hints

import pytest

from latentlab.bench import SCRIPTS
from latentlab.bench.flags import main
from latentlab.bench.script import load_script

pytestmark = pytest.mark.skipif(not SCRIPTS.is_dir(), reason="an installed package has no benchmarks beside it")
FILES = sorted(file for file in SCRIPTS.glob("*.py") if "main(" in file.read_text(encoding="utf-8"))
ENTRIES = {
    "picture": "pictures",
}  # not asked by `latentlab bench`


@dataclass(frozen=True)
class Config:
    """What to count.

    Args:
        clips: how many,
            at most 100 %.
        names, others: of the clips.
    """

    clips: int = 4
    names: tuple[str, ...] = ("a", "b")
    others: tuple[float, ...] = ()
    model: str | None = None
    guidance: float | None = None
    kind: Literal["lora", "full"] = "lora"
    slow: bool = False
    out: Path = Path("here")

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ValueError(f"clips must be 1 or more, got {self.clips}")


def run(config: Config) -> dict:
    return {"given": [config.clips, config.names, config.others, config.kind, config.slow], "_clips": ["heavy"]}


def test_flags_are_of_the_types_of_the_fields(capsys):
    main(run, ["--clips", "2", "--names", "x, y", "--others", "1;2.5", "--kind", "full", "--slow", "--guidance", "2"])
    told = json.loads(capsys.readouterr().out)
    assert told["given"] == [2, ["x", "y"], [1.0, 2.5], "full", True]
    assert (told["config"]["guidance"], told["config"]["model"], told["config"]["out"]) == (2.0, None, "here")
    assert "_clips" not in told


def test_a_preset_is_what_other_flags_change(capsys):
    main(run, ["--small", "--names", "c"], presets={"small": Config(clips=1, slow=True)})
    assert json.loads(capsys.readouterr().out)["given"] == [1, ["c"], [], "lora", True]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--clips", "0"], "clips must be 1 or more, got 0"),
        (["--clips", "many"], "'many'"),
        (["--kind", "dora"], "'dora'"),
        (["--clip-count", "3"], "--clip-count"),
    ],
)
def test_what_is_not_taken_is_told(flags, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(run, flags)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_help_says_what_the_docstring_says_and_the_defaults(capsys):
    with pytest.raises(SystemExit):
        main(run, ["--help"])
    told = " ".join(capsys.readouterr().out.split())
    assert "how many, at most 100 % (default: 4)" in told
    assert told.count("of the clips") == 2
    assert "(default: a,b)" in told


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_script_says_its_flags(file, capsys):
    script = load_script(file)
    entry = getattr(script, ENTRIES.get(file.stem, "run"))
    with pytest.raises(SystemExit) as ended:
        main(entry, ["--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert (script.__doc__ or "").splitlines()[0] in told
    for field in fields(get_type_hints(entry)["config"]):
        assert f"--{field.name.replace('_', '-')}" in told


def test_no_script_has_a_command_line_of_its_own():
    for file in SCRIPTS.glob("*.py"):
        assert "argparse" not in file.read_text(encoding="utf-8"), file.name
