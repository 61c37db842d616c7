"""A control branch of an image denoiser: what it hears of the class of each pixel."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from latentlab.generator.blocks import zero
from latentlab.generator.networks.beside import Held
from latentlab.generator.networks.image import ImageDenoiser
from latentlab.weights import fingerprint


class ImageControl(nn.Module):
    """A branch beside a frozen image denoiser that tells it what each pixel is to be (Zhang et al. 2023, ControlNet).

    As `ControlNetwork` is to the denoiser of clips, with pictures of classes alone: F the encoder half, F' a copy that
    is trained, Z convolutions that begin as zero; the decoder half is given F(x) + strength Z(F'(x + h)), eq. 2.

    Args:
        denoiser: that it belongs to, of images; neither copied, trained nor saved with it.
        classes: of the pictures, without the background.

    >>> from latentlab.generator.networks.image import ImageDenoiserConfig
    >>> network = ImageControl(ImageDenoiser(ImageDenoiserConfig(widths=(32, 64))), classes=5)
    >>> network.kinds
    ('classes',)
    """

    kinds: ClassVar[tuple[str, ...]] = ("classes",)

    def __init__(self, denoiser: ImageDenoiser, classes: int) -> None:
        super().__init__()
        c, width = denoiser.config, denoiser.config.widths[0]
        if c.num_frames != 1:
            raise ValueError(f"a control branch stands beside a denoiser of images, got one of {c.num_frames} frames")
        self._held = Held(denoiser)
        self.classes = classes
        self.hint = nn.Sequential(
            nn.Conv2d(classes * c.patch**2, width, 1), nn.SiLU(), nn.Conv2d(width, width, 3, padding=1)
        )
        self.twin = copy.deepcopy(denoiser).requires_grad_(True)
        del self.twin.up, self.twin.grow, self.twin.leave, self.twin.enter, self.twin.time, self.twin.label
        widths = [w for w in c.widths for _ in range(c.blocks)] + [c.widths[-1]]
        self.zeros = nn.ModuleList(zero(nn.Conv2d(w, w, 1)) for w in widths)

    @property
    def denoiser(self) -> ImageDenoiser:
        """That it belongs to."""
        return self._held.denoiser

    @contextmanager
    def on(
        self, pictures: Mapping[str, Tensor], weights: Mapping[str, float | Tensor], strength: float = 1.0
    ) -> Iterator[None]:
        """The denoiser hears of the pictures, for as long as the block lasts; whoever shares it holds it, see `alone`.

        Args:
            pictures: "classes", `(batch, class, 1, height, width)`, 1 where a pixel is of the class.
            weights: "classes", of the picture.
            strength: of the whole.
        """
        dtype = next(self.parameters()).dtype
        told = weights["classes"] * pictures["classes"][:, :, 0].to(dtype)
        h = self.hint(F.pixel_unshuffle(told, self.denoiser.config.patch))

        def branch(x: Tensor, embedding: Tensor, frames: int) -> list[Tensor]:
            own = h.repeat(len(x) // len(h), 1, 1, 1)  # without a class, guidance asks for the same
            features = self.twin.descend(x + own, embedding, frames)
            return [strength * through(f) for through, f in zip(self.zeros, features, strict=True)]

        before = self.denoiser.beside
        self.denoiser.beside = (*before, branch)
        try:
            yield
        finally:
            self.denoiser.beside = before

    def header(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        return {"kind": "image-control", "classes": self.classes, "base": fingerprint(self.denoiser)}
