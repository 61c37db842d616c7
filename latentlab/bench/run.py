"""Scripts are run, their answers kept, and all put on one page."""

from __future__ import annotations

import inspect
import json
import platform
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from latentlab.bench.answer import BenchAnswer, BenchAnswers
from latentlab.bench.page import bench_page, comparison_page
from latentlab.bench.pool import workers
from latentlab.bench.script import SCRIPTS, config_of, find_scripts, load_script
from latentlab.record import Record, to_json
from latentlab.store import digest, write_text
from latentlab.view.markdown import markdown
from latentlab.view.report import Report
from latentlab.weights import shipped

PACKAGE = Path(__file__).parents[1]
PLACES = ("out", "processes")  # fields of a Config that do not change its figures


@dataclass(frozen=True)
class Job:
    """One run of one script.

    Attributes:
        script: its file.
        settings: fields of its Config that are not as they stand there.
        repeat: counted from 0.
        seed: added to the script's own.
        key: hash of all that the answer depends on.
        config: all settings.
        weights: hash of those that it loads.
        alone: whether it measures seconds, and so runs with nothing beside it.
    """

    script: Path
    settings: dict[str, Any]
    repeat: int
    seed: int
    key: str
    config: dict[str, Any]
    weights: str
    alone: bool

    @property
    def name(self) -> str:
        """Of the script."""
        return self.script.stem


def bench(
    names: Sequence[str] = (),
    *,
    out: str | Path = "bench",
    scripts: str | Path = SCRIPTS,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    repeats: int = 1,
    jobs: int = 1,
    seed: int = 0,
) -> dict[str, Any]:
    """Runs scripts, or takes their answers from before, and writes `bench.html`, `bench.md` and `bench.json`.

    Args:
        names: of the scripts; none is all of them.
        out: folder; answers are kept in its `results`.
        scripts: folder of the scripts.
        settings: fields of their Configs, by name of the script.
        repeats: with seeds that rise by one; two or more give intervals.
        jobs: processes at a time; scripts with `ALONE = True`, which measure seconds, run after the rest, one by one.
        seed: of the first repeat, where a script has one.

    Returns:
        What `bench.json` holds.

    Raises:
        ValueError: an unknown script or field.
        FileNotFoundError: no folder of scripts.
        RuntimeError: scripts that failed; the page is written all the same and says why.
    """
    out, found, names = Path(out), find_scripts(scripts), tuple(dict.fromkeys(names))
    unknown = [name for name in (*names, *(settings or {})) if name not in found]
    if unknown:
        raise ValueError(f"no benchmark {', '.join(unknown)}; there are {', '.join(found)}")
    if repeats < 1 or jobs < 1:
        raise ValueError(f"`repeats` and `jobs` must be at least 1, got {repeats} and {jobs}")
    code = code_version(Path(scripts))
    plan = [
        _job(found[name], dict((settings or {}).get(name, {})), repeat, seed, code)
        for name in names or found
        for repeat in range(repeats)
    ]
    asked = {"names": list(names), "repeats": repeats, "scripts": "" if scripts == SCRIPTS else str(scripts)}
    failed = _run_all([job for job in plan if _kept(out, job) is None], out, jobs)
    answers = [kept for job in plan if job.key not in failed and (kept := _kept(out, job)) is not None]
    why = {job.name: failed[job.key] for job in plan if job.key in failed}
    result = BenchAnswers(code, answers, why, Record("latentlab bench", asked, seed, "", ""))
    report = bench_page(result, {name: load_script(found[name]) for name in {answer.name for answer in answers}})
    write_text(out / "bench.json", to_json(result.plain()) + "\n")
    write_text(out / "bench.md", markdown(report))
    report.save(out / "bench.html")
    if failed:
        name, told = next(iter(why.items()))
        last = told.strip().splitlines()[-1]
        raise RuntimeError(f"{len(failed)} of {len(plan)} runs failed, the first {name}: {last}; see {out}/bench.html")
    return result.plain()


def compare_benches(old: str | Path, new: str | Path, out: str | Path) -> Report:
    """Writes what changed between two folders of `bench` (or their `bench.json`) to `compare.html` and `compare.md`.

    Raises:
        FileNotFoundError: no `bench.json` there.
        ValueError: one that is cut short, or another file.
    """
    report = comparison_page(_result(old), _result(new))
    report.save(Path(out) / "compare.html")
    write_text(Path(out) / "compare.md", markdown(report))
    return report


def _result(path: str | Path) -> BenchAnswers:
    file = Path(path) / "bench.json" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no {file}; give a folder that `latentlab bench --out` wrote, or its bench.json")
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is no JSON ({error}); run `latentlab bench` again") from error
    try:
        return BenchAnswers.of_plain(found)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file} holds no answers; `latentlab bench --out` writes such a file") from error


def code_version(scripts: Path) -> str:
    """SHA-256 over all Python files of latentlab and of a folder of scripts, which may use each other."""
    return _content([*PACKAGE.rglob("*.py"), *scripts.glob("*.py")])


def _job(script: Path, settings: dict[str, Any], repeat: int, seed: int, code: str) -> Job:
    module = load_script(script)
    config, alone = _plain(config_of(module, settings, seed=seed + repeat)), vars(module).get("ALONE", False)
    weights = _weights(config.get("model"))
    given = {k: _files(v) for k, v in config.items() if isinstance(v, str) and v and Path(v).exists()}
    told = [script.stem, config, repeat, code, weights, given, platform.node() if alone else ""]
    key = digest(json.dumps(told, sort_keys=True))[:16]
    return Job(script, settings, repeat, seed + repeat, key, config, weights, alone)


def _plain(config: Any) -> dict[str, Any]:
    """As JSON holds it, without what does not change the figures."""
    return json.loads(json.dumps({k: v for k, v in asdict(config).items() if k not in PLACES}, default=str))


@cache
def _weights(model: str | None) -> str:
    """SHA-256 over the files of a model, the shipped one by default; a hub id stands for itself."""
    if model is not None:
        return _files(model) if Path(model).exists() else model
    with shipped() as folder:
        return _files(str(folder))


@cache
def _files(path: str) -> str:
    """SHA-256 over a file, or over all files of a folder."""
    return _content(p for p in (Path(path), *Path(path).rglob("*")) if p.is_file())


def _content(files: Iterable[Path]) -> str:
    return digest(*(part for file in sorted(files) for part in (file.name, b"\0", file, b"\0")))


def _file(out: Path, job: Job) -> Path:
    return out / "results" / f"{job.name}-{job.key}.json"


def _kept(out: Path, job: Job) -> BenchAnswer | None:
    """The answer from before, if there is one and it is whole."""
    try:
        answer = BenchAnswer(**json.loads(_file(out, job).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return answer if answer.key == job.key else None


def _run_all(plan: Sequence[Job], out: Path, jobs: int) -> dict[str, str]:
    """Runs what is missing; returns what went wrong, by key."""
    failed: dict[str, str] = {}
    together = [job for job in plan if jobs > 1 and not job.alone]
    with tqdm(total=len(plan), desc="benchmarks", disable=not plan or None) as bar:
        if together:
            with workers(jobs) as pool:
                running = {pool.submit(_answer, job, out): job for job in together}
                for done in as_completed(running):
                    failed[running[done].key] = done.result() if done.exception() is None else repr(done.exception())
                    bar.update()
        for job in plan:
            if job not in together:
                bar.set_description(job.name)
                failed[job.key] = _answer(job, out)
                bar.update()
    return {key: why for key, why in failed.items() if why}


def _answer(job: Job, out: Path) -> str:
    """Runs one job and keeps its answer; returns what went wrong, or nothing."""
    began = time.perf_counter()
    try:
        module, work = load_script(job.script), out / "work" / f"{job.name}-{job.key}"
        figures = module.run(config_of(module, job.settings, seed=job.seed, work=work))
    except Exception:  # whatever a script raises must not take the others down
        return traceback.format_exc()
    record = Record(f"latentlab bench {job.name}", job.config, job.seed, "", job.weights)
    answer = BenchAnswer(
        name=job.name,
        question=inspect.cleandoc(module.__doc__ or "").split("\n\n")[0],
        key=job.key,
        repeat=job.repeat,
        given=job.settings,
        seconds=round(time.perf_counter() - began, 2),
        figures=json.loads(to_json(figures)),
        settings=record.settings,
        seed=record.seed,
        weights=record.weights,
        versions=record.versions,
        platform=record.platform,
        made=record.made,
    )
    write_text(_file(out, job), to_json(asdict(answer)) + "\n")
    return ""
