"""Settings of a training, and of each network that learns by itself.

Nothing here loads torch, so that help is instant.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

from latentlab.checks import Count, Natural, Positive
from latentlab.face import renamed_attributes
from latentlab.names import VectorObjective
from latentlab.networks import (
    AutoencoderConfig,
    DenoiserConfig,
    EditConfig,
    ImageDenoiserConfig,
    ReaderConfig,
    TransformerConfig,
    VectorVAEConfig,
)


@renamed_attributes(clip="max_grad_norm")
@dataclass(frozen=True)
class LoopConfig:
    """How to train; what to train is the caller's.

    Args:
        steps: how many; the learning rate is constant, then falls linearly to 0 over the last `decay` of them.
        batch_size: clips a step, over all processes.
        learning_rate: peak, for AdamW.
        warmup: steps of linear rise.
        decay: share of the steps over which the rate falls to zero.
        weight_decay: of AdamW.
        ema: decay of the running mean of the weights that is kept as the result.
        max_grad_norm: largest norm of the gradient.
        seed: of batches, noise and initial weights.
        save_every: steps between two checkpoints.
        sample_every: steps between two sample grids.
        workers: processes that prepare batches ahead.
        precision: "auto" (bfloat16 autocast on CUDA, else float32), "float32" or "bfloat16".
    """

    steps: Count
    batch_size: Count = 32
    learning_rate: Positive = 1e-3
    warmup: int = 100
    decay: float = 0.3
    weight_decay: float = 0.01
    ema: float = 0.999
    max_grad_norm: float = 1.0
    seed: int = 0
    save_every: Count = 100
    sample_every: Count = 500
    workers: int = 1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"

    def rate(self, step: int) -> float:
        """Learning rate at a step, trapezoidal."""
        falling = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.learning_rate * max(0.0, min(1.0, (step + 1) / max(1, self.warmup), falling))


@dataclass(frozen=True)
class AutoencoderTraining:
    """Settings of an autoencoder.

    Args:
        loop: steps, rates, seed; `batch_size` counts frames, each of another clip.
        network: shape of the network.
        kl_weight: weight of the KL term beside the mean squared error (pixels in [-1, 1]).
        edge_weight: weight of the squared error of pixels' differences (after Mathieu et al. 2016, eq. 6).
        object_weight: how much more the errors count on objects and two pixels around them, for `MovingShapes` alone.
        noise: most noise that is added to a clip's latents, in their standard deviations; each clip draws its own.
        cutmix: share of the clips in whose latents a rectangle comes from another clip; what is within a cell of its
            edge does not count.
    """

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=1900, batch_size=32, learning_rate=2e-3))
    network: AutoencoderConfig = field(default_factory=AutoencoderConfig)
    kl_weight: float = 1e-5
    edge_weight: float = 1.0
    object_weight: float = 1.0
    noise: float = 0.2
    cutmix: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.cutmix <= 1:
            raise ValueError(f"cutmix is a share from 0 to 1, got {self.cutmix}")


@dataclass(frozen=True)
class ClipTraining:
    """Settings of a CLIP model; the vocabulary comes from the data.

    Args:
        loop: steps, rates, seed.
        clips: how many clips of the data are drawn, once, before training.
        width: of both towers.
        context_length: longest caption in tokens, start and end included.
    """

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=1500, batch_size=128, learning_rate=1e-3))
    clips: int = 16_384
    width: int = 128
    context_length: int = 24


@dataclass(frozen=True)
class DenoiserTraining:
    """Settings of a denoiser of clips.

    Args:
        loop: steps, rates, seed.
        network: shape of the network.
        clips: how many clips of the data are encoded, once, before training; all of them where there are fewer.
        caption_dropout: share of clips trained without their caption, for classifier-free guidance.
        level_mean, level_spread: flow times are drawn as sigmoid(N(mean, spread^2)) (Esser et al. 2024, eq. 19).
        grounding: weight of `grounding_loss`, which tells the attention where what captions name is; 0 leaves it out.
        flicker: weight of `flicker_loss` on the clips that the network has in mind, decoded; 0 leaves it out.
        flicker_clips: how many clips of each batch are decoded for it.
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=24_000, batch_size=16, learning_rate=1e-3, ema=0.999)
    )
    network: DenoiserConfig | TransformerConfig = field(default_factory=DenoiserConfig)
    clips: int = 8_192
    caption_dropout: float = 0.1
    level_mean: float = 0.6
    level_spread: float = 1.2
    grounding: float = 0.0
    flicker: float = 0.0
    flicker_clips: int = 2


@dataclass(frozen=True)
class ImageTraining:
    """Settings of a denoiser of pictures.

    Args:
        loop: steps, rates, seed.
        network: shape of the network, with its objective; channels and classes are those of the data.
        class_dropout: share of pictures trained without their class, for classifier-free guidance.
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(steps=3_000, batch_size=64, learning_rate=2e-3, ema=0.995, workers=0)
    )
    network: ImageDenoiserConfig = field(default_factory=ImageDenoiserConfig)
    class_dropout: float = 0.1


@dataclass(frozen=True)
class EditTraining:
    """Settings of an edit network.

    Args:
        loop: steps, rates, seed; `batch_size` counts pairs.
        network: shape of the network; the size of latents is that of the autoencoder.
        frames: that are drawn, each with its variants, once, before training. Of too few the network learns the frames:
            after 1,024 with one variant an edit, its error on others was four times as large for moves, turns, shapes.
        two: share of the frames that show two objects, of which one is edited.
        noise: standard deviation of what is added to the latents, so that those of files and of samples do as well.
        read_frames: on which alone the reader goes on afterwards, each of another clip: it learns few by heart.
        read_steps: for so many steps; 0 leaves it as it is.
    """

    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=3600, batch_size=128, learning_rate=2e-3, warmup=40, ema=0.99, workers=0
        )
    )
    network: EditConfig = field(default_factory=EditConfig)
    frames: int = 2048
    two: float = 0.4
    noise: float = 0.05
    read_frames: Count = 24_576
    read_steps: Natural = 4000


@dataclass(frozen=True)
class ReaderTraining:
    """Settings of a reader.

    Args:
        loop: steps, rates, seed.
        network: shape of the network.
        noise: standard deviation of pixel noise, so that the reader does not lean on exact pixels.
    """

    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=800, batch_size=64, learning_rate=2e-3))
    network: ReaderConfig = field(default_factory=ReaderConfig)
    noise: float = 0.03


@dataclass(frozen=True)
class VectorVAETraining:
    """Settings of a vector VAE.

    Args:
        objective: what it is trained for, see `train.objectives`.
        strength: beta, gamma or lambda of the objective; None is its default.
        warmup: share of the steps in which all that stands beside the error grows from 0; small objects cost more than
            they bring while the code is noise, and are never found without it. None of the papers has it (the capacity
            of `annealed-vae` rises in another way, and here does both): 0 trains for the objectives as published.
        frames: to draw before training; clips hold several.
        loop: steps, rates, seed; `batch_size` counts clips (single frames are clips of one).
        network: shape of the network; its length and size of clips are what it learns.
    """

    objective: VectorObjective = "beta-tcvae"
    strength: float | None = None
    warmup: float = 0.6
    frames: int = 16_384
    loop: LoopConfig = field(default_factory=lambda: LoopConfig(steps=20_000, batch_size=64, learning_rate=1e-3))
    network: VectorVAEConfig = field(default_factory=VectorVAEConfig)

    def __post_init__(self) -> None:
        if self.objective not in (names := get_args(VectorObjective)):
            raise ValueError(f"no objective {self.objective!r}; there are {', '.join(names)}")
        if self.strength is not None and self.objective == "autoencoder":
            raise ValueError("the autoencoder has no strength: it is trained for reconstruction alone")
        if self.strength is not None and not 0 <= self.strength < math.inf:
            raise ValueError(f"strength must be a finite number of 0 or more, got {self.strength}")
        if self.frames < self.network.num_frames:
            raise ValueError(f"{self.frames} frames make no clip of {self.network.num_frames}")
        if not 0 <= self.warmup <= 1:
            raise ValueError(f"warmup must be a share of the steps, 0 to 1, got {self.warmup}")
