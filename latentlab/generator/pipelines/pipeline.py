"""What the video pipelines of diffusers have in common; each family adds its own in a file beside this one."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import torch
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.pipelines.foreign import (
    ReadsAdapters,
    Remembers,
    check_scheduled,
    networks_of,
    part,
    token_width,
)
from latentlab.generator.pipelines.schedule import (
    diffusion_levels,
    diffusion_time,
    diffusion_velocity,
    flow_levels,
    preserving,
)
from latentlab.generator.solver import Velocity
from latentlab.shapes import Video, check_video


class Pipeline(Coded):
    """A pipeline of diffusers, taken apart: its autoencoder, denoiser, text encoder and the levels of its scheduler.

    Attributes:
        pipe: the pipeline; another scheduler may be put into it.
    """

    clips: ClassVar[GeneratorConfig]  # what the family was made for

    def __init__(self, pipe) -> None:
        self.pipe = pipe
        check_scheduled(pipe)
        super().__init__(pipe.vae, self.clips)
        for network in networks_of(pipe).values():
            network.eval().requires_grad_(False)

    @property
    def _name(self) -> str:
        return type(self.pipe).__name__

    @property
    def denoiser(self):
        """The network between noise and latents."""
        return self.pipe.transformer

    @property
    def further_channels(self) -> bool:
        """Whether the denoiser takes more channels than latents have, which tell it of an image."""
        return self.denoiser.config.in_channels > self.coder.channels

    @property
    def networks(self) -> Sequence[nn.Module]:
        return self.coder.vae, self.denoiser

    @property
    def adaptable(self) -> dict[str, nn.Module]:
        """The text encoders and denoisers, the first denoiser last."""
        roles = ("text_encoder", "text_encoder_2", "transformer_2", "transformer", "unet")
        networks = networks_of(self.pipe)
        return {role: networks[role] for role in roles if role in networks}

    def having(self, networks: Mapping[str, nn.Module]) -> Self:
        changed = copy.copy(self)
        changed.pipe = copy.copy(self.pipe)
        changed.pipe.register_modules(**networks)
        return changed

    def renamed(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """An adapter's tensors by diffusers' names: it knows those of the model's authors, and of most trainers.

        Raises:
            ValueError: names that diffusers does not know either.
        """
        if not isinstance(self.pipe, ReadsAdapters):  # some of its pipelines know no adapters
            return None
        try:
            found = self.pipe.lora_state_dict(dict(tensors))
        except Exception as error:  # its converters look for keys, and fail in any way where one is missing
            raise ValueError(
                f"this adapter's layers, such as {next(iter(tensors))!r}, are none of a {type(self.pipe).__name__}: "
                f"diffusers says {type(error).__name__}: {error}"
            ) from error
        if not isinstance(found, tuple):
            return found
        return {**found[0], **{k: torch.tensor(float(alpha)) for k, alpha in (found[1] or {}).items()}}

    @property
    def device(self) -> torch.device:
        """Where the networks compute, which is not where they wait if there is `offload`."""
        return self.pipe._execution_device

    @property
    def dtype(self) -> torch.dtype:
        return self.denoiser.dtype

    def offload(self, device: str | torch.device | None = None) -> Self:
        """The same generator, whose networks wait in the memory of the CPU; each goes to `device` while it works.

        That is diffusers' model offload: at any time only the largest network has to fit on the device. Load with
        `device="cpu"` first. None is the accelerator that is there.

        Raises:
            RuntimeError: there is none.
        """
        self.pipe.enable_model_cpu_offload(device=device)
        return self

    def to(self, device: str | torch.device, dtype: torch.dtype | None = None) -> Self:
        self.pipe.to(device)
        if dtype is not None:
            self.denoiser.to(dtype=dtype)
        return self

    @torch.no_grad()
    def condition(
        self,
        captions: str | Sequence[str],
        *,
        negative: str | Sequence[str] | None = None,
        image: Tensor | None = None,
    ) -> Condition:
        """What the denoiser is told by captions, through the pipeline's own text encoder.

        Args:
            captions: one or several.
            negative: what guidance leads away from; None is the empty caption.
            image: what the clip begins with, see `with_image`.

        Raises:
            ValueError: the folder has no text encoder, or an image that the model cannot hold or does not read.
        """
        if part(self.pipe, "text_encoder") is None or part(self.pipe, "tokenizer") is None:
            raise ValueError(
                f"this {type(self.pipe).__name__} was loaded without a text encoder; pass its embeddings in the place "
                "of captions: Condition(tokens, mask), with against=Condition(...) of the empty caption for guidance"
            )
        against = None if negative is None else self.condition(negative)
        told = self.embed([captions] if isinstance(captions, str) else list(captions))
        told = Condition(told.tokens, told.mask, told.more, against)
        return told if image is None else self.with_image(told, image)

    @torch.no_grad()
    def with_image(self, condition: Condition, image: Tensor) -> Condition:
        """The condition, and an image beside it: what `condition(image=)` does once the captions are read.

        Args:
            condition: of one clip, or of as many as there are images.
            image: `(batch, 3, height, width)`, or clips whose first frame it is, in [-1, 1]; one, or one for each clip.

        Raises:
            ValueError: an image that the model cannot hold, or a model that reads none.
        """
        image = self.first_frame(image)
        count = max(len(condition), len(image))
        if {len(condition), len(image)} - {1, count}:
            raise ValueError(f"{len(condition)} captions and {len(image)} images; give one, or one for each clip")
        seen = {name: t.expand(count, *t.shape[1:]) for name, t in self.look(image).items()}
        told = condition.expand(count)
        return replace(told, more={**told.more, **seen})

    def first_frame(self, image: Tensor) -> Video:
        """An image, or the first frame of a clip, as a clip of one frame that the model can hold."""
        if not isinstance(image, Tensor) or image.ndim not in (4, 5):
            found = f"shape {tuple(image.shape)}" if isinstance(image, Tensor) else f"a {type(image).__name__}"
            raise ValueError(
                f"an image is a tensor (batch, 3, height, width) in [-1, 1], as video[:, :, 0]; got {found}"
            )
        image = (image if image.ndim == 5 else image[:, :, None])[:, :, :1].to(self.device).float()
        check_video(image=image)
        self.check_fits(image)
        return image

    def look(self, image: Video) -> dict[str, Tensor]:
        """What the denoiser is told of images, each a clip of one frame; by name, first axis batch."""
        raise ValueError(f"this {type(self.pipe).__name__} makes clips of captions alone and reads no image")

    def unconditional(self, condition: Condition) -> Condition:
        """What guidance leads away from: the empty caption, or `against`, with the same image."""
        against = super().unconditional(condition).expand(len(condition))
        return replace(against, more={**condition.more, **against.more})

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity field under a condition and guidance, see `Generator.network_velocity`.

        Raises:
            ValueError: a cache of diffusers is on; velocities then depend on earlier calls and cannot be retraced. Or
                tokens of another width than the network reads.
        """
        self._check_tokens(condition)
        for name, network in networks_of(self.pipe).items():
            if isinstance(network, Remembers) and network.is_cache_enabled:
                raise ValueError(
                    f"a {type(network._cache_config).__name__} is on, with which the velocity depends on earlier calls "
                    f"and no inversion is exact; switch it off with generator.pipe.{name}.disable_cache()"
                )
        return super().network_velocity(condition, guidance)

    def _check_tokens(self, condition: Condition) -> None:
        """Raises unless tokens, such as those of a user's own text encoder, are as wide as the network reads them."""
        tokens, width = condition.parts.get("tokens"), token_width(self.denoiser)
        if tokens is not None and width is not None and (tokens.ndim != 3 or tokens.shape[-1] != width):
            raise ValueError(
                f"{type(self.denoiser).__name__} reads tokens of (caption, token, {width}), got {tuple(tokens.shape)}; "
                "take the text encoder that the network was trained with"
            )

    @abstractmethod
    def embed(self, captions: list[str]) -> Condition:
        """Captions as the denoiser takes them."""

    @abstractmethod
    def network(self, x: Tensor, time: float, condition: Condition) -> Tensor:
        """One call of the denoiser in its own terms, with the axes of latents.

        Args:
            x: states, as this kind of model scales them, in the denoiser's dtype.
            time: timestep, see `per_clip`.
            condition: for each clip.
        """


class Flow(Pipeline):
    """A pipeline of flow matching, whose network predicts the velocity itself."""

    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        del shape
        return flow_levels(self.pipe.scheduler, num_steps)

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        time = self.pipe.scheduler.config.num_train_timesteps * s
        return self.network(y.to(self.dtype), time, condition).to(y.dtype)


class Diffusion(Pipeline):
    """A pipeline of diffusion, whose network predicts noise, data or their rotation at variance-preserving states."""

    def levels(self, num_steps: int, shape: Sequence[int]) -> Float[Tensor, " level"]:
        del shape
        return diffusion_levels(self.pipe.scheduler, num_steps)

    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        raw = self.network(preserving(y, s).to(self.dtype), self.timestep(s), condition).to(y.dtype)
        return diffusion_velocity(raw, y, s, self.pipe.scheduler.config.prediction_type)

    def settings(self) -> dict[str, Any]:
        """What the network is taken to predict, and to call levels, by the scheduler."""
        marks = [self.timestep(s / 16) for s in range(1, 16)]
        kind = self.pipe.scheduler.config.get("prediction_type")
        return {"prediction_type": kind, "timesteps": marks, **super().settings()}

    def timestep(self, s: float) -> float:
        """What the network calls a level."""
        return diffusion_time(self.pipe.scheduler)(s)


def per_clip(time: float, x: Tensor) -> Tensor:
    """A timestep as networks take it, one for each clip."""
    return torch.full((len(x),), time, device=x.device, dtype=torch.float32)


def all_count(tokens: Tensor) -> Tensor:
    """The mask of a network that looks at every token."""
    return torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
