"""A control branch: what a denoiser hears of masks, sketches, boxes, flow, classes and depth."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from latentlab.generator.adapted import on
from latentlab.generator.blocks import zero
from latentlab.generator.denoiser import Denoiser
from latentlab.generator.networks.beside import Beside
from latentlab.weights import fingerprint

KINDS: tuple[str, ...] = ("mask", "sketch", "box", "flow", "classes", "depth")
ControlPictures = Mapping[str, Tensor]  # `(batch, channel, frame, height, width)` by kind


class ControlNetwork(Beside):
    """A branch beside a frozen denoiser that tells it where things are (Zhang et al. 2023, ControlNet).

    With F the encoder half of the denoiser, and middle, F' a copy of it that is trained, h what is made of the
    pictures, and Z convolutions that begin as zero, the decoder half is given (their eq. 2, for each feature)

        F(x) + strength Z(F'(x + h)),

    so that before the first step of training, and at strength 0, the denoiser is as it was to the bit. With a rank
    there is no copy: h goes in at the denoiser's own entrance, through a convolution that begins as zero, and all
    layers have low-rank updates (Hu et al. 2022), a tenth of the weights.

    One branch serves all kinds: h is made of the sum of one convolution a kind, over those that are given.

    Args:
        denoiser: that it belongs to, a U-Net; frozen.
        ratio: pixels to a latent, each way.
        classes: of the pictures of classes, without the background.
        rank: of the low-rank form; 0 is the copy.

    >>> network = ControlNetwork(Denoiser(), ratio=8, rank=4)
    >>> sum(p.numel() for p in network.parameters()) < 500_000
    True
    """

    kinds: ClassVar[tuple[str, ...]] = KINDS

    def __init__(self, denoiser: Denoiser, ratio: int, classes: int = 5, rank: int = 0) -> None:
        super().__init__(denoiser)
        c, width = denoiser.config, denoiser.config.widths[0]
        self.ratio, self.classes = ratio, classes
        channels = {kind: {"flow": 2, "classes": classes}.get(kind, 1) for kind in KINDS}
        held = c.frame_patch * ratio**2  # pixels in one place of the features
        self.see = nn.ModuleDict({kind: nn.Conv2d(n * held, width, 1) for kind, n in channels.items()})
        last = nn.Conv2d(width, width, 3, padding=1)
        if rank:  # the copy ends in zeros anyway, and learns sooner what it hears if it hears it from the first step on
            zero(last)
        self.hint = nn.Sequential(nn.SiLU(), nn.Conv2d(width, width, 3, padding=1), nn.SiLU(), last)
        self.begin_low_rank(rank)
        if not rank:
            self.twin = copy.deepcopy(denoiser).requires_grad_(True)
            del self.twin.up, self.twin.grow, self.twin.leave
            widths = [w for w in c.widths for _ in range(c.blocks)] + [c.widths[-1]]
            self.zeros = nn.ModuleList(zero(nn.Conv2d(w, w, 1)) for w in widths)

    def heard(self, pictures: ControlPictures, weights: Mapping[str, float | Tensor]) -> Tensor:
        """h: what is made of the pictures of some kinds, `(batch * patch, width, height, width)` on the latents' grid.

        Args:
            pictures: of each kind, as `control.Control` makes them of a user's.
            weights: of the kinds that are given; one number, or one for each clip.
        """
        p, r = self.denoiser.config.frame_patch, self.ratio
        total: Any = 0
        for kind, weight in weights.items():
            told = rearrange(pictures[kind], "b c (f p) (h y) (w x) -> (b f) (p c y x) h w", p=p, y=r, x=r)
            seen = self.see[kind](told.to(next(self.parameters()).dtype))
            if isinstance(weight, Tensor):
                weight = weight.to(seen).repeat_interleave(len(seen) // len(weight))[:, None, None, None]
            total = total + weight * seen
        return self.hint(total)

    @contextmanager
    def on(
        self, pictures: ControlPictures, weights: Mapping[str, float | Tensor], strength: float = 1.0
    ) -> Iterator[None]:
        """The denoiser hears of the pictures, for as long as the block lasts; whoever shares it holds it, see `alone`.

        Args:
            pictures, weights: as in `heard`.
            strength: of the whole.
        """
        denoiser, h = self.denoiser, self.heard(pictures, weights)
        if self.rank:
            updates = [(denoiser.enter, Entered(h)), *self.low_rank()]
            with on([(layer, update, strength) for layer, update in updates]):
                yield
            return

        def branch(x: Tensor, *told: Any) -> Sequence[Tensor]:
            scene = self.twin.scene(*told)
            features = self.twin.descend(self.twin.enter(x) + _for(h, x), scene)
            return [strength * through(f) for through, f in zip(self.zeros, features, strict=True)]

        before = denoiser.beside
        denoiser.beside = (*before, branch)
        try:
            yield
        finally:
            denoiser.beside = before

    def header(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        settings = {"ratio": self.ratio, "classes": self.classes, "rank": self.rank}
        return {"kind": "control", **settings, "base": fingerprint(self.denoiser)}


@dataclass(frozen=True)
class Entered:
    """What is added behind the denoiser's first layer."""

    h: Tensor

    def of(self, layer: nn.Module, x: Tensor) -> Tensor:
        del layer
        return _for(self.h, x)


def _for(h: Tensor, x: Tensor) -> Tensor:
    """h for each row of x: the empty caption of guidance is told the same."""
    return h.to(x).repeat(len(x) // len(h), 1, 1, 1)


def one_hot(numbers: Tensor, classes: int) -> Tensor:
    """A picture of each class, without the background's, of one of class numbers `(batch, 1, frame, height, width)`.

    >>> import torch
    >>> one_hot(torch.tensor([0.0, 1, 2]).view(1, 1, 1, 1, 3), 2)[0, :, 0, 0]
    tensor([[0., 1., 0.],
            [0., 0., 1.]])
    """
    return F.one_hot(numbers.long()[:, 0], classes + 1).movedim(-1, 1)[:, 1:].float()
