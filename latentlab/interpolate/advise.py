"""Which path fits a space: what its points look like, and what that means for lerp, slerp and combine."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors

SHARED = 0.1  # mean cosine above which points are not independent
DEPTH = 3.0  # in standard deviations of the norms: a line whose middle lies deeper leaves the shell, however thick
TINY = 1e-300


@dataclass(frozen=True)
class Advice:
    """The geometry of a set of latents, and the path that fits it; all but the means is of what they leave.

    Attributes:
        use: "lerp", "slerp" or "combine".
        why: the figures that decided it, as a sentence.
        norm: mean norm over sqrt(dim), 1 for unit Gaussian points.
        norm_spread: spread of the norms, relative to their mean, over that of the chi law; 1 for Gaussian points.
        chi_band: where `norm_spread` of so many Gaussian points lies in 99 of 100 draws.
        depth: how far the middle of a straight line lies below the norms of the points, in their standard deviations.
        shrink: norm of the mean of two points over their own, mean over pairs; sqrt(1/2) for independent Gaussian ones.
        correlation: mean cosine between two points.
        angle: mean angle between two points, degrees.
        means: of each channel, over points and places.
        mean_share: share of the energy that is in those means.
    """

    use: str
    why: str
    norm: float
    norm_spread: float
    chi_band: tuple[float, float]
    depth: float
    shrink: float
    correlation: float
    angle: float
    means: tuple[float, ...]
    mean_share: float


@clear_errors
def advise(latents: Float[Tensor, "sample channel ..."]) -> Advice:
    """Looks at the norms and angles of latents and says which path between them stays among them.

    The means of the channels come off first: they are no direction that points share, and a turn about the origin would
    carry them away. Where most of the energy is in them, the straight line is right. Of the rest:

    - Gaussian noise lies in a shell (norms follow the chi law, Leone et al. 1961). Between two of its points the
      straight line leaves the shell, and slerp stays in it. Norms that vary more than that law allows form a shell only
      if the line's middle still lies far below them; those of an autoencoder's latents form none: the straight line.
    - Inverted clips of one scene share a component, which shows as a correlation: combinations of several must measure
      it (`combine`).

    Args:
        latents: two samples at least, codes `(sample, dim)`, which are one channel, or with axes after the channels;
            more make the figures steadier (32 are enough).

    Raises:
        ValueError: no tensor, fewer than two, not finite, or all zero.

    >>> advise(torch.randn(64, 1024, generator=torch.Generator().manual_seed(0))).use
    'slerp'
    """
    if not isinstance(latents, Tensor) or latents.ndim < 2:
        found = f"shape {tuple(latents.shape)}" if isinstance(latents, Tensor) else f"a {type(latents).__name__}"
        raise ValueError(f"advice needs one tensor of latents (sample, ...), see torch.stack; got {found}")
    if len(latents) < 2 or not latents.isfinite().all() or not latents.any():
        raise ValueError(f"advice needs two finite latents or more, not all zero; got shape {tuple(latents.shape)}")
    x = latents.flatten(2).double() if latents.ndim > 2 else latents.double()[:, None]
    means = x.mean((0, 2))
    mean_share = float(means.square().mean() / x.square().mean())
    rest = (x - means[:, None]).flatten(1)
    count, dim = rest.shape
    norms = rest.norm(dim=1)
    units = rest / norms.clamp(min=TINY)[:, None]
    pairs = torch.triu_indices(count, count, offset=1)
    cosines = (units @ units.T)[pairs[0], pairs[1]].clamp(-1, 1)
    norm, correlation, shrink = (float(v.mean()) for v in (norms, cosines, (0.5 * (1 + cosines)).sqrt()))
    vary = float(norms.std()) / max(norm, TINY)
    norm_spread, depth, band = vary / _chi_spread(dim), (1 - shrink) / max(vary, 1e-9), _chi_band(count)
    chance = 3 / math.sqrt(dim * len(cosines))  # three standard deviations of the mean cosine of independent points
    usual = f"{band[0]:.2f} to {band[1]:.2f} for {count} points"
    law = f"norms vary {norm_spread:.2f} times as much as by the chi law ({usual})"
    inside = f"a line's middle lies {depth:.3g} of their deviations below"
    if mean_share > 0.5:
        use, why = "lerp", f"{mean_share:.0%} of the energy is in the channels' means, which a turn would carry away"
    elif norm_spread > band[1] and depth < DEPTH:
        use, why = "lerp", f"{law}, and {inside}: there is no shell to stay in"
    elif correlation > max(SHARED, chance):
        use, why = "combine", f"{law}, {inside}, and points share a component (mean cosine {correlation:.2f})"
    else:
        use, why = "slerp", f"{law}, and {inside}, where it keeps {shrink:.2f} of them"
    if use != "lerp" and mean_share > SHARED:
        why += f"; take the channels' means off first, they hold {mean_share:.0%} of the energy"
    return Advice(
        use=use,
        why=why,
        norm=norm / math.sqrt(dim),
        norm_spread=norm_spread,
        chi_band=band,
        depth=depth,
        shrink=shrink,
        correlation=correlation,
        angle=float(torch.rad2deg(torch.acos(cosines)).mean()),
        means=tuple(means.tolist()),
        mean_share=mean_share,
    )


def _chi_spread(dim: int) -> float:
    """Standard deviation over mean of the norm of Gaussian noise, by the chi law's series; 2 % off at dim 2."""
    return math.sqrt(dim / (dim - 0.5 + 0.125 / dim) - 1)


def _chi_band(count: int) -> tuple[float, float]:
    """Where the measured spread of `count` normal values, over the true one, lies in 99 of 100 draws."""
    from scipy.stats import chi2

    low, high = chi2.ppf((0.005, 0.995), count - 1) / (count - 1)
    return math.sqrt(low), math.sqrt(high)
