"""Which path fits a space: what its points look like, and what that means for lerp, slerp and combine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

SHELL = 0.1  # norms that vary by more, relative to their mean, form no shell; unit Gaussian ones do by 0.7 / sqrt(dim)
SHARED = 0.1  # mean cosine above which points are not independent


@dataclass(frozen=True)
class Advice:
    """The geometry of a set of latents, and the path that fits it.

    Attributes:
        use: "lerp", "slerp" or "combine".
        why: the figures that decided it, as a sentence.
        norm: mean norm over sqrt(dim), 1 for unit Gaussian points.
        norm_spread: standard deviation of the norms over the one that unit Gaussian points have; 1 for those.
        shrink: norm of the mean of two points over their own, mean over pairs; sqrt(1/2) for independent Gaussian ones.
        correlation: mean cosine between two points.
        angle: mean angle between two points, degrees.
        mean_share: share of the energy that is in the common mean of all points.
    """

    use: str
    why: str
    norm: float
    norm_spread: float
    shrink: float
    correlation: float
    angle: float
    mean_share: float


def advise(latents: Float[Tensor, "sample ..."]) -> Advice:
    """Looks at the norms and angles of latents and says which path between them stays among them.

    Gaussian noise lies in a thin shell (norms follow the chi law, Leone et al. 1961): between two of its points the
    straight line leaves the shell, and slerp stays in it. Inverted clips of one scene share a component, which shows as
    a correlation: combinations of several must measure it (`combine`). Latents of an autoencoder have widely spread
    norms, no shell, and most of their energy may be in their mean: there the straight line is right.

    Args:
        latents: two samples at least; more make the figures steadier (32 are enough).

    Raises:
        ValueError: fewer than two, or not finite.

    >>> advise(torch.randn(64, 1024, generator=torch.Generator().manual_seed(0))).use
    'slerp'
    """
    x = latents.reshape(len(latents), -1).double()
    if len(x) < 2 or not x.isfinite().all():
        raise ValueError(f"advice needs two finite latents or more, got shape {tuple(latents.shape)}")
    dim = x.shape[1]
    norms = x.norm(dim=1)
    units = x / norms.clamp(min=1e-300)[:, None]
    pairs = torch.triu_indices(len(x), len(x), offset=1)
    cosines = (units @ units.T)[pairs[0], pairs[1]].clamp(-1, 1)
    middles = (0.5 * (1 + cosines)).sqrt()
    vary, correlation = float(norms.std() / norms.mean()), float(cosines.mean())
    if vary > SHELL:
        use, why = "lerp", f"norms vary by {vary:.0%}: there is no shell to stay in"
    elif correlation > SHARED:
        use, why = "combine", f"norms vary by {vary:.1%}, and points share a component (mean cosine {correlation:.2f})"
    else:
        use, why = "slerp", f"norms vary by {vary:.1%}; halfway, a straight line keeps {middles.mean():.2f} of them"
    return Advice(
        use=use,
        why=why,
        norm=float(norms.mean()) / math.sqrt(dim),
        norm_spread=float(norms.std()) / math.sqrt(0.5),  # the chi law's, of many dimensions
        shrink=float(middles.mean()),
        correlation=correlation,
        angle=float(torch.rad2deg(torch.acos(cosines)).mean()),
        mean_share=float(x.mean(0).square().sum() / x.square().sum(1).mean()),
    )
