"""An edit before it is judged: the latents that a network or a flow makes, and what they are held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from latentlab.control.decided import decided
from latentlab.data.moving.factors import NAMES, SIDE
from latentlab.data.moving.measure import measure
from latentlab.data.moving.measure_scenes import SeenScene
from latentlab.factors import FactorTable
from latentlab.generator.generator import Generator
from latentlab.generator.networks.edits import EditNetwork
from latentlab.names import When
from latentlab.shapes import Latents, Video
from latentlab.study.asked import check_asked, not_shown, scenes_of
from latentlab.study.change import Change, Value, changes
from latentlab.study.contract_scenes import WantedScene
from latentlab.study.edit_methods import FlowEdit, edited_in_turn
from latentlab.study.named import named, words_of
from latentlab.train.tuned import knows_moving_shapes

ON_THE_WAY = (
    "when= is of edits on the way from noise: a direction with space='h-space', or a caption with method='flow'"
)


@dataclass(frozen=True)
class Attempt:
    """Edited latents of clips.

    Attributes:
        latents: as they were edited.
        wanted: the changes of factors that they are judged by; none where no reader sees them.
        scenes: what is seen in each clip that shows two objects; None for the others.
        given: what the method learned from, "pairs" or "captions".
    """

    latents: Latents
    wanted: Sequence[Change]
    scenes: Sequence[SeenScene | None]
    given: str


def by_network(
    network: EditNetwork,
    clip: Video,
    latents: Latents,
    unedited: Video,
    *,
    to: Mapping[str, Value] | None,
    by: Mapping[str, Value] | None,
    caption: str | None,
    at: tuple[float, float] | None,
) -> Attempt:
    """By a network of pairs, as `edit_clip` takes `to`, `by`, `caption` and `at`; `unedited` are the latents decoded.

    Raises:
        ValueError: a value out of its range; a factor or an object that the clip does not show.
    """
    rows = measure(unedited).values
    rows[np.isnan(measure(clip.cpu()).values).all(1)] = np.nan  # a decoder may see things in an empty clip
    scenes = scenes_of(clip, unedited)
    wanted = changes(to, by) if caption is None else named(caption)
    if network.config.objects == 1 and any(scenes):
        raise ValueError(
            "the clip shows two objects, and this model's edit network knows clips of one: train one that tells "
            "them apart by `latentlab train edits` and pass it as method"
        )
    shown = [WantedScene.read([scene]) if scene else row for scene, row in zip(scenes, rows, strict=True)]
    check_asked(wanted, shown, at, caption)
    missing = wanted if caption is None else not_shown(wanted, shown, at)
    return Attempt(edited_in_turn(network, missing, latents, at), missing or wanted, scenes, "pairs")


def by_flow(
    flow: FlowEdit,
    clip: Video,
    latents: Latents,
    unedited: Video,
    *,
    at: tuple[float, float] | None,
    read: Callable[[Video], FactorTable] | None,
) -> Attempt:
    """By velocities from caption to caption; judged by factors where a reader sees those that the words name."""
    edited = flow.apply(latents)
    its_own = knows_moving_shapes(flow.generator) if read is None else read(unedited).names == NAMES
    readable = unedited.shape[-2:] == (SIDE, SIDE) and its_own
    scenes = scenes_of(clip, unedited) if readable else [None] * len(clip)
    one_each = not any(scenes) or at is not None  # else words do not say of which object they are
    wanted = named(flow.target) if readable and one_each and words_of(flow.target) else []
    rows = (measure if read is None else read)(unedited).values if wanted else []
    shown = [WantedScene.read([scene]) if scene else row for scene, row in zip(scenes, rows, strict=False)]
    return Attempt(edited, not_shown(wanted, shown, at) or wanted, scenes, flow.given)


def last_level(generator: Generator, when: When, factors: Sequence[str]) -> float:
    """The flow time down to which an edit acts: where the last of these factors is decided, or what the user said."""
    if when == "always":
        return 0.0
    if when != "forming":
        if isinstance(when, str) or not 0 <= when < 1:
            raise ValueError(f"when is 'always', 'forming', or a flow time from 0 to below 1; got {when!r}")
        return float(when)
    known = decided(generator)
    if missing := [name for name in factors if name not in known] or ([] if factors else ["what the caption asks for"]):
        told = f"known are {', '.join(f'{k} ({v:g})' for k, v in known.items())}" if known else "nothing is"
        raise ValueError(
            f"at which flow time {', '.join(missing)} is decided is not known for this model ({told}); "
            "give a flow time, as when=0.8"
        )
    return min(known[name] for name in factors)
