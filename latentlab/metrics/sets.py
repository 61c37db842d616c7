"""Two sets of clips compared: a distance with all that is needed to believe it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.checks import Seed, clear_errors
from latentlab.metrics.features import Features
from latentlab.metrics.frechet import (
    FeatureRows,
    Moments,
    choose,
    compared_sizes,
    frechet,
    frechet_infinity,
    rows,
    too_few,
)
from latentlab.metrics.kernel import kernel_gap
from latentlab.shapes import Video
from latentlab.warning import warn

Distance = Callable[[Tensor, Tensor], float]
MEASURES: dict[str, Distance] = {"frechet": frechet, "kernel": kernel_gap}
Videos = Video | Iterable[Video]


@dataclass(frozen=True)
class Comparison:
    """A distance between two sets.

    Attributes:
        name: measure and features, such as "frechet(i3d)".
        value: the distance.
        samples: feature vectors on each side, the n of the distance.
        clips: they come from; fewer where each frame gives a vector. Bootstrap and floor take whole clips.
        dim: width of the features.
        floor: what two sets of these sizes score that differ in nothing, estimated from parts of the reference; None
            below 4 clips.
        parts: the floor as it was measured, between parts of `part_clips` clips, before it was scaled to `clips`.
        part_clips: sizes of those parts.
        interval: 95 % by the bootstrap; None if not asked for.
        infinity: a Frechet distance extrapolated to endless clips, as FVD-infinity; None below 2 (dim + 1) clips.
        settings: features, preprocessing, fingerprint of the weights, frames and size of the clips, seed.
        warning: "" or what to mind.
    """

    name: str
    value: float
    samples: tuple[int, int]
    clips: tuple[int, int]
    dim: int
    floor: float | None = None
    parts: float | None = None
    part_clips: tuple[int, int] | None = None
    interval: tuple[float, float] | None = None
    infinity: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    warning: str = ""

    def __str__(self) -> str:
        said = f"{self.name} {self.value:.4g}"
        if self.interval:
            said += f" [{self.interval[0]:.4g}, {self.interval[1]:.4g}]"
        if self.floor is not None and self.part_clips:
            said += f", floor {self.floor:.4g} ({self.parts:.4g} at n {self.part_clips[0]} and {self.part_clips[1]})"
        said += f", n {self.samples[0]} and {self.samples[1]}"
        if self.samples != self.clips:
            said += f" of {self.clips[0]} and {self.clips[1]} clips"
        return said if self.infinity is None else f"{said}, without bias {self.infinity:.4g}"


@clear_errors
def compare(
    features: FeatureRows | Moments,
    reference: FeatureRows | Moments,
    *,
    measure: str = "frechet",
    name: str = "",
    bootstrap: int = 100,
    splits: int = 5,
    seed: Seed = 0,
    progress: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Comparison:
    """Distance of two sets of features, with the floor it has for equal sets and its interval.

    The floor is the mean distance of disjoint random parts of the reference. They are smaller than the sets, so it is
    taken from them and from their halves along the power of 1 / n that both give, between 0 and 1, to the sizes of the
    sets. The bootstrap draws both sets anew; repeats lift every distance, so its spread is used, not its centre.

    Args:
        features, reference: a vector a clip; or, where frames have vectors, a list with those of each clip, as of
            `Features.by_clip`: frames of one clip are never drawn or split apart. Or `Moments`, which keep no samples:
            the result has the value, n (each sample counts as a clip) and the warning, no interval and no floor.
        measure: "frechet" or "kernel".
        name: of the features.
        bootstrap: draws, 0 for no interval; each costs as much as the distance.
        splits: of the reference, for the floor; 0 for none.
        seed: of draws and splits.
        progress: show a bar.
        settings: to keep in the result.

    Raises:
        ValueError: unknown measure, different widths, fewer than two clips, negative counts, NaN or infinity, moments
            for a kernel distance.

    Warns:
        UserWarning: fewer than dim + 1 samples, or clips, for a Frechet distance.

    >>> import torch
    >>> x = torch.randn(400, 4, generator=torch.Generator().manual_seed(0))
    >>> found = compare(x[:200] + 1, x[200:])
    >>> found.floor < found.interval[0] < found.value < found.interval[1]
    True
    """
    if measure not in MEASURES:
        raise ValueError(f"`measure` must be one of {', '.join(MEASURES)}, got {measure!r}")
    if min(bootstrap, splits) < 0:
        raise ValueError(f"`bootstrap` and `splits` must be 0 or more, got {bootstrap} and {splits}")
    distance, title = MEASURES[measure], f"{measure}({name})" if name else measure
    kept = {**(settings or {}), "bootstrap": bootstrap, "splits": splits, "seed": seed}
    x, y = (side if isinstance(side, Moments) else rows(side) for side in (features, reference))
    dim, *sizes = compared_sizes(x, y)
    n, m = (side.count if isinstance(side, Moments) else len(side) for side in (features, reference))
    samples, clips = (sizes[0], sizes[1]), (n, m)
    if min(clips) < 2:
        raise ValueError(f"two clips at least on each side, got {n} and {m}")
    said = too_few(min(samples), dim, min(clips)) if measure == "frechet" else ""
    if said:
        warn(said)
    if isinstance(features, Moments) or isinstance(reference, Moments):
        if measure != "frechet":
            raise ValueError("a kernel distance needs the features themselves, got moments")
        said = "; ".join(part for part in (said, "moments keep no samples: no interval, no floor") if part)
        return Comparison(title, frechet(x, y), samples, clips, dim, settings=kept, warning=said)

    value, interval, infinity = distance(rows(features), rows(reference)), None, None
    if bootstrap:
        again = []
        for i in tqdm(range(bootstrap), desc=f"{title} interval", disable=not progress or None):
            rng = np.random.default_rng([seed, i])
            again.append(distance(*(choose(s, rng.integers(len(s), size=len(s))) for s in (features, reference))))
        low, high = value + np.quantile(np.array(again) - np.mean(again), [0.025, 0.975])
        interval = (float(low), float(high))
    if measure == "frechet" and min(clips) >= 2 * (dim + 1):
        infinity = frechet_infinity(features, reference, seed=seed)
    floor = _floor(distance, reference, clips, range(bootstrap, bootstrap + splits), seed)
    return Comparison(title, value, samples, clips, dim, *floor, interval, infinity, kept, said)


def _floor(
    distance: Distance, reference: FeatureRows, clips: tuple[int, int], draws: range, seed: Seed
) -> tuple[float | None, float | None, tuple[int, int] | None]:
    """The distance of parts of the reference scaled to the sizes of the sets, as measured, and the parts' sizes."""
    m = len(reference)
    p = min(clips[0], m // 2)
    sizes, halves = (p, m - p), (p // 2, (m - p) // 2)
    if p < 2 or not draws:
        return None, None, None
    whole, half = [], []
    for i in draws:
        order = np.random.default_rng([seed, i]).permutation(m)
        for found, (a, b) in ((whole, sizes), (half, halves)):
            if a > 1:
                found.append(distance(choose(reference, order[:a]), choose(reference, order[p : p + b])))
    measured, before = float(np.mean(whole)), float(np.mean(half)) if half else 0.0
    power = 0.0  # of 1 / n by which it falls: about 1 for more samples than dimensions, less for fewer
    if min(measured, before) > 0:
        power = min(1.0, max(0.0, math.log(before / measured) / math.log(_inverse(*halves) / _inverse(*sizes))))
    return measured * (_inverse(*clips) / _inverse(*sizes)) ** power, measured, sizes


def _inverse(n: int, m: int) -> float:
    """What the bias of a distance between n and m samples is proportional to."""
    return 1 / n + 1 / m


@clear_errors
def fvd(videos: Videos, reference: Videos, features: Features, **options: Any) -> Comparison:
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


@clear_errors
def fvd_infinity(
    videos: Videos, reference: Videos, features: Features, *, points: int = 8, seed: Seed = 0, progress: bool = False
) -> float:
    """FVD extrapolated to endless clips by `frechet_infinity`; `fvd(...).infinity` is the same beside the rest."""
    extract = _published("FVD", features, "i3d", "videomae")
    sides = [extract.by_clip(clips, progress=progress) for clips in (videos, reference)]
    return frechet_infinity(sides[0], sides[1], points=points, seed=seed)


@clear_errors
def kvd(videos: Videos, reference: Videos, features: Features, **options: Any) -> Comparison:
    """Kernel video distance on the features of `fvd`: unbiased, the number to give for few clips."""
    features = _published("KVD", features, "i3d", "videomae")
    return compare_clips(videos, reference, features, measure="kernel", **options)


@clear_errors
def fid(videos: Videos, reference: Videos, features: Features, **options: Any) -> Comparison:
    """Frechet Inception distance (Heusel et al. 2017) of all frames, on `features.inception`."""
    return compare_clips(videos, reference, _published("FID", features, "inception"), **options)


@clear_errors
def kid(videos: Videos, reference: Videos, features: Features, **options: Any) -> Comparison:
    """Kernel Inception distance (Binkowski et al. 2018) of all frames.

    Unbiased for independent frames; those of one clip are not, which its floor shows.
    """
    return compare_clips(videos, reference, _published("KID", features, "inception"), measure="kernel", **options)


@clear_errors
def compare_clips(videos: Videos, reference: Videos, features: Features, **options: Any) -> Comparison:
    """`compare` on any features of clips; the result is named after them, `frechet(reader-td)`.

    >>> import torch
    >>> from latentlab.metrics.features import Features
    >>> mean = Features("mean colour", "none", "", lambda video: video.mean((2, 3, 4)))
    >>> clips = torch.rand(32, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    >>> compare_clips(clips, clips, mean, bootstrap=0).name
    'frechet(mean colour)'
    """
    _check(features)
    seen: list[set[tuple[int, ...]]] = []

    def watched(clips: Videos) -> Iterable[Video]:
        seen.append(set())
        for batch in [clips] if isinstance(clips, Tensor) else clips:
            seen[-1].add(tuple(batch.shape[2:]))
            yield batch

    progress = options.get("progress", False)
    sides = [features.by_clip(watched(clips), progress=progress) for clips in (videos, reference)]
    settings = features.settings() | dict(zip(SIZES, map(sizes, seen), strict=True))
    return compare(sides[0], sides[1], name=features.name, settings=settings, **options)


def _check(features: Features) -> None:
    if not isinstance(features, Features):
        way = "such as `metrics.i3d(FILE)` or `latentlab.score.reader_td()`"
        raise ValueError(f"`features` must be a `Features`, {way}, got {features!r}")


SIZES = ("frames x height x width", "of the reference")  # names of both sets' `sizes` among the settings


def sizes(shapes: Iterable[tuple[int, ...]]) -> list[str]:
    """Each kind of clip in a set once, as "16 x 64 x 64"."""
    return [f"{f} x {h} x {w}" for f, h, w in sorted(set(shapes))]


def _published(distance: str, features: Features, *names: str) -> Features:
    _check(features)
    if features.network not in names:
        instead = f"`compare_clips` names it after its features, frechet({features.name})"
        raise ValueError(f"{distance} is defined on {' or '.join(names)} features, got {features.name!r}; {instead}")
    return features
