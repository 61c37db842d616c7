"""Ways to edit latents, each with one interface: `apply(latents, strength)`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from einops import rearrange

from latentlab.data.moving.edits import EDITS, condition, rows_of
from latentlab.generator.generator import Generator
from latentlab.generator.networks.edits import EditNetwork
from latentlab.shapes import Latents
from latentlab.study.change import Change


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
    """An edit by the network of pairs, which reads the clip by itself: a strength of 1 is the change asked for."""

    network: EditNetwork
    change: Change
    given: str = "pairs"

    @torch.no_grad()
    def apply(self, latents: Latents, strength: float = 1.0) -> Latents:
        if not strength:
            return latents.clone()
        clips, frames = len(latents), latents.shape[2]
        each = rearrange(latents.float(), "b c f h w -> (b f) c h w")
        before = rows_of(rearrange(self.network.read(each), "(b f) n -> b f n", b=clips))
        after = torch.from_numpy(np.stack([self.change.after(row, strength=strength) for row in before.cpu().numpy()]))
        number = torch.arange(frames, device=latents.device).repeat(clips).to(each)
        rows = [one.to(each).repeat_interleave(frames, 0) for one in (before, after)]
        kind = torch.full((len(each),), EDITS.index(self.change.name), device=latents.device)
        edited = self.network(each, *condition(*rows, kind, number))
        return rearrange(edited, "(b f) c h w -> b c f h w", b=clips)


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
        guidance: weights of the two captions.
        draws: of noise at each level, over which the difference is averaged.
        seed: of the noise.
    """

    generator: Generator
    source: str
    target: str
    num_steps: int = 25
    first: float = 0.98
    guidance: tuple[float, float] = (1.0, 2.0)
    draws: int = 1
    seed: int = 0
    given: str = "captions"

    @torch.no_grad()
    def apply(self, latents: Latents, strength: float = 1.0) -> Latents:
        if not strength:
            return latents.clone()
        clean, edited = latents.to(self.generator.device), latents.to(self.generator.device).clone()
        noise = torch.Generator().manual_seed(self.seed)
        levels = np.linspace(self.first, 0.0, self.num_steps + 1)
        source_weight, target_weight = self.guidance
        for s, after in zip(levels[:-1], levels[1:], strict=True):
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
