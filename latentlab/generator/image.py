"""A model of images under a class: pixels in the place of an autoencoder, classes in the place of captions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.checks import Count, clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator, GeneratorConfig
from latentlab.generator.networks.image import ImageDenoiser, Pixels
from latentlab.generator.run import batched
from latentlab.shapes import Latents, Video, check_video
from latentlab.store import write_text
from latentlab.weights import save_weights

ANY = "any"  # the class that says nothing, beside ""


class ImageGenerator(Generator):
    """Images, clips of one frame, under a class: what `latentlab train denoiser --classes` makes; or clips of several,
    by a network with layers over time: `--inflate`.

    A caption is the name of a class. Levels are those that the objective of the network was trained at.

    >>> from latentlab.generator.networks.image import ImageDenoiserConfig
    >>> network = ImageDenoiser(ImageDenoiserConfig(classes=("cat", "dog")))
    >>> generator = ImageGenerator(Pixels(), network, GeneratorConfig(1, 8, 8))
    >>> generator.generate(["dog", "any"], num_steps=2).shape
    torch.Size([2, 3, 1, 8, 8])
    """

    @clear_errors
    def __init__(self, pixels: Pixels, denoiser: ImageDenoiser, config: GeneratorConfig) -> None:
        if pixels.config.latent_channels != denoiser.config.latent_channels:
            raise ValueError(
                f"pixels of {pixels.config.latent_channels} channels and a denoiser of "
                f"{denoiser.config.latent_channels} do not belong together"
            )
        held, m = denoiser.config.num_frames, denoiser.config.multiple
        if config.num_frames != held or config.height % m or config.width % m:
            raise ValueError(
                f"this network holds {'one frame' if held == 1 else f'{held} frames'} with sides that are multiples of "
                f"{m}, got {config.num_frames} of {config.height} x {config.width}"
            )
        self.pixels = pixels.eval().requires_grad_(False)
        self.denoiser = denoiser.eval().requires_grad_(False)
        self.config = config

    @property
    def networks(self) -> dict[str, nn.Module]:
        return {"autoencoder": self.pixels, "denoiser": self.denoiser}

    @property
    def device(self) -> torch.device:
        return self.pixels.mean.device

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.denoiser.config.classes

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        return self.pixels.config.latent_channels, self.config.num_frames, self.config.height, self.config.width

    @clear_errors
    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> ImageGenerator:
        """The same generator elsewhere; `dtype` is for the denoiser alone."""
        self.pixels.to(torch.device(device))
        self.denoiser.to(torch.device(device), dtype)
        return self

    @clear_errors
    def levels(self, num_steps: Count, shape: Sequence[int]) -> Float[Tensor, " level"]:
        """Flow times from noise down to data, those of the network's objective."""
        del shape
        return self.denoiser.objective.levels(num_steps)

    @torch.no_grad()
    @clear_errors
    def encode(self, video: Video, *, batch_size: Count = 16) -> Latents:
        check_video(video=video)
        return batched(lambda clips: self.pixels.encode(clips.to(self.device).float()), video, batch_size)

    @torch.no_grad()
    @clear_errors
    def decode(self, latents: Latents, *, batch_size: Count = 16) -> Video:
        self.check_latents(latents)
        own = lambda part: self.pixels.decode(part.to(self.device).float()).clamp(-1, 1)  # noqa: E731
        return batched(own, latents, batch_size)

    @clear_errors
    def condition(self, captions: str | Sequence[str]) -> Condition:
        """What the denoiser is told by names of classes; "" and "any" say nothing.

        Raises:
            ValueError: no such class; the message lists those there are.
        """
        names = [captions] if isinstance(captions, str) else list(captions)
        known = {name.lower(): i for i, name in enumerate(self.classes)} | {"": len(self.classes)}
        known.setdefault(ANY, len(self.classes))
        for name in names:
            if not isinstance(name, str) or name.strip().lower() not in known:
                raise ValueError(f"no class {name!r}; there are {', '.join([*self.classes, ANY])}")
        labels = torch.tensor([known[name.strip().lower()] for name in names], device=self.device)
        return Condition(extras={"class": labels})

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        time = torch.full((len(y),), s, dtype=torch.float32, device=y.device)
        answer = self.denoiser(y, time, condition.parts["class"])
        return self.denoiser.objective.velocity(answer, y.float(), s).to(y.dtype)

    @clear_errors
    def save(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Writes `generator.json` and a safetensors file for each network; `load(folder)` reads them back."""
        folder = Path(folder)
        save_weights(folder / "autoencoder.safetensors", self.pixels, {"kind": "pixels", **asdict(self.pixels.config)})
        save_denoiser(folder / "denoiser.safetensors", self.denoiser, dtype=dtype)
        write_text(folder / "generator.json", json.dumps(asdict(self.config), indent=2) + "\n")


def save_denoiser(path: Path, denoiser: ImageDenoiser, *, dtype: torch.dtype = torch.float32) -> None:
    """Writes the network, its objective and the names of its classes."""
    save_weights(path, denoiser, {"kind": "image", **asdict(denoiser.config)}, dtype=dtype)
