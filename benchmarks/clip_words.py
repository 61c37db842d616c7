"""Which words of a caption does the CLIP model see in a clip? Each is judged against its opposite, all else the same.

    python benchmarks/clip_words.py [--clip FOLDER] [--clips 512]

Beside it: how often a clip's own caption is the nearest of 128.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from latentlab.bench.flags import main
from latentlab.bench.spread import percent
from latentlab.data.moving.captions import DIRECTIONS, HUES, caption, true_words
from latentlab.data.moving.dataset import HELD_OUT_SEED, moving_shapes
from latentlab.generator.clip_model import ClipModel
from latentlab.generator.load import load_clip
from latentlab.weights import shipped

CHOICE = 128  # captions to choose from
# What may be said of a clip in one way or the opposite one, words around a circle from each other or at its two ends.
CIRCLES = {
    "hue": HUES,
    "direction": DIRECTIONS,
    "size": ("small", "large"),
    "light": ("dim", "bright"),
    "speed": ("slowly", "quickly"),
    "spin": ("clockwise", "counterclockwise"),
}


@dataclass(frozen=True)
class Config:
    """What to measure; `clip` is the folder of a CLIP model, None the shipped one."""

    clip: str | None = None
    clips: int = 512


@torch.no_grad()
def run(config: Config) -> dict[str, Any]:
    """Shares in percent with their intervals and the level of chance."""
    with shipped() as own:
        model = load_clip(Path(config.clip or own))
    video, factors = moving_shapes(config.clips, HELD_OUT_SEED)
    said = [caption(row) for row in factors.values]
    seen = torch.cat([model.encode_video(part) for part in video.split(64)])
    text = model.encode_text(said)
    nearest = [
        own for a, t in zip(seen.split(CHOICE), text.split(CHOICE), strict=True)
        for own in ((a @ t.T).argmax(1) == torch.arange(len(a))).tolist()
    ]  # fmt: skip
    found = {f"own caption of {CHOICE}": percent(nearest, null=100 / CHOICE)}
    for name, circle in CIRCLES.items():
        told = [getattr(true_words(row), name) for row in factors.values]
        found[name] = percent(right(model, seen, said, told, opposite(circle)), null=50.0)
    return found


def opposite(circle: tuple[str, ...]) -> dict[str, str]:
    """Each word of a circle with the one across."""
    return {word: circle[(i + len(circle) // 2) % len(circle)] for i, word in enumerate(circle)}


def right(model: ClipModel, seen: torch.Tensor, said: list[str], told: list[str], swap: dict[str, str]) -> list[bool]:
    """Whether each clip is nearer to its caption than to the one with the word swapped, where it has one, once."""
    at = [i for i, word in enumerate(told) if word in swap and said[i].split().count(word) == 1]
    other = [" ".join(swap[w] if w == told[i] else w for w in said[i].split()) for i in at]
    difference = model.encode_text([said[i] for i in at]) - model.encode_text(other)
    return ((seen[at] * difference).sum(1) > 0).tolist()


if __name__ == "__main__":
    main(run)
