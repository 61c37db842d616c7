"""Ways to edit latents, each with one interface: `apply(latents, strength)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import torch
from einops import rearrange

from latentlab.checks import clear_errors
from latentlab.data.moving.edits import EDITS, condition
from latentlab.data.moving.factors import FACTORS, NAMES
from latentlab.data.moving.object_edits import told
from latentlab.directions import Direction, DirectionSet, edit
from latentlab.generator.generator import Generator
from latentlab.generator.networks.edits import EditNetwork
from latentlab.shapes import Latents
from latentlab.study.change import Change
from latentlab.study.seen_objects import Place, seen_objects


class Edit(Protocol):
    """What changes the latents of clips.

    Attributes:
        given: what it was found from: "pairs" that differ in one factor, "labels", or "captions".
    """

    given: str

    def apply(self, latents: Latents, strength: float = 1.0) -> Latents:
        """The latents of the edited clips; strength 0 leaves them alone."""
        ...


@dataclass(frozen=True, eq=False)
class NetworkEdit:
    """An edit by the network of pairs, which reads the clip by itself: a strength of 1 is the change asked for.

    Args:
        network: edits latents.
        change: of the first object, or the second.
        at: a place in the first frame, pixels from the left and the top, or one a clip: the object nearest to it is
            edited, whichever it is.
    """

    network: EditNetwork
    change: Change
    at: Place | None = None
    given: str = "pairs"

    @torch.no_grad()
    @clear_errors
    def apply(self, latents: Latents, strength: float = 1.0) -> Latents:
        if not strength:
            return latents.clone()
        clips, frames = len(latents), latents.shape[2]
        seen = seen_objects(self.network, latents)
        before = seen.rows[torch.arange(clips), seen.index(self.change.object, self.at)]
        after = torch.from_numpy(np.stack([self.change.after(row, strength=strength) for row in before.cpu().numpy()]))
        each = rearrange(latents.float(), "b c f h w -> (b f) c h w")
        number = torch.arange(frames, device=latents.device).repeat(clips).to(each)
        rows = [one.to(each).repeat_interleave(frames, 0) for one in (before, after)]
        kind = torch.full((len(each),), EDITS.index(self.change.name), device=latents.device)
        says = condition if self.network.config.objects == 1 else told
        edited = self.network(each, *says(rows[0], rows[1], kind, number))
        return rearrange(edited, "(b f) c h w -> b c f h w", b=clips)


@clear_errors
def edited_in_turn(
    network: EditNetwork, changes: Sequence[Change], latents: Latents, at: tuple[float, float] | None = None
) -> Latents:
    """One change after another; an object that was moved is found where it was moved to."""
    seen, clip = seen_objects(network, latents), torch.arange(len(latents))
    places = {k: seen.start[clip, seen.index(k, at)] for k in {change.object for change in changes}}
    for change in changes:
        latents = NetworkEdit(network, change, places[change.object]).apply(latents)
        if change.name == "place":
            there = torch.tensor(change.value).to(places[change.object])
            places[change.object] = places[change.object] * (change.how == "by") + there
    return latents


@clear_errors
@dataclass(frozen=True, eq=False)
class FlowEdit:
    """From one caption to another along the difference of their velocities (Kulikov et al. 2024, algorithm 1).

    The clip is never inverted: at each level it is noised afresh, and moved by what the two captions say differently
    about it. A strength of 1 is the `guidance` of the new caption.

    Args:
        generator: the model.
        source: what the clips show.
        target: what they are to show.
        num_steps: of the solver.
        first: the level at which it begins; what is decided above it stays.
        last: the level at which it ends; what is decided below it stays, too.
        guidance: weights of the two captions.
        draws: of noise at each level, over which the difference is averaged.
        seed: of the noise.
    """

    generator: Generator
    source: str
    target: str
    num_steps: int = 25
    first: float = 0.98
    last: float = 0.0
    guidance: tuple[float, float] = (1.0, 2.0)
    draws: int = 1
    seed: int = 0
    given: str = "captions"

    def __post_init__(self) -> None:
        if not 0 <= self.last < self.first <= 1:
            raise ValueError(f"a flow goes from {self.first} down to a level from 0 to below that, got {self.last}")

    @torch.no_grad()
    @clear_errors
    def apply(self, latents: Latents, strength: float = 1.0) -> Latents:
        self.generator.check_latents(latents)
        if not strength:
            return latents.clone()
        clean, edited = latents.to(self.generator.device), latents.to(self.generator.device).clone()
        noise = torch.Generator().manual_seed(self.seed)
        levels = np.linspace(self.first, self.last, self.num_steps + 1)
        source_weight, target_weight = self.guidance
        for s, after in pairwise(levels):
            for _ in range(self.draws):
                fresh = torch.randn(clean.shape, generator=noise).to(clean)
                one = (1 - s) * clean + s * fresh
                other = edited + one - clean
                way = self._velocity(other, s, self.target, 1 + strength * (target_weight - 1))
                way = way - self._velocity(one, s, self.source, source_weight)
                edited = edited + (after - s) / self.draws * way
        return edited

    def _velocity(self, y: Latents, s: float, caption: str, guidance: float) -> Latents:
        said = self.generator.condition([caption] * len(y))
        v = self.generator.predict(y, float(s), said)
        if guidance == 1:
            return v
        nothing = self.generator.predict(y, float(s), self.generator.condition([""] * len(y)))
        return nothing + guidance * (v - nothing)


@clear_errors
@dataclass(frozen=True, eq=False)
class DirectionEdit:
    """A move along a direction of latents; a strength is in standard deviations of the codes along it."""

    direction: Direction
    sign: float = 1.0
    given: str = "labels"

    @staticmethod
    @clear_errors
    def of(found: DirectionSet, change: Change, row: np.ndarray) -> DirectionEdit:
        """The direction of a change, from a clip of these factors.

        >>> import latentlab as ll
        >>> from latentlab.study.sources import find_directions
        >>> found, row = find_directions(ll.load(), labelled=4), ll.data.moving_shapes(1)[1].values[0]
        >>> DirectionEdit.of(found, Change.of("place", (-5, 0), "by"), row).sign
        -1.0
        """
        after = change.after(row)
        moved = [after[NAMES.index(name)] - row[NAMES.index(name)] for name in change.columns]
        name = change.columns[int(np.argmax(np.abs(moved)))]
        spec, value = FACTORS[NAMES.index(name)], after[NAMES.index(name)]
        if spec.kind == "circular":
            return DirectionEdit(found[f"{name}@{value:g}"])
        if spec.kind == "categorical":
            return DirectionEdit(found[f"{name}={spec.labels[int(value)]}"])
        return DirectionEdit(found[name], float(np.sign(value - row[NAMES.index(name)])))

    @clear_errors
    def apply(self, latents: Latents, strength: float = 1.0) -> Latents:
        moved = edit(latents.flatten(1), self.direction, self.sign * strength)
        return torch.as_tensor(moved).view_as(latents).to(latents)
