"""Do synthetic slices help whoever has few labelled ones? Against warps, shuffled masks, and as many fresh real slices.

A denoiser of images knows what slices look like from many that nobody labelled. A control branch learns from the few
labelled ones what a map of tissues looks like. Then maps of the labelled slices, warped, are drawn as new slices. What
these are worth is asked of readers that learn from them and are tested on slices of nobody's training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float

from latentlab.checks import Count, Seed, clear_errors
from latentlab.control.branch import Control
from latentlab.data.phantom import Slices, slices_of
from latentlab.data.warps import SlicePictures, warped
from latentlab.generator.image import ImageGenerator
from latentlab.generator.networks.image_control import ImageControl
from latentlab.study.slice_readers import (
    LesionClassifier,
    Lot,
    Segmenter,
    dice_by_tissue,
    fit_reader,
    lesion_auroc,
    lesion_loss,
    lot,
    segmentation_loss,
)

Arm = Literal["labelled", "warps", "synthetic", "warps and synthetic", "shuffled masks", "fresh"]
ARMS: tuple[Arm, ...] = get_args(Arm)


@dataclass(frozen=True)
class ArmScore:
    """What readers learned in one arm.

    Attributes:
        arm: from the labelled slices alone; with classical augmentation; with synthetic slices; with both; with both,
            but each synthetic slice under the tissues of another (a null: what is learned from pictures alone); with
            augmentation and as many fresh real slices with their true tissues (a bound).
        dice: mean over test slices, by tissue.
        auroc: of lesions.
    """

    arm: Arm
    dice: dict[str, float]
    auroc: float

    @property
    def mean_dice(self) -> float:
        """Over the tissues."""
        return float(np.mean(list(self.dice.values())))


@clear_errors
def synthetic_slices(
    generator: ImageGenerator,
    network: ImageControl,
    labelled: Slices,
    count: Count,
    seed: Seed = 0,
    *,
    num_steps: Count = 20,
    strength: float = 1.0,
) -> Slices:
    """New slices for maps of tissues that are warps of labelled ones.

    Args:
        generator: of slices.
        network: its control branch, that knows the tissues.
        labelled: slices whose maps are warped, each about as often.
        count: of new slices.
        seed: of warps and noise.
        num_steps: of `ddim`.
        strength: of the branch.
    """
    pictures, tissues = lot(labelled)
    rng = np.random.default_rng([seed, 5])
    picks = torch.from_numpy(np.resize(rng.permutation(len(labelled)), count))
    _, maps = warped(pictures[picks], tissues[picks], rng)
    control = Control(network, {"classes": maps[:, None, None].float()}, strength)
    drawn = generator.guided(control).generate([""] * count, seed=seed, num_steps=num_steps, batch_size=64)
    grey = (drawn[:, 0, 0].numpy() + 1) / 2
    return slices_of(grey, maps.numpy(), "synthetic slices", labelled.names)


@clear_errors
def augmentation_study(
    labelled: Slices, synthetic: Slices, fresh: Slices, test: Slices, *, steps: Count = 400, seed: Seed = 0
) -> Iterator[ArmScore]:
    """Trains a segmenter and a classifier in each arm, from the same first weights for as many steps, and tests them.

    Args:
        labelled: the few real slices.
        synthetic: made from these.
        fresh: real slices with their tissues, which nobody would have.
        test: slices of nobody's training.
        steps: of each training.
        seed: of first weights, order and warps.
    """
    own, made, real = lot(labelled), lot(synthetic), lot(fresh)
    order = torch.from_numpy(np.random.default_rng([seed, 9]).permutation(len(synthetic)))
    arms: dict[Arm, tuple[Lot | None, bool]] = {
        "labelled": (None, False),
        "warps": (None, True),
        "synthetic": (made, False),
        "warps and synthetic": (made, True),
        "shuffled masks": ((made[0], made[1][order]), True),
        "fresh": (real, True),
    }
    for arm, (more, augmented) in arms.items():
        torch.manual_seed(seed)
        reader, classifier = Segmenter(len(labelled.names)), LesionClassifier()
        fit_reader(reader, segmentation_loss, own, more, augmented=augmented, steps=steps, seed=seed)
        fit_reader(classifier, lesion_loss, own, more, augmented=augmented, steps=steps, seed=seed)
        overlap = np.nanmean(dice_by_tissue(reader, test), 0)
        known = {name: float(v) for name, v in zip(labelled.names, overlap, strict=True) if np.isfinite(v)}
        yield ArmScore(arm, known, lesion_auroc(classifier, test))


@dataclass(frozen=True)
class Privacy:
    """Are synthetic slices copies? Distances are root mean squares over pixels of pictures in [0, 1].

    Attributes:
        synthetic: median distance of synthetic slices to the nearest of the training slices.
        real: the same of fresh real slices, which nobody copied.
        copies: share of synthetic slices that are nearer to a training slice than 99 % of the fresh real ones;
            1 % would be chance.
    """

    synthetic: float
    real: float
    copies: float


@clear_errors
def privacy(synthetic: Slices, fresh: Slices, trained: Sequence[Slices]) -> Privacy:
    """Distances of synthetic slices to all slices that the model has seen, beside those of real ones it has not.

    Args:
        synthetic: slices.
        fresh: real slices of nobody's training.
        trained: all slices of the model's and of the branch's training.

    >>> from latentlab.data import phantoms
    >>> some, others = phantoms(20, seed=0), phantoms(20, seed=1)
    >>> privacy(some, others, [some]).copies  # the very same
    1.0
    """
    if not len(trained):
        raise ValueError("copies of what? `trained` are slices that the model has seen, got none")
    seen = torch.cat([lot(slices)[0] for slices in trained])
    made, real = nearest(lot(synthetic)[0], seen), nearest(lot(fresh)[0], seen)
    return Privacy(float(made.median()), float(real.median()), float((made < real.quantile(0.01)).float().mean()))


@clear_errors
def nearest(pictures: SlicePictures, others: SlicePictures) -> Float[torch.Tensor, " slice"]:
    """Distance of each to the nearest of the others; halved, as [-1, 1] is twice as wide as [0, 1]."""
    for told in (pictures, others):
        if not len(told) or told.shape[1:] != pictures.shape[1:] or not told.isfinite().all():
            raise ValueError(f"pictures are finite and of one size, got {tuple(pictures.shape)}, {tuple(others.shape)}")
    pictures, others, pixels = pictures.float(), others.float(), pictures[0].numel()
    return torch.cdist(pictures.flatten(1), others.flatten(1)).amin(1) / (2 * pixels**0.5)
