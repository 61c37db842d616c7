"""Can fifty pictures teach the shipped model a look, and what does it cost elsewhere? A palette, learned by an adapter.

python benchmarks/adapter_style.py [--steps 400] [--kind lora] [--out adapter_style]

Sepia stills of moving shapes under their captions and a new word, "ink". The look is measured as the distance of
colours to the palette's line, 0 for the base and 1 on the line; captions as shapes, sizes and directions that are read
off the clips; and clips without the word against those of the base, in levels of 255. The run is kept under `--out` and
goes on when it was stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentlab.bench.flags import main
from latentlab.data.moving.captions import caption
from latentlab.data.moving.dataset import HELD_OUT_SEED, TRAIN_SEED, moving_shapes
from latentlab.data.moving.measure import angle_difference, measure
from latentlab.factors import FactorTable
from latentlab.generator.load import load
from latentlab.names import AdapterKind
from latentlab.shapes import Video
from latentlab.train.adapter import AdapterTraining, train_adapter
from latentlab.train.pictures import Examples, share_kept

LIGHTS = torch.tensor([0.299, 0.587, 0.114])  # of red, green and blue in what is seen as bright
SEPIA = torch.tensor([1.0, 0.8, 0.55])


@dataclass(frozen=True)
class Config:
    """How long to train, and how many clips to judge by."""

    pictures: int = 50
    clips: int = 24
    steps: int = 400
    rank: int = 8
    kind: AdapterKind = "lora"
    prior: float = 1.0
    learning_rate: float = 1e-3
    num_steps: int = 16
    seed: int = 0
    out: str = "adapter_style"


def sepia(video: Video) -> Video:
    """The palette: grey by brightness, on a line from black to a warm white."""
    grey = torch.einsum("c,bcfhw->bfhw", LIGHTS, (video + 1) / 2)[:, None]
    return grey * SEPIA[:, None, None, None] * 2 - 1


def off_the_line(video: Video) -> Tensor:
    """Mean distance of a clip's colours to the palette's line, of 1 from black to white."""
    colours, along = (video + 1) / 2, SEPIA / SEPIA.norm()
    on = torch.einsum("c,bcfhw->bfhw", along, colours)[:, None] * along[:, None, None, None]
    return (colours - on).norm(dim=1).mean((1, 2, 3))


def obeyed(video: Video, asked: FactorTable) -> dict[str, float]:
    """Share of clips whose shape, size and direction are read as they were asked for."""
    read = measure(video)
    moving = asked["speed"] > 0.3
    turned = angle_difference(read["direction"], asked["direction"])[moving]
    return {
        "shape": float((read["shape"] == asked["shape"]).mean()),
        "size": float((abs(read["size"] - asked["size"]) < 1.2).mean()),
        "direction": float((turned < 45).mean()),
    }


def run(config: Config) -> dict[str, Any]:
    """Trains the adapter and returns the figures."""
    base = load()
    stills, factors = moving_shapes(config.pictures, TRAIN_SEED)
    stills = sepia(stills[:, :, :1]).expand(-1, -1, base.config.num_frames, -1, -1).contiguous()
    said = tuple(caption(row, 4) for row in factors.values)  # the wording that says nothing of motion
    loop = replace(AdapterTraining().loop, steps=config.steps, learning_rate=config.learning_rate, seed=config.seed)
    training = AdapterTraining(
        kind=config.kind, trigger="ink", rank=config.rank, prior=config.prior, loop=replace(loop, save_every=50)
    )
    adapter = train_adapter(base, Examples(stills, said, {}), Path(config.out), training)
    inked = base.adapted({adapter: 1.0})
    _, asked = moving_shapes(config.clips, HELD_OUT_SEED)
    plain = [caption(row, 0) for row in asked.values]
    options: dict[str, Any] = {"seed": config.seed, "num_steps": config.num_steps}
    clips = {
        "base": base.generate(plain, **options),
        "with the word": inked.generate([f"ink , {text}" for text in plain], **options),
        "without it": inked.generate(plain, **options),
        "with the word, guidance 1": inked.generate([f"ink , {text}" for text in plain], guidance=1.0, **options),
    }
    own = off_the_line(clips["base"]).mean()
    styled = base.decode(base.encode(sepia(clips["base"])))
    read = {name: obeyed(video, asked) for name, video in {**clips, "base in sepia": styled}.items()}
    return {
        "kept by the autoencoder": share_kept(base, stills)["all"],
        "share of the look": {name: float(1 - off_the_line(video).mean() / own) for name, video in clips.items()},
        "share that the autoencoder lets through": float(1 - off_the_line(styled).mean() / own),
        "obeyed": read,
        "levels without the word": float((clips["without it"] - clips["base"]).abs().mean() * 127.5),
        "weights": sum(t.numel() for u in adapter.updates.values() for t in u.tensors().values()),
    }


if __name__ == "__main__":
    main(run)
