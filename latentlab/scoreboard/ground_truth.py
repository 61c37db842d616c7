"""True directions: what clips that differ in one factor alone have for codes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.factors import FACTORS, NAMES
from latentlab.directions.target import Target
from latentlab.shapes import Codes, Video

TRUTH_SEED = 3_000_017  # clips of pairs; neither trained on nor held out, and no finder sees them


def paired_truth(
    encode: Callable[[Video], Codes],
    targets: Sequence[str],
    *,
    pairs: int = 32,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, np.ndarray]:
    """Mean difference of the codes of clips that are rendered twice, the target low and high, all else the same.

    A continuous factor goes from a quarter to three quarters of its range, a circular one from the opposite angle to
    the one named, a category from any other to the one named.

    Args:
        encode: of a space.
        targets: "light", "hue@240", "shape=star".
        pairs: of each target.
        seed: of the clips.
        progress: show a bar.

    Returns:
        The move of each target, `(dim,)`, of any length.

    Raises:
        ValueError: no such target, or no pair.

    >>> truth = paired_truth(lambda video: video.mean((1, 2)).flatten(1), ["light"], pairs=1)
    >>> bool((truth["light"] > 0).mean() > 0.9)
    True
    """
    if pairs < 1:
        raise ValueError(f"needs at least one pair, got {pairs}")
    found = {}
    for target in tqdm(targets, desc="true directions", disable=not progress or None):
        clips = []
        for k in range(pairs):
            name, sweep = _sweep(target, k)
            two = MovingShapes(2 * pairs, TRUTH_SEED + seed, sweep={name: sweep})
            clips += [two.clip(2 * k), two.clip(2 * k + 1)]
        codes = encode(torch.cat(clips)).cpu().double().numpy()
        found[target] = (codes[1::2] - codes[::2]).mean(0)
    return found


def _sweep(target: str, pair: int) -> tuple[str, list[float]]:
    """The factor of a target, and its two values in a pair."""
    try:
        named = Target.parse(target, FACTORS)
    except KeyError as error:
        raise ValueError(f"moving shapes: {error.args[0]}") from error
    spec = FACTORS[NAMES.index(named.factor)]
    if named.angle is not None:
        return spec.name, [(named.angle + 180) % 360, named.angle % 360]
    if named.value is not None:
        word = spec.labels.index(named.value)
        others = [i for i in range(len(spec.labels)) if i != word]
        return spec.name, [float(others[pair % len(others)]), float(word)]
    return spec.name, [spec.low + part * (spec.high - spec.low) for part in (0.25, 0.75)]
