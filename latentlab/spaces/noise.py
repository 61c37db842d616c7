"""Inverted noise as codes."""

from __future__ import annotations

from typing import Any

from latentlab.checks import Count, clear_errors
from latentlab.generator.exactness import suited
from latentlab.generator.generator import Generator
from latentlab.generator.levels import LevelsFor, check_purpose
from latentlab.shapes import Codes, Video
from latentlab.spaces.latent import LatentSpace
from latentlab.spaces.told import Caption, plain


class NoiseSpace(LatentSpace):
    """Inverted noise, flattened: the point from which the sampler draws the clip.

    Codes to be read (projections, probes, metrics) are the true encoding as nearly as may be: the defaults. Codes to be
    edited lead back to the clip: `method="leapfrog"`, or another method on `levels="sampling"`. The two differ, by a
    third of their norm on the shipped model, so directions are found in the space in which they are used.

    Args:
        generator: whose denoiser.
        num_steps: of the solver, each way.
        method: of the solver, see `Generator.sample`.
        levels: "analysis" or "sampling", each way; None is what suits the method, see `Generator.invert`.
        caption: that clips are inverted and drawn under: one for all, one for each in their order, or a condition made
            before, as models need that are told an image: `caption=generator.condition(video[:, :, 0])`.
        guidance: weight of the caption, each way; above 1 a clip comes back less exactly.
        num_frames: frames of the latents; None is the generator's own.
        batch_size: clips at a time.
        progress: show a bar.

    >>> import latentlab
    >>> space = NoiseSpace(latentlab.load(), caption="a red star", num_steps=2)
    >>> space.decode(latentlab.load().noise(1).flatten(1)).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    prior = "normal"
    levels: LevelsFor

    @clear_errors
    def __init__(
        self,
        generator: Generator,
        *,
        num_steps: Count = 25,
        method: str = "midpoint",
        levels: LevelsFor | None = None,
        caption: Caption = "",
        guidance: float = 1.0,
        num_frames: Count | None = None,
        batch_size: Count = 16,
        progress: bool = False,
    ) -> None:
        super().__init__(generator, num_frames=num_frames)
        self.num_steps, self.method, self.caption, self.guidance = num_steps, method, caption, guidance
        self.levels = suited(method) if levels is None else levels
        check_purpose(self.levels)
        self.batch_size, self.progress = batch_size, progress
        self.condition = generator.as_condition(caption)
        self.by_place = len(self.condition) > 1

    def settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("num_steps", "method", "levels", "guidance")}
        return {**super().settings(), **own, "caption": plain(self.caption)}

    def __repr__(self) -> str:
        use = {"analysis": "read", "sampling": "edited"}[self.levels]
        how = f"{self.method}, {self.num_steps} steps on levels for {self.levels}: to be {use}"
        return f"{super().__repr__()[:-1]}; {how})"

    @clear_errors
    def encode(self, video: Video) -> Codes:
        """Codes `(sample, dim)` of clips.

        Raises:
            ValueError: several captions, but not one for each clip.
        """
        latents = self.unflatten(super().encode(video))
        bar = "inverting" if self.progress else False
        return self.generator.invert(latents, self.condition, progress=bar, **self._solver()).noise.flatten(1)

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Clips of codes; errors as in `encode`."""
        bar = "sampling" if self.progress else False
        latents = self.generator.sample(self.unflatten(codes), self.condition, progress=bar, **self._solver())
        return self.generator.decode(latents, batch_size=self.batch_size)

    def _solver(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("num_steps", "method", "levels", "guidance", "batch_size")}
