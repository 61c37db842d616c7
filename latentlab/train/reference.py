"""Trains decoupled cross-attention to reference images: one frame of a clip says what its caption leaves open."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.checks import clear_errors
from latentlab.generator.adapted import on
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.reference import ReferenceNetwork, looked_at
from latentlab.shapes import Latents
from latentlab.store import short_digest
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.clip import CaptionedClips
from latentlab.train.denoiser import encode_all
from latentlab.train.identity import data_identity
from latentlab.train.loop import LoopConfig, Tracker, device_for_training, is_main_process, train
from latentlab.train.order import epoch_order
from latentlab.weights import fingerprint, save_weights

SHARD = 256  # clips in a file
LOOKS = 2  # frames of each clip that are looked at


@dataclass(frozen=True)
class ReferenceTraining:
    """Settings of one run.

    Args:
        loop: steps, rates, seed.
        tokens: that an image becomes.
        clips: how many clips of the data are encoded and looked at, once, before training.
        caption_dropout: share of clips trained without their caption, so that the image says all.
        image_dropout: share trained without the image.
        level_mean, level_spread: flow times are drawn as sigmoid(N(mean, spread^2)) (Esser et al. 2024, eq. 19).
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=3000, batch_size=16, learning_rate=1e-3, warmup=50, weight_decay=0.0, ema=0.99
        )
    )
    tokens: int = 4
    clips: int = 4096
    caption_dropout: float = 0.5
    image_dropout: float = 0.05
    level_mean: float = 0.6
    level_spread: float = 1.2


@clear_errors
def train_reference(
    generator: NativeGenerator,
    data: CaptionedClips,
    out: Path,
    config: ReferenceTraining | None = None,
    *,
    tracker: Tracker | None = None,
    encoded: Path | None = None,
) -> ReferenceNetwork:
    """Trains the network on the latents of `data` and writes `reference.safetensors` (float16) to `out`.

    Each clip's reference is one of its own frames, as the model's CLIP sees it. The loss is that of the denoiser, which
    stays as it is.

    Args:
        generator: whose denoiser is told.
        data: captioned clips.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.
        encoded: folder of the encoded latents and embeddings, which runs may share; None is one in `out`.
    """
    config = config or ReferenceTraining()
    where = device_for_training(str(generator.device))
    for network in generator.modules:  # frozen from the first step on: attention rounds otherwise under grad
        network.eval().requires_grad_(False)
    count, clip, denoiser = min(config.clips, len(data)), generator.clip, generator.denoiser
    clip.tokenize([data.caption(i) for i in range(min(count, 4096))])  # an unknown word is told before the work
    folder = encoded or out / "latents"
    latents = encode_all(data, generator.autoencoder, count, folder, config.loop.seed)
    seen = look_at_all(generator, data, count, folder, config.loop.seed)
    torch.manual_seed(config.loop.seed)
    model = _Trained(ReferenceNetwork(denoiser, clip.config.embed_dim, config.tokens))  # type: ignore[arg-type]

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = epoch_order(count, config.loop.batch_size, step, config.loop.seed)
        dropped = rng.random(len(picks)) < config.caption_dropout
        said = ["" if drop else data.caption(int(i), seed=step) for i, drop in zip(picks, dropped, strict=True)]
        shown = torch.from_numpy(rng.random(len(picks)) >= config.image_dropout).float()
        image = seen[picks, rng.integers(LOOKS, size=len(picks))]
        return {"latents": latents[picks].float(), "numbers": clip.tokenize(said), "image": image, "shown": shown}

    def loss(net: nn.Module, batch: dict[str, Tensor], rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        clean = batch["latents"]
        noise = torch.randn(clean.shape, generator=rng, device=clean.device)
        normal = torch.randn(len(clean), generator=rng, device=clean.device)
        s = torch.sigmoid(config.level_mean + config.level_spread * normal)
        with torch.no_grad():
            tokens, mask = clip.token_states(batch["numbers"])
        y = torch.lerp(clean, noise, s[:, None, None, None, None])
        v = net(y, s, tokens, mask, batch["image"], batch["shown"])
        return denoiser.error(v.float(), noise - clean, s), {}

    about = {name: value for name, value in asdict(config).items() if name != "loop"} | {
        "data": data_identity(data),
        "base": fingerprint(denoiser)[:16],
        "autoencoder": fingerprint(generator.autoencoder)[:16],
        "clip_model": fingerprint(clip)[:16],
    }
    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker).network
    if is_main_process():
        save_weights(out / "reference.safetensors", trained, trained.header(), dtype=torch.float16)
    return trained


class _Trained(nn.Module):
    """The denoiser beside its image prompt; only that is its own."""

    def __init__(self, network: ReferenceNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, y: Latents, s: Tensor, tokens: Tensor, mask: Tensor, image: Tensor, shown: Tensor) -> Latents:
        with on(self.network.updates([image], [shown])):
            return self.network.denoiser(y, s, tokens, mask)


@torch.inference_mode()
def look_at_all(
    generator: NativeGenerator, data: CaptionedClips, count: int, folder: Path, seed: int
) -> Float[Tensor, "clip look embedding"]:
    """What CLIP sees in some frames of the first `count` clips, kept in shards so that a killed run goes on."""
    key = f"seen-{fingerprint(generator.clip)[:16]}-{short_digest(data_identity(data))}-{seed}"
    found = []
    for first in tqdm(range(0, count, SHARD), desc="looking at frames", unit_scale=SHARD, disable=None):
        rows = range(first, min(count, first + SHARD))
        path = folder / f"{key}-{rows.start:08d}-{rows.stop:08d}.safetensors"
        if not path.exists():
            shard = []
            for i in rows:
                frames = np.random.default_rng([seed, 6, i]).choice(
                    data.num_frames, LOOKS, replace=data.num_frames < LOOKS
                )
                clip = data.clip(i, seed=seed)[:, :, torch.from_numpy(frames)]
                shard.append(looked_at(generator, clip.permute(2, 1, 0, 3, 4)).cpu())
            write_tensors(path, "seen", {}, {"seen": torch.stack(shard)})
        found.append(read_tensors(path, "seen", "embedded frames")[0]["seen"])
    return torch.cat(found)
