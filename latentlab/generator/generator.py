"""The generator: encode, decode, sample and invert behind one interface, whatever the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.generator.condition import Caption, Condition
from latentlab.generator.config import GeneratorConfig as GeneratorConfig  # where version 0.1.0 had it
from latentlab.generator.estimate import Counted, Estimate, check_estimable, richardson
from latentlab.generator.exact_inversion import invert_exactly, sample_exactly
from latentlab.generator.graph import Tensors
from latentlab.generator.inverted import Inverted
from latentlab.generator.levels import analysis_levels, halved, sampling_levels
from latentlab.generator.methods import METHODS, check_counts, check_purpose
from latentlab.generator.model import Model
from latentlab.generator.run import drawing, in_batches, spread
from latentlab.generator.sampler import DRAW, Sampler
from latentlab.generator.solver import Callback, Velocity, ancestral, solve
from latentlab.generator.trace import Trace, concatenate
from latentlab.generator.windows import check_lengthens, decoded, latent_frames, long_latents
from latentlab.names import Joined, LevelsFor
from latentlab.shapes import Latents, Noise, Video

SAME = 1e-3  # between the latents of an image coded by itself and as the first frame of a clip, of unit variance


class Generator(Model):
    """A video model: an autoencoder, and a denoiser between noise and its latents.

    A model joins by saying how it encodes, decodes, reads captions and predicts a velocity (see `Model`); sampling,
    inversion and the checks are here, once. Everything computes on the device of the weights; tensors given on another
    one are moved there.

    >>> import latentlab
    >>> generator = latentlab.load()
    >>> inverted = generator.invert(generator.noise(1), num_steps=2, method="leapfrog")
    >>> inverted.exact
    True
    """

    def __repr__(self) -> str:
        c = self.config
        clip = f"clips of {c.num_frames} frames of {c.height} x {c.width}"
        return f"{type(self).__name__}({clip}, latents {self.latent_shape}, {self.dtype} on {self.device})"

    @clear_errors
    def levels(self, num_steps: Count, shape: Sequence[int]) -> Float[Tensor, " level"]:
        """Flow times from noise down to data for latents of `shape` (channel, frame, height, width)."""
        del shape  # some models spend more steps near noise where there is more to draw
        return sampling_levels(num_steps, shift=self.config.shift)

    def _levels(self, purpose: LevelsFor, num_steps: Count, shape: Sequence[int]) -> Float[Tensor, " level"]:
        """Flow times from noise down to data; those for analysis begin and end where the sampler's do."""
        check_purpose(purpose)
        own = self.levels(num_steps, shape)
        return own if purpose == "sampling" else analysis_levels(num_steps, high=float(own[0]), low=float(own[-1]))

    @clear_errors
    def noise(self, count: int, *, seed: Seed = 0) -> Noise:
        """Unit Gaussian noise; item i depends on `(seed, i)` alone, whatever the count and the device."""
        check_counts(count=count)
        return drawing([seed], slice(0, count), self.latent_shape, self.device)()

    @clear_errors
    def sample(
        self,
        noise: Noise | Inverted,
        caption: Caption | None = None,
        *,
        sampler: Sampler | None = None,
        num_steps: Count | None = None,
        method: str | None = None,
        levels: LevelsFor | None = None,
        guidance: float | None = None,
        churn: float = 0.0,
        seed: Seed = 0,
        batch_size: Count | None = None,
        callback: Callback | None = None,
        progress: bool | str = False,
    ) -> Latents:
        """Carries noise to latents.

        Args:
            noise: unit variance, as `noise` makes it, or what `invert` returns. The latter is sampled as it was made,
                down the levels that it came up; only caption and guidance may be changed and guides added, which edits
                the clip.
            caption: one for all clips, one for each, a condition made before, or its tensors by name; default "". Where
                the condition is an image, that image.
            sampler: how, see `Sampler`; the words that follow change one setting each. Default: "midpoint" in 25 steps
                on the model's own levels, guidance 1, 16 clips at a time.
            num_steps, batch_size: steps of the solver; clips at a time.
            method: see `methods.METHODS`.
            levels: "sampling", the model's own, or "analysis", those of noise that was inverted to be read; see
                `invert`.
            guidance: weight of the caption, 1 is the model as trained.
            churn: fresh noise a step, from 0 (default) to 1, ancestral sampling of DDPM, see `solver.ancestral`; with
                method "ddim" alone, which is its default then.
            seed: of that noise, of which item i depends on `(seed, i)` alone.
            callback: called after each step as `callback(step, level, state)`, batch by batch.
            progress: show a bar; a string names it.

        Returns:
            Latents, for `decode`.

        Raises:
            ValueError: an inverted latent was made by another generator or in another way; what differs is named.
        """
        words = {"num_steps": num_steps, "method": method, "levels": levels, "batch_size": batch_size}
        if isinstance(noise, Inverted):
            given = {} if sampler is None else vars(sampler)
            asked = {name: given.get(name) if word is None else word for name, word in words.items()}
            self._check_made(noise, **asked)
            guidance = sampler.guiding(self.config.guidance) if guidance is None and sampler else guidance
            sampler = noise.sampler.but(guidance=guidance)
            trace, path = noise.trace, torch.tensor(noise.levels, dtype=torch.float64).flip(0)
            caption, told = noise.condition if caption is None else caption, noise.condition.extras
        else:
            self.check_latents(noise)
            sampler = Sampler("ddim" if churn else "midpoint") if sampler is None else sampler
            sampler = sampler.but(**words, guidance=guidance)
            sampler = replace(sampler, guidance=sampler.guiding(self.config.guidance))
            path = self._levels(sampler.levels or "sampling", sampler.num_steps, noise.shape[1:])
            trace, told = Trace(noise), {}
        if churn and (sampler.method != "ddim" or isinstance(noise, Inverted)):
            raise ValueError(f"churn={churn} goes with method 'ddim' from noise that was drawn, got {sampler.method!r}")
        condition, last = self._conditions("" if caption is None else caption, trace.noise), spread(path[-1])
        condition = replace(condition, extras={**told, **condition.extras})  # an image stays under another caption
        options: dict[str, Any] = {"callback": callback, "progress": progress}

        def carry(velocity: Velocity, states: Tensors, rows: slice) -> Tensor:
            y, memory = states["start"], states.get("memory")
            if churn:
                fresh = ancestral(drawing([seed, 2], rows, y.shape[1:], self.device), churn)
                return solve(velocity, y, path, method=fresh, **options) / last
            return sample_exactly(velocity, y, path, method=sampler.method, memory=memory, **options) / last

        starts = {"start": trace.noise, "memory": trace.memory}
        capturable = callback is None and not churn
        latents = torch.cat(in_batches(self, sampler, path, starts, condition, carry, capturable=capturable))
        return self.completed(latents.float() if METHODS[sampler.method].retraces else latents, condition)

    @clear_errors
    def invert(
        self,
        latents: Latents,
        caption: Caption = "",
        *,
        sampler: Sampler | None = None,
        num_steps: Count | None = None,
        method: str | None = None,
        levels: LevelsFor | None = None,
        guidance: float | None = None,
        batch_size: Count | None = None,
        seed: Seed = 0,
        estimate: bool = False,
        callback: Callback | None = None,
        progress: bool | str = False,
    ) -> Inverted:
        """Carries latents to noise: to the true encoding, as near as may be, or to where `sample` carries them back.

        Noise that is read (projections, probes, metrics) should be near the true encoding, the one that the flow
        followed without error gives: `sampler=ll.ANALYSE`, "midpoint" on levels for analysis, which is the default.
        Noise that is edited or interpolated, and then sampled, should lead back to the clip: `sampler=ll.EDIT`,
        "leapfrog", exact at one call a step, on the levels of sampling. On the shipped model, three held-out clips
        under their captions, "midpoint" in 25 steps ends 0.006 to 0.008 of the norm from the true encoding and leads
        back to within 0.02 to 0.09 of the latents; on the levels of sampling it ends 0.32 to 0.44 away, and leads back
        to within 0.007 to 0.014.

        Args:
            latents: of clips, as `encode` makes them.
            caption, sampler, num_steps, batch_size, callback, progress: as in `sample`.
            method: see `methods.METHODS`; default "midpoint".
            levels: "analysis", dense near data, see `analysis_levels`; or "sampling", those of `sample`. None is
                "sampling" for methods that give a clip back exactly, and "analysis" for the others.
            guidance: as in `sample`; above 1 it costs the methods that are not exact much of their accuracy, so invert
                at 1 and edit with guidance.
            seed: of the noise that "ddpm" draws; item i depends on `(seed, i)` alone.
            estimate: measure how far each clip's noise is from the true encoding, by a second run with steps of half
                the size, at twice the calls of the network; the answer is the result's `estimate`.

        Returns:
            The noise, with all that `sample` needs to retrace the way.

        Raises:
            ValueError: latents that are none of this model, or that begin with another image than the condition's; or
                an estimate of a method that has none.
        """
        words = {"num_steps": num_steps, "method": method, "levels": levels, "batch_size": batch_size}
        sampler = (Sampler() if sampler is None else sampler).but(**words, guidance=guidance)
        sampler = replace(sampler, levels=sampler.inverting, guidance=sampler.guiding(self.config.guidance))
        condition = self._conditions(caption, latents)
        self._check_completed(latents, condition)
        path = self._levels(sampler.inverting, sampler.num_steps, latents.shape[1:]).flip(0)
        if estimate:
            check_estimable(sampler.method)
        run = partial(self._carried_up, latents, condition, sampler, seed=seed)
        trace, _ = run(path, callback=callback, progress=progress)
        found = None
        if estimate:
            again, calls = run(halved(path), progress="estimating" if progress else False, counted=True)
            found = Estimate(richardson(trace.noise, again.noise, sampler.method), calls)
        return Inverted(
            trace=trace,
            method=sampler.method,
            levels=tuple(path.tolist()),
            guidance=1.0 if sampler.guidance is None else sampler.guidance,
            condition=condition,
            batch_size=sampler.batch_size,
            dtype=str(self.dtype),
            decode_chunk=self.decode_chunk,
            tiles=self.tiles,
            weights=self.unguided.fingerprint(),
            guides=self.settings().get("guides", []),
            levels_for=sampler.inverting,
            estimate=found,
        )

    def _carried_up(
        self,
        latents: Latents,
        condition: Condition,
        sampler: Sampler,
        path: Float[Tensor, " level"],
        *,
        seed: Seed,
        callback: Callback | None = None,
        progress: bool | str = False,
        counted: bool = False,
    ) -> tuple[Trace, int]:
        """The trace that an inversion leaves; and the calls of the network, of the batch with most, if counted."""
        calls, last, method = [0], spread(path[-1]), sampler.method

        def carry(velocity: Velocity, states: Tensors, rows: slice) -> Trace:
            clean, asked = states["start"], Counted(velocity)
            draw = drawing([seed, 1], rows, clean.shape[1:], self.device)
            options: dict[str, Any] = {"draw": lambda step: draw(), "callback": callback, "progress": progress}
            trace = invert_exactly(asked, clean, path, method=method, **options).scaled(1 / last)
            calls.append(asked.calls)
            return trace

        capturable = callback is None and method != "ddpm" and not counted  # which draws
        traces = in_batches(self, sampler, path, {"start": latents}, condition, carry, capturable=capturable)
        return concatenate(traces), max(calls)

    @clear_errors
    def generate(
        self,
        captions: Caption,
        *,
        sampler: Sampler = DRAW,
        seed: Seed = 0,
        num_steps: Count | None = None,
        method: str | None = None,
        guidance: float | None = None,
        churn: float = 0.0,
        num_frames: Count | None = None,
        windows: Joined = "keyframes",
        batch_size: Count | None = None,
        progress: bool | str = False,
    ) -> Video:
        """Clips of captions: noise from the seed, sampled and decoded.

        Args:
            captions: one or several, or a condition, or images for a model that reads those; a clip for each.
            sampler: how. `DRAW` is "ddim" in 25 steps at the guidance of `config`, one call of the network a step,
                which suffices to draw: the figures of the model card are measured so. `sample` has "midpoint", two
                calls, which comes nearer to the true path.
            seed: of the noise, of which item i depends on `(seed, i)` alone. Sums depend on how many clips are
                computed together and on how many threads: with another batch or `torch.get_num_threads()` latents of
                the shipped model differ by up to 3e-5, and a few 8-bit values of a clip by one.
            num_steps, method, guidance, churn, batch_size, progress: as in `sample`.
            num_frames: of the clips; more than the model's own are drawn by windows of these, under no guide that says
                what one of these frames holds and another does not.
            windows: how they are joined: "keyframes", "average", "shuffled" or "pinned", see `generator.windows`.
        """
        if not isinstance(captions, str) and not len(captions):
            raise ValueError('generate needs a caption at least; "" is one that says nothing')
        condition = self.as_condition(captions)
        sampler = sampler.but(num_steps=num_steps, method=method, guidance=guidance, batch_size=batch_size)
        solving: dict[str, Any] = {"sampler": sampler, "churn": churn, "seed": seed, "progress": progress}
        if num_frames is None or num_frames == self.config.num_frames:
            latents = self.sample(self.noise(len(condition), seed=seed), condition, **solving)
            return self.decode(latents, batch_size=sampler.batch_size)
        check_lengthens(self.guides, self.config.num_frames, num_frames)
        frames = latent_frames(self, num_frames)
        latents = long_latents(self, condition, frames, windows=windows, **solving)
        return torch.cat(list(decoded(self, latents)), 2)

    def _check_made(self, inverted: Inverted, num_steps: int | None, levels: str | None, **asked: Any) -> None:
        """Raises unless the inverted latent was made by this generator, and in the way asked for, if any."""
        here: dict[str, Any] = {"dtype": str(self.dtype), "weights": self.unguided.fingerprint()}
        here |= {"decode_chunk": self.decode_chunk, "tiles": self.tiles}
        if num_steps is not None:
            path = self._levels(inverted.levels_for, num_steps, inverted.noise.shape[1:])
            here["levels"] = tuple(path.flip(0).tolist())
        asked["levels_for"] = levels
        inverted.check_guides(self.settings().get("guides", []))
        inverted.check(here | {name: value for name, value in asked.items() if value is not None})

    def _check_completed(self, latents: Latents, condition: Condition) -> None:
        """Raises where the condition says of the latents what they are not, so that they could not come back."""
        apart = float((self.completed(latents, condition) - latents).detach().abs().max())
        if apart > SAME:
            raise ValueError(
                f"the clip does not begin with the condition's image: latents differ by {apart:.2g}, of which {SAME:g} "
                'would be rounding; give its own first frame, image=video[:, :, 0], or {"image": latents[:, :, :1]}'
            )

    def _conditions(self, caption: Caption, y: Tensor) -> Condition:
        """One condition for each clip of `y`, which is checked."""
        self.check_latents(y)
        return self.as_condition(caption).expand(len(y))
