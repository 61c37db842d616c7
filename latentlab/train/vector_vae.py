"""Trains the vector VAE for one of the objectives, on frames or whole clips."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import UInt8
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.generator.vector_vae import VectorVAE
from latentlab.shapes import Codes, Video
from latentlab.train.autoencoder import ClipSource
from latentlab.train.grid import save_grid
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.objectives import OBJECTIVES, Critic, Draw, Figures
from latentlab.train.settings import VectorVAETraining
from latentlab.weights import save_weights


class Learner(nn.Module):
    """A vector VAE with its objective, and the critic where there is one."""

    def __init__(self, config: VectorVAETraining) -> None:
        super().__init__()
        self.config = config
        self.vae = VectorVAE(config.network)
        dims = config.network.dims + config.network.motion_dims
        self.critic = Critic(dims) if config.objective == "factor-vae" else None

    def forward(self, video: Video, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        """The loss of a batch, a number for each pixel value so that rates suit clips of any size, and figures."""
        mean, logvar = self.vae.posterior(video)
        noise = torch.randn(mean.shape, generator=generator, device=mean.device)
        z = mean if self.config.objective == "autoencoder" else mean + (0.5 * logvar).exp() * noise
        logits = self.vae.logits(z).float()
        bright = (video + 1) / 2
        error = F.binary_cross_entropy_with_logits(logits, bright, reduction="sum") / len(video)
        kl = self.vae.kl(mean, logvar)
        # A frame's code is a code like any other; what moves from frame to frame may well depend on the frame before.
        frame = int(torch.randint(self.config.network.num_frames, (), generator=generator, device=mean.device))

        def at_frame(codes: Codes) -> Codes:
            return self.vae.by_frame(codes)[:, frame]

        drawn = at_frame(mean), at_frame(logvar), at_frame(z)
        draw = Draw(error, kl, *drawn, progress, self.critic, generator, self.config.network.rings)
        given = () if self.config.strength is None else (self.config.strength,)
        loss, figures = OBJECTIVES[self.config.objective](draw, *given)
        loss = error + min(1.0, progress / max(self.config.warmup, 1e-9)) * (loss - error)
        mse = (2 * logits.detach().sigmoid() - 1 - video).square().mean()
        return loss / video[0].numel(), {"psnr": 10 * torch.log10(4 / mse), "kl": kl.detach().mean(), **figures}


def train_vector_vae(
    data: ClipSource,
    out: Path,
    config: VectorVAETraining | None = None,
    *,
    device: str = "auto",
    tracker: Tracker | None = None,
) -> VectorVAE:
    """Trains on frames or clips of `data` and writes `vector_vae.safetensors` (float16) to `out`.

    Args:
        data: clips; sides must be multiples of 16.
        out: folder of the run; a run found there is resumed.
        config: settings; the size is that of the data.
        device: "auto", "cpu", "cuda", ...
        tracker: called with `(figures, step)`.

    Returns:
        The trained network.
    """
    config = config or VectorVAETraining()
    config = replace(config, network=replace(config.network, size=tuple(data.size)))
    loop, num_frames = config.loop, config.network.num_frames
    torch.manual_seed(loop.seed)
    learner = Learner(config)
    pool = draw_pool(data, config.frames // num_frames, num_frames, loop.seed)

    def make_batch(step: int) -> dict[str, Tensor]:
        picks = np.random.default_rng([loop.seed, step]).integers(len(pool), size=loop.batch_size)
        return {"pixels": pool[picks], "step": torch.full((loop.batch_size,), step)}

    def loss(net: nn.Module, batch: dict[str, Tensor], generator: torch.Generator) -> tuple[Tensor, Figures]:
        return net(batch["pixels"].float() / 127.5 - 1, batch["step"][0].item() / loop.steps, generator)

    preview = pool[:8].float() / 127.5 - 1
    where = device_for_training(device)

    def sample(net: Any, step: int) -> None:
        with torch.inference_mode():
            again = net.vae.decode(net.vae.encode(preview.to(where))).cpu()
        columns = len(preview) if num_frames == 1 else 1
        save_grid(out / "samples" / f"{step:07d}.png", torch.cat([preview, again]), columns=columns)

    about = {"data": data_identity(data), **{k: v for k, v in asdict(config).items() if k != "loop"}}
    trained = train(learner, make_batch, loss, loop, out, device=where, about=about, tracker=tracker, sample=sample)
    if is_main_process():
        save_weights(out / "vector_vae.safetensors", trained.vae, asdict(config.network), dtype=torch.float16)
    return trained.vae


def draw_pool(data: ClipSource, clips: int, num_frames: int, seed: int) -> UInt8[Tensor, "clip 3 frame height width"]:
    """So many clips of `num_frames`, cut from items and at times at random: drawing one takes longer than learning."""
    if not 1 <= num_frames <= data.num_frames:
        raise ValueError(f"clips of {num_frames} frames cannot be cut from clips of {data.num_frames}")
    pool = torch.empty(clips, 3, num_frames, *data.size, dtype=torch.uint8)
    for i in tqdm(range(clips), desc="drawing clips", disable=not is_main_process() or None):
        rng = np.random.default_rng([seed, i])
        item, first = int(rng.integers(len(data))), int(rng.integers(data.num_frames - num_frames + 1))
        clip = data.clip(item, seed=seed, frames=[*range(first, first + num_frames)])
        pool[i] = (127.5 * (clip[0] + 1)).round()
    return pool
