"""What direction finders there are on the scoreboard, and how each is fitted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from latentlab.directions import (
    ICA,
    LDA,
    PCA,
    ChannelRanking,
    Contrastive,
    DirectionSet,
    Dual,
    Effect,
    JacobianSVD,
    LogisticNormal,
    MeanDifference,
    RidgeNormal,
    SVMNormal,
    Varimax,
    WeightSVD,
)
from latentlab.directions.finder import Finder, Supervised
from latentlab.directions.manipulate import Manipulator
from latentlab.factors import FactorTable
from latentlab.scoreboard.worlds import World

NETWORK = "manipulation network"  # not a direction: it moves every code its own way
# t, R2 and p of each direction take most of a finder's time and are not asked for here.
BARE: dict[str, Any] = {"folds": 0, "permutations": 0}
SUPERVISED: dict[str, Callable[[], Supervised]] = {
    "effect": lambda: Effect(**BARE),
    "dual": lambda: Dual(**BARE),
    "InterFaceGAN": lambda: SVMNormal(**BARE),
    "InterFaceGAN, conditional": lambda: SVMNormal(conditional=True, **BARE),
    "mean difference (Haas)": lambda: MeanDifference(**BARE),
    "mean difference, conditional": lambda: MeanDifference(conditional=True, **BARE),
    "ridge normal": lambda: RidgeNormal(**BARE),
    "logistic normal": lambda: LogisticNormal(**BARE),
    "LDA": lambda: LDA(**BARE),
    "channel ranking (StyleSpace)": lambda: ChannelRanking(**BARE),
}
UNSUPERVISED = ("random", "PCA (GANSpace)", "ICA", "varimax", "SeFa", "Jacobian (Pullback)", "contrastive (LatentCLR)")
_LONG = "a gradient through all of sampling is too long"
UNFIT = {  # why a finder is not tried in a world
    ("SeFa", "oracle"): "the oracle has no layers",
    ("SeFa", "oracle-tanh"): "the oracle has no layers",
    ("SeFa", "noise"): "noise passes the denoiser at every step, not one layer",
    ("SeFa", "h-space"): "what the layer says is added to, and enters what follows in several places",
    ("SeFa", "vector"): "angles of the code enter the decoder as cosine and sine",
} | {
    (finder, space): _LONG
    for finder in ("Jacobian (Pullback)", "contrastive (LatentCLR)")
    for space in ("noise", "h-space")
}


def find(
    finder: str, codes: np.ndarray, factors: FactorTable, world: World, *, seed: int, count: int = 20, steps: int = 300
) -> DirectionSet | Finder | Manipulator:
    """What a finder finds.

    Args:
        finder: its name.
        codes: `(sample, dim)`.
        factors: of the codes; only supervised finders look at them.
        world: that they are of.
        seed: of the finder, and of a synthetic world.
        count: directions of a finder without labels.
        steps: of contrastive learning.

    Raises:
        ValueError: no such finder.
    """
    if finder == NETWORK:
        return Manipulator(random_state=seed).fit(codes, factors)
    if finder in SUPERVISED:
        return SUPERVISED[finder]().fit(codes, factors)
    count = min(count, codes.shape[1])
    if finder == "random":
        drawn = np.random.default_rng([seed, 7]).standard_normal((count, codes.shape[1]))
        return DirectionSet.measured([f"random{i}" for i in range(count)], drawn, codes)
    if finder == "SeFa":
        return sefa(world.first_layer(), codes)
    if finder == "Jacobian (Pullback)":
        return JacobianSVD(function=world.features(seed), count=count, random_state=seed).fit(torch.from_numpy(codes))
    if finder == "contrastive (LatentCLR)":
        learner = Contrastive(features=world.features(seed), count=count, random_state=seed, steps=steps)
        return learner.fit(torch.from_numpy(codes))
    plain = {"PCA (GANSpace)": PCA, "ICA": ICA, "varimax": Varimax}
    if finder not in plain:
        raise ValueError(f"no finder {finder!r}; there are {', '.join((*SUPERVISED, NETWORK, *UNSUPERVISED))}")
    return plain[finder](count=count, random_state=seed).fit(codes)


def sefa(first_layer: np.ndarray, codes: np.ndarray) -> DirectionSet:
    """SeFa on the channels that enter a decoder's first layer `(output, channel)`, the same everywhere in the clip."""
    channels = first_layer.shape[1]
    found = WeightSVD(weights=first_layer, count=channels).fit(np.eye(channels))
    everywhere = np.repeat(found.directions_, codes.shape[1] // channels, axis=1)
    return DirectionSet.measured(found.names_, everywhere, codes)
