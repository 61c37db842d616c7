"""What parts of diffusers have, class by class and version by version; all that is not in every one is asked for here.

Schedulers, autoencoders and networks are told apart by what they have, so that a class of anybody's own is one of them
as soon as it has the same.
"""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


def part(pipe: Any, name: str) -> Any:
    """A part of a pipeline; None where it has none, or goes without."""
    return getattr(pipe, name, None)


@runtime_checkable
class OfPipeline(Protocol):
    """A generator that is a pipeline of diffusers."""

    pipe: Any


def network(pipe: Any, name: str) -> nn.Module | None:
    """A network of a pipeline; None where it has none of that name."""
    found = vars(pipe).get(name)  # asking for an attribute that is not there takes a hundred times as long
    return found if isinstance(found, nn.Module) else None


def networks_of(pipe: Any) -> dict[str, nn.Module]:
    """All networks of a pipeline by name."""
    return {name: own for name, own in pipe.components.items() if isinstance(own, nn.Module)}


WIDTHS = ("text_dim", "text_embed_dim", "caption_channels", "joint_attention_dim", "encoder_hid_dim")


def token_width(denoiser: Any) -> int | None:
    """How wide the tokens of captions are that a denoiser reads; None where its settings do not say."""
    told = (denoiser.config.get(name) for name in (*WIDTHS, "cross_attention_dim"))
    width = next((value for value in told if value), None)
    return width if isinstance(width, int) else None


def check_scheduled(pipe: Any) -> None:
    """Raises where a pipeline has no scheduler, which tells the levels of its noise."""
    if part(pipe, "scheduler") is None:
        raise ValueError(
            f"this {type(pipe).__name__} has no scheduler, so nothing tells the levels of its noise; put the one that "
            "it was trained with in its place: pipe.scheduler = ...from_pretrained(folder, subfolder='scheduler')"
        )


def class_named(diffusers: Any, name: str) -> Any:
    """A class of diffusers; None where this version has none of that name."""
    return getattr(diffusers, name, None)


def hook_of(module: nn.Module) -> Any:
    """What accelerate has put around a network that waits elsewhere; None where nothing is."""
    return getattr(module, "_hf_hook", None)


def device_of_hook(module: nn.Module) -> torch.device | None:
    """Where accelerate brings a network to compute; None where it leaves it."""
    return getattr(hook_of(module), "execution_device", None)


@runtime_checkable
class Steps(Protocol):
    """A scheduler that steps from one level to the next."""

    def step(self, model_output: Any, timestep: Any, sample: Any) -> Any: ...


@runtime_checkable
class Scales(Protocol):
    """A scheduler that changes the state which the network is given."""

    def scale_model_input(self, sample: Any, timestep: Any) -> Any: ...


@runtime_checkable
class Preconditions(Protocol):
    """A scheduler that makes clean data of what the network says, as Karras et al. (2022)."""

    sigmas: Tensor

    def precondition_outputs(self, sample: Tensor, model_output: Tensor, sigma: Any) -> Tensor: ...


@runtime_checkable
class TellsSigmas(Protocol):
    """A scheduler that tells the noise of its levels."""

    sigmas: Tensor


@runtime_checkable
class TellsAlphas(Protocol):
    """A scheduler that tells the share of signal in its levels, alpha bar (Ho et al. 2020)."""

    alphas_cumprod: Tensor


@runtime_checkable
class TellsEnd(Protocol):
    """A scheduler that tells alpha bar where its last step ends."""

    final_alpha_cumprod: Tensor | float


@runtime_checkable
class Encodes(Protocol):
    """An autoencoder, or the class of one."""

    encode: Any
    decode: Any


@runtime_checkable
class Posterior(Protocol):
    """What an autoencoder answers that encodes to a distribution."""

    latent_dist: Any


@runtime_checkable
class ManyLatents(Protocol):
    """What one answers that encodes to latents, as tiny autoencoders do."""

    latents: Tensor


@runtime_checkable
class TakesTiles(Protocol):
    """An autoencoder that takes frames in tiles."""

    use_tiling: bool

    def enable_tiling(self) -> Any: ...


@runtime_checkable
class MakesNoise(Protocol):
    """A pipeline, or the class of one, whose noise is made by a method of its own."""

    prepare_latents: Any


@runtime_checkable
class ReadsAdapters(Protocol):
    """A pipeline that knows the names in adapters' files."""

    def lora_state_dict(self, state: dict[str, Tensor]) -> Any: ...


@runtime_checkable
class Remembers(Protocol):
    """A network that may answer from a cache of what it said before."""

    is_cache_enabled: bool
    _cache_config: Any


@runtime_checkable
class Tokenizes(Protocol):
    """A tokenizer; a fast one says where in the text its tokens are."""

    is_fast: bool

    def __call__(self, text: str, **options: Any) -> Any: ...
