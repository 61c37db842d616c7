"""Where flicker comes from: at which noise levels, frames and places of a sampling run it enters the clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.metrics.flow import Flow, dis
from latentlab.metrics.temporal import Flicker, flicker, latent_flicker
from latentlab.shapes import Noise

COMPONENTS = ("overall", "whole", "regional", "texture")


@dataclass(frozen=True)
class FlickerSource:
    """Flicker of the clip that the denoiser has in mind, step by step.

    Attributes:
        levels: flow times of the steps, falling; the last is that of the finished clip, 0.
        decoded: flicker of the decoded estimate of the clean latents at each level.
        latent: that of the estimate itself, in hundredths of its standard deviation; None for autoencoders that
            compress time.
    """

    levels: tuple[float, ...]
    decoded: tuple[Flicker, ...]
    latent: tuple[Flicker, ...] | None

    def curve(self, component: str = "overall", *, of: str = "decoded") -> Tensor:
        """One component along the run, `(level, batch)`."""
        if component not in COMPONENTS:
            raise ValueError(f"no component {component!r}; there are {', '.join(COMPONENTS)}")
        run = self.decoded if of == "decoded" else self.latent
        if run is None:
            raise ValueError("this autoencoder compresses time, so the flicker of its latents is not defined")
        return torch.stack([getattr(at, component) for at in run])

    def enters(self, component: str = "overall") -> Tensor:
        """Share of the finished clip's flicker power that each level brings in, `(level, batch)`; sums to 1.

        Power (the square) adds up over independent sources. A negative share is flicker that a step takes away; the
        first level brings what the first estimate has.
        """
        power = self.curve(component).square()
        gained = torch.cat([power[:1], power.diff(dim=0)])
        return gained / power[-1].clamp(min=1e-12)

    def worst(self, component: str = "overall") -> list[dict[str, float]]:
        """For each finished clip: the level that adds most, and the frame and the place where most flicker is."""
        last, shares = self.decoded[-1], self.enters(component)
        found = []
        for i in range(shares.shape[1]):
            level = int(shares[:, i].argmax())
            frame = int(last.series[component][i].nan_to_num(-1).argmax()) + 1
            place = last.maps[component if component in last.maps else "overall"][i].nan_to_num(-1)
            row, column = divmod(int(place.argmax()), place.shape[1])
            found.append({
                "level": self.levels[level], "share": float(shares[level, i]), "frame": frame, "row": row,
                "column": column,
            })  # fmt: skip
        return found

    def table(self) -> str:
        """Means over the clips as a Markdown table, a level a line; jitter in 8-bit levels, latents' in hundredths."""
        head = ["noise level", *COMPONENTS, "share of overall", *(["latents"] if self.latent else [])]
        rows = [head, ["---:"] * len(head)]
        for k, level in enumerate(self.levels):
            row = [f"{level:.3f}", *(f"{float(self.curve(name)[k].mean()):.2f}" for name in COMPONENTS)]
            row.append(f"{100 * float(self.enters()[k].mean()):.0f} %")
            rows.append(row + ([f"{float(self.curve(of='latent')[k].mean()):.2f}"] if self.latent else []))
        return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@torch.no_grad()
def flicker_source(
    generator: Generator,
    noise: Noise,
    caption: str | Sequence[str] | Condition = "",
    *,
    num_steps: int = 25,
    method: str = "ddim",
    guidance: float = 1.0,
    every: int = 4,
    flow: Flow = dis,
    progress: bool = False,
) -> FlickerSource:
    """Walks a sampling run and measures the flicker of the clip it is heading for.

    At level s the estimate of the clean latents is `y - s v(y, s)`. Flicker that is there from the first levels is
    the denoiser's idea of the scene; what enters at the last ones is detail; what is in the decoded clips alone, and
    not in the latents, is the autoencoder's.

    Args:
        generator: the model.
        noise: where to start, `generator.noise(count)`.
        caption, num_steps, method, guidance: as in `Generator.sample`.
        every: steps from one look to the next; a look costs a call of the network and a decoding.
        flow: see `flicker`.
        progress: show a bar.

    Returns:
        The curve, and where the flicker is.
    """
    if every < 1:
        raise ValueError(f"every must be at least 1, got {every}")
    condition = (caption if isinstance(caption, Condition) else generator.condition(caption)).expand(len(noise))
    velocity = generator.velocity(condition, guidance)
    levels, estimates = [], []

    def look(step: int, level: float, y: Tensor) -> None:
        if (step + 1) % every == 0 and level > 0:
            levels.append(float(level))
            estimates.append(y - level * velocity(y, level))

    latents = generator.sample(
        noise, condition, num_steps=num_steps, method=method, guidance=guidance, batch_size=len(noise), callback=look,
        progress="sampling" if progress else False,
    )  # fmt: skip
    estimates.append(latents)
    clips = [generator.decode(estimate) for estimate in estimates]
    whole = latents.shape[2] == clips[-1].shape[2]
    return FlickerSource(
        levels=(*levels, 0.0),
        decoded=tuple(flicker(clip, flow=flow) for clip in clips),
        latent=tuple(latent_flicker(z, clip, flow=flow) for z, clip in zip(estimates, clips, strict=True))
        if whole else None,
    )  # fmt: skip
