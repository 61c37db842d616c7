"""Clips longer than the model's own, by windows of the length that it knows.

Four ways, and none trains anything. "average": at every step the velocity of a long state is the mean of those of
overlapping windows (MultiDiffusion; Bar-Tal et al. 2023). "shuffled": the same from noise whose frames come again in
another order, so that distant windows start alike (FreeNoise; Qiu et al. 2023). "keyframes": near noise, where it is
settled what a clip shows, windows are of distant frames, as in a clip that runs faster; then of ever nearer ones.
"pinned": one window after another, each with the frames that it shares with the last one held to what they are known
to be (Lugmayr et al. 2022).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, Self, get_args

import numpy as np
import torch
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.guides import Guide
from latentlab.generator.model import Model
from latentlab.generator.solver import Velocity
from latentlab.names import Joined
from latentlab.shapes import Latents, Noise, Video
from latentlab.tensors import tensor_digest

APART = 0.6  # flow time down to which the windows of "keyframes" are of distant frames


@dataclass(frozen=True)
class Windows(Guide):
    """The velocity of a long state: the mean of those of its windows (Bar-Tal et al. 2023, eq. 5).

    A window counts most in its middle, so that nothing jumps where one begins. Any number of frames from a window on;
    the network sees one window at a time.

    Args:
        frames: of a window, those of the model's own clips, in latents.
        stride: from one window to the next.
        apart: flow time above which windows take every d-th frame, d falling from the whole clip's at 1 to 1 here;
            1 is never.

    >>> import latentlab as ll
    >>> generator = ll.load(device="cpu")
    >>> noise = long_noise(generator, 1, 24)
    >>> generator.guided(Windows(16, 8)).sample(noise, "a red star", num_steps=1).shape
    torch.Size([1, 6, 24, 8, 8])
    """

    frames: int
    stride: int
    apart: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.frames:
            raise ValueError(f"windows of {self.frames} frames follow at 1 to {self.frames}, got stride={self.stride}")

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        del condition
        weight = torch.tensor([min(i + 1, self.frames - i) for i in range(self.frames)], dtype=torch.float32)

        def joined(y: Tensor, s: float) -> Tensor:
            own = weight.to(y).view(-1, 1, 1)
            total, mass = torch.zeros_like(y), torch.zeros_like(y[:1, :1, :, :1, :1])
            for part in self.parts(y.shape[2]):
                total[:, :, part] += own * velocity(y[:, :, part], s)
                mass[:, :, part] += own
            return total / mass

        def field(y: Tensor, s: float) -> Tensor:
            v, every = torch.empty_like(y), self.every(y.shape[2], s)
            for first in range(every):
                v[:, :, first::every] = joined(y[:, :, first::every].contiguous(), s)
            return v

        return field

    def every(self, length: int, s: float) -> int:
        """How many frames from one of a window to its next, at flow time s.

        >>> [Windows(16, 8, apart=0.6).every(64, s) for s in (1.0, 0.75, 0.6, 0.1)]
        [4, 2, 1, 1]
        """
        if s <= self.apart or length < self.frames:
            return 1
        return round((length // self.frames) ** ((s - self.apart) / (1 - self.apart)))

    def parts(self, length: int) -> list[slice]:
        """The windows of a state of some length; the last ends where it ends.

        >>> [part.start for part in Windows(16, 8).parts(36)]
        [0, 8, 16, 20]
        """
        if length < self.frames:
            raise ValueError(f"a state of {length} frames holds no window of {self.frames}")
        starts = [*range(0, length - self.frames, self.stride), length - self.frames]
        return [slice(start, start + self.frames) for start in starts]

    def settings(self) -> dict[str, Any]:
        return {"guide": "windows", "frames": self.frames, "stride": self.stride, "apart": self.apart}


@dataclass(frozen=True, eq=False)
class Pinned(Guide):
    """The first frames on the straight way to clean latents that are known: v = (y - known) / s.

    A state `(1 - s) known + s noise` stays one, whatever noise it began with, so the network sees those frames at every
    level as it would a clip that had them (the replacement of Lugmayr et al. 2022, eq. 8, along the flow). At s = 0,
    where "heun" alone looks, nothing is left of that noise, and the velocity is the network's.

    Args:
        known: clean latents `(1 or clips, channel, frame, height, width)`.
    """

    known: Latents

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        known = condition.extras["pinned"]

        def field(y: Tensor, s: float) -> Tensor:
            v = velocity(y, s)
            if s == 0:
                return v
            frames = known.shape[2]
            return torch.cat([(y[:, :, :frames] - known.to(y)) / s, v[:, :, frames:]], 2)

        return field

    def settings(self) -> dict[str, Any]:
        return {"guide": "pinned", "known": tensor_digest(self.known)}

    def tensors(self) -> Mapping[str, Tensor]:
        return {"pinned": self.known}


def check_lengthens(guides: Iterable[Guide], own: int, frames: int) -> None:
    """Raises where guides say what each of a model's own frames holds, of a clip of more."""
    if bound := [type(guide).__name__ for guide in guides if guide.by_frame()]:
        raise ValueError(
            f"{', '.join(bound)} tells frame by frame what clips of {own} frames hold, and nothing of {frames}; leave "
            "num_frames out, or go on from the clip by control.extend"
        )


class Samples(Protocol):
    """What a `Generator` is to a long clip: it samples windows, under guides."""

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Of a window."""
        ...

    @property
    def device(self) -> torch.device:
        """Of the weights."""
        ...

    def guided(self, *guides: Guide) -> Self:
        """The same, under guides."""
        ...

    def sample(self, *args: Any, **options: Any) -> Latents:
        """Latents of noise `(batch, channel, frame, height, width)` and a condition."""
        ...


def long_noise(
    generator: Samples, count: int, frames: int, *, seed: int = 0, shuffled: bool = False, stride: int = 8
) -> Noise:
    """Unit noise of any number of latent frames; it begins as that of `generator.noise`, and a longer one goes on.

    Args:
        generator: whose latents they are.
        count: clips; item i depends on `(seed, i)` alone.
        frames: of the latents.
        shuffled: the frames after the first window are those of the window before, `stride` at a time in a new order
            (Qiu et al. 2023, section 3.2).
        stride: see there.

    >>> import latentlab as ll
    >>> generator = ll.load(device="cpu")
    >>> bool((long_noise(generator, 2, 40)[:, :, :16] == generator.noise(2)).all())
    True
    """
    channels, window, *sides = generator.latent_shape
    drawn = np.empty((count, channels, max(frames, window) + window, *sides), np.float32)
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        for at in range(0, drawn.shape[2] - window + 1, window):
            drawn[i, :, at : at + window] = rng.standard_normal((channels, window, *sides), np.float32)
        if shuffled:
            for at in range(window, drawn.shape[2], stride):
                order = np.random.default_rng([seed, i, at]).permutation(min(stride, drawn.shape[2] - at))
                drawn[i][:, at : at + stride] = drawn[i][:, at - window + order]
    return torch.from_numpy(drawn[:, :, :frames]).to(generator.device)


def long_latents(
    generator: Samples,
    condition: Condition,
    frames: int,
    *,
    windows: Joined = "keyframes",
    stride: int | None = None,
    seed: int = 0,
    known: Latents | None = None,
    **options: Any,
) -> Latents:
    """Latents of clips of any length.

    Args:
        generator: whose own clips are the windows.
        condition: for each clip.
        frames: of the latents, a window or more.
        windows: "keyframes", "average", "shuffled" or "pinned", see above.
        stride: from one window to the next; None is half of one.
        seed: of the noise.
        known: the first frames, if they are.
        options: of `Generator.sample`.

    Raises:
        ValueError: fewer frames than a window, another way, or a stride that leaves no frame in common.
    """
    window = generator.latent_shape[1]
    stride = max(1, window // 2) if stride is None else stride
    if windows not in get_args(Joined):
        raise ValueError(f"windows are joined by {', '.join(get_args(Joined))}, got {windows!r}")
    if frames < window:
        raise ValueError(
            f"this model's clips have {window} frames of latents, and a long one at least as many: {frames}"
        )
    if not 1 <= stride < max(window, 2):
        raise ValueError(f"windows of {window} frames share some at strides of 1 to {window - 1}, got {stride}")
    shuffled = windows == "shuffled"
    noise = long_noise(generator, len(condition), frames + window, seed=seed, shuffled=shuffled, stride=stride)
    if windows != "pinned":
        apart = APART if windows == "keyframes" else 1.0
        guides = [Windows(window, stride, apart), *([] if known is None else [Pinned(known)])]
        return generator.guided(*guides).sample(noise[:, :, :frames], condition, **options)
    done = generator.sample(noise[:, :, :window], condition, **options) if known is None else known
    while done.shape[2] < frames:
        shared = min(window - stride, done.shape[2])
        begin = done.shape[2] - shared
        pinned = generator.guided(Pinned(done[:, :, begin:]))
        more = pinned.sample(noise[:, :, begin : begin + window], condition, **options)
        done = torch.cat([done, more[:, :, shared:]], 2)
    return done[:, :, :frames]


def decoded(generator: Model, latents: Latents) -> Iterator[Video]:
    """The clips of latents, a window of frames at a time where the autoencoder takes each frame by itself.

    One whose frames depend on each other decodes them together: the one part is the whole.
    """
    apart = generator.decode_chunk is None
    for part in latents.split(generator.latent_shape[1], 2) if apart else [latents]:
        yield generator.decode(part)


def latent_frames(generator: Model, num_frames: int) -> int:
    """Frames of the latents of a clip of some length, as many for each frame as the model's own clips have.

    Raises:
        ValueError: an autoencoder that takes several frames to one, and a length that it cannot.
    """
    own, latent = generator.config.num_frames, generator.latent_shape[1]
    if own == latent:
        return num_frames
    first = 1 if own % latent else 0  # many take the first frame by itself: 17 to 5
    each = (own - first) // (latent - first)
    if (num_frames - first) % each:
        raise ValueError(f"this autoencoder takes {first} + {each} k frames, got {num_frames}")
    return first + (num_frames - first) // each
