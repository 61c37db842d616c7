"""Reference images, told to a trained network beside the caption."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.control.reference import weighed
from latentlab.generator.adapted import on
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.guides import Guide
from latentlab.generator.lock import alone
from latentlab.generator.model import Model
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.beside import read_beside
from latentlab.generator.networks.reference import ReferenceNetwork, looked_at
from latentlab.generator.solver import Velocity
from latentlab.shapes import Video, check_video, in_a_line
from latentlab.tensors import tensor_digest
from latentlab.weights import fingerprint


@clear_errors
@dataclass(frozen=True, eq=False)
class ImagePrompt(Guide):
    """Reference images beside the caption, by decoupled cross-attention (Ye et al. 2023, IP-Adapter).

    What the model's CLIP sees in each image is told to the denoiser as tokens of its own, see `ReferenceNetwork`.
    Weights add up, and the order of the images changes nothing, to the bit. With all weights 0 the generator is as it
    was. For `Reference`, which shows an image to any network's self-attention, nothing is trained.

    Args:
        network: trained by `latentlab train reference`, see `read_reference`.
        images: clips or images `(1 or batch, 3, frame, height, width)`, one or several.
        weight: of all, or of each. With a caption beside, about half.
        levels: flow times between which they act.

    Raises:
        ValueError: no image, as many weights as there are not images; on a generator, a network of another one.

    >>> import latentlab as ll
    >>> generator, (clip, _) = ll.load(device="cpu"), ll.data.moving_shapes(1, seed=0)
    >>> network = ReferenceNetwork(generator.denoiser, embed_dim=128)  # not trained: it changes nothing
    >>> generator.guided(ImagePrompt(network, clip[:, :, :1])).generate("", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    network: ReferenceNetwork
    images: Video | Sequence[Video]
    weight: float | Sequence[float] = 1.0
    levels: tuple[float, float] = (1.0, 0.0)
    seen: Sequence[Tensor] = ()  # by CLIP, once a generator has looked

    __repr__ = in_a_line

    def __post_init__(self) -> None:
        pairs = self._pairs()
        if not pairs:
            raise ValueError("an image prompt is of one image at least, got none")
        for image, weight in pairs:
            check_video(image=image)
            if not math.isfinite(weight):
                raise ValueError(f"the weight of an image is a finite number, got {weight}")
        high, low = self.levels
        if not 0 <= low <= high <= 1:
            raise ValueError(f"levels are a range of flow times, from high to low as (1, 0.5), got {self.levels}")

    def _pairs(self) -> list[tuple[Video, float]]:
        return weighed(self.images, self.weight)

    def bound(self, generator: Model) -> ImagePrompt:
        if not isinstance(generator, NativeGenerator) or generator.denoiser is not self.network.denoiser:
            raise ValueError("an image prompt works on the generator its network was read for, see read_reference")
        return replace(self, seen=tuple(looked_at(generator, image) for image, _ in self._pairs()))

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        weights = [weight for _, weight in self._pairs()]
        heard = [i for i, weight in enumerate(weights) if weight]
        images = [condition.extras[f"image.{i}"] for i in heard]
        high, low = self.levels

        def field(y: Tensor, s: float) -> Tensor:
            if not heard or not low <= s <= high:
                return velocity(y, s)
            with alone(self.network.denoiser), on(self.network.updates(images, [weights[i] for i in heard])):
                return velocity(y, s)

        return field

    def settings(self) -> dict[str, Any]:
        told = [[tensor_digest(image), weight] for image, weight in self._pairs()]
        return {"guide": "image-prompt", "network": fingerprint(self.network), "images": told, "levels": [*self.levels]}

    def tensors(self) -> Mapping[str, Tensor]:
        return {f"image.{i}": seen for i, seen in enumerate(self.seen)}


@clear_errors
def read_reference(path: str | Path | None, generator: Generator) -> ReferenceNetwork:
    """The network of a file that `latentlab train reference` wrote.

    Args:
        path: of the file, or of the run's folder; None is the one that ships with it, if one does.
        generator: that it was trained for.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another network, or for another denoiser; None for one of which none ships.
    """
    network = read_beside(
        path, generator, "reference", lambda denoiser, h: ReferenceNetwork(denoiser, h["embed_dim"], h["tokens"])
    )
    return network.to(generator.dtype)
