"""How well a clip survives the way to noise and back, and which part of the way loses what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.metrics.perceptual import psnr
from latentlab.shapes import Noise, Video


@dataclass(frozen=True)
class RoundTrip:
    """A clip that went to noise and back.

    Attributes:
        noise: where it was.
        decoded: the clip after the autoencoder alone.
        again: the clip after everything.
        autoencoder_psnr: `decoded` against the clip, decibels, mean over the batch.
        inversion_psnr: `again` against `decoded`: what inversion and sampling lose, the autoencoder left out.
        total_psnr: `again` against the clip.
        latent_error: relative error of the latents, |z' - z| / |z|.
    """

    noise: Noise
    decoded: Video
    again: Video
    autoencoder_psnr: float
    inversion_psnr: float
    total_psnr: float
    latent_error: float

    def numbers(self) -> dict[str, float]:
        """The figures alone, rounded for people."""
        return {
            "autoencoder_psnr": round(self.autoencoder_psnr, 2),
            "inversion_psnr": round(self.inversion_psnr, 2),
            "total_psnr": round(self.total_psnr, 2),
            "latent_error": float(f"{self.latent_error:.3g}"),
        }


def roundtrip(
    generator: Generator,
    video: Video,
    caption: str | Sequence[str] | Condition = "",
    *,
    num_steps: int = 25,
    method: str = "midpoint",
    guidance: float = 1.0,
    progress: bool = False,
) -> RoundTrip:
    """Encodes, inverts, samples and decodes clips, and splits the error.

    Args:
        generator: the model.
        video: the clips.
        caption, num_steps, method, guidance: as in `Generator.sample`, the same both ways.
        progress: show bars.

    Returns:
        Clips, noise and errors.
    """
    options = {"num_steps": num_steps, "method": method, "guidance": guidance}
    latents = generator.encode(video)
    noise = generator.invert(latents, caption, **options, progress="inverting" if progress else False)
    back = generator.sample(noise, caption, **options, progress="sampling" if progress else False)
    decoded, again = generator.decode(latents), generator.decode(back)
    video = video.to(decoded)
    return RoundTrip(
        noise=noise,
        decoded=decoded,
        again=again,
        autoencoder_psnr=float(psnr(decoded, video).mean()),
        inversion_psnr=float(psnr(again, decoded).mean()),
        total_psnr=float(psnr(again, video).mean()),
        latent_error=float((back - latents).norm() / latents.norm()),
    )
