"""Options from the fields of a dataclass."""

import argparse
from dataclasses import dataclass, field
from typing import Literal

import pytest

from latentlab.checks import Count, Positive
from latentlab.flags import add_fields


@dataclass(frozen=True)
class Settings:
    """Of a run.

    Args:
        steps: how many.
        rate: peak, at most 5 %.
        kind: of it.
        words: that are said.
        turned: whether it is.
        method: see elsewhere.
    """

    steps: Count
    rate: Positive | None = None
    kind: Literal["low", "high"] = "low"
    words: tuple[str, ...] = ("a", "b")
    turned: bool = False
    method: str = field(default="ddim", metadata={"choices": ("ddim", "edict")})


def parsed(*words: str, of=Settings, **options) -> dict:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_fields(parser, of, **options)
    return vars(parser.parse_args(words))


def test_types_and_defaults_are_those_of_the_fields():
    assert parsed("--steps", "3", "--words", "c;d, e", "--turned") == {
        "steps": 3, "rate": None, "kind": "low", "words": ("c", "d, e"), "turned": True, "method": "ddim",
    }  # fmt: skip
    assert parsed(of=Settings(steps=5))["steps"] == 5
    assert parsed(names=["kind", "turned"], unset=True) == {"kind": None, "turned": False}
    assert parsed("--count", "2", names=["steps"], flags={"steps": "--count"}) == {"count": 2}


@dataclass(frozen=True)
class More(Settings):
    """Of another.

    Args:
        kind: of this one.
    """

    kind: Literal["low", "high"] = "high"


def test_what_a_base_explains_is_explained():
    parser = argparse.ArgumentParser()
    add_fields(parser, More)
    told = " ".join(parser.format_help().split())
    assert "how many" in told
    assert "of this one (default: high)" in told
    assert "of it" not in told


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--steps", "0"], "must be 1 or more, got 0"),
        (["--steps", "two"], "must be 1 or more, got 'two'"),
        (["--steps", "1", "--rate", "0"], "must be above 0, got 0"),
        (["--steps", "1", "--kind", "middle"], "invalid choice: 'middle'"),
        (["--steps", "1", "--method", "euler"], "invalid choice: 'euler'"),
    ],
)
def test_what_the_annotation_leaves_out_is_refused(words, said):
    with pytest.raises(argparse.ArgumentError, match=said):
        parsed(*words)


def test_help_is_the_docstring_and_the_default():
    parser = argparse.ArgumentParser()
    add_fields(parser, Settings(steps=7), helps={"method": "solver"})
    said = " ".join(parser.format_help().split())
    for part in ("how many (default: 7)", "peak, at most 5 %", "(default: a,b)", "solver", "{ddim,edict}"):
        assert part in said
    assert "(default: False)" not in said
