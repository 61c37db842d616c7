"""The scoreboard of direction finders: does a direction move its factor, and nothing else? One page, by one command.

    python benchmarks/directions.py --out runs/directions [--quick] [--spaces oracle,latent] [--labels 0,100,1000]

A cell is one finder in one space with one budget of labels, one variant of the data and one seed; each is a JSON file
in `--out`, so that a killed run goes on where it was, and several processes share the work. Spaces "oracle" and
"oracle-tanh" are synthetic generators whose true effects are known; "latent" and "noise" are those of the model and
"vector" is that of a vector VAE (`--vae`), with factors read back from decoded clips by `measure`.

Budget 0 is for finders without labels, whose directions are matched with targets on one half of the clips and judged on
the other; "random" is their null, shuffled labels that of the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.measure import mask, measure
from latentlab.directions import (
    ICA,
    LDA,
    PCA,
    ChannelRanking,
    Contrastive,
    Direction,
    DirectionSet,
    Dual,
    Effect,
    JacobianSVD,
    LogisticNormal,
    MeanDifference,
    RidgeNormal,
    SVMNormal,
    Varimax,
    WeightSVD,
    edit,
)
from latentlab.directions.edit import Moves
from latentlab.directions.finder import Supervised
from latentlab.directions.manipulate import Manipulator
from latentlab.factors import FactorTable
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.generator.vector_vae import load_vector_vae
from latentlab.record import to_json, write_text
from latentlab.shapes import Codes
from latentlab.spaces import LatentSpace, NoiseSpace, VectorSpace
from latentlab.study.collateral import collateral
from latentlab.study.edit_space import DIRECTION_SEED
from latentlab.study.oracle import Oracle
from latentlab.study.scoreboard import Ground, match_targets, score_directions
from latentlab.study.truth import paired_truth
from latentlab.view.report import Player, Strip
from latentlab.view.scoreboard import CONTINUOUS, JUDGED, NETWORK, OURS, VARIANTS, grouped, page, table_row

# t, R2 and p of each direction take most of a finder's time and are not asked for here.
BARE: dict[str, Any] = {"folds": 0, "permutations": 0}
SUPERVISED: dict[str, Callable[[], Supervised]] = {
    "effect": lambda: Effect(**BARE),
    "dual": lambda: Dual(**BARE),
    "InterFaceGAN": lambda: SVMNormal(**BARE),
    "InterFaceGAN, conditional": lambda: SVMNormal(conditional=True, **BARE),
    "mean difference (Haas)": lambda: MeanDifference(**BARE),
    "mean difference, conditional": lambda: MeanDifference(conditional=True, **BARE),
    "ridge normal": lambda: RidgeNormal(**BARE),
    "logistic normal": lambda: LogisticNormal(**BARE),
    "LDA": lambda: LDA(**BARE),
    "channel ranking (StyleSpace)": lambda: ChannelRanking(**BARE),
}
UNSUPERVISED = ("random", "PCA (GANSpace)", "ICA", "varimax", "SeFa", "Jacobian (Pullback)", "contrastive (LatentCLR)")
UNFIT = {
    "SeFa": ("oracle", "oracle-tanh", "noise", "vector"),
    "Jacobian (Pullback)": ("noise", "vector"),
    "contrastive (LatentCLR)": ("noise", "vector"),
}  # no first layer; a gradient through all of sampling is too long
CORRELATED = {("size", "light"): 0.8, ("start_x", "speed"): 0.8, ("hue", "background_hue"): 0.8}
TARGETS = (*CONTINUOUS, "hue@0", "hue@90", "background_hue@0", "direction@0", "direction@90", "shape=star")
SHARD = 32  # clips rendered and encoded at a time


@dataclass(frozen=True)
class Config:
    """What to measure."""

    out: str
    model: str | None = None
    vae: str | None = None  # folder of the vector VAE, for the space "vector"
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
    nulls: tuple[str, ...] = (*SUPERVISED, NETWORK)  # also with shuffled labels
    side_effects: bool = True
    processes: int = 2

    @property
    def cells(self) -> Path:
        """Where cells are: those measured with other settings lie elsewhere."""
        what = (
            "model",
            "vae",
            "targets",
            "pool",
            "clips",
            "strengths",
            "count",
            "pairs",
            "steps",
            "num_steps",
            "side_effects",
        )
        settings = json.dumps([getattr(self, name) for name in what])
        return Path(self.out) / f"cells-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


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
    side_effects=False,
    processes=1,
)


@dataclass(frozen=True)
class Cell:
    """One number of the page."""

    space: str
    finder: str
    labels: int
    variant: str
    shuffled: bool
    seed: int

    @property
    def file(self) -> str:
        words = (*(str(v) for v in asdict(self).values()),)
        return "_".join("".join(c if c.isalnum() else "-" for c in word) for word in words) + ".json"


def cells(config: Config) -> list[Cell]:
    """All that is to be measured, budgets of the pool's size at most."""
    found = []
    for space, labels, variant, seed in itertools.product(
        config.spaces, config.labels, config.variants, range(config.seeds)
    ):
        if labels > config.pool and not space.startswith("oracle"):
            continue
        if space.startswith("oracle") and variant != VARIANTS[0]:
            continue
        for finder in config.finders:
            if (finder in UNSUPERVISED) != (labels == 0) or space in UNFIT.get(finder, ()):
                continue
            if finder == NETWORK and labels < 100:
                continue
            null = (False, True) if finder in config.nulls else (False,)
            found += [Cell(space, finder, labels, variant, shuffled, seed) for shuffled in null]
    return found


def run(config: Config) -> list[dict]:
    """Measures what is not yet on disk and writes the page."""
    out = Path(config.out)
    wanted = cells(config)
    for space, variant in itertools.product(config.spaces, config.variants):
        if not space.startswith("oracle"):  # once, before the processes ask for it all at the same time
            pool(config, space, variant, DIRECTION_SEED, config.pool)
            truth(config, space, 0)
            for seed in range(config.seeds):
                ground(config, space, seed)
    missing = [cell for cell in wanted if not (config.cells / cell.file).exists()]
    with ProcessPoolExecutor(config.processes, multiprocessing.get_context("spawn"), _single) as workers:
        waiting = [workers.submit(measure_cell, config, cell) for cell in missing]
        for done in tqdm(as_completed(waiting), total=len(waiting), desc="cells"):
            done.result()
    results = [json.loads((config.cells / cell.file).read_text(encoding="utf-8")) for cell in wanted]
    edited = {space: strips(config, space, results) for space in config.spaces if not space.startswith("oracle")}
    page(results, edited, json.dumps(asdict(config))).save(out / "directions.html")
    return results


def measure_cell(config: Config, cell: Cell) -> None:
    """One cell, written as JSON."""
    tried = ground(config, cell.space, cell.seed)
    codes, factors = labelled(config, cell)
    targets = tried.reference.names if cell.space.startswith("oracle") else config.targets
    calls, move = 0, None
    began = time.perf_counter()
    found = find(config, cell, codes, factors)
    seconds = time.perf_counter() - began
    if isinstance(found, Manipulator):
        chosen = [Direction(target, np.zeros(codes.shape[1]), 1.0) for target in targets]
        move = partial(network_move, found)
    elif cell.labels:
        chosen = [found[target] for target in targets]
    else:
        each, half = [found[name] for name in found.names], len(tried.codes) // 2
        matched = match_targets(replace(tried, codes=tried.codes[:half]), each, targets)
        chosen = [Direction(target, sign * each[i].vector, each[i].scale) for target, (i, sign) in matched.items()]
        calls += half * (1 + 2 * len(each))
        tried = replace(tried, codes=tried.codes[half:])
    scores = score_directions(
        tried, chosen, truth=truth(config, cell.space, cell.seed), strengths=config.strengths, move=move
    )
    calls += len(tried.codes) * (1 + len(chosen) * (len(config.strengths) - 1))
    rows = [asdict(score) for score in scores]
    if config.side_effects and not (cell.space.startswith("oracle") or cell.shuffled) and cell.finder in OURS[:1]:
        encode = space_of(config, cell.space).encode
        for row, direction in zip(rows, chosen, strict=True):
            row |= asdict(collateral(tried, direction, row["strength"], mask=mask, encode=encode))
            calls += 4 * len(tried.codes)
    result = {**asdict(cell), "fit_seconds": seconds, "decoded": calls, "factors": tried.ruler.names, "scores": rows}
    write_text(config.cells / cell.file, to_json(result))


def network_move(network: Manipulator, codes: Codes, direction: Moves, strength: float) -> Codes:
    """The network's edit, in the place of one along a direction."""
    return network.edit(codes, direction.name, strength)


def find(config: Config, cell: Cell, codes: np.ndarray, factors: FactorTable) -> DirectionSet | Manipulator:
    """What the finder finds."""
    if cell.finder == NETWORK:
        return Manipulator(random_state=cell.seed).fit(codes, factors)
    if cell.labels:
        return SUPERVISED[cell.finder]().fit(codes, factors).found_
    count = min(config.count, codes.shape[1])
    if cell.finder == "random":
        drawn = np.random.default_rng([cell.seed, 7]).standard_normal((count, codes.shape[1]))
        return DirectionSet.measured([f"random{i}" for i in range(count)], drawn, codes)
    if cell.finder == "SeFa":
        return sefa(config, codes)
    if cell.finder == "Jacobian (Pullback)":
        function = decoded(config, cell)
        return JacobianSVD(function=function, count=count, random_state=cell.seed).fit(torch.from_numpy(codes)).found_
    if cell.finder == "contrastive (LatentCLR)":
        learned = Contrastive(features=decoded(config, cell), count=count, random_state=cell.seed, steps=config.steps)
        return learned.fit(torch.from_numpy(codes)).found_
    finder = {"PCA (GANSpace)": PCA, "ICA": ICA, "varimax": Varimax}[cell.finder]
    return finder(count=count, random_state=cell.seed).fit(codes).found_


def decoded(config: Config, cell: Cell) -> Callable[[Codes], torch.Tensor]:
    """What codes become, as a differentiable function: the oracle's factors, or the clip at an eighth of its sides."""
    if cell.space.startswith("oracle"):
        return oracle(cell.space, cell.seed).values
    space, decode = space_of(config, cell.space), cast(Any, generator(config).networks[0]).decode
    return lambda codes: F.avg_pool3d(decode(space.unflatten(codes)), (1, 8, 8)).flatten(1)


def sefa(config: Config, codes: np.ndarray) -> DirectionSet:
    """SeFa on the channels that enter the decoder's first layer, the same everywhere in the clip."""
    weight = next(p for p in generator(config).networks[0].decoder.parameters() if p.ndim >= 4)  # type: ignore[union-attr]
    channels = generator(config).latent_shape[0]
    first = weight.detach().double().movedim(1, -1).reshape(-1, channels).numpy()
    found = WeightSVD(weights=first, count=channels).fit(np.eye(channels))
    everywhere = np.repeat(found.directions_, codes.shape[1] // channels, axis=1)
    return DirectionSet.measured(found.names_, everywhere, codes)


def labelled(config: Config, cell: Cell) -> tuple[np.ndarray, FactorTable]:
    """Codes and labels as this cell's finder gets them; those without labels get 1,000 codes."""
    count, rng = cell.labels or 1000, np.random.default_rng([cell.seed, 5])
    if cell.space.startswith("oracle"):
        drawn, factors = oracle(cell.space, cell.seed).draw(count)
        codes = drawn.numpy()
    else:
        everything, factors = pool(config, cell.space, cell.variant, DIRECTION_SEED, config.pool)
        rows = rng.permutation(len(factors))
        if cell.variant == "unbalanced":  # bright clips and late shapes are one in five of what they were
            rare = (factors["light"] > np.median(factors["light"])).astype(int) + (factors["shape"] > 1)
            rows = rows[rng.random(len(rows)) < 0.2 ** rare[rows]]
        rows = rows[:count]
        codes, factors = everything[rows].numpy(), factors[rows]
    values = factors.values.copy()
    if cell.variant == "10 % label noise":
        wrong = rng.random(values.shape) < 0.1
        values = np.where(wrong, rng.permuted(values, axis=0), values)
    if cell.shuffled:
        values = values[rng.permutation(len(values))]
    return codes, FactorTable(values, factors.specs)


def oracle(space: str, seed: int) -> Oracle:
    """The synthetic generator of a seed."""
    return Oracle(seed=seed, mix=1.0 if space == "oracle-tanh" else 0.0)


@lru_cache
def generator(config: Config) -> Generator:
    """The model, once for each process."""
    return load(config.model, device="cpu" if config.processes > 1 else "auto")


def space_of(config: Config, space: str) -> LatentSpace | VectorSpace:
    """A space of the model."""
    if space == "vector":
        return VectorSpace(load_vector_vae(config.vae))
    if space == "noise":
        return NoiseSpace(generator(config), num_steps=config.num_steps)
    return LatentSpace(generator(config))


@lru_cache
def pool(config: Config, space: str, variant: str, seed: int, count: int) -> tuple[Codes, FactorTable]:
    """Codes and factors of rendered clips, encoded once and kept in `--out`."""
    correlated = CORRELATED if variant == VARIANTS[1] else {}
    data = MovingShapes(count, seed, correlated=correlated)
    kind = "correlated" if correlated else "independent"
    shards = []
    for i in tqdm(range((count + SHARD - 1) // SHARD), desc=f"encoding clips, {space}", leave=False):
        path = Path(config.out) / "pool" / f"{space}_{kind}_{seed}_{i:03d}.safetensors"
        rows = range(i * SHARD, (i + 1) * SHARD)
        if not path.exists():
            whole = MovingShapes(rows.stop, seed, correlated=correlated)
            codes = space_of(config, space).encode(torch.cat([whole.clip(k) for k in rows]))
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
            save_file({"codes": codes.cpu().contiguous()}, partial)
            os.replace(partial, path)
        shards.append(load_file(path)["codes"])
    return torch.cat(shards)[:count], data.factors()


def ground(config: Config, space: str, seed: int) -> Ground:
    """What directions are tried on; each seed of the oracle is a world of its own."""
    if space.startswith("oracle"):
        world = oracle(space, seed)
        codes, _ = world.draw(200, seed=1)
        return Ground(codes, lambda codes: codes, world.read, world.draw(5000, seed=2)[1])
    codes, _ = pool(config, space, VARIANTS[0], HELD_OUT_SEED + seed, config.clips)
    reference = MovingShapes(1000, DIRECTION_SEED).factors().select(JUDGED)
    return Ground(codes, space_of(config, space).decode, lambda video: measure(video.cpu()).select(JUDGED), reference)


def truth(config: Config, space: str, seed: int) -> dict[str, np.ndarray]:
    """True directions; those of the model's spaces are kept in `--out`."""
    if space.startswith("oracle"):
        world = oracle(space, seed)
        return dict(zip([spec.name for spec in world.specs], world.truth(), strict=True))
    path = Path(config.out) / "pool" / f"{space}_truth.safetensors"
    known = load_file(path) if path.exists() else {}
    missing = [t for t in config.targets if t not in known]
    if missing:
        found = paired_truth(space_of(config, space).encode, missing, pairs=config.pairs, progress=True)
        known |= {name: torch.from_numpy(move) for name, move in found.items()}
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        save_file(known, partial)
        os.replace(partial, path)
    return {name: move.numpy() for name, move in known.items()}


def strips(config: Config, space: str, results: Sequence[dict]) -> list[Strip]:
    """The first clip, moved by five strengths along each direction of the largest budget."""
    ours = [r for r in results if r["space"] == space and r["finder"] == "effect" and not r["shuffled"]]
    if not ours:
        return []
    result = max(ours, key=lambda r: (r["variant"] == VARIANTS[0], r["labels"], -r["seed"]))
    cell = Cell(**{name: result[name] for name in Cell.__dataclass_fields__})
    found, tried = Effect(**BARE).fit(*labelled(config, cell)), ground(config, space, cell.seed)
    reach, shown = max(config.strengths), []
    for target in config.targets:
        codes = tried.codes[:1].expand(5, -1)
        strengths = np.linspace(-reach, reach, 5)
        clips = tried.decode(edit(codes, found[target], torch.from_numpy(strengths))).cpu()
        shown.append(Strip([Player(clips[i : i + 1], f"{target} {s:+g} sd") for i, s in enumerate(strengths)]))
    return shown


def _single() -> None:
    torch.set_num_threads(1)


def words(kind: type, text: str) -> tuple:
    """A list divided by semicolons, or by commas if there are none."""
    return tuple(kind(word.strip()) for word in text.split(";" if ";" in text else ","))


def parse() -> Config:
    """Settings from the command line; see `words` for lists."""
    first = argparse.ArgumentParser(add_help=False)
    first.add_argument("--quick", action="store_true", help="minutes of one core: few finders, clips and strengths")
    preset, rest = first.parse_known_args()
    base = QUICK if preset.quick else Config(out="")
    parser = argparse.ArgumentParser(
        description=__doc__, parents=[first], formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in Config.__dataclass_fields__:
        default = getattr(base, name)
        flag = "--" + name.replace("_", "-")
        if isinstance(default, tuple):
            parser.add_argument(flag, type=partial(words, type(default[0])), default=default)
        elif isinstance(default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=default)
        else:
            kind = int if isinstance(default, int) else str
            parser.add_argument(flag, type=kind, default=default, required=name == "out")
    chosen = vars(parser.parse_args(rest))
    return Config(**{name: chosen[name] for name in Config.__dataclass_fields__})


if __name__ == "__main__":
    rows = [table_row(group) for group in grouped(run(parse()))]
    for row in rows:
        print(" | ".join(map(str, row)))
