"""Draws the README's picture: clips of the shipped model, four frames each.

python benchmarks/picture.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import latentlab as ll
from latentlab.tour import CAPTIONS

OUT = Path(__file__).parents[1] / "docs" / "generated.png"
FRAMES = (0, 5, 10, 15)


def main() -> None:
    """Writes the picture."""
    video = ll.load().generate(list(CAPTIONS), seed=0, progress="sampling")
    pictures = ll.video.to_uint8(video)
    figure, axes = plt.subplots(len(CAPTIONS), len(FRAMES), figsize=(6.4, 8.6), facecolor="white")
    for row, caption in enumerate(CAPTIONS):
        for column, frame in enumerate(FRAMES):
            axes[row, column].imshow(pictures[row, frame], interpolation="nearest")
            axes[row, column].axis("off")
        axes[row, 0].set_title(caption, loc="left", fontsize=9, pad=4)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.97, bottom=0.01, hspace=0.22, wspace=0.04)
    OUT.parent.mkdir(exist_ok=True)
    figure.savefig(OUT, dpi=110)


if __name__ == "__main__":
    main()
