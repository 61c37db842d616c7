"""The generator: encode, decode, sample and invert behind one interface, whatever the model."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.generator import exactness
from latentlab.generator.condition import Caption, Condition
from latentlab.generator.exactness import Trace
from latentlab.generator.graph import Graphs, Tensors
from latentlab.generator.inverted import Inverted
from latentlab.generator.levels import check_counts, sampling_levels
from latentlab.generator.run import Way, in_batches, spread
from latentlab.generator.solver import Callback, Velocity
from latentlab.shapes import Latents, Noise, Video
from latentlab.weights import fingerprint, state_of

# Fingerprints by a generator's first network, each with the state of all its weights when it was made.
_FINGERPRINTS: WeakKeyDictionary[nn.Module, tuple[Hashable, str]] = WeakKeyDictionary()


@dataclass(frozen=True)
class GeneratorConfig:
    """What the generator was made for and how it samples best.

    Args:
        num_frames, height, width: of its clips.
        fps: frames a second of its clips.
        guidance: classifier-free guidance that `generate` uses.
        shift: of the noise levels, see `sampling_levels`.
    """

    num_frames: int = 16
    height: int = 64
    width: int = 64
    fps: float = 8.0
    guidance: float = 2.5
    shift: float = 1.0


class Generator(ABC):
    """A video model: an autoencoder, and a denoiser between noise and its latents.

    A model joins by saying how it encodes, decodes, reads captions and predicts a velocity; sampling, inversion,
    guidance and the checks are here, once. Everything computes on the device of the weights; tensors given on another
    one are moved there.

    >>> import latentlab
    >>> generator = latentlab.load()
    >>> inverted = generator.invert(generator.noise(1), num_steps=2, method="leapfrog")
    >>> inverted.exact
    True
    """

    config: GeneratorConfig
    capturable: ClassVar[bool] = True  # whether `predict` reads nothing from the device, so that a graph can hold it
    graphs: Graphs | None = None  # of the solver's loops, see `graphed`

    @property
    @abstractmethod
    def networks(self) -> Sequence[nn.Module]:
        """All networks whose weights make a clip."""

    @property
    @abstractmethod
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Channel, frame, height and width of the latents of one clip."""

    @abstractmethod
    def encode(self, video: Video, *, batch_size: int = 16) -> Latents:
        """Latents of clips, about unit variance: the mode of the posterior."""

    @abstractmethod
    def decode(self, latents: Latents, *, batch_size: int = 16) -> Video:
        """Clips of latents, within [-1, 1]."""

    @abstractmethod
    def condition(self, captions: str | Sequence[str]) -> Condition:
        """What the denoiser is told by captions; "" says nothing."""

    @abstractmethod
    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        """The velocity `noise - clean` at states `y = (1 - s) clean + s noise`: one call of the network."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.networks[0].parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the denoiser, the last network, computes in; states and latents are float32 in any case."""
        own = (p.dtype for p in self.networks[-1].parameters() if p.is_floating_point())
        return next(own, torch.float32)

    @property
    def decode_chunk(self) -> int | None:
        """Frames that are decoded together, for an autoencoder whose clip depends on it; None where it does not."""
        return None

    @property
    def tiles(self) -> dict[str, Any] | None:
        """Sizes of the parts that the autoencoder takes a clip in; None where it takes it whole."""
        return None

    def settings(self) -> dict[str, Any]:
        """What `predict` depends on beside weights, state, level and condition, as JSON holds it."""
        return {}

    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        """Flow times from noise down to data for latents of `shape` (channel, frame, height, width)."""
        del shape  # some models spend more steps near noise where there is more to draw
        return sampling_levels(num_steps, shift=self.config.shift)

    def fingerprint(self) -> str:
        """SHA-256 of all weights, and of the settings if there are any; kept until one of them changes."""
        first, state = self.networks[0], state_of(*self.networks)
        if first not in _FINGERPRINTS or _FINGERPRINTS[first][0] != state:
            _FINGERPRINTS[first] = state, fingerprint(*self.networks)
        weights, settings = _FINGERPRINTS[first][1], self.settings()
        if not settings:
            return weights
        return hashlib.sha256(" ".join([weights, *map(str, settings.values())]).encode()).hexdigest()

    def compile(self, **options) -> Self:
        """The same generator, its networks compiled on their first call; `options` are those of `torch.compile`.

        Compiled kernels round in their own way: a latent inverted before should be sampled without.
        """
        for network in self.networks:
            network.compile(**options)
        return self

    def graphed(self) -> Self:
        """The same generator, which records each new loop of the solver as a CUDA graph and replays it after that.

        A loop is known by its method, levels, guidance and shapes; new captions and noise are no new loop. The implicit
        methods, inversion by "ddpm" and runs with a callback read from the device and go on without.

        Raises:
            ValueError: the weights are not on a CUDA device, or the network reads from it while it works.
        """
        if not self.capturable:
            raise ValueError(
                f"the network of {type(self).__name__} reads from the device while it works, which no CUDA graph can "
                "hold; compile() does not mind"
            )
        if self.device.type != "cuda":
            raise ValueError(f"CUDA graphs need weights on a CUDA device, these are on {self.device}; see compile()")
        self.graphs = Graphs()
        return self

    def velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity field v(y, s) under a condition, with classifier-free guidance (Ho & Salimans 2022, eq. 6).

        v = v("") + guidance * (v(condition) - v("")); at guidance 1 the empty caption is not evaluated. A condition
        that says what it is `against` has that in the place of the empty caption.
        """
        condition = condition.to(self.device, self.dtype)

        def predict(y: Tensor, s: float, under: Condition) -> Tensor:
            return self.predict(y.float(), s, under).to(y.dtype)  # a state may be float64, see `_state`

        if guidance == 1.0:
            return lambda y, s: predict(y, s, condition)
        empty = self.unconditional(condition).to(self.device, self.dtype).expand(len(condition))
        both = Condition.cat([empty, condition])

        def guided(y: Tensor, s: float) -> Tensor:
            without, under = predict(torch.cat([y, y]), s, both).chunk(2)
            return torch.lerp(without, under, self.guidance_scale(guidance, y, s))

        return guided

    def guidance_scale(self, guidance: float, y: Tensor, s: float) -> Tensor | float:
        """Guidance as it meets the states at a level: one number, or one that broadcasts with them."""
        del y, s
        return guidance

    def told(self, condition: Condition, guidance: float) -> Condition:
        """The condition with all that a run under this guidance will ask for, where it will ask for it."""
        if guidance != 1.0:
            condition = replace(condition, against=self.unconditional(condition).expand(len(condition)))
        return condition.to(self.device, self.dtype)

    def unconditional(self, condition: Condition) -> Condition:
        """What guidance leads away from."""
        return self.condition("") if condition.against is None else condition.against

    def noise(self, count: int, *, seed: int = 0) -> Noise:
        """Unit Gaussian noise; item i depends on `(seed, i)` alone, whatever the count and the device."""
        check_counts(count=count)
        rngs = [np.random.default_rng([seed, i]) for i in range(count)]
        drawn = np.stack([rng.standard_normal(self.latent_shape, np.float32) for rng in rngs])
        return torch.from_numpy(drawn).to(self.device)

    def sample(
        self,
        noise: Noise | Inverted,
        caption: Caption | None = None,
        *,
        num_steps: int | None = None,
        method: str | None = None,
        guidance: float | None = None,
        batch_size: int | None = None,
        callback: Callback | None = None,
        progress: bool | str = False,
    ) -> Latents:
        """Carries noise to latents.

        Args:
            noise: unit variance, as `noise` makes it, or what `invert` returns. The latter is sampled as it was made;
                only caption and guidance may be changed, which edits the clip.
            caption: one for all clips, one for each, or a condition made before; default "". Where the condition is an
                image, that image.
            num_steps: steps of the solver; default 25.
            method: see `exactness.METHODS`; default "midpoint".
            guidance: weight of the caption, 1 (default) is the model as trained.
            batch_size: clips at a time; default 16.
            callback: called after each step as `callback(step, level, state)`, batch by batch.
            progress: show a bar; a string names it.

        Returns:
            Latents, for `decode`.

        Raises:
            ValueError: an inverted latent was made by another generator or in another way; what differs is named.
        """
        if isinstance(noise, Inverted):
            self._check_made(noise, num_steps, method=method, batch_size=batch_size)
            trace, method, batch_size = noise.trace, noise.method, noise.batch_size
            levels = torch.tensor(noise.levels, dtype=torch.float64).flip(0)
            caption = noise.condition if caption is None else caption
            guidance = noise.guidance if guidance is None else guidance
        else:
            self.check_latents(noise)
            trace, method = Trace(noise), method or "midpoint"
            batch_size = 16 if batch_size is None else batch_size
            levels = self.levels(25 if num_steps is None else num_steps, noise.shape[1:])
        guidance, last = 1.0 if guidance is None else guidance, spread(levels[-1])
        way = Way(method, levels, guidance, batch_size, callback, progress)
        condition = self._conditions("" if caption is None else caption, trace.noise)

        def carry(velocity: Velocity, states: Tensors, rows: slice) -> Tensor:
            del rows
            options = {"method": way.method, "callback": callback, "progress": progress}
            return exactness.sample(velocity, states["start"], levels, memory=states.get("memory"), **options) / last

        ends = in_batches(self, way, {"start": trace.noise, "memory": trace.memory}, condition, carry)
        return torch.cat(ends).float() if method in exactness.RETRACING else torch.cat(ends)

    def invert(
        self,
        latents: Latents,
        caption: Caption = "",
        *,
        num_steps: int = 25,
        method: str = "midpoint",
        guidance: float = 1.0,
        batch_size: int = 16,
        seed: int = 0,
        callback: Callback | None = None,
        progress: bool | str = False,
    ) -> Inverted:
        """Carries latents to the noise that `sample` carries back to them.

        Args:
            latents: of clips, as `encode` makes them.
            caption, num_steps, guidance, batch_size, callback, progress: as in `sample`; guidance above 1 costs the
                methods that are not exact much of their accuracy, so invert at 1 and edit with guidance.
            method: "midpoint" comes nearest to the true encoding, for analysis; "leapfrog" gives the clip back
                exactly at one call a step, for editing; see `exactness.METHODS` for the rest.
            seed: of the noise that "ddpm" draws; item i depends on `(seed, i)` alone.

        Returns:
            The noise, with all that `sample` needs to retrace the way.
        """
        condition = self._conditions(caption, latents)
        levels = self.levels(num_steps, latents.shape[1:]).flip(0)
        way, last = Way(method, levels, guidance, batch_size, callback, progress), spread(levels[-1])

        def carry(velocity: Velocity, states: Tensors, rows: slice) -> Trace:
            clean = states["start"]
            rngs = [np.random.default_rng([seed, 1, i]) for i in range(rows.start, rows.stop)]

            def draw(step: int) -> Tensor:
                del step  # the generators go on from one step to the next
                drawn = np.stack([rng.standard_normal(clean.shape[1:], np.float32) for rng in rngs])
                return torch.from_numpy(drawn).to(self.device)

            options = {"method": method, "draw": draw, "callback": callback, "progress": progress}
            return exactness.invert(velocity, clean, levels, **options).scaled(1 / last)

        traces = in_batches(self, way, {"start": latents}, condition, carry, capturable=method != "ddpm")
        return Inverted(
            trace=exactness.concatenate(traces),
            method=method,
            levels=tuple(levels.tolist()),
            guidance=guidance,
            condition=condition,
            batch_size=batch_size,
            dtype=str(self.dtype),
            decode_chunk=self.decode_chunk,
            tiles=self.tiles,
            weights=self.fingerprint(),
        )

    def generate(
        self,
        captions: Caption,
        *,
        seed: int = 0,
        num_steps: int = 25,
        method: str = "ddim",
        guidance: float | None = None,
        batch_size: int = 16,
        progress: bool | str = False,
    ) -> Video:
        """Clips of captions: noise from the seed, sampled and decoded.

        Args:
            captions: one or several, or a condition, or images for a model that reads those; a clip for each.
            seed: of the noise; item i depends on `(seed, i)` alone.
            num_steps, batch_size, progress: as in `sample`.
            method: default "ddim", one call of the network a step, which suffices to draw: the figures of the model
                card are measured so. `sample` has "midpoint", two calls, which comes nearer to the true path.
            guidance: None is that of `config`.
        """
        if not isinstance(captions, str) and not len(captions):
            raise ValueError('generate needs a caption at least; "" is one that says nothing')
        condition = self._condition(captions)
        latents = self.sample(
            self.noise(len(condition), seed=seed),
            condition,
            num_steps=num_steps,
            method=method,
            guidance=self.config.guidance if guidance is None else guidance,
            batch_size=batch_size,
            progress=progress,
        )
        return self.decode(latents, batch_size=batch_size)

    def _check_made(
        self, inverted: Inverted, num_steps: int | None, method: str | None, batch_size: int | None
    ) -> None:
        """Raises unless the inverted latent was made by this generator, and in the way asked for, if any."""
        here: dict[str, Any] = {"dtype": str(self.dtype), "weights": self.fingerprint()}
        here |= {"decode_chunk": self.decode_chunk, "tiles": self.tiles}
        if num_steps is not None:
            here["levels"] = tuple(self.levels(num_steps, inverted.noise.shape[1:]).flip(0).tolist())
        if method is not None:
            here["method"] = method
        if batch_size is not None:
            here["batch_size"] = batch_size
        inverted.check(here)

    def _condition(self, caption: Caption) -> Condition:
        """The condition, whichever way it was given."""
        return caption if isinstance(caption, Condition) else self.condition(caption)  # type: ignore[arg-type]

    def _conditions(self, caption: Caption, y: Tensor) -> Condition:
        """One condition for each clip of `y`, which is checked."""
        self.check_latents(y)
        return self._condition(caption).expand(len(y))

    def check_latents(self, latents: Tensor) -> None:
        """Raises unless they are latents of this model: `(batch, channel, frame, height, width)`."""
        channels = self.latent_shape[0]
        if not isinstance(latents, Tensor) or not latents.is_floating_point():
            kind = latents.dtype if isinstance(latents, Tensor) else type(latents).__name__
            raise ValueError(f"latents are a floating-point tensor, got {kind}")
        if latents.ndim != 5 or latents.shape[1] != channels:
            raise ValueError(
                f"latents have axes (batch, {channels}, frame, height, width), got shape {tuple(latents.shape)}"
            )
        if not latents.isfinite().all():
            raise ValueError("latents are finite, got NaN or infinity")
