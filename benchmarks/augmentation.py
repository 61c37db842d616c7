"""Do synthetic slices help whoever has few labelled ones? Six arms, five seeds, heads that never were.

A denoiser of images learns from slices that nobody labelled. For each seed a control branch learns from a few labelled
slices, and draws new slices for warps of their maps; a segmenter of tissues and a classifier of lesions learn in each
arm from the same first weights for as many steps, and are tested on fresh slices. The arms are told in
`latentlab.study.augmentation.ArmScore`. Differences are paired by seed. `--out` keeps the denoiser and what each seed
found, by all settings that decide it: a run that was stopped goes on with the next seed, and more seeds cost only
these.

python benchmarks/augmentation.py [--labelled 32] [--seeds 5] [--data phantoms|template] [--processes 2] [--out FOLDER]
python benchmarks/augmentation.py --full    # 8, 16, 32 and 64 labelled slices
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from latentlab.bench.flags import main
from latentlab.bench.kept import kept_answer, settings_key
from latentlab.bench.pool import each
from latentlab.bench.spread import mean
from latentlab.data import Slices, phantoms
from latentlab.data.template import template_slices
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.image import ImageGenerator
from latentlab.generator.load import load_image_denoiser
from latentlab.networks import ImageDenoiserConfig
from latentlab.study.augmentation import ARMS, ArmScore, Privacy, augmentation_study, privacy, synthetic_slices
from latentlab.train import ImageControlTraining, ImageTraining, LoopConfig, train_image_control, train_image_denoiser
from latentlab.train.image import pixels_of, with_classes

UNLABELLED, FRESH, TEST, FEW = 1_000, 2_000, 3_000, 4_000  # seeds of the slices
OF_BASE = ("data", "unlabelled", "base_steps")  # settings that decide the denoiser, and with these what a seed finds
OF_SEED = (*OF_BASE, "synthetic", "test", "branch_steps", "reader_steps", "num_steps")


@dataclass(frozen=True)
class Config:
    """What to measure."""

    labelled: tuple[int, ...] = (32,)
    seeds: int = 5
    data: Literal["phantoms", "template"] = "phantoms"
    unlabelled: int = 2048
    synthetic: int = 256
    test: int = 256
    base_steps: int = 2000
    branch_steps: int = 300
    reader_steps: int = 400
    num_steps: int = 20
    processes: int = 2
    out: str = "augmentation"


def run(config: Config) -> dict[str, Any]:
    """Measures and returns the figures."""
    train_base(config)  # before the processes, which all read it
    jobs = [(count, seed) for count in config.labelled for seed in range(config.seeds)]
    found = each(one, [(config, *job) for job in jobs], processes=config.processes, title="seeds")
    figures = {}
    for count in config.labelled:
        scores = [scores for (n, _), (scores, _) in zip(jobs, found, strict=True) if n == count]
        copies = [copied for (n, _), (_, copied) in zip(jobs, found, strict=True) if n == count]
        figures[f"{count} labelled"] = rows(scores) | {
            "privacy": {name: mean(getattr(c, name) for c in copies) for name in Privacy.__annotations__}
        }
    return figures


def rows(scores: list[list[ArmScore]]) -> dict[str, Any]:
    """Each arm over seeds, and what it is above warps alone, seed by seed."""
    by_arm = {arm: [next(s for s in own if s.arm == arm) for own in scores] for arm in ARMS}
    return {
        arm: {
            "dice": mean(s.mean_dice for s in own),
            "dice_over_warps": mean(s.mean_dice - w.mean_dice for s, w in zip(own, by_arm["warps"], strict=True)),
            "dice_of_lesions": mean(s.dice["lesion"] for s in own),
            "auroc": mean(s.auroc for s in own),
            "auroc_over_warps": mean(s.auroc - w.auroc for s, w in zip(own, by_arm["warps"], strict=True)),
        }
        for arm, own in by_arm.items()
    }


def one(config: Config, count: int, seed: int) -> tuple[list[ArmScore], Privacy]:
    """All arms of one seed, kept."""
    torch.set_num_threads(1)
    settings = decided_by(config, OF_SEED) | {"labelled": count, "seed": seed}

    def found() -> dict[str, Any]:
        folder = Path(config.out) / f"branch-{settings_key(settings)}"
        scores, copied = study(config, folder, count, seed)
        return {"settings": settings, "scores": [asdict(score) for score in scores], "privacy": asdict(copied)}

    kept = kept_answer(Path(config.out), f"{count}-{seed}", settings, found)
    return [ArmScore(**score) for score in kept["scores"]], Privacy(**kept["privacy"])


def study(config: Config, folder: Path, count: int, seed: int) -> tuple[list[ArmScore], Privacy]:
    """All arms of one seed; `folder` is where its control branch is trained, and goes on from where it was."""
    generator = base(config)
    labelled, fresh = slices(config, count, FEW + seed), slices(config, config.synthetic, FRESH + seed)
    settings = ImageControlTraining(replace(ImageControlTraining().loop, steps=config.branch_steps, seed=seed))
    network = train_image_control(generator, labelled, folder, settings)
    made = synthetic_slices(generator, network, labelled, config.synthetic, seed, num_steps=config.num_steps)
    test = slices(config, config.test, TEST)
    scores = list(augmentation_study(labelled, made, fresh, test, steps=config.reader_steps, seed=seed))
    seen = slices(config, config.unlabelled, UNLABELLED)
    return scores, privacy(made, fresh, [seen, labelled])


def train_base(config: Config) -> None:
    """Trains the denoiser of unlabelled slices, or what of it is not trained yet."""
    data = slices(config, config.unlabelled, UNLABELLED).pictures
    network = with_classes(ImageDenoiserConfig(objective="flow", patch=4), data, classes=False)
    loop = LoopConfig(steps=config.base_steps, batch_size=32, learning_rate=2e-3, ema=0.995, save_every=100, workers=0)
    train_image_denoiser(data, base_folder(config), ImageTraining(loop, network))


def base(config: Config) -> ImageGenerator:
    """A generator of unlabelled slices; its file is read, as a folder of a training is one process's alone."""
    data = slices(config, config.unlabelled, UNLABELLED).pictures
    denoiser = load_image_denoiser(base_folder(config))
    return ImageGenerator(pixels_of(data), denoiser, GeneratorConfig(1, *data.size))


def base_folder(config: Config) -> Path:
    """Of the denoiser's training."""
    return Path(config.out) / f"base-{settings_key(decided_by(config, OF_BASE))}"


def decided_by(config: Config, names: Sequence[str]) -> dict[str, Any]:
    """Some of the settings."""
    return {name: value for name, value in asdict(config).items() if name in names}


def slices(config: Config, count: int, seed: int) -> Slices:
    """Slices of the kind that is asked for."""
    return (phantoms if config.data == "phantoms" else template_slices)(count, seed)


if __name__ == "__main__":
    main(run, presets={"full": Config(labelled=(8, 16, 32, 64))})
