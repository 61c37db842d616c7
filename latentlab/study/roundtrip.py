"""How well a clip survives the way to noise and back, and which part of the way loses what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.inverted import Inverted
from latentlab.metrics.perceptual import psnr
from latentlab.shapes import Noise, Video


@dataclass(frozen=True)
class RoundTrip:
    """A clip that went to noise and back.

    Attributes:
        inverted: where it was, with all that made it.
        decoded: the clip after the autoencoder alone.
        again: the clip after everything.
        autoencoder_psnr: `decoded` against the clip, decibels, mean over the batch.
        inversion_psnr: `again` against `decoded`: what inversion and sampling lose, the autoencoder left out.
        total_psnr: `again` against the clip.
        latent_error: relative error of the latents, |z' - z| / |z|.
    """

    inverted: Inverted
    decoded: Video
    again: Video
    autoencoder_psnr: float
    inversion_psnr: float
    total_psnr: float
    latent_error: float

    @property
    def noise(self) -> Noise:
        """The noise alone."""
        return self.inverted.noise

    @property
    def verdict(self) -> str:
        """ "exact", "not exact", or for an implicit method that did not converge, its residual."""
        if self.inverted.exact:
            return "exact"
        residual = self.inverted.residual
        return "not exact" if residual is None else f"not exact: residual {residual:.1e}"

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
    batch_size: int = 16,
    exact: bool = False,
    progress: bool = False,
) -> RoundTrip:
    """Encodes, inverts, samples and decodes clips, and splits the error.

    Args:
        generator: the model.
        video: the clips.
        caption, num_steps, method, guidance, batch_size: as in `Generator.sample`, the same both ways.
        exact: use deterministic kernels, see `exact_kernels`; the state is float32 and the batches equal in any case.
        progress: show bars.

    Returns:
        Clips, noise and errors.
    """
    options = {"num_steps": num_steps, "method": method, "guidance": guidance, "batch_size": batch_size}
    latents = generator.encode(video)
    with exact_kernels(exact):
        inverted = generator.invert(latents, caption, **options, progress="inverting" if progress else False)
        back = generator.sample(inverted, progress="sampling" if progress else False)
    decoded, again = generator.decode(latents), generator.decode(back)
    video = video.to(decoded)
    return RoundTrip(
        inverted=inverted,
        decoded=decoded,
        again=again,
        autoencoder_psnr=float(psnr(decoded, video).mean()),
        inversion_psnr=float(psnr(again, decoded).mean()),
        total_psnr=float(psnr(again, video).mean()),
        latent_error=float((back - latents).norm() / latents.norm()),
    )


@contextmanager
def exact_kernels(on: bool = True) -> Iterator[None]:
    """Deterministic kernels without TF32 while the block lasts: the same input gives the same bits on one device.

    On CUDA, set `CUBLAS_WORKSPACE_CONFIG=:4096:8` before starting Python, as PyTorch asks.
    """
    if not on:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    cudnn = torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark
    matmul = torch.backends.cuda.matmul.allow_tf32
    try:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = cudnn
        torch.backends.cuda.matmul.allow_tf32 = matmul


@torch.no_grad()
def self_test(generator: Generator, *, seed: int = 0) -> dict[str, float]:
    """Whether the network gives the same answer twice, and in another batch: relative differences.

    Exact inversion rests on the first being 0. The second is what sampling in other batches than those of the
    inversion costs: about 1e-7 in float32, 1e-2 in bfloat16.
    """
    noise = generator.noise(2, seed=seed)
    velocity, alone = (generator.velocity(generator.condition("").expand(n)) for n in (2, 1))
    first, second = velocity(noise, 0.5), velocity(noise, 0.5)
    single = torch.cat([alone(noise[:1], 0.5), alone(noise[1:], 0.5)])
    scale = first.norm()
    return {"twice": float((first - second).norm() / scale), "other_batch": float((first - single).norm() / scale)}
