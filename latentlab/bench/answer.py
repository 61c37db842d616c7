"""Answers of benchmarks, as `bench.json` and the files of `results` hold them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from latentlab.record import Record


@dataclass(frozen=True)
class BenchAnswer:
    """One run of one script.

    Attributes:
        name: of the script.
        question: the first paragraph of its docstring.
        key: hash of all that the answer depends on.
        repeat: counted from 0.
        given: settings that were not as they stand in the script.
        seconds: that it took.
        figures: what `run` returned.
        settings: all of them.
        seed: of the run.
        weights: hash of those that it loads.
        versions, platform, made: of the software and machine, and when.
    """

    name: str
    question: str
    key: str
    repeat: int
    given: Mapping[str, Any]
    seconds: float
    figures: Mapping[str, Any]
    settings: Mapping[str, Any]
    seed: int
    weights: str
    versions: Mapping[str, str]
    platform: str
    made: str


@dataclass(frozen=True)
class BenchAnswers:
    """All of a run of `latentlab bench`.

    Attributes:
        code: hash of the code that gave them.
        answers: in the order of the scripts.
        failed: what went wrong, by name of the script.
        record: of the run.
    """

    code: str
    answers: Sequence[BenchAnswer]
    failed: Mapping[str, str]
    record: Record

    def plain(self) -> dict[str, Any]:
        """As `bench.json` holds it."""
        return asdict(self)

    @staticmethod
    def of_plain(found: Mapping[str, Any]) -> BenchAnswers:
        """Reads what `plain` gave.

        Raises:
            KeyError, TypeError: something else.
        """
        answers = [BenchAnswer(**answer) for answer in found["answers"]]
        return BenchAnswers(found["code"], answers, found["failed"], Record(**found["record"]))

    def by_script(self) -> dict[str, list[BenchAnswer]]:
        """Answers of one script together, in order."""
        found: dict[str, list[BenchAnswer]] = {}
        for answer in self.answers:
            found.setdefault(answer.name, []).append(answer)
        return found
