"""The pages of `latentlab bench`: answers with their settings, and what changed between two sets of them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from types import ModuleType
from typing import Any

import numpy as np

from latentlab.bench.answer import BenchAnswers
from latentlab.view.report import EncodedPlayer, Part, Report, Section, Strip, Table

UNSAID = ("config", "weights")  # of figures, as the page has them beside; also what starts with "_", for `parts`
WIDE, LETTERS = 7, 110  # columns and letters of a table, above which one of few rows or of long cells is turned
LEVEL = 0.05  # of the test that a change is more than noise, over the whole comparison


@dataclass(frozen=True)
class Measured:
    """A number of an answer, over its repeats.

    Attributes:
        values: one a repeat.
        interval: that the script gave, if it gave one.
        null: what chance gives, if the script said so.
    """

    values: tuple[float, ...]
    interval: tuple[float, float] | None = None
    null: float | None = None

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values)

    @property
    def half(self) -> float | None:
        """Half of the 95 % interval of the mean over repeats (Student); None with one repeat."""
        if len(self.values) < 2:
            return None
        from scipy.stats import t

        return float(t.ppf(0.975, len(self.values) - 1)) * self.spread / math.sqrt(len(self.values))

    @property
    def spread(self) -> float:
        """Standard deviation over repeats."""
        return math.sqrt(math.fsum((v - self.mean) ** 2 for v in self.values) / (len(self.values) - 1))

    def __str__(self) -> str:
        null = "" if self.null is None else f" (null {self.null:.4g})"
        half = self.half
        if half is not None:
            digits = f".{min(6, max(0, 1 - math.floor(math.log10(half))))}f" if half > 0 else ".4g"
            return f"{self.mean:{digits}} ± {half:{digits}}{null}"
        low_high = "" if self.interval is None else f" [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"
        return f"{self.mean:.4g}{low_high}{null}"


def bench_page(result: BenchAnswers, modules: Mapping[str, ModuleType]) -> Report:
    """The page of a result of `latentlab.bench.bench`; `modules` are its scripts, which may add parts of their own."""
    sections = []
    asked, seed = result.record.settings, result.record.seed
    for name, answers in result.by_script().items():
        first = answers[0]
        parts: list[Part] = list(figure_tables([answer.figures for answer in answers]))
        if own := vars(modules[name]).get("parts") if name in modules else None:
            parts = [*own(first.figures), *parts]
        if clips := first.figures.get("_clips"):
            parts.insert(0, Strip([EncodedPlayer(**clip) for clip in clips]))
        given = "".join(
            " --set " + quote(f"{name}.{field}={json.dumps(value)}") for field, value in first.given.items()
        )
        how = f" --repeats {asked['repeats']}" if asked["repeats"] > 1 else ""
        how += f" --seed {seed}" if seed else ""
        how += f" --scripts {quote(asked['scripts'])}" if asked["scripts"] else ""
        seconds = sum(answer.seconds for answer in answers)
        about = [
            ["settings", json.dumps(first.settings)],
            ["again", f"latentlab bench {name}{given}{how}"],
            ["took", f"{seconds:.0f} s on {first.made}, {first.platform}"],
            ["weights", first.weights[:16]],
            ["key", ", ".join(answer.key for answer in answers)],
        ]
        parts.append(Table(["provenance", ""], about))
        sections.append(Section(name, first.question, parts))
    if result.failed:
        rows = [[name, why.strip().splitlines()[-1]] for name, why in result.failed.items()]
        sections.insert(0, Section("Failed", parts=[Table(["benchmark", "why"], rows)]))
    versions = ", ".join(f"{k} {v}" for k, v in result.record.versions.items())
    lead = f"Questions: {len(sections) - bool(result.failed)}. Runs: {len(result.answers)}."
    if any(len(answers) > 1 for answers in result.by_script().values()):
        lead += " ± is half of the 95 % interval over repeats."
    return Report("Benchmarks", lead, sections, f"code {result.code[:16]} · {versions} · {result.record.made}")


def comparison_page(old: BenchAnswers, new: BenchAnswers) -> Report:
    """What changed from one result to another, and whether it is more than noise.

    With repeats on both sides, by Welch's test, Holm's correction over all numbers of the page; else by whether the
    scripts' own intervals overlap; else it cannot be told.
    """
    before, after = old.by_script(), new.by_script()
    sections, pairs = [], []
    for name in after:
        if name in before:
            left, right = (measured_numbers([a.figures for a in side[name]]) for side in (before, after))
            pairs += [(name, key, left[key], right[key]) for key in right if key in left]
    verdicts = noise_verdicts([(a, b) for *_, a, b in pairs])
    counted: dict[str, int] = {}
    for name in after:
        if name not in before:
            continue
        rows = []
        for (of, key, a, b), verdict in zip(pairs, verdicts, strict=True):
            if of != name:
                continue
            counted[verdict] = counted.get(verdict, 0) + 1
            if verdict != "same":
                change = f"{(b.mean - a.mean) / abs(a.mean):+.1%}" if a.mean else f"{b.mean - a.mean:+.3g}"
                rows.append([" / ".join(key), str(a), str(b), change, verdict])
        rows.sort(key=lambda row: row[-1] != "more than noise")
        text = "" if rows else "Nothing changed."
        first, second = before[name][0], after[name][0]
        if first.weights != second.weights:
            text = f"The weights differ. {text}"
        if first.settings != second.settings:
            both = {**first.settings, **second.settings}
            differ = [k for k in both if first.settings.get(k) != second.settings.get(k)]
            text = f"Settings differ ({', '.join(differ)}): the numbers answer different questions. {text}"
        for side, here, there in (("old", before, after), ("new", after, before)):
            ours, theirs = (measured_numbers([a.figures for a in one[name]]) for one in (here, there))
            if alone := [" / ".join(key) for key in ours if key not in theirs]:
                text += f" Only in the {side} one: {', '.join(alone)}."
        parts = [Table(["figure", "old", "new", "change", "verdict"], rows)] if rows else []
        sections.append(Section(name, text, parts))
    lead = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counted.items())) or "No number in common"
    left_out = sorted(set(before) ^ set(after))
    if left_out:
        lead += f"; only on one side: {', '.join(left_out)}"
    return Report("Benchmarks compared", f"{lead}.", sections, f"code {old.code[:16]} and {new.code[:16]}")


def noise_verdicts(pairs: Sequence[tuple[Measured, Measured]]) -> list[str]:
    """A verdict for each pair: "same", "within noise", "more than noise", or "one run, noise unknown".

    >>> steady, higher = Measured((1.0, 1.01, 0.99)), Measured((2.0, 2.01, 1.99))
    >>> noise_verdicts([(steady, higher), (steady, steady), (Measured((1.0,)), Measured((1.1,)))])
    ['more than noise', 'same', 'one run, noise unknown']
    """
    verdicts, chances = [""] * len(pairs), {}
    for i, (a, b) in enumerate(pairs):
        if a.values == b.values or math.isclose(a.mean, b.mean, rel_tol=1e-12):
            verdicts[i] = "same"
        elif min(len(a.values), len(b.values)) > 1:
            chances[i] = _welch(a, b)
        elif a.interval and b.interval:
            apart = a.interval[1] < b.interval[0] or b.interval[1] < a.interval[0]
            verdicts[i] = "more than noise" if apart else "within noise"
        else:
            verdicts[i] = "one run, noise unknown"
    holding = True
    for rank, i in enumerate(sorted(chances, key=lambda i: chances[i])):  # Holm 1979
        holding = holding and chances[i] <= LEVEL / (len(chances) - rank)
        verdicts[i] = "more than noise" if holding else "within noise"
    return verdicts


def _welch(a: Measured, b: Measured) -> float:
    """Probability of such a difference by chance; repeats that never vary leave none."""
    if a.spread == b.spread == 0:
        return 0.0
    from scipy.stats import ttest_ind

    return float(np.asarray(ttest_ind(a.values, b.values, equal_var=False))[1])


def measured_numbers(figures: Sequence[Mapping[str, Any]]) -> dict[tuple[str, ...], Measured]:
    """All numbers of an answer's figures by their path, over repeats.

    >>> measured_numbers([{"a": {"psnr": 30.0}}, {"a": {"psnr": 32.0}}])
    {('a', 'psnr'): Measured(values=(30.0, 32.0), interval=None, null=None)}
    """
    runs = [dict(_numbers(_shown(one))) for one in figures]
    return {
        path: Measured(tuple(run[path][0] for run in runs), interval, null)
        for path, (_, interval, null) in runs[0].items()
        if all(path in run for run in runs)
    }


def figure_tables(figures: Sequence[Mapping[str, Any]]) -> list[Table]:
    """The figures as tables: groups of one shape share a table, a row each."""
    means = measured_numbers(figures)

    def cell(path: tuple[str, ...], value: Any) -> Any:
        if path in means:
            found = means[path]
            plain = found.half is None and found.interval is None and found.null is None
            return value if plain else str(found)
        return _text(value)

    return list(_tables(_shown(figures[0]), (), cell))


def _tables(figures: Mapping[str, Any], path: tuple[str, ...], cell):
    """Scalars first, then groups in the order of the script; flat ones share a table where the first of them is."""
    scalars = {k: v for k, v in figures.items() if not _group(v)}
    groups = {k: v for k, v in figures.items() if _group(v)}
    if scalars:
        rows = [[k, cell((*path, k), _bare(v))] for k, v in scalars.items()]
        yield Table([", ".join(path) or "figure", "value"], rows)
    alike = {k: v for k, v in groups.items() if not any(_group(part) for part in v.values())}
    columns = list(dict.fromkeys(name for group in alike.values() for name in group))
    filled = sum(map(len, alike.values())) / (max(1, len(alike)) * max(1, len(columns)))
    if len(columns) > 4 and filled < 0.6:  # they have little in common
        alike = {}
    for k, group in groups.items():
        if k not in alike:
            yield from _tables(group, (*path, k), cell)
        elif k == next(iter(alike)) and columns:
            rows = [
                [name, *(cell((*path, name, c), _bare(part[c])) if c in part else None for c in columns)]
                for name, part in alike.items()
            ]
            yield _upright(Table([", ".join(path), *(column.replace("_", " ") for column in columns)], rows))


def _upright(table: Table) -> Table:
    """A wide table, turned if it is narrower so: narrow screens have no room for it, and nobody reads by scrolling."""
    turned = zip(table.columns, *([row[0], *(_text(cell, 4) for cell in row[1:])] for row in table.rows), strict=True)
    header, *rows = map(list, turned)
    across, down = (sum(max(len(str(cell)) for cell in column) for column in zip(*t, strict=True)) for t in
                    ([table.columns, *table.rows], [header, *rows]))  # fmt: skip
    many = len(table.columns) > WIDE and len(table.columns) >= 2 * len(table.rows)
    return Table(header, rows) if many or (across > LETTERS and down < across) else table


def _shown(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Without settings, lists of groups numbered."""

    def tidy(value: Any) -> Any:
        if isinstance(value, list) and value and all(isinstance(v, dict) for v in value):
            value = {str(v.get("name", i)): {k: w for k, w in v.items() if k != "name"} for i, v in enumerate(value)}
        return {str(k): tidy(v) for k, v in value.items()} if isinstance(value, dict) else value

    return {k: tidy(v) for k, v in figures.items() if k not in UNSAID and not k.startswith("_")}


def _numbers(value: Any, path: tuple[str, ...] = ()):
    """(path, (number, interval, null level)) of everything that is a number."""
    if isinstance(value, dict):
        if not _group(value):
            if value["value"] is None:  # not finite
                return
            yield path, (float(value["value"]), _interval(value), value.get("null"))
            return
        for name, part in value.items():
            yield from _numbers(part, (*path, name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, (float(value), None, None)


def _group(value: Any) -> bool:
    """A dictionary that is not one number with its interval."""
    return isinstance(value, dict) and not isinstance(value.get("value", ""), int | float | None)


def _interval(value: Mapping[str, Any]) -> tuple[float, float] | None:
    ends = value.get("interval") or value.get("ci")
    return (float(ends[0]), float(ends[1])) if ends else None


def _bare(value: Any) -> Any:
    return value["value"] if isinstance(value, dict) else value


def _text(value: Any, digits: int | None = None) -> Any:
    """A cell; numbers as they are, or as text of so many digits."""
    if digits and isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}g}"
    if value == []:
        return "none"
    if isinstance(value, list):
        said = ", ".join(f"{v:.4g}" if isinstance(v, float) else str(v) for v in value)
        return said if len(said) <= 80 else said[:77] + "..."
    return str(value) if isinstance(value, bool) else value
