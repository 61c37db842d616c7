"""Does `why` find a fault that was planted? Words that a tower, a denoiser, a decoder or a reader was made to lose.

python benchmarks/why_faults.py [--cases 100] [--obeyed 40] [--num-steps 8] [--out why_faults.jsonl]

Each case is a caption that the shipped model draws with one fault for one of its words, of a hue, a background or a
shape: the text tower has another word's embedding in its place; the denoiser is given the tokens of the caption with
another word; that, of a word which the training captions never had; the decoder gives all colours one hue; the reader
says another word. Which other word is drawn at random, and `why` is not told. "no effect" counts faults under which the
clip came out as it was asked for all the same, so that there is nothing to find; those are drawn anew.

`alarms`: of clips of moving shapes with their own true captions, which are obeyed by construction, the share of words
with a verdict other than "obeyed". Rows are kept in `--out`; a run that was stopped goes on, `--minutes` stops one.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latentlab.bench.flags import main
from latentlab.control.why import GROUPS, why
from latentlab.data.moving.captions import HUES
from latentlab.data.moving.dataset import HELD_OUT_SEED, MovingShapes
from latentlab.data.moving.factors import SHAPES
from latentlab.generator.condition import Condition
from latentlab.generator.load import load
from latentlab.generator.native import NativeGenerator


@dataclass(frozen=True)
class Config:
    """How many faults and obeyed captions, solver steps, and where rows are kept."""

    cases: int = 100
    obeyed: int = 40
    num_steps: int = 8
    seed: int = 1000  # seed 0 is what the verdicts were designed on
    minutes: float = 9.0
    out: str = "why_faults.jsonl"


class Deaf(NativeGenerator):
    """A model whose denoiser hears one caption where another is said."""

    said: Tensor
    heard: Tensor

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        same = (condition.tokens - self.said).abs().amax((1, 2), keepdim=True) < 1e-5
        tokens = torch.where(same, self.heard, condition.tokens)
        return super().predict(y, s, Condition(tokens, condition.mask))


class OneHue(NativeGenerator):
    """A model whose decoder gives all colours one hue: a direction of red, green and blue, of norm 1."""

    hue: Tensor

    def decode(self, latents: Tensor, *, batch_size: int = 16) -> Tensor:
        video = super().decode(latents, batch_size=batch_size)
        grey = video.mean(1, keepdim=True)
        strength = (video - grey).norm(dim=1, keepdim=True)
        return (grey + strength * self.hue.view(1, 3, 1, 1, 1)).clamp(-1, 1)


@dataclass(frozen=True)
class Case:
    """A caption, the place of the word that is to be lost, and the word that comes in its place."""

    caption: str
    place: int
    other: str

    @property
    def word(self) -> str:
        return self.caption.split()[self.place]

    @property
    def changed(self) -> str:
        said = self.caption.split()
        return " ".join([*said[: self.place], self.other, *said[self.place + 1 :]])


TRIALS = 5  # of a fault, until one has an effect
Planted = tuple[NativeGenerator, dict[str, Any]]


def of(kind: type[NativeGenerator], base: NativeGenerator) -> Any:
    """The base as another kind."""
    return kind(base.autoencoder, base.denoiser, base.clip_model, base.config)


def tower(base: NativeGenerator, case: Case) -> Planted:
    clip = copy.deepcopy(base.clip_model)
    rows = clip.towers.token_embedding.weight.data
    rows[clip.tokenize.number[case.word]] = rows[clip.tokenize.number[case.other]]
    return NativeGenerator(base.autoencoder, base.denoiser, clip, base.config), {}


def denoiser(base: NativeGenerator, case: Case) -> Planted:
    deaf = of(Deaf, base)
    deaf.said, deaf.heard = (base.condition(text).tokens for text in (case.caption, case.changed))
    return deaf, {}


def training(base: NativeGenerator, case: Case) -> Planted:
    return denoiser(base, case)[0], {"training": [case.changed]}


def decoder(base: NativeGenerator, case: Case) -> Planted:
    blind = of(OneHue, base)
    rgb = torch.tensor(hsv_to_rgb(HUES.index(case.other) / len(HUES), 1, 1))
    blind.hue = torch.nn.functional.normalize(rgb - rgb.mean(), dim=0)
    return blind, {}


def reader(base: NativeGenerator, case: Case) -> Planted:
    def read(video: Tensor, captions: Any) -> int:
        return int(captions[1].split()[case.place] != case.word)

    return base, {"read": read}


FAULTS: dict[str, tuple[Callable[[NativeGenerator, Case], Planted], str]] = {
    "tower": (tower, "not encoded"),
    "denoiser": (denoiser, "not used"),
    "training": (training, "unseen"),
    "decoder": (decoder, "not decoded"),
    "reader": (reader, "misread"),
}


def case_of(rng: np.random.Generator, fault: str) -> Case:
    """A caption of two different hues and a shape; the decoder loses hues alone."""
    hue, ground = rng.choice(HUES, 2, replace=False)
    caption = f"a {hue} {rng.choice(SHAPES)} on a {ground} background"
    place = int(rng.choice([1, 5] if fault == "decoder" else [1, 2, 5]))
    word = caption.split()[place]
    kind = next(group for group in GROUPS if word in group)
    return Case(caption, place, str(rng.choice([other for other in kind if other != word])))


def planted(base: NativeGenerator, config: Config, i: int) -> dict[str, Any]:
    """One case, drawn anew until the fault has an effect."""
    fault = list(FAULTS)[i % len(FAULTS)]
    plant, expected = FAULTS[fault]
    for trial in range(TRIALS):
        case = case_of(np.random.default_rng([config.seed, i, trial]), fault)
        broken, more = plant(base, case)
        found = why(broken, case.caption, num_steps=config.num_steps, seed=config.seed + i, **more)
        word = next(w for w in found.words if w.word == case.word)
        if word.read not in ("", word.word):
            break
    else:
        raise ValueError(f"{TRIALS} faults of kind {fault} had no effect on what is read; the fault is none")
    row = {"caption": case.caption, "word": case.word, "planted": case.other, "read": word.read}
    return {"kind": fault, "case": i, **row, "verdict": word.verdict, "right": word.verdict == expected, "again": trial}


def obeyed(base: NativeGenerator, clips: MovingShapes, config: Config, i: int) -> dict[str, Any]:
    """Verdicts on a clip and its own caption."""
    item = clips[i]
    caption = max(item.captions, key=len)
    words = why(base, caption, item.video, num_steps=config.num_steps, seed=config.seed + i).words
    alarms = {w.word: f"{w.verdict}, read {w.read!r}" for w in words if w.verdict != "obeyed"}
    return {"kind": "obeyed", "case": i, "caption": caption, "words": len(words), "alarms": alarms}


def run(config: Config) -> dict[str, Any]:
    """Shares of the faults that were found, by kind, and of alarms where there was none; of the rows that there are."""
    file, started, base = Path(config.out), time.monotonic(), load()
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    done = {(row["kind"] == "obeyed", row["case"]) for row in rows}
    clips = MovingShapes(config.obeyed, HELD_OUT_SEED + config.seed)
    left = [(False, i) for i in range(config.cases)] + [(True, i) for i in range(config.obeyed)]
    for fine, i in sorted(set(left) - done, key=lambda job: job[1] * (config.cases / max(config.obeyed, 1)) ** job[0]):
        if time.monotonic() - started > 60 * config.minutes:
            break
        rows.append(obeyed(base, clips, config, i) if fine else planted(base, config, i))
        with file.open("a") as lines:
            lines.write(json.dumps(rows[-1]) + "\n")
    faults, fine = ([row for row in rows if (row["kind"] == "obeyed") == kind] for kind in (False, True))
    right = {name: [row["right"] for row in faults if row["kind"] == name] for name in FAULTS}
    return {
        "cases": len(faults),
        "right": {name: float(np.mean(hits)) for name, hits in right.items() if hits},
        "all": float(np.mean([row["right"] for row in faults])) if faults else None,
        "no effect": sum(row["again"] for row in faults),
        "words without a fault": sum(row["words"] for row in fine),
        "alarms": sum(len(row["alarms"]) for row in fine) / max(sum(row["words"] for row in fine), 1),
        "said instead": [f"{r['kind']}: {r['word']} -> {r['planted']}, read {r['read']}: {r['verdict']}"
                         for r in faults if not r["right"]],
        "alarms were": [row["alarms"] for row in fine if row["alarms"]],
    }  # fmt: skip


if __name__ == "__main__":
    main(run)
