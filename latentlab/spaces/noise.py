"""Inverted noise as codes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from latentlab.checks import Count, Seed, clear_errors
from latentlab.generator.generator import Generator
from latentlab.generator.inverted import Inverted
from latentlab.generator.sampler import Sampler
from latentlab.names import LevelsFor
from latentlab.shapes import Codes, Noise, Video
from latentlab.spaces.around import Around
from latentlab.spaces.latent import LatentSpace
from latentlab.spaces.told import CaptionOrCondition, plain


class NoiseSpace(LatentSpace):
    """Inverted noise, flattened: the point from which the sampler draws the clip.

    Codes to be read (projections, probes, metrics) are the true encoding as nearly as may be: the defaults. Codes to be
    edited lead back to the clip: `sampler=ll.EDIT`, or another method on `levels="sampling"`. The two differ, by a
    third of their norm on the shipped model, so directions are found in the space in which they are used.

    Args:
        generator: whose denoiser.
        sampler: each way, see `Sampler`; the words below change one setting each. Codes to be edited take `EDIT`.
        num_steps, method, guidance, batch_size: see `Generator.sample`; above guidance 1 clips come back less exactly.
        levels: "analysis" or "sampling", each way; None is what suits the method, see `Generator.invert`.
        caption: that clips are inverted and drawn under: one for all, one for each in their order, or a condition made
            before, as models need that are told an image: `caption=generator.condition(video[:, :, 0])`.
        num_frames: frames of the latents; None is the generator's own.
        progress: show a bar.
        seed: of methods that draw noise on the way there.

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
        sampler: Sampler | None = None,
        num_steps: Count | None = None,
        method: str | None = None,
        levels: LevelsFor | None = None,
        caption: CaptionOrCondition = "",
        guidance: float | None = None,
        num_frames: Count | None = None,
        batch_size: Count | None = None,
        progress: bool = False,
        seed: Seed = 0,
    ) -> None:
        super().__init__(generator, num_frames=num_frames)
        words = {"num_steps": num_steps, "method": method, "levels": levels, "guidance": guidance}
        sampler = (Sampler() if sampler is None else sampler).but(**words, batch_size=batch_size)
        self.guidance = sampler.guiding(generator.config.guidance)
        self.num_steps, self.method, self.levels = sampler.num_steps, sampler.method, sampler.inverting
        self.sampler = replace(sampler, levels=self.levels, guidance=self.guidance)
        self.batch_size, self.caption, self.progress = sampler.batch_size, caption, progress
        self.condition, self.seed = generator.as_condition(caption), seed
        self.batch_dependent = len(self.condition) > 1

    def settings(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in ("num_steps", "method", "levels", "guidance")}
        own |= {"seed": self.seed} if self.seed else {}
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
        return self._inverted(video).noise.flatten(1)

    def _inverted(self, video: Video) -> Inverted:
        latents, bar = self.unflatten(super().encode(video)), "inverting" if self.progress else False
        return self.generator.invert(latents, self.condition, sampler=self.sampler, seed=self.seed, progress=bar)

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """Clips of codes; errors as in `encode`."""
        return self._sampled(self.unflatten(codes))

    def _sampled(self, noise: Noise | Inverted) -> Video:
        bar = "sampling" if self.progress else False
        if isinstance(noise, Inverted):
            latents = self.generator.sample(noise, progress=bar)
        else:
            latents = self.generator.sample(noise, self.condition, sampler=self.sampler, progress=bar)
        return self.generator.decode(latents, batch_size=self.batch_size)

    @clear_errors
    def around(self, video: Video) -> Around:
        """Clips in this space; noise to be edited is sampled along the very way that each clip came, exactly where the
        method is."""
        if self.levels == "analysis":
            return super().around(video)
        inverted = self._inverted(video)
        codes = inverted.noise.flatten(1)

        def decode(moved: Codes) -> Video:
            return self._sampled(inverted.moved(self.unflatten(moved.to(codes) - codes)))

        return Around(codes, decode, self.grid)
