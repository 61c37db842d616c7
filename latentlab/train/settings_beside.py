"""Settings of trainings whose teacher is a generator that is there: what changes it, and what stands beside it.

Nothing here loads torch, so that help is instant.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from latentlab.names import AdapterKind, AdapterTarget
from latentlab.train.settings import LoopConfig


@dataclass(frozen=True)
class AdapterTraining:
    """Settings of an adapter that learns a look.

    Args:
        kind: "lora" (low-rank), "full" (differences of all weights), "word" (textual inversion: the trigger alone).
        trigger: the new word; None learns the look under the captions as they are.
        rank, alpha: of the updates; alpha None is the rank.
        target: "all", every matrix and convolution; "attention", those of attention, which cannot shift colours here.
        prior: weight of being held to what the base says without the trigger; 0 leaves it out.
        prior_clips: how many clips the base draws for it, once, before training.
        caption_dropout: share of examples shown under the trigger alone, and of the base's clips under no caption.
        level_mean, level_spread: flow times are drawn as sigmoid(N(mean, spread^2)) (Esser et al. 2024, eq. 19).
        loop: steps, rates, seed.
    """

    kind: AdapterKind = "lora"
    trigger: str | None = None
    rank: int = 8
    alpha: float | None = None
    target: AdapterTarget = "all"
    prior: float = 1.0
    prior_clips: int = 48
    caption_dropout: float = 0.1
    level_mean: float = 0.6
    level_spread: float = 1.2
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=400, batch_size=8, learning_rate=1e-3, warmup=20, weight_decay=0.0, ema=0.99, workers=0
        )
    )


@dataclass(frozen=True)
class SliderTraining:
    """Settings of a slider.

    Args:
        rank, alpha: of the updates; alpha None is the rank.
        target: "all", every matrix and convolution, or "attention".
        push: how far captions lead at strength 1; None is the generator's guidance, as if the words had been said.
        weakest: strengths are drawn from here to 1.
        caption_dropout: share of states shown under no caption.
        clips: how many the model draws, for captions.
        level_mean, level_spread: flow times are drawn as sigmoid(N(mean, spread^2)).
        loop: steps, rates, seed.
    """

    rank: int = 4
    alpha: float | None = None
    target: AdapterTarget = "all"
    push: float | None = None
    weakest: float = 0.25
    caption_dropout: float = 0.2
    clips: int = 48
    level_mean: float = 0.9
    level_spread: float = 1.3
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=300, batch_size=4, learning_rate=1e-3, warmup=20, weight_decay=0.0, ema=0.98, workers=0
        )
    )


@dataclass(frozen=True)
class BesideTraining:
    """Settings of a network beside a denoiser that stays as it is.

    Args:
        loop: steps, rates, seed.
        clips: how many clips of the data are encoded, once, before training.
        caption_dropout: share of clips trained without their caption.
        level_mean, level_spread: flow times are drawn as sigmoid(N(mean, spread^2)) (Esser et al. 2024, eq. 19).
        near_noise: share of the clips whose flow time is drawn as sigmoid(N(2.5, 1)) instead, where colours and places
            are decided.
    """

    loop: LoopConfig = field(default_factory=lambda: _beside(2000))
    clips: int = 4096
    caption_dropout: float = 0.2
    level_mean: float = 0.6
    level_spread: float = 1.2
    near_noise: float = 0.0


@dataclass(frozen=True)
class ControlTraining(BesideTraining):
    """Settings of a control branch; without captions the pictures say what these would.

    Args:
        rank: of the low-rank form, 2 MB for the shipped denoiser; 0 is the copy of the encoder half.
    """

    loop: LoopConfig = field(default_factory=lambda: _beside(5000))
    clips: int = 2048
    caption_dropout: float = 0.3
    near_noise: float = 0.5
    rank: int = 16


@dataclass(frozen=True)
class ImageControlTraining:
    """Settings of a control branch beside an image denoiser.

    Args:
        loop: steps, rates, seed.
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=300, batch_size=32, learning_rate=2e-3, warmup=20, weight_decay=0.0, ema=0.98, workers=0
        )
    )


@dataclass(frozen=True)
class KnownRegionTraining(BesideTraining):
    """Settings of a known-region network.

    Args:
        rank: of the updates of the denoiser's layers; 8 is 0.8 MB for the shipped one.
    """

    loop: LoopConfig = field(default_factory=lambda: _beside(4000))
    near_noise: float = 0.5
    rank: int = 8


@dataclass(frozen=True)
class ReferenceTraining(BesideTraining):
    """Settings of a network for reference images; without captions the image says all.

    Args:
        tokens: that an image becomes.
        image_dropout: share trained without the image.
    """

    loop: LoopConfig = field(default_factory=lambda: _beside(3000))
    caption_dropout: float = 0.5
    tokens: int = 4
    image_dropout: float = 0.05


def _beside(steps: int) -> LoopConfig:
    return LoopConfig(steps, batch_size=16, warmup=50, weight_decay=0.0, ema=0.99)


@dataclass(frozen=True)
class StudentTraining:
    """Settings of a student.

    Args:
        loop: steps, rates, seed.
        steps: of the student.
        teacher_steps: of the teacher, a multiple of these; one that is a student itself takes its own.
        paths: how many the teacher walks, once, before training; each is a pair for every step of the student.
        guidances: least and largest; each batch of paths has one drawn evenly between them.
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=4000, batch_size=32, learning_rate=5e-4, warmup=50, weight_decay=0.0, ema=0.995
        )
    )
    steps: int = 4
    teacher_steps: int = 24
    paths: int = 4096
    guidances: tuple[float, float] = (1.0, 6.0)
