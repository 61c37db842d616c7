"""Trains the image denoiser on pictures with a class, for any objective; and its layers over time on clips of these."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentlab.data.drifting import Drifting
from latentlab.data.pictures import Images
from latentlab.generator.image import save_denoiser
from latentlab.generator.networks.image import ImageDenoiser, ImageDenoiserConfig, PixelConfig, Pixels, inflated
from latentlab.train.identity import data_identity
from latentlab.train.loop import Tracker, device_for_training, is_main_process, train
from latentlab.train.order import epoch_order
from latentlab.train.settings import ImageTraining
from latentlab.weights import fingerprint


def train_image_denoiser(
    data: Images | Drifting,
    out: Path,
    config: ImageTraining | None = None,
    *,
    device: str = "auto",
    tracker: Tracker | None = None,
    sample: Callable[[nn.Module, int], None] | None = None,
    start: ImageDenoiser | None = None,
) -> ImageDenoiser:
    """Trains on the pixels of `data` and writes `denoiser.safetensors` to `out`.

    The loss is the squared error of the network's answer, weighted as the objective says.

    Args:
        data: pictures with a class, or clips of them for a network of as many frames.
        out: folder of the run; a run found there is resumed.
        config: settings.
        device: "auto", "cpu", "cuda", ...
        tracker: called with `(figures, step)`.
        sample: called with `(denoiser, step)` now and then, to draw sample grids.
        start: a trained network to go on from; on clips, an image model, of which only the layers over time learn.

    Returns:
        The trained network.

    Raises:
        ValueError: pictures whose sides do not fit, or a network to go on from that is of another shape or objective.
    """
    config = config or ImageTraining()
    pictures = data.pictures if isinstance(data, Drifting) else data
    config = replace(config, network=replace(config.network, num_frames=data.num_frames))
    multiple = config.network.multiple
    if data.size[0] % multiple or data.size[1] % multiple:
        raise ValueError(
            f"this network takes sides that are multiples of {multiple}, and the pictures are {data.size[0]} x "
            f"{data.size[1]}; give --size, or a network of another patch or number of scales"
        )
    if start is not None and start.config.num_frames == 1 < data.num_frames:
        start = inflated(start, data.num_frames)
    if start is not None and start.config != config.network:
        raise ValueError(f"this network cannot go on from that one: {start.config}, asked for {config.network}")
    where = device_for_training(device)
    pixels = pixels_of(pictures)
    labels = torch.from_numpy(pictures.labels)
    torch.manual_seed(config.loop.seed)
    model = ImageDenoiser(config.network) if start is None else deepcopy(start)
    for name, parameter in model.named_parameters():  # an image model that learns time stays one
        parameter.requires_grad_(start is None or data.num_frames == 1 or ".time." in name)
    own = model.objective

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = torch.from_numpy(epoch_order(len(data), config.loop.batch_size, step, config.loop.seed))
        dropped = torch.from_numpy(rng.random(len(picks)) < config.class_dropout)
        told = labels[picks] if config.network.classes else torch.zeros(len(picks), dtype=torch.long)
        return {
            "clean": (data.levels(picks.numpy(), seed=step) - pixels.mean) / pixels.spread,
            "label": told.masked_fill(dropped, len(config.network.classes)),
        }

    def loss(net: nn.Module, batch: dict[str, Tensor], generator: torch.Generator):
        clean = batch["clean"]
        noise = torch.randn(clean.shape, generator=generator, device=clean.device)
        s = own.times(torch.rand(len(clean), generator=generator, device=clean.device))
        at = s[:, None, None, None, None]
        answer = net((1 - at) * clean + at * noise, s, batch["label"]).float()
        error = (answer - own.target(clean, noise, at)).pow(2).mean((1, 2, 3, 4))
        return (torch.as_tensor(own.weight(s)) * error).mean(), {}

    about = {name: value for name, value in asdict(config).items() if name != "loop"} | {
        "data": data_identity(data),
        "pixels": asdict(pixels.config),
        "start": start and fingerprint(start)[:16],
    }
    trained = train(
        model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker, sample=sample
    )
    if is_main_process():
        save_denoiser(out / "denoiser.safetensors", trained)
    return trained


def pixels_of(data: Images) -> Pixels:
    """Pixels of the mean and spread that the pictures have."""
    levels = np.bincount(data.pixels.ravel(), minlength=256) / data.pixels.size
    values = np.arange(256) / 127.5 - 1
    mean = float(levels @ values)
    spread = max(float((levels @ (values - mean) ** 2) ** 0.5), 1e-3)
    return Pixels(PixelConfig(data.channels, round(mean, 6), round(spread, 6)))


def with_classes(network: ImageDenoiserConfig, data: Images, *, classes: bool) -> ImageDenoiserConfig:
    """The network for these pictures, under their classes or under none."""
    return replace(network, latent_channels=data.channels, classes=data.names if classes else ())
