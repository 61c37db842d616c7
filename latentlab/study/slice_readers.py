"""Who judges synthetic slices by learning from them: a segmenter of tissues, and a classifier of lesions."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.phantom import LESION, Slices
from latentlab.data.warps import SlicePictures, Tissues, recoloured, warped
from latentlab.train.order import epoch_order

SliceNetwork = TypeVar("SliceNetwork", bound=nn.Module)
Lot = tuple[SlicePictures, Tissues]


class Segmenter(nn.Module):
    """A U-Net (Ronneberger et al. 2015) of 0.12 M weights: `(slice, 1, height, width)` to logits of each tissue."""

    @clear_errors
    def __init__(self, tissues: Count, widths: tuple[Count, ...] = (16, 32, 64)) -> None:
        super().__init__()
        if not len(widths) or any(width % 4 for width in widths):
            raise ValueError(f"widths are one at least, each a multiple of 4, got {widths}")
        self.down = nn.ModuleList(_block(a, b) for a, b in zip((1, *widths), widths, strict=False))
        self.up = nn.ModuleList(_block(a + b, a) for a, b in pairwise(widths))
        self.say = nn.Conv2d(widths[0], tissues + 1, 1)

    def forward(self, pictures: SlicePictures) -> Float[Tensor, "slice tissue height width"]:
        x, skips = pictures, []
        for i, block in enumerate(self.down):
            x = block(F.avg_pool2d(x, 2) if i else x)
            skips.append(x)
        for block, skip in zip(reversed(self.up), reversed(skips[:-1]), strict=True):
            x = block(torch.cat([skip, F.interpolate(x, scale_factor=2, mode="bilinear")], 1))
        return self.say(x)


class LesionClassifier(nn.Module):
    """Four convolutions, the largest of each feature, and one layer: the logit of a lesion, `(slice,)`."""

    @clear_errors
    def __init__(self) -> None:
        super().__init__()
        widths = (1, 16, 32, 32, 64)
        stages = [_conv(a, b, stride=1 + (i > 0)) for i, (a, b) in enumerate(pairwise(widths))]
        self.look = nn.Sequential(*stages)
        self.say = nn.Linear(widths[-1], 1)

    def forward(self, pictures: SlicePictures) -> Float[Tensor, " slice"]:
        return self.say(self.look(pictures).amax((2, 3)))[:, 0]


@clear_errors
def segmentation_loss(network: nn.Module, pictures: SlicePictures, tissues: Tissues) -> Tensor:
    """Cross-entropy, to which air, which is half of all, counts a fifth, and a lesion, which is small, twice."""
    logits = network(pictures)
    weight = torch.ones(logits.shape[1], device=logits.device)
    weight[0], weight[LESION] = 0.2, 2.0
    return F.cross_entropy(logits, tissues, weight)


@clear_errors
def lesion_loss(network: nn.Module, pictures: SlicePictures, tissues: Tissues) -> Tensor:
    """Cross-entropy of having a lesion."""
    return F.binary_cross_entropy_with_logits(network(pictures), (tissues == LESION).any(2).any(1).float())


@clear_errors
def fit_reader(
    network: SliceNetwork,
    loss: Callable[[nn.Module, SlicePictures, Tissues], Tensor],
    own: Lot,
    more: Lot | None,
    *,
    augmented: bool,
    steps: Count,
    seed: Seed,
    batch: Count = 16,
) -> SliceNetwork:
    """Trains on labelled slices, of which half of each batch are `more`, if there are any; every arm as many steps.

    Args:
        network: before its first step.
        loss: of the network, pictures and tissues.
        own, more: pictures in [-1, 1] and their tissues.
        augmented: whether slices are warped and recoloured anew at each step.
        steps: of AdamW.
        seed: of the order, the warps and nothing else.
        batch: slices a step.

    Raises:
        ValueError: pictures and tissues that do not go together, or pictures that are not finite.
    """
    for pictures, tissues in [own] if more is None else [own, more]:
        if not len(pictures) or pictures[:, 0].shape != tissues.shape or not pictures.isfinite().all():
            given = f"{tuple(pictures.shape)} and {tuple(tissues.shape)}"
            raise ValueError(f"a lot is finite pictures (slice, 1, height, width) and their tissues, got {given}")
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    lots = [own] if more is None else [own, more]
    for step in range(steps):
        rng = np.random.default_rng([seed, 11, step])
        picks = [torch.from_numpy(epoch_order(len(lot[0]), batch // len(lots), step, seed)) for lot in lots]
        pictures = torch.cat([lot[0][rows] for lot, rows in zip(lots, picks, strict=True)])
        tissues = torch.cat([lot[1][rows] for lot, rows in zip(lots, picks, strict=True)])
        if augmented:
            pictures, tissues = warped(pictures, tissues, rng)
            pictures = recoloured(pictures, rng)
        value = loss(network, pictures, tissues)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)


@clear_errors
def lot(slices: Slices) -> Lot:
    """SlicePictures in [-1, 1] and tissues, as the readers take them."""
    return slices.pictures.levels(np.arange(len(slices)))[:, :, 0], torch.from_numpy(slices.tissues)


@clear_errors
def dice_by_tissue(network: Segmenter, slices: Slices) -> Float[np.ndarray, "slice tissue"]:
    """Overlap of each tissue in each slice (Dice 1945); NaN where neither the slice nor the network has it."""
    pictures, truth = lot(slices)
    said = torch.cat([network(part).argmax(1) for part in pictures.split(64)])
    found = [_overlap(said == k, truth == k) for k in range(1, len(slices.names) + 1)]
    return torch.stack(found, 1).numpy()


@clear_errors
def lesion_auroc(network: LesionClassifier, slices: Slices) -> float:
    """Chance that a slice with a lesion scores above one without; NaN where all have one, or none."""
    from sklearn.metrics import roc_auc_score

    logits = torch.cat([network(part) for part in lot(slices)[0].split(64)])
    if len(set(slices.pictures.labels.tolist())) < 2:
        return float("nan")
    return float(roc_auc_score(slices.pictures.labels, logits.numpy()))


def _overlap(a: Int[Tensor, "slice height width"], b: Int[Tensor, "slice height width"]) -> Float[Tensor, " slice"]:
    return 2 * (a & b).sum((1, 2)) / (a.sum((1, 2)) + b.sum((1, 2)))


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1), nn.GroupNorm(4, outputs), nn.ReLU())


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(_conv(inputs, outputs), _conv(outputs, outputs))
