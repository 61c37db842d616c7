"""The scoreboard of direction finders: does a direction move its factor, and nothing else? One page, by one command.

    python benchmarks/directions.py --out runs/directions [--quick] [--spaces oracle,latent] [--labels 0,100,1000]

A cell is one finder in one world with one budget of labels, one variant of the data and one seed; each is a JSON file
in `--out`, so that a killed run goes on where it was, and several processes share the work. A cell that fails says why
on the page, and is tried again by the next run. Worlds "oracle" and "oracle-tanh" are synthetic generators whose true
effects are known; "latent", "noise" and "h-space" are spaces of the model and "vector" is that of a vector VAE, with
factors read back from decoded clips by `measure`. See `latentlab.scoreboard.worlds` and `latentlab.scoreboard.finders`.

Budget 0 is for finders without labels, whose directions are matched with targets on one half of the clips and judged on
the other; "random" is their null, shuffled labels that of the rest.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latentlab.bench.flags import main
from latentlab.bench.pool import each
from latentlab.directions import edit
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.generator.vector_vae import load_vector_vae
from latentlab.record import to_json
from latentlab.scoreboard.aggregate import grouped, mean_over_targets
from latentlab.scoreboard.cell import Cell, CellResult, score_cell, towards
from latentlab.scoreboard.finders import NETWORK, SUPERVISED, UNFIT, UNSUPERVISED, find
from latentlab.scoreboard.page import FIGURES, failures, scoreboard_page, table_row
from latentlab.scoreboard.worlds import CONTINUOUS, ORACLES, VARIANTS, ModelWorld, OracleWorld, World, json_key
from latentlab.stats import interval
from latentlab.store import write_text
from latentlab.view.report import Player, Strip

TARGETS = (*CONTINUOUS, "hue@0", "hue@90", "background_hue@0", "direction@0", "direction@90", "shape=star")


@dataclass(frozen=True)
class Config:
    """What to measure."""

    out: str
    model: str | None = None
    vae: str | None = None  # folder of the vector VAE; None is the shipped one
    spaces: tuple[str, ...] = ("oracle", "oracle-tanh", "latent")
    finders: tuple[str, ...] = (*SUPERVISED, NETWORK, *UNSUPERVISED)
    labels: tuple[int, ...] = (0, 10, 100, 1000, 10_000)
    variants: tuple[str, ...] = VARIANTS[:1]
    targets: tuple[str, ...] = TARGETS
    seeds: int = 5
    pool: int = 10_240  # labelled clips, of which a seed draws its own
    clips: int = 32  # that directions are tried on
    strengths: tuple[float, ...] = tuple(np.linspace(-3, 3, 11).round(2).tolist())
    count: int = 20  # directions of a finder without labels
    pairs: int = 32  # of clips for each true direction
    steps: int = 300  # of contrastive learning
    num_steps: int = 25
    layer: str | None = None  # of the denoiser, for h-space; None is the innermost
    nulls: tuple[str, ...] = (*SUPERVISED, NETWORK)  # also with shuffled labels
    side_effects: tuple[str, ...] = (*SUPERVISED, NETWORK, *UNSUPERVISED)  # finders whose background, flicker ... count
    processes: int = 2


QUICK = Config(  # what a core does in minutes; the intervals are wide
    out="",
    spaces=("oracle", "latent"),
    finders=("effect", "InterFaceGAN, conditional", "random", "PCA (GANSpace)"),
    labels=(0, 1000),
    targets=CONTINUOUS,
    pool=1024,
    clips=6,
    strengths=(-4.0, -2.0, 0.0, 2.0, 4.0),
    count=8,
    pairs=8,
    nulls=("effect",),
    side_effects=(),
    processes=1,
)


def file_of(config: Config, cell: Cell) -> Path:
    """Where a cell is kept: what was measured with other settings or weights lies elsewhere."""
    words = ("".join(c if c.isalnum() else "-" for c in str(value)) for value in asdict(cell).values())
    return cells_of(config, cell.space) / ("_".join(words) + ".json")


@lru_cache
def cells_of(config: Config, space: str) -> Path:
    """Folder of a world's cells."""
    own = [getattr(config, name) for name in ("targets", "strengths", "count", "steps", "side_effects")]
    return Path(config.out) / "cells" / f"{space}-{json_key([world_of(config, space).describe(), own])}"


@lru_cache
def world_of(config: Config, space: str) -> World:
    """A world by its name, once for each process."""
    if space in ORACLES:
        return OracleWorld(mix=float(space == "oracle-tanh"))
    model = load_vector_vae(config.vae) if space == "vector" else generator(config)
    sizes = {name: getattr(config, name) for name in ("num_steps", "layer", "pool", "clips", "pairs")}
    return ModelWorld(space, model, Path(config.out) / "kept", config.targets, **sizes)


@lru_cache
def generator(config: Config) -> Generator:
    """The model, once for each process."""
    return load(config.model, device="cpu" if config.processes > 1 else "auto")


def cells(config: Config) -> Iterator[Cell]:
    """All that is to be measured, budgets of the pool's size at most."""
    for space, labels, variant, seed in itertools.product(
        config.spaces, config.labels, config.variants, range(config.seeds)
    ):
        if variant not in world_of(config, space).variants or (labels > config.pool and space not in ORACLES):
            continue
        for finder in config.finders:
            if (finder in UNSUPERVISED) == (labels == 0) and (finder, space) not in UNFIT:
                for shuffled in (False, True) if finder in config.nulls else (False,):
                    yield Cell(space, finder, labels, variant, shuffled, seed)


def run(config: Config) -> dict[str, Any]:
    """Measures what is not yet on disk, writes the page of it all, and returns the means over seeds."""
    wanted = list(cells(config))
    missing = [cell for cell in wanted if (known := kept(config, cell)) is None or known.failed]
    for space, variant in {(cell.space, cell.variant): None for cell in missing}:
        world = world_of(config, space)
        if isinstance(world, ModelWorld):  # once, before the processes ask for it all at the same time
            with suppress(Exception):  # what fails here fails in the cells, which say so
                world.codes(variant)
                world.truth(0)
    jobs = [(config, cell) for cell in missing]
    each(measure_cell, jobs, processes=config.processes, title="cells", prepare=_single)
    results = [result for cell in wanted if (result := kept(config, cell))]
    unfit = [
        CellResult(Cell(space, finder, seed=None), failed=reason)
        for (finder, space), reason in UNFIT.items()
        if finder in config.finders and space in config.spaces and 0 in config.labels
    ]
    edited = {space: strips(config, space, results) for space in config.spaces if space not in ORACLES}
    scoreboard_page([*results, *unfit], edited, json.dumps(asdict(config))).save(Path(config.out) / "directions.html")
    shown = [player for moved in edited.values() for strip in moved[:1] for player in strip.players]
    measured = grouped([result for result in results if not result.failed])
    return {
        "means": {title(group[0].cell): means(group) for group in measured},
        "_cells": [result.record() for result in results],
        "_clips": [asdict(player.coded()) for player in shown if isinstance(player, Player)],
    }


def title(cell: Cell) -> str:
    """The words of a cell that a mean over seeds keeps."""
    words = [cell.space, cell.finder, f"{cell.labels} labels", cell.variant]
    return ", ".join([*words, "shuffled"] if cell.shuffled else words)


def means(group: Sequence[CellResult]) -> dict[str, dict[str, Any]]:
    """Each figure over the targets, where it has a number: mean over seeds and its 95 % interval."""
    found = {}
    for name, figure in FIGURES.items():
        value, low, high = interval(mean_over_targets(result, figure) for result in group)
        if np.isfinite(value):
            found[name] = {"value": value, "interval": [low, high] if np.isfinite(low) else None}
    return found


def kept(config: Config, cell: Cell) -> CellResult | None:
    """What was measured before."""
    file = file_of(config, cell)
    return CellResult.of_record(json.loads(file.read_text(encoding="utf-8"))) if file.exists() else None


def measure_cell(config: Config, cell: Cell) -> None:
    """One cell, written as JSON; one that fails says why."""
    try:
        known = {name: getattr(config, name) for name in ("strengths", "count", "steps")}
        beside = cell.finder in config.side_effects and not cell.shuffled
        result = score_cell(world_of(config, cell.space), cell, **known, side_effects=beside)
    except Exception as error:  # whatever a finder raises must not take the others down
        result = CellResult(cell, failed=f"{type(error).__name__}: {error}")
    write_text(file_of(config, cell), to_json(result.record()))


def strips(config: Config, space: str, results: Sequence[CellResult]) -> list[Strip]:
    """The first clip, moved by five strengths along each direction of the largest budget."""
    ours = [r.cell for r in results if r.cell.space == space and r.cell.finder == "effect" and not r.failed]
    if not (ours := [cell for cell in ours if not cell.shuffled]):
        return []
    best = max(ours, key=lambda cell: (cell.variant == VARIANTS[0], cell.labels, -(cell.seed or 0)))
    world, seed = world_of(config, space), best.seed or 0
    codes, factors = world.labelled(best.labels, best.variant, seed)
    found, tried = find("effect", codes, factors, world, seed=seed), world.testbed(seed, [0] * 5)
    strengths, shown = np.linspace(-max(config.strengths), max(config.strengths), 5), []
    for target in world.targets:
        clips = tried.decode(edit(tried.codes, towards(found, target), torch.from_numpy(strengths))).cpu()
        shown.append(Strip([Player(clips[i : i + 1], f"{target} {s:+g} sd") for i, s in enumerate(strengths)]))
    return shown


def _single() -> None:
    torch.set_num_threads(1)


def rows(figures: Mapping[str, Any]) -> str:
    """The page's rows as text, and what failed."""
    results = [CellResult.of_record(record) for record in figures["_cells"]]
    table = [table_row(group) for group in grouped([result for result in results if not result.failed])]
    return "\n".join(" | ".join(map(str, row)) for row in [*table, *(("failed", *row) for row in failures(results))])


if __name__ == "__main__":
    main(run, presets={"quick": QUICK}, show=rows)
