"""Do edits keep their contract? The target within its tolerance and all else within theirs, on held-out clips.

    python benchmarks/contract.py [--methods network,linear,field,flow] [--factors hue,size] [--clips 64] [--seed 0]
        [--objects 2]

Every factor has held-out clips of one object on which its edit can be asked for: a hue to another (60 degrees or more
from where it was, and from the background's), light + 0.2, size x 1.25, place by 5 pixels to one of four sides,
direction by 90 degrees, speed + 0.2, rotation + 3 degrees a frame, another shape. The judge
(`latentlab.study.contract`) holds what it reads against the exact re-rendering in which the target alone is changed:
factors, the centre in every frame, the pixels outside both masks, and the overlap of the object with its silhouette,
which may fall by `BENT` below what the space itself leaves. The shape must be right by `measure` and by the learned
reader. Methods, by what they were given:

- network: the edit network, from pairs that differ in one factor; a strength of 1, fixed beforehand.
- linear: `Effect` in latents, from labelled clips; of seven strengths the one that kept most of other clips.
- field: the difference of two drawings by a network that draws latents from factors, learned from labelled clips
  (`latentlab.study.latent_field`); a strength of 1, fixed beforehand.
- flow: the captions of the clip and of the clip wanted, along the difference of their velocities.

With two objects either of them is edited, by chance, and the other has to stay as it is and where it is; which is in
front, too. Hues keep 60 degrees from all others in the clip, and no path is asked for that meets another where none
did. Only the network is tried, and no learned reader has a second opinion.

Beside them: the share that keeps the contract if nothing is done ("nothing"), and the share that is kept at strength 0,
when nothing is asked for ("floor"): what the autoencoder alone breaks. `agrees`: of how many clips the account, which
knows no exact rendering, says the same as the judge.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean, percent
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.data.moving.edits import EDITS
from latentlab.directions import DirectionSet
from latentlab.generator.generator import Generator
from latentlab.generator.load import load
from latentlab.shapes import Latents, Video
from latentlab.study.contract import Judged
from latentlab.study.contract_clips import ContractClips, contract_clips
from latentlab.study.contract_scene_clips import SceneClips, contract_scene_clips
from latentlab.study.edit_methods import DirectionEdit, FlowEdit, NetworkEdit
from latentlab.study.edits import network_of
from latentlab.study.latent_field import FieldEdit, LatentField, field_of_labels
from latentlab.study.sources import find_directions
from latentlab.view.report import Player

CALIBRATION_SEED = 4_000_037  # clips on which strengths are chosen; nobody trained on them, and none is judged
STRENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)  # standard deviations
GIVEN = {"network": "pairs", "linear": "labels", "field": "labels", "flow": "captions"}


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str | None = None
    methods: tuple[str, ...] = ("network",)
    factors: tuple[str, ...] = EDITS
    clips: int = 64
    calibration: int = 8
    labelled: int = 1000
    objects: int = 1
    seed: int = 0


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    if config.objects not in (1, 2):
        raise ValueError(f"clips have 1 or 2 objects, got {config.objects}")
    if config.objects == 2 and set(config.methods) != {"network"}:
        raise ValueError(f"of two objects only the network is tried, got {', '.join(config.methods)}")
    generator = load(config.model)
    clips_of = contract_clips if config.objects == 1 else contract_scene_clips
    edits = {name: METHODS[name] for name in config.methods}
    of_labels: dict[str, Any] = {"labelled": config.labelled, "seed": config.seed, "progress": True}
    learned = Learned(
        find_directions(generator, **of_labels) if "linear" in config.methods else None,
        field_of_labels(generator, **of_labels) if "field" in config.methods else None,
    )
    figures: dict[str, dict] = {}
    strips: list[Player] = []
    shares: dict[str, list[float]] = {name: [] for name in edits}
    for factor in tqdm(config.factors, desc="factors"):
        asked = clips_of(generator, factor, config.clips, HELD_OUT_SEED, config.seed)
        other = (
            contract_clips(generator, factor, config.calibration, CALIBRATION_SEED, config.seed)
            if learned.directions
            else None
        )
        undone, _ = asked.exactly_judged(asked.unedited)
        floor = asked.unedited_kept()
        for name, method in edits.items():
            edited = method(generator, asked, other, learned, config.seed)
            if edited is None:
                continue
            began = time.process_time()
            latents = edited(asked)
            seconds = (time.process_time() - began) / len(latents)
            video = generator.decode(latents).cpu()
            kept, of_exact = asked.exactly_judged(video)
            said = asked.accounted(video)
            figures[f"{factor}, {name}"] = {
                "given": GIVEN[name],
                "kept_percent": percent(kept, 100 * float(undone.mean())),
                "reached_percent": percent(
                    np.array([of_exact.off[c.told][i] <= 1 for i, c in enumerate(asked.changes)])
                ),
                "floor_percent": percent(floor),
                "broken": counts(of_exact),
                "overlap": mean(of_exact.overlap.reshape(len(video), -1).mean(1)),
                "overlap_lost": mean(of_exact.lost),
                "overlap_unedited": mean(of_exact.floor.reshape(len(video), -1).mean(1)),
                "account_agrees_percent": percent(said == kept),
                "seconds_a_clip": mean([seconds]),
            }
            shares[name].append(100 * float(kept.mean()))
            strips += pictures(asked, video, kept, of_exact, f"{factor}, {name}")
    means = {name: round(float(np.mean(values)), 1) for name, values in shares.items() if values}
    return {
        "mean_kept_percent": means,
        "factors": figures,
        "_clips": [asdict(strip.coded()) for strip in strips],
    }


@dataclass(frozen=True)
class Learned:
    """What methods learned from labelled clips, those that are asked for."""

    directions: DirectionSet | None
    field: LatentField | None


Editor = Callable[[ContractClips], Latents]


def by_network(
    generator: Generator, asked: ContractClips, other: ContractClips | None, learned: Learned, seed: int
) -> Editor:
    """Each change by the network that ships with the model."""
    network = network_of(generator)
    if network is None:
        raise ValueError("this model has no edit network; leave network out of methods")
    if isinstance(asked, SceneClips) and network.config.objects == 1:
        raise ValueError("this model's edit network knows clips of one object; train one by `latentlab train edits`")

    def edit(asked: ContractClips) -> Latents:
        each = zip(asked.latents.split(1), asked.changes, strict=True)
        return torch.cat([by(NetworkEdit(network, change), latents) for latents, change in each])

    def by(change: NetworkEdit, latents: Latents) -> Latents:
        try:
            return change.apply(latents)
        except ValueError:  # it sees no second object, and says so: the clip stays as it is, and is not kept
            return latents

    return edit


def by_direction(
    generator: Generator, asked: ContractClips, other: ContractClips | None, learned: Learned, seed: int
) -> Editor:
    """Each change along its direction, by the strength that kept most other clips, or came nearest to the target."""
    if other is None or learned.directions is None:
        raise ValueError("a move along a direction needs directions, and other clips to choose its strength on")
    found = learned.directions

    def edit(asked: ContractClips, strength: float) -> Latents:
        each = zip(asked.latents.split(1), asked.rows, asked.changes, strict=True)
        return torch.cat([DirectionEdit.of(found, c, row).apply(z, strength) for z, row, c in each])

    def score(strength: float) -> tuple[float, float]:
        kept, of_exact = other.exactly_judged(generator.decode(edit(other, strength)).cpu())
        return float(kept.mean()), -float(np.median(np.minimum(of_exact.off[other.changes[0].name], 100)))

    best = max(STRENGTHS, key=score)
    return lambda asked: edit(asked, best)


def by_field(
    generator: Generator, asked: ContractClips, other: ContractClips | None, learned: Learned, seed: int
) -> Editor:
    """Each change by a field of labels."""
    if learned.field is None:
        raise ValueError("an edit by a field needs one")
    field = learned.field

    def edit(asked: ContractClips) -> Latents:
        each = zip(asked.latents.split(1), asked.changes, strict=True)
        return torch.cat([FieldEdit(field, change).apply(latents) for latents, change in each])

    return edit


def by_flow(
    generator: Generator, asked: ContractClips, other: ContractClips | None, learned: Learned, seed: int
) -> Editor | None:
    """From caption to caption; None for what captions do not say."""
    if sum(before != after for before, after in asked.captions) < len(asked.captions) / 2:
        return None

    def edit(asked: ContractClips) -> Latents:
        each = zip(asked.latents.split(1), asked.captions, strict=True)
        return torch.cat([FlowEdit(generator, *captions, seed=seed).apply(latents).cpu() for latents, captions in each])

    return edit


METHODS = {"network": by_network, "linear": by_direction, "field": by_field, "flow": by_flow}


def reached(asked: ContractClips | SceneClips, found: Judged) -> np.ndarray:
    """Which clips reach what is asked of them, whatever becomes of the rest."""
    return np.array([found.off[change.told][i] <= 1 for i, change in enumerate(asked.changes)])


def counts(found: Judged) -> dict[str, int]:
    """In how many clips each part of the contract is broken."""
    broken = [name for i in range(len(found.outside)) for name in found.broken(i)]
    return {name: broken.count(name) for name in dict.fromkeys(broken)}


def pictures(
    asked: ContractClips | SceneClips, video: Video, kept: np.ndarray, found: Judged, title: str
) -> list[Player]:
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
