"""Interpolation learned from a space's own sequences: where the straight line between two frames shows a ghost of
both, the learned path moves what moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.checks import Count, Positive, Seed, WrongKind, clear_errors
from latentlab.interpolate.pair import check_points
from latentlab.weights import read_network, save_weights

ImageBatch = Float[Tensor, "batch channel height width"]
Sequences = Float[Tensor, "clip channel frame height width"]


class Between(nn.Module):
    """`z(t) = lerp(a, b, t) + t (1 - t) f(a, b, t)` with a small residual convolutional network f.

    The ends are exact whatever f says, and f = 0, where training starts, is the straight line.

    Args:
        channels: of the latents.
        width: channels inside.
        blocks: residual blocks.
    """

    @clear_errors
    def __init__(self, channels: int, *, width: int = 64, blocks: int = 4) -> None:
        if min(channels, width, blocks) < 1 or width % 8:
            raise ValueError(
                f"channels, width, blocks are at least 1, width a multiple of 8; got {channels}, {width}, {blocks}"
            )
        super().__init__()
        self.config = {"channels": channels, "width": width, "blocks": blocks}
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(()))
        self.enter = nn.Conv2d(3 * channels + 1, width, 3, padding=1)
        self.blocks = nn.ModuleList(_block(width) for _ in range(blocks))
        self.leave = nn.Conv2d(width, channels, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(cast(Tensor, self.leave.bias))

    def forward(self, a: ImageBatch, b: ImageBatch, t: float | Float[Tensor, " batch"]) -> ImageBatch:
        """Frames at positions `t` in [0, 1] between frames `a` and `b`."""
        if a.shape != b.shape or a.ndim != 4 or a.shape[1] != self.config["channels"]:
            raise ValueError(
                f"need two sets of frames (batch, {self.config['channels']}, height, width), "
                f"got {tuple(a.shape)} and {tuple(b.shape)}"
            )
        at = torch.as_tensor(t, dtype=a.dtype, device=a.device)
        if at.shape not in ((), (1,), (len(a),)):
            raise ValueError(f"need one position, or one for each of {len(a)} frames, got shape {tuple(at.shape)}")
        at = at.expand(len(a))[:, None, None, None]
        if not ((at >= 0) & (at <= 1)).all():
            raise ValueError(f"positions between two frames lie in [0, 1], got {at.flatten().tolist()}")
        straight = torch.lerp(a, b, at)
        seen = torch.cat([straight, a - b, (a + b) / 2], dim=1) / self.scale
        x = self.enter(torch.cat([seen, (2 * at - 1).expand(-1, 1, *a.shape[2:])], dim=1))
        for block in self.blocks:
            x = x + block(x)
        return straight + at * (1 - at) * self.scale * self.leave(x)

    @clear_errors
    def save(self, path: str | Path) -> None:
        """Writes weights and shape to a safetensors file."""
        save_weights(Path(path), self, self.config)

    @staticmethod
    @clear_errors
    def load(path: str | Path) -> Between:
        """Reads what `save` wrote."""
        return read_network(Path(path), lambda config: Between(**config))


@clear_errors
def fit_between(
    sequences: Sequences,
    *,
    span: int = 8,
    steps: Count = 1500,
    batch_size: Count = 64,
    learning_rate: Positive = 2e-3,
    seed: Seed = 0,
    width: int = 64,
    blocks: int = 4,
    progress: bool = False,
) -> Between:
    """Learns to fill in the frames between two frames of real sequences.

    Args:
        sequences: latents of consecutive frames, e.g. `generator.encode(video)`.
        span: frames from the first known one to the second; those between are learned.
        steps, batch_size, learning_rate: of Adam, the rate falling to zero by a cosine.
        seed: of weights and picks.
        width, blocks: of the network.
        progress: show a bar.

    Returns:
        The trained network, on the device of `sequences`.

    Raises:
        ValueError: sequences of the wrong shape, with NaN, or not longer than `span`.

    >>> line = torch.linspace(0, 1, 5)[None, None, :, None, None].expand(8, 1, 5, 4, 4)
    >>> between = fit_between(line, span=4, steps=2)
    >>> bool((between(line[:, :, 0], line[:, :, 4], 0.0) == line[:, :, 0]).all())
    True
    """
    _check(sequences, span)
    sequences = sequences.float()
    if min(steps, batch_size) < 1:
        raise ValueError(f"steps and batch_size are at least 1, got {steps} and {batch_size}")
    clips, channels, frames = sequences.shape[:3]
    device = sequences.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Between(channels, width=width, blocks=blocks).to(device)
    model.scale.copy_(sequences.std().clamp(min=1e-6))
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    rng = np.random.default_rng(seed)
    for _ in tqdm(range(steps), desc="learning to interpolate", disable=not progress or None):
        clip = torch.from_numpy(rng.integers(clips, size=batch_size)).to(device)
        start = torch.from_numpy(rng.integers(frames - span, size=batch_size)).to(device)
        inside = torch.from_numpy(rng.integers(1, span, size=batch_size)).to(device)
        guess = model(sequences[clip, :, start], sequences[clip, :, start + span], inside.float() / span)
        loss = (guess - sequences[clip, :, start + inside]).square().mean() / model.scale**2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


@torch.no_grad()
@clear_errors
def held_out_error(model: Between, sequences: Sequences, *, span: int = 8) -> dict[str, float]:
    """Mean squared errors on the frames between frames `span` apart: of the straight line, learned, and their ratio.

    Args:
        model: what `fit_between` returned.
        sequences: not those it was trained on.
        span: as in training.

    >>> line = torch.linspace(0, 1, 5)[None, None, :, None, None].expand(8, 1, 5, 4, 4)
    >>> between = fit_between(line, span=4, steps=2)
    >>> sorted(held_out_error(between, line, span=4))
    ['learned', 'lerp', 'ratio']
    """
    _check(sequences, span)
    sequences = sequences.float()
    errors = {"lerp": 0.0, "learned": 0.0}
    a, b = sequences[:, :, :-span].transpose(1, 2).flatten(0, 1), sequences[:, :, span:].transpose(1, 2).flatten(0, 1)
    for k in range(1, span):
        truth = sequences[:, :, k : sequences.shape[2] - span + k].transpose(1, 2).flatten(0, 1)
        errors["lerp"] += float((torch.lerp(a, b, k / span) - truth).square().mean()) / (span - 1)
        errors["learned"] += float((model(a, b, k / span) - truth).square().mean()) / (span - 1)
    return {**errors, "ratio": errors["learned"] / max(errors["lerp"], 1e-30)}


@clear_errors
def through(model: Between, keys: Sequence[ImageBatch], positions: Sequence[float]) -> Float[Tensor, "point batch ..."]:
    """The learned path through keyframes: position i + u lies at u between keys i and i + 1.

    Args:
        model: what `fit_between` returned.
        keys: two keyframes or more.
        positions: from 0 to the number of keys less one.

    >>> line = torch.linspace(0, 1, 5)[None, None, :, None, None].expand(8, 1, 5, 4, 4)
    >>> between = fit_between(line, span=4, steps=2)
    >>> keys = [line[:1, :, 0], line[:1, :, 4], line[:1, :, 0]]
    >>> through(between, keys, [0.0, 0.5, 2.0]).shape
    torch.Size([3, 1, 1, 4, 4])
    """
    last = len(keys) - 1
    if not isinstance(keys, Sequence | Tensor):
        raise WrongKind(f"keys are several latents, got a {type(keys).__name__}")
    if last < 1 or not len(positions) or not all(0 <= p <= last for p in positions):
        raise ValueError(f"need two keys or more and positions in [0, keys - 1]; got {len(keys)} and {list(positions)}")
    pieces = [min(int(p), last - 1) for p in positions]
    return torch.stack([model(keys[i], keys[i + 1], p - i) for i, p in zip(pieces, positions, strict=True)])


def _block(width: int) -> nn.Module:
    return nn.Sequential(
        nn.GroupNorm(8, width),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(width, width, 3, padding=1),
    )


def _check(sequences: Tensor, span: int) -> None:
    if not isinstance(sequences, Tensor) or sequences.ndim != 5 or not sequences.numel():
        found = f"shape {tuple(sequences.shape)}" if isinstance(sequences, Tensor) else f"a {type(sequences).__name__}"
        raise ValueError(f"need sequences of latents (clip, channel, frame, height, width), got {found}")
    check_points(sequences)
    if not isinstance(span, int) or not 2 <= span < sequences.shape[2]:
        raise ValueError(f"span must be from 2 to the sequences' length less one, {sequences.shape[2] - 1}; got {span}")
