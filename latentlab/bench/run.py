"""`latentlab bench`: questions asked of the code, each answered once, kept, and put on one page that can be compared.

A script of `benchmarks/` has a docstring, which is its question, and `run(config)` that returns figures: a dictionary
of numbers, of `{"value", "interval", "null"}`, or of dictionaries of these. It may have `parts(figures)`, which makes
parts of a report. An answer is kept under a hash of its settings, of all code of latentlab, of the script and of the
weights, so that it is computed again when one of them changes and not before.
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import nullcontext
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from tqdm.auto import tqdm

from latentlab.record import Record, to_json, write_text
from latentlab.view.bench import compare, page
from latentlab.view.markdown import markdown
from latentlab.view.report import Report
from latentlab.weights import shipped

PACKAGE = Path(__file__).parent
SCRIPTS = PACKAGE.parent / "benchmarks"
PLACES = ("out", "processes")  # fields of a Config that do not change its figures


@dataclass(frozen=True)
class Job:
    """One run of one script.

    Attributes:
        name: of the script.
        script: its file.
        settings: fields of its Config that are not as they stand there.
        repeat: counted from 0.
        seed: added to the script's own.
        key: hash of all that the answer depends on.
        config: all settings.
        weights: hash of those that it loads.
    """

    name: str
    script: Path
    settings: dict[str, Any]
    repeat: int
    seed: int
    key: str
    config: dict[str, Any]
    weights: str


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
        jobs: processes at a time.
        seed: of the first repeat, where a script has one.

    Returns:
        What `bench.json` holds.

    Raises:
        ValueError: an unknown script or field.
        FileNotFoundError: no folder of scripts.
        RuntimeError: scripts that failed; the page is written all the same and says why.
    """
    out, found = Path(out), find_scripts(scripts)
    unknown = [name for name in (*names, *(settings or {})) if name not in found]
    if unknown:
        raise ValueError(f"no benchmark {', '.join(unknown)}; there are {', '.join(found)}")
    if repeats < 1 or jobs < 1:
        raise ValueError(f"`repeats` and `jobs` must be at least 1, got {repeats} and {jobs}")
    code = code_version()
    plan = [
        _job(name, found[name], dict((settings or {}).get(name, {})), repeat, seed, code)
        for name in names or found
        for repeat in range(repeats)
    ]
    failed = _run_all([job for job in plan if not _file(out, job).is_file()], out, jobs)
    answers = [json.loads(_file(out, job).read_text(encoding="utf-8")) for job in plan if job.key not in failed]
    result = {
        "code": code,
        "answers": answers,
        "failed": {job.name: failed[job.key] for job in plan if job.key in failed},
        "record": asdict(Record("latentlab bench", {"names": list(names), "repeats": repeats}, seed, "", "")),
    }
    report = page(result, {name: _load(found[name]) for name in {a["name"] for a in answers}})
    write_text(out / "bench.json", to_json(result) + "\n")
    write_text(out / "bench.md", markdown(report))
    report.save(out / "bench.html")
    if failed:
        first = next(iter(result["failed"].items()))
        why = first[1].strip().splitlines()[-1]
        raise RuntimeError(
            f"{len(failed)} of {len(plan)} runs failed, the first {first[0]}: {why}; see {out}/bench.html"
        )
    return result


def compare_benches(old: str | Path, new: str | Path, out: str | Path) -> Report:
    """Writes what changed between two folders of `bench` (or their `bench.json`) to `compare.html` and `compare.md`.

    Raises:
        FileNotFoundError: no `bench.json` there.
    """
    report = compare(_result(old), _result(new))
    report.save(Path(out) / "compare.html")
    write_text(Path(out) / "compare.md", markdown(report))
    return report


def _result(path: str | Path) -> dict[str, Any]:
    file = Path(path) / "bench.json" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"no {file}; give a folder that `latentlab bench --out` wrote, or its bench.json")
    return json.loads(file.read_text(encoding="utf-8"))


def find_scripts(folder: str | Path) -> dict[str, Path]:
    """Scripts with a `run`, by name.

    Raises:
        FileNotFoundError: no such folder, or none in it.
    """
    files = sorted(Path(folder).glob("*.py"))
    found = {file.stem: file for file in files if "\ndef run(" in file.read_text(encoding="utf-8")}
    if not found:
        raise FileNotFoundError(f"{folder} holds no benchmark, a script with run(config); give their folder")
    return found


def parse_settings(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Settings by script, from `NAME.FIELD=VALUE`; a value is JSON, or else text.

    >>> parse_settings(["inversion.clips=4", 'inversion.methods=["ddim"]', "inversion.model=folder"])
    {'inversion': {'clips': 4, 'methods': ['ddim'], 'model': 'folder'}}
    """
    found: dict[str, dict[str, Any]] = {}
    for text in given:
        target, equals, value = text.partition("=")
        name, dot, field = target.partition(".")
        if not (equals and dot and name and field):
            raise ValueError(f"a setting is NAME.FIELD=VALUE, such as inversion.clips=4, got {text!r}")
        try:
            found.setdefault(name, {})[field] = json.loads(value)
        except json.JSONDecodeError:
            found.setdefault(name, {})[field] = value
    return found


def code_version() -> str:
    """SHA-256 over all Python files of latentlab."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*.py")):
        digest.update(str(file.relative_to(PACKAGE)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _job(name: str, script: Path, settings: dict[str, Any], repeat: int, seed: int, code: str) -> Job:
    config = _plain(_config(_load(script), settings, seed + repeat, Path()))
    weights = _weights(config.get("model"))
    told = [name, config, repeat, code, script.read_text(encoding="utf-8"), weights]
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
    return Job(name, script, settings, repeat, seed + repeat, key, config, weights)


def _plain(config: Any) -> dict[str, Any]:
    """As JSON holds it, without what does not change the figures."""
    values = dict(config) if isinstance(config, dict) else asdict(config)
    return json.loads(json.dumps({k: v for k, v in values.items() if k not in PLACES}, default=str))


@cache
def _weights(model: str | None) -> str:
    """SHA-256 over the weight files of a model, the shipped one by default."""
    digest = hashlib.sha256()
    with shipped() if model is None else nullcontext(Path(model)) as folder:
        for file in sorted(folder.rglob("*.safetensors")):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def _load(script: Path) -> ModuleType:
    script = script.resolve()
    above = str(script.parents[1])
    if above not in sys.path:
        sys.path.insert(0, above)  # processes of a script's own find it there, by the name of its folder
    spec = importlib.util.spec_from_file_location(f"{script.parent.name}.{script.stem}", script)
    if spec is None or spec.loader is None:
        raise ValueError(f"{script} cannot be loaded as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def _config(module: ModuleType, settings: Mapping[str, Any], seed: int, work: Path) -> Any:
    """The script's Config; for one without, the arguments of its `run`, None where nothing is said."""
    if not hasattr(module, "Config"):
        known = list(inspect.signature(module.run).parameters)
        _check(module, settings, known)
        return dict.fromkeys(known) | dict(settings)
    names = [f.name for f in fields(module.Config)]
    _check(module, settings, names)
    given = {"out": str(work)} if "out" in names else {}
    config = module.Config(**given)
    _check_kinds(module, config, settings)
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    config = replace(config, **lists)
    return replace(config, seed=config.seed + seed) if "seed" in names else config


def _check(module: ModuleType, settings: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in settings:
        if name not in known:
            raise ValueError(f"{Path(module.__file__ or '').stem} has no setting {name!r}; it has {', '.join(known)}")


def _check_kinds(module: ModuleType, config: Any, settings: Mapping[str, Any]) -> None:
    """A value must be of the kind of the default, if that is not None; a whole number will do for any number."""
    for name, value in settings.items():
        default = getattr(config, name)
        kinds: dict[type, tuple[type, ...]] = {float: (int, float), tuple: (list, tuple)}
        allowed = kinds.get(type(default), (type(default),))
        if default is not None and (not isinstance(value, allowed) or isinstance(value, bool) != (bool in allowed)):
            raise ValueError(
                f"{Path(module.__file__ or '').stem}.{name} is of the kind of {json.dumps(default)}, got {value!r}"
            )


def _file(out: Path, job: Job) -> Path:
    return out / "results" / f"{job.name}-{job.key}.json"


def _run_all(plan: Sequence[Job], out: Path, jobs: int) -> dict[str, str]:
    """Runs what is missing; returns what went wrong, by key."""
    failed: dict[str, str] = {}
    bar = tqdm(total=len(plan), desc="benchmarks", disable=not plan)
    if jobs == 1:
        for job in plan:
            bar.set_description(job.name)
            if why := _answer(job, out):
                failed[job.key] = why
            bar.update()
        bar.close()
        return failed
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        running = {pool.submit(_answer, job, out): job for job in plan}
        for done in as_completed(running):
            why = done.result() if done.exception() is None else repr(done.exception())
            if why:
                failed[running[done].key] = why
            bar.update()
    bar.close()
    return failed


def _answer(job: Job, out: Path) -> str:
    """Runs one job and keeps its answer; returns what went wrong, or nothing."""
    began = time.perf_counter()
    try:
        module = _load(job.script)
        work = out / "work" / f"{job.name}-{job.key}"
        config = _config(module, job.settings, job.seed, work)
        figures = module.run(**config) if isinstance(config, dict) else module.run(config)
    except Exception:  # whatever a script raises must not take the others down
        return traceback.format_exc()
    record = Record(f"latentlab bench {job.name}", job.config, job.seed, "", job.weights)
    kept = {
        "name": job.name,
        "question": inspect.cleandoc(module.__doc__ or "").split("\n\n")[0],
        "key": job.key,
        "repeat": job.repeat,
        "given": job.settings,
        "seconds": round(time.perf_counter() - began, 2),
        "figures": json.loads(to_json(figures if isinstance(figures, dict) else {"rows": figures})),
        **{name: getattr(record, name) for name in ("settings", "seed", "weights", "versions", "platform", "made")},
    }
    write_text(_file(out, job), to_json(kept) + "\n")
    return ""
