"""A reference image, without training: the network looks at its states while it draws."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from latentlab.checks import clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.run import drawing
from latentlab.generator.solver import Velocity
from latentlab.generator.velocity_model import VelocityModel
from latentlab.shapes import Latents, Video, check_video
from latentlab.tensors import tensor_digest

KeysAndValues = list[tuple[Tensor, Tensor]]  # keys and values of each call of self-attention, in order


@dataclass(frozen=True, eq=False)
class Reference(Guide):
    """An image, or a clip, that the network looks at while it draws: reference attention, which needs no training.

    At each flow time s the reference is noised to `(1 - s) clean + s noise` and shown to the network under the same
    caption; in every self-attention the keys and values that it had there are then appended to those of the clip,

        Attention(Q, [K, K_r], [V, V_r]),  with log(weight) beside the logits of K_r,

    so that what is drawn may take its colours and parts from there (Cao et al. 2023, MasaCtrl; AUTOMATIC1111's
    "reference only"). It costs a call of the network more. A network without self-attention, or one that hardly uses
    it, does not hear of the reference; `benchmarks/control.py --reference` measures what the shipped model takes.

    Args:
        image: `(1, 3, 1, height, width)`, held for as long as the clip, or a clip of the generator's length.
        weight: how much the reference's keys count beside the clip's own; 0 leaves the generator as it is, to the bit.
        seed: of the reference's noise.

    Raises:
        ValueError: a weight below 0; on a generator, an image of another size.

    >>> import latentlab as ll
    >>> generator, (clip, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=0)
    >>> generator.guided(Reference(clip[:, :, :1])).generate("", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    image: Video
    weight: float = 1.0
    seed: int = 0
    clean: Latents | None = None  # of the image, once a generator has encoded it
    capturable: ClassVar[bool] = False  # a graph would keep the first run's keys

    @clear_errors
    def __post_init__(self) -> None:
        check_video(image=self.image)
        if not 0 <= self.weight < float("inf"):
            raise ValueError(f"a reference's weight is a number from 0 on, got {self.weight}")

    def bound(self, generator: VelocityModel) -> Reference:
        if not isinstance(generator, Generator):
            raise TypeError(f"a reference is shown to a Generator, got {type(generator).__name__}")
        frames = generator.config.num_frames
        clip = self.image.expand(-1, -1, frames, -1, -1) if self.image.shape[2] == 1 else self.image
        return replace(self, clean=generator.encode(clip))

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        if self.weight == 0:
            return velocity
        clean = condition.extras["clean"]
        noise = drawing([self.seed, 5], slice(0, 1), clean.shape[1:], clean.device)().expand_as(clean)

        def field(y: Tensor, s: float) -> Tensor:
            with Recorded() as seen:
                velocity(torch.lerp(clean, noise, s).to(y), s)
            with Appended(seen.calls, self.weight):
                return velocity(y, s)

        return field

    def settings(self) -> dict[str, Any]:
        image = tensor_digest(self.image)
        return {"guide": "reference", "image": image, "weight": self.weight, "seed": self.seed}

    def tensors(self) -> dict[str, Tensor]:
        return {} if self.clean is None else {"clean": self.clean}


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
    """Appends keys and values that were recorded, call by call."""

    def __init__(self, calls: KeysAndValues, weight: float) -> None:
        super().__init__()
        self.calls, self.bias = iter(calls), torch.tensor(weight).log()

    def at(self, func: Callable[..., Tensor], named: dict[str, Any]) -> Tensor:
        key, value = next(self.calls)
        own = named["key"].shape[-2]
        logits = torch.zeros(named["query"].shape[-2], own + key.shape[-2], dtype=key.dtype, device=key.device)
        if (mask := named.get("attn_mask")) is not None:
            added = (
                torch.zeros_like(mask, dtype=key.dtype).masked_fill(~mask, -torch.inf)
                if mask.dtype == torch.bool
                else mask
            )
            logits = F.pad(added, (0, key.shape[-2])) + logits
        logits[..., own:] += self.bias.to(logits)
        named |= {"key": torch.cat([named["key"], key], -2), "value": torch.cat([named["value"], value], -2)}
        return func(**named | {"attn_mask": logits})
