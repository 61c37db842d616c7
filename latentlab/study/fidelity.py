"""Whether a clip is of the kind that a model knows: what its autoencoder alone makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from latentlab.checks import clear_errors
from latentlab.generator.generator import Generator
from latentlab.metrics.perceptual import psnr
from latentlab.shapes import Video


@dataclass(frozen=True)
class Fidelity:
    """What is left of clips after the autoencoder, beside what is left of clips that the model knows.

    Attributes:
        psnr: decibels of each clip.
        known: decibels that 99 of 100 of the model's own held-out clips keep (`GeneratorConfig.known_psnr`); None where
            nobody measured that, and then there is no verdict.
    """

    psnr: tuple[float, ...]
    known: float | None = None

    @property
    def foreign(self) -> tuple[bool, ...]:
        """Which clips are not of the model's kind; none where nobody measured what it keeps of its own."""
        return tuple(self.known is not None and value < self.known for value in self.psnr)

    @property
    def warning(self) -> str:
        """What the user should know before reading on; "" where nothing speaks against the clips."""
        if not any(self.foreign):
            return ""
        which = "this clip is" if len(self.psnr) == 1 else f"{sum(self.foreign)} of {len(self.psnr)} clips are"
        return (
            f"{which} not of the kind that the model knows: the autoencoder alone leaves {min(self.psnr):.1f} dB, "
            f"where 99 of 100 clips of its kind keep {self.known:.1f}; what follows shows a likeness at best"
        )

    def numbers(self) -> dict[str, Any]:
        """As a record holds it."""
        return {"autoencoder_psnr": list(self.psnr), "known_psnr": self.known, "warning": self.warning}

    def __str__(self) -> str:
        if self.warning:
            return self.warning
        least = "the autoencoder alone leaves " + ", ".join(f"{value:.1f}" for value in self.psnr) + " dB"
        return least if self.known is None else f"{least}, as of clips that the model knows ({self.known:.1f} or more)"


@clear_errors
def fidelity(generator: Generator, video: Video, *, decoded: Video | None = None) -> Fidelity:
    """Encodes clips, decodes them, and holds the loss against what the model keeps of clips of its own kind.

    Args:
        generator: any; there is a verdict where its `config.known_psnr` is measured.
        video: the clips, of a size that the generator takes.
        decoded: the clips after encoding and decoding, where that is at hand.

    Returns:
        Decibels of each clip, and the verdict.

    >>> import latentlab as ll
    >>> generator, (clip, _) = ll.load(), ll.data.moving_shapes(1, seed=0)
    >>> stripes = clip.sign().flip(4).mul(clip.sign())
    >>> fidelity(generator, clip).foreign, fidelity(generator, stripes).foreign
    ((False,), (True,))
    """
    decoded = generator.decode(generator.encode(video)) if decoded is None else decoded
    values = psnr(decoded.float().cpu().clamp(-1, 1), video.float().cpu())
    return Fidelity(tuple(round(float(value), 2) for value in values), generator.config.known_psnr)
