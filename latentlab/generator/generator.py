"""The generator: encode, decode, sample and invert behind one interface."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig
from latentlab.generator.clip import ClipConfig, ClipModel
from latentlab.generator.condition import Condition
from latentlab.generator.denoiser import Denoiser, DenoiserConfig
from latentlab.generator.levels import sampling_levels
from latentlab.generator.solver import Velocity, solve
from latentlab.shapes import Latents, Noise, Video
from latentlab.weights import fingerprint, read_weights, save_weights, shipped


@dataclass(frozen=True)
class GeneratorConfig:
    """What the generator was made for and how it samples best.

    Args:
        num_frames, height, width: of its clips.
        fps: frames a second of its clips.
        guidance: classifier-free guidance that `generate` uses.
        shift: of the noise levels, see `sampling_levels`.
    """

    num_frames: int = 16
    height: int = 64
    width: int = 64
    fps: float = 8.0
    guidance: float = 2.5
    shift: float = 1.0


class Generator:
    """A video autoencoder and a denoiser under captions.

    Everything computes on the device of the weights; tensors given on another one are moved there.

    >>> generator = load()
    >>> video = generator.generate(["a red star moving left"], seed=0, num_steps=2)
    >>> video.shape
    torch.Size([1, 3, 16, 64, 64])
    """

    def __init__(self, autoencoder: Autoencoder, denoiser: Denoiser, clip: ClipModel, config: GeneratorConfig) -> None:
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.denoiser = denoiser.eval().requires_grad_(False)
        self.clip = clip.eval().requires_grad_(False)
        self.config = config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.autoencoder.mean.device

    @property
    def dtype(self) -> torch.dtype:
        """What the denoiser computes in; states and latents are float32 in any case."""
        return next(self.denoiser.parameters()).dtype

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Channel, frame, height and width of the latents of one clip."""
        c = self.config
        ratio = self.autoencoder.spatial_compression_ratio
        return self.autoencoder.config.latent_channels, c.num_frames, c.height // ratio, c.width // ratio

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Generator:
        """The same generator elsewhere; `dtype` is for the denoiser alone."""
        for module in (self.autoencoder, self.clip):
            module.to(device)
        self.denoiser.to(device, dtype)
        return self

    @torch.no_grad()
    def encode(self, video: Video, *, batch_size: int = 16) -> Latents:
        """Latents of clips, about unit variance: the mode of the posterior."""
        self._check_video(video)
        chunks = video.split(batch_size)
        return torch.cat([self.autoencoder.encode(chunk.to(self.device).float()) for chunk in chunks])

    @torch.no_grad()
    def decode(self, latents: Latents, *, batch_size: int = 16) -> Video:
        """Clips of latents, within [-1, 1]."""
        self._check_latents(latents)
        chunks = latents.split(batch_size)
        return torch.cat([self.autoencoder.decode(chunk.to(self.device).float()).clamp(-1, 1) for chunk in chunks])

    @torch.no_grad()
    def condition(self, captions: str | Sequence[str]) -> Condition:
        """What the denoiser is told by captions; "" says nothing.

        Raises:
            ValueError: a word the model does not know; the message lists those it does.
        """
        captions = [captions] if isinstance(captions, str) else list(captions)
        return Condition(*self.clip.tokens(captions))

    def velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity field v(y, s) under a condition, with classifier-free guidance (Ho & Salimans 2022, eq. 6).

        v = v("") + guidance * (v(condition) - v("")); at guidance 1 the empty caption is not evaluated.
        """
        condition = condition.to(self.device, self.dtype)
        if guidance == 1.0:
            return lambda y, s: self._network(y, s, condition)
        empty = self.condition("").to(self.device, self.dtype).expand(len(condition))
        both = Condition.cat([empty, condition])

        def guided(y: Tensor, s: float) -> Tensor:
            without, under = self._network(torch.cat([y, y]), s, both).chunk(2)
            return torch.lerp(without, under, guidance)

        return guided

    def noise(self, count: int, *, seed: int = 0) -> Noise:
        """Unit Gaussian noise; item i depends on `(seed, i)` alone, whatever the count and the device."""
        if count < 1:
            raise ValueError(f"count must be at least 1, got {count}")
        rngs = [np.random.default_rng([seed, i]) for i in range(count)]
        drawn = np.stack([rng.standard_normal(self.latent_shape, np.float32) for rng in rngs])
        return torch.from_numpy(drawn).to(self.device)

    def sample(
        self,
        noise: Noise,
        caption: str | Sequence[str] | Condition = "",
        *,
        num_steps: int = 25,
        method: str = "midpoint",
        guidance: float = 1.0,
        batch_size: int = 16,
        callback: Callable[[int, float, Tensor], None] | None = None,
        progress: bool | str = False,
    ) -> Latents:
        """Carries noise to latents.

        Args:
            noise: unit variance, as `noise` makes or `invert` returns it.
            caption: one for all clips, one for each, or a condition made before.
            num_steps: steps of the solver.
            method: "ddim", "midpoint" or "heun".
            guidance: weight of the caption, 1 is the model as trained.
            batch_size: clips at a time.
            callback: called after each step as `callback(step, level, state)`, batch by batch.
            progress: show a bar; a string names it.

        Returns:
            Latents, for `decode`.
        """
        levels = sampling_levels(num_steps, shift=self.config.shift)
        return self._solve(noise, caption, levels, method, guidance, batch_size, callback, progress)

    def invert(
        self,
        latents: Latents,
        caption: str | Sequence[str] | Condition = "",
        *,
        num_steps: int = 25,
        method: str = "midpoint",
        guidance: float = 1.0,
        batch_size: int = 16,
        callback: Callable[[int, float, Tensor], None] | None = None,
        progress: bool | str = False,
    ) -> Noise:
        """Carries latents to the noise that `sample`, with the same arguments, carries back to them.

        The arguments are those of `sample`; guidance above 1 costs accuracy, so invert at 1 and edit with guidance.
        """
        levels = sampling_levels(num_steps, shift=self.config.shift).flip(0)
        return self._solve(latents, caption, levels, method, guidance, batch_size, callback, progress)

    def generate(
        self,
        captions: str | Sequence[str],
        *,
        seed: int = 0,
        num_steps: int = 25,
        method: str = "ddim",
        guidance: float | None = None,
        batch_size: int = 16,
        progress: bool | str = False,
    ) -> Video:
        """Clips of captions: noise from the seed, sampled and decoded; `guidance` None is the shipped one."""
        captions = [captions] if isinstance(captions, str) else list(captions)
        guidance = self.config.guidance if guidance is None else guidance
        latents = self.sample(
            self.noise(len(captions), seed=seed),
            captions,
            num_steps=num_steps,
            method=method,
            guidance=guidance,
            batch_size=batch_size,
            progress=progress,
        )
        return self.decode(latents, batch_size=batch_size)

    def fingerprint(self) -> str:
        """SHA-256 of all weights."""
        return fingerprint(self.autoencoder, self.denoiser, self.clip)

    def save(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Writes `generator.json` and a safetensors file for each network; `load(folder)` reads them back."""
        folder = Path(folder)
        save_weights(folder / "autoencoder.safetensors", self.autoencoder, asdict(self.autoencoder.config), dtype=dtype)
        save_weights(folder / "denoiser.safetensors", self.denoiser, asdict(self.denoiser.config), dtype=dtype)
        save_weights(folder / "clip.safetensors", self.clip, self.clip.header(), dtype=dtype)
        partial = folder / "generator.json.partial"
        partial.write_text(json.dumps(asdict(self.config), indent=2) + "\n")
        os.replace(partial, folder / "generator.json")

    def _solve(self, y, caption, levels, method, guidance, batch_size, callback, progress) -> Tensor:
        self._check_latents(y)
        if not np.isfinite(guidance):
            raise ValueError(f"guidance must be finite, got {guidance}")
        condition = caption if isinstance(caption, Condition) else self.condition(caption)
        condition = condition.expand(len(y))
        ends = []
        for first in range(0, len(y), batch_size):
            rows = slice(first, first + batch_size)
            ends.append(
                solve(
                    self.velocity(condition[rows], guidance),
                    y[rows].to(self.device),
                    levels,
                    method=method,
                    callback=callback,
                    progress=progress,
                )
            )
        return torch.cat(ends)

    def _network(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        time = torch.full((len(y),), s, dtype=torch.float32, device=y.device)
        return self.denoiser(y, time, condition.tokens, condition.mask).to(y.dtype)

    def _check_video(self, video: Tensor) -> None:
        if video.ndim != 5 or video.shape[1] != 3:
            raise ValueError(f"a video has axes (batch, 3, frame, height, width), got shape {tuple(video.shape)}")
        if video.numel() == 0:
            raise ValueError(f"a video of no clips or no frames, shape {tuple(video.shape)}")
        low, high = float(video.min()), float(video.max())
        if not (low >= -1.01 and high <= 1.01):
            raise ValueError(
                f"a video is in [-1, 1], got values from {low:.3g} to {high:.3g}; uint8 frames: video / 127.5 - 1"
            )

    def _check_latents(self, latents: Tensor) -> None:
        channels = self.latent_shape[0]
        if latents.ndim != 5 or latents.shape[1] != channels:
            raise ValueError(
                f"latents have axes (batch, {channels}, frame, height, width), got shape {tuple(latents.shape)}"
            )


def load(
    path: str | Path | None = None, *, device: str | torch.device = "auto", dtype: torch.dtype = torch.float32
) -> Generator:
    """Loads a generator.

    Args:
        path: folder written by `Generator.save`; None is the model that ships with latentlab.
        device: "auto" is cuda, then mps, then cpu.
        dtype: of the denoiser; the solver's state is float32 in any case.

    Raises:
        FileNotFoundError: a file of the generator is missing in `path`.
    """
    if path is None:
        with shipped() as own:
            return load(own, device=device, dtype=dtype)
    folder = Path(path)
    config_file = folder / "generator.json"
    if not config_file.is_file():
        raise FileNotFoundError(f"{folder} holds no generator.json; give a folder written by Generator.save")
    denoiser = _network(folder / "denoiser.safetensors", Denoiser, DenoiserConfig)
    config = GeneratorConfig(**json.loads(config_file.read_text()))
    generator = Generator(load_autoencoder(folder), denoiser, load_clip(folder), config)
    return generator.to(find_device(device), dtype)


def load_autoencoder(folder: Path) -> Autoencoder:
    """The autoencoder of a generator, or of its training run."""
    return _network(folder / "autoencoder.safetensors", Autoencoder, AutoencoderConfig)


def load_clip(folder: Path) -> ClipModel:
    """The CLIP model of a generator, or of its training run."""
    return _network(folder / "clip.safetensors", ClipModel, ClipConfig)


def find_device(name: str | torch.device = "auto") -> torch.device:
    """A device by name; "auto" is cuda, then mps, then cpu."""
    if name != "auto":
        return torch.device(name)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _network(path: Path, kind, config_kind):
    tensors, config = read_weights(path)
    config = {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}
    network = kind(config_kind(**config))
    network.load_state_dict(tensors)
    return network
