"""How well a clip survives the way to noise and back, and which part of the way loses what."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from latentlab.checks import Count, Seed, check, clear_errors
from latentlab.generator.anderson import TOLERANCE
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.inverted import Inverted
from latentlab.generator.methods import METHODS
from latentlab.generator.sampler import Sampler
from latentlab.metrics.perceptual import BACKBONES, VideoDistance, lpips, psnr
from latentlab.names import LevelsFor
from latentlab.shapes import OVERSHOOT, Latents, Noise, Video, check_video, in_a_line
from latentlab.study.fidelity import Fidelity, fidelity

ROUNDING = 1e-5  # relative error of latents up to which a method that retraces its steps gave them back


@dataclass(frozen=True)
class Loss:
    """How far clips are from others, means over the batch.

    Attributes:
        psnr: decibels; infinite for equal clips.
        relative: |x' - x| / |x| of the pixels.
        perceptual: LPIPS, or the distance that was passed in; None without either.
    """

    psnr: float
    relative: float
    perceptual: float | None = None

    @staticmethod
    @clear_errors
    def between(video: Video, reference: Video, distance: VideoDistance | None = None) -> Loss:
        """Loss of `video` against `reference`."""
        check_video(OVERSHOOT, video=video, reference=reference)
        relative = (video - reference).flatten(1).norm(dim=1) / reference.flatten(1).norm(dim=1).clamp(min=1e-12)
        perceived = None if distance is None else float(distance(video, reference).float().mean())
        return Loss(float(psnr(video, reference).mean()), float(relative.mean()), perceived)


@dataclass(frozen=True)
class RoundTrip:
    """A clip that went to noise and back.

    Attributes:
        inverted: where it was, with all that made it.
        decoded: the clip after the autoencoder alone.
        again: the clip after everything.
        autoencoder: `decoded` against the clip.
        inversion: `again` against `decoded`: what inversion and sampling lose, the autoencoder left out.
        total: `again` against the clip.
        latent_error: relative error of the latents, |z' - z| / |z|.
        fidelity: `autoencoder` clip by clip, and whether that is what the model keeps of clips of its kind.
        determinism: what `self_test` found of the network, if it was asked.
    """

    inverted: Inverted
    decoded: Video
    again: Video
    autoencoder: Loss
    inversion: Loss
    total: Loss
    latent_error: float
    fidelity: Fidelity
    determinism: Mapping[str, float] = field(default_factory=dict)

    __repr__ = in_a_line

    @property
    def noise(self) -> Noise:
        """The noise alone."""
        return self.inverted.noise

    @property
    def latents_again(self) -> str:
        """How the latents came back, as the method claims and as was measured: "bit for bit", "to rounding" or "not
        exact". Of the clip it says nothing: the autoencoder loses what it loses.

        An implicit method claims as much as its residuals, which add up on the way; an algebraic one claims rounding.
        """
        residual = self.inverted.residual
        if residual is not None and not residual <= TOLERANCE:
            return f"not exact: residual {residual:.1e}"
        bound = ROUNDING if METHODS[self.inverted.method].retraces else TOLERANCE
        if residual is None or not self.latent_error <= bound:
            return "not exact"
        return "to rounding" if self.latent_error else "bit for bit"

    @property
    def verdict(self) -> str:
        """What the figures say of the latents, and apart from that of the clip; see also `fidelity.warning`."""
        how = f", error {self.latent_error:.1e}" if self.latent_error else ""
        clip = f"{self.total.psnr:.1f} dB, the autoencoder alone {self.autoencoder.psnr:.1f} dB"
        return f"latents come back {self.latents_again}{how}; the clip again: {clip}"

    def numbers(self) -> dict[str, float]:
        """The figures alone, rounded for people."""
        found: dict[str, float] = {}
        for part in ("autoencoder", "inversion", "total"):
            loss: Loss = getattr(self, part)
            found[f"{part}_psnr"] = round(loss.psnr, 2)
            found[f"{part}_relative"] = float(f"{loss.relative:.3g}")
            if loss.perceptual is not None:
                found[f"{part}_perceptual"] = float(f"{loss.perceptual:.3g}")
        found |= {f"network_{name}": float(f"{value:.3g}") for name, value in self.determinism.items()}
        if self.inverted.estimate is not None:
            found["encoding_error"] = float(f"{max(self.inverted.estimate.error):.3g}")
            found["estimate_calls"] = self.inverted.estimate.calls
        return {**found, "latent_error": float(f"{self.latent_error:.3g}")}

    def __str__(self) -> str:
        return "\n".join([table({self.inverted.method: self}), *filter(None, [self.fidelity.warning])])


class RoundTrips(dict[str, RoundTrip]):
    """Round trips of the same clips by method; printed, they are a table, a method a line."""

    def __str__(self) -> str:
        return table(self)

    def _repr_markdown_(self) -> str:
        return table(self)


@clear_errors
def roundtrip(
    generator: Generator,
    video: Video,
    caption: str | Sequence[str] | Condition = "",
    *,
    sampler: Sampler | None = None,
    num_steps: Count | None = None,
    method: str | None = None,
    levels: LevelsFor | None = "sampling",
    guidance: float | None = None,
    batch_size: Count | None = None,
    distance: VideoDistance | None = None,
    exact: bool = False,
    estimate: bool = False,
    progress: bool = False,
) -> RoundTrip:
    """Encodes, inverts, samples and decodes clips, and splits the error; `print` shows it as a table.

    The state is in full precision and the batches are the same both ways in any case, and a network with a cache of
    diffusers is refused; `exact` sees to the rest. `compare` goes through all methods.

    Args:
        generator: the model.
        video: the clips.
        caption, sampler, num_steps, method, guidance, batch_size: as in `Generator.sample`, the same both ways.
        levels: as in `Generator.invert`, the same both ways; a sampler has its own.
        distance: a perceptual one, `(video, video) -> (batch,)`; None is LPIPS where its weights are
            (`metrics.perceptual.lpips`) and frames are large enough, and otherwise nothing.
        exact: deterministic kernels without TF32, see `exact_kernels`; and the network is asked twice, see `self_test`,
            whose answer stands in the table.
        estimate: measure how far the noise is from the true encoding, see `Generator.invert`.
        progress: show bars.

    Returns:
        Clips, noise and errors.

    >>> import latentlab as ll
    >>> clip, _ = ll.data.moving_shapes(1, seed=0)
    >>> bool(roundtrip(ll.load(), clip, method="leapfrog", num_steps=4).latent_error < 1e-5)
    True
    """
    words = {"num_steps": num_steps, "method": method, "guidance": guidance, "batch_size": batch_size}
    sampler = (Sampler(levels=levels) if sampler is None else sampler).but(**words)
    told = generator.as_condition(caption)
    with exact_kernels(exact):
        latents = generator.encode(video)
        determinism = self_test(generator, told, latents=latents) if exact else {}
        bar = "inverting" if progress else False
        inverted = generator.invert(latents, told, sampler=sampler, estimate=estimate, progress=bar)
        back = generator.sample(inverted, progress="sampling" if progress else False)
        decoded, again = generator.decode(latents), generator.decode(back)
    video = video.to(decoded)
    distance = distance or lpips_at_hand(video)
    return RoundTrip(
        inverted=inverted,
        decoded=decoded,
        again=again,
        autoencoder=Loss.between(decoded, video, distance),
        inversion=Loss.between(again, decoded, distance),
        total=Loss.between(again, video, distance),
        latent_error=float((back - latents).norm() / latents.norm()),
        fidelity=fidelity(generator, video, decoded=decoded),
        determinism=determinism,
    )


@clear_errors
def compare(
    generator: Generator,
    video: Video,
    caption: str | Sequence[str] | Condition = "",
    *,
    methods: Sequence[str] = tuple(METHODS),
    progress: bool = False,
    **options,
) -> RoundTrips:
    """The round trip of the same clips by each method; `options` are those of `roundtrip`."""
    bar = tqdm(methods, desc="methods", disable=not progress or None)
    return RoundTrips((method, roundtrip(generator, video, caption, method=method, **options)) for method in bar)


def lpips_at_hand(video: Video) -> VideoDistance | None:
    """LPIPS, if its package and weights are there and it can see frames of this size."""
    weights = Path(torch.hub.get_dir()) / "checkpoints" / BACKBONES["alex"]
    return lpips if weights.is_file() and find_spec("lpips") and min(video.shape[-2:]) >= 32 else None


def table(trips: Mapping[str, RoundTrip]) -> str:
    """Round trips as a Markdown table, a method a line: what each part loses, and how the latents come back.

    If the network was asked twice, two columns more say by how much its answers differ.
    """
    perceptual = any(trip.total.perceptual is not None for trip in trips.values())
    asked = [name for name in ("twice", "other_batch") if any(name in trip.determinism for trip in trips.values())]
    head = ["method", "autoencoder dB", "inversion dB", "total dB", "latent error", "latents come back"]
    head += [f"network {name.replace('_', ' ')}" for name in asked] + (["perceptual"] if perceptual else [])
    rows = [head, ["---"] * len(head)]
    for method, trip in trips.items():
        row = [method, *(f"{loss.psnr:.2f}" for loss in (trip.autoencoder, trip.inversion, trip.total))]
        row += [f"{trip.latent_error:.1e}", trip.latents_again, *(f"{trip.determinism[name]:.1e}" for name in asked)]
        rows.append(row + ([f"{trip.total.perceptual:.4f}"] if perceptual else []))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@contextmanager
def exact_kernels(on: bool = True) -> Iterator[None]:
    """Deterministic kernels without TF32 while the block lasts: the same input gives the same bits on one device.

    On CUDA, PyTorch asks for `CUBLAS_WORKSPACE_CONFIG`, which is set here unless it is.
    """
    check("exact_kernels: `on`", on, bool)
    if not on:
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
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
@clear_errors
def self_test(
    generator: Generator, caption: str | Condition = "", *, latents: Latents | None = None, seed: Seed = 0
) -> dict[str, float]:
    """Whether the network gives the same answer twice, and in another batch: relative differences.

    Exact inversion rests on the first being 0. The second is what sampling in other batches than those of the
    inversion costs: about 1e-7 in float32, 1e-2 in bfloat16.

    Args:
        generator: the model.
        caption: or a condition, for a model without a text encoder.
        latents: the network is asked about the first of them, and that one mirrored; None is noise.
        seed: of that noise.

    Returns:
        `twice` and `other_batch`.
    """
    alone = generator.noise(1, seed=seed) if latents is None else latents[:1].to(generator.device)
    generator.check_latents(alone)
    told = generator.as_condition(caption)
    both, velocity = torch.cat([alone, alone.flip(-1)]), generator.velocity(told[:1].expand(2))
    first, second = velocity(both, 0.5), velocity(both, 0.5)
    single = generator.velocity(told[:1])(alone, 0.5)

    def apart(a: Tensor, b: Tensor) -> float:
        return float((a - b).norm() / b.norm().clamp(min=1e-12))

    return {"twice": apart(first, second), "other_batch": apart(single, second[:1])}
