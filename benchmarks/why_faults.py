"""Does `why` find a fault that was planted? Words that a tower, a denoiser, a decoder or a reader was made to lose.

python benchmarks/why_faults.py [--captions 20] [--num-steps 8]

Each caption is drawn by the shipped model with one fault for one of its words: the text tower has another word's
embedding in its place; the denoiser is given the tokens of the other caption; that, of a word which the training
captions never had; the decoder loses colours; the reader says the other word. `alarms` is the share of words with a
verdict other than "obeyed" where nothing was planted: the model's own failures are among them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentlab.bench.flags import main
from latentlab.control.why import Word, why
from latentlab.data.moving.captions import HUES
from latentlab.data.moving.factors import SHAPES
from latentlab.generator.condition import Condition
from latentlab.generator.load import load
from latentlab.generator.native import NativeGenerator


@dataclass(frozen=True)
class Config:
    """How many captions for each fault, and solver steps."""

    captions: int = 20
    num_steps: int = 8
    seed: int = 0


class Deaf(NativeGenerator):
    """A model whose denoiser hears one caption where another is said."""

    said: Tensor
    heard: Tensor

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        same = (condition.tokens - self.said).abs().amax((1, 2), keepdim=True) < 1e-5
        tokens = torch.where(same, self.heard, condition.tokens)
        return super().predict(y, s, Condition(tokens, condition.mask))


class Grey(NativeGenerator):
    """A model whose decoder loses most of the colours."""

    def decode(self, latents: Tensor, *, batch_size: int = 16) -> Tensor:
        video = super().decode(latents, batch_size=batch_size)
        grey = video.mean(1, keepdim=True)
        return grey + 0.05 * (video - grey)


def of(kind: type[NativeGenerator], base: NativeGenerator) -> Any:
    """The base as another kind."""
    return kind(base.autoencoder, base.denoiser, base.clip, base.config)


def tower(base: NativeGenerator, word: str, other: str, caption: str) -> tuple[NativeGenerator, dict[str, Any]]:
    clip = copy.deepcopy(base.clip)
    rows = clip.towers.token_embedding.weight.data
    rows[clip.tokenize.number[word]] = rows[clip.tokenize.number[other]]
    return NativeGenerator(base.autoencoder, base.denoiser, clip, base.config), {}


def denoiser(base: NativeGenerator, word: str, other: str, caption: str) -> tuple[NativeGenerator, dict[str, Any]]:
    deaf = of(Deaf, base)
    deaf.said, deaf.heard = (base.condition(text).tokens for text in (caption, caption.replace(word, other)))
    return deaf, {}


def training(base: NativeGenerator, word: str, other: str, caption: str) -> tuple[NativeGenerator, dict[str, Any]]:
    return denoiser(base, word, other, caption)[0], {"training": [caption.replace(word, other)]}


def decoder(base: NativeGenerator, word: str, other: str, caption: str) -> tuple[NativeGenerator, dict[str, Any]]:
    return of(Grey, base), {}


def reader(base: NativeGenerator, word: str, other: str, caption: str) -> tuple[NativeGenerator, dict[str, Any]]:
    return base, {"read": lambda video, captions: int(word not in captions[1].split())}


FAULTS: dict[str, tuple[Callable, str]] = {
    "tower": (tower, "not encoded"),
    "denoiser": (denoiser, "not used"),
    "training": (training, "unseen"),
    "decoder": (decoder, "not decoded"),
    "reader": (reader, "misread"),
}


def run(config: Config) -> dict[str, Any]:
    """Shares of the faults that were found, by kind, and of alarms where there was none."""
    base, found = load(), {name: [] for name in FAULTS}
    alarms: list[bool] = []
    for k in range(config.captions):
        rng = np.random.default_rng([config.seed, k])
        hue, ground = rng.choice(HUES, 2, replace=False)
        caption = f"a {hue} {rng.choice(SHAPES)} on a {ground} background"
        alarms += [word.verdict != "obeyed" for word in why(base, caption, num_steps=config.num_steps, seed=k).words]
        for name, (plant, _) in FAULTS.items():
            other = HUES[(HUES.index(hue) + 3) % len(HUES)]
            broken, more = plant(base, hue, other, caption)
            words = why(broken, caption, num_steps=config.num_steps, seed=k, **more).words
            found[name].append(next(word for word in words if word.word == hue))
    right = {name: [word.verdict == FAULTS[name][1] for word in words] for name, words in found.items()}
    return {
        "right": {name: float(np.mean(hits)) for name, hits in right.items()},
        "all": float(np.mean([hit for hits in right.values() for hit in hits])),
        "cases": sum(map(len, right.values())),
        "alarms": float(np.mean(alarms)),
        "words without a fault": len(alarms),
        "said instead": {
            name: [said(word) for word in words if word.verdict != FAULTS[name][1]] for name, words in found.items()
        },
    }


def said(word: Word) -> str:
    return f"{word.verdict} ({word.word} read as {word.read!r})"


if __name__ == "__main__":
    main(run)
