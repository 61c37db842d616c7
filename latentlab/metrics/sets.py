"""Two sets of clips compared: a distance with all that is needed to believe it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.metrics.features import Features
from latentlab.metrics.frechet import check_pair, frechet, frechet_infinity, too_few
from latentlab.metrics.kernel import kernel_gap
from latentlab.shapes import Video

MEASURES: dict[str, Callable[[Tensor, Tensor], float]] = {"frechet": frechet, "kernel": kernel_gap}
Clips = Video | Iterable[Video]


@dataclass(frozen=True)
class Comparison:
    """A distance between two sets.

    Attributes:
        name: measure and features, such as "frechet(i3d)".
        value: the distance.
        samples: how many on each side.
        dim: width of the features.
        floor: the same distance between two parts of the reference, which differ in nothing; None below 4 samples.
        floor_samples: sizes of those parts.
        interval: 95 % by the bootstrap; None if not asked for.
        infinity: a Frechet distance extrapolated to endless samples, as FVD-infinity; None below 2 (dim + 1) samples.
        settings: features, preprocessing, fingerprint of the weights, frames and size of the clips, seed.
        warning: "" or what to mind.
    """

    name: str
    value: float
    samples: tuple[int, int]
    dim: int
    floor: float | None
    floor_samples: tuple[int, int]
    interval: tuple[float, float] | None
    infinity: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    warning: str = ""

    def __str__(self) -> str:
        floor = "" if self.floor is None else f", floor {self.floor:.4g}"
        interval = "" if self.interval is None else f" [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"
        return f"{self.name} {self.value:.4g}{interval}{floor}, n {self.samples[0]} and {self.samples[1]}"


def compare(
    features: Float[Tensor, "sample dim"],
    reference: Float[Tensor, "other dim"],
    *,
    measure: str = "frechet",
    name: str = "",
    bootstrap: int = 100,
    splits: int = 5,
    seed: int = 0,
    progress: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Comparison:
    """Distance of two sets of features, with the floor it has for equal sets and its interval.

    The floor is the mean distance of disjoint random parts of the reference, as large as the two sets where it has
    samples enough, else halves. The bootstrap draws both sets anew; repeats lift every distance, so its spread is used,
    not its centre.

    Args:
        features, reference: two samples at least.
        measure: "frechet" or "kernel".
        name: of the features.
        bootstrap: draws, 0 for no interval; each costs as much as the distance.
        splits: of the reference, for the floor.
        seed: of draws and splits.
        progress: show a bar.
        settings: to keep in the result.

    Raises:
        ValueError: unknown measure, different widths, fewer than two samples, NaN or infinity.

    Warns:
        UserWarning: fewer than dim + 1 samples for a Frechet distance.

    >>> import torch
    >>> x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    >>> found = compare(x[:200] + 1, x[200:])
    >>> found.floor < found.interval[0] < found.value < found.interval[1]
    True
    """
    if measure not in MEASURES:
        raise ValueError(f"`measure` must be one of {', '.join(MEASURES)}, got {measure!r}")
    dim, n, m = check_pair(features, reference)
    said = too_few(min(n, m), dim) if measure == "frechet" else ""
    if said:
        warnings.warn(said, stacklevel=2)
    distance = MEASURES[measure]
    value = distance(features, reference)
    part = min(n, m // 2)
    draws = range(bootstrap + (splits if part >= 2 else 0))
    parts, again = [], []
    for i in tqdm(draws, desc=f"{measure} interval", disable=not progress):
        rng = np.random.default_rng([seed, i])
        if i < bootstrap:
            again.append(distance(features[rng.integers(n, size=n)], reference[rng.integers(m, size=m)]))
        else:
            order = rng.permutation(m)
            parts.append(distance(reference[order[:part].copy()], reference[order[part:].copy()]))
    interval = None
    if bootstrap:
        low, high = value + np.quantile(np.array(again) - np.mean(again), [0.025, 0.975])
        interval = (float(low), float(high))
    infinity = None
    if measure == "frechet" and min(n, m) >= 2 * (dim + 1):
        infinity = frechet_infinity(features, reference, seed=seed)
    return Comparison(
        f"{measure}({name})" if name else measure,
        value, (n, m), dim,
        float(np.mean(parts)) if parts else None, (part, m - part), interval, infinity,
        {**(settings or {}), "bootstrap": bootstrap, "splits": splits, "seed": seed}, said,
    )  # fmt: skip


def fvd(videos: Clips, reference: Clips, features: Features, **options: Any) -> Comparison:
    """Frechet video distance (Unterthiner et al. 2018) on `features.i3d` or `features.videomae`.

    Args:
        videos, reference: clips, or batches of them, in [-1, 1]; usually 2048 of 16 frames.
        features: the extractor; any other has `compare_clips`.
        options: of `compare`.

    Returns:
        The distance, its settings with n, frames, size and resize rule.

    Raises:
        ValueError: other features, and as `compare`.
    """
    return compare_clips(videos, reference, _published("FVD", features, "i3d", "videomae"), **options)


def kvd(videos: Clips, reference: Clips, features: Features, **options: Any) -> Comparison:
    """Kernel video distance on the features of `fvd`: unbiased, the number to give for few clips."""
    features = _published("KVD", features, "i3d", "videomae")
    return compare_clips(videos, reference, features, measure="kernel", **options)


def fid(videos: Clips, reference: Clips, features: Features, **options: Any) -> Comparison:
    """Frechet Inception distance (Heusel et al. 2017) of all frames, on `features.inception`."""
    return compare_clips(videos, reference, _published("FID", features, "inception"), **options)


def kid(videos: Clips, reference: Clips, features: Features, **options: Any) -> Comparison:
    """Kernel Inception distance (Binkowski et al. 2018) of all frames, unbiased."""
    return compare_clips(videos, reference, _published("KID", features, "inception"), measure="kernel", **options)


def compare_clips(videos: Clips, reference: Clips, features: Features, **options: Any) -> Comparison:
    """`compare` on any features of clips; the result is named after them, `frechet(reader-td)`.

    >>> import torch
    >>> from latentlab.metrics.features import Features
    >>> mean = Features("mean colour", "none", "", lambda video: video.mean((2, 3, 4)))
    >>> clips = torch.rand(32, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> compare_clips(clips, clips, mean, bootstrap=0).name
    'frechet(mean colour)'
    """
    seen: list[set[tuple[int, ...]]] = []

    def watched(clips: Clips) -> Iterable[Video]:
        seen.append(set())
        for batch in [clips] if isinstance(clips, Tensor) else clips:
            seen[-1].add(tuple(batch.shape[2:]))
            yield batch

    progress = options.get("progress", False)
    sides = [features.collect(watched(clips), progress=progress) for clips in (videos, reference)]
    shapes = [[f"{f} x {h} x {w}" for f, h, w in sorted(side)] for side in seen]
    settings = {**features.settings(), "frames x height x width": shapes[0], "of the reference": shapes[1]}
    return compare(sides[0], sides[1], name=features.name, settings=settings, **options)


def _published(distance: str, features: Features, *names: str) -> Features:
    if features.name not in names:
        instead = f"`compare_clips` names it after its features, frechet({features.name})"
        raise ValueError(f"{distance} is defined on {' or '.join(names)} features, got {features.name!r}; {instead}")
    return features
