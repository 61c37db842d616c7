"""Trains the autoencoder: squared error of pixels and edges plus a light KL term, on single frames of many clips.

Most of a frame is flat background, which any network copies. So the error may count more on the objects, where the data
set knows where these are: a shape that comes out bent shows there, and hardly in the mean over the frame.

Noise is added to the latents, up to a fifth of their spread. Without it the encoder may write a shape's outline into
differences so fine that no denoiser gets them right, though the decoder reads them well.

Latents of two frames may be put together, each in its own part of the grid, and must come back as these parts of the
two frames: so a change made in one place stays there (CutMix, Yun et al. 2019, on latents).
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn
from tqdm.auto import trange

from latentlab.data.moving.dataset import MovingShapes
from latentlab.generator.autoencoder import Autoencoder, AutoencoderConfig, put_together
from latentlab.shapes import Video
from latentlab.train.grid import save_grid
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.settings import AutoencoderTraining
from latentlab.weights import fingerprint, save_weights


class ClipSource(Protocol):
    """What training needs of a data set; `MovingShapes` and `FolderClips` have it."""

    num_frames: int
    size: tuple[int, int]

    def __len__(self) -> int: ...
    def clip(self, index: int, *, seed: int = 0, frames: list[int] | None = None) -> Video: ...


def train_autoencoder(
    data: ClipSource,
    out: Path,
    config: AutoencoderTraining | None = None,
    *,
    start: Autoencoder | None = None,
    decoder_only: bool = False,
    device: str = "auto",
    tracker: Tracker | None = None,
) -> Autoencoder:
    """Trains on frames of `data` and writes `autoencoder.safetensors` to `out`.

    Args:
        data: clips; frame sides must be multiples of 8.
        out: folder of the run; a run found there is resumed.
        config: settings.
        start: go on from this network (default: a fresh one).
        decoder_only: leave the encoder of `start` as it is, so that its latents stay, and whatever was trained on them.
        device: "auto", "cpu", "cuda", ...
        tracker: called with `(figures, step)`.

    Returns:
        The trained network, latents normalised.

    Raises:
        ValueError: `decoder_only` without a network to start from, or objects are to count more in clips of which
            nobody knows where they are.
    """
    if decoder_only and start is None:
        raise ValueError("decoder_only needs a network to start from: an encoder that was never trained tells nothing")
    config = config or AutoencoderTraining()
    if config.object_weight != 1 and not isinstance(data, MovingShapes):
        kind = type(data).__name__
        raise ValueError(f"object_weight={config.object_weight} needs clips of MovingShapes, got {kind}; leave it at 1")
    where = device_for_training(device)
    torch.manual_seed(config.loop.seed)
    if start is None:
        model = Autoencoder(config.network)
    else:
        config = replace(config, network=start.config, kl_weight=0.0 if decoder_only else config.kl_weight)
        model = deepcopy(start).requires_grad_(True)
        model.encoder.requires_grad_(not decoder_only)

    def make_batch(step: int) -> dict[str, torch.Tensor]:
        picks = _picks(data, config.loop.batch_size, (config.loop.seed, step))
        batch = {"video": _frames(data, picks, step)}
        if config.object_weight != 1 and isinstance(data, MovingShapes):
            batch["near"] = torch.cat([around(data.mask(i, frames=[frame])) for i, frame in picks])
        return batch

    def loss(net: nn.Module, batch: dict[str, Tensor], generator: torch.Generator):
        video = batch["video"]
        b, _, f, h, w = video.shape
        noise = torch.randn(
            (b, config.network.latent_channels, f, h // 8, w // 8), generator=generator, device=video.device
        )
        blur = config.noise * torch.rand(b, generator=generator, device=video.device)
        near = batch.get("near", torch.zeros_like(video[:, :1]))
        weight = 1 + (config.object_weight - 1) * near
        pasted = None
        if config.cutmix:
            pasted = rectangles(b, h // 8, w // 8, config.cutmix, generator).to(video.device)
            video, weight = parts(video, weight, pasted)
        again, kl = net(batch["video"], noise, blur, pasted)
        off = again.float() - video
        mse = off.pow(2).mean()
        weight = (weight / weight.mean()).sqrt()
        off = weight * off
        pixels = off.pow(2).mean()
        edges = off.diff(dim=-1).pow(2).mean() + off.diff(dim=-2).pow(2).mean()
        figures = {"psnr": 10 * torch.log10(4 / mse.detach()), "kl": kl.detach()}
        return pixels + config.edge_weight * edges + config.kl_weight * kl.float(), figures

    preview = _frames(data, _picks(data, 8, (config.loop.seed, -1)), -1)

    def sample(net: Any, step: int) -> None:
        with torch.inference_mode():
            again = net.decode(net.encode(preview.to(where))).cpu()
        save_grid(out / "samples" / f"{step:07d}.png", torch.cat([preview, again]), columns=8)

    about = {name: value for name, value in asdict(config).items() if name != "loop"} | {
        "data": data_identity(data),
        "start": start and fingerprint(start)[:16],
        "decoder_only": decoder_only,
    }
    trained = train(
        model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker, sample=sample
    )
    if not decoder_only:
        _normalise(trained, data, config.loop.seed, where)
    if is_main_process():
        save_weights(out / "autoencoder.safetensors", trained, asdict(config.network))
    return trained


def begun(start: Autoencoder, config: AutoencoderConfig) -> Autoencoder:
    """A network of this shape that goes on from the weights of `start`: other norms keep its scales, and channels of
    the latents that are new begin as the seed of torch draws them.

    Raises:
        ValueError: more than norms and channels of the latents differ.
    """
    c, d = start.config.latent_channels, config.latent_channels
    alike = replace(start.config, latent_channels=d, norm=config.norm, encoder_norm=config.encoder_norm)
    if alike != config:
        raise ValueError(
            f"a network can go on with other norms and channels alone: it has {start.config}, got {config}"
        )
    network = Autoencoder(config)
    weights, known = network.state_dict(), min(c, d)
    for name, value in start.state_dict().items():
        if weights[name].shape == value.shape:
            weights[name] = value
        elif name.startswith("encoder"):  # its last layer: means, then log-variances
            weights[name][:known], weights[name][d : d + known] = value[:known], value[c : c + known]
        elif name.startswith("decoder"):
            weights[name][:, :known] = value[:, :known]
    network.load_state_dict(weights)
    return network


def around(mask: Float[Tensor, "*batch height width"]) -> Float[Tensor, "*batch height width"]:
    """1 on an object and two pixels around it, 0 elsewhere.

    >>> around(torch.eye(7)[None, None] * torch.tensor([0.0, 0, 0, 1, 0, 0, 0]))[0, 0].sum()
    tensor(25.)
    """
    flat = (mask > 0.01).to(mask).flatten(0, -3)
    return F.max_pool2d(flat[:, None], 5, 1, 2)[:, 0].view_as(mask)


def parts(
    video: Video, weight: Float[Tensor, "batch 1 frame height width"], pasted: Bool[Tensor, "batch rows columns"]
) -> tuple[Video, Float[Tensor, "batch 1 frame height width"]]:
    """What clips with `pasted` cells must come back as, and what its errors weigh: nothing within a cell of the seam,
    where the decoder sees both."""
    cell = video.shape[-1] // pasted.shape[-1]
    pixels = pasted.repeat_interleave(cell, 1).repeat_interleave(cell, 2)
    one = pixels[:, None].float()
    near_both = F.max_pool2d(one, 2 * cell + 1, 1, cell) * F.max_pool2d(1 - one, 2 * cell + 1, 1, cell)
    return put_together(video, pixels), put_together(weight, pixels) * (1 - near_both)[:, :, None]


def rectangles(
    batch: int, height: int, width: int, share: float, generator: torch.Generator
) -> Bool[Tensor, "batch height width"]:
    """One random rectangle of cells a clip, from a strip to nearly all of it; none in all but `share` of the clips."""
    draw = torch.rand(batch, 5, generator=generator, device=generator.device)

    def span(ends: Float[Tensor, "batch 2"], length: int) -> Bool[Tensor, "batch length"]:
        first, last = (ends * length).floor().sort(dim=1).values.unbind(1)
        place = torch.arange(length, device=ends.device)
        return (place >= first[:, None]) & (place <= last[:, None])

    rows, columns = span(draw[:, :2], height), span(draw[:, 2:4], width)
    return rows[:, :, None] & columns[:, None, :] & (draw[:, 4] < share)[:, None, None]


def _picks(data: ClipSource, count: int, key: tuple[int, int]) -> list[tuple[int, int]]:
    """Random frames of `count` random clips: numbers of clip and frame."""
    rng = np.random.default_rng([key[0], key[1] + 1])
    return [(int(rng.integers(len(data))), int(rng.integers(data.num_frames))) for _ in range(count)]


def _frames(data: ClipSource, picks: list[tuple[int, int]], step: int) -> Video:
    """These frames, `(count, 3, 1, height, width)`."""
    return torch.cat([data.clip(i, seed=step + 1, frames=[frame]) for i, frame in picks])


@torch.inference_mode()
def _normalise(model: Autoencoder, data: ClipSource, seed: int, device: torch.device, batches: int = 16) -> None:
    """Measures mean and standard deviation of each latent channel, so that `encode` gives unit variance."""
    model.mean.zero_()
    model.std.fill_(1)
    steps = trange(2**31, 2**31 + batches, desc="latent statistics")
    modes = [model.encode(_frames(data, _picks(data, 64, (seed, step)), step).to(device)) for step in steps]
    latents = torch.cat(modes).transpose(0, 1).flatten(1).double()
    model.mean.copy_(latents.mean(1))
    model.std.copy_(latents.std(1))
