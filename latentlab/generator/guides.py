"""Guides: what changes the velocity on its way from the network to the solver, and can say what it is.

Whatever steers a run is one: an energy, a pull between captions, latents that are known, a vector added inside the
network. `generator.guided(*guides)` is a generator whose every run goes through them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from latentlab.checks import clear_errors
from latentlab.generator.condition import Condition
from latentlab.generator.solver import Velocity
from latentlab.generator.velocity_model import VelocityModel
from latentlab.quoted import name_of
from latentlab.shapes import Latents

Energy = Callable[[Latents], Float[Tensor, ""]]


class Guide(ABC):
    """A change of the velocity field: `(velocity, condition) -> velocity`.

    The field that it returns is called as `field(y, s)`: states `(batch, channel, frame, height, width)` in float32, or
    float64 where a run is to be retraced bit for bit, at flow time s. It may call the velocity that it got as often as
    it likes, and may take gradients, through the network too, within `torch.enable_grad()`. A field that depends on
    nothing but (y, s), the condition and its own tensors keeps exact runs exact.

    >>> import latentlab as ll
    >>> class Slower(Guide):
    ...     def __call__(self, velocity, condition):
    ...         return lambda y, s: 0.5 * velocity(y, s)
    ...     def settings(self):
    ...         return {"guide": "slower"}
    >>> generator = ll.load(device="cpu").guided(Slower())
    >>> generator.sample(generator.noise(1), "a red star", num_steps=1).shape
    torch.Size([1, 6, 16, 8, 8])
    """

    capturable: bool = True  # whether its field reads nothing from the device, so that a CUDA graph holds it

    @abstractmethod
    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        """The guided field.

        Args:
            velocity: of the network under its condition and guidance, and of the guides before this one.
            condition: of the clips of this batch, on the device; `condition.extras` holds the rows of `tensors()` that
                are these clips', by name.
        """

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What the field depends on, as JSON holds it, tensors by `tensor_digest`; empty for one that only reads."""

    def bound(self, generator: VelocityModel) -> Guide:
        """The guide as it runs on a generator, made by `guided`; itself, unless it needs that generator's networks.

        Args:
            generator: without guides.
        """
        del generator
        return self

    def tensors(self) -> Mapping[str, Tensor]:
        """What differs from clip to clip, by name: first axis batch, one row for all clips or one for each.

        Runs cut it into the same batches as the clips, and graphs take new values without being recorded anew.
        """
        return {}

    def by_frame(self) -> bool:
        """Whether it says something of one frame and something else of another, so that it holds for no longer clip."""
        clips = (t for t in self.tensors().values() if t.ndim == 5)
        return any(bool((t[:, :, 1:] != t[:, :, :1]).any()) for t in clips)


@clear_errors
@dataclass(frozen=True, eq=False)
class Descent(Guide):
    """Sampling that also walks down an energy of the clip it is heading for, see `steered`.

    Args:
        energy: a number to be small, of clean latents, differentiable: a sum over clips, so that none depends on those
            beside it.
        weight: how far an estimate moves along the gradient.
        name: of the energy, by which results say what made them; None is its own `__qualname__`.

    >>> import latentlab as ll
    >>> generator = ll.load(device="cpu")
    >>> darker = generator.guided(Descent(lambda x: generator.autoencoder.decode(x).sum(), weight=1.0, name="light"))
    >>> darker.settings()
    {'guides': [{'guide': 'descent', 'energy': 'light', 'weight': 1.0}]}
    >>> darker.generate("a red star", num_steps=1).shape
    torch.Size([1, 3, 16, 64, 64])
    """

    energy: Energy
    weight: float
    name: str | None = None
    capturable: bool = field(default=False, init=False, repr=False)  # nobody knows what an energy reads

    def __call__(self, velocity: Velocity, condition: Condition) -> Velocity:
        del condition
        return steered(velocity, self.energy, self.weight)

    def settings(self) -> dict[str, Any]:
        name = self.name or name_of(self.energy)
        return {"guide": "descent", "energy": name, "weight": self.weight}


@clear_errors
def steered(velocity: Velocity, energy: Energy, weight: float) -> Velocity:
    """The velocity field whose estimates of the clean latents lie lower in an energy.

    At flow time s the estimate is `x = y - s v(y, s)`; it is moved to `x - s weight dE/dx`, which is the velocity
    `v + weight dE/dx`. The gradient ends at the estimate and does not go through the network, as in manifold-preserving
    guidance (He et al. 2023, eq. 12): that costs no more than the energy itself. `generator.guided(Descent(...))` runs
    a generator so.

    Args:
        velocity: of a generator, `generator.velocity(condition, guidance)`.
        energy: a number to be small, of clean latents `(batch, channel, frame, height, width)`, differentiable; for one
            that looks at pixels, decode inside it, with `generator.autoencoder.decode`.
        weight: how far an estimate moves along the gradient.

    Returns:
        A field for `solve`.

    Raises:
        ValueError: the energy is not one number, or does not depend on the latents.

    >>> from latentlab.generator.solver import solve
    >>> levels, noise = torch.linspace(1, 0, 26), torch.ones(1, 1, 1, 1, 1)
    >>> free = lambda y, s: y  # leads to 1 / e
    >>> lower = steered(free, lambda x: x.square().sum(), 1.0)
    >>> bool(solve(lower, noise, levels).abs() < 0.5 * solve(free, noise, levels).abs())
    True
    """

    def field(y: Tensor, s: float) -> Tensor:
        v = velocity(y, s)
        with torch.enable_grad():
            estimate = (y - s * v).detach().float().requires_grad_()
            value = energy(estimate)
            if value.dim() or not value.requires_grad:
                raise ValueError(
                    "an energy is one number that depends on the latents, "
                    f"got shape {tuple(value.shape)}{'' if value.requires_grad else ', without a gradient'}"
                )
            (slope,) = torch.autograd.grad(value, estimate)
        return torch.add(v, slope.to(v), alpha=weight)

    return field


PREFIX = "guides."  # of the names under which a condition carries what guides know of its clips


def carried(guides: Sequence[Guide], condition: Condition, device: torch.device) -> Condition:
    """The condition, and beside it what each guide knows of its clips, unless it carries that already.

    Raises:
        ValueError: tensors of another number of clips.
    """
    rows, more = len(condition), dict(condition.extras)
    for i, guide in enumerate(guides):
        for name, tensor in guide.tensors().items():
            if (key := f"{PREFIX}{i}.{name}") in more:
                continue
            if len(tensor) not in (1, rows):
                raise ValueError(
                    f"{type(guide).__name__} holds {name!r} of {len(tensor)} clips, and these are {rows}; give one for "
                    "all, or one for each"
                )
            more[key] = tensor.to(device).expand(rows, *tensor.shape[1:])
    return replace(condition, extras=more) if guides else condition


def uncarried(condition: Condition) -> Condition:
    """The condition as the network takes it."""
    return replace(condition, extras={name: t for name, t in condition.extras.items() if not name.startswith(PREFIX)})


def composed(guides: Sequence[Guide], velocity: Velocity, plain: Condition, carrying: Condition) -> Velocity:
    """The velocity through all guides, the first next to the network.

    Args:
        guides: each is called with the condition of the network and the tensors of its own.
        velocity: of the network.
        plain: the network's condition.
        carrying: that, with what guides know beside it, see `carried`.
    """
    for i, guide in enumerate(guides):
        own = f"{PREFIX}{i}."
        known = {name.removeprefix(own): t for name, t in carrying.extras.items() if name.startswith(own)}
        velocity = guide(velocity, replace(plain, extras={**plain.extras, **known}))
    return velocity
