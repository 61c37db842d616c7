"""What a generator was made for."""

from __future__ import annotations

from dataclasses import dataclass

from latentlab.checks import Count, Positive


@dataclass(frozen=True)
class GeneratorConfig:
    """What the generator was made for and how it samples best.

    Args:
        num_frames, height, width: of its clips.
        fps: frames a second of its clips.
        guidance: classifier-free guidance that `generate` uses.
        shift: of the noise levels, see `sampling_levels`.
        known_psnr: decibels that 99 of 100 held-out clips of the model's kind, read from mp4 files, keep through its
            autoencoder, so that a clip of another kind can be told (`study.fidelity`); None where nobody measured that.
    """

    num_frames: Count = 16
    height: int = 64
    width: int = 64
    fps: Positive = 8.0
    guidance: float = 2.5
    shift: float = 1.0
    known_psnr: float | None = None
