"""`latentlab bench`: answers are kept and taken up again, pages hold every number, changes are told from noise."""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from latentlab.bench import (
    SCRIPTS,
    bench,
    compare_benches,
    find_scripts,
    parse_settings,
    run,
    script,
    settings_of_model,
    spread,
)
from latentlab.bench.kept import kept_answer
from latentlab.bench.page import Measured, figure_tables, measured_numbers, noise_verdicts
from latentlab.cli import main
from latentlab.view.report import Player

SCRIPT = '''"""How large is it?

More about it.
"""
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    size: int = 2
    names: tuple[str, ...] = ("a", "b")
    seed: int = 0
    table: str = ""


def run(config):
    with open(os.environ["LOG"], "a") as file:
        file.write("ran ")
    wide = {n: {"psnr": 30.0 + i, "exact": True} for i, n in enumerate(config.names)}
    measured = {"value": 1.5, "interval": [1.0, 2.0], "null": 0.1}
    total = config.size + 0.001 * config.seed
    return {"config": {"size": 31337}, "total": total, "mig": measured, "methods": wide, "_raw": [7777]}
'''

NONE = "from dataclasses import dataclass\n@dataclass\nclass Config:\n    pass\n"


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    folder = tmp_path / "scripts"
    folder.mkdir()
    (folder / "sizes.py").write_text(SCRIPT)
    (folder / "broken.py").write_text(f'"""Does it break?"""\n{NONE}\ndef run(config):\n    raise KeyError("oh")\n')
    (folder / "helper.py").write_text("x = 1\n")
    return folder


def ran(tmp_path) -> int:
    log = tmp_path / "log"
    return len(log.read_text().split()) if log.exists() else 0


def test_an_answer_is_kept_and_made_again_when_anything_changes(scripts, tmp_path, monkeypatch):
    options = {"out": tmp_path / "out", "scripts": scripts}
    first = bench(["sizes"], **options)
    assert (ran(tmp_path), first["answers"][0]["figures"]["total"]) == (1, 2.0)
    second = bench(["sizes"], **options)
    assert ran(tmp_path) == 1
    assert second["answers"] == first["answers"]
    bench(["sizes"], settings={"sizes": {"size": 3}}, **options)
    assert ran(tmp_path) == 2  # other settings
    (scripts / "sizes.py").write_text(SCRIPT.replace("30.0", "31.0"))
    bench(["sizes"], **options)
    assert ran(tmp_path) == 3  # another script
    (scripts / "helper.py").write_text("x = 2\n")
    bench(["sizes"], **options)
    assert ran(tmp_path) == 4  # a script that others may use
    monkeypatch.setattr(run, "code_version", lambda scripts: "another")
    bench(["sizes"], **options)
    assert ran(tmp_path) == 5  # other code
    monkeypatch.setattr(run, "_weights", lambda model: "others")
    bench(["sizes"], **options)
    assert ran(tmp_path) == 6  # other weights


def test_files_that_settings_name_belong_to_the_question(scripts, tmp_path):
    keys = []
    for text in "aab":
        (tmp_path / "table.csv").write_text(text)
        run._files.cache_clear()
        settings = {"sizes": {"table": str(tmp_path / "table.csv")}}
        result = bench(["sizes"], out=tmp_path / "out", scripts=scripts, settings=settings)
        keys.append(result["answers"][0]["key"])
    assert keys[0] == keys[1] != keys[2]


def test_repeats_have_seeds_of_their_own_and_give_intervals(scripts, tmp_path):
    result = bench(["sizes"], out=tmp_path / "out", scripts=scripts, repeats=3, seed=10)
    assert [a["figures"]["total"] for a in result["answers"]] == [2.01, 2.011, 2.012]
    total = measured_numbers([a["figures"] for a in result["answers"]])[("total",)]
    # Student's 97.5 % point of 2 degrees of freedom is 4.3027
    assert total.half == pytest.approx(4.302653 * 0.001 / np.sqrt(3), rel=1e-5)
    assert "2.0110 ± 0.0025" in (tmp_path / "out" / "bench.md").read_text()


def test_the_page_holds_questions_numbers_and_how_to_run_again(scripts, tmp_path):
    bench(["sizes", "sizes"], out=tmp_path, scripts=scripts, settings={"sizes": {"size": 5}}, seed=3)
    html, text = (tmp_path / "bench.html").read_text(), (tmp_path / "bench.md").read_text()
    for page in (html, text):
        assert "How large is it?" in page
        assert "latentlab bench sizes --set sizes.size=5 --seed 3 --scripts" in page
        assert "7777" not in page
        assert "31337" not in re.sub(r"[0-9a-f]{16}|data:[^\"]*", "", page)
    assert "| a | 30.0 | True |" in text
    assert "1.5 [1, 2] (null 0.1)" in text
    assert json.loads((tmp_path / "bench.json").read_text())["answers"][0]["settings"]["size"] == 5


def test_clips_of_an_answer_are_on_the_page(scripts, tmp_path):
    clip = asdict(Player(torch.zeros(1, 3, 2, 16, 16), "a gray clip").coded())
    text = f'"""What does it look like?"""\n{NONE}\ndef run(config):\n    return {{"total": 1, "_clips": [{clip!r}]}}\n'
    (scripts / "shown.py").write_text(text)
    bench(["shown"], out=tmp_path, scripts=scripts)
    assert 'aria-label="a gray clip"' in (tmp_path / "bench.html").read_text()


def test_a_script_that_fails_is_told_and_the_others_stand(scripts, tmp_path):
    with pytest.raises(RuntimeError, match="1 of 2 runs failed, the first broken: KeyError: 'oh'"):
        bench(out=tmp_path, scripts=scripts)
    text = (tmp_path / "bench.md").read_text()
    assert "KeyError: 'oh'" in text
    assert "How large is it?" in text


@pytest.mark.slow
def test_processes_give_the_same_answers(scripts, tmp_path):
    alone = bench(["sizes"], out=tmp_path / "a", scripts=scripts, repeats=2)
    together = bench(["sizes"], out=tmp_path / "b", scripts=scripts, repeats=2, jobs=2)
    assert [a["figures"] for a in alone["answers"]] == [a["figures"] for a in together["answers"]]
    assert [a["key"] for a in alone["answers"]] == [a["key"] for a in together["answers"]]


@pytest.mark.slow
def test_a_script_may_have_processes_of_its_own(scripts, tmp_path):
    (scripts / "pooled.py").write_text(
        '''"""How many?"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    count: int = 2


def double(x):
    return 2 * x


def run(config):
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return {"total": sum(pool.map(double, range(config.count)))}
'''
    )
    result = bench(["pooled"], out=tmp_path / "out", scripts=scripts, settings={"pooled": {"count": 4}})
    assert result["answers"][0]["figures"]["total"] == 12


def test_comparing_tells_change_from_noise(scripts, tmp_path):
    old, new, other = tmp_path / "old", tmp_path / "new", tmp_path / "other"
    bench(["sizes"], out=old, scripts=scripts, repeats=3)
    bench(["sizes"], out=new, scripts=scripts, repeats=3, seed=1)
    within = compare_benches(old, new, tmp_path / "c")
    assert "1 within noise" in within.lead
    (scripts / "sizes.py").write_text(SCRIPT.replace("config.size +", "config.size + 1 +"))
    bench(["sizes"], out=other, scripts=scripts, repeats=3)
    assert "1 more than noise" in compare_benches(old, other, tmp_path / "c").lead
    text = (tmp_path / "c" / "compare.md").read_text()
    assert re.search(r"\| total \| 2\.0010 ± .* \| 3\.0010 ± .* \| \+50\.0% \| more than noise \|", text)
    bench(["sizes"], out=new, scripts=scripts, settings={"sizes": {"size": 9}})
    assert "Settings differ (size)" in compare_benches(old, new, tmp_path / "c").sections[0].text
    (scripts / "sizes.py").write_text(SCRIPT.replace('"total": total', '"sum": total'))
    bench(["sizes"], out=new, scripts=scripts)
    assert (
        "Only in the old one: total. Only in the new one: sum."
        in compare_benches(old, new, tmp_path / "c").sections[0].text
    )


@pytest.mark.slow
def test_false_alarms_are_rare_over_a_whole_page():
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(100):
        pairs = [(Measured(tuple(rng.normal(size=5))), Measured(tuple(rng.normal(size=5)))) for _ in range(20)]
        alarms += "more than noise" in noise_verdicts(pairs)
    assert alarms <= 12  # of 100 pages of 20 numbers, at 5 %
    far = [(Measured(tuple(rng.normal(size=5))), Measured(tuple(rng.normal(size=5) + 20))) for _ in range(20)]
    assert noise_verdicts(far) == ["more than noise"] * 20


def test_verdicts_without_repeats():
    one, two = Measured((1.0,), (0.9, 1.1)), Measured((2.0,), (1.9, 2.1))
    assert noise_verdicts([(one, two), (one, Measured((1.05,), (0.9, 1.2)))]) == ["more than noise", "within noise"]
    steady = Measured((1.0, 1.0)), Measured((1.5, 1.5))
    assert noise_verdicts([steady]) == ["more than noise"]
    assert noise_verdicts([(one, one)]) == ["same"]


def test_tables_of_any_shape():
    figures = {
        "a": 1,
        "rows": [{"name": "x", "v": 0.5}, {"name": "y", "w": [1.0, 2.0]}],
        "deep": {"b": {"c": {"d": 2}}},
    }
    shown = [(t.columns, t.cells()) for t in figure_tables([figures])]
    assert shown[0] == (["figure", "value"], [["a", "1"]])
    assert shown[1] == (["rows", "v", "w"], [["x", "0.500", "\u2013"], ["y", "\u2013", "1, 2"]])
    assert shown[2] == (["deep, b", "d"], [["c", "2"]])


def test_wide_tables_are_turned_and_groups_with_nothing_in_common_stand_apart():
    wide = {name: {f"c{i}": i + 0.5 for i in range(9)} for name in "ab"}
    (table,) = figure_tables([{"methods": wide}])
    assert table.columns == ["methods", "a", "b"]
    assert table.rows[8] == ["c8", "8.5", "8.5"]
    apart = {name: {f"{name}{i}": i for i in range(5)} for name in "abc"}
    assert [t.columns for t in figure_tables([apart])] == [["a", "value"], ["b", "value"], ["c", "value"]]
    assert figure_tables([{"over": []}])[0].cells() == [["over", "none"]]


def test_tables_keep_the_order_of_the_script_and_turn_where_cells_are_long():
    measured = {"value": 30.123, "interval": [29.5, 30.7], "null": 12.0}
    methods = {name: {f"figure {i}": measured for i in range(6)} for name in "abcd"}
    figures = {"deep": {"methods": methods}, "cost": {"seconds": 1.5}}
    first, second = figure_tables([figures])
    assert first.columns == ["deep, methods", *"abcd"]
    assert first.rows[0] == ["figure 0", *["30.12 [29.5, 30.7] (null 12)"] * 4]
    assert second.columns == ["", "seconds"]


def test_a_number_that_is_not_finite_is_none():
    figures = {"a": {"psnr": {"value": None}, "x": 1.0}, "b": {"psnr": {"value": 2.0}, "x": 1.0}}
    (table,) = figure_tables([figures])
    assert [row[1] for row in table.cells()] == ["\u2013", "2.00"]
    assert ("a", "psnr") not in measured_numbers([figures])


def test_intervals_of_scripts():
    rng = np.random.default_rng(0)
    held = {"mean": 0, "median": 0, "percent": 0}
    for _ in range(400):
        x = rng.exponential(size=20)
        for name, found, true in (
            ("mean", spread.mean(rng.normal(size=20)), 0.0),
            ("median", spread.median(x), np.log(2)),
            ("percent", spread.percent(rng.random(20) < 0.7), 70.0),
        ):
            low, high = found["interval"]
            held[name] += low <= true <= high
            assert low <= found["value"] <= high
    assert all(count / 400 >= 0.92 for count in held.values()), held
    assert spread.percent([True] * 10)["interval"][0] == pytest.approx(72.25, abs=0.01)  # Wilson: 10 / (10 + 1.96^2)
    assert spread.mean([1.0, float("nan")]) == {"value": 1.0}
    assert "interval" not in spread.median([1.0, 2.0, 3.0])
    assert spread.mean([2.0, 2.0], null=1.0) == {"value": 2.0, "interval": [2.0, 2.0], "null": 1.0}


def test_mistakes_are_named(scripts, tmp_path):
    with pytest.raises(ValueError, match="no benchmark nothing; there are broken, sizes"):
        bench(["nothing"], out=tmp_path, scripts=scripts)
    with pytest.raises(ValueError, match="sizes has no setting 'sise'; it has size, names, seed, table"):
        bench(["sizes"], out=tmp_path, scripts=scripts, settings={"sizes": {"sise": 1}})
    for value, default in (("two", "2"), (True, "2"), (2.5, "2")):
        with pytest.raises(ValueError, match=rf"sizes\.size is of the kind of {default}, got"):
            bench(["sizes"], out=tmp_path, scripts=scripts, settings={"sizes": {"size": value}})
    with pytest.raises(FileNotFoundError, match="holds no benchmark"):
        bench(out=tmp_path, scripts=tmp_path / "none")
    with pytest.raises(ValueError, match=r"NAME\.FIELD=VALUE"):
        parse_settings(["clips=4"])
    with pytest.raises(FileNotFoundError, match=r"bench\.json"):
        compare_benches(tmp_path, tmp_path, tmp_path)
    for text, said in (("{", "is no JSON"), ("{}", "holds no answers"), ("[]", "holds no answers")):
        (tmp_path / "bench.json").write_text(text)
        with pytest.raises(ValueError, match=rf"bench\.json {said}"):
            compare_benches(tmp_path, tmp_path, tmp_path)
    with pytest.raises(ValueError, match="at least 1, got 0 and 1"):
        bench(["sizes"], out=tmp_path, scripts=scripts, repeats=0)


def test_what_is_told_of_a_model_goes_to_every_script_that_takes_it(scripts, tmp_path):
    (scripts / "of_model.py").write_text(SCRIPT.replace("size: int = 2", "size: int = 2\n    model: str | None = None"))
    told = settings_of_model(["of_model"], {"model": "here", "labels": None}, {"of_model": {"size": 4}}, scripts)
    assert told == {"of_model": {"model": "here", "size": 4}}
    with pytest.raises(ValueError, match="sizes takes no model; any_model takes model"):
        settings_of_model(["sizes"], {"model": "here"}, {}, scripts)
    assert main(["bench", "sizes", "--labels", "mine.csv", "--out", str(tmp_path / "o")]) == 2


def test_from_the_command_line(scripts, tmp_path, capsys):
    said = ["--scripts", str(scripts), "--set", "sizes.size=4", "--out", str(tmp_path / "o"), "--json"]
    assert main(["bench", "sizes", *said]) == 0
    assert json.loads(capsys.readouterr().out)["answers"][0]["figures"]["total"] == 4.0
    assert main(["bench", "--compare", str(tmp_path / "o"), str(tmp_path / "o"), "--out", str(tmp_path / "c")]) == 0
    assert "4 same" in capsys.readouterr().out
    assert main(["bench", "broken", "--scripts", str(scripts), "--out", str(tmp_path / "b")]) == 2
    assert "1 of 1 runs failed" in capsys.readouterr().err


def test_the_scripts_of_the_project_are_found():
    if not SCRIPTS.is_dir():
        pytest.skip("an installed package has no benchmarks beside it")
    assert {"inversion", "interpolation", "edits", "temporal", "any_model"} <= set(find_scripts(SCRIPTS))


def test_every_bar_of_speed_is_asked():
    if not SCRIPTS.is_dir():
        pytest.skip("an installed package has no benchmarks beside it")
    speed = script.load_script(SCRIPTS / "speed.py")
    rows = [f for f in vars(speed).values() if getattr(f, "__annotations__", {}).get("return") == "dict[str, Row]"]
    assert set(rows) == set(speed.ROWS.values())


def test_a_damaged_answer_is_made_again(scripts, tmp_path):
    first = bench(["sizes"], out=tmp_path / "out", scripts=scripts)
    (file,) = (tmp_path / "out" / "results").iterdir()
    for damage in ("", '{"key": ', "[]", "{}"):
        file.write_text(damage)
        again = bench(["sizes"], out=tmp_path / "out", scripts=scripts)
        assert again["answers"][0]["figures"] == first["answers"][0]["figures"]
    assert ran(tmp_path) == 5
    settings, make = {"of": 1}, iter(range(3)).__next__
    assert kept_answer(tmp_path, "count", settings, make) == kept_answer(tmp_path, "count", settings, make) == 0
    next(tmp_path.glob("count_*.json")).write_text('"cut')
    assert kept_answer(tmp_path, "count", settings, make) == 1


SLEEPY = '''"""Does it end?"""
import os, time
from dataclasses import dataclass


@dataclass
class Config:
    seed: int = 0


def run(config):
    with open(os.environ["LOG"], "a") as file:
        file.write(f"{os.getpid()} ")
    time.sleep(600)
'''


def _interruptible() -> None:
    """A shell that runs the tests in the background has interruptions ignored, and its children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_process_outlives_the_one_that_started_it(scripts, tmp_path, number, code):
    (scripts / "sleepy.py").write_text(SLEEPY)
    where = ["--scripts", str(scripts), "--out", str(tmp_path / "out")]
    command = [sys.executable, "-m", "latentlab", "bench", "sleepy", "--repeats", "2", "--jobs", "2", *where]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1], preexec_fn=_interruptible
    )
    while ran(tmp_path) < 2 and process.poll() is None:
        time.sleep(0.05)
    workers = [int(pid) for pid in (tmp_path / "log").read_text().split()]
    process.send_signal(number)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == code, said
    assert "Traceback" not in said
    deadline = time.monotonic() + 30
    while (left := [pid for pid in workers if Path(f"/proc/{pid}").exists()]) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not left
