"""One good call of each public function of `latentlab.study` about labelled slices."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tiny
import torch
from doors_of_control import Call

from latentlab import study
from latentlab.data import Images, Slices, phantoms
from latentlab.data.phantom import LESION
from latentlab.generator.networks.image_control import ImageControl
from latentlab.study.slice_readers import LesionClassifier, Segmenter


@functools.cache
def _slices(seed: int = 3) -> Slices:
    """Four heads, of which some have a lesion and some have not."""
    return phantoms(4, seed=seed, size=32)


@functools.cache
def _segmenter() -> Segmenter:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Segmenter(LESION, (4, 8)).eval().requires_grad_(False)


@functools.cache
def _classifier() -> LesionClassifier:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LesionClassifier().eval().requires_grad_(False)


@functools.cache
def _small() -> Slices:
    """The same of 8 x 8 pixels, as the tiny generator draws."""
    own = _slices()
    pictures = Images(own.pictures.pixels[:, ::4, ::4], own.pictures.labels, own.pictures.names, "small")
    return Slices(pictures, own.tissues[:, ::4, ::4], own.names)


_images = functools.cache(tiny.images)


@functools.cache
def _branch() -> ImageControl:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ImageControl(_images().denoiser, classes=LESION)


def _pictures() -> torch.Tensor:
    return study.slice_readers.lot(_slices())[0]


def _tissues() -> torch.Tensor:
    return study.slice_readers.lot(_slices())[1]


def _study(**given: Any) -> list[study.augmentation.ArmScore]:
    return [next(study.augmentation.augmentation_study(**given))]  # the first arm of six


def _fitted(**given: Any) -> float:
    network = study.slice_readers.fit_reader(**{"network": Segmenter(LESION, (4, 8)), **given})
    return float(network.say.weight.sum())


LEFT_OUT = {
    **dict.fromkeys(("ArmScore", "Privacy"), "results"),
    **dict.fromkeys(("Segmenter.forward", "LesionClassifier.forward"), "a network; `dice_by_tissue` asks it"),
    **dict.fromkeys(("lesion_loss", "segmentation_loss"), "what `fit_reader` asks at each step"),
    "LesionClassifier": "a network, made of nothing",
}
CALLS: dict[str, Callable[[], Call]] = {
    "synthetic_slices": lambda: (
        study.augmentation.synthetic_slices,
        {
            "generator": _images(),
            "network": _branch(),
            "labelled": _small(),
            "count": 2,
            "seed": 0,
            "num_steps": 1,
            "strength": 1.0,
        },
    ),
    "augmentation_study": lambda: (
        _study,
        {
            "labelled": _slices(),
            "synthetic": _slices(4),
            "fresh": _slices(5),
            "test": _slices(6),
            "steps": 1,
            "seed": 0,
        },
    ),
    "privacy": lambda: (
        study.augmentation.privacy,
        {"synthetic": _slices(), "fresh": _slices(4), "trained": [_slices(5)]},
    ),
    "nearest": lambda: (study.augmentation.nearest, {"pictures": _pictures(), "others": _pictures()}),
    "Segmenter": lambda: (Segmenter, {"tissues": 2, "widths": (4, 8)}),
    "lot": lambda: (study.slice_readers.lot, {"slices": _slices()}),
    "fit_reader": lambda: (
        _fitted,
        {
            "loss": study.slice_readers.segmentation_loss,
            "own": (_pictures(), _tissues()),
            "more": None,
            "augmented": True,
            "steps": 1,
            "seed": 0,
            "batch": 2,
        },
    ),
    "dice_by_tissue": lambda: (study.slice_readers.dice_by_tissue, {"network": _segmenter(), "slices": _slices()}),
    "lesion_auroc": lambda: (study.slice_readers.lesion_auroc, {"network": _classifier(), "slices": _slices()}),
}
