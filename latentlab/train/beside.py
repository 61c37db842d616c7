"""What trainings beside a denoiser have in common: it stays as it is, and what stands beside it learns by its loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from latentlab.generator.denoiser import Denoiser
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.beside import Beside
from latentlab.shapes import Latents
from latentlab.train.clip_model import CaptionedClips
from latentlab.train.denoiser import encode_all
from latentlab.train.identity import data_identity
from latentlab.train.loop import Batch, Tracker, device_for_training, is_main_process, train
from latentlab.train.order import epoch_order
from latentlab.train.settings_beside import BesideTraining
from latentlab.weights import fingerprint, save_weights

NEAR_NOISE = 2.5  # mean of the logit of flow times near noise
Branch = TypeVar("Branch", bound=Beside)


@dataclass(frozen=True, eq=False)
class Lessons:
    """Clips, encoded once, from which a network beside a denoiser learns.

    Attributes:
        generator: whose denoiser is told; it stays as it is.
        denoiser: that one.
        data: captioned clips.
        config: settings.
        latents: of the first of the clips.
        folder: where they are kept.
        device: of the training.
    """

    generator: NativeGenerator
    denoiser: Denoiser
    data: CaptionedClips
    config: BesideTraining
    latents: Latents
    folder: Path
    device: torch.device

    @classmethod
    def of(cls, generator: NativeGenerator, data: CaptionedClips, config: BesideTraining, folder: Path) -> Self:
        """Encodes what is not yet in the folder, which runs may share.

        Raises:
            ValueError: a denoiser that is no U-Net, or a caption with a word that the generator does not know.
        """
        denoiser, device = generator.denoiser, device_for_training(str(generator.device))
        if not isinstance(denoiser, Denoiser):
            raise ValueError(f"nothing stands beside a {type(denoiser).__name__} yet, only beside a Denoiser, a U-Net")
        for network in generator.modules:  # frozen from the first step on: attention rounds otherwise under grad
            network.eval().requires_grad_(False)
        count = min(config.clips, len(data))
        generator.clip_model.tokenize(
            [data.caption(i) for i in range(min(count, 4096))]
        )  # an unknown word is told early
        latents = encode_all(data, generator.autoencoder, count, folder, config.loop.seed)
        return cls(generator, denoiser, data, config, latents, folder, device)

    def train(
        self,
        begin: Callable[[Denoiser], Branch],
        told: Callable[[np.random.Generator, np.ndarray], Batch],
        on: Callable[[Branch, Mapping[str, Tensor]], AbstractContextManager[Any]],
        out: Path,
        *,
        about: Mapping[str, Any] | None = None,
        tracker: Tracker | None = None,
    ) -> Branch:
        """Trains the network, by the loss of the denoiser, and writes it (float16).

        Args:
            begin: the network before its first step.
            told: what it is told beside latents and captions, of clips by number; drawn from a generator of the step.
            on: the network at work on a batch, for a `with` block around the denoiser.
            out: file of its weights, in the folder of the run; a run found there is resumed.
            about: what else makes the run what it is.
            tracker: called with `(figures, step)`.
        """
        config, clip_model, seed = self.config, self.generator.clip_model, self.config.loop.seed
        torch.manual_seed(seed)
        model = _Taught(begin(self.denoiser), on)

        def make_batch(step: int) -> Batch:
            rng = np.random.default_rng([seed, step])
            picks = epoch_order(len(self.latents), config.loop.batch_size, step, seed)
            dropped = rng.random(len(picks)) < config.caption_dropout
            said = [
                "" if drop else self.data.caption(int(i), seed=step) for i, drop in zip(picks, dropped, strict=True)
            ]
            return {"latents": self.latents[picks].float(), "numbers": clip_model.tokenize(said), **told(rng, picks)}

        def loss(net: nn.Module, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
            clean = batch["latents"]
            noise = torch.randn(clean.shape, generator=rng, device=clean.device)
            normal = torch.randn(len(clean), generator=rng, device=clean.device)
            near = torch.rand(len(clean), generator=rng, device=clean.device) < config.near_noise
            s = torch.sigmoid(torch.where(near, NEAR_NOISE + normal, config.level_mean + config.level_spread * normal))
            with torch.no_grad():
                tokens, mask = clip_model.token_states(batch["numbers"])
            y = torch.lerp(clean, noise, s[:, None, None, None, None])
            return self.denoiser.error(net(y, s, tokens, mask, batch).float(), noise - clean, s), {}

        made_of = {name: value for name, value in asdict(config).items() if name != "loop"} | {
            "data": data_identity(self.data),
            "base": fingerprint(self.denoiser)[:16],
            "autoencoder": fingerprint(self.generator.autoencoder)[:16],
            **(about or {}),
        }
        trained = train(
            model, make_batch, loss, config.loop, out.parent, device=self.device, about=made_of, tracker=tracker
        )
        network: Any = trained.network
        if is_main_process():
            save_weights(out, network, network.header(), dtype=torch.float16)
        return network


class _Taught(nn.Module):
    """The denoiser under a network beside it; only that is its own."""

    def __init__(self, network: Beside, on: Callable[[Any, Mapping[str, Tensor]], AbstractContextManager[Any]]) -> None:
        super().__init__()
        self.network, self.on = network, on

    def forward(self, y: Latents, s: Tensor, tokens: Tensor, mask: Tensor, batch: Mapping[str, Tensor]) -> Latents:
        with self.on(self.network, batch):
            return self.network.denoiser(y, s, tokens, mask)
