"""Length and evenness of a path of clips, by a perceptual distance."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.metrics.perceptual import Scores, VideoDistance
from latentlab.shapes import Video


@clear_errors
def ppl(
    path: Callable[[Tensor], Video], distance: VideoDistance, t: Float[Tensor, " point"], *, step: float = 1e-2
) -> Scores:
    """Perceptual path length: distance of clips a small step apart, over the step squared (Karras et al. 2019, eq. 2).

    Args:
        path: positions in [0, 1] to clips, one each.
        distance: such as `lpips`, which grows with the square of a small change.
        t: where to look; the mean over random positions is the published number, the spread says how even the path is.
        step: the published 1e-4 drowns in the rounding of 8-bit or half-precision decoders.

    Returns:
        One length for each position.

    Raises:
        ValueError: positions that leave [0, 1], or a step that is not above 0.

    >>> import torch
    >>> line = lambda t: t.view(-1, 1, 1, 1, 1).expand(-1, 3, 1, 2, 2)
    >>> ppl(line, lambda a, b: (a - b).square().flatten(1).mean(1), torch.tensor([0.0, 0.5])).round(decimals=3)
    tensor([1., 1.])
    """
    t = torch.as_tensor(t)
    if t.ndim != 1 or t.is_complex():
        raise ValueError(f"positions are a row of real numbers, got {t.dtype} of shape {tuple(t.shape)}")
    if not step > 0 or not (bool((t >= 0).all()) and bool((t + step <= 1 + 1e-6).all())):
        raise ValueError(f"positions and positions + step must lie in [0, 1], got {t.tolist()} and step {step}")
    return distance(path(t), path(t + step)) / step**2


@clear_errors
def path_smoothness(path: Callable[[Tensor], Video], distance: VideoDistance, t: Float[Tensor, " point"]) -> float:
    """How uneven a path is: deviation of its speed over its mean speed; 0 is even.

    The spread of the steps, as Guo et al. 2024 (Smooth Diffusion) take it, over their mean, so that a long path is not
    called rough. A path that stands still and jumps once in n steps has sqrt(n - 1).

    Args:
        path: positions in [0, 1] to clips, one each.
        distance: as for `ppl`; its square root over the step is the speed.
        t: positions in order, three at least.

    Raises:
        ValueError: fewer positions, or some that do not increase within [0, 1].

    >>> import torch
    >>> line = lambda t: t.view(-1, 1, 1, 1, 1).expand(-1, 3, 1, 2, 2)
    >>> squared = lambda a, b: (a - b).square().flatten(1).mean(1)
    >>> round(path_smoothness(line, squared, torch.linspace(0, 1, 5)), 4)
    0.0
    """
    t = torch.as_tensor(t)
    if t.ndim != 1 or len(t) < 3 or not bool((t.diff() > 0).all()) or not (t[0] >= 0 and t[-1] <= 1):
        raise ValueError(f"positions must be three or more and increase within [0, 1], got {t.tolist()}")
    clips = path(t)
    speed = distance(clips[:-1], clips[1:]).clamp(min=0).sqrt() / t.diff()
    return float(speed.std(correction=0) / speed.mean()) if speed.any() else 0.0
