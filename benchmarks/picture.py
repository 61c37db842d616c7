"""Draws the README's pictures: clips of the shipped model, and edits of one of them, four frames each.

python benchmarks/picture.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch

import latentlab as ll
from latentlab.bench.flags import main
from latentlab.shapes import Video
from latentlab.tour import CAPTIONS

OUT = Path(__file__).parents[1] / "docs"
FRAMES = (0, 5, 10, 15)
STAR = "a large red star moving left"  # which is edited
EDITS: tuple[dict[str, Any], ...] = (
    {"to": {"hue": "blue"}},
    {"to": {"background": "green"}},
    {"to": {"shape": "square"}},
    {"by": {"place": (5, 0)}},
    {"to": {"direction": "up"}},
)


@dataclass(frozen=True)
class Config:
    """Where the pictures go.

    Args:
        out: folder.
    """

    out: Path = OUT


def pictures(config: Config) -> dict[str, Any]:
    """Writes them, and returns which edits kept their contract."""
    generator = ll.load()
    draw(config.out / "generated.png", generator.generate(list(CAPTIONS), seed=0, progress="sampling"), CAPTIONS)
    star = generator.generate(STAR, seed=0)
    edited = [ll.edit_clip(generator, star, **asked) for asked in EDITS]
    titles = [f"{e.accounts[0].target}{'' if e.kept else ', not kept'}" for e in edited]
    draw(config.out / "edited.png", torch.cat([star.cpu(), *(e.video for e in edited)]), (STAR, *titles))
    return {"kept": {title: edit.kept for title, edit in zip(titles, edited, strict=True)}}


def draw(file: Path, video: Video, titles: Sequence[str]) -> None:
    """One clip a row."""
    pictures = ll.video.to_uint8(video)
    figure, axes = plt.subplots(len(titles), len(FRAMES), figsize=(6.4, 1.72 * len(titles)), facecolor="white")
    for row, title in enumerate(titles):
        for column, frame in enumerate(FRAMES):
            axes[row, column].imshow(pictures[row, frame], interpolation="nearest")
            axes[row, column].axis("off")
        axes[row, 0].set_title(title, loc="left", fontsize=9, pad=4)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.97, bottom=0.01, hspace=0.22, wspace=0.04)
    file.parent.mkdir(exist_ok=True)
    figure.savefig(file, dpi=110)


if __name__ == "__main__":
    main(pictures)
