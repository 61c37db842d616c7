"""What a denoiser says to join: its networks, what it is told, and the velocity that it predicts under guidance."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

import torch
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.generator.condition import Caption, Condition
from latentlab.generator.lock import one_at_a_time
from latentlab.generator.solver import Velocity

HELD = ("encode", "decode", "condition", "predict", "sample", "invert")  # what has the networks to itself


@runtime_checkable
class PeftLayer(Protocol):
    """A layer that adapters of peft are put into."""

    merged_adapters: Any

    @property
    def active_adapters(self) -> Any: ...
    @property
    def disable_adapters(self) -> Any: ...


@runtime_checkable
class Scaled(Protocol):
    """One whose adapters have a strength."""

    scaling: Any


class Networks(dict[str, nn.Module]):
    """Networks by role. A number still gives the one at that place, as in the tuple that this was."""

    def __missing__(self, place: object) -> nn.Module:
        if isinstance(place, int):
            return list(self.values())[place]
        raise KeyError(place)


class VelocityModel(ABC):
    """A network that predicts the velocity of states under a condition.

    The abstract parts are what a model says by itself; the others follow from them or have an answer that suits most.
    Threads may share a model: while one is in its networks, the others wait.
    """

    capturable: ClassVar[bool] = True  # whether `predict` reads nothing from the device, so that a graph can hold it
    negative: tuple[str, Condition] | None = None  # the caption that guidance leads away from, see `against`

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in vars(cls).keys() & set(HELD):
            setattr(cls, name, one_at_a_time(vars(cls)[name]))

    @property
    @abstractmethod
    def networks(self) -> Mapping[str, nn.Module] | Sequence[nn.Module]:
        """All networks whose weights make a clip, by role: "autoencoder", "denoiser", others under names of their own.

        A sequence, of the autoencoder first and the denoiser last, is read for one version more.
        """

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """The networks, each once."""
        networks = self.networks
        return tuple(dict.fromkeys(networks.values() if isinstance(networks, Mapping) else networks))

    @clear_errors
    def network_of(self, role: str) -> nn.Module | None:
        """The network of a role; None where there is none."""
        networks = self.networks
        if isinstance(networks, Mapping):
            return networks.get(role)
        return {"autoencoder": networks[0], "denoiser": networks[-1]}.get(role)

    @property
    @abstractmethod
    def latent_shape(self) -> tuple[int, int, int, int]:
        """Channel, frame, height and width of the latents of one clip."""

    @property
    def adaptable(self) -> Mapping[str, nn.Module]:
        """Networks that adapters may change, by the role that their files call them, the denoiser last."""
        return {"denoiser": denoiser} if (denoiser := self.network_of("denoiser")) else {}

    def having(self, networks: Mapping[str, nn.Module]) -> Self:
        """The generator with other networks in the place of some, by the roles of `adaptable`.

        Raises:
            ValueError: a model that does not say how.
        """
        if networks:
            raise ValueError(f"{type(self).__name__} does not say how its networks are replaced; adapted() needs none")
        return self

    def renamed(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor] | None:
        """An adapter's tensors by the names that this model's layers have; None for a model with no other names."""
        del tensors
        return None

    def knowing(self, words: Mapping[str, Tensor]) -> Self:
        """The generator whose text tower knows new words too, each by its embedding.

        Raises:
            ValueError: a model that learns no words, or a word that it knows already.
        """
        if words:
            raise ValueError(f"{type(self).__name__} learns no new words, the adapter has {', '.join(sorted(words))}")
        return self

    @abstractmethod
    def condition(self, captions: str | Sequence[str] | Tensor) -> Condition:
        """What the denoiser is told by captions; "" says nothing."""

    @clear_errors
    def as_condition(self, caption: Caption) -> Condition:
        """The condition, whichever way it is given: captions, an image, tensors by name, or made before."""
        if isinstance(caption, Condition):
            return caption
        if isinstance(caption, Mapping):
            return Condition(parts=caption)
        return self.condition(caption)

    @abstractmethod
    def predict(self, y: Tensor, s: float, condition: Condition) -> Tensor:
        """The velocity `noise - clean` at states `y = (1 - s) clean + s noise`: one call of the network."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.modules[0].parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """What the denoiser computes in; states and latents are float32 in any case."""
        denoiser = self.network_of("denoiser")
        own = (p.dtype for p in denoiser.parameters() if p.is_floating_point()) if denoiser else iter(())
        return next(own, torch.float32)

    def network_velocity(self, condition: Condition, guidance: float = 1.0) -> Velocity:
        """The velocity under a condition, with classifier-free guidance (Ho & Salimans 2022, eq. 6) and no other guide.

        v = v("") + guidance * (v(condition) - v("")); at guidance 1 the empty caption is not evaluated. A condition
        with a `negative` has that in the place of the empty caption.
        """
        condition = condition.to(self.device, self.dtype)

        def predict(y: Tensor, s: float, under: Condition) -> Tensor:
            return self.predict(y.float(), s, under).to(y.dtype)  # a state may be float64, see `as_state`

        if guidance == 1.0:
            return lambda y, s: predict(y, s, condition)
        empty = self.unconditional(condition).to(self.device, self.dtype).expand(len(condition))
        both = Condition.cat([empty, condition])

        def guided(y: Tensor, s: float) -> Tensor:
            without, under = predict(torch.cat([y, y]), s, both).chunk(2)
            return torch.lerp(without, under, self.guidance_scale(guidance, y, s))

        return guided

    def guidance_scale(self, guidance: float, y: Tensor, s: float) -> Tensor | float:
        """Guidance as it meets the states at a level: one number, or one that broadcasts with them."""
        del y, s
        return guidance

    @property
    def frame_patch(self) -> int:
        """Frames of a state that the denoiser sees as one."""
        return 1

    def settings(self) -> dict[str, Any]:
        """What `predict` depends on beside weights, state, level and condition, as JSON holds it.

        Such as which adapters (LoRA, by peft) of the networks are on or merged, and how strongly; nothing without any.
        """
        layers = [m for network in self.modules for m in network.modules() if isinstance(m, PeftLayer)]
        adapters = [
            [m.merged_adapters, m.active_adapters, m.disable_adapters, m.scaling if isinstance(m, Scaled) else {}]
            for m in layers
        ]
        negative = {"negative": self.negative[0]} if self.negative else {}
        return ({"adapters": adapters} if adapters else {}) | negative

    @clear_errors
    def against(self, caption: str) -> Self:
        """A generator whose guidance leads away from a caption, wherever a condition has no negative of its own.

        Args:
            caption: in the place of the empty one.

        >>> import latentlab as ll
        >>> generator = ll.load(device="cpu").against("a red star")
        >>> generator.generate("a star", num_steps=1).shape
        torch.Size([1, 3, 16, 64, 64])
        """
        other = copy.copy(self)
        other.negative = caption, self._led_away(caption)
        return other

    def _led_away(self, caption: str) -> Condition:
        return self.condition(caption)

    def unconditional(self, condition: Condition) -> Condition:
        """What guidance leads away from."""
        if condition.negative is not None:
            return condition.negative
        return self.negative[1] if self.negative else self.condition("")

    def check_latents(self, latents: Tensor) -> None:
        """Raises unless they are latents of this model: `(batch, channel, frame, height, width)`."""
        channels = self.latent_shape[0]
        if not isinstance(latents, Tensor) or not latents.is_floating_point():
            kind = latents.dtype if isinstance(latents, Tensor) else type(latents).__name__
            raise ValueError(f"latents are a floating-point tensor, got {kind}")
        if latents.ndim != 5 or latents.shape[1] != channels:
            raise ValueError(
                f"latents have axes (batch, {channels}, frame, height, width), got shape {tuple(latents.shape)}"
            )
        if not len(latents):
            raise ValueError(f"latents of one clip at least are needed, got shape {tuple(latents.shape)}")
        if not latents.isfinite().all():
            raise ValueError("latents are finite, got NaN or infinity")
