"""Do edits keep their contract? The target within its tolerance and all else within theirs, on held-out clips.

    python benchmarks/contract.py [--methods network,linear,flow] [--factors hue,size] [--clips 64] [--seed 0]

Every factor has held-out clips of one object on which its edit can be asked for: a hue to another (60 degrees or more
from where it was, and from the background's), light + 0.2, size x 1.25, place by 5 pixels to one of four sides,
direction by 90 degrees, speed + 0.2, rotation + 3 degrees a frame, another shape. The judge
(`latentlab.study.contract`) holds what it reads against the exact re-rendering in which the target alone is changed:
factors, the centre in every frame, the pixels outside both masks, and the overlap of the object with its silhouette,
which may fall by `BENT` below what the space itself leaves. The shape must be right by `measure` and by the learned
reader. Methods, by what they were given:

- network: the edit network, from pairs that differ in one factor; a strength of 1, fixed beforehand.
- linear: `Effect` in latents, from labelled clips; of seven strengths the one that kept most of other clips.
- flow: the captions of the clip and of the clip wanted, along the difference of their velocities.

Beside them: the share that keeps the contract if nothing is done ("nothing"), and the share that is kept at strength 0,
when nothing is asked for ("floor"): what the autoencoder alone breaks. `agrees`: of how many clips the account, which
knows no exact rendering, says the same as the judge.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, percent
from latentlab.data.moving.captions import caption
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.edits import EDITS
from latentlab.data.moving.factors import FACTORS, NAMES, SHAPES
from latentlab.data.moving.measure import mask as matte
from latentlab.data.moving.reader import load_reader
from latentlab.data.moving.render import exposed
from latentlab.data.moving.scene import Scene
from latentlab.directions import DirectionSet
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.shapes import Latents, Video
from latentlab.study.change import Change
from latentlab.study.contract import Judged, Wanted, judge, outside_psnr, unedited_overlap
from latentlab.study.edit_methods import DirectionEdit, FlowEdit, NetworkEdit
from latentlab.study.edits import network_of
from latentlab.study.sources import find_directions
from latentlab.view.report import Player

CALIBRATION_SEED = 4_000_037  # clips on which strengths are chosen; nobody trained on them, and none is judged
STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # standard deviations
GIVEN = {"network": "pairs", "linear": "labels", "flow": "captions"}
SLOWEST = 0.15  # pixels a frame: a direction that can be seen
POOL = 8  # clips looked at for each that is wanted


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    methods: tuple[str, ...] = ("network",)
    factors: tuple[str, ...] = EDITS
    clips: int = 64
    calibration: int = 8
    labelled: int = 1000
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Asked:
    """Clips of one factor, and what is asked of each.

    Attributes:
        latents: of the clips.
        unedited: the clips decoded.
        rows: their true factors.
        changes: one a clip.
        space: what it makes of clips without an edit.
    """

    latents: Latents
    unedited: Video
    rows: np.ndarray
    changes: tuple[Change, ...]
    space: Callable[[Video], Video]

    @property
    def captions(self) -> list[tuple[str, str]]:
        """Of each clip, and of the clip wanted."""
        return [(caption(row), caption(c.after(row))) for row, c in zip(self.rows, self.changes, strict=True)]

    def outside(self, video: Video) -> np.ndarray | None:
        """Decibels that clips keep outside the exact masks of before and after."""
        if not self.changes[0].of_the_object:
            return None
        after = [c.after(row) for row, c in zip(self.rows, self.changes, strict=True)]
        return outside_psnr(self.unedited, video, exact_masks(self.rows), exact_masks(np.stack(after)))

    def judged(self, video: Video, known: Wanted, outside: np.ndarray | None) -> Judged:
        """Against the change of what is known of the clips; of a new shape, against what the space makes of it."""
        each = zip(known.rows, known.centre, known.pose, self.changes, strict=True)
        wanted = joined([Wanted(row[None], at[None], pose[None]).after(change) for row, at, pose, change in each])
        floor = unedited_overlap(known, wanted, self.unedited, video, self.space)
        return judge(video, wanted, outside=outside, floor=floor)


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    edits = {name: METHODS[name] for name in config.methods}
    found = None
    if "linear" in config.methods:
        found = find_directions(generator, labelled=config.labelled, seed=config.seed, progress=True)
    figures: dict[str, dict] = {}
    strips: list[Player] = []
    shares: dict[str, list[float]] = {name: [] for name in edits}
    for factor in tqdm(config.factors, desc="factors"):
        asked = ask(generator, factor, config.clips, HELD_OUT_SEED, config.seed)
        other = ask(generator, factor, config.calibration, CALIBRATION_SEED, config.seed) if found else None
        undone, _ = judged(asked, asked.unedited)
        exact = Wanted.of(asked.rows)
        floor = judge(asked.unedited, exact, floor=exact.overlap(asked.unedited)).kept
        for name, method in edits.items():
            edited = method(generator, asked, other, found, config.seed)
            if edited is None:
                continue
            began = time.process_time()
            latents = edited(asked)
            seconds = (time.process_time() - began) / len(latents)
            video = generator.decode(latents).cpu()
            kept, of_exact = judged(asked, video)
            said = accounted(asked, video)
            figures[f"{factor}, {name}"] = {
                "given": GIVEN[name],
                "kept_percent": percent(kept, 100 * float(undone.mean())),
                "reached_percent": percent(of_exact.off[factor] <= 1),
                "floor_percent": percent(floor),
                "broken": counts(of_exact),
                "overlap": mean(of_exact.overlap),
                "overlap_unedited": mean(of_exact.floor),
                "account_agrees_percent": percent(said == kept),
                "seconds_a_clip": mean([seconds]),
            }
            shares[name].append(100 * float(kept.mean()))
            strips += pictures(asked, video, kept, of_exact, f"{factor}, {name}")
    means = {name: round(float(np.mean(values)), 1) for name, values in shares.items() if values}
    return {
        "config": asdict(config),
        "mean_kept_percent": means,
        "factors": figures,
        "_clips": [asdict(strip.coded()) for strip in strips],
    }


Editor = Callable[[Asked], Latents]


def by_network(
    generator: Generator, asked: Asked, other: Asked | None, found: DirectionSet | None, seed: int
) -> Editor:
    """Each change by the network that ships with the model."""
    network = network_of(generator)
    if network is None:
        raise ValueError("this model has no edit network; leave network out of methods")

    def edit(asked: Asked) -> Latents:
        each = zip(asked.latents.split(1), asked.changes, strict=True)
        return torch.cat([NetworkEdit(network, change).apply(latents) for latents, change in each])

    return edit


def by_direction(
    generator: Generator, asked: Asked, other: Asked | None, found: DirectionSet | None, seed: int
) -> Editor:
    """Each change along its direction, by the strength that kept most other clips, or came nearest to the target."""
    if other is None or found is None:
        raise ValueError("a move along a direction needs directions, and other clips to choose its strength on")

    def edit(asked: Asked, strength: float) -> Latents:
        each = zip(asked.latents.split(1), asked.rows, asked.changes, strict=True)
        return torch.cat([DirectionEdit.of(found, c, row).apply(z, strength) for z, row, c in each])

    def score(strength: float) -> tuple[float, float]:
        kept, of_exact = judged(other, generator.decode(edit(other, strength)).cpu())
        return float(kept.mean()), -float(np.median(np.minimum(of_exact.off[other.changes[0].name], 100)))

    best = max(STRENGTHS, key=score)
    return lambda asked: edit(asked, best)


def by_flow(
    generator: Generator, asked: Asked, other: Asked | None, found: DirectionSet | None, seed: int
) -> Editor | None:
    """From caption to caption; None for what captions do not say."""
    if sum(before != after for before, after in asked.captions) < len(asked.captions) / 2:
        return None

    def edit(asked: Asked) -> Latents:
        each = zip(asked.latents.split(1), asked.captions, strict=True)
        return torch.cat([FlowEdit(generator, *captions, seed=seed).apply(latents).cpu() for latents, captions in each])

    return edit


METHODS = {"network": by_network, "linear": by_direction, "flow": by_flow}


def ask(generator: Generator, factor: str, count: int, clips_seed: int, seed: int) -> Asked:
    """The first clips on which the edit of a factor can be asked for."""
    data = MovingShapes(POOL * count + 64, clips_seed)
    rng = np.random.default_rng([seed, EDITS.index(factor)])
    rows, changes, video = [], [], []
    for index in range(len(data)):
        row = data.sampler(index)
        change = wish(factor, row, rng)
        if change is None:
            continue
        rows.append(row)
        changes.append(change)
        video.append(data.clip(index))
        if len(rows) == count:
            break
    latents = generator.encode(torch.cat(video))

    def space(video: Video) -> Video:
        return generator.decode(generator.encode(video)).cpu()

    return Asked(latents, generator.decode(latents).cpu(), np.stack(rows), tuple(changes), space)


def wish(factor: str, row: np.ndarray, rng: np.random.Generator) -> Change | None:
    """What is asked of a clip; None where it cannot be."""
    f = dict(zip(NAMES, row, strict=True))
    if factor in ("direction", "speed") and f["speed"] < SLOWEST:
        return None
    match factor:
        case "hue" | "background_hue":
            other = f["background_hue" if factor == "hue" else "hue"]
            angles = [a for a in range(0, 360, 15) if min(apart(a, f[factor]), apart(a, other)) >= 60]
            change = Change.of(factor, float(rng.choice(angles)))
        case "light":
            change = Change.of(factor, 0.2, "by")
        case "size":
            change = Change.of(factor, "*1.25", "by")
        case "place":
            change = Change.of(factor, ((5, 0), (-5, 0), (0, 5), (0, -5))[rng.integers(4)], "by")
        case "direction":
            change = Change.of(factor, 90.0, "by")
        case "speed":
            change = Change.of(factor, 0.2, "by")
        case "rotation":
            change = Change.of(factor, 3.0, "by")
        case _:
            change = Change.of(factor, str(rng.choice([s for i, s in enumerate(SHAPES) if i != f["shape"]])))
    try:
        change.check(row)
    except ValueError:
        return None
    return change if within(change.after(row)) else None


def within(row: np.ndarray) -> bool:
    """Whether all factors are in the world's ranges, to the last digit."""
    return all(s.kind == "circular" or s.low <= x <= s.high for s, x in zip(FACTORS, row, strict=True))


def apart(a: float, b: float) -> float:
    """Degrees between two angles."""
    return abs((a - b + 180) % 360 - 180)


def judged(asked: Asked, video: Video) -> tuple[np.ndarray, Judged]:
    """Whether clips keep their contract, by the exact re-rendering and, for the shape, the learned reader as well."""
    found = asked.judged(video, Wanted.of(asked.rows), asked.outside(video))
    shapes = np.array([SHAPES.index(word) for word in load_reader().read_shape(video)])
    wanted = [change.after(row)[0] for row, change in zip(asked.rows, asked.changes, strict=True)]
    return found.kept & (shapes == wanted), found


def accounted(asked: Asked, video: Video) -> np.ndarray:
    """Whether the account says kept, which knows the clips alone."""
    of_object = asked.changes[0].of_the_object
    outside = outside_psnr(asked.unedited, video, matte(asked.unedited), matte(video)) if of_object else None
    return asked.judged(video, Wanted.read(asked.unedited), outside).kept


def joined(parts: list[Wanted]) -> Wanted:
    """One of many clips."""
    return Wanted(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Wanted)))


def exact_masks(rows: np.ndarray) -> torch.Tensor:
    """Where the object is in exact renderings, `(clip, 1, frame, height, width)`."""
    scenes = [Scene.of(dict(zip(NAMES, row, strict=True))) for row in rows]
    masks = [exposed(replace(scene, blur=0.0), np.arange(16))[0][0] for scene in scenes]
    return torch.from_numpy(np.stack(masks)).float()[:, None]


def counts(found: Judged) -> dict[str, int]:
    """In how many clips each part of the contract is broken."""
    broken = [name for i in range(len(found.outside)) for name in found.broken(i)]
    return {name: broken.count(name) for name in dict.fromkeys(broken)}


def pictures(asked: Asked, video: Video, kept: np.ndarray, found: Judged, title: str) -> list[Player]:
    """One success and one failure: the clip, and the edited one."""
    strips = []
    for good in (True, False):
        for i in np.flatnonzero(kept == good)[:1]:
            note = "kept" if good else f"not kept: {', '.join(found.broken(int(i))) or 'shape, by the reader'}"
            both = torch.cat([asked.unedited[i : i + 1], video[i : i + 1]], dim=4)
            strips.append(Player(both, f"{title}: {asked.changes[i]}", note))
    return strips


if __name__ == "__main__":
    main(run)
