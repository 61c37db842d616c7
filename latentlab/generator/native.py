"""latentlab's own model: a KL autoencoder, a denoiser and a CLIP text tower."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from latentlab.checks import Count, clear_errors
from latentlab.face import renamed_attributes
from latentlab.generator.autoencoder import Autoencoder
from latentlab.generator.clip_model import ClipModel
from latentlab.generator.condition import Condition
from latentlab.generator.denoiser import Preconditioned
from latentlab.generator.generator import Generator, GeneratorConfig
from latentlab.generator.run import batched
from latentlab.generator.velocity_model import Networks
from latentlab.shapes import Latents, Video, check_video
from latentlab.store import write_text
from latentlab.weights import save_weights


@renamed_attributes(clip="clip_model")
class NativeGenerator(Generator):
    """A video autoencoder and a denoiser under captions: the architecture that ships and that `latentlab.train` trains.

    >>> import latentlab
    >>> generator = latentlab.load()
    >>> video = generator.generate(["a red star moving left"], seed=0, num_steps=2)
    >>> video.shape
    torch.Size([1, 3, 16, 64, 64])
    """

    @clear_errors
    def __init__(
        self, autoencoder: Autoencoder, denoiser: Preconditioned, clip_model: ClipModel, config: GeneratorConfig
    ) -> None:
        self.autoencoder = autoencoder.eval().requires_grad_(False)
        self.denoiser = denoiser.eval().requires_grad_(False)
        self.clip_model = clip_model.eval().requires_grad_(False)
        self.config = config

    @property
    def frame_patch(self) -> int:
        return self.denoiser.config.frame_patch

    @property
    def networks(self) -> Networks:
        return Networks(autoencoder=self.autoencoder, denoiser=self.denoiser, text=self.clip_model)

    @property
    def adaptable(self) -> dict[str, nn.Module]:
        return {"autoencoder": self.autoencoder, "denoiser": self.denoiser}

    def having(self, networks: Mapping[str, nn.Module]) -> NativeGenerator:
        changed = copy.copy(self)
        for role, network in networks.items():
            setattr(changed, role, network)
        return changed

    @clear_errors
    def knowing(self, words: Mapping[str, Tensor]) -> NativeGenerator:
        if not isinstance(words, Mapping):
            raise TypeError(f"new words are a mapping of embeddings, got {type(words).__name__}")
        if not words:
            return self
        return self.having({"clip_model": self.clip_model.knowing(words)})

    @property
    def device(self) -> torch.device:
        return self.autoencoder.mean.device

    @property
    def dtype(self) -> torch.dtype:
        return next(self.denoiser.parameters()).dtype

    @property
    def latent_shape(self) -> tuple[int, int, int, int]:
        c = self.config
        ratio = self.autoencoder.spatial_compression_ratio
        return self.autoencoder.config.latent_channels, c.num_frames, c.height // ratio, c.width // ratio

    @clear_errors
    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> NativeGenerator:
        """The same generator elsewhere; `dtype` is for the denoiser alone."""
        try:
            place = torch.device(device)
        except RuntimeError as error:
            raise ValueError(f"no device {device!r}; there are cpu, cuda (or cuda:1, ...) and mps") from error
        for module in (self.autoencoder, self.clip_model):
            module.to(place)
        self.denoiser.to(place, dtype)
        return self

    @torch.no_grad()
    @clear_errors
    def encode(self, video: Video, *, batch_size: Count = 16) -> Latents:
        check_video(video=video)
        return batched(lambda clips: self.autoencoder.encode(clips.to(self.device).float()), video, batch_size)

    @torch.no_grad()
    @clear_errors
    def decode(self, latents: Latents, *, batch_size: Count = 16) -> Video:
        self.check_latents(latents)
        return batched(
            lambda part: self.autoencoder.decode(part.to(self.device).float()).clamp(-1, 1), latents, batch_size
        )

    @torch.no_grad()
    @clear_errors
    def condition(self, captions: str | Sequence[str], *, negative: str | Sequence[str] | None = None) -> Condition:
        """What the denoiser is told by captions; "" says nothing.

        Args:
            captions: one or several.
            negative: what guidance leads away from, one or one for each; None is the empty caption.

        Raises:
            ValueError: a word or symbol the model does not know; the message lists the words it does.
        """
        captions = [captions] if isinstance(captions, str) else list(captions)
        for caption in captions:
            self.clip_model.tokenize.check(caption)
        away = None if negative is None else self.condition(negative).expand(len(captions))
        return Condition(*self.clip_model.tokens(captions), negative=away)

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        if condition.extras:
            raise ValueError(f"this model reads captions alone, its condition has {', '.join(condition.extras)} too")
        time = torch.full((len(y),), s, dtype=torch.float32, device=y.device)
        return self.denoiser(y, time, condition.tokens, condition.mask).to(y.dtype)

    @clear_errors
    def save(self, folder: str | Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Writes `generator.json` and a safetensors file for each network; `load(folder)` reads them back."""
        folder = Path(folder)
        save_weights(folder / "autoencoder.safetensors", self.autoencoder, asdict(self.autoencoder.config), dtype=dtype)
        save_weights(folder / "denoiser.safetensors", self.denoiser, self.denoiser.header(), dtype=dtype)
        save_weights(folder / "clip.safetensors", self.clip_model, self.clip_model.header(), dtype=dtype)
        write_text(folder / "generator.json", json.dumps(asdict(self.config), indent=2) + "\n")
