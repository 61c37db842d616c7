"""Trains a control branch beside an image denoiser, on pictures of which the class of each pixel is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.data.phantom import Slices
from latentlab.data.warps import warped
from latentlab.generator.image import ImageGenerator
from latentlab.generator.networks.control import one_hot
from latentlab.generator.networks.image_control import ImageControl
from latentlab.train.identity import data_identity
from latentlab.train.loop import Batch, Tracker, device_for_training, is_main_process, train
from latentlab.train.order import epoch_order
from latentlab.train.settings_beside import ImageControlTraining
from latentlab.weights import fingerprint, save_weights


@clear_errors
def train_image_control(
    generator: ImageGenerator,
    data: Slices,
    out: Path,
    config: ImageControlTraining | None = None,
    *,
    tracker: Tracker | None = None,
) -> ImageControl:
    """Trains a branch on slices, warped anew at each step, and writes `image_control.safetensors` (float16) to `out`.

    The loss is that of the denoiser, which stays as it is.

    Args:
        generator: of images, whose denoiser is told.
        data: slices with the tissue of each pixel.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.

    Raises:
        ValueError: slices of another size than the generator's.
    """
    config = config or ImageControlTraining()
    own = (generator.config.height, generator.config.width)
    if data.pictures.size != own:
        raise ValueError(f"this model draws {own[0]} x {own[1]} pixels, and the slices are of {data.pictures.size}")
    denoiser, pixels, device = generator.denoiser, generator.pixels, device_for_training(str(generator.device))
    classes, objective, seed = len(data.names), denoiser.objective, config.loop.seed
    torch.manual_seed(seed)
    model = _Told(ImageControl(denoiser, classes))
    pictures, tissues = data.pictures.levels(np.arange(len(data)))[:, :, 0], torch.from_numpy(data.tissues)

    def make_batch(step: int) -> Batch:
        rng = np.random.default_rng([seed, step])
        picks = torch.from_numpy(epoch_order(len(data), config.loop.batch_size, step, seed))
        picture, tissue = warped(pictures[picks], tissues[picks], rng)
        clean = (picture[:, :, None] - pixels.mean.cpu()) / pixels.spread.cpu()
        anything = torch.full((len(picks),), len(denoiser.config.classes))  # the picture of tissues says it all
        return {"clean": clean, "label": anything, "classes": one_hot(tissue[:, None, None], classes)}

    def loss(net: nn.Module, batch: Batch, rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        clean = batch["clean"]
        noise = torch.randn(clean.shape, generator=rng, device=clean.device)
        s = objective.times(torch.rand(len(clean), generator=rng, device=clean.device))
        at = s[:, None, None, None, None]
        answer = net((1 - at) * clean + at * noise, s, batch["label"], batch["classes"]).float()
        error = (answer - objective.target(clean, noise, at)).pow(2).mean((1, 2, 3, 4))
        return (torch.as_tensor(objective.weight(s)) * error).mean(), {}

    about = {"data": data_identity(data), "base": fingerprint(denoiser)[:16]}
    trained = train(model, make_batch, loss, config.loop, out, device=device, about=about, tracker=tracker)
    network: ImageControl = trained.network.eval().requires_grad_(False)
    if is_main_process():
        save_weights(out / "image_control.safetensors", network, network.header(), dtype=torch.float16)
    return network


class _Told(nn.Module):
    """The denoiser under its branch; only that is its own."""

    def __init__(self, network: ImageControl) -> None:
        super().__init__()
        self.network = network

    def forward(self, y: Tensor, s: Tensor, label: Tensor, classes: Tensor) -> Tensor:
        with self.network.on({"classes": classes}, {"classes": 1.0}):
            return self.network.denoiser(y, s, label)
