"""Reference images, without training: the network looks at their states while it draws."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlab.checks import Seed, clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.run import drawing
from latentlab.generator.solver import Velocity
from latentlab.generator.velocity_model import VelocityModel
from latentlab.quoted import shown
from latentlab.shapes import Latents, Video, check_video, in_a_line
from latentlab.tensors import tensor_digest

_LOOKING: ContextVar[bool] = ContextVar("looking", default=False)  # a second guide would record the first one's run
KeysAndValues = list[tuple[Tensor, Tensor]]  # keys and values of each call of self-attention, in order


def weighed(images: Video | Sequence[Video], weight: float | Sequence[float]) -> list[tuple[Video, float]]:
    """Images and weights, in an order of their own, so that sums round alike however they were given."""
    images = [images] if isinstance(images, Tensor) else list(images)
    if strange := [image for image in images if not isinstance(image, Tensor)]:
        raise ValueError(f"images are tensors (batch, 3, frame, height, width), got {shown(strange[0])}")
    each = np.asarray(weight, float).tolist() if weight is not None else weight  # which numpy takes for NaN
    weights: list[Any] = each if isinstance(each, list) else [each] * len(images)
    if len(weights) != len(images):
        raise ValueError(f"{len(images)} images have one weight for all or one for each, got {len(weights)}")
    pairs = [(image, float(weight)) for image, weight in zip(images, weights, strict=True)]
    return sorted(pairs, key=lambda pair: (tensor_digest(pair[0]), pair[1]))


@clear_errors
@dataclass(frozen=True, eq=False)
class Reference(Guide):
    """Images, or clips, that the network looks at while it draws: reference attention, which needs no training.

    At each flow time s each reference is noised to `(1 - s) clean + s noise` and shown to the network under the same
    caption; in every self-attention the keys and values that it had there are then appended to those of the clip,

        Attention(Q, [K, K_1, K_2, ...], [V, V_1, V_2, ...]),  with log(weight_r) beside the logits of K_r,

    so that what is drawn may take its colours and parts from there (Cao et al. 2023, MasaCtrl; AUTOMATIC1111's
    "reference only"). It costs a call of the network for each reference. The order of the references changes nothing,
    to the bit. A network without self-attention, or one that hardly uses it, does not hear of them;
    `benchmarks/control.py --reference` measures what the shipped model takes.

    Args:
        image: `(1, 3, 1, height, width)`, held for as long as the clip, or a clip of the generator's length; one or
            several.
        weight: how much a reference's keys count beside the clip's own, of all or of each; 0 leaves it out, and all 0
            leave the generator as it is, to the bit.
        seed: of the references' noise, which depends on nothing else.

    Raises:
        ValueError: no image, a weight below 0, as many weights as there are not images; on a generator, an image of
            another size.

    >>> import latentlab as ll
    >>> generator, (clips, _) = ll.load(device="cpu"), ll.data.moving_shapes(2, seed=0)
    >>> images = clips[:1, :, :1], clips[1:, :, :1]
    >>> generator.guided(Reference(images, weight=(1.0, 0.5))).generate("", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    image: Video | Sequence[Video]
    weight: float | Sequence[float] = 1.0
    seed: Seed = 0
    clean: Sequence[Latents] = ()  # of the images, once a generator has encoded them
    capturable: ClassVar[bool] = False  # a graph would keep the first run's keys

    __repr__ = in_a_line

    def __post_init__(self) -> None:
        pairs = self._pairs()
        if not pairs:
            raise ValueError("a reference is one image at least, got none")
        for image, weight in pairs:
            check_video(image=image)
            if not 0 <= weight < float("inf"):
                raise ValueError(f"a reference's weight is a number from 0 on, got {weight}")

    def _pairs(self) -> list[tuple[Video, float]]:
        return weighed(self.image, self.weight)

    def bound(self, generator: VelocityModel) -> Reference:
        if not isinstance(generator, Generator):
            raise TypeError(f"a reference is shown to a Generator, got {type(generator).__name__}")
        frames = generator.config.num_frames
        clips = [x.expand(-1, -1, frames, -1, -1) if x.shape[2] == 1 else x for x, _ in self._pairs()]
        return replace(self, clean=tuple(generator.encode(clip) for clip in clips))

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        weights = [weight for _, weight in self._pairs()]
        cleans = [condition.extras[f"clean.{i}"] for i in range(len(self.clean))]
        shown = [(clean, weight) for clean, weight in zip(cleans, weights, strict=True) if weight]
        if not shown:
            return velocity
        noise = drawing([self.seed, 5], slice(0, 1), cleans[0].shape[1:], cleans[0].device)()

        def field(y: Tensor, s: float) -> Tensor:
            if _LOOKING.get():
                raise ValueError("references that are looked at together are one guide: Reference((a, b), (1.0, 0.5))")
            token = _LOOKING.set(True)
            try:
                calls = []
                for clean, weight in shown:
                    with Recorded() as seen:
                        velocity(torch.lerp(clean, noise.expand_as(clean), s).to(y), s)
                    calls.append((seen.calls, weight))
                with Appended(calls):
                    return velocity(y, s)
            finally:
                _LOOKING.reset(token)

        return field

    def settings(self) -> dict[str, Any]:
        shown = [[tensor_digest(image), weight] for image, weight in self._pairs()]
        return {"guide": "reference", "images": shown, "seed": self.seed}

    def tensors(self) -> dict[str, Tensor]:
        return {f"clean.{i}": clean for i, clean in enumerate(self.clean)}


class SelfAttention(TorchFunctionMode):
    """What happens at each call of scaled dot-product attention whose queries are as many as its keys."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        named: dict[str, Any] = dict(zip(("query", "key", "value", "attn_mask"), args, strict=False)) | (kwargs or {})
        if named["query"].shape[-2] != named["key"].shape[-2]:
            return func(**named)
        return self.at(func, named)

    def at(self, func: Callable[..., Tensor], named: dict[str, Any]) -> Tensor:
        """One such call, its arguments by name."""
        raise NotImplementedError


class Recorded(SelfAttention):
    """Keeps keys and values."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: KeysAndValues = []

    def at(self, func: Callable[..., Tensor], named: dict[str, Any]) -> Tensor:
        self.calls.append((named["key"], named["value"]))
        return func(**named)


class Appended(SelfAttention):
    """Appends keys and values that were recorded, call by call, of each reference with its weight."""

    def __init__(self, references: Sequence[tuple[KeysAndValues, float]]) -> None:
        super().__init__()
        self.calls = zip(*(calls for calls, _ in references), strict=True)
        self.bias = [math.log(weight) for _, weight in references]

    def at(self, func: Callable[..., Tensor], named: dict[str, Any]) -> Tensor:
        key, value, seen = named["key"], named["value"], next(self.calls)
        own, of = key.shape[-2], [k.shape[-2] for k, _ in seen]
        logits = torch.zeros(named["query"].shape[-2], own + sum(of), dtype=key.dtype, device=key.device)
        if (mask := named.get("attn_mask")) is not None:
            added = (
                torch.zeros_like(mask, dtype=key.dtype).masked_fill(~mask, -torch.inf)
                if mask.dtype == torch.bool
                else mask
            )
            logits = F.pad(added, (0, sum(of))) + logits
        bias = torch.tensor(self.bias).repeat_interleave(torch.tensor(of))
        logits[..., own:] += bias.to(logits)
        named |= {"key": torch.cat([key, *(k for k, _ in seen)], -2)}
        named |= {"value": torch.cat([value, *(v for _, v in seen)], -2)}
        return func(**named | {"attn_mask": logits})
