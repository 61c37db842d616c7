"""Is an image of a class of that class, and are all together as varied as real ones? A model of Fashion-MNIST.

A small convolutional network learns the classes from the training pictures, and its own accuracy on the test pictures
is printed beside the figures: it cannot judge better than that. Then for each guidance: the share of images that it
reads as what was asked for, and the Frechet distance of its features from the test pictures', beside the floor, that of
as many training pictures.

python benchmarks/images.py [--model fashion-mnist] [--images 1000] [--guidance 1,2.5] [--data fashion-mnist]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.spread import mean
from latentlab.data import Images, images
from latentlab.generator.image import ImageGenerator
from latentlab.generator.load import load
from latentlab.metrics.frechet import frechet
from latentlab.shapes import Video
from latentlab.train.order import epoch_order

ALONE = True


@dataclass(frozen=True)
class Config:
    """What to measure."""

    model: str = "fashion-mnist"
    data: str = "fashion-mnist"
    images: int = 1000
    guidance: tuple[float, ...] = (1.0, 2.5)
    num_steps: int = 25
    churn: float = 0.0
    epochs: int = 6


class Classifier(nn.Module):
    """Three convolutions and two layers; the last but one is the feature."""

    def __init__(self, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        side = -(-size[0] // 4) * -(-size[1] // 4)
        self.look = nn.Sequential(
            *(nn.Conv2d(1, 32, 3, 2, 1), nn.GroupNorm(4, 32), nn.ReLU()),
            *(nn.Conv2d(32, 64, 3, 1, 1), nn.GroupNorm(4, 64), nn.ReLU()),
            *(nn.Conv2d(64, 64, 3, 2, 1), nn.GroupNorm(4, 64), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(64 * side, 64), nn.ReLU()),
        )
        self.say = nn.Linear(64, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.say(self.look(pictures))


def run(config: Config) -> dict:
    """Measures and returns the figures."""
    generator = load(config.model)
    if not isinstance(generator, ImageGenerator):
        raise SystemExit("this benchmark asks for classes: it needs a model of images")
    train, test = images(config.data), images(config.data, split="test")
    network = classifier(train, config.epochs)
    right = reading(network, test.clips()).argmax(1).numpy() == test.labels
    figures: dict[str, Any] = {"weights": generator.fingerprint()}
    figures |= {"objective": generator.denoiser.config.objective, "classifier": float(right.mean())}
    some = np.random.default_rng(0).choice(len(train), config.images, replace=False)
    real = features(network, test.clips())
    floor = frechet(features(network, train.clips(some)), real)
    figures["floor"] = floor
    wanted = np.arange(config.images) % len(generator.classes)
    names = [generator.classes[k] for k in wanted]
    for guidance in config.guidance:
        drawn = generator.generate(
            names, guidance=guidance, num_steps=config.num_steps, churn=config.churn, batch_size=64, progress=True
        )
        right = reading(network, drawn).argmax(1).numpy() == wanted
        figures[f"guidance {guidance:g}"] = {
            "class_right": mean(torch.from_numpy(right.astype(float))),
            "frechet_over_floor": frechet(features(network, drawn), real) / floor,
            "by_class": {name: float(right[wanted == k].mean()) for k, name in enumerate(generator.classes)},
        }
    return figures


def classifier(data: Images, epochs: int, *, batch: int = 128, seed: int = 0) -> Classifier:
    """Learns the classes of the pictures, which are shifted by up to two pixels."""
    torch.manual_seed(seed)
    network = Classifier(data.size, len(data.names))
    steps = epochs * len(data) // batch
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for step in tqdm(range(steps), desc="classifier"):
        picks = epoch_order(len(data), batch, step, seed)
        dy, dx = np.random.default_rng([seed, step]).integers(-2, 3, 2)
        pictures = data.clips(picks)[:, :1, 0].roll((int(dy), int(dx)), (2, 3))
        loss = F.cross_entropy(network(pictures), torch.from_numpy(data.labels[picks]), label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval().requires_grad_(False)


def reading(network: Classifier, clips: Video) -> Tensor:
    """Logits of clips of one frame."""
    return torch.cat([network(part[:, :1, 0]) for part in clips.cpu().split(500)])


def features(network: Classifier, clips: Video) -> Tensor:
    """The layer before the classes."""
    return torch.cat([network.look(part[:, :1, 0]) for part in clips.cpu().split(500)])


if __name__ == "__main__":
    main(run)
