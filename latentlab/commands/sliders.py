"""The command that trains sliders: from words, or from clips of which a factor is known."""

from __future__ import annotations

import csv
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from latentlab.commands.result import emit, say
from latentlab.factors import BYTE_ORDER_MARK
from latentlab.generator.adapter import Adapter
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.store import claimed
from latentlab.train.lessons import Graded, Opposites
from latentlab.train.loop import is_main_process
from latentlab.train.pictures import examples
from latentlab.train.runs import loop_told
from latentlab.train.slider import SliderTraining, train_slider
from latentlab.train.tuned import knows_moving_shapes


def train_slider_command(*, data, out, seed, device, json, **options) -> None:
    """Trains a slider, and says how far a unit of it moves what it is called and all else, where that can be read."""
    folder = Path(out)
    generator = load(options["model"], device=device)
    lesson = _lesson(generator, data, options, seed)
    config = SliderTraining()
    own = {name: options[name] for name in ("rank", "target") if options[name] is not None}
    config = replace(config, **own, loop=loop_told(config.loop, {**options, "seed": seed}))
    with claimed(folder) if is_main_process() else nullcontext():
        slider = train_slider(generator, lesson, folder, config)
        if not is_main_process():
            return
        file = folder / "adapter.safetensors"
        factor, readable = options["factor"], options["labels"] is None and knows_moving_shapes(generator)
        numbers = _in_deviations(generator, slider, factor, file) if factor is not None and readable else {}
    unit = Adapter.read(file).about.get("unit") or slider.about["slider"]["unit"]
    lines = [
        f"strength 1 is {unit}",
        f"it moves by {numbers['slope']:.2f} of them, all else by {numbers['others']:.2f} at most" if numbers else "",
        f'wrote {file}; draw with it: latentlab generate "CAPTION" --adapter {file}=2',
    ]
    emit({"files": [str(file)], "unit": unit, **numbers}, json, [line for line in lines if line])


def _lesson(generator: Generator, data: str, options: dict[str, Any], seed: int) -> Opposites | Graded:
    """What the options say to learn from.

    Raises:
        ValueError: neither two words nor a factor; labels of other files than the folder holds.
    """
    first, second, factor = options["first"], options["second"], options["factor"]
    if (first is None) != (second is None):
        raise ValueError("a slider of words leads from one to another: --from small --to large")
    if first is not None:
        if options["labels"] is not None:
            raise ValueError("--from and --to learn from words, --labels from clips; give one of both")
        if options["captions"] is None:
            return Opposites.within(generator, first, second, seed=seed)
        lines = Path(options["captions"]).read_text(encoding="utf-8").splitlines()
        return Opposites.of(first, second, [line for line in lines if line.strip()])
    if factor is None:
        raise ValueError("say what the slider is of: --from small --to large, or --factor size")
    if data == "moving-shapes":
        return Graded.moving_shapes(factor)
    if options["labels"] is None:
        raise ValueError(f"{data} says no values of its clips; give --labels FILE.csv with a line NAME,VALUE for each")
    c, values = generator.config, _values(Path(options["labels"]))
    found = examples(data, c.num_frames, (c.height, c.width))
    missing = [name for name in found.names if name not in values]
    if missing:
        raise ValueError(f"{options['labels']} has no value of {missing[0]!r}, nor of {len(missing) - 1} other files")
    return Graded.of(factor, found.video, [values[name] for name in found.names], found.captions)


def _values(path: Path) -> dict[str, float]:
    """Values by the name of the file, from lines NAME,VALUE; a first line of names is left out.

    Raises:
        ValueError: a line of another kind.
    """
    found = {}
    rows = list(csv.reader(path.read_text(encoding="utf-8").removeprefix(BYTE_ORDER_MARK).splitlines()))
    for number, row in enumerate(rows, 1):
        try:
            name, value = row
            found[name.strip()] = float(value)
        except ValueError as error:
            if number > 1:
                raise ValueError(f"line {number} of {path} is no NAME,VALUE: {','.join(row)!r}") from error
    return found


def _in_deviations(generator: Generator, slider: Adapter, factor: str, file: Path) -> dict[str, Any]:
    """Makes a unit of strength one standard deviation of the factor, and reads what it moves."""
    from latentlab.study.sliders import in_deviations, moves, open_captions

    say(f"measuring how far it moves {factor}")
    slider = in_deviations(generator, slider, factor, seed=1)
    slider.save(file)
    said, options = open_captions(factor, 8), {"num_steps": 16, "method": "ddim", "seed": 2}
    read = moves(lambda k: generator.adapted({slider: k}).generate(said, **options), factor, (-1.0, 1.0))
    others = read.others(1.0)
    worst = max(others, key=lambda name: others[name])
    return {"slope": read.slope, "others": others[worst], "moved most": worst}
